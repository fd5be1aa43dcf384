package diff

import (
	"testing"

	"prumo.dev/prumo/internal/core"
)

func TestRisk(t *testing.T) {
	node := func(labels, taints string) string {
		return `{apiVersion: v1, kind: Node, metadata: {name: a, labels: {` + labels + `}}, spec: {taints: [` + taints + `]}}`
	}
	policy := func(ingress string) string {
		return `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: lab}, spec: {podSelector: {}, ingress: [` + ingress + `]}}`
	}
	tests := []struct {
		name       string
		live, want string
		risk       core.Risk
	}{
		{"a label", node(`rack: a`, ``), node(`rack: b`, ``), core.RiskSafe},
		{"another MIG layout", node(`nvidia.com/mig.config: all-1g.10gb`, ``), node(`nvidia.com/mig.config: all-disabled`, ``), core.RiskDisruptive},
		{"another sharing layout", node(``, ``), node(`nvidia.com/device-plugin.config: mps`, ``), core.RiskDisruptive},
		{"a taint that evicts", node(``, ``), node(``, `{key: a, effect: NoExecute}`), core.RiskDisruptive},
		{"a taint that evicts goes", node(``, `{key: a, effect: NoExecute}`), node(``, ``), core.RiskSafe},
		{"a taint that does not evict", node(``, ``), node(``, `{key: a, effect: NoSchedule}`), core.RiskSafe},
		{"a quota is lowered", quota, replace(quota, `"8"`, `"7"`), core.RiskDisruptive},
		{"a quota is raised", quota, replace(quota, `"8"`, `"9"`), core.RiskSafe},
		{"a pod template", deployment, replace(deployment, "web:1", "web:2"), core.RiskRestarts},
		{"a label of a pod template", deployment, replace(deployment, "template: {metadata: {labels: {app: web}}", "template: {metadata: {labels: {app: web, a: b}}"), core.RiskRestarts},
		{"a deployment's own label", deployment, replace(deployment, "namespace: vision", "namespace: vision, labels: {a: b}"), core.RiskSafe},
		{"more replicas", deployment, replace(deployment, "replicas: 2", "replicas: 3"), core.RiskSafe},
		{"no replicas", deployment, replace(deployment, "replicas: 2", "replicas: 0"), core.RiskDisruptive},
		{"who may talk to whom", policy(``), policy(`{from: []}`), core.RiskDisruptive},
		{"a new network policy in a living namespace", "", policy(``), core.RiskDisruptive},
		{"a driver", `{apiVersion: nvidia.com/v1, kind: ClusterPolicy, metadata: {name: c}, spec: {driver: {version: "570"}}}`,
			`{apiVersion: nvidia.com/v1, kind: ClusterPolicy, metadata: {name: c}, spec: {driver: {version: "580"}}}`, core.RiskDisruptive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := one(t, fixture{want: tt.want, live: tt.live, predicted: tt.want, ours: true}.plan(t, Options{}))
			if c.Risk != tt.risk {
				t.Errorf("got %s, want %s", c.Risk, tt.risk)
			}
		})
	}
	fresh := fixture{want: policy(``), unchecked: "its namespace comes with this plan"}
	if c := one(t, fresh.plan(t, Options{})); c.Risk != core.RiskSafe {
		t.Errorf("a network policy of a new namespace: got %s, want safe", c.Risk)
	}
}

func TestImmutable(t *testing.T) {
	tests := []struct {
		name, live, want string
		fixed            bool
	}{
		{"StatefulSet volume claims", `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, spec: {volumeClaimTemplates: [{metadata: {name: d}}]}}`,
			`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, spec: {volumeClaimTemplates: [{metadata: {name: e}}]}}`, true},
		{"StatefulSet template", `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, spec: {template: {a: 1}}}`,
			`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, spec: {template: {a: 2}}}`, false},
		{"Service address", `{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {clusterIP: 10.0.0.1}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {clusterIP: None}}`, true},
		{"Service ports", `{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: 1}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: 2}]}}`, false},
		{"Job template", `{apiVersion: batch/v1, kind: Job, metadata: {name: x}, spec: {template: {a: 1}}}`,
			`{apiVersion: batch/v1, kind: Job, metadata: {name: x}, spec: {template: {a: 2}}}`, true},
		{"PriorityClass value", `{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: x}, value: 1}`,
			`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: x}, value: 2}`, true},
		{"StorageClass parameters", `{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: x}, parameters: {a: b}}`,
			`{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: x}, parameters: {a: c}}`, true},
		{"ConfigMap that may change", `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: b}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: c}}`, false},
		{"ConfigMap that says it may not", `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, immutable: true, data: {a: b}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, immutable: true, data: {a: c}}`, true},
		{"Secret type", `{apiVersion: v1, kind: Secret, metadata: {name: x}, type: a}`, `{apiVersion: v1, kind: Secret, metadata: {name: x}, type: b}`, true},
		{"same kind of another group", `{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: x}, spec: {clusterIP: a}}`,
			`{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: x}, spec: {clusterIP: b}}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := one(t, fixture{want: tt.want, live: tt.live, ours: true, blocked: "the server says no"}.plan(t, Options{}))
			if replaced := c.Action == core.ActionHold && c.Wanted == core.ActionReplace; replaced != tt.fixed {
				t.Errorf("got %s %s (%s), want replace: %v", c.Action, c.Wanted, c.Reason, tt.fixed)
			}
		})
	}
	for _, tt := range []struct{ kind, apiVersion, live, want string }{
		{"PersistentVolume", "v1", `spec: {nfs: {path: /a}}`, `spec: {nfs: {path: /b}}`},
		{"PersistentVolumeClaim", "v1", `spec: {volumeName: a}`, `spec: {volumeName: b}`},
		{"CustomResourceDefinition", "apiextensions.k8s.io/v1", `spec: {scope: Cluster}`, `spec: {scope: Namespaced}`},
	} {
		head := "{apiVersion: " + tt.apiVersion + ", kind: " + tt.kind + ", metadata: {name: x}, "
		c := one(t, fixture{want: head + tt.want + "}", live: head + tt.live + "}", ours: true, blocked: "no"}.plan(t, Options{}))
		if c.Action != core.ActionBlocked {
			t.Errorf("%s: got %s %s, want blocked", tt.kind, c.Action, c.Wanted)
		}
	}
}
