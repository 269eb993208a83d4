#!/usr/bin/env bash
# profile.sh - -profile and -account over the test guests: tests/profile.sh [BUILD]
# The same profile and the same counts in every mode and translator, exact counts that are known, and a guest that never
# notices.
set -u
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# run NAME GUEST OPTION...: files NAME.digest, NAME.json (account), NAME.stats and NAME.profile in $dir.
run() {
    local name=$1 guest=$2
    shift 2
    timeout 100 "$build/tandem" -kernel "$build/tests/guests/$guest.elf" -append "shift=3 rounds=20" -m 16 \
        -icount shift=3,sleep=off -display none -serial null -device isa-debug-exit,iobase=0xf4,iosize=4 \
        -digest "file=$dir/$name.digest,every=50000" -stats "file=$dir/$name.stats,format=json" "$@" </dev/null 2>"$dir/$name.err"
    [ $? -eq 1 ] || { cat "$dir/$name.err"; return 1; }
}

ways=("mode=inline interp" "mode=thread eager" "mode=adaptive background,hot=1" "mode=inline background,threads=0"
    "mode=adaptive interp" "mode=inline eager")

# Exact counts of known code.
for i in "${!ways[@]}"; do
    read -r mode engine <<<"${ways[i]}"
    expect "account: runs ($mode, $engine)" run "account$i" account -devthread "$mode" -translator "mode=$engine" \
        -account "file=$dir/account$i.json"
    expect "account: every cell is exact ($mode, $engine)" python3 "$here/account.py" guest "$dir/account$i.json" "$dir/account$i.stats"
    expect "account: the same file ($mode, $engine)" cmp "$dir/account0.json" "$dir/account$i.json"
done
expect "account: runs, an instruction a block" run single account -x-single-tb -account "file=$dir/single.json"
expect "account: the same file, an instruction a block" cmp "$dir/account0.json" "$dir/single.json"

# Profiles, of guests with interrupts, exceptions, address spaces, idling.
for guest in account mix bench_cr3 except; do
    expect "$guest: runs unwatched" run plain "$guest" -devthread mode=inline
    for i in 0 1 2; do
        read -r mode engine <<<"${ways[i]}"
        expect "$guest: runs watched ($mode, $engine)" run "p$i" "$guest" -devthread "$mode" -translator "mode=$engine" \
            -profile "file=$dir/p$i.profile,every=997,phase=13,stacks=on" -account "file=$dir/p$i.json"
        expect "$guest: the guest never notices ($mode, $engine)" cmp "$dir/plain.digest" "$dir/p$i.digest"
        expect "$guest: the same profile ($mode, $engine)" cmp "$dir/p0.profile" "$dir/p$i.profile"
        expect "$guest: the same account ($mode, $engine)" cmp "$dir/p0.json" "$dir/p$i.json"
    done
    expect "$guest: the sum is the icount" python3 "$here/account.py" whole "$dir/p0.json" "$dir/p0.stats"
    expect "$guest: runs cut into stretches" run cut "$guest" -x-pause every=5000 -profile "file=$dir/cut.profile,every=997,phase=13,stacks=on"
    expect "$guest: the same profile, cut into stretches" cmp "$dir/p0.profile" "$dir/cut.profile"
done

# Without stacks, a sample within a block looks at less of the guest than one between two blocks.
for guest in rep smc except; do
    expect "$guest: runs, no stacks, an instruction a block" run one "$guest" -x-single-tb -profile "file=$dir/one.profile,every=97"
    for i in "${!ways[@]}"; do
        read -r mode engine <<<"${ways[i]}"
        expect "$guest: runs, no stacks ($mode, $engine)" run "p$i" "$guest" -devthread "$mode" -translator "mode=$engine" \
            -profile "file=$dir/p$i.profile,every=97"
        expect "$guest: the guest never notices ($mode, $engine)" cmp "$dir/one.digest" "$dir/p$i.digest"
        expect "$guest: the same profile, no stacks ($mode, $engine)" cmp "$dir/one.profile" "$dir/p$i.profile"
    done
done

# Exact stacks: the second pass sees the guest at the same ticks.
expect "exact stacks: runs" run exact account -profile "file=$dir/exact.profile,every=97,stacks=exact"
expect "exact stacks: the guest never notices" cmp "$dir/account0.digest" "$dir/exact.digest"
expect_text "exact stacks: compared" "$(cat "$dir/exact.err")" 'frame pointers would have given the exact stack in [0-9.]* % of [0-9]+ samples'

# From a snapshot on: the same ticks.
expect "snapshot: saved" run save mix -snapshot-at "200000,file=$dir/snap" -profile "file=$dir/save.profile,every=5000"
expect "snapshot: loaded" run load mix -loadvm "$dir/snap" -profile "file=$dir/load.profile,every=5000" -account "file=$dir/load.json"
expect_text "snapshot: the account begins there" "$(cat "$dir/load.json")" '"begin_tick": 200000,'
summary profile
