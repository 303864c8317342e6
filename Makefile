# Mainstem. `make help` lists the targets; Debian's make, git and Go are all that they need.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

## The version in the operator's first line of log and in its user agent.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
## Set to 1, `make demo` ends when the journey has ended, with its result as exit code.
ONCE ?=
## Which tests run, as `go test -run` takes it.
RUN ?=
## Which benchmarks run, as `go test -bench` takes it.
BENCH ?= .
## The packages with the benchmarks.
BENCH_PACKAGES ?= ./test/bench
## Where make bench writes its figures besides the table.
BENCH_JSON ?= $(BIN)/bench.json
## How many journeys make e2e runs at the same time; each mostly waits for Flux.
JOURNEYS ?= 24
## More flags for `go test`, such as -race (with CGO_ENABLED=1) or -count=1.
TEST_FLAGS ?=
## 0 builds without a C compiler; one value everywhere lets all targets share the build cache.
CGO_ENABLED ?= 0
export CGO_ENABLED

BIN := bin
TOOLS := $(BIN)/tools
CONTROLLER_GEN := $(TOOLS)/controller-gen
GOLANGCI_LINT := $(TOOLS)/golangci-lint
CRD_REF_DOCS := $(TOOLS)/crd-ref-docs
RIG := go run ./test/rig/cmd/rig

BOILERPLATE := hack/boilerplate.go.txt
CRD_DIR := config/crd/bases
API_DOCS := docs/reference/api.md
# Everything that a generator writes, for `make verify`.
GENERATED := $(patsubst %/,%/zz_generated.deepcopy.go,$(wildcard api/*/)) $(CRD_DIR) $(API_DOCS)

GO_TEST := go test $(TEST_FLAGS) $(if $(RUN),-run '$(RUN)')

##@ Everyday

.PHONY: help
help: ## List the targets and the variables.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5); next } \
	  /^## / { note = substr($$0, 4); next } \
	  /^[A-Z_]+ \?=/ { name = $$0; sub(/ .*/, "", name); variables = variables sprintf("  %-16s %s\n", name, note); next } \
	  /^[a-zA-Z0-9_-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 } \
	  END { printf "\nVariables (make TARGET NAME=value)\n%s", variables }' Makefile

.PHONY: build
build: ## Build the operator as bin/mainstem.
	@go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN)/mainstem ./cmd/mainstem

.PHONY: demo
demo: ## Watch a commit travel to production on a local rig; ONCE=1 exits when it has arrived.
	@go run ./test/demo $(if $(filter-out 0,$(ONCE)),--once)

.PHONY: clean
clean: ## Remove what make built, also the tools and the rig's binaries.
	@rm -rf $(BIN) dist cover.*

##@ Tests

.PHONY: test
test: ## Run unit and integration tests against a real API server.
	@assets=$$($(RIG) binaries --only envtest); \
	KUBEBUILDER_ASSETS="$$assets" $(GO_TEST) -timeout 20m ./...

.PHONY: test-unit
test-unit: ## Run the fast tests: no API server, no Flux.
	@packages=$$(go list ./... | grep -vE '/test/(bench|crash|demo|e2e|integration|rig)(/|$$)'); \
	$(GO_TEST) -timeout 5m $$packages

.PHONY: e2e
e2e: rig ## Run the journeys against a real control plane and real Flux, and kill the operator on the way.
	@$(GO_TEST) -tags e2e -count=1 -p 1 -parallel $(JOURNEYS) -timeout 30m -v ./test/e2e/... ./test/rig/...
	@assets=$$($(RIG) binaries --only envtest); \
	KUBEBUILDER_ASSETS="$$assets" $(GO_TEST) -tags e2e -count=1 -timeout 15m -v ./test/crash/...

.PHONY: bench
bench: rig ## Measure; BENCH chooses, docs/benchmarks.md says what came out.
	@BENCH_JSON='$(abspath $(BENCH_JSON))' go test $(TEST_FLAGS) -run '^$$' -bench '$(BENCH)' -benchtime 1x -timeout 90m $(BENCH_PACKAGES)

.PHONY: rig
rig: ## Fetch or build the control plane and Flux for e2e, bench and demo.
	@$(RIG) binaries

##@ Code

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Write the deep copies of the API types.
	@rm -f api/*/zz_generated.deepcopy.go # what is there and not marked as generated would be taken as written by hand
	@$(CONTROLLER_GEN) object:headerFile=$(BOILERPLATE) paths=./api/...

.PHONY: manifests
manifests: $(CONTROLLER_GEN) ## Write the CRDs from the markers in the code.
	@rm -f $(CRD_DIR)/*.yaml # a kind that is gone leaves nothing behind
	@$(CONTROLLER_GEN) crd:allowDangerousTypes=false paths=./api/... output:crd:dir=$(CRD_DIR)

.PHONY: api-docs
api-docs: $(CRD_REF_DOCS) ## Write docs/reference/api.md from the API types.
	@mkdir -p $(dir $(API_DOCS))
	@$(CRD_REF_DOCS) --config=hack/api-docs.yaml --log-level=WARN --source-path=api --renderer=markdown --output-path=$(API_DOCS)

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go code and group its imports.
	@$(GOLANGCI_LINT) fmt

.PHONY: vet
vet: ## Run go vet, also on the e2e tests.
	@go vet -tags e2e ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Check the Go code by the rules of .golangci.yaml.
	@$(GOLANGCI_LINT) run

.PHONY: verify
verify: ## Fail when generated code, manifests, docs or go.mod are not what the sources say.
	@hack/verify.sh $(GENERATED) -- $(MAKE) generate manifests api-docs
	@go mod tidy -diff || { echo "go.mod or go.sum is not tidy: commit what 'go mod tidy' writes" >&2; exit 1; }

# Tools are built from the versions in hack/tools/go.mod and again when that file changes.
tool-package-controller-gen := sigs.k8s.io/controller-tools/cmd/controller-gen
tool-package-crd-ref-docs := github.com/elastic/crd-ref-docs
tool-package-golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/%: hack/tools/go.mod hack/tools/go.sum
	@echo "building $* (once; golangci-lint takes some minutes)" >&2
	@cd hack/tools && go build -mod=readonly -trimpath -ldflags '-s -w' -o $(CURDIR)/$@ $(tool-package-$*)
	@touch $@
