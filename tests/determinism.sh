#!/usr/bin/env bash
# Same digest file in every mode, on one core and two, under load, with random delays:
#   tests/determinism.sh [BUILD] [RUNS] [quick]     (default 20 runs of the guest mix.elf; quick: of the slow runs few)
# and planted errors, effects one tick late, must be caught.
set -u
build=${1:-build} runs=${2:-20} quick=${3-}
tandem=$build/cli/tandem
[ -x "$tandem" ] || tandem=$build/tandem
dir=$(mktemp -d)
load=''
trap 'rm -rf "$dir"; [ -n "$load" ] && kill $load 2>/dev/null' EXIT
passed=0 failed=0

run_mix() { # digest-file mode extra...
    local digest=$1 mode=$2
    shift 2
    $pin timeout 120 "$tandem" -kernel "$build/tests/guests/mix.elf" -append "rounds=60" -m 16 -icount shift=3,sleep=off \
        -devthread "mode=$mode" -display none -serial "file:$digest.out" -digest "file=$digest,every=50000" \
        -device isa-debug-exit,iobase=0xf4,iosize=4 "$@" >/dev/null 2>"$digest.err" </dev/null
}

verdict() { # name condition-status
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL determinism: $1"
    fi
}

same() {
    cmp -s "$dir/ref" "$1" && cmp -s "$dir/ref.out" "$1.out"
}

pin=''
run_mix "$dir/ref" inline
verdict "reference run ends with success" $(($? == 1 ? 0 : 1))
[ "$(wc -l <"$dir/ref")" -gt 20 ]
verdict "reference digest has intervals" $?

for i in $(seq "$runs"); do
    mode=$(set -- thread adaptive inline; shift $((i % 3)); echo "$1")
    pin='' jitter=() what="run $i mode=$mode"
    case $((i % 4)) in
    1) pin="taskset -c 0" what="$what one core" ;;
    2) jitter=(-x-jitter "seed=$i") what="$what jitter" ;;
    3) (while :; do :; done) & load=$! what="$what load" ;;
    esac
    run_mix "$dir/run" "$mode" "${jitter[@]}"
    same "$dir/run"
    verdict "$what" $?
    [ -n "$load" ] && kill $load 2>/dev/null && wait $load 2>/dev/null
    load=''
done

pin=''
for engine in interp eager background background,threads=0,hot=1; do
    for mode in inline thread; do
        run_mix "$dir/run" "$mode" -translator "mode=$engine"
        same "$dir/run"
        verdict "-translator mode=$engine, devthread mode=$mode" $?
    done
done

for engine in interp eager background,threads=1,hot=2; do
    run_mix "$dir/run" inline -translator "mode=$engine" -d int,cpu_reset,guest_errors -D "$dir/log"
    same "$dir/run"
    verdict "-translator mode=$engine, with a log of events" $?
    [ ! -f "$dir/log.first" ] || cmp "$dir/log.first" "$dir/log"
    verdict "-translator mode=$engine: the log is that of the first engine" $?
    cp "$dir/log" "$dir/log.first"
done
[ "$(wc -l <"$dir/log.first")" -gt 100 ]
verdict "the log of events has events" $?

# A machine that stands at ticks chosen at random and goes on is the machine that never stood.
for engine in interp eager background,threads=1,hot=2; do
    for mode in inline thread adaptive; do
        for every in 50 3000 100000; do
            # To stand every 50 ticks takes 3.5 s of CPU time; the quick form keeps one such run.
            if [ -n "$quick" ] && [ "$every" -eq 50 ] && [ "$engine $mode" != "eager adaptive" ]; then continue; fi
            run_mix "$dir/run" "$mode" -translator "mode=$engine" -x-pause "every=$every,seed=$every"
            same "$dir/run"
            verdict "-translator mode=$engine, devthread mode=$mode, standing about every $every ticks" $?
        done
    done
done

# A PCI device with DMA onto code and page tables, BARs that move under fire, two interrupts, a reset in between.
run_toypci() { # digest-file mode extra...
    local digest=$1 mode=$2
    shift 2
    $pin timeout 120 "$tandem" -kernel "$build/tests/guests/toypci.elf" -m 16 -icount "shift=3,sleep=off$rr" -x-toypci \
        -devthread "mode=$mode" -display none -serial "file:$digest.out" -digest "file=$digest,every=5000" \
        -device isa-debug-exit,iobase=0xf4,iosize=4 "$@" >/dev/null 2>"$digest.err" </dev/null
}
same_toypci() {
    cmp -s "$dir/toy" "$1" && cmp -s "$dir/toy.out" "$1.out"
}
pin='' rr=''
run_toypci "$dir/toy" inline
verdict "toypci: reference run ends with success" $(($? == 1 ? 0 : 1))
for mode in inline thread adaptive; do
    for engine in interp eager background,hot=1; do
        run_toypci "$dir/run" "$mode" -translator "mode=$engine" -x-jitter "seed=$RANDOM"
        same_toypci "$dir/run"
        verdict "toypci: -translator mode=$engine, mode=$mode, jitter" $?
    done
    pin="taskset -c 0"
    run_toypci "$dir/run" "$mode"
    same_toypci "$dir/run"
    verdict "toypci: mode=$mode, one core" $?
    pin=''
    run_toypci "$dir/run" "$mode" -x-pause "every=300,seed=1"
    same_toypci "$dir/run"
    verdict "toypci: mode=$mode, standing about every 300 ticks" $?
done
rr=",rr=record,rrfile=$dir/toy.log"
run_toypci "$dir/run" adaptive
same_toypci "$dir/run"
verdict "toypci: recorded" $?
rr=",rr=replay,rrfile=$dir/toy.log"
run_toypci "$dir/run" thread
same_toypci "$dir/run"
verdict "toypci: replayed" $?
rr=''

# Its moves and rises one tick late: the guest looks at each tick. Falls and moves at which it does not look show nowhere.
caught_toypci() { # mode
    local n
    for n in {70..89}; do
        run_toypci "$dir/late" "$1" -append reset=0 -x-plant "late=$n"
        cmp -s "$dir/toy" "$dir/late" || printf '%s ' "$n"
    done
}
run_toypci "$dir/toy" inline -append reset=0
inline=$(caught_toypci inline) thread=$(caught_toypci thread)
[ "$(wc -w <<<"$inline")" -ge 8 ]
verdict "toypci: effects planted one tick late are caught (of 70..89: ${inline:-none})" $?
[ "$inline" = "$thread" ]
verdict "toypci: the same in mode thread (${thread:-none})" $?

# A late fall of a line shows nowhere; a late rise moves the interrupt. Both modes must tell the same ones.
pin=''
caught() { # mode: the effects whose delay by one tick changes the digest
    local n
    for n in 41 42 43 44 45 46 47 48; do
        run_mix "$dir/late" "$1" -x-plant "late=$n"
        same "$dir/late" || printf '%s ' "$n"
    done
}
inline=$(caught inline) thread=$(caught thread)
[ "$(wc -w <<<"$inline")" -ge 3 ]
verdict "effects planted one tick late are caught (of 41..48: ${inline:-none})" $?
[ "$inline" = "$thread" ]
verdict "the same in mode thread (${thread:-none})" $?
echo "determinism: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
