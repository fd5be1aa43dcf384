package images

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// A Registry is how one registry is reached.
type Registry struct {
	Host         string // with its port, if it has one
	Username     string
	Password     string
	DockerConfig []byte // a docker config.json; its auths are used, its helpers are not run
	CA           []byte // PEM; trusted beside the system's
}

// Bounds of what one judgement of an image may read.
const (
	maxBody     = 16 << 20 // bytes of one answer: manifests, signatures, attestations
	maxRequests = 256      // of one image
)

// registries reaches every registry, known or not. It is an authn.Keychain.
type registries struct {
	auth       map[string]authn.AuthConfig
	transports map[string]http.RoundTripper // by host
	other      http.RoundTripper
}

func newRegistries(known []Registry) (*registries, error) {
	r := &registries{auth: map[string]authn.AuthConfig{}, transports: map[string]http.RoundTripper{}, other: transport(nil)}
	for _, k := range known {
		if k.Username != "" {
			r.auth[k.Host] = authn.AuthConfig{Username: k.Username, Password: k.Password}
		}
		if len(k.DockerConfig) > 0 {
			var file struct {
				Auths map[string]authn.AuthConfig `json:"auths"`
			}
			if err := json.Unmarshal(k.DockerConfig, &file); err != nil {
				return nil, fmt.Errorf("registry %s: docker config: not readable as JSON", k.Host) // the error may quote a secret
			}
			auth, ok := file.Auths[k.Host]
			if !ok {
				return nil, fmt.Errorf("registry %s: docker config: it has no auths for this host; credential helpers are not run", k.Host)
			}
			r.auth[k.Host] = auth
		}
		if len(k.CA) > 0 {
			roots, err := x509.SystemCertPool()
			if err != nil {
				roots = x509.NewCertPool()
			}
			if !roots.AppendCertsFromPEM(k.CA) {
				return nil, fmt.Errorf("registry %s: the CA file holds no certificate in PEM", k.Host)
			}
			r.transports[k.Host] = transport(roots)
		}
	}
	return r, nil
}

// Resolve implements authn.Keychain. No other credentials are looked for.
func (r *registries) Resolve(res authn.Resource) (authn.Authenticator, error) {
	if auth, ok := r.auth[res.RegistryStr()]; ok {
		return authn.FromConfig(auth), nil
	}
	return authn.Anonymous, nil
}

func transport(roots *x509.CertPool) http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       time.Minute,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true, // what is small must not become large
	}
}

// options returns what one judgement of an image reads registries with.
func (r *registries) options(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx),
		remote.WithAuthFromKeychain(r),
		remote.WithTransport(&bounded{to: r}),
		remote.WithRetryBackoff(remote.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Steps: 2}),
		remote.WithUserAgent("prumo"),
	}
}

// bounded is a transport that refuses what a registry of signatures has no
// reason to say.
type bounded struct {
	to       *registries
	requests atomic.Int32
}

var (
	errRequests = fmt.Errorf("the registry was asked %d times about one image: it has too many signatures", maxRequests)
	errPlain    = errors.New("the registry answers plain http only; https is needed, except on loopback")
	errPacked   = errors.New("the registry holds a compressed signature; signatures are stored as they are")
	errBody     = fmt.Errorf("the registry's answer has more than %d bytes", maxBody)
)

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.requests.Add(1) > maxRequests {
		return nil, errRequests
	}
	if req.URL.Scheme != "https" && !loopback(req.URL.Hostname()) {
		return nil, errPlain
	}
	via := b.to.other
	if t, ok := b.to.transports[req.URL.Host]; ok {
		via = t
	}
	resp, err := via.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > maxBody {
		resp.Body.Close()
		return nil, errBody
	}
	body := &body{ReadCloser: resp.Body, left: maxBody}
	if err := body.begin(); err != nil {
		resp.Body.Close()
		return nil, err
	}
	resp.Body = body
	return resp, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A body ends with an error where it is too long.
type body struct {
	io.ReadCloser
	first []byte
	left  int64
}

// begin refuses what would be unpacked on the way: a few bytes may stand for
// gigabytes.
func (b *body) begin() error {
	first := make([]byte, 4)
	n, err := io.ReadFull(b.ReadCloser, first)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	b.first = first[:n]
	if bytes.HasPrefix(b.first, []byte{0x1f, 0x8b}) || bytes.HasPrefix(b.first, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return errPacked
	}
	return nil
}

func (b *body) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first, b.left = b.first[n:], b.left-int64(n)
		return n, nil
	}
	if b.left <= 0 {
		return 0, errBody
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
