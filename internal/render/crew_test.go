package render

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Much work is shared out, and what comes of it does not depend on that.
func TestCrew(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	tree := common(t)
	for i := range 2 * muchWork {
		tree[fmt.Sprintf("boxes/b%d.yaml", i)] = boxYAML(fmt.Sprintf("b%d", i), 1+i%9) // 9 is a mistake
		tree[fmt.Sprintf("users/u%d.yaml", i)] = userYAML(fmt.Sprintf("u%d", i), fmt.Sprintf("b%d", i))
	}
	tree["boxes/c.cue"] = &fstest.MapFile{Data: []byte(`package boxes

import "prumo.dev/schemas"

c: [for i in [1, 2] {schemas.#Envelope & {apiVersion: schemas.#APIVersion, kind: "Box", metadata: name: "c\(i)", spec: size: i}}]
`)}
	alone := print(render(t, newRenderer(t), tree))
	runtime.GOMAXPROCS(maxWorkers)
	if diff := cmp.Diff(alone, print(render(t, newRenderer(t), tree))); diff != "" {
		t.Errorf("%d workers render something else than one (-one +%[1]d):\n%s", maxWorkers, diff)
	}
}

// Workers share no kinds.
func TestCrewKinds(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	r := newRenderer(t)
	repo, _, err := scan(t.Context(), common(t), r.limits)
	if err != nil {
		t.Fatal(err)
	}
	sh, problems := r.loadShared(repo)
	if sh == nil {
		t.Fatal(problems)
	}
	var mu sync.Mutex
	var seen []*shared
	two := make(chan struct{})
	meet := func(i int) task {
		return task{do: func(sh *shared) {
			mu.Lock()
			if len(seen) == 0 || len(seen) == 1 && seen[0] != sh {
				if seen = append(seen, sh); len(seen) == 2 {
					close(two)
				}
			}
			mu.Unlock()
			if i < muchWork {
				return
			}
			select {
			case <-two:
			case <-time.After(time.Minute):
				t.Error("no second worker")
			}
		}}
	}
	c := &crew{workers: [maxWorkers]*shared{sh}}
	if err := c.do(t.Context(), func(yield func(task) bool) {
		for i := range muchWork + 2 {
			yield(meet(i))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[0].loader == seen[1].loader || seen[0].kinds["Box"] == seen[1].kinds["Box"] {
		t.Errorf("workers %v, want two with kinds of their own", seen)
	}
}
