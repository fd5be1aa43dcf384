package gitserver

import (
	"crypto/subtle"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// HTTPS serves the bare repositories below a folder, for reading and writing,
// to one user.
type HTTPS struct {
	*listener
	server *httptest.Server
}

// StartHTTPS starts a server with a certificate of its own.
func StartHTTPS(root, user, password string) (*HTTPS, error) {
	backend, err := httpBackend()
	if err != nil {
		return nil, err
	}
	l, err := listen()
	if err != nil {
		return nil, err
	}
	git := &cgi.Handler{Path: backend, Dir: root, Env: append(gitEnv(),
		"GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+user),
		Logger: log.New(io.Discard, "", 0), Stderr: io.Discard}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		if u != user || subtle.ConstantTimeCompare([]byte(p), []byte(password)) == 0 {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "wrong user or password", http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	})
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = l
	server.Config.ErrorLog = git.Logger
	server.StartTLS()
	return &HTTPS{listener: l, server: server}, nil
}

// gitEnv keeps the settings of whoever runs the tests out of them.
func gitEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}
}

func httpBackend() (string, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return "", fmt.Errorf("find git's programs: %w", err)
	}
	backend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		return "", fmt.Errorf("git is installed without http-backend: %w", err)
	}
	return backend, nil
}

// URL returns where a repository below the root is served.
func (s *HTTPS) URL(repo string) string { return s.server.URL + "/" + repo }

// CA returns the certificate that clients must trust, as PEM.
func (s *HTTPS) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw})
}

// Stop ends the server and its connections.
func (s *HTTPS) Stop() {
	s.SetDown(true)
	s.server.Close()
}
