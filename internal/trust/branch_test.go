package trust

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

const forMain, forDev = "change\n\nPrumo-Ref: refs/heads/main\n", "change\n\nPrumo-Ref: refs/heads/dev\n"

// named is a world in which commits name their branch, and two people may change
// the nodes.
func named(t testing.TB) *world {
	w := newWorld(t)
	w.repo = "{id: infra, ref: refs/heads/main}"
	w.policy = w.policyText(1, `
groups: {platform: [ana, cai]}
rules:
  - {name: machines, paths: [nodes/**], signers: [platform]}
  - {name: pools, paths: [pools/**], signers: [platform], threshold: 2}
  - {name: datasets, paths: [datasets/**], signers: [cai]}
namesRef: true
`)
	w.files = w.files.with(PolicyPath, w.policy)
	w.intro = w.commit(commit{files: w.files})
	return w
}

// says makes a commit by ana with a message.
func (w *world) says(message string, f files, on ...string) string {
	return w.commit(commit{on: on, by: "ana", files: f, message: message})
}

// checkFound is checkVerdict, with a part of what the refusal found in place of a path.
func checkFound(t *testing.T, v core.Verdict, code, found string) {
	t.Helper()
	path := ""
	if v.Refusal != nil {
		path = v.Refusal.Path
	}
	checkVerdict(t, v, code, path)
	if v.Refusal != nil && !strings.Contains(v.Refusal.Found, found) {
		t.Errorf("found %q, want %q in it", v.Refusal.Found, found)
	}
}

// TestNamesRef is which commits must name their branch, and which need not (no
// code). A history is judged from its introduction on and, if the world accepted
// something before, from there.
func TestNamesRef(t *testing.T) {
	two := func(w *world) files { return w.files.with("nodes/a.yaml", "2\n") }
	both := func(w *world) files { return two(w).with("nodes/b.yaml", "2\n") }
	for _, tt := range []struct {
		name  string
		build func(w *world) (accepted, tip string)
		code  string
		found string // part of it
	}{
		{"names it", func(w *world) (string, string) { return w.intro, w.says(forMain, two(w), w.intro) }, "", ""},
		{"names none", func(w *world) (string, string) { return w.intro, w.says("change\n", two(w), w.intro) }, CodeRef, "names no branch"},
		{"teleported", func(w *world) (string, string) { return w.intro, w.says(forDev, two(w), w.intro) }, CodeRef, "names refs/heads/dev"},
		{"teleported, in the middle", func(w *world) (string, string) {
			return w.intro, w.says(forMain, both(w), w.says(forDev, two(w), w.intro))
		}, CodeRef, "names refs/heads/dev"},
		{"merged", func(w *world) (string, string) {
			dev := w.says(forDev, two(w), w.says("wip\n", both(w), w.intro))
			return w.intro, w.says(forMain, two(w), w.intro, dev)
		}, "", ""},
		{"merged on top of what is accepted", func(w *world) (string, string) {
			main := w.says(forMain, two(w), w.intro)
			return main, w.says(forMain, both(w), main, w.says("wip\n", w.files.with("nodes/b.yaml", "2\n"), w.intro))
		}, "", ""},
		{"a merge into another branch", func(w *world) (string, string) {
			main := w.says(forMain, two(w), w.intro)
			return main, w.says(forDev, both(w), w.says(forDev, w.files.with("nodes/b.yaml", "2\n"), w.intro), main)
		}, CodeRef, "names"},
		{"a merge of what its signer may not change", func(w *world) (string, string) {
			dev := w.commit(commit{on: []string{w.intro}, by: "cai", files: w.files.with("datasets/d.yaml", "2\n"), message: forDev})
			return w.intro, w.says(forMain, w.files.with("datasets/d.yaml", "2\n"), w.intro, dev)
		}, CodePath, "ana"},
		{"refused for more than that", func(w *world) (string, string) {
			return w.intro, w.says("change\n", w.files.with("datasets/d.yaml", "2\n"), w.intro)
		}, CodePath, "ana"},
		{"a change of the policy", func(w *world) (string, string) {
			return w.intro, w.chain(w.intro, "rita", w.files.with(PolicyPath, strings.Replace(w.policy, "version: 1", "version: 2", 1)))
		}, CodeRef, "names no branch"},
		{"a change of the policy that asks no more", func(w *world) (string, string) {
			off := w.policyText(2, strings.Replace(rest(w.policy), "namesRef: true", "", 1))
			dev := w.commit(commit{on: []string{w.intro}, by: "rita", files: w.files.with(PolicyPath, off), message: forDev})
			return w.intro, w.says("change\n", two(w).with(PolicyPath, off), dev)
		}, CodeRef, "names refs/heads/dev"},
		{"asked no more", func(w *world) (string, string) {
			off := w.policyText(2, strings.Replace(rest(w.policy), "namesRef: true", "namesRef: false", 1))
			c := w.commit(commit{on: []string{w.intro}, by: "rita", files: w.files.with(PolicyPath, off), message: forMain})
			return w.intro, w.says("change\n", two(w).with(PolicyPath, off), c)
		}, "", ""},
		{"approvals are not asked for before", func(w *world) (string, string) {
			return w.intro, w.says("change\n", w.files.with("pools/x", "x"), w.intro)
		}, CodeRef, "names no branch"},
		{"nor instead", func(w *world) (string, string) {
			c := w.says("change\n", w.files.with("pools/x", "x"), w.intro)
			w.approve(approval{of: c, by: "cai"})
			return w.intro, c
		}, CodeRef, "names no branch"},
		{"approvals are asked for as well", func(w *world) (string, string) {
			return w.intro, w.says(forMain, w.files.with("pools/x", "x"), w.intro)
		}, CodeThreshold, "1 of 2"},
		{"the trust file knows no branch", func(w *world) (string, string) {
			w.repo = ""
			return w.intro, w.says(forMain, two(w), w.intro)
		}, CodeRef, "does not say which branch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := named(t)
			accepted, tip := tt.build(w)
			checkFound(t, w.verify("", tip), tt.code, tt.found)
			checkFound(t, w.verify(accepted, tip), tt.code, tt.found)
		})
	}
}

// TestMergedBackToFront: the branch is a later parent of a merge, which so answers
// for nothing that the branch was set to before. Here that takes back what was
// accepted, in a commit meant for another branch.
func TestMergedBackToFront(t *testing.T) {
	w := named(t)
	mine := w.says(forMain, w.files.with("nodes/b.yaml", "2\n"), w.intro)
	accepted := w.says(forMain, w.files.with("nodes/a.yaml", "2\n"), w.intro)
	undone := w.says(forDev, w.files, accepted)
	tip := w.says(forMain, w.files.with("nodes/b.yaml", "2\n"), mine, undone)
	checkFound(t, w.verify(accepted, tip), CodeRef, "merges the branch into something else")
	checkFound(t, w.verify(accepted, w.says(forMain, w.files.with("nodes/a.yaml", "2\n"), accepted, tip)), "", "")
}

// TestNamesRefLater: what was accepted before it was asked for needs no branch.
func TestNamesRefLater(t *testing.T) {
	w := named(t)
	w.files = w.files.with(PolicyPath, w.policyText(1, strings.Replace(rest(w.policy), "namesRef: true", "", 1)))
	w.intro = w.commit(commit{files: w.files})
	one := w.says("change\n", w.files.with("nodes/a.yaml", "2\n"), w.intro)
	on := w.files.with("nodes/a.yaml", "2\n", PolicyPath, w.policyText(2, rest(w.policy)))
	two := w.commit(commit{on: []string{one}, by: "rita", files: on})
	checkFound(t, w.verify("", two), "", "")
	checkFound(t, w.verify("", w.says(forMain, on.with("nodes/a.yaml", "3\n"), two)), "", "")
	checkFound(t, w.verify(two, w.says("change\n", on.with("nodes/a.yaml", "3\n"), two)), CodeRef, "names no branch")
}

// TestProposalsNameNoBranch: a merge can, once there is one. And what the followed
// branch was refused for not naming it is no less welcome in a merge that does.
func TestProposalsNameNoBranch(t *testing.T) {
	w := named(t)
	wip := w.says("wip\n", w.files.with("nodes/a.yaml", "2\n"), w.intro)
	merge := w.says(forMain, w.files.with("nodes/a.yaml", "2\n"), w.intro, wip)
	v, h := w.verifier(), w.history(merge)
	state := State{Commit: w.intro}
	proposal, err := v.VerifyProposal(t.Context(), h, state, wip)
	if err != nil {
		t.Fatal(err)
	}
	checkFound(t, proposal, "", "")
	step, err := v.Follow(t.Context(), h, state, wip)
	if err != nil {
		t.Fatal(err)
	}
	checkFound(t, step.Verdict(), CodeRef, "names no branch")
	if step, err = v.Follow(t.Context(), h, step.Remember(state), merge); err != nil {
		t.Fatal(err)
	}
	checkFound(t, step.Verdict(), "", "")
}

// TestOverridesNameTheirBranch: root principals can have the branch leave a
// revision, but what it then has more is meant for it, or not obeyed.
func TestOverridesNameTheirBranch(t *testing.T) {
	for message, code := range map[string]string{forMain: "", forDev: CodeRef} {
		w := named(t)
		bad := w.says(forMain, w.files.with("nodes/a.yaml", "2\n"), w.intro)
		good := w.says(message, w.files.with("nodes/b.yaml", "2\n"), w.intro)
		w.override(bad, good, "rita", "rita", "")
		checkFound(t, w.overridden(w.history(bad, good), State{Commit: bad}, good), code, "names refs/heads/dev")
	}
}

// TestRealTrailers has git make what is refused and, by the commands that the
// refusal prints, what is not.
func TestRealTrailers(t *testing.T) {
	for _, tool := range []string{"git", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	run := func(script string) string {
		t.Helper()
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = dir
		cmd.Env = append(cmd.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	public := run(`ssh-keygen -q -t ed25519 -N '' -C '' -f key
git init -q -b main
git config user.name ana; git config user.email ana@lab.example
git config gpg.format ssh; git config user.signingkey "$PWD/key"; git config commit.gpgSign true
cat key.pub`)
	policy := header + "namesRef: true\nprincipals: {ana: {kind: human, keys: [{ssh: '" + public + "'}]}}\nrules: [{name: all, paths: ['**'], signers: [ana]}]\n"
	if err := os.Mkdir(filepath.Join(dir, PolicyDir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, PolicyPath), []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	intro := run("git add .prumo; git commit -q -m begin; git rev-parse HEAD")
	anchor, problems := ParseAnchor("trust.yaml", fmt.Appendf(nil,
		"apiVersion: prumo.dev/v1alpha1\nkind: TrustAnchor\nintroduction: %s\nrepo: {id: infra, ref: refs/heads/main}\nroot: {threshold: 1, principals: {r: {keys: [{ssh: '%s'}]}}}\n", intro, public))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	repo, err := git.Open(filepath.Join(t.TempDir(), "store"), git.Remote{URL: dir}, git.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(code, found string) string {
		t.Helper()
		verdict := verifyMain(t, repo, anchor)
		checkFound(t, verdict, code, found)
		if code == "" {
			return ""
		}
		return verdict.Refusal.Remedy
	}
	cut := func(text, before, after string) string {
		t.Helper()
		_, text, ok := strings.Cut(text, before)
		text, _, also := strings.Cut(text, after)
		if !ok || !also {
			t.Fatalf("no command between %q and %q", before, after)
		}
		return text
	}
	run("touch a; git add a; git commit -q -m one; touch b; git add b; git commit -q -m two")
	name := cut(verify(CodeRef, "names no branch"), "have it say so: ", " (several: ")
	run("git rebase -q --exec \"" + name + "\" " + intro)
	verify("", "")
	run("git switch -q -c dev; touch c; git add c; git commit -q -m three --trailer 'Prumo-Ref: refs/heads/dev'; git branch -q -f main")
	remedy := verify(CodeRef, "names refs/heads/dev")
	merge := cut(remedy+"\n", "a merge that says so: ", "\n")
	run("git switch -q main; git reset -q --hard HEAD~; " + strings.NewReplacer("SUBJECT", "three", "OTHER", "dev").Replace(merge))
	verify("", "")
	run("git reset -q --hard dev")
	verify(CodeRef, "names refs/heads/dev")
	run(name) // in place of the other one
	verify("", "")
}
