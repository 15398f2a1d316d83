#!/usr/bin/env bash
# Compares the functions on both tasks, ten seeds each; run folders go to out/.
set -euo pipefail
here=runs/compare
compare() {
    python -m symact compare --from "$here/functions.txt" --task "$1" --seeds 10 --run "out/compare-$2" --quiet > "$here/$2.txt"
    python -m symact resume "out/compare-$2" --task "$1" --json --quiet > "$here/$2.json"
}
export COLUMNS=80
compare digits-deep digits-deep
compare "$here/friedman.py:Friedman" friedman
