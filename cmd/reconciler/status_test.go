package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStatusToken shows a token to the server that was named and to no other.
func TestStatusToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown = r.Header.Get("Authorization")
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	away := httptest.NewServer(http.RedirectHandler(server.URL, http.StatusFound))
	defer away.Close()
	for _, tt := range []struct{ name, server, shown, err string }{
		{"loopback", server.URL, "Bearer 0123456789abcdef", ""},
		{"plain http elsewhere", "http://prumo.lab.example:8080", "", "over plain http"},
		{"sent elsewhere", away.URL, "", "302 Found"},
	} {
		shown = ""
		cmd := newStatus()
		cmd.SetArgs([]string{"--server", tt.server, "--token-file", file})
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		err := cmd.Execute()
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || shown != tt.shown {
			t.Errorf("%s: error %v, want %q; shown %q, want %q", tt.name, err, tt.err, shown, tt.shown)
		}
	}
}

// TestStatusOfAnother asks what is no daemon, or one that says no.
func TestStatusOfAnother(t *testing.T) {
	for name, tt := range map[string]struct {
		code       int
		body, want string
	}{
		"a web page": {404, "<h1>\x1b[2Jnot here\n</h1>\n", `: 404 Not Found: "<h1>\x1b[2Jnot here" is not what a daemon answers; is --server its address?`},
		"a token":    {401, "show the token", ": 401 Unauthorized: the daemon wants to be shown a token: give --token-file"},
		"too early":  {503, "the first pass has not ended yet\n", ": 503 Service Unavailable: the first pass has not ended yet"},
		"no JSON":    {200, "<html>", ": is not a daemon's status: invalid character '<' looking for beginning of value"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(tt.code)
			io.WriteString(w, tt.body)
		}))
		cmd := newStatus()
		cmd.SetArgs([]string{"--server", server.URL})
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.Execute(); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want …%s", name, err, tt.want)
		}
		server.Close()
	}
}
