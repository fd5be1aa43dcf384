package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// An authority issues SSH certificates.
type authority struct{ ssh.Signer }

func newAuthority(t *testing.T) authority {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return authority{sshKey(t, private)}
}

func sshKey(t *testing.T, private any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entry is a policy's key: the authority may vouch for a principal.
func (a authority) entry(principal string) string {
	return fmt.Sprintf("sshCA: {key: %q, principal: %s}", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(a.PublicKey()))), principal)
}

// issue makes a certificate for ana that is good in all, but for change.
func (a authority) issue(t *testing.T, key ssh.PublicKey, change func(*ssh.Certificate)) *ssh.Certificate {
	t.Helper()
	c := &ssh.Certificate{
		Key: key, Serial: 17, CertType: ssh.UserCert, KeyId: "ana", ValidPrincipals: []string{"ana@lab.example"},
		ValidAfter: uint64(noon.Add(-time.Hour).Unix()), ValidBefore: uint64(noon.Add(time.Hour).Unix()),
	}
	change(c)
	if err := c.SignCert(rand.Reader, a.Signer); err != nil {
		t.Fatal(err)
	}
	return c
}

// certified signs with a key and shows a certificate for it.
func certified(t *testing.T, s ssh.Signer, cert *ssh.Certificate) func([]byte) string {
	return func(payload []byte) string {
		sign := s.Sign
		if with, ok := s.(ssh.AlgorithmSigner); ok && s.PublicKey().Type() == ssh.KeyAlgoRSA {
			sign = func(rand io.Reader, data []byte) (*ssh.Signature, error) {
				return with.SignWithAlgorithm(rand, data, ssh.KeyAlgoRSASHA512)
			}
		}
		sig, err := sign(rand.Reader, toSign(payload))
		if err != nil {
			t.Fatal(err)
		}
		return spell(cert, ssh.Marshal(sig))
	}
}

func TestSSHCertificates(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	key := newAuthority(t).Signer // any key pair
	nothing := func(*ssh.Certificate) {}
	serial := func(a authority, n int) string {
		return fmt.Sprintf(`{sshCertSerials: ["%s/%d"]}`, ssh.FingerprintSHA256(a.PublicKey()), n)
	}
	fingerprint := func(k ssh.PublicKey) string { return fmt.Sprintf(`{ssh: [%q]}`, ssh.FingerprintSHA256(k)) }
	for _, tt := range []struct {
		name   string
		change func(*ssh.Certificate)
		revoke string
		code   string
	}{
		{"good", nothing, "", ""},
		{"two principals, one of them hers", func(c *ssh.Certificate) { c.ValidPrincipals = []string{"x", "ana@lab.example"} }, "", ""},
		{"for ever", func(c *ssh.Certificate) { c.ValidAfter, c.ValidBefore = 0, ssh.CertTimeInfinity }, "", ""},
		{"unknown extension", func(c *ssh.Certificate) { c.Extensions = map[string]string{"x@lab.example": ""} }, "", ""},
		{"for a host", func(c *ssh.Certificate) { c.CertType = ssh.HostCert }, "", CodeCertificate},
		{"of no type", func(c *ssh.Certificate) { c.CertType = 0 }, "", CodeCertificate},
		{"no principal", func(c *ssh.Certificate) { c.ValidPrincipals = nil }, "", CodeCertificate},
		{"another principal", func(c *ssh.Certificate) { c.ValidPrincipals = []string{"ana@lab.example.org"} }, "", CodeKeyUnknown},
		{"for two people", func(c *ssh.Certificate) { c.ValidPrincipals = append(c.ValidPrincipals, "cai@lab.example") }, "", CodeCertificate},
		{"critical option", func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": "true"} }, "", CodeCertificate},
		{"expired", func(c *ssh.Certificate) { c.ValidBefore = uint64(noon.Unix()) }, "", CodeKeyExpired},
		{"not valid yet", func(c *ssh.Certificate) { c.ValidAfter = uint64(noon.Unix() + 1) }, "", CodeKeyExpired},
		{"authority revoked", nothing, fingerprint(ca.PublicKey()), CodeKeyRevoked},
		{"key revoked", nothing, fingerprint(key.PublicKey()), CodeKeyRevoked},
		{"serial revoked", nothing, serial(ca, 17), CodeKeyRevoked},
		{"other serial revoked", nothing, serial(ca, 1), ""},
		{"serial of another authority revoked", nothing, serial(other, 17), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]signer{
				"ana": {policy: ca.entry("ana@lab.example"), sign: certified(t, key, ca.issue(t, key.PublicKey(), tt.change))},
				"cai": {policy: ca.entry("cai@lab.example")},
			})
			w.revoke = tt.revoke
			checkVerdict(t, w.verify("", w.chain(w.intro, "ana", w.files)), tt.code, "")
		})
	}
}

// TestForgedSSHCertificates has certificates and signatures of which one part is
// another's.
func TestForgedSSHCertificates(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	key, stranger := newAuthority(t).Signer, newAuthority(t).Signer
	nothing := func(*ssh.Certificate) {}
	good := ca.issue(t, key.PublicKey(), nothing)
	changed := func(from authority, change func(*ssh.Certificate)) *ssh.Certificate {
		c := *from.issue(t, key.PublicKey(), nothing)
		change(&c)
		return &c
	}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, minRSA)
	if err != nil {
		t.Fatal(err)
	}
	rsaCA := authority{sshKey(t, large)}
	oldRSA := authority{rsaCA} // hides that it could do better than SHA-1
	touched, untouched := securityKey(t, 1), securityKey(t, 0)
	for _, tt := range []struct {
		name string
		ca   authority
		sign func([]byte) string
		code string
	}{
		{"another authority", ca, certified(t, key, other.issue(t, key.PublicKey(), nothing)), CodeKeyUnknown},
		{"another authority in the name of hers", ca, certified(t, key, changed(other, func(c *ssh.Certificate) { c.SignatureKey = ca.PublicKey() })), CodeCertificate},
		{"serial changed afterwards", ca, certified(t, key, changed(ca, func(c *ssh.Certificate) { c.Serial = 18 })), CodeCertificate},
		{"certificate of another key", ca, certified(t, stranger, good), CodeSignature},
		{"key without certificate", ca, sshSignerOf(t, key), CodeKeyUnknown},
		{"the authority itself", ca, sshSignerOf(t, ca), CodeKeyUnknown},
		{"weak key", ca, certified(t, sshKey(t, small), ca.issue(t, sshKey(t, small).PublicKey(), nothing)), CodeWeak},
		{"authority signs with RSA", rsaCA, certified(t, key, rsaCA.issue(t, key.PublicKey(), nothing)), ""},
		{"authority signs with SHA-1", rsaCA, certified(t, key, oldRSA.issue(t, key.PublicKey(), nothing)), CodeWeak},
		{"key signs with SHA-1", ca, certified(t, oldRSA, ca.issue(t, sshKey(t, large).PublicKey(), nothing)), CodeWeak},
		{"security key", ca, certifiedSK(t, ca, touched), ""},
		{"security key without touch", ca, certifiedSK(t, ca, untouched), CodeSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]signer{"ana": {policy: tt.ca.entry("ana@lab.example"), sign: tt.sign}})
			checkVerdict(t, w.verify("", w.chain(w.intro, "ana", w.files)), tt.code, "")
		})
	}
	t.Run("authority out of use", func(t *testing.T) {
		w := newWorld(t, map[string]signer{"late": {policy: ca.entry("ana@lab.example"), sign: certified(t, key, good)}})
		checkVerdict(t, w.verify("", w.chain(w.intro, "late", w.files)), CodeKeyExpired, "")
	})
}

func sshSignerOf(t *testing.T, s ssh.Signer) func([]byte) string {
	return func(payload []byte) string { return armored(t, s, payload, "sha512", "git") }
}

// certifiedSK shows a certificate for a security key.
func certifiedSK(t *testing.T, ca authority, s signer) func([]byte) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.public))
	if err != nil {
		t.Fatal(err)
	}
	cert := ca.issue(t, key, func(*ssh.Certificate) {})
	return func(payload []byte) string {
		return edit(t, func(w *wire) { w.PublicKey = string(cert.Marshal()) })(s.sign(payload))
	}
}
