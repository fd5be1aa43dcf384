package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
	"prumo.dev/prumo/internal/forge"
	"prumo.dev/prumo/internal/report"
)

// Forge is where pull requests are.
type Forge interface {
	OpenPulls(ctx context.Context) ([]forge.Pull, error)
	Pull(ctx context.Context, number int) (forge.Pull, error)
	PutComment(ctx context.Context, number int, key, body string) (changed bool, err error)
	SetStatus(ctx context.Context, sha string, status forge.Status) error
}

// Proposals are what pull requests propose.
type Proposals interface {
	Propose(ctx context.Context, ref string) (core.Proposal, error)
}

// Pulls plans pull requests and keeps one comment on each. What they hold is
// rendered by Untrusted; what they would be merged into by the Reconciler.
type Pulls struct {
	Forge      Forge
	Status     bool // set a commit status too
	Source     Proposals
	Untrusted  Renderer
	Reconciler *Reconciler
	Ref        string // full name of the branch that is obeyed

	seen  map[int]string // what was planned last, by number
	until time.Time      // the forge answers nothing before
}

// PlanAll plans every open pull request onto the branch whose head moved, or
// whose base did, since it was planned. It returns the numbers of those that it
// planned. One that fails does not stop the others.
func (p *Pulls) PlanAll(ctx context.Context) (planned []int, err error) {
	if p.Reconciler.Now().Before(p.until) {
		return nil, nil
	}
	defer func() {
		if limited := (*forge.RateLimited)(nil); errors.As(err, &limited) {
			p.until = limited.Until
		}
	}()
	open, err := p.Forge.OpenPulls(ctx)
	if err != nil {
		return nil, err
	}
	seen := make(map[int]string, len(open))
	var errs []error
	for _, pull := range open {
		if p.skip(pull) != nil {
			continue
		}
		state := pull.HeadSHA + " " + p.Reconciler.Source.Applied().Commit
		if p.seen[pull.Number] == state {
			seen[pull.Number] = state
			continue
		}
		if _, err := p.plan(ctx, pull); err != nil {
			errs = append(errs, fmt.Errorf("pull request %d: %w", pull.Number, err))
			continue
		}
		seen[pull.Number] = state
		planned = append(planned, pull.Number)
	}
	p.seen = seen // closed ones are forgotten
	return planned, errors.Join(errs...)
}

// Plan plans one pull request, keeps its comment and returns it.
func (p *Pulls) Plan(ctx context.Context, number int) (string, error) {
	pull, err := p.Forge.Pull(ctx, number)
	if err != nil {
		return "", err
	}
	if err := p.skip(pull); err != nil {
		return "", fmt.Errorf("pull request %d: %w", number, err)
	}
	return p.plan(ctx, pull)
}

// skip says why a pull request is not planned.
func (p *Pulls) skip(pull forge.Pull) error {
	switch {
	case !pull.Open:
		return errors.New("is not open")
	case "refs/heads/"+pull.BaseRef != p.Ref:
		return fmt.Errorf("is for %s, not for %s", pull.BaseRef, strings.TrimPrefix(p.Ref, "refs/heads/"))
	case pull.Fork:
		return errors.New("comes from a fork; only proposals from the repository itself are planned, since their authors may push there")
	}
	return nil
}

func (p *Pulls) plan(ctx context.Context, pull forge.Pull) (string, error) {
	proposal, err := p.Source.Propose(ctx, "refs/heads/"+pull.HeadRef)
	if err != nil {
		return "", err
	}
	text := report.CommentInput{
		Key: p.Reconciler.Instance, Head: proposal.Head, Base: proposal.Base.Commit, At: p.Reconciler.Now(),
		Reproduce: fmt.Sprintf("reconciler plan --config FILE --pr %d", pull.Number),
	}
	if proposal.Verdict.Refusal != nil {
		text.Refused = &proposal.Verdict
	}
	if len(proposal.Conflicts) > 0 {
		text.Problems = conflicts(proposal.Conflicts)
	} else if err := p.compare(ctx, proposal, &text); err != nil {
		text.Fault = err.Error()
	}
	body := report.Comment(text)
	if _, err := p.Forge.PutComment(ctx, pull.Number, p.Reconciler.Instance, body); err != nil {
		return "", err
	}
	if p.Status {
		return body, p.Forge.SetStatus(ctx, proposal.Head, p.status(text))
	}
	return body, nil
}

// compare writes into text what merging would cause and what was off already.
func (p *Pulls) compare(ctx context.Context, proposal core.Proposal, text *report.CommentInput) error {
	want, err := p.Untrusted.Render(ctx, proposal.Tree)
	if err != nil {
		return err
	}
	tree, err := p.Reconciler.Source.Tree(proposal.Base)
	if err != nil {
		return err
	}
	before, err := p.Reconciler.inForce(ctx, tree)
	if err != nil {
		return err
	}
	// By the base's policy: a proposal does not say what may run.
	if want, err = p.Reconciler.pinImages(ctx, tree, want); err != nil {
		return err
	}
	text.Problems = want.Problems
	want = keepLastGood(want, before)
	seen, err := p.Reconciler.Cluster.Observe(ctx, want)
	if err != nil {
		return err
	}
	plan := p.Reconciler.withCommand(diff.Make(proposal.Tree.Revision, seen, p.Reconciler.options(want, nil)))
	if err := p.Reconciler.nameHits(ctx, plan.Changes); err != nil {
		return err
	}
	caused, drift := diff.Split(plan, before, want, nil)
	text.Plan, text.Drift = &caused, &drift
	return nil
}

// conflicts says which paths keep a proposal from being merged.
func conflicts(paths []string) []core.Problem {
	problems := make([]core.Problem, len(paths))
	for i, path := range paths {
		problems[i] = core.Problem{Pos: core.Pos{File: path}, Stage: core.StagePlan,
			Msg: "changed here and on the base branch since they parted; rebase, then this is planned"}
	}
	return problems
}

// status is the comment in one line. Deletions are for people to see, not a
// failure.
func (p *Pulls) status(text report.CommentInput) forge.Status {
	s := forge.Status{Context: "prumo/plan/" + p.Reconciler.Instance, State: forge.StateSuccess}
	switch {
	case text.Fault != "":
		s.State, s.Description = forge.StateError, "could not be planned: "+text.Fault
	case text.Refused != nil:
		s.State, s.Description = forge.StateFailure, "would be refused: "+text.Refused.Refusal.Code
	case len(text.Problems) > 0:
		s.State, s.Description = forge.StateFailure, fmt.Sprintf("%d problems, the first at %s", len(text.Problems), text.Problems[0].Pos)
	case text.Plan.Count(core.ActionBlocked) > 0:
		s.State, s.Description = forge.StateFailure, fmt.Sprintf("%d changes, %d of them blocked", len(text.Plan.Changes), text.Plan.Count(core.ActionBlocked))
	default:
		s.Description = fmt.Sprintf("%d changes, %d of them deletions", len(text.Plan.Changes), text.Plan.Count(core.ActionDelete, core.ActionReplace))
	}
	return s
}
