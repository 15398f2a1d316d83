#!/usr/bin/env bash
# gpu_check.sh [OUTPUT]: is symact in order on the GPU of this machine, and how fast. At most 8 minutes; results as JSON.
# Needs PyTorch with CUDA and Triton in the Python that PYTHON names (default: python3); installs nothing.
set -u
cd "$(dirname "$0")/.."
output=$(mkdir -p "${1:-runs/gpu/results}" && cd "${1:-runs/gpu/results}" && pwd)
python=${PYTHON:-python3}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
failed=0

# step NAME SECONDS COMMAND...: runs it with a limit; what it prints goes to NAME.json or NAME.txt, errors to NAME.log.
step() {
  local name=$1 limit=$2 start=$SECONDS rc
  shift 2
  timeout "$limit" "$@" >"$output/$name.out" 2>"$output/$name.log"
  rc=$?
  case $(head -c 1 "$output/$name.out") in "{") mv "$output/$name.out" "$output/$name.json" ;; *) mv "$output/$name.out" "$output/$name.txt" ;; esac
  echo "$name: exit $rc, $((SECONDS - start)) s"
  [ $rc = 0 ] || failed=1
}

"$python" -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else 2)' || {
  echo "gpu_check.sh: there is no GPU here, or no PyTorch with CUDA in $python" >&2
  exit 2
}
step doctor 110 "$python" -m symact doctor --device cuda --size 16777216 --json
step check 210 "$python" runs/gpu/check.py --output "$output"
step doctor-bfloat16 50 "$python" -m symact doctor --device cuda --size 134217728 --dtype bfloat16 --json
if [ -e "${SYMACT_DATA:-/nowhere}" ]; then
  # Two epochs each: whether trainings run, and how long an epoch takes; nothing about which function is better.
  step cifar10 60 "$python" -m symact compare "x*sigmoid(x)" "x*erfc(elu(x))" --task cifar10-resnet20 \
    --seeds 1 --train epochs=2 --workers 0 --run "$output/cifar10" --json
  step cifar10-fast 50 "$python" -m symact compare "gelu(x)" "x*erfc(elu(x))" --task cifar10-fast \
    --seeds 1 --workers 0 --run "$output/cifar10-fast" --json
else
  echo "cifar10, cifar10-fast: skipped, SYMACT_DATA names no folder with CIFAR10"
fi
exit $failed
