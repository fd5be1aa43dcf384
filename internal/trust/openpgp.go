package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"prumo.dev/prumo/internal/core"
)

// parseOpenPGP reads an armored certificate and requires that it is the one of
// the fingerprint.
func (k *key) parseOpenPGP(fingerprint, armored string) error {
	block, err := armor.Decode(strings.NewReader(armored))
	if err != nil || block.Type != openpgp.PublicKeyType {
		return errors.New("publicKey must be the block that gpg --armor --export prints")
	}
	k.openpgp, err = io.ReadAll(io.LimitReader(block.Body, maxFile))
	if err != nil {
		return fmt.Errorf("publicKey does not decode: %w", err)
	}
	entity, err := readEntity(k.openpgp)
	if err != nil {
		return err
	}
	k.name = fmt.Sprintf("%X", entity.PrimaryKey.Fingerprint)
	if strings.ToUpper(strings.ReplaceAll(fingerprint, " ", "")) != k.name {
		return fmt.Errorf("fingerprint is %q but publicKey is %s; a fingerprint has all 40 digits", fingerprint, k.name)
	}
	k.ids = []string{pgpID(entity.PrimaryKey.Fingerprint)}
	for _, sub := range entity.Subkeys {
		k.ids = append(k.ids, pgpID(sub.PublicKey.Fingerprint))
	}
	return nil
}

// readEntity reads the one certificate in data. The library caches on an entity
// which of its self-signatures held at the time first asked about, so every
// check at another time reads it anew.
func readEntity(data []byte) (*openpgp.Entity, error) {
	entities, err := openpgp.ReadKeyRing(bytes.NewReader(data))
	switch {
	case err != nil:
		return nil, fmt.Errorf("publicKey does not parse: %w", err)
	case len(entities) != 1:
		return nil, fmt.Errorf("publicKey holds %d keys; write each as its own entry", len(entities))
	case entities[0].PrivateKey != nil:
		return nil, errors.New("publicKey holds a private key; it is compromised now, make a new one")
	case entities[0].PrimaryKey.Version != 4:
		return nil, fmt.Errorf("OpenPGP version %d keys are not accepted; version 4 is", entities[0].PrimaryKey.Version)
	}
	return entities[0], nil
}

// A pgpProof is an OpenPGP signature that is well formed; nobody trusts its key
// yet.
type pgpProof struct {
	blob []byte
	sig  *packet.Signature
}

// parsePGPProof wants exactly one packet, a version 4 signature over binary data
// that names its key by full fingerprint (as gpg does since 2.1.16). A text
// signature would hold for several payloads that differ in line ends.
func parsePGPProof(blob []byte) (proof, *core.Refusal) {
	packets := packet.NewReader(bytes.NewReader(blob))
	p, err := packets.Next()
	if err != nil {
		return nil, malformed("the OpenPGP signature does not parse: " + err.Error())
	}
	sig, ok := p.(*packet.Signature)
	switch _, err = packets.Next(); {
	case !ok:
		return nil, malformed("the OpenPGP block holds something else than a signature")
	case !errors.Is(err, io.EOF):
		return nil, malformed("the OpenPGP block holds more than one packet")
	case sig.Version != 4 || sig.SigType != packet.SigTypeBinary:
		return nil, malformed("the OpenPGP signature is not a version 4 signature over binary data")
	case !shortest(blob):
		return nil, malformed("the OpenPGP packet's length is not written as gpg writes it")
	case len(sig.IssuerFingerprint) != 20:
		return nil, malformed("the OpenPGP signature does not name its key by full fingerprint; sign with gpg 2.2 or newer")
	}
	return pgpProof{blob, sig}, nil
}

// shortest reports whether a packet's header (RFC 4880, section 4.2) says in the
// fewest bytes how many follow. Any other header is the same signature in another
// spelling, hence another commit id.
func shortest(packet []byte) bool {
	n := len(packet)
	var headers [][]byte
	if n-2 < 1<<8 {
		headers = append(headers, []byte{0x88, byte(n - 2)}) // old format, as gpg writes it
	} else if n-3 < 1<<16 {
		headers = append(headers, []byte{0x89, byte((n - 3) >> 8), byte(n - 3)})
	}
	if n-2 < 192 {
		headers = append(headers, []byte{0xc2, byte(n - 2)}) // new format
	} else if n-3 < 8384 {
		headers = append(headers, []byte{0xc2, byte((n-3-192)>>8 + 192), byte(n - 3 - 192)})
	}
	return slices.ContainsFunc(headers, func(h []byte) bool { return bytes.HasPrefix(packet, h) })
}

func (p pgpProof) name() string    { return fmt.Sprintf("%X", p.sig.IssuerFingerprint) }
func (p pgpProof) names() []string { return []string{p.name()} }

func (p pgpProof) find(ring keyring) (*key, *core.Refusal) {
	return ring[pgpID(p.sig.IssuerFingerprint)], nil
}

// verify checks the signature, and the key at two times: at the signature's own,
// which its signer could choose, and at now.
func (p pgpProof) verify(_ *Anchor, k *key, payload []byte, now time.Time) *core.Refusal {
	if p.sig.CreationTime.After(now.Add(clockSkew)) {
		return futureDate("the OpenPGP signature", p.sig.CreationTime)
	}
	entity, err := readEntity(k.openpgp)
	if err != nil {
		return badSignature(p.name(), err)
	}
	at := now
	if p.sig.CreationTime.After(now) {
		at = p.sig.CreationTime // within clockSkew; the library allows none
	}
	config := &packet.Config{MinRSABits: minRSA, Time: func() time.Time { return at }}
	md, err := openpgp.VerifyDetachedSignatureReader(openpgp.EntityList{entity}, bytes.NewReader(payload), bytes.NewReader(p.blob), config)
	if err == nil {
		_, err = io.Copy(io.Discard, md.UnverifiedBody)
	}
	switch {
	case err != nil:
		return badSignature(p.name(), err)
	case md.SignatureError != nil:
		return p.refuse(md.SignatureError)
	case !bytes.Equal(md.SignedBy.PublicKey.Fingerprint, p.sig.IssuerFingerprint):
		return badSignature(p.name(), errors.New("another key of the certificate made it"))
	}
	return p.validAt(k, at, config)
}

// made checks the signature alone, by the key that it names.
func (p pgpProof) made(_ *Anchor, k *key, payload []byte, _ time.Time) bool {
	entity, err := readEntity(k.openpgp)
	if err != nil {
		return false
	}
	keys := []*packet.PublicKey{entity.PrimaryKey}
	for _, sub := range entity.Subkeys {
		keys = append(keys, sub.PublicKey)
	}
	return slices.ContainsFunc(keys, func(k *packet.PublicKey) bool {
		h, err := p.sig.PrepareVerify()
		if err != nil || !bytes.Equal(k.Fingerprint, p.sig.IssuerFingerprint) {
			return false
		}
		h.Write(payload)
		return k.VerifySignature(h, p.sig) == nil
	})
}

// validAt requires that the signing key may sign now: the library has only
// looked at the time that the signature claims.
func (p pgpProof) validAt(k *key, now time.Time, config *packet.Config) *core.Refusal {
	entity, err := readEntity(k.openpgp)
	if err != nil {
		return badSignature(p.name(), err)
	}
	if _, err := entity.VerifyPrimaryKey(now, config); err != nil {
		return p.refuse(err)
	}
	for _, sub := range entity.Subkeys {
		if bytes.Equal(sub.PublicKey.Fingerprint, p.sig.IssuerFingerprint) {
			if _, err := sub.Verify(now, config); err != nil {
				return p.refuse(err)
			}
		}
	}
	if _, ok := entity.SigningKeyById(now, p.keyID(), config); !ok {
		return badSignature(p.name(), errors.New("the key may not sign"))
	}
	return nil
}

func (p pgpProof) keyID() uint64 {
	var id uint64
	for _, b := range p.sig.IssuerFingerprint[12:] { // RFC 4880 §12.2: the low 64 bits
		id = id<<8 | uint64(b)
	}
	return id
}

// refuse tells the library's reasons apart.
func (p pgpProof) refuse(err error) *core.Refusal {
	var weakKey pgperrors.WeakAlgorithmError
	switch {
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return revokedKey(p.name(), "by its owner")
	case errors.Is(err, pgperrors.ErrKeyExpired), errors.Is(err, pgperrors.ErrSignatureExpired):
		return expiredKey(p.name(), err.Error())
	case errors.As(err, &weakKey), strings.Contains(err.Error(), "insecure"):
		return weak("the OpenPGP signature by " + p.name() + " is too weak: " + err.Error())
	}
	return badSignature(p.name(), err)
}
