package apply

import (
	"context"
	"fmt"
	"slices"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
)

// A seen is an object as it was last seen, and what was said of it.
type seen struct {
	change  int // -1: the plan leaves it as it is
	object  core.Object
	live    map[string]any // nil: it does not exist
	refused string         // why it could not be read
}

// ready notes what of the applied objects is not ready, after waiting for it.
func (p *pass) ready(ctx context.Context) error {
	var applied []*seen
	for i := range p.changes {
		if s := p.applied(i); s != nil {
			applied = append(applied, s)
		}
	}
	unready, err := p.await(ctx, applied)
	for _, s := range unready {
		o := p.outcomes[s.change]
		o.Reason, _ = s.verdict()
		p.notReady = append(p.notReady, o)
	}
	return err
}

// applied is the object of a change that was made; nil if it was not.
func (p *pass) applied(i int) *seen {
	if p.after[i] == nil || p.outcomes[i].Status != core.StatusDone {
		return nil
	}
	return &seen{change: i, object: core.Object{ID: p.changes[i].ID, Fields: p.changes[i].Manifest}, live: p.after[i]}
}

// await returns which objects are not ready, after waiting for them to be. What
// has failed for good is not waited for.
func (p *pass) await(ctx context.Context, objects []*seen) ([]*seen, error) {
	objects = slices.DeleteFunc(objects, (*seen).isReady)
	if p.opts.Wait == 0 || len(objects) == 0 {
		return objects, nil
	}
	err := poll(ctx, p.opts.Wait, func() (bool, error) {
		if err := p.reread(ctx, objects); err != nil {
			return false, err
		}
		objects = slices.DeleteFunc(objects, (*seen).isReady)
		return !slices.ContainsFunc(objects, (*seen).mayBecomeReady), nil
	})
	return objects, err
}

// reread looks at objects again.
func (p *pass) reread(ctx context.Context, objects []*seen) error {
	return each(ctx, objects, func(ctx context.Context, s *seen) error {
		p.reading <- struct{}{}
		defer func() { <-p.reading }()
		live, err := p.cluster.Get(ctx, s.object.Fields)
		reason, refused := cluster.Refusal(err, s.object.ID)
		if err != nil && !refused {
			return fmt.Errorf("read %s: %w", s.object.ID, p.cluster.Explain(err))
		}
		s.live, s.refused = live, reason
		if s.change >= 0 && live != nil {
			p.after[s.change] = live
		}
		return nil
	})
}

func (s *seen) isReady() bool {
	_, ok := s.verdict()
	return ok
}

func (s *seen) mayBecomeReady() bool {
	return s.live == nil || s.compute().Status != status.FailedStatus
}

// verdict reports whether an object is ready, and if not, why.
func (s *seen) verdict() (string, bool) {
	switch {
	case s.refused != "":
		return s.refused, false
	case s.live == nil:
		return "does not exist", false
	}
	result := s.compute()
	if result.Status == status.CurrentStatus {
		return "", true
	}
	return orElse(result.Message, string(result.Status)), false
}

// compute is what kstatus says of a live object.
func (s *seen) compute() *status.Result {
	result, err := status.Compute(&unstructured.Unstructured{Object: s.live})
	if err != nil {
		return &status.Result{Status: status.UnknownStatus, Message: "its readiness cannot be told: " + err.Error()}
	}
	return result
}
