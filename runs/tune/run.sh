#!/usr/bin/env bash
# Does a found function's lead survive tuning, on digits-deep? Needs the extra `tune`; goes on where it was stopped.
set -euo pipefail
cd "$(dirname "$0")/../.."
run=${1:-out/tune}
if [ -f "$run/tuning.jsonl" ]; then
  exec python -m symact resume "$run" --workers 0
fi
exec python -m symact search evolution --task digits-deep --tune rate --tune initial_scale --tune weight_decay \
  --evaluations 420 --fresh 20 --seed 0 --workers 0 --run "$run"
