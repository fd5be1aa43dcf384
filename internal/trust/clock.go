package trust

import (
	"fmt"
	"time"

	"prumo.dev/prumo/internal/core"
)

// clockStep is how long a time is remembered for the highest before it is
// written down anew. It bounds how far back a clock can go unnoticed over a restart.
const clockStep = time.Hour

// highest is the highest time that a State gives witness of: by this machine's
// clock, or signed by whoever makes heartbeats. Dates of commits are no witness,
// for those who are judged write them.
func (s State) highest() time.Time {
	high := s.Time
	for _, t := range []time.Time{s.Clock, s.Heartbeat.Time} {
		if t.After(high) {
			high = t
		}
	}
	return high
}

// Clock refuses to judge by a clock that was set back: a key that has ended
// would be valid again.
func (v *Verifier) Clock(s State) *core.Refusal {
	now, high := v.now(), s.highest()
	if !now.Before(high.Add(-clockSkew)) {
		return nil
	}
	return &core.Refusal{
		Code:   CodeClock,
		Found:  fmt.Sprintf("this machine's clock says %s, and it was %s before: it was set back", now.UTC().Format(time.RFC3339), high.UTC().Format(time.RFC3339)),
		Needed: fmt.Sprintf("a clock that goes back by no more than %v", clockSkew),
		Remedy: "set the clock (NTP); if it is right now and was ahead before, correct `clock` in the record of the last accepted revision, in the state folder and in the cluster alike",
	}
}

// Note returns the State with what a pass has seen: the newest heartbeat, and
// the time, which is written down now and then only.
func (v *Verifier) Note(s State, newest Heartbeat) State {
	s.Heartbeat = newest
	if now := v.now().UTC().Truncate(time.Second); now.Sub(s.highest()) >= clockStep {
		s.Clock = now
	}
	return s
}
