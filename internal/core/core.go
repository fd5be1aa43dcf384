package core

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"prumo.dev/prumo/internal/objpath"
)

// APIVersion is the apiVersion of every spec.
const APIVersion = "prumo.dev/v1alpha1"

// KindDataset is the kind of the specs whose objects are never deleted without an
// approval, whatever they are: data are behind them.
const KindDataset = "Dataset"

// FieldManager is the server-side apply field manager of everything Prumo
// writes (KEP-555).
const FieldManager = "prumo"

// Marks that Prumo leaves on the objects that it manages. An object is ours
// only if LabelOwner names this instance and AnnotationID names the object
// itself: a copy made with kubectl carries the label but not its own id.
const (
	LabelOwner       = "prumo.dev/owner"  // instance that manages the object
	AnnotationID     = "prumo.dev/id"     // ObjectID.String() of the object itself
	AnnotationSpec   = "prumo.dev/spec"   // SpecID.String() of the spec it renders from
	AnnotationOrigin = "prumo.dev/origin" // OriginCreated or OriginAdopted
	AnnotationTaints = "prumo.dev/taints" // Node only: the (key, effect) pairs that are ours

	AnnotationPrecaution = "prumo.dev/precaution" // PrecautionHardware: a precaution is laid over the object
)

// Values of AnnotationOrigin. Only what was created may ever be deleted; what
// was adopted is released: marks and fields are given up, the object stays.
const (
	OriginCreated = "created"
	OriginAdopted = "adopted"
)

// PrecautionHardware is the value of AnnotationPrecaution.
const PrecautionHardware = "hardware"

// Annotations that a spec may carry to say how its objects are kept.
const (
	AnnotationDrift     = "prumo.dev/drift"     // a DriftMode; default correct
	AnnotationConflicts = "prumo.dev/conflicts" // "take": take fields that another manager owns; default: show and leave

	AnnotationIgnore = "prumo.dev/ignore"       // objpath.ParseRules: fields that belong to whoever writes them; see Object.Ignore
	AnnotationForce  = "prumo.dev/force-fields" // objpath.ParseRules: fields to take from other managers, and no others
)

// A Revision is one commit of the infra repo.
type Revision struct {
	Commit string    `json:"commit"`           // full hexadecimal id; empty for a directory that is no commit
	Ref    string    `json:"ref,omitempty"`    // full ref name it was reached by, such as refs/heads/main
	Signer string    `json:"signer,omitempty"` // principal of the policy that signed it; empty if not verified
	Time   time.Time `json:"time,omitzero"`    // committer date
}

// Short is the commit id cut to 10 characters, or "(directory)".
func (r Revision) Short() string {
	if r.Commit == "" {
		return "(directory)"
	}
	return r.Commit[:min(10, len(r.Commit))]
}

// Applied is the last revision that was applied without a failure.
type Applied struct {
	Revision

	// Kept are the specs that stayed as they were, since the revision says nothing
	// good of them. Forgotten is how many more there were than can be remembered.
	Kept      Kept `json:"kept,omitempty"`
	Forgotten int  `json:"forgotten,omitempty"`

	// Owed are the objects, as ObjectID.String(), that the revision or one before asks
	// to change and that could not be changed yet: what differs there is no drift.
	Owed []string `json:"owed,omitempty"`
}

// A Tree is the files of one revision, read only, from the object store.
type Tree struct {
	Revision Revision
	FS       fs.FS
}

// A Pos is a place in a file of the infra repo. Line and Col count from 1; 0
// means unknown.
type Pos struct {
	File string `json:"file,omitempty"` // slash separated, relative to the repo's root
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

// String returns file:line:col, leaving out what is unknown.
func (p Pos) String() string {
	switch {
	case p.File == "":
		return "-"
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Compare orders positions by file, line, column.
func (p Pos) Compare(q Pos) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Col, q.Col))
}

// A Stage is a step of the loop; every failure belongs to one.
type Stage string

// The stages, in order.
const (
	StageFetch  Stage = "fetch"
	StageVerify Stage = "verify"
	StageRender Stage = "render"
	StagePlan   Stage = "plan"
	StageApply  Stage = "apply"
	StageReport Stage = "report"
)

// A Problem is a user's mistake: what is wrong, where, and what is wanted.
type Problem struct {
	Pos   Pos    `json:"pos"`
	Spec  SpecID `json:"spec,omitzero"` // the spec that it blocks; zero if the file holds no readable spec
	Stage Stage  `json:"stage"`
	Msg   string `json:"message"` // one line: what is wrong, what is wanted
}

// String returns "file:line:col: message".
func (p Problem) String() string { return p.Pos.String() + ": " + p.Msg }

// A SpecID names a spec; unique within a repo.
type SpecID struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// String returns Kind/name.
func (id SpecID) String() string {
	if id == (SpecID{}) {
		return ""
	}
	return id.Kind + "/" + id.Name
}

// Compare orders spec ids by kind and name.
func (id SpecID) Compare(o SpecID) int {
	return cmp.Or(cmp.Compare(id.Kind, o.Kind), cmp.Compare(id.Name, o.Name))
}

// A DriftMode says what happens when live state leaves what a spec declares.
type DriftMode string

// The drift modes. Correct is the default.
const (
	DriftCorrect DriftMode = "correct" // put it back, and report
	DriftReport  DriftMode = "report"  // report only
	DriftIgnore  DriftMode = "ignore"  // say nothing
)

// A Spec is one declared thing of the infra repo.
type Spec struct {
	ID            SpecID    `json:"id"`
	Pos           Pos       `json:"pos"`
	Refs          []SpecID  `json:"refs,omitempty"` // specs that it needs
	Drift         DriftMode `json:"drift"`
	TakeConflicts bool      `json:"takeConflicts,omitempty"` // see AnnotationConflicts
}

// An ObjectID is the identity of a Kubernetes object. The API version is not
// part of it: v1beta1 and v1 of an object are one object.
type ObjectID struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String returns Kind[.group]/[namespace/]name.
func (id ObjectID) String() string {
	var b strings.Builder
	b.WriteString(id.Kind)
	if id.Group != "" {
		b.WriteString("." + id.Group)
	}
	b.WriteByte('/')
	if id.Namespace != "" {
		b.WriteString(id.Namespace + "/")
	}
	b.WriteString(id.Name)
	return b.String()
}

// Compare orders object ids by group, kind, namespace, name.
func (id ObjectID) Compare(o ObjectID) int {
	return cmp.Or(cmp.Compare(id.Group, o.Group), cmp.Compare(id.Kind, o.Kind),
		cmp.Compare(id.Namespace, o.Namespace), cmp.Compare(id.Name, o.Name))
}

// An Object is one Kubernetes object as a spec wants it, without marks.
type Object struct {
	ID     ObjectID
	Spec   SpecID
	Pos    Pos            // of the spec
	Fields map[string]any // JSON shape: map, slice, string, bool, int64, float64, nil

	// Ready is what else must be so for the object to be ready.
	Ready []Ready

	// Ignore are fields that are declared when the object is created, and belong to
	// whoever writes them from then on: they are not sent, never drift, and never a
	// conflict.
	Ignore []objpath.Path

	// Force are fields that are taken from other managers; see AnnotationForce.
	Force []objpath.Path

	// Rest says that others fight over it: nothing is done about it now, and it need
	// not be asked about.
	Rest bool
}

// A Ready is a field that a ready object has, beside what kstatus asks for.
type Ready struct {
	Path    objpath.Path
	Equals  any    // string, bool, int64 or float64; nil: any value will do
	Message string // said as long as it is not so; may be empty
}

// A Rendering is what a Tree says. Specs with a Problem, and specs that depend
// on one, are in Specs but have no Objects and no Expects.
type Rendering struct {
	Specs    []Spec    // sorted by ID
	Objects  []Object  // sorted by ID
	Expects  []Object  // partial objects that live state should match and nobody writes, such as a node's GPUs
	Problems []Problem // sorted by position

	// Precautions are partial objects, laid over the Objects of the same id while
	// what the spec expects is not so.
	Precautions []Object
}

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
	Blocked   string         // why it cannot be applied: API not served, forbidden, refused by admission
	RetryAt   time.Time      // when the server is asked again about what stands in the way; zero: each time
	Ours      bool           // Live carries our mark

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

// A Risk is the class of a change (how much it can hurt). Higher is worse.
type Risk int

// The risks.
const (
	RiskSafe        Risk = iota
	RiskRestarts         // restarts pods
	RiskDisruptive       // evicts or blocks running work: MIG, driver, NoExecute taint, quota below use
	RiskDestructive      // deletes or replaces
)

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
	Stays      []Conflict    `json:"stays,omitempty"`     // see Observed.Stays
	Hits       *Hits         `json:"hits,omitempty"`      // nil: nothing runs that it could stop
	Reason     string        `json:"reason,omitempty"`    // why held, blocked, replaced, released
	RetryAt    time.Time     `json:"retryAt,omitzero"`    // see Observed.RetryAt
	Later      string        `json:"later,omitempty"`     // why it is not done now, though it could be: a fight
	FirstSeen  time.Time     `json:"firstSeen,omitzero"`  // of drift that was seen before
	Corrected  int           `json:"corrected,omitempty"` // how often it was put back and came again
	Unchecked  string        `json:"unchecked,omitempty"` // see Observed.Unchecked

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

// A CommitVerdict says whether one commit may be obeyed, and under which rule.
type CommitVerdict struct {
	Commit  string   `json:"commit"`
	Subject string   `json:"subject"` // first line of the message, cleaned for a terminal
	Signer  string   `json:"signer,omitempty"`
	Key     string   `json:"key,omitempty"` // fingerprint: SHA256:… for SSH, 40 hex digits for OpenPGP
	Rules   []string `json:"rules,omitempty"`
	Refusal *Refusal `json:"refusal,omitempty"` // nil: accepted

	Approvers []string `json:"approvers,omitempty"` // who stood behind it beside the signer
}

// A Refusal says why a commit or a history is not obeyed. Code is stable and
// machine readable, such as E-UNSIGNED.
type Refusal struct {
	Code   string `json:"code"`
	Commit string `json:"commit,omitempty"`
	Path   string `json:"path,omitempty"`
	Rule   string `json:"rule,omitempty"` // that is not met; "root" for those of the trust file
	Found  string `json:"found"`
	Needed string `json:"needed"`
	Remedy string `json:"remedy"`
}

// String returns "CODE: found; needed …; remedy".
func (r Refusal) String() string {
	return fmt.Sprintf("%s: %s; needed: %s; to fix it: %s", r.Code, r.Found, r.Needed, r.Remedy)
}

// An ImagePolicy says which container images may run. It is part of the policy
// of the repo, read from the revision that is obeyed.
type ImagePolicy struct {
	Rules  []ImageRule  // the first that matches decides; an image that none matches is refused
	Fields []ImageField // where custom resources name images, beside what looks like a pod
}

// An ImageRule says what an image of some repositories needs to run.
type ImageRule struct {
	Pos          Pos
	Match        string        // registry/path; * is a part of one path element, a last /** is any path
	AllOf        []ImageSigner // all of them must have signed the image
	Attestations []string      // in-toto predicate types that one of AllOf must have attested
	Digests      []string      // sha256:…; instead of AllOf: these and no others
}

// An ImageSigner is a public key, or else an identity that a Sigstore
// certificate names exactly.
type ImageSigner struct {
	Key     string // PEM
	NoTlog  bool   // with Key: the signature needs no entry in a transparency log
	Issuer  string // of the identity, such as https://accounts.example.com
	Subject string // such as an e-mail address or the URI of a workflow
}

// An Untrusted says of an object that stays as it was which of its images the
// policy refuses now.
type Untrusted struct {
	Reason string // image by image
	Absent bool   // one of them does not run: applying the object would bring it in
}

// An ImageField names the fields of a kind that hold images.
type ImageField struct {
	Kind  string   // Kind or Kind.group
	Paths []string // such as spec.workers[*].image
}

// A Verdict says whether the commits between the last accepted revision and a
// new one may be obeyed.
type Verdict struct {
	From    string          `json:"from"` // last accepted, or the introduction
	To      string          `json:"to"`
	Commits []CommitVerdict `json:"commits"`           // parents first
	Refusal *Refusal        `json:"refusal,omitempty"` // the first reason; nil: To is accepted

	Warnings []Warning `json:"warnings,omitempty"`

	// Override names the root principals who said that To may follow From, although
	// it does not build on it, or was refused before.
	Override []string `json:"override,omitempty"`
}

// A Requirement is one rule that a change of a path must satisfy.
type Requirement struct {
	Rule      string   `json:"rule"`
	Policy    string   `json:"policy"`             // where the rule stands, for people
	Ops       []string `json:"ops,omitempty"`      // add, modify, delete; empty: all
	Signers   []string `json:"signers"`            // who count: principals, groups expanded; empty: those of a trust file that was not read
	Threshold int      `json:"threshold"`          // how many of Signers must stand for the commit
	Distinct  bool     `json:"distinct,omitempty"` // who signs the commit does not count, only who approves it
	By        []string `json:"by,omitempty"`       // those of Signers who stand for Explanation.Commit
}

// Missing is how many more signers the requirement needs.
func (r Requirement) Missing() int { return max(0, r.Threshold-len(r.By)) }

// An Explanation says who may change a path, and what a commit lacks.
type Explanation struct {
	Path         string         `json:"path"`
	Requirements []Requirement  `json:"requirements"`      // all must be met; none: nobody may change the path
	Commit       *CommitVerdict `json:"commit,omitempty"`  // the commit that was asked about
	Changes      []string       `json:"changes,omitempty"` // what that commit does to the path: add, modify, delete
}

// A Proposal is what the tip of another branch would make of a revision.
type Proposal struct {
	Head      string   // full id of the tip
	Base      Revision // what it would be merged into
	Tree      Tree     // of the merge
	Conflicts []string // paths that both sides changed; the Tree is then of no use
	Verdict   Verdict  // on the commits as they are
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

// CodeApproval is the code of a warning: somebody approved, and it does not count.
const CodeApproval = "E-APPROVAL"

// A Warning is what a person should look at although Report.Revision is obeyed.
// Code is CodeApproval, or one of those of a Refusal.
type Warning struct {
	Code    string          `json:"code"`
	Commit  string          `json:"commit,omitempty"`
	Found   string          `json:"found"`
	Remedy  string          `json:"remedy"`
	Commits []CommitVerdict `json:"commits,omitempty"` // that it is about, newest first
}

// A Fault is a machine's fault, with the stage that it stopped.
type Fault struct {
	Stage Stage  `json:"stage"`
	Msg   string `json:"message"`
}
