package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"prumo.dev/prumo/internal/core"
)

func fields(changes ...func(map[string]any)) map[string]any {
	m := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a", "namespace": "ns"}}
	for _, f := range changes {
		f(m)
	}
	return m
}

func inMeta(key string, v any) func(map[string]any) {
	return func(m map[string]any) { m["metadata"].(map[string]any)[key] = v }
}

func applied(instance, id, origin string) []func(map[string]any) {
	return []func(map[string]any){
		inMeta("labels", map[string]any{core.LabelOwner: instance}),
		inMeta("annotations", map[string]any{core.AnnotationID: id, core.AnnotationOrigin: origin}),
		inMeta("managedFields", []any{map[string]any{"manager": core.FieldManager, "operation": "Apply", "apiVersion": "v1"}}),
	}
}

func TestOwnsAndOrigin(t *testing.T) {
	const id = "ConfigMap/ns/a"
	tests := []struct {
		name   string
		live   map[string]any
		owns   bool
		origin string
	}{
		{"absent", nil, false, core.OriginCreated},
		{"bare", fields(), false, core.OriginAdopted},
		{"created", fields(applied("i", id, core.OriginCreated)...), true, core.OriginCreated},
		{"adopted", fields(applied("i", id, core.OriginAdopted)...), true, core.OriginAdopted},
		{"origin removed", fields(applied("i", id, "")...), true, core.OriginAdopted},
		{"another instance", fields(applied("j", id, core.OriginCreated)...), false, core.OriginAdopted},
		{"a copy", fields(applied("i", "ConfigMap/ns/b", core.OriginCreated)...), false, core.OriginAdopted},
		{"not applied", fields(append(applied("i", id, core.OriginCreated), inMeta("managedFields", []any{
			map[string]any{"manager": core.FieldManager, "operation": "Update"},
			map[string]any{"manager": "kubectl", "operation": "Apply"},
			map[string]any{"manager": core.FieldManager, "operation": "Apply", "subresource": "status"},
		}))...), false, core.OriginAdopted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := owns(tt.live, "i"); got != tt.owns {
				t.Errorf("owns: %v; want %v", got, tt.owns)
			}
			if got := origin(tt.live, "i"); got != tt.origin {
				t.Errorf("origin: %q; want %q", got, tt.origin)
			}
		})
	}
}

func TestManifest(t *testing.T) {
	hostile := fields(
		inMeta("uid", "x"), inMeta("resourceVersion", "1"), inMeta("managedFields", []any{}),
		inMeta("labels", map[string]any{"team": "a", core.LabelOwner: "someone"}),
		inMeta("annotations", map[string]any{core.AnnotationOrigin: "created", core.AnnotationTaints: "a:NoSchedule", core.AnnotationID: "x"}),
		func(m map[string]any) { m["status"] = map[string]any{"a": "b"} })
	live := fields()
	o := core.Object{ID: idOf(hostile), Spec: core.SpecID{Kind: "MLTool", Name: "t"}, Fields: hostile}
	want := fields(
		inMeta("labels", map[string]any{"team": "a", core.LabelOwner: "i"}),
		inMeta("annotations", map[string]any{core.AnnotationOrigin: "adopted", core.AnnotationID: "ConfigMap/ns/a", core.AnnotationSpec: "MLTool/t"}))
	got, _ := manifest(o, live, "i")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if hostile["status"] == nil {
		t.Error("the object itself was changed")
	}
}

func TestManifestEncodesStringData(t *testing.T) {
	m := fields(func(m map[string]any) {
		m["kind"], m["stringData"], m["data"] = "Secret", map[string]any{"a": "x"}, map[string]any{"b": "eQ=="}
	})
	got, _ := manifest(core.Object{ID: idOf(m), Fields: m}, nil, "i")
	if diff := cmp.Diff(any(map[string]any{"a": "eA==", "b": "eQ=="}), got["data"]); diff != "" || got["stringData"] != nil {
		t.Errorf("data (-want +got)\n%s\nstringData: %v", diff, got["stringData"])
	}
}

func TestMergeTaints(t *testing.T) {
	taint := func(key, value, effect string) any {
		return map[string]any{"key": key, "value": value, "effect": effect}
	}
	since := map[string]any{"key": "a", "value": "1", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
	tests := []struct {
		name             string
		live, want, then []any
		was              []taintKey
	}{
		{"nothing", nil, nil, nil, nil},
		{"add", []any{taint("x", "", "NoSchedule")}, []any{taint("a", "1", "NoSchedule")},
			[]any{taint("x", "", "NoSchedule"), taint("a", "1", "NoSchedule")}, nil},
		{"same key, other effect", []any{taint("a", "1", "NoExecute")}, []any{taint("a", "1", "NoSchedule")},
			[]any{taint("a", "1", "NoExecute"), taint("a", "1", "NoSchedule")}, nil},
		{"keep timeAdded", []any{since}, []any{taint("a", "1", "NoExecute")}, []any{since}, []taintKey{{"a", "NoExecute"}}},
		{"other value", []any{since, taint("x", "", "NoSchedule")}, []any{taint("a", "2", "NoExecute")},
			[]any{taint("a", "2", "NoExecute"), taint("x", "", "NoSchedule")}, []taintKey{{"a", "NoExecute"}}},
		{"remove ours", []any{since, taint("x", "", "NoSchedule")}, nil, []any{taint("x", "", "NoSchedule")}, []taintKey{{"a", "NoExecute"}}},
		{"not ours stays", []any{since}, nil, []any{since}, []taintKey{{"a", "NoSchedule"}}},
		{"twice", nil, []any{taint("a", "1", "NoSchedule")}, []any{taint("a", "1", "NoSchedule")}, []taintKey{{"a", "NoSchedule"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.then, mergeTaints(tt.live, tt.was, tt.want)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestTaintKeys(t *testing.T) {
	keys := []taintKey{{"z/y", "NoExecute"}, {"a", "NoSchedule"}, {"a", "NoExecute"}, {"a", "NoSchedule"}}
	text := formatTaintKeys(keys)
	if want := "a:NoExecute,a:NoSchedule,z/y:NoExecute"; text != want {
		t.Errorf("%q; want %q", text, want)
	}
	if diff := cmp.Diff([]taintKey{{"a", "NoExecute"}, {"a", "NoSchedule"}, {"z/y", "NoExecute"}}, parseTaintKeys(text), cmp.AllowUnexported(taintKey{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := parseTaintKeys("junk,,a"); got != nil {
		t.Errorf("junk is read as %v", got)
	}
}

// TestManifestLeavesTheRenderingAlone proves that what is shared between passes, and
// with what is sent, is never written to.
func TestManifestLeavesTheRenderingAlone(t *testing.T) {
	for name, o := range map[string]map[string]any{
		"marks": fields(inMeta("labels", map[string]any{"a": "b"}), inMeta("annotations", map[string]any{"a": "b"}), inMeta("uid", "u"),
			func(m map[string]any) { m["status"] = map[string]any{"a": "b"} }),
		"secret": fields(func(m map[string]any) { m["kind"], m["stringData"] = "Secret", map[string]any{"a": "b"} }),
		"taints": fields(func(m map[string]any) {
			m["kind"], m["spec"] = "Node", map[string]any{"taints": []any{map[string]any{"key": "a", "effect": "NoSchedule"}}}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.DeepCopyJSON(o)
			live := fields(applied("lab", "Node/a", core.OriginAdopted)...)
			sent, _ := manifest(core.Object{ID: idOf(o), Fields: o}, live, "lab")
			if diff := cmp.Diff(before, o); diff != "" {
				t.Errorf("(-before +after)\n%s", diff)
			}
			if cmp.Equal(before, sent) {
				t.Error("nothing is marked")
			}
		})
	}
}
