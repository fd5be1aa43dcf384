package trust

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/git"
)

// An approval says what to write as one. Fields left out get what is right.
type approval struct {
	of    string // commit
	by    string // who signs; nobody if "-"
	as    string // whom the ref names
	name  string // what the tag says of its name
	about string // the object of the tag
	typ   string // of that object
	body  func(body string) string
	armor func(armor string) string
}

func (w *world) approve(a approval) {
	w.t.Helper()
	c, err := w.history(a.of).Commit(a.of)
	if err != nil {
		w.t.Fatal(err)
	}
	body := w.anchor().ApprovalBody(c)
	if a.body != nil {
		body = a.body(body)
	}
	ref := ApprovalRef(c.Tree, cmp.Or(a.as, a.by))
	raw := fmt.Sprintf("object %s\ntype %s\ntag %s\ntagger A <a@lab.example> %d +0000\n\n%s",
		cmp.Or(a.about, a.of), cmp.Or(a.typ, "commit"), cmp.Or(a.name, strings.TrimPrefix(ref, "refs/tags/")), noon.Unix(), body)
	if a.by != "-" {
		armor := w.people[a.by].sign([]byte(raw))
		if a.armor != nil {
			armor = a.armor(armor)
		}
		raw += armor
	}
	if w.tags == nil {
		w.tags = map[string]string{}
	}
	w.tags[ref] = w.object("tag", []byte(raw))
}

// council is a world with thresholds, in which ana has two keys.
func council(t testing.TB) *world {
	w := newWorld(t, map[string]signer{"ana2": newSigner(t), "root2": newSigner(t), "root3": newSigner(t)})
	w.repo = "{id: 'https://git.example/infra', ref: refs/heads/main}"
	text := w.policyText(1, `
groups: {sre: [ana, cai, bot, late]}
rules:
  - {name: two, paths: [two/**], signers: [sre], threshold: 2}
  - {name: three, paths: [three/**], signers: [sre], threshold: 3}
  - {name: humans, paths: [humans/**], signers: [sre], threshold: 2, humans: true}
  - {name: others, paths: [others/**], signers: [sre], threshold: 1, distinct: true}
  - {name: one, paths: [one/**], signers: [ana]}
`)
	text = strings.Replace(text, "bot: {kind: human", "bot: {kind: bot", 1)
	text = strings.Replace(text, "ana: {kind: human, keys: [", "ana: {kind: human, keys: [{"+w.people["ana2"].entry()+"}, ", 1)
	w.policy = text
	w.files = w.files.with(PolicyPath, text)
	w.intro = w.commit(commit{files: w.files})
	var roots []string
	for i, name := range []string{"rita", "root2", "root3"} {
		roots = append(roots, fmt.Sprintf("%s: {keys: [{ssh: '%s'}]}", []string{"rita", "ruth", "rolf"}[i], w.people[name].public))
	}
	w.roots = "{threshold: 2, principals: {" + strings.Join(roots, ", ") + "}}"
	return w
}

// TestThreshold is the list of what is enough (no code) and what is not.
func TestThreshold(t *testing.T) {
	change := func(w *world, dir, by string) string {
		return w.chain(w.intro, by, w.files.with(dir+"/x", "x"))
	}
	policyChange := func(w *world) string {
		return w.chain(w.intro, "rita", w.files.with(PolicyPath, strings.Replace(w.policy, "version: 1", "version: 2", 1)))
	}
	for _, tt := range []struct {
		name  string
		build func(w *world) string
		code  string
		found string // part of it
	}{
		{"one is enough where one is needed", func(w *world) string { return change(w, "one", "ana") }, "", ""},
		{"signer and an approval", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "cai"})
			return c
		}, "", ""},
		{"signer and two approvals", func(w *world) string {
			c := change(w, "three", "ana")
			w.approve(approval{of: c, by: "cai"})
			w.approve(approval{of: c, by: "bot"})
			return c
		}, "", ""},
		{"a bot counts where humans are not asked for", func(w *world) string {
			c := change(w, "two", "bot")
			w.approve(approval{of: c, by: "cai"})
			return c
		}, "", ""},
		{"two humans behind a bot", func(w *world) string {
			c := change(w, "humans", "bot")
			w.approve(approval{of: c, by: "cai"})
			w.approve(approval{of: c, by: "ana"})
			return c
		}, "", ""},
		{"another one where the signer does not count", func(w *world) string {
			c := change(w, "others", "ana")
			w.approve(approval{of: c, by: "cai"})
			return c
		}, "", ""},
		{"root change by two roots", func(w *world) string {
			c := policyChange(w)
			w.approve(approval{of: c, by: "root2", as: "ruth"})
			return c
		}, "", ""},

		{"no approval", func(w *world) string { return change(w, "two", "ana") }, CodeThreshold, "1 of 2: ana signed it"},
		{"one of two approvals", func(w *world) string {
			c := change(w, "three", "ana")
			w.approve(approval{of: c, by: "cai"})
			return c
		}, CodeThreshold, "2 of 3: ana signed it, cai approved it"},
		{"own approval with a second key", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "ana2", as: "ana"})
			return c
		}, CodeThreshold, "1 of 2"},
		{"own approval under another's name", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "ana2", as: "cai"})
			return c
		}, CodeThreshold, "it was signed by ana"},
		{"own approval where the signer does not count", func(w *world) string {
			c := change(w, "others", "ana")
			w.approve(approval{of: c, by: "ana2", as: "ana"})
			return c
		}, CodeThreshold, "only approvals by others count"},
		{"signature of a bot where humans are asked for", func(w *world) string {
			c := change(w, "humans", "bot")
			w.approve(approval{of: c, by: "cai"})
			return c
		}, CodeThreshold, "bot signed it and does not count here"},
		{"approval of a bot where humans are asked for", func(w *world) string {
			c := change(w, "humans", "ana")
			w.approve(approval{of: c, by: "bot"})
			return c
		}, CodeThreshold, "1 of 2"},
		{"approval by someone outside the rule", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "early"})
			return c
		}, CodeThreshold, "1 of 2"},
		{"signer outside the rule, approved by all", func(w *world) string {
			c := change(w, "one", "cai")
			w.approve(approval{of: c, by: "ana"})
			return c
		}, CodePath, ""},
		{"approval of another commit with the same tree", func(w *world) string {
			other := w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files.with("two/x", "x"), message: "other\n"})
			c := change(w, "two", "ana")
			w.approve(approval{of: other, by: "cai"})
			return c
		}, CodeThreshold, "it is about another commit"},
		{"approval of the same tree on another base", func(w *world) string {
			other := w.chain(w.chain(w.intro, "ana", w.files), "ana", w.files.with("two/x", "x"))
			c := change(w, "two", "ana")
			w.approve(approval{of: other, by: "cai", about: c})
			return c
		}, CodeThreshold, "its text is not the one"},
		{"approval for another repo", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "cai", body: func(b string) string { return strings.Replace(b, "infra", "other", 1) }})
			return c
		}, CodeThreshold, "its text is not the one"},
		{"approval for another ref", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "cai", body: func(b string) string { return strings.Replace(b, "heads/main", "heads/dev", 1) }})
			return c
		}, CodeThreshold, "its text is not the one"},
		{"approval with words of its own", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "cai", body: func(b string) string { return b + "if the tests pass\n" }})
			return c
		}, CodeThreshold, "its text is not the one"},
		{"approval served under another's name", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "cai", name: "v1.0"})
			return c
		}, CodeThreshold, "it was signed under another name"},
		{"unsigned approval", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "-", as: "cai"})
			return c
		}, CodeThreshold, CodeUnsigned},
		{"approval with the signature of the commit", func(w *world) string {
			c := change(w, "two", "ana")
			signed, err := w.history(c).Commit(c)
			if err != nil {
				w.t.Fatal(err)
			}
			w.approve(approval{of: c, by: "ana", as: "cai", armor: func(string) string { return signed.Signature }})
			return c
		}, CodeThreshold, CodeSignature},
		{"approval with an expired key", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "late"})
			return c
		}, CodeThreshold, CodeKeyExpired},
		{"approval with a revoked key", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "cai"})
			w.revoke = `{ssh: ["` + fingerprint(w.people["cai"].public) + `"]}`
			return c
		}, CodeThreshold, CodeKeyRevoked},
		{"approval with an unknown key", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "mallory", as: "cai"})
			return c
		}, CodeThreshold, CodeKeyUnknown},
		{"approval that is a tag of a tree", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "cai", typ: "tree"})
			return c
		}, CodeThreshold, "the tag is not of a commit"},
		{"lightweight approval", func(w *world) string {
			c := change(w, "two", "ana")
			w.tags = map[string]string{ApprovalRef(w.tree(w.files.with("two/x", "x")), "cai"): c}
			return c
		}, CodeThreshold, "lightweight"},
		{"approval of which the remote has no object", func(w *world) string {
			c := change(w, "two", "ana")
			w.tags = map[string]string{ApprovalRef(w.tree(w.files.with("two/x", "x")), "cai"): strings.Repeat("7", 40)}
			return c
		}, CodeThreshold, "1 of 2"},
		{"approvals without a repo in the trust file", func(w *world) string {
			c := change(w, "two", "ana")
			w.repo, w.roots = "", ""
			w.approve(approval{of: c, by: "cai"})
			return c
		}, CodeThreshold, "1 of 2"},
		{"approval of an earlier commit only", func(w *world) string {
			c := change(w, "two", "ana")
			w.approve(approval{of: c, by: "cai"})
			return w.chain(c, "ana", w.files.with("two/x", "y"))
		}, CodeThreshold, "1 of 2"},
		{"root change by one root", policyChange, CodeThreshold, "1 of 2: rita signed it"},
		{"root change approved by someone of the policy", func(w *world) string {
			c := policyChange(w)
			w.approve(approval{of: c, by: "ana", as: "ruth"})
			return c
		}, CodeThreshold, CodeKeyUnknown},
		{"root change approved with a root's own key under another's name", func(w *world) string {
			c := policyChange(w)
			w.approve(approval{of: c, by: "rita", as: "ruth"})
			return c
		}, CodeThreshold, "it was signed by rita"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := council(t)
			v := w.verify("", tt.build(w))
			path := ""
			if tt.code != "" && v.Refusal != nil {
				path = v.Refusal.Path // which one is not the question here
			}
			checkVerdict(t, v, tt.code, path)
			if tt.code == CodeThreshold && (path == "" || !strings.Contains(v.Refusal.Found, tt.found)) {
				t.Errorf("got path %q, found %q; want a path and %q", path, v.Refusal.Found, tt.found)
			}
		})
	}
}

func TestThresholdTellsWhoAndHow(t *testing.T) {
	w := council(t)
	c := w.chain(w.intro, "ana", w.files.with("three/x", "x"))
	w.approve(approval{of: c, by: "cai"})
	got := w.verify("", c).Refusal
	tree := w.tree(w.files.with("three/x", "x"))
	want := "let 1 more of bot, late approve the commit: printf 'repo: https://git.example/infra\\nref: refs/heads/main\\nbase: " + w.intro +
		"\\ncommit: " + c + "\\ntree: " + tree + "\\n' | git tag -s -F - approve/" + tree + "/YOU " + c + " && git push ORIGIN approve/" + tree + "/YOU"
	if diff := gocmp.Diff(want, got.Remedy); diff != "" {
		t.Errorf("remedy (-want +got):\n%s", diff)
	}
	w.approve(approval{of: c, by: "bot"})
	v := w.verify("", c)
	if diff := gocmp.Diff([]string{"bot", "cai"}, v.Commits[1].Approvers); diff != "" {
		t.Errorf("approvers (-want +got):\n%s", diff)
	}
}

// TestMissingApprovals asks for no tag that nobody needs.
func TestMissingApprovals(t *testing.T) {
	w := council(t)
	c := w.chain(w.intro, "ana", w.files.with("two/x", "x"))
	h, v := w.history(c), w.verifier()
	verdict := w.verify("", c)
	match, err := v.MissingApprovals(t.Context(), h, verdict)
	if err != nil || match == nil {
		t.Fatal(match == nil, err)
	}
	tree := w.tree(w.files.with("two/x", "x"))
	for ref, want := range map[string]bool{
		ApprovalRef(tree, "cai"): true, ApprovalRef(tree, "ruth"): true, ApprovalRef(tree, "mallory"): false,
		ApprovalRef(w.tree(w.files), "cai"): false, "refs/tags/v1": false, "refs/heads/approve/" + tree + "/cai": false,
	} {
		if match(ref) != want {
			t.Errorf("match %s: got %v, want %v", ref, !want, want)
		}
	}
	ok := w.chain(w.intro, "ana", w.files.with("one/x", "x"))
	if match, err := v.MissingApprovals(t.Context(), w.history(ok), w.verify("", ok)); match != nil || err != nil {
		t.Errorf("an accepted verdict: got a match or %v", err)
	}
}

var _ History = (*git.Repo)(nil)
