package schemas_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A field is a place in an object that the example renders to.
type field struct {
	object string
	path   []any
}

// TestRenders looks at what hangs on a detail: what a spec says, and the field of
// Kubernetes in which it must end up. A nil want is a field that must not be there.
func TestRenders(t *testing.T) {
	const a100 = "Node/gpu-a100-01"
	a100Layout := "      profiles: {2g.20gb: 3}"
	vllm := []any{"spec", "template", "spec"}
	for _, tc := range []struct {
		name  string
		edits []edit
		field field
		want  any
	}{
		{"quota in the requests. form", nil,
			field{"ResourceQuota/nlp-training/training", []any{"spec", "hard"}},
			map[string]any{"requests.nvidia.com/gpu": "12", "requests.cpu": "256", "requests.memory": "2400Gi", "limits.memory": "2400Gi"}},
		{"quota of MIG instances", nil,
			field{"ResourceQuota/clinical-research/clinical", []any{"spec", "hard", "requests.nvidia.com/mig-2g.20gb"}}, "16"},
		{"no GPU by default", nil,
			field{"LimitRange/nlp-training/training", []any{"spec", "limits", 0, "default", "nvidia.com/gpu"}}, "0"},
		{"GPUs of one pod", nil,
			field{"LimitRange/nlp-training/training", []any{"spec", "limits", 0, "max", "nvidia.com/gpu"}}, "8"},
		{"priority", nil,
			field{"PriorityClass.scheduling.k8s.io/training-low", []any{"value"}}, int64(1000)},
		{"priority in use only", nil,
			field{"PriorityClass.scheduling.k8s.io/training-high", nil}, map[string]any(nil)},
		{"pods of tenants are restricted", nil,
			field{"Namespace/nlp-training", []any{"metadata", "labels", "pod-security.kubernetes.io/enforce"}}, "restricted"},
		{"closed zone: pods reach each other and DNS", nil,
			field{"NetworkPolicy.networking.k8s.io/nlp-training/isolation", []any{"spec", "egress", 2}}, nil},
		{"open zone: the outside, not the house", nil,
			field{"NetworkPolicy.networking.k8s.io/nlp-serving/isolation", []any{"spec", "egress", 2, "to", 0, "ipBlock", "except"}},
			[]any{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}},

		{"GPU node keeps others away", nil,
			field{a100, []any{"spec", "taints"}}, []any{map[string]any{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}}},
		{"other nodes have no taint", nil, field{"Node/cpu-01", []any{"spec"}}, nil},
		{"MIG layout by its standard name", nil,
			field{a100, []any{"metadata", "labels", "nvidia.com/mig.config"}}, "all-2g.20gb"},
		{"MIG layout by a name of the lab", []edit{{"nodes/a100.yaml", a100Layout, "      config: lab\n" + a100Layout}},
			field{a100, []any{"metadata", "labels", "nvidia.com/mig.config"}}, "lab"},
		{"time slicing by label", []edit{
			{"nodes/l40s.cue", "count: 4", `count: 4, timeSlicing: {replicas: 4, config: "four"}`},
			{"pools/inference.yaml", "zone: open", "zone: open\n  resource: nvidia.com/gpu.shared"}},
			field{"Node/gpu-l40s-01", []any{"metadata", "labels", "nvidia.com/device-plugin.config"}}, "four"},
		{"time slicing in the tool", []edit{
			{"nodes/l40s.cue", "count: 4", `count: 4, timeSlicing: {replicas: 4, config: "four"}`},
			{"pools/inference.yaml", "zone: open", "zone: open\n  resource: nvidia.com/gpu.shared"}},
			field{"Deployment.apps/nlp-serving/vllm", append(vllm, "containers", 0, "resources", "limits", "nvidia.com/gpu.shared")}, "2"},

		{"dataset read only", nil,
			field{"PersistentVolume/chest-xray-labelling", []any{"spec", "accessModes"}}, []any{"ReadOnlyMany"}},
		{"dataset mounted read only", nil,
			field{"PersistentVolume/chest-xray-labelling", []any{"spec", "nfs", "readOnly"}}, true},
		{"dataset written", nil,
			field{"PersistentVolume/street-scenes-vision-training", []any{"spec", "accessModes"}}, []any{"ReadWriteMany"}},
		{"data outlive objects", nil,
			field{"PersistentVolume/chest-xray-labelling", []any{"spec", "persistentVolumeReclaimPolicy"}}, "Retain"},
		{"volume for one claim", nil,
			field{"PersistentVolume/chest-xray-labelling", []any{"spec", "claimRef", "namespace"}}, "labelling"},
		{"storage by name needs its network", []edit{{"datasets/chest-xray.yaml", "server: 10.20.0.10", "server: nas, cidr: 10.20.0.0/28"}},
			field{"NetworkPolicy.networking.k8s.io/labelling/dataset-chest-xray", []any{"spec", "egress", 1, "to", 0, "ipBlock", "cidr"}}, "10.20.0.0/28"},
		{"CephFS", []edit{{"datasets/chest-xray.yaml", "nfs: {server: 10.20.0.10, path: /export/chest-xray}",
			"cephfs: {clusterID: c1, fsName: fs, path: /xray, secret: {name: xray, namespace: ceph-csi}, cidr: 10.30.0.0/24}"}},
			field{"PersistentVolume/chest-xray-labelling", []any{"spec", "csi", "volumeAttributes"}},
			map[string]any{"clusterID": "c1", "fsName": "fs", "rootPath": "/xray", "staticVolume": "true"}},
		{"local data stay on their node", []edit{{"datasets/chest-xray.yaml", "nfs: {server: 10.20.0.10, path: /export/chest-xray}", "local: {node: cpu-04, path: /data/xray}"}},
			field{"PersistentVolume/chest-xray-labelling", []any{"spec", "nodeAffinity", "required", "nodeSelectorTerms", 0, "matchExpressions", 0, "values"}}, []any{"cpu-04"}},

		{"nodes are chosen, not typed", nil,
			field{"Deployment.apps/nlp-serving/vllm", append(vllm, "nodeSelector")},
			map[string]any{"infra.prumo.dev/zone": "open", "infra.prumo.dev/pool": "inference"}},
		{"priority of the tenant", nil,
			field{"Deployment.apps/nlp-serving/vllm", append(vllm, "priorityClassName")}, "inference-high"},
		{"GPU tools do not need GPUs to spare", nil,
			field{"Deployment.apps/nlp-serving/vllm", []any{"spec", "strategy", "rollingUpdate"}}, map[string]any{"maxSurge": int64(0), "maxUnavailable": int64(1)}},
		{"no token of the API server", nil,
			field{"StatefulSet.apps/mlflow/mlflow", append(vllm, "automountServiceAccountToken")}, false},
		{"the image cannot be written", nil,
			field{"StatefulSet.apps/mlflow/mlflow", append(vllm, "containers", 0, "securityContext")},
			map[string]any{
				"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
				"capabilities": map[string]any{"drop": []any{"ALL"}}, "seccompProfile": map[string]any{"type": "RuntimeDefault"},
			}},
		{"how to log in", nil,
			field{"Service/mlflow/mlflow", []any{"metadata", "annotations", "infra.prumo.dev/auth"}}, "oidc"},
		{"never outside of the cluster", nil, field{"Service/mlflow/mlflow", []any{"spec", "type"}}, "ClusterIP"},
		{"class of the cluster", []edit{{"tools/mlflow.yaml", "    source:\n      nfs: {server: 10.20.0.10, path: /export/tools/mlflow}\n", "    class: fast\n"}},
			field{"PersistentVolumeClaim/mlflow/mlflow", []any{"spec", "storageClassName"}}, "fast"},
		{"shared storage", []edit{{"tools/mlflow.yaml", "sizeGiB: 500", "sizeGiB: 500\n    shared: true"}, {"tools/mlflow.yaml", "port: 5000", "port: 5000\n  replicas: 2"}},
			field{"PersistentVolumeClaim/mlflow/mlflow", []any{"spec", "accessModes"}}, []any{"ReadWriteMany"}},
		{"a namespace that another tool renders", []edit{{"tools/qdrant.yaml", "namespace: qdrant", "namespace: mlflow\n  namespaceFrom: {kind: MLTool, name: mlflow}"},
			{"tools/qdrant.yaml", "zone: open", "zone: controlled"}, {"tools/qdrant.yaml", "node: cpu-01", "node: cpu-03"},
			{"tools/jupyter.yaml", "  uses: [qdrant]\n", ""}, {"tools/vllm.cue", `		uses: ["qdrant"]`, ""}},
			field{"StatefulSet.apps/mlflow/qdrant", []any{"metadata", "namespace"}}, "mlflow"},
		{"who may call", nil,
			field{"NetworkPolicy.networking.k8s.io/qdrant/qdrant", []any{"spec", "ingress", 1, "from", 0, "namespaceSelector", "matchLabels"}},
			map[string]any{"kubernetes.io/metadata.name": "notebooks"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rendering := rendered(t, example(t, tc.edits...))
			for _, p := range told(rendering) {
				t.Error(p)
			}
			got := at(byID(rendering.Objects)[tc.field.object], tc.field.path...)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s %v (-want +got):\n%s", tc.field.object, tc.field.path, diff)
			}
		})
	}
}

// TestConfigRestartsPods changes a config file: its pods read it only once, so
// they must be made anew.
func TestConfigRestartsPods(t *testing.T) {
	hash := func(edits ...edit) any {
		objects := byID(rendered(t, example(t, edits...)).Objects)
		return at(objects["StatefulSet.apps/notebooks/jupyter"], "spec", "template", "metadata", "annotations", "infra.prumo.dev/config-hash")
	}
	before, after := hash(), hash(edit{"tools/jupyter.yaml", `"8G"`, `"4G"`})
	if before == nil || before == after {
		t.Errorf("config-hash is %v before and %v after an edit of the config, want two hashes", before, after)
	}
}

// TestUnits counts what a pool may give out, by how its nodes share their GPUs.
func TestUnits(t *testing.T) {
	for _, tc := range []struct {
		sharing string
		want    map[string]any
	}{
		{"", map[string]any{"nvidia.com/gpu": "4"}},
		{`mig: {strategy: mixed, config: lab, profiles: {1g.10gb: 2, 2g.20gb: 1, 3g.40gb: 1}}`,
			map[string]any{"nvidia.com/mig-1g.10gb": "8", "nvidia.com/mig-2g.20gb": "4", "nvidia.com/mig-3g.40gb": "4"}},
		{`mig: {strategy: single, profiles: {1g.10gb: 7}}`, map[string]any{"nvidia.com/gpu": "28"}},
		{`timeSlicing: {replicas: 4, config: four}`, map[string]any{"nvidia.com/gpu.shared": "16"}},
		{`timeSlicing: {replicas: 4, config: four, rename: false}`, map[string]any{"nvidia.com/gpu": "16"}},
	} {
		t.Run(tc.sharing, func(t *testing.T) {
			repo := example(t, edit{"nodes/new.yaml", "", `apiVersion: prumo.dev/v1alpha1
kind: Node
metadata: {name: new}
spec:
  role: gpu
  zone: open
  cpuCores: 64
  memoryGiB: 512
  gpu:
    model: A100-80GB
    count: 4
    ` + tc.sharing + "\n"})
			rendering := rendered(t, repo)
			for _, p := range told(rendering) {
				t.Error(p)
			}
			node := byID(rendering.Expects)["Node/new"]
			for _, list := range []string{"capacity", "allocatable"} {
				if diff := cmp.Diff(tc.want, at(node, "status", list)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", list, diff)
				}
			}
		})
	}
}
