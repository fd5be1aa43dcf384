package reconcile

import (
	"context"
	"errors"

	"prumo.dev/prumo/internal/core"
)

// NoSource is the source of a reconciler that only plans given trees.
type NoSource struct{}

// Advance implements Source: it finds nothing.
func (NoSource) Advance(context.Context) (core.Revision, *core.Verdict, error) {
	return core.Revision{}, nil, errNoRepo
}

// Warnings implements Source: it has none.
func (NoSource) Warnings() []core.Warning { return nil }

// Tree implements Source: it has none.
func (NoSource) Tree(core.Revision) (core.Tree, error) { return core.Tree{}, errNoRepo }

// Applied implements Source: nothing ever was.
func (NoSource) Applied() core.Applied { return core.Applied{} }

// SetApplied implements Source: it forgets.
func (NoSource) SetApplied(context.Context, core.Applied) error { return nil }

var errNoRepo = errors.New("no repo is configured")

// NoReporter tells nobody.
type NoReporter struct{}

// Report implements Reporter.
func (NoReporter) Report(context.Context, core.Report) error { return nil }
