#!/usr/bin/env bash
# run.sh [BUILD [PAIRS]] - the speed floors: instructions per second of a Linux boot on one core, and what the adaptive mode
# costs over inline: at most 5 % on one core and on two (CPU-bound and timer-bound guests), at most 1.5 times on a guest
# that does nothing but port I/O. Medians of PAIRS (default 5) alternating pairs, user-visible wall time.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tests/lib.sh"
build=$(realpath "${1:-build}")
pairs=${2:-5}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mips_floor=25

json_number() { # file key
    sed -n "s/.*\"$2\": *\\([0-9.]*\\).*/\\1/p" "$1" | head -n 1
}

# Wall time in ns of one run of a bench guest; its checks must hold.
guest_ns() { # cpus mode guest append
    taskset -c "$1" timeout 300 "$build/tandem" -kernel "$build/tests/guests/$3.elf" -append "$4" -m 16 -icount shift=3,sleep=off \
        -devthread "mode=$2" -display none -serial null -device isa-debug-exit,iobase=0xf4,iosize=4 \
        -stats "file=$dir/run.json" 2>/dev/null </dev/null
    [ $? -eq 1 ] || return
    json_number "$dir/run.json" wall_ns
}

median() {
    sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

ratio_at_most() { # limit cpus guest append
    local i a b ratios=''
    for i in $(seq "$pairs"); do
        b=$(guest_ns "$2" inline "$3" "$4")
        a=$(guest_ns "$2" adaptive "$3" "$4")
        ratios+=$(awk -v a="${a:-0}" -v b="${b:-0}" 'BEGIN { print a && b ? a / b : 999 }')$'\n'
    done
    local m
    m=$(printf '%s' "$ratios" | median)
    echo "$3 on CPUs $2: adaptive / inline = $m, runs:" $ratios
    expect "$3 on CPUs $2: adaptive at most $1 times inline (is $m)" awk -v m="$m" -v l="$1" 'BEGIN { exit !(m <= l) }'
}

boot_floor() {
    debian_args "mount -t proc proc /proc; uname -a; poweroff -f" quiet
    taskset -c 0 timeout 900 "$build/tandem" "${boot_args[@]}" -display none -serial null -icount shift=3,sleep=off \
        -stats "file=$dir/boot.json" 2>/dev/null </dev/null
    local mips
    mips=$(json_number "$dir/boot.json" mips)
    echo "Linux boot on one core: ${mips:-no} million instructions per second"
    expect "Linux boot: at least $mips_floor million instructions per second" \
        awk -v m="${mips:-0}" -v f=$mips_floor 'BEGIN { exit !(m >= f) }'
}

boot_floor
two=0,1
[ "$(nproc)" -ge 2 ] || two=0
for cpus in 0 $two; do
    ratio_at_most 1.05 "$cpus" bench_cpu passes=250
    ratio_at_most 1.05 "$cpus" bench_timer irqs=200000
    ratio_at_most 1.5 "$cpus" bench_pio n=1000000
done
summary speed
