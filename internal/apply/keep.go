package apply

import (
	"context"
	"fmt"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// An obstacle is an object that is not as it should be yet, so that what is still
// there in its place, or for it, must stay.
type obstacle struct {
	core.Object
	why string
}

// keepNeeded holds back what an object that is not there yet, or not ready, may
// still need. Whatever has nothing to do with it goes.
func (p *pass) keepNeeded(ctx context.Context) error {
	var going []int
	for i, c := range p.changes {
		if p.outcomes[i].Status == "" && (c.Action == core.ActionDelete || c.Action == core.ActionRelease) {
			going = append(going, i)
		}
	}
	if len(going) == 0 {
		return nil
	}
	obstacles := p.unmade()
	if p.opts.Gate {
		unready, err := p.unready(ctx, going)
		if err != nil {
			return err
		}
		obstacles = append(obstacles, unready...)
	}
	for _, i := range going {
		k := slices.IndexFunc(obstacles, func(o obstacle) bool { return p.transition.mayNeed(o.Object, p.changes[i]) })
		if k >= 0 {
			p.say(i, core.StatusBlocked, fmt.Sprintf("not deleted while %s %s", obstacles[k].ID, obstacles[k].why))
		}
	}
	return nil
}

// unmade are the objects that should have been applied and were not.
func (p *pass) unmade() []obstacle {
	var found []obstacle
	for i, c := range p.changes {
		switch o := p.outcomes[i]; o.Status {
		case core.StatusFailed, core.StatusBlocked, core.StatusHeld:
			if c.Manifest != nil {
				found = append(found, obstacle{core.Object{ID: c.ID, Spec: c.Spec, Fields: c.Manifest}, "is not applied: " + o.Reason})
			}
		}
	}
	return found
}

// unready are the objects that are applied, by this plan or before, not ready, and
// may need something of what goes.
func (p *pass) unready(ctx context.Context, going []int) ([]obstacle, error) {
	concerns := func(o core.Object) bool {
		return gates(o) && slices.ContainsFunc(going, func(i int) bool { return p.transition.mayNeed(o, p.changes[i]) })
	}
	var look []*seen
	for o := range p.unchanged() {
		if concerns(o) {
			look = append(look, &seen{change: -1, object: o})
		}
	}
	if err := p.reread(ctx, look); err != nil {
		return nil, err
	}
	for i := range p.changes {
		if a := p.applied(i); a != nil && concerns(a.object) {
			look = append(look, a)
		}
	}
	var found []obstacle
	for _, a := range look {
		if why, ok := a.verdict(); !ok {
			found = append(found, obstacle{a.object, "is not ready: " + why})
		}
	}
	return found, nil
}
