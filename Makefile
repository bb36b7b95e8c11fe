# Targets for people and for CI; a bare make lists them.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Images, binaries and the package cache of the demo; safe to delete.
BUILD := build
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 10s
# Of the mutations those that fit in CI's time.
CI_MUTATIONS ?= ^(restored|database|backup:|users|claims: (the old|any boot|an address|one that|an ended))
# No stamp of the checkout: builds are the same for root and for its owner.
export GOFLAGS += -buildvcs=false
MKIMAGE := go run ./pkg/image/cmd/mkimage
DEMO := go run ./pkg/sim/demo

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build drpd and drpcli into bin/, without cgo
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: setup
setup: ## install the distribution packages that tests and demo need
	@tools/setup

.PHONY: check
check: ## format, vet, all Go tests; no virtual machines
	@bad=$$(gofmt -l cmd content pkg); if [[ -n $$bad ]]; then echo "run gofmt -w on:" $$bad; exit 1; fi
	go vet ./...
	go test -timeout 10m ./...

.PHONY: test
test: setup check compat attack test-vm ## all tests: check, compat, attack, then one real machine (under 30 minutes on 2 cores)

.PHONY: test-vm
test-vm: ## simulated BMCs against independent clients, one QEMU machine from power-on to installed
	DRPD_LAB=1 go test -count=1 -p 1 -timeout 10m ./pkg/sim/lab
	$(DEMO) smoke

.PHONY: test-lab
test-lab: setup ## kills at every commit in process, disks of a real machine, the whole demo unattended, then again with kill -9 in the middle
	DRPD_KILL=all go test -count=1 -timeout 15m ./pkg/sim/inproc -run Kill
	DRPD_FREE=all go test -count=1 -timeout 120m ./pkg/sim/inproc -run 'FreeThroughCrashes|WipesFromEveryState'
	$(DEMO) disks
	$(DEMO) run --ci
	$(DEMO) kill

.PHONY: compat
compat: ## the unmodified drpcli and agent suite of Digital Rebar v4.7.0 against drpd
	cd compat && go vet ./... && go test ./... && go run .

.PHONY: mutate
mutate: ## break central decisions one at a time, two at once; each must turn a test red (about 15 minutes)
	go run ./pkg/sim/mutate

# What is longer than a test may be, and still belongs to every landing.
.PHONY: guard
guard: setup ## what CI runs besides test: the race detector on the core, the mutations named in CI_MUTATIONS
	go test -race -timeout 20m ./pkg/resource ./pkg/engine ./pkg/proof ./pkg/auth ./pkg/pool ./pkg/blank ./pkg/guard ./pkg/flexi ./pkg/callout
	go run ./pkg/sim/attack -broken -together
	go run ./pkg/sim/mutate -run '$(CI_MUTATIONS)'

.PHONY: attack
attack: ## a hostile host, machine and user against a real drpd in namespaces (root, under 3 minutes)
	go run ./pkg/sim/attack

.PHONY: attack-broken
attack-broken: ## breaks the guard of each attack in turn and shows that it then gets through (root)
	go run ./pkg/sim/attack -broken

.PHONY: race
race: ## all Go tests under the race detector (needs gcc)
	go test -race -timeout 20m ./...

# Making a find smaller takes a minute each if it may: then nothing else is tried.
.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s) each
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9]+' pkg | sed 's|/[^/]*_test.go:func | |' | \
	while read -r dir name; do \
		echo "fuzz $$dir $$name"; go test "./$$dir" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s </dev/null; \
	done

.PHONY: bench
bench: build ## micro-benchmarks, then the whole server at 100 to 10,000 machines into docs/performance.md (under 10 minutes)
	go test -run '^$$' -bench . -benchmem -benchtime 300ms ./pkg/resource ./pkg/store/... ./pkg/rest ./pkg/auth
	go run ./pkg/sim/bench -sizes 100,1000,5000,10000 -drpcli bin/drpcli -o docs/performance.md

.PHONY: lint
lint: ## golangci-lint (v2, install it yourself) with .golangci.yml
	golangci-lint run

.PHONY: images
images: setup build ## build the discovery image and the OS image into BUILD
	mkdir -p $(BUILD)/cache
	$(MKIMAGE) discovery -cache $(BUILD)/cache -set generic -agent bin/drpcli -out $(BUILD)/initrd.zst -kernel $(BUILD)/vmlinuz
	$(MKIMAGE) os -cache $(BUILD)/cache -drpcli bin/drpcli -out $(BUILD)/debian

.PHONY: demo
demo: setup ## a virtual rack becomes a cluster, goes back, and is restored (root); CI=1: then cleans up
	$(DEMO) run$(if $(CI), --ci)

.PHONY: demo-shell
demo-shell: ## a shell with drpcli logged in to the running demo
	$(DEMO) shell

.PHONY: demo-down
demo-down: ## stop the demo and remove its machines
	$(DEMO) down

.PHONY: clean
clean: ## remove what was built (images too)
	rm -rf bin $(BUILD)
