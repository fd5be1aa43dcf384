package trust

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// TestConcurrent shares a Verifier; the race detector judges.
func TestConcurrent(t *testing.T) {
	w := newWorld(t)
	tip := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
	h, v := w.history(tip), w.verifier()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if verdict, err := v.Verify(t.Context(), h, "", tip); err != nil || verdict.Refusal != nil {
				t.Errorf("got %v, %v; want it accepted", verdict.Refusal, err)
			}
		})
	}
	wg.Wait()
}

func TestVerdict(t *testing.T) {
	w := newWorld(t)
	good := w.commit(commit{on: []string{w.intro}, by: "ana", message: "nodes: \x1b[31mred\u202e\n\nbody\n", files: w.files.with("nodes/a.yaml", "2\n", "README.md", "x\n")})
	root := w.chain(good, "rita", w.files.with("nodes/a.yaml", "2\n", "README.md", "x\n", PolicyPath, w.policyText(2, rest(w.policy))))
	bad := w.chain(root, "", w.files)
	v := w.verify("", bad)
	for i := range v.Commits {
		if r := v.Commits[i].Refusal; r != nil {
			v.Commits[i].Refusal = &core.Refusal{Code: r.Code, Commit: r.Commit}
		}
	}
	v.Refusal = &core.Refusal{Code: v.Refusal.Code, Commit: v.Refusal.Commit}
	refusal := &core.Refusal{Code: CodeUnsigned, Commit: bad}
	want := core.Verdict{From: w.intro, To: bad, Refusal: refusal, Commits: []core.CommitVerdict{
		{Commit: w.intro, Subject: "change", Rules: []string{"introduction"}},
		{Commit: good, Subject: "nodes: ?[31mred?", Signer: "ana", Key: fingerprint(w.people["ana"].public), Rules: []string{"machines", "pages"}},
		{Commit: root, Subject: "change", Signer: "rita", Key: fingerprint(w.people["rita"].public), Rules: []string{"root"}},
		{Commit: bad, Subject: "change", Refusal: refusal},
	}}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
}

// TestAdvance follows a branch as the daemon does, over a restart.
func TestAdvance(t *testing.T) {
	w := newWorld(t)
	one := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
	two := w.chain(one, "rita", w.files.with("nodes/a.yaml", "2\n", PolicyPath, w.policyText(2, rest(w.policy))))
	fork := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "3\n"), w.files, w.files, w.files)
	h := w.history(one, two, fork)
	path := filepath.Join(t.TempDir(), "accepted.json")
	of := Binding{Repo: w.dir, Ref: "refs/heads/main", Introduction: w.intro}
	for _, tip := range []string{one, two} {
		store, err := OpenStore(path, of, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := advance(t, w.verifier(), store, h, tip); err != nil {
			t.Fatal(err)
		}
	}
	store, err := OpenStore(path, of, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := State{Binding: of, Serial: 2, Commit: two, Payload: w.payload(two), Signer: "rita", Previous: one, Commits: 3, PolicyVersion: 2,
		PolicySHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(w.policyText(2, rest(w.policy))))), Time: noon}
	if got, _ := store.Accepted(); !cmp.Equal(got, want) {
		t.Errorf("accepted (-want +got):\n%s", cmp.Diff(want, got))
	}
	other := of
	other.Ref = "refs/heads/other"
	about := fmt.Sprintf("it is about refs/heads/main of %s since %.10s, not refs/heads/other of ", w.dir, w.intro)
	if _, err := OpenStore(path, other, nil); err == nil || !strings.Contains(err.Error(), about) {
		t.Errorf("the record of another branch: got %v, want %s", err, about)
	}
	v := w.verifier()
	if err := advance(t, v, store, h, fork); err == nil || !strings.Contains(err.Error(), CodeRewritten) {
		t.Errorf("a rewritten branch: got %v, want %s", err, CodeRewritten)
	}
	step, err := v.Follow(t.Context(), h, State{}, fork)
	if err != nil || step.Verdict().Refusal != nil {
		t.Fatal(err, step.Verdict().Refusal)
	}
	state, _ := store.Accepted()
	if _, err := v.Next(t.Context(), h, state, step); !errors.Is(err, ErrConflict) {
		t.Errorf("a verdict that starts elsewhere: got %v, want ErrConflict", err)
	}
	state = State{Binding: Binding{Repo: w.dir, Ref: "refs/heads/main", Introduction: one}}
	if _, err := v.Next(t.Context(), h, state, step); err == nil {
		t.Error("a state about another introduction is taken")
	}
	if _, err := v.Next(t.Context(), h, State{Binding: of}, Step{}); err == nil {
		t.Error("a step that nobody judged is taken")
	}
}

func advance(t *testing.T, v *Verifier, store *Store, h History, tip string) error {
	t.Helper()
	state, _ := store.Accepted()
	step, err := v.Follow(t.Context(), h, state, tip)
	if err != nil {
		t.Fatal(err)
	}
	next, err := v.Next(t.Context(), h, state, step)
	if err != nil {
		return err
	}
	return store.Accept(t.Context(), next)
}

// TestVerifyProposal judges branches that the accepted revision is not part of.
func TestVerifyProposal(t *testing.T) {
	for _, tt := range []struct {
		name, code string
		build      func(w *world) (accepted, head string)
	}{
		{"behind", "", func(w *world) (string, string) {
			return w.chain(w.intro, "cai", w.files.with("datasets/d.yaml", "2\n")), w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
		}},
		{"ahead", "", func(w *world) (string, string) {
			base := w.chain(w.intro, "cai", w.files.with("datasets/d.yaml", "2\n"))
			return base, w.chain(base, "ana", w.files.with("datasets/d.yaml", "2\n", "nodes/a.yaml", "2\n"))
		}},
		{"behind, unsigned", CodeUnsigned, func(w *world) (string, string) {
			return w.chain(w.intro, "cai", w.files.with("datasets/d.yaml", "2\n")), w.chain(w.intro, "", w.files.with("nodes/a.yaml", "2\n"))
		}},
		{"behind, by someone removed since", CodeKeyUnknown, func(w *world) (string, string) {
			v2 := w.policyText(2, strings.Replace(rest(w.policy), "ana, ", "", 1), "ana")
			return w.chain(w.intro, "rita", w.files.with(PolicyPath, v2)), w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
		}},
		{"unrelated", CodeIntroduction, func(w *world) (string, string) {
			return w.chain(w.intro, "cai", w.files), w.commit(commit{by: "ana", files: w.files})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			accepted, head := tt.build(w)
			v, err := w.verifier().VerifyProposal(t.Context(), w.history(accepted, head), State{Commit: accepted}, head)
			if err != nil {
				t.Fatal(err)
			}
			checkVerdict(t, v, tt.code, "")
			if n := len(v.Commits); tt.code != CodeIntroduction && n != 1 {
				t.Errorf("got %d commits judged, want the one that is new", n)
			}
		})
	}
}

// TestProposalIsKnown: only what people of the accepted policy signed, commit by commit,
// may be compared with the cluster. A policy that a proposal brings names nobody.
func TestProposalIsKnown(t *testing.T) {
	one := func(who, path string) func(w *world) []string {
		return func(w *world) []string { return []string{w.chain(w.intro, who, w.files.with(path, "2\n"))} }
	}
	for _, tt := range []struct {
		name  string
		build func(w *world) []string // commits; the last is the head
		want  bool
	}{
		{"by somebody who may", one("ana", "nodes/a.yaml"), true},
		{"by somebody who may not", one("cai", "nodes/a.yaml"), true},
		{"by a root principal", one("rita", "nodes/a.yaml"), true},
		{"unsigned", one("", "nodes/a.yaml"), false},
		{"by a stranger", one("mallory", "nodes/a.yaml"), false},
		{"by a key that has ended", one("late", "nodes/a.yaml"), false},
		{"unsigned below a signature", func(w *world) []string {
			first := w.chain(w.intro, "", w.files.with("nodes/a.yaml", "2\n"))
			return []string{first, w.chain(first, "ana", w.files.with("nodes/a.yaml", "3\n"))}
		}, false},
		{"a policy of one's own, signed by nobody who may", func(w *world) []string {
			w.people["cai"], w.people["mallory"] = w.people["mallory"], w.people["cai"]
			policy := w.policyText(2, rest(w.policy))
			w.people["cai"], w.people["mallory"] = w.people["mallory"], w.people["cai"]
			first := w.chain(w.intro, "ana", w.files.with(PolicyPath, policy))
			return []string{first, w.chain(first, "mallory", w.files.with(PolicyPath, policy, "datasets/d.yaml", "2\n"))}
		}, false},
		{"a policy of root's, and whom it lets in", func(w *world) []string {
			w.people["cai"], w.people["mallory"] = w.people["mallory"], w.people["cai"]
			policy := w.policyText(2, rest(w.policy))
			w.people["cai"], w.people["mallory"] = w.people["mallory"], w.people["cai"]
			first := w.chain(w.intro, "rita", w.files.with(PolicyPath, policy))
			return []string{first, w.chain(first, "mallory", w.files.with(PolicyPath, policy, "datasets/d.yaml", "2\n"))}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			commits := tt.build(w)
			head := commits[len(commits)-1]
			v, err := w.verifier().VerifyProposal(t.Context(), w.history(w.intro, head), State{Commit: w.intro}, head)
			if err != nil {
				t.Fatal(err)
			}
			if got := (core.Proposal{Verdict: v}).Signed(); got != tt.want {
				t.Errorf("known %v, want %v: %+v", got, tt.want, v)
			}
		})
	}
}
