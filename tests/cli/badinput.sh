#!/usr/bin/env bash
# badinput.sh [BUILD] - bad options, bad files, host trouble: one line on stderr that names the option or file,
# exit status 2, nothing on stdout.
set -u
. "$(dirname "$0")/../lib.sh"
build=$(realpath "${1:-build}")
tandem=$build/tandem
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir" || exit 2
linux=$debian_dir/linux

# check_refusal WHAT PATTERN STATUS STDERR STDOUT
check_refusal() {
    local what=$1 pattern=$2 status=$3 err=$4 out=$5
    if [ "$status" -ne 2 ]; then
        fail "$what: exit status $status, not 2" "$err"
    elif [ "$(wc -l <<<"$err")" -ne 1 ] || [[ $err != tandem:\ * ]]; then
        fail "$what: not one line of tandem's" "$err"
    elif [ -n "$out" ]; then
        fail "$what: text on stdout" "$out"
    else
        expect_text "$what" "$err" "$pattern"
    fi
}

# refuses PATTERN ARGUMENT...
refuses() {
    local pattern=$1 out status
    shift
    out=$(timeout 20 ${as_user-} "$tandem" "$@" 2>stderr </dev/null)
    status=$?
    check_refusal "tandem $*" "$pattern" "$status" "$(cat stderr)" "$out"
}

tiny_guest good "$code_halt"

# --- a host that computes otherwise ---
refuses "this host's CPU does not have all modes of MXCSR" -kernel good -x-probe lacks=1
refuses "this host's CPU does not have x87 arithmetic" -kernel good -x-probe lacks=2
refuses "this host's CPU does not have SSE arithmetic" -kernel good -x-probe lacks=4

mkdir directory
: >empty
printf 'x' >one-byte
head -c 4096 /dev/urandom >garbage
mkfifo fifo
head -c 10000 "$linux" >truncated
head -c 1000000 "$linux" >truncated-later
head -c 9000000 /dev/zero >large
cp "$linux" bad-version && printf '\x01\x02' | dd of=bad-version bs=1 seek=$((0x206)) conv=notrunc status=none
cp "$linux" bad-entry && printf '\4\0\0\0' | dd of=bad-entry bs=1 seek=$((0x214)) conv=notrunc status=none
cp "$linux" bad-syssize && printf '\xff\xff\xff\x7f' | dd of=bad-syssize bs=1 seek=$((0x1f4)) conv=notrunc status=none
cp good bad-load && printf '\0\0\x20\0' | dd of=bad-load bs=1 seek=16 conv=notrunc status=none
cp good bad-mb-entry && printf '\0\0\0\0' | dd of=bad-mb-entry bs=1 seek=28 conv=notrunc status=none
ln -s loop-b loop-a && ln -s loop-a loop-b
# --- firmware ---
head -c 65537 /dev/zero >odd-rom
head -c 17000000 /dev/zero >large-rom
head -c 65536 /dev/zero >rom
refuses '-bios: no-such-rom: no such file .*/usr/share/seabios' -bios no-such-rom
refuses '-bios: no-such-rom: no such file .*-L' -bios no-such-rom -L directory
refuses '-bios odd-rom: has 65537 bytes; .*64 KiB to 16 MiB, a multiple of 64 KiB' -bios odd-rom
refuses '-bios large-rom: has 17000000 bytes; .*64 KiB to 16 MiB' -bios large-rom
refuses '-bios empty: has 0 bytes' -bios empty
refuses '-bios directory: is a directory' -bios directory
refuses '-kernel good: a Multiboot kernel starts without firmware' -bios rom -kernel good
refuses '-append needs -kernel FILE' -append x
refuses '-initrd needs -kernel FILE' -initrd good

refuses '-fw_cfg opt/x: name=NAME,file=FILE or name=NAME,string=TEXT' -fw_cfg opt/x
refuses '-fw_cfg .*: name=NAME,file=FILE or' -fw_cfg name=opt/x,file=rom,string=y
refuses '-fw_cfg missing: No such file' -fw_cfg name=opt/x,file=missing
refuses '-fw_cfg name=etc/e820: there is an item of that name' -fw_cfg name=etc/e820,string=x
refuses '-fw_cfg: name=.*1 to 55 bytes' -fw_cfg "name=$(printf 'x%.0s' {1..56}),string=x"

refuses '-boot: order=xyz: .*one to three of a, b' -boot xyz
refuses '-boot: once=cc: ' -boot once=cc
refuses '-boot: splash-time=70000: .*0..65535' -boot menu=on,splash-time=70000
refuses '-option-rom rom: not an option ROM' -option-rom rom
printf '\x55\xaa\x80' | cat - rom >long-rom && truncate -s 1024 long-rom
refuses '-option-rom long-rom: its header says 65536 bytes, the file has 1024' -option-rom long-rom
refuses '-option-rom one-byte: has 1 bytes; an option ROM of 512 bytes' -option-rom one-byte
refuses '-option-rom: missing: no such file' -option-rom missing

# --- kernels ---
refuses '-kernel missing: No such file' -kernel missing
refuses '-kernel directory: is a directory' -kernel directory
refuses '-kernel empty: is empty' -kernel empty
refuses '-kernel fifo: is not a regular file' -kernel fifo
refuses '-kernel /dev/zero: is not a regular file' -kernel /dev/zero
refuses '-kernel loop-a: ' -kernel loop-a
refuses '-kernel one-byte: too short' -kernel one-byte
refuses '-kernel garbage: not a kernel image' -kernel garbage
refuses '-kernel truncated: truncated' -kernel truncated -m 256
refuses '-kernel truncated-later: truncated' -kernel truncated-later -m 256
refuses '-kernel large: .*-m' -kernel large -m 8
refuses '-kernel /bin/true: ' -kernel /bin/true
refuses '-kernel bad-version: .*too old' -kernel bad-version -m 256
refuses '-kernel bad-entry: .*entry point' -kernel bad-entry -m 256
refuses '-kernel bad-syssize: truncated' -kernel bad-syssize -m 256
refuses '-kernel bad-load: malformed' -kernel bad-load
refuses '-kernel bad-mb-entry: malformed: .*entry point' -kernel bad-mb-entry
refuses '-kernel .*linux: needs RAM' -kernel "$linux" -m 16
refuses '-kernel a\?b: No such file' -kernel $'a\nb'

# --- initrds ---
refuses '-initrd missing: No such file' -kernel "$linux" -m 256 -initrd missing
refuses '-initrd empty: is empty' -kernel "$linux" -m 256 -initrd empty
refuses '-initrd directory: is a directory' -kernel "$linux" -m 256 -initrd directory
refuses '-initrd fifo: is not a regular file' -kernel "$linux" -m 256 -initrd fifo
refuses '-initrd .*initrd.gz: its .* do not fit' -kernel "$linux" -m 48 -initrd "$debian_dir/initrd.gz"
refuses '-initrd nothere: No such file' -kernel good -initrd 'garbage x,nothere y'
refuses '-initrd' -kernel good -initrd ''
refuses '-append: .* accepts at most' -kernel "$linux" -m 256 -append "$(head -c 3000 /dev/zero | tr '\0' x)"

# --- permissions: root reads everything, so somebody else tries ---
cp good unreadable && chmod 000 unreadable
if [ "$(id -u)" -eq 0 ]; then
    cp "$tandem" tandem-copy && chmod 755 tandem-copy
    tandem=$dir/tandem-copy as_user='setpriv --reuid=65534 --regid=65534 --clear-groups' \
        refuses '-kernel unreadable: Permission denied' -kernel unreadable
else
    refuses '-kernel unreadable: Permission denied' -kernel unreadable
fi

# --- options ---
refuses '-m: .*4M..3G' -kernel good -m 4G
refuses '-m: .*4M..3G' -kernel good -m lots
refuses '-m: needs a value' -kernel good -m
refuses 'did you mean -kernel' -kernle good
refuses 'unknown option' -kernel good -frobnicate
refuses '-drive x: No such file' -kernel good -drive file=x
refuses '-cdrom x.iso: No such file' -kernel good -cdrom x.iso
refuses '-hda .: .*an image file or a block device is needed' -kernel good -hda .
refuses '-hda /dev/null: is neither a file nor a block device' -kernel good -hda /dev/null
: >empty
refuses '-hda empty: has 0 bytes' -kernel good empty
head -c 1024 /dev/zero >image
refuses 'report.ignore.stop is accepted|rerror' -kernel good -drive file=image,rerror=enospc
refuses '-drive: cache=none is refused: .*writeback' -kernel good -drive file=image,cache=none
refuses '-drive: copy-on-read=on: bad value; off is accepted' -kernel good -drive file=image,copy-on-read=on
refuses '-drive: if=scsi: bad value; ide.floppy.virtio.none is accepted' -kernel good -drive file=image,if=scsi
refuses '-drive image: -hda image is there already' -kernel good -hda image -drive file=image,index=0
refuses '-drive image: the machine has 4 drives with if=ide' -kernel good -drive file=image,index=4
refuses '-drive image: if=none needs -device' -kernel good -drive file=image,if=none,id=d
refuses '-device ide-hd,drive=d: no -drive has that id' -kernel good -device ide-hd,drive=d
refuses '-device virtio-blk-pci: drive=ID is needed' -kernel good -device virtio-blk-pci
refuses 'no controller for the drive blocks0' -kernel good -drive file=image,if=x-toy,format=raw
refuses '-gdb: .*not supported yet' -kernel good -gdb tcp::1234
refuses '-smp: cpus=4: bad value; 1 is accepted' -kernel good -smp 4
refuses 'shift=auto is refused' -kernel good -icount shift=auto
refuses 'align=on is refused' -kernel good -icount shift=3,align=on
refuses '-icount: .*0..10' -kernel good -icount shift=99
refuses '-debugcon file:/nowhere/x: ' -kernel good -debugcon file:/nowhere/x
refuses 'port 0x3f8.* belongs to another' -kernel good -serial null -chardev null,id=c -device isa-debugcon,iobase=0x3f8,chardev=c
refuses '-pidfile /nowhere/p: .*needed' -kernel good -pidfile /nowhere/p
refuses '-rtc: .*clock=vm' -kernel good -rtc clock=host
refuses '-rtc: ' -kernel good -rtc base=never
refuses '-d in_asm,cpu: no item .cpu.; in_asm, op, out_asm, int, cpu_reset and guest_errors are accepted' -kernel good -d in_asm,cpu
refuses '-d : no item' -kernel good -d ''
refuses '-D log: needs -d' -kernel good -D log
refuses '/nonexistent/log' -kernel good -d op -D /nonexistent/log
refuses '-serial-speed fast: .*infinite and wire are accepted' -kernel good -serial-speed fast
refuses '-device rtl8139' -kernel good -device rtl8139
refuses '-devthread: .*thread\|inline\|adaptive' -kernel good -devthread mode=warp
refuses 'cpu' -kernel good -devthread mode=thread,cpu=4000
refuses '/nonexistent/d' -kernel good -digest file=/nonexistent/d
refuses '/nonexistent/s' -kernel good -stats file=/nonexistent/s
refuses '/nonexistent/r' -kernel good -icount shift=3,rr=record,rrfile=/nonexistent/r
refuses '/nonexistent/r' -kernel good -icount shift=3,rr=replay,rrfile=/nonexistent/r
refuses 'garbage' -kernel good -icount shift=3,rr=replay,rrfile=garbage

# --- serial back ends ---
refuses 'bogus' -kernel good -serial bogus
refuses '/nonexistent/f' -kernel good -serial file:/nonexistent/f
refuses '/nonexistent/s' -kernel good -serial unix:/nonexistent/s
refuses 'tcp' -kernel good -serial tcp:127.0.0.1:1
refuses 'tcp' -kernel good -serial tcp:127.0.0.1:notaport
refuses 'no path' -kernel good -monitor unix:,server,nowait
refuses 'up to 107 bytes' -kernel good -qmp "unix:/tmp/$(printf 'x%.0s' {1..120}),server,nowait"
refuses 'beyond 65535' -kernel good -serial tcp:127.0.0.1:65536,server,nowait
refuses 'beyond 65535' -kernel good -monitor tcp:127.0.0.1:99999999999999999999,server,nowait
refuses '-monitor stdio: .* another monitor' -kernel good -monitor stdio -monitor stdio
refuses '-qmp stdio: .* another monitor' -kernel good -chardev stdio,id=c -mon c -qmp stdio
refuses '-monitor stdio: .* a serial port' -kernel good -serial stdio -monitor stdio

refuses 'interp.eager.background' -kernel good -translator mode=hot
refuses 'threads.*0..64' -kernel good -translator threads=65
refuses 'cache.*64K..1G' -kernel good -translator cache=1K
refuses 'chain.*on.off' -kernel good -translator chain=maybe

# --- snapshots; what is wrong inside a well-formed one: tests/unit/machine/test_snapshot.c ---
machine=(-kernel good -m 8 -display none -serial null)
"$tandem" "${machine[@]}" -snapshot-at 1,file=snap 2>/dev/null </dev/null
expect "a snapshot to begin with" test -s snap
sed '1s/tandem-snapshot 1/tandem-snapshot 2/' snap >other-format
refuses '-loadvm missing: No such file' "${machine[@]}" -loadvm missing
refuses '-loadvm directory: is a directory' "${machine[@]}" -loadvm directory
refuses '-loadvm empty: is empty' "${machine[@]}" -loadvm empty
refuses '-loadvm fifo: is not a regular file' "${machine[@]}" -loadvm fifo
refuses '-loadvm /dev/zero: is not a regular file' "${machine[@]}" -loadvm /dev/zero
refuses '-loadvm garbage: not a snapshot' "${machine[@]}" -loadvm garbage
refuses '-loadvm good: not a snapshot' "${machine[@]}" -loadvm good
refuses '-loadvm other-format: .*another format; format 1 is accepted' "${machine[@]}" -loadvm other-format
bytes=$(stat -c %s snap)
for cut in 1 17 18 20 60 300 $((bytes / 2)) $((bytes - 8)) $((bytes - 1)); do
    head -c "$cut" snap >torn
    refuses '-loadvm torn: (not a snapshot|the snapshot is cut off)' "${machine[@]}" -loadvm torn
done
(cat snap; printf x) >longer
refuses '-loadvm longer: .*checksum is wrong' "${machine[@]}" -loadvm longer
for at in 18 25 100 $((bytes / 3)) $((bytes / 2)) $((bytes - 9)) $((bytes - 8)) $((bytes - 1)); do
    cp snap flipped
    byte=$(od -An -tu1 -j "$at" -N 1 snap)
    printf "\\x$(printf %02x $((byte ^ 16)))" | dd of=flipped bs=1 seek="$at" conv=notrunc status=none
    refuses '-loadvm flipped: .*checksum is wrong' "${machine[@]}" -loadvm flipped
done
tiny_guest other "$code_loop"
other_machine() { refuses "-loadvm snap: the snapshot is another machine's: it was made with $1=.*, this one has" "${@:2}" -loadvm snap; }
other_machine kernel -kernel other -m 8 -serial null
other_machine ram -kernel good -m 16 -serial null
other_machine append "${machine[@]}" -append x
other_machine initrd "${machine[@]}" -initrd one-byte
other_machine shift "${machine[@]}" -icount shift=4
other_machine rtc "${machine[@]}" -rtc base=2001-01-01
other_machine serial "${machine[@]}" -serial null
other_machine serial "${machine[@]}" -serial-speed wire
other_machine debugcon "${machine[@]}" -debugcon null
other_machine exit "${machine[@]}" -device isa-debug-exit,iobase=0xf4
other_machine toypci "${machine[@]}" -x-toypci
"$tandem" -kernel other -m 8 -display none -snapshot-at 100,file=late -x-ticks 100 2>/dev/null </dev/null
refuses '-snapshot-at 50: the run begins at tick 100' -kernel other -m 8 -display none -loadvm late -snapshot-at 50,file=x
refuses '-snapshot-at: /nowhere/x: .*needed' "${machine[@]}" -snapshot-at 1,file=/nowhere/x
printf 'tandem-input-log 2\nshift 3\nrtc 1686355200\n1 serial0 61\n' >log
refuses 'rrfile=log: not a recording of the run that the snapshot was made in' "${machine[@]}" -loadvm snap \
    -icount shift=3,rr=replay,rrfile=log

# --- the host runs out of something ---
refuses_limited() { # pattern limit argument...
    local pattern=$1 limit=$2 out status
    shift 2
    out=$(ulimit -v "$limit" && timeout 20 "$tandem" "$@" 2>stderr </dev/null)
    status=$?
    check_refusal "ulimit -v $limit: tandem $*" "$pattern" "$status" "$(cat stderr)" "$out"
}
refuses_limited '-m: ' 2000000 -kernel good -m 3G
refuses_limited 'translator cache=SIZE' 500000 -kernel good -m 8 -translator cache=1G
# A full disk shows at the end, behind the line that says how the run ended.
fails_at_end() { # pattern argument...
    local pattern=$1 status
    shift
    timeout 20 "$tandem" "$@" 2>stderr </dev/null
    status=$?
    sed -i '/^tandem: the guest halted/d' stderr
    check_refusal "tandem $*" "$pattern" "$status" "$(cat stderr)" ''
}
fails_at_end 'digest: file=/dev/full: .*No space' -kernel good -display none -digest file=/dev/full,every=1
fails_at_end 'stats: file=/dev/full: .*No space' -kernel good -display none -stats file=/dev/full

# --- profile and account ---
refuses '-profile: needs file=FILE' -kernel good -profile every=10
refuses '-profile: file=p needs every=N' -kernel good -profile file=p
refuses '-profile: every=0: bad value; N \(ticks, at least 1\) is accepted' -kernel good -profile file=p,every=0
refuses '-profile: every=x: bad value' -kernel good -profile file=p,every=x
refuses '-profile: phase=10: bad value; 0 to 9, below every, is accepted' -kernel good -profile file=p,every=10,phase=10
refuses '-profile: stacks=some: bad value; off\|on\|exact is accepted' -kernel good -profile file=p,every=10,stacks=some
refuses '-profile: format=png: bad value; raw\|folded\|perf\|pprof\|perfetto\|svg is accepted' -kernel good -profile file=p,every=10,format=png
refuses '-symbols x: needs -profile' -kernel good -symbols x
refuses '-symbols nowhere: No such file' -kernel good -profile file=p,every=10 -symbols nowhere
refuses '-symbols good: (not an ELF file|neither an ELF file)' -kernel good -profile file=p,every=10 -symbols good
refuses '-symbols: base=x: bad value; ADDR \(0..0xffffffff\) is accepted' -kernel good -profile file=p,every=10 -symbols good,base=x
refuses '-profile: file=nowhere/p: No such file or directory; a file that can be written is needed' -kernel good -profile file=nowhere/p,every=10
refuses '-profile: file=directory: Is a directory' -kernel good -profile file=directory,every=10
refuses '-account: needs file=FILE' -kernel good -account format=json
refuses '-account: format=xml: bad value; human\|json is accepted' -kernel good -account file=a,format=xml
refuses '-account: file=nowhere/a: No such file or directory; a file that can be written is needed' -kernel good -account file=nowhere/a
fails_at_end 'profile: file=/dev/full: .*No space' -kernel good -display none -profile file=/dev/full,every=1
fails_at_end 'account: file=/dev/full: .*No space' -kernel good -display none -account file=/dev/full
refuses '-mark a=1x: a linear address, SYMBOL or SYMBOL\+OFFSET is accepted' "${machine[@]}" -mark a=1x
refuses '-mark a=main\+x: a linear address, SYMBOL or SYMBOL\+OFFSET is accepted' "${machine[@]}" -mark a=main+x
refuses '-region r: "b" is no mark; .*marker:VALUE are accepted' "${machine[@]}" -mark a=0x100 -region r=a..b
refuses '-region r: "marker" needs -device tandem-marker' "${machine[@]}" -mark a=0x100 -region r=a..marker
refuses 'mark=marker:x: .*accepted' "${machine[@]}" -device tandem-marker -until mark=marker:x
refuses '-mark-log: file=/nowhere/x: .*needed' "${machine[@]}" -mark a=0x100 -mark-log file=/nowhere/x
refuses 'tandem-marker, 0x60 to 0x63' "${machine[@]}" -device tandem-marker,iobase=0x60

summary badinput
