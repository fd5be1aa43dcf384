package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// taintTries bounds how often a taint merge is done again because the Node
// changed in between.
const taintTries = 8

// A taintKey is what Kubernetes tells taints of one node apart by.
type taintKey struct{ key, effect string }

func (k taintKey) String() string { return k.key + ":" + k.effect }

func keyOf(taint any) taintKey {
	m, _ := taint.(map[string]any)
	key, _ := m["key"].(string)
	effect, _ := m["effect"].(string)
	return taintKey{key, effect}
}

func isNode(m map[string]any) bool {
	id := idOf(m)
	return id.Group == "" && id.Kind == "Node"
}

// taintManifest turns the taints that a spec wants into the whole list that the
// live Node should have, notes which are ours, and pins the manifest to this
// Node, so that sending it can never create one.
func taintManifest(u *unstructured.Unstructured, live map[string]any, ignore []objpath.Path) {
	want := yieldTaints(taintsOf(u.Object), live, ignore)
	writeTaints(u.Object, mergeTaints(taintsOf(live), recorded(live), want), keysOf(want))
	u.SetUID((&unstructured.Unstructured{Object: live}).GetUID())
}

// taintsOf is the list spec.taints.
func taintsOf(m map[string]any) []any {
	taints, _, _ := unstructured.NestedSlice(m, "spec", "taints")
	return taints
}

// ours are those of a manifest's taints that its annotation lists.
func ours(manifest map[string]any) []any {
	keys := parseTaintKeys(annotation(manifest, core.AnnotationTaints))
	return slices.DeleteFunc(taintsOf(manifest), func(t any) bool { return !slices.Contains(keys, keyOf(t)) })
}

// mergeTaints is the live list without what was ours, with what we want. A taint
// that is there already as wanted stays as it is, with its place and timeAdded.
func mergeTaints(live []any, was []taintKey, want []any) []any {
	var merged []any
	var kept []taintKey
	for _, t := range live {
		k := keyOf(t)
		i := slices.IndexFunc(want, func(w any) bool { return keyOf(w) == k })
		switch {
		case i < 0 && slices.Contains(was, k):
			continue
		case i >= 0 && value(t) != value(want[i]):
			t = want[i]
		}
		merged, kept = append(merged, t), append(kept, k)
	}
	for _, w := range want {
		if !slices.Contains(kept, keyOf(w)) {
			merged = append(merged, w)
		}
	}
	return merged
}

func value(taint any) string {
	m, _ := taint.(map[string]any)
	v, _ := m["value"].(string)
	return v
}

// writeTaints sets spec.taints, and the annotation that lists which are ours.
func writeTaints(m map[string]any, taints []any, mine []taintKey) {
	unstructured.RemoveNestedField(m, "spec", "taints")
	if len(taints) > 0 {
		_ = unstructured.SetNestedSlice(m, taints, "spec", "taints")
	}
	unstructured.RemoveNestedField(m, "metadata", "annotations", core.AnnotationTaints)
	if len(mine) > 0 {
		set(m, "annotations", core.AnnotationTaints, formatTaintKeys(mine))
	}
}

func keysOf(taints []any) []taintKey {
	keys := make([]taintKey, len(taints))
	for i, t := range taints {
		keys[i] = keyOf(t)
	}
	return keys
}

// formatTaintKeys is the value of core.AnnotationTaints: key:effect pairs,
// sorted, with commas between.
func formatTaintKeys(keys []taintKey) string {
	var words []string
	for _, k := range keys {
		words = append(words, k.String())
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ",")
}

func parseTaintKeys(s string) []taintKey {
	var keys []taintKey
	for word := range strings.SplitSeq(s, ",") {
		if key, effect, ok := strings.Cut(word, ":"); ok {
			keys = append(keys, taintKey{key, effect})
		}
	}
	return keys
}

// recorded are the taints of a live Node that we set. The annotation counts only
// while the server remembers that we wrote it: whoever edits it could else make
// us lift a taint that keeps work off a broken node.
func recorded(live map[string]any) []taintKey {
	path := fieldpath.MakePathOrDie("metadata", "annotations", core.AnnotationTaints)
	for _, e := range (&unstructured.Unstructured{Object: live}).GetManagedFields() {
		if e.Manager == core.FieldManager && e.Operation == metav1.ManagedFieldsOperationUpdate && owned(e).Has(path) {
			return parseTaintKeys(annotation(live, core.AnnotationTaints))
		}
	}
	return nil
}

// splitNode takes out of a Node's manifest what server-side apply must not see:
// the list of taints, and the annotation that is written together with it.
func splitNode(manifest map[string]any) (rest map[string]any, want []any) {
	want = ours(manifest)
	u := (&unstructured.Unstructured{Object: manifest}).DeepCopy()
	writeTaints(u.Object, nil, nil)
	if spec, ok := u.Object["spec"].(map[string]any); ok && len(spec) == 0 {
		delete(u.Object, "spec")
	}
	return u.Object, want
}

// taint makes want our taints of a live Node, and returns the Node after. The
// list and the note of which are ours change in one request, bound to the
// resourceVersion that the merge was made from; if the Node has changed by then,
// it is read and merged again.
func (c *Cluster) taint(ctx context.Context, live map[string]any, want []any, dryRun bool) (map[string]any, error) {
	for range taintTries {
		after := merged(live, want)
		if dryRun || sameTaints(live, after) {
			return after, nil
		}
		patched, err := c.patchTaints(ctx, live, after)
		if !apierrors.IsConflict(err) {
			return patched, err
		}
		if live, err = c.Get(ctx, live); err != nil {
			return nil, err
		}
		if live == nil {
			return nil, apierrors.NewNotFound(nodes.GroupResource(), idOf(after).Name)
		}
	}
	return nil, refusal("its taints keep changing while they are merged: find out who fights over them")
}

func merged(live map[string]any, want []any) map[string]any {
	u := (&unstructured.Unstructured{Object: live}).DeepCopy()
	writeTaints(u.Object, mergeTaints(taintsOf(live), recorded(live), want), keysOf(want))
	return u.Object
}

func sameTaints(a, b map[string]any) bool {
	same := func(x, y any) bool { return keyOf(x) == keyOf(y) && value(x) == value(y) }
	return slices.EqualFunc(taintsOf(a), taintsOf(b), same) &&
		annotation(a, core.AnnotationTaints) == annotation(b, core.AnnotationTaints)
}

// patchTaints is one JSON merge patch (RFC 7386): a null removes.
func (c *Cluster) patchTaints(ctx context.Context, live, after map[string]any) (map[string]any, error) {
	var note any
	if s := annotation(after, core.AnnotationTaints); s != "" {
		note = s
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"resourceVersion": (&unstructured.Unstructured{Object: live}).GetResourceVersion(),
			"annotations":     map[string]any{core.AnnotationTaints: note},
		},
		"spec": map[string]any{"taints": taintsOf(after)},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the taints: %w", err)
	}
	return c.patch(ctx, after, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: core.FieldManager})
}
