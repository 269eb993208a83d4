#!/usr/bin/env bash
# fuzz_devices.sh - the device fuzzer under the address and undefined-behaviour sanitizers, and what it reaches:
# line coverage of each chip, 80 % or more; a planted overflow that it must find. Builds into build-fuzz.
#     tests/fuzz_devices.sh [SECONDS [SEED]]
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh

seconds=${1:-60}
seed=${2:-1}
least=80               # percent of a chip's lines
planted_seconds=60     # it is found in one or two
not_chips='pc|pcintc|router|leak' # the board's wiring, and a part that only a test has
export ASAN_OPTIONS=detect_leaks=1:exitcode=66 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
build="build-fuzz"

build_fuzzers() {
    [ -f "$build/build.ninja" ] ||
        meson setup "$build" -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debug -Doptimization=1 -Db_coverage=true || return
    meson compile -C "$build" fuzz_chips fuzz_chips_planted fuzz_vga fuzz_vga_planted
}

if ! build_fuzzers >"$build.log" 2>&1; then
    fail "build of the fuzzers" "$(tail -n 20 "$build.log")"
    summary "fuzz devices"
    exit
fi
find "$build" -name '*.gcda' -delete
echo "device registers, memory and drives: $seconds s from seed $seed"
expect "no finding in $seconds s" "$build/tests/fuzz/fuzz_chips" "$seconds" "$seed"
expect "no finding in $seconds s of a graphics card with its memory" "$build/tests/fuzz/fuzz_vga" "$seconds" "$seed"
echo "line coverage:"
line_coverage "$build/hw" 'hw/[a-z0-9_]+[.]c$' | grep -Ev "^($not_chips)\.c " | sort >"$build/coverage"
expect "every device's file of hw/ has its line" diff <(cd hw && printf '%s\n' *.c | grep -Ev "^($not_chips)\.c$" | sort) <(cut -d ' ' -f 1 "$build/coverage")
while read -r file percent; do
    printf '    %-16s %5.1f %%\n' "$file" "$percent"
    expect "$file: $least % of its lines or more" awk -v p="$percent" -v l=$least 'BEGIN { exit p < l }'
done <"$build/coverage"
planted() { # fuzzer what-it-must-say
    local out
    out=$("$build/tests/fuzz/$1" $planted_seconds "$seed" 2>&1) && return 1
    grep -Eq "$2" <<<"$out"
}
expect "the planted overflow of hw/virtio_ring.c is found" planted fuzz_chips_planted 'virtio_ring.c.*out of bounds'
expect "the planted overflow of hw/vga_draw.c is found" planted fuzz_vga_planted 'stack-buffer-overflow|vga_draw.c.*out of bounds'
summary "fuzz devices"
