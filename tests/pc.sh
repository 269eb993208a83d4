#!/usr/bin/env bash
# pc.sh [BUILD] - the PC as its users have it, short: firmware starts loaders and programs from every medium. Each run is without input,
# chosen by a block of text in a copy of the image, or with keys typed on the serial port, recorded and replayed.
# TANDEM names another emulator to run instead: QEMU passes all but those checks of the real-mode suite that are about segment limits, and
# resets the machine in the part "resume".
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${1:-build}")
tandem=${TANDEM:-$build/tandem}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

pc=(-m 64 -display none -net none -icount "shift=3,sleep=off" -no-reboot -device "isa-debug-exit,iobase=0xf4,iosize=4")

# Runs it; the serial port's output is in $dir/out, the status in `status`.
pc_run() { # seconds option...
    local seconds=$1
    shift
    rm -f "$dir/out"
    timeout "$seconds" "$tandem" "${pc[@]}" -serial "file:$dir/out" "$@" </dev/null >/dev/null 2>"$dir/err"
    status=$?
}

expect_output() { # what regex
    expect_text "$1" "$(tr -d "\r" <"$dir/out" 2>&1; cat "$dir/err")" "$2"
}

# --- the real-mode suite, from every medium ---
suite=$build/tests/realmode/realmode.img
suite_run() { # what option...
    local what=$1
    shift
    pc_run 120 "$@"
    expect "real-mode suite, $what: status 1 (got $status)" test $status -eq 1
    expect_output "real-mode suite, $what" 'OK: [0-9]{3} checks, 0 failed$'
}
if [ -z "${TANDEM-}" ]; then
    for mode in inline thread adaptive; do
        quantum=()
        [ $mode = inline ] || quantum=(-x-quantum $((RANDOM + 200)))
        suite_run "IDE disk, mode $mode ${quantum[*]}" -drive "file=$suite,format=raw,if=ide,snapshot=on" -devthread "mode=$mode" "${quantum[@]}" -digest "file=$dir/digest.$mode,every=10000000"
        expect "one digest, mode $mode" cmp "$dir/digest.inline" "$dir/digest.$mode"
    done
else
    suite_run "IDE disk" -drive "file=$suite,format=raw,if=ide,snapshot=on"
fi
suite_run "floppy" -drive "file=$suite,format=raw,if=floppy,snapshot=on"
suite_run "virtio disk" -drive "file=$suite,format=raw,if=virtio,snapshot=on"
image_get realmode-iso "$build" && suite_run "CD" -cdrom "$image_file"
image_get realmode-floppy-iso "$build" && suite_run "CD that stands for a floppy" -cdrom "$image_file"

# --- keyboard controller, PCI, ATA and ATAPI as MINIX's drivers use them; its ways to reset ---
python3 -c 'import struct, sys
for name, blocks, words in ((sys.argv[1], 4096, 128), (sys.argv[2], 64, 512)):
    open(name, "wb").write(b"".join(struct.pack("<%dI" % words, *(n + (i << 16) for i in range(words))) for n in range(blocks)))' "$dir/sectors" "$dir/blocks"
for mode in inline thread adaptive; do
    [ -z "${TANDEM-}" ] || break # QEMU sets ATAPI's SERVICE bit
    pc_run 60 -kernel "$build/tests/guests/minix_pc.elf" -drive "file=$dir/sectors,format=raw,if=ide,snapshot=on" -cdrom "$dir/blocks" -devthread "mode=$mode"
    expect "drivers of MINIX, mode $mode: status 1 (got $status)" test $status -eq 1
    expect_output "drivers of MINIX, mode $mode" '^OK: [0-9]{3} checks, 0 failed$'
done
reset_by() { # what code
    tiny_guest "$dir/tiny" "$2"
    pc_run 60 -kernel "$dir/tiny"
    expect "reset by $1: status 0 (got $status)" test $status -eq 0
    [ -n "${TANDEM-}" ] || expect_output "reset by $1" 'reset|triple fault'
}
reset_by "the 8042's command FE" '\xb0\xfe\xe6\x64\xeb\xfe'
reset_by "port CF9" "$code_reset"
reset_by "port 92h" '\xb0\x00\xe6\x92\xb0\x01\xe6\x92\xeb\xfe'

# --- GRUB: to a Multiboot guest without a key, from CD, IDE and virtio ---
grub_run() { # what option...
    local what=$1
    shift
    pc_run 120 "$@"
    expect "GRUB, $what: the guest ends with status 1 (got $status)" test $status -eq 1
    expect_output "GRUB, $what: the guest's checks" '^OK: [0-9]+ checks, 0 failed$'
}
choice='set default=guest
set timeout=0'
if image_get grub-iso "$build" && image_copy "$dir/cd" choice "$choice"; then
    grub_run "CD" -cdrom "$dir/cd"
fi
if image_get grub-disk "$build" && image_copy "$dir/disk" choice "$choice"; then
    grub_run "IDE disk" -drive "file=$dir/disk,format=raw,if=ide,snapshot=on"
    grub_run "virtio disk" -drive "file=$dir/disk,format=raw,if=virtio,snapshot=on"
fi

# --- GRUB on the screen and the serial port: both have the menu ---
if [ -z "${TANDEM-}" ] && image_get grub-disk "$build" && image_copy "$dir/disk" choice "terminal_output serial console
set timeout=1
set default=guest"; then
    grub_run "serial port and screen" -drive "file=$dir/disk,format=raw,if=ide,snapshot=on" -screendump-at "text=automatically,file=$dir/screen"
    expect "GRUB's menu on the screen is that of the serial port" python3 "$(dirname "$0")/serial_screen.py" "$dir/out" automatically "$dir/screen"
fi

# --- GRUB's menu by keys: to the third entry and back to the second, then Enter ---
menu_run() { # option...
    session_stderr=$dir/err
    session_start timeout 120 "$tandem" "${pc[@]}" -serial stdio "$@"
    if session_wait 'Reboot' 60 && session_wait 'executed automatically' 10; then pass; else fail "GRUB's menu appears" "$session_log"; fi
    printf '\033[B\033[B\033[A\r' >&"$session_out"
    session_end
    status=$session_status
    printf '%s' "$session_log" >"$dir/out"
}
if image_get grub-disk "$build"; then
    options=(-drive "file=$image_file,format=raw,if=ide,snapshot=on")
    if [ -n "${TANDEM-}" ]; then
        menu_run "${options[@]}"
    else
        menu_run "${options[@]}" -icount "shift=3,sleep=off,rr=record,rrfile=$dir/log" -digest "file=$dir/recorded,every=50000000"
    fi
    expect "GRUB's menu by keys: the guest ends with status 1 (got $status)" test $status -eq 1
    expect_output "GRUB's menu by keys: the guest's checks" 'OK: [0-9]+ checks, 0 failed'
    if [ -z "${TANDEM-}" ]; then
        cp "$dir/out" "$dir/out.recorded"
        pc_run 120 "${options[@]}" -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log" -digest "file=$dir/replayed,every=50000000" -devthread mode=inline
        expect "GRUB's menu by keys, replayed: status 1 (got $status)" test $status -eq 1
        expect "its digest" cmp "$dir/recorded" "$dir/replayed"
        expect "its output" cmp "$dir/out.recorded" "$dir/out"
    fi
fi
summary pc
