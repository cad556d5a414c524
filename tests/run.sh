#!/bin/sh
# Everything that must hold: formatting, types, tests, the docs' snippets, a smoke run of the
# benchmarks. Extra arguments go to pytest, and then only pytest runs.
. "$(dirname -- "$0")/environment.sh"
set_up dev
set_up_browser
if [ $# -gt 0 ]; then
  exec .venv/bin/python -m pytest "$@"
fi
set_up_pythons
echo "== ruff"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
echo "== mypy"
.venv/bin/mypy
echo "== pytest (the docs' snippets among them), on all cores"
.venv/bin/python -m pytest -n auto --dist loadfile
echo "== benchmarks (smoke run: numbers of a short run on a shared machine)"
(cd tests && ../.venv/bin/python -m benchmarks.run_all --smoke)
echo "== Pythons"
tell_pythons
