/* mem_test.h - what the tests of mem/ share: a machine's memory and a watcher that counts. */
#ifndef TANDEM_TESTS_MEM_TEST_H
#define TANDEM_TESTS_MEM_TEST_H

#include "mem/watch.h"

#include <criterion/criterion.h>
#include <string.h>

#define RAM (UINT64_C(16) << 20)

struct counting {
    struct mem_watcher w;
    unsigned table_stores, code_stores, rearms, remaps;
    mem_addr_t at;
    unsigned bytes;
    uint8_t seen; /* what was in memory when a table store was announced */
    struct physmem *pm;
};

static inline void count_table(void *ctx, mem_addr_t at, unsigned bytes)
{
    struct counting *c = ctx;
    c->table_stores++;
    c->at = at;
    c->bytes = bytes;
    c->seen = c->pm->host[at];
}

static inline void count_code(void *ctx, mem_addr_t at, unsigned bytes)
{
    struct counting *c = ctx;
    c->code_stores++;
    c->at = at;
    c->bytes = bytes;
}

static inline void count_rearm(void *ctx)
{
    ((struct counting *)ctx)->rearms++;
}

static inline void count_remap(void *ctx)
{
    ((struct counting *)ctx)->remaps++;
}

static inline void start(struct physmem *pm, struct counting *c)
{
    cr_assert_eq(physmem_init(pm, RAM), 0);
    *c = (struct counting){.pm = pm,
                           .w = {.table_store = count_table,
                                 .code_store = count_code,
                                 .rearmed = count_rearm,
                                 .remapped = count_remap}};
    c->w.ctx = c;
}

static inline bool same_target(mem_target_t t, enum mem_kind kind, uint64_t addr)
{
    return mem_target_kind(t) == kind && mem_target_addr(t) == addr;
}

#endif
