#!/usr/bin/env bash
# build.sh NAME [BUILD] - builds a disk or CD image from Debian 12's packages, if it is not there yet, and prints where it is.
#
#   grub-iso       grub-mkrescue's CD: Linux, a Multiboot guest, memtest86+, halt, reboot, all on the serial port
#   grub-disk      the same menu on a disk with one partition: for IDE and virtio
#   grub-graphics-iso  a menu on the graphical terminal: GRUB Invaders, memtest86+, Linux on a frame buffer and in text mode
#   isolinux-iso   the installer's kernel, initrd and boot screens behind isolinux, on the serial port
#   realmode-iso   the suite of tests/realmode as a CD without emulation
#   realmode-floppy-iso  the same as a CD that stands for a floppy
#   debian-disk    Debian 12 i386: GRUB, kernels 686 and 686-pae, systemd, root logged in on the serial port (needs root)
#
# Images lie in $TANDEM_IMAGES (default: tandem/images in the user's cache folder), under a name with a hash of all that
# they are made of, and may be removed at any time. Same packages, same bytes: sizes, times and identifiers are fixed.
# Users of an image that writes make a copy of their own (cp --sparse=always).
# Status 77: it cannot be built here, and stderr says why.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
. "$here/../lib.sh"
name=${1:?the name of an image}
build=$(realpath "${2:-$here/../../build}")
cache=${TANDEM_IMAGES:-${XDG_CACHE_HOME:-$HOME/.cache}/tandem/images}
export SOURCE_DATE_EPOCH=1680000000 LC_ALL=C TZ=UTC
uuid=7a6e1d3c-4c5b-4f0e-9a51-3d0b2a4f6c10 # of file systems and their hash seeds

. "$here/disk.sh"
. "$here/grub.sh"
. "$here/isolinux.sh"
. "$here/debian.sh"
. "$here/realmode.sh"

cannot() { # why
    echo "build.sh: $name: $1" >&2
    exit 77
}

# What an image is made of: the scripts, and what is named.
key_of() { # file or text...
    {
        cat "$here"/*.sh "$here"/*.cfg
        local x
        for x in "$@"; do
            if [ -f "$x" ]; then cat "$x"; else printf '%s\n' "$x"; fi
        done
    } | sha256sum | cut -c 1-16
}

package_versions() { # package...
    dpkg-query -W -f '${Package}=${Version} ' "$@" 2>/dev/null || cannot "missing packages, of: $*"
}

case $name in
grub-iso | grub-disk) builder=build_${name/-/_} made_of=("$(package_versions "${grub_packages[@]}")" "$(grub_guest)") ;;
grub-graphics-iso) builder=build_grub_graphics_iso made_of=("$(package_versions "${graphics_packages[@]}")") ;;
isolinux-iso) builder=build_isolinux_iso made_of=("$(package_versions "${isolinux_packages[@]}")") ;;
realmode-iso | realmode-floppy-iso) builder=build_${name//-/_} made_of=("$(package_versions xorriso)" "$build/tests/realmode/realmode.img") ;;
debian-disk) builder=build_debian_disk made_of=("$(package_versions "${debian_packages[@]}")") ;;
*) echo "build.sh: $name: no such image; accepted: grub-iso grub-disk grub-graphics-iso isolinux-iso realmode-iso realmode-floppy-iso debian-disk" >&2; exit 2 ;;
esac
image=$cache/$name-$(key_of "${made_of[@]}").img
if [ ! -f "$image" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/$name.lock"
    flock 9 # a second builder waits, and then finds the image
    if [ ! -f "$image" ]; then
        work=$(mktemp -d "$cache/work.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        ("$builder" "$work" "$work/image") >"$work/log" 2>&1 </dev/null & # with ||, bash would go on after an error
        wait $! || { status=$?; tail -n 20 "$work/log" >&2; exit "$status"; }
        mv "$work/image" "$image"
    fi
fi
printf '%s\n' "$image"
