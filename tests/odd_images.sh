#!/usr/bin/env bash
# odd_images.sh [BUILD] - images that nobody would make on purpose: sizes, partition tables, El Torito CDs, option ROMs. Each gives a clear
# error of Tandem's, or firmware finds it and boots it or goes on, as it would on a PC: never a crash, never a hang.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
export XDG_CACHE_HOME=$dir/cache TMPDIR=$dir
trap 'rm -rf "$dir"' EXIT

# Ends with 85 if the image's own code runs, with 0 if firmware finds nothing to boot, with 2 if Tandem refuses the image.
boot() { # option...
    timeout 60 "$build/tandem" -m 32 -icount shift=3,sleep=off -display none -net none -serial "file:$dir/out" -no-reboot \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -until "text=No bootable device" "$@" >/dev/null 2>"$dir/err" </dev/null
    status=$?
}
# boots|nothing|refused by what it must be; with "refused": a regular expression of the message.
is() { # what boots|nothing|refused option...
    local want=0
    case $2 in boots) want=85 ;; refused*) want=2 ;; esac
    boot "${@:3}"
    if [ $status -eq $want ]; then pass; else fail "$1: status $status, not $want" "$(cat "$dir/err"; tail -n 5 "$dir/out")"; fi
    [ $want -ne 2 ] || expect_text "$1: the message" "$(cat "$dir/err")" "^tandem: .*${2#refused}"
}

# --- disks: a boot sector that ends the run ---
code='\xb0\x2a\xe6\xf4\xeb\xfe'
disk() { # bytes table: the partition table in printf escapes
    rm -f "$dir/disk"
    truncate -s "$1" "$dir/disk"
    printf "$code" | dd of="$dir/disk" conv=notrunc status=none
    printf "$2" | dd of="$dir/disk" bs=1 seek=446 conv=notrunc status=none
    printf '\x55\xaa' | dd of="$dir/disk" bs=1 seek=510 conv=notrunc status=none
}
disk_is() { # what boots|nothing|refused: as IDE and as virtio disk
    is "$1, IDE" "$2" -drive "file=$dir/disk,format=raw,if=ide"
    is "$1, virtio" "$2" -drive "file=$dir/disk,format=raw,if=virtio"
}
entry() { # status type first sectors: an entry of a partition table
    printf '\\x%02x\\xfe\\xff\\xff\\x%02x\\xfe\\xff\\xff%s%s' "$1" "$2" "$(le32_bytes "$3")" "$(le32_bytes "$4")"
}
none=$(entry 0 0 0 0)
for bytes in 512 1024; do # SeaBIOS wants more of a virtio disk
    disk $bytes "$none"
    is "a disk of $bytes bytes" boots -drive "file=$dir/disk,format=raw,if=ide"
done
for bytes in 512K 1M 503M 504M 505M 1032192000 8G 137438953984 2199023256064 4T; do
    disk $bytes "$none"
    disk_is "a disk of $bytes bytes" boots
done
disk 1M "$(entry 0x80 0x83 1 2047)$(entry 0x80 0x83 1 2047)$(entry 0x80 0x83 1 2047)$(entry 0x80 0x83 1 2047)"
disk_is "four active partitions, one over the other" boots
disk 1M "$(entry 0x80 0x83 4000000000 4294967295)$none$none$none"
disk_is "a partition behind the end" boots
disk 1M "$(entry 0 5 0 2048)$(entry 0 0x0f 0 2048)$none$none"
disk_is "extended partitions that lead to themselves" boots
disk 1M "$(entry 0xff 0xff 4294967295 4294967295)$(entry 0x7f 0xee 1 4294967295)$(entry 1 0 1 0)$(entry 0x81 0xff 0 0)"
disk_is "entries full of ones" boots
printf '\x00\x00' | dd of="$dir/disk" bs=1 seek=510 conv=notrunc status=none
disk_is "a disk without a signature" nothing
for bytes in 1 511 513 1025; do
    head -c $bytes /dev/zero >"$dir/disk"
    disk_is "a disk of $bytes bytes" nothing
done
: >"$dir/disk"
disk_is "an empty file" 'refused.*(empty|no bytes|0 bytes)'
head -c 2M /dev/urandom >"$dir/disk"
is "random bytes as a floppy of no known size" nothing -drive "file=$dir/disk,format=raw,if=floppy"

# --- El Torito: CDs that are made here, a field changed ---
cd_is() { # what boots|nothing field=value...
    local what=$1 want=$2
    shift 2
    python3 - "$dir/cd" "$@" <<'END'
import struct, sys
f = dict(sectors=64, cut=0, catalog=20, header=1, key=0xAA55, sum=None, boot=0x88, media=0, segment=0, count=4, rba=24, name=b"EL TORITO SPECIFICATION", type=0)
for arg in sys.argv[2:]:
    name, value = arg.split("=", 1)
    f[name] = value.encode() if name == "name" else int(value, 0)
image = bytearray(f["sectors"] * 2048)
def put(at, data):
    if at + len(data) <= len(image):
        image[at:at + len(data)] = data
put(16 * 2048, b"\x01CD001\x01")
put(17 * 2048, struct.pack("<B5sB32s32xI", f["type"], b"CD001", 1, f["name"], f["catalog"]))
put(18 * 2048, b"\xffCD001\x01")
entry = bytearray(struct.pack("<BBH24sHH", f["header"], 0, 0, b"", 0, f["key"]))
s = -sum(struct.unpack("<16H", entry)) & 0xFFFF if f["sum"] is None else f["sum"]
struct.pack_into("<H", entry, 28, s)
put(20 * 2048, bytes(entry) + struct.pack("<BBHBBHI", f["boot"], f["media"], f["segment"], 0, 0, f["count"], f["rba"]))
code = bytearray(2048)
code[:6] = b"\xb0\x2a\xe6\xf4\xeb\xfe"
code[446:462] = struct.pack("<B3sB3sII", 0x80, b"\0\1\0", 6, b"\1\1\1", 0, 4)
code[510:512] = b"\x55\xaa"
put(24 * 2048, code)
open(sys.argv[1], "wb").write(image[:len(image) - f["cut"]])
END
    is "a CD, $what" "$want" -cdrom "$dir/cd"
}
cd_is "as it should be" boots
cd_is "loaded at 2000h" boots segment=0x2000
for n in 1 5 63; do cd_is "$n sectors to load" boots count=$n; done
cd_is "more sectors to load than memory has room for" nothing count=0xffff
cd_is "a catalogue behind the end" nothing catalog=4000000000
cd_is "a catalogue that is the boot record" nothing catalog=17
cd_is "a catalogue with another header" nothing header=2
cd_is "a catalogue without its key" nothing key=0
cd_is "an entry that is not bootable" nothing boot=0
cd_is "code behind the end" nothing rba=4000000000
cd_is "code that ends behind the end" nothing rba=63 count=16
cd_is "a boot record of another system" nothing "name=SOMETHING ELSE"
cd_is "a boot record of another type" nothing type=5
for media in 1 2 3; do cd_is "that stands for a floppy of kind $media" boots media=$media sectors=2048; done
cd_is "that stands for a disk" boots media=4 sectors=2048
cd_is "that stands for a floppy longer than itself" boots media=3
cd_is "of 20 sectors" nothing sectors=20
cd_is "of one sector" nothing sectors=1
cd_is "with half a sector at its end" boots cut=1000
cd_is "that ends within the code, whose rest is zeroes" boots sectors=25 cut=1900

# --- option ROMs ---
rom() { # bytes length-byte: code that ends the run, with a right sum over so many blocks of 512 bytes
    python3 -c 'import sys
bytes, blocks = int(sys.argv[2]), int(sys.argv[3])
rom = bytearray(bytes)
rom[:9] = b"\x55\xaa" + blocks.to_bytes(1, "little") + b"\xb0\x2a\xe6\xf4\xeb\xfe"
n = min(bytes, blocks * 512)
rom[n - 1] = -sum(rom[:n - 1]) & 255 if n else 0
open(sys.argv[1], "wb").write(rom)' "$dir/rom" "$1" "$2"
}
rom_is() { is "an option ROM $1" "$2" -option-rom "$dir/rom"; }
for blocks in 1 3 4 64 127; do
    rom $((blocks * 512)) $blocks
    rom_is "of $blocks blocks" boots
done
rom 4096 2
rom_is "with bytes behind its end" boots
rom 1024 2
printf '\x01' | dd of="$dir/rom" bs=1 seek=600 conv=notrunc status=none
rom_is "with a wrong sum" nothing
rom 1024 4
rom_is "shorter than it says" 'refused.*the file has 1024'
rom 1024 0
rom_is "of no blocks" 'refused'
rom 1000 1
rom_is "of 1000 bytes" boots
rom $((200 * 512)) 200
rom_is "that fills the space of ROMs" boots
summary "odd images"
