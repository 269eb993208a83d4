#!/usr/bin/env bash
# sanitize.sh - unit tests and a small guest in every mode under the thread sanitizer and under the address and
# undefined-behaviour sanitizers. Builds what they need into build-tsan and build-asan.
#     tests/sanitize.sh [BUILD [EVERY]]   Long loops of unit tests take one of EVERY cases (7).
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=66 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS="halt_on_error=1 exitcode=66"
[ -f tests/tsan.supp ] && TSAN_OPTIONS+=" suppressions=$PWD/tests/tsan.supp"
plain=${1:-build}
export TANDEM_TEST_EVERY=${2:-7}
guests=''
for g in mix pit toypci disk smc moved; do guests+=" tests/guests/$g.elf"; done

# Names of the unit tests whose program can make a thread: where there is one thread, there is no race to be found. Any build can tell, so that
# the others need not be built for the thread sanitizer.
tests_with_threads() { # build
    meson introspect --tests "$1" | python3 -c 'import json, subprocess, sys
for t in json.load(sys.stdin):
    symbols = {"tandem:unit", "tandem:fuzz"} & set(t["suite"]) and subprocess.run(["nm", "-D", t["cmd"][0]], capture_output=True, text=True).stdout
    if symbols and "pthread_create" in symbols:
        print(t["name"])'
}

unit_tests() { # build [test...]
    local out
    out=$(meson test -C "$1" --suite unit --suite fuzz --timeout-multiplier 10 --print-errorlogs "${@:2}" 2>&1)
    passed=$((passed + $(sed -n 's/^Ok: *//p' <<<"$out")))
    local bad
    bad=$(awk '/^(Fail|Timeout|Unexpected Pass):/ { n += $NF } END { print n + 0 }' <<<"$out")
    [ "$bad" -eq 0 ] || { failed=$((failed + bad)) && printf '%s\n' "$out" | tail -n 60; }
}

guest() { # build mode guest [option...]
    local build=$1 mode=$2 guest=$3
    shift 3
    timeout 300 "$build/tandem" -kernel "$build/tests/guests/$guest.elf" -append "rounds=60" -m 16 -icount shift=3,sleep=off \
        -devthread "mode=$mode" -display none -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4 \
        -digest file=/dev/null,every=100000 -stats "$@" </dev/null
    [ $? -eq 1 ] # the guest's own success
}

run_build() { # build sanitizers
    local chosen=()
    if ! sanitized_ensure "$1" "$2" "tandem$guests" >"$1.log" 2>&1; then
        fail "build with $2" "$(tail -n 30 "$1.log")"
        return
    fi
    if [ "$2" = thread ]; then
        mapfile -t chosen < <(tests_with_threads "$plain")
        expect "thread: tests with threads are found" test ${#chosen[@]} -ge 20
    fi
    unit_tests "$1" "${chosen[@]}"
    local mode
    for mode in inline thread adaptive; do
        expect "$2: guest mix, mode $mode" guest "$1" "$mode" mix
        expect "$2: guest pit, mode $mode" guest "$1" "$mode" pit
        expect "$2: guest toypci, mode $mode" guest "$1" "$mode" toypci -x-toypci -x-jitter seed=5
        expect "$2: guest disk, mode $mode" guest "$1" "$mode" disk -x-toypci -x-host-delay seed=1 \
            -drive "file=$image,format=raw,if=x-toy,snapshot=on"
        expect "$2: guest disk, mode $mode, in place" guest "$1" "$mode" disk -x-toypci \
            -drive "file=$image,format=raw,if=x-toy"
        expect "$2: guest mix, mode $mode, compiled" guest "$1" "$mode" mix -translator mode=eager
        expect "$2: guest mix, mode $mode, standing now and then" guest "$1" "$mode" mix -x-pause every=20000
    done
    expect "$2: guest smc, compiled" guest "$1" inline smc -translator mode=background,hot=1,threads=2
    expect "$2: guest moved, compiled" guest "$1" inline moved -translator mode=background,hot=1,threads=2,moved=checked
}

image=$(mktemp)
trap 'rm -f "$image"' EXIT
truncate -s 1M "$image"
run_build build-asan address,undefined
run_build build-tsan thread
summary sanitizers
