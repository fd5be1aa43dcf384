package diff

import "prumo.dev/prumo/internal/core"

// untrusted tells that an image of an object is refused now, whatever the drift
// mode of its spec. What else is to be done to the object is done, unless that
// would bring the image in.
func untrusted(o core.Observed, u core.Untrusted, d draft, differs bool) []draft {
	brings := u.Absent
	switch d.Action {
	case core.ActionCreate, core.ActionReplace:
		brings = true
	case core.ActionBlocked:
		brings = false // it is not applied as it is
	}
	if differs && brings {
		d.block(core.DriftUntrusted, "is not put back: "+u.Reason)
		d.Mode = core.DriftCorrect
		return []draft{d}
	}
	told := newDraft(o)
	told.Action, told.Class, told.Mode = core.ActionObserve, core.DriftUntrusted, core.DriftCorrect
	told.Manifest = nil
	told.note(clean(u.Reason))
	if !differs {
		return []draft{told}
	}
	return []draft{d, told}
}
