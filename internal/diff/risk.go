package diff

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// riskOf says how much a change can hurt, from what it shows alone. fresh means
// that its namespace comes with the same plan, so that nothing can run there.
func riskOf(c core.Change, fresh bool) core.Risk {
	action := c.Action
	if action == core.ActionHold {
		action = c.Wanted
	}
	switch action {
	case core.ActionDelete, core.ActionReplace:
		return core.RiskDestructive
	case core.ActionCreate:
		if c.ID.Kind == "NetworkPolicy" && !fresh {
			return core.RiskDisruptive // pods that already run may be cut off
		}
		return core.RiskSafe
	case core.ActionUpdate, core.ActionAdopt:
		risk := core.RiskSafe
		for _, f := range c.Fields {
			risk = max(risk, fieldRisk(c, f))
		}
		return risk
	}
	return core.RiskSafe
}

// fieldRisk is the risk of changing one field of a live object.
func fieldRisk(c core.Change, f core.FieldChange) core.Risk {
	switch c.ID.Kind {
	case "Node":
		return nodeRisk(f)
	case "ResourceQuota":
		if f.From == notSaid && within(f.Path, ".spec.hard") {
			return core.RiskDisruptive // it may be lowered
		}
		if used, known := inUse(c.Live, f); within(f.Path, ".spec.hard") && lowered(f.From, f.To) && (!known || lowered(used, f.To)) {
			return core.RiskDisruptive // nothing that is lost can start again
		}
	case "NetworkPolicy":
		if within(f.Path, ".spec") {
			return core.RiskDisruptive
		}
	case "ClusterPolicy", "NVIDIADriver": // nvidia.com: reloads the driver under running jobs
		if strings.HasPrefix(f.Path, ".spec.driver") || c.ID.Kind == "NVIDIADriver" && within(f.Path, ".spec") {
			return core.RiskDisruptive
		}
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet":
		if f.Path == ".spec.replicas" && fmt.Sprint(f.To) == "0" {
			return core.RiskDisruptive
		}
		if within(f.Path, ".spec.template") {
			return core.RiskRestarts
		}
	}
	return core.RiskSafe
}

// nodeRisk is the risk of changing one field of a Node: a NoExecute taint evicts,
// and a new MIG or device plugin layout takes GPUs away from what uses them.
func nodeRisk(f core.FieldChange) core.Risk {
	switch {
	case evicts(f), reconfigures[f.Path]:
		return core.RiskDisruptive
	}
	return core.RiskSafe
}

// reconfigures are the labels of a Node that the GPU operator acts on: a MIG
// layout, a way of sharing, whether there is a driver, and what for.
var reconfigures = map[string]bool{
	`.metadata.labels["nvidia.com/mig.config"]`:           true,
	`.metadata.labels["nvidia.com/device-plugin.config"]`: true,
	`.metadata.labels["nvidia.com/gpu.deploy.driver"]`:    true,
	`.metadata.labels["nvidia.com/gpu.workload.config"]`:  true,
}

// evicts reports whether a field is a taint that comes and drives pods away.
func evicts(f core.FieldChange) bool {
	return within(f.Path, ".spec.taints") && f.To != nil && strings.Contains(f.Path, "effect=NoExecute")
}

// inUse is how much of what a quota bounds is used now.
func inUse(live map[string]any, f core.FieldChange) (any, bool) {
	path, err := objpath.Parse(f.Path)
	if err != nil || len(path) != 3 || path[1].Field != "hard" {
		return nil, false
	}
	return objpath.Path{{Field: "status"}, {Field: "used"}, path[2]}.Get(live)
}

// lowered reports whether a quantity becomes smaller. One that comes anew bounds
// what was free; one that goes frees it.
func lowered(before, after any) bool {
	if before == nil || after == nil {
		return false
	}
	from, errFrom := resource.ParseQuantity(fmt.Sprint(before))
	to, errTo := resource.ParseQuantity(fmt.Sprint(after))
	if errFrom != nil || errTo != nil {
		return true // cannot be told (a value that is not shown): assume the worse
	}
	return to.Cmp(from) < 0
}
