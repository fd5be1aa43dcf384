package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
	"prumo.dev/prumo/internal/objpath"
)

// A looker sees a cluster in one way, and makes plans true in it.
type looker struct {
	*world
	observe func(context.Context, core.Rendering) (core.Observation, error)
	watched bool
}

// eachLook runs a test as one-shot commands see a cluster, and as the daemon does.
func eachLook(t *testing.T, test func(*testing.T, *looker, string)) {
	t.Run("once", func(t *testing.T) {
		w := newWorld(t)
		test(t, &looker{w, w.Observe, false}, w.namespace(t))
	})
	t.Run("watched", func(t *testing.T) {
		w := newWatcher(t, time.Hour)
		test(t, &looker{w.world, w.view.ObserveToApply, true}, w.namespace(t))
	})
}

func (l *looker) plan(t *testing.T, r core.Rendering) core.Plan {
	t.Helper()
	seen, err := l.observe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return diff.Make(core.Revision{}, seen, diff.Options{})
}

// pass plans and applies, and returns the plan.
func (l *looker) pass(t *testing.T, r core.Rendering) core.Plan {
	t.Helper()
	plan := l.plan(t, r)
	if _, err := apply.New(l.Cluster, apply.Options{}).Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

// settle runs passes until one finds nothing to do; watched, until it sends nothing.
func (l *looker) settle(t *testing.T, r core.Rendering) {
	t.Helper()
	until(t, "nothing is left to do", func() error {
		l.log.reset()
		plan := l.pass(t, r)
		if sent := l.log.sent(); !plan.Empty() || l.watched && len(sent) > 0 {
			return fmt.Errorf("plan %+v, sent %v", plan.Changes, sent)
		}
		return nil
	})
}

// quiet does something that is nobody's business of ours: it is never planned, and
// in the end it costs the daemon nothing.
func (l *looker) quiet(t *testing.T, r core.Rendering, do func() error) {
	t.Helper()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	if plan := l.plan(t, r); !plan.Empty() {
		t.Errorf("planned: %+v", plan.Changes)
	}
	l.settle(t, r)
}

// sharing is a rendering whose objects share fields.
func sharing(t *testing.T, ignore []string, documents ...string) core.Rendering {
	t.Helper()
	r := render(t, documents...)
	for i := range r.Objects {
		for _, s := range ignore {
			p, err := objpath.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			r.Objects[i].Ignore = append(r.Objects[i].Ignore, p)
		}
	}
	return r
}

func edit(r dynamic.ResourceInterface, name, body string) func() error {
	return func() error {
		_, err := r.Patch(context.Background(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "kubectl-edit"})
		return err
	}
}

func (l *looker) get(t *testing.T, r dynamic.ResourceInterface, name string) map[string]any {
	t.Helper()
	u, err := r.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u.Object
}

func wantAt(t *testing.T, object map[string]any, path string, want any) {
	t.Helper()
	p, err := objpath.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := p.Get(object)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", path, diff)
	}
}

func web(ns, image string, more ...string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: %s}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "%s"}]
%s`, ns, image, strings.Join(more, "\n"))
}

// TestIgnoredReplicas declares replicas at creation, and leaves them to an
// autoscaler and to people afterwards, until the rule goes.
func TestIgnoredReplicas(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, ns string) {
		deployments := l.any.Resource(gvr("apps", "deployments")).Namespace(ns)
		ignore := []string{".spec.replicas"}
		r := sharing(t, ignore, web(ns, "one"))
		l.settle(t, r)
		wantAt(t, l.get(t, deployments, "web"), ".spec.replicas", int64(2))
		l.quiet(t, r, func() error { return l.scale(t, ns, 5) })

		next := sharing(t, ignore, web(ns, "two"))
		if c := l.pass(t, next).Changes; len(c) != 1 || len(c[0].Fields) != 1 || len(c[0].Conflicts) != 0 {
			t.Errorf("a new image is planned as %+v", c)
		}
		l.settle(t, next)
		wantAt(t, l.get(t, deployments, "web"), ".spec.replicas", int64(5))
		l.quiet(t, next, edit(deployments, "web", `{"spec":{"replicas":3}}`))
		wantAt(t, l.get(t, deployments, "web"), ".spec.replicas", int64(3))

		if err := deployments.Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		until(t, "made anew as declared", func() error {
			l.pass(t, next)
			u, err := deployments.Get(t.Context(), "web", metav1.GetOptions{})
			if err == nil && at(u.Object, "spec", "replicas") != int64(2) {
				err = fmt.Errorf("%v replicas", at(u.Object, "spec", "replicas"))
			}
			return err
		})
		l.quiet(t, next, func() error { return l.scale(t, ns, 7) })
		c := l.plan(t, render(t, web(ns, "two"))).Changes
		if len(c) != 1 || len(c[0].Fields) != 1 || c[0].Fields[0].From != int64(7) || c[0].Fields[0].To != int64(2) {
			t.Errorf("without the rule, the field is planned as %+v", c)
		}
	})
}

// scale writes as an autoscaler does.
func (w *world) scale(t *testing.T, ns string, replicas int32) error {
	_, err := w.people.AppsV1().Deployments(ns).UpdateScale(t.Context(), "web", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: ns}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas},
	}, metav1.UpdateOptions{FieldManager: "horizontal-pod-autoscaler"})
	return err
}

// TestIgnoredFromNowOn adds a rule to an object that is ours: the plan says what is
// given up, the value stays, and another tool may declare it without force.
func TestIgnoredFromNowOn(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, ns string) {
		maps := l.any.Resource(gvr("", "configmaps")).Namespace(ns)
		document := func(data string) string {
			return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: " + ns + "}\ndata: {" + data + "}"
		}
		l.settle(t, render(t, document("a: x, x.json: ours")))
		ignore := []string{`.data["x.json"]`}
		r := sharing(t, ignore, document("a: x, x.json: other"))
		c := l.pass(t, r).Changes
		if len(c) != 1 || c[0].Action != core.ActionUpdate || len(c[0].Fields) != 0 ||
			c[0].Reason != `.data["x.json"] is given up: its value stays, and belongs to whoever writes it` {
			t.Errorf("planned: %+v", c)
		}
		l.settle(t, r)
		wantAt(t, l.get(t, maps, "a"), `.data["x.json"]`, "ours")

		// What nobody owns must outlive the last field that we own beside it.
		for _, rest := range []string{document("x.json: other"), document("a: x"), document(""), document("a: x"), strings.Split(document(""), "\ndata")[0]} {
			r = sharing(t, ignore, rest)
			l.settle(t, r)
			if v := at(l.get(t, maps, "a"), "data", "x.json"); v != "ours" {
				t.Fatalf("after %s it is %v", rest, v)
			}
		}
		r = sharing(t, ignore, document("b: z, x.json: other"))
		l.settle(t, r)

		l.quiet(t, r, func() error {
			u := unstructuredOf(t, document("x.json: theirs"))
			_, err := maps.Apply(t.Context(), "a", u, metav1.ApplyOptions{FieldManager: "terraform"})
			return err
		})
		wantAt(t, l.get(t, maps, "a"), ".data", map[string]any{"b": "z", "x.json": "theirs"})
		l.quiet(t, r, edit(maps, "a", `{"data":{"x.json":null}}`))
		wantAt(t, l.get(t, maps, "a"), ".data", map[string]any{"b": "z"})
	})
}

// TestIgnoredInWhole shares what lies in a list and in maps that are written as a
// whole: what is around it is still put right, and what is shared stays.
func TestIgnoredInWhole(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, ns string) {
		deployments := l.any.Resource(gvr("apps", "deployments")).Namespace(ns)
		const pod = ".spec.template.spec"
		r := sharing(t, []string{pod + ".tolerations[key=a].value", pod + `.nodeSelector["zone"]`},
			web(ns, "one", "      tolerations: [{key: a, value: one, effect: NoSchedule}, {key: b, value: two, effect: NoSchedule}]", "      nodeSelector: {zone: z}"))
		l.settle(t, r)
		wantAt(t, l.get(t, deployments, "web"), pod+".nodeSelector", map[string]any{"zone": "z"})

		for _, body := range []string{
			`{"tolerations":[{"key":"a","value":"new","effect":"NoSchedule"},{"key":"b","value":"two","effect":"NoSchedule"}]}`,
			`{"nodeSelector":{"zone":"elsewhere"}}`,
		} {
			if err := edit(deployments, "web", `{"spec":{"template":{"spec":`+body+`}}}`)(); err != nil {
				t.Fatal(err)
			}
			if plan := l.plan(t, r); !plan.Empty() {
				t.Errorf("planned: %+v", plan.Changes)
			}
		}
		if err := edit(deployments, "web", `{"spec":{"template":{"spec":{"tolerations":[{"key":"a","value":"newer","effect":"NoSchedule"},{"key":"b","value":"off","effect":"NoSchedule"}]}}}}`)(); err != nil {
			t.Fatal(err)
		}
		until(t, "put back", func() error {
			c := l.pass(t, r).Changes
			if len(c) != 1 || len(c[0].Fields) != 1 || c[0].Fields[0].Path != pod+".tolerations[1].value" {
				return fmt.Errorf("planned: %+v", c)
			}
			return nil
		})
		live := l.get(t, deployments, "web")
		wantAt(t, live, pod+".tolerations[0].value", "newer")
		wantAt(t, live, pod+".tolerations[1].value", "two")
		wantAt(t, live, pod+".nodeSelector", map[string]any{"zone": "elsewhere"})
		if plan := l.plan(t, r); !plan.Empty() {
			t.Errorf("planned: %+v", plan.Changes)
		}
	})
}

// TestIgnoredTaint leaves a taint of a Node to others, beside one that is kept.
func TestIgnoredTaint(t *testing.T) {
	eachLook(t, func(t *testing.T, l *looker, _ string) {
		name := l.join(t)
		document := nodeSpec(name, "{key: kept, effect: NoSchedule}, {key: shared, value: x, effect: NoSchedule}")
		l.settle(t, render(t, document))
		r := sharing(t, []string{".spec.taints[key=shared]"}, document)
		l.settle(t, r)
		if !slices.Contains(l.taints(t, name), "shared=x:NoSchedule") {
			t.Errorf("lifted: %v", l.taints(t, name))
		}
		l.patchTaints(t, name, `[{"key":"shared","value":"new","effect":"NoSchedule"}]`)
		until(t, "the kept taint is back", func() error {
			l.pass(t, r)
			got := l.taints(t, name)
			if slices.Sort(got); !slices.Equal(got, []string{"kept:NoSchedule", "shared=new:NoSchedule"}) {
				return errors.New(strings.Join(got, ", "))
			}
			return nil
		})
		l.patchTaints(t, name, `[{"key":"kept","effect":"NoSchedule"}]`)
		l.settle(t, r)
		if diff := cmp.Diff([]string{"kept:NoSchedule"}, l.taints(t, name)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// TestGiveUpRetries gives fields up of an object that changes in between.
func TestGiveUpRetries(t *testing.T) {
	var meanwhile func() error
	w := newWorld(t, func(cfg *rest.Config) {
		cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(q *http.Request) (*http.Response, error) {
				if do := meanwhile; do != nil && q.Header.Get("Content-Type") == string(types.MergePatchType) {
					meanwhile = nil
					if err := do(); err != nil {
						return nil, err
					}
				}
				return next.RoundTrip(q)
			})
		})
	})
	ns := w.namespace(t)
	r := sharing(t, []string{".data.key"}, configMap(ns, "a", "one"))
	seen := one(t, w.observe(t, r), "ConfigMap")
	meanwhile = edit(w.any.Resource(gvr("", "configmaps")).Namespace(ns), "a", `{"metadata":{"labels":{"theirs":"x"}}}`)
	after, err := w.Apply(t.Context(), seen.Manifest, cluster.ApplyOptions{GiveUp: seen.Object.Ignore})
	if err != nil {
		t.Fatal(err)
	}
	wantAt(t, after, ".data.key", "one")
	wantAt(t, after, ".metadata.labels.theirs", "x")
	if left := one(t, w.observe(t, r), "ConfigMap").GiveUp; meanwhile != nil || len(left) > 0 {
		t.Errorf("still ours: %v", left)
	}
}
