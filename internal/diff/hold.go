package diff

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// hold turns what may not be done, or not without asking, into ActionHold.
func hold(drafts []draft, obs core.Observation, hash string, opts Options) {
	limit := overLimit(drafts, obs, opts)
	for i := range drafts {
		d := &drafts[i]
		forbidden, ask := forbids(d.Change, drafts, obs, opts), asks(d.Change, limit)
		switch {
		case forbidden != "":
			d.Wanted, d.Action = d.Action, core.ActionHold
			d.note(forbidden)
		case ask == "":
		case opts.Approval.Allows(hash, d.Change):
			d.note(approvedBy(opts.Approval.By))
		default:
			d.Wanted, d.Action, d.Approvable = d.Action, core.ActionHold, true
			d.note(ask)
		}
	}
}

// forbids says why a change is not made whoever approves it; "" if it may be. Nobody
// can approve what nobody can know, nor what the repo itself speaks against.
func forbids(c core.Change, drafts []draft, obs core.Observation, opts Options) string {
	switch {
	case c.Action != core.ActionDelete && c.Action != core.ActionRelease:
		return ""
	case opts.Hold != "":
		return "nothing is deleted now: " + clean(opts.Hold)
	case c.Action == core.ActionDelete:
		return keptIn(c, drafts, obs)
	}
	return ""
}

// asks says why a change needs an approval; "" if it needs none. limit is said of
// whatever goes.
func asks(c core.Change, limit string) string {
	switch {
	case c.Action == core.ActionReplace:
		return "replacing needs an approval"
	case c.Action != core.ActionDelete && c.Action != core.ActionRelease:
		return ""
	case limit != "" || c.Action == core.ActionRelease:
		return limit
	case neverReplaced[c.ID.Kind]:
		return fmt.Sprintf("deleting a %s needs an approval: what is in it goes with it", c.ID.Kind)
	case c.Spec.Kind == core.KindDataset:
		return fmt.Sprintf("deleting what belongs to %s needs an approval: data are behind it", c.Spec)
	}
	return ""
}

// keptIn says what is in the namespace, or of the definition, that a change deletes,
// and is to stay: what specs declare, and what is given up. "" if nothing is.
func keptIn(c core.Change, drafts []draft, obs core.Observation) string {
	box := container(c)
	if box == (core.ObjectID{}) {
		return ""
	}
	holds := func(id core.ObjectID) bool {
		return box.Name != "" && id.Namespace == box.Name || box.Name == "" && id.Group == box.Group && (box.Kind == "" || id.Kind == box.Kind)
	}
	for _, o := range obs.Objects {
		if holds(o.Object.ID) {
			return fmt.Sprintf("%s, which %s declares, would go with it", o.Object.ID, o.Object.Spec)
		}
	}
	for _, d := range drafts {
		if d.Action == core.ActionRelease && holds(d.ID) {
			return fmt.Sprintf("%s, which was there before us, would go with it", d.ID)
		}
	}
	return ""
}

// container is what a change to a namespace or a definition is about: the namespace
// itself, and of a definition the kind, which has no name. It is zero for all else.
func container(c core.Change) core.ObjectID {
	switch {
	case c.ID.Group == "" && c.ID.Kind == "Namespace":
		return c.ID
	case c.ID.Group == "apiextensions.k8s.io" && c.ID.Kind == "CustomResourceDefinition":
		group, _, _ := unstructured.NestedString(c.Live, "spec", "group")
		kind, _, _ := unstructured.NestedString(c.Live, "spec", "names", "kind")
		if group == "" { // of what nothing renders, only the metadata was read: its name is PLURAL.GROUP
			_, group, _ = strings.Cut(c.ID.Name, ".")
		}
		return core.ObjectID{Group: group, Kind: kind}
	}
	return core.ObjectID{}
}

func approvedBy(who string) string {
	if who == "" {
		return "approved"
	}
	return cut("approved by "+clean(who), "")
}

// overLimit says why nothing at all may be deleted or released without asking; "" if it
// may.
func overLimit(drafts []draft, obs core.Observation, opts Options) string {
	gone, ours := 0, 0
	for _, d := range drafts {
		if d.Action == core.ActionDelete || d.Action == core.ActionRelease {
			gone++
		}
		if d.Class == core.DriftOrphan {
			ours++
		}
	}
	for _, o := range obs.Objects {
		if o.Ours {
			ours++
		}
	}
	limit := max(opts.maxDelete(), opts.maxShare()*float64(ours))
	switch {
	case gone == 0:
		return ""
	case len(obs.Objects) == 0:
		return "the repo renders to nothing at all, which would delete everything"
	case float64(gone) > limit:
		return fmt.Sprintf("%d of %d objects would go, more than the %d that may go without asking", gone, ours, int(limit))
	}
	return ""
}

// isPrivate reports whether the live value of a leaf is hidden from somebody, whatever
// the kind says and whoever asks: one plan has one hash.
func isPrivate(d draft, l leaf) bool { return sensitivity{kind: d.ID}.hides(l) }

// hash is the SHA-256 of all that the drafts do. Two plans have one hash if and
// only if they do the same to the same objects: the revision, reasons, holds,
// and what is only reported are left out. Live values that are not shown are
// left out too, lest they be guessed from a published hash.
func hash(drafts []draft) string {
	type field struct {
		Path     string
		From, To any
	}
	type done struct {
		ID        string
		Action    core.Action
		Force     bool
		Unchecked bool
		UID       string
		Fields    []field
		Ignore    []objpath.Path `json:",omitempty"`
	}
	h := sha256.New()
	enc := json.NewEncoder(h) // one line per object; map keys sorted
	for _, d := range drafts {
		if d.Action == core.ActionBlocked || d.Action == core.ActionObserve {
			continue
		}
		x := done{ID: d.ID.String(), Action: d.Action, Force: d.Force, Unchecked: d.Unchecked != "", UID: d.UID, Ignore: d.Ignore}
		for _, l := range d.leaves {
			f := field{Path: renderPath(l.path), From: l.from, To: l.to}
			if l.from != nil && (isPrivate(d, l) || !d.ours || l.alien) {
				f.From = notOurs
			}
			if l.merged {
				f.To = notOurs
			}
			x.Fields = append(x.Fields, f)
		}
		if err := enc.Encode(x); err != nil {
			// Not JSON (a NaN): still bind to it, never to a shorter text.
			fmt.Fprintf(h, "%#v\n", x)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
