package render

import (
	"fmt"
	"testing"
	"testing/fstest"
	"time"
)

// BenchmarkRender renders 1,000 specs, half of which need another: cold, with one
// file changed, and unchanged.
func BenchmarkRender(b *testing.B) {
	tree := common(b)
	for i := range 500 {
		tree[fmt.Sprintf("boxes/b%d.yaml", i)] = boxYAML(fmt.Sprintf("b%d", i), 2)
		tree[fmt.Sprintf("users/u%d.yaml", i)] = userYAML(fmt.Sprintf("u%d", i), fmt.Sprintf("b%d", i))
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			r := newRenderer(b)
			if out := render(b, r, tree); len(out.Objects) != 1000 {
				b.Fatal(len(out.Objects), out.Problems)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/spec")
	})
	b.Run("one", func(b *testing.B) {
		r := newRenderer(b)
		render(b, r, tree)
		n := 0
		for b.Loop() {
			n++
			tree["boxes/b7.yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, "# %d\n%s", n, boxYAML("b7", 2+n%2).Data)}
			render(b, r, tree)
		}
	})
	b.Run("none", func(b *testing.B) {
		r := newRenderer(b)
		render(b, r, tree)
		for b.Loop() {
			render(b, r, tree)
		}
	})
	b.Run("new", func(b *testing.B) {
		start := time.Now()
		for b.Loop() {
			newRenderer(b)
		}
		b.ReportMetric(float64(time.Since(start).Milliseconds())/float64(b.N), "ms")
	})
}
