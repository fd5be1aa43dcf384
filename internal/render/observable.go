package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// published are the fields in which a machine tells about itself. A spec may expect
// these and no others: whatever is expected is compared with live state and shown,
// so anything else would let a kind read objects that do not belong to the repo.
var published = []string{"metadata.labels", "spec.taints", "status.allocatable", "status.capacity", "status.conditions"}

// precautionary are the fields that a precaution may set.
var precautionary = []string{"metadata.labels", "spec.taints", "spec.unschedulable"}

// checkMachines refuses expectations and precautions that are not about machines.
// It runs in this process and not in the one that evaluates, which may be under the
// control of whoever wrote what it evaluates.
func (g *graph) checkMachines() {
	for _, n := range g.nodes {
		if n.out == nil {
			continue
		}
		for _, o := range n.out.Expects {
			if why := beyond(o, published); why != "" {
				n.blame(n.Spec.Pos, "kind %s: expects %s: %s; a spec can expect only what a Node of v1 publishes: %s",
					n.Spec.ID.Kind, o.ID, why, strings.Join(published, ", "))
			}
		}
		for _, o := range n.out.Precautions {
			why := beyond(o, precautionary)
			if why == "" && !slices.ContainsFunc(n.out.Objects, func(own core.Object) bool { return own.ID == o.ID }) {
				why = "the spec does not render this Node"
			}
			if why != "" {
				n.blame(n.Spec.Pos, "kind %s: precaution on %s: %s; a precaution can set only these fields of a Node of its spec: %s",
					n.Spec.ID.Kind, o.ID, why, strings.Join(precautionary, ", "))
			}
		}
	}
}

// beyond says why an object is not a Node with nothing but the named fields; "" if it
// is one.
func beyond(o core.Object, allowed []string) string {
	if o.ID.Group != "" || o.ID.Kind != "Node" || o.ID.Namespace != "" {
		return "it is not a Node"
	}
	for _, section := range slices.Sorted(maps.Keys(o.Fields)) {
		if section == "apiVersion" || section == "kind" {
			continue
		}
		fields, ok := o.Fields[section].(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is not a map", section)
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			path := section + "." + name
			if path != "metadata.name" && !slices.Contains(allowed, path) {
				return path + " is not allowed"
			}
		}
	}
	return ""
}
