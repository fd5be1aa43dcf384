package images

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	cbundle "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"prumo.dev/prumo/internal/core"
)

// An authority is a Fulcio of our own, so that its certificates may end when we
// like, with the log of a VirtualSigstore.
type authority struct {
	*ca.VirtualSigstore
	root, intermediate *x509.Certificate
	key                *ecdsa.PrivateKey
}

func (a *authority) FulcioCertificateAuthorities() []root.CertificateAuthority {
	return []root.CertificateAuthority{&root.FulcioCertificateAuthority{Root: a.root, Intermediates: []*x509.Certificate{a.intermediate}}}
}

// newAuthority makes one whose intermediate certificate ends at a time.
func newAuthority(t *testing.T, end time.Time) *authority {
	t.Helper()
	top, topKey, err := ca.GenerateRootCa()
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{VirtualSigstore: must(ca.NewVirtualSigstore())(t), root: top, key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)}
	der := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "intermediate"},
		NotBefore: time.Now().Add(-3 * time.Hour), NotAfter: end,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		BasicConstraintsValid: true, IsCA: true,
	}, top, a.key.Public(), topKey))(t)
	a.intermediate = must(x509.ParseCertificate(der))(t)
	return a
}

// sign attaches a signature under a certificate that is valid from two hours ago
// on, logged now.
func (a *authority) sign(w *world, it name.Digest, subject, issuer string) {
	w.t.Helper()
	t := w.t
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	der := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(3), EmailAddresses: []string{subject},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(issuer)}},
	}, a.intermediate, key.Public(), a.key))(t)
	w.attachLogged(it, must(x509.ParseCertificate(der))(t), key, a.VirtualSigstore, a.intermediate, a.root)
}

// attachLogged attaches a signature by the key of a certificate, with the entry of
// a log, made now.
func (w *world) attachLogged(it name.Digest, leaf *x509.Certificate, key *ecdsa.PrivateKey, log *ca.VirtualSigstore, chain ...*x509.Certificate) {
	w.t.Helper()
	t := w.t
	leafPEM := must(cryptoutils.MarshalCertificateToPEM(leaf))(t)
	chainPEM := must(cryptoutils.MarshalCertificatesToPEM(chain))(t)
	body := claim(t, it)
	sig := must(must(signature.LoadECDSASigner(key, crypto.SHA256))(t).SignMessage(bytes.NewReader(body)))(t)
	sum := sha256.Sum256(body)
	entry := must(json.Marshal(map[string]any{"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": map[string]any{
		"data":      map[string]any{"hash": map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}},
		"signature": map[string]any{"content": sig, "publicKey": map[string]any{"content": leafPEM}},
	}}))(t)
	p := tlog.RekorPayload{Body: base64.StdEncoding.EncodeToString(entry), IntegratedTime: time.Now().Unix(), LogID: must(log.RekorLogID())(t)}
	w.attach(it, must(static.NewSignature(body, base64.StdEncoding.EncodeToString(sig), static.WithCertChain(leafPEM, chainPEM),
		static.WithBundle(&cbundle.RekorBundle{SignedEntryTimestamp: must(log.RekorSignPayload(p))(t), Payload: cbundle.RekorPayload{
			Body: p.Body, IntegratedTime: p.IntegratedTime, LogIndex: p.LogIndex, LogID: p.LogID}})))(t))
}

// TestExpiredIntermediate proves that all certificates must have been valid when a
// signature was logged, not only the last (74, CVE-2026-24122).
func TestExpiredIntermediate(t *testing.T) {
	for _, tc := range []struct {
		name    string
		end     time.Time
		refused string
	}{
		{"valid", time.Now().Add(time.Hour), ""},
		{"expired before the signature", time.Now().Add(-time.Hour), "a certificate was not valid when the signature was made"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			a := newAuthority(t, tc.end)
			it := w.push("ml/app:1")
			const subject, issuer = "imgbot@lab.example", "https://accounts.lab.example"
			a.sign(w, it, subject, issuer)
			v := newVerifier(t, Options{})
			v.root, v.ignoreSCT = a, true
			policy := core.ImagePolicy{Rules: []core.ImageRule{{Match: w.host + "/ml/*", AllOf: []core.ImageSigner{{Subject: subject, Issuer: issuer}}}}}
			_, problems := v.Resolve(t.Context(), policy, []Use{{Image: it.String()}})
			check(t, problems, tc.refused)
		})
	}
}
