#!/bin/sh
# check.sh - checks the protocol's model (link.pml) with spin: the good model in every mode must pass, and
# each deliberately broken one must fail. One line each; exit status 0 only if all is as it should be.
# Needs spin and a C compiler ($CC, default cc). Under a minute on one core, below 1 GB of memory.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work" || exit 2
passed=0
depth=400000
failed=0

# build KIND DEFINES...: a verifier; KIND is safety (deadlock, assertions) or liveness (<>done).
build() {
    kind=$1; shift
    rm -f pan pan.* _spin_nvr.tmp
    spin -a "$@" "$here/link.pml" >spin.out 2>&1 || return 1
    [ "$kind" = safety ] && flag="-DSAFETY -DNOCLAIM" || flag=-DNFAIR=4
    ${CC:-cc} -O1 -w $flag -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=1500 -o pan pan.c >cc.out 2>&1
}

# verify KIND: prints ok, error or unfinished (out of memory or depth: nothing was shown).
verify() {
    if [ "$1" = safety ]; then ./pan -m$depth >pan.out 2>&1; else ./pan -m$depth -a -f >pan.out 2>&1; fi
    if grep -q 'errors: [1-9]' pan.out; then echo error
    elif grep -q 'errors: 0' pan.out && ! grep -q -e 'Search not completed' -e 'max search depth too small' pan.out
    then echo ok
    else echo unfinished
    fi
}

# expect WANT KIND NAME DEFINES...
expect() {
    want=$1; kind=$2; name=$3; shift 3
    if build "$kind" "$@"; then got=$(verify "$kind"); else got='not built'; cat spin.out cc.out 2>/dev/null; fi
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out 2>/dev/null | head -1)
    why=$(sed -n 's/^pan:1: //p' pan.out 2>/dev/null | head -1)
    if [ "$got" = "$want" ]; then
        passed=$((passed + 1)); verdict=PASS
    else
        failed=$((failed + 1)); verdict=FAIL
    fi
    echo "$verdict $name ($kind): $got, ${states:-0} states${why:+: $why}"
}

expect ok safety   'inline'   -DINLINE   -DTMAX=6
expect ok safety   'thread'   -DTHREAD   -DTMAX=3
expect ok safety   'adaptive' -DADAPTIVE -DTMAX=3
expect ok liveness 'inline'   -DINLINE   -DTMAX=3
expect ok liveness 'thread'   -DTHREAD   -DTMAX=1
expect ok liveness 'adaptive' -DADAPTIVE -DTMAX=1
# A counterexample needs no full search: a shallow one finds it sooner.
depth=1000
for bug in PUBLISH_FIRST EFFECT_AFTER_HORIZON NO_BOUND LOST_WAKE DEVICE_PARKS_BLINDLY; do
    expect error safety "thread with BUG_$bug" -DTHREAD -DTMAX=3 -DBUG_$bug
done
for bug in PUBLISH_FIRST EFFECT_AFTER_HORIZON NO_BOUND NO_DRAIN LOST_WAKE SILENT_DROP; do
    expect error safety "adaptive with BUG_$bug" -DADAPTIVE -DTMAX=3 -DBUG_$bug
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
