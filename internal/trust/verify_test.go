package trust

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// chain commits one set of files after the other, each signed by one person.
func (w *world) chain(base string, by string, steps ...files) string {
	for _, f := range steps {
		base = w.commit(commit{on: []string{base}, by: by, files: f})
	}
	return base
}

// TestVerify is the list of what is accepted (no code) and what is refused.
func TestVerify(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(w *world) (from, to string)
		code  string
		path  string // of the refusal
	}{
		// Accepted.
		{"nothing new", func(w *world) (string, string) { return "", w.intro }, "", ""},
		{"signed", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"), w.files.with("README.md", "x\n"))
		}, "", ""},
		{"signed, from the middle", func(w *world) (string, string) {
			mid := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return mid, w.chain(mid, "ana", w.files.with("nodes/a.yaml", "3\n"))
		}, "", ""},
		{"empty commit", func(w *world) (string, string) { return "", w.chain(w.intro, "cai", w.files) }, "", ""},
		{"op of a rule", func(w *world) (string, string) {
			return "", w.chain(w.intro, "bot", w.files.with("images.yaml", "2\n"))
		}, "", ""},
		{"all rules of a path hold", func(w *world) (string, string) {
			return "", w.chain(w.intro, "cai", w.files.with("docs/secret/x.md", "x"))
		}, "", ""},
		{"except takes a path out of a rule", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("docs/secret/open.md", "x"))
		}, "", ""},
		{"merge", func(w *world) (string, string) {
			left := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			right := w.chain(w.intro, "ana", w.files.with("nodes/b.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, right}, by: "ana", files: w.files.with("nodes/a.yaml", "2\n", "nodes/b.yaml", "2\n")})
		}, "", ""},
		{"root changes the policy, and the new one binds the next commit", func(w *world) (string, string) {
			wide := strings.Replace(w.policyText(2, rest(w.policy)), "[datasets/**], signers: [cai]", "[datasets/**], signers: [cai, ana]", 1)
			next := w.chain(w.intro, "rita", w.files.with(PolicyPath, wide))
			return "", w.chain(next, "ana", w.files.with(PolicyPath, wide, "datasets/d.yaml", "2\n"))
		}, "", ""},
		{"root changes the readme of the policy", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(".prumo/README.md", "x"))
		}, "", ""},
		{"four minutes ahead", func(w *world) (string, string) {
			return "", w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, when: noon.Add(4 * time.Minute)})
		}, "", ""},

		// Signatures; more of them in signature_test.go.
		{"unsigned tip", func(w *world) (string, string) { return "", w.chain(w.intro, "", w.files) }, CodeUnsigned, ""},
		{"unsigned in the middle", func(w *world) (string, string) {
			return "", w.chain(w.chain(w.intro, "", w.files.with("nodes/a.yaml", "2\n")), "ana", w.files.with("nodes/a.yaml", "3\n"))
		}, CodeUnsigned, ""},
		{"unknown key", func(w *world) (string, string) {
			return "", w.chain(w.intro, "mallory", w.files.with("nodes/a.yaml", "2\n"))
		}, CodeKeyUnknown, ""},
		{"root is no principal of the policy", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with("nodes/a.yaml", "2\n"))
		}, CodeKeyUnknown, ""},
		{"expired key with a date before", func(w *world) (string, string) {
			return "", w.commit(commit{on: []string{w.intro}, by: "late", files: w.files, when: noon.AddDate(0, -1, 0)})
		}, CodeKeyExpired, ""},
		{"key not valid yet", func(w *world) (string, string) { return "", w.chain(w.intro, "early", w.files) }, CodeKeyExpired, ""},
		{"revoked key", func(w *world) (string, string) {
			w.revoke = `{ssh: ["` + fingerprint(w.people["ana"].public) + `"]}`
			return "", w.chain(w.intro, "ana", w.files)
		}, CodeKeyRevoked, ""},
		{"revoked root key", func(w *world) (string, string) {
			w.revoke = `{ssh: ["` + fingerprint(w.people["rita"].public) + `"]}`
			return "", w.chain(w.intro, "rita", w.files.with(".prumo/README.md", "x"))
		}, CodeKeyRevoked, ""},
		{"date in the future", func(w *world) (string, string) {
			return "", w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, when: noon.Add(6 * time.Minute)})
		}, CodeDate, ""},

		// Paths.
		{"path of others", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("datasets/d.yaml", "2\n"))
		}, CodePath, "datasets/d.yaml"},
		{"path without a rule", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("tools/x.yaml", "x"))
		}, CodePath, "tools/x.yaml"},
		{"delete of a protected file", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("datasets/d.yaml", ""))
		}, CodePath, "datasets/d.yaml"},
		{"rename out of a protected path", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("datasets/d.yaml", "", "nodes/d.yaml", "d\n"))
		}, CodePath, "datasets/d.yaml"},
		{"rename into a protected path", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("nodes/b.yaml", "", "datasets/b.yaml", "b\n"))
		}, CodePath, "datasets/b.yaml"},
		{"mode of a protected file", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("datasets/d.yaml", "", "100755 datasets/d.yaml", "d\n"))
		}, CodePath, "datasets/d.yaml"},
		{"one of two rules holds", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("docs/secret/x.md", "x"))
		}, CodePath, "docs/secret/x.md"},
		{"op without a rule", func(w *world) (string, string) {
			return "", w.chain(w.intro, "bot", w.files.with("images.yaml", ""))
		}, CodePath, "images.yaml"},
		{"other case", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "", "nodes/b.yaml", "", "Nodes/a.yaml", "a\n"))
		}, CodePath, "Nodes/a.yaml"},
		{"directory's name as a file", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "", "nodes/b.yaml", "", "nodes", "x"))
		}, CodePath, "nodes"},
		{"undone by the next commit", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with("datasets/d.yaml", "2\n"), w.files)
		}, CodePath, "datasets/d.yaml"},

		// Merges.
		{"merge of an unsigned side branch", func(w *world) (string, string) {
			side := w.chain(w.intro, "", w.files.with("nodes/b.yaml", "2\n"))
			left := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, side}, by: "ana", files: w.files.with("nodes/a.yaml", "2\n", "nodes/b.yaml", "2\n")})
		}, CodeUnsigned, ""},
		{"unsigned merge", func(w *world) (string, string) {
			left := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			right := w.chain(w.intro, "ana", w.files.with("nodes/b.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, right}, files: w.files.with("nodes/a.yaml", "2\n", "nodes/b.yaml", "2\n")})
		}, CodeUnsigned, ""},
		{"evil merge", func(w *world) (string, string) {
			left := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			right := w.chain(w.intro, "ana", w.files.with("nodes/b.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, right}, by: "ana", files: w.files.with("nodes/a.yaml", "2\n", "nodes/b.yaml", "2\n", "datasets/d.yaml", "evil\n")})
		}, CodePath, "datasets/d.yaml"},
		{"merge that undoes the first parent", func(w *world) (string, string) {
			left := w.chain(w.intro, "cai", w.files.with("datasets/d.yaml", "2\n"))
			right := w.chain(w.intro, "ana", w.files.with("nodes/b.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, right}, by: "ana", files: w.files.with("nodes/b.yaml", "2\n")})
		}, CodePath, "datasets/d.yaml"},
		{"merge that undoes the second parent", func(w *world) (string, string) {
			left := w.chain(w.intro, "ana", w.files.with("nodes/b.yaml", "2\n"))
			right := w.chain(w.intro, "cai", w.files.with("datasets/d.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, right}, by: "ana", files: w.files.with("nodes/b.yaml", "2\n")})
		}, CodePath, "datasets/d.yaml"},
		{"merge that takes a weaker policy from a side branch of root", func(w *world) (string, string) {
			wide := strings.Replace(w.policyText(2, rest(w.policy)), "signers: [cai]", "signers: [ana]", 1)
			side := w.chain(w.intro, "rita", w.files.with(PolicyPath, wide))
			left := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, side}, by: "ana", files: w.files.with("nodes/a.yaml", "2\n", PolicyPath, wide)})
		}, CodePolicyRoot, PolicyPath},
		{"merge by someone whom one parent does not know", func(w *world) (string, string) {
			v2 := w.policyText(2, strings.Replace(rest(w.policy), "ana, ", "", 1), "ana")
			right := w.chain(w.intro, "rita", w.files.with(PolicyPath, v2))
			left := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, right}, by: "ana", files: w.files.with("nodes/a.yaml", "2\n")})
		}, CodePolicyRoot, PolicyPath},

		{"merge by a root whom one parent's policy does not know", func(w *world) (string, string) {
			v2 := strings.Replace(w.policyText(2, strings.Replace(rest(w.policy), "[ana,", "[rita, ana,", 1)),
				"principals:", "principals:\n  rita: {kind: human, keys: [{"+w.people["rita"].entry()+"}]}", 1)
			left := w.chain(w.intro, "rita", w.files.with(PolicyPath, v2))
			right := w.chain(w.intro, "ana", w.files.with("nodes/b.yaml", "2\n"))
			return "", w.commit(commit{on: []string{left, right}, by: "rita", files: w.files.with("nodes/b.yaml", "2\n", PolicyPath, v2)})
		}, CodeKeyUnknown, ""},

		{"merge by one who may merge", func(w *world) (string, string) {
			w.restrictMerges()
			right := w.chain(w.intro, "ana", w.files.with("README.md", "2\n"))
			return "", w.commit(commit{on: []string{w.intro, right}, by: "cai", files: w.files.with("README.md", "2\n")})
		}, "", ""},
		{"merge by one who may not merge", func(w *world) (string, string) {
			w.restrictMerges()
			right := w.chain(w.intro, "ana", w.files.with("README.md", "2\n"))
			return "", w.commit(commit{on: []string{w.intro, right}, by: "ana", files: w.files.with("README.md", "2\n")})
		}, CodeMerge, ""},
		{"merge without a change by one who may not merge", func(w *world) (string, string) {
			w.restrictMerges()
			right := w.chain(w.intro, "ana", w.files)
			return "", w.commit(commit{on: []string{w.intro, right}, by: "ana", files: w.files})
		}, CodeMerge, ""},
		{"merge of three that undoes the second", func(w *world) (string, string) {
			second := w.chain(w.intro, "cai", w.files.with("datasets/d.yaml", "2\n"))
			third := w.chain(w.intro, "ana", w.files.with("nodes/b.yaml", "2\n"))
			return "", w.commit(commit{on: []string{w.intro, second, third}, by: "ana", files: w.files.with("nodes/b.yaml", "2\n")})
		}, CodePath, "datasets/d.yaml"},

		// Someone whom the range itself removes: what they add on an older base comes
		// in by a merge only, and whoever merges answers for it under the new policy.
		{"removed in the range, merges their own side commit", func(w *world) (string, string) {
			removed, side := w.removal()
			return "", w.commit(commit{on: []string{side, removed}, by: "ana", files: w.files.with(PolicyPath, w.policyText(2, withoutAna(w), "ana"), "nodes/a.yaml", "2\n")})
		}, CodePolicyRoot, PolicyPath},
		{"removed in the range, merged by one who may not change the path", func(w *world) (string, string) {
			removed, side := w.removal()
			merge := w.files.with(PolicyPath, w.policyText(2, withoutAna(w), "ana"), "nodes/a.yaml", "2\n")
			return "", w.commit(commit{on: []string{removed, side}, by: "rita", files: merge})
		}, CodeKeyUnknown, ""},

		{"revoked payload", func(w *world) (string, string) {
			to := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			w.revoke = "{payloads: [" + w.payload(to) + "]}"
			return "", to
		}, CodeKeyRevoked, ""},
		{"revoked payload signed again by another, in the middle", func(w *world) (string, string) {
			f := w.files.with("README.md", "2\n")
			bad := w.chain(w.intro, "ana", f)
			w.revoke = "{payloads: [" + w.payload(bad) + "]}"
			again := w.chain(w.intro, "cai", f)
			if again == bad {
				panic("one id")
			}
			return "", w.chain(again, "ana", f)
		}, CodeKeyRevoked, ""},

		// Policy.
		{"policy change by another than root", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with(PolicyPath, w.policyText(2, rest(w.policy))))
		}, CodePolicyRoot, PolicyPath},
		{"policy change by an unknown key", func(w *world) (string, string) {
			return "", w.chain(w.intro, "mallory", w.files.with(PolicyPath, w.policyText(2, rest(w.policy))))
		}, CodeKeyUnknown, ""},
		{"new file in .prumo", func(w *world) (string, string) {
			return "", w.chain(w.intro, "ana", w.files.with(".prumo/x", "x"))
		}, CodePolicyRoot, PolicyPath},
		{"weakens itself and uses it at once", func(w *world) (string, string) {
			wide := w.policyText(2, "rules:\n  - {name: all, paths: ['**'], signers: [ana]}\n")
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, wide, "datasets/d.yaml", "2\n"))
		}, CodeKeyUnknown, ""},
		{"version not raised", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policy+"# more\n"))
		}, CodePolicyVersion, PolicyPath},
		{"version skipped", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(3, rest(w.policy))))
		}, CodePolicyVersion, PolicyPath},
		{"version rolled back", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(2, rest(w.policy))), w.files)
		}, CodePolicyVersion, PolicyPath},
		{"merge that rolls the policy back", func(w *world) (string, string) {
			left := w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(2, rest(w.policy))))
			right := w.chain(w.intro, "rita", w.files.with(".prumo/README.md", "x"))
			return "", w.commit(commit{on: []string{left, right}, by: "rita", files: w.files.with(".prumo/README.md", "x")})
		}, CodePolicyVersion, PolicyPath},
		{"merge of two policies of one version", func(w *world) (string, string) {
			left := w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(2, rest(w.policy))))
			right := w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(2, rest(w.policy))+"# other\n"))
			return "", w.commit(commit{on: []string{left, right}, by: "rita", files: w.files.with(PolicyPath, w.policyText(2, rest(w.policy)))})
		}, CodePolicyVersion, PolicyPath},
		{"policy that does not parse", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(2, rest(w.policy))+"x: 1\n"))
		}, CodePolicy, PolicyPath},
		{"policy deleted", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, ""))
		}, CodePolicy, PolicyPath},
		{"executable policy", func(w *world) (string, string) {
			return "", w.chain(w.intro, "rita", w.files.with(PolicyPath, "", "100755 "+PolicyPath, w.policyText(2, rest(w.policy))))
		}, CodePolicy, PolicyPath},
		{"removed key on an old base, merged later", func(w *world) (string, string) {
			v2 := w.policyText(2, strings.Replace(rest(w.policy), "ana, ", "", 1), "ana")
			accepted := w.chain(w.intro, "rita", w.files.with(PolicyPath, v2))
			old := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return accepted, w.commit(commit{on: []string{accepted, old}, by: "rita", files: w.files.with(PolicyPath, v2, "nodes/a.yaml", "2\n")})
		}, CodeKeyUnknown, ""},

		{"removed key on a rival policy of the same version", func(w *world) (string, string) {
			accepted := w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(2, strings.Replace(rest(w.policy), "ana, ", "", 1), "ana")))
			rival := w.files.with(PolicyPath, w.policyText(2, rest(w.policy)))
			side := w.chain(w.chain(w.intro, "rita", rival), "ana", rival)
			return accepted, w.commit(commit{on: []string{accepted, side}, by: "rita", files: w.files.with(PolicyPath, w.policyText(3, rest(w.policy)))})
		}, CodeKeyUnknown, ""},

		// History.
		{"rewritten", func(w *world) (string, string) {
			from := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return from, w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "3\n"))
		}, CodeRewritten, ""},
		{"set back", func(w *world) (string, string) {
			to := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return w.chain(to, "ana", w.files.with("nodes/a.yaml", "3\n")), to
		}, CodeRewritten, ""},
		{"unrelated history", func(w *world) (string, string) {
			return "", w.commit(commit{by: "ana", files: w.files.with("nodes/a.yaml", "2\n")})
		}, CodeIntroduction, ""},
		{"merge of an unrelated history", func(w *world) (string, string) {
			other := w.commit(commit{by: "ana", files: w.files})
			return "", w.commit(commit{on: []string{w.intro, other}, by: "ana", files: w.files})
		}, CodeIntroduction, ""},
		{"side branch from before the introduction", func(w *world) (string, string) {
			before := w.intro
			w.intro = w.chain(before, "", w.files.with("README.md", "here it begins\n"))
			side := w.chain(before, "ana", w.files.with("nodes/a.yaml", "2\n"))
			return "", w.commit(commit{on: []string{w.intro, side}, by: "ana", files: w.files.with("README.md", "here it begins\n", "nodes/a.yaml", "2\n")})
		}, CodeIntroduction, ""},
		{"start before the introduction", func(w *world) (string, string) {
			before := w.intro
			w.intro = w.chain(before, "ana", w.files.with("README.md", "here it begins\n"))
			return before, w.intro
		}, CodeIntroduction, ""},
		{"stay before the introduction", func(w *world) (string, string) {
			before := w.intro
			w.intro = w.chain(before, "ana", w.files.with("README.md", "here it begins\n"))
			return before, before
		}, CodeIntroduction, ""},
		{"introduction without a policy", func(w *world) (string, string) {
			w.intro = w.commit(commit{files: w.files.with(PolicyPath, "")})
			return "", w.chain(w.intro, "ana", w.files)
		}, CodePolicy, PolicyPath},
		{"too many commits", func(w *world) (string, string) {
			w.limit = 1
			return "", w.chain(w.intro, "ana", w.files, w.files)
		}, CodeLimit, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			from, to := tt.build(w)
			checkVerdict(t, w.verify(from, to), tt.code, tt.path)
		})
	}
}

// TestSplit: package git refuses two spellings of one name side by side; that
// .prumo/ is guarded must not hang on it.
func TestSplit(t *testing.T) {
	own, policy := split([]git.Change{{Path: ".PRUMO/policy.yaml"}, {Path: ".prumo/x"}, {Path: ".prumo"}, {Path: "x/.prumo/y"}, {Path: ".prumox"}})
	if len(own) != 2 || len(policy) != 3 {
		t.Errorf("got own %v, policy %v; want the first three to be policy", own, policy)
	}
}

// restrictMerges lets only cai sign merges.
func (w *world) restrictMerges() {
	w.files = w.files.with(PolicyPath, w.policy+"merge: {signers: [cai]}\n")
	w.intro = w.commit(commit{files: w.files})
}

func withoutAna(w *world) string { return strings.Replace(rest(w.policy), "ana, ", "", 1) }

// removal is a commit that removes ana from the policy, and one by ana beside it.
func (w *world) removal() (removed, side string) {
	removed = w.chain(w.intro, "rita", w.files.with(PolicyPath, w.policyText(2, withoutAna(w), "ana")))
	return removed, w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
}

// payload is the SHA-256 of what a commit says.
func (w *world) payload(id string) string {
	w.t.Helper()
	c, err := w.history(id).Commit(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum(c.Payload))
}

// rest is what follows the principals of a policy.
func rest(policy string) string { return policy[strings.Index(policy, "\ngroups:"):] }

func fingerprint(public string) string {
	var k key
	if err := k.parseSSH(public); err != nil {
		panic(err)
	}
	return k.name
}

func checkVerdict(t *testing.T, v core.Verdict, code, path string) {
	t.Helper()
	if code == "" {
		if v.Refusal != nil {
			t.Fatalf("refused: %s", v.Refusal)
		}
		for _, c := range v.Commits {
			if c.Refusal != nil || len(c.Rules) == 0 && c.Signer == "" {
				t.Errorf("commit %+v: refused or nobody's in an accepted verdict", c)
			}
		}
		return
	}
	if v.Refusal == nil {
		t.Fatalf("accepted, want %s", code)
	}
	if diff := cmp.Diff([]string{code, path}, []string{v.Refusal.Code, v.Refusal.Path}); diff != "" {
		t.Errorf("code and path (-want +got):\n%s%s", diff, v.Refusal)
	}
	if r := *v.Refusal; r.Found == "" || r.Needed == "" || r.Remedy == "" || r.Commit == "" {
		t.Errorf("the refusal leaves something out: %+v", r)
	}
}
