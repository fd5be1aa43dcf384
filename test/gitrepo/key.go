package gitrepo

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// A Signer signs the payload of a commit. Key is one.
type Signer interface {
	Sign(payload []byte) (armored string, err error)
}

// A Key is an ed25519 SSH key.
type Key struct {
	private ed25519.PrivateKey
	signer  ssh.Signer
	comment string
}

// NewKey generates a key; the comment, such as an email address, ends its public line.
func NewKey(comment string) (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	return &Key{private: private, signer: signer, comment: comment}, nil
}

// Public returns the line for authorized_keys and for policies.
func (k *Key) Public() string {
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.signer.PublicKey())))
	return strings.TrimSpace(line + " " + k.comment)
}

// Fingerprint returns SHA256:… as ssh-keygen -l prints it.
func (k *Key) Fingerprint() string { return ssh.FingerprintSHA256(k.signer.PublicKey()) }

// PrivatePEM returns the private key in OpenSSH's format, without a passphrase.
func (k *Key) PrivatePEM() ([]byte, error) {
	block, err := ssh.MarshalPrivateKey(k.private, k.comment)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

// Sign signs as git does with gpg.format=ssh.
func (k *Key) Sign(payload []byte) (string, error) { return k.SignAs("git", payload) }

// SignAs signs for another namespace than git's (PROTOCOL.sshsig).
func (k *Key) SignAs(namespace string, payload []byte) (string, error) {
	sig, err := sshsig.Sign(bytes.NewReader(payload), k.signer, sshsig.HashSHA512, namespace)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return string(sshsig.Armor(sig)), nil
}
