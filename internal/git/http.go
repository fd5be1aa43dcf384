package git

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// An httpSource speaks the smart HTTP protocol. Go-git keeps credentials from a
// host that a redirect leads to.
type httpSource struct {
	ep     *transport.Endpoint
	client transport.Transport
	auth   transport.AuthMethod // nil: anonymous
}

func newHTTPSource(ep *transport.Endpoint, auth Auth, l Limits) (*httpSource, error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = time.Minute
	base.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if len(auth.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("read the system's authorities: %w", err)
		}
		if !pool.AppendCertsFromPEM(auth.CA) {
			return nil, errors.New("the CA holds no PEM certificate")
		}
		base.TLSClientConfig.RootCAs = pool
	}
	s := &httpSource{ep: ep, client: githttp.NewClient(&http.Client{Transport: &cappedTransport{base: base, limits: l}})}
	if auth.Password != "" {
		if ep.Protocol == "http" {
			return nil, errors.New("a password would travel unencrypted: use https")
		}
		// Servers that take a token as the password want some user name.
		s.auth = &githttp.BasicAuth{Username: cmp.Or(auth.Username, ep.User, "git"), Password: auth.Password}
	}
	return s, nil
}

func (s *httpSource) fetch(ctx context.Context, what want, have *store, w io.Writer) (map[string]string, error) {
	session, err := s.client.NewUploadPackSession(s.ep, s.auth)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	adv, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, remoteError(err)
	}
	refs, err := advertised(adv, what)
	missing := have.missing(refs)
	if err != nil || len(missing) == 0 {
		return refs, err
	}
	req, err := packRequest(adv, missing, have)
	if err != nil {
		return nil, err
	}
	res, err := session.UploadPack(ctx, req)
	if err != nil {
		return nil, remoteError(err)
	}
	defer res.Close()
	return refs, remoteError(copyPack(w, res, req.Capabilities))
}

// A cappedTransport bounds how much of a response is read.
type cappedTransport struct {
	base   http.RoundTripper
	limits Limits
}

func (t *cappedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	limit := int64(maxAdvertisement)
	if req.Method == http.MethodPost {
		limit = 2 * t.limits.PackBytes // the pack, its framing and the acknowledgements
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{&cappedReader{r: res.Body, left: limit}, res.Body}
	return res, nil
}

// A cappedReader fails where io.LimitReader would pretend that all was read.
type cappedReader struct {
	r    io.Reader
	left int64
}

func (c *cappedReader) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the remote sends too much: %w", ErrLimit)
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}
