package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

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
	"prumo.dev/prumo/internal/reconcile"
	"prumo.dev/prumo/test/chaos/wire"
	"prumo.dev/prumo/test/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// A world is what outlives a process: an API server, the people who use it, and
// a repo with what is remembered of it. Each has a name to itself: its instance,
// its namespace, and the start of all names that lie in none.
type world struct {
	name   string
	config *rest.Config
	people dynamic.Interface // everybody else, with every right
	repo   *repo
	past   *wire.Past
	seed   uint64
	writes []wire.Write // of the processes that have ended

	judge   func(testing.TB, core.Report) []string // says what is wrong when a pass has ended that wrote nothing
	inspect func(testing.TB, []wire.Write)         // looks at what a pass wrote; may be nil
}

var worlds atomic.Int64

func newWorld(t testing.TB, cfg *rest.Config) *world {
	t.Helper()
	people, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{name: fmt.Sprintf("chaos-%d", worlds.Add(1)), config: cfg, people: people, repo: new(repo), past: wire.NewPast()}
	w.judge = w.wrong
	w.make(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+w.name+"}")
	return w
}

// shared is a world on the control plane of this package's tests.
func shared(t testing.TB) *world {
	t.Helper()
	return newWorld(t, clustertest.Shared(t).Config())
}

// A repo is a history of renderings, with what a process remembers of it. It
// stands for the verified history and the renderer: what they say is given.
type repo struct {
	history []core.Rendering
	applied core.Applied
}

// commit makes a rendering the head.
func (r *repo) commit(want core.Rendering) { r.history = append(r.history, want) }

func (r *repo) head() core.Rendering { return r.history[len(r.history)-1] }

func (r *repo) revision(n int) core.Revision {
	return core.Revision{Commit: fmt.Sprintf("%040d", n), Ref: "refs/heads/main"}
}

// lastGood is an object as the last commit had it that was applied when its spec was
// good; false if there was none.
func (r *repo) lastGood(id core.ObjectID, spec core.SpecID) (core.Object, bool) {
	commit := cmp.Or(r.applied.Kept[spec.String()], r.applied.Commit)
	for n, want := range r.history {
		if r.revision(n+1).Commit == commit {
			i := slices.IndexFunc(want.Objects, func(o core.Object) bool { return o.ID == id })
			if i >= 0 {
				return want.Objects[i], true
			}
		}
	}
	return core.Object{}, false
}

// Advance implements reconcile.Source.
func (r *repo) Advance(context.Context) (core.Revision, *core.Verdict, error) {
	return r.revision(len(r.history)), nil, nil
}

// Tree implements reconcile.Source.
func (r *repo) Tree(rev core.Revision) (core.Tree, error) { return core.Tree{Revision: rev}, nil }

// Warnings implements reconcile.Source.
func (r *repo) Warnings() []core.Warning { return nil }

// Applied implements reconcile.Source.
func (r *repo) Applied() core.Applied { return r.applied }

// SetApplied implements reconcile.Source.
func (r *repo) SetApplied(_ context.Context, applied core.Applied) error {
	r.applied = applied
	return nil
}

// Render implements reconcile.Renderer.
func (r *repo) Render(_ context.Context, tree core.Tree) (core.Rendering, error) {
	for n, want := range r.history {
		if r.revision(n+1) == tree.Revision {
			return want, nil
		}
	}
	return core.Rendering{}, fmt.Errorf("no revision %s", tree.Revision.Commit)
}

// A view is how a process sees the cluster.
type view string

const (
	oneShot view = "one-shot" // as `reconciler apply`: each pass asks about everything
	watched view = "watched"  // as the daemon
)

// verify is the interval of the safety net of a watched view.
const verify = time.Hour

// A process is one life of the program.
type process struct {
	*reconcile.Reconciler
	wire    *wire.Wire
	world   *world
	cluster *cluster.Cluster
	watched *cluster.Watched // nil: one-shot
	wake    <-chan struct{}
	stop    func()
}

// start starts a process that knows only what is in the cluster and in the repo.
func (w *world) start(t testing.TB, v view, every ...time.Duration) *process {
	t.Helper()
	w.seed++
	p := &process{wire: wire.New(w.past, w.seed), world: w, stop: func() {}}
	cfg := rest.CopyConfig(w.config)
	cfg.Wrap(p.wire.Wrap)
	var err error
	if p.cluster, err = cluster.New(cfg, w.name); err != nil {
		t.Fatal(err)
	}
	p.Reconciler = &reconcile.Reconciler{Instance: w.name, Source: w.repo, Renderer: w.repo, Cluster: p.cluster,
		Reporter: reconcile.NoReporter{}, Now: time.Now}
	if v == watched {
		ctx, cancel := context.WithCancel(context.Background())
		p.watched = p.cluster.Watch(ctx, append(every, verify)[0])
		p.Cluster, p.wake = p.watched, p.watched.Wake()
		p.stop = func() { cancel(); p.watched.Wait() }
	}
	p.approve("")
	ended := false
	stop := p.stop
	p.stop = func() {
		if !ended {
			ended = true
			p.wire.Kill()
			stop()
			p.wire.Wait()
			w.writes = append(w.writes, p.wire.Writes()...)
		}
	}
	t.Cleanup(p.stop)
	return p
}

// approve lets the process do what the plan of this hash holds.
func (p *process) approve(hash string) {
	p.Approved = hash
	p.Applier = apply.New(p.cluster, apply.Options{Gate: p.watched != nil})
}

// pass runs one pass, which ends with the process.
func (p *process) pass(t testing.TB) (core.Report, error) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	go func() {
		select {
		case <-p.wire.Killed():
			cancel(wire.ErrKilled)
		case <-ctx.Done():
		}
	}()
	before := len(p.wire.Writes())
	rep, err := p.Reconcile(ctx)
	if p.world.inspect != nil {
		p.wire.Wait()
		p.world.inspect(t, p.wire.Writes()[before:])
	}
	return rep, err
}

// object reads one document.
func object(document string) core.Object {
	raw, err := yaml.YAMLToJSON([]byte(document))
	var u unstructured.Unstructured
	if err = errors.Join(err, u.UnmarshalJSON(raw)); err != nil {
		panic(fmt.Sprintf("%v in\n%s", err, document))
	}
	gvk := u.GroupVersionKind()
	return core.Object{ID: core.ObjectID{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()},
		Spec: core.SpecID{Kind: "Test", Name: u.GetKind() + "-" + u.GetName()}, Fields: u.Object}
}

// resources are the kinds that the tests speak of.
var resources = map[string]string{
	"ConfigMap": "configmaps", "Secret": "secrets", "Namespace": "namespaces", "Node": "nodes", "ServiceAccount": "serviceaccounts",
	"PersistentVolumeClaim": "persistentvolumeclaims", "Deployment": "deployments", "PriorityClass": "priorityclasses",
	"ResourceQuota": "resourcequotas", "Lamp": "lamps", "CustomResourceDefinition": "customresourcedefinitions",
	"ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}

// of is where people find an object.
func (w *world) of(o core.Object) dynamic.ResourceInterface {
	gvk := (&unstructured.Unstructured{Object: o.Fields}).GroupVersionKind()
	r := w.people.Resource(schema.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: resources[gvk.Kind]})
	if o.ID.Namespace != "" {
		return r.Namespace(o.ID.Namespace)
	}
	return r
}

// make creates an object as a person does.
func (w *world) make(t testing.TB, document string) *unstructured.Unstructured {
	t.Helper()
	o := object(document)
	u, err := w.of(o).Create(t.Context(), &unstructured.Unstructured{Object: o.Fields}, metav1.CreateOptions{FieldManager: "kubectl-create"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// patch changes an object as a person does.
func (w *world) patch(t testing.TB, o core.Object, body string, sub ...string) {
	t.Helper()
	if _, err := w.of(o).Patch(t.Context(), o.ID.Name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "kubectl-edit"}, sub...); err != nil {
		t.Fatal(err)
	}
}

// live is an object as it is; nil if it is not there.
func (w *world) live(t testing.TB, o core.Object) *unstructured.Unstructured {
	t.Helper()
	list, err := w.of(o).List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + o.ID.Name})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) == 0 {
		return nil
	}
	return &list.Items[0]
}

// rendering is what a repo with these objects renders to.
func rendering(objects ...core.Object) core.Rendering {
	var r core.Rendering
	for _, o := range objects {
		r.Objects = append(r.Objects, o)
		annotations := (&unstructured.Unstructured{Object: o.Fields}).GetAnnotations()
		r.Specs = append(r.Specs, core.Spec{ID: o.Spec, Drift: core.DriftCorrect, TakeConflicts: annotations[core.AnnotationConflicts] == "take"})
	}
	return r
}
