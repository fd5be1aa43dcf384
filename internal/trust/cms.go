package trust

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/github/smimesign/ietf-cms/oid"
	"github.com/github/smimesign/ietf-cms/protocol"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/proto"
)

// oidLogEntry is where gitsign puts the entry of the transparency log.
var oidLogEntry = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 3, 1}

var (
	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
)

// A cms is a detached CMS signature (RFC 5652) as gitsign writes it.
type cms struct {
	cert       *x509.Certificate // of the signer
	attributes []byte            // signed attributes in DER: what the signature is over
	digest     []byte            // SHA-256 of the commit, among the attributes
	signature  []byte
	entry      *protorekor.TransparencyLogEntry // without its body
	stamp      []byte                           // RFC 3161 token in DER: when an authority saw the signature; nil: none
}

// parseCMS wants exactly one signer with exactly one certificate and one log
// entry, in DER: encoding/asn1 reads no BER, and what it reads over would not come
// out again in the same bytes.
func parseCMS(der []byte) (*cms, error) {
	var info protocol.ContentInfo
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 {
		return nil, errors.New("it is not DER")
	}
	sd, err := info.SignedDataContent()
	if err != nil {
		return nil, fmt.Errorf("it is no SignedData: %w", err)
	}
	if again, err := sd.ContentInfoDER(); err != nil || !bytes.Equal(again, der) {
		return nil, errors.New("it is not canonical DER")
	}
	switch {
	case len(sd.SignerInfos) != 1:
		return nil, fmt.Errorf("it has %d signers", len(sd.SignerInfos))
	case len(sd.Certificates) != 1:
		return nil, fmt.Errorf("it has %d certificates", len(sd.Certificates))
	case len(sd.CRLs) > 0:
		return nil, errors.New("it has revocation lists")
	case !sd.EncapContentInfo.IsTypeData() || sd.EncapContentInfo.EContent.FullBytes != nil:
		return nil, errors.New("it holds content of its own")
	}
	certs, err := sd.X509Certificates()
	if err != nil {
		return nil, err
	}
	signer := sd.SignerInfos[0]
	c := &cms{signature: signer.Signature}
	if c.cert, err = signer.FindCertificate(certs); err != nil {
		return nil, err
	}
	return c, errors.Join(c.readSigned(signer), c.readUnsigned(signer.UnsignedAttrs))
}

// readSigned reads the attributes that the signature is over.
func (c *cms) readSigned(signer protocol.SignerInfo) (err error) {
	if !is(signer.DigestAlgorithm, oidSHA256) || !is(signer.SignatureAlgorithm, oidECDSAWithSHA256) {
		return errors.New("its algorithms are not ECDSA with SHA-256")
	}
	for _, a := range signer.SignedAttrs {
		if !a.Type.Equal(oid.AttributeContentType) && !a.Type.Equal(oid.AttributeMessageDigest) && !a.Type.Equal(oid.AttributeSigningTime) {
			return fmt.Errorf("it signs the attribute %v", a.Type)
		}
	}
	if t, err := signer.GetContentTypeAttribute(); err != nil || !t.Equal(oid.ContentTypeData) {
		return errors.New("it does not sign the content type data")
	}
	if c.digest, err = signer.GetMessageDigestAttribute(); err != nil {
		return fmt.Errorf("it does not sign one digest: %w", err)
	}
	c.attributes, err = signer.SignedAttrs.MarshaledForVerification()
	return err
}

// readUnsigned reads the log entry and the timestamp, the two attributes that may
// be unsigned: anything else would be a second spelling of the same signature.
func (c *cms) readUnsigned(attributes protocol.Attributes) error {
	for _, a := range attributes {
		if !a.Type.Equal(oidLogEntry) && !a.Type.Equal(oid.AttributeTimeStampToken) {
			return fmt.Errorf("it has the unsigned attribute %v", a.Type)
		}
	}
	if err := c.readStamp(attributes); err != nil {
		return err
	}
	return c.readEntry(attributes)
}

// readStamp reads the token. Nothing is believed of it here: sigstore-go checks it
// with the authorities of the pinned root.
func (c *cms) readStamp(attributes protocol.Attributes) error {
	if !attributes.HasAttribute(oid.AttributeTimeStampToken) {
		return nil
	}
	value, err := attributes.GetOnlyAttributeValueBytes(oid.AttributeTimeStampToken)
	if err != nil {
		return fmt.Errorf("it must have one timestamp: %w", err)
	}
	var info protocol.ContentInfo
	if rest, err := asn1.Unmarshal(value.FullBytes, &info); err != nil || len(rest) > 0 {
		return errors.New("its timestamp is not DER")
	}
	if _, err := info.SignedDataContent(); err != nil {
		return fmt.Errorf("its timestamp is no SignedData: %w", err)
	}
	c.stamp = value.FullBytes
	return nil
}

func (c *cms) readEntry(attributes protocol.Attributes) error {
	value, err := attributes.GetOnlyAttributeValueBytes(oidLogEntry)
	if err != nil {
		return fmt.Errorf("it must have one entry of a transparency log: %w", err)
	}
	var octets []byte
	if rest, err := asn1.Unmarshal(value.FullBytes, &octets); err != nil || len(rest) > 0 {
		return errors.New("its log entry is not in an OCTET STRING")
	}
	c.entry = &protorekor.TransparencyLogEntry{}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(octets, c.entry); err != nil {
		return fmt.Errorf("its log entry does not parse: %w", err)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.entry)
	kind := c.entry.GetKindVersion()
	switch {
	case err != nil || !bytes.Equal(again, octets):
		return errors.New("its log entry is not canonical")
	case kind.GetKind() != "hashedrekord" || kind.GetVersion() != "0.0.1" && kind.GetVersion() != "0.0.2":
		return fmt.Errorf("its log entry is of type %s %s; hashedrekord 0.0.1 and 0.0.2 are known", quote(kind.GetKind()), quote(kind.GetVersion()))
	case len(c.entry.CanonicalizedBody) > 0:
		return errors.New("its log entry has a body; gitsign leaves it out")
	case c.timeless() && c.stamp == nil:
		return errors.New("nothing says when it was made: its log entry has no signed entry timestamp (Rekor v1), and no authority has stamped it (RFC 3161)")
	case !c.timeless() && (len(c.promise()) == 0 || kind.GetVersion() != "0.0.1"):
		return errors.New("its log entry says a time that the log has not signed (signed entry timestamp)")
	}
	return nil
}

// timeless reports whether the log says no time, as Rekor v2 does not. gitsign
// (0.17) writes 0.0.1 into entries of both.
func (c *cms) timeless() bool { return c.entry.GetIntegratedTime() == 0 && len(c.promise()) == 0 }

// promise is what Rekor v1 signs of when it made the entry.
func (c *cms) promise() []byte { return c.entry.GetInclusionPromise().GetSignedEntryTimestamp() }

// is reports whether an algorithm is the one of an OID, without parameters.
func is(a pkix.AlgorithmIdentifier, want asn1.ObjectIdentifier) bool {
	return a.Algorithm.Equal(want) && (len(a.Parameters.FullBytes) == 0 || bytes.Equal(a.Parameters.FullBytes, asn1.NullBytes))
}
