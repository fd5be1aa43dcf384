package trust

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/github/smimesign/ietf-cms/oid"
	"github.com/github/smimesign/ietf-cms/protocol"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/rekor/pkg/types"
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/proto"

	"prumo.dev/prumo/test/sigstore"
)

const (
	anaIssuer  = "https://accounts.lab.example"
	anaSubject = "ana@lab.example"
)

// A gitsign signs as gitsign does, with authorities and a log of its own. Its
// fields let a test make something else of it.
type gitsign struct {
	t               testing.TB
	stack           *ca.VirtualSigstore
	rekor           *sigstore.Rekor               // in place of the stack's log, which is of the first kind
	stamp           func(signature []byte) []byte // what authorities say of it; nil: they are not asked
	fulcio          *sigstore.Fulcio              // makes the certificates; nil: the stack does, and no log sees them
	seenBy          *sigstore.Fulcio              // whose log sees them
	issuer, subject string
	payload         func([]byte) []byte // what is signed in place of the commit
	logged          time.Duration       // when the log says that it was, from now
	seen            time.Duration       // when it is judged, from now
	entry           func(*protorekor.TransparencyLogEntry)
	logs            func(attributes []byte) []byte // what the log has in place of them, signed by the same key
	signed          func(*protocol.SignedData)
}

func newGitsign(t testing.TB) *gitsign {
	t.Helper()
	stack, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return &gitsign{
		t: t, stack: stack, issuer: anaIssuer, subject: anaSubject, payload: func(b []byte) []byte { return b }, seen: time.Minute,
		entry: func(*protorekor.TransparencyLogEntry) {}, signed: func(*protocol.SignedData) {},
	}
}

func (g *gitsign) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// root is what a trust file pins. The certificates of the stack have no SCT.
func (g *gitsign) root(requireSCT bool) string {
	g.t.Helper()
	logs := g.stack.RekorLogs()
	for id, log := range logs {
		var err error
		log.ID, err = hex.DecodeString(id) // the stack has it in digits
		g.must(err)
	}
	authorities, ctLogs := g.stack.FulcioCertificateAuthorities(), g.stack.CTLogs()
	if g.fulcio != nil {
		var err error
		authorities = []root.CertificateAuthority{g.fulcio.Authority()}
		ctLogs, err = g.fulcio.CTLogs()
		g.must(err)
	}
	if g.rekor != nil {
		id, log, err := g.rekor.Log()
		g.must(err)
		logs[id] = log
	}
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01, authorities, ctLogs, g.stack.TimestampingAuthorities(), logs)
	g.must(err)
	text, err := r.MarshalJSON()
	g.must(err)
	return fmt.Sprintf("sigstore: {requireSCT: %v, trustedRoot: %q}\n", requireSCT, text)
}

func (g *gitsign) sign(payload []byte) string {
	g.t.Helper()
	eci, err := protocol.NewDataEncapsulatedContentInfo(g.payload(payload))
	g.must(err)
	sd, err := protocol.NewSignedData(eci)
	g.must(err)
	cert, private := g.leaf()
	g.must(sd.AddSignerInfo([]*x509.Certificate{cert}, private.(crypto.Signer)))
	sd.EncapContentInfo.EContent = asn1.RawValue{} // detached
	signer := &sd.SignerInfos[0]
	attributes, err := signer.SignedAttrs.MarshaledForVerification()
	g.must(err)
	artifact, signature := attributes, signer.Signature
	if g.logs != nil {
		artifact = g.logs(attributes)
		digest := sha256.Sum256(artifact)
		signature, err = private.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256)
		g.must(err)
	}
	entry := g.log(artifact, signature, cert)
	g.entry(entry)
	g.attach(signer, entry)
	if g.stamp != nil {
		g.attachStamp(signer, g.stamp(signer.Signature))
	}
	g.signed(sd)
	der, err := sd.ContentInfoDER()
	g.must(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: armorCMS, Bytes: der}))
}

// leaf makes a certificate.
func (g *gitsign) leaf() (*x509.Certificate, crypto.PrivateKey) {
	g.t.Helper()
	if g.fulcio != nil {
		cert, private, err := g.fulcio.Leaf(g.subject, g.issuer, g.seenBy)
		g.must(err)
		return cert, private
	}
	cert, private, err := g.stack.GenerateLeafCert(g.subject, g.issuer)
	g.must(err)
	return cert, private
}

// attach adds a log entry to the unsigned attributes.
func (g *gitsign) attach(signer *protocol.SignerInfo, entry *protorekor.TransparencyLogEntry) {
	g.t.Helper()
	octets, err := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
	g.must(err)
	attribute, err := protocol.NewAttribute(oidLogEntry, octets)
	g.must(err)
	signer.UnsignedAttrs = append(signer.UnsignedAttrs, attribute)
}

func (g *gitsign) attachStamp(signer *protocol.SignerInfo, token []byte) {
	g.t.Helper()
	attribute, err := protocol.NewAttribute(oid.AttributeTimeStampToken, asn1.RawValue{FullBytes: token})
	g.must(err)
	signer.UnsignedAttrs = append(signer.UnsignedAttrs, attribute)
}

// log enters a signature in the log, by the log's own code.
func (g *gitsign) log(artifact, signature []byte, cert *x509.Certificate) *protorekor.TransparencyLogEntry {
	g.t.Helper()
	digest := sha256.Sum256(artifact)
	if g.rekor != nil {
		entry, err := g.rekor.Enter(digest[:], signature, cert)
		g.must(err)
		// As gitsign 0.17 stores what any log answers (its internal/rekor/oid).
		entry.KindVersion.Version, entry.InclusionPromise = "0.0.1", &protorekor.InclusionPromise{}
		return entry
	}
	ctx := context.Background()
	proposed, err := types.NewProposedEntry(ctx, "hashedrekord", "0.0.1", types.ArtifactProperties{
		PublicKeyBytes: [][]byte{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})},
		PKIFormat:      "x509", ArtifactHash: hex.EncodeToString(digest[:]), SignatureBytes: signature,
	})
	g.must(err)
	impl, err := types.CreateVersionedEntry(proposed)
	g.must(err)
	body, err := types.CanonicalizeEntry(ctx, impl)
	g.must(err)
	id, err := g.stack.RekorLogID()
	g.must(err)
	keyID, err := hex.DecodeString(id)
	g.must(err)
	at := time.Now().Add(g.logged).Unix()
	set, err := g.stack.RekorSignPayload(tlog.RekorPayload{Body: body, IntegratedTime: at, LogIndex: 7, LogID: id})
	g.must(err)
	inclusion, err := g.stack.GetInclusionProof(body)
	g.must(err)
	rootHash, err := hex.DecodeString(*inclusion.RootHash)
	g.must(err)
	return &protorekor.TransparencyLogEntry{
		LogIndex: 7, LogId: &protocommon.LogId{KeyId: keyID}, IntegratedTime: at,
		KindVersion:      &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.1"},
		InclusionPromise: &protorekor.InclusionPromise{SignedEntryTimestamp: set},
		InclusionProof: &protorekor.InclusionProof{
			LogIndex: *inclusion.LogIndex, TreeSize: *inclusion.TreeSize, RootHash: rootHash,
			Checkpoint: &protorekor.Checkpoint{Envelope: *inclusion.Checkpoint},
		},
	}
}

func (g *gitsign) verdict(anchor string) (code, found string) {
	g.t.Helper()
	w := newWorld(g.t, map[string]signer{"ana": {
		policy: fmt.Sprintf("keyless: {issuer: %q, subject: %q}", anaIssuer, anaSubject), sign: g.sign,
	}})
	w.extra = anchor
	v := w.verifier()
	v.now = func() time.Time { return time.Now().Add(g.seen) }
	tip := w.chain(w.intro, "ana", w.files)
	verdict, err := v.Verify(context.Background(), w.history(tip), "", tip)
	g.must(err)
	if verdict.Refusal == nil {
		return "", verdict.Commits[len(verdict.Commits)-1].Key
	}
	return verdict.Refusal.Code, verdict.Refusal.Found
}

func TestKeyless(t *testing.T) {
	g := newGitsign(t)
	if code, key := g.verdict(g.root(false)); code != "" || key != anaSubject+" by "+anaIssuer {
		t.Errorf("got %s %q, want it obeyed, by %s", code, key, anaSubject)
	}
	for _, tt := range []struct{ name, anchor, code, found string }{
		{"no root", "", CodeKeyless, "no sigstore.trustedRoot"},
		{"another root", newGitsign(t).root(false), CodeKeyless, "not enough verified log entries"},
		{"no SCT", g.root(true), CodeKeyless, "signed certificate timestamp"},
		{"SCT by default", strings.Replace(g.root(true), "requireSCT: true, ", "", 1), CodeKeyless, "signed certificate timestamp"},
		{"revoked", g.root(false) + fmt.Sprintf("revoked: {keyless: [{issuer: %q, subject: %q}]}\n", anaIssuer, anaSubject), CodeKeyRevoked, anaSubject},
		{"another revoked", g.root(false) + fmt.Sprintf("revoked: {keyless: [{issuer: %q, subject: %q}]}\n", anaIssuer, "x"+anaSubject), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, found := g.verdict(tt.anchor); code != tt.code || !strings.Contains(found, tt.found) {
				t.Errorf("got %s: %s; want %s for %q", code, found, tt.code, tt.found)
			}
		})
	}
}

// TestKeylessSCT wants the log of the authority to have seen the certificate.
func TestKeylessSCT(t *testing.T) {
	newFulcio := func() *sigstore.Fulcio {
		f, err := sigstore.NewFulcio()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, tt := range []struct {
		name   string
		seenBy func(own *sigstore.Fulcio) *sigstore.Fulcio
		code   string
	}{
		{"seen by its log", func(own *sigstore.Fulcio) *sigstore.Fulcio { return own }, ""},
		{"seen by nobody", func(*sigstore.Fulcio) *sigstore.Fulcio { return nil }, CodeKeyless},
		{"seen by another log", func(*sigstore.Fulcio) *sigstore.Fulcio { return newFulcio() }, CodeKeyless},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGitsign(t)
			g.fulcio = newFulcio()
			g.seenBy = tt.seenBy(g.fulcio)
			if code, found := g.verdict(g.root(true)); code != tt.code {
				t.Errorf("got %s: %s; want %q", code, found, tt.code)
			}
		})
	}
}

func TestForgedKeyless(t *testing.T) {
	for _, tt := range []struct {
		name        string
		forge       func(g *gitsign)
		code, found string
	}{
		{"another issuer", func(g *gitsign) { g.issuer = anaIssuer + ".org" }, CodeKeyUnknown, ""},
		{"another subject", func(g *gitsign) { g.subject = "x" + anaSubject }, CodeKeyUnknown, ""},
		{"another commit", func(g *gitsign) { g.payload = func(b []byte) []byte { return append(b, '\n') } }, CodeSignature, "another commit"},
		{"logged before the certificate", func(g *gitsign) { g.logged = -30 * time.Minute }, CodeKeyless, "integrated time"},
		{"logged after the certificate", func(g *gitsign) { g.logged, g.seen = 11*time.Minute, 20*time.Minute }, CodeKeyless, "integrated time"},
		{"logged in the future", func(g *gitsign) { g.logged = 8 * time.Minute }, CodeDate, "keyless signature"},
		{"time changed", func(g *gitsign) { g.entry = func(e *protorekor.TransparencyLogEntry) { e.IntegratedTime++ } }, CodeKeyless, "not enough verified log entries"},
		{"entry of another signature", func(g *gitsign) { g.logs = func(b []byte) []byte { return append([]byte("x"), b...) } }, CodeKeyless, ""},
		{"no signed entry timestamp", func(g *gitsign) {
			g.entry = func(e *protorekor.TransparencyLogEntry) { e.InclusionPromise = nil }
		}, CodeFormat, "signed entry timestamp"},
		{"no inclusion proof", func(g *gitsign) {
			g.entry = func(e *protorekor.TransparencyLogEntry) { e.InclusionProof = nil }
		}, CodeKeyless, "inclusion proof"},
		{"entry with a body", func(g *gitsign) {
			g.entry = func(e *protorekor.TransparencyLogEntry) { e.CanonicalizedBody = []byte("{}") }
		}, CodeFormat, "has a body"},
		{"entry of another type", func(g *gitsign) {
			g.entry = func(e *protorekor.TransparencyLogEntry) { e.KindVersion.Version = "0.0.3" }
		}, CodeFormat, "of type"},
		{"entry of the first kind as one of the second", func(g *gitsign) {
			g.entry = func(e *protorekor.TransparencyLogEntry) { e.KindVersion.Version = "0.0.2" }
		}, CodeFormat, "has not signed"},
		{"no log entry", func(g *gitsign) {
			g.signed = func(sd *protocol.SignedData) { sd.SignerInfos[0].UnsignedAttrs = nil }
		}, CodeFormat, "one entry of a transparency log"},
		{"two log entries", func(g *gitsign) {
			g.signed = func(sd *protocol.SignedData) {
				s := &sd.SignerInfos[0]
				s.UnsignedAttrs = append(s.UnsignedAttrs, s.UnsignedAttrs[0])
			}
		}, CodeFormat, "one entry of a transparency log"},
		{"another unsigned attribute", func(g *gitsign) {
			g.signed = func(sd *protocol.SignedData) {
				s := &sd.SignerInfos[0]
				attribute, err := protocol.NewAttribute(oidSHA256, []byte("x"))
				g.must(err)
				s.UnsignedAttrs = append(s.UnsignedAttrs, attribute)
			}
		}, CodeFormat, "unsigned attribute"},
		{"two signers", func(g *gitsign) {
			g.signed = func(sd *protocol.SignedData) { sd.SignerInfos = append(sd.SignerInfos, sd.SignerInfos[0]) }
		}, CodeFormat, "2 signers"},
		{"two certificates", func(g *gitsign) {
			g.signed = func(sd *protocol.SignedData) {
				g.must(sd.AddCertificate(g.stack.FulcioCertificateAuthorities()[0].(*root.FulcioCertificateAuthority).Root))
			}
		}, CodeFormat, "2 certificates"},
		{"certificate of another", func(g *gitsign) {
			g.signed = func(sd *protocol.SignedData) {
				cert, _, err := g.stack.GenerateLeafCert(anaSubject, anaIssuer)
				g.must(err)
				sd.Certificates = nil
				g.must(sd.AddCertificate(cert))
			}
		}, CodeKeyless, ""},
		{"content of its own", func(g *gitsign) {
			g.signed = func(sd *protocol.SignedData) {
				eci, err := protocol.NewDataEncapsulatedContentInfo([]byte("x"))
				g.must(err)
				sd.EncapContentInfo = eci
			}
		}, CodeFormat, "content of its own"},
		{"another algorithm", func(g *gitsign) {
			g.signed = func(sd *protocol.SignedData) { sd.SignerInfos[0].DigestAlgorithm.Algorithm = oidECDSAWithSHA256 }
		}, CodeFormat, "algorithms"},
		{"entry with an unknown field", func(g *gitsign) {
			g.entry = func(e *protorekor.TransparencyLogEntry) {
				e.KindVersion.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 1}) // field 127: 1
			}
		}, CodeFormat, "not canonical"},
		{"signature changed", func(g *gitsign) {
			g.signed = func(sd *protocol.SignedData) { sd.SignerInfos[0].Signature[10] ^= 1 }
		}, CodeKeyless, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGitsign(t)
			tt.forge(g)
			if code, found := g.verdict(g.root(false)); code != tt.code || !strings.Contains(found, tt.found) {
				t.Errorf("got %s: %s; want %s for %q", code, found, tt.code, tt.found)
			}
		})
	}
}

// TestKeylessSpelling spells a good signature in other bytes.
func TestKeylessSpelling(t *testing.T) {
	block, _ := pem.Decode([]byte(newGitsign(t).sign(nil)))
	inside := append(slices.Clone(block.Bytes), 5, 0) // NULL as one more field of the outermost SEQUENCE
	binary.BigEndian.PutUint16(inside[2:], uint16(len(inside)-4))
	for name, tt := range map[string]struct {
		der  []byte
		want string
	}{
		"as it is":          {block.Bytes, ""},
		"bytes after it":    {append(slices.Clone(block.Bytes), 0), "not DER"},
		"one field more":    {inside, "not canonical DER"},
		"indefinite length": {append([]byte{0x30, 0x80}, append(slices.Clone(block.Bytes[4:]), 0, 0)...), "not DER"},
		"nothing":           {nil, "not DER"},
		"something else":    {[]byte{5, 0}, "not DER"},
	} {
		_, err := parseCMS(tt.der)
		if got := fmt.Sprint(err); (err == nil) != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %s, want %q", name, got, tt.want)
		}
	}
}
