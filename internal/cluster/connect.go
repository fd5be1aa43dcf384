package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Options say which cluster, and who we are in it.
type Options struct {
	Kubeconfig string // file; empty: $KUBECONFIG, ~/.kube/config, else the pod's ServiceAccount
	Context    string // of the kubeconfig; empty: its current context
	Instance   string // see New
}

// Connect finds the cluster by the rules of kubectl. It reads files and sends
// nothing: Check tells whether the cluster answers.
func Connect(opts Options) (*Cluster, error) {
	cfg, err := load(opts)
	if err != nil {
		return nil, err
	}
	return New(cfg, opts.Instance)
}

func load(opts Options) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = opts.Kubeconfig
	rules.WarnIfAllMissing = false
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: opts.Context})

	raw, err := loader.RawConfig()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no kubeconfig at %s: check --kubeconfig, or `kubeconfig` in the configuration", opts.Kubeconfig)
	case err != nil:
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if name := opts.Context; name != "" && raw.Contexts[name] == nil {
		return nil, fmt.Errorf("the kubeconfig has no context %q: it has %s", name, names(raw.Contexts))
	}
	if name := raw.CurrentContext; opts.Context == "" && name != "" && raw.Contexts[name] == nil {
		return nil, fmt.Errorf("the kubeconfig's current context %q is not in it: choose another with --context; it has %s", name, names(raw.Contexts))
	}
	cfg, err := loader.ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err) && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) != "":
		return nil, fmt.Errorf("there is no usable kubeconfig at %s: check KUBECONFIG", os.Getenv(clientcmd.RecommendedConfigPathEnvVar))
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("no cluster is configured: give --kubeconfig, set KUBECONFIG, or run in a pod with a ServiceAccount")
	case err != nil:
		return nil, fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	return cfg, nil
}

func names[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
