package git_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

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
