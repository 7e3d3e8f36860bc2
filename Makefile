# Every way to build, try and test av1-operator. `make help` lists the targets.
# Installs what is missing on a Debian-like machine with Rust, Go and root; caches heavy builds outside the checkout.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/av1-operator
export CARGO_TARGET_DIR ?= $(CACHE)/target
BIN := $(CARGO_TARGET_DIR)/debug
TOOLS := $(CACHE)/tools/bin
CARGO_DENY := $(TOOLS)/cargo-deny
CARGO_DENY_VERSION := 0.20.2

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

demo: binaries images cluster-up ## encode a sample library, or a copy of LIBRARY=DIR, on a real single-node Kubernetes; IN_PLACE=1: DIR itself
	@tests/demo/run $(if $(LIBRARY),--library "$(LIBRARY)") $(if $(IN_PLACE),--in-place) $(if $(YES),--yes)

demo-dashboards: binaries images cluster-up ## the demo, scraped by a real Prometheus, with every panel of the dashboards drawn
	@tests/dashboards/run --demo $(if $(LIBRARY),--library "$(LIBRARY)")

demo-down: ## remove every trace of the demo and the cluster
	@tests/demo/down

cluster-up: packages ## bring up the single-node Kubernetes
	@tests/cluster/up

cluster-down: ## stop it and remove every trace
	@tests/cluster/down

packages: ## install missing Debian packages
	@tests/packages

binaries: packages ## build agent, operator and plugin
	@cargo build --workspace --bins

images: binaries ## build the encoder and operator images without Docker
	@docker/build tools
	@docker/build encoder --agent $(BIN)/av1-agent
	@docker/build operator --binary $(BIN)/av1-operator

generate: packages ## write CRDs, reference and other generated files
	@cargo xtask gen

check: packages $(CARGO_DENY) ## fmt, clippy, licences, chart, generated files, tidy: quick
	@tests/check

test: ## the gate: checks, unit tests, faults, real media, end to end on the cluster
	@tests/run-all

test-faults: packages ## every fault at every step on ext4, xfs, btrfs, mergerfs, bindfs and exFAT; ARGS=NAME for one
	@tests/faults/file-systems $(ARGS)

test-media: ## a hundred small films of every kind through the real agent; CASES='hdr odd' for some
	@$(MAKE) binaries
	@tests/media/matrix/run $(CASES)

test-hostile: ## a hostile library through the real agent
	@$(MAKE) binaries
	@tests/media/hostile/run

test-chaos: ## what a cluster does to an operator: kills, evictions, drains, restarts, deletions, clocks; on the real one
	@tests/packages chaos
	@$(MAKE) images
	@tests/e2e/run chaos clock

test-modes: ## replacement modes, kept originals, another container and target quality, each once on the real cluster
	@$(MAKE) images
	@tests/e2e/run modes

test-dashboards: packages ## dashboards, rules and alerts, asked of a real Prometheus over a simulated history; ARGS='--pictures DIR' draws them
	@tests/dashboards/run $(ARGS)

fuzz: packages ## every parser of foreign text against damaged and random input; CASES=20000 inputs each
	@tests/fuzz/run $(CASES)

bench: ## the ratios of docs/benchmarks.md; ARGS=--json for a list of objects
	@$(MAKE) images >&2
	@cargo build --release --package av1-operator --package av1-agent
	@tests/bench/run $(ARGS)

$(CARGO_DENY): | packages
	@echo "cargo-deny $(CARGO_DENY_VERSION): compiling into $(CACHE)/tools (once)"
	@CARGO_TARGET_DIR=$(CACHE)/tools/target cargo install --quiet --debug --locked --root $(CACHE)/tools cargo-deny@$(CARGO_DENY_VERSION)

.PHONY: help demo demo-dashboards demo-down cluster-up cluster-down packages binaries images generate check test test-faults test-media test-hostile test-chaos test-modes test-dashboards fuzz bench
