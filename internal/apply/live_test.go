package apply_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
	"prumo.dev/prumo/test/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// A world is the shared API server: cluster is how one instance sees it, that a
// test has to itself, people is everybody else, with every right.
type world struct {
	cluster *cluster.Cluster
	people  dynamic.Interface
	name    string         // of the instance, and of what the test makes
	before  core.Rendering // what was put last

	mu       sync.Mutex
	requests []string
	meddle   func(*http.Request) *http.Response // may act before a request, or answer it
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cfg := clustertest.Shared(t).Config()
	w := &world{people: dynamic.NewForConfigOrDie(cfg), name: strings.ToLower(strings.NewReplacer("/", "-", "_", "-", ",", "").Replace(t.Name()))}
	w.cluster = w.as(t, cfg)
	return w
}

// as is the cluster as seen by the user of a config.
func (w *world) as(t *testing.T, cfg *rest.Config) *cluster.Cluster {
	t.Helper()
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(q *http.Request) (*http.Response, error) {
			w.mu.Lock()
			w.requests = append(w.requests, q.Method+" "+q.URL.Path)
			meddle := w.meddle
			w.mu.Unlock()
			if meddle != nil {
				if answer := meddle(q); answer != nil {
					return answer, nil
				}
			}
			return next.RoundTrip(q)
		})
	})
	c, err := cluster.New(cfg, w.name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func (w *world) sent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.requests
	w.requests = nil
	return sent
}

// plan is what the engine would plan.
func (w *world) plan(t *testing.T, r core.Rendering) core.Plan {
	t.Helper()
	o, err := w.cluster.Observe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	plan := diff.Make(core.Revision{}, o, diff.Options{MaxDelete: 1000})
	plan.Before, plan.After = w.before, r
	for i := range plan.Changes { // as for a commit, which is always obeyed
		plan.Changes[i].Mode = ""
		if c := &plan.Changes[i]; c.Action == core.ActionHold {
			c.Action, c.Wanted = c.Wanted, ""
		}
	}
	return plan
}

func (w *world) apply(t *testing.T, plan core.Plan, opts ...apply.Options) core.Result {
	t.Helper()
	result, err := apply.New(w.cluster, slices.Concat(opts, []apply.Options{{}})[0]).Apply(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// put plans and applies, and fails unless all is done.
func (w *world) put(t *testing.T, r core.Rendering) {
	t.Helper()
	for _, o := range w.apply(t, w.plan(t, r)).Outcomes {
		if o.Status != core.StatusDone {
			t.Fatalf("%s: %s %s: %s", o.ID, o.Action, o.Status, o.Reason)
		}
	}
	w.before = r
}

func gvr(group, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}
}

func (w *world) maps() dynamic.ResourceInterface {
	return w.people.Resource(gvr("", "configmaps")).Namespace(w.name)
}

// patch changes an object as a person does.
func patch(t *testing.T, r dynamic.ResourceInterface, name, body string) {
	t.Helper()
	if _, err := r.Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
}

// live is an object as it is, nil if it is not there.
func live(t *testing.T, r dynamic.ResourceInterface, name string) map[string]any {
	t.Helper()
	l, err := r.List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Items) == 0 {
		return nil
	}
	return l.Items[0].Object
}

func at(m map[string]any, fields ...string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(m, fields...)
	return v
}

func object(t *testing.T, document string) core.Object {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	var u unstructured.Unstructured
	if err := u.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	id := core.ObjectID{Group: u.GroupVersionKind().Group, Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
	return core.Object{ID: id, Spec: core.SpecID{Kind: "Test", Name: u.GetName()}, Fields: u.Object}
}

// render is what a repo would render to.
func render(t *testing.T, documents ...string) core.Rendering {
	t.Helper()
	var r core.Rendering
	for _, d := range documents {
		o := object(t, d)
		r.Objects = append(r.Objects, o)
		r.Specs = append(r.Specs, core.Spec{ID: o.Spec, Drift: core.DriftCorrect})
	}
	return r
}

func (w *world) namespace() string {
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + w.name + "}"
}

func (w *world) configMap(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {key: '%s'}", name, w.name, value)
}

// told is a result as short words: "create ConfigMap/a done".
func told(r core.Result) []string {
	var words []string
	for _, o := range r.Outcomes {
		words = append(words, fmt.Sprintf("%s %s/%s %s", o.Action, o.ID.Kind, o.ID.Name, o.Status))
	}
	slices.Sort(words)
	return words
}

// outcome is that of the first object of a name.
func outcome(t *testing.T, r core.Result, name string) core.Outcome {
	t.Helper()
	i := slices.IndexFunc(r.Outcomes, func(o core.Outcome) bool { return o.ID.Name == name })
	if i < 0 {
		t.Fatalf("no outcome of %s in %v", name, told(r))
	}
	return r.Outcomes[i]
}

// before does something once, before the first request of a method.
func before(method string, do func()) func(*http.Request) *http.Response {
	var once sync.Once
	return func(q *http.Request) *http.Response {
		if q.Method == method {
			once.Do(do)
		}
		return nil
	}
}
