package apply

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestPatience has errors come fast and slowly: what takes long is not tried
// again, and where the server says how long to wait, that is waited.
func TestPatience(t *testing.T) {
	webhook := apierrors.NewInternalError(errors.New("failed calling webhook: deadline exceeded"))
	tests := []struct {
		name  string
		takes time.Duration
		err   error
		tries int
		least time.Duration // in all
	}{
		{"fast", 0, webhook, tries, 0},
		{"a webhook that times out", 10 * time.Second, webhook, 1, 10 * time.Second},
		{"a server that says when", 0, apierrors.NewServerTimeout(schema.GroupResource{Resource: "x"}, "patch", 2), tries, 6 * time.Second},
		{"what does not pass", 0, apierrors.NewBadRequest("no"), 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, begin := 0, time.Now()
				err := retry(t.Context(), func() error {
					n++
					time.Sleep(tt.takes)
					return tt.err
				})
				if took := time.Since(begin); n != tt.tries || took < tt.least || !errors.Is(err, tt.err) {
					t.Errorf("%d tries in %v: %v; want %d in at least %v", n, took, err, tt.tries, tt.least)
				}
			})
		})
	}
}
