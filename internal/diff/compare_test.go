package diff

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	tests := []struct {
		name       string
		live, want string
		scope      scope
		diffs      []string // path: from -> to
	}{
		{"equal", `{spec: {a: 1, b: [x, y], c: {d: e}}}`, `{spec: {a: 1, b: [x, y], c: {d: e}}}`, whole, nil},
		{"leaf", `{spec: {a: 1}}`, `{spec: {a: 2}}`, whole, []string{".spec.a: 1 -> 2"}},
		{"added and removed", `{spec: {a: 1}}`, `{spec: {b: {c: 2}}}`, whole, []string{".spec.a: 1 -> <nil>", ".spec.b.c: <nil> -> 2"}},
		{"false and zero are values", `{spec: {}}`, `{spec: {a: false, b: 0}}`, whole, []string{".spec.a: <nil> -> false", ".spec.b: <nil> -> 0"}},
		{"empty map is a value", `{spec: {from: [{podSelector: {}}]}}`, `{spec: {from: [{}]}}`, whole, []string{".spec.from[0].podSelector: map[] -> <nil>"}},
		{"null is absence", `{spec: {a: null}}`, `{spec: {}}`, whole, nil},
		{"status and counters are not compared",
			`{metadata: {uid: a, resourceVersion: "1", generation: 1, creationTimestamp: x, managedFields: [1]}, status: {a: 1}}`,
			`{metadata: {uid: b, resourceVersion: "2", generation: 2, creationTimestamp: y, managedFields: [2]}, status: {a: 2}}`, whole, nil},
		{"copies in annotations are not compared",
			`{metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"data":1}'}}}`,
			`{metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"data":2}', a: b}}}`, whole,
			[]string{".metadata.annotations.a: <nil> -> b"}},
		{"quoted keys", `{metadata: {labels: {}}, spec: {hard: {requests.nvidia.com/gpu: "4"}}}`,
			`{metadata: {labels: {a/b: c}}, spec: {hard: {requests.nvidia.com/gpu: "8"}}}`, whole,
			[]string{`.metadata.labels["a/b"]: <nil> -> c`, `.spec.hard["requests.nvidia.com/gpu"]: 4 -> 8`}},
		{"quantities", `{spec: {hard: {cpu: 1000m, memory: 1Gi, pods: 10}}}`, `{spec: {hard: {cpu: "1", memory: 1024Mi, pods: "10"}}}`, whole, nil},
		{"other quantity", `{spec: {hard: {cpu: 1001m}}}`, `{spec: {hard: {cpu: "1"}}}`, whole, []string{".spec.hard.cpu: 1001m -> 1"}},
		{"a label is no quantity", `{metadata: {labels: {limits: 1000m}}}`, `{metadata: {labels: {limits: "1"}}}`, whole,
			[]string{".metadata.labels.limits: 1000m -> 1"}},
		{"an argument is no quantity", `{spec: {args: [1000m]}}`, `{spec: {args: ["1"]}}`, whole, []string{".spec.args[0]: 1000m -> 1"}},
		{"containers by name",
			`{spec: {containers: [{name: log, image: l:1}, {name: web, image: w:1}]}}`,
			`{spec: {containers: [{name: web, image: w:2}, {name: log, image: l:1}]}}`, whole,
			[]string{".spec.containers[name=web].image: w:1 -> w:2"}},
		{"item added", `{spec: {env: [{name: A, value: "1"}]}}`, `{spec: {env: [{name: A, value: "1"}, {name: B, value: "2"}]}}`, whole,
			[]string{".spec.env[name=B].value: <nil> -> 2"}},
		{"item with a key alone", `{spec: {taints: [{key: a, effect: NoExecute}]}}`, `{spec: {taints: [{key: b, effect: NoSchedule}]}}`, whole,
			[]string{".spec.taints[key=a,effect=NoExecute]: present -> <nil>", ".spec.taints[key=b,effect=NoSchedule]: <nil> -> present"}},
		{"order of variables matters", `{spec: {env: [{name: A}, {name: B}]}}`, `{spec: {env: [{name: B}, {name: A}]}}`, whole,
			[]string{".spec.env: order: name=A name=B -> order: name=B name=A"}},
		{"taints by key and effect",
			`{spec: {taints: [{key: a, effect: NoExecute}, {key: nvidia.com/gpu, effect: NoSchedule, value: "x"}]}}`,
			`{spec: {taints: [{key: nvidia.com/gpu, effect: NoSchedule, value: "y"}, {key: a, effect: NoExecute}]}}`, whole,
			[]string{".spec.taints[key=nvidia.com/gpu,effect=NoSchedule].value: x -> y"}},
		{"ports by number, protocol defaulted",
			`{spec: {ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 53, protocol: UDP}]}}`,
			`{spec: {ports: [{port: 53, protocol: UDP}, {port: 80, nodePort: 30081, protocol: TCP}]}}`, whole,
			[]string{".spec.ports[port=80,protocol=TCP].nodePort: 30080 -> 30081"}},
		{"double names fall back to the index", `{spec: {env: [{name: A, value: "1"}, {name: A, value: "2"}]}}`,
			`{spec: {env: [{name: A, value: "1"}, {name: A, value: "3"}]}}`, whole, []string{".spec.env[1].value: 2 -> 3"}},
		{"atomic list by index",
			`{spec: {resourceGroups: [{flavors: [{name: h100, resources: [{name: gpu, nominalQuota: 8}]}]}]}}`,
			`{spec: {resourceGroups: [{flavors: [{name: h100, resources: [{name: gpu, nominalQuota: 16}]}]}]}}`, whole,
			[]string{".spec.resourceGroups[0].flavors[name=h100].resources[name=gpu].nominalQuota: 8 -> 16"}},
		{"other type", `{spec: {a: {b: c}}}`, `{spec: {a: [d]}}`, whole, []string{".spec.a: map[b:c] -> [d]"}},
		{"index order is numeric", `{a: [0,0,0,0,0,0,0,0,0,0,0]}`, `{a: [0,0,1,0,0,0,0,0,0,0,1]}`, whole, []string{".a[2]: 0 -> 1", ".a[10]: 0 -> 1"}},
		{"declared looks at no more", `{spec: {a: 1, b: 2, list: [{name: x, d: 1}, {name: y}]}}`, `{spec: {a: 1, list: [{name: x, c: 3}]}}`, declared,
			[]string{".spec.list[name=x].c: <nil> -> 3"}},
		{"declared atomic list is whole", `{spec: {args: [a, b]}}`, `{spec: {args: [a]}}`, declared, []string{".spec.args[1]: b -> <nil>"}},
		{"observed compares status", `{status: {capacity: {nvidia.com/gpu: "7", cpu: "64"}}}`, `{status: {capacity: {nvidia.com/gpu: 8, cpu: 64000m}}}`, observed,
			[]string{`.status.capacity["nvidia.com/gpu"]: 7 -> 8`}},
		{"hostile key cannot end its bracket", `{spec: {list: [{name: "a]\u202eb", v: 1}]}}`, `{spec: {list: [{name: "a]\u202eb", v: 2}]}}`, whole,
			[]string{`.spec.list[name="a]\u202eb"].v: 1 -> 2`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, l := range compare(object(t, tt.live), object(t, tt.want), tt.scope) {
				got = append(got, fmt.Sprintf("%s: %v -> %v", renderPath(l.path), l.from, l.to))
			}
			if d := cmp.Diff(tt.diffs, got); d != "" {
				t.Errorf("differences (-want +got):\n%s", d)
			}
		})
	}
}

func TestCompareIsDeep(t *testing.T) {
	deep := func(leaf any) map[string]any {
		m := map[string]any{"x": leaf}
		for range 10_000 {
			m = map[string]any{"x": m}
		}
		return m
	}
	if n := len(compare(deep("a"), deep("b"), whole)); n != 1 {
		t.Errorf("got %d differences in a very deep object, want 1", n)
	}
}
