package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"prumo.dev/prumo/internal/objpath"
)

// A segment is one step from an object's root towards a leaf: a field of a map,
// or an item of a list.
type segment struct {
	field string // name of a map's field; empty for an item of a list
	key   string // item: "name=web" of a keyed list, else its index
	index int    // item: place in the list it was found in
	live  any    // item: the live one, nil if there is none
	want  any    // item: the wanted one, nil if there is none
}

// isItem reports whether s is an item of a list.
func (s segment) isItem() bool { return s.key != "" }

// renderPath writes a path as people read it: .spec.hard["requests.cpu"],
// .spec.containers[name=web].image.
func renderPath(path []segment) string {
	var b strings.Builder
	for _, s := range path {
		switch {
		case s.isItem():
			b.WriteString("[" + s.key + "]")
		default:
			b.WriteString(objpath.Field(s.field))
		}
	}
	return b.String()
}

// covered reports whether a path is p or lies below it.
func covered(path []segment, p objpath.Path) bool {
	if len(path) < len(p) {
		return false
	}
	for i, step := range p {
		s := path[i]
		if s.isItem() && !step.Leads(s.live, s.index) && !step.Leads(s.want, s.index) || !s.isItem() && s.field != step.Field {
			return false
		}
	}
	return true
}

// comparePaths orders paths as an object reads, list items by index.
func comparePaths(a, b []segment) int {
	return slices.CompareFunc(a, b, func(s, t segment) int {
		if s.isItem() && t.isItem() && s.key != t.key {
			if i, err := strconv.Atoi(s.key); err == nil {
				if j, err := strconv.Atoi(t.key); err == nil {
					return cmp.Compare(i, j)
				}
			}
		}
		return cmp.Or(cmp.Compare(s.field, t.field), cmp.Compare(s.key, t.key))
	})
}

// within reports whether path is parent or lies below it. Both are rendered.
func within(path, parent string) bool {
	rest, ok := strings.CutPrefix(path, parent)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// listKeys says by what the API server matches the items of lists of maps, by
// the list's field; the first that all items have is used. Lists that are not
// named here are matched by name where all items have one and none is double.
// LimitRange's limits and a Node's taints are atomic to the API server; their
// keys are what makes an item in practice.
var listKeys = map[string][][]string{
	"conditions":                {{"type"}},
	"hostAliases":               {{"ip"}},
	"limits":                    {{"type"}},
	"ports":                     {{"containerPort", "protocol"}, {"port", "protocol"}, {"name"}},
	"taints":                    {{"key", "effect"}},
	"topologySpreadConstraints": {{"topologyKey", "whenUnsatisfiable"}},
	"volumeDevices":             {{"devicePath"}},
	"volumeMounts":              {{"mountPath"}},
}

var byName = [][]string{{"name"}}

// setLike are lists of strings whose order says nothing, by the list's field,
// whether the API server takes them for sets or not.
var setLike = map[string]bool{
	"accessModes": true, "apiGroups": true, "categories": true, "finalizers": true, "nonResourceURLs": true, "operations": true,
	"policyTypes": true, "resourceNames": true, "resources": true, "shortNames": true, "verbs": true,
}

// keyedItems returns the items of two lists by key, the keys in order of first
// appearance, and the fields that the keys are made of. ok is false if the lists
// cannot be matched by key.
func keyedItems(field string, lists ...[]any) (keys, names []string, items []map[string]indexed, ok bool) {
	candidates, found := listKeys[field]
	switch {
	case setLike[field]:
		candidates = [][]string{{""}, {"name"}}
	case !found:
		candidates = byName
	}
	for _, names = range candidates {
		if keys, items, ok = itemsBy(names, lists); ok {
			return keys, names, items, true
		}
	}
	return nil, nil, nil, false
}

// indexed is an item of a list and its place there.
type indexed struct {
	index int
	value any
}

// itemsBy keys all items of lists by the named fields.
func itemsBy(names []string, lists [][]any) (keys []string, items []map[string]indexed, ok bool) {
	seen := map[string]bool{}
	for _, list := range lists {
		byKey := make(map[string]indexed, len(list))
		for i, item := range list {
			key, ok := itemKey(names, item)
			if !ok {
				return nil, nil, false
			}
			if _, double := byKey[key]; double {
				return nil, nil, false
			}
			byKey[key] = indexed{i, item}
			if !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
		items = append(items, byKey)
	}
	return keys, items, true
}

// itemKey writes the key of an item: "key=nvidia.com/gpu,effect=NoSchedule".
func itemKey(names []string, item any) (string, bool) {
	if names[0] == "" {
		s, ok := item.(string)
		return "=" + objpath.Value(s), ok
	}
	m, ok := item.(map[string]any)
	if !ok {
		return "", false
	}
	parts := make([]string, 0, len(names))
	for _, name := range names {
		v, ok := m[name]
		if !ok && name == "protocol" {
			v, ok = "TCP", true // the API's default
		}
		if !ok {
			return "", false
		}
		switch v.(type) {
		case map[string]any, []any, nil:
			return "", false
		}
		parts = append(parts, name+"="+objpath.Value(fmt.Sprint(v)))
	}
	return strings.Join(parts, ","), true
}
