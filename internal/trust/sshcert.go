package trust

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/ssh"

	"prumo.dev/prumo/internal/core"
)

// caID is a keyring index: an authority and one principal that it may vouch for.
func caID(authority ssh.PublicKey, principal string) string {
	return "sshca:" + string(authority.Marshal()) + principal // the key ends by itself: its fields have lengths
}

// sshCA reads an authority whose certificates stand for a principal.
func (d *decoder) sshCA(n *yaml.Node, k *key) bool {
	f := d.fields(n, "sshCA", "key!", "principal!")
	if f["key"] == nil || f["principal"] == nil {
		return false
	}
	if err := k.parseSSH(d.text(f["key"], "key")); err != nil {
		d.fail(f["key"], "not an SSH public key for an authority: %v", err)
		return false
	}
	name := d.text(f["principal"], "principal")
	if name == "" || strings.ContainsAny(name, ",*? ") || strings.ToValidUTF8(name, "?") != name || strings.Trim(quote(name), `"`) != name {
		d.fail(f["principal"], "principal must be one name exactly as ssh-keygen -n puts it into certificates: no patterns, no lists")
		return false
	}
	k.ids = []string{caID(k.ssh, name)}
	return true
}

// An sshCertProof is an SSH signature by a key that a certificate vouches for
// (PROTOCOL.certkeys). Nobody trusts the certificate's authority yet.
type sshCertProof struct {
	sig  *sshsig.Signature
	cert *ssh.Certificate
}

// parseSSHCertProof refuses certificates that no authority can make good.
func parseSSHCertProof(sig *sshsig.Signature, cert *ssh.Certificate) (proof, *core.Refusal) {
	p := sshCertProof{sig, cert}
	switch {
	case cert.CertType != ssh.UserCert:
		return nil, badCertificate(p.name(), "it is for a host, not for a user")
	case len(cert.ValidPrincipals) == 0:
		return nil, badCertificate(p.name(), "it names no principal, so it would stand for everybody")
	case cert.Signature.Format == ssh.KeyAlgoRSA:
		return nil, weak("the SSH certificate of " + p.name() + " is signed with SHA-1 (ssh-rsa)")
	case sig.Signature.Format == ssh.KeyAlgoRSA:
		return nil, weak("the SSH signature by an RSA key uses SHA-1 (ssh-rsa)")
	}
	if err := strongSSH(cert.Key); err != nil {
		return nil, weak("the key of the SSH certificate is too weak: " + err.Error())
	}
	return p, nil
}

func (p sshCertProof) name() string { return ssh.FingerprintSHA256(p.cert.Key) }

// names has the key, and the certificate by authority and serial.
func (p sshCertProof) names() []string {
	return []string{p.name(), ssh.FingerprintSHA256(p.cert.SignatureKey) + "/" + strconv.FormatUint(p.cert.Serial, 10)}
}

// find looks for a principal that the authority of the certificate may vouch
// for. A certificate that stands for two people says nothing about which it was.
func (p sshCertProof) find(ring keyring) (*key, *core.Refusal) {
	var found *key
	for _, name := range p.cert.ValidPrincipals {
		k := ring[caID(p.cert.SignatureKey, name)]
		if k != nil && found != nil && k.owner != found.owner {
			return nil, badCertificate(p.name(), fmt.Sprintf("it stands for both %s and %s", found.owner, k.owner))
		}
		if found == nil {
			found = k
		}
	}
	return found, nil
}

// verify checks the certificate by the policy's copy of the authority's key, at
// the first-seen time, and then the signature by the certificate's key.
func (p sshCertProof) verify(_ *Anchor, _ *key, payload []byte, now time.Time) *core.Refusal {
	if at := uint64(now.Unix()); at < p.cert.ValidAfter || at >= p.cert.ValidBefore {
		return expiredKey(p.name(), fmt.Sprintf("its certificate is valid from %s to %s", certTime(p.cert.ValidAfter), certTime(p.cert.ValidBefore)))
	}
	return p.check(payload, now)
}

// made looks at the certificate at the beginning of its time.
func (p sshCertProof) made(_ *Anchor, _ *key, payload []byte, _ time.Time) bool {
	return p.check(payload, time.Unix(int64(p.cert.ValidAfter), 0)) == nil
}

func (p sshCertProof) check(payload []byte, at time.Time) *core.Refusal {
	// CheckCert refuses all critical options. It takes any authority and any principal of an empty list: that the
	// authority is the policy's is find's doing, by the bytes of its key.
	checker := ssh.CertChecker{Clock: func() time.Time { return at }}
	if err := checker.CheckCert(p.cert.ValidPrincipals[0], p.cert); err != nil {
		return badCertificate(p.name(), strings.TrimPrefix(err.Error(), "ssh: "))
	}
	return checkSSH(p.name(), p.sig, payload)
}

// certTime writes a time of a certificate, in seconds since 1970.
func certTime(seconds uint64) string {
	const year9999 = 253402300799
	if seconds > year9999 {
		return "forever"
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339)
}
