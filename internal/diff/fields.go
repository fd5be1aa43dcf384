package diff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// maxFields is how many differing fields of one object a plan shows. All of
// them are in the hash.
const maxFields = 300

// setFields makes the shown differences of d from the raw ones.
func (d *draft) setFields(all []owner, leaves []leaf, rendered map[string]any) {
	d.leaves, d.omitted = leaves, max(0, len(leaves)-maxFields)
	foreign := d.Live != nil && !d.ours
	for i := range leaves {
		leaves[i].merged = leaves[i].merged || foreign && leaves[i].to != nil && !isRendered(leaves[i], rendered)
	}
	for i, l := range leaves {
		if i == maxFields {
			break
		}
		f := core.FieldChange{Path: renderPath(l.path)}
		f.From, f.To = d.sensitivity.mask(l, foreign)
		if o, ok := attribute(all, l); ok {
			f.Manager, f.Operation, f.Since = clean(o.manager), o.operation, o.since
		}
		if used, known := inUse(d.Live, f); known && !l.alien && d.ID.Kind == "ResourceQuota" && lowered(f.From, f.To) {
			f.Used = clean(fmt.Sprint(used))
		}
		d.Fields = append(d.Fields, f)
	}
}

// note adds to the reason.
func (d *draft) note(s string) {
	if d.Reason != "" {
		d.Reason += "; "
	}
	d.Reason += s
}

// settleConflicts decides what becomes of fields that another manager owns; see
// the package comment.
func (d *draft) settleConflicts(o core.Observed, all []owner) {
	d.Conflicts = o.Conflicts
	var named, disputes []string
	for _, c := range o.Conflicts {
		switch {
		case o.Ours && liveEdit(c, all):
		case o.Spec.TakeConflicts || mayTake(c, o):
			named = append(named, owned(c))
		default:
			disputes = append(disputes, owned(c))
		}
	}
	if len(disputes) > 0 {
		// The server takes all conflicts of an object or none, so that none is taken.
		d.block(core.DriftBlocked, fmt.Sprintf("%s; take it out of the spec, or have the spec ignore it (%s) or take it (%s)",
			list(disputes), core.AnnotationIgnore, core.AnnotationForce))
		return
	}
	d.Force = len(o.Conflicts) > 0 || o.Hollow
	if len(named) > 0 {
		d.note("takes over: " + list(named))
	}
}

// mayTake reports whether the spec names the field of a conflict as one to take.
func mayTake(c core.Conflict, o core.Observed) bool {
	path, err := objpath.Parse(c.Path)
	return err == nil && slices.ContainsFunc(o.Object.Force, func(p objpath.Path) bool { return p.Covers(path, o.Live) })
}

// owned says whose the field of a conflict is, and since when.
func owned(c core.Conflict) string {
	since := ""
	if !c.Since.IsZero() {
		since = " since " + c.Since.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s belongs to %s (%s%s)", clean(c.Path), clean(c.Manager), c.Operation, since)
}

// liveEdit reports whether a conflict comes from someone who changed the object
// itself and declared nothing.
func liveEdit(c core.Conflict, all []owner) bool {
	if c.Operation != "Update" {
		return false
	}
	for _, o := range all {
		if o.manager == c.Manager && o.operation == "Update" && o.subresource != "" && o.subresource != "status" {
			return false // an autoscaler's, through scale
		}
	}
	return true
}

// list joins at most five phrases.
func list(phrases []string) string {
	if len(phrases) > 5 {
		phrases = append(phrases[:5:5], fmt.Sprintf("and %d more", len(phrases)-5))
	}
	return strings.Join(phrases, ", ")
}

// identify returns the id of a live object.
func identify(live map[string]any) core.ObjectID {
	meta, _ := live["metadata"].(map[string]any)
	var id core.ObjectID
	apiVersion, _ := live["apiVersion"].(string)
	if group, _, ok := strings.Cut(apiVersion, "/"); ok {
		id.Group = group
	}
	id.Kind, _ = live["kind"].(string)
	id.Namespace, _ = meta["namespace"].(string)
	id.Name, _ = meta["name"].(string)
	return id
}

func metaString(live map[string]any, field, name string) string {
	meta, _ := live["metadata"].(map[string]any)
	m, _ := meta[field].(map[string]any)
	s, _ := m[name].(string)
	return s
}

func label(live map[string]any, name string) string { return metaString(live, "labels", name) }
func annotation(live map[string]any, name string) string {
	return metaString(live, "annotations", name)
}

// otherInstance returns the instance that manages a live object, if it is not
// the one that plans.
func otherInstance(o core.Observed) string {
	owner := label(o.Live, core.LabelOwner)
	if owner == label(o.Manifest, core.LabelOwner) || annotation(o.Live, core.AnnotationID) != o.Object.ID.String() {
		return ""
	}
	return owner
}

// parseSpecID reads SpecID.String.
func parseSpecID(s string) core.SpecID {
	kind, name, ok := strings.Cut(s, "/")
	if !ok {
		return core.SpecID{}
	}
	return core.SpecID{Kind: clean(kind), Name: clean(name)}
}

func isTerminating(live map[string]any) bool {
	meta, _ := live["metadata"].(map[string]any)
	at, _ := meta["deletionTimestamp"].(string)
	return at != ""
}

// isLeaving says that an object is being deleted, and what is known of it.
func isLeaving(how string) string {
	return strings.TrimSpace("is being deleted " + clean(how))
}
