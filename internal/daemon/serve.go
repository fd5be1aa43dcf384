package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/report"
)

// heart says when the loop last moved.
type heart struct{ beat atomic.Int64 }

func (h *heart) Beat() { h.beat.Store(time.Now().UnixNano()) }

func (h *heart) Age() time.Duration { return time.Since(time.Unix(0, h.beat.Load())) }

// handler serves what the daemon says of itself.
//
//	/metrics        Prometheus
//	/healthz        200 while the loop moves; a restart helps when it does not
//	/readyz         200 once a pass has ended with a revision in force
//	/api/v1/status  the last report, as JSON
//	/api/v1/drift   what is remembered of drift, as JSON: what is there first
//
// What begins with /api/, and /metrics, are each for those who show the token of a
// file, if there is one. Probes can show none.
func handler(reports *Reports, metrics *Metrics, alive *heart, stuck time.Duration, shown tokens) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", guarded("metricsTokenFile", shown.metrics, promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}).ServeHTTP))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if age := alive.Age(); age > stuck {
			http.Error(w, fmt.Sprintf("the loop has not moved for %v", age.Round(time.Second)), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		rep, ok := reports.Last()
		if !ok || rep.Revision.Commit == "" {
			http.Error(w, "no revision is in force yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	tell := func(pattern string, of func(core.Report) any) {
		mux.HandleFunc(pattern, guarded("statusTokenFile", shown.status, func(w http.ResponseWriter, _ *http.Request) {
			rep, ok := reports.Last()
			if !ok {
				http.Error(w, "the first pass has not ended yet", http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			if err := report.JSON(w, of(rep)); err != nil {
				slog.Warn("send an answer", "to", pattern, "error", err)
			}
		}))
	}
	tell("GET /api/v1/status", func(rep core.Report) any {
		if shown.status == "" {
			return report.Public(rep) // anybody may ask
		}
		return rep
	})
	tell("GET /api/v1/drift", func(rep core.Report) any { return append([]core.DriftRecord{}, rep.Records...) })
	return mux
}

// serve answers on a listener until ctx ends.
func serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	stop := context.AfterFunc(ctx, func() {
		// Scrapes are short; whoever is still reading after that is cut off.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(bounded) != nil {
			srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
