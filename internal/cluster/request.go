package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

var nodes = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}

// ApplyOptions say how a manifest is sent.
type ApplyOptions struct {
	DryRun bool // the server answers what it would do, and stores nothing
	Force  bool // take fields that other managers own
	New    bool // refuse with a conflict if the object exists

	// GiveUp are fields that are nobody's afterwards, and keep the values that they
	// have then. A dry-run does not ask about that.
	GiveUp []objpath.Path
}

// noVersion is a resourceVersion that no object ever has: the first write to an
// empty etcd makes revision 2. An apply that names it creates an object, which no
// version is compared with, and is refused if there is one. Without it a mark that
// says "created" could come to stand on what somebody else has just made.
const noVersion = "1"

// Apply sends a manifest by server-side apply (KEP-555) with strict field
// validation, and returns the object as it is then. The object is created if it
// does not exist, unless the manifest names a uid. Conflicts with other managers
// are an error for which Conflicts is not empty.
func (c *Cluster) Apply(ctx context.Context, manifest map[string]any, opts ApplyOptions) (map[string]any, error) {
	after, err := c.send(ctx, manifest, opts)
	if opts.DryRun {
		return after, err
	}
	if err == nil && len(opts.GiveUp) > 0 {
		after, err = c.giveUp(ctx, after, opts.GiveUp)
	}
	c.mu.Lock()
	applied := c.applied
	c.mu.Unlock()
	if applied != nil {
		applied(manifest, after, err)
	}
	return after, err
}

func (c *Cluster) send(ctx context.Context, manifest map[string]any, opts ApplyOptions) (map[string]any, error) {
	if !isNode(manifest) {
		return c.apply(ctx, manifest, opts)
	}
	if (&unstructured.Unstructured{Object: manifest}).GetUID() == "" {
		return nil, refusal("a Node is never created")
	}
	rest, want := splitNode(manifest)
	live, err := c.apply(ctx, rest, opts)
	if err != nil {
		return nil, err
	}
	return c.taint(ctx, live, want, opts.DryRun)
}

func (c *Cluster) apply(ctx context.Context, manifest map[string]any, opts ApplyOptions) (map[string]any, error) {
	if opts.New {
		manifest = withOwnMetadata(manifest)
		(&unstructured.Unstructured{Object: manifest}).SetResourceVersion(noVersion)
	}
	body, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", idOf(manifest), err)
	}
	options := metav1.PatchOptions{
		FieldManager:    core.FieldManager,
		FieldValidation: metav1.FieldValidationStrict,
		Force:           &opts.Force,
	}
	if opts.DryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	u, err := c.patch(ctx, manifest, types.ApplyPatchType, body, options)
	if withOurselves(err) {
		options.Force = new(true)
		return c.patch(ctx, manifest, types.ApplyPatchType, body, options)
	}
	return u, err
}

// withOurselves reports whether an apply conflicts with nobody but us: a field
// that we have patched, or that an admission webhook wrote in our name.
func withOurselves(err error) bool {
	found := Conflicts(err, nil)
	return len(found) > 0 && !slices.ContainsFunc(found, func(f core.Conflict) bool { return f.Manager != core.FieldManager })
}

// patch sends a patch for the object that like names.
func (c *Cluster) patch(ctx context.Context, like map[string]any, kind types.PatchType, body []byte, opts metav1.PatchOptions) (map[string]any, error) {
	if isDocument(like) {
		return nil, refusal("names that begin with " + documentPrefix + " are kept for what Prumo itself remembers: choose another")
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	r, err := c.resource(ctx, like)
	if err != nil {
		return nil, err
	}
	u, err := r.Patch(ctx, idOf(like).Name, kind, body, opts)
	if err != nil {
		return nil, err
	}
	return u.Object, nil
}

// Get reads the object that like names, or nil if it does not exist. That the
// cluster does not serve the kind is an error.
func (c *Cluster) Get(ctx context.Context, like map[string]any) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := c.resource(ctx, like)
	if err != nil {
		return nil, err
	}
	u, err := r.Get(ctx, idOf(like).Name, metav1.GetOptions{})
	switch {
	case isAbsent(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return u.Object, nil
}

// isAbsent tells "there is no such object" from "there is no such API", which
// the server answers with the same code, and which must never pass for absence.
func isAbsent(err error) bool {
	status := apierrors.APIStatus(nil)
	if !apierrors.IsNotFound(err) || !asStatus(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Name != "" && !slices.ContainsFunc(d.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse // said by our client of a bare 404
	})
}

// Delete deletes a live object in the background, if it still has the uid and
// the resourceVersion that live has. A Node is never deleted.
func (c *Cluster) Delete(ctx context.Context, live map[string]any) error {
	u := &unstructured.Unstructured{Object: live}
	uid, version, background := u.GetUID(), u.GetResourceVersion(), metav1.DeletePropagationBackground
	if isNode(live) || isDocument(live) || uid == "" || version == "" {
		return refusal("not deleted: it is a Node, what Prumo remembers, or was not read live")
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	r, err := c.resource(ctx, live)
	if err != nil {
		return err
	}
	return r.Delete(ctx, u.GetName(), metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
		PropagationPolicy: &background,
	})
}

// resource is the client for the kind and namespace of an object.
func (c *Cluster) resource(ctx context.Context, like map[string]any) (dynamic.ResourceInterface, error) {
	u := &unstructured.Unstructured{Object: like}
	api, err := c.known(ctx)
	if err != nil {
		return nil, err
	}
	r, err := api.find(u.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	if r.namespaced {
		return c.objects.Resource(r.GroupVersionResource).Namespace(u.GetNamespace()), nil
	}
	return c.objects.Resource(r.GroupVersionResource), nil
}
