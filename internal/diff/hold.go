package diff

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// hold turns what may not be done without asking into ActionHold, unless it is
// approved in the plan of this hash. What Options.Hold forbids no approval allows.
func hold(drafts []draft, obs core.Observation, hash string, opts Options) {
	all := holdAll(drafts, obs, opts)
	for i := range drafts {
		d := &drafts[i]
		why := ""
		switch d.Action {
		case core.ActionReplace:
			why = "replacing needs an approval"
		case core.ActionDelete, core.ActionRelease:
			why = all
			switch {
			case why != "" || d.Action != core.ActionDelete:
			case neverReplaced[d.ID.Kind]:
				why = fmt.Sprintf("deleting a %s needs an approval: what is in it goes with it", d.ID.Kind)
			case d.Spec.Kind == core.KindDataset:
				why = fmt.Sprintf("deleting what belongs to %s needs an approval: data are behind it", d.Spec)
			}
		}
		switch {
		case why == "":
		case opts.Hold != "" && why == all:
			d.Wanted, d.Action = d.Action, core.ActionHold
			d.note(why) // nobody can approve what nobody can know
		case opts.Approval.Allows(hash, d.Change):
			d.note(approvedBy(opts.Approval.By))
		default:
			d.Wanted, d.Action, d.Approvable = d.Action, core.ActionHold, true
			d.note(why)
		}
	}
}

func approvedBy(who string) string {
	if who == "" {
		return "approved"
	}
	return cut("approved by "+clean(who), "")
}

// holdAll says why nothing at all may be deleted or released; "" if it may.
func holdAll(drafts []draft, obs core.Observation, opts Options) string {
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
	case opts.Hold != "":
		return "nothing is deleted now: " + clean(opts.Hold)
	case len(obs.Objects) == 0:
		return "the repo renders to nothing at all, which would delete everything"
	case float64(gone) > limit:
		return fmt.Sprintf("%d of %d objects would go, more than the %d that may go without asking", gone, ours, int(limit))
	}
	return ""
}

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
			if l.from != nil && (hides(l) || !d.ours) {
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
