package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"prumo.dev/prumo/internal/core"
)

// Release gives up a live object: our taints, our marks, and every field that
// only we own are removed, the object stays. Where it could not exist without
// such a field, such as a Deployment without the image that we took over, the
// values stay and only the ownership goes. It returns the object after.
func (c *Cluster) Release(ctx context.Context, live map[string]any) (map[string]any, error) {
	if isNode(live) {
		bare, err := c.taint(ctx, live, nil, false)
		if err != nil {
			return nil, err
		}
		live = bare
	}
	u := &unstructured.Unstructured{Object: live}
	// With the uid, this cannot create what someone has deleted meanwhile.
	meta := map[string]any{"name": u.GetName(), "uid": string(u.GetUID())}
	if ns := u.GetNamespace(); ns != "" {
		meta["namespace"] = ns
	}
	nothing := map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "metadata": meta}
	after, err := c.apply(ctx, nothing, ApplyOptions{})
	if apierrors.IsInvalid(err) {
		return c.disown(ctx, u)
	}
	return after, err
}

// disown removes our marks and our entries of managedFields, by a JSON merge
// patch bound to the version that was read, and leaves all else as it is.
func (c *Cluster) disown(ctx context.Context, u *unstructured.Unstructured) (map[string]any, error) {
	others := slices.DeleteFunc(u.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == core.FieldManager })
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             u.GetUID(),
		"resourceVersion": u.GetResourceVersion(),
		"managedFields":   others,
		"labels":          map[string]any{core.LabelOwner: nil},
		"annotations": map[string]any{
			core.AnnotationID: nil, core.AnnotationSpec: nil, core.AnnotationOrigin: nil, core.AnnotationTaints: nil,
		},
	}})
	if err != nil {
		return nil, fmt.Errorf("encode what is given up of %s: %w", idOf(u.Object), err)
	}
	return c.patch(ctx, u.Object, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: core.FieldManager})
}
