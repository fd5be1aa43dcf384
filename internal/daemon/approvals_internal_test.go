package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/apply"
	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/reconcile"
	"prumo.dev/prumo/test/chaos/wire"
	"prumo.dev/prumo/test/cluster/clustertest"
)

// held is a plan that holds two deletions.
func held(commit, hash string) core.Plan {
	change := func(name string) core.Change {
		return core.Change{ID: core.ObjectID{Kind: "Namespace", Name: name}, Action: core.ActionHold, Wanted: core.ActionDelete, Approvable: true, UID: "uid of " + name}
	}
	return core.Plan{Revision: core.Revision{Commit: commit}, Hash: strings.Repeat(hash, 64), Approve: "the command",
		Changes: []core.Change{change("a"), change("b"), {ID: core.ObjectID{Kind: "Service", Name: "c"}, Action: core.ActionDelete, UID: "uid of c"}}}
}

// TestGrant gives approvals to plans, and sees what they allow.
func TestGrant(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	hour := approval{Plan: strings.Repeat("1", 64), By: "ana", At: now, Until: now.Add(time.Hour)}
	with := func(change func(*approval)) approval {
		a := hour
		change(&a)
		return a
	}
	deeds := heldDeeds(held("x", "1"))
	tests := []struct {
		name    string
		stored  approval
		plan    core.Plan
		allows  int // of the plan's three changes
		warning string
	}{
		{"nobody approved", approval{}, held("x", "1"), 0, ""},
		{"this plan", hour, held("x", "1"), 2, ""},
		{"another plan", hour, held("x", "2"), 0, "ana approved the plan 1111"},
		{"a plan without hash", hour, core.Plan{Changes: held("x", "1").Changes}, 0, "another one waits"},
		{"this plan, too late", with(func(a *approval) { a.Until = now }), held("x", "1"), 0, "the approval by ana ended"},
		{"another plan, and over", with(func(a *approval) { a.Until = now }), held("x", "2"), 0, ""},
		{"for ever", with(func(a *approval) { a.Until = now.Add(MaxApproval + time.Second) }), held("x", "1"), 0, "longer than any may"},
		{"begun", with(func(a *approval) { a.Begun = &begun{"x", deeds[:1]} }), held("x", "2"), 1, ""},
		{"begun, and the hash once more", with(func(a *approval) { a.Begun = &begun{"x", nil} }), held("x", "1"), 0, ""},
		{"begun, and another commit since", with(func(a *approval) { a.Begun = &begun{"x", deeds} }), held("y", "1"), 0, ""},
		{"begun, too late", with(func(a *approval) { a.Until = now; a.Begun = &begun{"x", deeds} }), held("x", "2"), 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			docs := folder(t.TempDir())
			if err := saveApproval(t.Context(), docs, tt.stored, ""); err != nil {
				t.Fatal(err)
			}
			s := storedApprovals{docs, func() time.Time { return now }}
			got, warning := s.Grant(t.Context(), tt.plan)
			if n := allowed(got, tt.plan); n != tt.allows {
				t.Errorf("%d are allowed, want %d: %+v", n, tt.allows, got)
			}
			switch {
			case warning == nil && tt.warning != "":
				t.Errorf("no warning, want %q", tt.warning)
			case warning != nil && (tt.warning == "" || !strings.Contains(warning.Found, tt.warning) || !strings.Contains(warning.Remedy, tt.plan.Approve)):
				t.Errorf("warning %+v, want %q", warning, tt.warning)
			}
			// The hash was good for this once: an object made anew is another one.
			again := tt.plan
			again.Changes = append([]core.Change{}, again.Changes...)
			for i := range again.Changes {
				again.Changes[i].UID = "made anew"
			}
			if tt.allows > 0 {
				if got, _ := s.Grant(t.Context(), again); allowed(got, again) > 0 {
					t.Errorf("it is used twice: %+v", got)
				}
			}
		})
	}
}

func allowed(a core.Approval, plan core.Plan) (n int) {
	for _, c := range plan.Changes {
		if a.Allows(plan.Hash, c) {
			n++
		}
	}
	return n
}

// TestGrantFailsClosed has the document be anything but an approval, or not be
// written when it is used.
func TestGrantFailsClosed(t *testing.T) {
	plan := held("x", "1")
	good := fmt.Sprintf(`{"plan":%q,"by":"ana","until":"2030-01-01T01:00:00Z"`, plan.Hash)
	for name, text := range map[string]string{
		"no JSON": "approved", "cut off": good, "more than we know": good + `,"also":"another"}`, "a date that is none": `{"until":"never"}`,
	} {
		docs := folder(t.TempDir())
		if _, err := docs.Save(t.Context(), approvalDocument, []byte(text), ""); err != nil {
			t.Fatal(err)
		}
		got, warning := approvals(docs).Grant(t.Context(), plan)
		if allowed(got, plan) > 0 || warning == nil || !strings.Contains(warning.Found, "is not an approval") {
			t.Errorf("%s: %+v, %+v", name, got, warning)
		}
		if _, _, err := Approve(t.Context(), &config.Config{StateDir: string(docs)}, plan.Hash, time.Hour); err != nil {
			t.Errorf("%s: cannot be mended by approving: %v", name, err)
		}
		if got, _ := approvals(docs).Grant(t.Context(), plan); allowed(got, plan) != 2 {
			t.Errorf("%s: mended, and %d allowed", name, allowed(got, plan))
		}
	}
	for _, fail := range []error{errors.New("away"), fmt.Errorf("save: %w", cluster.ErrChanged)} {
		docs := &failing{documents: folder(t.TempDir())}
		if _, err := docs.Save(t.Context(), approvalDocument, []byte(strings.Replace(good, "2030", fmt.Sprint(time.Now().Year()+1), 1)+"}"), ""); err != nil {
			t.Fatal(err)
		}
		docs.fail = fail
		s := storedApprovals{docs, func() time.Time { return time.Date(time.Now().Year()+1, 1, 1, 0, 0, 0, 0, time.UTC) }}
		if got, _ := s.Grant(t.Context(), plan); allowed(got, plan) > 0 {
			t.Errorf("%v: it could not be noted as used, and allows %+v", fail, got)
		}
	}
}

// failing are documents that cannot be saved.
type failing struct {
	documents
	fail error
}

func (f *failing) Save(ctx context.Context, name string, data []byte, version string) (string, error) {
	if f.fail != nil {
		return "", f.fail
	}
	return f.documents.Save(ctx, name, data, version)
}

func TestApproveRefuses(t *testing.T) {
	dir, hash := t.TempDir(), strings.Repeat("a", 64)
	for want, do := range map[string]func() error{
		"64 hexadecimal digits": func() error {
			_, _, err := Approve(t.Context(), &config.Config{StateDir: dir}, hash[:10], time.Hour)
			return err
		},
		"at most 168h0m0s": func() error {
			_, _, err := Approve(t.Context(), &config.Config{StateDir: dir}, hash, MaxApproval+1)
			return err
		},
		"more than nothing": func() error {
			_, _, err := Approve(t.Context(), &config.Config{StateDir: dir}, hash, 0)
			return err
		},
		"on the machine of the daemon": func() error {
			_, _, err := Approve(t.Context(), &config.Config{StateDir: dir + "/none"}, hash, time.Hour)
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// An archive is a repo of which each commit renders the ConfigMaps of a Dataset that
// it names, and one that stays.
type archive struct {
	namespace string
	commits   [][]string
	applied   core.Applied
}

func (a *archive) head() core.Revision {
	return core.Revision{Commit: fmt.Sprintf("%040d", len(a.commits))}
}
func (a *archive) Advance(context.Context) (core.Revision, *core.Verdict, error) {
	return a.head(), nil, nil
}
func (a *archive) Tree(rev core.Revision) (core.Tree, error) { return core.Tree{Revision: rev}, nil }
func (a *archive) Applied() core.Applied                     { return a.applied }
func (a *archive) Warnings() []core.Warning                  { return nil }
func (a *archive) SetApplied(_ context.Context, applied core.Applied) error {
	a.applied = applied
	return nil
}

func (a *archive) Render(_ context.Context, tree core.Tree) (r core.Rendering, err error) {
	var n int
	if _, err := fmt.Sscanf(tree.Revision.Commit, "%d", &n); err != nil {
		return r, err
	}
	scans, house := core.SpecID{Kind: core.KindDataset, Name: "scans"}, core.SpecID{Kind: "MLTool", Name: "house"}
	add := func(spec core.SpecID, name string) {
		id := core.ObjectID{Kind: "ConfigMap", Namespace: a.namespace, Name: name}
		r.Objects = append(r.Objects, core.Object{ID: id, Spec: spec, Fields: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": a.namespace, "name": name}, "data": map[string]any{"a": "b"}}})
	}
	for _, name := range a.commits[n-1] {
		add(scans, name)
	}
	add(house, "stays")
	r.Specs = []core.Spec{{ID: scans}, {ID: house}}
	return r, nil
}

// TestApprovedAndKilled has a person approve a plan, and the process be killed before
// and after each of its writes in turn, that of the approval included: another one
// does the rest under the same approval, and nothing else.
func TestApprovedAndKilled(t *testing.T) {
	lab := clustertest.Shared(t)
	people := kubernetes.NewForConfigOrDie(lab.Config())
	start := func(a *archive, w *wire.Wire) *reconcile.Reconciler {
		cfg := rest.CopyConfig(lab.Config())
		cfg.Wrap(w.Wrap)
		live, err := cluster.New(cfg, a.namespace)
		if err != nil {
			t.Fatal(err)
		}
		return &reconcile.Reconciler{Instance: a.namespace, Source: a, Renderer: a, Cluster: live, Applier: apply.New(live, apply.Options{}),
			Reporter: reconcile.NoReporter{}, Approvals: approvals(live.Documents(a.namespace)), Approve: "approve", Now: time.Now}
	}
	names := func(a *archive) (names []string) {
		list, err := people.CoreV1().ConfigMaps(a.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: core.LabelOwner})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list.Items {
			names = append(names, m.Name)
		}
		return names
	}
	all, rest := []string{"scans-a", "scans-b", "stays"}, []string{"stays"}
	// story returns whether the process lived to the end of it.
	story := func(killAt int, sent bool) (lived bool) {
		a := &archive{namespace: clustertest.Namespace(t), commits: [][]string{all[:2]}}
		first := start(a, wire.New(wire.NewPast(), 0))
		pass := func(r *reconcile.Reconciler, want ...string) core.Report {
			t.Helper()
			rep, err := r.Reconcile(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, names(a)); diff != "" {
				t.Fatalf("killed at %d, sent %t (-want +got)\n%s", killAt, sent, diff)
			}
			return rep
		}
		pass(first, all...)
		a.commits = append(a.commits, nil)
		rep := pass(first, all...)
		if rep.Plan.Approve != "approve "+rep.Plan.Hash || rep.Plan.Count(core.ActionHold) != 2 {
			t.Fatalf("asked for is %q, held %d", rep.Plan.Approve, rep.Plan.Count(core.ActionHold))
		}
		doc, version, err := loadApproval(t.Context(), first.Approvals.(storedApprovals).docs)
		if err != nil || version == "" || doc.Plan != "" {
			t.Fatalf("%+v, %q, %v; want an empty document for who approves", doc, version, err)
		}
		doc = approval{Plan: rep.Plan.Hash, By: "ana", Until: time.Now().Add(time.Hour)}
		if err := saveApproval(t.Context(), first.Approvals.(storedApprovals).docs, doc, version); err != nil {
			t.Fatal(err)
		}
		// Who only looks uses nothing up.
		if rep, err := first.Plan(t.Context(), core.Tree{Revision: a.head()}); err != nil || rep.Plan.Count(core.ActionHold)+rep.Drift.Count(core.ActionHold) != 2 {
			t.Fatalf("a look at it: %+v, %v", rep.Plan, err)
		}
		w := wire.New(wire.NewPast(), 0)
		w.KillAt(killAt, sent)
		_, err = start(a, w).Reconcile(t.Context())
		w.Wait()
		select {
		case <-w.Killed():
		default:
			lived = true
			if err != nil {
				t.Fatal(err)
			}
		}
		pass(start(a, wire.New(wire.NewPast(), 0)), rest...)
		// What comes back, and goes again, asks again.
		a.commits = append(a.commits, all[:1])
		pass(first, all[0], rest[0])
		a.commits = append(a.commits, nil)
		pass(first, all[0], rest[0])
		return lived
	}
	for n := 1; ; n++ {
		lived := story(n, false)
		if !lived {
			story(n, true)
		}
		if lived {
			if n < 4 {
				t.Errorf("it lived through %d writes, want at least 3: the approval and two deletions", n-1)
			}
			return
		}
	}
}

// TestApproveInCluster has somebody approve who may write that one ConfigMap.
func TestApproveInCluster(t *testing.T) {
	lab := clustertest.Shared(t)
	namespace := clustertest.Namespace(t)
	cfg := &config.Config{Instance: "lab", StateNamespace: namespace, Kubeconfig: lab.Kubeconfig()}
	until, where, err := Approve(t.Context(), cfg, strings.Repeat("1", 64), time.Hour)
	if err != nil || where != "namespace "+namespace {
		t.Fatal(where, err)
	}
	live, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	docs := live.Documents(namespace)
	got, _, err := loadApproval(t.Context(), docs)
	if err != nil || got.By == "" || !got.Until.Equal(until) || time.Until(until) > time.Hour {
		t.Errorf("%+v, %v", got, err)
	}
	plan := held("x", "1")
	if granted, warning := approvals(docs).Grant(t.Context(), plan); allowed(granted, plan) != 2 || granted.By != got.By || warning != nil {
		t.Errorf("%+v, %+v", granted, warning)
	}
	cfg.Instance = "other"
	if _, _, err := Approve(t.Context(), cfg, strings.Repeat("1", 64), time.Hour); err == nil || !strings.Contains(err.Error(), `of instance "lab"`) {
		t.Errorf("another instance: %v", err)
	}
	cfg.Instance, cfg.StateNamespace = "lab", namespace+"-none"
	if _, _, err := Approve(t.Context(), cfg, strings.Repeat("1", 64), time.Hour); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("a namespace that does not exist: %v", err)
	}
}
