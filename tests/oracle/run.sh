#!/usr/bin/env bash
# [SEED=N] run.sh [BUILD [CASES [SEQUENCES]]] - the hardware oracle: CASES random instructions on the real CPU and in the
# emulator, interpreted and then compiled, and the coverage table per instruction row; a runnable row that never ran
# fails. Then SEQUENCES sequences of instructions on the real CPU and in all engines.
set -u
build=${1:-build} cases=${2:-100000} sequences=${3:-20000} seed=${SEED:-1}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
timeout 3000 "$build/tests/oracle/oracle" --cases "$cases" --seed "$seed" --table | tee "$out"
status=${PIPESTATUS[0]}
compiled=$(timeout 3000 "$build/tests/oracle/oracle" --cases "$cases" --seed "$seed" --engine eager) || status=1
printf 'compiled by the x86-64 back end:\n%s\n' "$compiled" | tail -n 60
lines=$(timeout 3000 "$build/tests/oracle/oracle" --cases 0 --sequences "$sequences" --seed "$seed") || status=1
printf 'sequences:\n%s\n' "$lines" | tail -n 100
if grep -q 'NOT RUN' "$out"; then
    echo "oracle: rows that never ran"
    status=1
fi
printf '%s\n%s\n' "$compiled" "$lines" >>"$out"
awk '/^[0-9]+ passed, [0-9]+ failed$/ { n++; p += $1; f += $3 } END { printf "oracle: %d passed, %d failed\n", p, f + (n < 3) }' "$out"
[ "$status" -eq 0 ]
