package diff

import (
	"cmp"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// shownPods is how many of the pods that a change stops are named.
const shownPods = 5

// Disrupts says which pods a change may stop. It reports false if it stops none,
// or if that cannot be asked.
func Disrupts(c core.Change) (core.PodQuery, bool) {
	if c.Risk < core.RiskRestarts {
		return core.PodQuery{}, false
	}
	object := c.Live
	if object == nil {
		object = c.Manifest
	}
	switch c.ID.Kind {
	case "Node":
		return core.PodQuery{Node: c.ID.Name, GPUs: true, Taint: eviction(c)}, true
	case "ClusterPolicy", "NVIDIADriver":
		return core.PodQuery{GPUs: true, Nodes: driven(c)}, c.ID.Group == "nvidia.com"
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job":
		q, ok := selected(c, object, "selector")
		if !ok { // of what goes, nothing but the metadata was read
			q = core.PodQuery{Namespace: c.ID.Namespace, Owner: c.ID}
		}
		return q, c.ID.Namespace != ""
	case "NetworkPolicy":
		return selected(c, object, "podSelector")
	case "Namespace":
		return core.PodQuery{Namespace: c.ID.Name}, c.ID.Group == ""
	case "PersistentVolumeClaim":
		return core.PodQuery{Namespace: c.ID.Namespace, Claim: c.ID.Name}, c.ID.Group == ""
	case "PersistentVolume":
		namespace, _ := objpath.Path{{Field: "spec"}, {Field: "claimRef"}, {Field: "namespace"}}.Get(object)
		claim, _ := objpath.Path{{Field: "spec"}, {Field: "claimRef"}, {Field: "name"}}.Get(object)
		q := core.PodQuery{}
		q.Namespace, _ = namespace.(string)
		q.Claim, _ = claim.(string)
		return q, q.Claim != ""
	}
	return core.PodQuery{}, false
}

// driven are the labels of the nodes that a GPU driver is for, and will be for; nil if
// that may be all.
func driven(c core.Change) (nodes []any) {
	if c.ID.Kind != "NVIDIADriver" {
		return nil
	}
	objects := []map[string]any{c.Live}
	if slices.ContainsFunc(c.Fields, func(f core.FieldChange) bool { return within(f.Path, ".spec.nodeSelector") }) {
		objects = append(objects, c.Manifest)
	}
	for _, object := range objects {
		labels, _ := objpath.Path{{Field: "spec"}, {Field: "nodeSelector"}}.Get(object)
		if m, _ := labels.(map[string]any); len(m) == 0 {
			return nil
		}
		nodes = append(nodes, labels)
	}
	return nodes
}

// selected asks for the pods of a namespace that a field of spec selects.
func selected(c core.Change, object map[string]any, field string) (core.PodQuery, bool) {
	selector, ok := objpath.Path{{Field: "spec"}, {Field: field}}.Get(object)
	return core.PodQuery{Namespace: c.ID.Namespace, Selector: selector}, ok && c.ID.Namespace != ""
}

// eviction is the one taint that a change of a Node drives pods away with; nil if
// there is none, or if it does more than that.
func eviction(c core.Change) any {
	var taint any
	for _, f := range c.Fields {
		path, err := objpath.Parse(f.Path)
		switch {
		case reconfigures[f.Path] || evicts(f) && (err != nil || len(path) < 3 || taint != nil):
			return nil
		case evicts(f):
			taint, _ = path[:3].Get(c.Manifest)
		}
	}
	return taint
}

// Hit is what a change stops, of the pods that it was asked for.
func Hit(pods []core.Pod) *core.Hits {
	if len(pods) == 0 {
		return nil
	}
	pods = slices.SortedFunc(slices.Values(pods), func(a, b core.Pod) int {
		return cmp.Or(cmp.Compare(b.GPUs, a.GPUs), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	h := &core.Hits{Total: len(pods), Pods: pods[:min(len(pods), shownPods)]}
	for _, p := range pods {
		h.GPUs += p.GPUs
	}
	return h
}
