package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// A repo is a history whose revisions render to what the test says. It plays all
// parts of a pass, and notes what the cluster is to be like.
type repo struct {
	renders map[string]core.Rendering // by commit
	tip     string
	applied core.Applied
	wanted  map[string]string // object -> value, in the last pass
	faults  []core.Fault
}

func (r *repo) Advance(context.Context) (core.Revision, *core.Verdict, error) {
	return core.Revision{Commit: r.tip}, nil, nil
}

func (r *repo) Tree(rev core.Revision) (core.Tree, error) {
	if _, ok := r.renders[rev.Commit]; !ok {
		return core.Tree{}, errors.New("it is not in the store")
	}
	return core.Tree{Revision: rev}, nil
}
func (r *repo) Warnings() []core.Warning { return nil }
func (r *repo) Applied() core.Applied    { return r.applied }
func (r *repo) SetApplied(_ context.Context, applied core.Applied) error {
	r.applied = applied
	return nil
}

func (r *repo) Render(_ context.Context, tree core.Tree) (core.Rendering, error) {
	return r.renders[tree.Revision.Commit], nil
}

func (r *repo) Observe(_ context.Context, want core.Rendering) (core.Observation, error) {
	r.wanted = map[string]string{}
	for _, o := range want.Objects {
		r.wanted[o.ID.Name] = o.Fields["data"].(string)
	}
	return core.Observation{}, nil
}

func (r *repo) ObserveToApply(ctx context.Context, want core.Rendering) (core.Observation, error) {
	return r.Observe(ctx, want)
}

func (r *repo) Pods(context.Context, core.PodQuery) ([]core.Pod, error) { return nil, nil }

func (r *repo) Apply(context.Context, core.Plan) (core.Result, error) { return core.Result{}, nil }

func (r *repo) Report(_ context.Context, rep core.Report) error { r.faults = rep.Errors; return nil }

// start is a program that was just started.
func (r *repo) start() *Reconciler {
	return &Reconciler{Source: r, Renderer: r, Cluster: r, Applier: r, Reporter: r, Now: time.Now}
}

// TestRestartKeepsLastGood breaks one spec after the other, goes on, and starts
// anew each time: what is broken stays as it last was, not as it was when the
// repo last was whole, and not forgotten.
func TestRestartKeepsLastGood(t *testing.T) {
	render := func(problems []core.Problem, objects ...core.Object) core.Rendering {
		return core.Rendering{Specs: []core.Spec{spec("a", "a.yaml"), spec("b", "b.yaml"), spec("c", "c.yaml")},
			Objects: objects, Problems: problems}
	}
	brokenA, brokenB := problem(spec("a", "a.yaml")), problem(spec("b", "b.yaml"))
	r := &repo{renders: map[string]core.Rendering{
		"1": render(nil, object("a", "a.yaml", "1"), object("b", "b.yaml", "1"), object("c", "c.yaml", "1")),
		"2": render([]core.Problem{brokenA}, object("b", "b.yaml", "2"), object("c", "c.yaml", "2")),
		"3": render([]core.Problem{brokenA, brokenB}, object("c", "c.yaml", "3")),
		"4": render(nil, object("a", "a.yaml", "4"), object("b", "b.yaml", "4"), object("c", "c.yaml", "4")),
	}}
	for _, step := range []struct {
		tip  string
		want map[string]string
		kept map[string]string
	}{
		{"1", map[string]string{"a": "1", "b": "1", "c": "1"}, nil},
		{"2", map[string]string{"a": "1", "b": "2", "c": "2"}, map[string]string{"K/a": "1"}},
		{"3", map[string]string{"a": "1", "b": "2", "c": "3"}, map[string]string{"K/a": "1", "K/b": "2"}},
		{"3", map[string]string{"a": "1", "b": "2", "c": "3"}, map[string]string{"K/a": "1", "K/b": "2"}},
		{"4", map[string]string{"a": "4", "b": "4", "c": "4"}, nil},
	} {
		r.tip = step.tip
		if _, err := r.start().Reconcile(t.Context()); err != nil || len(r.faults) > 0 {
			t.Fatalf("revision %s: %v, faults %v", step.tip, err, r.faults)
		}
		if diff := cmp.Diff(step.want, r.wanted); diff != "" {
			t.Errorf("revision %s: objects (-want +got):\n%s", step.tip, diff)
		}
		if diff := cmp.Diff(step.kept, map[string]string(r.applied.Kept), cmp.Transformer("", func(m map[string]string) map[string]string {
			if len(m) == 0 {
				return nil
			}
			return m
		})); diff != "" {
			t.Errorf("revision %s: kept (-want +got):\n%s", step.tip, diff)
		}
	}
}

// TestRestartWithoutLastGood has the store lose the revision that a spec was last
// good at: the pass says so, and goes on with all others.
func TestRestartWithoutLastGood(t *testing.T) {
	r := &repo{tip: "2", applied: core.Applied{Revision: core.Revision{Commit: "2"}, Kept: core.Kept{"K/a": "1"}},
		renders: map[string]core.Rendering{"2": {Specs: []core.Spec{spec("a", "a.yaml"), spec("b", "b.yaml")},
			Objects: []core.Object{object("b", "b.yaml", "2")}, Problems: []core.Problem{problem(spec("a", "a.yaml"))}}}}
	if _, err := r.start().Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.faults) != 1 || !strings.Contains(r.faults[0].Msg, "drift of K/a is not corrected until the repo is mended: revision 1") {
		t.Errorf("faults %v, want one about K/a", r.faults)
	}
	if diff := cmp.Diff(map[string]string{"b": "2"}, r.wanted); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

// TestRestartBelievesKept has a revision render a spec that stayed as it was, as one
// whose image was refused does: after a restart it is as it was kept, not as that
// revision has it.
func TestRestartBelievesKept(t *testing.T) {
	a, b := spec("a", "a.yaml"), spec("b", "b.yaml")
	r := &repo{tip: "3", applied: core.Applied{Revision: core.Revision{Commit: "2"}, Kept: core.Kept{"K/a": "1"}},
		renders: map[string]core.Rendering{
			"1": {Specs: []core.Spec{a}, Objects: []core.Object{object("a", "a.yaml", "1")}},
			"2": {Specs: []core.Spec{a, b}, Objects: []core.Object{object("a", "a.yaml", "2"), object("b", "b.yaml", "2")}},
			"3": {Specs: []core.Spec{a, b}, Objects: []core.Object{object("b", "b.yaml", "3")}, Problems: []core.Problem{problem(a)}},
		}}
	if _, err := r.start().Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "3"}, r.wanted); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

// TestRestartOfMany has more specs stay as they were than fit into what is
// remembered: it stays within its bound, and says how many are left out.
func TestRestartOfMany(t *testing.T) {
	var now, before core.Rendering
	for i := range 5000 {
		name := fmt.Sprintf("%s-%04d", strings.Repeat("a", 58), i) // 63, as long as a name can be
		s := spec(name, name+".yaml")
		now.Specs, before.Specs = append(now.Specs, s), append(before.Specs, s)
		now.Problems = append(now.Problems, problem(s))
		before.Objects = append(before.Objects, object(name, name+".yaml", "1"))
	}
	one := spec("one", "one.yaml") // a revision that renders to nothing at all is not obeyed
	now.Specs, now.Objects = append(now.Specs, one), append(now.Objects, object("one", "one.yaml", "2"))
	r := &repo{renders: map[string]core.Rendering{"1": before, "2": now}}
	running := r.start()
	for _, r.tip = range []string{"1", "2", "2"} {
		if _, err := running.Reconcile(t.Context()); err != nil || len(r.faults) > 0 || len(r.wanted) < 5000 {
			t.Fatalf("revision %s: %v, faults %v, %d objects wanted", r.tip, err, r.faults, len(r.wanted))
		}
	}
	text, err := json.MarshalIndent(r.applied, "    ", "  ")
	if err != nil {
		t.Fatal(err)
	}
	kept := len(r.applied.Kept)
	if len(text) > maxKeptBytes+1000 || kept < 1000 || kept+r.applied.Forgotten != 5000 {
		t.Errorf("%d bytes for %d specs, %d forgotten", len(text), kept, r.applied.Forgotten)
	}
	if _, err := r.start().Reconcile(t.Context()); err != nil || len(r.wanted) != kept+1 {
		t.Errorf("after a restart: %v, %d objects wanted, not %d", err, len(r.wanted), kept+1)
	}
	if len(r.faults) != 1 || !strings.Contains(r.faults[0].Msg, fmt.Sprintf("drift of %d more specs is not corrected", 5000-kept)) {
		t.Errorf("faults %.300v, want one about those left out", r.faults)
	}
}
