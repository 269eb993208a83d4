#!/usr/bin/env bash
# minix.sh [BUILD] - systems of which only the tester has images, booted by firmware: MINIX 3 from its CD (MINIX_ISO) and from an installed IDE
# disk (MINIX_DISK), which is not written to. Each comes to "login:", on the screen or the serial port; root, without a password, logs in by the
# keyboard and says "poweroff"; the machine powers off. What was recorded is replayed in every mode: one digest, the same screen at the end.
# A variable that is not set is a counted skip. A guest of our own (tests/guests/login.c) stands in as CD and as disk in any case, so that this script is
# known to work, and once without a prompt, which must be told.
#     MINIX_ISO=minix.iso MINIX_DISK=minix.img tests/minix.sh build
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$dir"' EXIT
how=
boot_seconds=1200 # of the host's time, up to the prompt
monitor=$dir/monitor

tandem() { # name option...; how=exec: in the place of the shell, so that a background job's number is its own
    local name=$1
    shift
    $how "$build/tandem" -m 256 -net none -display none -no-reboot -serial "file:$dir/$name.serial" -digest "file=$dir/$name.digest,every=100000000" \
        -screendump-at "end,file=$dir/$name.screen" "${medium[@]}" "$@" </dev/null >/dev/null 2>"$dir/$name.err"
}

ask() { printf '%s\n' "$@" | socat -t 5 - "unix:$monitor" >/dev/null 2>&1; }

# Waits until a line on the screen or the serial port is like that; false: the machine has ended, or it took too long.
await() { # regex seconds
    local end=$((SECONDS + $2))
    while kill -0 "$machine" 2>/dev/null && [ $SECONDS -lt $end ]; do
        ask "screendump $dir/now"
        if cat "$dir/now" "$dir/record.serial" 2>/dev/null | grep -aEq -- "$1"; then return 0; fi
        sleep 0.5
    done
    return 1
}

declare -A key_of=([' ']=spc)
type_line() { # text
    local i c keys=()
    for ((i = 0; i < ${#1}; i++)); do
        c=${1:i:1}
        keys+=("sendkey ${key_of[$c]:-$c}")
    done
    ask "${keys[@]}" 'sendkey ret'
}

# Up to the power-off. What is lacking is in `lacking`.
session() {
    lacking=
    await 'login: *$' "$boot_seconds" || { lacking="no login prompt"; return; }
    type_line root
    await '# *$' 300 || { lacking="no shell for root"; return; }
    type_line poweroff
    for _ in {1..1200}; do
        kill -0 "$machine" 2>/dev/null || return
        sleep 0.1
    done
    lacking="no power-off within 120 s"
}

# Records a session with that medium.
record() { # option...
    local medium=("$@")
    rm -f "$monitor" "$dir/now" "$dir"/record.*
    how='exec' tandem record -icount "shift=3,rr=record,rrfile=$dir/log" -monitor "unix:$monitor,server,nowait" &
    machine=$!
    session
    [ -z "$lacking" ] || kill "$machine" 2>/dev/null
    wait "$machine"
    status=$?
}

boots() { # what option...
    local what=$1 mode
    shift
    record "$@"
    if [ -n "$lacking" ]; then
        fail "$what: $lacking" "$(cat "$dir/record.err"; tail -n 30 "$dir/now" "$dir/record.serial")"
        return
    fi
    expect "$what: powered off, status 0 (got $status)" test "$status" -eq 0
    for mode in inline thread adaptive; do
        medium=("$@")
        tandem replay -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log" -devthread "mode=$mode"
        status=$?
        expect "$what, replayed, mode $mode: status 0 (got $status)" test "$status" -eq 0
        expect "$what, replayed, mode $mode: one digest" diff <(grep -v '^#' "$dir/record.digest") <(grep -v '^#' "$dir/replay.digest")
        expect "$what, replayed, mode $mode: the screen" cmp "$dir/record.screen" "$dir/replay.screen"
    done
}

stand_in() { # file kernel-option
    mkdir -p "$dir/tree/boot/grub"
    cp "$build/tests/guests/login.elf" "$dir/tree/boot/"
    printf 'multiboot /boot/login.elf %s\nboot\n' "$2" >"$dir/tree/boot/grub/grub.cfg"
    grub-mkrescue -o "$1" "$dir/tree" >"$dir/grub.log" 2>&1
}

expect "the stand-in" stand_in "$dir/stand-in" ''
boots "the stand-in as CD" -cdrom "$dir/stand-in"
boots "the stand-in as disk" -drive "file=$dir/stand-in,format=raw,if=ide,snapshot=on"
expect "the stand-in without a prompt" stand_in "$dir/mute" mute=1
boot_seconds=6 record -cdrom "$dir/mute"
expect "no prompt is told: ${lacking:-nothing}" test "$lacking" = "no login prompt"

if [ -n "${MINIX_ISO-}" ]; then boots MINIX_ISO -cdrom "$MINIX_ISO"; else skip "MINIX_ISO is not set: MINIX's CD is not tried"; fi
if [ -n "${MINIX_DISK-}" ]; then
    boots MINIX_DISK -drive "file=$MINIX_DISK,format=raw,if=ide,snapshot=on"
else
    skip "MINIX_DISK is not set: MINIX's disk is not tried"
fi
summary minix
