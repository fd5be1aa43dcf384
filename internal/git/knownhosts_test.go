package git

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// What is wrong with the known hosts is told of the lines that were given, not of a
// file that nobody knows.
func TestKnownHostsThatAreNone(t *testing.T) {
	s := &sshSource{auth: Auth{KnownHosts: []byte("git.example ssh-ed25519 AAAA\nnonsense\n")}}
	_, err := s.knownHosts()
	if !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), "knownHostsFile:1: ") || strings.Contains(err.Error(), os.TempDir()) {
		t.Errorf("%v", err)
	}
}
