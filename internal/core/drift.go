package core

import (
	"time"
)

// A DriftMode says what happens when live state leaves what a spec declares.
type DriftMode string

// The drift modes. Correct is the default.
const (
	DriftCorrect DriftMode = "correct" // put it back, and report
	DriftReport  DriftMode = "report"  // report only
	DriftIgnore  DriftMode = "ignore"  // say nothing
)

// A DriftClass says how live state left what was applied.
type DriftClass string

// The classes of drift.
const (
	DriftEdited    DriftClass = "edited"    // someone changed a field
	DriftDeleted   DriftClass = "deleted"   // someone deleted the object
	DriftUnowned   DriftClass = "unowned"   // our mark was removed
	DriftBlocked   DriftClass = "blocked"   // cannot be applied
	DriftHardware  DriftClass = "hardware"  // a machine is not what is declared
	DriftUntrusted DriftClass = "untrusted" // has an image that the policy let in once, and refuses now
	DriftOrphan    DriftClass = "orphan"    // carries our mark and nothing renders it
)

// DriftClasses are all of them, in the order in which they are counted.
func DriftClasses() []DriftClass {
	return []DriftClass{DriftEdited, DriftDeleted, DriftUnowned, DriftBlocked, DriftHardware, DriftUntrusted, DriftOrphan}
}

// A DriftState says how far a drift is.
type DriftState string

// The states of a drift.
const (
	DriftSettling  DriftState = "settling"  // hardware that differs, for too short a time to count
	DriftOpen      DriftState = "open"      // it is there
	DriftCorrected DriftState = "corrected" // we put it back
	DriftGone      DriftState = "gone"      // it went without us: someone put it back, or the spec changed
)

// A DriftRecord is one drift of one object, kept from the first sight until it is
// corrected or gone, and as history for a while after. Drift that comes back is
// the same record.
type DriftRecord struct {
	Object    ObjectID   `json:"object"`
	Spec      SpecID     `json:"spec,omitzero"`
	Pos       Pos        `json:"pos,omitzero"`
	Class     DriftClass `json:"class"`
	Path      string     `json:"path,omitempty"`    // the field; empty: the object as a whole
	Wanted    any        `json:"wanted,omitempty"`  // masked and cut
	Found     any        `json:"found,omitempty"`   // masked and cut
	Manager   string     `json:"manager,omitempty"` // who owns what was found
	State     DriftState `json:"state"`
	Since     time.Time  `json:"since"` // of State
	FirstSeen time.Time  `json:"firstSeen"`
	LastSeen  time.Time  `json:"lastSeen"`
	Times     int        `json:"times"`               // how often it came
	Corrected int        `json:"corrected,omitempty"` // how often we put it back
	Reason    string     `json:"reason,omitempty"`    // why it is not put back: the mode, an approval, what blocks it, hardware
	Fight     *Fight     `json:"fight,omitempty"`
}

// A Fight is a field that somebody rewrites each time we put it back.
type Fight struct {
	Since time.Time `json:"since"`
	Times int       `json:"times"` // how often it was rewritten since
	Round int       `json:"round"` // how often we rested; each rest is twice as long
	Until time.Time `json:"until"` // it is not put back before
}

// A Precaution is what is laid over the objects of a spec because its hardware
// has differed for long enough.
type Precaution struct {
	Spec   SpecID    `json:"spec"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`          // the hardware that differs
	Well   time.Time `json:"well,omitzero"`   // since when the hardware is as declared again
	Lifted time.Time `json:"lifted,omitzero"` // when it was taken off again
}
