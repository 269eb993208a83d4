# grub.sh - the GRUB images. Sourced by build.sh.
# shellcheck shell=bash
grub_packages=(grub-common grub-pc-bin xorriso mtools memtest86+ debian-installer-12-netboot-i386)
graphics_packages=("${grub_packages[@]}" grub-invaders)

grub_guest() { printf '%s\n' "$build/tests/guests/mix.elf"; }

# A block of text that a test may overwrite in its copy of the image: choose.py finds it by its first line.
choice_block() { # first-line bytes
    printf "%s\n%$2s\n#end-of-the-block\n" "$1" ''
}

# What GRUB's menu starts.
grub_tree() { # dir
    mkdir -p "$1/boot/grub"
    cp "$here/grub.cfg" "$1/boot/grub/grub.cfg"
    choice_block '#choice-block-of-the-image' 1000 >"$1/boot/grub/choice.cfg"
    cp "$debian_dir/linux" "$debian_dir/initrd.gz" "$1/boot/"
    cp /boot/memtest86+ia32.bin "$1/boot/memtest.bin"
    cp "$(grub_guest)" "$1/boot/guest.elf"
}

# What the graphical menu starts.
graphics_tree() { # dir
    mkdir -p "$1/boot/grub/fonts"
    cp "$here/grub-graphics.cfg" "$1/boot/grub/grub.cfg"
    choice_block '#choice-block-of-the-image' 1000 >"$1/boot/grub/choice.cfg"
    cp /usr/share/grub/unicode.pf2 "$1/boot/grub/fonts/"
    cp "$debian_dir/linux" "$debian_dir/initrd.gz" "$1/boot/"
    cp /boot/memtest86+ia32.bin "$1/boot/memtest.bin"
    cp /boot/invaders.exec "$1/boot/"
}

# GRUB's second stage for a disk: it reads the menu from the first partition.
grub_core() { # file
    grub-mkimage -O i386-pc -o "$1" -p '(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2 normal
}

# grub-mkrescue takes the date for the CD from the clock, and so do its own files: xorriso is told another one.
xorriso_dated() { # file
    cat >"$1" <<EOF
#!/bin/bash
args=()
for a in "\$@"; do
    case \$a in --modification-date=*) ;; *) args+=("\$a") ;; esac
done
[ "\$3" = -help ] || args=(-as mkisofs "--modification-date=$(iso_date)" --set_all_file_dates "$(iso_date)" "\${args[@]:2}")
exec xorriso "\${args[@]}"
EOF
    chmod +x "$1"
}

build_grub_iso() { # work image
    grub_tree "$1/tree"
    xorriso_dated "$1/xorriso"
    grub-mkrescue --xorriso="$1/xorriso" --compress=no -o "$2" "$1/tree"
}

build_grub_graphics_iso() { # work image
    graphics_tree "$1/tree"
    xorriso_dated "$1/xorriso"
    grub-mkrescue --xorriso="$1/xorriso" --compress=no -o "$2" "$1/tree"
}

build_grub_disk() { # work image
    grub_tree "$1/tree"
    mkdir -p "$1/tree/boot/grub/i386-pc"
    cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst "$1/tree/boot/grub/i386-pc/"
    ext_make "$1/partition" 96 ext2 "$1/tree"
    grub_core "$1/core"
    disk_make "$2" "$1/partition" "$1/core"
}
