package sigstore

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
	sumnote "golang.org/x/mod/sumdb/note"
)

// origin is where a Rekor is, as its checkpoints and trusted roots name it.
const origin = "rekor2.lab.example"

// A Rekor is a transparency log of the second kind (Rekor v2): it proves that an
// entry is in it, and says nothing of when.
type Rekor struct{ key *ecdsa.PrivateKey }

// NewRekor returns a log with one entry by somebody else.
func NewRekor() (*Rekor, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &Rekor{key}, err
}

// Log is what a trusted root says of r, by the id of its key.
func (r *Rekor) Log() (id string, log *root.TransparencyLog, err error) {
	sum, err := r.id()
	return hex.EncodeToString(sum), &root.TransparencyLog{
		BaseURL: "https://" + origin, ID: sum, PublicKey: r.key.Public(),
		HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256, ValidityPeriodStart: time.Now().Add(-time.Hour),
	}, err
}

func (r *Rekor) id() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(r.key.Public())
	sum := sha256.Sum256(der)
	return sum[:], err
}

// Enter puts a signature (ECDSA P-256 with SHA-256) into the log, as rekor-tiles
// does, and returns its entry as the log answers, without its body.
func (r *Rekor) Enter(digest, sig []byte, cert *x509.Certificate) (*protorekor.TransparencyLogEntry, error) {
	leaf, err := hashedrekord.ToEntryHash(digest, &tiles.Signature{Content: sig, Verifier: &tiles.Verifier{
		KeyDetails: protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		Verifier:   &tiles.Verifier_X509Certificate{X509Certificate: &protocommon.X509Certificate{RawBytes: cert.Raw}},
	}})
	if err != nil {
		return nil, err
	}
	id, err := r.id()
	if err != nil {
		return nil, err
	}
	before := sha256.Sum256([]byte("\x00by somebody else"))         // RFC 6962, section 2.1: a leaf,
	top := sha256.Sum256(slices.Concat([]byte{1}, before[:], leaf)) // and what is above two of them
	checkpoint, err := r.Checkpoint(2, top[:])
	return &protorekor.TransparencyLogEntry{
		LogIndex: 1, LogId: &protocommon.LogId{KeyId: id},
		KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof: &protorekor.InclusionProof{LogIndex: 1, TreeSize: 2, RootHash: top[:], Hashes: [][]byte{before[:]},
			Checkpoint: &protorekor.Checkpoint{Envelope: checkpoint}},
	}, err
}

// Checkpoint signs how many entries the log has, and their Merkle tree.
func (r *Rekor) Checkpoint(size uint64, top []byte) (string, error) {
	by, err := signature.LoadECDSASignerVerifier(r.key, crypto.SHA256)
	if err != nil {
		return "", err
	}
	signer, err := note.NewNoteSigner(context.Background(), origin, by)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(top)) // C2SP tlog-checkpoint
	signed, err := sumnote.Sign(&sumnote.Note{Text: text}, signer)
	return string(signed), err
}

// Token is the timestamp in the answer of an authority (RFC 3161, section 2.4.2).
func Token(answer []byte) ([]byte, error) {
	var parts struct{ Status, Token asn1.RawValue }
	_, err := asn1.Unmarshal(answer, &parts)
	return parts.Token.FullBytes, err
}
