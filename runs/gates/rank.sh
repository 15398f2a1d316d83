#!/usr/bin/env bash
# Ranks the published gates on char-lm-gated, at equal parameters, ten fresh seeds each; goes on where it was stopped.
set -euo pipefail
run=${1:-out/gates-rank}
export COLUMNS=80
if [ -d "$run" ]; then
    python -m symact resume "$run" --quiet > /dev/null
else
    python -m symact compare --grammar gates --space published --task char-lm-gated --seeds 10 --seed 2000 --run "$run" --quiet > /dev/null
fi
python -m symact resume "$run" --quiet > runs/gates/rank.txt
python -m symact resume "$run" --json --quiet > runs/gates/rank.json
