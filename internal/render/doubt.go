package render

import (
	"fmt"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// doubt looks through what a child answered, which may have been taken over by what it
// evaluates. An answer may be wrong, but it must have the shape that all code here
// relies on, and speak of nothing but what was asked. An error is a *failure.
func (a *answer) doubt(q question) error {
	var err error
	switch {
	case a.Failure != "":
		return &failure{a.Failure}
	case q.Unit != nil:
		err = a.Outcome.doubt(q.Unit.Spec.ID)
	case q.Basis == nil:
		err = a.Says.doubt()
	}
	if err != nil {
		return &failure{fmt.Sprintf("evaluation gave an answer that makes no sense (%v); write it another way", err)}
	}
	return nil
}

func (s *says) doubt() error {
	for _, u := range s.Units {
		if u == nil {
			return fmt.Errorf("an empty spec")
		}
		for _, to := range u.Spec.Refs {
			if !slices.ContainsFunc(u.Refs, func(rf ref) bool { return rf.To == to }) {
				return fmt.Errorf("%s needs %s without saying where", u.Spec.ID, to)
			}
		}
		for _, p := range []packed{u.Facts, u.In} {
			if len(p) > 0 && p.count() != 1 {
				return fmt.Errorf("data of %s that are none", u.Spec.ID)
			}
		}
		if err := aboutOnly(u.Spec.ID, u.Problems); err != nil {
			return err
		}
		if u.Outcome != nil {
			if err := u.Outcome.doubt(u.Spec.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// doubt looks through what is to be the outcome of a spec. What is in Fields is
// checked when they are unpacked.
func (o *outcome) doubt(id core.SpecID) error {
	if o == nil {
		return fmt.Errorf("nothing of %s", id)
	}
	n := 0
	for _, objects := range [][]core.Object{o.Objects, o.Expects, o.Precautions} {
		for _, object := range objects {
			if object.Spec != id || object.Fields != nil {
				return fmt.Errorf("%s has an object of %q", id, object.Spec)
			}
			for _, r := range object.Ready {
				switch r.Equals.(type) {
				case nil, string, bool, int64, float64:
				default:
					return fmt.Errorf("%s waits for a %T", id, r.Equals)
				}
			}
			n++
		}
	}
	if found := o.Fields.count(); found != n {
		return fmt.Errorf("%s has %d objects and the fields of %d", id, n, found)
	}
	return aboutOnly(id, o.Problems)
}

// aboutOnly returns an error if one of the problems is of another spec.
func aboutOnly(id core.SpecID, problems []core.Problem) error {
	for _, p := range problems {
		if p.Spec != id {
			return fmt.Errorf("%s speaks of a mistake of %q", id, p.Spec)
		}
	}
	return nil
}
