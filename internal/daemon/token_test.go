package daemon

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
)

// TestToken asks for everything with and without the token.
func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const token = "0123456789abcdef"
	metrics := NewMetrics()
	reports := NewReports(config.Report{}, metrics)
	if err := reports.Report(t.Context(), core.Report{Revision: core.Revision{Commit: "abc"}}); err != nil {
		t.Fatal(err)
	}
	alive := new(heart)
	alive.Beat()
	ask := func(h http.Handler, path, auth string) int {
		req := httptest.NewRequest("GET", path, nil)
		if auth != "" {
			req.Header.Set("Authorization", auth)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec.Code
	}
	guarded := handler(reports, metrics, alive, time.Hour, tokens{status: file})
	scraped := handler(reports, metrics, alive, time.Hour, tokens{metrics: file})
	for _, tt := range []struct {
		name, holds, path, auth string
		want                    int
	}{
		{"no token", token, "/api/v1/status", "", 401},
		{"the token", token + "\n", "/api/v1/status", "Bearer " + token, 200},
		{"another", token, "/api/v1/status", "Bearer 0123456789abcdeX", 401},
		{"a part of it", token, "/api/v1/status", "Bearer 0123456789", 401},
		{"as a password", token, "/api/v1/status", "Basic " + token, 401},
		{"bare", token, "/api/v1/status", token, 401},
		{"renewed", "fedcba9876543210", "/api/v1/status", "Bearer fedcba9876543210", 200},
		{"renewed, the old one", "fedcba9876543210", "/api/v1/status", "Bearer " + token, 401},
		{"the file is empty", "", "/api/v1/status", "Bearer ", 503},
		{"the file is too short", "short", "/api/v1/status", "Bearer short", 503},
		{"drift, no token", token, "/api/v1/drift", "", 401},
		{"drift, the token", token, "/api/v1/drift", "Bearer " + token, 200},
		{"numbers are for all", token, "/metrics", "", 200},
		{"probes are for all", token, "/readyz", "", 200},
	} {
		write(tt.holds)
		if got := ask(guarded, tt.path, tt.auth); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		name, path, auth string
		want             int
	}{
		{"numbers, no token", "/metrics", "", 401},
		{"numbers, another", "/metrics", "Bearer 0123456789abcdeX", 401},
		{"numbers, the token", "/metrics", "Bearer " + token, 200},
		{"the status asks for none", "/api/v1/status", "", 200},
		{"probes neither", "/healthz", "", 200},
	} {
		write(token)
		if got := ask(scraped, tt.path, tt.auth); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	write("short")
	if err := (tokens{metrics: file}).check(); err == nil || !strings.HasPrefix(err.Error(), "metricsTokenFile: ") {
		t.Errorf("a short token: %v", err)
	}
}
