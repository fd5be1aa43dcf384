package render

import (
	"context"
	"crypto/sha256"
	"path"
	"runtime"
	"slices"
	"sync"

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
	results := r.recall(ctx, rp, c.basis)
	var problems []core.Problem
	err := c.do(ctx, func(yield func(task) bool) {
		for i, f := range rp.specs {
			if results[i] != nil {
				continue
			}
			if ctx.Err() != nil {
				return
			}
			src, p := rp.read(f.name)
			if p != nil {
				problems = append(problems, *p)
				continue
			}
			results[i] = newFileResult(c.basis, f, src)
			r.evaluate.files++
			if !yield(results[i].reading(src)) {
				return
			}
		}
	})
	unread := func(res *fileResult) bool { return res == nil }
	return slices.DeleteFunc(results, unread), problems, err
}

// recall returns what each file said when last seen, and nil for those of which that
// does not hold. Each core looks at its share: of thousands of small files nearly all
// the time goes to opening them.
func (r *Renderer) recall(ctx context.Context, rp *repo, b *basis) []*fileResult {
	results := make([]*fileResult, len(rp.specs))
	cores := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for first := range cores {
		wg.Go(func() {
			var room []byte
			for i := first; i < len(results) && ctx.Err() == nil; i += cores {
				if seen := r.files[rp.specs[i].name]; seen != nil {
					var content string
					if content, room = rp.content(rp.specs[i], room); seen.holds(b, content) {
						results[i] = seen
					}
				}
			}
		})
	}
	wg.Wait()
	return results
}

// content returns what tells a file from others: its id or, read into room, its hash.
// It is empty if the file cannot be read, of which whoever reads it next tells why.
func (rp *repo) content(f file, room []byte) (string, []byte) {
	if f.id != "" {
		return f.id, room
	}
	src, bad := rp.readInto(room, f.name)
	if bad != nil {
		return "", room
	}
	return hashOf(src), src
}

func hashOf(src []byte) string {
	sum := sha256.Sum256(src)
	return string(sum[:])
}

// newFileResult returns the result of a file that is yet to be evaluated.
func newFileResult(b *basis, f file, src []byte) *fileResult {
	res := &fileResult{name: f.name, basis: b.key, content: f.id}
	if f.id == "" {
		res.content = hashOf(src)
	}
	if res.importsOwn = path.Ext(f.name) == ".cue" && b.importsOwn(src); res.importsOwn {
		res.imports = b.allCUE()
	}
	return res
}

// reading is the task to evaluate a file.
func (res *fileResult) reading(src []byte) task {
	return task{
		pos: core.Pos{File: res.name, Line: 1},
		do: func(ctx context.Context, e evaluator) (size int, err error) {
			res.says, err = e.read(ctx, res.name, src)
			return res.size(), err
		},
		fail: func(p core.Problem) { res.says, res.retry = says{Problems: []core.Problem{p}}, retryLater() },
	}
}
