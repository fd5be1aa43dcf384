package apply

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
)

// serveWait bounds how long a new API may take to be served.
const serveWait = 30 * time.Second

// serve waits until the kind that a change defines is served.
func (p *pass) serve(ctx context.Context, i int) error {
	c := p.changes[i]
	if p.outcomes[i].Status != core.StatusDone || c.ID.Kind != "CustomResourceDefinition" {
		return nil
	}
	err := poll(ctx, serveWait, func() (bool, error) {
		p.discovering.Lock() // one asks for all
		defer p.discovering.Unlock()
		if ok, err := p.serves(ctx, c.Manifest); ok || err != nil {
			return ok, err
		}
		if err := p.cluster.Refresh(ctx); err != nil {
			return false, p.cluster.Explain(err)
		}
		return p.serves(ctx, c.Manifest)
	})
	if err != nil {
		return fmt.Errorf("wait for the API of %s: %w", c.ID, err)
	}
	return nil
}

// serves reports whether all versions that a CustomResourceDefinition serves are
// known to the API server.
func (p *pass) serves(ctx context.Context, crd map[string]any) (bool, error) {
	group, _, _ := unstructured.NestedString(crd, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(crd, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if version["served"] != true {
			continue
		}
		like := map[string]any{"apiVersion": fmt.Sprintf("%s/%s", group, version["name"]), "kind": kind}
		if ok, err := p.cluster.Serves(ctx, like); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}
