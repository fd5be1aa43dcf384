package proposals

import (
	"fmt"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/forge"
	"prumo.dev/prumo/internal/report"
)

// status is the comment in one line. Deletions are for people to see, not a
// failure.
func status(instance string, text report.CommentInput) forge.Status {
	s := forge.Status{Context: "prumo/plan/" + instance, State: forge.StateSuccess}
	switch {
	case text.Fault != "":
		s.State, s.Description = forge.StateError, "could not be planned: "+text.Fault
	case text.Refused != nil:
		s.State, s.Description = forge.StateFailure, "would be refused: "+text.Refused.Refusal.Code
	case len(text.Problems) > 0:
		s.State, s.Description = forge.StateFailure, fmt.Sprintf("%d problems, the first at %s", len(text.Problems), text.Problems[0].Pos)
	case text.Plan.Count(core.ActionBlocked) > 0:
		s.State, s.Description = forge.StateFailure, fmt.Sprintf("%d changes, %d of them blocked",
			len(text.Plan.Changes), text.Plan.Count(core.ActionBlocked))
	default:
		s.Description = fmt.Sprintf("%d changes, %d of them deletions",
			len(text.Plan.Changes), text.Plan.Count(core.ActionDelete, core.ActionReplace))
	}
	return s
}
