#!/usr/bin/env bash
# boot.sh [BUILD] - Debian's kernel and initrd to the shell: commands given on the kernel's command line (no
# input: the run is the same each time), the same with all that the kernel prints, with each interrupt controller that it
# can be told to use, and typed on the serial port. TANDEM names another emulator to run instead.
set -u
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
tandem=${TANDEM:-$(realpath "${1:-build}")/tandem}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Prints the lines between "==NAME" and the next "==".
section() { # name
    tr -d '\r' <"$dir/out" | awk -v name="==$1" '$0 == name { on = 1; next } /^==/ { on = 0 } on'
}

script="mount -t proc proc /proc; echo ==uname; uname -a; echo ==cpu; cat /proc/cpuinfo; echo ==sum"
script+="; sha256sum /$debian_library; echo ==sleep; cat /proc/uptime; sleep 2; cat /proc/uptime"
script+="; echo ==float; awk 'BEGIN { print 355 / 113, 1e300 / 7e295, 2 / 3 * 1e-300 }'"
script+="; echo ==irq; cat /proc/interrupts; echo ==dmesg; dmesg -r; echo ==end; poweroff -f"
debian_args "$script" loglevel=0
# Another emulator has no account.
watch=()
[ -n "${TANDEM-}" ] || watch=(-stats "file=$dir/stats.json" -account "file=$dir/account.json" -profile "file=$dir/profile,every=12503,stacks=on")
timeout 600 "$tandem" "${boot_args[@]}" -nographic -icount shift=3,sleep=off "${watch[@]}" </dev/null >"$dir/out" 2>"$dir/err"
status=$?
expect "guest power-off ends with status 0 (got $status)" test $status -eq 0
expect_text "it says so" "$(cat "$dir/err")" 'the guest powered off'
expect_text "uname" "$(section uname)" '^Linux \(none\) 6\.1\..* i686 GNU/Linux$'
expect_text "cpuinfo: flags" "$(section cpu)" '^flags.* fpu .*tsc .*cx8 .*sep .*pge .*cmov'
expect_text "interrupts come by the I/O APIC" "$(section irq)" '^ *4: .*IO-APIC +4-edge +ttyS0'
expect_text "and by the local APIC's timer" "$(section irq)" '^LOC: +[1-9][0-9]{2}'
expect_text "cpuinfo: frequency agrees with the clock" "$(section cpu)" '^cpu MHz.*: (1000\.[0-9]*|999\.9[0-9]*)$'
expect_text "checksum of a large file is the host's" "$(section sum)" "^$(debian_library_sum)  /$debian_library\$"
expect_text "floating point" "$(section float)" '^3\.14159 14285\.7 6\.66667e-301$'
slept=$(section sleep | awk '{ t[NR] = $1 } END { print (t[2] - t[1]) * 100 }')
expect "sleep 2 takes 2 s of virtual time (took $slept centiseconds)" test "${slept%.*}" -ge 199 -a "${slept%.*}" -le 215
no_warnings() { # which boot
    local warnings
    warnings=$(section dmesg | grep -E '^<[0-4]>' | grep -Evf <(grep -v '^#' "$here/boot-warnings.expected"))
    if [ -n "$(section dmesg)" ] && [ -z "$warnings" ]; then pass; else fail "$1: dmesg has no unexpected warnings" "$warnings"; fi
}
no_warnings "APIC"
if [ -n "${watch[*]}" ]; then
    expect "exact counts are the icount, little is booked as other" python3 "$here/account.py" whole "$dir/account.json" "$dir/stats.json"
    expect "sampling differs from them by less than 0.2 %" python3 -c 'import json, sys
sys.exit(json.load(open(sys.argv[1]))["sampling"]["largest_difference_percent"] >= 0.2)' "$dir/account.json"
fi
[ "$failed" -eq 0 ] || { tail -n 40 "$dir/out"; tail -n 5 "$dir/err"; }

# Without quiet. QEMU 7.2 (-icount shift=3,sleep=off) reaches the shell at 47.75 s of the kernel's time.
debian_args "mount -t sysfs sysfs /sys; echo ==clock; cat /sys/devices/system/clocksource/clocksource0/current_clocksource; echo ==seq; seq 6000; poweroff -f"
timeout 600 "$tandem" "${boot_args[@]}" -nographic -icount shift=3,sleep=off </dev/null >"$dir/out" 2>"$dir/err"
status=$?
expect "printing boot: power-off ends with status 0 (got $status)" test $status -eq 0
expect "it keeps the TSC" test "$(section clock | head -n 1)" = tsc
if grep -q 'unstable' "$dir/out"; then fail "nothing is unstable" "$(grep unstable "$dir/out")"; else pass; fi
init_ms=$(tr -d ' .' <"$dir/out" | sed -n 's/^\[\([0-9]*\)[0-9]\{3\}\]Run\/bin\/sh.*/\1/p')
expect "it takes no more virtual time than QEMU to get to the shell (${init_ms:-no} ms)" test "${init_ms:-99999}" -le 47750
# The kernel's own lines come in between, some behind a number.
numbers=$(section seq | sed 's/\[ *[0-9]*\.[0-9]*\] .*//; /^$/d')
if [ "$numbers" = "$(seq 6000)" ]; then pass; else fail "nothing is lost at power-off" "$numbers"; fi

# The same kernel on the 8259 pair, by its own choice and since there is nothing else, and with the MP table.
controller() { # what regular-expression-for-line-4 kernel-options [option...]
    debian_args "mount -t proc proc /proc; echo ==irq; cat /proc/interrupts; echo ==dmesg; dmesg -r; echo ==end; poweroff -f" "$3" loglevel=0
    timeout 600 "$tandem" "${boot_args[@]}" -nographic -icount shift=3,sleep=off "${@:4}" </dev/null >"$dir/out" 2>"$dir/err"
    status=$?
    expect "$1: power-off ends with status 0 (got $status)" test $status -eq 0
    expect_text "$1: whose interrupts they are" "$(section irq)" "^ *4: .*$2 +.*ttyS0"
    no_warnings "$1"
}
controller "noapic nolapic" XT-PIC "noapic nolapic"
controller "noapic" XT-PIC "noapic"
controller "acpi=off" IO-APIC "acpi=off"
[ -n "${TANDEM-}" ] || controller "-cpu i686,-apic" XT-PIC "" -cpu i686,-apic

# Typed: each command waits for the prompt.
debian_args '' quiet
session_stderr=$dir/err
session_start timeout 600 "$tandem" "${boot_args[@]}" -display none -serial stdio -icount shift=3,sleep=off
typed() { # command text-to-wait-for
    session_send "$1"
    expect_wait "typed: $1" "$2" 120
}
expect_wait() { # what text seconds
    if session_wait "$2" "$3"; then pass; else fail "$1: '$2' did not appear" "$session_log"; fi
}
expect_wait "prompt" '# ' 300
typed 'echo $((6 * 7)) is the answer' '42 is the answer'
typed 'cat /etc/debian_version 2>/dev/null; echo $0-done' '/bin/sh-done'
typed "yes | head -c 20000 | md5sum" '-'
session_send 'poweroff -f'
session_end
expect "typed session ends with status 0 (got $session_status)" test "$session_status" -eq 0
summary boot
