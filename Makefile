# Access Entry Guard: what a developer runs. `make` lists the targets.
#
# Needed: Rust (rustup's toolchain with rustfmt and clippy) and Python 3.10 or later with its venv module. Everything else
# is installed into .venv/ here, at pinned versions.

PYTHON ?= python3
VENV := .venv
VENV_READY := $(VENV)/.ready
REQUIREMENTS := tests/deployed/requirements.txt

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
DEBUG_BOOTSTRAP := $(TARGET)/debug/bootstrap
RELEASE_BOOTSTRAP := $(TARGET)/release/bootstrap

# The scenario test that tells the story against an AWS that binds role IDs.
STORY := story::

# The AWS of the scenarios as a program: a package of its own, built beside the function.
LOCAL_AWS_TARGET := $(TARGET)/local_aws
LOCAL_AWS := $(LOCAL_AWS_TARGET)/debug/local-aws
LIVE_PYTEST := PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python -m pytest tests/live

PYTEST := PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python -m pytest tests/deployed

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo check test lint deployed budgets clean event check-entry inventory-csv inventory-markdown live-test live-tested

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' Makefile

demo: ## The story, told twice: on a local AWS emulator, and on a strict AWS in the process
	@if [ -f $(VENV_READY) ] && [ -f $(DEBUG_BOOTSTRAP) ]; \
	  then echo "This takes about half a minute, and a little more where something is to be compiled."; \
	  else echo "The first time this takes about five minutes on two cores: it installs the emulator into $(VENV)/ and compiles the function. After that, half a minute."; fi
	@$(MAKE) --no-print-directory $(VENV_READY)
	@echo "Compiling the function and its scenarios (development profile) ..."
	@cargo test --locked --no-run --test scenarios
	@BOOTSTRAP=$(DEBUG_BOOTSTRAP) PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python tests/deployed/demo.py
	@printf '\nACT 2 of 2: the same story on a strict AWS inside the test process, which binds role IDs as EKS does\n\n'
	@cargo test --locked --quiet --test scenarios -- --nocapture $(STORY)
	@printf '\nBoth acts went as they should. Nothing was left running.\n'

check: ## The fast part of `make test`: format, clippy, unit, property and scenario tests
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked

test: $(VENV_READY) lint budgets check ## Everything: check, template, sizes, and the packaged function on an emulator
	BOOTSTRAP=$(RELEASE_BOOTSTRAP) $(PYTEST)
	@$(MAKE) --no-print-directory live-tested BOOTSTRAP=$(RELEASE_BOOTSTRAP)

lint: $(VENV_READY) ## cfn-lint on the template
	$(VENV)/bin/cfn-lint template.yaml

deployed: $(VENV_READY) ## The deployed tests alone, with a development build
	cargo build --locked --bin bootstrap
	BOOTSTRAP=$(DEBUG_BOOTSTRAP) $(PYTEST)

live-tested: $(VENV_READY) ## The tests of `make live-test`, against the AWS of the scenarios on loopback ports
	@[ -n '$(BOOTSTRAP)' ] || cargo build --locked --bin bootstrap
	cargo build --locked --manifest-path tests/local_aws/Cargo.toml --bin local-aws --target-dir $(LOCAL_AWS_TARGET)
	LOCAL_AWS=$(LOCAL_AWS) BOOTSTRAP=$(or $(BOOTSTRAP),$(DEBUG_BOOTSTRAP)) $(LIVE_PYTEST)

budgets: ## Build for release; binary under 8 MB, zip under 4 MB, peak memory on 500 clusters under 32 MB
	cargo build --release --locked --bin bootstrap
	@$(PYTHON) tests/bench/size.py $(RELEASE_BOOTSTRAP)
	@$(PYTHON) tests/bench/memory.py $(RELEASE_BOOTSTRAP)

# What follows asks AWS, with the AWS CLI and the caller's credentials. FUNCTION is a name or an ARN; FUNCTION_REGION its
# Region, where it is neither in the ARN nor the CLI's own. make ends with status 2 whatever a script ended with: where the
# status matters, call the script.
FUNCTION ?= access-entry-guard
INVOCATION = --function '$(FUNCTION)' --function-region '$(FUNCTION_REGION)' \
  --principal '$(PRINCIPAL)' --cluster '$(CLUSTER)' --region '$(REGION)'

event: ## An event for a role of your account, as JSON: ROLE_NAME=node [EVENT=CreateRole|DeleteRole]
	@$(PYTHON) tests/tools/event.py '$(ROLE_NAME)' $(EVENT)

check-entry: ## Are access entries good? [PRINCIPAL=arn] [CLUSTER=name] [REGION=its Region] [ACCEPT=reasons] [FUNCTION=name]
	@$(PYTHON) tests/tools/check_entry.py $(INVOCATION) --accept '$(ACCEPT)'

inventory-csv: ## Who has access to which cluster, as CSV: [PRINCIPAL=arn] [CLUSTER=name] [REGION=its Region] [FUNCTION=name]
	@$(PYTHON) tests/tools/inventory.py $(INVOCATION) --format csv

inventory-markdown: ## The same as a Markdown table
	@$(PYTHON) tests/tools/inventory.py $(INVOCATION) --format markdown

# Proof in an account of your own: see "Prove it in your account" in README.md.
LIVE_PYTHON = $(VENV)/bin/python
live-test: $(VENV_READY) ## Prove it in a sandbox account: CLUSTER=name REGION=its Region [SANDBOX=account ID] [INVOKE=1] [APPROVE=1] [NODE=1]
	@PYTHONDONTWRITEBYTECODE=1 $(LIVE_PYTHON) tests/live/live_test.py --cluster '$(CLUSTER)' --region '$(REGION)' \
	  --sandbox '$(SANDBOX)' --function '$(FUNCTION)' --function-region '$(FUNCTION_REGION)' --alias '$(ALIAS)' \
	  $(if $(INVOKE),--invoke) $(if $(APPROVE),--approve) $(if $(NODE),--node) $(if $(TIMEOUT),--timeout '$(TIMEOUT)') \
	  $(if $(OBSERVE),--observe '$(OBSERVE)') --boundary '$(BOUNDARY)'

clean: ## Remove what was built and installed here
	cargo clean
	rm -rf $(VENV)

$(VENV_READY): $(REQUIREMENTS)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing the emulator and the linters into $(VENV)/ (about half a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $(REQUIREMENTS)
	@touch $@
