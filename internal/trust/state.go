package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// A Binding says whose history a State is about.
type Binding struct {
	Repo         string `json:"repo"` // any stable name, such as the URL
	Ref          string `json:"ref"`  // full name
	Introduction string `json:"introduction"`
}

// plain is for people.
func (b Binding) plain() string {
	return fmt.Sprintf("%s of %s since %.10s", b.Ref, b.Repo, b.Introduction)
}

// A State is the last accepted revision and what else must not be forgotten of a
// branch. Without it a server could offer an old revision, correctly signed, as
// the newest.
type State struct {
	Binding
	Serial        int       `json:"serial"`             // counts what was written
	Commit        string    `json:"commit"`             // full id
	Payload       string    `json:"payload"`            // SHA-256 of Commit without its signature
	Signer        string    `json:"signer,omitempty"`   // principal who signed Commit; empty for an unsigned introduction
	Previous      string    `json:"previous,omitempty"` // accepted before Commit; empty for the first
	Commits       int       `json:"commits"`            // verified so far, from the introduction to Commit: it only grows
	PolicyVersion int       `json:"policyVersion"`      // at Commit
	PolicySHA256  string    `json:"policySHA256"`       // of the file
	Time          time.Time `json:"time"`               // when it was accepted
	Instead       bool      `json:"instead,omitempty"`  // Commit does not build on Previous: root principals put it in its place
	Left          []string  `json:"left,omitempty"`     // revisions that root principals had the branch leave; they stay out

	Clock     time.Time `json:"clock,omitzero"`     // highest time seen, by the verifier's clock; see highest
	Heartbeat Heartbeat `json:"heartbeat,omitzero"` // newest that was seen

	Refused []Refused `json:"refused,omitempty"` // oldest first; see Step.Remember

	// Applied is what was applied last: it tells drift from change.
	Applied core.Applied `json:"applied,omitzero"`
}

// describe writes into a State what a commit is, and whose.
func (w *walk) describe(ctx context.Context, s *State, commit string) error {
	c, err := w.h.Commit(commit)
	if err != nil {
		return err
	}
	p, refusal, err := w.policy(ctx, commit)
	if refusal != nil {
		err = errors.New(refusal.String())
	}
	if err != nil {
		return err
	}
	s.Commit, s.Payload = commit, fmt.Sprintf("%x", sum(c.Payload))
	s.PolicyVersion, s.PolicySHA256 = p.Version, fmt.Sprintf("%x", p.digest)
	s.Signer, err = w.signer(ctx, c)
	return err
}

// signer is whose key an accepted commit names.
func (w *walk) signer(ctx context.Context, c *git.Commit) (string, error) {
	pr, refusal := parseProof(c)
	if refusal != nil || c.ID == w.anchor.Introduction {
		return "", nil // an introduction, which nobody need sign
	}
	k, err := w.bearer(ctx, c, pr)
	if k == nil || err != nil {
		return "", err
	}
	return k.owner, nil
}

// bearer is the key that the proof of an accepted commit names, in the trust file
// or in the policies of the parents; nil if it is in none.
func (w *walk) bearer(ctx context.Context, c *git.Commit, pr proof) (*key, error) {
	rings, err := w.rings(ctx, c)
	for _, ring := range rings {
		if k, _ := pr.find(ring); k != nil {
			return k, nil
		}
	}
	return nil, err
}

// rings are what a commit is judged by: the trust file and the policies of its
// parents, as far as they can be read.
func (w *walk) rings(ctx context.Context, c *git.Commit) ([]keyring, error) {
	rings := []keyring{w.anchor.ring}
	for _, parent := range c.Parents {
		p, refusal, err := w.policy(ctx, parent)
		if err != nil {
			return nil, err
		}
		if refusal == nil {
			rings = append(rings, p.ring)
		}
	}
	return rings, nil
}

// Recheck judges a State that another place than the folder remembers, all from
// the introduction on.
func (v *Verifier) Recheck(ctx context.Context, h History, s State) (*core.Refusal, error) {
	if _, err := h.Commit(s.Commit); errors.Is(err, git.ErrNotFound) {
		return rewritten(s.Commit, ""), nil
	}
	verdict, err := v.Verify(ctx, h, "", s.Commit)
	if err != nil || verdict.Refusal != nil {
		return verdict.Refusal, err
	}
	found := s
	if err := v.walk(h).describe(ctx, &found, s.Commit); err != nil {
		return nil, err
	}
	if !found.same(s) {
		return &core.Refusal{
			Code:   CodeState,
			Commit: s.Commit,
			Found:  fmt.Sprintf("what is remembered of %.10s (payload, signer or policy) is not what the commit is", s.Commit),
			Needed: "a record that nobody has edited",
			Remedy: "restore the record from a backup, or remove it: then everything is verified again from the introduction",
		}, nil
	}
	return nil, nil
}

// allows says why a State may not be followed by another, if so.
func (s State) allows(next State) error {
	switch {
	case next.Binding != s.Binding:
		return fmt.Errorf("it is of %s %s, not of %s %s", next.Repo, next.Ref, s.Repo, s.Ref)
	case !commitID.MatchString(next.Commit):
		return errors.New("it is no full commit id")
	case next.Previous != s.Commit:
		return ErrConflict
	case next.Clock.Before(s.Clock), next.Heartbeat.Time.Before(s.Heartbeat.Time):
		return ErrBackwards
	case len(next.Left) < len(s.Left), !remembers(next.Refused, s.Refused):
		return ErrBackwards
	case next.Instead && next.Commits >= s.Commits && next.PolicyVersion >= 1 && s.Commit != "":
		return nil
	case next.Commits <= s.Commits, next.PolicyVersion < s.PolicyVersion, next.PolicyVersion < 1:
		return ErrBackwards
	}
	return nil
}

// same reports whether two states say the same.
func (s State) same(o State) bool { return bytes.Equal(s.encode(), o.encode()) }

// encode is the one form of a State.
func (s State) encode() []byte {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // plain fields
	}
	return append(data, '\n')
}

// check says why a State that was read cannot be one of a binding, if so.
func (s State) check(of Binding) error {
	switch {
	case s.Binding != of:
		return fmt.Errorf("it is about %s, not %s", s.Binding.plain(), of.plain())
	case !commitID.MatchString(s.Commit) || s.Commits < 1 || s.PolicyVersion < 1:
		return errors.New("it names no accepted commit")
	}
	return nil
}

// decode reads exactly one value and nothing that it does not know.
func decode(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("it goes on after its end")
	}
	return nil
}
