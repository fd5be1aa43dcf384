package diff

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"prumo.dev/prumo/internal/core"
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
			risk = max(risk, fieldRisk(c.ID, f))
		}
		return risk
	}
	return core.RiskSafe
}

// fieldRisk is the risk of changing one field of a live object.
func fieldRisk(id core.ObjectID, f core.FieldChange) core.Risk {
	switch id.Kind {
	case "Node":
		return nodeRisk(f)
	case "ResourceQuota":
		if within(f.Path, ".spec.hard") && lowered(f) {
			return core.RiskDisruptive
		}
	case "NetworkPolicy":
		if within(f.Path, ".spec") {
			return core.RiskDisruptive
		}
	case "ClusterPolicy", "NVIDIADriver": // nvidia.com: reloads the driver under running jobs
		if strings.HasPrefix(f.Path, ".spec.driver") || id.Kind == "NVIDIADriver" && within(f.Path, ".spec") {
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
	case within(f.Path, ".spec.taints") && f.To != nil && strings.Contains(f.Path, "effect=NoExecute"),
		f.Path == `.metadata.labels["nvidia.com/mig.config"]`,
		f.Path == `.metadata.labels["nvidia.com/device-plugin.config"]`:
		return core.RiskDisruptive
	}
	return core.RiskSafe
}

// lowered reports whether a quantity becomes smaller.
func lowered(f core.FieldChange) bool {
	if f.From == nil || f.To == nil {
		return false
	}
	from, errFrom := resource.ParseQuantity(fmt.Sprint(f.From))
	to, errTo := resource.ParseQuantity(fmt.Sprint(f.To))
	if errFrom != nil || errTo != nil {
		return true // cannot be told (a value that is not shown): assume the worse
	}
	return to.Cmp(from) < 0
}
