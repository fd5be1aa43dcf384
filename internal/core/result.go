package core

import (
	"time"
)

// A Status is how an action on one object ended.
type Status string

// The statuses.
const (
	StatusDone    Status = "done"
	StatusFailed  Status = "failed"
	StatusBlocked Status = "blocked" // not tried: waits for something that is not there
	StatusHeld    Status = "held"    // not tried: waits for an approval
	StatusSkipped Status = "skipped" // not tried: drift mode report or ignore, or the pass ended before
)

// An Outcome is what became of one change.
type Outcome struct {
	ID     ObjectID `json:"object"`
	Spec   SpecID   `json:"spec,omitzero"`
	Action Action   `json:"action"`
	Status Status   `json:"status"`
	Reason string   `json:"reason,omitempty"` // why not done

	ServerSays string `json:"serverSays,omitempty"` // see Observed.ServerSays
}

// A Result is what a plan became.
type Result struct {
	Outcomes []Outcome     `json:"outcomes"` // in the order of the plan
	NotReady []Outcome     `json:"notReady,omitempty"`
	Took     time.Duration `json:"tookNanoseconds"`
}

// Count returns the number of outcomes with a status.
func (r Result) Count(s Status) int {
	n := 0
	for _, o := range r.Outcomes {
		if o.Status == s {
			n++
		}
	}
	return n
}
