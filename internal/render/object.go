package render

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"

	"prumo.dev/prumo/internal/core"
)

// objectName is what Kubernetes takes as a name of any object in a URL path
// segment: RBAC and CRDs allow more than DNS-1123, nothing allows "/" or "%".
var objectName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.:_-]{0,251}[A-Za-z0-9])?$`)

// serverFields are written by the API server and never by us.
var serverFields = []string{"managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "selfLink"}

// object reads one object of the spec and checks its shape. What its fields may
// be is the API server's to say.
func (u *unit) object(v cue.Value) (core.Object, error) {
	data, err := toGo(v)
	if err != nil {
		return core.Object{}, err
	}
	fields, ok := data.(map[string]any)
	if !ok {
		return core.Object{}, fmt.Errorf("is no object")
	}
	id, err := objectID(fields)
	if err != nil {
		return core.Object{}, err
	}
	if weigh(fields, maxObjectBytes) > maxObjectBytes {
		return core.Object{}, fmt.Errorf("%s has more than %d bytes, which no cluster stores: split it", id, maxObjectBytes)
	}
	return core.Object{ID: id, Spec: u.Spec.ID, Pos: u.Spec.Pos, Fields: fields}, nil
}

func objectID(fields map[string]any) (core.ObjectID, error) {
	var id core.ObjectID
	api, _ := fields["apiVersion"].(string)
	id.Kind, _ = fields["kind"].(string)
	meta, _ := fields["metadata"].(map[string]any)
	id.Name, _ = meta["name"].(string)
	ns, namespaced := meta["namespace"]
	id.Namespace, _ = ns.(string)
	group, version, grouped := strings.Cut(api, "/")
	if !grouped {
		group, version = "", api
	}
	id.Group = group
	switch {
	case version == "" || grouped && group == "" || strings.Contains(version, "/"):
		return id, fmt.Errorf("apiVersion: %q; want a version such as v1 or apps/v1", api)
	case id.Kind == "":
		return id, fmt.Errorf("kind: missing")
	case !objectName.MatchString(id.Name):
		return id, fmt.Errorf("metadata.name: %q is no name of a Kubernetes object", id.Name)
	case namespaced && !objectName.MatchString(id.Namespace):
		return id, fmt.Errorf("metadata.namespace: %q is no name of a namespace", fmt.Sprint(ns))
	}
	return id, checkMetadata(meta)
}

// checkMetadata refuses what is not a template's to say: what the server writes,
// and our own marks.
func checkMetadata(meta map[string]any) error {
	for _, name := range serverFields {
		if _, ok := meta[name]; ok {
			return fmt.Errorf("metadata.%s: is the API server's to write; leave it out", name)
		}
	}
	for _, part := range []string{"labels", "annotations"} {
		values, given := meta[part]
		m, ok := values.(map[string]any)
		if given && !ok {
			return fmt.Errorf("metadata.%s: want a map of strings", part)
		}
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if strings.HasPrefix(key, "prumo.dev/") {
				return fmt.Errorf("metadata.%s[%q]: marks that start with prumo.dev/ are set by Prumo alone", part, key)
			}
			if _, ok := m[key].(string); !ok {
				return fmt.Errorf("metadata.%s[%q]: %v is no string; quote it", part, key, m[key])
			}
		}
	}
	return nil
}
