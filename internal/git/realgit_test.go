package git_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/test/gitrepo"
)

// A realGit runs the installed git in a work tree of its own.
type realGit struct {
	t   *testing.T
	dir string
	env []string
}

func newRealGit(t *testing.T) *realGit {
	t.Helper()
	for _, tool := range []string{"git", "ssh-keygen", "gpg"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	home, err := os.MkdirTemp("", "prumo") // gpg's socket needs a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	g := &realGit{t: t, dir: t.TempDir(), env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GNUPGHOME=" + home,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_DATE=1767225600 +0100", "GIT_COMMITTER_DATE=1767225600 +0100"}}
	g.git("init", "-q", "-b", "main")
	g.git("config", "user.name", "Ana Äuthor")
	g.git("config", "user.email", "ana@example.org")
	return g
}

func (g *realGit) run(stdin []byte, name string, args ...string) string {
	g.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = g.dir, g.env, bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (g *realGit) git(args ...string) string {
	g.t.Helper()
	return g.run(nil, "git", args...)
}

func (g *realGit) write(name, data string) {
	g.t.Helper()
	file := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
		g.t.Fatal(err)
	}
	g.git("add", name)
}

// tip fetches a branch and returns its commit.
func (g *realGit) tip(branch string) *git.Commit {
	g.t.Helper()
	r := open(g.t, git.Remote{URL: g.dir}, git.Limits{})
	c, err := r.Commit(fetch(g.t, r, branch))
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

// The payload is what git's own signer signed.
func TestRealSSHSignature(t *testing.T) {
	g := newRealGit(t)
	g.run(nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ana", "-f", "../key")
	key := filepath.Join(g.dir, "../key")
	g.write("a", "1")
	g.git("-c", "gpg.format=ssh", "-c", "user.signingkey="+key, "commit", "-q", "-S", "-m", "größer\n\nbody")
	c := g.tip("main")
	if c.Message != "größer\n\nbody\n" || c.Author.Name != "Ana Äuthor" || c.Author.When.Unix() != 1767225600 {
		t.Errorf("commit %+v", c)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	verifySSH(g, string(public), c)
}

// Our author signs what git accepts.
func TestAuthorSignsAsGitDoes(t *testing.T) {
	g := newRealGit(t)
	key, err := gitrepo.NewKey("ana")
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthor(t)
	a.write("nodes/n1.yaml", "x")
	a.write("nodes.yaml", "x")
	id, err := a.Commit(gitrepo.Options{Message: "signed", Key: key})
	a.must(err)
	verifySSH(g, key.Public(), func() *git.Commit {
		c, err := a.fetched("main").Commit(id)
		a.must(err)
		return c
	}())
	signers := filepath.Join(t.TempDir(), "signers")
	a.must(os.WriteFile(signers, []byte("ana "+key.Public()+"\n"), 0o600))
	g.git("--git-dir", a.Dir(), "fsck", "--strict", "--full")
	g.git("--git-dir", a.Dir(), "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+signers, "verify-commit", id)
}

func verifySSH(g *realGit, public string, c *git.Commit) {
	g.t.Helper()
	dir := g.t.TempDir()
	signers, sig := filepath.Join(dir, "signers"), filepath.Join(dir, "sig")
	for name, data := range map[string]string{signers: "ana " + public + "\n", sig: c.Signature} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
	g.run(c.Payload, "ssh-keygen", "-Y", "verify", "-f", signers, "-I", "ana", "-n", "git", "-s", sig)
}

func TestRealPGPSignature(t *testing.T) {
	g := newRealGit(t)
	g.run(nil, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "ana@example.org", "ed25519", "sign")
	g.write("a", "1")
	g.git("commit", "-q", "-Sana@example.org", "-m", "one")
	c := g.tip("main")
	sig := filepath.Join(t.TempDir(), "sig")
	if err := os.WriteFile(sig, []byte(c.Signature), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run(c.Payload, "gpg", "--verify", sig, "-")
	g.run(nil, "gpgconf", "--kill", "all")
}

// A merge of a signed tag carries the tag in a header.
func TestRealMergeOfTag(t *testing.T) {
	g := newRealGit(t)
	g.write("a", "1")
	g.git("commit", "-q", "-m", "one")
	g.git("checkout", "-q", "-b", "side")
	g.write("b", "1")
	g.git("commit", "-q", "-m", "two")
	g.run(nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "../key")
	g.git("-c", "gpg.format=ssh", "-c", "user.signingkey="+filepath.Join(g.dir, "../key"), "tag", "-s", "-m", "v1", "v1")
	g.git("checkout", "-q", "main")
	g.git("merge", "-q", "--no-ff", "v1")
	if c := g.tip("main"); len(c.Parents) != 2 || !bytes.Contains(c.Payload, []byte("\nmergetag object ")) {
		t.Errorf("commit %s", c.Payload)
	}
}

// Packs that git made, deltas included, work trees and linked work trees.
func TestRealRepository(t *testing.T) {
	g := newRealGit(t)
	var lines strings.Builder
	for i := range 30 {
		fmt.Fprintf(&lines, "line %d of a file that makes deltas worth while\n", i)
		g.write("dir/a.yaml", lines.String())
		g.git("commit", "-q", "-m", fmt.Sprint(i))
	}
	large := strings.Repeat(lines.String(), 2000) // streamed by go-git, and a delta
	g.write("large.txt", large+"end")
	g.git("commit", "-q", "-m", "large")
	g.write("large.txt", large)
	g.git("commit", "-q", "-m", "large again")
	g.git("gc", "-q", "--aggressive")
	linked := filepath.Join(t.TempDir(), "linked")
	g.git("worktree", "add", "-q", "-b", "other", linked)
	for _, dir := range []string{g.dir, linked} {
		r := open(t, git.Remote{URL: dir}, git.Limits{})
		tip := fetch(t, r, "HEAD")
		if got, err := r.ReadFile(t.Context(), tip, "dir/a.yaml"); err != nil || string(got) != lines.String() {
			t.Errorf("%s: %d bytes, %v", dir, len(got), err)
		}
		for _, rev := range []string{"HEAD", "HEAD^"} {
			want := map[string]string{"HEAD": large, "HEAD^": large + "end"}[rev]
			if got, err := r.ReadFile(t.Context(), g.git("rev-parse", rev), "large.txt"); err != nil || string(got) != want {
				t.Errorf("%s: large file of %s: %d bytes, want %d, %v", dir, rev, len(got), len(want), err)
			}
		}
		commits, err := r.Range(t.Context(), "", tip)
		if err != nil || len(commits) != 32 {
			t.Errorf("%s: %d commits, %v", dir, len(commits), err)
		}
	}
}

// Where both merge without a conflict, the trees are the same.
func TestMergeAsGitDoes(t *testing.T) {
	type side func(g *realGit)
	rm := func(name string) side { return func(g *realGit) { g.git("rm", "-q", name) } }
	wr := func(name, data string) side { return func(g *realGit) { g.write(name, data) } }
	exe := func(name string) side { return func(g *realGit) { g.git("update-index", "--chmod=+x", name) } }
	tests := map[string]struct {
		ours, theirs side
		conflicts    []string
	}{
		"apart":             {wr("x", "1"), wr("y", "1"), nil},
		"same file added":   {wr("x", "1"), wr("x", "1"), nil},
		"same edit":         {wr("dir/a", "2"), wr("dir/a", "2"), nil},
		"delete and edit":   {rm("dir/a"), wr("dir/b", "2"), nil},
		"both delete":       {rm("dir/a"), rm("dir/a"), nil},
		"mode and content":  {exe("dir/a"), wr("dir/a", "2"), nil},
		"only theirs":       {wr("z", "ours"), rm("dir/b"), nil},
		"both edit":         {wr("dir/a", "2"), wr("dir/a", "3"), []string{"dir/a"}},
		"edit and delete":   {wr("dir/a", "2"), rm("dir/a"), []string{"dir/a"}},
		"both add":          {wr("n", "1"), wr("n", "2"), []string{"n"}},
		"file against tree": {wr("n", "1"), wr("n/m", "1"), []string{"n", "n/m"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := newRealGit(t)
			g.write("dir/a", "1")
			g.write("dir/b", "something else entirely")
			g.git("commit", "-q", "-m", "base")
			g.git("checkout", "-q", "-b", "theirs")
			test.theirs(g)
			g.git("commit", "-q", "-m", "theirs")
			g.git("checkout", "-q", "-f", "main")
			test.ours(g)
			g.git("commit", "-q", "-m", "ours")
			r := open(t, git.Remote{URL: g.dir}, git.Limits{})
			tree, conflicts, err := r.Merge(t.Context(), fetch(t, r, "main"), fetch(t, r, "theirs"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.conflicts, conflicts); diff != "" {
				t.Errorf("conflicts (-want +got):\n%s", diff)
			}
			want := "main" // conflicts keep what base has
			if test.conflicts == nil {
				want = g.git("merge-tree", "--write-tree", "main", "theirs")
			}
			if diff := cmp.Diff(g.listing(want), modesAndData(t, tree.FS)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}
