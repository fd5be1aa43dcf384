package source

import (
	"context"
	"slices"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/trust"
)

// Explain says who may change a path: on top of the last accepted revision, of
// the branch's tip if none was accepted yet, or, if name is not empty, in that
// commit, and then what the commit lacks. A refused verdict says why there is
// nothing to explain.
func (s *Source) Explain(ctx context.Context, path, name string) (core.Explanation, core.Verdict, error) {
	tip, err := s.fetch(ctx, s.opts.Ref)
	if err != nil {
		return core.Explanation{}, core.Verdict{}, err
	}
	if name != "" {
		return s.explainCommit(ctx, path, name)
	}
	accepted := s.Accepted().Commit
	if accepted == "" {
		verdict, err := s.Judge(ctx, "", tip)
		if err != nil || verdict.Refusal != nil {
			return core.Explanation{}, verdict, err
		}
		accepted = tip
	}
	e, refusal, err := s.verifier.Explain(ctx, s.repo, accepted, path, accepted)
	return e, core.Verdict{To: accepted, Refusal: refusal}, err
}

func (s *Source) explainCommit(ctx context.Context, path, name string) (core.Explanation, core.Verdict, error) {
	e := core.Explanation{Path: path}
	id, err := s.repo.Resolve(ctx, name)
	if err != nil {
		return e, core.Verdict{}, err
	}
	verdict, err := s.Judge(ctx, "", id)
	if err != nil {
		return e, verdict, err
	}
	i := slices.IndexFunc(verdict.Commits, func(c core.CommitVerdict) bool { return c.Commit == id })
	if i < 0 { // refused before any commit was looked at
		return e, verdict, nil
	}
	c, err := s.repo.Commit(id)
	if err != nil {
		return e, verdict, err
	}
	e, refusal, err := s.verifier.Explain(ctx, s.repo, "", path, c.Parents...)
	if refusal != nil || err != nil {
		return e, core.Verdict{To: id, Refusal: refusal}, err
	}
	e.Commit = &verdict.Commits[i]
	for _, parent := range c.Parents {
		changes, err := s.repo.Changes(ctx, parent, id)
		if err != nil {
			return e, verdict, err
		}
		for _, ch := range changes {
			if ch.Path == path && !slices.Contains(e.Changes, string(ch.Op)) {
				e.Changes = append(e.Changes, string(ch.Op))
			}
		}
	}
	e.Requirements = trust.Meet(e.Requirements, e.Changes, *e.Commit)
	verdict.Refusal = nil // what the commit lacks is in its own line
	return e, verdict, nil
}
