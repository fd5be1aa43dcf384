package core

import (
	"fmt"
)

// A CommitVerdict says whether one commit may be obeyed, and under which rule.
type CommitVerdict struct {
	Commit  string   `json:"commit"`
	Subject string   `json:"subject"` // first line of the message, cleaned for a terminal
	Signer  string   `json:"signer,omitempty"`
	Key     string   `json:"key,omitempty"` // fingerprint: SHA256:… for SSH, 40 hex digits for OpenPGP
	Rules   []string `json:"rules,omitempty"`
	Refusal *Refusal `json:"refusal,omitempty"` // nil: accepted

	// Known says, of a commit of a proposal, that somebody signed it whom the accepted
	// policy or the trust file names, whatever they may change.
	Known bool `json:"-"`

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

	// Detail is what a server says about it. It may hold addresses of the house, so it
	// is for the operator alone.
	Detail string `json:"detail,omitempty"`
}

// String returns "CODE: found; needed …; remedy".
func (r Refusal) String() string {
	return fmt.Sprintf("%s: %s; needed: %s; to fix it: %s", r.Code, r.Found, r.Needed, r.Remedy)
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
	Trailer      string         `json:"trailer,omitempty"` // by which a commit, or the merge that brings it, names the branch; empty: it need not
	Commit       *CommitVerdict `json:"commit,omitempty"`  // the commit that was asked about
	Changes      []string       `json:"changes,omitempty"` // what that commit does to the path: add, modify, delete
}
