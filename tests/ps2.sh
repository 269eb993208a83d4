#!/usr/bin/env bash
# ps2.sh - keyboard and mouse driven by recordings written by hand: the bytes that the guest ps2 gets in each scan
# code set, and one digest in every way of running it: tests/ps2.sh [BUILD]
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# milliseconds port bytes: A held for 310 ms (it repeats twice), Shift and cursor up, PrintScreen, Pause, Escape; motions
# that add up, overflow, click, turn the wheel.
entries() {
    cat <<'END'
1000 keys0 1e0001
1310 keys0 1e0000
1400 keys0 2a0001
1410 keys0 c80001
1420 mouse0 0500fdff0000
1421 mouse0 010000000000
1430 keys0 c80000
1440 keys0 2a0000
1450 keys0 b70001
1460 keys0 b70000
1470 keys0 000101
1471 mouse0 2c0100000100
1480 keys0 000100
1500 mouse0 0000000000ff
1520 mouse0 000000001800
1600 keys0 010001
1650 keys0 010000
END
}
{
    printf 'tandem-input-log 2\nshift 3\nrtc 1686355200\n'
    entries | while read -r ms port bytes; do echo "$((ms * 125000)) $port $bytes"; done
} >"$dir/log"

run() { # digest set mode more...
    local digest=$1 set=$2 mode=$3
    shift 3
    timeout 120 "$build/tandem" -kernel "$build/tests/guests/ps2.elf" -append "set=$set" -m 16 -display none -serial stdio \
        -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log" -devthread "mode=$mode" -digest "file=$digest,every=1000000" \
        -device isa-debug-exit,iobase=0xf4,iosize=4 "$@" </dev/null
}

# What IBM's tables say for these keys.
keys=([1]="1e 1e 1e 9e 2a e0 aa e0 48 e0 c8 e0 2a aa e0 2a e0 37 e0 b7 e0 aa e1 1d 45 e1 9d c5 1 81"
    [2]="1c 1c 1c f0 1c 12 e0 f0 12 e0 75 e0 f0 75 e0 12 f0 12 e0 12 e0 7c e0 f0 7c e0 f0 12 e1 14 77 e1 f0 14 f0 77 76 f0 76"
    [3]="1c 1c 1c f0 1c 12 63 f0 63 f0 12 57 f0 57 62 f0 62 8 f0 8")
mouse="8 5 3 0 8 1 0 0 49 ff 0 0 8 0 0 f 8 0 0 30"

for set in 1 2 3; do
    out=$(run "$dir/digest" "$set" inline)
    expect_text "set $set: the keys' bytes" "$out" "^keys ${keys[set]}\$"
    expect_text "set $set: the mouse's bytes" "$out" "^mouse $mouse\$"
    for mode in thread adaptive; do
        expect_text "set $set, mode=$mode: the same sum" "$(run "$dir/other" "$set" "$mode")" "^$(grep '^sum' <<<"$out")\$"
        expect "set $set, mode=$mode: the same digest" cmp "$dir/digest" "$dir/other"
    done
done
run "$dir/other" 3 adaptive -translator mode=interp -x-pause every=900000,seed=5 >/dev/null
expect "with pauses, in the interpreter: the same digest" cmp "$dir/digest" "$dir/other"
summary ps2
