package forge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// DefaultTimeout bounds one request, its answer included.
const DefaultTimeout = 30 * time.Second

// Options say which repository of which forge is meant.
type Options struct {
	URL     string        // of the API: https://api.github.com, https://git.example/api/v1
	Repo    string        // owner/name
	Token   string        // of the account that comments; never printed
	CA      []byte        // PEM certificates to trust beside those of the system; may be nil
	Timeout time.Duration // of one request; 0 means DefaultTimeout
}

// A GitHub is a client of the API that GitHub, GitHub Enterprise Server, Gitea
// and Forgejo share. It is safe for concurrent use.
type GitHub struct {
	base   *url.URL
	repo   string
	token  string
	client *http.Client

	writing chan struct{} // holds one element while a comment is looked up and written

	mu   sync.Mutex
	self User // zero until first asked
}

var repoName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)

// NewGitHub returns a client. It sends nothing yet.
func NewGitHub(opts Options) (*GitHub, error) {
	base, err := parseBase(opts.URL)
	if err != nil {
		return nil, err
	}
	owner, name, _ := strings.Cut(opts.Repo, "/")
	if !repoName.MatchString(opts.Repo) || isDots(owner) || isDots(name) {
		return nil, fmt.Errorf("forge repo %q: want owner/name", opts.Repo)
	}
	token := strings.TrimSpace(opts.Token)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("forge token: empty, or holds a space, a line break or a character outside ASCII: put the token alone in its file")
	}
	transport, err := newTransport(opts.CA)
	if err != nil {
		return nil, err
	}
	timeout := opts.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &GitHub{
		base:    base,
		repo:    opts.Repo,
		token:   token,
		client:  &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: checkRedirect},
		writing: make(chan struct{}, 1),
	}, nil
}

func isDots(s string) bool { return strings.Trim(s, ".") == "" }

// parseBase refuses a URL that would send the token in the clear. Its messages
// do not repeat a URL that might hold a password.
func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("forge url: want the API's base URL and nothing else, such as https://git.example/api/v1 or https://api.github.com")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("forge url %s: want https: the token would cross the network in the clear", u)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func newTransport(ca []byte) (http.RoundTripper, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) == 0 {
		return t, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without certificates: the given ones are enough
	}
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("forge CA file: holds no PEM certificate")
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// checkRedirect follows a few redirects to the same place. Anywhere else would
// be shown the token, and a write that becomes a GET would look done.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host:
		return fmt.Errorf("the server redirects to %s, which is not shown the token: if that is the forge, set its URL", req.URL.Host)
	case req.Method != first.Method:
		return fmt.Errorf("the server redirects a %s, as when a repository was renamed: set its new name", first.Method)
	case len(via) > 3:
		return errors.New("more than 3 redirects")
	}
	return nil
}
