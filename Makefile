# Two commands: `make serve` and `make test`. Each sets up what it needs, and is quick when that is there.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help serve test coverage faults interop charts lint format bench docs pictures catalogues lock wheel image sbom audit clean bench-peers

VENV := .venv
BIN := $(VENV)/bin
# The first interpreter of 3.11 or later; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$python"; break; }; done)

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

serve: $(VENV)/.server  ## Set everything up and serve on http://127.0.0.1:8080
	@exec $(BIN)/idp serve

# In CI the run is measured, and fails where it reaches less of idp/ than the gate in pyproject.toml.
test: $(VENV)/.dev  ## Set everything up and run every test
ifdef CI
	@$(MAKE) --no-print-directory coverage
else
	@$(BIN)/python -m tests.prepare
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)
endif

coverage: $(VENV)/.dev  ## Run every test as `test` does, and fail when they reach less of idp/ than the gate in pyproject.toml
	@rm -rf build/coverage
	@mkdir -p build/coverage
	@$(BIN)/python -m tests.prepare
	@$(BIN)/coverage run -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

faults: $(VENV)/.dev  ## Try faults for longer than the tests do, and planted bugs; writes docs/reliability.md (takes an hour and a half)
	@$(BIN)/python -m tests.faults $(ARGS)

interop: $(VENV)/.dev  ## Build clients in Java and Go and try them; writes docs/interop.md (takes minutes)
	@INTEROP=write $(BIN)/python -m pytest -p no:randomly tests/interop/built $(ARGS)

charts: $(VENV)/.dev  ## Build Helm and parts of Kubernetes and of Compose, and hold what is in deploy/ against them (takes minutes)
	@CHARTS=yes $(BIN)/python -m pytest -p no:randomly tests/deploy/built $(ARGS)

lint: $(VENV)/.dev  ## Check format, style, types, the direction of imports, where rules are, and pages that are made from the code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.house.edges
	$(BIN)/python -m pytest --quiet --numprocesses 0 tests/docs/test_specifications.py tests/docs/test_claims.py tests/docs/test_fields.py

format: $(VENV)/.dev  ## Put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## Measure the token endpoint on this machine (takes minutes)
	@$(BIN)/python -m tests.bench $(ARGS)

bench-peers: $(VENV)/.dev  ## Measure other servers beside this one (fetches them into build/; needs node and npm)
	@$(BIN)/python -m tests.bench.peers $(ARGS)

docs: $(VENV)/.dev  ## Make the pages of docs/ that are made from the code
	$(BIN)/idp settings --markdown > docs/settings.md
	$(BIN)/python -m tests.specifications > docs/specifications.md
	$(BIN)/python -m tests.claim_table
	$(BIN)/python -m tests.field_table
	$(BIN)/python -m tests.simulate --write

pictures: $(VENV)/.dev  ## Take the pictures of docs/console.md anew (needs Chromium)
	@PICTURES=take $(BIN)/python -m pytest --quiet tests/browser/test_pictures.py

catalogues: $(VENV)/.dev  ## Bring the catalogues of the languages into step with the texts of the pages
	@$(BIN)/python -m tests.catalogues

lock: $(VENV)/.dev  ## Choose the newest versions of all dependencies, with their hashes
	$(call compile,server)
	$(call compile,dev)
	$(BIN)/uv pip compile $(LOCKING) --upgrade --output-file requirements/tools.txt requirements/tools.in

wheel: $(VENV)/.dev  ## Build the wheel into dist/: the same commit makes the same bytes
	@rm -f dist/realmgate-*.whl
	@$(BIN)/python deploy/build_wheel.py dist

image: wheel  ## Build the image realmgate:<version> with podman or docker
	@"$$(command -v podman || command -v docker)" build --file deploy/Containerfile \
		--tag "realmgate:$$($(BIN)/python -c 'import idp; print(idp.__version__)')" .

sbom: build/tools/.made  ## Write what the server is made of to dist/realmgate.cdx.json (CycloneDX)
	@PYTHONPATH=$(<D) $(BIN)/python deploy/sbom.py dist/realmgate.cdx.json

audit: build/tools/.made  ## Look the dependencies up in a database of vulnerabilities (status 2 if it cannot be reached)
	@PYTHONPATH=$(<D) $(BIN)/python deploy/audit.py requirements/server.txt $(ARGS)

clean:  ## Remove the virtual environment and what was built (not the data in var/)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis node_modules

LOCKING := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate

define compile
	$(BIN)/uv pip compile $(LOCKING) --upgrade \
		--extra server $(if $(filter dev,$(1)),--extra aws --extra pkcs11 --extra dev) --output-file requirements/$(1).txt pyproject.toml requirements/build.in
endef

# A stamp is newer than all that it was made from, so that a second run does nothing.
$(VENV)/.server: requirements/server.txt pyproject.toml | $(VENV)/bin/python
	$(call install,requirements/server.txt)

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	$(call install,requirements/dev.txt)
	@touch $(VENV)/.server

# Tools that the environment is not to have: what they bring changes what other packages do.
build/tools/.made: requirements/tools.txt | $(VENV)/.dev
	@$(BIN)/python -m tests.prepare tools

define install
	@echo "Installing the $$(grep -c == $(1)) packages of $(1) into $(VENV). The first time this takes one to five minutes."
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off --require-hashes -r $(1) \
		| awk -v all="$$(grep -c == $(1))" -v tty="$$(test -t 1 && echo 1)" '$(show_progress)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "Installed."
endef

# Of what pip says, as much as tells how far it is: one line on a terminal, one for every tenth package elsewhere.
define show_progress
/^Collecting / { n++; name = $$2; sub(/[=;\[].*/, "", name); \
	if (tty) printf "\r\033[K  %d of %d: %s", n, all, name; else if (n % 10 == 0) printf "  %d of %d ...\n", n, all; fflush() } \
/^Installing collected/ { if (tty) printf "\r\033[K"; print "  All are fetched. Unpacking them ..."; fflush() }
endef

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Realmgate needs Python 3.11 or later. Install it, or set PYTHON=/path/to/python3." >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing. On Debian: apt-get install python3-venv" >&2; exit 1; }
