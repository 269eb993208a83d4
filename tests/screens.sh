#!/usr/bin/env bash
# screens.sh [BUILD] - what is on the screen of programs that everybody knows, against pictures in tests/screens: SeaBIOS, GRUB's
# graphical menu, GRUB Invaders, memtest86+, Linux on a frame buffer and in text mode. Keys come from the monitor.
# TOLERANCE is the share of pixels that may differ: other versions of Debian's packages spend their ticks otherwise, and a clock
# or a bar on the screen moves. screens.sh --rewrite [BUILD] writes the pictures anew: look at them before they are committed.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
rewrite=0
if [ "${1-}" = --rewrite ]; then rewrite=1; shift; fi
build=${1:-build}
TOLERANCE=0.01
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
image_get grub-graphics-iso "$build" || { summary screens; exit; }

# The picture at a tick, after a key of GRUB's menu (-: none).
picture() { # file mode key tick
    local keys=()
    [ "$3" = - ] || keys=("run-to 2000000000" "sendkey $3")
    printf '%s\n' "${keys[@]}" "run-to $4" "screendump $1" quit | timeout 600 "$build/tandem" -S -m 256 -cdrom "$image_file" \
        -display none -serial null -devthread "mode=$2" -icount shift=3,sleep=off -monitor stdio >"$dir/log" 2>&1
}

look() { # name key tick
    local mode
    if [ $rewrite = 1 ]; then
        expect "$1 is written" picture "tests/screens/$1.png" inline "$2" "$3"
        return
    fi
    for mode in inline adaptive; do
        expect "$1, mode $mode" picture "$dir/$mode.png" "$mode" "$2" "$3"
    done
    expect "$1: the picture" python3 tests/screens/compare.py "$dir/inline.png" "tests/screens/$1.png" "$TOLERANCE"
    expect "$1: the same in both modes" cmp "$dir/inline.png" "$dir/adaptive.png"
}

look seabios - 60000000
look grub - 2000000000
look invaders i 3000000000
look memtest m 4000000000
look linux-fb l 14000000000
look linux-text t 14000000000
summary screens
