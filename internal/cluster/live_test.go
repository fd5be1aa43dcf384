package cluster_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// A world is the shared API server, seen by one instance that a test has to
// itself, and by people beside it.
type world struct {
	*cluster.Cluster
	config *rest.Config
	people kubernetes.Interface
	any    dynamic.Interface
	log    *requests
}

func newWorld(t *testing.T, change ...func(*rest.Config)) *world {
	t.Helper()
	cfg := clustertest.Shared(t).Config()
	w := &world{config: rest.CopyConfig(cfg), log: &requests{}}
	w.people, w.any = kubernetes.NewForConfigOrDie(cfg), dynamic.NewForConfigOrDie(cfg)
	for _, f := range change {
		f(cfg)
	}
	cfg.Wrap(w.log.wrap)
	c, err := cluster.New(cfg, instanceOf(t))
	if err != nil {
		t.Fatal(err)
	}
	w.Cluster = c
	return w
}

// instanceOf names the instance, and all objects, of one test.
func instanceOf(t *testing.T) string {
	return strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
}

func (w *world) observe(t *testing.T, r core.Rendering) core.Observation {
	t.Helper()
	o, err := w.Observe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// put applies objects for real, as they would be after an observation.
func (w *world) put(t *testing.T, r core.Rendering) {
	t.Helper()
	for _, o := range w.observe(t, r).Objects {
		if _, err := w.Apply(t.Context(), o.Manifest, cluster.ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) namespace(t *testing.T) string {
	t.Helper()
	name := instanceOf(t)
	ns := unstructuredOf(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+"}")
	if _, err := w.any.Resource(gvr("", "namespaces")).Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return name
}

func gvr(group, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}
}

func unstructuredOf(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return normal(t, u)
}

// normal turns float64, which YAML gives, into int64, which rendering gives.
func normal(t *testing.T, u *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	raw, err := u.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return u
}

// render is what a repo would render to; every document is its own spec.
func render(t *testing.T, documents ...string) core.Rendering {
	t.Helper()
	var r core.Rendering
	for _, d := range documents {
		o := objectOf(t, d)
		r.Objects = append(r.Objects, o)
		r.Specs = append(r.Specs, core.Spec{ID: o.Spec, Drift: core.DriftCorrect})
	}
	slices.SortFunc(r.Objects, func(a, b core.Object) int { return a.ID.Compare(b.ID) })
	return r
}

func objectOf(t *testing.T, document string) core.Object {
	t.Helper()
	u := unstructuredOf(t, document)
	id := core.ObjectID{Group: u.GroupVersionKind().Group, Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
	return core.Object{ID: id, Spec: core.SpecID{Kind: "Test", Name: strings.ToLower(u.GetKind()) + "-" + u.GetName()}, Fields: u.Object}
}

func one(t *testing.T, o core.Observation, kind string) core.Observed {
	t.Helper()
	i := slices.IndexFunc(o.Objects, func(o core.Observed) bool { return o.Object.ID.Kind == kind })
	if i < 0 {
		t.Fatalf("no %s was observed", kind)
	}
	return o.Objects[i]
}

func at(m map[string]any, fields ...string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(m, fields...)
	return v
}

// requests counts what a test's cluster sends.
type requests struct {
	mu      sync.Mutex
	all     []string
	watches []string // those of all that watch
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(q *http.Request) (*http.Response, error) {
		r.mu.Lock()
		line := q.Method + " " + q.URL.Path
		if q.URL.Query().Has("watch") {
			line = "WATCH " + q.URL.Path
			r.watches = append(r.watches, line)
		}
		r.all = append(r.all, line)
		r.mu.Unlock()
		return next.RoundTrip(q)
	})
}

func (r *requests) reset() { r.mu.Lock(); r.all, r.watches = nil, nil; r.mu.Unlock() }

func (r *requests) count(method, part string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, q := range r.all {
		if strings.HasPrefix(q, method) && strings.Contains(q, part) {
			n++
		}
	}
	return n
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }
