package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

const (
	// concurrency bounds the requests in flight. More does not help: one API
	// server with one etcd saturates here.
	concurrency = 16

	// requestTimeout bounds one request, so that a server which accepts
	// connections and never answers is a fault, not a hang.
	requestTimeout = 30 * time.Second

	// writeTimeout bounds one write. The server gives up after a minute by itself,
	// and may take half of that for one webhook alone: whoever gave up before would
	// take the fault of an object for the server's.
	writeTimeout = 65 * time.Second

	// pageSize bounds the size of one answer to a list.
	pageSize = 1000
)

// A Cluster is one live cluster, seen by one instance of Prumo. It is safe for
// concurrent use.
type Cluster struct {
	instance  string
	config    *rest.Config
	objects   dynamic.Interface
	metadata  metadata.Interface
	discovery discovery.DiscoveryInterfaceWithContext

	mu      sync.Mutex
	api     *served                                         // nil until the first use
	applied func(manifest, after map[string]any, err error) // told of what was applied, or was not; may be nil
}

// New returns the cluster that cfg reaches. Instance is the value of the label
// core.LabelOwner on everything that is managed; two instances in one cluster
// must differ in it.
func New(cfg *rest.Config, instance string) (*Cluster, error) {
	if instance == "" {
		return nil, errors.New("the instance has no name: give one, such as the name of the site")
	}
	if errs := validation.IsValidLabelValue(instance); len(errs) > 0 {
		return nil, fmt.Errorf("the instance name %q cannot be a label value: %s", instance, errs[0])
	}
	cfg = tune(cfg)
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("set up the connection to %s: %w", cfg.Host, err)
	}
	c := &Cluster{instance: instance, config: cfg}
	if err := c.clients(client); err != nil {
		return nil, fmt.Errorf("set up the connection to %s: %w", cfg.Host, err)
	}
	return c, nil
}

// clients makes the three clients over one connection pool.
func (c *Cluster) clients(client *http.Client) error {
	var errs [3]error
	c.objects, errs[0] = dynamic.NewForConfigAndClient(c.config, client)
	c.metadata, errs[1] = metadata.NewForConfigAndClient(c.config, client)
	c.discovery, errs[2] = discovery.NewDiscoveryClientForConfigAndClient(c.config, client)
	return errors.Join(errs[:]...)
}

// Instance is the name that New was given.
func (c *Cluster) Instance() string { return c.instance }

// tune returns a copy of cfg for a reconciler: no rate limit on our side (the
// server has priority and fairness), no warnings printed behind our back.
func tune(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.RateLimiter = -1, nil
	cfg.WarningHandler = rest.NoWarnings{}
	if cfg.UserAgent == "" {
		cfg.UserAgent = userAgent()
	}
	return cfg
}

func userAgent() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return "prumo/" + info.Main.Version
	}
	return "prumo/unknown"
}
