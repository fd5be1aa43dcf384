package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"prumo.dev/prumo/internal/core"
)

// A resource is one kind at one version, as the server serves it.
type resource struct {
	schema.GroupVersionResource
	kind       schema.GroupVersionKind
	namespaced bool
	scannable  bool // can be listed and deleted: may hold orphans
}

// served is what a cluster serves, at one time.
type served struct {
	kinds map[schema.GroupVersionKind]resource
	down  map[string]bool // groups whose own API server does not answer
	scan  []resource      // one version of every scannable kind, sorted
}

// discover asks what the cluster serves: two requests, whatever its size.
func (c *Cluster) discover(ctx context.Context) (*served, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	groups, lists, err := c.discovery.ServerGroupsAndResourcesWithContext(ctx)
	s := &served{kinds: map[schema.GroupVersionKind]resource{}, down: map[string]bool{}}
	if partial := (*discovery.ErrGroupDiscoveryFailed)(nil); errors.As(err, &partial) {
		for gv := range partial.Groups {
			s.down[gv.Group] = true
		}
	} else if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%s does not answer as an API server does: check the server in the kubeconfig: %w", c.config.Host, err)
	} else if err != nil {
		return nil, fmt.Errorf("ask what the cluster serves: %w", c.Explain(err))
	}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("ask what the cluster serves: %w", err)
		}
		for _, r := range list.APIResources {
			if !strings.Contains(r.Name, "/") { // not a subresource
				s.kinds[gv.WithKind(r.Kind)] = resource{
					GroupVersionResource: gv.WithResource(r.Name),
					kind:                 gv.WithKind(r.Kind),
					namespaced:           r.Namespaced,
					scannable:            slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete"),
				}
			}
		}
	}
	s.scan = scannable(s.kinds, groups)
	return s, nil
}

// scannable picks one version of each kind that may hold orphans: the version
// that its group prefers, if that has the kind.
func scannable(kinds map[schema.GroupVersionKind]resource, groups []*metav1.APIGroup) []resource {
	preferred := map[string]string{}
	for _, g := range groups {
		preferred[g.Name] = g.PreferredVersion.Version
	}
	one := map[schema.GroupKind]resource{}
	for gvk, r := range kinds {
		if !r.scannable {
			continue
		}
		old, ok := one[gvk.GroupKind()]
		if !ok || gvk.Version == preferred[gvk.Group] || old.Version != preferred[gvk.Group] && gvk.Version > old.Version {
			one[gvk.GroupKind()] = r
		}
	}
	return slices.SortedFunc(maps.Values(one), func(a, b resource) int {
		return cmp.Compare(a.kind.String(), b.kind.String())
	})
}

// known returns what the cluster served when last asked.
func (c *Cluster) known(ctx context.Context) (*served, error) {
	c.mu.Lock()
	api := c.api
	c.mu.Unlock()
	if api != nil {
		return api, nil
	}
	return c.refresh(ctx)
}

// Refresh asks anew what the cluster serves, as is needed when a
// CustomResourceDefinition was applied.
func (c *Cluster) Refresh(ctx context.Context) error {
	_, err := c.refresh(ctx)
	return err
}

func (c *Cluster) refresh(ctx context.Context) (*served, error) {
	api, err := c.discover(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.api = api
	return api, nil
}

// find returns the resource of a kind, or a *meta.NoKindMatchError.
func (s *served) find(gvk schema.GroupVersionKind) (resource, error) {
	r, ok := s.kinds[gvk]
	if !ok {
		return resource{}, &meta.NoKindMatchError{GroupKind: gvk.GroupKind(), SearchedVersions: []string{gvk.Version}}
	}
	return r, nil
}

// Serves reports whether the cluster served the kind of an object when it was
// last asked.
func (c *Cluster) Serves(ctx context.Context, like map[string]any) (bool, error) {
	api, err := c.known(ctx)
	if err != nil {
		return false, err
	}
	return api.has(core.Object{Fields: like}), nil
}
