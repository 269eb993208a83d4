#!/usr/bin/env bash
# replay.sh [BUILD [RECORDINGS]] - input typed at random moments while a run is recorded; every replay of the recording,
# in other modes and engines, has its digests and its output. Digest points are close, so that input ends idle
# periods that span many of them. A recording with a torn last line replays up to it.
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${1:-build}") recordings=${2:-6}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# run NAME MODE ICOUNT options...: digest in NAME, output in NAME.out
run() {
    local name=$dir/$1 mode=$2 icount=$3
    shift 3
    timeout 120 "$build/tandem" -kernel "$build/tests/guests/echo.elf" -m 16 -display none -serial stdio \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -devthread "mode=$mode" -icount "shift=3,$icount" \
        -digest "file=$name,every=$every" "$@" >"$name.out" 2>"$name.err"
}

type_at_random() { # the last character ends the guest
    local i
    for i in 1 2 3 4 5 6 7 8; do
        sleep "0.0$((RANDOM % 50 + 10))"
        printf '%sab' "$i"
    done
    sleep 0.05
    printf q
    sleep 1 # what is typed must not end before the guest does
}

same() { cmp "$dir/a" "$dir/b" && cmp "$dir/a.out" "$dir/b.out"; }

modes=(inline thread adaptive) entries=0
for i in $(seq "$recordings"); do
    mode=${modes[i % 3]} sleep_mode=$([ $((i / 3 % 2)) -eq 0 ] && echo on || echo off)
    append=pit=$((i % 2 * 60000)) every=$((i % 4 == 3 ? 1000 : 20000))
    [ "$sleep_mode$append" = "on""pit=60000" ] && every=20000
    pauses=()
    [ $((i % 2)) -eq 0 ] && pauses=(-x-pause "every=9000,seed=$i") # a machine that stands now and then
    type_at_random | run a "$mode" "sleep=$sleep_mode,rr=record,rrfile=$dir/log" -append "$append" "${pauses[@]}"
    status=$?
    what="recorded mode=$mode sleep=$sleep_mode $append every=$every ${pauses[*]}"
    expect "$what: ends at q (status $status)" test "$status" -eq 1
    entries=$((entries + $(grep -c serial0 "$dir/log")))
    for other in "${modes[@]}"; do
        for engine in interp background,hot=2,threads=1; do
            run b "$other" "sleep=off,rr=replay,rrfile=$dir/log" -append "$append" -translator "mode=$engine" </dev/null
            expect "$what, replayed mode=$other $engine" same
        done
        run b "$other" "sleep=off,rr=replay,rrfile=$dir/log" -append "$append" -x-pause "every=700,seed=$i" </dev/null
        expect "$what, replayed mode=$other, standing now and then" same
    done
done

# On a loaded host one recording may get all that was typed at once; not all of them.
expect "input came in several entries ($entries in all)" test "$entries" -ge $((3 * recordings))

# Torn: the last entry, which ends the guest, is lost; all before it is replayed, and then nothing can come.
grep -v ' end$' "$dir/log" >"$dir/whole"
head -c -2 "$dir/whole" >"$dir/log"
run b inline "sleep=off,rr=replay,rrfile=$dir/log" -append "pit=0" </dev/null
expect_text "a torn last line is told" "$(cat "$dir/b.err")" "line $(wc -l <"$dir/whole") is cut off"
expect "what is before it is replayed" test "$(head -n 1 "$dir/b.out")" = "ready"
sed '5s/serial0/serial9/' "$dir/whole" >"$dir/log"
run b inline "sleep=off,rr=replay,rrfile=$dir/log" -append "pit=0" </dev/null
expect_text "damage in the middle is an error that names the line" "$(cat "$dir/b.err")" 'line 5 is not part of a recording'
summary replay
