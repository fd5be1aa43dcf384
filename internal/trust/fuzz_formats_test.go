package trust

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"golang.org/x/crypto/ssh"

	"prumo.dev/prumo/test/sigstore"
)

// seedKey is the same in every run, since seeds are.
func seedKey(f *testing.F) ssh.Signer {
	f.Helper()
	s, err := ssh.NewSignerFromSigner(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// FuzzSSHProof: what is accepted is the very bytes that the signature is written
// in again.
func FuzzSSHProof(f *testing.F) {
	signer := seedKey(f)
	for _, hash := range []sshsig.HashAlgorithm{sshsig.HashSHA512, sshsig.HashSHA256} {
		sig, err := sshsig.Sign(strings.NewReader("m"), signer, hash, namespace)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sig.Marshal())
	}
	cert := &ssh.Certificate{Key: signer.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"ana"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(bytes.NewReader(make([]byte, 1024)), signer); err != nil {
		f.Fatal(err)
	}
	certified, err := ssh.NewCertSigner(cert, signer)
	if err != nil {
		f.Fatal(err)
	}
	sig, err := sshsig.Sign(strings.NewReader("m"), certified, sshsig.HashSHA512, namespace)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sig.Marshal())
	f.Fuzz(func(t *testing.T, blob []byte) {
		p, refusal := parseSSHProof(blob)
		if (p == nil) == (refusal == nil) {
			t.Fatalf("got %v and %v", p, refusal)
		}
		if refusal != nil {
			return
		}
		var written []byte
		switch p := p.(type) {
		case sshProof:
			written = p.sig.Marshal()
		case sshCertProof:
			written = p.sig.Marshal()
		}
		if !bytes.Equal(written, blob) {
			t.Errorf("read %x, wrote %x", blob, written)
		}
		used(p)
	})
}

// used asks a proof everything that a verification asks before it knows the key.
func used(p proof) {
	_, _ = p.name(), p.names()
	_, _ = p.find(keyring{})
}

// FuzzPGPProof: what is accepted is accepted in one spelling only, or two if the
// header has both formats.
func FuzzPGPProof(f *testing.F) {
	entity := newEntity(f, at(noon))
	f.Add(pgpSign(f, entity.PrivateKey, []byte("m"), noon))
	f.Fuzz(func(t *testing.T, blob []byte) {
		p, refusal := parsePGPProof(blob)
		if (p == nil) == (refusal == nil) {
			t.Fatalf("got %v and %v", p, refusal)
		}
		if refusal != nil {
			return
		}
		for _, other := range spellings(packetBody(t, blob)) {
			if q, _ := parsePGPProof(other); q != nil && blob[0]&0x40 == other[0]&0x40 && !bytes.Equal(other, blob) {
				t.Errorf("the same signature is accepted as %x and as %x", blob, other)
			}
		}
		used(p)
	})
}

// FuzzOpenPGPKey: a key is found by its full fingerprint, and by nothing else.
func FuzzOpenPGPKey(f *testing.F) {
	entity := newEntity(f, at(noon))
	var public bytes.Buffer
	if err := entity.Serialize(&public); err != nil {
		f.Fatal(err)
	}
	f.Add(public.Bytes())
	f.Fuzz(func(t *testing.T, der []byte) {
		e, err := readEntity(der)
		if err != nil {
			return
		}
		print := fmt.Sprintf("%X", e.PrimaryKey.Fingerprint)
		var k key
		if err := k.parseOpenPGP(print, spellPGP("PGP PUBLIC KEY BLOCK", der)); err != nil {
			t.Skip(err) // longer than a policy may be
		}
		if k.name != print || len(print) != 40 || k.ids[0] != "openpgp:"+print {
			t.Errorf("the key %s is found as %s, %q", print, k.name, k.ids)
		}
		if new(key).parseOpenPGP(print[24:], spellPGP("PGP PUBLIC KEY BLOCK", der)) == nil {
			t.Errorf("a part of the fingerprint %s is enough", print)
		}
	})
}

// FuzzSSHKey: the line of a key is its type and the key in wire format, and
// nothing that other readers would take for another key.
func FuzzSSHKey(f *testing.F) {
	f.Add(keyAna)
	f.Add(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(seedKey(f).PublicKey()))) + " a comment")
	f.Fuzz(func(t *testing.T, line string) {
		var k key
		if k.parseSSH(line) != nil {
			return
		}
		words := strings.Fields(line)
		if want := k.ssh.Type() + " " + base64.StdEncoding.EncodeToString(k.ssh.Marshal()); words[0]+" "+words[1] != want {
			t.Errorf("read %q, wrote %q", line, want)
		}
		other, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err == nil && !bytes.Equal(other.Marshal(), k.ssh.Marshal()) {
			t.Errorf("x/crypto reads another key in %q", line)
		}
	})
}

// FuzzKeyless: a CMS signature that is accepted has one spelling, which parseCMS
// holds it to; here that whatever it says harms nobody, nor what says when.
func FuzzKeyless(f *testing.F) {
	first, second := newGitsign(f), newGitsign(f)
	var err error
	second.rekor, err = sigstore.NewRekor()
	second.must(err)
	second.stamp = second.stamped(second.stack)
	for _, g := range []*gitsign{first, second} {
		block, _ := pem.Decode([]byte(g.sign(nil)))
		f.Add(block.Bytes)
	}
	w := newWorld(f)
	w.extra = second.root(false)
	pinned := w.anchor()
	ana := &key{keyless: identity{anaIssuer, anaSubject}}
	f.Fuzz(func(t *testing.T, der []byte) {
		p, refusal := parseKeylessProof(der)
		if (p == nil) == (refusal == nil) {
			t.Fatalf("got %v and %v", p, refusal)
		}
		if refusal == nil {
			used(p)
			if r := p.verify(&Anchor{}, ana, nil, time.Time{}); r == nil {
				t.Error("holds without a root")
			}
			if b, err := p.(keylessProof).bundle(); err == nil {
				_, _, _ = verify.VerifySignedTimestamp(b, pinned.sigstore) // what reads the token of nobody yet
			}
		}
	})
}
