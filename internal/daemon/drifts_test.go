package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/drift"
	"prumo.dev/prumo/internal/reconcile"
	"prumo.dev/prumo/internal/render"
	testcluster "prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/cluster/clustertest"
)

// A plant is an engine on a real API server, as the daemon joins it, whose passes
// and whose clock the test moves by hand.
type plant struct {
	*reconcile.Reconciler
	t      *testing.T
	tree   core.Tree
	done   core.Applied
	now    time.Time
	lab    *testcluster.Cluster
	people kubernetes.Interface
	live   *cluster.Cluster

	mu   sync.Mutex
	sent []string
}

func newPlant(t *testing.T, files map[string]string) *plant {
	t.Helper()
	p := &plant{t: t, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), lab: clustertest.Shared(t)}
	p.people = kubernetes.NewForConfigOrDie(p.lab.Config())
	cfg := p.lab.Config()
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(q *http.Request) (*http.Response, error) {
			if q.URL.Query().Get("watch") == "" {
				p.mu.Lock()
				p.sent = append(p.sent, q.Method+" "+q.URL.Path)
				p.mu.Unlock()
			}
			return next.RoundTrip(q)
		})
	})
	var err error
	if p.live, err = cluster.New(cfg, strings.ToLower(t.Name())); err != nil {
		t.Fatal(err)
	}
	p.commit("one", files)
	p.restart()
	return p
}

// restart begins anew, with what is kept across restarts and nothing else.
func (p *plant) restart() {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	view := p.live.Watch(ctx, time.Hour)
	p.t.Cleanup(func() { cancel(); view.Wait() })
	renderer, err := render.New(render.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.Reconciler = &reconcile.Reconciler{Instance: p.live.Instance(), Source: p, Renderer: renderer, Cluster: view,
		Applier: apply.New(p.live, apply.Options{}), Reporter: reconcile.NoReporter{}, Drifts: drift.New(drift.Options{}),
		Now: func() time.Time { return p.now }}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

// commit puts files beside what every repo has.
func (p *plant) commit(id string, files map[string]string) {
	all := fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte(`module: "lab.example/infra@v0"
language: version: "v0.14.0"
deps: "prumo.dev/schemas@v0": v: "v0.1.0"
`)},
		"site.cue": {Data: []byte(`package infra
import "prumo.dev/schemas"
site: schemas.#Site & {name: "lab", zones: open: maxClassification: "internal", teams: nlp: {}, currency: "EUR", energyPrice: 0.2}
`)},
	}
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	p.tree = core.Tree{Revision: core.Revision{Commit: id}, FS: all}
}

func (p *plant) Advance(context.Context) (core.Revision, *core.Verdict, error) {
	return p.tree.Revision, nil, nil
}
func (p *plant) Tree(core.Revision) (core.Tree, error) { return p.tree, nil }
func (p *plant) Applied() core.Applied                 { return p.done }
func (p *plant) Warnings() []core.Warning              { return nil }
func (p *plant) SetApplied(_ context.Context, done core.Applied) error {
	p.done = done
	return nil
}

// pass moves the clock and runs a pass. It returns what was sent, reads included.
func (p *plant) pass(after time.Duration) (core.Report, []string) {
	p.t.Helper()
	p.now = p.now.Add(after)
	p.mu.Lock()
	p.sent = nil
	p.mu.Unlock()
	rep, err := p.Reconcile(p.t.Context())
	if err != nil || len(rep.Problems) > 0 {
		p.t.Fatal(err, rep.Problems)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return rep, p.sent
}

// until runs passes at one moment until a report is as wanted: watches lag.
func (p *plant) until(what string, ok func(core.Report) bool) (rep core.Report) {
	p.t.Helper()
	until(p.t, what, func() error {
		if rep, _ = p.pass(0); !ok(rep) {
			return fmt.Errorf("plan %s, drift %s, records %+v", show(rep.Plan), show(rep.Drift), rep.Records)
		}
		return nil
	})
	return rep
}

func show(plan *core.Plan) string {
	text, _ := json.Marshal(plan.Changes)
	return string(text)
}

func inSync(rep core.Report) bool { return rep.Plan.Empty() && rep.Drift.Empty() }

func (p *plant) node(name string) *corev1.Node {
	p.t.Helper()
	node, err := p.people.CoreV1().Nodes().Get(p.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return node
}

// gpus is what a kubelet says of a machine.
func (p *plant) gpus(name string, n int64) {
	p.t.Helper()
	node := p.node(name)
	for _, list := range []corev1.ResourceList{node.Status.Capacity, node.Status.Allocatable} {
		list[testcluster.GPU] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	if _, err := p.people.CoreV1().Nodes().UpdateStatus(p.t.Context(), node, metav1.UpdateOptions{FieldManager: "kubelet"}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plant) schedulable(name string, value bool) {
	p.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%v}}`, !value)
	if _, err := p.people.CoreV1().Nodes().Patch(p.t.Context(), name, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-cordon"}); err != nil {
		p.t.Fatal(err)
	}
}

const cordonSpec = `apiVersion: prumo.dev/v1alpha1
kind: Node
metadata:
  name: %s
  annotations: {prumo.dev/drift: %s}
spec:
  role: gpu
  zone: open
  cpuCores: 64
  memoryGiB: 512
  gpu: {model: L40S, count: 4}
  onHardwareDrift: cordon
`

// TestCordon has three machines lose a GPU: one is cordoned and uncordoned, one that
// a person cordoned stays so, and of one it is only told.
func TestCordon(t *testing.T) {
	files := map[string]string{}
	names := []string{"cordon-ours", "cordon-theirs", "cordon-told"}
	for _, name := range names {
		mode := "correct"
		if name == "cordon-told" {
			mode = "report"
		}
		files["nodes/"+name+".yaml"] = fmt.Sprintf(cordonSpec, name, mode)
	}
	p := newPlant(t, files)
	for _, name := range names {
		if err := p.lab.AddNodes(t.Context(), fmt.Appendf(nil,
			"apiVersion: v1\nkind: Node\nmetadata: {name: %s}\nstatus: {capacity: {cpu: \"64\", memory: 512Gi, pods: \"110\", nvidia.com/gpu: \"4\"}}", name)); err != nil {
			t.Fatal(err)
		}
	}
	p.until("the machines are ours", inSync)
	p.schedulable("cordon-theirs", false)
	p.cordons(names)
	p.uncordons(names)
}

// cordons takes a GPU from each machine, and waits it out.
func (p *plant) cordons(names []string) {
	t := p.t
	for _, name := range names {
		if err := p.lab.LoseGPU(t.Context(), name, 1); err != nil {
			t.Fatal(err)
		}
	}
	rep := p.until("the loss settles", func(rep core.Report) bool { return len(rep.Records) == 6 })
	if !rep.Drift.Empty() || len(rep.Precautions) > 0 || p.node("cordon-ours").Spec.Unschedulable {
		t.Errorf("before it settled: drift %s, precautions %v", show(rep.Drift), rep.Precautions)
	}
	if want := p.now.Add(drift.DefaultDebounce); rep.Due != want {
		t.Errorf("due at %v, want %v", rep.Due, want)
	}
	rep, _ = p.pass(drift.DefaultDebounce - time.Second)
	if !rep.Drift.Empty() {
		t.Errorf("a second too early: drift %s", show(rep.Drift))
	}
	rep, _ = p.pass(time.Second)
	updates := 0
	for _, c := range rep.Drift.Changes {
		if c.Action == core.ActionUpdate {
			updates++
			if c.Class != core.DriftHardware || !strings.Contains(c.Reason, `status.allocatable["nvidia.com/gpu"] is 3, declared 4`) {
				t.Errorf("%s: class %s, reason %q", c.ID, c.Class, c.Reason)
			}
		}
	}
	if updates != 3 || rep.Drift.Count(core.ActionObserve) != 3 || len(rep.Precautions) != 3 || !rep.Plan.Empty() {
		t.Errorf("plan %s, drift %s, precautions %v", show(rep.Plan), show(rep.Drift), rep.Precautions)
	}
	if !p.node("cordon-ours").Spec.Unschedulable || p.node("cordon-told").Spec.Unschedulable {
		t.Error("cordoned is not the one that may be")
	}
	p.until("the cordon is in sync", func(rep core.Report) bool { return rep.Drift.Count(core.ActionUpdate) == 1 }) // cordon-told
	if _, sent := p.pass(time.Minute); len(sent) > 0 {
		t.Errorf("a pass over what did not change sent %v", sent)
	}
	p.schedulable("cordon-ours", true)
	rep = p.until("who uncordons it is told", func(rep core.Report) bool { return rep.Drift.Count(core.ActionUpdate) == 2 })
	if c := rep.Drift.Changes[slices.IndexFunc(rep.Drift.Changes, func(c core.Change) bool { return c.Class == core.DriftEdited })]; c.ID.Name != "cordon-ours" {
		t.Errorf("edited is %s", c.ID)
	}
	if !p.node("cordon-ours").Spec.Unschedulable {
		t.Error("it stays uncordoned")
	}
	p.restart() // and whatever is lost with it, nothing is lifted
	if rep, _ = p.pass(time.Minute); !p.node("cordon-ours").Spec.Unschedulable || len(rep.Precautions) == 0 {
		t.Errorf("uncordoned for want of memory; precautions %v", rep.Precautions)
	}
}

// uncordons brings the GPUs back.
func (p *plant) uncordons(names []string) {
	t := p.t
	for _, name := range names {
		p.gpus(name, 4)
	}
	p.until("the GPUs are back", func(rep core.Report) bool { return rep.Drift.Count(core.ActionObserve) == 0 })
	if p.pass(drift.DefaultDebounce - time.Second); !p.node("cordon-ours").Spec.Unschedulable {
		t.Error("uncordoned before the hardware was well for long enough")
	}
	p.pass(time.Second)
	if p.node("cordon-ours").Spec.Unschedulable || !p.node("cordon-theirs").Spec.Unschedulable {
		t.Error("want ours uncordoned, and what a person cordoned left alone")
	}
	p.until("nothing is left", inSync)
	if notes := p.node("cordon-ours").Annotations; notes[core.AnnotationPrecaution] != "" {
		t.Errorf("a mark is left: %v", notes)
	}
}

const quotaKind = `package kinds
import "prumo.dev/schemas"
kinds: Quota: schemas.#Kind & {
	in: schemas.#Envelope & {kind: "Quota", spec: pods!: string}
	site: _
	objects: {
		ns: {apiVersion: "v1", kind: "Namespace", metadata: name: in.metadata.name}
		quota: {apiVersion: "v1", kind: "ResourceQuota", metadata: {name: "q", namespace: in.metadata.name}, spec: hard: pods: in.spec.pods}
	}
}
`

func quotas(pods string) map[string]string {
	files := map[string]string{"kinds/quota.cue": quotaKind}
	for name, n := range map[string]string{"fight-fought": pods, "fight-calm": "3"} {
		files["quotas/"+name+".yaml"] = fmt.Sprintf("apiVersion: prumo.dev/v1alpha1\nkind: Quota\nmetadata: {name: %s}\nspec: {pods: %q}\n", name, n)
	}
	return files
}

func (p *plant) rewrite(ns, manager string, pods int) {
	p.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"hard":{"pods":"%d"}}}`, pods)
	if _, err := p.people.CoreV1().ResourceQuotas(ns).Patch(p.t.Context(), "q", types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plant) pods(ns string) string {
	p.t.Helper()
	quota, err := p.people.CoreV1().ResourceQuotas(ns).Get(p.t.Context(), "q", metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	pods := quota.Spec.Hard[corev1.ResourcePods]
	return pods.String()
}

// about finds the drift of a namespace's quota.
func about(rep core.Report, ns string) *core.Change {
	for i, c := range rep.Drift.Changes {
		if c.ID.Namespace == ns {
			return &rep.Drift.Changes[i]
		}
	}
	return nil
}

// TestFight has a controller rewrite a quota each time it is put back.
func TestFight(t *testing.T) {
	p := newPlant(t, quotas("3"))
	p.until("both quotas are in sync", inSync)
	answer := func() core.Report {
		t.Helper()
		p.rewrite("fight-fought", "hpa-controller", 9)
		return p.until("the rewriting is seen", func(rep core.Report) bool { return about(rep, "fight-fought") != nil })
	}
	for i := range 5 {
		p.now = p.now.Add(time.Second)
		if c := about(answer(), "fight-fought"); c.Later != "" || p.pods("fight-fought") != "3" {
			t.Fatalf("time %d: not put back: %q", i+1, c.Later)
		}
	}
	p.now = p.now.Add(time.Second)
	rep := answer()
	want := "fight over .spec.hard.pods with hpa-controller: rewritten 5 times in 4s; it is put back again at 2030-01-01T00:01:06Z"
	if c := about(rep, "fight-fought"); c.Later != want || p.pods("fight-fought") != "9" {
		t.Fatalf("told %q\nwant %q\nlive %s", c.Later, want, p.pods("fight-fought"))
	}
	if rep.Result.Outcomes[0].Status != core.StatusSkipped || rep.Records[0].Reason != want || rep.Records[0].Fight == nil {
		t.Errorf("outcomes %+v, records %+v", rep.Result.Outcomes, rep.Records)
	}
	p.restsCheaply()

	p.pass(time.Minute)
	if got := p.pods("fight-fought"); got != "3" {
		t.Errorf("after the rest it is %s, want 3", got)
	}
	if c := about(answer(), "fight-fought"); !strings.HasSuffix(c.Later, p.now.Add(2*time.Minute).Format(time.RFC3339)) {
		t.Errorf("the second rest: %q, want two minutes", c.Later)
	}
	p.commit("two", quotas("4"))
	p.pass(time.Second)
	if got := p.pods("fight-fought"); got != "4" {
		t.Errorf("a commit is not obeyed for a fight: %s, want 4", got)
	}
	if c := about(answer(), "fight-fought"); c.Later != "" {
		t.Errorf("after a commit: %q", c.Later)
	}
}

// restsCheaply: while one quota rests, what happens to it costs nothing, and the
// other is kept as ever. Events of one kind come in order, so that once the edit of
// the other is seen, all that was done before is.
func (p *plant) restsCheaply() {
	t := p.t
	for i := range 10 {
		p.rewrite("fight-fought", "hpa-controller", 10+i)
	}
	p.rewrite("fight-calm", "kubectl-edit", 7)
	var sent []string
	until(t, "the other quota is put back", func() error {
		rep, requests := p.pass(0)
		if about(rep, "fight-calm") == nil {
			return fmt.Errorf("drift %s", show(rep.Drift))
		}
		sent = requests
		return nil
	})
	if got := p.pods("fight-calm"); got != "3" {
		t.Errorf("the other quota is %s", got)
	}
	if i := slices.IndexFunc(sent, func(s string) bool { return !strings.Contains(s, "fight-calm") }); i >= 0 || len(sent) == 0 {
		t.Errorf("sent %v; want requests about the other quota alone", sent)
	}
}
