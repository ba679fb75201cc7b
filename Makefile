# SPDX-License-Identifier: GPL-2.0
#
# dibs: Direct Internal Buffer Sharing.  `make help` lists the targets.

VARIANT ?= x86
ARCH ?= x86_64

help: ## this list
	@awk -F': .*## |: ## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  VARIANT=x86|x86-debug|x86-kcsan|x86-console|x86-base|s390|s390-debug|s390-base   for build, selftest and shell"
	@echo "  DIBS_BUILD=DIR   where everything is built (build/)"
	@echo "  ACCEL=kvm|tcg    how guests run (tried out if not set)"

demo: ## unmodified applications over SMC-D on a kernel built from here
	@scripts/demo.sh

demo-ism: ## SMC-D between two s390x guests over emulated ISM functions
	@scripts/demo-ism.sh

check: ## build, lint and test everything but what takes hours
	@scripts/check.sh

check-long: ## the same with KCSAN, many more rounds, and every commit built
	@scripts/check.sh long

bench: ## SMC-D over dibs against TCP, AF_UNIX, the base kernel; two guests
	@scripts/bench.sh

kunit: ## the KUnit suites
	@scripts/kernel.sh x86
	@scripts/kernel.sh s390
	@scripts/kunit.sh

selftest: ## the kselftests in guests
	@scripts/kernel.sh $(VARIANT)
	@scripts/selftest.sh $(VARIANT)

fabric: ## the fabric daemon and its own tests
	@scripts/fabric.sh

pair: ## tests of two and of three guests on fabrics
	@scripts/kernel.sh $(VARIANT)
	@scripts/pair-test.sh $(VARIANT)
	@scripts/trio-test.sh $(VARIANT)

console: ## tests of a console over dibs between two guests
	@scripts/kernel.sh x86
	@scripts/console-test.sh

lint: ## checkpatch, sparse, W=1, coccicheck, kernel-doc, shellcheck
	@scripts/lint.sh

tree: ## the base kernel with the series applied, in build/tree
	@scripts/tree.sh

refresh: ## write edits made in build/tree back to here
	@scripts/refresh.sh

build: ## a kernel, in build/o-VARIANT
	@scripts/kernel.sh $(VARIANT)

shell: ## a guest to play in
	@scripts/kernel.sh $(if $(filter s390x,$(ARCH)),s390,$(VARIANT))
	@scripts/shell.sh $(if $(filter s390x,$(ARCH)),s390,$(VARIANT))

series: ## the patches to mail, in build/series
	@scripts/series.sh

series-check: ## builds each of them, dibs built in, as modules and off
	@scripts/series.sh check

clean: ## remove what was built, downloads included
	@scripts/clean.sh

.PHONY: help demo demo-ism check check-long bench kunit selftest fabric pair console lint tree refresh \
	build shell series series-check clean
