#!/usr/bin/env bash
# polls.sh [BUILD] - a guest that polls a synchronous register 147,000 times, on a host that two busy loops a CPU load: with mode=thread it
# takes at most ten times as long as with mode=inline (medians of five runs, alternately).
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tests/lib.sh"
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
load=()
trap '[ ${#load[@]} -eq 0 ] || kill "${load[@]}" 2>/dev/null; rm -rf "$dir"' EXIT
POLLS=147000

# Adds the run's microseconds to a file of its mode.
polls() { # mode
    local begin=${EPOCHREALTIME/./} status
    "$build/tandem" -kernel "$build/tests/guests/bench_pio.elf" -append "n=$((POLLS / 2))" -m 16 -icount shift=3,sleep=off -devthread "mode=$1" \
        -display none -serial null -device isa-debug-exit,iobase=0xf4,iosize=4 -stats "file=$dir/stats" >/dev/null 2>&1 </dev/null
    status=$?
    echo $((${EPOCHREALTIME/./} - begin)) >>"$dir/$1"
    [ $status -eq 1 ] && [ "$(awk '$1 " " $2 == "synchronous accesses" { print $3; exit }' "$dir/stats")" -ge $POLLS ]
}

for ((i = 2 * $(nproc); i > 0; i--)); do
    while :; do :; done &
    load+=($!)
done
for run in {1..5}; do
    for mode in inline thread; do expect "run $run of mode=$mode polls $POLLS times" polls $mode; done
done
median() { sort -n "$dir/$1" | sed -n 3p; }
inline=$(median inline) thread=$(median thread)
echo "inline $inline us, thread $thread us"
expect "mode=thread takes at most ten times as long as mode=inline" test "$thread" -le $((10 * inline))
summary polls
