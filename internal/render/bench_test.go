package render

import (
	"fmt"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"prumo.dev/prumo/test/fleet"
)

// BenchmarkRender renders the fleet: cold, with one file changed, and unchanged. Its
// CPU time is what it costs on a machine that others use too.
func BenchmarkRender(b *testing.B) {
	const specs = 1000
	tree := fstest.MapFS{}
	for name, text := range fleet.Mixed(specs) {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	b.Run("cold", func(b *testing.B) {
		start := cpuTime()
		for b.Loop() {
			out := render(b, newRenderer(b), tree)
			if len(out.Specs) != specs || len(out.Problems) > 0 {
				b.Fatal(len(out.Specs), out.Problems)
			}
		}
		b.ReportMetric(float64((cpuTime()-start).Milliseconds())/float64(b.N), "cpu-ms/op")
	})
	b.Run("one", func(b *testing.B) {
		r := newRenderer(b)
		render(b, r, tree)
		n := 0
		src := tree["nodes/n0000-0.yaml"].Data
		for b.Loop() {
			n++
			tree["nodes/n0000-0.yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, "# %d\n%s", n, src)}
			render(b, r, tree)
		}
	})
	b.Run("none", func(b *testing.B) {
		b.ReportAllocs()
		r := newRenderer(b)
		render(b, r, tree)
		for b.Loop() {
			render(b, r, tree)
		}
	})
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
