package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
)

// An object is written in canonical JSON (RFC 8785): encoding/json sorts the keys.
type object map[string]any

// hashedRekord is the body of a log entry of type hashedrekord 0.0.1 (Rekor v1).
func hashedRekord(digest [sha256.Size]byte, signature []byte, cert *x509.Certificate) ([]byte, error) {
	return json.Marshal(object{
		"apiVersion": "0.0.1",
		"kind":       "hashedrekord",
		"spec": object{
			"data": object{"hash": object{"algorithm": "sha256", "value": fmt.Sprintf("%x", digest)}},
			"signature": object{
				"content":   signature,
				"publicKey": object{"content": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})},
			},
		},
	})
}

// hashedRekordV2 is the body of one of type hashedrekord 0.0.2 (Rekor v2).
func hashedRekordV2(digest [sha256.Size]byte, signature []byte, cert *x509.Certificate) ([]byte, error) {
	return json.Marshal(object{
		"apiVersion": "0.0.2",
		"kind":       "hashedrekord",
		"spec": object{"hashedRekordV002": object{
			"data": object{"algorithm": "SHA2_256", "digest": digest[:]},
			"signature": object{
				"content": signature,
				"verifier": object{
					"keyDetails":      "PKIX_ECDSA_P256_SHA_256",
					"x509Certificate": object{"rawBytes": cert.Raw},
				},
			},
		}},
	})
}
