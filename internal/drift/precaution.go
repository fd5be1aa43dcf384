package drift

import (
	"maps"
	"slices"
	"time"

	"prumo.dev/prumo/internal/core"
)

// Temper returns a rendering with the precautions in force laid over its objects,
// and with the objects marked that are left alone because of a fight.
func (l *Ledger) Temper(r core.Rendering) core.Rendering {
	r = overlay(r, l.inForce)
	resting := l.Resting()
	if len(resting) == 0 {
		return r
	}
	r.Objects = slices.Clone(r.Objects)
	for i := range r.Objects {
		r.Objects[i].Rest = resting[r.Objects[i].ID]
	}
	return r
}

// Overlay returns a rendering with the precautions of some specs applied on top of its
// objects.
func Overlay(r core.Rendering, inForce []core.Precaution) core.Rendering {
	return overlay(r, func(spec core.SpecID) bool {
		return slices.ContainsFunc(inForce, func(p core.Precaution) bool { return p.Spec == spec })
	})
}

func overlay(r core.Rendering, inForce func(core.SpecID) bool) core.Rendering {
	over := make(map[core.ObjectID]core.Object)
	for _, o := range r.Precautions {
		if inForce(o.Spec) {
			over[o.ID] = o
		}
	}
	if len(over) == 0 {
		return r
	}
	r.Objects = slices.Clone(r.Objects)
	for i := range r.Objects {
		o := &r.Objects[i]
		if p, ok := over[o.ID]; ok && p.Spec == o.Spec {
			marked := lay(o.Fields, p.Fields)
			o.Fields = lay(marked, map[string]any{"metadata": map[string]any{
				"annotations": map[string]any{core.AnnotationPrecaution: core.PrecautionHardware}}})
		}
	}
	return r
}

// lay returns a copy of a tree of fields with another laid over it. A list goes as
// a whole.
func lay(under, over map[string]any) map[string]any {
	out := maps.Clone(under)
	for name, v := range over {
		below, isMap := out[name].(map[string]any)
		if above, ok := v.(map[string]any); ok && (isMap || out[name] == nil) {
			v = lay(orEmpty(below), above)
		}
		out[name] = v
	}
	return out
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func (l *Ledger) inForce(spec core.SpecID) bool {
	p := l.precautions[spec]
	return p != nil && p.Lifted.IsZero()
}

// InForce are the specs whose precautions are in force.
func (l *Ledger) InForce() map[core.SpecID]bool {
	specs := make(map[core.SpecID]bool)
	for spec := range l.precautions {
		if l.inForce(spec) {
			specs[spec] = true
		}
	}
	return specs
}

// recognize drops what the repo no longer asks for, takes over precautions that
// live objects carry and that are not remembered, and forgets those that were
// lifted once they are off.
func (l *Ledger) recognize(asked []core.Object, objects []core.Observed) {
	if len(asked)+len(l.precautions) == 0 {
		return
	}
	wanted := make(map[core.SpecID]bool)
	for _, o := range asked {
		wanted[o.Spec] = true
	}
	for spec := range l.precautions {
		if !wanted[spec] {
			delete(l.precautions, spec)
			l.changed = true
		}
	}
	for _, o := range objects {
		spec := o.Object.Spec
		if !wanted[spec] {
			continue
		}
		p, on := l.precautions[spec], o.Ours && carries(o.Live)
		switch {
		case p == nil && on:
			l.precautions[spec] = &core.Precaution{Spec: spec, Since: l.now, Reason: "it was in force when memory of it was lost"}
			l.changed = true
		case p != nil && !p.Lifted.IsZero() && !on:
			delete(l.precautions, spec)
			l.changed = true
		}
	}
}

// carries reports whether we laid a precaution over a live object. The mark counts
// only while the server remembers that we wrote it.
func carries(live map[string]any) bool {
	meta, _ := live["metadata"].(map[string]any)
	notes, _ := meta["annotations"].(map[string]any)
	if notes[core.AnnotationPrecaution] != core.PrecautionHardware {
		return false
	}
	entries, _ := meta["managedFields"].([]any)
	return slices.ContainsFunc(entries, func(e any) bool {
		entry, _ := e.(map[string]any)
		fields := entry["fieldsV1"]
		for _, name := range []string{"f:metadata", "f:annotations", "f:" + core.AnnotationPrecaution} {
			m, _ := fields.(map[string]any)
			if fields = m[name]; fields == nil {
				return false
			}
		}
		return entry["manager"] == core.FieldManager && entry["operation"] == "Apply"
	})
}

// takePrecautions takes those whose hardware has differed for long enough, and
// lifts those whose hardware has been well for as long. Troubled says what differs;
// nothing is concluded of what could not be looked at.
func (l *Ledger) takePrecautions(asked []core.Object, troubled map[core.SpecID]string, unknown map[core.SpecID]bool) {
	confirmed := make(map[core.SpecID]bool)
	for k, e := range l.records {
		if k.class == core.DriftHardware && e.State == core.DriftOpen {
			confirmed[e.Spec] = true
		}
	}
	for _, o := range asked {
		why, differs := troubled[o.Spec]
		p := l.precautions[o.Spec]
		switch {
		case unknown[o.Spec]:
		case !l.inForce(o.Spec):
			if differs && confirmed[o.Spec] && !l.opts.Once {
				l.precautions[o.Spec] = &core.Precaution{Spec: o.Spec, Since: l.now, Reason: why}
				l.changed = true
			}
		case differs && !p.Well.IsZero():
			p.Well, l.changed = time.Time{}, true
		case !differs && p.Well.IsZero():
			p.Well, l.changed = l.now, true
		case !differs && l.now.Sub(p.Well) >= l.opts.Debounce && !l.opts.Once:
			p.Lifted, l.changed = l.now, true
		}
	}
}

// Explain says of the changes that a precaution makes, or takes back, that it does.
func (l *Ledger) Explain(changes []core.Change) {
	for i := range changes {
		c := &changes[i]
		p := l.precautions[c.Spec]
		if p == nil || c.Action == core.ActionObserve || !slices.ContainsFunc(c.Fields, isMark) {
			continue
		}
		why := "precaution, for hardware has differed since " + p.Since.UTC().Format(time.RFC3339) + ": " + p.Reason
		if !p.Lifted.IsZero() {
			why = "the precaution is lifted, for the hardware is as declared since " + p.Well.UTC().Format(time.RFC3339)
		}
		if c.Reason != "" {
			why = c.Reason + "; " + why
		}
		c.Reason = why
		if c.Class == core.DriftEdited && !slices.ContainsFunc(c.Fields, foreign) {
			c.Class = core.DriftHardware
		}
	}
}

func isMark(f core.FieldChange) bool {
	return f.Path == `.metadata.annotations["`+core.AnnotationPrecaution+`"]`
}

func foreign(f core.FieldChange) bool {
	return f.Manager != "" && f.Manager != core.FieldManager
}
