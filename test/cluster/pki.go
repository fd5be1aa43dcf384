package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is how long certificates are valid. A cluster lives for
// minutes, a demo that is kept for days.
const certificateLife = 30 * 24 * time.Hour

// pki is the certificate authority of one cluster.
type pki struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte // of cert
}

// A keyPair is a certificate and its key, PEM encoded.
type keyPair struct{ cert, key []byte }

// newPKI makes an authority, and writes its certificate (ca.crt), the API
// server's (apiserver.crt, apiserver.key) and the key that signs
// ServiceAccount tokens (sa.key).
func newPKI(dir string) (*pki, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{
		Subject:               pkix.Name{CommonName: "prumo-test-cluster-ca"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	p := &pki{key: key}
	if p.pem, err = p.sign(&template, &template, &key.PublicKey); err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	block, _ := pem.Decode(p.pem)
	if p.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, err
	}
	serving, err := p.issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
	})
	if err != nil {
		return nil, err
	}
	tokens, err := newKeyPEM()
	if err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{
		"ca.crt": p.pem, "apiserver.crt": serving.cert, "apiserver.key": serving.key, "sa.key": tokens,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// client issues a certificate that the API server takes for the user.
func (p *pki) client(user string, groups ...string) (keyPair, error) {
	return p.issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (p *pki) issue(template x509.Certificate) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	cert, err := p.sign(&template, p.cert, &key.PublicKey)
	if err != nil {
		return keyPair{}, fmt.Errorf("issue certificate of %s: %w", template.Subject.CommonName, err)
	}
	encoded, err := encodeKey(key)
	return keyPair{cert: cert, key: encoded}, err
}

func (p *pki) sign(template, parent *x509.Certificate, public *ecdsa.PublicKey) ([]byte, error) {
	// An hour back: the clock of a virtual machine may be set while we run.
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(certificateLife)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, p.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func newKeyPEM() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return encodeKey(key)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
