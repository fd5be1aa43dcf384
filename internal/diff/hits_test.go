package diff

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// TestDisrupts says which pods are asked for, of changes that hit some.
func TestDisrupts(t *testing.T) {
	node := func(labels, taints string) string {
		return `{apiVersion: v1, kind: Node, metadata: {name: gpu-01, labels: {` + labels + `}}, spec: {taints: [` + taints + `]}}`
	}
	const evict = `{key: zone, value: x, effect: NoExecute}`
	taint := map[string]any{"key": "zone", "value": "x", "effect": "NoExecute"}
	web := map[string]any{"matchLabels": map[string]any{"app": "web"}}
	policy := `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: lab}, spec: {podSelector: {matchLabels: {app: web}}}}`
	driver := `{apiVersion: nvidia.com/v1, kind: ClusterPolicy, metadata: {name: c}, spec: {driver: {version: "570"}}}`
	some := `{apiVersion: nvidia.com/v1alpha1, kind: NVIDIADriver, metadata: {name: d}, spec: {version: "570", nodeSelector: {rack: a}}}`
	rack := func(name string) any { return map[string]any{"rack": name} }
	tests := []struct {
		name       string
		live, want string // want is empty: nothing renders it any more
		query      *core.PodQuery
	}{
		{"a MIG layout", node(``, ``), node(`nvidia.com/mig.config: all-disabled`, ``), &core.PodQuery{Node: "gpu-01", GPUs: true}},
		{"whether there is a driver", node(``, ``), node(`nvidia.com/gpu.deploy.driver: "false"`, ``), &core.PodQuery{Node: "gpu-01", GPUs: true}},
		{"a taint that evicts", node(``, ``), node(``, evict), &core.PodQuery{Node: "gpu-01", GPUs: true, Taint: taint}},
		{"both", node(``, ``), node(`nvidia.com/mig.config: all-disabled`, evict), &core.PodQuery{Node: "gpu-01", GPUs: true}},
		{"a rack", node(``, ``), node(`rack: b`, ``), nil},
		{"a driver", driver, replace(driver, "570", "580"), &core.PodQuery{GPUs: true}},
		{"a driver of some nodes", some, replace(some, "570", "580"), &core.PodQuery{GPUs: true, Nodes: []any{rack("a")}}},
		{"a driver that moves", some, replace(some, "rack: a", "rack: b"), &core.PodQuery{GPUs: true, Nodes: []any{rack("a"), rack("b")}}},
		{"a driver that was for all", replace(some, "{rack: a}", "{}"), some, &core.PodQuery{GPUs: true}},
		{"a driver that comes", "", some, nil},
		{"a driver of which only the metadata was read", `{apiVersion: nvidia.com/v1alpha1, kind: NVIDIADriver, metadata: {name: d}}`, "", &core.PodQuery{GPUs: true}},
		{"a pod template", deployment, replace(deployment, "web:1", "web:2"), &core.PodQuery{Namespace: "vision", Selector: web}},
		{"more replicas", deployment, replace(deployment, "replicas: 2", "replicas: 3"), nil},
		{"a network policy", "", policy, &core.PodQuery{Namespace: "lab", Selector: web}},
		{"a deployment that goes", deployment, "", &core.PodQuery{Namespace: "vision", Selector: web}},
		{"one of which only the metadata was read", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: vision}}`, "",
			&core.PodQuery{Namespace: "vision", Owner: core.ObjectID{Group: "apps", Kind: "Deployment", Namespace: "vision", Name: "web"}}},
		{"a policy of which only the metadata was read", `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: lab}}`, "", nil},
		{"a namespace that goes", `{apiVersion: v1, kind: Namespace, metadata: {name: lab}}`, "", &core.PodQuery{Namespace: "lab"}},
		{"a claim that goes", `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: home, namespace: lab}}`, "", &core.PodQuery{Namespace: "lab", Claim: "home"}},
		{"a volume that goes", `{apiVersion: v1, kind: PersistentVolume, metadata: {name: home}, spec: {claimRef: {namespace: lab, name: home}}}`, "",
			&core.PodQuery{Namespace: "lab", Claim: "home"}},
		{"a free volume that goes", `{apiVersion: v1, kind: PersistentVolume, metadata: {name: home}}`, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c core.Change
			if tt.want == "" {
				c = one(t, Make(core.Revision{}, core.Observation{Orphans: []map[string]any{marked(object(t, tt.live), core.OriginCreated)}}, Options{}))
			} else {
				c = one(t, fixture{want: tt.want, live: tt.live, predicted: tt.want, ours: true}.plan(t, Options{}))
			}
			var got *core.PodQuery
			if q, ok := Disrupts(c); ok {
				got = &q
			}
			if diff := cmp.Diff(tt.query, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestHit(t *testing.T) {
	if h := Hit(nil); h != nil {
		t.Errorf("no pods: %+v", h)
	}
	var pods []core.Pod
	for _, name := range []string{"g", "f", "e", "d", "c", "b", "a"} {
		pods = append(pods, core.Pod{Namespace: "lab", Name: name})
	}
	pods[3].GPUs, pods[0].GPUs = 8, 16
	want := &core.Hits{Total: 7, GPUs: 24, Pods: []core.Pod{
		{Namespace: "lab", Name: "g", GPUs: 16}, {Namespace: "lab", Name: "d", GPUs: 8},
		{Namespace: "lab", Name: "a"}, {Namespace: "lab", Name: "b"}, {Namespace: "lab", Name: "c"},
	}}
	if diff := cmp.Diff(want, Hit(pods)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A quota disrupts where it is set below what is in use, and says so.
func TestQuotaBelowUse(t *testing.T) {
	const gpu = "requests.nvidia.com/gpu"
	for _, tt := range []struct {
		to, used, shown string
		risk            core.Risk
	}{
		{"6", `"5"`, "5", core.RiskSafe},
		{"5", `"5"`, "5", core.RiskSafe},
		{"4", `"5"`, "5", core.RiskDisruptive},
		{"9", `"5"`, "", core.RiskSafe},
		{"4", ``, "", core.RiskDisruptive}, // not known
	} {
		live := object(t, quota)
		if tt.used != "" {
			live = object(t, quota+"status: {used: {"+gpu+": "+tt.used+"}}\n")
		}
		f := fixture{want: replace(quota, `"8"`, `"`+tt.to+`"`), live: quota, ours: true}
		f.predicted = f.want
		o := f.observed(t)
		o.Live["status"] = live["status"]
		c := one(t, Make(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, Options{}))
		if c.Risk != tt.risk || c.Fields[0].Used != tt.shown {
			t.Errorf("8 to %s, used %s: %s, shown %q; want %s, %q", tt.to, tt.used, c.Risk, c.Fields[0].Used, tt.risk, tt.shown)
		}
	}
}
