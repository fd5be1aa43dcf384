package render

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"prumo.dev/prumo/internal/core"
)

// Limits bound what a repo may ask of the renderer. Zero means the default.
type Limits struct {
	FileBytes int64 // of one file; default 4 MiB
	Files     int   // folders and files looked at; default 50,000
	Specs     int   // default 50,000
	Objects   int   // default 200,000
	Bytes     int64 // that all files come to, as they are kept; default 256 MiB

	SpecObjects int // of one spec; default 5,000
}

func (l Limits) orDefault() Limits {
	return Limits{
		FileBytes: cmp.Or(l.FileBytes, 4<<20),
		Files:     cmp.Or(l.Files, 50_000),
		Specs:     cmp.Or(l.Specs, 50_000),
		Objects:   cmp.Or(l.Objects, 200_000),
		Bytes:     cmp.Or(l.Bytes, 256<<20),

		SpecObjects: cmp.Or(l.SpecObjects, 5_000),
	}
}

// Options are the settings of a Renderer. The zero value is fine.
type Options struct {
	Limits Limits
	Time   time.Duration // for one tree; what takes longer is a Problem. Zero: as long as it takes

	// Child starts a process to evaluate in. An error is a machine's fault. Nil: this
	// process evaluates.
	Child func(context.Context) (Child, error)

	// Children is how many of these evaluate one tree at once. Zero: two.
	Children int
}

// A Renderer renders trees and remembers what it saw in the last one. It may be
// used by many goroutines; one rendering runs at a time.
type Renderer struct {
	limits Limits
	time   time.Duration
	staff  staff

	mu       sync.Mutex
	basis    *basis                 // of the last tree, if that had a good one
	files    map[string]*fileResult // of the last tree, by name
	last     last
	failed   failed
	evaluate counters
}

// counters count what was evaluated, so that tests can tell that nothing was.
type counters struct {
	shared, files, completions int
}

// New returns a Renderer.
func New(opts Options) (*Renderer, error) {
	r := &Renderer{limits: opts.Limits.orDefault(), time: opts.Time, files: map[string]*fileResult{}}
	if opts.Child != nil {
		r.staff = &children{opts.Child, opts.Children}
		return r, nil
	}
	here, err := newLocal()
	if err != nil {
		return nil, fmt.Errorf("load the built-in kinds: %w", err)
	}
	r.staff = here
	return r, nil
}

// Render returns what the tree says: its specs, their objects, and what is wrong
// with it. An error is a machine's fault, or the end of ctx.
func (r *Renderer) Render(ctx context.Context, tree core.Tree) (core.Rendering, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := contentID(tree.FS)
	switch {
	case id != "" && id == r.last.tree:
		return r.last.rendering, nil
	case id != "" && id == r.failed.tree && !r.failed.retry.due():
		return r.failed.rendering(), nil
	}
	out, err := r.renderInTime(ctx, tree, id)
	if f, ok := errors.AsType[*treeFailure](err); ok {
		r.failed = failed{id, f.problem, retryLater()}
		return r.failed.rendering(), nil
	}
	return out, err
}

// failed is what was wrong with a whole tree.
type failed struct {
	tree    string // its id, if the file system has one
	problem core.Problem
	retry   retry
}

func (f failed) rendering() core.Rendering {
	return core.Rendering{Problems: []core.Problem{f.problem}}
}

func (r *Renderer) renderInTime(ctx context.Context, tree core.Tree, id string) (core.Rendering, error) {
	if r.time == 0 {
		return r.render(ctx, tree, id)
	}
	bounded, cancel := context.WithTimeout(ctx, r.time)
	defer cancel()
	out, err := r.render(bounded, tree, id)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return core.Rendering{}, &treeFailure{problem(core.Pos{},
			"to evaluate all files took longer than %v and was stopped; look for unbounded comprehensions or references", r.time)}
	}
	return out, err
}

func (r *Renderer) render(ctx context.Context, tree core.Tree, id string) (core.Rendering, error) {
	repo, problems, err := scan(ctx, tree.FS, r.limits)
	if err != nil {
		return core.Rendering{}, fmt.Errorf("read the tree of %s: %w", tree.Revision.Short(), err)
	}
	b, more := readBasis(repo)
	if problems = append(problems, more...); len(more) > 0 {
		return core.Rendering{Problems: sorted(problems)}, nil
	}
	c := &crew{staff: r.staff, basis: b, limit: r.limits.Bytes}
	defer c.end()
	if more, err = r.load(ctx, c); err != nil {
		return core.Rendering{}, err
	}
	if problems = append(problems, more...); len(more) > 0 {
		return core.Rendering{Problems: sorted(problems)}, nil
	}
	files, more, err := r.readFiles(ctx, repo, c)
	if err != nil {
		return core.Rendering{}, err
	}
	problems = append(problems, more...)
	if !r.last.is(files, problems) {
		out, err := r.assemble(ctx, c, files)
		if err != nil {
			return core.Rendering{}, err
		}
		out.Problems = sorted(append(out.Problems, problems...))
		r.last = last{"", files, problems, out}
	}
	if len(r.last.rendering.Problems) == 0 { // one may be that a file could not be read just then
		r.last.tree = id
	}
	return r.last.rendering, nil
}

// load loads the basis of a crew, unless it says what the last one said.
func (r *Renderer) load(ctx context.Context, c *crew) ([]core.Problem, error) {
	b := c.basis
	if r.basis != nil && b.follow(r.basis) {
		return nil, nil
	}
	r.evaluate.shared++
	r.basis = nil
	path, problems, err := c.begin(ctx)
	if err != nil || len(problems) > 0 {
		return problems, err
	}
	b.loaded(path)
	r.basis = b.forget()
	return nil, nil
}

// assemble renders what files say, together. What the last tree had and this one
// has not is forgotten.
func (r *Renderer) assemble(ctx context.Context, c *crew, files []*fileResult) (core.Rendering, error) {
	r.files = make(map[string]*fileResult, len(files))
	var units []*unit
	var problems []core.Problem
	for _, f := range files {
		r.files[f.name] = f
		units = append(units, f.Units...)
		problems = append(problems, f.Problems...)
	}
	if len(units) > r.limits.Specs {
		return core.Rendering{Problems: append(problems, problem(units[r.limits.Specs].Spec.Pos,
			"the repo has %d specs and the limit is %d: from this one on they are too many, and nothing was rendered; split the repo", len(units), r.limits.Specs))}, nil
	}
	g := link(units)
	if err := r.complete(ctx, c, g); err != nil {
		return core.Rendering{}, err
	}
	g.unpack()
	g.checkMachines()
	claims := g.claim(r.limits)
	g.block()
	out := g.rendering(claims)
	out.Problems = append(out.Problems, problems...)
	return out, nil
}

// last is a rendering and what it was made from, so that it is not made again.
type last struct {
	tree      string // id of the tree, if the file system has one
	files     []*fileResult
	problems  []core.Problem // of the tree, not of what files say
	rendering core.Rendering
}

// is reports whether it was made from the same.
func (l *last) is(files []*fileResult, problems []core.Problem) bool {
	return slices.Equal(l.files, files) && slices.Equal(l.problems, problems)
}

// sorted orders problems by place and drops those said twice.
func sorted(ps []core.Problem) []core.Problem {
	slices.SortFunc(ps, func(a, b core.Problem) int {
		return cmp.Or(a.Pos.Compare(b.Pos), a.Spec.Compare(b.Spec), cmp.Compare(a.Msg, b.Msg))
	})
	return slices.Compact(ps)
}

// problem returns a Problem of this stage.
func problem(pos core.Pos, format string, args ...any) core.Problem {
	return core.Problem{Pos: pos, Stage: core.StageRender, Msg: oneLine(fmt.Sprintf(format, args...))}
}
