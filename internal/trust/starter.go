package trust

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"prumo.dev/prumo/internal/core"
)

//go:embed starter.yaml
var starter string

// Starter returns the first policy of a repo, in which one person may change
// everything, and the trust file that makes this person its root; the file's
// introduction is a command of the shell, since no commit is there yet.
// publicKey is the line of a .pub file.
func Starter(name, publicKey string) (policy, anchor string, err error) {
	if !validName(name) {
		return "", "", fmt.Errorf("the name %q must be a word of lower-case letters, digits, - . and _", name)
	}
	var k key
	if err := k.parseSSH(strings.TrimSpace(publicKey)); err != nil {
		return "", "", fmt.Errorf("not an SSH public key for signing: %w", err)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.ssh))) // without the comment, which may hold anything
	policy = strings.NewReplacer("NAME", name, "KEY", line).Replace(starter)
	return policy, fmt.Sprintf(`apiVersion: %s
kind: TrustAnchor
introduction: $(git rev-parse HEAD)
root:
  threshold: 1
  principals:
    %s: {keys: [{ssh: %s}]}
`, core.APIVersion, name, line), nil
}

// WriteStarter puts a policy into a directory that has none.
func WriteStarter(dir, policy string) (string, error) {
	path := filepath.Join(dir, filepath.FromSlash(PolicyPath))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return path, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if os.IsExist(err) {
		return path, fmt.Errorf("%s exists already and is never overwritten; change it by hand, or remove it first", path)
	}
	if err != nil {
		return path, err
	}
	if _, err := f.WriteString(policy); err != nil {
		f.Close()
		return path, err
	}
	return path, f.Close()
}
