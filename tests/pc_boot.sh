#!/usr/bin/env bash
# pc_boot.sh [BUILD [BOOTS]] - the PC as its users have it, long: every entry of GRUB's menu, the installer's CD, memtest86+, Debian on a disk
# with every kernel, interrupt controller and disk: boot, work with fsync, power-off, and fsck finds nothing; one digest in BOOTS boots
# (default 50). ONLY=part runs one part: menu, installer, memtest, debian, button, floppy, same.
# TANDEM names another emulator to run instead.
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${1:-build}")
boots=${2:-50}
tandem=${TANDEM:-$build/tandem}
dir=$(mktemp -d)
load=
cleanup() {
    [ -n "$load" ] && kill "$load" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

pc=(-display none -net none -icount "shift=3,sleep=off" -no-reboot)

# Runs it; the serial port's output is in $dir/out, what the emulator says in $dir/err, the status in `status`.
pc_run() { # seconds option...
    local seconds=$1
    shift
    rm -f "$dir/out"
    timeout "$seconds" "${prefix[@]}" "$tandem" "${pc[@]}" -serial "file:$dir/out" "$@" </dev/null >/dev/null 2>"$dir/err"
    status=$?
}
prefix=()

expect_output() { # what regex
    expect_text "$1" "$(tr -d "\r" <"$dir/out" 2>&1; cat "$dir/err")" "$2"
}
expect_end() { # what status
    expect "$1: status $2 (got $status)" test "$status" -eq "$2"
}

# --- GRUB: Linux, halt, reboot, from each medium ---
menu_from() { # medium drive-options-with-FILE image
    local entry options
    image_get "$3" "$build" || return
    for entry in linux halt reboot; do
        image_copy "$dir/image" choice "set default=$entry
set timeout=0" || return
        options=()
        read -r -a options <<<"${2//FILE/$dir/image}"
        pc_run 300 -m 256 "${options[@]}"
        expect_end "GRUB on $1: $entry" 0
        case $entry in
        linux) expect_output "GRUB on $1: Linux" '^cmdline is BOOT_IMAGE=/boot/linux console=ttyS0' && expect_output "GRUB on $1: Linux ends" 'powered off' ;;
        reboot) expect_output "GRUB on $1: reboot" 'reset' ;;
        esac
    done
}
part_menu() {
    menu_from "CD" "-cdrom FILE" grub-iso
    menu_from "IDE" "-drive file=FILE,format=raw,if=ide" grub-disk
    menu_from "virtio" "-drive file=FILE,format=raw,if=virtio" grub-disk
}

# --- isolinux: its menu by keys, then the installer itself ---
part_installer() {
    image_get isolinux-iso "$build" || return
    session_stderr=$dir/err
    session_start timeout 600 "$tandem" "${pc[@]}" -m 512 -cdrom "$image_file" -serial stdio
    if session_wait 'installer menu' 120 && session_wait 'Press ENTER to boot or TAB to edit a menu entry' 60; then pass; else fail "isolinux: menu" "$session_log"; fi
    printf '\r' >&"$session_out"
    if session_wait 'Select a language' 400; then pass; else fail "the installer's first question" "$session_log"; fi
    kill "$session_pid" 2>/dev/null
    session_end
}

# --- memtest86+: one pass over all memory, no error ---
part_memtest() {
    image_get grub-iso "$build" || return
    image_copy "$dir/image" choice 'set default=memtest
set timeout=0' || return
    pc_run 1800 -m 16 -cdrom "$dir/image" -until 'text=Pass:  1 '
    expect_end "memtest86+: a pass" 0
    if tail -c 3000 "$dir/out" | grep -aq 'Errors: 0 '; then pass; else fail "memtest86+: no error" "$(tail -c 3000 "$dir/out")"; fi
}

# --- Debian: each row is a kernel, its options, and the disk ---
work='mount | grep " / "
for i in 1 2 3 4 5 6 7 8; do
  seq $((i * 1000)) $((i * 1000 + 20000)) >/root/work.$i
  dd if=/root/work.$i of=/root/copy.$i bs=7k conv=fsync 2>/dev/null
  rm /root/work.$i
done
cat /root/copy.* | sha256sum
systemctl is-failed "*" | sort | uniq -c
dmesg | grep -Ei "ata.*(dma|pio|error)|virtio_blk|timeout|lost" 
cat /proc/interrupts
poweroff'
work_sum=$(for i in 1 2 3 4 5 6 7 8; do seq $((i * 1000)) $((i * 1000 + 20000)); done | sha256sum | cut -d ' ' -f 1)

debian_run() { # kernel kernel-options drive-interface [option...]
    local what="Debian, $1, ${2:-no options}, $3" kernel=$1 kernel_options=$2 interface=$3
    shift 3
    image_copy "$dir/image" choice "set default=kernel-$kernel
set timeout=0
set options='$kernel_options'" run "$work" || { fail "$what: image"; return; }
    pc_run 900 -m 256 -drive "file=$dir/image,format=raw,if=$interface" "$@"
    expect_end "$what: power-off" 0
    expect_output "$what: login" 'tandem login: root \(automatic login\)'
    expect_output "$what: what was written is read" "^$work_sum"
    expect_output "$what: kernel" "Linux tandem 6\.1\.0-[0-9]+-$kernel "
    if grep -aEq 'I/O error|lost interrupt|timeout|Call Trace|Kernel panic' "$dir/out"; then fail "$what: complaints" "$(grep -aE 'I/O error|lost|timeout|Call Trace|panic' "$dir/out")"; else pass; fi
    expect "$what: fsck finds nothing" e2fsck -fn "$dir/image?offset=1048576"
}
part_debian() {
    image_get debian-disk "$build" || return
    debian_run 686 '' ide
    debian_run 686 'nolapic noapic' ide
    debian_run 686-pae 'libata.dma=0' ide
    debian_run 686-pae '' virtio
    debian_run 686 'nolapic noapic' virtio
}

# --- the power button, pressed from outside once somebody is logged in: systemd-logind hears of it by SCI, ACPI and its input device ---
press_power() {
    local i
    for i in $(seq 12000); do
        grep -aq 'automatic login' "$dir/out" 2>/dev/null && break
        sleep 0.1
    done
    sleep 3
    printf '{"execute":"qmp_capabilities"}{"execute":"system_powerdown"}' | socat -t5 - "UNIX:$dir/qmp"
}
part_button() {
    local options what
    image_get debian-disk "$build" || return
    for options in '' 'nolapic noapic'; do
        what="Debian, ${options:-with APICs}, power button"
        image_copy "$dir/image" choice "set default=kernel-686
set timeout=0
set options='$options'" || { fail "$what: image"; return; }
        rm -f "$dir/out"
        press_power >"$dir/answers" &
        pc_run 1300 -m 256 -drive "file=$dir/image,format=raw,if=ide" -qmp "unix:$dir/qmp,server,nowait"
        wait $!
        expect_end "$what: power-off" 0
        expect_output "$what: the guest's own doing" 'the guest powered off'
        expect "$what: told" grep -q POWERDOWN "$dir/answers"
        expect "$what: fsck finds nothing" e2fsck -fn "$dir/image?offset=1048576"
    done
}

# --- Linux's floppy driver: what a floppy has, and what is written to it ---
floppy_work='modprobe floppy
sleep 2
dmesg | grep -i floppy
sha256sum /dev/fd0
seq 1 40000 | dd of=/dev/fd0 bs=18k conv=fsync 2>/dev/null
poweroff'
part_floppy() {
    image_get debian-disk "$build" || return
    head -c 1474560 /dev/urandom >"$dir/floppy"
    image_copy "$dir/image" choice "set default=686
set timeout=0" run "$floppy_work" || { fail "Linux and a floppy: image"; return; }
    local sum
    sum=$(sha256sum <"$dir/floppy" | cut -d ' ' -f 1)
    pc_run 900 -m 256 -drive "file=$dir/image,format=raw,if=ide" -drive "file=$dir/floppy,format=raw,if=floppy" -boot c
    expect_end "Linux and a floppy: power-off" 0
    expect_output "Linux and a floppy: the drive" 'Floppy drive\(s\): fd0 is 1.44M'
    expect_output "Linux and a floppy: what is read" "^$sum"
    expect "Linux and a floppy: what is written" cmp <(seq 1 40000) <(head -c "$(seq 1 40000 | wc -c)" "$dir/floppy")
}

# --- one digest: firmware, GRUB and Linux, in all modes, on one core and two, with host I/O delayed (now and then: from the IDE disk firmware
# reads Linux by 70,000 requests) ---
part_same() {
    local modes=(adaptive thread inline) i mode what extra
    image_get grub-disk "$build" || return
    same_run() { # digest-file mode option...
        local digest=$1
        shift
        pc_run 600 -m 256 -drive "file=$dir/image,format=raw,if=$interface,snapshot=on" -devthread "mode=$1" -digest "file=$dir/$digest,every=50000000" "${@:2}"
    }
    for interface in ide virtio; do
        prefix=()
        image_copy "$dir/image" choice "set default=linux
set timeout=0" || return
        same_run "ref" inline
        expect_end "the reference, $interface" 0
        cp "$dir/out" "$dir/ref.out"
        for i in $(seq 1 $((boots / 2 - 1))); do
            mode=${modes[i % 3]} what="boot $i, $interface, mode ${modes[i % 3]}" prefix=() extra=()
            case $((i % 4)) in
            1) prefix=(taskset -c 0) what+=", one core" ;;
            2) extra=(-x-host-delay "seed=$i,one-in=64" -x-quantum $((i * 997))) what+=", host I/O delayed, another quantum" ;;
            3) (while :; do :; done) & load=$! what+=", under load" ;;
            esac
            same_run run "$mode" "${extra[@]}"
            expect_end "$what" 0
            expect "$what: digest" "$build/tandem-digest-diff" "$dir/ref" "$dir/run"
            expect "$what: output" cmp "$dir/ref.out" "$dir/out"
            if [ -n "$load" ]; then kill "$load"; wait "$load" 2>/dev/null; load=; fi
        done
    done
    prefix=()
}

for part in ${ONLY:-menu installer memtest debian button floppy same}; do
    "part_$part"
done
summary "pc boot"
