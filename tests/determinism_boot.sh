#!/usr/bin/env bash
# determinism_boot.sh [BUILD [RUNS]] - full boots of Debian's kernel: the same digest file in every mode, on one core and
# two, under load, with random delays. The first run, inline, is the reference.
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${1:-build}")
runs=${2:-10}
dir=$(mktemp -d)
load=
cleanup() {
    [ -n "$load" ] && kill "$load" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

debian_args "mount -t proc proc /proc; cat /proc/interrupts; sha256sum /$debian_library; sleep 2; poweroff -f" quiet

boot() { # name mode [prefix and options are in the arrays `prefix` and `extra`]
    "${prefix[@]}" timeout 900 "$build/tandem" "${boot_args[@]}" -display none -serial "file:$dir/$1.out" \
        -icount shift=3,sleep=off -devthread "mode=$2" -digest "file=$dir/$1,every=5000000" "${extra[@]}" \
        2>"$dir/$1.err" </dev/null
}

prefix=() extra=()
expect "reference boot powers off" boot ref inline
expect "reference has intervals" test "$(wc -l <"$dir/ref")" -gt 100
modes=(adaptive thread inline)
for i in $(seq 1 $((runs - 1))); do
    prefix=() extra=()
    mode=${modes[i % 3]} what="boot $i, mode ${modes[i % 3]}"
    case $((i % 4)) in
    1) prefix=(taskset -c 0) what+=", one core" ;;
    2) extra=(-x-jitter "seed=$i") what+=", random delays" ;;
    3) (while :; do :; done) & load=$! what+=", under load" ;;
    esac
    expect "$what ends" boot run "$mode"
    expect "$what: digest" "$build/tandem-digest-diff" "$dir/ref" "$dir/run"
    expect "$what: output" cmp "$dir/ref.out" "$dir/run.out"
    if [ -n "$load" ]; then kill "$load"; wait "$load" 2>/dev/null; load=; fi
done
summary "boot determinism"
