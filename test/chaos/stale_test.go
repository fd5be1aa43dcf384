package chaos

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/test/chaos/wire"
)

// both views must hold what is proved here.
func both(t *testing.T, test func(*testing.T, view)) {
	for _, v := range []view{oneShot, watched} {
		t.Run(string(v), func(t *testing.T) { t.Parallel(); test(t, v) })
	}
}

// remove deletes an object as a person does.
func (w *world) remove(t testing.TB, o core.Object) {
	t.Helper()
	if err := w.of(o).Delete(t.Context(), o.ID.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestSomebodyIsFaster has a person make an object right before we create it, and
// kills us at that write. What they made must never be deleted.
func TestSomebodyIsFaster(t *testing.T) {
	both(t, func(t *testing.T, v view) {
		w := shared(t)
		o := w.configMap("raced", "same")
		w.repo.commit(rendering(w.configMap("other", "1"), o))
		p := w.start(t, v)
		var once sync.Once
		p.wire.Before(func(n int, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, "/raced") {
				once.Do(func() {
					w.make(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: raced, namespace: %s}\ndata: {key: same}", w.name))
					p.wire.KillAt(n, true)
				})
			}
		})
		_, _ = p.pass(t)
		<-p.wire.Killed()
		p.stop()
		theirs := uidOf(w.live(t, o))
		w.repo.commit(rendering(w.configMap("other", "1")))
		p = w.start(t, v)
		p.settle(t, func(core.Report) bool { return true })
		if uid := uidOf(w.live(t, o)); uid != theirs {
			t.Errorf("what a person made is gone (uid %q, was %q)", uid, theirs)
		}
	})
}

// TestUnobserved changes the cluster while nobody watches: an object is edited, one
// deleted, one deleted and made anew by somebody else, and one that the repo just
// dropped is made anew, too.
func TestUnobserved(t *testing.T) {
	both(t, func(t *testing.T, v view) {
		w := shared(t)
		kept := []core.Object{w.configMap("edited", "1"), w.configMap("deleted", "1"), w.configMap("remade", "1", ", annotations: {prumo.dev/conflicts: take}")}
		dropped := w.configMap("dropped", "1")
		w.repo.commit(rendering(append(kept, dropped)...))
		p := w.start(t, v)
		p.settle(t, nil)
		p.wire.Set(wire.Faults{Lag: 1000})
		w.patch(t, kept[0], `{"data":{"key":"edited"}}`)
		for _, o := range []core.Object{kept[1], kept[2], dropped} {
			w.remove(t, o)
		}
		theirs := map[string]string{}
		for _, name := range []string{"remade", "dropped"} {
			theirs[name] = uidOf(w.make(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {key: theirs}", name, w.name)))
		}
		w.repo.commit(rendering(kept...))
		for range 3 { // passes that see nothing of it, or only half
			if _, err := p.pass(t); err != nil {
				t.Fatal(err)
			}
		}
		p.wire.Set(wire.Faults{})
		p.settle(t, nil)
		for name, uid := range theirs {
			if got := uidOf(w.live(t, w.configMap(name, ""))); got != uid {
				t.Errorf("%s, made by others, is gone", name)
			}
		}
	})
}

// TestCopyIsNotOurs has a person restore a backup of one of our objects, marks and
// all, over the one that we made: the server does not remember us applying it.
func TestCopyIsNotOurs(t *testing.T) {
	both(t, func(t *testing.T, v view) {
		w := shared(t)
		o := w.configMap("restored", "1")
		w.repo.commit(rendering(w.configMap("other", "1"), o))
		p := w.start(t, v)
		p.settle(t, nil)
		backup := w.live(t, o)
		w.remove(t, o)
		fresh := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": backup.Object["data"]}}
		fresh.SetName(o.ID.Name)
		fresh.SetLabels(backup.GetLabels())
		fresh.SetAnnotations(backup.GetAnnotations())
		made, err := w.of(o).Create(t.Context(), fresh, metav1.CreateOptions{FieldManager: "velero"})
		if err != nil {
			t.Fatal(err)
		}
		w.repo.commit(rendering(w.configMap("other", "1")))
		for range 4 {
			if _, err := p.pass(t); err != nil {
				t.Fatal(err)
			}
		}
		if uidOf(w.live(t, o)) != uidOf(made) {
			t.Error("a copy that a person made was deleted on the word of its marks")
		}
	})
}

// TestStaleReads answers nearly every read with what was true before.
func TestStaleReads(t *testing.T) {
	both(t, func(t *testing.T, v view) {
		w := shared(t)
		steady, changing := w.configMap("steady", "1"), func(n int) core.Object { return w.configMap("changing", fmt.Sprint(n)) }
		p := w.start(t, v)
		theirs := map[string]string{}
		for n := range 4 {
			objects := []core.Object{steady, changing(n)}
			if n%2 == 0 {
				objects = append(objects, w.configMap("blinks", "1"))
			}
			w.repo.commit(rendering(objects...))
			p.settle(t, nil)
			if n == 1 { // it is gone, and the name is somebody else's for a while
				u := w.make(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: blinks, namespace: %s}\ndata: {key: '1'}", w.name))
				theirs["blinks"] = uidOf(u)
			}
		}
		p.wire.Set(wire.Faults{Stale: 0.9, Rewind: 1})
		for range 30 {
			p.wire.Cut()
			if _, err := p.pass(t); err != nil && v == oneShot {
				t.Fatal(err)
			}
		}
		p.wire.Set(wire.Faults{})
		p.settle(t, nil)
		if uid := uidOf(w.live(t, w.configMap("blinks", ""))); uid != theirs["blinks"] {
			t.Error("what a person made was deleted on the word of an old answer")
		}
		p.stop()
		if len(w.deleted()) != 1 {
			t.Errorf("deleted %v, want the first one alone", w.deleted())
		}
	})
}

// TestStuckServer deletes an object, lets a person make another of its name, and
// then asks a server that stands still at the moment before: all it says is that
// the old one is there, ours, and to be deleted.
func TestStuckServer(t *testing.T) {
	w := shared(t)
	o := w.configMap("x", "1")
	w.repo.commit(rendering(w.configMap("steady", "1"), o))
	p := w.start(t, oneShot)
	p.settle(t, nil)
	w.repo.commit(rendering(w.configMap("steady", "1")))
	then := 0
	p.wire.Before(func(_ int, q *http.Request) {
		if q.Method == http.MethodDelete && then == 0 {
			then = w.past.Now()
		}
	})
	p.settle(t, nil)
	made := w.make(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: %s}", w.name))
	p.wire.Set(wire.Faults{Stuck: then})
	before := len(p.wire.Writes())
	for range 3 {
		if _, err := p.pass(t); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.wire.Writes()) == before {
		t.Error("no deletion was tried: the server was not stuck where it should be")
	}
	if live := w.live(t, o); live == nil || live.GetResourceVersion() != made.GetResourceVersion() {
		t.Errorf("what a person made was touched on the word of an old answer: %v", p.wire.Writes()[before:])
	}
	p.wire.Set(wire.Faults{})
	p.settle(t, nil)
}

// TestBackInTime has every watch go back to what it told long ago, again and again,
// while the repo stays as it is: nothing of it may reach the cluster.
func TestBackInTime(t *testing.T) {
	w := shared(t)
	p := w.start(t, watched)
	for n := range 3 {
		objects := []core.Object{w.configMap("a", fmt.Sprint(n)), w.configMap("b", fmt.Sprint(n))}
		w.repo.commit(rendering(objects[:1+(n+1)%2]...))
		p.settle(t, nil)
	}
	p.wire.Set(wire.Faults{Rewind: 1})
	before := len(p.wire.Writes())
	for range 10 {
		p.wire.Cut()
		p.sleep()
		if _, err := p.pass(t); err != nil {
			continue // a watch that was just cut is believed by nobody
		}
		if more := p.wire.Writes()[before:]; len(more) > 0 {
			t.Fatalf("old events were taken for news: %v", more)
		}
	}
	p.wire.Set(wire.Faults{})
	p.settle(t, nil)
	if more := p.wire.Writes()[before:]; len(more) > 0 {
		t.Errorf("old events were taken for news: %v", more)
	}
}

// TestDeaf loses events for good, as no server should: the safety net finds what
// happened within its interval.
func TestDeaf(t *testing.T) {
	w := shared(t)
	o := w.configMap("a", "1")
	w.repo.commit(rendering(o))
	p := w.start(t, watched, 2*time.Second)
	p.settle(t, nil)
	p.wire.Set(wire.Faults{Deaf: true})
	w.patch(t, o, `{"data":{"key":"edited"}}`)
	end := time.Now().Add(patience)
	for w.obeyed(t, o) != nil {
		if time.Now().After(end) {
			t.Fatal("never found")
		}
		if _, err := p.pass(t); err != nil {
			t.Fatal(err)
		}
		p.sleep()
	}
}

// TestLateSearch has a process search all kinds for what is ours on a server that lags,
// so that it misses an orphan of a kind which nothing renders any more. The search is done
// again within the interval of the safety net, and finds it.
func TestLateSearch(t *testing.T) {
	w := shared(t)
	kept := object("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: kept, namespace: " + w.name + "}")
	w.repo.commit(rendering(kept))
	p := w.start(t, watched)
	p.settle(t, nil)
	orphan := w.configMap("orphan", "1")
	w.repo.commit(rendering(orphan, kept))
	p.settle(t, nil)
	p.stop()
	w.repo.commit(rendering(kept))
	p = w.start(t, watched, 2*time.Second)
	p.wire.Set(wire.Faults{Stale: 1})
	if _, err := p.pass(t); err != nil {
		t.Fatal(err)
	}
	p.wire.Set(wire.Faults{})
	if w.live(t, orphan) == nil {
		t.Fatal("it is gone already: the search was not one of the past")
	}
	p.settle(t, nil)
}
