package diff

import (
	"fmt"
	"testing"

	"prumo.dev/prumo/internal/core"
)

// BenchmarkMakeUnchanged is the pass in which nothing changed: 10,000 objects.
func BenchmarkMakeUnchanged(b *testing.B) {
	var obs core.Observation
	for i := range 10_000 {
		o := fixture{want: deployment, live: deployment, predicted: deployment, ours: true, managers: editedQuota}.observed(b)
		o.Object.ID.Name = fmt.Sprintf("web-%05d", i)
		obs.Objects = append(obs.Objects, o)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p := Make(core.Revision{}, obs, Options{}); !p.Empty() {
			b.Fatal("something changed")
		}
	}
}
