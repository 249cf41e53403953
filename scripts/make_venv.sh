#!/usr/bin/env bash
# Makes the virtual environment FOLDER with the interpreter PYTHON, or says what is missing.
# Usage: make_venv.sh PYTHON FOLDER
set -euo pipefail

python="$1"
folder="$2"

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or later is needed. Name it so: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "This Python cannot make virtual environments. On Debian run this, then try again:" >&2
    echo "  sudo apt-get install python3-venv" >&2
    exit 1
fi
echo "== making the virtual environment $folder with $("$python" --version)"
"$python" -m venv "$folder"
