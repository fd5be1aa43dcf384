package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/dynamic"

	"prumo.dev/prumo/test/bench/row"
	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/fleet"
	"prumo.dev/prumo/test/gitrepo"
)

// A world is a control plane, a signed repo with a fleet, and a daemon that keeps
// the one true to the other.
type world struct {
	dir, bin string
	pairs    int
	cluster  *cluster.Cluster
	api      *api
	people   dynamic.Interface
	repo     *gitrepo.Repo
	key      *gitrepo.Key
	daemon   *daemon // nil: stopped
	peak     float64 // memory of the daemon that applied all, in MB
}

// objects is how many objects the fleet renders to.
func (w *world) objects() int { return w.pairs * fleet.ObjectsPerPair }

// row begins a row about the fleet.
func (w *world) row(name string, value float64, unit string) row.Row {
	return row.Row{Case: "engine: " + name, N: w.objects(), Value: value, Unit: unit, OK: true}
}

func newWorld(ctx context.Context, dir, bin string, pairs int) (*world, error) {
	w := &world{dir: dir, bin: bin, pairs: pairs}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := w.writeRepo(); err != nil {
		return nil, err
	}
	var err error
	if w.cluster, err = cluster.Start(ctx, cluster.Options{Log: tell}); err != nil {
		return nil, err
	}
	if w.people, err = dynamic.NewForConfig(w.cluster.Config()); err == nil {
		w.api, err = newAPI(w.cluster.Config())
	}
	if err == nil {
		err = w.writeConfig()
	}
	if err != nil {
		return nil, errors.Join(err, w.cluster.Stop())
	}
	return w, nil
}

func tell(format string, args ...any) { fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...) }

func (w *world) close() error {
	return errors.Join(w.stop(), w.cluster.Stop())
}

// start starts the daemon, stop ends it and waits until it has.
func (w *world) start() (err error) {
	w.daemon, err = startDaemon(w.bin, w.file("config.yaml"))
	return err
}

func (w *world) stop() error {
	if w.daemon == nil {
		return nil
	}
	d := w.daemon
	w.daemon = nil
	return d.stop()
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// writeRepo makes the fleet a signed repo, and who is obeyed in it.
func (w *world) writeRepo() error {
	var err error
	if w.key, err = gitrepo.NewKey("bench"); err != nil {
		return err
	}
	if w.repo, err = gitrepo.New(w.file("origin.git")); err != nil {
		return err
	}
	policy := fmt.Sprintf("apiVersion: prumo.dev/v1alpha1\nkind: TrustPolicy\nversion: 1\nprincipals:\n  bench: {kind: human, keys: [{ssh: %q}]}\n"+
		"rules:\n  - {name: all, paths: [\"**\"], signers: [bench]}\n", w.key.Public())
	introduction, err := w.commit(map[string]string{".prumo/policy.yaml": policy})
	if err == nil {
		_, err = w.commit(fleet.Tools(w.pairs))
	}
	if err != nil {
		return err
	}
	return os.WriteFile(w.file("trust.yaml"), fmt.Appendf(nil, "apiVersion: prumo.dev/v1alpha1\nkind: TrustAnchor\nintroduction: %s\n"+
		"root: {threshold: 1, principals: {bench: {keys: [{ssh: %q}]}}}\n", introduction, w.key.Public()), 0o600)
}

// commit writes files and moves the branch; the ref moves last.
func (w *world) commit(files map[string]string) (string, error) {
	for name, text := range files {
		if err := w.repo.Write(name, []byte(text)); err != nil {
			return "", err
		}
	}
	return w.repo.Commit(gitrepo.Options{Message: "change\n", Key: w.key})
}

// writeConfig writes the daemon's configuration: that of a user, but for how often
// the remote is asked.
func (w *world) writeConfig() error {
	return os.WriteFile(w.file("config.yaml"), fmt.Appendf(nil, `apiVersion: prumo.dev/v1alpha1
kind: ReconcilerConfig
instance: bench
repo: {url: %q, ref: refs/heads/main}
trustFile: trust.yaml
stateDir: state
kubeconfig: %q
interval: 1s
listen: "127.0.0.1:0"
log: {format: json}
`, w.repo.Dir(), w.cluster.Kubeconfig()), 0o600)
}
