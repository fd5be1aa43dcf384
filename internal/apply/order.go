package apply

import (
	"slices"
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
	// Definitions are one stage: none needs another, and all others may.
	for kind := range ranks {
		if kind == "CustomResourceDefinition" || kind == "Namespace" || kind == "ClusterRole" || strings.HasSuffix(kind, "Class") {
			ranks[kind] = -len(ssa.ReconcileOrder.First)
		}
	}
	return ranks
}

// stages are the changes that are still to be tried and have one of the actions,
// as indexes into the plan, in the order in which they are applied.
func (p *pass) stages(actions ...core.Action) [][]int {
	byRank := map[int][]int{}
	for i, c := range p.changes {
		if p.outcomes[i].Status == "" && slices.Contains(actions, c.Action) {
			byRank[ranks[c.ID.Kind]] = append(byRank[ranks[c.ID.Kind]], i)
		}
	}
	var order []int
	for rank := range byRank {
		order = append(order, rank)
	}
	slices.Sort(order)
	stages := make([][]int, len(order))
	for i, rank := range order {
		stages[i] = byRank[rank]
	}
	return stages
}
