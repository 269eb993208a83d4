#!/usr/bin/env bash
# marks.sh [BUILD] - marks, regions, and runs that end at a mark or a text: the same in every mode and engine, with no
# trace in the digest, and right where the counts are known (tests/guests/marks.c).
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
build=${1:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

passes=50
ways=(
    "-devthread mode=inline -translator mode=interp -x-single-tb"
    "-devthread mode=inline -translator mode=interp"
    "-devthread mode=thread -translator mode=eager"
    "-devthread mode=adaptive -translator mode=background"
    "-devthread mode=adaptive -translator mode=background,threads=2,hot=1 -x-jitter seed=${SEED:-1}"
    "-devthread mode=inline -translator mode=eager,chain=off"
    "-devthread mode=inline -translator mode=eager -x-quantum 100"
    "-devthread mode=inline -translator mode=eager -x-pause every=5000,seed=${SEED:-1}"
)

run() { # output-name status [option...]
    local out=$1 status=$2
    shift 2
    rm -f "$dir/$out" "$dir/$out.out"
    timeout 300 "$build/tandem" -kernel "$build/tests/guests/marks.elf" -append "passes=$passes" -m 16 \
        -icount shift=3,sleep=off -display none -device isa-debug-exit,iobase=0xf4,iosize=4 -device tandem-marker \
        -debugcon null -serial "file:$dir/$out.out" -digest "file=$dir/$out,every=20000" "$@" \
        >/dev/null 2>"$dir/err" </dev/null
    [ $? -eq "$status" ] || { cat "$dir/err"; return 1; }
}

# The tick of the last line.
ended_at() {
    sed -nE 's/^tandem: .* at tick ([0-9]+) .*/\1/p' "$dir/err" | tail -n 1
}

address() { # name
    sed -nE "s/.*\\b$1=([0-9a-f]+).*/0x\\1/p" "$dir/ref.out" | head -n 1
}

# json FILTER...: a Python expression over `hits` (by mark), `passes` (by region), `total` (by region) must be true
json() {
    python3 - "$dir/log.json" "$@" <<'PYTHON'
import json, sys
hits, regions, total, marks = {}, {}, {}, {}
for line in open(sys.argv[1]):
    r = json.loads(line)
    if r["type"] == "hit": hits.setdefault(r["mark"], []).append(r)
    elif r["type"] == "region": regions.setdefault(r["region"], []).append(r)
    elif r["type"] == "summary": total[r["region"]] = r
    elif r["type"] == "mark": marks[r["mark"]] = r
def ticks(mark): return [h["tick"] for h in hits[mark]]
def sums(name):
    keys = ("ticks", "insns", "accesses", "exceptions")
    t = total[name]
    return t["passes"] == len(regions[name]) and all(
        t[k]["total"] == sum(r[k] for r in regions[name]) and t[k]["least"] == min(r[k] for r in regions[name])
        and t[k]["most"] == max(r[k] for r in regions[name])
        and sum(n for _, n in t[k]["buckets"]) == t["passes"] for k in keys)
for test in sys.argv[2:]:
    if not eval(test):
        sys.exit("not so: " + test)
PYTHON
}

every_hit_is_the_same() {
    local way i=0
    for way in "${ways[@]}"; do
        expect "$way: ends" run run 1 $way "${marks[@]}" -mark-log "file=$dir/log$i.json"
        expect "$way: the same hits" cmp "$dir/log.json" "$dir/log$i.json"
        expect "$way: no trace in the digest" "$build/tandem-digest-diff" "$dir/ref" "$dir/run"
        i=$((i + 1))
    done
}

known_counts() {
    expect "hits" json "marks['counted']['hits'] == $passes * 100 and marks['head']['hits'] == $passes" \
        "marks['copied']['hits'] == $passes" "len(hits['marker']) == 2 * $passes + 2"
    expect "count=3" json "ticks('three') == ticks('head')[:3] and marks['three']['hits'] == 3"
    expect "another address space" json "marks['never']['hits'] == 0"
    expect "values" json "[h['value'] for h in hits['marker']] == [1, 2] * $passes + [7, 0xabcd]" \
        "[h['value'] for h in hits['counted']][:100] == list(range(100, 0, -1))"
    expect "a mark at the instruction that writes the port" json "ticks('head') == ticks('marker')[:-2:2]"
    expect "regions" json "sums('port') and sums('round') and total['port']['passes'] == $passes" \
        "[(r['from'], r['to']) for r in regions['port']] == list(zip(ticks('marker')[:-2:2], ticks('marker')[1:-2:2]))" \
        "all(r['ticks'] == r['to'] - r['from'] == r['insns'] for r in regions['port'])" \
        "total['round']['passes'] == $passes - 1"
    expect "instructions, accesses and exceptions where no interrupt comes between" json \
        "min(r['accesses'] for r in regions['port']) == 101 and all(r['exceptions'] == 1 for r in regions['port'])" \
        "total['loop']['ticks']['least'] == 2 and total['loop']['accesses']['least'] == 1"
}

# Ends at one tick in every way.
until_same() { # what tick option...
    local what=$1 tick=$2 way
    shift 2
    for way in "${ways[@]}"; do
        expect "$way: -until $what" run run 0 $way "$@" -until "$what"
        expect "$way: -until $what: at tick $tick" test "$(ended_at)" = "$tick"
    done
}

hit_tick() { # mark number
    python3 -c 'import json, sys
print([h["tick"] for h in map(json.loads, open(sys.argv[1])) if h["type"] == "hit" and h["mark"] == sys.argv[2]][int(sys.argv[3]) - 1])' \
        "$dir/log.json" "$1" "$2"
}

# What had been sent when the run ended.
sent() { # text at the end
    [ "$(tail -c "${#1}" "$dir/run.out")" = "$1" ]
}

# A sample is in a region from the tick of its begin on, up to the tick of its end.
profile_within() {
    local way i=0
    for way in "${ways[@]::4}"; do
        expect "-profile within: ends" run run 1 $way "${marks[@]}" -profile "file=$dir/profile$i,every=7,within=port"
        expect "-profile within: the same profile" cmp "$dir/profile0" "$dir/profile$i"
        i=$((i + 1))
    done
    expect "whole profile" run run 1 -profile "file=$dir/whole,every=7"
    expect "the part is smaller" test "$(wc -c <"$dir/profile0")" -lt "$(wc -c <"$dir/whole")"
    expect "an unknown region" run run 2 -profile "file=$dir/profile,every=7,within=nothing"
}

# What a timeline says of the guest is the same in every way, and right; and the file keeps to its format.
guest_part() { # file
    python3 -c 'import json, sys
for e in json.load(open(sys.argv[1]))["traceEvents"]:
    if e["pid"] == 2: print(json.dumps(e))' "$1"
}

timeline() {
    local way i=0 trace=$dir/trace
    for way in "${ways[@]:1:5}"; do
        expect "$way, -trace: ends" run run 1 $way "${marks[@]}" -trace "file=$trace$i"
        expect "$way, -trace: no trace in the digest" "$build/tandem-digest-diff" "$dir/ref" "$dir/run"
        expect "$way, -trace: the format" python3 tests/check_trace.py "$trace$i" "names[1, 1] == 'vCPU'" \
            "{'running', 'at the horizon'} <= {n for _, _, n in of[1, 1]}" "trace['otherData']['lost'] == '0'" \
            "sum(e['name'] == 'marker 1' for e in trace['traceEvents']) == $passes" \
            "sum(e['name'] == 'counted' for e in trace['traceEvents']) == $passes * 100" \
            "sum(n == 'exception 6' for _, _, n in of[2, 1]) == $passes" \
            "{'kernel', 'IRQ 0', 'idle'} <= {n for _, _, n in of[2, 1]}" \
            "sum(d for _, d, _ in of[2, 1]) == sum(d for _, d, _ in of[2, 2]) == 8 * $(ended_at)"
        expect "$way, -trace: the guest's part" cmp <(guest_part "${trace}0") <(guest_part "$trace$i")
        i=$((i + 1))
    done
    expect "a small buffer" run run 1 "${marks[@]}" -trace "file=$trace,buffer=1024"
    expect "a small buffer: how many are lost" grep -q 'the oldest [0-9]* records were pushed out' "$dir/err"
    expect "a small buffer: the format" python3 tests/check_trace.py "$trace" "int(trace['otherData']['lost']) > 1000"
}

ends() {
    local tick
    until_same "mark=counted,count=777" "$(hit_tick counted 777)" -mark "counted=$counted"
    until_same "mark=marker:2,count=9" "$(($(hit_tick marker 18) + 1))"
    run run 0 -until 'text= loglogin: '
    tick=$(ended_at)
    expect "the text is sent, and no more" sent " loglogin: "
    run run 0 -until 'text=login:'
    expect "of a text in pieces" sent "loglogin:"
    expect "one character before" test "$(ended_at)" -lt "$tick"
    until_same 'text=login:' "$(ended_at)"
    run run 0 -until 'text=in one'
    until_same 'text=in one' "$(ended_at)"
    expect "within a REP OUTSB" sent "a text in one"
    expect "the tick of -until" run run 0 -until tick=12345
    expect "exactly" test "$(ended_at)" = 12345
    expect "a mark that does not come" run run 1 -mark "never=0x1234" -until mark=never
}

# The points of the run are the last ones of the whole run.
goes_on() {
    grep -v '^#' "$dir/run" >"$dir/points"
    [ -s "$dir/points" ] && diff <(tail -n "$(wc -l <"$dir/points")" "$dir/ref") "$dir/points"
}

snapshots() {
    local at
    for at in "mark=counted,count=777" "mark=marker,count=31" "text=login:"; do
        expect "-snapshot-at $at" run run 1 -devthread mode=thread -mark "counted=$counted" -snapshot-at "$at,file=$dir/snap"
        expect "-snapshot-at $at: no trace" "$build/tandem-digest-diff" "$dir/ref" "$dir/run"
        expect "-loadvm of it" run run 1 -loadvm "$dir/snap"
        expect "goes on as the whole run" goes_on
    done
    run run 0 -mark "counted=$counted" -until "mark=counted,count=777"
    expect "a snapshot at a tick is the one at the mark" run run 1 -mark "counted=$counted" \
        -snapshot-at "$(ended_at),file=$dir/by_tick" -snapshot-at "mark=counted,count=777,file=$dir/by_mark"
    expect "the same state" "$build/tandem-digest-diff" "$dir/by_tick" "$dir/by_mark"
    expect "a snapshot that never comes is an error" run run 2 -snapshot-at "text=nothing,file=$dir/snap"
}

passes=$passes expect "the reference ends" run ref 1 -devthread mode=inline -translator mode=interp
head=$(address head) counted=$(address counted) copied=$(address copied)
marks=(-mark "head=$head" -mark "counted=$counted,value=ecx" -mark "copied=$copied" -mark "three=$head,count=3"
    -mark "never=$head,cr3=0x1000" -region port=marker:1..marker:2 -region round=head..head
    -region loop=counted..counted)
expect "a run with marks" run run 1 "${marks[@]}" -mark-log "file=$dir/log.json"
every_hit_is_the_same
known_counts
profile_within
timeline
ends
snapshots
summary marks
