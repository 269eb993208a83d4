#!/usr/bin/env bash
# floppy.sh [BUILD] - floppies and the text screen. The guest floppy.c drives the controller by DMA and PIO: one digest in all device
# modes, recorded, saved and loaded under way; errors of the host are the drive's, recorded and replayed without them. SeaBIOS boots from a floppy, and what the screen shows is what it sends to the serial port.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
export XDG_CACHE_HOME=$dir/cache TMPDIR=$dir
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$dir"' EXIT

# Sectors that begin with their number.
python3 - "$dir/image" <<'END'
import random, sys
random.seed(1)
with open(sys.argv[1], "wb") as f:
    for n in range(2880):
        f.write(n.to_bytes(4, "little") + random.randbytes(508))
END
cp "$dir/image" "$dir/before"

run() { # digest option...
    local name=$dir/$1
    shift
    timeout 120 "$build/tandem" -kernel "$build/tests/guests/floppy.elf" -m 16 -display none -drive "if=floppy,${drive:-file=$dir/image,format=raw}" \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -serial "file:$name.out" -digest "file=$name,every=5000000" \
        -icount "shift=3,sleep=off${rr-}" "$@" >/dev/null 2>"$name.err" </dev/null
    [ $? -eq 1 ] || { cat "$name.err" "$name.out"; return 1; }
}
same() { cmp "$dir/ref" "$dir/$1" && cmp "$dir/ref.out" "$dir/$1.out"; }

# --- one digest ---
expect "the guest's checks" run ref -snapshot -devthread mode=inline
expect "-snapshot: the image is as it was" cmp "$dir/image" "$dir/before"
for way in "-devthread mode=thread" "-devthread mode=adaptive" "-devthread mode=adaptive -x-jitter seed=${SEED:-1}" \
    "-devthread mode=thread -x-host-delay seed=${SEED:-1}" "-devthread mode=inline -translator mode=interp" \
    "-devthread mode=inline -x-pause every=20000000,seed=${SEED:-1}"; do
    # shellcheck disable=SC2086
    expect "$way" run b -snapshot $way
    expect "$way: same digests" same b
done
expect "written in place" run b -screendump-at "end,file=$dir/screen"
expect "written in place: same digests" same b
expect "the image has what was written" bash -c "! cmp -s '$dir/image' '$dir/before'"
cp "$dir/before" "$dir/image"

# --- recorded; saved and loaded under way ---
rr=",rr=record,rrfile=$dir/log" expect "recorded" run b
expect "recorded: same digests" same b
rr=",rr=replay,rrfile=$dir/log" expect "replayed" run b -devthread mode=thread
expect "replayed: same digests" same b
end_tick=$(awk '$1 == "end" { print $2 }' "$dir/ref")
points() { # after tick $1
    awk -v from="$1" '$1 == "end" || ($1 != "#" && $1 > from)' "$2" | grep -v '^#'
}
at=() ticks=() modes=(thread inline)
for i in 1 2 3 4; do
    ticks+=($(((RANDOM << 30 | RANDOM << 15 | RANDOM) % (end_tick - 1) + 1)))
    at+=(-snapshot-at "${ticks[i - 1]},file=$dir/$i.snap")
done
expect "saved at ${ticks[*]}" run b "${at[@]}"
expect "saved: same digests" same b
for i in 1 2 3 4; do
    expect "loaded at tick ${ticks[i - 1]}" run c -loadvm "$dir/$i.snap" -devthread "mode=${modes[i % 2]}"
    expect "loaded at tick ${ticks[i - 1]}: same digests" cmp <(points "${ticks[i - 1]}" "$dir/ref") <(points "${ticks[i - 1]}" "$dir/c")
done

# --- errors of the host: a server that fails now and then; a full disk under the overlay ---
server_start() { # what-fails...
    local filter=()
    [ $# -eq 0 ] || filter=(--filter=error)
    rm -f "$dir/nbd" "$dir/nbd.pid"
    nbdkit -f -U "$dir/nbd" -P "$dir/nbd.pid" "${filter[@]}" file "$dir/before" "$@" >/dev/null 2>&1 &
    server=$!
    for _ in $(seq 100); do [ -s "$dir/nbd.pid" ] && return; sleep 0.05; done
}
server_end() {
    kill "$server"
    wait "$server" 2>/dev/null
    server=
}
errors_of() { tr -d '\r' <"$dir/b.out" | sed -n "s/^errors: .*$1 \([0-9]*\) .*/\1/p"; }
replays() { # what
    mv "$dir/b" "$dir/ref" && mv "$dir/b.out" "$dir/ref.out"
    local mode
    for mode in inline thread adaptive; do
        rr=",rr=replay,rrfile=$dir/log" expect "$1: replayed without them, mode=$mode" run b -append errors=40 -devthread "mode=$mode"
        expect "$1: replayed without them, mode=$mode: same digests" same b
    done
}
drive=file=nbd:unix:$dir/nbd
server_start error=EIO error-pread-rate=30% error-file="$dir/faulty"
rm -f "$dir/faulty" "$dir/b"
(
    for _ in $(seq 400); do [ -s "$dir/b" ] && break; sleep 0.01; done
    touch "$dir/faulty"
) &
rr=",rr=record,rrfile=$dir/log" expect "reads fail: recorded" run b -append errors=40 -x-host-delay "seed=${SEED:-1}"
wait $!
expect "reads fail: the guest has seen it ($(errors_of read))" test "$(errors_of read)" -gt 0
expect "reads fail: told once" test "$(grep -c 'reading .* failed: Input/output error; the guest is told' "$dir/b.err")" -eq 1
server_end
server_start
replays "reads fail"
server_end
drive=''
(
    ulimit -f 200 # KiB
    rr=",rr=record,rrfile=$dir/log" run b -append errors=40 -translator mode=interp
) >"$dir/full" 2>&1
expect "a full disk: recorded" test $? -eq 0
expect "a full disk: the guest has seen it ($(errors_of write))" test "$(errors_of write)" -gt 0
replays "a full disk"
drive="file=$dir/image,format=raw"

# --- SeaBIOS boots from a floppy: the boot sector reads the next one by INT 13h and writes it by INT 10h; then it waits for two
# timer ticks, since SeaBIOS holds a character back for the serial port ---
code='\x31\xc0\x8e\xd8\x8e\xc0\xb8\x01\x02\xb9\x02\x00\xba\x00\x00\xbb\x00\x7e\xcd\x13\x72\x11\xbe\x00\x7e\xac\x08\xc0\x74\x09\xb4\x0e\xbb\x07\x00\xcd\x10\xeb\xf2\xfb\xf4\xf4\xb0\x2a\xe6\xf4\xf4\xeb\xfd'
boot_floppy() { # file sectors
    head -c $(($2 * 512)) /dev/zero >"$1"
    printf "$code" | dd of="$1" conv=notrunc status=none
    printf '\x55\xaa' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
    printf 'Hello from sector 2.\r\n' | dd of="$1" bs=512 seek=1 conv=notrunc status=none
}
boot() { # option...
    timeout 120 "$build/tandem" -m 32 -icount shift=3,sleep=off -display none -serial "file:$dir/out" -boot a \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -screendump-at "end,file=$dir/screen" "$@" >/dev/null 2>"$dir/err" </dev/null
    [ $? -eq 85 ] || { cat "$dir/err" "$dir/out"; return 1; }
}
# The serial console's bytes without its escape sequences, and the screen: the same lines.
serial_lines() { sed -E 's/\x1b(\[[?0-9;]*[a-zA-Z]|c)//g' "$dir/out" | tr -d '\r' | sed -E 's/ +$//' | grep .; }
screen_lines() { grep -v '^\[80 columns' "$dir/screen" | grep .; }

for sectors in 2880 1440 2400 720 5760 2; do # 1.44 MB, 720 KB, 1.2 MB, 360 KB, 2.88 MB; and the start of a 1.44 MB one
    boot_floppy "$dir/boot" "$sectors"
    expect "SeaBIOS boots from a floppy of $sectors sectors" boot -drive "file=$dir/boot,format=raw,if=floppy"
    expect_text "a floppy of $sectors sectors: its text" "$(cat "$dir/screen")" '^Hello from sector 2\.$'
done
expect "the screen is what the serial port had" diff <(serial_lines) <(screen_lines)
expect_text "the screen's size" "$(tail -n 1 "$dir/screen")" '^\[80 columns, 25 rows, cursor at column 0, row [0-9]+, tick [0-9]+\]$'
expect "without a VGA" boot -drive "file=$dir/boot,format=raw,if=floppy" -vga none
expect_text "without a VGA: SeaBIOS uses the serial port alone" "$(tr -d '\r' <"$dir/out")" '^Hello from sector 2\.$'
expect_text "without a VGA: no screen" "$(cat "$dir/screen")" 'no VGA card'
expect "booted from the second drive's image as the first" boot -fda "$dir/boot" -fdb "$dir/image"
summary floppy
