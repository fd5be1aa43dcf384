package cluster_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/core"
)

// TestForceFields takes from another tool what the spec names, once all that it
// took is named, and nothing that changed since it was seen.
func TestForceFields(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, ns string) {
		maps := l.any.Resource(gvr("", "configmaps")).Namespace(ns)
		document := func(data string) string {
			return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: " + ns + "}\ndata: {" + data + "}"
		}
		ours := func(force ...string) core.Rendering {
			r := sharing(t, force, document("a: one, b: one, c: one"))
			r.Objects[0].Force, r.Objects[0].Ignore = r.Objects[0].Ignore, nil
			return r
		}
		theirs := func(data string) {
			t.Helper()
			_, err := maps.Apply(t.Context(), "a", unstructuredOf(t, document(data)), metav1.ApplyOptions{FieldManager: "terraform", Force: true})
			if err != nil {
				t.Fatal(err)
			}
		}
		data := func() any { return l.get(t, maps, "a")["data"] }
		l.settle(t, ours())
		theirs("a: two, b: two")

		until(t, "blocked by both", func() error {
			c := l.pass(t, ours(".data.a")).Changes
			if len(c) != 1 || c[0].Action != core.ActionBlocked || len(c[0].Conflicts) != 2 {
				return fmt.Errorf("planned %+v", c)
			}
			return nil
		})
		wantAt(t, map[string]any{"data": data()}, ".data", map[string]any{"a": "two", "b": "two", "c": "one"})

		plan := l.plan(t, ours(".data.a", ".data.b"))
		theirs("a: two, b: two, c: two") // after it was seen
		result, err := apply.New(l.Cluster, apply.Options{}).Apply(t.Context(), plan)
		if err != nil || result.Count(core.StatusDone) != 0 {
			t.Errorf("%v, %+v; want nothing done", err, result.Outcomes)
		}
		wantAt(t, map[string]any{"data": data()}, ".data", map[string]any{"a": "two", "b": "two", "c": "two"})

		l.settle(t, ours(".data"))
		wantAt(t, map[string]any{"data": data()}, ".data", map[string]any{"a": "one", "b": "one", "c": "one"})
	})
}
