package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	"github.com/google/certificate-transparency-go/x509util"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// A Fulcio makes certificates that say who somebody is, and has a log of them.
type Fulcio struct {
	Root, Intermediate *x509.Certificate

	Ahead time.Duration // by how much its clock is ahead when it makes a leaf

	key *ecdsa.PrivateKey // of Intermediate
	log *ecdsa.PrivateKey
}

// NewFulcio returns a new authority, valid from two minutes ago on for two hours.
func NewFulcio() (*Fulcio, error) {
	top, topKey, err := ca.GenerateRootCa()
	if err != nil {
		return nil, err
	}
	f := &Fulcio{Root: top}
	if f.Intermediate, f.key, err = ca.GenerateFulcioIntermediate(top, topKey); err != nil {
		return nil, err
	}
	f.log, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return f, err
}

// Authority is what a trusted root says of f.
func (f *Fulcio) Authority() root.CertificateAuthority {
	return &root.FulcioCertificateAuthority{Root: f.Root, Intermediates: []*x509.Certificate{f.Intermediate},
		ValidityPeriodStart: f.Root.NotBefore, ValidityPeriodEnd: f.Root.NotAfter, URI: "https://fulcio.lab.example"}
}

// CTLogs is what a trusted root says of f's log.
func (f *Fulcio) CTLogs() (map[string]*root.TransparencyLog, error) {
	id, err := f.logID()
	return map[string]*root.TransparencyLog{hex.EncodeToString(id[:]): {
		BaseURL: "https://ctlog.lab.example", ID: id[:], PublicKey: f.log.Public(),
		HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256, ValidityPeriodStart: time.Now().Add(-time.Hour),
	}}, err
}

// logID is the SHA-256 of a log's public key (RFC 6962, section 3.2).
func (f *Fulcio) logID() ([sha256.Size]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(f.log.Public())
	return sha256.Sum256(der), err
}

var (
	oidIssuer = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}    // Fulcio: who named the subject
	oidSCTs   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2} // RFC 6962, section 3.3
)

// Leaf makes a certificate of ten minutes for a subject, with what the log of by
// has to say of it. Without by no log has seen it.
func (f *Fulcio) Leaf(subject, issuer string, by *Fulcio) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), EmailAddresses: []string{subject},
		NotBefore: time.Now().Add(f.Ahead - time.Minute), NotAfter: time.Now().Add(f.Ahead + 9*time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: oidIssuer, Value: []byte(issuer)}},
	}
	cert, err := f.make(template, key)
	if err != nil || by == nil {
		return cert, key, err
	}
	seen, err := by.see(cert, f.Intermediate)
	if err != nil {
		return nil, nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidSCTs, Value: seen})
	cert, err = f.make(template, key)
	return cert, key, err
}

func (f *Fulcio) make(template *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, f.Intermediate, key.Public(), f.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// see has the log sign that it saw a certificate that is still to be completed:
// the list of signed certificate timestamps, as the certificate is to hold it.
func (f *Fulcio) see(cert, issuer *x509.Certificate) ([]byte, error) {
	id, err := f.logID()
	if err != nil {
		return nil, err
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: ct.LogID{KeyID: id}, Timestamp: uint64(time.Now().UnixMilli())}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{
		LeafType: ct.TimestampedEntryLeafType,
		TimestampedEntry: &ct.TimestampedEntry{EntryType: ct.PrecertLogEntryType, PrecertEntry: &ct.PreCert{
			IssuerKeyHash: sha256.Sum256(issuer.RawSubjectPublicKeyInfo), TBSCertificate: cert.RawTBSCertificate,
		}},
	}})
	if err != nil {
		return nil, err
	}
	signature, err := tls.CreateSignature(*f.log, tls.SHA256, input)
	if err != nil {
		return nil, err
	}
	sct.Signature = ct.DigitallySigned(signature)
	list, err := x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&sct})
	if err != nil {
		return nil, err
	}
	octets, err := tls.Marshal(*list)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(octets)
}
