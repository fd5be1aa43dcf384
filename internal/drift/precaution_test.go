package drift_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/drift"
)

// cordon is the precaution of the machine, and machine what its spec renders.
var (
	cordon  = []core.Object{{ID: node, Spec: spec, Fields: map[string]any{"spec": map[string]any{"unschedulable": true}}}}
	machine = core.Rendering{Precautions: cordon, Objects: []core.Object{{ID: node, Spec: spec, Fields: map[string]any{
		"kind": "Node", "metadata": map[string]any{"name": "gpu-01", "labels": map[string]any{"a": "b"}}}}}}
)

// observed is the machine as the cluster has it, with or without our mark.
func observed(cordoned bool) []core.Observed {
	live := map[string]any{"metadata": map[string]any{}}
	if cordoned {
		live = map[string]any{"metadata": map[string]any{
			"annotations": map[string]any{core.AnnotationPrecaution: core.PrecautionHardware},
			"managedFields": []any{map[string]any{"manager": core.FieldManager, "operation": "Apply", "fieldsV1": map[string]any{
				"f:metadata": map[string]any{"f:annotations": map[string]any{"f:" + core.AnnotationPrecaution: map[string]any{}}}}}},
		}}
	}
	return []core.Observed{{Object: machine.Objects[0], Live: live, Ours: true}}
}

// see is one pass over the machine: are its GPUs there, is it cordoned?
func (c *clock) see(after time.Duration, well, cordoned bool) (inForce bool) {
	c.now = c.now.Add(after)
	c.Begin(c.now)
	var changes []core.Change
	if !well {
		changes = append(changes, lost(".status.capacity"))
	}
	c.Hardware(changes, cordon, observed(cordoned))
	return c.InForce()[spec]
}

// TestPrecaution: it is taken when the hardware has differed for long enough,
// lifted when it has been well for as long, and not on a short recovery.
func TestPrecaution(t *testing.T) {
	c := newClock(drift.Options{Debounce: 3 * time.Minute})
	for i, step := range []struct {
		after          time.Duration
		well, cordoned bool
		want           bool
	}{
		{0, false, false, false},
		{2 * time.Minute, false, false, false},
		{time.Minute, false, false, true},
		{time.Second, false, true, true},
		{time.Hour, true, true, true},
		{2 * time.Minute, false, true, true}, // back for two minutes only
		{time.Minute, true, true, true},
		{2 * time.Minute, true, true, true},
		{time.Minute, true, true, false}, // well for three: lifted
		{time.Second, true, true, false}, // and not taken up again by its own mark
		{time.Second, true, false, false},
		{time.Second, false, false, false}, // a new loss settles anew
		{3 * time.Minute, false, false, true},
	} {
		if got := c.see(step.after, step.well, step.cordoned); got != step.want {
			t.Errorf("step %d: in force %v, want %v", i, got, step.want)
		}
	}
}

// TestTemper: what is laid over an object leaves the rest of it, and the rendering
// it comes from, as they were.
func TestTemper(t *testing.T) {
	c := newClock(drift.Options{})
	if diff := cmp.Diff(machine, c.Temper(machine)); diff != "" {
		t.Errorf("without a precaution (-want +got):\n%s", diff)
	}
	c.see(0, false, false)
	c.see(time.Hour, false, false)
	got := c.Temper(machine).Objects[0].Fields
	want := map[string]any{"kind": "Node", "spec": map[string]any{"unschedulable": true}, "metadata": map[string]any{
		"name": "gpu-01", "labels": map[string]any{"a": "b"},
		"annotations": map[string]any{core.AnnotationPrecaution: core.PrecautionHardware}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with one (-want +got):\n%s", diff)
	}
	if machine.Objects[0].Fields["spec"] != nil {
		t.Error("the rendering was changed")
	}
}

// TestPrecautionOutlivesMemory: a ledger that lost its memory neither lifts what is
// in force nor believes a mark that we did not write; one that looks once does
// neither.
func TestPrecautionOutlivesMemory(t *testing.T) {
	c := newClock(drift.Options{Debounce: 3 * time.Minute})
	if !c.see(0, false, true) || !c.see(time.Minute, true, true) {
		t.Error("lifted at once, because memory was lost")
	}
	if c.see(3*time.Minute, true, true) {
		t.Error("not lifted, though the hardware is well")
	}

	forged := observed(true)
	meta := forged[0].Live["metadata"].(map[string]any)
	meta["managedFields"].([]any)[0].(map[string]any)["manager"] = "kubectl-annotate"
	c = newClock(drift.Options{})
	c.Begin(begin)
	c.Hardware(nil, cordon, forged)
	if c.InForce()[spec] {
		t.Error("a mark that somebody else wrote is believed")
	}

	once := newClock(drift.Options{Once: true})
	once.see(0, false, false)
	if once.see(time.Hour, false, false) {
		t.Error("a single look took a precaution")
	}
	if !once.see(0, true, true) || !once.see(time.Hour, true, true) {
		t.Error("a single look lifted a precaution")
	}
}

// TestPrecautionNeedsALook: of a machine that cannot be looked at, or is not there,
// nothing is concluded.
func TestPrecautionNeedsALook(t *testing.T) {
	c := newClock(drift.Options{Debounce: 3 * time.Minute})
	away := lost(".status.capacity")
	away.Live = nil
	blind := core.Change{ID: node, Spec: spec, Action: core.ActionObserve, Class: core.DriftBlocked, Reason: "forbidden"}
	for range 3 {
		c.now = c.now.Add(time.Hour)
		c.Begin(c.now)
		c.Hardware([]core.Change{away}, cordon, observed(false))
		if c.InForce()[spec] {
			t.Fatal("a precaution for a machine that is not there")
		}
	}
	c.see(time.Second, false, false)
	c.see(time.Hour, false, false)
	for range 3 {
		c.now = c.now.Add(time.Hour)
		c.Begin(c.now)
		c.Hardware([]core.Change{blind}, cordon, observed(true))
		if !c.InForce()[spec] {
			t.Fatal("lifted without a look at the machine")
		}
	}
	c.Begin(c.now)
	c.Hardware(nil, nil, observed(true))
	if c.InForce()[spec] {
		t.Error("in force, though the spec does not ask for it any more")
	}
}

// TestExplain tells our cordon from an edit.
func TestExplain(t *testing.T) {
	c := newClock(drift.Options{})
	c.see(0, false, false)
	c.see(time.Hour, false, false)
	mark := core.FieldChange{Path: `.metadata.annotations["` + core.AnnotationPrecaution + `"]`}
	ours := core.Change{ID: node, Spec: spec, Action: core.ActionUpdate, Class: core.DriftEdited, Fields: []core.FieldChange{mark, {Path: ".spec.unschedulable"}}}
	theirs := ours
	theirs.Fields = []core.FieldChange{mark, {Path: ".spec.unschedulable", Manager: "kubectl-uncordon"}}
	changes := []core.Change{ours, theirs}
	c.Explain(changes)
	if changes[0].Class != core.DriftHardware || changes[1].Class != core.DriftEdited {
		t.Errorf("classes %s and %s, want hardware and edited", changes[0].Class, changes[1].Class)
	}
	want := "precaution, for hardware has differed since 2026-11-22T13:00:00Z: .status.capacity is 7, declared 8"
	if changes[0].Reason != want {
		t.Errorf("reason %q\nwant   %q", changes[0].Reason, want)
	}
}
