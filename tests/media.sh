#!/usr/bin/env bash
# tests/media.sh BUILD - removable media: eject, change and trays by monitor and QMP while the guest media.c reads; recorded,
# replayed in every mode, saved and loaded; I/O errors for which the guest waits, and `cont`.
set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 2
. tests/lib.sh
build=$(readlink -f "${1:-build}")
tandem=$build/tandem guests=$build/tests/guests client=$PWD/tests/media_client.py
dir=$(mktemp -d) || exit 2
export XDG_CACHE_HOME=$dir/cache TMPDIR=$dir
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
head -c $((20 * 2048)) /dev/urandom >a.iso
head -c $((31 * 2048)) /dev/urandom >b.iso
head -c 1474560 /dev/urandom >f.img

# run NAME OPTIONS...: the guest media.c with $append; what it prints is in NAME.out.
append='discs=2'
run() {
    local name=$1
    shift
    timeout 60 "$tandem" -kernel "$guests/media.elf" -m 16 -display none -serial "file:$name.out" -append "$append" \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -cdrom a.iso "$@" 2>"$name.err"
}
# As the guest adds a disc up.
sum() {
    python3 -c 'import sys
total = 0
for byte in open(sys.argv[1], "rb").read():
    total = ((total << 1 | total >> 31) + byte) & 0xFFFFFFFF
print(format(total, "x"))' "$1"
}
at=8000000
replayed() { # NAME WHAT: the recording NAME.log in other modes
    local mode
    for mode in inline thread adaptive; do
        run r "${@:3}" -icount shift=3,sleep=off,rr=replay,rrfile="$1.log" -digest file=r.digest,every=1000000 -devthread mode=$mode </dev/null >/dev/null
        expect "$2: replay in mode $mode" "$build/tandem-digest-diff" "$1.digest" r.digest
        expect "$2: what the guest prints in mode $mode" cmp "$1.out" r.out
    done
}
recording() { echo "-icount shift=3,sleep=off,rr=record,rrfile=$1.log -digest file=$1.digest,every=1000000"; }

# shellcheck disable=SC2046 # options are words
changed() {
    local mode
    for mode in inline thread adaptive; do
        run c -S -monitor stdio $(recording c) -devthread mode=$mode >answers <<<"run-to $at
info block
change ide1-cd0 b.iso
info block
cont"
        expect_text "the first disc ($mode)" "$(cat c.out)" "^disc 1 sum $(sum a.iso)\$"
        expect_text "the second disc ($mode)" "$(cat c.out)" "^disc 2 sum $(sum b.iso)\$"
        expect_text "told by a unit attention ($mode)" "$(cat c.out)" '^sense 6/28/0'
        expect_text "told by an event ($mode)" "$(cat c.out)" '^event 2 tray 0'
        expect_text "info block before ($mode)" "$(cat answers)" 'ide1-cd0: a.iso .*CD-ROM, read-only'
        expect_text "info block at once ($mode)" "$(cat answers)" "ide1-cd0: $dir/b.iso .*CD-ROM, read-only"
        expect_text "the tray ($mode)" "$(cat answers)" 'Removable device: not locked, tray closed'
    done
    replayed c "a changed CD"
    cp b.iso kept
    printf changed | dd of=b.iso conv=notrunc bs=1 seek=5000 2>/dev/null
    run r -icount shift=3,sleep=off,rr=replay,rrfile=c.log </dev/null
    expect "another image is an error" test $? -eq 2
    expect_text "which names it" "$(cat r.err)" "rr=replay $dir/b.iso: the image has changed"
    mv b.iso away
    run r -icount shift=3,sleep=off,rr=replay,rrfile=c.log </dev/null
    expect "a missing image is an error" test $? -eq 2
    expect_text "which names it, too" "$(cat r.err)" "b.iso"
    mv kept b.iso
    rm away
    sed 's/ tray1 04[0-9a-f]*$/ tray1 0400/' c.log >bad.log
    run r -icount shift=3,sleep=off,rr=replay,rrfile=bad.log </dev/null
    expect_text "entries that nobody has made" "$(cat r.err)" 'tray1 that no machine has made'
}

# A snapshot behind the change names the disc and opens it; each moment in between can be saved.
# shellcheck disable=SC2046
saved() {
    local tick last change
    append='discs=3'
    run s -S -monitor stdio $(recording s) >answers <<<"run-to $at
change ide1-cd0 b.iso
run-to $((at + 20000000))
change ide1-cd0 a.iso
cont"
    last=$(awk '/ tray1 /{ t = $1 } END { print t }' s.log)
    change=$(awk '/ tray1 03/{ print $1; exit }' s.log)
    for tick in $((change - 1)) "$change" $((change + 1)) $((change + 40)) $((at + 1000000)) "$last"; do
        rm -f snap
        run r -icount shift=3,sleep=off,rr=replay,rrfile=s.log -snapshot-at "$tick,file=snap" -x-ticks $((tick + 10)) </dev/null
        run l -icount shift=3,sleep=off,rr=replay,rrfile=s.log -loadvm snap -digest file=l.digest,every=1000000 -devthread mode=thread </dev/null
        expect "loaded at $tick: the same end" cmp <(tail -n 1 s.digest) <(tail -n 1 l.digest)
    done
    run r -icount shift=3,sleep=off,rr=replay,rrfile=s.log -snapshot-at "$((at + 1000000)),file=snap" -x-ticks $((at + 1000010)) </dev/null
    mv b.iso away
    run l -icount shift=3,sleep=off -loadvm snap </dev/null
    expect_text "-loadvm without the disc" "$(cat l.err)" 'b.iso'
    mv away b.iso
    append='discs=2'
}

# shellcheck disable=SC2046
locked() {
    append='discs=2 lock=1'
    run k -S -monitor stdio $(recording k) >answers <<<"run-to $at
info block
eject ide1-cd0
run-to $((at + 2000000))
info block
change ide1-cd0 b.iso
cont"
    expect_text "a locked tray" "$(cat answers)" 'Removable device: locked, tray closed'
    expect_text "eject of it" "$(cat answers)" "Error: Device 'ide1-cd0' is locked and force was not specified"
    expect_text "the guest is asked" "$(cat k.out)" '^event 1 tray 0'
    expect_text "and opens it" "$(cat answers)" 'ide1-cd0: a.iso'
    expect_text "tray open" "$(cat answers)" 'not locked, tray open'
    expect_text "then it is changed" "$(cat k.out)" "^disc 2 sum $(sum b.iso)\$"
    replayed k "a locked tray"
    run k -S -monitor stdio $(recording k) >answers <<<"run-to $at
eject -f ide1-cd0
run-to $((at + 2000000))
info block
change -f ide1-cd0 b.iso raw
cont"
    expect_text "by force" "$(cat answers)" 'ide1-cd0: \[not inserted\]'
    expect_text "no medium" "$(cat k.out)" '^sense 2/3a/2'
    expect_text "and another" "$(cat k.out)" "^disc 2 sum $(sum b.iso)\$"
    append='discs=2'
}

# An empty drive, and a floppy.
# shellcheck disable=SC2046
empty() {
    append='discs=1 floppy=1'
    timeout 60 "$tandem" -kernel "$guests/media.elf" -m 16 -display none -serial file:e.out -append "$append" -S -monitor stdio \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -drive if=ide,index=2,media=cdrom,id=disc -drive if=floppy $(recording e) 2>e.err >answers <<<"run-to $at
info block
change floppy0 f.img raw
run-to $((at + 4000000))
info block
eject floppy0
run-to $((at + 8000000))
change floppy0 f.img raw read-only
info block
eject nosuch
change disc nosuch
change disc a.iso qcow9
change disc a.iso raw
cont"
    expect_text "an empty drive by its id" "$(cat answers)" 'disc: \[not inserted\], CD-ROM'
    expect_text "an empty floppy drive" "$(cat answers)" 'floppy0: \[not inserted\]$'
    expect_text "a floppy" "$(cat answers)" 'floppy0: .*f.img \(raw\)'
    expect_text "a floppy, write-protected" "$(cat answers)" 'floppy0: .*f.img \(raw\), read-only'
    expect_text "no such drive" "$(cat answers)" "Error: Device 'nosuch' not found"
    expect_text "no such file" "$(cat answers)" 'Error: change .*nosuch: .*No such file'
    expect_text "no such format" "$(cat answers)" "Error: Unknown driver 'qcow9'"
    expect "the guest sees the floppy come and go" test "$(grep floppy e.out | paste -sd ' ')" = \
        'floppy gone floppy there floppy gone floppy there'
    expect_text "and the disc" "$(cat e.out)" "^disc 1 sum $(sum a.iso)\$"
    append='discs=2'
    local mode
    for mode in inline thread; do
        timeout 60 "$tandem" -kernel "$guests/media.elf" -m 16 -display none -serial null -append "discs=1 floppy=1" -devthread mode=$mode \
            -device isa-debug-exit,iobase=0xf4,iosize=4 -drive if=ide,index=2,media=cdrom,id=disc -drive if=floppy 2>/dev/null </dev/null \
            -icount shift=3,sleep=off,rr=replay,rrfile=e.log -digest file=r.digest,every=1000000
        expect "a floppy: replay in mode $mode" "$build/tandem-digest-diff" e.digest r.digest
    done
}

qmp() {
    append='discs=3 eject=1'
    run q -S -qmp unix:q,server,nowait &
    local pid=$!
    expect "a QMP session" timeout 60 python3 "$client" q media "$dir/b.iso" "$dir/a.iso"
    wait $pid
    expect "its guest ended well" test $? -eq 1
    append='discs=2'
    qcow2
}

# shellcheck disable=SC2046
qcow2() {
    command -v qemu-img >/dev/null && command -v qemu-nbd >/dev/null || { skip "qemu-img or qemu-nbd is not here"; return; }
    qemu-img convert -f raw -O qcow2 a.iso a.qcow2
    timeout 60 "$tandem" -kernel "$guests/media.elf" -m 16 -display none -serial file:w.out -append discs=1 -S $(recording w) 2>w.err \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -drive if=ide,index=2,media=cdrom,id=disc0 -qmp unix:w,server,nowait &
    local pid=$!
    expect "a qcow2 node in an empty drive" timeout 60 python3 "$client" w qcow2 "$dir/a.qcow2" "$dir/a.iso"
    wait $pid
    expect "its guest ended well" test $? -eq 1
    expect_text "the guest reads what is in it" "$(cat w.out)" "^disc 1 sum $(sum a.iso)\$"
    timeout 60 "$tandem" -kernel "$guests/media.elf" -m 16 -display none -serial file:r.out -append discs=1 2>r.err </dev/null \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -drive if=ide,index=2,media=cdrom,id=disc0 \
        -icount shift=3,sleep=off,rr=replay,rrfile=w.log -digest file=r.digest,every=1000000 -devthread mode=thread
    expect "a qcow2 node replayed" "$build/tandem-digest-diff" w.digest r.digest
}

# A host that fails: the guest waits, monitors are answered, cont tries again at once.
errors() {
    command -v nbdkit >/dev/null || { skip "nbdkit is not here"; return; }
    local mode
    for mode in inline thread; do
        rm -f bad q mon
        nbdkit -f -U "$dir/nbd.$mode" --filter=error file "$dir/a.iso" error-pread=EIO error-pread-rate=100% error-file="$dir/bad" 2>/dev/null &
        local server=$!
        for _ in $(seq 100); do [ -S nbd.$mode ] && break; sleep 0.05; done
        append=discs=1
        timeout 60 "$tandem" -kernel "$guests/media.elf" -m 16 -display none -serial "file:x.out" -append discs=1 -S -devthread mode=$mode \
            -device isa-debug-exit,iobase=0xf4,iosize=4 -drive "file=nbd:unix:$dir/nbd.$mode,if=ide,index=2,media=cdrom,rerror=stop" \
            -qmp unix:q,server,nowait -monitor unix:mon,server,nowait 2>x.err &
        local pid=$!
        expect "I/O errors over QMP ($mode)" timeout 60 python3 "$client" q errors "$dir/bad" "$dir/mon"
        wait $pid
        expect "the guest has seen nothing ($mode)" test $? -eq 1
        expect_text "it has read the disc ($mode)" "$(cat x.out)" "^disc 1 sum $(sum a.iso)\$"
        kill $server
        wait $server 2>/dev/null
    done
    append='discs=2'
}

changed
saved
locked
empty
qmp
errors
summary media
