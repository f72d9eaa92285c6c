# The whole project from a fresh checkout. `make` alone says what there is.
#
#   make book                            everything: install, train, measure, run the notebooks, build the book
#   make book CPU=1                      the same with PyTorch's CPU build: 1 GB less to download on Linux (see the README)
#   make setup PYTHON=python3.12         another interpreter, 3.11 to 3.13

PYTHON ?= python3
CORES ?=
CPU ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VENDORED := book/_assets/vendor/.pins

# The lock's spelling of the version, so that pip takes a CPU build of it wherever one is offered.
TORCH := torch==2.13.0
TORCHVISION := torchvision==0.28.0
CPU_INDEX := https://download.pytorch.org/whl/cpu

# Chromium, matplotlib and papermill must not need a display, a home page or a colour terminal.
export MPLBACKEND ?= Agg
export SE_OFFLINE := true

.DEFAULT_GOAL := help
.PHONY: help setup book test check lock audit trial bench pdf clean

help:
	@echo "make setup   install into .venv with the exact versions of requirements.lock; nothing if it is done already"
	@echo "make book    train, measure, run the notebooks, build book/_build/html/index.html"
	@echo "make test    the whole test-suite; make test FAST=1 leaves out what takes half a second or more"
	@echo "make check   lint, formatting, types"
	@echo "make lock    versions and hashes of requirements.lock anew from the index (needs uv)"
	@echo "make audit   licences of all locked packages, and what is known against them if the index can be asked"
	@echo "make trial   type all that the pages tell to type, in a fresh environment; once a release, half an hour"
	@echo "make bench   speed against naive baselines, as ratios"
	@echo "make pdf     the book as one file, book/_build/lmcbook.pdf (needs chromium)"
	@echo "make clean   remove what the builds made; trained weights in runs/ and the environment stay"

setup: $(INSTALLED) $(VENDORED)

$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); sys.exit(None if ok else "lmcbook needs Python 3.11 to 3.13 and $(PYTHON) is " + sys.version.split()[0] + "; name another one: make setup PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
# PyTorch first and alone, for the lock has no hashes of it; then what it needs besides, which on Linux with a GPU's build
# are CUDA libraries.
ifeq ($(CPU),)
	$(BIN)/python -m pip install --quiet --no-deps $(TORCH)
else
	$(BIN)/python -m pip install --quiet --no-deps --index-url $(CPU_INDEX) $(TORCH) $(TORCHVISION)
endif
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip check
	@touch $@

# Writes its stamp only when the files are there; without npm it says what the book does instead, and succeeds.
$(VENDORED): book/vendor_js.py $(INSTALLED)
	@$(BIN)/python book/vendor_js.py

book: setup
	$(BIN)/python -m lmcbook reproduce $(if $(CORES),--cores $(CORES))

# The modules that are checked for types are compiled once, not in every test process, whatever the environment says.
test: setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(if $(FAST),-m "not slow")

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: setup
	@$(BIN)/python -m tests.lock

audit: setup
	@$(BIN)/python -m tests.audit

# TRIAL="--only papermill" and other options: python -m tests.trial --help
trial:
	@$(PYTHON) -m tests.trial $(TRIAL)

# Not those that take long or a GPU: matching_cost.py makes the appendix's figure, gpu.py the estimates of the plan, and
# rebuild.py builds the book.
BENCHMARKS := $(filter-out %/matching_cost.py %/gpu.py %/rebuild.py,$(wildcard benchmarks/[a-z]*.py))

bench: setup
	@for benchmark in $(BENCHMARKS); do echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

pdf: setup
	$(BIN)/jupyter-book build book --builder singlehtml
	$(BIN)/python book/print_pdf.py

clean:
	rm -rf book/_build book/results book/screenshots .snakemake .pytest_cache .mypy_cache .ruff_cache
