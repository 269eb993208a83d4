#!/usr/bin/env bash
# [SEED=N] run.sh [BUILD [CASES [SEQUENCES [SYSTEMS]]]] - the hardware oracle: CASES random instructions on the real CPU and in the
# emulator, interpreted and then compiled, and the coverage table per instruction row; a runnable row that never ran
# fails; where the host runs no 32-bit code, a row without a 64-bit form (form64.h) is a skip, and so are the sequences on
# the real CPU. Then SEQUENCES sequences of instructions on the real CPU and in all engines; SYSTEMS cases of system code in all
# engines, where a row that never ran at ring 0 needs a reason; and every recorded set of native/ in both engines; a maker
# without a set is a skip. Where the host runs no 32-bit code, and with a million CASES or more everywhere, the sets' inputs run on
# this CPU in 64-bit form, too, which shows that the form is faithful. All but
# system code once more in part as on hosts that fail a probe of translator/x64/probe.def: all of them, and each alone over the
# recorded sets.
set -u
build=${1:-build} cases=${2:-100000} sequences=${3:-20000} systems=${4:-2000} seed=${SEED:-1}
here=$(dirname "$(readlink -f "$0")") oracle=$build/tests/oracle/oracle
out=$(mktemp)
trap 'rm -f "$out"' EXIT
probes=$(grep -c '^PROBE(' "$here/../../translator/x64/probe.def")
skipped=0 runs=0 status=0

run() { # title, program, its arguments
    printf '%s:\n' "$1"
    runs=$((runs + 1))
    timeout 3000 "${@:2}" 2>&1 | tee -a "$out" | tail -n 100
    [ "${PIPESTATUS[0]}" -eq 0 ] || status=1
}

run "interpreted" "$oracle" --cases "$cases" --seed "$seed" --table
formless=$(sed -n 's/ \{2,\}.*skipped: no 64-bit form.*//p' "$out" | tr '\n' ',')
[ -z "$formless" ] || echo "SKIP rows without a 64-bit form, for this host runs no 32-bit code: ${formless%,}"
if grep -q 'NOT RUN' "$out"; then
    echo "oracle: rows that never ran"
    status=1
fi
run "compiled by the x86-64 back end" "$oracle" --cases "$cases" --seed "$seed" --engine eager
run "compiled, with all probes failed" "$oracle" --cases "$((cases / 5))" --seed "$seed" --engine eager --differs 0xffff
run "sequences" "$oracle" --cases 0 --sequences "$sequences" --seed "$seed"
run "system code" "${oracle}_system" --systems "$systems" --seed "$seed" --coverage
for vendor in intel amd; do
    sets=("$here/native/$vendor"-*.xz)
    if [ ! -f "${sets[0]}" ]; then
        echo "SKIP no recorded set of an $vendor processor: tests/oracle/record.sh on one makes it"
        skipped=$((skipped + 1))
        continue
    fi
    for set in "${sets[@]}"; do
        if [ -n "$formless" ] || [ "$cases" -ge 1000000 ]; then
            run "recorded: $(basename "$set" .xz), its inputs on this CPU in 64-bit form" "$oracle" --replay <(xz -dc "$set") \
                --native --form64
        fi
        for engine in interp eager; do
            run "recorded: $(basename "$set" .xz), $engine" "$oracle" --replay <(xz -dc "$set") --engine "$engine"
        done
        for ((probe = 0; probe < probes; probe++)); do
            run "recorded: $(basename "$set" .xz), probe $probe failed" "$oracle" --replay <(xz -dc "$set") --engine eager \
                --differs $((1 << probe))
        done
    done
done
# One maker's results under the other's rows: what rows for the one alone explain must fail (one case may have two of
# them), the rest pass, and rows for both explain as much as before.
counted() { # names, output of the oracle: cases that these rows explain, in all and by the row that explains most
    awk -v names=" $1 " '$1 == "vendor" && index(names, " " $3 " ") { n += $4; if ($4 > most) most = $4 } END { print n + 0, most + 0 }' <<<"$2"
}
both="compare_c1 cvtpi2ps_memory image_fault environment_fault wrap enter_frame"
for set in "$here"/native/*.xz; do
    case $(basename "$set") in
    intel-*) other=amd alone="mmx_store_fault split_store_80" ;;
    amd-*) other=intel alone="push_selector blocked_store_fault rep_compare_flags cmps_operand remainder_denormal mxcsr_mask_mm image_alignment sysexit" ;;
    esac
    as_is=$("$oracle" --replay <(xz -dc "$set"))
    under=$("$oracle" --replay <(xz -dc "$set") --vendor "$other" --shown 0)
    read -r all most < <(counted "$alone" "$as_is")
    failed=$(sed -n 's/^[0-9]* passed, \([0-9]*\) failed$/\1/p' <<<"$under")
    runs=$((runs + 1))
    if [ "${failed:-0}" -gt 0 ] && [ "$failed" -ge "$most" ] && [ "$failed" -le "$all" ] &&
        [ "$(counted "$both" "$as_is")" = "$(counted "$both" "$under")" ]; then
        echo "1 passed, 0 failed" >>"$out"
    else
        printf '%s under the rows for %s:\n%s\n' "$set" "$other" "$under"
        echo "0 passed, 1 failed" >>"$out"
        status=1
    fi
done
skipped=$((skipped + $(grep -c -e 'skipped: no 64-bit form' -e '^SKIP sequences' "$out")))
awk -v runs="$runs" -v skipped="$skipped" '
    /^[0-9]+ passed, [0-9]+ failed$/ { n++; p += $1; f += $3 }
    END { printf "oracle: %d passed, %d failed, %d skipped\n", p, f + runs - n, skipped }' "$out"
[ "$status" -eq 0 ]
