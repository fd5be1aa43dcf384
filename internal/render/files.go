package render

import (
	"context"
	"crypto/sha256"
	"path"

	"prumo.dev/prumo/internal/core"
)

// A fileResult is what a spec file says, and what that was made from.
type fileResult struct {
	name string
	says
	retry retry

	basis      [32]byte // basis.key
	content    string   // hash of the file, or its id if the file system has one
	importsOwn bool     // it imports packages of the repo
	imports    [32]byte // then basis.allCUE
}

// holds reports whether a file with this content would say the same again.
func (res *fileResult) holds(b *basis, content string) bool {
	return res != nil && res.basis == b.key && res.content == content && !res.retry.due() &&
		(!res.importsOwn || res.imports == b.allCUE())
}

// readFiles returns what each spec file says, and what is wrong with those that
// cannot be read. A file that is what it was when last seen is not evaluated, and
// if the file system tells that by an id not even read.
func (r *Renderer) readFiles(ctx context.Context, rp *repo, c *crew) ([]*fileResult, []core.Problem, error) {
	results := make([]*fileResult, 0, len(rp.specs))
	var problems []core.Problem
	err := c.do(ctx, func(yield func(task) bool) {
		for _, f := range rp.specs {
			if ctx.Err() != nil {
				return
			}
			res, src, p := r.result(rp, c.basis, f)
			if p != nil {
				problems = append(problems, *p)
				continue
			}
			results = append(results, res)
			if res == r.files[f.name] {
				continue
			}
			r.evaluate.files++
			if !yield(res.reading(src)) {
				return
			}
		}
	})
	return results, problems, err
}

// result returns what a file said when last seen, if that holds, or an empty result
// and the source to read it from.
func (r *Renderer) result(rp *repo, b *basis, f file) (res *fileResult, src []byte, p *core.Problem) {
	content := f.id
	if content == "" {
		if src, p = rp.read(f.name); p != nil {
			return nil, nil, p
		}
		sum := sha256.Sum256(src)
		content = string(sum[:])
	}
	if res = r.files[f.name]; res.holds(b, content) {
		return res, nil, nil
	}
	if f.id != "" {
		if src, p = rp.read(f.name); p != nil {
			return nil, nil, p
		}
	}
	res = &fileResult{name: f.name, basis: b.key, content: content}
	if res.importsOwn = path.Ext(f.name) == ".cue" && b.importsOwn(src); res.importsOwn {
		res.imports = b.allCUE()
	}
	return res, src, nil
}

// reading is the task to evaluate a file.
func (res *fileResult) reading(src []byte) task {
	return task{
		pos: core.Pos{File: res.name, Line: 1},
		do: func(ctx context.Context, e evaluator) (err error) {
			res.says, err = e.read(ctx, res.name, src)
			return err
		},
		fail: func(p core.Problem) { res.says, res.retry = says{Problems: []core.Problem{p}}, retryLater() },
	}
}
