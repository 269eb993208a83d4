#!/usr/bin/env bash
# [SEED=N] run.sh [BUILD [CASES]] - the hardware oracle: CASES random instructions on the real CPU and in the emulator,
# interpreted and then compiled, and the coverage table per instruction row. A runnable row that never ran fails.
set -u
build=${1:-build} cases=${2:-100000} seed=${SEED:-1}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
timeout 3000 "$build/tests/oracle/oracle" --cases "$cases" --seed "$seed" --table | tee "$out"
status=${PIPESTATUS[0]}
compiled=$(timeout 3000 "$build/tests/oracle/oracle" --cases "$cases" --seed "$seed" --engine eager) || status=1
printf 'compiled by the x86-64 back end:\n%s\n' "$compiled" | tail -n 60
if grep -q 'NOT RUN' "$out"; then
    echo "oracle: rows that never ran"
    status=1
fi
counts=$(grep -Eo '[0-9]+ passed, [0-9]+ failed' "$out" | tail -n 1)
echo "oracle: ${counts:-0 passed, 1 failed}"
[ "$status" -eq 0 ]
