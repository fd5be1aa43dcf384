package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
	"prumo.dev/prumo/internal/drift"
)

// Source is the infra repo as a verified history.
type Source interface {
	// Advance fetches the branch, judges what is new and remembers what it
	// accepts. It returns the revision in force, which is the last accepted one
	// when there is nothing new, when what is new is refused (then with the
	// verdict), or when the remote fails (then with the error). A zero revision
	// means that none was ever accepted.
	Advance(ctx context.Context) (core.Revision, *core.Verdict, error)

	// Warnings is what the last Advance found beside: what a person should look at.
	Warnings() []core.Warning

	// Tree returns the files of a revision that Advance returned.
	Tree(rev core.Revision) (core.Tree, error)

	// Applied is what was applied last; zero if nothing was.
	Applied() core.Applied

	// SetApplied remembers it across restarts.
	SetApplied(ctx context.Context, applied core.Applied) error
}

// Renderer turns files into objects.
type Renderer interface {
	Render(ctx context.Context, tree core.Tree) (core.Rendering, error)
}

// Images lets only those images into a rendering that the policy of a tree
// allows.
type Images interface {
	// Pin returns a rendering with every image by digest, without the specs whose
	// images are refused, and with a Problem for each of these.
	Pin(ctx context.Context, policy core.Tree, want core.Rendering) (core.Rendering, error)

	// Keep remembers what the last Pin let in, before it is applied and inForce.
	Keep(ctx context.Context, inForce core.Rendering) error

	// Recall returns a rendering as it was applied, with the images that Keep
	// remembers.
	Recall(ctx context.Context, policy core.Tree, before core.Rendering) (core.Rendering, error)

	// Untrusted says which of some objects, that stay as they were applied, have an
	// image that the policy of a tree refuses now.
	Untrusted(ctx context.Context, policy core.Tree, seen []core.Observed) (map[core.ObjectID]core.Untrusted, error)
}

// Cluster sees what the live cluster makes of a rendering.
type Cluster interface {
	// Observe asks about every object.
	Observe(ctx context.Context, want core.Rendering) (core.Observation, error)

	// ObserveToApply leaves the questions out that an apply right after it answers.
	// A plan made of either has the same hash, unless something that it creates
	// would be refused.
	ObserveToApply(ctx context.Context, want core.Rendering) (core.Observation, error)

	// Pods lists the pods that a change may stop.
	Pods(ctx context.Context, q core.PodQuery) ([]core.Pod, error)
}

// Applier makes a plan true.
type Applier interface {
	Apply(ctx context.Context, plan core.Plan) (core.Result, error)
}

// Reporter tells people. It is called once for each pass, failed ones included.
type Reporter interface {
	Report(ctx context.Context, rep core.Report) error
}

// A Reconciler makes a cluster match the last accepted revision of a repo. Its
// methods must not be called concurrently.
type Reconciler struct {
	Instance  string
	Reveal    bool   // see diff.Options
	Approved  string // hash of the one plan to carry out, with what it holds; empty: any
	Source    Source
	Renderer  Renderer
	Images    Images // nil: images are not verified
	Cluster   Cluster
	Applier   Applier
	Reporter  Reporter
	Approvals Approvals     // that Reconcile heeds; nil: none
	Approve   string        // command that approves a plan, but for its hash; for people
	Drifts    *drift.Ledger // what is known of drift; nil: nothing
	Records   Records       // nil: it is forgotten
	Now       func() time.Time

	// How much a plan may delete without asking, as in diff.Options.
	MaxDelete      int
	MaxDeleteShare float64

	lastGood lastGood
	inForce  atomic.Pointer[core.InForce]
}

// Reconcile makes the cluster match the repo and says what it found. What fails
// keeps the last good revision in force: a remote that is away or a refused
// commit does not stop drift from being corrected.
func (r *Reconciler) Reconcile(ctx context.Context) (rep core.Report, err error) {
	rep = core.Report{Time: r.Now(), Instance: r.Instance}
	defer func() { err = r.tell(ctx, &rep, err) }()
	drifts := r.ledger(ctx)
	drifts.Begin(rep.Time)
	drifts.Tell(&rep) // what is known is told by a pass that fails, too

	rep.Revision, rep.Refused, err = r.Source.Advance(ctx)
	rep.Warnings = r.Source.Warnings()
	if rep.Revision.Commit == "" {
		return rep, at(core.StageVerify, noRevision(err, rep.Refused))
	}
	if err != nil {
		rep.Errors = append(rep.Errors, core.Fault{Stage: core.StageFetch, Msg: err.Error()})
	}
	tree, err := r.Source.Tree(rep.Revision)
	if err != nil {
		return rep, at(core.StageFetch, err)
	}
	before, err := r.before(ctx, &rep)
	if err != nil {
		return rep, at(core.StageRender, err)
	}
	plan, now, err := r.plan(ctx, tree, before, view{r.observeToApply(), drifts, r.approvals()}, &rep)
	if err != nil {
		return rep, err
	}
	if err := r.keepImages(ctx, now.rendering); err != nil {
		return rep, at(core.StageApply, err)
	}
	result, err := r.Applier.Apply(ctx, plan)
	rep.Result = &result
	r.settle(ctx, drifts, result, &rep)
	r.inForce.Store(outcome(tree, now, rep))
	planAgain(plan, result, &rep)
	if err != nil {
		return rep, at(core.StageApply, err)
	}
	return rep, r.remember(ctx, now, result)
}

// Plan says what obeying a tree would change and what has drifted from what was
// applied before. It changes nothing.
func (r *Reconciler) Plan(ctx context.Context, tree core.Tree) (core.Report, error) {
	rep := core.Report{Time: r.Now(), Instance: r.Instance, Revision: tree.Revision}
	before, err := r.before(ctx, &rep)
	if err == nil {
		_, _, err = r.plan(ctx, tree, before, r.glance(ctx), &rep)
	}
	return rep, err
}

// Drift says how live state differs from a tree that was applied before. It
// changes nothing.
func (r *Reconciler) Drift(ctx context.Context, tree core.Tree) (core.Report, error) {
	rep := core.Report{Time: r.Now(), Instance: r.Instance, Revision: tree.Revision}
	before, err := r.renderAgreed(ctx, tree)
	if err == nil {
		_, _, err = r.plan(ctx, tree, before, r.glance(ctx), &rep)
	}
	return rep, err
}

// Apply makes the cluster match a tree that the caller answers for, once, and
// remembers nothing.
func (r *Reconciler) Apply(ctx context.Context, tree core.Tree) (core.Report, error) {
	rep := core.Report{Time: r.Now(), Instance: r.Instance, Revision: tree.Revision}
	plan, _, err := r.plan(ctx, tree, core.Rendering{}, view{r.observeToApply(), r.ledger(ctx).Glance(), nil}, &rep)
	if err != nil {
		return rep, err
	}
	result, err := r.Applier.Apply(ctx, plan)
	rep.Result = &result
	return rep, err
}

// plan renders, observes and compares, and writes what it finds into rep: what
// the step from before to tree causes, and what had drifted before it. It returns
// both as the one plan to apply, and what is in force once that is done.
func (r *Reconciler) plan(ctx context.Context, tree core.Tree, before core.Rendering, v view, rep *core.Report) (core.Plan, lastGood, error) {
	declared, err := r.Renderer.Render(ctx, tree)
	if err != nil {
		return core.Plan{}, lastGood{}, at(core.StageRender, err)
	}
	good, err := r.pinImages(ctx, tree, declared)
	if err != nil {
		return core.Plan{}, lastGood{}, at(core.StageVerify, err)
	}
	rep.Problems = good.Problems
	want := KeepLastGood(good, before)
	v.drifts.Begin(rep.Time)
	seen, tempered, err := v.look(ctx, want)
	if err != nil {
		return core.Plan{}, lastGood{}, at(core.StagePlan, err)
	}
	untrusted, err := r.untrusted(ctx, tree, good, seen)
	if err != nil {
		return core.Plan{}, lastGood{}, at(core.StageVerify, err)
	}
	plan := r.compare(ctx, tree.Revision, seen, r.options(want, untrusted), v.approvals, rep)
	plan.Changes = v.drifts.Settled(plan.Changes)
	v.drifts.Explain(plan.Changes)
	if err := NameHits(ctx, r.Cluster.Pods, plan.Changes); err != nil {
		return core.Plan{}, lastGood{}, at(core.StagePlan, err)
	}
	owing := r.Source.Applied().Owed
	caused, drifted := diff.Split(plan, v.drifts.Temper(before), tempered, owing)
	plan.Before, plan.After = before, want
	v.drifts.See(caused, drifted)
	v.drifts.Tell(rep)
	rep.Plan, rep.Drift = &caused, &drifted
	if r.Approved != "" && r.Approved != plan.Hash {
		return core.Plan{}, lastGood{}, at(core.StagePlan, fmt.Errorf(
			"plan %s was approved and it is %s now: the repo or the cluster changed since; look at it again", r.Approved, plan.Hash))
	}
	asked := askedFor(caused, owing)
	now := lastGood{core.Applied{Revision: tree.Revision, Kept: r.keptSpecs(good, want)}, declared, want, asked}
	return obey(plan, asked, drifted), now, nil
}

// options say what a plan may do without asking.
func (r *Reconciler) options(want core.Rendering, untrusted map[core.ObjectID]core.Untrusted) diff.Options {
	return diff.Options{Approval: core.Approval{Plan: r.Approved}, Hold: HoldReason(want), Untrusted: untrusted, Reveal: r.Reveal,
		MaxDelete: r.MaxDelete, MaxDeleteShare: r.MaxDeleteShare}
}

// askedFor are the objects that commits ask to change: the one in hand, and those
// before it as far as they are owed.
func askedFor(caused core.Plan, owed []string) map[string]bool {
	asked := make(map[string]bool, len(caused.Changes)+len(owed))
	for _, c := range caused.Changes {
		asked[c.ID.String()] = true
	}
	for _, id := range owed {
		asked[id] = true
	}
	return asked
}

// obey clears the drift mode of what commits ask for: a commit is always obeyed,
// the mode is about drift alone. Of drift, it takes over what waits for later.
func obey(plan core.Plan, asked map[string]bool, drifted core.Plan) core.Plan {
	later := make(map[core.ObjectID]string)
	for _, c := range drifted.Changes {
		later[c.ID] = c.Later
	}
	changes := slices.Clone(plan.Changes)
	for i := range changes {
		if asked[changes[i].ID.String()] {
			changes[i].Mode = ""
		} else {
			changes[i].Later = later[changes[i].ID]
		}
	}
	plan.Changes = changes
	return plan
}

// remember keeps what was applied when nothing of it failed, and nothing that it
// asks for waits for something else of it.
func (r *Reconciler) remember(ctx context.Context, now lastGood, result core.Result) error {
	if result.Count(core.StatusFailed) > 0 || slices.ContainsFunc(result.Outcomes, waits) {
		return nil
	}
	if now.Owed = owed(now.asked, result); len(now.Owed) > maxOwed {
		return nil
	}
	r.lastGood = now
	applied := now.forRestart()
	if was := r.Source.Applied(); was.Commit == applied.Commit && was.Forgotten == applied.Forgotten &&
		maps.Equal(was.Kept, applied.Kept) && slices.Equal(was.Owed, applied.Owed) {
		return nil
	}
	return at(core.StageApply, r.Source.SetApplied(ctx, applied))
}

// maxOwed bounds what is remembered of changes that could not be made. A revision of
// which more is missing does not count as applied.
const maxOwed = 1000

// owed are the objects that commits ask to change, and of which something stood in
// the way, or that are going and not gone.
func owed(asked map[string]bool, result core.Result) (ids []string) {
	for _, o := range result.Outcomes {
		going := o.Action == core.ActionDelete && o.Status == core.StatusDone && o.Reason != ""
		if id := o.ID.String(); (o.Status == core.StatusBlocked || o.Status == core.StatusHeld || going) && asked[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// waits reports whether a change was not tried for want of another. What the plan
// says is blocked cannot be helped here.
func waits(o core.Outcome) bool {
	return o.Status == core.StatusBlocked && o.Action != core.ActionBlocked
}

// tell reports a pass, however it ended.
func (r *Reconciler) tell(ctx context.Context, rep *core.Report, err error) error {
	if staged := (*stageError)(nil); errors.As(err, &staged) {
		rep.Errors = append(rep.Errors, core.Fault{Stage: staged.stage, Msg: staged.err.Error()})
	}
	// A pass that was told to stop still says what it did.
	if told := r.Reporter.Report(context.WithoutCancel(ctx), *rep); told != nil {
		// It does not delay the next pass: see Loop.
		rep.Errors = append(rep.Errors, core.Fault{Stage: core.StageReport, Msg: told.Error()})
	}
	return err
}

// A stageError is a machine's fault that knows where it happened.
type stageError struct {
	stage core.Stage
	err   error
}

func (e *stageError) Error() string { return fmt.Sprintf("%s: %v", e.stage, e.err) }
func (e *stageError) Unwrap() error { return e.err }

func at(stage core.Stage, err error) error {
	if err == nil {
		return nil
	}
	return &stageError{stage, err}
}

// noRevision says why no revision was ever accepted.
func noRevision(err error, refused *core.Verdict) error {
	switch {
	case err != nil:
		return err
	case refused != nil && refused.Refusal != nil:
		return errors.New(refused.Refusal.String())
	}
	return errors.New("no revision was ever accepted")
}
