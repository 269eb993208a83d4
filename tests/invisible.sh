#!/usr/bin/env bash
# invisible.sh [BUILD [BOOTS]] - the translator cannot be seen by the guest: one digest file for every way to run its code.
# Small guests in every way and device mode; with BOOTS (at most 10) that many full boots of Debian's kernel instead, each
# in another way, and the first part of one with TB length 1 (every instruction leaves the compiled code).
# SEED: of the build with shuffled registers (default 7) and of the delays; it is printed. ONLY=TEXT: of the boots, those whose way is named so.
# Each way must also have done what it is there for (figures in -stats), so that no comparison is empty.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build}
boots=${2:-0}
seed=${SEED:-7}
only=${ONLY-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Another build: guest registers in other host registers, temporaries chosen at random.
shuffled="build-regs"
shuffled_ensure() {
    [ -f $shuffled/build.ninja ] || meson setup $shuffled --buildtype=release || return
    meson configure $shuffled -Drandom_regs="$seed" && meson compile -C $shuffled tandem
}

# name: build, figure of -stats that must be over, or with = exactly, a number; options. PB: the build under test, SB: shuffled.
ways=(
    "interp:                       PB native_blocks=0     -translator mode=interp"
    "eager:                        PB native_links>0      -translator mode=eager"
    "background:                   PB tb_built>0"
    "background, threads=0:        PB native_blocks>0     -translator mode=background,threads=0"
    "background, threads=1:        PB tb_built>0          -translator mode=background,threads=1"
    "background, threads=2:        PB tb_built>0          -translator mode=background,threads=2"
    "background, threads=4, hot=1: PB tb_built>0          -translator mode=background,threads=4,hot=1"
    "hot=1:                        PB native_blocks>0     -translator mode=background,threads=0,hot=1"
    "chaining off:                 PB native_links=0      -translator mode=eager,chain=off"
    "chaining off, background:     PB native_links=0      -translator mode=background,hot=1,threads=2,chain=off"
    "TB length 1:                  PB native_blocks=0     -translator mode=interp -x-single-tb"
    "TB length 1, compiled:        PB native_blocks>0     -translator mode=eager -x-single-tb"
    "worker delays:                PB tb_built>0          -translator mode=background,hot=2,threads=2 -x-jitter seed=$seed"
    "worker delays, 4 workers:     PB tb_built>0          -translator mode=background,hot=1,threads=4 -x-jitter seed=$((seed + 1))"
    "tiny cache:                   PB native_evicted>EV   -translator mode=eager,cache=64K"
    "tiny cache, background:       PB native_evicted>0    -translator mode=background,hot=1,threads=0,cache=64K"
    "tiny cache, worker delays:    PB tb_built>0          -translator mode=background,hot=1,threads=2,cache=64K -x-jitter seed=$seed"
    "all probes failed:            PB host_differs=NP     -translator mode=eager -x-probe differs=0xffff"
    "shuffled registers:           SB native_links>0      -translator mode=eager"
    "shuffled registers, hot=1:    SB tb_built>0          -translator mode=background,hot=1,threads=2"
)

# A host that answers probe N otherwise, for guests that use x87, MMX and SSE.
probes=$(grep -c '^PROBE(' translator/x64/probe.def)
probe_ways=("all probes failed: PB host_differs=NP -translator mode=eager -x-probe differs=0xffff")
for ((i = 0; i < probes; i++)); do
    probe_ways+=("probe $i failed: PB host_differs>0 -translator mode=eager -x-probe differs=$((1 << i))")
done

# A program at ever new linear addresses.
moved_ways=(
    "moved blocks off:                PB tb_moved=0         -translator mode=background,hot=1,threads=0,moved=off"
    "moved blocks, checked:           PB tb_placed>100      -translator mode=background,hot=1,threads=0,moved=checked"
    "moved blocks, eager, checked:    PB native_copied>100  -translator mode=eager,moved=checked"
    "moved blocks, interp, checked:   PB tb_placed>100      -translator mode=interp,moved=checked"
    "moved blocks, any long ones:     PB tb_placed>50       -translator mode=eager,moved=checked,long=any"
    "moved blocks, tiny cache:        PB native_evicted>EV  -translator mode=eager,moved=checked,cache=64K"
    "moved blocks, worker delays:     PB tb_moved>50        -translator mode=background,hot=1,threads=2 -x-jitter seed=$seed"
    "moved blocks, chaining off:      PB native_copied>100  -translator mode=eager,moved=checked,chain=off"
    "moved blocks, shuffled registers: SB tb_placed>100     -translator mode=eager"
)

# figure NAME: its number in the last run's statistics
figure() {
    awk -F '[:,]' -v name="\"$1\"" '$1 ~ name { print $2 + 0; exit }' "$dir/stats.json"
}

# did FIGURE[=>]N
did() {
    local name=${1%%[=>]*} n=${1##*[=>]}
    [[ $1 == *'>'* ]] && [ "$(figure "$name")" -gt "$n" ] || { [[ $1 == *=* ]] && [ "$(figure "$name")" -eq "$n" ]; }
}

# split_way LINE: into name, binary, must, opts
split_way() {
    local fields
    name=${1%%:*}
    read -r -a fields <<<"${1#*:}"
    binary=$build/tandem
    [ "${fields[0]}" = SB ] && binary=$shuffled/tandem
    must=${fields[1]/EV/$evicted_min}
    must=${must/NP/$probes}
    opts=("${fields[@]:2}")
}

run() { # output-name device-mode [option...]; the guest is in the array guest
    local out=$1 mode=$2
    shift 2
    timeout 1200 "$binary" "${guest[@]}" -icount shift=3,sleep=off -display none -devthread "mode=$mode" \
        -serial "file:$dir/$out.out" -digest "file=$dir/$out,every=$every" -stats "file=$dir/stats.json" "$@" \
        >/dev/null 2>"$dir/err" </dev/null
    [ $? -eq "$success" ] || { cat "$dir/err"; return 1; }
}

# A run with -x-ticks: the reference goes on where it ends.
same_so_far() {
    local n
    n=$(grep -vc '^end' "$dir/run")
    [ "$n" -gt 20 ] && cmp <(head -n "$n" "$dir/ref") <(head -n "$n" "$dir/run")
}

# one WAY device-mode: runs it and compares
one() {
    split_way "$1"
    local what="$label, $name, devthread mode=$2"
    rm -f "$dir/run" "$dir/run.out" "$dir/stats.json"
    expect "$what: ends" run run "$2" "${opts[@]}"
    expect "$what: $must" did "$must"
    if [[ "${opts[*]}" == *-x-ticks* ]]; then
        expect "$what: same digests so far" same_so_far
        return
    fi
    expect "$what: same digests" "$build/tandem-digest-diff" "$dir/ref" "$dir/run"
    expect "$what: same output" cmp "$dir/ref.out" "$dir/run.out"
}

reference() {
    split_way "${ways[0]}"
    expect "$label: the reference ends" run ref inline "${opts[@]}"
    expect "$label: the reference has intervals" test "$(wc -l <"$dir/ref")" -gt 20
}

small_guest_is() { # name every append
    label=$1 every=$2 success=1 evicted_min=10
    guest=(-kernel "$build/tests/guests/$1.elf" -append "$3" -m 16 -device "isa-debug-exit,iobase=0xf4,iosize=4")
    reference
}

small_guest() { # name every append device-mode...
    local way mode
    small_guest_is "$1" "$2" "$3"
    shift 3
    for way in "${ways[@]}"; do
        for mode in "$@"; do one "$way" "$mode"; done
    done
}

float_guest() { # name every
    local way
    small_guest_is "$1" "$2" shift=3
    for way in "${probe_ways[@]}"; do one "$way" inline; done
}

moved_guest() {
    local way mode
    small_guest_is moved 20000 shift=3
    for way in "${moved_ways[@]}"; do
        for mode in inline adaptive; do one "$way" "$mode"; done
    done
}

# What is in the list above, in nine boots beside the reference. How much delayed workers compile depends on the host.
boot_ways=(
    "eager:                           PB native_links>0    -translator mode=eager"
    "background:                      PB tb_placed>0       -translator moved=checked"
    "background, threads=1, delays:   PB native_blocks>0   -translator mode=background,threads=1,hot=1 -x-jitter seed=$seed"
    "background, threads=4:           PB native_blocks>0   -translator mode=background,threads=4"
    "chaining off, threads=2:         PB native_links=0    -translator mode=background,threads=2,chain=off"
    "tiny cache, delays:              PB native_evicted>9999 -translator mode=background,hot=1,threads=2,cache=256K -x-jitter seed=$seed"
    "tiny cache, eager:               PB native_evicted>EV -translator mode=eager,cache=256K"
    "shuffled registers:              SB native_blocks>0   -translator mode=background,hot=1,threads=2"
    "hot=1, long blocks of any shape: PB tb_placed>0       -translator mode=background,hot=1,threads=0,long=any,moved=checked"
)
boot_in_part="TB length 1:                  PB native_blocks>0   -translator mode=eager -x-single-tb -x-ticks 1000000000"

boot_guest() {
    local i modes=(thread adaptive inline)
    debian_args "mount -t proc proc /proc; cat /proc/interrupts; sha256sum /$debian_library; sleep 2; poweroff -f" quiet
    label=Debian every=5000000 success=0 evicted_min=100000 guest=("${boot_args[@]}")
    reference
    for ((i = 0; i < boots - 1 && i < ${#boot_ways[@]}; i++)); do
        if [[ ${boot_ways[i]%%:*} == *"$only"* ]]; then one "${boot_ways[i]}" "${modes[i % 3]}"; fi
    done
    if [[ ${boot_in_part%%:*} == *"$only"* ]]; then one "$boot_in_part" adaptive; fi
}

echo "seed $seed"
expect "build with shuffled registers" shuffled_ensure
if [ "$boots" -gt 0 ]; then
    boot_guest
else
    small_guest mix 50000 rounds=120 inline thread adaptive
    small_guest smc 1000 '' adaptive
    small_guest except 1000 '' adaptive
    small_guest writes 1777 '' adaptive
    moved_guest
    float_guest fpu 100000
    float_guest sse 1000
    float_guest bench_x87 1000000
    float_guest bench_sse 1000000
fi
summary invisible
