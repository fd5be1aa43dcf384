package core

import (
	"time"

	"prumo.dev/prumo/internal/objpath"
)

// A Conflict is a field that another manager owns, and we render or did.
type Conflict struct {
	Path      string    `json:"path"`
	Manager   string    `json:"manager"`
	Operation string    `json:"operation"` // Apply or Update
	Since     time.Time `json:"since,omitzero"`
}

// An Observed is one object as wanted and as the live cluster has it. At most
// one of Predicted, Unchecked and Blocked tells the outcome of the dry-run; none
// does if it does not exist and will be asked for by applying it.
type Observed struct {
	Object    Object
	Spec      Spec
	Manifest  map[string]any // what would be sent: Object.Fields and our marks
	Live      map[string]any // nil: does not exist
	Predicted map[string]any // what the server would make of it (dry-run)
	Conflicts []Conflict     // other managers' fields that the dry-run had to take to succeed
	Hollow    bool           // it had to take a map or list that others hold and that nothing is in, too
	Unchecked string         // why the server could not be asked, though nothing is wrong: its namespace comes with this plan
	Blocked   string         // why it cannot be applied: API not served, forbidden, refused by admission; never a value

	// ServerSays is, with Blocked, the server's own message. It may quote live values
	// and addresses, so it is for the operator alone.
	ServerSays string

	RetryAt time.Time // when the server is asked again about what stands in the way; zero: each time
	Ours    bool      // Live carries our mark

	// Stays are fields that we no longer send and that other managers own too: the
	// server does not remove them.
	Stays []Conflict

	// GiveUp are those of Object.Ignore that are ours still.
	GiveUp []objpath.Path
}

// An Observation is the live state that a plan is made from.
type Observation struct {
	Objects []Observed
	Expects []Observed          // Live only
	Orphans []map[string]any    // live objects with our mark that nothing renders
	Leaving map[ObjectID]string // of those that are being deleted: since when, and what holds them
}
