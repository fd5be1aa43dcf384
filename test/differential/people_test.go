package differential

import (
	"bytes"
	"crypto/ed25519"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"prumo.dev/prumo/test/gitrepo"
)

// A certified person signs under a certificate, good or not.
type certified struct {
	signer ssh.Signer
	flaw   string
}

func newSSH(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func line(s ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey())))
}

// newCertified makes a certificate of an authority for ana, often with a flaw.
func newCertified(t *testing.T, r *rand.Rand, authority ssh.Signer) certified {
	t.Helper()
	key, now := newSSH(t), time.Now()
	c := certified{flaw: pick(r, "", "", "", "expired", "not yet valid", "for a host", "for nobody", "for another", "of another authority", "with a critical option")}
	cert := &ssh.Certificate{Key: key.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"ana"},
		ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix())}
	switch c.flaw {
	case "expired":
		cert.ValidBefore = uint64(now.Add(-30 * time.Minute).Unix())
	case "not yet valid":
		cert.ValidAfter = uint64(now.Add(30 * time.Minute).Unix())
	case "for a host":
		cert.CertType = ssh.HostCert
	case "for nobody":
		cert.ValidPrincipals = nil
	case "for another":
		cert.ValidPrincipals = []string{"ben"}
	case "of another authority":
		authority = newSSH(t)
	case "with a critical option":
		cert.CriticalOptions = map[string]string{"force-command": "true"}
	}
	if err := cert.SignCert(crand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.signer, err = ssh.NewCertSigner(cert, key); err != nil {
		t.Fatal(err)
	}
	return c
}

// Sign implements gitrepo.Signer.
func (c certified) Sign(payload []byte) (string, error) { return c.SignAs("git", payload) }

// SignAs signs as a gitrepo.Key does.
func (c certified) SignAs(namespace string, payload []byte) (string, error) {
	sig, err := sshsig.Sign(bytes.NewReader(payload), c.signer, sshsig.HashSHA512, namespace)
	if err != nil {
		return "", err
	}
	return string(sshsig.Armor(sig)), nil
}

// side lets two lines of history part, and merges them by whoever.
func (c *history) side() string {
	base := c.tip
	left := c.change(base)
	c.write("pools/p.yaml", fmt.Sprint(c.r.Uint64()))
	right := c.commit(gitrepo.Options{Key: c.key, Parents: []string{base}, Message: "beside"})
	key := pick[gitrepo.Signer](c.r, c.key, c.key, newCertified(c.t, c.r, c.authority), c.other)
	c.did += fmt.Sprintf("; merged by %T %+v", key, key)
	return c.commit(gitrepo.Options{Key: key, Parents: []string{left, right}, Message: "merge"})
}

// approved changes what needs two people, and has ben approve it by a tag that may
// be damaged.
func (c *history) approved() {
	c.write("two/x", fmt.Sprint(c.r.Uint64()))
	c.tip = c.commit(gitrepo.Options{Key: c.key, Parents: []string{c.tip}, Message: "for two"})
	commit, err := c.store().Commit(c.tip)
	if err != nil {
		c.t.Fatal(err)
	}
	ref, body := approvalOf(c.anchor(), commit)
	name := strings.TrimPrefix(ref, "refs/tags/")
	payload := fmt.Appendf(nil, "object %s\ntype commit\ntag %s\ntagger Ben <ben@lab.example> %d +0000\n\n%s", c.tip, name, time.Now().Unix()-10, body)
	key := pick(c.r, c.ben, c.ben, c.ben, c.key, c.other)
	if c.r.IntN(4) == 0 {
		payload = c.spoil(payload)
	}
	armor, err := key.SignAs("git", payload)
	if err != nil {
		c.t.Fatal(err)
	}
	raw := append(payload, armor...)
	if c.r.IntN(3) == 0 {
		raw = c.spoil(raw)
	}
	c.did += "; approved by a tag"
	c.tag = ref
	if err := c.repo.SetRef(ref, c.raw("tag", raw)); err != nil {
		c.t.Fatal(err)
	}
}
