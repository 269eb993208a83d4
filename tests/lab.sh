#!/usr/bin/env bash
# lab.sh [BUILD] - bench/run with few short runs: every plan can be listed, bad options are refused, a run that was cut off goes on,
# many ways to run a guest give one digest, and a planted leak of host time is found.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tests/lib.sh"
build=$(realpath "${1:-build}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
lab=("$here/bench/run")

refused() { # words of the message, then the command
    local words=$1 out
    shift
    out=$("$@" 2>&1 </dev/null)
    [ $? -eq 2 ] && [[ $out == *"$words"* ]] || { echo "$out"; return 1; }
}

experiments=$("${lab[@]}" --help | awk '/^  [a-z]/ { print $1 }')
expect "there are experiments" test "$(wc -w <<<"$experiments")" -ge 2
for name in $experiments; do
    expect "$name: lists its options" "${lab[@]}" "$name" --help
    expect "$name: lists its runs" "${lab[@]}" "$name" --dry-run --build "$build"
    expect "$name: refuses an unknown option" refused "--help lists what is accepted" "${lab[@]}" "$name" --nonsense
    expect_text "$name: has its section in docs/benchmarks.md" "$(cat "$here/docs/benchmarks.md")" "^##+ $name:"
done
expect "an unknown experiment" refused "accepted: " "${lab[@]}" nonsense
expect "a number out of range" refused "a number from 2 to" "${lab[@]}" determinism --runs 0
expect "a folder without results" refused "no results folder" "${lab[@]}" determinism --resume "$dir"

short=(--guest mix --qemu-runs 0 --quiet --build "$build")
expect "one digest of a short guest" "${lab[@]}" determinism "${short[@]}" --runs 12 --out "$dir/one"
expect "a folder with results is not overwritten" refused "is not empty" "${lab[@]}" determinism "${short[@]}" --out "$dir/one"
expect "a record for each run" test "$(wc -l <"$dir/one/results.jsonl")" -eq 12
expect "a row for each record" test "$(wc -l <"$dir/one/results.csv")" -eq 13
expect "a page that needs nothing else" bash -c '! grep -Eiq "(src|href)=.?(http|//)|<script|@import" "$1"' bash "$dir/one/report.html"

for guest in disk network; do
    expect "one digest of a guest with a $guest" "${lab[@]}" determinism "${short[@]}" --guest $guest --runs 6 --out "$dir/$guest"
done

# As if it had been killed in the middle of writing a record.
cut=$(head -n 5 "$dir/one/results.jsonl" && sed -n 6p "$dir/one/results.jsonl" | head -c 100)
cp "$dir/one/results.jsonl" "$dir/whole"
printf '%s' "$cut" >"$dir/one/results.jsonl"
keys() { sed -E 's/.*"key": "([^"]*)".*/\1/' "$1"; }
expect "a study that was cut off goes on" "${lab[@]}" determinism --resume "$dir/one" --quiet
expect "with the runs that were missing" cmp <(keys "$dir/whole") <(keys "$dir/one/results.jsonl")

expect "typing at a guest, with a long and a short quantum" "${lab[@]}" quantum --quick --no-boot --repeats 1 --quiet --build "$build" --out "$dir/quantum"
expect "one phase of the throughput guest" "${lab[@]}" throughput --sides native --phases sieve --runs 1 --quiet --build "$build" --out "$dir/phase"

# Real programs: their packages come from the mirror that apt uses, once.
if image=$("$here/bench/programs/image.sh" 2>&1); then
    (cd "$here/bench" && python3 -c 'import sys; from lab import host; sys.exit(not host.runs_32bit())') ||
        skip "programs as processes of the host: it runs no 32-bit programs"
    expect "two programs, in the guest and natively" "${lab[@]}" programs --jobs md5,python_start --runs 1 --hot 20 --quiet --build "$build" --out "$dir/programs"
    expect_text "with the same results and instructions counted" "$(tail -n 1 "$dir/programs/results.csv" && cat "$dir/programs/results.jsonl")" '"md5.insns": [0-9]{9}'
    expect_text "and lists of hot blocks" "$(cat "$dir"/programs/hot/*)" '^HOT all 20: '
else
    skip "programs: the image cannot be built here: $(tail -n 1 <<<"$image")"
fi

expect "a planted leak of host time is found" "${lab[@]}" determinism "${short[@]}" --planted --runs 4 --out "$dir/leak"
repeat=$(find "$dir/leak/pairs" -name repeat.sh | head -n 1)
expect_text "the kept pair differs when it is repeated" "$(bash "$repeat" 2>&1)" "first difference"
# What the quick forms measure means nothing; but each has a record for every run and draws all its pictures.
pictures() { find "$1/plots" -name '*.svg' -size +2k | wc -l; }
for name in scaling:5 breakdown:1 screen:2; do
    expect "${name%:*} --quick" "${lab[@]}" "${name%:*}" --quick --quiet --build "$build" --out "$dir/${name%:*}"
    expect "${name%:*} has its pictures" test "$(pictures "$dir/${name%:*}")" -eq "${name#*:}"
done

# As if every run had failed.
for name in one scaling breakdown; do
    cp -r "$dir/$name" "$dir/failed-$name"
    sed -i 's/"ok": true/"ok": false/' "$dir/failed-$name/results.jsonl"
    expect "$name: a page comes out though nothing was measured" "${lab[@]}" report "$dir/failed-$name" --out "$dir/failed.html"
    expect_text "$name: and says so" "$(cat "$dir/failed.html")" 'Runs that failed'
done

# The paper's figures from these folders: a row that is new, one that stays, and nothing else changes when it is done again.
mkdir "$dir/paper" && cp -r "$here/docs/report.md" "$here/docs/pictures" "$dir/paper/"
paper=("${lab[@]}" paper "$dir/disk" "$dir/leak" "$dir/scaling" "$dir/breakdown" --out "$dir/paper/report.md")
expect "figures of the paper" "${paper[@]}"
cp "$dir/paper/report.md" "$dir/paper/once.md"
expect_text "the paper: a row that was measured" "$(cat "$dir/paper/once.md")" '^\| disk \| 6 \| \*\*1\*\* \| 1[0-9]+ '
expect_text "the paper: one that was not stays" "$(cat "$dir/paper/once.md")" '^\| network \| '
expect_text "the paper: a run of its own" "$(cat "$dir/paper/once.md")" '^4 runs gave [2-4] digests \('
expect "the paper: again" "${paper[@]}"
expect "the paper: the same" cmp "$dir/paper/once.md" "$dir/paper/report.md"
expect "the paper: a file without its blocks" refused "the paper has no block" "${lab[@]}" paper "$dir/disk" --out "$here/README.md"

expect "several studies on one page" "${lab[@]}" report "$dir/one" "$dir/leak" "$dir/scaling" "$dir/breakdown" --out "$dir/all.html"
summary lab
