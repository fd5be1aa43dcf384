package diff

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// proposal is a plan of a change from one text to another of an object that is live.
func proposal(t *testing.T, was, is, live, predicted, managers string, conflicts ...core.Conflict) core.Plan {
	t.Helper()
	o := fixture{want: is, live: live, predicted: predicted, ours: true, managers: managers, conflicts: conflicts}.observed(t)
	before := core.Rendering{}
	if was != "" {
		before.Specs = []core.Spec{{ID: o.Object.Spec, Drift: core.DriftCorrect}}
		before.Objects = []core.Object{{ID: o.Object.ID, Spec: o.Object.Spec, Fields: object(t, was)}}
	}
	return Propose(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, before, core.Rendering{Objects: []core.Object{o.Object}}, Options{})
}

func account(annotations string) string {
	return "{apiVersion: v1, kind: ServiceAccount, metadata: {name: s, namespace: lab, annotations: {" + annotations + "}}}"
}

// widget is a custom resource with a list of items that have no key.
func widget(items ...string) string {
	n := map[string]string{"a": "1", "b": "2", "hunter2": "77042"}
	var list []string
	for _, item := range items {
		list = append(list, "{size: "+n[item]+"}")
	}
	return "{apiVersion: lab.example/v1, kind: Widget, metadata: {name: w, namespace: lab}, spec: {x: [" + strings.Join(list, ", ") + "]}}"
}

// What had drifted is not the proposal's, and of what it changes all is told.
func TestPropose(t *testing.T) {
	for _, tt := range []struct {
		name, was, is, live, predicted string
		want                           []string
	}{
		{"a change", account("a: one, b: x"), account("a: two, b: x"), account("a: one, b: x"), account("a: two, b: x"),
			[]string{".metadata.annotations.a: one -> two"}},
		{"a change beside drift", account("a: one, b: x"), account("a: two, b: x"), account("a: one, b: edited"), account("a: two, b: x"),
			[]string{".metadata.annotations.a: one -> two"}},
		{"a change of what has drifted", account("a: one"), account("a: two"), account("a: edited"), account("a: two"),
			[]string{".metadata.annotations.a: edited -> two"}},
		{"what somebody did by hand already", account("a: one"), account("a: two"), account("a: two"), account("a: two"), nil},
		{"a field that is new", account("a: one"), account("a: one, b: x"), account("a: one"), account("a: one, b: x"),
			[]string{".metadata.annotations.b: none -> x"}},
		{"a field that is there and was not declared", account("a: one"), account("a: one, b: x"), account("a: one, b: hunter2"), account("a: one, b: x"),
			[]string{".metadata.annotations.b: " + notSaid + " -> x"}},
		{"the same, with the value that is there", account("a: one"), account("a: one, b: x"), account("a: one, b: x"), account("a: one, b: x"),
			[]string{".metadata.annotations.b: " + notSaid + " -> x"}},
		{"a field that is no longer declared", account("a: one, b: x"), account("a: one"), account("a: one, b: x"), account("a: one"),
			[]string{".metadata.annotations.b: x -> none"}},
		{"what the server adds", account("a: one"), account("a: two"), account("a: one"), account("a: two, c: hunter2"),
			[]string{".metadata.annotations.a: one -> two", ".metadata.annotations.c: none -> " + notOurs}},
		{"what the server changes", account("a: one"), account("a: two"), account("a: one, c: hunter2"), account("a: two, c: hunter3"),
			[]string{".metadata.annotations.a: one -> two", ".metadata.annotations.c: " + notSaid + " -> " + notOurs}},
		{"a list without keys in which somebody put an item", widget("a", "b"), widget("b"), widget("a", "hunter2", "b"), widget("b"),
			[]string{".spec.x[0].size: " + text(int64(1)) + " -> " + text(int64(2)),
				".spec.x[1].size: " + notSaid + " -> none", ".spec.x[2].size: " + notSaid + " -> none"}},
		{"an object that was not declared", "", account("a: one"), account("a: hunter2"), account("a: one"),
			[]string{".metadata.annotations.a: " + notSaid + " -> one"}},
	} {
		p := proposal(t, tt.was, tt.is, tt.live, tt.predicted, "")
		var got []string
		for _, c := range p.Changes {
			got = append(got, fieldLines(c)...)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		noLeak(t, p)
	}
}

// Whether the server reports a conflict over a field that was not declared depends on
// its live value: the plan is the same with and without.
func TestProposeTellsOwnersAlike(t *testing.T) {
	const managers = `
- {manager: terraform, operation: Apply, time: "2026-11-22T09:30:00Z", fieldsV1: {"f:metadata": {"f:annotations": {"f:b": {}}}}}
`
	was, is := account("a: one"), account("a: one, b: x")
	equal := proposal(t, was, is, is, is, managers)
	other := proposal(t, was, is, account("a: one, b: hunter2"), is, managers,
		core.Conflict{Path: ".metadata.annotations.b", Manager: "terraform", Operation: "Apply"})
	above := proposal(t, was, is, account("a: one, b: hunter2"), is, managers,
		core.Conflict{Path: ".metadata.annotations", Manager: "terraform", Operation: "Apply"})
	for name, p := range map[string]core.Plan{"another value": other, "another value, told of the map": above} {
		if d := cmp.Diff(texts(equal), texts(p)); d != "" {
			t.Errorf("%s shows (-equal +other):\n%s", name, d)
		}
	}
	if c := one(t, equal); c.Action != core.ActionBlocked || !strings.Contains(c.Reason, ".metadata.annotations.b belongs to terraform") {
		t.Errorf("%s, %s", c.Action, c.Reason)
	}
}

// texts are what people see of a plan.
func texts(p core.Plan) []string {
	out := []string{p.Hash, fmt.Sprint(p.Unchanged)}
	for _, c := range p.Changes {
		out = append(out, fmt.Sprint(c.Action, c.Reason, c.Risk, c.Conflicts))
		out = append(out, fieldLines(c)...)
	}
	return out
}

// Two clusters that differ in a hidden value, of which one is what the proposal guesses,
// give the same plan, wherever the server derives something from the value.
func TestProposeConfirmsNoGuess(t *testing.T) {
	secret := func(data string) string {
		return "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: lab}, " + data + "}"
	}
	job := func(image, env string) string {
		return "{apiVersion: batch/v1, kind: Job, metadata: {name: j, namespace: lab}, spec: {template: {spec: {containers: [{name: c, image: " + image +
			", env: [" + env + "]}]}}}}"
	}
	many := func(more string) string {
		var b strings.Builder
		for i := range 300 {
			fmt.Fprintf(&b, "k%d: new, ", i)
		}
		return account(b.String() + more)
	}
	pod := func(env string) string {
		return "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: lab}, spec: {containers: [{name: c, env: [" + env + "]}]}}"
	}
	hard := func(hard, used string) string {
		return "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: lab}, spec: {hard: {" + hard + "}}, status: {used: {" + used + "}}}"
	}
	const a, b, hidden = "{name: A, value: x}", "{name: B, value: x}", "{name: HUNTER2, value: x}"
	for _, tt := range []struct {
		name, was, is string
		live          [2]string // of one cluster, and of the other
		predicted     [2]string
		blocked       string
	}{
		{"a Secret's stringData", secret("type: Opaque"), secret("type: Opaque, stringData: {pw: hunter2}"),
			[2]string{secret("type: Opaque, data: {pw: aHVudGVyMg==}"), secret("type: Opaque, data: {pw: b3RoZXI=}")},
			[2]string{secret("type: Opaque, data: {pw: aHVudGVyMg==}"), secret("type: Opaque, data: {pw: aHVudGVyMg==}")}, ""},
		{"an immutable field", job("one", ""), job("two", "{name: PW, value: hunter2}"),
			[2]string{job("one", "{name: PW, value: hunter2}"), job("one", "{name: PW, value: other}")}, [2]string{}, "refused: Invalid: spec.template (Invalid)"},
		{"fields that are too many to show", account(""), many("z: hunter2"), [2]string{account("z: hunter2"), account("z: other")},
			[2]string{many("z: hunter2"), many("z: hunter2")}, ""},
		{"what a live value looks like", account(""), account("z: x"), [2]string{account("z: plain"), account("z: password=hunter2")},
			[2]string{account("z: x"), account("z: x")}, ""},
		{"names of variables", pod(a + ", " + b), pod(b + ", " + a), [2]string{pod(a + ", " + b + ", " + hidden), pod(a + ", " + b + ", {name: OTHER, value: x}")},
			[2]string{pod(b + ", " + a + ", " + hidden), pod(b + ", " + a + ", {name: OTHER, value: x}")}, ""},
		{"what is used of a quota", hard("cpu: 1", ""), hard("cpu: 1, pods: 40", ""), [2]string{hard("cpu: 1, pods: 50", "pods: 41"), hard("cpu: 1, pods: 30", "pods: 2")},
			[2]string{hard("cpu: 1, pods: 40", "pods: 41"), hard("cpu: 1, pods: 40", "pods: 2")}, ""},
	} {
		var seen [2][]string
		for i := range seen {
			o := fixture{want: tt.is, live: tt.live[i], predicted: tt.predicted[i], ours: true, blocked: tt.blocked}.observed(t)
			before := core.Rendering{Specs: []core.Spec{{ID: o.Object.Spec, Drift: core.DriftCorrect}},
				Objects: []core.Object{{ID: o.Object.ID, Spec: o.Object.Spec, Fields: object(t, tt.was)}}}
			p := Propose(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, before, core.Rendering{Objects: []core.Object{o.Object}}, Options{})
			if seen[i] = texts(p); len(p.Changes) == 0 {
				t.Errorf("%s: no change", tt.name)
			}
			if text := fmt.Sprint(seen[i]); tt.name == "names of variables" && strings.Contains(text, "HUNTER2") {
				t.Errorf("%s: %s", tt.name, text)
			}
		}
		if d := cmp.Diff(seen[0], seen[1]); d != "" {
			t.Errorf("%s: the hidden value shows (-one +other):\n%s", tt.name, d)
		}
	}
}

// What a spec says of how its objects are kept is a change, too, though their fields
// stay as they are.
func TestProposeTellsOfRules(t *testing.T) {
	replicas := func(n int) string {
		return fmt.Sprintf("{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: lab}, spec: {replicas: %d}}", n)
	}
	path, err := objpath.Parse(".spec.replicas")
	if err != nil {
		t.Fatal(err)
	}
	ignored := []objpath.Path{path}
	for _, tt := range []struct {
		name          string
		before, after []objpath.Path // ignored
		drift         core.DriftMode // before
		live          int
		want          []string
	}{
		{"no longer ignored", ignored, nil, core.DriftCorrect, 9, []string{".spec.replicas: " + text(int64(9)) + " -> " + text(int64(2))}},
		{"drift is corrected from now on", nil, nil, core.DriftIgnore, 9, []string{".spec.replicas: " + text(int64(9)) + " -> " + text(int64(2))}},
		{"still drift", nil, nil, core.DriftCorrect, 9, nil},
		{"declared and ignored at once", nil, ignored, core.DriftCorrect, 2, nil},
	} {
		o := fixture{want: replicas(2), live: replicas(tt.live), predicted: replicas(2), ours: true}.observed(t)
		o.Object.Ignore = tt.after
		before := core.Rendering{Specs: []core.Spec{{ID: o.Object.Spec, Drift: tt.drift}},
			Objects: []core.Object{{ID: o.Object.ID, Spec: o.Object.Spec, Fields: object(t, replicas(2)), Ignore: tt.before}}}
		p := Propose(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, before, core.Rendering{Objects: []core.Object{o.Object}}, Options{})
		var got []string
		for _, c := range p.Changes {
			got = append(got, fieldLines(c)...)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// An object with as many fields as the API takes costs a bounded time.
func TestProposeIsBounded(t *testing.T) {
	const fields = 40_000
	wide := func(value string) map[string]any {
		data := make(map[string]any, fields)
		for i := range fields {
			data[fmt.Sprintf("k%d", i)] = value
		}
		return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c", "namespace": "lab"}, "data": data}
	}
	o := core.Observed{Object: core.Object{ID: core.ObjectID{Kind: "ConfigMap", Namespace: "lab", Name: "c"}, Fields: wide("b")}, Ours: true,
		Live: wide("a"), Predicted: wide("b"), Manifest: wide("b")}
	before := core.Rendering{Objects: []core.Object{{ID: o.Object.ID, Fields: wide("x")}}}
	p := Propose(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, before, core.Rendering{Objects: []core.Object{o.Object}}, Options{})
	if c := one(t, p); len(c.Fields) != 0 || !strings.Contains(c.Reason, "more than 2000 fields change") {
		t.Errorf("%d fields are shown; %s", len(c.Fields), c.Reason)
	}
}

// Offline asks nobody: what it says is the difference of two renderings.
func TestOffline(t *testing.T) {
	at := func(text string) core.Object {
		fields := object(t, text)
		return core.Object{ID: identify(fields), Spec: core.SpecID{Kind: "T", Name: "t"}, Fields: fields}
	}
	node := "{apiVersion: v1, kind: Node, metadata: {name: gpu-1}}"
	claim := "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: p, namespace: lab}}"
	same := "{apiVersion: v1, kind: ServiceAccount, metadata: {name: same, namespace: lab}}"
	before := core.Rendering{Objects: []core.Object{at(account("a: one")), at(node), at(claim), at(same)}}
	after := core.Rendering{Objects: []core.Object{at(account("a: two")), at(same),
		at("{apiVersion: v1, kind: Secret, metadata: {name: x, namespace: lab}, stringData: {p: hunter2}}")}}
	p := Offline(core.Revision{}, before, after, Options{})
	var got []string
	for _, c := range p.Changes {
		got = append(got, string(c.Action)+" "+string(c.Wanted)+" "+c.ID.String())
		got = append(got, fieldLines(c)...)
		if c.Approvable {
			t.Errorf("%s can be approved", c.ID)
		}
	}
	want := []string{
		"update  ServiceAccount/lab/s", ".metadata.annotations.a: one -> two", "create  Secret/lab/x", ".stringData.p: none -> (hidden)",
		"hold delete PersistentVolumeClaim/lab/p", "release  Node/gpu-1",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if p.Hash != "" || p.Unchanged != 1 {
		t.Errorf("hash %q, %d unchanged; want none, 1", p.Hash, p.Unchanged)
	}
	noLeak(t, p)
}
