package trust

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"prumo.dev/prumo/internal/core"
)

// namespace is what git signs commits and tags under (PROTOCOL.sshsig: it keeps a
// signature made for one purpose from serving another).
const namespace = "git"

// An sshProof is an SSH signature that is well formed; nobody trusts its key yet.
type sshProof struct {
	sig *sshsig.Signature
}

func parseSSHProof(blob []byte) (proof, *core.Refusal) {
	sig, err := sshsig.ParseSignature(blob)
	switch {
	case errors.Is(err, sshsig.ErrUnsupportedHashAlgorithm):
		return nil, weak("the SSH signature is over another hash than sha256 or sha512")
	case err != nil && strings.Contains(err.Error(), "invalid signature format"):
		return nil, weak("the SSH signature by an RSA key uses SHA-1 (ssh-rsa)")
	case err != nil:
		return nil, malformed("the SSH signature does not parse: " + err.Error())
	case !bytes.Equal(sig.Marshal(), blob):
		return nil, malformed("the SSH signature has bytes that belong to no field")
	case len(sig.Signature.Rest) != restLen(sig.PublicKey):
		return nil, malformed("the SSH signature has trailing bytes")
	case sig.Namespace != namespace:
		return nil, &core.Refusal{
			Code:   CodeNamespace,
			Found:  "the signature was made for the namespace " + quote(sig.Namespace),
			Needed: `an SSH signature in the namespace "git"`,
			Remedy: "let git sign: git config gpg.format ssh, then " + resign,
		}
	}
	if cert, ok := sig.PublicKey.(*ssh.Certificate); ok {
		return parseSSHCertProof(sig, cert)
	}
	return sshProof{sig}, nil
}

// restLen is how many bytes follow an SSH signature: a security key adds one byte
// of flags and four of counter (PROTOCOL.u2f), every other key nothing.
func restLen(k ssh.PublicKey) int {
	if strings.HasPrefix(k.Type(), "sk-") {
		return 5
	}
	return 0
}

func (p sshProof) name() string    { return ssh.FingerprintSHA256(p.sig.PublicKey) }
func (p sshProof) names() []string { return []string{p.name()} }

func (p sshProof) find(ring keyring) (*key, *core.Refusal) { return ring[sshID(p.sig.PublicKey)], nil }

func (p sshProof) verify(_ *Anchor, _ *key, payload []byte, _ time.Time) *core.Refusal {
	return checkSSH(p.name(), p.sig, payload)
}

func (p sshProof) made(a *Anchor, k *key, payload []byte, now time.Time) bool {
	return p.verify(a, k, payload, now) == nil // knows no time
}

// checkSSH checks a signature with the key in it, by which the policy's was
// found: they are the same bytes. Security keys must have been touched: x/crypto
// refuses signatures without the user-presence flag.
func checkSSH(name string, sig *sshsig.Signature, payload []byte) *core.Refusal {
	if err := sshsig.Verify(bytes.NewReader(payload), sig, sig.PublicKey, sig.HashAlgorithm, namespace); err != nil {
		return badSignature(name, err)
	}
	return nil
}
