package proposals

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
	"prumo.dev/prumo/internal/drift"
	"prumo.dev/prumo/internal/forge"
	"prumo.dev/prumo/internal/reconcile"
	"prumo.dev/prumo/internal/report"
)

// Forge is where pull requests are.
type Forge interface {
	OpenPulls(ctx context.Context) ([]forge.Pull, error)
	Pull(ctx context.Context, number int) (forge.Pull, error)
	PutComment(ctx context.Context, number int, key, body string) (changed bool, err error)
	SetStatus(ctx context.Context, sha string, status forge.Status) error
}

// Source fetches what is proposed.
type Source interface {
	// With fetches a branch, merges it in memory into the accepted revision and calls
	// plan with the result, whose files can be read until plan returns.
	With(ctx context.Context, ref string, plan func(core.Proposal) error) error
}

// Images pins the images of a rendering by the policy of a tree.
type Images interface {
	Pin(ctx context.Context, policy core.Tree, want core.Rendering) (core.Rendering, error)
}

// Cluster sees what the live cluster makes of a proposal.
type Cluster interface {
	// ObserveProposal observes what differs between two renderings. It tells only that
	// an object exists if that object is not ours.
	ObserveProposal(ctx context.Context, before, after core.Rendering) (core.Observation, error)

	// Pods lists the pods that a change may stop.
	Pods(ctx context.Context, q core.PodQuery) ([]core.Pod, error)
}

// A Planner plans one pull request at a time.
type Planner struct {
	Instance string
	Ref      string // full name of the branch that is obeyed
	Status   bool   // set a commit status too
	Forge    Forge
	Source   Source
	Renderer reconcile.Renderer // of what nobody may have signed
	Images   Images             // nil: images are not verified
	Cluster  Cluster
	InForce  func() *core.InForce // nil: nothing is in force yet
	Now      func() time.Time

	Approve string // command that approves a plan, but for its hash; for people

	// How much a plan may delete without asking, as in diff.Options.
	MaxDelete      int
	MaxDeleteShare float64
}

// A Planned is what became of one pull request.
type Planned struct {
	Head  string // commit that was planned
	Base  string // revision that it was compared with
	Text  string // of the comment
	Fault error  // why no plan could be made, though the proposal is not to blame
}

// Plan plans a pull request and writes its comment and status. An error means that
// these could not be written, or that the proposal could not be fetched.
func (p *Planner) Plan(ctx context.Context, pull forge.Pull) (Planned, error) {
	if err := p.skip(pull); err != nil {
		return Planned{}, fmt.Errorf("pull request %d: %w", pull.Number, err)
	}
	var done Planned
	err := p.Source.With(ctx, "refs/heads/"+pull.HeadRef, func(proposal core.Proposal) error {
		text := p.text(pull, proposal)
		if len(proposal.Conflicts) > 0 {
			text.Problems = conflicts(proposal.Conflicts)
		} else if err := p.compare(ctx, proposal, &text); err != nil {
			done.Fault, text.Fault = err, publicFault(err)
		}
		done.Head, done.Base = proposal.Head, proposal.Base.Commit
		var err error
		done.Text, err = p.publish(ctx, pull.Number, text)
		return err
	})
	return done, err
}

// Refuse writes on a pull request that it is not planned, and why.
func (p *Planner) Refuse(ctx context.Context, pull forge.Pull, why string) error {
	text := p.text(pull, core.Proposal{Head: pull.HeadSHA})
	text.Fault = why
	_, err := p.publish(ctx, pull.Number, text)
	return err
}

// skip says why a pull request is not planned.
func (p *Planner) skip(pull forge.Pull) error {
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

func (p *Planner) text(pull forge.Pull, proposal core.Proposal) report.CommentInput {
	text := report.CommentInput{
		Key: p.Instance, Head: proposal.Head, Base: proposal.Base.Commit, At: p.Now(),
		Reproduce: fmt.Sprintf("reconciler plan --config FILE --pr %d", pull.Number),
	}
	if proposal.Verdict.Refusal != nil {
		text.Refused = &proposal.Verdict
	}
	return text
}

func (p *Planner) publish(ctx context.Context, number int, text report.CommentInput) (string, error) {
	body := report.Comment(text)
	if _, err := p.Forge.PutComment(ctx, number, p.Instance, body); err != nil {
		return "", err
	}
	if p.Status {
		return body, p.Forge.SetStatus(ctx, text.Head, status(p.Instance, text))
	}
	return body, nil
}

// compare writes into text what merging would cause and what was off already.
func (p *Planner) compare(ctx context.Context, proposal core.Proposal, text *report.CommentInput) error {
	base := p.InForce()
	if base == nil || base.Tree.Revision.Commit != proposal.Base.Commit {
		return at(core.StageApply, errors.New("the accepted revision is not in force yet"))
	}
	want, err := p.Renderer.Render(ctx, proposal.Tree)
	if err != nil {
		return at(core.StageRender, err)
	}
	rev := proposal.Tree.Revision
	if !proposal.Signed() {
		text.Problems, text.Offline = want.Problems, true
		want = reconcile.KeepLastGood(want, base.Declared)
		text.Plan = new(diff.Offline(rev, base.Declared, want, p.options(want)))
		return nil
	}
	if p.Images != nil {
		// By the base's policy: a proposal does not say what may run.
		if want, err = p.Images.Pin(ctx, base.Tree, want); err != nil {
			return at(core.StageVerify, err)
		}
	}
	text.Problems = want.Problems
	before := drift.Overlay(base.Rendering, base.Precautions)
	after := drift.Overlay(reconcile.KeepLastGood(want, base.Rendering), base.Precautions)
	seen, err := p.Cluster.ObserveProposal(ctx, before, after)
	if err != nil {
		return at(core.StagePlan, err)
	}
	plan := diff.Propose(rev, seen, before, after, p.options(after))
	if plan.Approvable() && p.Approve != "" {
		plan.Approve = p.Approve + " " + plan.Hash
	}
	if err := p.nameHits(ctx, plan.Changes); err != nil {
		return at(core.StagePlan, err)
	}
	text.Plan, text.Drift = &plan, &base.Drift
	return nil
}

// nameHits names the pods that changes of our own objects stop. Another object would
// be a question about pods that the proposal chooses.
func (p *Planner) nameHits(ctx context.Context, changes []core.Change) error {
	var ours []core.Change
	for _, c := range changes {
		if c.UID != "" {
			c.Manifest = nil // which nodes, and which taint, would be for the proposal to choose
			ours = append(ours, c)
		}
	}
	err := reconcile.NameHits(ctx, p.pods, ours)
	for i, next := 0, 0; i < len(changes); i++ {
		if changes[i].UID != "" {
			changes[i].Hits = ours[next].Hits
			next++
		}
	}
	return err
}

// errPods stands for whatever a cluster says when it does not list pods.
var errPods = errors.New("see the daemon's log")

// pods lists pods, and keeps to itself why it cannot.
func (p *Planner) pods(ctx context.Context, q core.PodQuery) ([]core.Pod, error) {
	pods, err := p.Cluster.Pods(ctx, q)
	if err != nil {
		err = errPods
	}
	return pods, err
}

// options say what a plan may do without asking.
func (p *Planner) options(want core.Rendering) diff.Options {
	return diff.Options{Hold: reconcile.HoldReason(want), MaxDelete: p.MaxDelete, MaxDeleteShare: p.MaxDeleteShare}
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

// A fault is a machine's fault at a stage.
type fault struct {
	stage core.Stage
	err   error
}

func (f *fault) Error() string { return fmt.Sprintf("%s: %v", f.stage, f.err) }
func (f *fault) Unwrap() error { return f.err }

func at(stage core.Stage, err error) error { return &fault{stage, err} }

// publicFault is what a pull request says of a fault. The error itself may hold
// addresses of the house, so it is for the log alone.
func publicFault(err error) string {
	what := "the plan could not be made"
	if f, ok := errors.AsType[*fault](err); ok {
		switch f.stage {
		case core.StageRender:
			what = "the files could not be evaluated"
		case core.StageVerify:
			what = "the images could not be judged"
		case core.StagePlan:
			what = "the cluster could not be observed"
		case core.StageApply:
			what = "the accepted revision is not in force yet"
		}
	}
	return what + "; it is tried again by itself, and the daemon's log says more"
}
