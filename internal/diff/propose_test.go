package diff

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// proposal is a plan of a change from one text to another of an object that is live.
func proposal(t *testing.T, was, is, live, predicted, managers string, conflicts ...core.Conflict) core.Plan {
	t.Helper()
	o := fixture{want: is, live: live, predicted: predicted, ours: true, managers: managers, conflicts: conflicts}.observed(t)
	before := core.Rendering{}
	if was != "" {
		before.Objects = []core.Object{{ID: o.Object.ID, Spec: o.Object.Spec, Fields: object(t, was)}}
	}
	return Propose(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, before, core.Rendering{Objects: []core.Object{o.Object}}, Options{})
}

func account(annotations string) string {
	return "{apiVersion: v1, kind: ServiceAccount, metadata: {name: s, namespace: lab, annotations: {" + annotations + "}}}"
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

// An object with as many fields as the API takes costs no more than its size.
func TestProposeIsLinear(t *testing.T) {
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
	if c := one(t, p); len(c.Fields) != maxFields {
		t.Errorf("%d fields are shown", len(c.Fields))
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
