#!/bin/sh
# The first search on real images: run.sh DATA_FOLDER, with symact installed. Resumes where it was stopped.
set -eu
here=$(dirname "$0")
if [ -e "$here/out/study.db" ]; then
    symact resume "$here/out" --workers 2 --data "$1"
else
    symact search evolution --task fashion-cnn --data "$1" --evaluations 60 --workers 2 --run "$here/out"
fi
symact top "$here/out" --json -n 0 > "$here/leaderboard.json"
symact top "$here/out" -n 15 > "$here/leaderboard.txt"
symact report "$here/out" --output "$here/report.html"
