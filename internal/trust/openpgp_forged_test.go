package trust

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/google/go-cmp/cmp"
)

// at is the library's configuration at a time.
func at(when time.Time) *packet.Config {
	return &packet.Config{Time: func() time.Time { return when }, Algorithm: packet.PubKeyAlgoEdDSA}
}

// newEntity makes an OpenPGP key without gpg, so that it can be made wrong.
func newEntity(t testing.TB, config *packet.Config) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("Ana", "", "ana@lab.example", config)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// pgpSigner signs with one key of an entity, whatever it is for.
func pgpSigner(t *testing.T, e *openpgp.Entity, key *packet.PrivateKey, when time.Time) signer {
	t.Helper()
	var public bytes.Buffer
	if err := e.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	return signer{
		policy: fmt.Sprintf("openpgp: {fingerprint: %X, publicKey: %q}", e.PrimaryKey.Fingerprint,
			spellPGP("PGP PUBLIC KEY BLOCK", public.Bytes())),
		sign: func(payload []byte) string { return spellPGP(armorPGP, pgpSign(t, key, payload, when)) },
	}
}

func spellPGP(kind string, blob []byte) string {
	return strings.Replace(rearm(kind, blob, 64), "\n", "\n\n", 1)
}

func pgpSign(t testing.TB, key *packet.PrivateKey, payload []byte, when time.Time) []byte {
	t.Helper()
	sig := &packet.Signature{
		Version: key.Version, SigType: packet.SigTypeBinary, PubKeyAlgo: key.PubKeyAlgo,
		Hash: crypto.SHA256, CreationTime: when, IssuerKeyId: &key.KeyId,
	}
	h := sha256.New()
	if key.Version == 6 {
		salted, err := sig.PrepareSign(at(when))
		if err != nil {
			t.Fatal(err)
		}
		h = salted
	}
	h.Write(payload)
	var b bytes.Buffer
	if err := sig.Sign(h, key, at(when)); err != nil {
		t.Fatal(err)
	}
	if err := sig.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// certify adds a self-signature of the identity, made at a time, that says
// whether the primary key may sign.
func certify(t *testing.T, e *openpgp.Entity, when time.Time, maySign bool) {
	t.Helper()
	for name, id := range e.Identities {
		primary := true
		sig := &packet.Signature{
			Version: 4, SigType: packet.SigTypePositiveCert, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA256,
			CreationTime: when, IssuerKeyId: &e.PrimaryKey.KeyId, IsPrimaryId: &primary,
			FlagsValid: true, FlagCertify: true, FlagSign: maySign,
		}
		if err := sig.SignUserId(name, e.PrimaryKey, e.PrivateKey, at(when)); err != nil {
			t.Fatal(err)
		}
		id.SelfCertifications = append(id.SelfCertifications, packet.NewVerifiableSig(sig))
	}
}

// addSigningSubkey adds a subkey, with or without the signature by which it
// agrees to belong to the primary key.
func addSigningSubkey(t *testing.T, e *openpgp.Entity, agrees bool) *packet.PrivateKey {
	t.Helper()
	if err := e.AddSigningSubkey(at(born)); err != nil {
		t.Fatal(err)
	}
	sub := &e.Subkeys[len(e.Subkeys)-1]
	if !agrees {
		sig := &packet.Signature{
			Version: 4, SigType: packet.SigTypeSubkeyBinding, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA256,
			CreationTime: born, IssuerKeyId: &e.PrimaryKey.KeyId, FlagsValid: true, FlagSign: true,
		}
		if err := sig.SignKey(sub.PublicKey, e.PrivateKey, at(born)); err != nil {
			t.Fatal(err)
		}
		sub.Bindings = []*packet.VerifiableSignature{packet.NewVerifiableSig(sig)}
	}
	return sub.PrivateKey
}

// TestForgedOpenPGP signs with OpenPGP keys that gpg would not sign with.
func TestForgedOpenPGP(t *testing.T) {
	before := noon.Add(-time.Hour)
	for _, tt := range []struct {
		name string
		by   func() signer
		code string
	}{
		{"as it should be", func() signer {
			e := newEntity(t, at(born))
			return pgpSigner(t, e, e.PrivateKey, before)
		}, ""},
		{"subkey", func() signer {
			e := newEntity(t, at(born))
			return pgpSigner(t, e, addSigningSubkey(t, e, true), before)
		}, ""},
		{"primary key for certification only", func() signer {
			e := newEntity(t, at(born))
			certify(t, e, born, false)
			for _, id := range e.Identities {
				id.SelfCertifications = id.SelfCertifications[1:]
			}
			return pgpSigner(t, e, e.PrivateKey, before)
		}, CodeSignature},
		{"lost the right to sign since", func() signer {
			e := newEntity(t, at(born))
			certify(t, e, before, false)
			return pgpSigner(t, e, e.PrivateKey, born.AddDate(0, 0, 1))
		}, CodeSignature},
		{"encryption subkey", func() signer {
			e := newEntity(t, &packet.Config{Time: at(born).Time, Algorithm: packet.PubKeyAlgoRSA, RSABits: minRSA})
			return pgpSigner(t, e, e.Subkeys[0].PrivateKey, before)
		}, CodeSignature},
		{"subkey that was taken from another", func() signer {
			e := newEntity(t, at(born))
			return pgpSigner(t, e, addSigningSubkey(t, e, false), before)
		}, CodeSignature},
		{"older than its key", func() signer {
			e := newEntity(t, at(born))
			return pgpSigner(t, e, e.PrivateKey, born.Add(-time.Hour))
		}, CodeSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]signer{"ana": tt.by()})
			checkVerdict(t, w.verify("", w.chain(w.intro, "ana", w.files)), tt.code, "")
		})
	}
}

// TestOpenPGPNamesAnotherSubkey signs with a revoked subkey and names a good one
// by fingerprint; a key id beside it leads the library to the real one.
func TestOpenPGPNamesAnotherSubkey(t *testing.T) {
	e := newEntity(t, at(born))
	good, stolen := addSigningSubkey(t, e, true), *addSigningSubkey(t, e, true)
	id := binary.BigEndian.AppendUint64(nil, stolen.KeyId)
	revoked := fmt.Sprintf("%X", stolen.Fingerprint)
	by := pgpSigner(t, e, &stolen, noon.Add(-time.Hour))
	stolen.Fingerprint = good.Fingerprint // what the signature will claim
	by.sign = func(payload []byte) string {
		blob := pgpSign(t, &stolen, payload, noon.Add(-time.Hour))
		// 2 bytes of packet header, 4 of version, type and algorithms, then the
		// hashed subpackets and the unhashed ones, of which there are none.
		unhashed := 6 + 2 + int(binary.BigEndian.Uint16(blob[6:]))
		blob = slices.Replace(blob, unhashed, unhashed+2, append([]byte{0, 10, 9, 16}, id...)...)
		blob[1] += 10
		return spellPGP(armorPGP, blob)
	}
	w := newWorld(t, map[string]signer{"ana": by})
	w.revoke = `{openpgp: ["` + revoked + `"]}`
	verdict := w.verify("", w.chain(w.intro, "ana", w.files))
	checkVerdict(t, verdict, CodeSignature, "")
	if !strings.Contains(verdict.Refusal.Found, "another key of the certificate") {
		t.Errorf("refused for another reason: %s", verdict.Refusal)
	}
}

// TestOpenPGPVersion6 has keys and signatures of RFC 9580.
func TestOpenPGPVersion6(t *testing.T) {
	e := newEntity(t, &packet.Config{Time: at(born).Time, Algorithm: packet.PubKeyAlgoEd25519, V6Keys: true})
	by := pgpSigner(t, e, e.PrivateKey, born)
	_, problems := ParsePolicy("p.yaml", []byte(header+"principals:\n  ana: {kind: human, keys: [{"+by.policy+"}]}\n"+aRules))
	if got := fmt.Sprint(problems); !strings.Contains(got, "version 6 keys are not accepted") {
		t.Errorf("key: got %s, want a refusal of version 6", got)
	}
	_, refusal := parsePGPProof(pgpSign(t, e.PrivateKey, nil, born))
	if refusal == nil || refusal.Code != CodeFormat || !strings.Contains(refusal.Found, "not a version 4 signature") {
		t.Errorf("signature: got %v, want %s for its version", refusal, CodeFormat)
	}
}

// TestWebFlow has a signature that ends as those do that GitHub makes itself.
func TestWebFlow(t *testing.T) {
	e := newEntity(t, at(born))
	w := newWorld(t, map[string]signer{"ana": pgpSigner(t, e, e.PrivateKey, noon.Add(-time.Hour))})
	tip := w.commit(commit{on: []string{w.intro}, by: "ana", files: w.files, armor: func(a string) string { return a + "\n" }})
	verdict := w.verify("", tip)
	checkVerdict(t, verdict, CodeFormat, "")
	if !strings.Contains(verdict.Refusal.Found, "web-flow") {
		t.Errorf("the refusal does not say what it is: %s", verdict.Refusal)
	}
}

// TestOpenPGPPackets has blocks that hold something else than one signature, and
// says so.
func TestOpenPGPPackets(t *testing.T) {
	e := newEntity(t, at(born))
	var key bytes.Buffer
	if err := e.PrimaryKey.Serialize(&key); err != nil {
		t.Fatal(err)
	}
	sig := pgpSign(t, e.PrivateKey, []byte("m"), noon)
	for found, blob := range map[string][]byte{
		"something else than a signature": key.Bytes(),
		"more than one packet":            slices.Concat(sig, sig),
	} {
		_, refusal := parsePGPProof(blob)
		if refusal == nil || refusal.Code != CodeFormat || !strings.Contains(refusal.Found, found) {
			t.Errorf("got %v, want %s: %s", refusal, CodeFormat, found)
		}
	}
}

// spellings are all headers that RFC 4880 (section 4.2) lets a signature packet
// begin with, each with the body.
func spellings(body []byte) [][]byte {
	n := len(body)
	be := binary.BigEndian
	headers := [][]byte{
		be.AppendUint32([]byte{0x8a}, uint32(n)), {0x8b}, // old format: four bytes of length, and none
		be.AppendUint32([]byte{0xc2, 0xff}, uint32(n)),
	}
	if n < 1<<8 {
		headers = append(headers, []byte{0x88, byte(n)})
	}
	if n < 1<<16 {
		headers = append(headers, be.AppendUint16([]byte{0x89}, uint16(n)))
	}
	if n < 192 {
		headers = append(headers, []byte{0xc2, byte(n)})
	} else if n < 8384 {
		headers = append(headers, []byte{0xc2, byte((n-192)>>8 + 192), byte(n - 192)})
	}
	var out [][]byte
	for _, h := range headers {
		out = append(out, append(h, body...))
	}
	if n > 512 { // a part of 512 bytes, and the rest
		rest := append(be.AppendUint32([]byte{0xff}, uint32(n-512)), body[512:]...)
		out = append(out, slices.Concat([]byte{0xc2, 0xe9}, body[:512], rest))
	}
	return out
}

// packetBody is a signature packet without its header.
func packetBody(t testing.TB, blob []byte) []byte {
	t.Helper()
	p, err := packet.NewOpaqueReader(bytes.NewReader(blob)).Next()
	if err != nil {
		t.Fatal(err)
	}
	return p.Contents
}

// TestPGPSpelling spells the header of a good signature in all other ways.
func TestPGPSpelling(t *testing.T) {
	e := newEntity(t, at(noon))
	good := map[bool][]string{}
	for _, blob := range spellings(packetBody(t, pgpSign(t, e.PrivateKey, []byte("m"), noon))) {
		p, _ := parsePGPProof(blob)
		good[p != nil] = append(good[p != nil], fmt.Sprintf("%.1x", blob))
	}
	want := map[bool][]string{true: {"88", "c2"}, false: {"8a", "8b", "c2", "89"}}
	if diff := cmp.Diff(want, good); diff != "" {
		t.Errorf("accepted by first byte (-want +got):\n%s", diff)
	}
}
