package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	"prumo.dev/prumo/internal/core"
)

// An identity is who a keyless certificate is for: the subject (an address or
// the URI of a workflow) as the issuer of its login named it. Both are matched
// exactly; patterns have let strangers in elsewhere.
type identity struct{ issuer, subject string }

// id is a keyring index, and what the trust file revokes the identity by.
func (i identity) id() string { return "keyless:" + i.issuer + " " + i.subject }

// String is for people. It may come from a certificate that nobody trusts.
func (i identity) String() string {
	return strings.Trim(quote(i.subject+" by "+i.issuer), `"`)
}

// keyless reads an identity.
func (d *decoder) keyless(n *yaml.Node) (identity, bool) {
	f := d.fields(n, "keyless", "issuer!", "subject!")
	if f["issuer"] == nil || f["subject"] == nil {
		return identity{}, false
	}
	i := identity{d.text(f["issuer"], "issuer"), d.text(f["subject"], "subject")}
	if !strings.HasPrefix(i.issuer, "https://") || strings.ContainsAny(i.issuer, " *") {
		d.fail(f["issuer"], "issuer must be the https:// address that signs people in, exactly as in the certificate: no patterns")
		return i, false
	}
	if i.subject == "" || strings.ContainsAny(i.subject, " *") {
		d.fail(f["subject"], "subject must be the address or URI exactly as in the certificate: no patterns")
		return i, false
	}
	return i, true
}

// parseSigstore reads the pinned root: the authorities and logs by which keyless
// signatures are checked, as `cosign trusted-root create` writes them. It is part
// of the trust file, so that nothing else need be guarded like it, and nothing is
// ever fetched. Without it every keyless signature is refused.
func (a *Anchor) parseSigstore(d *decoder, n *yaml.Node) {
	f := d.fields(n, "sigstore", "trustedRoot!", "requireSCT")
	a.requireSCT = true
	if s := f["requireSCT"]; s != nil {
		if a.requireSCT = s.Value != "false"; s.ShortTag() != "!!bool" {
			d.fail(s, "requireSCT must be true or false")
		}
	}
	if f["trustedRoot"] == nil {
		return
	}
	material, err := root.NewTrustedRootFromJSON([]byte(d.text(f["trustedRoot"], "trustedRoot")))
	if err != nil {
		d.fail(f["trustedRoot"], "trustedRoot must be the JSON of a Sigstore trusted root, as text: %v", err)
		return
	}
	a.sigstore = material
}

// A keylessProof is a signature as gitsign makes it: by a key that lived for
// minutes, a certificate that says whose it was, and the entry of a log that says
// when. Nobody trusts any of them yet.
type keylessProof struct {
	*cms
	identity
}

func parseKeylessProof(blob []byte) (proof, *core.Refusal) {
	c, err := parseCMS(blob)
	if err != nil {
		return nil, malformed("the keyless (gitsign) signature is not as gitsign writes it: " + err.Error())
	}
	summary, err := certificate.SummarizeCertificate(c.cert)
	if err != nil {
		return nil, malformed("the certificate of the keyless signature names nobody: " + err.Error())
	}
	return keylessProof{c, identity{summary.Issuer, summary.SubjectAlternativeName}}, nil
}

func (p keylessProof) name() string    { return p.identity.String() }
func (p keylessProof) names() []string { return []string{p.identity.id()} }

func (p keylessProof) find(ring keyring) (*key, *core.Refusal) { return ring[p.identity.id()], nil }

// verify checks, without any network, that the signed attributes speak of this
// payload, and by the pinned root that they, the certificate and the log's entry
// belong together. What is signed is the attributes, not the payload itself.
func (p keylessProof) verify(a *Anchor, k *key, payload []byte, now time.Time) *core.Refusal {
	if a.sigstore == nil {
		return badKeyless(p.name(), errors.New("the trust file has no sigstore.trustedRoot"))
	}
	if digest := sha256.Sum256(payload); !bytes.Equal(p.digest, digest[:]) {
		return badSignature(p.name(), errors.New("it is over another commit"))
	}
	b, err := p.bundle()
	if err != nil {
		return badKeyless(p.name(), err)
	}
	verifier, err := verify.NewVerifier(a.sigstore, p.evidence(a)...)
	if err != nil {
		return badKeyless(p.name(), err)
	}
	who, err := verify.NewShortCertificateIdentity(k.keyless.issuer, "", k.keyless.subject, "")
	if err != nil {
		return badKeyless(p.name(), err)
	}
	policy := verify.NewPolicy(verify.WithArtifact(bytes.NewReader(p.attributes)), verify.WithCertificateIdentity(who))
	result, err := verifier.Verify(b, policy)
	if err != nil {
		return badKeyless(p.name(), err)
	}
	for _, t := range result.VerifiedTimestamps {
		if t.Timestamp.After(now.Add(clockSkew)) {
			return futureDate("the keyless signature", t.Timestamp)
		}
	}
	return nil
}

// evidence is what must bear a signature out: a log that holds it, and a time for
// which the certificate was valid, from the log if it says one (Rekor v1), and
// from an authority if there is a timestamp.
func (p keylessProof) evidence(a *Anchor) []verify.VerifierOption {
	options := []verify.VerifierOption{verify.WithTransparencyLog(1)}
	if !p.timeless() {
		options = append(options, verify.WithIntegratedTimestamps(1))
	}
	if p.stamp != nil {
		options = append(options, verify.WithSignedTimestamps(1))
	}
	if a.requireSCT {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	return options
}

func (p keylessProof) made(a *Anchor, k *key, payload []byte, now time.Time) bool {
	return p.verify(a, k, payload, now) == nil // valid at the time of its log entry, and ever after
}

// bundle is the signature as sigstore-go reads it. gitsign leaves the body of the
// log's entry out, for it follows from the rest: so the entry can be of nothing
// else than this signature by this certificate.
func (p keylessProof) bundle() (*bundle.Bundle, error) {
	digest := sha256.Sum256(p.attributes)
	entry := proto.CloneOf(p.entry)
	var err error
	if p.timeless() {
		entry.KindVersion.Version, entry.InclusionPromise = "0.0.2", nil
		entry.CanonicalizedBody, err = hashedRekordV2(digest, p.signature, p.cert)
	} else {
		entry.CanonicalizedBody, err = hashedRekord(digest, p.signature, p.cert)
	}
	if err != nil {
		return nil, err
	}
	stamps, err := p.timestamps()
	if err != nil {
		return nil, err
	}
	return bundle.NewBundle(&protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_Certificate{
				Certificate: &protocommon.X509Certificate{RawBytes: p.cert.Raw},
			},
			TlogEntries:               []*protorekor.TransparencyLogEntry{entry},
			TimestampVerificationData: stamps,
		},
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: digest[:]},
			Signature:     p.signature,
		}},
	})
}

// timestamps wraps the token as an authority answers (RFC 3161, section 2.4.2):
// CMS holds the token alone, and sigstore-go reads the whole answer.
func (p keylessProof) timestamps() (*protobundle.TimestampVerificationData, error) {
	if p.stamp == nil {
		return nil, nil
	}
	type status struct{ Granted int } // 0
	answer, err := asn1.Marshal(struct {
		Status status
		Token  asn1.RawValue
	}{Token: asn1.RawValue{FullBytes: p.stamp}})
	return &protobundle.TimestampVerificationData{
		Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: answer}},
	}, err
}
