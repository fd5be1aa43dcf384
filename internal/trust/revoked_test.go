package trust

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// TestRevokedSince looks through a history that was accepted before the trust
// file revoked something.
func TestRevokedSince(t *testing.T) {
	w := newWorld(t)
	one := w.chain(w.intro, "ana", w.files.with("nodes/a.yaml", "2\n"))
	two := w.chain(one, "cai", w.files.with("nodes/a.yaml", "2\n", "datasets/d.yaml", "2\n"))
	three := w.chain(two, "ana", w.files.with("nodes/a.yaml", "3\n", "datasets/d.yaml", "2\n"))
	h := w.history(three)
	line := func(id, signer string) core.CommitVerdict {
		return core.CommitVerdict{Commit: id, Subject: "change", Signer: signer, Key: fingerprint(w.people[signer].public)}
	}
	for _, tt := range []struct {
		name, revoke string
		want         []core.CommitVerdict
	}{
		{"nothing", "", nil},
		{"the key of nobody here", "{ssh: ['" + fingerprint(w.people["mallory"].public) + "']}", nil},
		{"a key", "{ssh: ['" + fingerprint(w.people["ana"].public) + "']}", []core.CommitVerdict{line(three, "ana"), line(one, "ana")}},
		{"a payload", "{payloads: [" + w.payload(two) + "]}", []core.CommitVerdict{line(two, "cai")}},
	} {
		w.revoke = tt.revoke
		if diff := cmp.Diff(tt.want, revokedSince(t, w.verifier(), h, three)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// revokedSince returns the commits that a history is warned of.
func revokedSince(t *testing.T, v *Verifier, h History, tip string) []core.CommitVerdict {
	t.Helper()
	warning, err := v.RevokedSince(t.Context(), h, tip)
	if err != nil {
		t.Fatal(err)
	}
	if warning == nil {
		return nil
	}
	return warning.Commits
}

// TestRevokedSinceTooLong: a history that is too long to look through is told,
// and does not stop anything.
func TestRevokedSinceTooLong(t *testing.T) {
	w := newWorld(t)
	w.revoke = "{ssh: ['" + fingerprint(w.people["ana"].public) + "']}"
	tip := w.chain(w.intro, "cai", w.files, w.files, w.files)
	dir := t.TempDir() + "/store"
	h, err := git.Open(dir, git.Remote{URL: w.dir}, git.Limits{Commits: 5})
	if err != nil {
		t.Fatal(err)
	}
	w.write("refs/heads/main", tip+"\n")
	if _, err := h.Fetch(t.Context(), "refs/heads/main"); err != nil {
		t.Fatal(err)
	}
	small, err := git.Open(dir, git.Remote{URL: w.dir}, git.Limits{Commits: 1})
	if err != nil {
		t.Fatal(err)
	}
	warning, err := w.verifier().RevokedSince(t.Context(), small, tip)
	if err != nil || warning == nil || warning.Code != CodeLimit {
		t.Errorf("got %+v, %v; want a warning with %s", warning, err, CodeLimit)
	}
}

// TestRevokedApprovals looks for approvals by a key that was revoked after the
// commit was accepted.
func TestRevokedApprovals(t *testing.T) {
	w := council(t)
	one := w.chain(w.intro, "ana", w.files.with("two/x", "1"))
	two := w.chain(one, "bot", w.files.with("two/x", "2"))
	three := w.chain(two, "ana", w.files.with("two/x", "3"))
	four := w.chain(three, "ana", w.files.with("two/x", "4"))
	w.approve(approval{of: one, by: "cai"})
	w.approve(approval{of: two, by: "ana2", as: "ana"})                                                                 // the other key of ana
	w.approve(approval{of: three, by: "cai", armor: func(string) string { return w.people["cai"].sign(nil) }})          // over something else
	w.approve(approval{of: four, by: "cai", body: func(b string) string { return strings.Replace(b, "main", "x", 1) }}) // for another branch
	h := w.history(four)
	line := func(id, signer string, approvers ...string) core.CommitVerdict {
		return core.CommitVerdict{Commit: id, Subject: "change", Signer: signer, Key: fingerprint(w.people[signer].public), Approvers: approvers}
	}
	for _, tt := range []struct {
		name, revoke string
		match        []string // of the tags that there are
		want         []core.CommitVerdict
	}{
		{"nothing", "", nil, nil},
		{"a key of nobody", "{ssh: ['" + fingerprint(w.people["mallory"].public) + "']}", nil, nil},
		{"a key", "{ssh: ['" + fingerprint(w.people["cai"].public) + "']}", []string{"cai", "cai", "cai"}, []core.CommitVerdict{line(one, "ana", "cai")}},
		{"the second key", "{ssh: ['" + fingerprint(w.people["ana2"].public) + "']}", []string{"ana"}, []core.CommitVerdict{line(two, "bot", "ana")}},
	} {
		w.revoke = tt.revoke
		v := w.verifier()
		match, err := v.RevokedApprovals(t.Context(), h, four)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for ref := range w.tags {
			if match != nil && match(ref) {
				names = append(names, path.Base(ref))
			}
		}
		if diff := cmp.Diff(tt.match, names); diff != "" {
			t.Errorf("%s: tags to fetch (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.want, revokedSince(t, v, h, four)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
