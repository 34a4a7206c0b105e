#!/bin/sh
# Installs the peers of benchmarks/render.py that are no Python packages, from Debian or Ubuntu.
# Needs root. The benchmark runs without them and names what is missing.
set -eu

if ! command -v apt-get >/dev/null; then
    echo "There is no apt-get here: install ImageMagick, GEGL and G'MIC in this system's way." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Installing packages needs root: sudo sh scripts/benchmark_packages.sh" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --quiet --yes --no-install-recommends imagemagick gegl gmic
