#!/usr/bin/env bash
# ide.sh [BUILD] - the IDE controller: the guest ide.c drives a disk and a CD by PIO, DMA and packets. One digest in every
# way of running, what it reads is what the images hold; recorded, replayed, saved and loaded with commands under way.
# Errors of the host, in each way in which data move: seen as the drive's, recorded, replayed without them.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
export XDG_CACHE_HOME=$dir/cache TMPDIR=$dir
servers=()
end() {
    [ ${#servers[@]} -eq 0 ] || kill "${servers[@]}" 2>/dev/null
    rm -rf "$dir"
}
trap end EXIT

run() { # NAME options...: digest in NAME, the guest's output in NAME.out, messages in NAME.err
    local name=$dir/$1
    shift
    timeout 120 "$build/tandem" -kernel "$build/tests/guests/ide.elf" -append "$append" -m 16 -display none \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -serial "file:$name.out" -drive "${disk:-file=$dir/disk,format=raw,snapshot=on}" \
        -drive "media=cdrom,index=2,${cd:-file=$dir/cd,format=raw,readonly=on}" -digest "file=$name,every=100000" "$@" -icount "${icount:-shift=3,sleep=off}" >/dev/null 2>"$name.err" </dev/null
}
ends() { # "$@" ends with the guest's success
    "$@"
    [ $? -eq 1 ] || { cat "$dir/$2.err" "$dir/$2.out"; return 1; }
}
same() { cmp "$dir/ref" "$dir/$1" && cmp "$dir/ref.out" "$dir/$1.out"; }
# As the guest adds up: FILE SECTOR-BYTES SECTORS-AT-ONCE
sum() {
    python3 - "$@" <<'PY'
import struct, sys
data, bytes, step = open(sys.argv[1], "rb").read(), int(sys.argv[2]), int(sys.argv[3])
total = 0
for at in range(0, len(data), bytes * step):
    part = data[at : at + bytes * step]
    one = 0
    for (word,) in struct.iter_unpack("<I", part):
        one = ((one << 1 | one >> 31) + word) & 0xFFFFFFFF
    total = (total * 31 + one) & 0xFFFFFFFF
print(len(data) // bytes, "sectors", format(total, "x"))
PY
}

head -c $((1011 * 512)) /dev/urandom >"$dir/disk"
head -c $((93 * 2048)) /dev/urandom >"$dir/cd"
cp "$dir/disk" "$dir/before"
append="rounds=1"
expect "reference run" ends run ref -devthread mode=inline
expect_text "the disk is what the image holds" "$(cat "$dir/ref.out")" "disk $(sum "$dir/disk" 512 64)"
expect_text "the CD is what the image holds" "$(cat "$dir/ref.out")" "cd $(sum "$dir/cd" 2048 16)"
expect "snapshot=on: the image is as it was" cmp "$dir/disk" "$dir/before"
ways=(
    "-devthread mode=thread"
    "-devthread mode=adaptive"
    "-devthread mode=thread -x-host-delay seed=1 -x-jitter seed=${SEED:-1}"
    "-devthread mode=adaptive -x-host-delay seed=2 -x-pause every=300000,seed=${SEED:-1}"
    "-devthread mode=inline -translator mode=interp"
    "-devthread mode=thread -translator mode=eager"
    "-devthread mode=inline -x-single-tb"
    "-devthread mode=inline -x-quantum 1000"
)
for way in "${ways[@]}"; do
    # shellcheck disable=SC2086
    expect "$way" ends run b $way
    expect "$way: same digests" same b
done

# --- recorded and replayed ---
icount="shift=3,sleep=off,rr=record,rrfile=$dir/log"
expect "recorded" ends run b -devthread mode=thread
expect "recorded: same digests" cmp <(grep -v '^#' "$dir/ref") <(grep -v '^#' "$dir/b")
icount="shift=3,sleep=off,rr=replay,rrfile=$dir/log"
expect "replayed" ends run b -devthread mode=inline
expect "replayed: same digests" cmp <(grep -v '^#' "$dir/ref") <(grep -v '^#' "$dir/b")
icount=

# --- saved and loaded, with commands under way ---
end_tick=$(awk '$1 == "end" { print $2 }' "$dir/ref")
points() { # after tick $1
    awk -v from="$1" '$1 == "end" || ($1 != "#" && $1 > from)' "$2" | grep -v '^#'
}
at=() ticks=()
for i in 1 2 3 4; do
    tick=$(((RANDOM << 15 | RANDOM) % (end_tick - 1) + 1))
    ticks+=("$tick") at+=(-snapshot-at "$tick,file=$dir/$i.snap")
done
expect "saved at ${ticks[*]}" ends run b -devthread mode=adaptive "${at[@]}"
expect "saved: same digests" same b
modes=(inline thread adaptive)
for i in 1 2 3 4; do
    tick=${ticks[i - 1]}
    expect "loaded at tick $tick" ends run c -devthread "mode=${modes[i % 3]}" -x-host-delay "seed=$i" -loadvm "$dir/$i.snap"
    expect "loaded at tick $tick: same digests" cmp <(points "$tick" "$dir/ref") <(points "$tick" "$dir/c")
done

# --- errors of the host: a server behind each drive that fails now and then; then a full disk under the overlay ---
append="errors=40"
recorded="shift=3,sleep=off,rr=record,rrfile=$dir/log" replayed="shift=3,sleep=off,rr=replay,rrfile=$dir/log"
server() { # NAME image what-fails...: in the background, at $dir/NAME
    local filter=()
    [ $# -eq 2 ] || filter=(--filter=error)
    rm -f "$dir/$1" "$dir/$1.pid"
    nbdkit -f -U "$dir/$1" -P "$dir/$1.pid" "${filter[@]}" file "$2" "${@:3}" >/dev/null 2>&1 &
    servers+=($!)
    for _ in $(seq 100); do [ -s "$dir/$1.pid" ] && return; sleep 0.05; done
}
servers_end() {
    kill "${servers[@]}" 2>/dev/null
    wait "${servers[@]}" 2>/dev/null
    servers=()
}
both_servers() { # what-fails...
    server disk.nbd "$dir/disk" "$@"
    server cd.nbd "$dir/cd" "$@"
}
faults_begin() { # once the run writes digests, after the images were hashed
    rm -f "$dir/faulty" "$dir/b"
    (
        for _ in $(seq 400); do [ -s "$dir/b" ] && break; sleep 0.01; done
        touch "$dir/faulty"
    ) &
}
# Errors of each kind, in the guest's order: read by PIO, DMA; write by PIO, DMA; verify; CD by PIO, DMA.
errors_of() { tr -d '\r' <"$dir/b.out" | sed -n 's/^errors: read \(.*\) write \(.*\) verify \(.*\) cd \(.*\) hash.*/\1 \2 \3 \4/p'; }
all_kinds() { # positions in that list
    local counts kind
    read -ra counts < <(errors_of)
    for kind in "$@"; do [ "${counts[kind]:-0}" -gt 0 ] || return; done
}
replays() { # what
    mv "$dir/b" "$dir/ref" && mv "$dir/b.out" "$dir/ref.out"
    local mode
    for mode in inline thread adaptive; do
        icount=$replayed expect "$1: replayed without them, mode=$mode" ends run b -devthread "mode=$mode"
        expect "$1: replayed without them, mode=$mode: same digests" same b
    done
}
disk="file=nbd:unix:$dir/disk.nbd" cd="file=nbd:unix:$dir/cd.nbd,readonly=on"
both_servers error=EIO error-pread-rate=30% error-file="$dir/faulty"
faults_begin
icount=$recorded expect "reads fail: recorded" ends run b -x-host-delay seed=21
wait $!
expect "reads fail: in each way of reading, by disk and CD ($(errors_of))" all_kinds 0 1 4 5 6
expect "reads fail: told once a drive" test "$(grep -c 'reading .* failed: Input/output error; the guest is told' "$dir/b.err")" -eq 2
servers_end
both_servers
replays "reads fail"
servers_end

disk='' cd=''
(
    ulimit -f 200 # KiB: what lies behind cannot be written
    icount=$recorded ends run b -x-host-delay seed=22 -translator mode=interp # code is in a memory file, which is limited, too
) >"$dir/full" 2>&1
expect "a full disk: recorded" test $? -eq 0
expect "a full disk: each way of writing fails ($(errors_of))" all_kinds 2 3
expect_text "a full disk: told" "$(cat "$dir/b.err")" 'writing .* failed: File too large; the guest is told'
replays "a full disk"
summary ide
