#!/bin/sh
# check.sh - checks the protocol's model (link.pml) with spin: the good model in every mode must pass, and
# each deliberately broken one must fail. One line each; exit status 0 only if all is as it should be.
# Needs spin and a C compiler ($CC, default cc). A minute on two cores, below 1 GB of memory a core.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT INT TERM

# build OPTIMIZATION KIND DEFINES...: a verifier; KIND is safety (deadlock, assertions) or liveness (<>done).
build() {
    optimization=$1; kind=$2; shift 2
    spin -a "$@" "$here/link.pml" >spin.out 2>&1 || return 1
    [ "$kind" = safety ] && flag="-DSAFETY -DNOCLAIM" || flag=-DNFAIR=4
    ${CC:-cc} $optimization -w $flag -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=1500 -o pan pan.c >cc.out 2>&1
}

# verify KIND DEPTH: prints ok, error or unfinished (out of memory or depth: nothing was shown).
verify() {
    if [ "$1" = safety ]; then ./pan -m"$2" >pan.out 2>&1; else ./pan -m"$2" -a -f >pan.out 2>&1; fi
    if grep -q 'errors: [1-9]' pan.out; then echo error
    elif grep -q 'errors: 0' pan.out && ! grep -q -e 'Search not completed' -e 'max search depth too small' pan.out
    then echo ok
    else echo unfinished
    fi
}

# check_one WANT DEPTH KIND NAME DEFINES...: one line to standard output.
check_one() {
    want=$1; depth=$2; kind=$3; name=$4; shift 4
    optimization=-O1
    [ "$want" = ok ] || optimization=-O0 # compiling takes longer than a search that ends at an error
    if build $optimization "$kind" "$@"; then got=$(verify "$kind" "$depth"); else got='not built'; cat spin.out cc.out 2>/dev/null; fi
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out 2>/dev/null | head -1)
    why=$(sed -n 's/^pan:1: //p' pan.out 2>/dev/null | head -1)
    if [ "$got" = "$want" ]; then verdict=PASS; else verdict=FAIL; fi
    echo "$verdict $name ($kind): $got, ${states:-0} states${why:+: $why}"
}

# Each check is a line of arguments in a file of its own, so that xargs can run as many at once as there are CPUs.
checks=0
check() {
    checks=$((checks + 1))
    mkdir "$work/$checks" && printf '%s\n' "$@" >"$work/$checks/args"
}
good() { kind=$1; name=$2; shift 2; check ok 400000 "$kind" "$name" "$@"; }
# A counterexample needs no full search: a shallow one finds it sooner.
broken() { bug=$1; mode=$2; shift 2; check error 1000 safety "$mode with BUG_$bug" -D"$mode" -DBUG_"$bug" "$@"; }

if [ "${1-}" = --one ]; then # a directory of an outer check.sh: see the end
    cd "$2" || exit 2
    shift 2
    while read -r arg; do set -- "$@" "$arg"; done <args
    check_one "$@" >result
    exit 0
fi

# The longest first.
good safety   'adaptive: input, digests, pause' -DADAPTIVE -DTMAX=3 -DINPUT -DDIGEST=2 -DPAUSE
good safety   'thread: early events'            -DTHREAD   -DTMAX=3 -DEARLY
good liveness 'thread: pause'                   -DTHREAD   -DTMAX=2 -DPAUSE
good safety   'thread: input, digests, pause'   -DTHREAD   -DTMAX=2 -DINPUT -DDIGEST=1 -DPAUSE
good safety   'thread'                          -DTHREAD   -DTMAX=4
good liveness 'adaptive: pause'                 -DADAPTIVE -DTMAX=2 -DPAUSE
good safety   'adaptive'                        -DADAPTIVE -DTMAX=4
good safety   'adaptive: early events'          -DADAPTIVE -DTMAX=3 -DEARLY
good safety   'inline: input, digests, pause'   -DINLINE   -DTMAX=6 -DINPUT -DDIGEST=2 -DPAUSE
good liveness 'inline: input, digests, pause'   -DINLINE   -DTMAX=3 -DINPUT -DDIGEST=2 -DPAUSE
good safety   'inline: early events, input'     -DINLINE   -DTMAX=6 -DINPUT -DEARLY
broken OLD_SCHED INLINE -DTMAX=4 -DEARLY
broken STEP_PUT_OFF INLINE -DTMAX=4 -DEARLY
for bug in EMITTED_LATE APPLIED_LATE IDLE_IGNORES_EFFECT LIMIT_IGNORES_EFFECT; do
    broken $bug INLINE -DTMAX=3
done
for bug in INPUT_BEHIND_DIGEST POKE_BEHIND_DIGEST; do
    broken $bug INLINE -DTMAX=4 -DINPUT -DDIGEST=2
done
for mode in THREAD ADAPTIVE; do
    for bug in PUBLISH_FIRST EFFECT_AFTER_HORIZON RING_FIRST NO_BOUND BOUND_PLUS_1 NO_DRAIN LOST_WAKE; do
        broken $bug $mode -DTMAX=3
    done
done
broken SILENT_DROP ADAPTIVE -DTMAX=3
broken END_WITHOUT_WAKE THREAD -DTMAX=2
broken STAND_UNSETTLED THREAD -DTMAX=2 -DPAUSE

seq "$checks" | xargs -P "$(nproc)" -I @ "$0" --one "$work/@"
for i in $(seq "$checks"); do cat "$work/$i/result"; done >"$work/results"
cat "$work/results"
failed=$((checks - $(grep -c '^PASS' "$work/results")))
echo "$((checks - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
