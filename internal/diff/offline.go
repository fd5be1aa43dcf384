package diff

import (
	"reflect"

	"prumo.dev/prumo/internal/core"
)

// Offline compares two renderings and asks nobody: what a proposal would change if the
// cluster were just as the repo wants it. It has no hash, for there is nothing to approve.
func Offline(rev core.Revision, before, after core.Rendering, opts Options) core.Plan {
	was, is := before.ObjectsByID(), after.ObjectsByID()
	var obs core.Observation
	var drafts []draft
	unchanged := 0
	for _, o := range after.Objects {
		old, existed := was[o.ID]
		obs.Objects = append(obs.Objects, core.Observed{Object: o, Ours: existed})
		d := newDraft(core.Observed{Object: o, Ours: true})
		switch {
		case !existed:
			d.Action = core.ActionCreate
			d.setFields(nil, compare(nil, o.Fields, declared), o.Fields)
		case reflect.DeepEqual(old.Fields, o.Fields):
			unchanged++
			continue
		default:
			d.Action = core.ActionUpdate
			d.setFields(nil, compare(old.Fields, o.Fields, whole), o.Fields)
		}
		drafts = append(drafts, d)
	}
	for _, o := range before.Objects {
		if _, stays := is[o.ID]; stays {
			continue
		}
		d := newDraft(core.Observed{Object: o, Ours: true})
		d.Action, d.Class, d.Reason = core.ActionDelete, core.DriftOrphan, "nothing renders it any more"
		if o.ID.Group == "" && o.ID.Kind == "Node" {
			d.Action, d.Reason = core.ActionRelease, "nothing renders it any more; a Node is never deleted"
		}
		drafts = append(drafts, d)
	}
	plan := finish(rev, drafts, obs, opts)
	plan.Unchanged, plan.Hash = unchanged, ""
	for i := range plan.Changes {
		c := &plan.Changes[i]
		c.Class, c.Approvable = "", false
	}
	return plan
}
