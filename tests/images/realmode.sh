# realmode.sh - CDs with the real-mode suite (tests/realmode). Sourced by build.sh.
# shellcheck shell=bash

realmode_cd() { # image tree mkisofs-option...
    local image=$1 tree=$2
    shift 2
    times_fix "$tree"
    xorriso -as mkisofs "--modification-date=$(iso_date)" --set_all_file_dates "$(iso_date)" -V REALMODE -o "$image" -b boot.img -c boot.cat "$@" "$tree"
}

# The boot sector and the 96 sectors behind it, all of which the firmware loads.
build_realmode_iso() { # work image
    mkdir "$1/tree"
    head -c $((97 * 512)) "$build/tests/realmode/realmode.img" >"$1/tree/boot.img"
    realmode_cd "$2" "$1/tree" -no-emul-boot -boot-load-size 97
}

build_realmode_floppy_iso() { # work image
    mkdir "$1/tree"
    cp "$build/tests/realmode/realmode.img" "$1/tree/boot.img"
    realmode_cd "$2" "$1/tree"
}
