package render

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// fleet is a tree of some 5,000 mixed specs and 12,000 objects per 100 %: machines,
// the pools that share them, datasets that the pools' tenants mount, and tools that
// take GPUs, mount datasets and call each other.
func fleet(t testing.TB, percent int) fstest.MapFS {
	tree := common(t)
	delete(tree, "kinds/kinds.cue")
	put := func(kind, name, spec string) {
		tree[fmt.Sprintf("%ss/%s.yaml", strings.ToLower(kind), name)] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"apiVersion: prumo.dev/v1alpha1\nkind: %s\nmetadata:\n  name: %s\nspec:\n  zone: open\n%s", kind, name, spec)}
	}
	for i := range 3 * percent {
		for n := range 10 {
			put("Node", fmt.Sprintf("n%d-%d", i, n), fmt.Sprintf(fleetNode, i%40, i))
		}
		var nodes []string
		for n := range 10 {
			nodes = append(nodes, fmt.Sprintf("n%d-%d", i, n))
		}
		put("GPUPool", fmt.Sprintf("p%d", i), fmt.Sprintf(fleetPool, strings.Join(nodes, ", "), i))
	}
	for i := range 5 * percent {
		put("Dataset", fmt.Sprintf("d%d", i), fmt.Sprintf(fleetDataset, i, i%(3*percent)))
	}
	for i := range 12 * percent {
		p := i % (3 * percent)
		spec := fmt.Sprintf(fleetTool, p, p, p)
		if i >= 6*percent {
			spec += fmt.Sprintf("  uses: [t%d]\n", i-6*percent)
		}
		put("MLTool", fmt.Sprintf("t%d", i), spec)
	}
	return tree
}

const (
	fleetNode = `  role: gpu
  rack: r%d
  pool: p%d
  cpuCores: 192
  memoryGiB: 2048
  localNVMeGiB: 28000
  gpu: {model: H100-80GB, count: 8, driver: {branch: "580"}}
  labels: {lab.example/fabric: infiniband}
  cost: {purchase: 268000, purchasedOn: "2025-03-18", ratedWatts: 10200, pue: 1.35}
`
	fleetPool = `  owner: vision
  nodes: [%s]
  reservePercent: 10
  tenants:
    - {team: vision, namespace: a%[2]d, gpus: 32, maxGPUsPerPod: 8, cpu: 256, memoryGiB: 2400}
    - {team: vision, namespace: b%[2]d, gpus: 16, cpu: 160, memoryGiB: 1600, priority: low}
`
	fleetDataset = `  owner: vision
  steward: data office, data@lab.example
  description: stills of the city
  classification: internal
  personalData: anonymised
  source:
    nfs: {server: 10.20.0.10, path: /export/d%d}
  sizeGiB: 12000
  access:
    - {namespace: a%[2]d, zone: open, pool: p%[2]d}
`
	fleetTool = `  owner: vision
  purpose: serving
  namespace: a%d
  image: registry.lab.example/ml/vllm@sha256:eb24a7506e554d2109beba1e57afeb4627e59dc72bab41b0871d3ab250dae85a
  args: [--host=0.0.0.0, --port=8000]
  env: {HF_HOME: /tmp/hf, VLLM_LOGGING_LEVEL: info}
  port: 8000
  healthPath: /health
  auth: {mode: token}
  resources: {cpu: 8, memoryGiB: 64}
  gpu: {pool: p%d, count: 1}
  datasets: [{name: d%d}]
  allowFrom: [ingress-nginx]
`
)

// BenchmarkRender renders the fleet: cold, with one file changed, and unchanged. Its
// CPU time is what it costs on a machine that others use too.
func BenchmarkRender(b *testing.B) {
	const percent = 20
	tree := fleet(b, percent)
	b.Run("cold", func(b *testing.B) {
		start := cpuTime()
		for b.Loop() {
			out := render(b, newRenderer(b), tree)
			if len(out.Specs) != 50*percent || len(out.Problems) > 0 {
				b.Fatal(len(out.Specs), out.Problems)
			}
		}
		b.ReportMetric(float64((cpuTime()-start).Milliseconds())/float64(b.N), "cpu-ms/op")
	})
	b.Run("one", func(b *testing.B) {
		r := newRenderer(b)
		render(b, r, tree)
		n := 0
		src := tree["nodes/n0-0.yaml"].Data
		for b.Loop() {
			n++
			tree["nodes/n0-0.yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, "# %d\n%s", n, src)}
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
