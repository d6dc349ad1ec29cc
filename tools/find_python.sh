#!/bin/sh
# Print the path of a Python that can run the project and make virtual environments.
# Where there is none, say what to do and fail. PYTHON=/path/to/python names one by hand.

oldest=3.12

# Prints the interpreter's own path: a pyenv shim may run here and fail in another folder.
# Free-threaded builds are left out, since not every dependency has wheels for them.
check='
import sys, sysconfig
wanted = tuple(map(int, sys.argv[1].split(".")))
if sys.version_info[:2] < wanted or sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
try:
    import ensurepip, venv
except ImportError:
    print(sys.executable)
    sys.exit(3)
print(sys.executable)
'

try() {
    found=$("$1" -c "$check" "$oldest" 2>/dev/null </dev/null)
    case $? in
        0) printf '%s\n' "$found"; exit 0 ;;
        3) [ -n "$without_venv" ] || without_venv=$found ;;
    esac
}

no_venv() {
    version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    {
        echo "$without_venv is new enough, but it cannot make virtual environments (ensurepip is missing)."
        echo "On Debian or Ubuntu run 'sudo apt install python$version-venv', then run make again."
    } >&2
    exit 1
}

without_venv=

if [ -n "${PYTHON:-}" ]; then
    try "$PYTHON"
    [ -z "$without_venv" ] || no_venv
    echo "PYTHON='$PYTHON' is not a working Python $oldest or newer; name another, or leave PYTHON out." >&2
    exit 1
fi

for name in python3.13 python3.12 python3.14 python3 python; do try "$name"; done

# Python managers keep interpreters that are not on the search path.
if command -v pyenv >/dev/null 2>&1; then pyenv_root=$(pyenv root 2>/dev/null); fi
for folder in "${PYENV_ROOT:-}" "${pyenv_root:-}" "${HOME:-}/.pyenv"; do
    [ -d "$folder/versions" ] || continue
    for minor in 13 12 14; do
        for path in "$folder"/versions/3."$minor"*/bin/python3; do try "$path"; done
    done
done
if command -v uv >/dev/null 2>&1; then try "$(uv python find ">=$oldest" 2>/dev/null)"; fi
for folder in /usr/local/bin /opt/homebrew/bin /usr/bin; do
    for name in python3.13 python3.12 python3.14 python3; do try "$folder/$name"; done
done

[ -z "$without_venv" ] || no_venv
{
    echo "No Python $oldest or newer was found, and bayesml needs one."
    echo "Install one (python.org, 'uv python install 3.13', 'pyenv install 3.13' or your system's packages),"
    echo "then run make again; if it is not found, name it: make PYTHON=/path/to/python3.13 ..."
} >&2
exit 1
