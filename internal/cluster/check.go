package cluster

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prumo.dev/prumo/internal/core"
)

// Check reports whether the cluster answers and lets us in, by the request that
// every plan begins with. The error says what to do.
func (c *Cluster) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := c.metadata.Resource(namespaces).List(ctx, metav1.ListOptions{
		LabelSelector: core.LabelOwner + "=" + c.instance, Limit: 1,
	})
	return c.Explain(err)
}

// An explained fault says what a person can do about it.
type explained struct{ error }

// Unwrap is for errors.Is.
func (e explained) Unwrap() error { return e.error }

// Explain adds to a machine's fault what a person can do about it.
func (c *Cluster) Explain(err error) error {
	var (
		dial      *net.OpError
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		said      explained
	)
	host := c.config.Host
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said):
		return err // once is enough
	case apierrors.IsUnauthorized(err):
		return explained{fmt.Errorf("%s does not accept our credentials: %s: %w", host, c.credentials(time.Now()), err)}
	case apierrors.IsForbidden(err):
		return explained{fmt.Errorf("%s knows us and forbids this: give the user the role that `reconciler install` prints: %w", host, err)}
	case errors.As(err, &authority), errors.As(err, &name), errors.As(err, &invalid):
		return explained{fmt.Errorf("%s shows a certificate that the kubeconfig does not vouch for: check its certificate-authority and server: %w", host, err)}
	case errors.As(err, &dns):
		return explained{fmt.Errorf("the API server %s cannot be found: check the server in the kubeconfig, and DNS: %w", host, err)}
	case errors.As(err, &dial):
		return explained{fmt.Errorf("the API server %s cannot be reached: check that it runs, and the server in the kubeconfig: %w", host, err)}
	case errors.Is(err, context.DeadlineExceeded):
		return explained{fmt.Errorf("the API server %s does not answer within %s: %w", host, requestTimeout, err)}
	}
	return err
}

// credentials says what is wrong with them, as far as it can be seen from here.
func (c *Cluster) credentials(now time.Time) string {
	if end, ok := certificateEnd(c.config.CertData, c.config.CertFile); ok && now.After(end) {
		return fmt.Sprintf("the client certificate expired at %s: fetch a new kubeconfig", end.UTC().Format(time.RFC3339))
	}
	if end, ok := tokenEnd(c.config.BearerToken); ok && now.After(end) {
		return fmt.Sprintf("the token expired at %s: log in again or fetch a new kubeconfig", end.UTC().Format(time.RFC3339))
	}
	return "log in again or fetch a new kubeconfig"
}

func certificateEnd(data []byte, file string) (time.Time, bool) {
	if len(data) == 0 && file != "" {
		data, _ = os.ReadFile(file)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return time.Time{}, false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, false
	}
	return cert.NotAfter, true
}

// tokenEnd reads the expiry of a JSON web token (RFC 7519) without judging it.
func tokenEnd(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Exp <= 0 {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Exp), 0), true
}
