package trust

import (
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
		warning, err := w.verifier().RevokedSince(t.Context(), h, three)
		if err != nil {
			t.Fatal(err)
		}
		var got []core.CommitVerdict
		if warning != nil {
			got = warning.Commits
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
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
