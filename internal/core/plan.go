package core

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"prumo.dev/prumo/internal/objpath"
)

// An Action is what a plan does to one object.
type Action string

// The actions. Hold and Blocked do nothing and say why.
const (
	ActionCreate  Action = "create"
	ActionUpdate  Action = "update"
	ActionAdopt   Action = "adopt"   // exists and is not ours: take it over
	ActionReplace Action = "replace" // an immutable field changes: delete and create
	ActionDelete  Action = "delete"  // ours, and nothing renders it any more
	ActionRelease Action = "release" // adopted, and nothing renders it any more: give up fields and marks, keep the object
	ActionHold    Action = "hold"    // would be done, but waits for an approval
	ActionBlocked Action = "blocked" // cannot be done
	ActionObserve Action = "observe" // told, and written by nobody: a machine that is not what is declared, an image that may no longer run
)

// A Risk is the class of a change (how much it can hurt). Higher is worse.
type Risk int

// String returns the word that plans print.
func (r Risk) String() string {
	return [...]string{"safe", "restarts pods", "disruptive", "destructive"}[r]
}

// MarshalText makes Risk a word in JSON.
func (r Risk) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the word of MarshalText.
func (r *Risk) UnmarshalText(text []byte) error {
	for i := RiskSafe; i <= RiskDestructive; i++ {
		if i.String() == string(text) {
			*r = i
			return nil
		}
	}
	return fmt.Errorf("unknown risk %q", text)
}

// The risks.
const (
	RiskSafe        Risk = iota
	RiskRestarts         // restarts pods
	RiskDisruptive       // evicts or blocks running work: MIG, driver, NoExecute taint, quota below use
	RiskDestructive      // deletes or replaces
)

// A FieldChange is one leaf that differs. Values are for people: secrets are
// already masked. A nil From means that the field is added, a nil To removed.
type FieldChange struct {
	Path      string    `json:"path"` // such as .spec.hard["requests.nvidia.com/gpu"]
	From      any       `json:"from,omitempty"`
	To        any       `json:"to,omitempty"`
	Manager   string    `json:"manager,omitempty"`   // who owns the live value
	Operation string    `json:"operation,omitempty"` // Apply or Update
	Since     time.Time `json:"since,omitzero"`
	Used      string    `json:"used,omitempty"` // of a quota that is lowered: how much is in use
}

// A PodQuery asks for the pods that a change may stop. Empty fields ask for all.
type PodQuery struct {
	Node      string
	Namespace string
	Selector  any      // LabelSelector in JSON shape; nil: all pods
	Owner     ObjectID // workload that runs them; zero: any
	Claim     string   // PersistentVolumeClaim that they mount
	GPUs      bool     // only those that hold some
	Nodes     []any    // only those on nodes with all labels of one of these maps, in JSON shape
	Taint     any      // in JSON shape: only those that do not tolerate it
}

// A Pod is a pod that has not ended.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	GPUs      int64  `json:"gpus,omitempty"` // GPUs, and shares and slices of such, that it holds
}

// Hits are the pods that a change stops.
type Hits struct {
	Pods    []Pod  `json:"pods,omitempty"` // those with the most GPUs first, not all of many
	Total   int    `json:"total"`
	GPUs    int64  `json:"gpus,omitempty"`    // that all of them hold
	Unknown string `json:"unknown,omitempty"` // why it could not be told
}

// A Change is what a plan does to one object, and why.
type Change struct {
	ID         ObjectID      `json:"object"`
	Spec       SpecID        `json:"spec,omitzero"`
	Pos        Pos           `json:"pos,omitzero"`
	Action     Action        `json:"action"`
	Wanted     Action        `json:"wanted,omitempty"`     // with Hold: the action that waits
	Approvable bool          `json:"approvable,omitempty"` // with Hold: an approval of the plan's hash lets it go on
	Class      DriftClass    `json:"class,omitempty"`      // what it is if its cause is not a commit
	Mode       DriftMode     `json:"mode,omitempty"`
	Risk       Risk          `json:"risk"`
	Fields     []FieldChange `json:"fields,omitempty"`
	Conflicts  []Conflict    `json:"conflicts,omitempty"`
	Stays      []Conflict    `json:"stays,omitempty"`      // see Observed.Stays
	Hits       *Hits         `json:"hits,omitempty"`       // nil: nothing runs that it could stop
	Reason     string        `json:"reason,omitempty"`     // why held, blocked, replaced, released
	ServerSays string        `json:"serverSays,omitempty"` // see Observed.ServerSays
	RetryAt    time.Time     `json:"retryAt,omitzero"`     // see Observed.RetryAt
	Later      string        `json:"later,omitempty"`      // why it is not done now, though it could be: a fight
	FirstSeen  time.Time     `json:"firstSeen,omitzero"`   // of drift that was seen before
	Corrected  int           `json:"corrected,omitempty"`  // how often it was put back and came again
	Unchecked  string        `json:"unchecked,omitempty"`  // see Observed.Unchecked

	// Ignore is Object.Ignore. What of it is ours stops being so once the rest is
	// done, and keeps its value.
	Ignore []objpath.Path `json:"ignore,omitempty"`

	// What apply needs; never printed.
	Manifest        map[string]any `json:"-"` // what is sent
	Live            map[string]any `json:"-"` // what the plan was made from; nil if it does not exist
	UID             string         `json:"-"` // of Live
	ResourceVersion string         `json:"-"` // of Live
	Force           bool           `json:"-"` // take Conflicts, and what is Hollow
}

// Deed names what a change does, or would do if it were not held, to which very
// object: an object made anew is another one.
func (c Change) Deed() string {
	sum := sha256.Sum256([]byte(string(cmp.Or(c.Wanted, c.Action)) + "\x00" + c.ID.String() + "\x00" + c.UID))
	return hex.EncodeToString(sum[:16])
}

// An Approval lets go on what a plan would hold for a person.
type Approval struct {
	Plan  string          // hash of the plan that a person was shown: all that it holds
	Begun map[string]bool // by Deed: what is left of such a plan, which has another hash once it is half done
	By    string          // who approved, as they say
}

// Allows reports whether a change of the plan with a hash is approved.
func (a Approval) Allows(plan string, c Change) bool {
	return plan != "" && (a.Plan == plan || a.Begun[c.Deed()])
}

// A Plan is what would change in the live cluster to obey a revision.
type Plan struct {
	Revision  Revision `json:"revision"`
	Changes   []Change `json:"changes"` // in the order in which they are applied
	Unchanged int      `json:"unchanged"`
	Hash      string   `json:"hash"` // hexadecimal SHA-256 of all that is done; what an approval binds to

	// Approve is the command that approves what the plan holds, for people; empty if
	// it holds nothing that can be approved, or if that is planned anew at once.
	Approve string `json:"approve,omitempty"`

	// Approval is what the plan was made under; never printed.
	Approval Approval `json:"-"`

	// What was in force, and what shall be. Apply orders by their refs and asks
	// whether what others need is ready; never printed.
	Before Rendering `json:"-"`
	After  Rendering `json:"-"`
}

// Empty reports whether there is nothing to do and nothing to say.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }

// Count returns the number of changes with one of the actions.
func (p Plan) Count(actions ...Action) int {
	n := 0
	for _, c := range p.Changes {
		if slices.Contains(actions, c.Action) {
			n++
		}
	}
	return n
}

// Approvable reports whether an approval of the plan's hash would release
// anything that it holds.
func (p Plan) Approvable() bool {
	return slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Approvable })
}
