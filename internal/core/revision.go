package core

import (
	"io/fs"
	"slices"
	"time"
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

// A Proposal is what the tip of another branch would make of a revision.
type Proposal struct {
	Head      string   // full id of the tip
	Base      Revision // what it would be merged into
	Tree      Tree     // of the merge
	Conflicts []string // paths that both sides changed; the Tree is then of no use
	Verdict   Verdict  // on the commits as they are
}

// Signed reports whether somebody whom the accepted policy or the trust file names
// has signed every commit of the proposal. Only then may it be compared with the
// cluster: anybody who can push a branch can propose.
func (p Proposal) Signed() bool {
	if p.Verdict.Refusal != nil && len(p.Verdict.Commits) == 0 {
		return false // no commit was looked at
	}
	return !slices.ContainsFunc(p.Verdict.Commits, func(c CommitVerdict) bool { return !c.Known })
}

// InForce is what proposals are compared with: the outcome of a pass. Nothing changes
// it afterwards.
type InForce struct {
	Tree        Tree
	Declared    Rendering    // what the tree says
	Rendering   Rendering    // as it is applied: images by digest, broken specs as they were
	Precautions []Precaution // that are applied on top of it
	Drift       Plan         // what is still not as declared
}
