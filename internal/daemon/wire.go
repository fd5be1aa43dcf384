package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/drift"
	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/reconcile"
	"prumo.dev/prumo/internal/render"
	"prumo.dev/prumo/internal/source"
	"prumo.dev/prumo/internal/trust"
)

// Options are what a caller adds to a configuration.
type Options struct {
	Approved string             // hash of the one plan to carry out, with what it holds
	Approve  string             // command that approves a plan, but for its hash; empty: that of the configuration
	Wait     time.Duration      // how long apply waits for readiness
	Gate     bool               // what depends on a spec waits until that is ready; always with Wait
	Reporter reconcile.Reporter // told of each pass; nil: nobody
	Reveal   bool               // plans show more of what may be secret; for a terminal alone

	// Render is how trees are rendered; zero: in this process, for as long as it takes.
	Render render.Options

	// View is how passes see the cluster; nil: each asks about everything.
	View func(*cluster.Cluster) reconcile.Cluster

	Log *slog.Logger // nil: nothing is logged
}

// Obeyed opens the infra repo that a configuration names, to obey it: what is
// accepted is remembered in the cluster too, if the configuration says where.
func Obeyed(cfg *config.Config) (*source.Source, []core.Problem, error) {
	if cfg.StateNamespace == "" {
		return open(cfg, nil)
	}
	live, err := connect(cfg)
	if err != nil {
		return nil, nil, err
	}
	return open(cfg, live.Documents(cfg.StateNamespace))
}

// Source opens the infra repo that a configuration names, to look at it.
func Source(cfg *config.Config) (*source.Source, []core.Problem, error) { return open(cfg, nil) }

// Remembered is Source for those who want to know what is remembered of the
// branch in the cluster, too. Where that cannot be reached, Look says so.
func Remembered(cfg *config.Config) (*source.Source, []core.Problem, error) {
	if cfg.StateNamespace == "" {
		return open(cfg, nil)
	}
	live, err := connect(cfg)
	if err != nil {
		return open(cfg, unreachable{err})
	}
	return open(cfg, live.Documents(cfg.StateNamespace))
}

// unreachable are documents in a cluster that nobody knows.
type unreachable struct{ why error }

func (u unreachable) Load(context.Context, string) ([]byte, string, error) { return nil, "", u.why }
func (u unreachable) Save(context.Context, string, []byte, string) (string, error) {
	return "", u.why
}
func (u unreachable) String() string { return "ConfigMaps of an unknown cluster" }

func open(cfg *config.Config, state trust.Documents) (*source.Source, []core.Problem, error) {
	data, err := config.ReadFile(cfg.TrustFile)
	if err != nil {
		return nil, nil, fmt.Errorf("trust file: %w; --trust, or `trustFile` in the configuration, names it (docs/trust.md)", err)
	}
	anchor, problems := trust.ParseAnchor(cfg.TrustFile, data)
	if len(problems) > 0 {
		return nil, problems, nil
	}
	auth, err := auth(cfg.Repo.Auth)
	if err != nil {
		return nil, nil, err
	}
	if err := makeStateDir(cfg.StateDir); err != nil {
		return nil, nil, err
	}
	s, err := source.Open(source.Options{
		Dir:    cfg.StateDir,
		Remote: git.Remote{URL: cfg.Repo.URL, Auth: auth},
		Ref:    cfg.Repo.Ref,
		Anchor: anchor,

		Cluster: state,

		StoreBytes: cfg.Repo.StoreMiB << 20,
	})
	return s, nil, err
}

func auth(a config.Auth) (git.Auth, error) {
	out := git.Auth{Username: a.Username}
	var err error
	if out.Password, err = config.ReadSecret(a.PasswordFile); err != nil {
		return out, fmt.Errorf("repo.auth.passwordFile: %w", err)
	}
	for _, f := range []struct {
		key, name string
		data      *[]byte
	}{
		{"sshKeyFile", a.SSHKeyFile, &out.SSHKey},
		{"knownHostsFile", a.KnownHostsFile, &out.KnownHosts},
		{"caFile", a.CAFile, &out.CA},
	} {
		if f.name == "" {
			continue
		}
		if *f.data, err = config.ReadFile(f.name); err != nil {
			return out, fmt.Errorf("repo.auth.%s: %w", f.key, err)
		}
	}
	return out, nil
}

// Reconciler connects to the cluster and joins the parts of a pass. src may be
// nil where only given trees are planned.
func Reconciler(cfg *config.Config, src reconcile.Source, opts Options) (*reconcile.Reconciler, error) {
	renderer, err := render.New(opts.Render)
	if err != nil {
		return nil, err
	}
	live, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	if src == nil {
		src = reconcile.NoSource{}
	}
	if opts.Reporter == nil {
		opts.Reporter = reconcile.NoReporter{}
	}
	docs := place(cfg, live)
	verifier, err := imageVerifier(cfg, docs)
	if err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	view := reconcile.Cluster(live)
	if opts.View != nil {
		view = opts.View(live)
	}
	return &reconcile.Reconciler{
		Instance: cfg.Instance,
		Approved: opts.Approved,
		Reveal:   opts.Reveal,
		Source:   src,
		Renderer: renderer,
		Images:   verifier,
		Cluster:  view,
		Applier:  apply.New(live, apply.Options{Wait: opts.Wait, Gate: opts.Gate || opts.Wait > 0}),
		Reporter: opts.Reporter,
		Approve:  cmp.Or(opts.Approve, approveCommand(cfg)),
		Drifts: drift.New(drift.Options{Debounce: time.Duration(cfg.Drift.Debounce), History: cfg.Drift.History,
			Once: opts.View == nil}),
		Records:   records(docs, opts.Log),
		Approvals: approvals(docs),
		Now:       time.Now,

		MaxDelete: noneIfZero(cfg.Deletion.Max), MaxDeleteShare: noneIfZero(cfg.Deletion.Share),
	}, nil
}

// noneIfZero is a limit of the configuration as diff.Options has it, where zero is
// the default and less is none.
func noneIfZero[N int | float64](limit N) N {
	if limit == 0 {
		return -1
	}
	return limit
}

func connect(cfg *config.Config) (*cluster.Cluster, error) {
	return cluster.Connect(cluster.Options{Kubeconfig: cfg.Kubeconfig, Context: cfg.Context, Instance: cfg.Instance})
}

// place is where documents are: in the cluster if they may, else on disk; nil if
// there is no place for them.
func place(cfg *config.Config, live *cluster.Cluster) documents {
	switch {
	case cfg.StateNamespace != "":
		return live.Documents(cfg.StateNamespace)
	case cfg.StateDir != "":
		return folder(cfg.StateDir)
	}
	return nil
}

// records keep what is known of drift.
func records(docs documents, log *slog.Logger) reconcile.Records {
	if docs == nil {
		return nil
	}
	return &driftRecords{docs: docs, log: log}
}
