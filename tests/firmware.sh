#!/usr/bin/env bash
# firmware.sh [BUILD] - SeaBIOS from the distribution: it comes up in every mode alike, finds what there is, and resets.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

ways=(
    "-devthread mode=inline -translator mode=interp"
    "-devthread mode=inline -translator mode=eager"
    "-devthread mode=thread"
    "-devthread mode=adaptive"
    "-devthread mode=adaptive -x-jitter seed=${SEED:-1}"
    "-devthread mode=inline -x-pause every=20000000,seed=${SEED:-1}"
)

# Its messages, on the debug console, are in $dir/log; what Tandem says in $dir/err.
seabios() { # [option...]
    rm -f "$dir/log"
    timeout 120 "$build/tandem" -m 32 -icount shift=3,sleep=off -display none \
        -chardev "file,id=log,path=$dir/log" -device isa-debugcon,iobase=0x402,chardev=log "$@" \
        >/dev/null 2>"$dir/err" </dev/null
}

said() { # what regex
    expect_text "$1" "$(cat "$dir/log" "$dir/err")" "$2"
}

# --- power-on to the end of its wisdom, one digest in every way of running ---
n=0
for way in "${ways[@]}"; do
    # shellcheck disable=SC2086
    expect "SeaBIOS: $way" seabios -until "text=No bootable device" -digest "file=$dir/digest.$n,every=10000000" $way
    [ $n -eq 0 ] || expect "one digest: $way" cmp "$dir/digest.0" "$dir/digest.$n"
    n=$((n + 1))
done
said "is at home" 'Running on QEMU \(i440fx\)'
said "fw_cfg" 'fw_cfg DMA interface supported'
said "sees the RAM" 'qemu/e820: addr 0x0+ len 0x0*2000000 .RAM.'
said "its screen is COM1" 'sercon: using ioport 0x3f8'
said "power management" 'Using pmtimer, ioport 0x'
said "keyboard" 'PS2 keyboard initialized'
said "threads, memory" 'All threads complete'
said "says what is missing" 'No bootable device'
if grep -Eiq 'internal error|warning|fail(ed|ure) to' "$dir/log"; then fail "no complaints" "$(cat "$dir/log")"; else pass; fi

# --- resets: it tries again after a minute ---
expect "a reset ends the run" seabios -no-reboot
said "which the firmware asked for" 'the guest asked for a reset'
expect "resets again and again" seabios -until tick=24000000000
[ "$(grep -c '^SeaBIOS (version' "$dir/log")" -ge 4 ] && pass || fail "three resets in 192 s" "$(cat "$dir/log")"

# --- another file ---
expect "-L and -bios: the small build" seabios -L /usr/share/seabios -bios bios.bin -until "text=No bootable device"
said "comes up, too" 'No bootable device'

summary firmware
