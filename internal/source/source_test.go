package source_test

import (
	"os"
	"path/filepath"
	"testing"

	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/source"
	"prumo.dev/prumo/internal/trust"
	"prumo.dev/prumo/test/lab"
)

// open opens the state folder of a lab, as a daemon that was started again would.
func open(t *testing.T, l *lab.Lab) *source.Source {
	t.Helper()
	data, err := os.ReadFile(l.Trust)
	if err != nil {
		t.Fatal(err)
	}
	anchor, problems := trust.ParseAnchor(l.Trust, data)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s, err := source.Open(source.Options{Dir: filepath.Join(l.Dir, "state"), Ref: "refs/heads/main",
		Remote: git.Remote{URL: l.Origin}, Anchor: anchor})
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
	s := open(t, l)
	if got := s.Applied().Commit; got != "" {
		t.Errorf("%s counts as applied before anything was", got)
	}
	rev, _, err := s.Advance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetApplied(rev); err != nil {
		t.Fatal(err)
	}
	if got := open(t, l).Applied(); got != rev {
		t.Errorf("after a restart %+v counts as applied, want %+v", got, rev)
	}
}

// TestPropose judges and merges a branch that parted before the base went on.
func TestPropose(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Repo.Branch("proposal"); err != nil {
		t.Fatal(err)
	}
	head := commit(t, l, "flo", "tools/label-studio.yaml")
	if err := l.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	base := commit(t, l, "ana", "workspaces/ana.yaml")
	s := open(t, l)
	if _, _, err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := s.Propose(t.Context(), "refs/heads/proposal")
	if err != nil {
		t.Fatal(err)
	}
	if p.Head != head || p.Base.Commit != base || p.Verdict.Refusal != nil || len(p.Conflicts) > 0 {
		t.Fatalf("proposal %+v", p)
	}
	for _, name := range []string{"tools/label-studio.yaml", "workspaces/ana.yaml"} {
		if f, err := p.Tree.FS.Open(name); err == nil {
			f.Close()
			t.Errorf("%s is in the merge, though one side removed it", name)
		}
	}
}
