package source_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/source"
	"prumo.dev/prumo/internal/trust"
	"prumo.dev/prumo/test/cluster/clustertest"
	"prumo.dev/prumo/test/lab"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// open opens the state folder of a lab, as a daemon that was started again would.
func open(t *testing.T, l *lab.Lab, change ...func(*source.Options)) *source.Source {
	t.Helper()
	data, err := os.ReadFile(l.Trust)
	if err != nil {
		t.Fatal(err)
	}
	anchor, problems := trust.ParseAnchor(l.Trust, data)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	opts := source.Options{Dir: filepath.Join(l.Dir, "state"), Ref: "refs/heads/main",
		Remote: git.Remote{URL: l.Origin}, Anchor: anchor}
	for _, f := range change {
		f(&opts)
	}
	s, err := source.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func commit(t *testing.T, l *lab.Lab, who, path string) string {
	t.Helper()
	if err := l.Repo.Remove(path); err != nil {
		t.Fatal(err)
	}
	id, err := l.Commit(who, "remove "+path)
	if err == nil {
		err = l.Push()
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestAcceptedSurvivesARestart proves that history only goes forward, whatever
// the daemon forgot: its own memory is not what keeps a rollback out.
func TestAcceptedSurvivesARestart(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	old := l.Repo.Head()
	newer := commit(t, l, "flo", "tools/label-studio.yaml")
	rev, refused, err := open(t, l).Advance(t.Context())
	if err != nil || refused != nil || rev.Commit != newer || rev.Signer != "flo" {
		t.Fatalf("in force %+v, refused %v, error %v; want %s by flo", rev, refused, err, newer)
	}

	again := open(t, l)
	if got := again.Accepted(); got != rev {
		t.Errorf("after a restart %+v is in force, want %+v", got, rev)
	}
	if err := l.Repo.Reset(old); err != nil {
		t.Fatal(err)
	}
	if err := l.Repo.PushForce(l.Origin); err != nil {
		t.Fatal(err)
	}
	got, refused, err := again.Advance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got != rev || refused == nil || refused.Refusal.Code != "E-REWRITTEN" {
		t.Errorf("a branch that went back: in force %+v, verdict %+v", got, refused)
	}
}

func TestAppliedSurvivesARestart(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	docs := documents(t)
	open := func() *source.Source { return open(t, l, func(o *source.Options) { o.Cluster = docs }) }
	s := open()
	if got := s.Applied().Commit; got != "" {
		t.Errorf("%s counts as applied before anything was", got)
	}
	rev, _, err := s.Advance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := core.Applied{Revision: rev, Kept: core.Kept{"MLTool/qdrant": rev.Commit}}
	for i := range 5000 { // all of a kind that broke
		want.Kept[fmt.Sprintf("Node/gpu-h100-sxm-%04d", i)] = l.Repo.Head()
	}
	if err := s.SetApplied(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(l.Dir, "state")); err != nil {
		t.Fatal(err)
	}
	s = open() // from the cluster's copy
	if _, _, err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, s.Applied()); diff != "" {
		t.Errorf("applied, after a restart (-want +got):\n%s", diff)
	}
}

// An approved is a lab whose policy wants two people for a workspace.
type approved struct {
	*lab.Lab
	t *testing.T
}

func newApproved(t *testing.T) *approved {
	t.Helper()
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &approved{l, t}
	text, err := os.ReadFile(l.Trust)
	w.must(err)
	w.must(os.WriteFile(l.Trust, append(text, "repo: {id: lab, ref: refs/heads/main}\n"...), 0o600))
	two := strings.NewReplacer("version: 1\n", "version: 2\n", "  - name: workspaces\n", "  - name: workspaces\n    threshold: 2\n").Replace(l.Policy)
	w.must(l.Repo.Write(trust.PolicyPath, []byte(two)))
	_, err = l.Commit(lab.Root, "policy: two for a workspace")
	w.must(err)
	w.must(l.Push())
	return w
}

func (w *approved) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// approve has someone approve a commit of the branch that is checked out, and returns
// the tag's ref.
func (w *approved) approve(id, who string) string {
	w.t.Helper()
	store, err := git.Open(filepath.Join(w.t.TempDir(), "objects"), git.Remote{URL: w.Repo.Dir()}, git.Limits{})
	w.must(err)
	for _, branch := range []string{"main", "idea"} {
		if w.Repo.Tip(branch) != "" {
			_, err = store.Fetch(w.t.Context(), branch)
			w.must(err)
		}
	}
	c, err := store.Commit(id)
	w.must(err)
	ref := trust.ApprovalRef(c.Tree, who)
	body := fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger E <e@lab.example> 1 +0000\n\n%s",
		id, strings.TrimPrefix(ref, "refs/tags/"), (&trust.Anchor{Repo: "lab", Ref: "refs/heads/main"}).ApprovalBody(c))
	signature, err := w.Keys[who].Sign([]byte(body))
	w.must(err)
	tag, err := w.Repo.WriteRaw("tag", []byte(body+signature))
	w.must(err)
	w.must(w.Push())
	file := filepath.Join(w.Origin, ref)
	w.must(os.MkdirAll(filepath.Dir(file), 0o755))
	w.must(os.WriteFile(file, []byte(tag+"\n"), 0o644))
	return ref
}

// TestApproval follows a branch on which a rule wants two people.
func TestApproval(t *testing.T) {
	l := newApproved(t)
	s := open(t, l.Lab)
	id := commit(t, l.Lab, "flo", "workspaces/ana.yaml")
	rev, refused, err := s.Advance(t.Context())
	if err != nil || refused == nil || refused.Refusal.Code != "E-THRESHOLD" {
		t.Fatalf("without an approval: %+v, %v", refused, err)
	}
	l.approve(id, "eli")
	if rev, refused, err = s.Advance(t.Context()); err != nil || refused != nil || rev.Commit != id {
		t.Errorf("with an approval: in force %s, refused %+v, %v; want %s", rev.Commit, refused, err, id)
	}

	text, err := os.ReadFile(l.Trust)
	l.must(err)
	l.must(os.WriteFile(l.Trust, fmt.Appendf(text, "revoked: {ssh: [%q]}\n", l.Keys["eli"].Fingerprint()), 0o600))
	s = open(t, l.Lab)
	for range 2 {
		_, _, err = s.Advance(t.Context())
		l.must(err)
		if w := s.Warnings(); len(w) != 1 || len(w[0].Commits) != 1 || w[0].Commits[0].Commit != id || !slices.Equal(w[0].Commits[0].Approvers, []string{"eli"}) {
			t.Errorf("eli's key is revoked since: warnings %+v, want one that lists %s with eli's approval", w, id)
		}
	}
}

// TestAnchorOfAnotherRef: approvals are bound to the ref of the trust file.
func TestAnchorOfAnotherRef(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(l.Trust)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.Trust, append(text, "repo: {id: lab, ref: refs/heads/dev}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	rev, _, err := open(t, l).Advance(t.Context())
	if err == nil || rev.Commit != "" || !strings.Contains(err.Error(), "is about refs/heads/dev") {
		t.Errorf("got %+v, %v; want an error about the ref", rev, err)
	}
}

// override has the root principal say that a step may be taken.
func override(t *testing.T, l *lab.Lab, from, to string) {
	t.Helper()
	ref := trust.OverrideRef(from, to, lab.Root)
	body := fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger A <a@lab.example> 1 +0000\n\n%s",
		to, strings.TrimPrefix(ref, "refs/tags/"), (&trust.Anchor{Repo: "lab", Ref: "refs/heads/main"}).OverrideBody(from, to))
	signature, err := l.Keys[lab.Root].Sign([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	tag, err := l.Repo.WriteRaw("tag", []byte(body+signature))
	if err == nil {
		err = l.Push()
	}
	file := filepath.Join(l.Origin, ref)
	err = errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(tag+"\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

// TestOverride leaves an accepted revision by the word of the root principal.
func TestOverride(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(l.Trust)
	must(err)
	must(os.WriteFile(l.Trust, append(text, "repo: {id: lab, ref: refs/heads/main}\n"...), 0o600))
	good := l.Repo.Head()
	bad := commit(t, l, "flo", "tools/label-studio.yaml")
	s := open(t, l)
	_, _, err = s.Advance(t.Context())
	must(err)
	must(l.Repo.Reset(good))
	must(l.Repo.PushForce(l.Origin))
	rev, refused, err := s.Advance(t.Context())
	must(err)
	if rev.Commit != bad || refused == nil || refused.Refusal.Code != "E-REWRITTEN" {
		t.Fatalf("without an override: in force %s, %+v", rev.Commit, refused)
	}

	override(t, l, bad, good)
	rev, refused, err = s.Advance(t.Context())
	if err != nil || refused != nil || rev.Commit != good {
		t.Fatalf("with an override: in force %s, %+v, %v; want %s", rev.Commit, refused, err, good)
	}

	must(l.Repo.Reset(bad))
	must(l.Push())
	rev, refused, err = open(t, l).Advance(t.Context())
	if err != nil || rev.Commit != good || refused == nil || refused.Refusal.Code != "E-LEFT" {
		t.Errorf("the bad revision again, after a restart: in force %s, %+v, %v", rev.Commit, refused, err)
	}
}

// TestAgree: while the folder and the cluster disagree, nothing is in force.
func TestAgree(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	docs := documents(t)
	open := func() *source.Source { return open(t, l, func(o *source.Options) { o.Cluster = docs }) }
	s := open()
	rev, refused, err := s.Advance(t.Context())
	if err != nil || refused != nil || rev.Commit == "" {
		t.Fatal(rev, refused, err)
	}
	if err := s.SetApplied(t.Context(), core.Applied{Revision: rev}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(l.Dir, "state")); err != nil {
		t.Fatal(err)
	}
	s = open()
	got, refused, err := s.Advance(t.Context())
	if err != nil || refused != nil || got != rev || s.Applied().Revision != rev || len(s.Warnings()) != 1 {
		t.Errorf("without its folder: in force %+v, applied %+v, refused %+v, warnings %v, %v", got, s.Applied(), refused, s.Warnings(), err)
	}

	data, version, err := docs.Load(t.Context(), "accepted")
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(data), rev.Commit, strings.Repeat("0", 40), 1)
	if _, err := docs.Save(t.Context(), "accepted", []byte(forged), version); err != nil {
		t.Fatal(err)
	}
	s = open()
	got, refused, err = s.Advance(t.Context())
	if err != nil || got.Commit != "" || refused == nil || refused.Refusal.Code != trust.CodeState {
		t.Errorf("after somebody edited the cluster's copy: in force %+v, refused %+v, %v", got, refused, err)
	}
}

func documents(t *testing.T) trust.Documents {
	t.Helper()
	live, err := cluster.New(clustertest.Shared(t).Config(), "lab")
	if err != nil {
		t.Fatal(err)
	}
	return live.Documents(clustertest.Namespace(t))
}
