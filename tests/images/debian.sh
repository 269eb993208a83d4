# debian.sh - Debian 12 i386 on a disk. Sourced by build.sh. debootstrap runs Debian's programs in a chroot: it needs root.
# shellcheck shell=bash
debian_packages=(debootstrap grub-pc-bin grub-common e2fsprogs)
debian_disk_mib=400
# What the PC has, or may get; with the modules that these need, they are all that stays.
debian_modules=(ata_piix pata_acpi ata_generic ahci sd_mod sr_mod sg virtio_pci virtio_blk virtio_scsi virtio_net virtio_balloon virtio_console
    virtio_rng ext4 ext2 isofs vfat nls_cp437 nls_ascii nls_utf8 loop floppy nbd e1000 8139cp 8139too ne2k-pci psmouse i2c-piix4 serio_raw evdev
    uhci-hcd usbhid snd-intel8x0 snd-ens1370 pcspkr button rng-core autofs4 crc32c_generic msr cpuid dm-mod efivarfs configfs fuse)
debian_modules_initrd=(ata_piix ata_generic ahci sd_mod virtio_pci virtio_blk ext4 crc32c_generic)

# The mirror that apt uses for Debian 12, or Debian's own.
debian_mirror() {
    local uri
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Codename: bookworm' 2>/dev/null | head -n 1) || true
    printf '%s\n' "${DEBIAN_MIRROR:-${uri:-http://deb.debian.org/debian/}}"
}

# The modules named, and those that they need, out of modules.dep.
modules_with_needs() { # dir-of-one-kernel name...
    local dir=$1
    shift
    printf '%s\n' "$@" | awk 'function name(path) { sub(/.*\//, "", path); sub(/\.ko.*/, "", path); gsub(/-/, "_", path); return path }
        NR == FNR { gsub(/-/, "_"); wanted[$1] = 1; next }
        { split($0, part, ":"); if (name(part[1]) in wanted) print part[1] part[2] }' - "$dir/modules.dep" | tr ' ' '\n' | sort -u
}

modules_prune() { # root kernel-version
    local dir=$1/usr/lib/modules/$2
    modules_with_needs "$dir" "${debian_modules[@]}" >"$dir/keep"
    (cd "$dir" && find kernel -name '*.ko*' | grep -vxFf keep | xargs -r rm -f && find kernel -type d -empty -delete)
    rm "$dir/keep"
    chroot "$1" depmod "$2"
}

debian_bootstrap() { # root
    local mirror
    mirror=$(debian_mirror)
    # INITRD=No: the kernels' packages leave the initrd to us, who make it once the modules are chosen.
    INITRD=No DEBIAN_FRONTEND=noninteractive debootstrap --arch=i386 --variant=minbase \
        --include=systemd-sysv,udev,dbus,kmod,initramfs-tools,linux-image-686,linux-image-686-pae,zstd,login \
        bookworm "$1" "$mirror"
    rm -rf "$1"/var/cache/* "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/usr/share/{doc,man,locale,info,lintian,bug,bash-completion} \
        "$1"/boot/System.map-* "$1"/tmp/* "$1"/etc/resolv.conf "$1"/var/lib/dpkg/*-old "$1"/var/cache/ldconfig/aux-cache
    find "$1/usr/share/zoneinfo" -mindepth 1 ! -name UTC ! -path '*/Etc*' -delete 2>/dev/null || true
}

# Root on the serial port without a password; what /root/run.sh holds is done at login: a block that a test may overwrite.
debian_configure() { # root
    local root=$1 unit
    echo tandem >"$root/etc/hostname"
    echo 127.0.0.1 localhost tandem >"$root/etc/hosts"
    echo "UUID=$uuid / ext4 errors=remount-ro 0 1" >"$root/etc/fstab"
    echo 7a6e1d3c4c5b4f0e9a513d0b2a4f6c10 >"$root/etc/machine-id"
    chroot "$root" passwd -d root
    mkdir -p "$root/etc/systemd/system/serial-getty@.service.d" "$root/etc/systemd/journald.conf.d"
    cat >"$root/etc/systemd/system/serial-getty@.service.d/autologin.conf" <<'UNIT'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200 %I vt220
UNIT
    printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/volatile.conf"
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty-static.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    choice_block '#run-block-of-the-image' 4000 >"$root/root/run.sh"
    printf '%s\n' '[ "$(tty)" != /dev/ttyS0 ] || . /root/run.sh' >"$root/root/.profile"
}

debian_initrd() { # root kernel-version
    printf '%s\n' "${debian_modules_initrd[@]}" >"$1/etc/initramfs-tools/modules"
    sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=gzip/' "$1/etc/initramfs-tools/initramfs.conf"
    chroot "$1" update-initramfs -c -k "$2"
}

debian_grub() { # root
    mkdir -p "$1/boot/grub/i386-pc"
    cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst "$1/boot/grub/i386-pc/"
    sed "s/@UUID@/$uuid/" "$here/debian.cfg" >"$1/boot/grub/grub.cfg"
    choice_block '#choice-block-of-the-image' 1000 >"$1/boot/grub/choice.cfg"
}

build_debian_disk() { # work image
    local root=$1/root kernel
    [ "$(id -u)" -eq 0 ] || { echo "needs root (debootstrap runs a chroot): sudo $0 $name" >&2; return 77; }
    i386_programs_ensure "$1"
    debian_bootstrap "$root"
    debian_configure "$root"
    for kernel in "$root"/boot/vmlinuz-*; do
        kernel=${kernel##*/vmlinuz-}
        modules_prune "$root" "$kernel"
        debian_initrd "$root" "$kernel"
        # The menu names them without their version: 6.1.0-50-686-pae is 686-pae.
        ln -s "vmlinuz-$kernel" "$root/boot/vmlinuz-${kernel#*-*-}"
        ln -s "initrd.img-$kernel" "$root/boot/initrd.img-${kernel#*-*-}"
    done
    debian_grub "$root"
    ext_make "$1/partition" "$debian_disk_mib" ext4 "$root"
    grub_core "$1/core"
    disk_make "$2" "$1/partition" "$1/core"
}
