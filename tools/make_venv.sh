#!/bin/sh
# Make a virtual environment, or bring it up to date, and do nothing where it is already right.
# Usage: sh tools/make_venv.sh FOLDER PIP-ARGUMENTS...   (from the top of the project)
set -eu

folder=$1
shift
stamp=$folder/.installed

# What the environment depends on; the folder's own place too, since a moved one is broken.
state() {
    pwd
    printf '%s\n' "$@"
    cat pyproject.toml constraints.txt benchmarks/requirements.txt
}
wanted=$(state "$@" | cksum)

works() {
    "$folder/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

if works && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

if ! works; then
    python=$(PYTHON="${PYTHON:-}" sh tools/find_python.sh)
    echo "Making $folder with $("$python" --version) ($python)"
    "$python" -m venv --clear "$folder"
fi

echo "Installing the pinned dependencies into $folder (the first time takes a minute or two)"
rm -f "$stamp"
log=$folder/install.log
if ! "$folder/bin/python" -m pip install --disable-pip-version-check --no-input \
    -c constraints.txt "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "The installation failed; all of its messages are in $log." >&2
    echo "If a download broke off, run make again: what has arrived is kept." >&2
    exit 1
fi
printf '%s\n' "$wanted" >"$stamp"
