package reconcile

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// A house is every part of a pass at once; it notes what it is asked, in order.
type house struct {
	applied  core.Applied
	said     []string
	fullDisk bool // reports cannot be written
}

func (h *house) say(words ...string) { h.said = append(h.said, words...) }

func (h *house) Advance(context.Context) (core.Revision, *core.Verdict, error) {
	return core.Revision{Commit: "new"}, nil, nil
}
func (h *house) Tree(rev core.Revision) (core.Tree, error) { return core.Tree{Revision: rev}, nil }
func (h *house) Applied() core.Applied                     { return h.applied }
func (h *house) Warnings() []core.Warning                  { return nil }
func (h *house) SetApplied(_ context.Context, applied core.Applied) error {
	h.applied = applied
	return nil
}
func (h *house) Report(context.Context, core.Report) error {
	if h.fullDisk {
		return errors.New("no space left on device")
	}
	return nil
}

func (h *house) Keep(_ context.Context, inForce core.Rendering) error {
	h.say("keep " + inForce.Objects[0].Fields["image"].(string))
	return nil
}

func (h *house) Render(_ context.Context, tree core.Tree) (core.Rendering, error) {
	id := core.SpecID{Kind: "MLTool", Name: "app"}
	return core.Rendering{Specs: []core.Spec{{ID: id}}, Objects: []core.Object{
		{ID: core.ObjectID{Kind: "Pod", Name: "app"}, Spec: id, Fields: map[string]any{"image": tree.Revision.Commit}}}}, nil
}

// Pin refuses every image.
func (h *house) Pin(_ context.Context, policy core.Tree, want core.Rendering) (core.Rendering, error) {
	h.say("pin " + want.Objects[0].Fields["image"].(string) + " by the policy of " + policy.Revision.Commit)
	want.Problems = []core.Problem{{Spec: want.Objects[0].Spec, Msg: "refused"}}
	want.Objects = nil
	return want, nil
}

func (h *house) Recall(_ context.Context, policy core.Tree, before core.Rendering) (core.Rendering, error) {
	before.Objects = slices.Clone(before.Objects)
	before.Objects[0].Fields = map[string]any{"image": before.Objects[0].Fields["image"].(string) + " recalled by " + policy.Revision.Commit}
	return before, nil
}

func (h *house) Untrusted(_ context.Context, policy core.Tree, seen []core.Observed) (map[core.ObjectID]core.Untrusted, error) {
	untrusted := make(map[core.ObjectID]core.Untrusted)
	for _, o := range seen {
		h.say("look again at " + o.Object.Fields["image"].(string) + " by the policy of " + policy.Revision.Commit)
		untrusted[o.Object.ID] = core.Untrusted{Reason: "refused now"}
	}
	return untrusted, nil
}

func (h *house) Observe(_ context.Context, want core.Rendering) (core.Observation, error) {
	var seen core.Observation
	for _, o := range want.Objects {
		h.say("observe " + o.Fields["image"].(string))
		seen.Objects = append(seen.Objects, core.Observed{Object: o, Live: o.Fields, Predicted: o.Fields, Ours: true})
	}
	return seen, nil
}

func (h *house) ObserveToApply(ctx context.Context, want core.Rendering) (core.Observation, error) {
	h.say("to apply")
	return h.Observe(ctx, want)
}

func (h *house) Pods(context.Context, core.PodQuery) ([]core.Pod, error) { return nil, nil }

func (h *house) Apply(context.Context, core.Plan) (core.Result, error) {
	h.say("apply")
	return core.Result{}, nil
}

func (h *house) reconciler() *Reconciler {
	return &Reconciler{Source: h, Renderer: h, Images: h, Cluster: h, Applier: h, Reporter: h, Now: time.Now}
}

// TestRefusedImage proves that what a refused image blocks stays in force as it
// was applied, and that images are remembered before they are applied.
func TestRefusedImage(t *testing.T) {
	h := &house{applied: core.Applied{Revision: core.Revision{Commit: "old"}}}
	rep, err := h.reconciler().Reconcile(t.Context())
	if err != nil || len(rep.Problems) != 1 {
		t.Fatalf("%v, problems %v", err, rep.Problems)
	}
	want := []string{"pin new by the policy of new", "to apply", "observe old recalled by old", "look again at old recalled by old by the policy of new", "keep old recalled by old", "apply"}
	if diff := cmp.Diff(want, h.said); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestUntrustedImage proves that what a refused image keeps in force is told as
// drift where it is refused itself.
func TestUntrustedImage(t *testing.T) {
	h := &house{applied: core.Applied{Revision: core.Revision{Commit: "old"}}}
	rep, err := h.reconciler().Reconcile(t.Context())
	if err != nil || len(rep.Drift.Changes) != 1 || rep.Drift.Changes[0].Class != core.DriftUntrusted || rep.Drift.Changes[0].Reason != "refused now" {
		t.Errorf("%v, drift %+v", err, rep.Drift)
	}
}

// TestDriftOfRefusedImage proves that drift is looked for against what was applied.
func TestDriftOfRefusedImage(t *testing.T) {
	h := &house{}
	if _, err := h.reconciler().Drift(t.Context(), core.Tree{Revision: core.Revision{Commit: "old"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pin old by the policy of old", "pin old by the policy of old", "observe old recalled by old", "look again at old recalled by old by the policy of old"}, h.said); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestApprovedIsAskedAbout proves that only a pass which nobody approved leaves
// out questions: an approval is bound to the answers.
func TestApprovedIsAskedAbout(t *testing.T) {
	for approved, want := range map[string]string{"": "to apply", "some hash": "observe new"} {
		h := &house{}
		r := h.reconciler()
		r.Images, r.Approved = nil, approved
		_, _ = r.Apply(t.Context(), core.Tree{Revision: core.Revision{Commit: "new"}})
		if len(h.said) == 0 || h.said[0] != want {
			t.Errorf("approved %q: %q; want %q first", approved, h.said, want)
		}
	}
}
