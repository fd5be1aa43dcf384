package cluster

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"prumo.dev/prumo/internal/core"
)

// refusedPause is the time between two tries to watch what we may not, or what is
// not there. Passes list it until then.
const refusedPause = time.Minute

// A scope says which objects of a kind are watched, and for what.
type scope int

const (
	scopeOurs  scope = iota // with our label, to compare
	scopeAll                // all, since nobody marks what is only expected
	scopeKinds              // all, by metadata alone: definitions of kinds
)

// A watchKey names a watch.
type watchKey struct {
	kind  schema.GroupVersionKind
	scope scope
}

// A watch keeps the records of one kind. Its fields are guarded by the lock of
// its Watched. It is what a reflector writes to.
type watch struct {
	w       *Watched
	key     watchKey
	cancel  context.CancelFunc
	records map[core.ObjectID]*record
	synced  bool  // there was a whole list
	err     error // of the last request; nil: it is listening
}

// start watches a kind until ctx ends. The reflector of client-go lists, watches,
// resumes, and lists anew after a gap or an expired resourceVersion.
func (w *Watched) start(ctx context.Context, key watchKey, r resource) *watch {
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, klog.Logger{})) // a pass says what fails
	t := &watch{w: w, key: key, cancel: cancel, records: map[core.ObjectID]*record{}}
	reflector := cache.NewReflectorWithOptions(t.source(r), nil, t, cache.ReflectorOptions{
		Name: r.String(), Logger: &klog.Logger{},
		Backoff: &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Steps: 6, Cap: 5 * time.Second, Jitter: 0.5},
	})
	w.running.Go(func() { reflector.RunWithContext(ctx) })
	return t
}

// listens reports whether the records can be believed, as far as a watch can.
func (t *watch) listens() bool { return t.synced && t.err == nil }

// source lists and watches, and notes what comes of it.
func (t *watch) source(r resource) *cache.ListWatch {
	selector := ""
	if t.key.scope == scopeOurs {
		selector = core.LabelOwner + "=" + t.w.c.instance
	}
	objects, names := t.w.c.objects.Resource(r.GroupVersionResource), t.w.c.metadata.Resource(r.GroupVersionResource)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (list runtime.Object, err error) {
			t.pause(ctx)
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			o.LabelSelector = selector
			if t.key.scope == scopeKinds {
				list, err = names.List(ctx, o)
			} else {
				list, err = objects.List(ctx, o)
			}
			t.told(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (stream apiwatch.Interface, err error) {
			t.pause(ctx)
			o.LabelSelector = selector
			if t.key.scope == scopeKinds {
				stream, err = names.Watch(ctx, o)
			} else {
				stream, err = objects.Watch(ctx, o)
			}
			if o.SendInitialEvents != nil && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)) {
				return nil, err // a server that cannot list by watching (KEP-3157): it is listed now
			}
			t.told(ctx, err)
			return stream, err
		},
	}
}

// pause waits for a while before what was refused is asked for again.
func (t *watch) pause(ctx context.Context) {
	t.w.mu.Lock()
	refused := t.err != nil && skippable(t.err) && !apierrors.IsServiceUnavailable(t.err)
	t.w.mu.Unlock()
	if refused {
		select {
		case <-ctx.Done():
		case <-time.After(refusedPause):
		}
	}
}

// told notes how a request ended. What begins or ends to fail is worth a pass.
func (t *watch) told(ctx context.Context, err error) {
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if (err == nil) != (t.err == nil) {
		t.w.poke()
	}
	if apierrors.IsNotFound(err) {
		t.w.renewed = true // its kind is gone
	}
	t.w.events++
	t.err = err
	t.w.changed.Broadcast()
}

// Transformer makes sightings of objects as they come, so that a first list never
// lies in memory in full. With the other methods of a store it makes a watch a
// cache.TransformingStore.
func (t *watch) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if u, ok := obj.(*unstructured.Unstructured); ok {
			return t.look(u), nil
		}
		return obj, nil
	}
}

// Add is an event of the watch.
func (t *watch) Add(obj any) error {
	obj, _ = t.Transformer()(obj)
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.put(obj)
	return nil
}

// Update is an event of the watch.
func (t *watch) Update(obj any) error { return t.Add(obj) }

// Delete is the event of an object that is gone, or has lost our label.
func (t *watch) Delete(obj any) error {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.events++
	if t.key.scope == scopeKinds {
		t.w.kindsChanged()
	} else if u, ok := obj.(*unstructured.Unstructured); ok {
		delete(t.records, idOf(u.Object))
		delete(t.w.memory.verdicts, idOf(u.Object))
		t.w.stir(idOf(u.Object))
	}
	t.w.poke()
	return nil
}

// Replace is a whole list: the first, or the one after a gap. After a gap, all
// that was known of the kind is verified again.
func (t *watch) Replace(list []any, _ string) error {
	for i := range list { // of a server that cannot list by watching
		list[i], _ = t.Transformer()(list[i])
	}
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.events++
	old := t.records
	t.records = make(map[core.ObjectID]*record, len(list))
	for _, obj := range list {
		if s, ok := obj.(*sighting); ok {
			if r := old[s.id]; r != nil {
				t.records[s.id] = r
			}
		}
		t.put(obj)
	}
	for id := range old {
		if t.records[id] == nil {
			delete(t.w.memory.verdicts, id)
		}
	}
	if t.synced {
		t.w.memory.doubt(t.key.kind.GroupKind())
		t.w.poke()
	}
	if t.key.scope == scopeKinds {
		t.w.kindsChanged()
	}
	t.synced = true
	t.w.changed.Broadcast()
	return nil
}

// Resync does nothing: there is no other store to bring up to date.
func (t *watch) Resync() error { return nil }
