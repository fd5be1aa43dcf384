package cluster_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"prumo.dev/prumo/internal/core"
)

// TestStill proves that a pass over what is in sync is answered by the one before,
// and that an event, another wish, or something that is due ends that.
func TestStill(t *testing.T) {
	w := newWatcher(t, time.Hour)
	ns := w.namespace(t)
	r := render(t, manyMaps(ns, 5)...)
	w.settle(t, r)
	look := func(r core.Rendering) *core.Observed {
		t.Helper()
		seen, err := w.view.ObserveToApply(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return &seen.Objects[0]
	}
	var last *core.Observed
	still := func() error {
		was := last
		if last = look(r); last != was {
			return fmt.Errorf("it was looked at anew")
		}
		return nil
	}
	until(t, "nothing moves", still)
	other := r
	other.Objects = slices.Clone(r.Objects)
	if look(other) == last {
		t.Error("what is wanted now was not looked at")
	}
	until(t, "nothing moves", still)
	w.patch(t, ns, "map-0", `{"data":{"key":"edited"}}`)
	until(t, "the edit is seen", func() error {
		if len(look(r).Conflicts) == 0 {
			return fmt.Errorf("it is still taken for what it was")
		}
		return nil
	})
}
