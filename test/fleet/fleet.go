// Package fleet makes infra repos of any size out of the built-in kinds, for
// benchmarks.
package fleet

import (
	"fmt"
	"strings"
)

// Shared are the files that every fleet has.
func Shared() map[string]string {
	return map[string]string{
		"cue.mod/module.cue": "module: \"fleet.example/infra@v0\"\nlanguage: version: \"v0.17.0\"\n" +
			"deps: \"prumo.dev/schemas@v0\": v: \"v0.1.0\"\n",
		"site.cue": site,
	}
}

const site = `package infra

import "prumo.dev/schemas"

site: schemas.#Site & {
	name: "fleet"
	zones: open: {allowEgress: true, maxClassification: "internal"}
	teams: vision: contact: "vision@fleet.example"
	currency:    "EUR"
	energyPrice: 0.21
}
`

// ObjectsPerPair is how many objects a pair of Tools renders to.
const ObjectsPerPair = 10

// Tools is a fleet of pairs, each a tool in a namespace of its own and a dataset that
// may be mounted there. No object needs another but its namespace: the engine would
// wait until a volume is bound, which nobody does on a bare API server.
func Tools(pairs int) map[string]string {
	files := Shared()
	for i := range pairs {
		files[ToolFile(i)] = Tool(i, 4)
		files[fmt.Sprintf("datasets/d%05d.yaml", i)] = fmt.Sprintf(dataset, i, fmt.Sprintf("t%05d", i), "")
	}
	return files
}

// ToolFile is the file of one tool of Tools.
func ToolFile(i int) string { return fmt.Sprintf("tools/t%05d.yaml", i) }

// Tool is one tool of Tools, with so many cores.
func Tool(i, cores int) string { return fmt.Sprintf(tool, i, cores) }

const tool = `apiVersion: prumo.dev/v1alpha1
kind: MLTool
metadata: {name: t%05[1]d}
spec:
  zone: open
  owner: vision
  purpose: tracking
  namespace: t%05[1]d
  image: registry.lab.example/ml/mlflow@sha256:fd3875e71b6d5080fd6a099a875d9395cb00f04de7865da0541edd84c82617a5
  args: [--host=0.0.0.0, --port=5000]
  env: {MLFLOW_WORKERS: "4"}
  port: 5000
  healthPath: /health
  auth: {mode: token}
  resources: {cpu: %[2]d, memoryGiB: 32}
  storage: {sizeGiB: 50, mountPath: /data}
`

const dataset = `apiVersion: prumo.dev/v1alpha1
kind: Dataset
metadata: {name: d%05[1]d}
spec:
  zone: open
  owner: vision
  steward: data office, data@fleet.example
  classification: internal
  personalData: anonymised
  source:
    nfs: {server: 10.20.0.10, path: /export/d%05[1]d}
  sizeGiB: 12000
  access:
    - {namespace: %[2]s, zone: open%[3]s}
`

// Mixed is a fleet of specs as labs have them: of each hundred, sixty nodes, six
// pools of them, ten datasets, and twenty-four tools, half of which need another.
func Mixed(specs int) map[string]string {
	files := Shared()
	pools := specs * 6 / 100
	for p := range pools {
		names := make([]string, 10)
		for n := range names {
			names[n] = fmt.Sprintf("n%04d-%d", p, n)
			files["nodes/"+names[n]+".yaml"] = fmt.Sprintf(node, names[n], p%40, p)
		}
		files[fmt.Sprintf("pools/p%04d.yaml", p)] = fmt.Sprintf(pool, p, strings.Join(names, ", "))
	}
	for d := range specs / 10 {
		p := d % pools
		files[fmt.Sprintf("datasets/d%05d.yaml", d)] = fmt.Sprintf(dataset, d, fmt.Sprintf("a%04d", p), fmt.Sprintf(", pool: p%04d", p))
	}
	tools := specs * 24 / 100
	for t := range tools {
		text := fmt.Sprintf(served, t, t%pools)
		if t >= tools/2 {
			text += fmt.Sprintf("  uses: [s%05d]\n", t-tools/2)
		}
		files[fmt.Sprintf("tools/s%05d.yaml", t)] = text
	}
	return files
}

const node = `apiVersion: prumo.dev/v1alpha1
kind: Node
metadata: {name: %s}
spec:
  zone: open
  role: gpu
  rack: r%d
  pool: p%04d
  cpuCores: 192
  memoryGiB: 2048
  localNVMeGiB: 28000
  gpu: {model: H100-80GB, count: 8, driver: {branch: "580"}}
  labels: {lab.example/fabric: infiniband}
  cost: {purchase: 268000, purchasedOn: "2025-03-18", ratedWatts: 10200, pue: 1.35}
`

const pool = `apiVersion: prumo.dev/v1alpha1
kind: GPUPool
metadata: {name: p%04[1]d}
spec:
  zone: open
  owner: vision
  nodes: [%[2]s]
  reservePercent: 10
  tenants:
    - {team: vision, namespace: a%04[1]d, gpus: 32, maxGPUsPerPod: 8, cpu: 256, memoryGiB: 2400}
    - {team: vision, namespace: b%04[1]d, gpus: 16, cpu: 160, memoryGiB: 1600, priority: low}
`

const served = `apiVersion: prumo.dev/v1alpha1
kind: MLTool
metadata: {name: s%05[1]d}
spec:
  zone: open
  owner: vision
  purpose: serving
  namespace: a%04[2]d
  image: registry.lab.example/ml/vllm@sha256:eb24a7506e554d2109beba1e57afeb4627e59dc72bab41b0871d3ab250dae85a
  args: [--host=0.0.0.0, --port=8000]
  env: {HF_HOME: /tmp/hf, VLLM_LOGGING_LEVEL: info}
  port: 8000
  healthPath: /health
  auth: {mode: token}
  resources: {cpu: 8, memoryGiB: 64}
  gpu: {pool: p%04[2]d, count: 1}
  datasets: [{name: d%05[2]d}]
  allowFrom: [ingress-nginx]
`
