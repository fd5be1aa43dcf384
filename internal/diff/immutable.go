package diff

import (
	"slices"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// neverReplaced are the kinds that hold what cannot be made anew.
var neverReplaced = map[string]bool{
	"CustomResourceDefinition": true, "Namespace": true, "Node": true,
	"PersistentVolume": true, "PersistentVolumeClaim": true,
}

// A rule says which fields of a kind the API server does not let change.
type rule struct {
	fields []string // rendered paths; what lies below is meant too
	except []string // paths that may change all the same
}

// immutableFields holds what is known of each kind, by Kind.group, from the
// validation of k8s.io/kubernetes 1.37 (pkg/apis/*/validation) and of the
// projects named. An error text is never asked.
var immutableFields = map[string]rule{
	"ClusterRoleBinding.rbac.authorization.k8s.io": {fields: []string{".roleRef"}},
	"ConfigMap":                {fields: []string{".data", ".binaryData", ".immutable"}},
	"CSIDriver.storage.k8s.io": {fields: []string{".spec.attachRequired", ".spec.volumeLifecycleModes"}},
	"CustomResourceDefinition.apiextensions.k8s.io": {fields: []string{".spec.group", ".spec.scope", ".spec.names.kind"}},
	"DaemonSet.apps":                 {fields: []string{".spec.selector"}},
	"Deployment.apps":                {fields: []string{".spec.selector"}},
	"IngressClass.networking.k8s.io": {fields: []string{".spec.controller"}},
	"Job.batch":                      {fields: []string{".spec.template", ".spec.selector", ".spec.completionMode"}},
	"LocalQueue.kueue.x-k8s.io":      {fields: []string{".spec.clusterQueue"}},
	"PersistentVolume": {fields: []string{".spec"}, except: []string{
		".spec.accessModes", ".spec.capacity", ".spec.claimRef", ".spec.mountOptions",
		".spec.persistentVolumeReclaimPolicy", ".spec.storageClassName", ".spec.volumeAttributesClassName",
	}},
	"PersistentVolumeClaim":                 {fields: []string{".spec"}, except: []string{".spec.volumeAttributesClassName"}},
	"PriorityClass.scheduling.k8s.io":       {fields: []string{".value", ".preemptionPolicy"}},
	"ReplicaSet.apps":                       {fields: []string{".spec.selector"}},
	"RoleBinding.rbac.authorization.k8s.io": {fields: []string{".roleRef"}},
	"RuntimeClass.node.k8s.io":              {fields: []string{".handler"}},
	"Secret":                                {fields: []string{".data", ".stringData", ".immutable", ".type"}},
	"Service":                               {fields: []string{".spec.clusterIP", ".spec.clusterIPs"}},
	"StatefulSet.apps": {fields: []string{".spec"}, except: []string{
		".spec.minReadySeconds", ".spec.ordinals", ".spec.persistentVolumeClaimRetentionPolicy", ".spec.replicas",
		".spec.revisionHistoryLimit", ".spec.template", ".spec.updateStrategy",
	}},
	"StorageClass.storage.k8s.io":   {fields: []string{".parameters", ".provisioner", ".reclaimPolicy", ".volumeBindingMode"}},
	"Topology.kueue.x-k8s.io":       {fields: []string{".spec.levels"}},
	"TrainJob.trainer.kubeflow.org": {fields: []string{".spec.runtimeRef", ".spec.trainer"}},
}

// immutable returns the rendered paths of the leaves that cannot be changed in
// place, at most three.
func immutable(id core.ObjectID, live map[string]any, leaves []leaf) []string {
	kind := id.Kind
	if id.Group != "" {
		kind += "." + id.Group
	}
	r, ok := immutableFields[kind]
	if !ok {
		return nil
	}
	frozen, _ := live["immutable"].(bool)
	var out []string
	for _, l := range leaves {
		path := renderPath(l.path)
		under := func(parent string) bool { return within(path, parent) }
		switch {
		case !slices.ContainsFunc(r.fields, under) || slices.ContainsFunc(r.except, under):
			continue
		case (kind == "ConfigMap" || kind == "Secret") && path != ".type" && !frozen:
			continue // only an object that says so of itself is frozen
		case kind == "Service" && (l.from == nil || l.to == nil):
			continue // an address may be given and, with the type, taken back
		}
		if len(out) == 3 {
			return append(out, "others")
		}
		out = append(out, strings.TrimSpace(path))
	}
	return out
}
