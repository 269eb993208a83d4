#!/usr/bin/env bash
# snapshot.sh [BUILD [TICKS [BOOT_TICKS]]] - a machine that was saved and loaded is the machine that never stopped.
# Each test guest is saved at TICKS random ticks (default 6) and at as many that follow one another, a Debian boot
# at BOOT_TICKS (default 0: none). The run that saves has the digests of the one that does not; each snapshot is
# loaded in another device mode and engine, has at once the bytes that it was made of, and its digest chain goes on
# as that of the whole run. A guest that is typed at is recorded; snapshots of the recording and of its replay are
# loaded with the log. SEED: of the choice.
#
# Snapshots in states that are hard to save are counted, by what the snapshot itself says; none of a state is a failure:
#   halted, shadow      the CPU's own fields
#   exception, debug    an exception was raised and is not delivered; a breakpoint or single step was hit
#   rep                 this tick and the one before stand at the same instruction, ECX is one less, RF is 1: between
#                       two iterations
#   access              a device's floor_tick lies ahead: what an access causes shows then
#   effects             effects are pending: a line's new level (a move is in force at the next tick: none is ever pending here)
#   dma                 a bus master has said when it uses memory next
#   input               bytes from outside wait for the chip
#   service             the local APIC has an interrupt in service; nmi: so has the CPU an NMI
#   stale               the TLB may hold what a walk would not find
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build} ticks=${2:-6} boot_ticks=${3:-0}
seed=${SEED:-1}
RANDOM=$seed
dir=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)") # thousands of files, each of them synced
trap 'rm -rf "$dir"' EXIT

modes=(inline thread adaptive)
engines=("mode=interp" "mode=eager" "mode=background" "mode=background,threads=0,hot=1" "mode=eager,cache=64K")
hard=(halted shadow exception debug rep access effects dma input service nmi stale)

# Into r: a number below $1. Not in a subshell, which would draw the same numbers again.
random_below() {
    r=$(((RANDOM << 30 | RANDOM << 15 | RANDOM) % $1))
}

# Another way to run each time, into the array `way`.
random_way() {
    way=(-devthread "mode=${modes[RANDOM % 3]}" -translator "${engines[RANDOM % 5]}")
    case $((RANDOM % 6)) in
    0) way+=(-x-jitter "seed=$RANDOM") ;;
    1) [ "$long" ] || way+=(-x-single-tb) ;;
    esac
    # What a boot takes too long in.
    case $long${way[3]} in longmode=interp | longmode=eager,*) way[3]=mode=background ;; esac
}

run() { # output-name [option...]; the guest is in the array guest
    local out=$1
    shift
    rm -f "$dir/$out" "$dir/$out.out"
    timeout 600 "$build/tandem" "${guest[@]}" -icount shift=3,sleep=off -display none \
        -serial "file:$dir/$out.out" -digest "file=$dir/$out,every=$every" "$@" >/dev/null 2>"$dir/err" </dev/null
    [ $? -eq "$success" ] || { cat "$dir/err"; return 1; }
}

# The points of the whole run in ($1, $2] are those of the run that began at tick $1; without $2: to the end.
same_points() {
    awk -v from="$1" -v to="${2-}" '$1 == "end" ? to == "" : $1 != "#" && $1 > from && (to == "" || $1 <= to)' \
        "$dir/ref" >"$dir/want"
    cmp "$dir/want" <(grep -v '^#' "$dir/run" | if [ "${2-}" ]; then grep -v '^end'; else cat; fi)
}

# --- states that are hard to save ---

# What was under way in a snapshot, into `states`; rep: with what the call before left in `before`.
states_of() { # tick
    local now
    states=$("$build/tandem-digest-diff" "$dir/$1.snap" | awk -v tick="$(printf '%016x' "$1")" '
        function digits(hex) { hex = substr(hex, 3); return substr("0000000000000000", length(hex) + 1) hex }
        /^cpu.halted: 0x/ { print "halted" }
        /^cpu.int_shadow: 0x/ { print "shadow" }
        /^cpu-events.exc.pending: 0x/ { print "exception" }
        /^cpu-events.db_pending: 0x/ { print "debug" }
        /^cpu-events.rf_tick: 0x/ { rf = 1 }
        /^board.floor_tick/ && digits($2) > tick { access = 1 }
        /^board.master_ns/ && $2 != "0xffffffffffffffff" { dma = 1 }
        /^link.pending.count: 0x/ { print "effects" }
        /^serial[0-9].count: 0x/ { print "input" }
        /^apic.isr\[[0-9]\]: 0x/ { service = 1 }
        /^cpu-events.nmi_blocked: 0x/ { print "nmi" }
        /^spaces.stale: 0x/ { print "stale" }
        /^cpu.eip: / { eip = $2 }
        /^cpu.ecx: / { ecx = $2 }
        END {
            if (access) print "access"
            if (dma) print "dma"
            if (service) print "service"
            print "at", eip, ecx, rf + 0
        }')
    now="$1 ${states##*at }" states=${states%at *}
    is_next_iteration "$before" "$now" && states+=rep
    before=$now
}

is_next_iteration() { # "TICK EIP ECX RF" twice
    local a b
    read -ra a <<<"$1"
    read -ra b <<<"$2"
    [ ${#a[@]} -eq 4 ] && [ "${b[0]}" -eq $((a[0] + 1)) ] && [ "${a[1]}" = "${b[1]}" ] && [ "${b[3]}" = 1 ] &&
        [ $((b[2] + 1)) -eq $((a[2])) ]
}

declare -A seen
before=''
note() { # tick
    local state
    states_of "$1"
    for state in $states; do seen[$state]=$((${seen[$state]:-0} + 1)); done
}

# --- saving and loading ---

resume() { # tick, of the snapshot $dir/TICK.snap, [last tick to follow]
    local tick=$1 until=()
    [ "${2-}" ] && until=(-x-ticks "$2")
    random_way
    rm -f "$dir/again.snap"
    expect "$label, loaded at tick $tick, ${way[*]}: ends" run run -loadvm "$dir/$tick.snap" "${way[@]}" "${until[@]}" \
        -snapshot-at "$tick,file=$dir/again.snap"
    expect "$label, loaded at tick $tick: saved again, the same" \
        "$build/tandem-digest-diff" "$dir/$tick.snap" "$dir/again.snap"
    expect "$label, loaded at tick $tick, ${way[*]}: the same digests" same_points "$@"
}

whole_run() {
    expect "$label: the run that never stops" run ref -devthread mode=inline -translator mode=background,threads=0
    end=$(awk '$1 == "end" { print $2 }' "$dir/ref")
    cp "$dir/ref.out" "$dir/whole.out"
}

save() { # tick...
    local at=() tick
    for tick in "$@"; do at+=(-snapshot-at "$tick,file=$dir/$tick.snap"); done
    random_way
    expect "$label, saved at $# ticks from $1 on, ${way[*]}: ends" run run "${way[@]}" "${at[@]}"
    expect "$label, ${way[*]}: saving shows nowhere" cmp "$dir/ref" "$dir/run"
    expect "$label, ${way[*]}: nor in the output" cmp "$dir/whole.out" "$dir/run.out"
}

# Followed to the end; of a long run, one in ten is, the others over ten digest points.
save_and_resume() { # tick...
    local tick last
    save "$@"
    for tick in "$@"; do
        note "$tick"
        last=''
        [ "$long" ] && [ $((RANDOM % 10)) -ne 0 ] && [ $((tick + 10 * every)) -lt "$end" ] && last=$((tick + 10 * every))
        resume "$tick" "$last"
        rm -f "$dir/$tick.snap"
    done
}

# Saves at $1 ticks in a row, and resumes from those in a state that fewer than $2 others were in.
save_in_a_row() {
    local tick state wanted first
    random_below $((end - $1 - 1))
    first=$((1 + r))
    mapfile -t row < <(seq "$first" $((first + $1 - 1)))
    save "${row[@]}"
    for tick in "${row[@]}"; do
        note "$tick"
        wanted=''
        for state in $states; do [ "${seen[$state]}" -le "$2" ] && wanted=1; done
        [ -n "$wanted" ] && resume "$tick"
        rm -f "$dir/$tick.snap"
    done
}

all_seen() { # state...
    local state
    for state in "$@"; do [ "${seen[$state]:-0}" -gt 0 ] || return; done
}

# $1 rows of $2 ticks, and more of them until each of these states was met; by chance that may take some.
rows() { # rows ticks state...
    local i
    for ((i = 0; i < 60; i++)); do
        [ "$i" -ge "$1" ] && all_seen "${@:3}" && break
        save_in_a_row "$2" "$ticks"
    done
}

# Into `chosen`: $1 random ticks, each with $2 - 1 that follow it.
choose_ticks() {
    local i k
    chosen=()
    for ((i = 0; i < $1; i++)); do
        random_below $((end - $2))
        for ((k = 0; k < $2; k++)); do chosen+=($((1 + r + k))); done
    done
    mapfile -t chosen < <(printf '%s\n' "${chosen[@]}" | sort -nu)
}

small_guest() { # name every append [option...]
    label=$1 every=$2 success=1 long=''
    guest=(-kernel "$build/tests/guests/$1.elf" -append "$3" -m 16 -device "isa-debug-exit,iobase=0xf4,iosize=4" "${@:4}")
    whole_run
    choose_ticks "$ticks" 1
    save_and_resume "${chosen[@]}"
    choose_ticks 1 "$ticks"
    save_and_resume "${chosen[@]}"
}

# In batches, for the sake of the space that they take. Half of the ticks are in groups that follow one another.
boot_guest() {
    local i all
    debian_args "mount -t proc proc /proc; cat /proc/interrupts; sha256sum /$debian_library; sleep 2; poweroff -f" quiet
    label=Debian every=5000000 success=0 long=long guest=("${boot_args[@]}")
    whole_run
    choose_ticks $((boot_ticks / 2)) 1
    all=("${chosen[@]}")
    choose_ticks $(((boot_ticks + 9) / 10)) 5
    all+=("${chosen[@]}")
    for ((i = 0; i < ${#all[@]}; i += 10)); do save_and_resume "${all[@]:i:10}"; done
}

# --- input under way ---

type_at() { # socket: bursts that overrun the UART's FIFO; q ends the guest
    local i
    {
        for i in 1 2 3 4 5 6; do
            sleep "0.1$RANDOM"
            printf "$i%.0s" {1..50}
        done
        printf q
        sleep 1
    } | socat -t 5 - "UNIX-CONNECT:$1" >/dev/null
}

# Of the log, the ticks at which something came in.
input_ticks() { awk '$2 == "serial0" { print $1 }' "$dir/log"; }

record() { # icount-options option...: typed at, into $dir/ref and $dir/log
    local pid
    rm -f "$dir/socket" "$dir/ref" "$dir/log"
    timeout 60 "$build/tandem" "${guest[@]}" -icount "shift=3,rr=record,rrfile=$dir/log,$1" -display none \
        -serial "unix:$dir/socket,server=on,wait=on" -digest "file=$dir/ref,every=$every" "${@:2}" >/dev/null 2>"$dir/err" </dev/null &
    pid=$!
    while [ ! -S "$dir/socket" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
    type_at "$dir/socket"
    wait "$pid"
    [ $? -eq "$success" ] || { cat "$dir/err"; return 1; }
}

resume_replay() { # tick
    random_way
    expect "echo, replayed from tick $1, ${way[*]}: ends" run run -loadvm "$dir/$1.snap" "${way[@]}" \
        -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log"
    expect "echo, replayed from tick $1, ${way[*]}: the same digests" same_points "$1"
}

# Snapshots that the recording run made itself, and those that a replay makes at the ticks of input and after them.
typed_guest() {
    local live=(5000000 15000000 25000000 35000000) at=() tick
    label=echo every=500000 success=1 long=''
    guest=(-kernel "$build/tests/guests/echo.elf" -m 16 -append pit=60000 -device "isa-debug-exit,iobase=0xf4,iosize=4")
    for tick in "${live[@]}"; do at+=(-snapshot-at "$tick,file=$dir/$tick.snap"); done
    expect "echo, typed at, recorded and saved: ends" record sleep=on -devthread "mode=$1" "${at[@]}"
    end=$(awk '$1 == "end" { print $2 }' "$dir/ref")
    for tick in "${live[@]}"; do resume_replay "$tick"; done
    expect "echo: input came in at several ticks" test "$(input_ticks | wc -l)" -ge 4
    mapfile -t chosen < <(input_ticks | awk '{ print $1 - 1; print $1; print $1 + 1; print $1 + 40 + NR }' | sort -nu)
    chosen=("${chosen[@]:0:4 + 2 * ticks}") at=()
    for tick in "${chosen[@]}"; do at+=(-snapshot-at "$tick,file=$dir/$tick.snap"); done
    expect "echo, replayed and saved: ends" run run -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log" "${at[@]}"
    expect "echo, replayed and saved: saving shows nowhere" cmp "$dir/ref" "$dir/run"
    for tick in "${chosen[@]}"; do
        note "$tick"
        resume_replay "$tick"
    done
    # A recording that begins at a snapshot is replayed from it.
    expect "echo, loaded and recorded: ends" record sleep=on -loadvm "$dir/${chosen[1]}.snap"
    resume_replay "${chosen[1]}"
}

small_guest mix 50000 rounds=20
small_guest except 1000 ''
small_guest rep 20000 ''
small_guest smc 1000 ''
small_guest writes 1777 ''
small_guest pit 50000 ''
small_guest boundary 1000 ''
small_guest fpu 100000 ''
small_guest sse 1000 ''
small_guest remap 5000 ''
small_guest toypci 20000 '' -x-toypci
small_guest toypci 5000 moves=20 -x-toypci
rows $((5 + ticks / 10)) 60 dma access
small_guest apic 50000 ''
small_guest apic 5000 storm=50
rows $((3 + ticks / 10)) 60 service nmi
small_guest snapshot 10000 rounds=600
# A round of that guest has about 3000 ticks: so many rows meet each of its parts.
rows $((9 + ticks / 5)) 120 halted shadow exception debug rep effects stale
typed_guest "${modes[RANDOM % 3]}"
[ "$boot_ticks" -gt 0 ] && boot_guest
for state in "${hard[@]}"; do
    expect "some snapshots were made in state: $state" test "${seen[$state]:-0}" -gt 0
    printf '%s %s, ' "$state" "${seen[$state]:-0}"
done
echo "snapshots in states that are hard to save"
summary snapshot
