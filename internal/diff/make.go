package diff

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// Defaults of Options.
const (
	DefaultMaxDeleteShare = 0.10
	DefaultMaxDelete      = 5
)

// Options say what a plan may do without asking.
type Options struct {
	// Approval is what a person approved. What it allows is held back only by Hold.
	Approval core.Approval

	// Hold says why nothing may be deleted or released now, such as "the repo has
	// problems". Empty: it may.
	Hold string

	// A plan that deletes or releases more than MaxDelete objects, and more than
	// MaxDeleteShare (0 to 1) of all that are ours, holds all deletions. Zero means
	// the default; negative means none at all.
	MaxDelete      int
	MaxDeleteShare float64

	// Reveal shows what is hidden because it may hold secrets, but for what a Secret
	// holds and what looks like one. It is for the terminal of who could read it anyway.
	Reveal bool

	// Untrusted are the objects with an image that the policy let in once and
	// refuses now. What runs is told and goes on running; nothing brings such an
	// image in.
	Untrusted map[core.ObjectID]core.Untrusted
}

func (o Options) maxDelete() float64 {
	if o.MaxDelete == 0 {
		return DefaultMaxDelete
	}
	return float64(max(0, o.MaxDelete))
}

func (o Options) maxShare() float64 {
	if o.MaxDeleteShare == 0 {
		return DefaultMaxDeleteShare
	}
	return max(0, o.MaxDeleteShare)
}

// A draft is a change being made, with the raw differences that its hash binds
// and that are never shown.
type draft struct {
	core.Change
	leaves  []leaf
	omitted int  // so many of them are not shown
	ours    bool // its live object is ours
	fresh   bool // its namespace is made by this very plan

	sensitivity sensitivity
}

// Make returns what would change in the live cluster to obey rev.
func Make(rev core.Revision, obs core.Observation, opts Options) core.Plan {
	drafts, unchanged := collect(obs, opts)
	plan := finish(rev, drafts, obs, opts)
	plan.Unchanged = unchanged
	return plan
}

// collect returns all that differs, and the number of objects that do not.
func collect(obs core.Observation, opts Options) (drafts []draft, unchanged int) {
	for _, o := range obs.Objects {
		if opts.Reveal {
			o.Object.Plain = everything
		}
		d, differs := desired(o, obs.Leaving)
		u, refused := opts.Untrusted[o.Object.ID]
		switch {
		case refused:
			drafts = append(drafts, untrusted(o, u, d, differs)...)
		case differs:
			drafts = append(drafts, d)
		}
		if !differs {
			unchanged++
		}
	}
	for _, o := range obs.Expects {
		if d, differs := expected(o); differs {
			drafts = append(drafts, d)
		}
	}
	for _, live := range obs.Orphans {
		if d, ours := orphan(live, obs.Leaving); ours {
			drafts = append(drafts, d)
		}
	}
	return drafts, unchanged
}

// everything is a path that leads to all fields.
var everything = []objpath.Path{{}}

// finish makes a plan of drafts: in order, with risks, a hash, and what is held.
func finish(rev core.Revision, drafts []draft, obs core.Observation, opts Options) core.Plan {
	plan := core.Plan{Revision: rev, Changes: []core.Change{}, Approval: opts.Approval}
	sortDrafts(drafts)
	for i := range drafts {
		drafts[i].Risk = riskOf(drafts[i].Change, drafts[i].fresh)
		if n := drafts[i].omitted; n > 0 {
			drafts[i].note(fmt.Sprintf("%d more fields are not shown", n))
		}
	}
	plan.Hash = hash(drafts)
	hold(drafts, obs, plan.Hash, opts)
	for _, d := range drafts {
		plan.Changes = append(plan.Changes, d.Change)
	}
	return plan
}

// desired compares one object that a spec renders. It reports whether there is
// something to do or to say.
func desired(o core.Observed, leaving map[core.ObjectID]string) (draft, bool) {
	d := newDraft(o)
	switch {
	case isTerminating(o.Live):
		d.block(core.DriftDeleted, isLeaving(leaving[o.Object.ID])+"; it is made anew once it is gone")
		return d, true
	case o.Live != nil && !o.Ours && otherInstance(o) != "":
		d.block(core.DriftBlocked, fmt.Sprintf("belongs to the instance %q of Prumo; one object has one owner (is `instance` in the configuration, or --instance, right?)", otherInstance(o)))
		return d, true
	case o.Blocked != "":
		return refused(d, o), true
	case o.Live == nil:
		d.Action, d.Class = core.ActionCreate, core.DriftDeleted
		d.setFields(nil, compare(nil, o.Object.Fields, declared), o.Object.Fields)
		return d, true
	}
	leaves := compareLive(o)
	if o.Ours && len(leaves)+len(o.GiveUp)+len(o.Stays) == 0 {
		// Others may hold our values under another spelling, or in another order: a
		// conflict that would change nothing is none.
		return draft{}, false
	}
	d.Action, d.Class = core.ActionUpdate, core.DriftEdited
	if !o.Ours {
		d.Action, d.Class = core.ActionAdopt, core.DriftUnowned
	}
	all := owners(o.Live)
	d.setFields(all, leaves, o.Object.Fields)
	d.settleConflicts(o, all)
	d.Stays = o.Stays
	for _, p := range o.GiveUp {
		d.note(fmt.Sprintf("%s is given up: its value stays, and belongs to whoever writes it", p))
	}
	return d, true
}

// compareLive compares a live object with what the server would make of it or,
// where it could not be asked, with what is rendered.
func compareLive(o core.Observed) []leaf {
	if o.Predicted == nil {
		return compareManifest(o)
	}
	leaves := heeded(concerning(o, compare(o.Live, o.Predicted, whole)), o.Object.Ignore)
	if o.Ours {
		return leaves
	}
	return slices.DeleteFunc(leaves, func(l leaf) bool { // marks that merely appear are what adopting is
		return l.from == nil && isMark(l.path[len(l.path)-1].field)
	})
}

// concerning leaves out what others changed between the read of the live object
// and the dry-run, if the resource versions tell that somebody did: kept is what
// we send, and what we sent before and no longer do. The rest is told next time.
func concerning(o core.Observed, leaves []leaf) []leaf {
	predicted := resourceVersion(o.Predicted)
	if len(leaves) == 0 || predicted == "" || predicted == resourceVersion(o.Live) {
		return leaves
	}
	before := slices.DeleteFunc(owners(o.Live), func(e owner) bool { return !e.ours() })
	return slices.DeleteFunc(leaves, func(l leaf) bool {
		return lookup(o.Manifest, l.path) == nil &&
			!slices.ContainsFunc(before, func(e owner) bool { return owns(e.fields, l.path) })
	})
}

// compareManifest compares a live object with what would be sent, marks apart,
// where the server did not say what it would make of it.
func compareManifest(o core.Observed) []leaf {
	leaves := heeded(compare(o.Live, o.Manifest, declared), o.Object.Ignore)
	return slices.DeleteFunc(leaves, func(l leaf) bool { return isMark(l.path[len(l.path)-1].field) })
}

// heeded leaves out what belongs to whoever writes it.
func heeded(leaves []leaf, ignore []objpath.Path) []leaf {
	if len(ignore) == 0 {
		return leaves
	}
	return slices.DeleteFunc(leaves, func(l leaf) bool {
		return slices.ContainsFunc(ignore, func(p objpath.Path) bool { return covered(l.path, p) })
	})
}

// refused is an object that the server did not accept: if an immutable field is
// in the way, replacing it is proposed.
func refused(d draft, o core.Observed) draft {
	if o.Live == nil {
		d.block(core.DriftBlocked, o.Blocked)
		return d
	}
	d.refuse(o, compareManifest(o))
	return d
}

// refuse says of an object that the server did not accept what becomes of it, where
// leaves are what differs.
func (d *draft) refuse(o core.Observed, leaves []leaf) {
	d.Action, d.Reason, d.Fields = "", "", nil
	d.setFields(owners(o.Live), leaves, o.Object.Fields)
	fixed := immutable(o.Object.ID, o.Live, leaves)
	if len(fixed) == 0 {
		d.block(core.DriftBlocked, o.Blocked)
		return
	}
	what := strings.Join(fixed, ", ") + " cannot be changed in place"
	says := "; " + o.Blocked
	switch {
	case neverReplaced[o.Object.ID.Kind]:
		d.block(core.DriftBlocked, fmt.Sprintf("%s, and a %s is never replaced: declare a new one beside it and move what is in it%s", what, o.Object.ID.Kind, says))
	case !o.Ours:
		d.block(core.DriftBlocked, what+", and the object is not ours to replace: change the spec, or delete the object by hand"+says)
	case annotation(o.Live, core.AnnotationOrigin) != core.OriginCreated:
		d.block(core.DriftBlocked, what+", and the object was adopted, so it is not replaced: change the spec, or delete the object by hand"+says)
	default:
		d.Action, d.Class = core.ActionReplace, core.DriftEdited
		d.Manifest = remade(o)
		d.Reason = what + ": the object is deleted and made anew" + says
	}
}

// remade is what is sent when an object is made anew: what others wrote to the
// fields that are theirs is kept.
func remade(o core.Observed) map[string]any {
	m := runtime.DeepCopyJSON(o.Manifest)
	for _, p := range o.Object.Ignore {
		v, there := p.Get(o.Live)
		if !there {
			v, there = p.Get(o.Object.Fields)
		}
		if there {
			p.Set(m, runtime.DeepCopyJSONValue(v))
		}
	}
	return m
}

// expected compares what nobody here writes: what a machine says of itself.
func expected(o core.Observed) (draft, bool) {
	d := newDraft(o)
	d.Action, d.Class, d.ours = core.ActionObserve, core.DriftHardware, true
	d.Manifest = nil
	leaves := compare(o.Live, o.Object.Fields, observed)
	switch {
	case o.Blocked != "":
		d.Class, d.Reason = core.DriftBlocked, "cannot be observed: "+o.Blocked
		return d, true
	case o.Live == nil:
		d.Reason = fmt.Sprintf("the %s is declared and does not exist", o.Object.ID.Kind)
	}
	d.setFields(owners(o.Live), leaves, o.Object.Fields)
	return d, o.Live == nil || len(leaves) > 0
}

// orphan is a live object with our mark that nothing renders. It reports whether
// it really is ours: a copy carries the label, but not its own id.
func orphan(live map[string]any, leaving map[core.ObjectID]string) (draft, bool) {
	id := identify(live)
	if label(live, core.LabelOwner) == "" || annotation(live, core.AnnotationID) != id.String() {
		return draft{}, false
	}
	d := draft{ours: true}
	d.ID, d.Class, d.Mode = id, core.DriftOrphan, core.DriftCorrect
	d.Spec = parseSpecID(annotation(live, core.AnnotationSpec))
	d.setLive(live)
	switch {
	case isTerminating(live):
		d.block(core.DriftOrphan, isLeaving(leaving[id]))
	case id.Group == "" && id.Kind == "Node":
		d.Action, d.Reason = core.ActionRelease, "nothing renders it any more; a Node is never deleted: its marks and our fields go, the Node stays"
	case annotation(live, core.AnnotationOrigin) != core.OriginCreated:
		d.Action, d.Reason = core.ActionRelease, "nothing renders it any more; it was there before Prumo: marks and our fields go, the object stays"
	default:
		d.Action, d.Reason = core.ActionDelete, "nothing renders it any more"
	}
	return d, true
}

func newDraft(o core.Observed) draft {
	d := draft{ours: o.Ours, fresh: o.Unchecked != "" && o.Live == nil, sensitivity: sensitivityOf(o.Object)}
	d.ID, d.Spec, d.Pos, d.Mode = o.Object.ID, o.Object.Spec, o.Object.Pos, o.Spec.Drift
	if d.Mode == "" {
		d.Mode = core.DriftCorrect
	}
	d.Unchecked, d.Manifest, d.Ignore = o.Unchecked, o.Manifest, o.Object.Ignore
	d.RetryAt, d.ServerSays = o.RetryAt, clean(o.ServerSays)
	d.setLive(o.Live)
	return d
}

func (d *draft) setLive(live map[string]any) {
	d.Live = live
	meta, _ := live["metadata"].(map[string]any)
	d.UID, _ = meta["uid"].(string)
	d.ResourceVersion = resourceVersion(live)
}

func resourceVersion(object map[string]any) string {
	meta, _ := object["metadata"].(map[string]any)
	version, _ := meta["resourceVersion"].(string)
	return version
}

func (d *draft) block(class core.DriftClass, reason string) {
	d.Action, d.Class, d.Reason = core.ActionBlocked, class, cut(clean(reason), "")
}
