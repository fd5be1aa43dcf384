package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// follow judges a tip after a State, and returns the State that remembers it.
func (w *world) follow(prev State, tip string) (Step, State) {
	w.t.Helper()
	step, err := w.verifier().Follow(w.t.Context(), w.history(prev.Commit, tip), prev, tip)
	if err != nil {
		w.t.Fatal(err)
	}
	return step, step.Remember(prev)
}

// revoking writes what the trust file revokes.
func (w *world) revoking(names ...string) {
	w.revoke = ""
	for _, name := range names {
		w.revoke += fmt.Sprintf("{ssh: ['%s']}", fingerprint(w.people[name].public))
	}
}

// TestRemember is the list of refusals that last, and of those that do not.
func TestRemember(t *testing.T) {
	forged := func(w *world, c commit) string {
		other := w.people[c.by].sign([]byte("another commit"))
		c.sign = func([]byte) string { return other }
		return w.commit(c)
	}
	for _, tt := range []struct {
		name  string
		build func(w *world) string
		code  string
		lasts bool
	}{
		{"a path of others", func(w *world) string { return w.chain(w.intro, "cai", w.files.with("nodes/a.yaml", "2\n")) }, CodePath, true},
		{"a merge", func(w *world) string {
			w.introduce(strings.Replace(w.policy, "\ngroups:", "\nmerge: {signers: [cai]}\ngroups:", 1))
			side := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return w.commit(commit{on: []string{w.intro, side}, by: "ana", files: w.files.with("nodes/a.yaml", "2\n")})
		}, CodeMerge, true},
		{"the policy by someone else", func(w *world) string {
			return w.chain(w.intro, "ana", w.files.with(PolicyPath, w.policyText(2, rest(w.policy))))
		}, CodePolicyRoot, true},
		{"a policy that skips a version", func(w *world) string {
			return w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(3, rest(w.policy))))
		}, CodePolicyVersion, true},
		{"an expired key", func(w *world) string { return w.chain(w.intro, "late", w.files) }, CodeKeyExpired, true},
		{"a key that is not valid yet", func(w *world) string { return w.chain(w.intro, "early", w.files) }, CodeKeyExpired, true},
		{"a revoked key", func(w *world) string {
			w.revoking("ana")
			return w.chain(w.intro, "ana", w.files)
		}, CodeKeyRevoked, true},
		{"a key that only the trust file knows", func(w *world) string { return w.chain(w.intro, "rita", w.files) }, CodeKeyUnknown, true},
		{"a key for other things", func(w *world) string {
			w.introduce(strings.Replace(w.policy, w.people["ana"].entry(), w.people["ana"].entry()+", namespaces: [file]", 1))
			return w.chain(w.intro, "ana", w.files)
		}, CodeNamespace, true},

		{"a stranger", func(w *world) string { return w.chain(w.intro, "mallory", w.files) }, CodeKeyUnknown, false},
		{"nobody", func(w *world) string { return w.chain(w.intro, "", w.files) }, CodeUnsigned, false},
		{"the signature of another commit", func(w *world) string {
			return forged(w, commit{on: []string{w.intro}, by: "ana", files: w.files})
		}, CodeSignature, false},
		{"the signature of another commit, by a revoked key", func(w *world) string {
			w.revoking("ana")
			return forged(w, commit{on: []string{w.intro}, by: "ana", files: w.files})
		}, CodeKeyRevoked, false},
		{"a payload that the trust file revokes", func(w *world) string {
			tip := w.chain(w.intro, "ana", w.files)
			w.revoke = "{payloads: [" + w.payload(tip) + "]}"
			return tip
		}, CodeKeyRevoked, false},
		{"a date", func(w *world) string {
			return w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, when: noon.Add(time.Hour)})
		}, CodeDate, false},
		{"a policy that this program cannot read", func(w *world) string {
			return w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(2, "\nnewer: {}"+rest(w.policy))))
		}, CodePolicy, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tip := tt.build(w)
			step, after := w.follow(State{Commit: w.intro}, tip)
			if r := step.Verdict().Refusal; r == nil || r.Code != tt.code {
				t.Fatalf("got %v, want %s", r, tt.code)
			}
			var want []Refused
			if tt.lasts {
				want = []Refused{{Object: tip, Code: tt.code, Time: noon}}
			}
			if diff := cmp.Diff(want, after.Refused, cmpopts.IgnoreFields(Refused{}, "SHA256")); diff != "" {
				t.Errorf("remembered (-want +got):\n%s", diff)
			}
			if _, again := w.follow(after, tip); cmp.Diff(after, again) != "" {
				t.Errorf("refused again, it is remembered otherwise:\n%s", cmp.Diff(after, again))
			}
		})
	}
}

// introduce begins the world anew, with another policy.
func (w *world) introduce(policy string) {
	w.policy, w.files = policy, w.files.with(PolicyPath, policy)
	w.intro = w.commit(commit{files: w.files})
}

// TestStaysRefused offers again what was refused for a key that was revoked, once
// it is no more.
func TestStaysRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		again func(w *world, refused string, state *State) string
		code  string
	}{
		{"as it was", func(_ *world, refused string, _ *State) string { return refused }, CodeRefused},
		{"below another commit", func(w *world, refused string, _ *State) string {
			return w.chain(refused, "ana", w.files.with("one/x", "2"))
		}, CodeRefused},
		{"merged by another", func(w *world, refused string, _ *State) string {
			main := w.chain(w.intro, "ana", w.files.with("one/x", "0"))
			return w.commit(commit{on: []string{main, refused}, by: "ana", files: w.files.with("one/x", "1")})
		}, CodeRefused},
		{"under another id", func(w *world, refused string, _ *State) string {
			same := w.commit(commit{on: []string{w.intro}, by: "ana sha256", files: w.files.with("one/x", "1")})
			if same == refused || w.payload(same) != w.payload(refused) {
				w.t.Fatal("no other spelling of the same commit")
			}
			return same
		}, CodeRefused},
		{"too few behind it", func(w *world, _ string, state *State) string {
			w.revoking("ana")
			two := w.chain(w.intro, "ana", w.files.with("two/x", "1"))
			_, *state = w.follow(*state, two)
			w.revoke = ""
			return two
		}, CodeRefused},
		{"the same by another key", func(w *world, _ string, _ *State) string { return w.chain(w.intro, "ana2", w.files.with("one/x", "1")) }, ""},
		{"made again", func(w *world, _ string, _ *State) string {
			return w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files.with("one/x", "1"), when: noon.Add(-time.Minute)})
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := council(t)
			_, private, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			w.people["ana"] = sshSigner(t, private)
			key, err := ssh.NewSignerFromSigner(private)
			if err != nil {
				t.Fatal(err)
			}
			w.people["ana sha256"] = signer{sign: func(payload []byte) string { return armored(t, key, payload, sshsig.HashSHA256, "git") }}
			w.introduce(w.policyText(1, "\ngroups: {sre: [ana, cai]}\nrules:\n  - {name: one, paths: [one/**], signers: [ana]}\n"+
				"  - {name: two, paths: [two/**], signers: [sre], threshold: 2}\n"))
			w.introduce(strings.Replace(w.policy, "ana: {kind: human, keys: [", "ana: {kind: human, keys: [{"+w.people["ana2"].entry()+"}, ", 1))
			w.revoking("ana")
			refused := w.chain(w.intro, "ana", w.files.with("one/x", "1"))
			_, state := w.follow(State{Commit: w.intro}, refused)
			w.revoke = ""
			tip := tt.again(w, refused, &state)
			step, _ := w.follow(state, tip)
			checkVerdict(t, step.Verdict(), tt.code, "")
			proposal, err := w.verifier().VerifyProposal(t.Context(), w.history(w.intro, tip), state, tip)
			if err != nil {
				t.Fatal(err)
			}
			checkVerdict(t, proposal, tt.code, "")
		})
	}
}

// TestStaysRefusedUnderLooserPolicy: a person loses a right, a commit of theirs
// from before is merged and refused, they get the right back.
func TestStaysRefusedUnderLooserPolicy(t *testing.T) {
	both := newSigner(t) // root, too: a merge brings the policy to the older side
	w := newWorld(t, map[string]signer{"cai": both, "rita": both})
	rules := rest(w.policy)
	with := func(version int, people string) files {
		return w.files.with(PolicyPath, w.policyText(version, strings.Replace(rules, "[ana, late, early]", people, 1)))
	}
	w.introduce(with(1, "[ana, cai]")[PolicyPath])
	old := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
	without := w.chain(w.intro, "rita", with(2, "[cai]"))
	merge := w.commit(commit{on: []string{without, old}, by: "cai", files: with(2, "[cai]").with("nodes/a.yaml", "2\n")})
	step, state := w.follow(State{Commit: without}, merge)
	checkVerdict(t, step.Verdict(), CodePath, "nodes/a.yaml")
	state.Commit = w.chain(without, "rita", with(3, "[ana, cai]"))
	merge = w.commit(commit{on: []string{state.Commit, old}, by: "cai", files: with(3, "[ana, cai]").with("nodes/a.yaml", "2\n")})
	step, _ = w.follow(state, merge)
	checkVerdict(t, step.Verdict(), CodeRefused, "")
	state.Refused = nil
	step, _ = w.follow(state, merge)
	checkVerdict(t, step.Verdict(), "", "")
}

// TestApprovalStaysRefused: what holds for commits holds for approvals.
func TestApprovalStaysRefused(t *testing.T) {
	w := council(t)
	tip := w.chain(w.intro, "ana", w.files.with("two/x", "1"))
	w.approve(approval{of: tip, by: "cai"})
	w.revoking("cai")
	step, state := w.follow(State{Commit: w.intro}, tip)
	checkVerdict(t, step.Verdict(), CodeThreshold, "two/x")
	want := []Refused{{Object: slices.Collect(maps.Values(w.tags))[0], Code: CodeKeyRevoked, Time: noon}}
	if diff := cmp.Diff(want, state.Refused, cmpopts.IgnoreFields(Refused{}, "SHA256")); diff != "" {
		t.Errorf("remembered (-want +got):\n%s", diff)
	}
	w.revoke = ""
	step, _ = w.follow(state, tip)
	checkVerdict(t, step.Verdict(), CodeThreshold, "two/x")
	if found := step.Verdict().Refusal.Found; !strings.Contains(found, CodeRefused) {
		t.Errorf("the approval counts for nothing for another reason: %s", found)
	}
	step, _ = w.follow(State{Commit: w.intro}, tip)
	checkVerdict(t, step.Verdict(), "", "")
}

// TestOverrideOfRefused: root principals take up what was refused once, on top of
// what is accepted, and nothing that the policy forbids.
func TestOverrideOfRefused(t *testing.T) {
	for _, tt := range []struct {
		name, by string
		code     string
	}{
		{"the key is good again", "", ""},
		{"the key is still revoked", "ana", CodeKeyRevoked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := council(t)
			accepted := State{Binding: Binding{Introduction: w.intro}, Commit: w.intro, Commits: 1, PolicyVersion: 1}
			w.revoking("ana")
			tip := w.chain(w.intro, "ana", w.files.with("one/x", "1"))
			_, accepted = w.follow(accepted, tip)
			w.revoke = ""
			w.override(w.intro, tip, "rita", "rita", "")
			h := w.history(tip)
			verdict := w.overridden(h, accepted, tip)
			checkVerdict(t, verdict, CodeRefused, "")
			if !strings.Contains(verdict.Refusal.Remedy, "git tag -s -F - override/"+w.intro+"/"+tip+"/YOU "+tip) {
				t.Errorf("one root: the remedy has no command for the second: %s", verdict.Refusal.Remedy)
			}
			w.override(w.intro, tip, "root2", "ruth", "")
			h, v := w.history(tip), w.verifier()
			step, err := v.Follow(t.Context(), h, accepted, tip)
			if err != nil {
				t.Fatal(err)
			}
			if tt.by != "" {
				w.revoking(tt.by)
				v = w.verifier()
			}
			if step, err = v.Override(t.Context(), h, accepted, step); err != nil {
				t.Fatal(err)
			}
			checkVerdict(t, step.Verdict(), tt.code, "")
			if tt.code != "" {
				return
			}
			next, err := v.Next(t.Context(), h, accepted, step)
			if err != nil || next.Instead || len(next.Left) > 0 || accepted.allows(next) != nil {
				t.Errorf("next is %+v, %v (%v); want a step forward that leaves nothing", next, err, accepted.allows(next))
			}
		})
	}
}

// TestMade: each kind of signature is told from a forged one, also when its key
// has ended.
func TestMade(t *testing.T) {
	g, ca, keyless := newGPG(t), newAuthority(t), newGitsign(t)
	key := newAuthority(t).Signer
	ended := ca.issue(t, key.PublicKey(), func(c *ssh.Certificate) { c.ValidBefore = uint64(noon.Add(-time.Minute).Unix()) })
	forged := ca.issue(t, key.PublicKey(), func(*ssh.Certificate) {})
	forged.ValidPrincipals = append(forged.ValidPrincipals, "root@lab.example")
	cert := g.key("ed25519", "cert", "never")
	g.run(grown, "", "--quick-add-key", cert, "ed25519", "sign", "30d")
	for _, tt := range []struct {
		name string
		by   signer
		want bool
	}{
		{"SSH", newSigner(t), true},
		{"SSH certificate that has ended", signer{policy: ca.entry("ana@lab.example"), sign: certified(t, key, ended)}, true},
		{"SSH certificate that was changed", signer{policy: ca.entry("ana@lab.example"), sign: certified(t, key, forged)}, false},
		{"OpenPGP key that has ended", g.signer(g.key("ed25519", "sign", "30d"), born.AddDate(0, 0, 1)), true},
		{"OpenPGP subkey that has ended", g.signer(cert, born.AddDate(0, 0, 1)), true},
		{"keyless", signer{policy: fmt.Sprintf("keyless: {issuer: %q, subject: %q}", anaIssuer, anaSubject), sign: keyless.sign}, true},
	} {
		w := newWorld(t, map[string]signer{"ana": tt.by})
		w.extra = keyless.root(false)
		policy, problems := ParsePolicy(PolicyPath, []byte(w.policy))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		pr, refusal := parseProof(&git.Commit{Signature: tt.by.sign([]byte("payload"))})
		if refusal != nil {
			t.Fatal(refusal)
		}
		k, _ := pr.find(policy.ring)
		now := noon
		if tt.name == "keyless" {
			now = time.Now()
		}
		if got := pr.made(w.anchor(), k, []byte("payload"), now); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		if pr.made(w.anchor(), k, []byte("another"), now) {
			t.Errorf("%s: it holds for anything", tt.name)
		}
	}
}

// TestMemoryIsBounded: the oldest makes room, what is refused together stays, and
// writing it down again changes nothing.
func TestMemoryIsBounded(t *testing.T) {
	refused := func(from, to int) []Refused {
		var all []Refused
		for i := from; i < to; i++ {
			all = append(all, Refused{SHA256: fmt.Sprint(i)})
		}
		return all
	}
	st := Step{refused: refused(0, 10)}.Remember(State{})
	if diff := cmp.Diff(refused(0, 10), st.Refused); diff != "" {
		t.Errorf("the first (-want +got):\n%s", diff)
	}
	if st.Forgets() != nil {
		t.Error("it warns without need")
	}
	next := Step{refused: refused(5, maxRefused+5)}.Remember(st)
	if diff := cmp.Diff(refused(5, maxRefused+5), next.Refused); diff != "" {
		t.Errorf("at the bound (-want +got):\n%s", diff)
	}
	if next.Forgets() == nil {
		t.Error("it does not warn at the bound")
	}
	if again := (Step{refused: refused(5, maxRefused+5)}).Remember(next); cmp.Diff(next, again) != "" {
		t.Error("the same again is another State")
	}
	if n := len(next.encode()); n > 150<<10 {
		t.Errorf("a full memory takes %d bytes of a ConfigMap", n)
	}
	for _, tt := range []struct {
		name           string
		later, earlier []Refused
		want           bool
	}{
		{"nothing", nil, nil, true},
		{"the first", refused(0, 1), nil, true},
		{"one more", refused(0, 3), refused(0, 2), true},
		{"one less", refused(0, 1), refused(0, 2), false},
		{"none any more", nil, refused(0, 2), false},
		{"others", refused(3, 6), refused(0, 2), false},
		{"the oldest made room", refused(1, maxRefused+1), refused(0, maxRefused), true},
		{"all made room", refused(1000, maxRefused+1000), refused(0, 2), true},
		{"the oldest went without need", refused(1, 9), refused(0, 8), false},
	} {
		if got := remembers(tt.later, tt.earlier); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

// TestManyRefused: a branch of more refused commits than are remembered costs no
// write in the next pass.
func TestManyRefused(t *testing.T) {
	w := newWorld(t)
	policy, problems := ParsePolicy(PolicyPath, []byte(w.policy))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	pass := func(before State) State {
		walk := w.verifier().walk(nil)
		for i := range maxRefused + 3 {
			payload := fmt.Append(nil, i)
			pr, _ := parseProof(&git.Commit{Signature: w.people["ana"].sign(payload)})
			walk.abide(w.intro, payload, pr, []keyring{policy.ring}, &core.Refusal{Code: CodeMerge})
		}
		return Step{refused: walk.refused}.Remember(before)
	}
	once := pass(State{Commit: w.intro, Refused: []Refused{{SHA256: strings.Repeat("0", 64), Object: w.intro}}})
	if len(once.Refused) != maxRefused || once.Refused[0].Code != CodeMerge {
		t.Errorf("%d are remembered, the oldest %+v; want %d new ones", len(once.Refused), once.Refused[0], maxRefused)
	}
	if !once.same(pass(once)) {
		t.Error("the second pass writes again")
	}
}

// TestRefusedIsStored: nobody takes what is remembered away.
func TestRefusedIsStored(t *testing.T) {
	store, err := OpenStore(filepath.Join(t.TempDir(), "accepted.json"), binding, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Accept(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	one := Step{refused: []Refused{{SHA256: strings.Repeat("1", 64), Object: first.Commit, Code: CodePath, Time: noon}}}
	if err := store.Note(t.Context(), one.Remember); err != nil {
		t.Fatal(err)
	}
	forget := func(s State) State {
		s.Refused = nil
		return s
	}
	if err := store.Note(t.Context(), forget); !errors.Is(err, ErrBackwards) {
		t.Errorf("a note without it: %v, want ErrBackwards", err)
	}
	again, err := OpenStore(store.path, binding, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := again.Accepted()
	if diff := cmp.Diff(one.refused, got.Refused); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	next := got
	next.Commit, next.Previous, next.Commits = strings.Repeat("2", 40), got.Commit, got.Commits+1
	if err := again.Accept(t.Context(), forget(next)); !errors.Is(err, ErrBackwards) {
		t.Errorf("a revision without it: %v, want ErrBackwards", err)
	}
	if err := again.Accept(t.Context(), next); err != nil {
		t.Error(err)
	}
}
