#!/usr/bin/env bash
# firmware_boot.sh [BUILD] - Linux started by SeaBIOS: it likes the ACPI tables, and powers off by them.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for apic in -apic +apic; do
    debian_args 'dmesg; poweroff -f' loglevel=8
    expect "boot with -cpu i686,$apic" timeout 1200 "$build/tandem" -cpu "i686,$apic" -icount shift=3,sleep=off -display none \
        -bios bios-256k.bin "${boot_args[@]}" -serial "file:$dir/out"
    log=$(tr -d '\r' <"$dir/out")
    expect_text "$apic: ACPI is in use" "$log" 'ACPI: Interpreter enabled'
    expect_text "$apic: interrupt links" "$log" 'ACPI: PCI: Interrupt link LNKA configured for IRQ'
    expect_text "$apic: SMBIOS is there" "$log" 'DMI: Tandem Standard PC'
    expect_text "$apic: power-off by ACPI" "$log" 'reboot: Power down'
    complaints=$(grep -E 'ACPI (Error|Warning|BIOS Error)|ACPI:.*[Ff]ailed|\[Firmware Bug\]' <<<"$log")
    [ -z "$complaints" ] && pass || fail "$apic: no complaints about tables" "$complaints"
done
summary firmware_boot
