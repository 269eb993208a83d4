# disk.sh - a disk without root and loop devices: MBR, GRUB in the gap behind it, one partition with an ext file system.
# Sourced by build.sh.
# shellcheck shell=bash
disk_gap=2048 # sectors before the partition

# Every time in the tree becomes the same one, so that the image depends on content alone.
times_fix() { # dir
    find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# The same time, in the form of ISO 9660.
iso_date() { date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S00; }

# ext_make FILE MIB TYPE DIR: a file system with DIR's content. mke2fs takes the change times from the files, where
# nobody can set them: they are put right behind it, for every inode in use.
ext_make() {
    local file=$1 mib=$2 type=$3 dir=$4
    times_fix "$dir"
    truncate -s "${mib}M" "$file"
    E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t "$type" -O ^metadata_csum,^64bit -U "$uuid" -L tandem \
        -E "hash_seed=$uuid,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" -m 0 -d "$dir" "$file"
    ext_inodes "$file" | awk -v t="$SOURCE_DATE_EPOCH" '{ for (i = $1; i <= $2; i++)
        print "sif <" i "> ctime @" t "\nsif <" i "> ctime_extra 0\nsif <" i "> crtime @" t "\nsif <" i "> atime @" t }' |
        E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH debugfs -w -f - "$file" >/dev/null
}

# The ranges of inodes in use, from the root's (2) on; inodes are given out from the front of each group.
ext_inodes() { # file
    dumpe2fs "$1" 2>/dev/null | awk '/^Inodes per group:/ { per = $4 } /^ *[0-9]+ free blocks, / { free = $4
        first = per * group + 1; if (free < per) print first, first + per - free - 1; group++ }'
}

# disk_make FILE PARTITION CORE: CORE (grub-mkimage -O i386-pc) lies behind the boot sector, which finds it there.
disk_make() {
    local file=$1 partition=$2 core=$3 size sectors
    size=$(stat -c %s "$partition") sectors=$(($(stat -c %s "$partition") / 512))
    [ "$(stat -c %s "$core")" -le $(((disk_gap - 1) * 512)) ] || { echo "GRUB does not fit before the partition"; return 1; }
    truncate -s $((size + disk_gap * 512)) "$file"
    dd if=/usr/lib/grub/i386-pc/boot.img of="$file" bs=440 count=1 conv=notrunc status=none
    {
        printf "$(le32_bytes 0x7a6e1d3c)\\0\\0"                  # the disk's number
        printf '\x80\xfe\xff\xff\x83\xfe\xff\xff'                # active, Linux; cylinders are not used
        printf "$(le32_bytes $disk_gap)$(le32_bytes "$sectors")" # first sector, sectors
        head -c 48 /dev/zero
        printf '\x55\xaa'
    } | dd of="$file" bs=1 seek=440 conv=notrunc status=none
    dd if="$core" of="$file" bs=512 seek=1 conv=notrunc status=none
    dd if="$partition" of="$file" bs=1M seek=$((disk_gap / 2048)) conv=notrunc,sparse status=none
}
