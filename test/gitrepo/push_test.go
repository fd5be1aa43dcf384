package gitrepo_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"prumo.dev/prumo/test/gitrepo"
	"prumo.dev/prumo/test/gitserver"
)

func TestPush(t *testing.T) {
	root := t.TempDir()
	bare := filepath.Join(root, "infra.git")
	server, err := gitserver.StartHTTPS(root, "ana", "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	if _, err := gitrepo.New(bare); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"path": filepath.Join(root, "made.git"),
		"url":  strings.Replace(server.URL("infra.git"), "https://", "https://ana:s3cret@", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := gitrepo.New(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			r.CA = server.CA()
			commit := func(data string) string {
				id, err := r.Commit(gitrepo.Options{Message: data})
				if err = errors.Join(err, r.Write("f", []byte(data))); err != nil {
					t.Fatal(err)
				}
				return id
			}
			first := commit("one")
			commit("two")
			if err := r.Push(to); err != nil {
				t.Fatal(err)
			}
			if err := r.Push(to); err != nil {
				t.Errorf("push of nothing new: %v", err)
			}
			if err := r.Reset(first); err != nil {
				t.Fatal(err)
			}
			commit("three")
			if err := r.Push(to); err == nil {
				t.Error("a rewritten branch was pushed without force")
			}
			if err := r.PushForce(to); err != nil {
				t.Error(err)
			}
		})
	}
}
