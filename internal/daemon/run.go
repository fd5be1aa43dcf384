package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/proposals"
	"prumo.dev/prumo/internal/reconcile"
)

// Run runs the daemon until ctx ends. Problems are mistakes in the trust file.
func Run(ctx context.Context, cfg *config.Config, log *slog.Logger) ([]core.Problem, error) {
	collectOften(ctx)
	unlock, err := Lock(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	src, problems, err := Obeyed(cfg)
	if err != nil || len(problems) > 0 {
		return problems, err
	}
	shown := tokens{status: cfg.StatusTokenFile, metrics: cfg.MetricsTokenFile}
	if err := shown.check(); err != nil {
		return nil, err
	}
	if err := tellWalls(ctx, host(cfg), log); err != nil {
		return nil, err
	}
	metrics := NewMetrics()
	reports := NewReports(cfg.Report, metrics)
	var watched *cluster.Watched
	// A pass may go on for a while after ctx ends, and then still needs its view.
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	rec, err := Reconciler(cfg, src, Options{Reporter: reports, Log: log, Gate: true, Render: bounded(host(cfg), obeyedFile, obeyedTree), View: func(c *cluster.Cluster) reconcile.Cluster {
		watched = c.Watch(watching, time.Duration(cfg.Verify))
		return watched
	}})
	if err != nil {
		stop()
		return nil, err
	}
	defer watched.Wait()
	defer stop()
	defer func() { rec.Close(watching) }()
	planner, err := Planner(cfg, src, rec, rec.InForce)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen (set `listen` in the configuration to a free address): %w", err)
	}
	log.Info("started", "instance", cfg.Instance, "repo", cfg.Repo.URL, "ref", cfg.Repo.Ref, "listen", ln.Addr().String())

	alive := new(heart)
	alive.Beat()
	loop := &reconcile.Loop{Interval: time.Duration(cfg.Interval), Grace: time.Duration(cfg.Grace), Wake: watched.Wake(), Log: log,
		Pass: func(ctx context.Context) (core.Report, error) {
			alive.Beat()
			defer alive.Beat()
			start := time.Now()
			defer func() { metrics.duration.Observe(time.Since(start).Seconds()) }()
			return rec.Reconcile(ctx)
		}}
	return nil, together(ctx, ln, handler(reports, metrics, alive, stuckAfter(cfg), shown), loop, worker(cfg, planner, log), log)
}

// together serves, loops and plans pull requests; when serving fails, the others are
// told to stop. pulls may be nil.
func together(ctx context.Context, ln net.Listener, h http.Handler, loop *reconcile.Loop, pulls *proposals.Worker, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var serveErr error
	wg.Go(func() {
		defer cancel()
		serveErr = serve(ctx, ln, h)
	})
	if pulls != nil {
		wg.Go(func() { pulls.Run(ctx) })
	}
	loop.Run(ctx)
	wg.Wait()
	log.Info("stopped")
	return serveErr
}

// stuckAfter is how long the loop may stand still before a restart is better: far
// longer than any pass or back-off.
func stuckAfter(cfg *config.Config) time.Duration {
	return max(30*time.Minute, 10*time.Duration(cfg.Interval))
}

// Lock takes the state folder for this process: two daemons on one folder would
// each undo what the other remembers.
func Lock(dir string) (unlock func(), err error) {
	if err := makeStateDir(dir); err != nil {
		return nil, err
	}
	unlock, err = flock(filepath.Join(dir, "lock"), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("state folder %s %w; stop that one or set another stateDir", dir, ErrInUse)
	}
	return unlock, err
}

func makeStateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state folder: %w; set --state-dir, or `stateDir` in the configuration, to one that can be written", err)
	}
	return nil
}

// ErrInUse says that another process has the state folder.
var ErrInUse = errors.New("is in use by another reconciler")

// flock locks a file as flock(2) says; it is unlocked when the process ends, too.
func flock(name string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}

// Logger returns the logger that a configuration asks for.
func Logger(w io.Writer, cfg config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // checked when the file was read
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
