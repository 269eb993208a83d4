#!/usr/bin/env bash
# fuzz_display.sh [SECONDS] - displays under the address and undefined-behaviour sanitizers: tests/display.sh with SECONDS of hostile
# VNC clients, and what all of it reaches of the code that serves viewers: 80 % of its lines or more. Builds into build-fuzz.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh

seconds=${1:-600}
least=80 # percent of a file's lines
build="build-fuzz"
needed="tandem tests/display/vnc_client tests/display/vnc_hostile tests/display/vnc_stalls tests/guests/vga_vbe.elf tests/guests/vga_text.elf tests/guests/ps2.elf"
served='cli/(vnc|vncclient|display|displaykeys|tiles|curses|cursesmonitor)[.]c$'

if ! build_targets_ensure "$build" "$needed" -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debug -Doptimization=1 -Db_coverage=true >"$build.log" 2>&1; then
    fail "build with sanitizers" "$(tail -n 20 "$build.log")"
    summary "fuzz display"
    exit
fi
find "$build/cli" -name '*.gcda' -delete
expect "displays, and $seconds s of hostile clients" tests/display.sh "$build" "$seconds"
echo "line coverage:"
while read -r file percent; do
    printf '    %-16s %5.1f %%\n' "$file" "$percent"
    expect "$file: $least % of its lines or more" awk -v p="$percent" -v l=$least 'BEGIN { exit p < l }'
done < <(line_coverage "$build/cli" "$served" | sort)
summary "fuzz display"
