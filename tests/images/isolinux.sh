# isolinux.sh - the installer's CD: Debian's boot screens as they are, but as text on the serial port. Sourced by build.sh.
# shellcheck shell=bash
isolinux_packages=(isolinux syslinux-common xorriso debian-installer-12-netboot-i386)

isolinux_tree() { # dir
    local screens=$1/debian-installer/i386/boot-screens modules=/usr/lib/syslinux/modules/bios
    mkdir -p "$1/debian-installer"
    cp -rL "$debian_dir" "$1/debian-installer/i386"
    rm -rf "$1"/debian-installer/i386/{grub,pxelinux.0,pxelinux.cfg,*.efi}
    chmod -R u+w "$1"
    # The graphical menu needs VESA modes; menu.c32 is its twin in text.
    sed -i 's/vesamenu\.c32/menu.c32/; s/vga=788/vga=normal console=ttyS0/' "$screens"/*.cfg
    cp "$modules"/{menu,libutil,libcom32,ldlinux}.c32 "$screens/"
    cp /usr/lib/ISOLINUX/isolinux.bin "$modules/ldlinux.c32" "$1/"
    choice_block '#choice-block-of-the-image' 1000 >"$1/choice.cfg"
    printf 'serial 0 115200\ninclude debian-installer/i386/boot-screens/syslinux.cfg\ninclude choice.cfg\n' >"$1/isolinux.cfg"
}

build_isolinux_iso() { # work image
    isolinux_tree "$1/tree"
    times_fix "$1/tree"
    xorriso -as mkisofs "--modification-date=$(iso_date)" --set_all_file_dates "$(iso_date)" -V TANDEM -J -r -o "$2" \
        -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
        -isohybrid-mbr /usr/lib/ISOLINUX/isohdpfx.bin "$1/tree"
}
