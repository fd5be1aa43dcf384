package git_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/test/gitrepo"
	"prumo.dev/prumo/test/gitserver"
)

// noise does not compress, so that what is sent can be told by its size.
func noise(n int) string {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{1})
	_, _ = src.Read(b)
	return string(b)
}

// A server is one way to reach the repositories below a folder.
type server interface {
	URL(repo string) string
	Sent() int64
	SetDown(bool)
	Stop()
}

// servers starts each kind and returns it with what a client needs.
var servers = map[string]func(t *testing.T, root string) (server, git.Auth){
	"https": func(t *testing.T, root string) (server, git.Auth) {
		s, err := gitserver.StartHTTPS(root, "ana", "s3cret")
		if err != nil {
			t.Fatal(err)
		}
		return s, git.Auth{Username: "ana", Password: "s3cret", CA: s.CA()}
	},
	"ssh": func(t *testing.T, root string) (server, git.Auth) {
		key, err := gitrepo.NewKey("ana@example.org")
		if err != nil {
			t.Fatal(err)
		}
		s, err := gitserver.StartSSH(root, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		private, err := key.PrivatePEM()
		if err != nil {
			t.Fatal(err)
		}
		return s, git.Auth{SSHKey: private, KnownHosts: s.KnownHosts()}
	},
	"path": func(_ *testing.T, root string) (server, git.Auth) { return localPath(root), git.Auth{} },
	"file": func(_ *testing.T, root string) (server, git.Auth) { return localPath("file://" + root), git.Auth{} },
}

type localPath string

func (p localPath) URL(repo string) string { return string(p) + "/" + repo }
func (p localPath) Sent() int64            { return 0 }
func (p localPath) SetDown(down bool) {
	from, to := strings.TrimPrefix(string(p), "file://")+"/infra.git", strings.TrimPrefix(string(p), "file://")+"/gone.git"
	if !down {
		from, to = to, from
	}
	if err := os.Rename(from, to); err != nil {
		panic(err)
	}
}
func (p localPath) Stop() {}

func TestFetch(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			bare := filepath.Join(root, "infra.git")
			s, auth := start(t, root)
			t.Cleanup(s.Stop)
			a := newAuthor(t)
			a.write("pools/big.bin", noise(200_000))
			first := a.change("nodes/n1.yaml", "one")
			a.must(a.Push(bare))
			a.must(a.Branch("other"))
			a.change("elsewhere", "x")
			a.must(a.Push(bare))
			a.must(a.Checkout("main"))

			dir := t.TempDir()
			remote := git.Remote{URL: s.URL("infra.git"), Auth: auth}
			r, err := git.Open(dir, remote, git.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := fetch(t, r, "main"); got != first {
				t.Fatalf("tip %s, want %s", got, first)
			}
			if _, err := r.Resolve(t.Context(), "other"); !errors.Is(err, git.ErrNotFound) {
				t.Errorf("another branch came along: %v", err)
			}

			// Only what is new is sent.
			sent := s.Sent()
			second := a.change("nodes/n1.yaml", "two")
			a.must(a.Push(bare))
			if got := fetch(t, r, "refs/heads/main"); got != second {
				t.Fatalf("tip %s, want %s", got, second)
			}
			if n := s.Sent() - sent; n > 20_000 {
				t.Errorf("%d bytes were sent for one small commit", n)
			}
			sent = s.Sent()
			fetch(t, r, "main")
			if n := s.Sent() - sent; n > 10_000 {
				t.Errorf("%d bytes were sent for nothing new", n)
			}

			// What was fetched survives a restart, and an outage.
			s.SetDown(true)
			if r, err = git.Open(dir, remote, git.Limits{}); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Fetch(t.Context(), "main"); !errors.Is(err, git.ErrUnreachable) {
				t.Errorf("fetch during an outage: %v", err)
			}
			if got, err := r.Resolve(t.Context(), "main"); err != nil || got != second {
				t.Errorf("after a restart main is %s, %v", got, err)
			}
			if got, err := r.ReadFile(t.Context(), second, "nodes/n1.yaml"); err != nil || string(got) != "two" {
				t.Errorf("after a restart the file is %q, %v", got, err)
			}
			s.SetDown(false)

			// A rewritten branch is fetched; the old commits stay.
			a.must(a.Reset(first))
			third := a.change("nodes/n1.yaml", "rewritten")
			if err := a.Push(bare); !errors.Is(err, gitrepo.ErrRewritten) {
				t.Fatalf("push of a rewritten branch: %v", err)
			}
			a.must(a.PushForce(bare))
			if got := fetch(t, r, "main"); got != third {
				t.Fatalf("tip %s, want %s", got, third)
			}
			if _, err := r.Range(t.Context(), second, third); !errors.Is(err, git.ErrNotDescendant) {
				t.Errorf("range over a rewritten branch: %v", err)
			}
			if _, err := r.Commit(second); err != nil {
				t.Errorf("the old tip is gone: %v", err)
			}

			// A deleted branch leaves the store as it was.
			if _, err := r.Fetch(t.Context(), "nosuch"); !errors.Is(err, git.ErrRefMissing) {
				t.Errorf("fetch of a missing branch: %v", err)
			}
			if got, err := r.Resolve(t.Context(), "main"); err != nil || got != third {
				t.Errorf("main is %s, %v", got, err)
			}
		})
	}
}

// Many commits of ours are unknown to the remote before one is common.
func TestFetchAfterRewriteSendsOnlyNew(t *testing.T) {
	for _, kind := range []string{"https", "ssh"} {
		t.Run(kind, func(t *testing.T) {
			root := t.TempDir()
			bare := filepath.Join(root, "infra.git")
			s, auth := servers[kind](t, root)
			t.Cleanup(s.Stop)
			a := newAuthor(t)
			base := a.change("big.bin", noise(200_000))
			for range 40 {
				a.change("f", noise(10)+a.now.String())
			}
			a.must(a.Push(bare))
			r := open(t, git.Remote{URL: s.URL("infra.git"), Auth: auth}, git.Limits{})
			fetch(t, r, "main")

			a.must(os.RemoveAll(bare)) // the remote forgets what it had
			a.must(a.Reset(base))
			tip := a.change("f", "new")
			a.must(a.PushForce(bare))
			sent := s.Sent()
			if got := fetch(t, r, "main"); got != tip {
				t.Fatalf("tip %s, want %s", got, tip)
			}
			if n := s.Sent() - sent; n > 50_000 {
				t.Errorf("%d bytes were sent for one small commit", n)
			}
		})
	}
}

func TestFetchRefusals(t *testing.T) {
	root := t.TempDir()
	a := newAuthor(t)
	a.change("f", "x")
	a.must(a.Push(filepath.Join(root, "infra.git")))
	if _, err := gitrepo.New(filepath.Join(root, "empty.git")); err != nil {
		t.Fatal(err)
	}
	https, httpsAuth := servers["https"](t, root)
	t.Cleanup(https.Stop)
	sshd, sshAuth := servers["ssh"](t, root)
	t.Cleanup(sshd.Stop)
	_, strangerAuth := servers["ssh"](t, root)
	stopped, _ := servers["https"](t, root)
	stopped.Stop()
	t.Setenv("HOME", t.TempDir()) // no known hosts of whoever runs this
	t.Setenv("SSH_AUTH_SOCK", "")

	wrong := httpsAuth
	wrong.Password = "wr0ng"
	unknownHost := git.Auth{SSHKey: sshAuth.SSHKey, KnownHosts: []byte("example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfVSf5t3wIJoHyI4yUpdPTPRMrAPWbEHwFJbI0M2ZtT\n")}
	otherKey, err := gitrepo.NewKey("")
	a.must(err)
	host, _, _ := strings.Cut(string(sshAuth.KnownHosts), " ")
	changedHost := git.Auth{SSHKey: sshAuth.SSHKey, KnownHosts: []byte(host + " " + otherKey.Public() + "\n")}
	tests := map[string]struct {
		remote git.Remote
		want   error
		words  string
	}{
		"https wrong password":      {git.Remote{URL: https.URL("infra.git"), Auth: wrong}, git.ErrAuth, "infra.git"},
		"https no password":         {git.Remote{URL: https.URL("infra.git"), Auth: git.Auth{CA: httpsAuth.CA}}, git.ErrAuth, ""},
		"https unknown authority":   {git.Remote{URL: https.URL("infra.git"), Auth: git.Auth{Username: "ana", Password: "s3cret"}}, git.ErrUnreachable, "unknown authority"},
		"https stopped":             {git.Remote{URL: stopped.URL("infra.git"), Auth: httpsAuth}, git.ErrUnreachable, "refused"},
		"https no repository":       {git.Remote{URL: https.URL("nosuch.git"), Auth: httpsAuth}, git.ErrRefMissing, "no such repository"},
		"https empty repository":    {git.Remote{URL: https.URL("empty.git"), Auth: httpsAuth}, git.ErrRefMissing, "empty"},
		"ssh unknown host":          {git.Remote{URL: sshd.URL("infra.git"), Auth: unknownHost}, git.ErrHostKey, "ssh-keyscan"},
		"ssh no known hosts at all": {git.Remote{URL: sshd.URL("infra.git"), Auth: git.Auth{SSHKey: sshAuth.SSHKey}}, git.ErrHostKey, "ssh-keyscan"},
		"ssh changed host key":      {git.Remote{URL: sshd.URL("infra.git"), Auth: changedHost}, git.ErrHostKey, "another key"},
		"ssh wrong key":             {git.Remote{URL: sshd.URL("infra.git"), Auth: git.Auth{SSHKey: strangerAuth.SSHKey, KnownHosts: sshAuth.KnownHosts}}, git.ErrAuth, ""},
		"ssh no key, no agent":      {git.Remote{URL: sshd.URL("infra.git"), Auth: git.Auth{KnownHosts: sshAuth.KnownHosts}}, git.ErrAuth, "ssh-agent"},
		"ssh no repository":         {git.Remote{URL: sshd.URL("nosuch.git"), Auth: sshAuth}, git.ErrRefMissing, "nosuch.git"},
		"ssh empty repository":      {git.Remote{URL: sshd.URL("empty.git"), Auth: sshAuth}, git.ErrRefMissing, "empty"},
		"path no repository":        {git.Remote{URL: filepath.Join(root, "nosuch.git")}, git.ErrUnreachable, "no Git repository"},
		"path empty repository":     {git.Remote{URL: filepath.Join(root, "empty.git")}, git.ErrRefMissing, "no commit yet"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r, err := git.Open(dir, test.remote, git.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			before := files(t, dir)
			_, err = r.Fetch(t.Context(), "main")
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.words) {
				t.Errorf("error %q, want %q with %q", err, test.want, test.words)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "wr0ng") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error tells a secret or has several lines: %q", err)
			}
			if diff := cmp.Diff(before, files(t, dir)); diff != "" {
				t.Errorf("the store changed (-want +got):\n%s", diff)
			}
		})
	}
}

// files lists all files below a folder.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(name, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestFetchLimits(t *testing.T) {
	root := t.TempDir()
	bare := filepath.Join(root, "infra.git")
	a := newAuthor(t)
	small := a.change("small", "x")
	a.must(a.Push(bare))
	https, httpsAuth := servers["https"](t, root)
	t.Cleanup(https.Stop)
	sshd, sshAuth := servers["ssh"](t, root)
	t.Cleanup(sshd.Stop)
	remotes := map[string]git.Remote{
		"https": {URL: https.URL("infra.git"), Auth: httpsAuth},
		"ssh":   {URL: sshd.URL("infra.git"), Auth: sshAuth},
		"path":  {URL: bare},
	}
	stores := map[string]string{}
	for name, remote := range remotes {
		stores[name] = t.TempDir()
		r, err := git.Open(stores[name], remote, git.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		fetch(t, r, "main")
	}
	a.change("noise.bin", noise(300_000))
	a.must(a.Push(bare))
	a.must(a.Branch("model"))
	a.must(a.Write("model.bin", make([]byte, 100<<20)))
	a.commit()
	a.must(a.Push(bare))
	tests := []struct {
		what   string
		branch string
		limits git.Limits
	}{
		{"object bytes", "model", git.Limits{}}, // 100 KiB as sent
		{"pack bytes", "main", git.Limits{PackBytes: 100_000}},
		{"pack objects", "main", git.Limits{PackObjects: 1}},
		{"inflated bytes", "main", git.Limits{InflatedBytes: 200_000}},
	}
	for name, remote := range remotes {
		for _, test := range tests {
			t.Run(name+" "+test.what, func(t *testing.T) {
				r, err := git.Open(stores[name], remote, test.limits)
				if err != nil {
					t.Fatal(err)
				}
				before := files(t, stores[name])
				_, err = r.Fetch(t.Context(), test.branch)
				if !errors.Is(err, git.ErrLimit) || !strings.Contains(err.Error(), test.what) {
					t.Errorf("error %v, want the limit of %s", err, test.what)
				}
				if diff := cmp.Diff(before, files(t, stores[name])); diff != "" {
					t.Errorf("the store changed (-want +got):\n%s", diff)
				}
				if got, err := r.Resolve(t.Context(), "main"); err != nil || got != small {
					t.Errorf("main is %s, %v; want %s", got, err, small)
				}
			})
		}
	}
}

// A file over the limit that did reach the store is not read.
func TestBlobLimit(t *testing.T) {
	a := newAuthor(t)
	tip := a.change("data/large.yaml", strings.Repeat("x", 3000))
	r := open(t, git.Remote{URL: a.Dir()}, git.Limits{BlobBytes: 2000})
	fetch(t, r, "main")
	want := &git.BadObject{ID: "", Path: "data/large.yaml", Code: git.CodeSize, Reason: "blob of 3000 bytes; the limit is 2000"}
	tree, err := r.Tree(core.Revision{Commit: tip})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tree.FS.Open("data/large.yaml")
	checkBad(t, err, want)
	_, err = r.ReadFile(t.Context(), tip, "data/large.yaml")
	checkBad(t, err, want)
}

// checkBad compares all but the id.
func checkBad(t *testing.T, err error, want *git.BadObject) {
	t.Helper()
	var got *git.BadObject
	if !errors.As(err, &got) {
		t.Fatalf("error %v, want a bad object: %v", err, want)
	}
	flat := *got
	flat.ID = ""
	if diff := cmp.Diff(*want, flat); diff != "" {
		t.Errorf("bad object (-want +got):\n%s", diff)
	}
}

func TestFetchCancelled(t *testing.T) {
	for kind, start := range servers {
		t.Run(kind, func(t *testing.T) {
			root := t.TempDir()
			a := newAuthor(t)
			a.change("f", "x")
			a.must(a.Push(filepath.Join(root, "infra.git")))
			s, auth := start(t, root)
			t.Cleanup(s.Stop)
			r := open(t, git.Remote{URL: s.URL("infra.git"), Auth: auth}, git.Limits{})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := r.Fetch(ctx, "main"); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want that it was cancelled", err)
			}
		})
	}
}

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
