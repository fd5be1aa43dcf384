package core

import (
	"time"
)

// A Report is all that one pass found and did.
type Report struct {
	Time     time.Time `json:"time"`
	Instance string    `json:"instance"`
	Revision Revision  `json:"revision"`          // in force
	Refused  *Verdict  `json:"refused,omitempty"` // a newer revision that was not obeyed
	Problems []Problem `json:"problems,omitempty"`
	Plan     *Plan     `json:"plan,omitempty"`   // caused by commits
	Drift    *Plan     `json:"drift,omitempty"`  // caused by anything else
	Result   *Result   `json:"result,omitempty"` // of both
	Errors   []Fault   `json:"errors,omitempty"`
	Warnings []Warning `json:"warnings,omitempty"`

	Records     []DriftRecord `json:"records,omitempty"`     // what is there first, then what was, the latest first
	Precautions []Precaution  `json:"precautions,omitempty"` // that are in force
	News        []DriftRecord `json:"-"`                     // records that this pass opened or ended, or that became a fight
	Due         time.Time     `json:"due,omitzero"`          // when something ends that nothing else tells of, such as settling
}
