package diff

import (
	"cmp"
	"slices"

	"prumo.dev/prumo/internal/core"
)

// rank orders kinds by what needs what: an object is applied after those of a
// lower rank, and deleted before them. Kinds that are not named come after the
// workloads: custom resources need a namespace, and the operator that serves them.
var rank = map[string]int{
	"Namespace": 0, "CustomResourceDefinition": 0,
	"PriorityClass": 1, "StorageClass": 1, "RuntimeClass": 1, "IngressClass": 1, "CSIDriver": 1, "DeviceClass": 1,
	"Node": 1, "PersistentVolume": 1, "ClusterRole": 1,
	"ClusterRoleBinding": 2, "ServiceAccount": 2, "Role": 2,
	"ResourceQuota": 3, "LimitRange": 3, "NetworkPolicy": 3, "RoleBinding": 3,
	"ConfigMap": 4, "Secret": 4, "PersistentVolumeClaim": 4, "PodDisruptionBudget": 4,
	"Service":    5,
	"Deployment": 6, "StatefulSet": 6, "DaemonSet": 6, "ReplicaSet": 6, "Pod": 6, "Job": 6, "CronJob": 6,
	"HorizontalPodAutoscaler": 7, "Ingress": 7,
	"APIService": 9, "MutatingWebhookConfiguration": 9, "ValidatingWebhookConfiguration": 9,
	"ValidatingAdmissionPolicy": 9, "ValidatingAdmissionPolicyBinding": 9,
}

const rankOther = 8

// phase is when in a pass a change has its turn: all that is applied, then all
// that goes, then what is only reported.
func phase(a core.Action) int {
	switch a {
	case core.ActionDelete, core.ActionRelease:
		return 1
	case core.ActionObserve:
		return 2
	}
	return 0
}

// sortDrafts puts drafts in the order in which they are applied. It runs before
// anything is held.
func sortDrafts(drafts []draft) {
	slices.SortStableFunc(drafts, func(a, b draft) int {
		byRank := cmp.Or(cmp.Compare(kindRank(a.ID), kindRank(b.ID)), a.ID.Compare(b.ID))
		if phase(a.Action) == 1 {
			byRank = -byRank
		}
		return cmp.Or(cmp.Compare(phase(a.Action), phase(b.Action)), byRank)
	})
}

func kindRank(id core.ObjectID) int {
	if r, ok := rank[id.Kind]; ok {
		return r
	}
	return rankOther
}
