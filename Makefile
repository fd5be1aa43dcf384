# Needs Go, git and gcc (for the race detector). `make demo` and `make test` are
# all that a newcomer types; the first run of either builds a Kubernetes control
# plane from source, once.

GO ?= go

.PHONY: build
build: ## bin/reconciler, static as in the image; with cgo it is a third larger, in memory too
	CGO_ENABLED=0 $(GO) build -o bin/reconciler ./cmd/reconciler

.PHONY: demo
demo: cluster build ## the whole story on a real local control plane
	bin/reconciler demo

.PHONY: test
test: cluster ## all tests, on a real control plane
	$(GO) test ./...

.PHONY: race
race: cluster ## all tests under the race detector
	$(GO) test -race -timeout 30m ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, go mod tidy
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	test/fuzz.sh

STEPS ?= 50000
SEED ?= 0
.PHONY: chaos
chaos: cluster ## STEPS random steps from SEED, every kill, and a whole simulated day
	$(GO) test -race -timeout 12h -v ./test/chaos -all -passes=2880 -steps=$(STEPS) -seed=$(SEED)

.PHONY: mutate
mutate: cluster ## break one check at a time: each must make a test fail
	$(GO) run ./test/mutation

CASE ?=
.PHONY: bench
bench: cluster ## measure all cases, or those in CASE (folders of test/bench); a missed bar is an error
	$(GO) run ./test/bench $(CASE)

.PHONY: cluster
cluster: ## the control plane's binaries, in the user's cache folder
	$(GO) run ./test/cluster/cmd/prumo-cluster build

.PHONY: image
image: ## an OCI image in dist/, without a container engine
	$(GO) run ./deploy/image

.PHONY: help
help:
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-10s %s\n", $$1, $$2}'
