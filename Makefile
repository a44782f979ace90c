# trajerr: everything from a fresh machine. `make help` lists the targets.
# Each command's target takes Hydra overrides: make train ARGS="model=large trainer.precision=16"

PYTHON ?= python3
VENV   ?= .venv
RUN    ?= runs/$(shell date +%Y-%m-%d_%H-%M-%S)
ARGS   ?=

BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
COMMANDS  := collect prepare train evaluate export correct calibrate

.DEFAULT_GOAL := help
.PHONY: help install test test-slow check format format-check lint types imports \
        pipeline machine $(COMMANDS) sweep light workbench lower-bounds docs gallery release tensorboard \
        notebooks bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | \
	  awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'
	@echo "  collect prepare train evaluate export correct calibrate"
	@echo "                 one stage each; overrides by ARGS=\"key=value ...\", --help by ARGS=--help"

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  --constraint constraints.txt --editable ".[dev]"
	@$(BIN)/python -m compileall -qq -j 0 $(VENV) || true  # as pip would, but on all cores
	@touch $@

install: $(INSTALLED) ## create the virtual environment with the tested versions

test: $(INSTALLED) ## run the tests (what CI runs)
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= \
	  $(BIN)/python -m pytest -m "not slow" --numprocesses auto $(ARGS)

test-slow: $(INSTALLED) ## run the tests that need minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

check: format-check lint types imports test ## everything that has to hold before a commit

format: $(INSTALLED) ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix --quiet || true

format-check: $(INSTALLED)
	$(BIN)/ruff format --check --quiet

lint: $(INSTALLED) ## lint with ruff
	$(BIN)/ruff check

types: $(INSTALLED) ## check types (mypy, strict)
	$(BIN)/mypy

imports: $(INSTALLED) ## check that imports go down only
	$(BIN)/lint-imports

$(COMMANDS): $(INSTALLED)
	$(BIN)/python -m trajerr.$@ $(ARGS)

pipeline: $(INSTALLED) ## all six stages on the embedded parts, under one run folder
	$(BIN)/python scripts/run_pipeline.py $(RUN) $(ARGS)

machine: $(INSTALLED) ## a network of your machine: NAME= GCODE= X= [Y= REFERENCE= PRINTER= PRETRAINED= BESIDE= UNTIL=]
	$(BIN)/python scripts/make_machine.py "NAME=$(NAME)" "GCODE=$(GCODE)" "X=$(X)" "Y=$(Y)" \
	  "REFERENCE=$(REFERENCE)" "PRINTER=$(PRINTER)" "PRETRAINED=$(PRETRAINED)" \
	  "SIMULATED=$(SIMULATED)" "BESIDE=$(BESIDE)" "UNTIL=$(UNTIL)" $(ARGS)

sweep: $(INSTALLED) ## search hyper-parameters with Optuna
	$(BIN)/python -m trajerr.train -m experiment=search $(ARGS)

light: ## install trajerr[correct] alone, measure it, and correct a part with it
	$(PYTHON) scripts/try_light_install.py $(ARGS)

workbench: $(INSTALLED) ## open all of it in the browser, on this machine alone
	$(BIN)/python -m trajerr.workbench $(ARGS)

lower-bounds: ## install the oldest packages that are allowed and correct a part with them
	$(PYTHON) scripts/try_lower_bounds.py $(ARGS)

$(VENV)/.docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable ".[docs]"
	@touch $@

docs: $(VENV)/.docs ## build the documentation's site into site/; ARGS=serve shows it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs $(or $(ARGS),build)
	$(if $(ARGS),,$(BIN)/python scripts/check_site.py site)

gallery: $(INSTALLED) ## take the gallery's pictures from a run: RUN=runs/first
	$(BIN)/python scripts/make_gallery.py $(RUN)

release: $(INSTALLED) ## build wheel and sdist, and try both; nothing is uploaded; TAG=v0.1.0
	$(BIN)/python scripts/make_release.py $(TAG)

tensorboard: $(INSTALLED) ## show the training logs
	$(BIN)/tensorboard --logdir_spec outputs:outputs,runs:runs,multirun:multirun $(ARGS)

notebooks: $(INSTALLED) ## execute the notebooks in place
	$(BIN)/python scripts/run_notebooks.py $(ARGS)

bench: $(INSTALLED) ## run the benchmarks, one after the other
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script $(ARGS) || exit 1; done

clean: ## remove what the commands and tools wrote, keep data and runs
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
