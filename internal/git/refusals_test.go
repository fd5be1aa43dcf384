package git_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/test/gitrepo"
)

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

func TestFetchRefusesSHA256(t *testing.T) {
	g := newRealGit(t)
	root := t.TempDir()
	g.git("init", "-q", "--object-format=sha256", "-b", "main", root+"/infra.git")
	g.git("-C", root+"/infra.git", "-c", "user.name=a", "-c", "user.email=a", "commit", "-q", "--allow-empty", "-m", "x")
	for kind, start := range servers {
		s, auth := start(t, root)
		t.Cleanup(s.Stop)
		r := open(t, git.Remote{URL: s.URL("infra.git/.git"), Auth: auth}, git.Limits{})
		if _, err := r.Fetch(t.Context(), "main"); err == nil || !strings.Contains(err.Error(), "SHA-256") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
