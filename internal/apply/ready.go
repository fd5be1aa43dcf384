package apply

import (
	"context"
	"fmt"
	"reflect"
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
	c := p.changes[i]
	object := core.Object{ID: c.ID, Spec: c.Spec, Fields: c.Manifest}
	if is := p.transition.is[c.ID]; is != nil {
		object.Ready = is.Ready
	}
	return &seen{change: i, object: object, live: p.after[i]}
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
		why, refused := cluster.Refusal(err, s.object.ID)
		if err != nil && !refused {
			return fmt.Errorf("read %s: %w", s.object.ID, p.cluster.Explain(err))
		}
		s.live, s.refused = live, why.Reason
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
	if result := s.compute(); result.Status != status.CurrentStatus {
		return orElse(result.Message, string(result.Status)), false
	}
	for _, rule := range s.object.Ready {
		if why := s.lacks(rule); why != "" {
			return why, false
		}
	}
	return "", true
}

// lacks says what of a live object does not meet a rule; empty if it does. What a
// Secret holds is not said.
func (s *seen) lacks(rule core.Ready) string {
	v, ok := rule.Path.Get(s.live)
	ok = ok && v != nil
	var why string
	switch {
	case !ok && rule.Equals == nil:
		why = fmt.Sprintf("%s is not there", rule.Path)
	case !ok:
		why = fmt.Sprintf("%s is not there, wanted %v", rule.Path, rule.Equals)
	case rule.Equals == nil || equal(v, rule.Equals):
		return ""
	case s.object.ID.Kind == "Secret":
		why = fmt.Sprintf("%s is not %v", rule.Path, rule.Equals)
	default:
		why = fmt.Sprintf("%s is %.100q, wanted %v", rule.Path, fmt.Sprint(v), rule.Equals)
	}
	if rule.Message == "" {
		return why
	}
	return rule.Message + ": " + why
}

// equal compares scalars as JSON does: 1 and 1.0 are one number, and no string.
func equal(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// compute is what kstatus says of a live object.
func (s *seen) compute() *status.Result {
	result, err := status.Compute(&unstructured.Unstructured{Object: s.live})
	if err != nil {
		return &status.Result{Status: status.UnknownStatus, Message: "its readiness cannot be told: " + err.Error()}
	}
	return result
}
