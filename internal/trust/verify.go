package trust

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// clockSkew is how far ahead of our clock a date may be.
const clockSkew = 5 * time.Minute

// History is what trust needs of a repository; *git.Repo has it.
type History interface {
	// Range returns the commits that to has and from has not, parents first;
	// git.ErrNotDescendant if to does not build on from.
	Range(ctx context.Context, from, to string) ([]*git.Commit, error)
	Commit(id string) (*git.Commit, error)
	Changes(ctx context.Context, parent, commit string) ([]git.Change, error)
	ReadFile(ctx context.Context, commit, path string) ([]byte, error)

	// Tag returns an annotated tag by its full ref name; git.ErrNotFound if there
	// is none, or if none was asked for.
	Tag(ref string) (*git.Tag, error)
}

// A Verifier judges commits by an anchor. It is safe for concurrent use.
type Verifier struct {
	anchor *Anchor
	now    func() time.Time // counts as when a commit is first seen; what a commit says of its own date does not

	mu       sync.Mutex
	policies map[[32]byte]*Policy // by SHA-256 of the file
	known    map[string]bool      // commits that descend from the introduction
}

// NewVerifier returns a Verifier that starts at the anchor.
func NewVerifier(anchor *Anchor) *Verifier {
	v := &Verifier{anchor: anchor, now: time.Now}
	v.forget()
	return v
}

// cached bounds what a Verifier remembers between verifications.
const cached = 4096

func (v *Verifier) forget() {
	v.policies, v.known = map[[32]byte]*Policy{}, map[string]bool{}
}

// Verify judges every commit that to has and from has not, parents first. An
// empty from means the introduction, which is then listed first. The verdict's
// Refusal is the first reason not to obey to. An error is a machine's fault, and
// nothing may be concluded from it. It remembers nothing of what was refused
// before: what is to be accepted is judged by Follow.
func (v *Verifier) Verify(ctx context.Context, h History, from, to string) (core.Verdict, error) {
	return v.verify(ctx, from, to, v.walk(h))
}

// VerifyProposal judges the commits that a branch would bring to the accepted
// revision. The branch need not contain that revision, only the introduction. A
// verdict without refusal says that its commits could be obeyed once they are in
// the branch that is followed; they need not name it yet, since a merge can.
// Nothing accepts the verdict, and what it refuses is not remembered: anyone may
// propose anything.
func (v *Verifier) VerifyProposal(ctx context.Context, h History, accepted State, head string) (core.Verdict, error) {
	w := v.walk(h)
	w.aside, w.proposal, w.memory = true, true, accepted.Refused
	return v.verify(ctx, accepted.Commit, head, w)
}

func (v *Verifier) walk(h History) *walk {
	return &walk{Verifier: v, h: h, now: v.now(), policies: map[string]*Policy{}}
}

func (v *Verifier) verify(ctx context.Context, from, to string, w *walk) (core.Verdict, error) {
	verdict := core.Verdict{From: cmp.Or(from, v.anchor.Introduction), To: to}
	refusal, err := w.run(ctx, from == "", &verdict)
	if err != nil {
		return core.Verdict{}, fmt.Errorf("verify %.10s: %w", to, err)
	}
	verdict.Refusal = refusal
	return verdict, nil
}

// A walk is one verification.
type walk struct {
	*Verifier
	h        History
	now      time.Time
	aside    bool               // the range need not build on what it starts from
	proposal bool               // nobody is to obey it yet
	trunk    trunk              // of the range
	accepted *Policy            // of the revision that was accepted last
	policies map[string]*Policy // by commit; nil: that commit has none that is readable
	memory   []Refused          // what was refused before
	refused  []Refused          // what this walk refused and is to be remembered
}

// run fills in the verdict's commits and returns the first reason to refuse.
func (w *walk) run(ctx context.Context, fromStart bool, verdict *core.Verdict) (*core.Refusal, error) {
	if r, err := w.start(ctx, fromStart, verdict); r != nil || err != nil {
		return r, err
	}
	commits, err := w.h.Range(ctx, verdict.From, verdict.To)
	if w.aside && errors.Is(err, git.ErrNotDescendant) {
		commits, err = w.beside(ctx, verdict.From, verdict.To)
	}
	if err != nil {
		return w.refuseRange(err, verdict)
	}
	if len(commits) > w.anchor.Commits {
		return overLimit(verdict.To, fmt.Sprintf("%d commits to verify at once", len(commits)), w.anchor.Commits), nil
	}
	if !w.proposal {
		w.trunk = findTrunk(verdict.From, verdict.To, commits)
	}
	in := map[string]bool{}
	for _, c := range commits {
		in[c.ID] = true
	}
	var first *core.Refusal
	for _, c := range commits {
		line, err := w.judge(ctx, c, in)
		if err != nil {
			return nil, err
		}
		verdict.Commits = append(verdict.Commits, line)
		first = cmp.Or(first, line.Refusal)
	}
	if first == nil {
		w.remember(verdict.To)
	}
	return first, nil
}

// beside returns the commits that head has and accepted has not, where neither
// need contain the other.
func (w *walk) beside(ctx context.Context, accepted, head string) ([]*git.Commit, error) {
	all, err := w.h.Range(ctx, w.anchor.Introduction, head)
	if err != nil {
		return nil, err
	}
	old, err := w.h.Range(ctx, w.anchor.Introduction, accepted)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, c := range old {
		there[c.ID] = true
	}
	return slices.DeleteFunc(all, func(c *git.Commit) bool { return there[c.ID] }), nil
}

// start checks the revision that the range begins at, and its policy.
func (w *walk) start(ctx context.Context, fromStart bool, verdict *core.Verdict) (*core.Refusal, error) {
	from, err := w.h.Commit(verdict.From)
	switch bad, ok := errors.AsType[*git.BadObject](err); {
	case ok:
		return objectRefusal(bad, verdict.From), nil
	case errors.Is(err, git.ErrNotFound) && fromStart:
		return wrongIntroduction("the repo does not hold the introduction "+verdict.From, verdict.To), nil
	case errors.Is(err, git.ErrNotFound):
		return rewritten(verdict.From, verdict.To), nil
	case err != nil:
		return nil, err
	}
	if ok, err := w.descends(ctx, verdict.From); err != nil {
		return nil, err
	} else if !ok {
		return wrongIntroduction("the revision to start from does not build on the introduction", verdict.From), nil
	}
	var refusal *core.Refusal
	if w.accepted, refusal, err = w.policy(ctx, verdict.From); err != nil {
		return nil, err
	}
	if fromStart {
		verdict.Commits = []core.CommitVerdict{{
			Commit: from.ID, Subject: subject(from), Rules: []string{ruleIntroduction}, Refusal: refusal,
		}}
	}
	return refusal, nil
}

// refuseRange tells a history that may not be obeyed from a machine's fault.
func (w *walk) refuseRange(err error, verdict *core.Verdict) (*core.Refusal, error) {
	bad, isBad := errors.AsType[*git.BadObject](err)
	switch {
	case isBad:
		return objectRefusal(bad, cmp.Or(bad.ID, verdict.To)), nil
	case errors.Is(err, git.ErrNotDescendant) && (w.aside || verdict.From == w.anchor.Introduction):
		return wrongIntroduction("the branch does not build on the introduction", verdict.To), nil
	case errors.Is(err, git.ErrNotDescendant):
		return rewritten(verdict.From, verdict.To), nil
	case errors.Is(err, git.ErrLimit):
		return overLimit(verdict.To, err.Error(), w.anchor.Commits), nil
	}
	return nil, err
}

// descends reports whether a commit is the introduction or builds on it.
func (w *walk) descends(ctx context.Context, id string) (bool, error) {
	if id == w.anchor.Introduction || w.remembers(id) {
		return true, nil
	}
	_, err := w.h.Range(ctx, w.anchor.Introduction, id)
	switch {
	case errors.Is(err, git.ErrNotDescendant), errors.Is(err, git.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	w.remember(id)
	return true, nil
}

func (v *Verifier) remembers(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[id]
}

func (v *Verifier) remember(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= cached {
		v.forget()
	}
	v.known[id] = true
}

// policy returns the policy in the tree of a commit, or why there is none.
func (w *walk) policy(ctx context.Context, commit string) (*Policy, *core.Refusal, error) {
	if p := w.policies[commit]; p != nil {
		return p, nil, nil
	}
	data, err := w.h.ReadFile(ctx, commit, PolicyPath)
	bad, isBad := errors.AsType[*git.BadObject](err)
	switch {
	case isBad:
		return nil, objectRefusal(bad, commit), nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, badPolicy(commit, "the commit has no "+PolicyPath), nil
	case err != nil:
		return nil, nil, err
	}
	p, problems := w.parse(data)
	if len(problems) > 0 {
		return nil, badPolicy(commit, fmt.Sprintf("%s (%d problems in all)", problems[0], len(problems))), nil
	}
	w.policies[commit] = p
	return p, nil, nil
}

// parse reads a policy once for all commits that have the same one.
func (v *Verifier) parse(data []byte) (*Policy, []core.Problem) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, problems := v.policies[sum(data)], []core.Problem(nil)
	if p == nil {
		if p, problems = ParsePolicy(PolicyPath, data); len(problems) > 0 {
			return nil, problems
		}
		if len(v.policies) >= cached {
			v.forget()
		}
		v.policies[p.digest] = p
	}
	return p, nil
}

// subject is the first line of a message, safe to print on a terminal.
func subject(c *git.Commit) string {
	s := strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f {
			return '?' // control and direction characters
		}
		return r
	}, c.Subject())
	if r := []rune(s); len(r) > 100 {
		s = string(r[:99]) + "…"
	}
	return s
}
