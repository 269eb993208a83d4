#!/usr/bin/env bash
# pc_proofs.sh [BUILD [ROUNDS]] - what a whole guest on a disk must show, round after round; each round says how it went. ROUNDS: of each part
# (default: as the line of the part below says). ONLY=part runs one part. SEED: of the choice; what is drawn is printed. FIRST: the number of the
# first round of same, replay and kill (1), so that a later call goes on where an earlier one ended; rounds differ in mode, cores and delays.
# Host I/O is delayed by up to 50 ms in every run but the references.
#
#   same       50  Debian boots, works with fsync and powers off: one digest in all modes, on one core and two, with host I/O delayed, under load
#   replay     10  a boot that is typed at is recorded, and replayed in all modes, on one core and two
#   snapshots  12  a boot is saved at random ticks, host I/O delayed; each is loaded in another mode and ends with the same digest
#   kill      100  killed with SIGKILL while Linux writes with fsync, and with it, every other time, a block server that loses what was not flushed:
#                  nothing of what the guest called safe is missing, e2fsck is content, and the next round boots from the same image
#   errors      3  errors of the host on an IDE disk (EIO, an image that becomes shorter, a server that goes) are recorded, and replayed without them
#   trim        1  Linux discards a part of an IDE disk: it is zeroes, the rest is as it was, the host has its space again
#   order       1  what is booted from: letters of -boot and bootindex, with a disk, a CD and a virtio disk
#   clock       1  time as firmware and GRUB measure it on CPUs with and without a time stamp counter
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${1:-build}")
rounds_given=${2-}
RANDOM=${SEED:-1}
first=${FIRST:-1}
dir=$(mktemp -d)
server=
load=
cleanup() {
    local p
    for p in $server $load $(jobs -p); do kill -9 "$p" 2>/dev/null; done
    rm -rf "$dir"
}
trap cleanup EXIT

modes=(inline thread adaptive)
prefix=()
one_in=64 # of so many requests one is late by up to 50 ms: firmware reads the kernel by 50,000 requests
icount=shift=3,sleep=off
pc_options=(-display none -net none -no-reboot -m 256)

# Runs it; the serial port's output is in $dir/out, what tandem says in $dir/err, the status in `status`.
pc_run() { # seconds option...
    local seconds=$1
    shift
    rm -f "$dir/out"
    timeout "$seconds" "${prefix[@]}" "$build/tandem" "${pc_options[@]}" -icount "$icount" -serial "file:$dir/out" "$@" </dev/null >/dev/null 2>"$dir/err"
    status=$?
}
ended_well() { # what
    if [ $status -eq 0 ]; then pass; else fail "$1: status $status" "$(cat "$dir/err"; tail -n 15 "$dir/out")"; fi
}
rounds_of() { # default
    rounds=${rounds_given:-$1}
}
say() { printf '%s %s\n' "$(date +%T)" "$*"; }
# A Debian disk whose root shell does the script: with systemd, or as process 1 (without: half the time).
debian_image() { # file kernel systemd|alone script
    local options=
    [ "$3" = systemd ] || options='init=/bin/bash -- /root/run.sh'
    image_get debian-disk "$build" && image_copy "$1" choice "set default=kernel-$2
set timeout=0
set options='$options'" run "$4"
}
# The way of running number $1: `way` holds the options, `prefix` a command in front, `what` says it. Host I/O is delayed in each of them, each time
# at other requests; every other one has a quantum of its own.
way_of() {
    way=(-devthread "mode=${modes[$1 % 3]}" -x-host-delay "seed=$1,one-in=$one_in") what="mode ${modes[$1 % 3]}" prefix=()
    if [ $(($1 / 3 % 2)) -eq 1 ]; then prefix=(taskset -c 0) what+=", one core"; fi
    if [ $(($1 % 2)) -eq 1 ]; then way+=(-x-quantum $(($1 * 997))) what+=", another quantum"; fi
}
random_below() { r=$(((RANDOM << 30 | RANDOM << 15 | RANDOM) % $1)); }
digest_same() { # what file
    if "$build/tandem-digest-diff" "$dir/ref" "$2" >"$dir/diff" 2>&1; then pass; else fail "$1: digest" "$(cat "$dir/diff")"; fi
}

# --- one digest ---
work='for i in 1 2 3 4; do
  seq $((i * 1000)) $((i * 1000 + 20000)) >/root/work.$i
  dd if=/root/work.$i of=/root/copy.$i bs=7k conv=fsync 2>/dev/null
  rm /root/work.$i
done
cat /root/copy.* | sha256sum
poweroff'
work_sum=$(for i in 1 2 3 4; do seq $((i * 1000)) $((i * 1000 + 20000)); done | sha256sum | cut -d ' ' -f 1)
same_run() { # digest-file option...
    local digest=$1
    shift
    pc_run 900 -drive "file=$dir/image,format=raw,if=$interface,snapshot=on" -digest "file=$dir/$digest,every=50000000" "$@"
}
part_same() {
    local interface kernel i
    rounds_of 50
    for interface in ide virtio; do
        if [ $interface = ide ]; then kernel=686; else kernel=686-pae; fi
        debian_image "$dir/image" $kernel systemd "$work" || return
        same_run ref -devthread mode=inline
        ended_well "same, $interface: the reference"
        expect_text "same, $interface: what was written is read" "$(tr -d '\r' <"$dir/out")" "^$work_sum"
        cp "$dir/out" "$dir/ref.out"
        for i in $(seq "$first" $((first + (rounds + 1) / 2 - 1))); do
            way_of "$i"
            same_run run "${way[@]}"
            ended_well "same, $interface, $i: $what"
            digest_same "same, $interface, $i: $what" "$dir/run"
            expect "same, $interface, $i: output" cmp "$dir/ref.out" "$dir/out"
            say "same, $interface: boot $i, $what: $(tail -n 1 "$dir/run")"
        done
    done
    prefix=()
}

# --- recorded and replayed: keys come when they come ---
part_replay() {
    local i points
    rounds_of 10
    debian_image "$dir/image" 686 systemd '' || return
    session_stderr=$dir/err
    session_start timeout 900 "$build/tandem" "${pc_options[@]}" -icount "shift=3,sleep=off,rr=record,rrfile=$dir/log" -serial stdio -x-host-delay "seed=99,one-in=$one_in" \
        -drive "file=$dir/image,format=raw,if=ide,snapshot=on" -digest "file=$dir/ref,every=50000000"
    if session_wait 'root@tandem' 400; then pass; else fail "replay: login" "$session_log"; fi
    session_send 'seq 1 30000 >/root/numbers; sync; sha256sum /root/numbers'
    session_wait "$(seq 1 30000 | sha256sum | cut -d ' ' -f 1)" 100 || fail "replay: work" "$session_log"
    session_send 'poweroff'
    session_wait 'reboot: Power down' 200 || fail "replay: power-off" "$session_log"
    session_end
    expect "replay: recorded (status $session_status)" test "$session_status" -eq 0
    points=$(grep -v '^#' "$dir/ref")
    icount="shift=3,sleep=off,rr=replay,rrfile=$dir/log"
    for i in $(seq "$first" $((first + rounds - 1))); do
        way_of "$i"
        pc_run 900 -drive "file=$dir/image,format=raw,if=ide,snapshot=on" -digest "file=$dir/run,every=50000000" "${way[@]}"
        ended_well "replay $i: $what"
        expect "replay $i: $what: digest" test "$points" = "$(grep -v '^#' "$dir/run")"
        say "replay $i, $what: $(tail -n 1 "$dir/run")"
    done
    icount=shift=3,sleep=off prefix=()
}

# --- saved and loaded ---
# Drives that work on a command.
under_way() { "$build/tandem-digest-diff" "$1" | grep -Ec '^ide[^ ]*phase: 0x' || true; }
part_snapshots() {
    local i t at=() ticks=() requests end busy=0
    rounds_of 12
    debian_image "$dir/image" 686 alone "mount -o remount,rw /
${work%poweroff}
poweroff -ff" || return
    interface=ide
    same_run ref -devthread mode=inline -mark request=blk_mq_start_request -mark-log "file=$dir/requests"
    ended_well "snapshots: the reference"
    mapfile -t requests < <(awk '/^[0-9]+ request / { print $1 }' "$dir/requests")
    expect "snapshots: Linux's requests are known" test ${#requests[@]} -gt 100
    end=$(awk '$1 == "end" { print $2 }' "$dir/ref")
    for i in $(seq "$rounds"); do
        random_below $((end - 1))
        ticks[i]=$((r + 1)) at+=(-snapshot-at "$((r + 1)),file=$dir/$i.snap")
    done
    # Drives are fast: at a random tick they hardly ever work. Two of three ticks are where a request of Linux's, marked, has come to the drive.
    for i in $(seq "$rounds"); do
        [ $((i % 3)) -ne 0 ] || continue
        t=${ticks[i]}
        ticks[i]=$((${requests[t % ${#requests[@]}]} + 5400 + t % 1600)) at[i * 2 - 1]="${ticks[i]},file=$dir/$i.snap"
    done
    same_run run -devthread mode=thread -x-host-delay "seed=5,one-in=$one_in" "${at[@]}"
    ended_well "snapshots: saved"
    digest_same "snapshots: saved" "$dir/run"
    for i in $(seq "$rounds"); do
        way_of "$i"
        if [ "$(under_way "$dir/$i.snap")" -gt 0 ]; then busy=$((busy + 1)); fi
        same_run run "${way[@]}" -loadvm "$dir/$i.snap"
        ended_well "snapshots: loaded at tick ${ticks[i]}, $what"
        expect "snapshots: loaded at tick ${ticks[i]}, $what: digest" test "$(grep '^end' "$dir/ref")" = "$(grep '^end' "$dir/run")"
        say "snapshots: $i of $rounds at tick ${ticks[i]}, $what: $(tail -n 1 "$dir/run")"
        rm "$dir/$i.snap"
    done
    expect "snapshots: some with a disk operation under way ($busy)" test "$busy" -gt 0
    say "snapshots: $busy of $rounds with a disk operation under way"
    prefix=()
}

# --- killed ---
kill_script='mount -o remount,rw /
cd /root
touch numbers
n=$(wc -l <numbers)
echo "begin at $n"
replace() {
  [ $((n % 5)) -ne 0 ] || { echo $n >new && sync new && mv new last && sync .; }
}
# The last number of the run before may be there without its file.
replace
# What was not synced is not called safe: the server may be gone already.
while echo $((n + 1)) >>numbers && sync numbers; do
  n=$((n + 1))
  replace || break
  echo "safe $n"
done
echo "no more"
sleep 1000'
server_start() { # nbdkit options...: in the background, at $dir/nbd
    rm -f "$dir/nbd" "$dir/nbd.pid"
    nbdkit -f -U "$dir/nbd" -P "$dir/nbd.pid" "$@" >/dev/null 2>&1 &
    server=$!
    for _ in $(seq 100); do [ -s "$dir/nbd.pid" ] && return; sleep 0.05; done
}
server_end() { # signal
    [ -z "$server" ] || { kill "-$1" "$server"; wait "$server"; } 2>/dev/null
    server=
}
# Waits until a line of the guest's begins with the text.
wait_for_line() { # text seconds
    local end=$((SECONDS + $2))
    until grep -aq "^$1" "$dir/out" 2>/dev/null; do
        [ $SECONDS -lt $end ] && kill -0 "$running" 2>/dev/null || return 1
        sleep 0.1
    done
}
# What a host that starts again finds: the file system, once its journal is played back, and all that was safe.
check_killed() { # what safe-number
    dd if="$dir/image" of="$dir/found" bs=1M skip=1 conv=sparse status=none # the partition alone: e2fsck opens it again
    e2fsck -fp "$dir/found" >"$dir/fsck" 2>&1
    local fsck=$? last
    if [ $fsck -le 1 ]; then pass; else fail "$1: e2fsck, status $fsck" "$(cat "$dir/fsck")"; fi
    debugfs -R 'cat /root/numbers' "$dir/found" 2>/dev/null >"$dir/numbers"
    if cmp -n "$(seq 1 "$2" | wc -c)" "$dir/numbers" <(seq 1 "$2"); then pass; else fail "$1: a safe number up to $2 is lost" "$(tail -n 3 "$dir/numbers")"; fi
    last=$(debugfs -R 'cat /root/last' "$dir/found" 2>/dev/null)
    if [ "${last:-0}" -ge $(($2 / 5 * 5)) ]; then pass; else fail "$1: the file at number $(($2 / 5 * 5)) is lost" "$last"; fi
}
part_kill() {
    local i drive what safe=0 running now
    rounds_of 100
    debian_image "$dir/image" 686 alone "$kill_script" || return
    for i in $(seq "$first" $((first + rounds - 1))); do
        rm -f "$dir/out"
        what="kill $i" drive="file=$dir/image,format=raw"
        if [ $((i % 2)) -eq 0 ]; then
            server_start --filter=cache file "$dir/image" cache=writeback
            what+=" with its block server" drive="file=nbd:unix:$dir/nbd"
        fi
        "$build/tandem" "${pc_options[@]}" -icount "$icount" -serial "file:$dir/out" -drive "if=ide,$drive" -devthread "mode=${modes[i / 2 % 3]}" \
            -x-host-delay "seed=$i,one-in=$one_in" </dev/null >/dev/null 2>"$dir/err" &
        running=$!
        # Now and then while the journal of the kill before is played back.
        if [ $((i % 7)) -eq 0 ] || wait_for_line 'safe ' 120; then pass; else fail "$what: the guest boots and writes" "$(cat "$dir/err"; tail -n 20 "$dir/out")"; fi
        random_below 40
        sleep "$((r / 10)).$((r % 10))"
        server_end KILL
        { kill -9 "$running"; wait "$running"; } 2>/dev/null
        now=$(tr -d '\r' <"$dir/out" | sed -n 's/^safe \([0-9]*\)$/\1/p' | tail -n 1)
        safe=${now:-$safe}
        check_killed "$what" "$safe"
        say "$what: $safe numbers are safe; $failed failures"
    done
    expect "kill: numbers were written ($safe)" test "$safe" -gt "$rounds"
}

# --- errors of the host ---
errors_script='echo begin
i=0 bad=0
while [ $bad -lt 12 ] && [ $i -lt 6000 ]; do
  if dd if=/dev/sdb of=/tmp.block bs=16k skip=$((i % 400)) count=1 iflag=direct 2>/dev/null; then :; else bad=$((bad + 1)); fi
  i=$((i + 1))
done
echo "seen $bad errors in $i blocks"
dmesg | tail -n 20
poweroff -ff'
# KIND makes the fault happen once the guest has begun; DRIVE is the second drive.
errors_run() { # digest-file drive option...
    local digest=$1 drive=$2
    shift 2
    pc_run 900 -drive "file=$dir/image,format=raw,if=ide,snapshot=on" -drive "if=ide,$drive,snapshot=on" -digest "file=$dir/$digest,every=10000000" "$@"
}
errors_of() { tr -d '\r' <"$dir/out" | sed -n 's/^seen \([0-9]*\) errors.*/\1/p'; }
fault_when_begun() { # command...
    (
        for _ in $(seq 1200); do grep -aqs '^begin' "$dir/out" && break; sleep 0.1; done
        sleep 0.3
        "$@"
    ) &
}
errors_kind() { # name drive fault-command...
    local name=$1 drive=$2 fault mode points
    shift 2
    icount="shift=3,sleep=off,rr=record,rrfile=$dir/log"
    rm -f "$dir/out"
    fault_when_begun "$@"
    fault=$!
    errors_run ref "$drive" -x-host-delay "seed=7,one-in=$one_in"
    wait "$fault"
    ended_well "errors, $name: recorded"
    expect "errors, $name: Linux has seen them ($(errors_of))" test "$(errors_of)" -gt 0
    expect "errors, $name: told once" test "$(grep -c 'the guest is told' "$dir/err")" -eq 1
    points=$(grep -v '^#' "$dir/ref")
    server_end TERM
    cp "$dir/second" "$dir/victim"
    [ "${drive#file=nbd}" = "$drive" ] || server_start file "$dir/victim"
    icount="shift=3,sleep=off,rr=replay,rrfile=$dir/log"
    for mode in "${replay_modes[@]}"; do
        errors_run run "$drive" -devthread "mode=$mode"
        ended_well "errors, $name: replayed without them, mode $mode"
        expect "errors, $name: replayed without them, mode $mode: digest" test "$points" = "$(grep -v '^#' "$dir/run")"
        say "errors, $name: replayed, mode $mode; $(errors_of) errors: $(tail -n 1 "$dir/run")"
    done
    server_end TERM
    icount=shift=3,sleep=off
}
part_errors() {
    rounds_of 3
    local replay_modes=("${modes[@]:0:$rounds}")
    debian_image "$dir/image" 686 alone "mount -t tmpfs none /mnt; ${errors_script//\/tmp.block/\/mnt\/block}" || return
    head -c 8388608 /dev/urandom >"$dir/second"
    cp "$dir/second" "$dir/victim"
    rm -f "$dir/faulty"
    server_start --filter=error file "$dir/victim" error=EIO error-pread-rate=10% error-file="$dir/faulty"
    errors_kind "EIO" "file=nbd:unix:$dir/nbd" touch "$dir/faulty"
    errors_kind "an image that becomes shorter" "file=$dir/victim,format=raw" truncate -s 100K "$dir/victim"
    server_start file "$dir/victim"
    errors_kind "a server that goes" "file=nbd:unix:$dir/nbd" kill -9 "$server"
}

# --- TRIM ---
part_trim() {
    debian_image "$dir/image" 686 alone 'cat /sys/block/sdb/queue/discard_max_bytes
blkdiscard -o 1M -l 2M /dev/sdb && echo discarded
poweroff -ff' || return
    head -c 8388608 /dev/urandom >"$dir/second"
    cp "$dir/second" "$dir/victim"
    pc_run 300 -drive "file=$dir/image,format=raw,if=ide,snapshot=on" -drive "if=ide,file=$dir/victim,format=raw,discard=unmap"
    ended_well "trim"
    expect_text "trim: Linux" "$(tr -d '\r' <"$dir/out")" '^discarded'
    expect "trim: zeroes" cmp -n $((2 << 20)) -i $((1 << 20)):0 "$dir/victim" /dev/zero
    expect "trim: what lies before" cmp -n $((1 << 20)) "$dir/victim" "$dir/second"
    expect "trim: what lies behind" cmp -i $((3 << 20)) "$dir/victim" "$dir/second"
    expect "trim: the host has its space" test $(($(stat -c '%b * %B' "$dir/victim"))) -le $((6 << 20))
    say "trim: $(stat -c '%b blocks of %B bytes' "$dir/victim") are left of 8 MiB"
}

# --- what is booted from ---
boots_from() { # what option...
    local want=$1
    shift
    pc_run 120 "$@"
    ended_well "order, $*"
    expect_text "order, $*" "$(tr -d '\r' <"$dir/out")" "from the $want"
    say "order: $* boots from the $want"
}
part_order() {
    local from
    image_get grub-disk "$build" || return
    image_copy "$dir/disk" choice $'echo from the disk\nhalt' && image_copy "$dir/virtio" choice $'echo from the virtio disk\nhalt' || return
    image_get grub-iso "$build" && image_copy "$dir/cd" choice $'echo from the CD\nhalt' || return
    truncate -s 1M "$dir/empty"
    local disk=(-drive "file=$dir/disk,format=raw,if=ide,snapshot=on") cd=(-cdrom "$dir/cd") virtio=(-drive "file=$dir/virtio,format=raw,if=virtio,snapshot=on")
    boots_from disk "${disk[@]}" "${cd[@]}"
    boots_from CD "${disk[@]}" "${cd[@]}" -boot d
    boots_from CD "${disk[@]}" "${cd[@]}" -boot order=dc
    boots_from disk "${disk[@]}" "${cd[@]}" -boot c
    boots_from disk "${disk[@]}" -cdrom "$dir/empty" -boot d
    boots_from CD "${cd[@]}" -boot c
    boots_from 'virtio disk' "${virtio[@]}" "${cd[@]}" -boot c
    local none=(-drive "file=$dir/disk,format=raw,if=none,id=disk,snapshot=on" -drive "file=$dir/cd,format=raw,if=none,id=cd,media=cdrom,readonly=on"
        -drive "file=$dir/virtio,format=raw,if=none,id=virtio,snapshot=on")
    local first
    for first in 'disk:1 3 2' 'CD:2 1 3' 'virtio disk:3 2 1'; do
        read -r d c v <<<"${first#*:}"
        boots_from "${first%%:*}" "${none[@]}" -device "ide-hd,drive=disk,bootindex=$d" -device "ide-cd,drive=cd,bootindex=$c" -device "virtio-blk-pci,drive=virtio,bootindex=$v"
    done
}

# --- time ---
# GRUB sleeps 5 seconds, by the PIT or the time stamp counter that it has calibrated by the PIT: so much longer is the run.
part_clock() {
    local cpu t seconds ticks
    image_get grub-disk "$build" || return
    for cpu in 486 pentium qemu32; do
        ticks=()
        for seconds in 0 5; do
            image_copy "$dir/image" choice "sleep $seconds
halt" || return
            pc_run 120 -cpu "$cpu" -drive "file=$dir/image,format=raw,if=ide" -digest "file=$dir/run,every=1000000000"
            ended_well "clock, -cpu $cpu"
            ticks+=("$(awk '$1 == "end" { print $2 }' "$dir/run")")
        done
        t=$(((ticks[1] - ticks[0]) / 125000)) # ms
        expect "clock, -cpu $cpu: 5 seconds take $t ms" test $t -gt 4800 -a $t -lt 5300
        say "clock: with -cpu $cpu GRUB's 5 seconds take $t ms"
    done
}

for part in ${ONLY:-same replay snapshots kill errors trim order clock}; do
    "part_$part"
done
summary "pc proofs"
