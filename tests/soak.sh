#!/usr/bin/env bash
# soak.sh [BUILD] - SOAK_SECONDS (default 1800) of guest code that is changed, evicted and compiled late all the time.
# One long run of the guest mix (64 KiB of code cache, hot=1, two delayed workers): its memory must stay flat after the
# first third, and its digests equal those of an undisturbed run beside it, as far as both have come. Meanwhile
# short runs with other delays: every digest file equals the first.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build}
seconds=${SOAK_SECONDS:-1800}
dir=$(mktemp -d)
pids=()
cleanup() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

guest() { # rounds digest-file every [option...]
    local rounds=$1 digest=$2 every=$3
    shift 3
    exec "$build/tandem" -kernel "$build/tests/guests/mix.elf" -append "rounds=$rounds" -m 16 -icount shift=3,sleep=off \
        -display none -serial null -device isa-debug-exit,iobase=0xf4,iosize=4 -digest "file=$digest,every=$every" "$@" \
        >/dev/null 2>"$digest.err" </dev/null
}
disturbed=(-translator "mode=background,hot=1,threads=2,cache=64K")

rss_kib() { # pid
    awk '/^VmRSS/ { print $2 }' "/proc/$1/status" 2>/dev/null
}

short_run() { # seed
    (guest 200 "$dir/short" 100000 "${disturbed[@]}" -x-jitter "seed=$1")
    [ $? -eq 1 ] && cmp "$dir/first" "$dir/short"
}

# The arena of blocks (vcpu/engine/tbcache.c: 64 MiB) fills for about 7 minutes before it is emptied for the first time: short
# runs can only be held to a bound. 16 MiB of RAM, the arena, and what the process itself needs.
memory_is_bounded() {
    awk '$1 > top { top = $1 } END { printf "greatest RSS: %d KiB\n", top; exit top == 0 || top > 112 * 1024 }' "$dir/rss"
}

# The greatest of the second and of the last third of the samples may differ by 2 % and 4 MiB.
memory_is_flat() {
    awk '{ s[NR] = $1 }
        END { for (i = 1; i <= NR; i++) { third = int((i - 1) * 3 / NR); if (s[i] > top[third]) top[third] = s[i] }
              printf "greatest RSS by thirds: %d %d %d KiB, %d samples\n", top[0], top[1], top[2], NR
              exit NR < 9 || top[2] > top[1] * 1.02 + 4096 }' "$dir/rss"
}

# As far as both have come, and that is far enough.
digests_agree() {
    local n=$(($(wc -l <"$dir/long") < $(wc -l <"$dir/beside") ? $(wc -l <"$dir/long") : $(wc -l <"$dir/beside")))
    echo "$n digests in common"
    [ "$n" -gt 10 ] && cmp <(head -n $((n - 1)) "$dir/long") <(head -n $((n - 1)) "$dir/beside")
}

figure_over() { # name least
    local n
    n=$(awk -F '[:,]' -v name="\"$1\"" '$1 ~ name { print $2 + 0; exit }' "$dir/stats.json")
    echo "$1: ${n:-none}"
    [ "${n:-0}" -gt "$2" ]
}

(guest 200 "$dir/first" 100000 -translator mode=interp -devthread mode=inline)
expect "the first short run ends" test $? -eq 1
guest 4000000000 "$dir/long" 1000000 "${disturbed[@]}" -x-jitter "seed=${SEED:-1}" -stats "file=$dir/stats.json" &
long=$!
guest 4000000000 "$dir/beside" 1000000 -translator mode=eager -devthread mode=inline &
beside=$!
pids=("$long" "$beside")
end=$((SECONDS + seconds)) runs=0 bad=0
while [ $SECONDS -lt $end ] && kill -0 "$long" 2>/dev/null; do
    rss_kib "$long" >>"$dir/rss"
    runs=$((runs + 1))
    short_run "$runs" >/dev/null 2>&1 || bad=$((bad + 1))
    sleep 0.5
done
expect "both long runs are still there" kill -0 "$long" "$beside"
kill -TERM "$long" "$beside" 2>/dev/null
wait "$long" "$beside"
pids=()
expect "$bad of $runs short runs differ from the first" test "$bad" -eq 0
expect "memory is bounded" memory_is_bounded
if [ "$seconds" -ge 1500 ]; then
    expect "memory is flat" memory_is_flat
else
    echo "SKIPPED: whether memory is flat shows in 1500 seconds or more"
fi
expect "digests of the long runs" digests_agree
expect "code was evicted all the time" figure_over native_evicted $((seconds * 10))
expect "code was invalidated all the time" figure_over tb_invalidated $((seconds * 10))
echo "$runs short runs; $(memory_is_flat); $(digests_agree)"
summary soak
