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
    "-devthread mode=adaptive -x-quantum 9973"
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
said "power management, where our tables have it" 'Using pmtimer, ioport 0x608'
said "our ACPI tables" 'ACPI: parse DSDT at'
said "keyboard" 'PS2 keyboard initialized'
said "threads, memory" 'All threads complete'
said "says what is missing" 'No bootable device'
if grep -Eiq 'internal error|warning|fail(ed|ure) to' "$dir/log"; then fail "no complaints" "$(cat "$dir/log")"; else pass; fi

# --- resets: it tries again after a minute ---
expect "a reset ends the run" seabios -no-reboot
said "which the firmware asked for" 'the guest asked for a reset'
expect "resets again and again" seabios -until tick=24000000000
[ "$(grep -c '^SeaBIOS (version' "$dir/log")" -ge 4 ] && pass || fail "three resets in 192 s" "$(cat "$dir/log")"

nothing=(-until "text=No bootable device")

# --- option ROMs: a ROM of 512 bytes that writes "ROM" to the debug port; its last byte makes the sum 0 ---
code='55 aa 01 60 ba 02 04 b0 52 ee b0 4f ee b0 4d ee b0 0a ee 61 cb' sum=0 text=''
for b in $code; do sum=$((sum + 0x$b)) text+="\\x$b"; done
{
    printf "$text"
    head -c $((511 - ${#text} / 4)) /dev/zero
    printf "\\x$(printf %02x $((-sum & 255)))"
} >"$dir/option.rom"
expect "-option-rom" seabios "${nothing[@]}" -option-rom "$dir/option.rom"
said "was run" '^ROM$'
expect "a VGA BIOS by name" seabios "${nothing[@]}" -L "$dir" -fw_cfg "name=vgaroms/x.bin,file=$dir/option.rom"
said "was run before the console came up" '^ROM$'

# --- the menu, driven over the serial line; recorded, and replayed without the keys ---
menu=(-m 32 -display none -no-reboot -boot "menu=on,splash-time=20000")
session_start timeout 30 "$build/tandem" -icount "shift=3,sleep=on,rr=record,rrfile=$dir/keys" "${menu[@]}" -serial stdio \
    -digest "every=10000000,file=$dir/menu.record" \
    -until "text=No bootable device"
if session_wait "Press ESC for boot menu" 20; then pass; else fail "prompt" "$session_log"; fi
printf '\033' >&"$session_out"
if session_wait "Select boot device" 20; then pass; else fail "menu" "$session_log"; fi
sleep 1.7 # it takes a second ESC that comes at once for a mistake
printf '\033' >&"$session_out"
if session_wait "Booting from Floppy" 20; then pass; else fail "choice" "$session_log"; fi
session_end
[ "$session_status" -eq 0 ] && pass || fail "the run with a menu" "$session_log"
expect "replayed" timeout 60 "$build/tandem" -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/keys" "${menu[@]}" \
    -digest "every=10000000,file=$dir/menu.replay" -serial null -devthread mode=inline -until "text=No bootable device"
expect "the same run" cmp "$dir/menu.record" "$dir/menu.replay"

# --- saved in the middle of the self-test, loaded, run on ---
at() { # output [option...]
    local out=$1
    shift
    seabios "${nothing[@]}" -digest "file=$dir/$out,every=1000000" "$@" && sed -n '$p' "$dir/$out" >"$dir/$out.end"
}
expect "whole run" at whole
for tick in 100000 300000 500000 900000 3000000; do
    expect "saved at $tick" at saved -snapshot-at "$tick,file=$dir/snap"
    expect "loaded" at loaded -loadvm "$dir/snap"
    expect "and ran on alike from $tick" cmp "$dir/whole.end" "$dir/loaded.end"
done

# --- -kernel through firmware ---
kernel() { # output [option...]
    local out=$1
    shift
    debian_args '' earlyprintk=serial
    seabios "${boot_args[@]}" -bios bios-256k.bin -serial "file:$dir/$out" -digest "file=$dir/$out.digest,every=50000000" "$@"
}
expect "Linux by its 16-bit entry" kernel kernel.1 -until "text=Linux version"
said "from the option ROM" 'Booting from ROM'
expect_text "with its command line" "$(cat "$dir/kernel.1")" 'Linux version'
expect "again, on one thread" kernel kernel.2 -until "text=Linux version" -devthread mode=inline
expect "the same run" cmp "$dir/kernel.1.digest" "$dir/kernel.2.digest"
lkrn=/usr/lib/ipxe/ipxe.lkrn
if [ -f $lkrn ]; then
    expect "iPXE has the 16-bit entry alone: firmware starts by itself" seabios -kernel $lkrn -serial null -until "text=Booting from ROM"
    said "SeaBIOS" 'Booting from ROM'
else
    skip "iPXE: package ipxe is not installed"
fi

# --- another file ---
expect "-L and -bios: the small build" seabios -L /usr/share/seabios -bios bios.bin -until "text=No bootable device"
said "comes up, too" 'No bootable device'

# --- watchers that want names, where no file of the guest's is named ---
for watcher in "-profile file=$dir/watched.profile,every=100000" "-account file=$dir/watched" "-mark here=some_function" "-trace file=$dir/watched"; do
    # shellcheck disable=SC2086
    expect "$watcher without -kernel" timeout 60 "$build/tandem" -m 32 -icount shift=3,sleep=off -display none -net none -serial null $watcher -until tick=3000000
done

# --- a kernel for a newer CPU: its own setup code, which firmware runs, says so ---
if [ -f "$debian_dir/linux" ]; then
    for lacks in "486:requires an i586 CPU, but only detected an i486" "pentium:^cmov"; do
        timeout 60 "$build/tandem" -cpu "${lacks%%:*}" -m 64 -icount shift=3,sleep=off -display none -net none -serial "file:$dir/out" -bios bios-256k.bin \
            -kernel "$debian_dir/linux" -append console=ttyS0 -until 'text=appropriate for your CPU' >/dev/null 2>&1 </dev/null
        expect_text "Linux for i686 with -cpu ${lacks%%:*}" "$(tr -d '\r' <"$dir/out")" "${lacks#*:}"
    done
else
    skip "Debian's kernel is not installed (debian-installer-12-netboot-i386): what it says on an older CPU"
fi
summary firmware
