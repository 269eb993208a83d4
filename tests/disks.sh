#!/usr/bin/env bash
# disks.sh [BUILD [RUNS]] - images behind drives: the guest disk.c drives the toy device's disk (-x-toypci, if=x-toy).
# One digest in all device modes however late the host is (RUNS delays, default 4); recorded, replayed, saved and loaded
# with requests under way; images kept or written as asked; errors of the host recorded and replayed without them.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=$(realpath "${1:-build}") runs=${2:-4}
dir=$(mktemp -d)
export XDG_CACHE_HOME=$dir/cache TMPDIR=$dir
servers=()
end() {
    [ ${#servers[@]} -eq 0 ] || kill "${servers[@]}" 2>/dev/null
    rm -rf "$dir"
}
trap end EXIT

modes=(inline thread adaptive)
append=rounds=12
# run NAME DRIVE options...: digest in NAME, output in NAME.out, messages in NAME.err
run() {
    local name=$dir/$1 drive=$2
    shift 2
    timeout 120 "$build/tandem" -kernel "$build/tests/guests/disk.elf" -append "$append" -m 16 -display none \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -x-toypci -serial "file:$name.out" -drive "if=x-toy,$drive" \
        -digest "file=$name,every=100000" "$@" -icount "${icount:-shift=3,sleep=off}" >/dev/null 2>"$name.err" </dev/null
}
ends() { # "$@" ends with the guest's success
    "$@"
    [ $? -eq 1 ] || { cat "$dir/$2.err" "$dir/$2.out"; return 1; }
}
same() { cmp "$dir/ref" "$dir/$1" && cmp "$dir/ref.out" "$dir/$1.out"; }
new_image() { head -c 1048576 /dev/urandom >"$dir/image"; }

# --- one digest ---
new_image
cp "$dir/image" "$dir/before"
raw="file=$dir/image,format=raw"
expect "reference run" ends run ref "$raw,snapshot=on" -devthread mode=inline
expect "snapshot=on: the image is as it was" cmp "$dir/image" "$dir/before"
for i in $(seq "$runs"); do
    mode=${modes[i % 3]}
    expect "mode=$mode, host I/O late by seed $i" ends run b "$raw,snapshot=on" -devthread "mode=$mode" -x-host-delay "seed=$i"
    expect "mode=$mode, host I/O late by seed $i: same digests" same b
done
expect "one core" ends taskset -c 0 bash -c "$(declare -f run); build=$build dir=$dir append=$append; run b $raw,snapshot=on -x-host-delay seed=77"
expect "written in place" ends run b "$raw" -devthread mode=thread -x-host-delay seed=9
expect "written in place: same digests" same b
expect "the image has changed" bash -c "! cmp -s $dir/image $dir/before"
cp "$dir/image" "$dir/after"

# --- recorded and replayed ---
cp "$dir/before" "$dir/image"
icount="shift=3,sleep=off,rr=record,rrfile=$dir/log"
expect "recorded" ends run b "$raw" -x-host-delay seed=3
expect "recorded: same digests" same b
expect_text "recorded: it is said that the image stays" "$(cat "$dir/b.err")" 'stays as it is: with rr=record'
expect "recorded: the image is as it was" cmp "$dir/image" "$dir/before"
icount="shift=3,sleep=off,rr=replay,rrfile=$dir/log"
expect "replayed" ends run b "$raw" -devthread mode=inline -x-host-delay seed=4
expect "replayed: same digests" same b
expect "replayed: the image is as it was" cmp "$dir/image" "$dir/before"
cp "$dir/after" "$dir/image"
run b "$raw"
expect_text "replayed over another image: an error that names the drive" "$(cat "$dir/b.err")" 'recorded with other images.*blocks0 1048576'
icount=

# --- saved and loaded ---
cp "$dir/before" "$dir/image"
end_tick=$(awk '$1 == "end" { print $2 }' "$dir/ref")
points() { # after tick $1
    awk -v from="$1" '$1 == "end" || ($1 != "#" && $1 > from)' "$2" | grep -v '^#'
}
at=() ticks=()
for i in 1 2 3 4 5 6; do
    tick=$(((RANDOM << 15 | RANDOM) % (end_tick - 1) + 1))
    [ $i -lt 6 ] || tick=$((end_tick - 1))
    ticks+=("$tick") at+=(-snapshot-at "$tick,file=$dir/$i.snap")
done
expect "saved at ${ticks[*]}" ends run b "$raw" -x-host-delay seed=5 "${at[@]}"
expect "saved: same digests" same b
for i in 1 2 3 4 5 6; do
    tick=${ticks[i - 1]}
    expect "loaded at tick $tick" ends run c "$raw" -devthread "mode=${modes[i % 3]}" -x-host-delay "seed=$i" -loadvm "$dir/$i.snap" \
        -snapshot-at "$tick,file=$dir/again.snap"
    expect "loaded at tick $tick: saved again, the same" cmp "$dir/$i.snap" "$dir/again.snap"
    expect "loaded at tick $tick: same digests" cmp <(points "$tick" "$dir/ref") <(points "$tick" "$dir/c")
done
cp "$dir/after" "$dir/image"
run c "$raw" -loadvm "$dir/1.snap"
expect_text "loaded over another image: an error that names it" "$(cat "$dir/c.err")" "another image in blocks0 than $dir/image"
expect "what was written shows" bash -c "$build/tandem-digest-diff $dir/6.snap | grep 'bytes written to drives'"

# --- hashes are remembered ---
touch -d '1 hour ago' "$dir/image"
sleep 3.1 # the time of its last change is told apart from now
run c "$raw,snapshot=on"
expect "a hash is in the cache" bash -c "grep -q 'tandem-image-hash 1 raw 1048576' $dir/cache/tandem/hash-*"
sed -i '2s/.*/00000000000000000000000000000000/' "$dir"/cache/tandem/hash-*
run c "$raw,snapshot=on"
expect "the cache is believed" grep -q 'blocks0=1048576,00000000000000000000000000000000,disk,rw' "$dir/c"
touch "$dir/image"
run c "$raw,snapshot=on"
expect "a file that has changed is read again" bash -c "! grep -q 'blocks0=1048576,0000000000000000' $dir/c"

# --- other formats, through qemu-nbd ---
cp "$dir/before" "$dir/image"
for format in qcow2 vdi vmdk; do
    image=$dir/image.$format
    qemu-img convert -q -f raw -O "$format" "$dir/before" "$image"
    cp "$image" "$image.before"
    expect "$format, snapshot=on" ends run b "file=$image,snapshot=on" -x-host-delay seed=11
    expect "$format, snapshot=on: same digests" same b
    expect "$format, snapshot=on: the image is as it was" cmp "$image" "$image.before"
    expect "$format" ends run b "file=$image,format=$format" -devthread mode=thread
    expect "$format: same digests" same b
    expect "$format: holds what was written" qemu-img compare -q -f raw -F "$format" "$dir/after" "$image"
done
expect "no qemu-nbd is left" bash -c "! pgrep -a -x qemu-nbd | grep '$dir'"
qemu-img create -q -f qcow2 -b "$dir/before" -F raw "$dir/backed.qcow2"
expect "a qcow2 image over another" ends run b "file=$dir/backed.qcow2"
expect "a qcow2 image over another: same digests" same b
echo text >"$dir/text"
run b "file=$dir/text,format=qcow2"
expect_text "no qcow2 image: what qemu-nbd says" "$(cat "$dir/b.err")" "^tandem: -drive $dir/text: qemu-nbd: .*qcow2"
(
    PATH=/bin/nowhere
    run2() { /usr/bin/timeout 20 "$build/tandem" -kernel "$build/tests/guests/disk.elf" -x-toypci -display none -drive "if=x-toy,file=$dir/image.vdi"; }
    run2
) >"$dir/b.out" 2>"$dir/b.err" </dev/null
expect_text "no qemu-nbd: what is needed" "$(cat "$dir/b.err")" 'qemu-nbd cannot be started .Debian: package qemu-utils'

# --- block servers ---
server() { # nbdkit options...: in the background, at $dir/nbd
    rm -f "$dir/nbd" "$dir/nbd.pid"
    nbdkit -f -U "$dir/nbd" -P "$dir/nbd.pid" "$@" >/dev/null 2>&1 &
    servers=($!)
    for _ in $(seq 100); do [ -s "$dir/nbd.pid" ] && return; sleep 0.05; done
}
server_ends() {
    kill "${servers[0]}" 2>/dev/null
    wait "${servers[0]}" 2>/dev/null
    servers=()
}
cp "$dir/before" "$dir/served"
server file "$dir/served"
expect "nbd:unix:" ends run b "file=nbd:unix:$dir/nbd,snapshot=on"
expect "nbd:unix: same digests" same b
expect "nbd+unix://" ends run b "file=nbd+unix:///?socket=$dir/nbd" -devthread mode=inline
expect "nbd+unix://: same digests" same b
server_ends
expect "nbd+unix://: the server holds what was written" cmp "$dir/served" "$dir/after"
run b "file=nbd+unix:///?socket=$dir/nowhere"
expect_text "no server: an error that names it" "$(cat "$dir/b.err")" "^tandem: -drive nbd.unix:///.socket=$dir/nowhere: "
server -r file "$dir/served"
run b "file=nbd:unix:$dir/nbd"
expect_text "a server to be read alone" "$(cat "$dir/b.err")" 'can be read alone; readonly=on or snapshot=on is accepted'
server_ends

# --- locks ---
cp "$dir/before" "$dir/image"
hold() { # options: a guest that does nothing, with this drive
    "$build/tandem" -kernel "$dir/loop" -display none -x-toypci -drive "if=x-toy,$1" >/dev/null 2>&1 </dev/null &
    servers=($!)
    for _ in $(seq 100); do grep -q "$(stat -c %i "$dir/image")" /proc/locks && break; sleep 0.05; done
}
tiny_guest "$dir/loop" "$code_loop"
hold "$raw"
run b "$raw"
expect_text "a second writer" "$(cat "$dir/b.err")" "another program uses it"
run b "$raw,snapshot=on"
expect_text "a reader beside a writer" "$(cat "$dir/b.err")" "another program writes to it"
expect_text "QEMU beside a writer" "$(qemu-io -f raw -c 'read 0 512' "$dir/image" 2>&1)" 'lock'
server_ends
hold "$raw,snapshot=on"
expect "two readers" ends run b "$raw,snapshot=on"
run b "$raw"
expect_text "a writer beside a reader" "$(cat "$dir/b.err")" "another program uses it"
expect "QEMU reads beside a reader" qemu-img info -f raw "$dir/image"
expect_text "QEMU does not write beside a reader" "$(qemu-io -f raw -c 'write 0 512' "$dir/image" 2>&1)" 'lock'
server_ends
rm -f "$dir/nbd"
qemu-nbd -t -f raw -k "$dir/nbd" "$dir/image" 2>/dev/null &
servers=($!)
for _ in $(seq 100); do [ -S "$dir/nbd" ] && break; sleep 0.05; done
run b "$raw"
expect_text "beside a writer of QEMU's" "$(cat "$dir/b.err")" "another program uses it"
run b "$raw,readonly=on"
expect_text "a reader beside a writer of QEMU's" "$(cat "$dir/b.err")" "another program writes to it"
server_ends
# --- virtio-blk: eight requests under way, random places, by its own driver ---
python3 -c 'import struct; open("'"$dir/numbers"'", "wb").write(b"".join(struct.pack("<I508x", n) for n in range(8192)))'
# virtio_run NAME WRITE options...
virtio_run() {
    local name=$dir/$1 write=$2
    shift 2
    timeout 120 "$build/tandem" -kernel "$build/tests/guests/bench_disk.elf" -append "requests=400 bytes=8192 depth=8 random=1 check=1 write=$write" \
        -m 16 -display none -device isa-debug-exit,iobase=0xf4,iosize=4 -serial "file:$name.out" -icount shift=3,sleep=off \
        -drive "file=$dir/numbers,format=raw,if=virtio,snapshot=on" -digest "file=$name,every=50000" "$@" >/dev/null 2>"$name.err" </dev/null
}
for write in 0 1; do
    expect "virtio, write=$write: reference run" ends virtio_run ref $write -devthread mode=inline
    end_tick=$(awk '$1 == "end" { print $2 }' "$dir/ref")
    at=()
    for i in 1 2 3; do
        ticks[i]=$(((RANDOM << 15 | RANDOM) % (end_tick - 1) + 1))
        at+=(-snapshot-at "${ticks[i]},file=$dir/$i.snap")
    done
    expect "virtio, write=$write: saved at ${ticks[*]:1:3}, host I/O late" ends virtio_run b $write -devthread mode=thread -x-host-delay seed=6 "${at[@]}"
    expect "virtio, write=$write: same digests" same b
    for i in 1 2 3; do
        expect "virtio, write=$write: loaded at tick ${ticks[i]}" ends virtio_run c $write -devthread "mode=${modes[i - 1]}" -x-host-delay "seed=$i" -loadvm "$dir/$i.snap"
        expect "virtio, write=$write: loaded at tick ${ticks[i]}: same digests" cmp <(points "${ticks[i]}" "$dir/ref") <(points "${ticks[i]}" "$dir/c")
    done
done

# --- errors of the host ---
append="rounds=40 errors=1"
cp "$dir/before" "$dir/image"
expect "without errors" ends run ref "$raw,snapshot=on"
faults_begin() { # once the run writes digests, after the image was hashed
    for _ in $(seq 200); do [ -s "$dir/b" ] && break; sleep 0.02; done
    touch "$dir/faulty"
}
recorded="shift=3,sleep=off,rr=record,rrfile=$dir/log" replayed="shift=3,sleep=off,rr=replay,rrfile=$dir/log"
errors_of() { sed -n 's/.* errors \([0-9]*\) .*/\1/p' "$dir/$1.out"; }

# A server that fails now and then; recorded, and replayed with one that does not.
rm -f "$dir/faulty" "$dir/b"
server --filter=error file "$dir/before" error=EIO error-pread-rate=20% error-file="$dir/faulty"
faults_begin &
icount=$recorded
expect "reads fail: recorded" ends run b "file=nbd:unix:$dir/nbd" -x-host-delay seed=21
wait "$!"
expect "reads fail: the guest has seen it ($(errors_of b) errors)" test "$(errors_of b)" -gt 0
expect "reads fail: told once" test "$(grep -c 'reading .* failed: Input/output error; the guest is told' "$dir/b.err")" -eq 1
expect "reads fail: they are in the recording" grep -q ' blocks0 01' "$dir/log"
server_ends
mv "$dir/b" "$dir/ref" && mv "$dir/b.out" "$dir/ref.out"
server file "$dir/before"
icount=$replayed
for mode in "${modes[@]}"; do
    expect "reads fail: replayed without a fault, mode=$mode" ends run b "file=nbd:unix:$dir/nbd" -devthread "mode=$mode"
    expect "reads fail: replayed without a fault, mode=$mode: same digests" same b
done
server_ends

# A full disk under the overlay: the sectors are bad until they can be written again.
icount=$recorded
(
    ulimit -f 300 # KiB: what is behind them cannot be written
    ends run b "$raw" -x-host-delay seed=22 -translator mode=interp # code is in a memory file, which is limited, too
) >"$dir/full" 2>&1
expect "a full disk: recorded" test $? -eq 0
expect "a full disk: the guest has seen it ($(errors_of b) errors)" test "$(errors_of b)" -gt 0
expect_text "a full disk: told" "$(cat "$dir/b.err")" 'writing .* failed: File too large; the guest is told'
expect "a full disk: it is in the recording" grep -q ' blocks0 02' "$dir/log"
mv "$dir/b" "$dir/ref" && mv "$dir/b.out" "$dir/ref.out"
icount=$replayed
for mode in "${modes[@]}"; do
    expect "a full disk: replayed with room, mode=$mode" ends run b "$raw" -devthread "mode=$mode"
    expect "a full disk: replayed with room, mode=$mode: same digests" same b
done
tick=$(($(awk '$1 == "end" { print $2 }' "$dir/ref") / 2))
expect "a full disk: saved in the replay" ends run b "$raw" -snapshot-at "$tick,file=$dir/full.snap"
expect "a full disk: loaded in the replay" ends run c "$raw" -loadvm "$dir/full.snap"
expect "a full disk: loaded in the replay: same digests" cmp <(points "$tick" "$dir/ref") <(points "$tick" "$dir/c")
(
    ulimit -f 100
    run b "$raw" -translator mode=interp
)
expect_text "a replay that fails where the recording had not: an error" "$(cat "$dir/b.err")" 'a drive failed on this host that had not failed'

# An image that becomes shorter, a server that goes.
icount=
cp "$dir/before" "$dir/image"
rm -f "$dir/b"
(faults_begin; truncate -s 100K "$dir/image") &
expect "an image that becomes shorter" ends run b "$raw,snapshot=on" -x-host-delay seed=23
expect_text "an image that becomes shorter: told" "$(cat "$dir/b.err")" 'reading .*: the image has become shorter; the guest is told'
rm -f "$dir/b"
server file "$dir/before"
(faults_begin; kill -9 "$(cat "$dir/nbd.pid")") &
expect "a server that goes" ends run b "file=nbd:unix:$dir/nbd,snapshot=on" -x-host-delay seed=24
expect_text "a server that goes: told" "$(cat "$dir/b.err")" 'the block server has gone; the guest is told'
server_ends
append="rounds=40"
cp "$dir/before" "$dir/image"
rm -f "$dir/b"
(faults_begin; truncate -s 0 "$dir/image") &
run b "$raw,snapshot=on,rerror=ignore,werror=ignore" -x-host-delay seed=25
expect_text "rerror=ignore: told, but not to the guest" "$(cat "$dir/b.err" "$dir/b.out")" 'become shorter'
expect_text "rerror=ignore: not to the guest" "$(cat "$dir/b.out")" 'errors 0 '

# A server that fails for a while: with stop the guest waits, and sees nothing.
append="rounds=40 errors=1"
rm -f "$dir/b"
expect "the reference without errors" ends run ref "file=$dir/before,format=raw,snapshot=on"
for mode in "${modes[@]}"; do
    rm -f "$dir/faulty" "$dir/b"
    server --filter=error file "$dir/before" error=ENOSPC error-rate=20% error-file="$dir/faulty"
    (faults_begin; sleep 1.5; rm "$dir/faulty") &
    expect "rerror=stop, mode=$mode" ends run b "file=nbd:unix:$dir/nbd,snapshot=on,rerror=stop,werror=enospc" -devthread "mode=$mode" -x-host-delay seed=26
    expect_text "rerror=stop, mode=$mode: told" "$(cat "$dir/b.err")" 'reading .* failed: .*; the guest waits, it is tried again each second'
    expect "rerror=stop, mode=$mode: the guest has seen nothing" cmp <(grep -v '^#' "$dir/ref") <(grep -v '^#' "$dir/b")
    server_ends
done
rm -f "$dir/faulty" "$dir/b"
server --filter=error file "$dir/before" error=EIO error-rate=100% error-file="$dir/faulty"
(faults_begin; sleep 1; pkill -TERM -f "^$build/tandem .*$dir/nbd,snapshot=on,rerror=stop") &
run b "file=nbd:unix:$dir/nbd,snapshot=on,rerror=stop" -x-host-delay seed=27
status=$?
expect "rerror=stop: it can be ended while the guest waits (status $status)" test $status -eq 143
server_ends

# --- killed at any moment ---
qemu-img create -q -f qcow2 "$dir/killed.qcow2" 1M
"$build/tandem" -kernel "$build/tests/guests/disk.elf" -append rounds=100000 -display none -x-toypci \
    -drive "if=x-toy,file=$dir/killed.qcow2" >/dev/null 2>&1 </dev/null &
killed=$!
for _ in $(seq 100); do child=$(pgrep -P "$killed" -x qemu-nbd) && break; sleep 0.05; done
sleep 0.3
kill -9 "$killed"
wait "$killed" 2>/dev/null
for _ in $(seq 60); do kill -0 "$child" 2>/dev/null || break; sleep 0.05; done
expect "kill -9: qemu-nbd (${child:-none}) ends, too" bash -c "[ -n '$child' ] && ! kill -0 $child 2>/dev/null"
expect "kill -9: the qcow2 image is sound" qemu-img check -q "$dir/killed.qcow2"

# write FILE CACHE: kills the writer (and the server, if there is one) after a random time; the last number in `last`.
write_and_kill() {
    "$build/tests/disk_writer" write "$1" "$2" >"$dir/said" 2>/dev/null &
    local writer=$!
    sleep "0.$((RANDOM % 20 + 5))"
    [ ${#servers[@]} -eq 0 ] || kill -9 "${servers[0]}"
    kill -9 "$writer"
    wait "$writer" "${servers[@]}" 2>/dev/null
    servers=()
    last=$(tail -n 1 "$dir/said")
    last=${last:-0}
}
numbers=0
for i in 1 2 3 4 5; do
    head -c 1048576 /dev/zero >"$dir/image"
    write_and_kill "$dir/image" writeback
    numbers=$((numbers + last))
    expect "kill -9: no number up to $last is lost" "$build/tests/disk_writer" check "$dir/image" "$last"
done
# A server that keeps what was not flushed to itself, and is killed with the writer.
for i in 1 2 3 4 5; do
    head -c 1048576 /dev/zero >"$dir/served"
    server --filter=cache file "$dir/served" cache=writeback
    write_and_kill "nbd:unix:$dir/nbd" writeback
    numbers=$((numbers + last))
    expect "a server that loses what was not flushed: no number up to $last is lost" "$build/tests/disk_writer" check "$dir/served" "$last"
done
expect "numbers were written ($numbers)" test "$numbers" -gt 100
head -c 1048576 /dev/zero >"$dir/served"
server --filter=cache file "$dir/served" cache=writeback
write_and_kill "nbd:unix:$dir/nbd" unsafe
expect "cache=unsafe loses them: the test can tell ($last)" bash -c "! $build/tests/disk_writer check $dir/served $last"

summary disks
