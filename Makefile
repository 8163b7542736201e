# Every routine task of the package, each one command. `make help` lists them.
#
# DEMO_ARGS goes to the demo, TRAIN_ARGS to the training, BENCH_ARGS to the benchmark runner or the comparison, for
# example
#   make demo DEMO_ARGS="--picture photo.png"
#   make train TRAIN_ARGS="--steps 2000 --output long-run"
#   make bench BENCH_ARGS="--filter attention"
#   make bench-attention PYTHON=venv/bin/python BENCH_ARGS="--filter 'dense D128'"

PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help demo train test lint format sanitize sanitize-kernels sanitize-host docs bench bench-attention \
  bench-linear-cross-entropy bench-matmul deps clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-26s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Run the three operations on a photograph and real text (about a minute on 2 cores)
	@Scripts/ensure-dependencies.sh run
	swift run -c release tilecl-demo $(DEMO_ARGS)

train: ## Train a small transformer on this package's own text (3 to 4 minutes on 2 cores)
	@Scripts/ensure-dependencies.sh run
	swift run -c release tilecl train --require-baselines $(TRAIN_ARGS)

test: ## Run all tests: cold and warm program cache, then with no OpenCL visible
	@Scripts/ensure-dependencies.sh run
	@Scripts/test.sh

lint: ## Check Swift formatting, every kernel file alone, the embedded file list, and the examples in the text
	@Scripts/lint.sh

format: ## Format the Swift sources in place
	swift format --in-place --recursive --parallel Sources Tests Snippets Benchmarks Package.swift

sanitize: sanitize-kernels sanitize-host ## Run both sanitizer targets below

sanitize-kernels: ## Run every portable kernel in Oclgrind: races between work-items, reads and writes out of bounds
	@Scripts/ensure-dependencies.sh sanitize
	@Scripts/sanitize-kernels.sh

sanitize-host: ## Run the tests under AddressSanitizer and ThreadSanitizer
	@Scripts/ensure-dependencies.sh run
	@Scripts/sanitize-host.sh

docs: ## Build the documentation, dead links being errors
	@Scripts/ensure-dependencies.sh run
	@Scripts/docs.sh

bench: ## Run the benchmarks of the nested package Benchmarks/
	@Scripts/ensure-dependencies.sh run
	swift package --package-path Benchmarks benchmark $(BENCH_ARGS)

bench-attention: ## Time attention beside PyTorch's on this device, compare and plot (PYTHON must have PyTorch)
bench-linear-cross-entropy: ## The same for linear cross-entropy
bench-matmul: ## The same for matrix products
bench-attention bench-linear-cross-entropy bench-matmul:
	@Scripts/ensure-dependencies.sh run
	swift build -c release --product tilecl
	$(PYTHON) Benchmarks/compare .build/release/tilecl --operation $(@:bench-%=%) $(BENCH_ARGS)

deps: ## Install the system packages that building, testing and sanitizing need
	@Scripts/ensure-dependencies.sh sanitize

clean: ## Remove build products and the output of demo and training
	rm -rf .build .build-tests .build-asan .build-tsan Benchmarks/.build Benchmarks/.benchmarkBaselines demo-output train-output
