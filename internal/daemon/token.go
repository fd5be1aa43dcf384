package daemon

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"prumo.dev/prumo/internal/config"
)

// minToken is how long a token is at least, in bytes: it is not to be guessed.
const minToken = 16

// tokens are the files with what somebody must show who asks; an empty name asks
// for nothing.
type tokens struct{ status, metrics string }

// check reads them once, so that a daemon with a bad one does not start.
func (t tokens) check() error {
	for key, file := range map[string]string{"statusTokenFile": t.status, "metricsTokenFile": t.metrics} {
		if file == "" {
			continue
		}
		if _, err := readToken(file); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// readToken reads the token that a file holds.
func readToken(file string) (string, error) {
	token, err := config.ReadSecret(file)
	if err == nil && len(token) < minToken {
		err = fmt.Errorf("%s: the token has %d bytes, want %d or more: openssl rand -base64 32", file, len(token), minToken)
	}
	return token, err
}

// guarded answers only those who show the token of a file (RFC 6750). The file is
// read each time, since secrets are renewed; one that cannot be read lets nobody in.
func guarded(key, file string, next http.HandlerFunc) http.HandlerFunc {
	if file == "" {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		want, err := readToken(file)
		if err != nil {
			slog.Error(key, "error", err)
			http.Error(w, "the token cannot be read; see the daemon's log", http.StatusServiceUnavailable)
			return
		}
		shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(want)) // of one length: how long the token is shows not either
		if !ok || subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, fmt.Sprintf("show the token of the daemon's %s in a header: Authorization: Bearer TOKEN", key), http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}
