#!/usr/bin/env bash
# build.sh MAIN OUT COMPILER...: builds the real-mode suite (MAIN is main) or its pictures (pictures): an image of 1.44 MB that is a
# floppy and a hard disk, and whose first 97 sectors are the boot image of a CD without emulation. OUT's folder gets the objects, too.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
main=$1
out=$(realpath "$2")
shift 2
sectors=96 # of 512 bytes, behind the boot sector
dir=$out.parts
mkdir -p "$dir"
flags=(-march=i386 -Os -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables
    -fno-builtin -fno-strict-aliasing -mno-mmx -mno-sse -Wall -Wextra -Werror "-DSUITE_SECTORS=$sectors" -DSUITE_MARK=0x54494e52)

compile() { # file mode-flag
    "${compiler[@]}" "$2" "${flags[@]}" -c "$1" -o "$dir/${1%.*}.o"
}

compiler=("$@")
cd "$here" # names in messages stay short
for file in "$main" runtime firmware video disk modes resume v86; do compile "$file.c" -m16; done
for file in monitor.c entry.S boot.S; do compile "$file" -m32; done
ld -m elf_i386 -T "$here/realmode.ld" --defsym SUITE_BYTES=$((sectors * 512)) --no-warn-rwx-segments -o "$dir/suite.elf" \
    "$dir"/{entry,"$main",runtime,firmware,video,disk,modes,resume,v86,monitor}.o
ld -m elf_i386 -Ttext 0x7c00 -e _boot --oformat binary -o "$dir/boot.bin" "$dir/boot.o"
objcopy -O binary "$dir/suite.elf" "$dir/suite.bin"
cat "$dir/boot.bin" "$dir/suite.bin" >"$out.new"
truncate -s 1474560 "$out.new"
mv "$out.new" "$out"
