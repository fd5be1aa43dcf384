package apply_test

import (
	"slices"
	"strings"
	"testing"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/core"
)

// of makes an object of a rendering one of another spec.
func of(r core.Rendering, object string, spec core.SpecID) core.Rendering {
	for i, o := range r.Objects {
		if o.ID.Name == object {
			r.Objects[i].Spec = spec
			r.Specs = slices.DeleteFunc(r.Specs, func(s core.Spec) bool { return s.ID == o.Spec })
		}
	}
	if !slices.ContainsFunc(r.Specs, func(s core.Spec) bool { return s.ID == spec }) {
		r.Specs = append(r.Specs, core.Spec{ID: spec, Drift: core.DriftCorrect})
	}
	return r
}

// spoil makes the change of an object one that the server refuses.
func spoil(plan core.Plan, object string) {
	for i := range plan.Changes {
		if c := &plan.Changes[i]; c.ID.Name == object {
			c.Manifest["data"] = "nonsense"
		}
	}
}

// An object that fails keeps what it may still need, or what it may come in place
// of, and nothing else, for ever or not.
func TestKept(t *testing.T) {
	tool, pool := core.SpecID{Kind: "Tool", Name: "bad"}, core.SpecID{Kind: "Pool", Name: "bad"}
	tests := []struct {
		name          string
		near          bool // in the namespace of what goes
		before, after func(r, withBad core.Rendering) core.Rendering
		kept          bool
	}{
		{name: "a stranger elsewhere",
			before: func(r, withBad core.Rendering) core.Rendering { return r },
			after:  func(r, withBad core.Rendering) core.Rendering { return of(r, "bad", pool) }},
		{name: "near, asked for at once", near: true, kept: true,
			before: func(r, withBad core.Rendering) core.Rendering { return r },
			after:  func(r, withBad core.Rendering) core.Rendering { return of(r, "bad", pool) }},
		{name: "near, an old trouble", near: true,
			before: func(r, withBad core.Rendering) core.Rendering { return of(withBad, "bad", pool) },
			after:  func(r, withBad core.Rendering) core.Rendering { return of(r, "bad", pool) }},
		{name: "of its spec, an old trouble", kept: true,
			before: func(r, withBad core.Rendering) core.Rendering { return of(of(withBad, "bad", tool), "old", tool) },
			after:  func(r, withBad core.Rendering) core.Rendering { return of(r, "bad", tool) }},
		{name: "of a spec that referred to it", kept: true,
			before: func(r, withBad core.Rendering) core.Rendering {
				r = of(withBad, "bad", pool)
				r.Specs[len(r.Specs)-1].Refs = []core.SpecID{{Kind: "Test", Name: "old"}}
				return r
			},
			after: func(r, withBad core.Rendering) core.Rendering { return of(r, "bad", pool) }},
		{name: "of a new spec of its kind", kept: true,
			before: func(r, withBad core.Rendering) core.Rendering {
				return of(r, "old", core.SpecID{Kind: "Tool", Name: "old"})
			},
			after: func(r, withBad core.Rendering) core.Rendering { return of(r, "bad", tool) }},
		{name: "of an old spec of its kind", kept: false,
			before: func(r, withBad core.Rendering) core.Rendering {
				return of(of(withBad, "bad", tool), "old", core.SpecID{Kind: "Tool", Name: "old"})
			},
			after: func(r, withBad core.Rendering) core.Rendering { return of(r, "bad", tool) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			elsewhere := strings.Replace(w.namespace(), w.name, w.name+"-2", 1)
			bad := w.configMap("bad", "x")
			if !tt.near {
				bad = strings.Replace(bad, "namespace: "+w.name, "namespace: "+w.name+"-2", 1)
			}
			before := tt.before(render(t, w.namespace(), elsewhere, w.configMap("old", "x")),
				render(t, w.namespace(), elsewhere, w.configMap("old", "x"), bad))
			there := before
			there.Objects = slices.DeleteFunc(slices.Clone(before.Objects), func(o core.Object) bool { return o.ID.Name == "bad" })
			w.put(t, there)
			w.before = before
			plan := w.plan(t, tt.after(render(t, w.namespace(), elsewhere, bad), core.Rendering{}))
			spoil(plan, "bad")
			result := w.apply(t, plan)
			if o := outcome(t, result, "bad"); o.Status != core.StatusFailed {
				t.Fatalf("bad: %+v", o)
			}
			o := outcome(t, result, "old")
			if kept := o.Status == core.StatusBlocked && strings.Contains(o.Reason, "not deleted while ConfigMap/"); kept != tt.kept {
				t.Errorf("old: %+v; want it kept: %t", o, tt.kept)
			}
			if there := live(t, w.maps(), "old") != nil; there != tt.kept {
				t.Errorf("old is there: %t; want %t", there, tt.kept)
			}
		})
	}
}

// Where readiness is asked for, what is not ready keeps as what failed does, also
// if it was applied in a pass before.
func TestKeptUntilReady(t *testing.T) {
	w := newWorld(t)
	w.put(t, render(t, w.namespace(), w.configMap("old", "x")))
	r := render(t, w.namespace(), w.deployment())
	for _, pass := range []string{"first", "second"} {
		o := outcome(t, w.apply(t, w.plan(t, r), apply.Options{Gate: true}), "old")
		if o.Status != core.StatusBlocked || !strings.Contains(o.Reason, "/web is not ready: ") {
			t.Fatalf("%s pass: %+v", pass, o)
		}
	}
	w.makeReady(t)
	if o := outcome(t, w.apply(t, w.plan(t, r), apply.Options{Gate: true}), "old"); o.Status != core.StatusDone {
		t.Errorf("web is ready: %+v", o)
	}
}

// What a spec refers to stays while that which refers to it is held.
func TestHeldDependentKeepsWhatItNeeds(t *testing.T) {
	w := newWorld(t)
	w.put(t, refer(render(t, w.namespace(), w.configMap("a", "x"), w.configMap("b", "x"), w.configMap("c", "x")), "a -> b"))
	plan := w.plan(t, render(t, w.namespace()))
	for i := range plan.Changes {
		if c := &plan.Changes[i]; c.ID.Name == "a" {
			c.Action, c.Wanted, c.Reason = core.ActionHold, core.ActionDelete, "deleting it needs an approval"
		}
	}
	result := w.apply(t, plan)
	if o := outcome(t, result, "b"); o.Status != core.StatusBlocked || !strings.Contains(o.Reason, "waiting for Test/a (ConfigMap/"+w.name+"/a: deleting it needs an approval)") {
		t.Errorf("b: %+v", o)
	}
	if o := outcome(t, result, "c"); o.Status != core.StatusDone {
		t.Errorf("c: %+v", o)
	}
}
