package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// startTimeout bounds Start once the binaries exist. A cluster is ready in a
// few seconds; a machine under heavy load gets a minute.
const startTimeout = time.Minute

// Options say what to start and where.
type Options struct {
	// Dir holds data, logs and kubeconfigs. Empty: a temporary folder that
	// Stop removes. A folder used before keeps its objects; its certificates
	// and tokens are new.
	Dir string

	// Log is told about progress that a person waits for. Nil: nobody is.
	Log func(format string, args ...any)

	// Workloads starts the controller manager, the scheduler and kwok too.
	// Without it there are etcd and the API server only: objects are stored,
	// and nothing acts on them (a deleted namespace never ends).
	Workloads bool
}

func (o Options) log(format string, args ...any) {
	if o.Log != nil {
		o.Log(format, args...)
	}
}

// A Cluster is a running control plane. Its methods may be called from several
// goroutines.
type Cluster struct {
	opts  Options
	dir   string
	lock  *os.File // held while the folder is in use
	port  *heldPort
	pki   *pki
	bins  binaries
	admin *rest.Config

	mu      sync.Mutex // guards what follows
	running []*process // in the order in which they were started
	ended   bool
}

// Start builds what is missing (see [Ensure]), starts a control plane and
// returns when it is ready to be used. The context bounds the start only; the
// cluster runs until Stop or until this process ends.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	bins, err := ensure(ctx, opts)
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: opts, bins: bins}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare cluster: %w", err), c.end())
	}
	if err := c.startServers(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start cluster: %w", err), c.end())
	}
	return c, nil
}

// prepare makes all that the servers read: folders, certificates, kubeconfigs.
func (c *Cluster) prepare() (err error) {
	if c.dir, c.lock, err = claimDir(c.opts.Dir); err != nil {
		return err
	}
	if c.port, err = holdPort(); err != nil {
		return err
	}
	if c.pki, err = newPKI(c.dir); err != nil {
		return err
	}
	if err := c.writeKubeconfigs(); err != nil {
		return err
	}
	return writeStages(c.dir)
}

// startServers starts the servers in their order and waits until they work.
func (c *Cluster) startServers(ctx context.Context) error {
	if err := c.spawn(c.etcd()); err != nil {
		return err
	}
	if err := c.StartAPIServer(ctx); err != nil {
		return err
	}
	if !c.opts.Workloads {
		return nil
	}
	if err := c.createStorageClass(ctx); err != nil {
		return err
	}
	for _, s := range []server{c.controllerManager(), c.scheduler(), c.kwok()} {
		if err := c.spawn(s); err != nil {
			return err
		}
	}
	return c.await(ctx, "the controllers do not work", c.controllersWork)
}

// Kubeconfig returns the path of a kubeconfig with every right (group
// system:masters).
func (c *Cluster) Kubeconfig() string { return c.path("admin.kubeconfig") }

// Config returns a copy of the client configuration of Kubeconfig, without a
// client-side rate limit.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.admin) }

// path returns the path of a file in the cluster's folder.
func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// Stop ends every server, within a second, and removes the folder if it is a
// temporary one. It reports servers that had ended before on their own.
// Calling it again does nothing.
func (c *Cluster) Stop() error { return errors.Join(c.dead(), c.end()) }

// end ends what runs and gives back what is held; again, it does nothing.
func (c *Cluster) end() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil
	}
	c.ended = true
	for _, p := range slices.Backward(c.running) {
		p.stop()
	}
	c.running = nil
	var errs []error
	if c.port != nil {
		errs = append(errs, c.port.release())
	}
	if c.lock != nil {
		if c.opts.Dir == "" {
			errs = append(errs, os.RemoveAll(c.dir))
		}
		errs = append(errs, c.lock.Close())
	}
	return errors.Join(errs...)
}
