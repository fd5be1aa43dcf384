package forge_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"prumo.dev/prumo/internal/forge"
	testforge "prumo.dev/prumo/test/forge"
)

// What a token may not do is said with the scope that it lacks.
func TestMissingRights(t *testing.T) {
	sha := strings.Repeat("a", 40)
	calls := map[testforge.Right]func(context.Context, *forge.GitHub, int) error{
		testforge.RightUser: func(ctx context.Context, g *forge.GitHub, n int) error {
			_, err := g.PutComment(ctx, n, "lab", "text")
			return err
		},
		testforge.RightPulls: func(ctx context.Context, g *forge.GitHub, _ int) error {
			_, err := g.OpenPulls(ctx)
			return err
		},
		testforge.RightComment: func(ctx context.Context, g *forge.GitHub, n int) error {
			_, err := g.PutComment(ctx, n, "lab", "text")
			return err
		},
		testforge.RightStatus: func(ctx context.Context, g *forge.GitHub, _ int) error {
			return g.SetStatus(ctx, sha, forge.Status{Context: "prumo", State: forge.StateSuccess})
		},
		testforge.RightRepo: func(ctx context.Context, g *forge.GitHub, n int) error {
			_, err := g.Pull(ctx, n)
			return err
		},
	}
	want := map[testforge.Right]string{
		testforge.RightUser:    "read:user",
		testforge.RightPulls:   "read:repository",
		testforge.RightComment: "write:issue",
		testforge.RightStatus:  "write:repository",
		testforge.RightRepo:    "hidden from the token",
	}
	for _, flavour := range []testforge.Flavour{testforge.GitHub, testforge.Gitea} {
		for right, call := range calls {
			t.Run(fmt.Sprint(flavour, " ", right), func(t *testing.T) {
				s := newServer(t, flavour)
				n := s.AddPull(testforge.Pull{HeadRef: "x"})
				wantError(t, call(t.Context(), newClient(t, s.URL(), s.Token("prumo", right)), n), want[right])
				if err := call(t.Context(), newClient(t, s.URL(), s.Token("prumo")), n); err != nil {
					t.Errorf("with all rights: %v", err)
				}
			})
		}
	}
}

func TestRevokedToken(t *testing.T) {
	s := newServer(t, testforge.Gitea)
	token := s.Token("prumo")
	g := newClient(t, s.URL(), token)
	s.Revoke(token)
	_, err := g.OpenPulls(t.Context())
	wantError(t, err, "revoked or expired", "lab/infra")
}

func TestTooLongComment(t *testing.T) {
	s := newServer(t, testforge.GitHub)
	n := s.AddPull(testforge.Pull{HeadRef: "x"})
	_, err := newClient(t, s.URL(), s.Token("prumo")).PutComment(t.Context(), n, "lab", strings.Repeat("x", 65536))
	wantError(t, err, "Body is too long (maximum is 65536 characters)")
}

func TestRateLimit(t *testing.T) {
	for _, flavour := range []testforge.Flavour{testforge.GitHub, testforge.Gitea} {
		s := newServer(t, flavour)
		g := newClient(t, s.URL(), s.Token("prumo"))
		s.RateLimit(time.Now().Add(10 * time.Minute))
		_, err := g.OpenPulls(t.Context())
		limited := (*forge.RateLimited)(nil)
		if !errors.As(err, &limited) {
			t.Fatalf("%s: error %v, want RateLimited", flavour, err)
		}
		if in := time.Until(limited.Until); in < 9*time.Minute || in > 11*time.Minute {
			t.Errorf("%s: until %s, want in 10 minutes", flavour, limited.Until)
		}
		s.RateLimit(time.Time{})
		if _, err := g.OpenPulls(t.Context()); err != nil {
			t.Errorf("%s: after the limit: %v", flavour, err)
		}
	}
}

func TestRateLimitHeaders(t *testing.T) {
	tests := map[string]struct {
		code   int
		header map[string]string
		body   string
		want   time.Duration // 0: not a rate limit
	}{
		"seconds":           {429, map[string]string{"Retry-After": "120"}, "", 2 * time.Minute},
		"date":              {429, map[string]string{"Retry-After": time.Now().Add(5 * time.Minute).UTC().Format(http.TimeFormat)}, "", 5 * time.Minute},
		"nothing said":      {429, nil, "", time.Minute},
		"nonsense":          {429, map[string]string{"Retry-After": "soon"}, "", time.Minute},
		"too far":           {429, map[string]string{"Retry-After": "2000000000"}, "", time.Hour},
		"past":              {429, map[string]string{"Retry-After": "Mon, 02 Jan 2006 15:04:05 GMT"}, "", time.Nanosecond},
		"secondary":         {403, map[string]string{"Retry-After": "60"}, "", time.Minute},
		"secondary in text": {403, nil, `{"message":"You have exceeded a secondary rate limit."}`, time.Minute},
		"primary":           {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(time.Now().Add(20 * time.Minute).Unix())}, "", 20 * time.Minute},
		"forbidden":         {403, map[string]string{"X-RateLimit-Remaining": "17", "X-RateLimit-Reset": "2000000000"}, `{"message":"no"}`, 0},
		"server's failure":  {503, map[string]string{"Retry-After": "60"}, "", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tt.code)
				w.Write([]byte(tt.body))
			})
			_, err := g.Self(t.Context())
			limited := (*forge.RateLimited)(nil)
			if !errors.As(err, &limited) {
				if tt.want != 0 || err == nil {
					t.Errorf("error %v, want RateLimited", err)
				}
				return
			}
			if in := time.Until(limited.Until); in > tt.want || in < tt.want-10*time.Second {
				t.Errorf("for %s, want %s", in, tt.want)
			}
		})
	}
}

// An answer that is hostile, or of something that is no forge, ends in a bounded
// sentence.
func TestHostileAnswers(t *testing.T) {
	endless := strings.Repeat("[1],", 1<<16)
	tests := map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"token echoed in a message": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"message":"bad header %s"}`, r.Header.Get("Authorization"))
		}, "(token)"},
		"token echoed as a value": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"message": %q}`, secret)
		}, "not what a forge sends"},
		"token echoed in a location": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+secret+".example/", http.StatusFound)
		}, "redirects to (token).example"},
		"escape sequences in a message": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			w.Write([]byte(`{"message":"\u001b[2Jboo\r\nAll fine"}`))
		}, "(418: [2Jboo All fine)"},
		"long message": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, `{"message":"%s"}`, strings.Repeat("é", 5000))
		}, strings.Repeat("é", 300) + "…)"},
		"HTML of a login page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte("<html>Sign in</html>"))
		}, "is the URL that of the API"},
		"HTML of an error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			w.Write([]byte("<html>Bad gateway</html>"))
		}, "the forge failed; try again later (502)"},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte("["))
			for range 200 {
				w.Write([]byte(endless))
			}
		}, "larger than 32 MiB"},
		"pages without end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `<http://`+r.Host+`/?page=2>; rel="next"`)
			w.Write([]byte("[]"))
		}, "more than 50 pages"},
		"deep": {func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(strings.Repeat("[", 1<<20)))
		}, "is the URL that of the API"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := serve(t, tt.serve).OpenPulls(t.Context())
			wantError(t, err, tt.want)
			if len(err.Error()) > 2000 {
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
		})
	}
}

// The token is shown to the configured host only, whatever that says.
func TestRedirects(t *testing.T) {
	var seen []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.Path)
	}))
	t.Cleanup(elsewhere.Close)
	g := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/pulls"):
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case strings.HasSuffix(r.URL.Path, "/pulls/1"):
			http.Redirect(w, r, "/moved", http.StatusMovedPermanently)
		case strings.HasSuffix(r.URL.Path, "/pulls/2"):
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		case r.URL.Path == "/moved":
			fmt.Fprintf(w, `{"number": 1, "title": %q}`, r.Header.Get("Authorization"))
		default:
			http.Redirect(w, r, "/moved", http.StatusMovedPermanently)
		}
	})
	_, err := g.OpenPulls(t.Context())
	wantError(t, err, "is not shown the token")
	if len(seen) > 0 {
		t.Errorf("the other host saw %q", seen)
	}
	if p, err := g.Pull(t.Context(), 1); err != nil || p.Title != "Bearer "+secret {
		t.Errorf("redirect on the same host: %+v, %v", p, err)
	}
	_, err = g.Pull(t.Context(), 2)
	wantError(t, err, "more than 3 redirects")
	err = g.SetStatus(t.Context(), strings.Repeat("a", 40), forge.Status{State: forge.StateSuccess})
	wantError(t, err, "redirects a POST")
}

func TestLinkLeadsElsewhere(t *testing.T) {
	var paths []string
	g := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path+" page="+r.URL.Query().Get("page"))
		if r.URL.Query().Get("page") == "" {
			w.Header().Add("Link", `<https://evil.example/steal?page=1>; rel="prev", <https://evil.example/steal?a=b,c&page=2>; rel="next"`)
		}
		w.Write([]byte("[]"))
	})
	if _, err := g.OpenPulls(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/repos/lab/infra/pulls page=", "/repos/lab/infra/pulls page=2"}; strings.Join(paths, ";") != strings.Join(want, ";") {
		t.Errorf("requests %q, want %q", paths, want)
	}
}

func TestCertificates(t *testing.T) {
	s := testforge.NewServer(testforge.Gitea)
	t.Cleanup(s.Close)
	s.AddPull(testforge.Pull{HeadRef: "x"})
	front := httptest.NewTLSServer(s)
	t.Cleanup(front.Close)
	opts := forge.Options{URL: front.URL + "/api/v1", Repo: testforge.Repo, Token: s.Token("prumo")}
	unknown, err := forge.NewGitHub(opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = unknown.OpenPulls(t.Context())
	wantError(t, err, "certificate")
	opts.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	known, err := forge.NewGitHub(opts)
	if err != nil {
		t.Fatal(err)
	}
	if pulls, err := known.OpenPulls(t.Context()); err != nil || len(pulls) != 1 {
		t.Errorf("with its CA: %d pull requests, %v", len(pulls), err)
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) }) // runs first
	g, err := forge.NewGitHub(forge.Options{URL: s.URL, Repo: testforge.Repo, Token: secret, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.OpenPulls(t.Context())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a deadline", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.OpenPulls(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want cancelled", err)
	}
}
