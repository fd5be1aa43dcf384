package render

import (
	"context"
	"fmt"
	"time"

	"prumo.dev/prumo/internal/core"
)

// An evaluator evaluates the files of a tree. It belongs to one goroutine. An error
// is a *failure, a *death or a machine's fault. After it the evaluator is of no more
// use.
type evaluator interface {
	// read returns what a spec file says.
	read(ctx context.Context, name string, src []byte) (says, error)

	// complete returns what a spec renders to, that read said to need others.
	complete(ctx context.Context, u *unit, deps []dep) (*outcome, error)
}

// A dep is a spec that another one needs, and what that may know of it.
type dep struct {
	To    core.SpecID
	Facts packed
}

// A staff hands out evaluators.
type staff interface {
	// hire returns an evaluator that has loaded a basis, and the path of the repo's
	// module; or what is wrong with the basis.
	hire(ctx context.Context, b *basis) (evaluator, string, []core.Problem, error)

	// release takes back an evaluator that had no failure.
	release(evaluator)

	// most is how many evaluators may be hired at once.
	most() int
}

// A failure is that something could not be evaluated, and why, as people are told.
type failure struct{ why string }

func (f *failure) Error() string { return f.why }

// A death is that an evaluator ended and nobody knows why. Whatever it was at is asked
// once more: the machine may have been short of memory, or the evaluator restarted.
type death struct{ how string }

func (d *death) Error() string { return "the evaluator ended: " + d.how }

// A treeFailure is one that concerns a whole tree: nothing of it is rendered.
type treeFailure struct{ problem core.Problem }

func (f *treeFailure) Error() string { return f.problem.String() }

// patience is how long what had a failure is not tried again, if it is still the
// same. It may be that the machine was busy; and it may take a minute each time.
const patience = 10 * time.Minute

// A retry is when what had a failure is tried again. The zero value had none.
type retry time.Time

func (r retry) due() bool { return r != retry{} && time.Now().After(time.Time(r)) }

func retryLater() retry { return retry(time.Now().Add(patience)) }

// survive runs f, and returns an error if it panics. CUE's evaluator has bugs that
// end in a panic; whoever can write a file must not be able to end the process.
func survive(f func()) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &failure{fmt.Sprintf("CUE cannot evaluate this and panics (%v), which is a bug of CUE; write it another way", cause)}
		}
	}()
	f()
	return nil
}
