package diff

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// maxDepth bounds the walk into an object; deeper trees are one leaf. The API
// server itself accepts far less in practice.
const maxDepth = 100

// A leaf is one place where live and wanted differ, raw.
type leaf struct {
	path   []segment
	from   any  // live; nil if absent
	to     any  // wanted; nil if absent
	hidden bool // lies in the data of a Secret that is part of the object
	merged bool // to is not what was rendered but what the server merged
	names  bool // the values are the names of all items of a list, also of those that nobody declared
	alien  bool // from is not what the repo declared: it is not for the readers of a pull request
}

// scope says which parts of two objects are compared.
type scope int

const (
	whole    scope = iota // all fields, status apart: a dry-run against live
	declared              // only what the wanted side says: a rendered object against live
	observed              // as declared, status included: expected hardware against live
	shallow               // all fields of two renderings, status included; an added or removed subtree is one leaf
)

// compare returns the differences between two objects, in path order.
func compare(live, want map[string]any, sc scope) []leaf {
	w := walker{scope: sc, patterns: sc == observed && live != nil}
	w.walk(nil, asAny(live), asAny(want), false)
	slices.SortStableFunc(w.leaves, func(a, b leaf) int { return comparePaths(a.path, b.path) })
	return w.leaves
}

func asAny(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

type walker struct {
	scope    scope
	patterns bool // a wanted text may be a pattern
	leaves   []leaf
}

// walk records the differences between from and to, which are at path.
func (w *walker) walk(path []segment, from, to any, hidden bool) {
	if to == nil && from == nil {
		return
	}
	if to == nil && w.subset() || identical(from, to) {
		return // nearly always, so nothing is allocated up to here
	}
	fromMap, fromIsMap := from.(map[string]any)
	toMap, toIsMap := to.(map[string]any)
	fromList, fromIsList := from.([]any)
	toList, toIsList := to.([]any)
	atLeaf := len(path) >= maxDepth || w.scope == shallow && len(path) > 0 && (from == nil || to == nil)
	switch {
	case !atLeaf && (fromIsMap || from == nil) && (toIsMap || to == nil) && len(fromMap)+len(toMap) > 0:
		w.walkMaps(path, fromMap, toMap, hidden)
	case !atLeaf && (fromIsList || from == nil) && (toIsList || to == nil) && len(fromList)+len(toList) > 0:
		w.walkLists(path, fromList, toList, hidden)
	case w.patterns && isPattern(to):
		if !fits(from, to.(string)) {
			w.leaves = append(w.leaves, leaf{path: slices.Clone(path), from: from, to: to})
		}
	case !same(path, from, to):
		w.leaves = append(w.leaves, leaf{path: slices.Clone(path), from: from, to: to, hidden: hidden || isSecret(fromMap) || isSecret(toMap)})
	}
}

// subset reports whether only what is wanted is looked at.
func (w *walker) subset() bool { return w.scope == declared || w.scope == observed }

func (w *walker) walkMaps(path []segment, from, to map[string]any, hidden bool) {
	hidden = hidden || isSecret(from) || isSecret(to)
	for name := range to {
		if !w.ignored(path, name) {
			w.walk(append(path, segment{field: name}), from[name], to[name], hidden && !openInSecret(path, name))
		}
	}
	if w.subset() {
		return
	}
	for name := range from {
		if _, both := to[name]; !both && !w.ignored(path, name) {
			w.walk(append(path, segment{field: name}), from[name], nil, hidden && !openInSecret(path, name))
		}
	}
}

// ordered are the keyed lists whose order has a meaning: containers start, and
// variables expand, one after the other.
var ordered = map[string]bool{"initContainers": true, "env": true}

func (w *walker) walkLists(path []segment, from, to []any, hidden bool) {
	field := ""
	if len(path) > 0 {
		field = path[len(path)-1].field
	}
	keys, names, items, ok := keyedItems(field, from, to)
	if !ok {
		w.walkByIndex(path, from, to, hidden)
		return
	}
	n := len(w.leaves)
	for _, key := range keys {
		f, t := items[0][key], items[1][key]
		item := append(path, segment{key: key, index: f.index, live: f.value, want: t.value})
		w.walk(item, unkeyed(f, t, names), unkeyed(t, f, names), hidden)
	}
	if n == len(w.leaves) && ordered[field] && !w.subset() {
		fromKeys, toKeys := keyOrder(items[0]), keyOrder(items[1])
		if !slices.Equal(fromKeys, toKeys) {
			w.leaves = append(w.leaves, leaf{
				path: slices.Clone(path),
				from: "order: " + strings.Join(fromKeys, " "), to: "order: " + strings.Join(toKeys, " "),
				names: true,
			})
		}
	}
}

// present stands for an item of a keyed list that has nothing but its key.
const present = "present"

// unkeyed returns an item of a keyed list as it is compared. Of one that other
// lacks, the key's fields are left out: its path says them.
func unkeyed(item, other indexed, names []string) any {
	m, ok := item.value.(map[string]any)
	if !ok || other.value != nil {
		return item.value
	}
	m = maps.Clone(m)
	for _, name := range names {
		delete(m, name)
	}
	if len(m) == 0 {
		return present
	}
	return m
}

func (w *walker) walkByIndex(path []segment, from, to []any, hidden bool) {
	for i := range max(len(from), len(to)) {
		var f, t any
		if i < len(from) {
			f = from[i]
		}
		if i < len(to) {
			t = to[i]
		} else if w.subset() {
			// The list as a whole is declared: an item too many is a difference.
			w.leaves = append(w.leaves, leaf{
				path: append(slices.Clone(path), segment{key: strconv.Itoa(i), index: i, live: f}),
				from: f, hidden: hidden,
			})
			continue
		}
		w.walk(append(path, segment{key: strconv.Itoa(i), index: i, live: f, want: t}), f, t, hidden)
	}
}

// keyOrder returns the keys of a list in its order.
func keyOrder(items map[string]indexed) []string {
	return slices.SortedFunc(maps.Keys(items), func(a, b string) int { return items[a].index - items[b].index })
}

// serverOwned are the fields of metadata that the API server keeps, and the
// identity of the object, which is the same on both sides.
var serverOwned = map[string]bool{
	"creationTimestamp": true, "deletionGracePeriodSeconds": true, "deletionTimestamp": true, "generation": true,
	"managedFields": true, "name": true, "namespace": true, "resourceVersion": true, "selfLink": true, "uid": true,
}

// ignored reports whether a field is no part of the comparison.
func (w *walker) ignored(path []segment, name string) bool {
	switch len(path) {
	case 0:
		return name == "apiVersion" || name == "kind" || name == "status" && (w.scope == whole || w.scope == declared)
	case 1:
		return path[0].field == "metadata" && serverOwned[name]
	}
	return path[len(path)-1].field == "annotations" && objectCopies[name]
}

// same reports whether two leaves are equal to the API server.
func same(path []segment, a, b any) bool {
	if identical(a, b) {
		return true
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return x == y
		}
	}
	if a == nil || b == nil || !isQuantity(path) {
		return false
	}
	x, errX := resource.ParseQuantity(fmt.Sprint(a))
	y, errY := resource.ParseQuantity(fmt.Sprint(b))
	return errX == nil && errY == nil && x.Cmp(y) == 0
}

// identical reports whether two JSON values are the same, byte for byte.
func identical(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !identical(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, identical)
	case nil, bool, string, int, int64, float64:
		return a == b
	}
	return false // no JSON: shown as a difference
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case int:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// quantityMaps are the fields whose values are quantities (resource.Quantity):
// resource lists of the core API, and LimitRange's.
var quantityMaps = map[string]bool{
	"allocatable": true, "capacity": true, "default": true, "defaultRequest": true, "hard": true, "limits": true,
	"max": true, "maxLimitRequestRatio": true, "min": true, "overhead": true, "podFixed": true, "requests": true, "used": true,
}

// quantityFields are single fields that hold a quantity (core API, autoscaling and
// Kueue).
var quantityFields = map[string]bool{
	"averageValue": true, "borrowingLimit": true, "divisor": true, "lendingLimit": true, "nominalQuota": true, "sizeLimit": true,
}

// quantityRoots are the parts of an object that hold quantities; overhead is that
// of a RuntimeClass.
var quantityRoots = map[string]bool{"overhead": true, "spec": true, "status": true}

// isQuantity reports whether the leaf at path holds a quantity. Elsewhere 1000m
// and 1 are different strings: a label, an argument.
func isQuantity(path []segment) bool {
	if len(path) < 3 || !quantityRoots[path[0].field] {
		return false
	}
	return quantityFields[path[len(path)-1].field] || quantityMaps[path[len(path)-2].field]
}
