#!/usr/bin/env bash
# snapshot.sh [BUILD [TICKS [BOOT_TICKS]]] - a machine that was saved and loaded is the machine that never stopped.
# Each test guest is saved at TICKS random ticks (default 6) and at as many that follow one another, a Debian boot
# at BOOT_TICKS (default 0: none). The run that saves has the digests of the one that does not; each snapshot is
# loaded in another device mode and engine, has at once the bytes that it was made of, and its digest chain goes on
# as that of the whole run. SEED: of the choice. Says how many snapshots were made in states that are hard to save.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build} ticks=${2:-6} boot_ticks=${3:-0}
seed=${SEED:-1}
RANDOM=$seed
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

modes=(inline thread adaptive)
engines=("mode=interp" "mode=eager" "mode=background" "mode=background,threads=0,hot=1" "mode=eager,cache=64K")

# Into r: a number below $1. Not in a subshell, which would draw the same numbers again.
random_below() {
    r=$(((RANDOM << 30 | RANDOM << 15 | RANDOM) % $1))
}

# Another way to run each time, into the array `way`.
random_way() {
    way=(-devthread "mode=${modes[RANDOM % 3]}" -translator "${engines[RANDOM % 5]}")
    case $((RANDOM % 6)) in
    0) way+=(-x-jitter "seed=$RANDOM") ;;
    1) way+=(-x-single-tb) ;;
    esac
}

run() { # output-name [option...]; the guest is in the array guest
    local out=$1
    shift
    rm -f "$dir/$out" "$dir/$out.out"
    timeout 600 "$build/tandem" "${guest[@]}" -icount shift=3,sleep=off -display none \
        -serial "file:$dir/$out.out" -digest "file=$dir/$out,every=$every" "$@" >/dev/null 2>"$dir/err" </dev/null
    [ $? -eq "$success" ] || { cat "$dir/err"; return 1; }
}

# The points of the whole run from tick $1 on are those of the run that began there, to the end.
same_from() {
    awk -v from="$1" '$1 == "end" || ($1 != "#" && $1 > from)' "$dir/ref" >"$dir/want"
    cmp "$dir/want" <(grep -v '^#' "$dir/run")
}

# What was under way in a snapshot, into `states`.
states_of() {
    "$build/tandem-digest-diff" "$1" >"$dir/shown" || return
    awk '/^cpu.halted: 0x/ { print "halted" }
        /^cpu.int_shadow: 0x/ { print "shadow" }
        /^cpu-events.exc.pending: 0x/ { print "exception" }
        /^cpu-events.db_pending: 0x/ { print "debug" }
        /^cpu-events.rf_tick: 0x/ { print "RF" }
        /^link.pending.count: 0x/ { print "effects" }
        /^link.clamped: 0x/ { print "clamped" }
        /^cpu.eip: / { eip = $2 }
        /^spaces.stale: 0x/ { print "stale" }' "$dir/shown"
}

declare -A seen
note() {
    local state
    states=$(states_of "$1")
    for state in $states; do seen[$state]=$((${seen[$state]:-0} + 1)); done
}

resume() { # tick: its snapshot is $dir/TICK.snap
    local tick=$1
    random_way
    rm -f "$dir/again.snap"
    expect "$label, loaded at tick $tick, ${way[*]}: ends" run run -loadvm "$dir/$tick.snap" "${way[@]}" \
        -snapshot-at "$tick,file=$dir/again.snap"
    expect "$label, loaded at tick $tick: saved again, the same" \
        "$build/tandem-digest-diff" "$dir/$tick.snap" "$dir/again.snap"
    expect "$label, loaded at tick $tick, ${way[*]}: the same digests" same_from "$tick"
}

whole_run() {
    expect "$label: the run that never stops" run ref -devthread mode=inline -translator mode=background,threads=0
    end=$(awk '$1 == "end" { print $2 }' "$dir/ref")
    cp "$dir/ref.out" "$dir/whole.out"
}

save_and_resume() { # tick...
    local at=() tick
    for tick in "$@"; do at+=(-snapshot-at "$tick,file=$dir/$tick.snap"); done
    random_way
    expect "$label, saved at ${#at[@]} ticks, ${way[*]}: ends" run run "${way[@]}" "${at[@]}"
    expect "$label, ${way[*]}: saving shows nowhere" cmp "$dir/ref" "$dir/run"
    expect "$label, ${way[*]}: nor in the output" cmp "$dir/whole.out" "$dir/run.out"
    for tick in "$@"; do
        note "$dir/$tick.snap"
        resume "$tick"
        rm -f "$dir/$tick.snap"
    done
}

# Saves at $1 ticks in a row, and resumes from those in a state that fewer than $2 others were in.
save_in_a_row() {
    local at=() tick state wanted first
    random_below $((end - $1 - 1))
    first=$((1 + r))
    for ((tick = first; tick < first + $1; tick++)); do at+=(-snapshot-at "$tick,file=$dir/$tick.snap"); done
    random_way
    expect "$label, saved at $1 ticks from $first on, ${way[*]}: ends" run run "${way[@]}" "${at[@]}"
    expect "$label, ${way[*]}: saving shows nowhere" cmp "$dir/ref" "$dir/run"
    for ((tick = first; tick < first + $1; tick++)); do
        note "$dir/$tick.snap"
        wanted=''
        for state in $states; do [ "${seen[$state]}" -le "$2" ] && wanted=1; done
        [ -n "$wanted" ] && resume "$tick"
        rm -f "$dir/$tick.snap"
    done
}

# Into `chosen`: $1 random ticks, and $1 in a row from a random one.
choose_ticks() {
    local i first
    chosen=()
    for ((i = 0; i < $1; i++)); do
        random_below $((end - 1))
        chosen+=($((1 + r)))
    done
    random_below $((end - $1 - 1))
    first=$((1 + r))
    for ((i = 0; i < $1; i++)); do chosen+=($((first + i))); done
    mapfile -t chosen < <(printf '%s\n' "${chosen[@]}" | sort -nu)
}

small_guest() { # name every append
    label=$1 every=$2 success=1
    guest=(-kernel "$build/tests/guests/$1.elf" -append "$3" -m 16 -device "isa-debug-exit,iobase=0xf4,iosize=4")
    whole_run
    choose_ticks "$ticks"
    save_and_resume "${chosen[@]}"
}

# In batches, for the disk's sake; each is followed to the end.
boot_guest() {
    local i
    debian_args "mount -t proc proc /proc; cat /proc/interrupts; sha256sum /$debian_library; sleep 2; poweroff -f" quiet
    label=Debian every=5000000 success=0 guest=("${boot_args[@]}")
    whole_run
    choose_ticks $((boot_ticks / 2))
    for ((i = 0; i < ${#chosen[@]}; i += 10)); do save_and_resume "${chosen[@]:i:10}"; done
}

small_guest mix 50000 rounds=20
small_guest except 1000 ''
small_guest rep 20000 ''
small_guest smc 1000 ''
small_guest writes 1777 ''
small_guest pit 50000 ''
small_guest boundary 1000 ''
small_guest snapshot 10000 rounds=1200
# A round of that guest has about 1500 instructions: so many rows meet each of its parts.
for ((i = 0; i < 12; i++)); do save_in_a_row 200 "$ticks"; done
[ "$boot_ticks" -gt 0 ] && boot_guest
for state in halted shadow exception debug RF effects stale; do
    expect "some snapshots were made in state: $state" test "${seen[$state]:-0}" -gt 0
    printf '%s %s, ' "$state" "${seen[$state]:-0}"
done
echo "clamped ${seen[clamped]:-0}: snapshots in states that are hard to save"
summary snapshot
