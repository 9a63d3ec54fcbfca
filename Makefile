# `make demo` and `make test` set everything up by themselves.
SHELL := /bin/bash
PYTHON ?= python3
ENTER := . ./setup.bash &&

.PHONY: help setup demo test lint format lock bench clean

help:
	@echo "make demo            train a decoder on a synthetic arm and watch the hand follow (2 minutes)"
	@echo "make demo DATA=jhu   the same from a real recording"
	@echo "make test            all tests"
	@echo "make lint            style and type checks"
	@echo "make bench           latency, throughput and accuracy, as tables"
	@echo "make clean           remove everything that was built"

setup:
	@$(PYTHON) tools/bootstrap.py

demo: setup
	@$(ENTER) emghand demo $(if $(DATA),--data $(DATA))

# Core and nodes are tested on all processors; whole graphs then have the machine to themselves.
CORE := src/emghand/test
NODES := $(filter-out $(CORE),$(wildcard src/*/test))
SPREAD := python -m pytest -n logical --dist loadfile
test: setup
ifdef ARGS
	@$(ENTER) python -m pytest $(ARGS)
else
	@$(ENTER) { code=0; $(SPREAD) $(CORE) || code=1; $(SPREAD) $(NODES) || code=1; \
	  python -m pytest test || code=1; exit $$code; }
endif

lint: setup
	@$(ENTER) ruff check . && ruff format --check . && mypy

format: setup
	@$(ENTER) ruff check --fix . && ruff format .

bench: setup
	@$(ENTER) for script in benchmark/*.py; do echo "== $$script"; python $$script || exit 1; done

lock:
	uv pip compile --universal --python-version 3.10 --generate-hashes --no-header \
	  requirements.in -o requirements.lock

clean:
	rm -rf .venv build install log demo_output .pytest_cache .mypy_cache .ruff_cache .hypothesis
