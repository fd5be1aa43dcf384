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
	results := make([]*fileResult, 0, len(rp.specs))
	var problems []core.Problem
	err := c.do(ctx, func(yield func(task) bool) {
		for some := range slices.Chunk(rp.specs, readAhead) {
			if ctx.Err() != nil {
				return
			}
			for _, l := range r.look(rp, c.basis, some) {
				if l.problem != nil {
					problems = append(problems, *l.problem)
					continue
				}
				results = append(results, l.res)
				if l.res == r.files[l.res.name] {
					continue
				}
				r.evaluate.files++
				if !yield(l.res.reading(l.src)) {
					return
				}
			}
		}
	})
	return results, problems, err
}

// readAhead is how many files are read at once, by as many goroutines as there are
// cores: of thousands of small files most of the time goes to opening them.
const readAhead = 32

// A looked file is one that was looked at: what it said when last seen, if that
// holds; else an empty result, and the source to read it from.
type looked struct {
	res     *fileResult
	src     []byte
	problem *core.Problem // why it cannot be read
}

// look looks at some files. Those with an id are hardly ever read.
func (r *Renderer) look(rp *repo, b *basis, some []file) []looked {
	out := make([]looked, len(some))
	readers := 1
	if some[0].id == "" {
		readers = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	for first := range min(readers, len(some)) {
		wg.Go(func() {
			for i := first; i < len(some); i += readers {
				out[i] = r.lookAt(rp, b, some[i])
			}
		})
	}
	wg.Wait()
	return out
}

func (r *Renderer) lookAt(rp *repo, b *basis, f file) (l looked) {
	content := f.id
	if content == "" {
		if l.src, l.problem = rp.read(f.name); l.problem != nil {
			return l
		}
		sum := sha256.Sum256(l.src)
		content = string(sum[:])
	}
	if l.res = r.files[f.name]; l.res.holds(b, content) {
		return l
	}
	if f.id != "" {
		if l.src, l.problem = rp.read(f.name); l.problem != nil {
			return l
		}
	}
	l.res = &fileResult{name: f.name, basis: b.key, content: content}
	if l.res.importsOwn = path.Ext(f.name) == ".cue" && b.importsOwn(l.src); l.res.importsOwn {
		l.res.imports = b.allCUE()
	}
	return l
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
