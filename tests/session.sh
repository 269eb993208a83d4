#!/usr/bin/env bash
# session.sh [BUILD [SECONDS]] - somebody sits in front of a machine for SECONDS of virtual time (default 6): looks, types,
# moves the mouse by VNC while iPXE asks the network for an address. The recording is replayed 10 times in other ways of running it,
# without network or viewer: one digest, and the same screens at the same ticks.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build}
seconds=${2:-6}
client=$build/tests/display/vnc_client
dir=$(mktemp -d)
socket=$dir/vnc
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$dir"' EXIT
last=$((seconds * 125000000))

run() { # name option...
    local name=$1
    shift
    timeout $((seconds * 10 + 60)) "$build/tandem" -m 64 -serial null -boot menu=on,splash-time=30000 -no-reboot -nic user,model=e1000 \
        -until "tick=$last" -screendump-at "$((last / 4)),file=$dir/$name.1.ppm" -screendump-at "$((last / 2)),file=$dir/$name.2.ppm" \
        -screendump-at "end,file=$dir/$name.3.ppm" -digest "file=$dir/$name.digest,every=10000000" "$@" </dev/null >"$dir/$name.out" 2>&1
}

# Until the machine is gone: each round types, points and clicks, and looks.
sit() {
    "$client" "$socket" wait:1000 key:ff1b wait:700 type:3 >/dev/null
    while timeout 30 "$client" "$socket" pointer:10,10,0 pointer:300,200,1 pointer:310,205,0 wait:500 type:ab key:ff0d pointer:310,205,8 wait:500 \
        "save:$dir/seen.ppm"; do :; done >/dev/null 2>&1
}

run record -vnc "unix:$socket" -icount "shift=3,rr=record,rrfile=$dir/log" &
machine=$!
for _ in {1..100}; do
    [ -S "$socket" ] && break
    sleep 0.1
done
sit &
wait $machine
expect "the recording has keys, motions and frames" bash -c "for p in keys0 mouse0 nic0; do grep -q \" \$p \" '$dir/log' || exit 1; done"
expect "somebody saw it" test -s "$dir/seen.ppm"

replays=0
for mode in inline thread adaptive; do
    for translator in interp eager background; do
        ways+=("mode=$mode mode=$translator")
    done
done
ways+=("mode=adaptive mode=background")
for way in "${ways[@]}"; do
    replays=$((replays + 1))
    run "replay$replays" -icount "shift=3,sleep=off,rr=replay,rrfile=$dir/log" -devthread "${way% *}" -translator "${way#* }"
    expect "replay $replays, $way: one digest" cmp "$dir/record.digest" "$dir/replay$replays.digest"
    for screen in 1 2 3; do
        expect "replay $replays, $way: screen $screen" cmp "$dir/record.$screen.ppm" "$dir/replay$replays.$screen.ppm"
    done
done
summary session
