package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/forge"
	"prumo.dev/prumo/internal/proposals"
	"prumo.dev/prumo/internal/reconcile"
	"prumo.dev/prumo/internal/source"
)

// Planner joins what plans pull requests; nil if the configuration has no forge.
// inForce is what they are compared with.
func Planner(cfg *config.Config, src *source.Source, rec *reconcile.Reconciler, inForce func() *core.InForce) (*proposals.Planner, error) {
	if cfg.Forge == nil {
		return nil, nil
	}
	client, err := forgeClient(cfg.Forge)
	if err != nil {
		return nil, err
	}
	// A client of its own: the worker must not wait for the loop, nor the loop for it.
	live, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	return &proposals.Planner{
		Instance: cfg.Instance, Ref: cfg.Repo.Ref, Status: cfg.Forge.Status, Approve: rec.Approve,
		Forge:    client,
		Source:   src.Proposals(),
		Renderer: untrusted{host(cfg)},
		Images:   &pinnedAnew{cfg, place(cfg, live)},
		Cluster:  live,
		InForce:  inForce,
		Now:      time.Now,

		MaxDelete: noneIfZero(cfg.Deletion.Max), MaxDeleteShare: noneIfZero(cfg.Deletion.Share),
	}, nil
}

// worker plans pull requests beside the loop; nil if there is nothing to plan with.
func worker(cfg *config.Config, planner *proposals.Planner, log *slog.Logger) *proposals.Worker {
	if planner == nil {
		return nil
	}
	return &proposals.Worker{Planner: planner, Attempts: proposals.NewAttempts(folder(cfg.StateDir)),
		Interval: time.Duration(cfg.Interval), Log: log}
}

func forgeClient(f *config.Forge) (*forge.GitHub, error) {
	token, err := config.ReadSecret(f.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("forge.tokenFile: %w", err)
	}
	ca, err := optional(f.CAFile)
	if err != nil {
		return nil, fmt.Errorf("forge.caFile: %w", err)
	}
	return forge.NewGitHub(forge.Options{URL: f.URL, Repo: f.Repo, Token: token, CA: ca})
}

// pinnedAnew pins the images of each proposal by what is remembered at that time, and
// remembers nothing itself.
type pinnedAnew struct {
	cfg  *config.Config
	docs documents
}

// Pin implements proposals.Images.
func (p *pinnedAnew) Pin(ctx context.Context, policy core.Tree, want core.Rendering) (core.Rendering, error) {
	verifier, err := imageVerifier(p.cfg, p.docs)
	if err != nil {
		return want, err
	}
	return verifier.Pin(ctx, policy, want)
}
