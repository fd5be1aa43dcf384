package apply

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
)

// serveWait bounds how long a new API may take to be served.
const serveWait = 30 * time.Second

// serve waits until the kinds that a stage defines are served.
func (p *pass) serve(ctx context.Context, stage []int) error {
	for _, i := range stage {
		c := p.changes[i]
		if p.outcomes[i].Status != core.StatusDone || c.ID.Kind != "CustomResourceDefinition" {
			continue
		}
		err := poll(ctx, serveWait, func() (bool, error) {
			if err := p.cluster.Refresh(ctx); err != nil {
				return false, p.cluster.Explain(err)
			}
			return p.serves(ctx, c.Manifest)
		})
		if err != nil {
			return fmt.Errorf("wait for the API of %s: %w", c.ID, err)
		}
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

// ready notes what of the applied objects is not ready, after waiting for it.
func (p *pass) ready(ctx context.Context) error {
	var waiting []int
	for i := range p.changes {
		if p.after[i] != nil && p.outcomes[i].Status == core.StatusDone && p.verdict(i).Status != status.CurrentStatus {
			waiting = append(waiting, i)
		}
	}
	var err error
	if p.opts.Wait > 0 && len(waiting) > 0 {
		err = poll(ctx, p.opts.Wait, func() (bool, error) {
			if err := p.reread(ctx, waiting); err != nil {
				return false, err
			}
			waiting = slices.DeleteFunc(waiting, func(i int) bool { return p.verdict(i).Status == status.CurrentStatus })
			return !slices.ContainsFunc(waiting, func(i int) bool { return p.verdict(i).Status != status.FailedStatus }), nil
		})
	}
	for _, i := range waiting {
		o, v := p.outcomes[i], p.verdict(i)
		o.Reason = orElse(v.Message, string(v.Status))
		p.notReady = append(p.notReady, o)
	}
	return err
}

func (p *pass) reread(ctx context.Context, waiting []int) error {
	return each(ctx, waiting, func(ctx context.Context, i int) error {
		live, err := p.cluster.Get(ctx, p.after[i])
		if err != nil {
			return fmt.Errorf("read %s: %w", p.changes[i].ID, p.cluster.Explain(err))
		}
		if live != nil {
			p.after[i] = live
		}
		return nil
	})
}

// verdict is what kstatus says of an object as it was last seen.
func (p *pass) verdict(i int) *status.Result {
	result, err := status.Compute(&unstructured.Unstructured{Object: p.after[i]})
	if err != nil {
		return &status.Result{Status: status.UnknownStatus, Message: "its readiness cannot be told: " + err.Error()}
	}
	return result
}
