package render

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// A Child is another process that runs Serve, and what bounds it.
type Child interface {
	io.ReadWriter // its standard output and input

	// Do runs one exchange with it. An error is one of the exchange, made plain: a
	// Culprit if what was exchanged is to blame, Unexplained if nobody knows. After it
	// the child is gone.
	Do(ctx context.Context, exchange func() error) error

	// Close ends it.
	Close()
}

// A Culprit is why a child ended, if that came of what it evaluated.
type Culprit interface {
	error
	Culprit()
}

// Unexplained is that a child ended and nobody knows why: something may have killed
// it from outside.
type Unexplained interface {
	error
	Unexplained()
}

// children are a staff of other processes, which can be stopped whatever they are at.
type children struct {
	start  func(context.Context) (Child, error)
	atOnce int // zero: maxChildren
}

// hire implements staff.
func (s *children) hire(ctx context.Context, b *basis) (evaluator, string, []core.Problem, error) {
	child, err := s.start(ctx)
	if err != nil {
		return nil, "", nil, err
	}
	d := &distant{child: child, basis: b, out: gob.NewEncoder(child), in: gob.NewDecoder(child)}
	a, err := d.ask(ctx, question{Basis: b})
	if err != nil {
		return nil, "", nil, err
	}
	if len(a.Problems) > 0 {
		child.Close()
		return nil, "", a.Problems, nil
	}
	return d, a.Path, nil, nil
}

// maxChildren bounds memory: each may hold as much as its limit says, and together
// with the daemon they shall fit where that runs.
const maxChildren = 2

// most implements staff.
func (s *children) most() int { return min(cmp.Or(s.atOnce, maxChildren), runtime.GOMAXPROCS(0)) }

// release implements staff.
func (s *children) release(e evaluator) { e.(*distant).child.Close() }

// distant is an evaluator in another process.
type distant struct {
	child Child
	basis *basis
	out   *gob.Encoder
	in    *gob.Decoder
}

// read implements evaluator.
func (d *distant) read(ctx context.Context, name string, src []byte) (says, error) {
	a, err := d.ask(ctx, question{Name: name, Src: src})
	return a.Says, err
}

// complete implements evaluator.
func (d *distant) complete(ctx context.Context, u *unit, deps []dep) (*outcome, error) {
	bare := &unit{Spec: u.Spec, In: u.In, Places: u.Places, Ignore: u.Ignore, Force: u.Force}
	a, err := d.ask(ctx, question{Unit: bare, Deps: deps})
	return a.Outcome, err
}

// A question is what a child is asked: to load a basis, which comes first, to
// complete a unit, or to read a file. Or it is a file that the child asked for.
type question struct {
	Basis *basis

	Unit *unit
	Deps []dep

	Name    string
	Src     []byte
	Problem *core.Problem // why there is no such file
}

// An answer is what a child says: that, or the name of a file that it wants first.
type answer struct {
	Wants string

	Path     string
	Problems []core.Problem
	Says     says
	Outcome  *outcome
	Failure  string // instead; the child is of no more use
}

// ask asks a child something, and gives it the files that it wants.
func (d *distant) ask(ctx context.Context, asked question) (a answer, err error) {
	q := asked
	err = d.child.Do(ctx, func() (err error) {
		for {
			if err := d.out.Encode(q); err != nil {
				return err
			}
			if a, err = d.hear(); err != nil {
				return err
			}
			if a.Wants == "" {
				return nil
			}
			q = d.fetch(a.Wants)
		}
	})
	if culprit, ok := errors.AsType[Culprit](err); ok {
		return a, &failure{culprit.Error()}
	}
	if end, ok := errors.AsType[Unexplained](err); ok {
		return a, &death{end.Error()}
	}
	if err == nil {
		if err = a.doubt(asked); err != nil {
			d.child.Close()
		}
	}
	return a, err
}

// hear reads an answer. A decoder is made for what well-meaning programs say, and may
// panic at something else.
func (d *distant) hear() (a answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("decode: %v", cause)
		}
	}()
	err = d.in.Decode(&a)
	return a, err
}

// fetch is a file that a child may import.
func (d *distant) fetch(name string) question {
	if !slices.Contains(d.basis.CUE, name) {
		p := problem(core.Pos{File: name}, "not found")
		return question{Name: name, Problem: &p}
	}
	src, p := d.basis.read(name)
	return question{Name: name, Src: src, Problem: p}
}
