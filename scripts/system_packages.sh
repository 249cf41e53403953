#!/usr/bin/env bash
# Installs the packages of system-packages.txt that are missing: as root by apt, otherwise it
# prints the line to run. Does nothing when all are there.
set -euo pipefail

list="$(dirname "$0")/system-packages.txt"
mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$list")

if ! command -v dpkg-query >/dev/null; then
    echo "system packages: this is no Debian; the tests need the counterparts of: ${wanted[*]}"
    exit 0
fi

missing=()
for package in "${wanted[@]}"; do
    status="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
    [ "$status" = installed ] || missing+=("$package")
done

if [ "${#missing[@]}" -eq 0 ]; then
    echo "system packages: all there"
elif [ "$(id -u)" -eq 0 ]; then
    echo "system packages: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "system packages: missing ${missing[*]}. Run this, then try again:"
    echo "  sudo apt-get install --no-install-recommends ${missing[*]}"
    exit 1
fi
