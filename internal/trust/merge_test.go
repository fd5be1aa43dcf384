package trust

import (
	"strings"
	"testing"
)

// TestMergeButton is what becomes of a pull request, by how it is merged: the ways
// of docs/trust.md, "Pull requests and the merge button".
func TestMergeButton(t *testing.T) {
	// forge is a world whose forge has a key of its own, that counts for nobody.
	forge := func() *world {
		w := newWorld(t)
		w.policy = strings.Replace(w.policyText(1, `
groups: {platform: [ana, cai]}
rules:
  - {name: machines, paths: [nodes/**], signers: [platform, bot], humans: true}
merge: {signers: [platform, bot]}
`), "bot: {kind: human", "bot: {kind: bot", 1)
		w.repo = "{id: infra, ref: refs/heads/main}"
		w.files = w.files.with(PolicyPath, w.policy)
		w.intro = w.commit(commit{files: w.files})
		return w
	}
	for _, tt := range []struct {
		name  string
		merge func(w *world, ours, theirs string, both files) string
		code  string
	}{
		{"fast-forward", func(w *world, _, _ string, _ files) string {
			return w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
		}, ""},
		{"merged with git, and signed", func(w *world, ours, theirs string, both files) string {
			return w.commit(commit{on: []string{ours, theirs}, by: "ana", files: both})
		}, ""},
		{"merged by the forge, not signed", func(w *world, ours, theirs string, both files) string {
			return w.commit(commit{on: []string{ours, theirs}, files: both})
		}, CodeUnsigned},
		{"merged by GitHub", func(w *world, ours, theirs string, both files) string {
			return w.commit(commit{on: []string{ours, theirs}, by: "ana", files: both, armor: func(a string) string {
				return strings.ReplaceAll(a, "SSH", "PGP") + "\n" // as its key signs: one empty line more
			}})
		}, CodeFormat},
		{"merged by a forge with a key", func(w *world, ours, theirs string, both files) string {
			return w.commit(commit{on: []string{ours, theirs}, by: "bot", files: both})
		}, CodeThreshold},
		{"merged by a forge with a key, and approved by a person", func(w *world, ours, theirs string, both files) string {
			c := w.commit(commit{on: []string{ours, theirs}, by: "bot", files: both})
			w.approve(approval{of: c, by: "cai"})
			return c
		}, ""},
		{"merged by a forge with a key that the policy does not know", func(w *world, ours, theirs string, both files) string {
			return w.commit(commit{on: []string{ours, theirs}, by: "mallory", files: both})
		}, CodeKeyUnknown},
		{"squashed by a forge with a key", func(w *world, ours, _ string, both files) string {
			return w.commit(commit{on: []string{ours}, by: "bot", files: both})
		}, CodeThreshold},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := forge()
			ours := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
			theirs := w.chain(w.intro, "cai", w.files.with("nodes/b.yaml", "2\n"))
			if got := w.outcome("", tt.merge(w, ours, theirs, w.files.with("nodes/a.yaml", "2\n", "nodes/b.yaml", "2\n"))); got != tt.code {
				t.Errorf("got %q, want %q", got, tt.code)
			}
		})
	}
}
