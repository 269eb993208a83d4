#!/usr/bin/env bash
# Runs the test guests in every mode and for several shifts: tests/guests/run.sh [BUILD]
# Each guest checks itself and leaves through isa-debug-exit: status 1 is success.
set -u
build=${1:-build}
tandem=$build/cli/tandem
[ -x "$tandem" ] || tandem=$build/tandem
passed=0 failed=0

run_guest() { # name shift mode extra-options...
    local name=$1 shift=$2 mode=$3 out status
    shift 3
    out=$(timeout 300 "$tandem" -kernel "$build/tests/guests/$name.elf" -append "shift=$shift" -m 16 \
        -icount "shift=${shift%% *},sleep=off" -devthread "mode=$mode" -display none -serial stdio \
        -device isa-debug-exit,iobase=0xf4,iosize=4 "$@" 2>&1 </dev/null)
    status=$?
    if [ $status -eq 1 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL guest %s shift=%s mode=%s: exit status %s\n%s\n' "$name" "$shift" "$mode" "$status" "$out"
    fi
}

for mode in inline thread adaptive; do
    for name in boundary smc moved except sse fpu writes remap pae; do
        run_guest "$name" 3 "$mode"
    done
    for s in 0 1 3 7 10; do
        run_guest pit "$s" "$mode"
        run_guest rep "$s" "$mode"
        run_guest apic "$s" "$mode"
    done
    run_guest clocks 3 "$mode"
    run_guest toypci 3 "$mode" -x-toypci
    run_guest clocks 6 "$mode"
    run_guest apic "3 apic=0" "$mode" -cpu i686,-apic
    run_guest apic "3 storm=100" "$mode"
done
# Everything in cases/, in each engine and device mode.
for file in "$build"/tests/guests/case_*.elf; do
    name=$(basename "$file" .elf)
    run_guest "$name" 3 adaptive
    run_guest "$name" 3 inline -translator mode=interp
    run_guest "$name" 3 thread -translator mode=eager
    run_guest "$name" 3 inline -x-single-tb
done
run_guest case_uart_line "3 wire=1" inline -serial-speed wire
modules=$(mktemp -d)
trap 'rm -rf "$modules"' EXIT
printf 'first module' >"$modules/a"
printf 'second' >"$modules/b"
run_guest multiboot 3 adaptive -initrd "$modules/a arg one,$modules/b"
for name in boundary smc moved except sse rep pit apic fpu writes remap pae bench_cr3; do
    run_guest "$name" 3 inline -x-single-tb
    for engine in interp eager background,hot=1 background,threads=0; do
        run_guest "$name" 3 inline -translator "mode=$engine"
        run_guest "$name" 3 adaptive -translator "mode=$engine"
    done
    run_guest "$name" 3 inline -x-single-tb -translator mode=eager
done
for engine in interp eager background,hot=1; do
    for mode in inline thread; do
        run_guest toypci 3 "$mode" -x-toypci -translator "mode=$engine"
    done
done
run_guest toypci 3 adaptive -x-toypci -x-single-tb
echo "guests: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
