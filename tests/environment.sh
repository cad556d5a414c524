# Sets up the project's own environment in .venv, once. Sourced by demo.sh and run.sh.
# Needs Python 3.11 or newer; on Debian and Ubuntu it installs what the virtual environment
# needs when it may, and says in one line what is missing when it may not.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

find_python() {
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      echo "$candidate"
      return 0
    fi
  done
  echo "troth needs Python 3.11 or newer: install it, or name it with PYTHON=/path/to/python3" >&2
  return 1
}

install_venv_support() {
  version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "python$version-venv" >&2 ||
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >&2
  else
    echo "troth needs the venv module: run 'sudo apt-get install python$version-venv' once" >&2
    return 1
  fi
}

set_up() {
  extras=$1
  stamp=".venv/troth-$extras-$(cksum <pyproject.toml | tr ' ' '-')"
  [ -e "$stamp" ] && return 0
  python=$(find_python)
  if [ ! -x .venv/bin/pip ]; then
    echo "setting up .venv (once) ..." >&2
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
      rm -rf .venv
      install_venv_support "$python"
      "$python" -m venv .venv
    fi
  fi
  if [ "$extras" = run ]; then target=.; else target=".[$extras]"; fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -e "$target" >&2
  : >"$stamp"
}

# The tests open pages in a browser. On Debian and Ubuntu it is installed when it may be; when it
# may not, or cannot be, one line says so, and the tests that need it fail.
set_up_browser() {
  for candidate in "${TROTH_BROWSER:-}" chromium chromium-browser google-chrome; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1; then
      return 0
    fi
  done
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing chromium for the tests (once) ..." >&2
    apt-get update -qq >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
      >/dev/null 2>&1 && return 0
  fi
  echo "the tests of pages need a browser: run 'sudo apt-get install chromium' once" >&2
}

# The other Pythons on which the corpus is run, each with an environment of its own. Which there are
# is said once more at the end of tests/run.sh.
PYTHONS='3.11 3.12 3.13'

find_version() {
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python3; do
    if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" >/dev/null 2>&1; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

is_own() {
  .venv/bin/python -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')"
}

set_up_pythons() {
  for version in $PYTHONS; do
    is_own "$version" && continue
    there=.venv/pythons/$version
    stamp="$there/troth-$(cksum <pyproject.toml | tr ' ' '-')"
    [ -e "$stamp" ] && continue
    python=$(find_version "$version") || continue
    echo "setting up $there (once) ..." >&2
    if "$python" -m venv "$there" >/dev/null 2>&1 &&
      "$there/bin/python" -m pip install --quiet --disable-pip-version-check -e . >&2; then
      : >"$stamp"
    else
      echo "Python $version is there, but its environment could not be set up" >&2
    fi
  done
}

tell_pythons() {
  with=''
  without=''
  for version in $PYTHONS; do
    if is_own "$version" || ls ".venv/pythons/$version"/troth-* >/dev/null 2>&1; then
      with="$with $version"
    else
      without="$without $version"
    fi
  done
  echo "the corpus ran on Python:${with:- none}; not run, for want of an interpreter:${without:- none}"
}
