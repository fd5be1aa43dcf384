package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"prumo.dev/prumo/test/bench/row"
	"prumo.dev/prumo/test/fleet"
)

const (
	quiet       = 5 * time.Second        // until what came before has settled
	idleFor     = 15 * time.Second       // a pass each second
	editCount   = 200                    // samples for a 99th percentile
	editGap     = 250 * time.Millisecond // between two edits, on average
	commitCount = 15
	seenWithin  = 30 * time.Second // or the bench gives up
	atRest      = 15 * time.Second // until a daemon has given back what a pass took
)

// idle counts what passes cost that find nothing.
func (w *world) idle(ctx context.Context) ([]row.Row, error) {
	if err := pause(ctx, quiet); err != nil {
		return nil, err
	}
	w.daemon.forget()
	before, err := w.api.requests(ctx)
	if err != nil {
		return nil, err
	}
	cpuBefore, err := w.daemon.cpu()
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, idleFor); err != nil {
		return nil, err
	}
	cpu, err := w.daemon.cpu()
	if err != nil {
		return nil, err
	}
	after, err := w.api.requests(ctx)
	if err != nil {
		return nil, err
	}
	passes := w.daemon.forget()
	if passes == 0 {
		return nil, fmt.Errorf("no pass in %s:\n%s", idleFor, w.daemon.log)
	}
	each := float64((cpu - cpuBefore).Microseconds()) / 1000 / float64(passes)
	return []row.Row{
		w.row("nothing changed", after.since(before).all, "requests").Below(1, "0"),
		w.row("nothing changed", each, "ms CPU/pass").Below(100, "< 100"),
	}, nil
}

var statefulSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}

// A stage is where the workloads of the fleet are watched.
type stage struct {
	sets    dynamic.NamespaceableResourceInterface
	mu      sync.Mutex
	waiting map[string]waiter // by namespace
}

// A waiter is closed once a workload is as wanted.
type waiter struct {
	wanted func(map[string]any) bool
	seen   chan struct{}
}

// watch watches all workloads until ctx ends.
func (w *world) watch(ctx context.Context) (*stage, error) {
	s := &stage{sets: w.people.Resource(statefulSets), waiting: map[string]waiter{}}
	list, err := s.sets.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, err
	}
	events, err := s.sets.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		return nil, err
	}
	go func() {
		for e := range events.ResultChan() {
			if u, ok := e.Object.(*unstructured.Unstructured); ok {
				s.saw(u)
			}
		}
	}()
	return s, nil
}

func (s *stage) saw(u *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.waiting[u.GetNamespace()]; ok && w.wanted(u.Object) {
		close(w.seen)
		delete(s.waiting, u.GetNamespace())
	}
}

// until is how long it takes until the workload of a namespace is as wanted.
func (s *stage) until(ctx context.Context, namespace string, wanted func(map[string]any) bool, begin func() error) (time.Duration, error) {
	seen := make(chan struct{})
	s.mu.Lock()
	s.waiting[namespace] = waiter{wanted, seen}
	s.mu.Unlock()
	start := time.Now()
	if err := begin(); err != nil {
		return 0, err
	}
	select {
	case <-seen:
		return time.Since(start), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(seenWithin):
		return 0, fmt.Errorf("the workload of %s is not as wanted within %s", namespace, seenWithin)
	}
}

// edits scales workloads by hand, at random times, and waits until each is scaled
// back.
func (w *world) edits(ctx context.Context) ([]row.Row, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := w.watch(ctx)
	if err != nil {
		return nil, err
	}
	took, errs := make([]time.Duration, min(editCount, w.pairs)), make([]error, min(editCount, w.pairs))
	var running sync.WaitGroup
	for i := range took {
		running.Go(func() { took[i], errs[i] = s.edit(ctx, fmt.Sprintf("t%05d", i)) })
		if err := pause(ctx, rand.N(2*editGap)); err != nil {
			return nil, err
		}
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(took)
	return []row.Row{
		w.row("live edit to corrected, median", took[len(took)/2].Seconds(), "s"),
		w.row("live edit to corrected, 99th percentile", took[len(took)*99/100].Seconds(), "s").Below(1, "< 1"),
	}, nil
}

// edit scales one workload as a person does. What is waited for is a second event
// with the number that is declared, or the one after the edit.
func (s *stage) edit(ctx context.Context, namespace string) (time.Duration, error) {
	edited := false
	return s.until(ctx, namespace, func(o map[string]any) bool {
		replicas, _, _ := unstructured.NestedInt64(o, "spec", "replicas")
		edited = edited || replicas == 3
		return edited && replicas == 1
	}, func() error {
		list, err := s.sets.Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 {
			return fmt.Errorf("the workload of %s: %d, %w", namespace, len(list.Items), err)
		}
		_, err = s.sets.Namespace(namespace).Patch(ctx, list.Items[0].GetName(), types.MergePatchType,
			[]byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
		return err
	})
}

// commits changes one file after the other, and waits until each is applied.
func (w *world) commits(ctx context.Context) ([]row.Row, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := w.watch(ctx)
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for i := range min(commitCount, w.pairs) {
		cpu := fmt.Sprint(5 + i%3)
		var moved time.Time
		_, err := s.until(ctx, fmt.Sprintf("t%05d", i), func(o map[string]any) bool { return requested(o) == cpu }, func() error {
			_, err := w.commit(map[string]string{fleet.ToolFile(i): fleet.Tool(i, 5+i%3)})
			moved = time.Now()
			return err
		})
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(moved))
		if err := pause(ctx, rand.N(time.Second)); err != nil {
			return nil, err
		}
	}
	slices.Sort(took)
	return []row.Row{
		w.row("one file changed to applied, median", took[len(took)/2].Seconds(), "s"),
		w.row("one file changed to applied, slowest", took[len(took)-1].Seconds(), "s").Below(2, "< 2"),
	}, nil
}

// requested are the cores that the first container of a workload asks for.
func requested(o map[string]any) string {
	containers, _, _ := unstructured.NestedSlice(o, "spec", "template", "spec", "containers")
	if len(containers) == 0 {
		return ""
	}
	first, _ := containers[0].(map[string]any)
	cpu, _, _ := unstructured.NestedString(first, "resources", "requests", "cpu")
	return cpu
}

// memory is what the daemons of this fleet hold and held.
func (w *world) memory(ctx context.Context) ([]row.Row, error) {
	if err := pause(ctx, atRest); err != nil {
		return nil, err
	}
	now, program, peak, err := w.daemon.memory()
	if err != nil {
		return nil, err
	}
	return []row.Row{
		w.row("resident memory, at rest", now, "MB").Below(150, "< 150"),
		w.row("resident memory, at rest, of it the file of the program", program, "MB"),
		w.row("resident memory, peak since a restart", peak, "MB"),
		w.row("resident memory, children that evaluate, peak", w.daemon.children.megabytes(), "MB"),
		w.row("resident memory, peak of the first apply", w.peak, "MB"),
	}, nil
}
