package cluster

import (
	"bytes"
	"encoding/base64"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// serverFields are what only the server may say. A rendered object that says one
// would turn an apply into a precondition, or be refused.
var serverFields = []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink", "deletionTimestamp"}

// manifest is what is sent for an object: its fields and our marks, but for those
// fields of it that belong to others, if it exists. Live is nil if it does not.
// giveUp are those of them that are ours still.
func manifest(o core.Object, live map[string]any, instance string) (sent map[string]any, giveUp []objpath.Path) {
	u := &unstructured.Unstructured{Object: withOwnMetadata(o.Fields)}
	if len(o.Ignore) > 0 || isNode(o.Fields) || isSecret(o.Fields) {
		u.Object = runtime.DeepCopyJSON(o.Fields) // more than metadata is changed below
	}
	for _, f := range serverFields {
		unstructured.RemoveNestedField(u.Object, "metadata", f)
	}
	delete(u.Object, "status")
	encodeStringData(u)
	giveUp = yield(u.Object, live, o.Ignore)

	set(u.Object, "labels", core.LabelOwner, instance)
	set(u.Object, "annotations", core.AnnotationID, o.ID.String())
	set(u.Object, "annotations", core.AnnotationSpec, o.Spec.String())
	set(u.Object, "annotations", core.AnnotationOrigin, origin(live, instance))
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations", core.AnnotationTaints)

	if isNode(u.Object) && live != nil {
		taintManifest(u, live, o.Ignore)
	}
	return u.Object, giveUp
}

// withOwnMetadata copies an object as far as marks are written to it: all but
// metadata is shared, since thousands of large objects are sent as they are.
func withOwnMetadata(m map[string]any) map[string]any {
	m = maps.Clone(m)
	meta, ok := m["metadata"].(map[string]any)
	if !ok {
		return m
	}
	m["metadata"] = runtime.DeepCopyJSON(meta)
	return m
}

func isSecret(m map[string]any) bool { return m["apiVersion"] == "v1" && m["kind"] == "Secret" }

// origin says whether we created an object. What is not surely created by us is
// adopted: an adopted object is never deleted.
func origin(live map[string]any, instance string) string {
	switch {
	case live == nil:
		return core.OriginCreated
	case owns(live, instance) && annotation(live, core.AnnotationOrigin) == core.OriginCreated:
		return core.OriginCreated
	}
	return core.OriginAdopted
}

// Owns reports whether a live object is ours: it carries the label of this
// instance, the annotation that names the object itself, and the server
// remembers that we applied it. A copy that someone made of one of our objects
// fails the last two.
func (c *Cluster) Owns(live map[string]any) bool { return owns(live, c.instance) }

func owns(live map[string]any, instance string) bool {
	u := &unstructured.Unstructured{Object: live}
	if u.GetLabels()[core.LabelOwner] != instance || u.GetAnnotations()[core.AnnotationID] != idOf(live).String() {
		return false
	}
	for _, e := range u.GetManagedFields() {
		if e.Manager == core.FieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" {
			return true
		}
	}
	return false
}

// owned is the set of fields that an entry of managedFields lists; empty if it
// cannot be read.
func owned(e metav1.ManagedFieldsEntry) *fieldpath.Set {
	set := fieldpath.NewSet()
	if e.FieldsV1 != nil {
		if err := set.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())); err != nil {
			return fieldpath.NewSet()
		}
	}
	return set
}

// encodeStringData moves a Secret's write-only stringData into data, as the
// server does, so that field ownership names the fields that really exist.
func encodeStringData(u *unstructured.Unstructured) {
	if !isSecret(u.Object) {
		return
	}
	plain, _, err := unstructured.NestedStringMap(u.Object, "stringData")
	if err != nil || len(plain) == 0 {
		return // the server will say what is wrong with it
	}
	data, ok := u.Object["data"].(map[string]any)
	if !ok {
		data = map[string]any{}
		u.Object["data"] = data
	}
	for k, v := range plain {
		data[k] = base64.StdEncoding.EncodeToString([]byte(v))
	}
	delete(u.Object, "stringData")
}

func idOf(m map[string]any) core.ObjectID {
	u := &unstructured.Unstructured{Object: m}
	return core.ObjectID{Group: u.GroupVersionKind().Group, Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

func annotation(m map[string]any, key string) string {
	return (&unstructured.Unstructured{Object: m}).GetAnnotations()[key]
}

// set writes one label or annotation. Where the parent is not a map, which only
// a malformed object has, it stays as it is for the server to refuse.
func set(m map[string]any, field, key, value string) {
	_ = unstructured.SetNestedField(m, value, "metadata", field, key)
}
