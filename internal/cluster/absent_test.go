package cluster_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/diff"
)

// manyMaps are n ConfigMaps of a namespace: map-0, map-1 …
func manyMaps(ns string, n int) []string {
	documents := make([]string, n)
	for i := range documents {
		documents[i] = configMap(ns, fmt.Sprint("map-", i), "one")
	}
	return documents
}

// foreign makes an object as somebody else.
func (w *world) foreign(t *testing.T, document string) {
	t.Helper()
	u := unstructuredOf(t, document)
	resource := w.any.Resource(gvr("", strings.ToLower(u.GetKind())+"s")).Namespace(u.GetNamespace())
	if _, err := resource.Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
		t.Fatal(err)
	}
}

// TestFirstApplyIsOneRequest proves that what does not exist, in a namespace that
// does, costs its apply and nothing else; that what is somebody else's is planned
// to be adopted after the server was asked; and that nothing is asked after.
func TestFirstApplyIsOneRequest(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	w.foreign(t, configMap(ns, "map-3", "theirs"))
	r := render(t, manyMaps(ns, 30)...)
	plan, err := w.pass(t, r)
	if err != nil || plan.Count(core.ActionCreate) != 29 || plan.Count(core.ActionBlocked) != 1 {
		t.Fatalf("%v, plan %+v; want 29 to create, and map-3 to be somebody else's", err, plan.Changes)
	}
	for _, tt := range []struct {
		method, part string
		want         int
	}{
		{"GET", "/configmaps/", 1}, {"PATCH", "/configmaps/", 31}, {"PATCH", "/configmaps/map-3", 2},
	} {
		if got := w.log.count(tt.method, tt.part); got != tt.want {
			t.Errorf("%d × %s %s; want %d", got, tt.method, tt.part, tt.want)
		}
	}
	until(t, "nothing is asked of what was applied", func() error {
		w.log.reset()
		plan, err := w.pass(t, r)
		if err != nil || plan.Unchanged != 29 {
			return fmt.Errorf("%v, %d unchanged", err, plan.Unchanged)
		}
		if all, other := len(w.log.sent()), w.log.count("", "/configmaps/map-3"); all != other {
			return fmt.Errorf("sent %v", w.log.sent())
		}
		return nil
	})
}

// TestPlanBeforeApplyIsTheSame proves that what was asked about and what was not
// have one hash, which is what an approval binds to.
func TestPlanBeforeApplyIsTheSame(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace(t)
	w.foreign(t, configMap(ns, "map-3", "one"))
	r := render(t, append(manyMaps(ns, 6), "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"-fresh}", configMap(ns+"-fresh", "a", "x"))...)
	asked := diff.Make(core.Revision{}, w.observe(t, r), diff.Options{})
	seen, err := w.ObserveToApply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	unasked := diff.Make(core.Revision{}, seen, diff.Options{})
	if asked.Hash != unasked.Hash || asked.Count(core.ActionAdopt) != 1 || unasked.Count(core.ActionAdopt) != 1 {
		t.Errorf("asked %s %+v\nunasked %s %+v", asked.Hash, asked.Changes, unasked.Hash, unasked.Changes)
	}
}

// TestRefusedApplyIsAskedAboutNext proves that what the server refuses to create
// fails once, as the answer to its apply, and is told as blocked from then on.
func TestRefusedApplyIsAskedAboutNext(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	bad := "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: " + ns + "}\nspec: {ports: [{port: 99999}]}"
	r := render(t, append(manyMaps(ns, 2), bad)...)
	plan, err := w.pass(t, r)
	if err != nil || plan.Count(core.ActionCreate) != 3 {
		t.Fatalf("%v, plan %+v", err, plan.Changes)
	}
	for range 2 {
		plan, err := w.pass(t, r)
		if err != nil || plan.Count(core.ActionBlocked) != 1 || !strings.Contains(plan.Changes[0].ServerSays, "must be between 1 and 65535") {
			t.Errorf("%v, plan %+v; want the service blocked, and why", err, plan.Changes)
		}
	}
	w.settle(t, render(t, manyMaps(ns, 2)...))
}

// TestUnansweredApplyIsAskedAboutNext proves that what was not answered, as while a
// webhook hangs, is asked about before it is tried again: a pass waits longer for an
// apply than for an answer.
func TestUnansweredApplyIsAskedAboutNext(t *testing.T) {
	w := newWatcher(t, time.Hour, func(cfg *rest.Config) {
		cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(q *http.Request) (*http.Response, error) {
				if q.Method == http.MethodPatch && !q.URL.Query().Has("dryRun") && strings.HasSuffix(q.URL.Path, "/map-1") {
					return nil, errors.New("no answer")
				}
				return next.RoundTrip(q)
			})
		})
	})
	r := render(t, manyMaps(w.namespace(t), 2)...)
	if _, err := w.pass(t, r); err == nil || !strings.HasSuffix(err.Error(), ": no answer") {
		t.Fatalf("%v; want no answer", err)
	}
	seen, err := w.view.ObserveToApply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if o := seen.Objects[1]; o.Live != nil || o.Predicted == nil {
		t.Errorf("it was not asked about: %+v", o)
	}
}

// TestLongListOfNames proves that a kind of which others have more than it is worth
// to list is read one by one, and that absence is never taken from half a list.
func TestLongListOfNames(t *testing.T) {
	lists := 0
	w := newWorld(t, func(cfg *rest.Config) {
		cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(q *http.Request) (*http.Response, error) {
				if v := q.URL.Query(); v.Has("limit") && !v.Has("labelSelector") && strings.HasSuffix(q.URL.Path, "/configmaps") {
					lists++
					v.Set("limit", "1")
					q.URL.RawQuery = v.Encode()
				}
				return next.RoundTrip(q)
			})
		})
	})
	ns := w.namespace(t)
	for _, name := range []string{"a", "b", "map-3"} {
		w.foreign(t, configMap(ns, name, "theirs"))
	}
	r := render(t, manyMaps(ns, 4)...)
	seen, err := w.ObserveToApply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if lists != 1 || w.log.count("GET", "/configmaps/map-") != 4 {
		t.Errorf("%d lists, sent %v; want one page and four reads", lists, w.log.all)
	}
	if last := seen.Objects[3]; last.Live == nil || last.Predicted == nil {
		t.Errorf("what is there passes for absent: %+v", last)
	}
}
