package apply

import (
	"strings"

	"github.com/fluxcd/pkg/ssa"

	"prumo.dev/prumo/internal/core"
)

// ranks is the order of kinds of fluxcd/pkg/ssa. What it does not name is 0: it
// comes after what it names first, and before what it names last.
var ranks = makeRanks()

// beside moves kinds forward that ssa does not name: a pod must not run before
// the policy that fences it, nor before the disk that it writes to is declared.
var beside = map[string]string{
	"Node":                  "ClusterRoleBinding",
	"PersistentVolume":      "ClusterRoleBinding",
	"NetworkPolicy":         "ResourceQuota",
	"PersistentVolumeClaim": "ConfigMap",
}

// isFence holds the kinds that bound the pods of their namespace.
var isFence = map[string]bool{"ResourceQuota": true, "LimitRange": true, "NetworkPolicy": true}

func makeRanks() map[string]int {
	ranks := map[string]int{}
	for i, kind := range ssa.ReconcileOrder.First {
		ranks[kind] = i - len(ssa.ReconcileOrder.First)
	}
	for i, kind := range ssa.ReconcileOrder.Last {
		ranks[kind] = i + 1
	}
	for kind, other := range beside {
		ranks[kind] = ranks[other]
	}
	for kind := range ranks {
		if kind == "ClusterRole" || strings.HasSuffix(kind, "Class") {
			ranks[kind] = ranks["ClusterRole"] // none of them needs another
		}
	}
	return ranks
}

// isDefinition reports whether other objects need one of a kind to be at all.
func isDefinition(kind string) bool {
	return kind == "CustomResourceDefinition" || kind == "Namespace"
}

// isPassive reports whether nothing runs in objects of a kind: they come before
// those in which something does, and are ready when they are there.
func isPassive(kind string) bool { return ranks[kind] <= ranks["LimitRange"] }

// defined names what a definition defines, as uses does. A definition of a kind
// stands for its API group, which its name tells even where nothing else is known.
func defined(id core.ObjectID) core.ObjectID {
	if id.Kind == "CustomResourceDefinition" {
		_, group, _ := strings.Cut(id.Name, ".")
		return core.ObjectID{Kind: id.Kind, Name: group}
	}
	return id
}

// uses are the definitions that an object cannot be without.
func uses(id core.ObjectID) []core.ObjectID {
	return []core.ObjectID{{Kind: "Namespace", Name: id.Namespace}, {Kind: "CustomResourceDefinition", Name: id.Group}}
}
