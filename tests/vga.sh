#!/usr/bin/env bash
# vga.sh [BUILD] - demos that program a VGA by themselves (tests/guests/vga_*.c): the picture on the screen is compared, dot by
# dot, with one that tests/screens/scenes.py computes from what the demo means; each device mode with each engine gives the same
# picture and one digest. So does one of real mode that draws by INT 10h (tests/realmode/pictures.c, tests/screens/bios_scenes.py).
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build}
exec </dev/null
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

serial=stdio
machine() { # guest arguments option...
    local guest=$1 append=$2
    shift 2
    timeout 100 "$build/tandem" -kernel "$build/tests/guests/$guest.elf" -append "$append" -m 16 -vga std -display none \
        -serial "$serial" -device isa-debug-exit,iobase=0xf4,iosize=4 "$@"
    [ $? -eq 1 ]
}

# A disk that firmware boots.
bios_program() { # option...
    timeout 100 "$build/tandem" -m 32 -machine pc,graphics=on -display none -no-reboot -device tandem-marker \
        -device isa-debug-exit,iobase=0xf4,iosize=4 "$@"
    [ $? -eq 1 ]
}

ways=("inline interp" "inline eager" "thread interp" "thread eager" "adaptive interp" "adaptive eager")

# Leaves $dir/SCENE.ppm.
scene() { # scene guest arguments
    local way file=$dir/$1.ppm
    for way in "${ways[@]}"; do
        set -- "$1" "$2" "$3" $way
        expect "$1, $way" machine "$2" "$3" -icount shift=3,sleep=off -devthread "mode=$4" -translator "mode=$5" \
            -digest "file=$dir/digest.new,every=100000" -screendump-at "end,file=$dir/new.ppm"
        if [ "$way" = "${ways[0]}" ]; then
            mv "$dir/new.ppm" "$file"
            mv "$dir/digest.new" "$dir/digest"
            expect "$1: the picture" python3 tests/screens/scenes.py "$1" "$file"
        else
            expect "$1, $way: the same picture" cmp "$file" "$dir/new.ppm"
            expect "$1, $way: one digest" cmp "$dir/digest" "$dir/digest.new"
        fi
    done
}

# Text at several times: characters and cursor blink.
text() { # scene number ms...
    local name=$1 number=$2 ms way at dumps=()
    shift 2
    for ms in "$@"; do
        dumps+=(-screendump-at "$((ms * 1000000 / 128)),file=$dir/NEW.$ms.ppm")
    done
    for way in "${ways[@]}"; do
        set -- "$way" $way
        expect "$name, $way" machine vga_text "scene=$number" -icount shift=7,sleep=off -devthread "mode=$2" -translator "mode=$3" \
            -digest "file=$dir/digest.new,every=100000" "${dumps[@]//NEW/"${2}$3"}"
    done
    for at in "$dir"/inlineinterp.*.ppm; do
        ms=${at#*interp.} ms=${ms%.ppm}
        expect "$name at $ms ms: the picture" python3 tests/screens/scenes.py "$name" "$at" "${ms}000000"
        for way in inlineeager threadinterp threadeager adaptiveinterp adaptiveeager; do
            expect "$name at $ms ms, $way: the same picture" cmp "$at" "$dir/$way.$ms.ppm"
        done
    done
    rm -f "$dir"/*interp.*.ppm "$dir"/*eager.*.ppm
}

number=0
for name in 13h planar x split split-stands split-256 4 5 both-pairs 6; do
    scene $name vga_graphics "scene=$number"
    number=$((number + 1))
done
for bits in 4 8 15 16 24 32; do
    scene "vbe-$bits" vga_vbe "bits=$bits"
done
scene vbe-dac8 vga_vbe "bits=8 dac8=1"
scene vbe-great vga_vbe "great=1"
# In the middle of frames 3, 12, 20 and 28 (14.27 ms each): all is shown, the cursor is not, characters are not, neither is.
text text-plain 0 50 178 292 407
text text-panned 1 50 178
# Of frames of eight dots a character and half the clock, 25.37 ms each.
text text-40 2 88 520

# Programs of real mode by INT 10h, through SeaVGABIOS: text, graphics, VBE.
for way in "inline interp" "thread eager" "adaptive eager"; do
    set -- $way
    dumps=()
    for number in 3 4 6 d e 10 11 12 13 20 21; do
        dumps+=(-screendump-at "mark=marker:0x$number,file=$dir/bios.$number.$1.ppm")
    done
    expect "INT 10h, $way" bios_program -drive "file=$build/tests/realmode/pictures.img,format=raw,snapshot=on" -serial "file:$dir/bios.$1" \
        -icount shift=3,sleep=off -devthread "mode=$1" -translator "mode=$2" -digest "file=$dir/bios.$1.digest,every=1000000" "${dumps[@]}"
    expect_text "INT 10h, $way: what the services answer" "$(cat "$dir/bios.$1")" '^OK: [0-9]{3} checks, 0 failed'
    expect "INT 10h, $way: one digest" cmp "$dir/bios.inline.digest" "$dir/bios.$1.digest"
    for number in 3 4 6 d e 10 11 12 13 20 21; do
        if [ "$1" = inline ]; then
            expect "INT 10h, picture $number" python3 tests/screens/bios_scenes.py $number "$dir/bios.$number.inline.ppm" "$dir/bios.inline"
        else
            expect "INT 10h, $way: the same picture $number" cmp "$dir/bios.$number.inline.ppm" "$dir/bios.$number.$1.ppm"
        fi
    done
done

# Code in video memory, which the card changes under it.
for way in "${ways[@]}"; do
    set -- $way
    expect "code in video memory, $way" machine vga_code "" -icount shift=3,sleep=off -devthread "mode=$1" -translator "mode=$2" \
        -digest "file=$dir/code.$1.$2,every=10000"
    expect "code in video memory, $way: one digest" cmp "$dir/code.inline.interp" "$dir/code.$1.$2"
done

# A kernel that is started without firmware finds mode 3 and the font of the VGA BIOS; the same letters as firmware's own.
found() { # name option...
    local name=$1
    shift
    expect "found screen, $name" machine vga_text "$append" -icount shift=3,sleep=off -screendump-at "end,file=$dir/$name.ppm" \
        -screendump-at "end,file=$dir/$name.txt" "$@"
}
append="scene=3"
found kernel
timeout 100 "$build/tandem" -m 16 -display none -serial null -icount shift=3,sleep=off -until tick=60000000 \
    -screendump-at "end,file=$dir/firmware.ppm" -screendump-at "end,file=$dir/firmware.txt" </dev/null >"$dir/log" 2>&1
expect_text "the firmware's text" "$(head -n 1 "$dir/firmware.txt")" '^SeaBIOS'
expect "the kernel's letters are the firmware's" python3 tests/screens/scenes.py firmware-letters "$dir/kernel.ppm" "$dir/firmware.ppm"
mkdir "$dir/nofont"
printf 'U\252\1' >"$dir/nofont/vgabios-stdvga.bin"
found nofont -L "$dir/nofont"
expect_text "text without a font" "$(head -n 1 "$dir/nofont.txt")" '^SeaBIOS$'
expect "a picture without a font" bash -c "! cmp -s '$dir/kernel.ppm' '$dir/nofont.ppm'"

# A reset in a graphics mode, by the guest and from outside.
append="reset=1"
found guest-reset
append="reset=2" serial=null
found monitor-reset -S -monitor stdio < <(printf 'run-to 2000000\nsystem_reset\ncont\n')
for name in guest-reset monitor-reset; do
    expect "$name: the picture" cmp "$dir/kernel.ppm" "$dir/$name.ppm"
done
summary vga
