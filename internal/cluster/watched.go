package cluster

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"prumo.dev/prumo/internal/core"
)

const (
	// debounce is how long a wake waits for more of the same: an edit of ten
	// objects is one pass.
	debounce = 100 * time.Millisecond

	// verifiedPerPass bounds how much of what is due to be verified a pass takes
	// on, so that a change never waits for it long.
	verifiedPerPass = 256

	// kindsLag is how long a kind may take to be served after its definition says
	// that it is, and kindsRetry how often it is looked for until then. Where we may
	// not watch definitions, a missing kind is looked for every kindsPoll.
	kindsLag   = 15 * time.Second
	kindsRetry = 500 * time.Millisecond
	kindsPoll  = 10 * time.Second
)

var definitions = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// A Watched is a cluster whose objects are watched, so that a pass over what did
// not change sends nothing.
type Watched struct {
	c       *Cluster
	ctx     context.Context // of the watches
	wake    chan struct{}
	limit   time.Duration // see patience
	running sync.WaitGroup
	passing sync.Mutex // one Observe at a time

	mu       sync.Mutex
	stirred  chan struct{} // a snag may be due
	changed  *sync.Cond    // a watch was told something
	watches  map[watchKey]*watch
	memory   *memory
	resting  map[core.ObjectID]bool // others fight over them: what happens to them wakes nobody
	poked    bool                   // a wake is under way
	renewed  bool                   // what is served may have changed
	events   uint64                 // of the watches, and of what was applied; counts
	still    *still                 // nil: something moves
	later    *time.Timer
	lagging  time.Time // until when a new kind may appear
	nextScan time.Time // when all kinds are searched again for what is ours
}

// Watch returns a view of the cluster that is kept by watches until ctx ends.
// All that it remembers is verified anew within about every, and what a watch
// missed with it.
func (c *Cluster) Watch(ctx context.Context, every time.Duration) *Watched {
	w := &Watched{
		c: c, ctx: ctx, limit: passPatience, wake: make(chan struct{}, 1), stirred: make(chan struct{}, 1),
		watches: map[watchKey]*watch{}, memory: newMemory(every), resting: map[core.ObjectID]bool{},
	}
	w.changed = sync.NewCond(&w.mu)
	w.running.Go(w.retry)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied = w.applied
	return w
}

// Wake receives when something may have changed, soon after it did.
func (w *Watched) Wake() <-chan struct{} { return w.wake }

// Wait returns when all watches have ended, which they do after their context.
func (w *Watched) Wait() { w.running.Wait() }

// Observe is Cluster.Observe from memory: the server is asked only about what
// changed since it was last asked, and what is new.
func (w *Watched) Observe(ctx context.Context, r core.Rendering) (core.Observation, error) {
	return w.observe(ctx, r, false)
}

// ObserveToApply is Cluster.ObserveToApply from memory. What could not be applied
// the last time is asked about.
func (w *Watched) ObserveToApply(ctx context.Context, r core.Rendering) (core.Observation, error) {
	return w.observe(ctx, r, true)
}

func (w *Watched) observe(ctx context.Context, r core.Rendering, toApply bool) (core.Observation, error) {
	w.passing.Lock()
	defer w.passing.Unlock()
	if seen, ok := w.unchanged(r, toApply); ok {
		return seen, nil
	}
	p := newPass(w.c, r)
	p.toApply = toApply
	events := w.wish(p)
	p.patience.limit, p.patience.late = w.limit, map[core.ObjectID]bool{}
	p.known, p.expected, p.cached = map[core.ObjectID]core.Observed{}, map[core.ObjectID]map[string]any{}, map[core.ObjectID]bool{}
	for _, step := range []func(context.Context, *pass) error{w.discover, w.follow, w.recall} {
		if err := step(ctx, p); err != nil {
			return core.Observation{}, w.c.fault(ctx, err)
		}
	}
	if err := p.fetch(ctx); err != nil {
		return core.Observation{}, w.c.fault(ctx, err)
	}
	objects, err := p.predict(ctx)
	if err == nil {
		err = w.confirm(ctx, p)
	}
	if err != nil {
		return core.Observation{}, w.c.fault(ctx, err)
	}
	w.remember(p, objects)
	seen := p.observation(ctx, objects)
	w.keepStill(p, events, seen)
	return seen, nil
}

// wish notes what a pass wants that applies, against which events are held. It
// returns how many there were so far.
func (w *Watched) wish(p *pass) (events uint64) {
	if !p.toApply {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.events
	}
	wishes := make(map[core.ObjectID]*core.Object, len(p.r.Objects))
	for i := range p.r.Objects {
		wishes[p.r.Objects[i].ID] = &p.r.Objects[i]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.memory.wishes = wishes
	return w.events
}

// Pods is Cluster.Pods: nobody watches pods.
func (w *Watched) Pods(ctx context.Context, q core.PodQuery) ([]core.Pod, error) {
	return w.c.Pods(ctx, q)
}

// poke wakes the loop, after a moment. The lock is held.
func (w *Watched) poke() {
	if w.poked {
		return
	}
	w.poked = true
	time.AfterFunc(debounce, func() {
		w.mu.Lock()
		w.poked = false
		w.mu.Unlock()
		select {
		case w.wake <- struct{}{}:
		default:
		}
	})
}

// kindsChanged notes that what is served changes about now. The lock is held.
func (w *Watched) kindsChanged() {
	w.events++
	w.renewed, w.lagging = true, time.Now().Add(kindsLag)
	w.stir(core.ObjectID{})
}

// discover asks what is served, if that may have changed or a kind is missing.
func (w *Watched) discover(ctx context.Context, p *pass) error {
	w.mu.Lock()
	renewed := w.renewed || time.Now().After(w.nextScan)
	w.renewed = false
	w.mu.Unlock()
	if renewed {
		if err := w.c.Refresh(ctx); err != nil {
			w.mu.Lock()
			w.renewed = true
			w.mu.Unlock()
			return err
		}
	}
	if err := p.discover(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(slices.Concat(p.r.Objects, p.r.Expects), func(o core.Object) bool { return !p.api.has(o) }) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.expectKinds(p.api)
	}
	return nil
}

// expectKinds sees to it that a kind which is missing is noticed when it comes: by
// a watch of definitions or, where we may not, by asking again. The lock is held.
func (w *Watched) expectKinds(api *served) {
	key := watchKey{definitions, scopeKinds}
	w.begin(api, key)
	again := kindsPoll
	switch {
	case time.Now().Before(w.lagging):
		again = kindsRetry
	case w.watches[key] != nil && w.watches[key].err == nil:
		return
	}
	if w.later != nil {
		w.later.Stop()
	}
	w.later = time.AfterFunc(again, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.poke()
	})
}

// applied is told of each object that was really applied, or could not be.
func (w *Watched) applied(manifest, after map[string]any, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events++
	w.memory.applied(manifest, after, err)
	w.hurry()
}

// remember keeps what the server said in this pass.
func (w *Watched) remember(p *pass, objects []core.Observed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.memory.sent)
	w.memory.forget()
	for _, o := range objects {
		if o.Manifest != nil {
			w.memory.sent[o.Object.ID] = sent{o.Object, manifestDigest(o.Manifest)}
		}
		if _, known := p.known[o.Object.ID]; known {
			continue
		}
		if isSnag(o) && (p.asked[o.Object.ID] || p.refused[o.Object.ID] != (Denial{})) {
			w.memory.met(o)
		}
		if !w.memory.observed(o) {
			continue
		}
		if r := w.record(o.Object); r != nil && w.memory.knows(o.Object.ID, r.digest) {
			r.full, r.seen = nil, false
		}
	}
	w.hurry()
	maps.DeleteFunc(w.memory.failed, func(id core.ObjectID, _ bool) bool { return w.memory.sent[id].manifest == digest{} })
}

// record is what the watch of its kind knows of an object, or nil.
func (w *Watched) record(o core.Object) *record {
	if t := w.watches[watchKey{kindOf(o), scopeOurs}]; t != nil && t.listens() {
		return t.records[o.ID]
	}
	return nil
}

// between is a time about every, so that not all falls due at once.
func between(every time.Duration) time.Duration { return every*3/4 + rand.N(every/2+1) }
