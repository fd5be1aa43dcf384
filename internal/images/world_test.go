package images

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	cbundle "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	sigdsse "github.com/sigstore/sigstore/pkg/signature/dsse"
	"github.com/sigstore/sigstore/pkg/signature/payload"
	"google.golang.org/protobuf/encoding/protojson"

	"prumo.dev/prumo/internal/core"
)

// A world is a registry and the people who sign what is in it.
type world struct {
	t      *testing.T
	server *httptest.Server
	host   string
}

func newWorld(t *testing.T) *world {
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return &world{t, server, strings.TrimPrefix(server.URL, "http://")}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// push puts a new image under host/repo:tag and returns its digest reference.
func (w *world) push(repoTag string) name.Digest {
	w.t.Helper()
	img := must(random.Image(64, 1))(w.t)
	tag := must(name.NewTag(w.host + "/" + repoTag))(w.t)
	if err := remote.Write(tag, img); err != nil {
		w.t.Fatal(err)
	}
	return tag.Digest(must(img.Digest())(w.t).String())
}

// A keyPair signs with a key.
type keyPair struct {
	sv  signature.SignerVerifier
	pem string
}

func newKey(t *testing.T) keyPair {
	t.Helper()
	pass := func(bool) ([]byte, error) { return []byte("secret"), nil }
	keys := must(cosign.GenerateKeyPair(pass))(t)
	sv := must(cosign.LoadPrivateKey(keys.PrivateBytes, []byte("secret"), nil))(t)
	return keyPair{sv, string(keys.PublicBytes)}
}

func (k keyPair) signer() core.ImageSigner { return core.ImageSigner{Key: k.pem, NoTlog: true} }

// claim is what a signature of the old format signs.
func claim(t *testing.T, digest name.Digest) []byte {
	t.Helper()
	return must((payload.Cosign{Image: digest}).MarshalJSON())(t)
}

// attach puts a signature of the old format beside an image.
func (w *world) attach(to name.Digest, sig oci.Signature) {
	w.t.Helper()
	entity := must(ociremote.SignedEntity(to))(w.t)
	signed := must(mutate.AttachSignatureToEntity(entity, sig))(w.t)
	if err := ociremote.WriteSignatures(to.Repository, signed); err != nil {
		w.t.Fatal(err)
	}
}

// sign signs the claim for one digest with a key, and attaches it to another.
func (w *world) sign(k keyPair, claims, to name.Digest) {
	w.t.Helper()
	body := claim(w.t, claims)
	raw := must(k.sv.SignMessage(bytes.NewReader(body)))(w.t)
	w.attach(to, must(static.NewSignature(body, base64.StdEncoding.EncodeToString(raw)))(w.t))
}

// statement is an in-toto statement about an image.
func statement(t *testing.T, digest name.Digest, predicate string) []byte {
	t.Helper()
	_, sum, _ := strings.Cut(digest.DigestStr(), ":")
	return must(json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": predicate, "predicate": map[string]any{},
		"subject": []any{map[string]any{"name": "image", "digest": map[string]string{"sha256": sum}}},
	}))(t)
}

func (k keyPair) envelope(t *testing.T, statement []byte) []byte {
	t.Helper()
	return must(sigdsse.WrapSigner(k.sv, "application/vnd.in-toto+json").SignMessage(bytes.NewReader(statement)))(t)
}

// bundle attaches a bundle of the new format.
func (w *world) bundle(k keyPair, about, to name.Digest, predicate string) {
	w.t.Helper()
	body := statement(w.t, about, predicate)
	pub := must(k.sv.PublicKey())(w.t)
	data := must(cbundle.MakeNewBundle(pub, nil, body, k.envelope(w.t, body), []byte(k.pem), nil))(w.t)
	if err := ociremote.WriteAttestationNewBundleFormat(to, data, predicate); err != nil {
		w.t.Fatal(err)
	}
}

// attest attaches an attestation of the old format.
func (w *world) attest(k keyPair, about, to name.Digest, predicate string) {
	w.t.Helper()
	att := must(static.NewAttestation(k.envelope(w.t, statement(w.t, about, predicate))))(w.t)
	entity := must(ociremote.SignedEntity(to))(w.t)
	signed := must(mutate.AttachAttestationToEntity(entity, att))(w.t)
	if err := ociremote.WriteAttestations(to.Repository, signed); err != nil {
		w.t.Fatal(err)
	}
}

// A person signs with a certificate of a Sigstore instance.
type person struct {
	vs              *ca.VirtualSigstore
	subject, issuer string
}

func (p person) signer() core.ImageSigner {
	return core.ImageSigner{Subject: p.subject, Issuer: p.issuer}
}

// keyless signs the claim for one digest at a time, and attaches it with the log
// entry of the claim for logged.
func (w *world) keyless(p person, claims, logged, to name.Digest, at time.Time) {
	w.t.Helper()
	body := claim(w.t, claims)
	entity := must(p.vs.SignAtTime(p.subject, p.issuer, body, at))(w.t)
	entryOf := entity
	if logged != claims {
		entryOf = must(p.vs.SignAtTime(p.subject, p.issuer, claim(w.t, logged), at))(w.t)
	}
	cert := must(entity.VerificationContent())(w.t).Certificate()
	content := must(entity.SignatureContent())(w.t)
	entry := must(entryOf.TlogEntries())(w.t)[0]
	leaf, chain := pemChain(w.t, p.vs, cert)
	w.attach(to, must(static.NewSignature(body, base64.StdEncoding.EncodeToString(content.Signature()),
		static.WithCertChain(leaf, chain), static.WithBundle(rekorBundle(w.t, p.vs, entry))))(w.t))
}

func pemChain(t *testing.T, vs *ca.VirtualSigstore, cert *x509.Certificate) (leaf, chain []byte) {
	t.Helper()
	leaf = must(cryptoutils.MarshalCertificateToPEM(cert))(t)
	for _, authority := range vs.FulcioCertificateAuthorities() {
		chains, err := authority.Verify(cert, cert.NotBefore.Add(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		chain = must(cryptoutils.MarshalCertificatesToPEM(chains[0][1:]))(t)
	}
	return leaf, chain
}

func rekorBundle(t *testing.T, vs *ca.VirtualSigstore, entry *tlog.Entry) *cbundle.RekorBundle {
	t.Helper()
	p := tlog.RekorPayload{Body: entry.Body(), IntegratedTime: entry.IntegratedTime().Unix(), LogIndex: entry.LogIndex(),
		LogID: hex.EncodeToString([]byte(entry.LogKeyID()))}
	set := must(vs.RekorSignPayload(p))(t)
	return &cbundle.RekorBundle{SignedEntryTimestamp: set,
		Payload: cbundle.RekorPayload{Body: p.Body, IntegratedTime: p.IntegratedTime, LogIndex: p.LogIndex, LogID: p.LogID}}
}

// keylessBundle attaches a signature of the new format by a person.
func (w *world) keylessBundle(p person, about, to name.Digest, predicate string) {
	w.t.Helper()
	entity := must(p.vs.AttestAtTime(p.subject, p.issuer, statement(w.t, about, predicate), time.Now(), true))(w.t)
	var entries []*protorekor.TransparencyLogEntry
	for _, e := range must(entity.TlogEntries())(w.t) {
		entries = append(entries, logEntry(w.t, p.vs, e))
	}
	w.attachBundle(entity, entries, nil, to, predicate)
}

// keylessBundleV2 is keylessBundle with a log that says no time (Rekor v2), and
// timestamps of authorities in its place.
func (w *world) keylessBundleV2(p person, about, to name.Digest, by ...*ca.VirtualSigstore) {
	w.t.Helper()
	entity := must(p.vs.AttestHashedRekordV2(p.subject, p.issuer, statement(w.t, about, signPredicate)))(w.t)
	var entries []*protorekor.TransparencyLogEntry
	for _, e := range must(entity.TlogEntries())(w.t) {
		entry := e.TransparencyLogEntry()
		entry.IntegratedTime = 0
		entries = append(entries, entry)
	}
	var stamps []*protocommon.RFC3161SignedTimestamp
	for _, vs := range by {
		content := must(entity.SignatureContent())(w.t)
		stamps = append(stamps, &protocommon.RFC3161SignedTimestamp{SignedTimestamp: must(vs.TimestampResponse(content.Signature()))(w.t)})
	}
	w.attachBundle(entity, entries, stamps, to, signPredicate)
}

// attachBundle attaches an entity with the entries of a log and timestamps.
func (w *world) attachBundle(entity *ca.TestEntity, entries []*protorekor.TransparencyLogEntry, stamps []*protocommon.RFC3161SignedTimestamp, to name.Digest, predicate string) {
	w.t.Helper()
	cert := must(entity.VerificationContent())(w.t).Certificate()
	content := must(entity.SignatureContent())(w.t)
	raw := content.EnvelopeContent().RawEnvelope()
	pb := &protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:                   &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: cert.Raw}},
			TlogEntries:               entries,
			TimestampVerificationData: &protobundle.TimestampVerificationData{Rfc3161Timestamps: stamps},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: must(raw.DecodeB64Payload())(w.t), PayloadType: raw.PayloadType,
			Signatures: []*protodsse.Signature{{Sig: content.Signature()}},
		}},
	}
	data := must(protojson.Marshal(pb))(w.t)
	if err := new(sgbundle.Bundle).UnmarshalJSON(data); err != nil {
		w.t.Fatal(err)
	}
	if err := ociremote.WriteAttestationNewBundleFormat(to, data, predicate); err != nil {
		w.t.Fatal(err)
	}
}

// logEntry completes what VirtualSigstore leaves out of an entry as bundles hold it.
func logEntry(t *testing.T, vs *ca.VirtualSigstore, e *tlog.Entry) *protorekor.TransparencyLogEntry {
	t.Helper()
	out := e.TransparencyLogEntry()
	proof := must(vs.GetInclusionProof(out.CanonicalizedBody))(t)
	out.KindVersion = &protorekor.KindVersion{Kind: "dsse", Version: "0.0.1"}
	out.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: rekorBundle(t, vs, e).SignedEntryTimestamp}
	out.InclusionProof = &protorekor.InclusionProof{
		LogIndex: *proof.LogIndex, TreeSize: *proof.TreeSize, RootHash: must(hex.DecodeString(*proof.RootHash))(t),
		Checkpoint: &protorekor.Checkpoint{Envelope: *proof.Checkpoint},
	}
	return out
}
