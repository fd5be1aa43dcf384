package git_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/test/gitrepo"
)

func TestOpenRefuses(t *testing.T) {
	store := func(t *testing.T, file, content string) string {
		dir := t.TempDir()
		if _, err := gitrepo.New(dir); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	id := strings.Repeat("1", 40) + "\n"
	dirs := map[string]string{
		"shallow":      store(t, "shallow", id),
		"grafts":       store(t, "info/grafts", id),
		"alternates":   store(t, "objects/info/alternates", "/elsewhere\n"),
		"refs/replace": store(t, "refs/replace/"+id[:40], id),
		"sha256":       store(t, "config", "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = sha256\n"),
		"neither":      t.TempDir(),
	}
	if err := os.WriteFile(filepath.Join(dirs["neither"], "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for words, dir := range dirs {
		if _, err := git.Open(dir, git.Remote{URL: "/nowhere"}, git.Limits{}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: error %v", words, err)
		}
	}
	for url, words := range map[string]string{
		"https://ana:s3cret@example.org/infra.git": "password",
		"git://example.org/infra.git":              "not supported",
		"ftp://example.org/infra.git":              "not supported",
	} {
		_, err := git.Open(t.TempDir(), git.Remote{URL: url}, git.Limits{})
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: error %v", url, err)
		}
	}
	if _, err := git.Open(t.TempDir(), git.Remote{URL: "http://example.org/x", Auth: git.Auth{Password: "p"}}, git.Limits{}); err == nil {
		t.Error("a password over http is allowed")
	}
}

// A fetch that was killed leaves nothing that a later start keeps.
func TestOpenSweeps(t *testing.T) {
	a := newAuthor(t)
	a.change("f", "x")
	dir := t.TempDir()
	r, err := git.Open(dir, git.Remote{URL: a.Dir()}, git.Limits{})
	a.must(err)
	fetch(t, r, "main")
	want := files(t, dir)
	a.must(os.WriteFile(filepath.Join(dir, "incoming-1.pack"), []byte("PACK"), 0o600))
	a.must(os.WriteFile(filepath.Join(dir, "objects/pack/tmp_pack_1"), []byte("PACK"), 0o600))
	if _, err := git.Open(dir, git.Remote{URL: a.Dir()}, git.Limits{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
