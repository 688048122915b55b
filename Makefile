# All work is done by scripts/*; these are the names to remember.
#
#   make run     a real Envoy with the filter before a real Prometheus, two tenants, lines to paste; Ctrl-C ends it
#                (make run LISTEN_PORT=10000 ADMIN_PORT=9901 PROMETHEUS_PORT=9090 PAGES_PORT=10001 PAGES_ADMIN_PORT=9902;
#                MODULE=native for the native module; UPSTREAM=thanos puts a real Thanos between them, UPSTREAM=cortex
#                takes a real Cortex in place of Prometheus, on PROMETHEUS_PORT)
#   make test    all tests, after installing into ~/.cache/promql-tenancy-filter what they need
#   make build   dist/promql_tenancy_filter.wasm and dist/libpromql_tenancy_filter.so
#   make dist    the same with their checksums, the native module for x86-64 and aarch64, and an OCI image, made without a container engine
#   make lint    format, lints, and Envoy's check of every configuration
#   make fuzz    the fuzz targets, each for FUZZ_SECONDS (60); it needs cargo-fuzz
#   make bench   what the filter costs beside its alternatives, into docs/benchmarks.md (BENCH_ROUNDS=5 BENCH_SECONDS=2)

.PHONY: help run test build lint dist bench fuzz

help:
	@sed -n 's/^#  //p' Makefile

run test lint dist bench fuzz:
	@scripts/$@

build:
	@scripts/build
	@scripts/build-native
