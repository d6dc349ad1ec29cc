# Everything here makes the environment that it needs; PYTHON=/path/to/python names an interpreter.

.DEFAULT_GOAL := help
.PHONY: help demo test test-all bench lint format templates notebooks clean venv venv-bench

PY := .venv/bin/python
export PYTHON

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: venv ## fit a model to a table and write a report
	@.venv/bin/bayesml demo

test: lint ## check the code and run the tests, but for the slow ones
	@$(PY) -m pytest -m "not slow" -n 2 --dist loadgroup --no-loadscope-reorder

test-all: lint ## check the code and run every test
	@$(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

bench: venv-bench ## compare with Bambi, in an environment of its own
	@PATH="$$PWD/.venv-bench/bin:$$PATH" benchmarks/run

lint: venv ## check layout, style and types
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy bayesml

format: venv ## lay the code out, and mend what can be mended
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

templates: venv ## write model_templates/ anew
	@$(PY) tools/write_templates.py

notebooks: venv ## run every notebook and keep its output
	@$(PY) -m jupyter execute --inplace notebooks/*.ipynb

clean: ## remove caches and results; the environments stay
	@rm -rf build dist demo-output .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -path './.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@sh tools/make_venv.sh .venv -e '.[test,dev]'

venv-bench:
	@sh tools/make_venv.sh .venv-bench -e . -r benchmarks/requirements.txt
