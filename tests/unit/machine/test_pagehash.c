/* test_pagehash.c - with a worker the hash is that of the instant, whoever writes to memory behind it and
 * how. */
#include <criterion/criterion.h>
#include <string.h>

#include "machine/pagehash.h"
#include "mem/master.h"
#include "mem/own.h"
#include "syncq/pinning.h"
#include "tests/unit/every.h"

#define RAM    (256 * 1024)
#define ROUNDS 4000

static uint64_t seed = 20261129;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

struct rig {
    struct physmem mem;
    struct mem_watcher watcher;
    struct pagehash *hash;
};

static void on_store(void *ctx, mem_addr_t at, unsigned bytes)
{
}

static void on_change(void *ctx)
{
}

static void rig_init(struct rig *g, bool worker, uint64_t jitter)
{
    *g = (struct rig){
        .watcher = {
            .table_store = on_store, .code_store = on_store, .rearmed = on_change, .remapped = on_change}};
    cr_assert_eq(physmem_init(&g->mem, RAM), 0);
    cr_assert(physmem_attach(&g->mem, 0, &g->watcher));
    g->hash = pagehash_create(&(struct pagehash_config){&g->mem, worker, PIN_ANY, jitter});
    cr_assert(g->hash);
}

static void rig_end(struct rig *g)
{
    pagehash_destroy(g->hash);
    physmem_detach(&g->mem, 0);
    physmem_free(&g->mem);
}

/* A vCPU's store through the fast path: marked once, then without ado as long as nobody watches. */
static void fast_store(struct rig *g, mem_addr_t at, uint64_t value)
{
    physmem_mark(&g->mem, at);
    host_put(g->mem.host + at, 8, value);
}

static void master_store(struct rig *g, mem_addr_t at, uint64_t value)
{
    const struct mem_master m = {&g->mem};
    g->mem.masters_may = true;
    mem_master_write(&m, at, &value, sizeof value);
    g->mem.masters_may = false;
}

enum way { STORE, FAST, PUT, WRITE, MASTER, OWN, CLEAR, WAYS };
static void write_memory(struct rig *g, enum way way, mem_addr_t at, uint64_t value)
{
    switch (way) {
    case STORE:
        physmem_store(&g->mem, 0, at, 8, value, 0);
        break;
    case FAST:
        fast_store(g, at, value);
        break;
    case PUT:
        physmem_put(&g->mem, at, &value, sizeof value);
        break;
    case WRITE:
        physmem_write(&g->mem, at, &value, sizeof value);
        break;
    case MASTER:
        master_store(g, at, value);
        break;
    case OWN:
        mem_own_put(&(struct mem_own){&g->mem, 0, RAM}, at, &value, sizeof value);
        break;
    default:
        physmem_clear(&g->mem);
    }
}

/* The same in both, by one way, or by ways at random. */
static void write_both(struct rig *a, struct rig *b, enum way way)
{
    for (uint64_t left = rnd() % 40; left; left--) {
        enum way now = way < WAYS ? way : (enum way)(rnd() % CLEAR);
        mem_addr_t at = (mem_addr_t)(rnd() % RAM & ~UINT64_C(7));
        uint64_t value = rnd() % 4 ? rnd() : 0;
        write_memory(a, now, at, value);
        write_memory(b, now, at, value);
        if (way == CLEAR)
            write_both(a, b, PUT);
    }
}

static void compare(enum way way, unsigned rounds, uint64_t jitter)
{
    struct rig with, without;
    rounds = rounds / test_every() + 1;
    rig_init(&with, true, jitter);
    rig_init(&without, false, 0);
    for (unsigned i = 0; i < rounds; i++) {
        write_both(&with, &without, way);
        pagehash_take(with.hash);
        pagehash_take(without.hash);
        write_both(&with, &without, rnd() % 2 ? way : WAYS);
        cr_assert_eq(pagehash_sum(with.hash), pagehash_sum(without.hash), "way %d, round %u", way, i);
    }
    rig_end(&with);
    rig_end(&without);
}

Test(pagehash, is_of_the_instant_whoever_writes_behind_it)
{
    for (enum way way = STORE; way <= WAYS; way++)
        compare(way, way == CLEAR ? ROUNDS / 20 : ROUNDS, 0);
}

Test(pagehash, a_late_worker_changes_nothing)
{
    compare(WAYS, ROUNDS / 20, 7);
}

/* The vCPU goes through the pages in the worker's order, so that both are often at one page. */
Test(pagehash, waits_for_the_page_that_the_worker_is_at)
{
    struct rig with, without;
    rig_init(&with, true, 0);
    rig_init(&without, false, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        pagehash_take(with.hash);
        pagehash_take(without.hash);
        for (mem_addr_t at = PAGE_BYTES - 8; at < RAM; at += PAGE_BYTES) {
            uint64_t value = rnd();
            fast_store(&with, at, value);
            fast_store(&without, at, value);
        }
        cr_assert_eq(pagehash_sum(with.hash), pagehash_sum(without.hash), "round %u", i);
    }
    rig_end(&with);
    rig_end(&without);
}

Test(pagehash, an_instant_unasked_for_is_forgotten)
{
    struct rig with, without;
    rig_init(&with, true, 0);
    rig_init(&without, false, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        write_both(&with, &without, WAYS);
        pagehash_take(with.hash);
    }
    pagehash_take(without.hash);
    cr_expect_eq(pagehash_sum(with.hash), pagehash_sum(without.hash));
    rig_end(&with);
    rig_end(&without);
}

/* The worker may be amid a page when all ends. */
Test(pagehash, ends_at_any_time)
{
    for (unsigned i = 0; i < 200; i++) {
        struct rig g;
        rig_init(&g, true, 0);
        for (mem_addr_t at = 0; at < RAM; at += PAGE_BYTES)
            write_memory(&g, PUT, at, rnd());
        pagehash_take(g.hash);
        rig_end(&g);
    }
}
