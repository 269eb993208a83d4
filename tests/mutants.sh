#!/usr/bin/env bash
# mutants.sh [NAME...] - would the stress test of the link notice a mistake in it? Each mutant is the sources of syncq/ with one
# line made wrong; link_stress, built with it, must fail, and must pass without it, also under the thread sanitizer.
# Orders of memory cannot go wrong on x86 by themselves: those mutants run under the thread sanitizer, which goes by
# what C11 promises, not by what this processor does. The stress test itself says when one hangs, so
# that a slow host is not taken for a mutant that was noticed.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/lib.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# name, build (plain: as it is; tsan: thread sanitizer), file of syncq/, sed commands that make the mistake
mutants() {
    cat <<'END'
good            plain link.c           s/^//
good            tsan  link.c           s/^//
bound_plus_1    plain link.c           s/l->bound = min_u64(l->bound, answer_tick)/l->bound = min_u64(l->bound, answer_tick + 1)/
ring_first      plain link.c           /Pairs with the release in serve_messages/,/effects_collect/{/effects_collect/d;s/^\( *uint64_t served = .*\)/effects_collect(l);link_jitter(l, \&l->vcpu_rng);\1/}
silent_drop     plain link_device.c    /^static void dev_drop/,/^}/s/park_unpark/(void)/
publish_first   plain link_serve.c     s/^        serve_message(l, &m);/uint64_t n = l->served_count + 1; atomic_store(\&l->served, n); serve_message(l, \&m);/
no_drain        plain link.c           s/if (l->out_seen != l->out) {/if (0) {/
sleep_blindly   plain link.c           /^static void vcpu_park/,/^}/s/if (caught_up(l))/if (0)/
no_floor        plain link_serve.c     s/if (sent.tick < l->effect_floor)/if (0)/
old_sched       plain link_serve.c     s/l->sched = l->clamped ? reached_at_most : next;/l->sched = next < answer_tick ? reached_at_most : next;/
early_events    plain link_serve.c     s/l->clamped = next < reached_at_most;/l->clamped = false;/
clamped_step    plain link_serve.c     s/if (l->clamped \&\& tick < l->sched \&\& l->started)/if (0)/
idle_effect     plain link_serve.c     s/max_tick = min_u64(l->sched, effect_tick)/max_tick = l->sched/
limit_effect    plain link.c           s/min_u64(l->horizon_seen, pending_tick(&l->pending))/l->horizon_seen/
end_no_wake     plain link.c           /^void link_end/,/^}/s/l->ops->wake(l->cfg.ctx);//
no_own_turns    plain link.c           s/l->own_turns = l->penalty;//
soft_too_low    plain link.c           s/return max_u64(l->horizon - l->cfg.quantum_ticks \/ 2, lowest);/return l->horizon - l->cfg.quantum_ticks \/ 2;/
full_is_lost    plain link.c           s/while (!msgq_push(&l->msgq, m))/if (!msgq_push(\&l->msgq, m))/
ring_overrun    plain effects.h        s/== EFFECT_RING_SLOTS)/== UINT32_MAX)/
popped_relaxed  tsan  msgq.c           /Hands the slot back/,/^}/s/memory_order_release/memory_order_relaxed/
pushed_relaxed  tsan  msgq.c           /Publishes the slot/,/^}/s/memory_order_release/memory_order_relaxed/
served_relaxed  tsan  link_serve.c     s/++l->served_count, memory_order_release/++l->served_count, memory_order_relaxed/
served_acquire  tsan  link.c           s/&l->served, memory_order_acquire/\&l->served, memory_order_relaxed/
tail_relaxed    tsan  effects.h        s/tail + 1, memory_order_release/tail + 1, memory_order_relaxed/
head_relaxed    tsan  effects.h        s/head + 1, memory_order_release/head + 1, memory_order_relaxed/
drop_relaxed    tsan  baton.h          s/BATON_FREE, memory_order_release/BATON_FREE, memory_order_relaxed/
take_relaxed    tsan  baton.h          s/me, memory_order_acquire/me, memory_order_relaxed/
END
}

# Small queues: full ones are the rule.
small='s/^#define MSGQ_SLOTS .*/#define MSGQ_SLOTS 8/;s/^#define EFFECT_RING_SLOTS .*/#define EFFECT_RING_SLOTS 4u/'

flags_of() { # build
    flags=(-std=gnu17 -D_GNU_SOURCE -w -O1)
    if [ "$1" = tsan ]; then flags+=(-g1 -fsanitize=thread); fi
}

sources=(t/{link_stress,toy}.c syncq/{activity,link,link_serve,link_device,msgq,effects,park}.c clockcore/*.c)

# What the mutants of a build have in common is compiled once: all objects of the sources without a mistake.
build_common() { # build
    local flags
    flags_of "$1"
    mkdir -p "$1" && (cd "$1" && printf '../%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n 4 "${CC:-cc}" "${flags[@]}" -I.. -c)
}
build_all_common() {
    mkdir "$dir/common" && cp -r syncq clockcore "$dir/common" && mkdir "$dir/common/t" &&
        cp tests/unit/syncq/{link_stress.c,toy.c,toy.h} "$dir/common/t" &&
        sed -i "$small" "$dir"/common/syncq/{link_internal,effects}.h &&
        (cd "$dir/common" && build_common plain && build_common tsan)
}

build() { # directory, build, file, sed commands
    local libs changed objects
    cp -r "$common" "$1" && cd "$1" || return
    sed -i "$4" "syncq/$3"
    if [ "${1##*/}" != "good.$2" ]; then
        ! cmp -s "syncq/$3" "$common/syncq/$3" || { echo "the mutant is not in syncq/$3 any more" && return 1; }
        changed=("syncq/$3")
        [[ $3 == *.c ]] || changed=("${sources[@]}") # a header's inline functions are in many
        "${CC:-cc}" "${flags[@]}" -I. -c "${changed[@]}" && mv ./*.o "$2" || return
    fi
    read -ra libs < <(pkg-config --libs liburcu-cds)
    objects=("$2"/*.o)
    "${CC:-cc}" "${flags[@]}" "${objects[@]}" "${libs[@]}" -lpthread -o stress
}

one() { # name build file sed: prints a line that begins with PASS or FAIL
    local at=$dir/$1.$2 flags out status seeds=24
    flags_of "$2"
    out=$(build "$at" "$2" "$3" "$4" 2>&1) || { echo "FAIL $1 ($2): $out" && return; }
    [ "$2" = tsan ] && seeds=4
    out=$(TSAN_OPTIONS="halt_on_error=1 exitcode=66" timeout 1200 "$at/stress" 1 $seeds 20000 2>&1)
    status=$?
    rm -rf "$at"
    case $1/$status in
    good/0) echo "PASS $1 ($2)" ;;
    good/*) echo "FAIL $1 ($2): status $status: ${out:0:2000}" ;;
    */0) echo "FAIL $1 ($2): not noticed" ;;
    */3) echo "PASS $1 ($2): $out" ;;
    */124) echo "FAIL $1 ($2): neither noticed nor at its end after 20 minutes" ;;
    *) echo "PASS $1 ($2): status $status, $(head -n 2 <<<"$out" | tail -n 1)" ;;
    esac
}

if [ "${1-}" = --one ]; then
    common=$2
    read -r name build file commands <<<"$3"
    one "$name" "$build" "$file" "$commands"
    exit
fi
expect "build without a mistake" build_all_common
wanted=$(IFS='|' && echo "${*:-.*}")
results=$(mutants | grep -E "^($wanted) " | tr '\n' '\0' | xargs -0 -P $(($(nproc) + 2)) -I @ "$0" --one "$dir/common" @)
echo "$results"
passed=$((passed + $(grep -c '^PASS' <<<"$results"))) failed=$((failed + $(grep -vc '^PASS' <<<"$results")))
summary mutants
