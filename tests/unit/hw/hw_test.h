/* hw_test.h - what the chip tests share: a chip driven as a bus would drive it. */
#ifndef TANDEM_TESTS_HW_TEST_H
#define TANDEM_TESTS_HW_TEST_H

#include "clockcore/ticks.h"
#include "hw/chip.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

/* Handles every event up to `ns`, each at its own time. */
static inline void chip_run_to(const struct chip_class *c, void *s, uint64_t ns)
{
    while (c->next_event && c->next_event(s) <= ns) {
        uint64_t at = c->next_event(s);
        c->advance(s, at);
        cr_assert_gt(c->next_event(s), at, "%s: next_event does not move on", c->name);
    }
}

static inline uint32_t chip_in(const struct chip_class *c, void *s, uint32_t offset, uint64_t ns)
{
    chip_run_to(c, s, ns);
    return c->read(s, offset, 1, ns);
}

static inline void chip_out(const struct chip_class *c, void *s, uint32_t offset, uint32_t v, uint64_t ns)
{
    chip_run_to(c, s, ns);
    c->write(s, offset, 1, v, ns);
}

/* The field table names every byte of the state exactly once: no gap, no overlap, no padding. */
static inline void chip_check_fields(const struct chip_class *c)
{
    for (size_t i = 0; i < c->nfields; i++) {
        uint32_t n = c->fields[i].elem_bytes;
        cr_assert(n == 1 || n == 2 || n == 4 || n == 8, "%s.%s: element size", c->name, c->fields[i].name);
    }
    cr_assert_eq(fields_uncovered(c->fields, c->nfields, c->state_bytes, 1), c->state_bytes,
                 "%s: byte %zu is in no field, or in two", c->name,
                 fields_uncovered(c->fields, c->nfields, c->state_bytes, 1));
}

/* Two copies that start from different garbage and get the same accesses have the same bytes. */
static inline void chip_check_replay(const struct chip_class *c, uint32_t offsets, unsigned size)
{
    uint64_t a[4096], b[4096];
    uint64_t ns = 0, seed = 88172645463325252ull;

    cr_assert_leq(c->state_bytes, sizeof a);
    memset(a, 0x55, sizeof a);
    memset(b, 0xAA, sizeof b);
    c->reset(a, 0);
    c->reset(b, 0);
    for (unsigned i = 0; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        ns += seed >> 20 & (i % 16 ? 0xFFFFF : 0xFFFFFFF);
        uint32_t offset = (uint32_t)(seed >> 8) % offsets, v = (uint32_t)(seed >> 32);
        chip_run_to(c, a, ns);
        chip_run_to(c, b, ns);
        if (seed & 1) {
            c->write(a, offset, size, v, ns);
            c->write(b, offset, size, v, ns);
        } else {
            cr_assert_eq(c->read(a, offset, size, ns), c->read(b, offset, size, ns));
        }
        cr_assert_eq(memcmp(a, b, c->state_bytes), 0, "%s: copies differ after access %u", c->name, i);
    }
}

#endif
