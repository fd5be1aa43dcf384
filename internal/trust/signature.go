package trust

import (
	"slices"
	"time"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/git"
)

// A proof is one well-formed signature of a commit. Each kind of signature is
// another proof.
type proof interface {
	name() string    // fingerprint, for people
	names() []string // all that the trust file may revoke it by
	// find returns the key of a keyring that the proof is to be held against;
	// none if the keyring does not know it.
	find(ring keyring) (*key, *core.Refusal)
	// verify says why the signature does not hold at now for the key, if so.
	verify(a *Anchor, k *key, payload []byte, now time.Time) *core.Refusal
	// made reports whether the key made the signature, be it valid at now or not.
	made(a *Anchor, k *key, payload []byte, now time.Time) bool
}

// parseProof reads the signature of a commit, trusting nothing that it says.
func parseProof(c *git.Commit) (proof, *core.Refusal) {
	if c.Signature == "" {
		return nil, unsigned()
	}
	kind, blob, err := unarmor(c.Signature)
	switch {
	case err != nil:
		return nil, malformed(err.Error())
	case kind == armorSSH:
		return parseSSHProof(blob)
	case kind == armorPGP:
		return parsePGPProof(blob)
	}
	return parseKeylessProof(blob)
}

// identify finds the principal of a keyring that made the proof, and checks all
// that can be wrong with signature and key. where names the keyring for people.
func (v *Verifier) identify(ring keyring, where string, pr proof, payload []byte, now time.Time) (*key, *core.Refusal) {
	for _, name := range pr.names() {
		if v.anchor.revoked[name] {
			return nil, revokedKey(name, "in the trust file")
		}
	}
	k, refusal := pr.find(ring)
	if refusal != nil {
		return nil, refusal
	}
	if k == nil {
		return nil, unknownKey(pr.name(), where)
	}
	if v.anchor.revoked[k.name] {
		return nil, revokedKey(k.name, "in the trust file")
	}
	if r := pr.verify(v.anchor, k, payload, now); r != nil {
		return nil, r
	}
	switch {
	case k.purposes != nil && !slices.Contains(k.purposes, namespace):
		return nil, otherPurpose(k, where)
	case now.Before(k.notBefore):
		return nil, expiredKey(k.name, "its notBefore is "+k.notBefore.UTC().Format(time.RFC3339))
	case !k.notAfter.IsZero() && !now.Before(k.notAfter):
		return nil, expiredKey(k.name, "its notAfter is "+k.notAfter.UTC().Format(time.RFC3339))
	}
	return k, nil
}
