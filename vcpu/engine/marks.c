/* marks.c - addresses in the guest of which the observer is told when the guest comes there.
 *
 * A block ends before a marked address, and the block at one is never linked to nor remembered, so that both
 * engines come to it through tb_find() alone, which tells of it. Other blocks are what they are without
 * marks.
 *
 * A mark is reached once for each execution of its instruction, as an instruction breakpoint would be (SDM 3A
 * 17.3.1.1): EFLAGS.RF says that a fault, or an interrupt between the iterations of a REP, has restarted it.
 * Where a run is cut, by a limit or by what a block may not do, is remembered by (tick, address). */
#include "clockcore/check.h"
#include "vcpu/engine/engine.h"

#include <stdlib.h>
#include <string.h>

static int compare_addresses(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

bool vcpu_set_marks(struct vcpu *v, const uint32_t *lin_addr, unsigned count)
{
    if (count > VCPU_MARKS_MAX)
        return false;
    CHECK(count == 0 || v->cfg.observer.mark);
    if (count) { /* lin_addr may be NULL for none */
        memcpy(v->marks.at, lin_addr, count * sizeof *lin_addr);
        qsort(v->marks.at, count, sizeof *lin_addr, compare_addresses);
    }
    v->marks.count = count;
    tbcache_flush(v);
    return true;
}

/* Index of the first mark at or above lin_addr. */
static unsigned first_from(const struct vcpu *v, uint32_t lin_addr)
{
    unsigned low = 0, high = v->marks.count;
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        if (v->marks.at[mid] < lin_addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool marks_has(const struct vcpu *v, uint32_t lin_addr)
{
    unsigned i = first_from(v, lin_addr);
    return i < v->marks.count && v->marks.at[i] == lin_addr;
}

uint32_t marks_next(const struct vcpu *v, uint32_t lin_addr)
{
    uint32_t end = lin_addr | PAGE_OFFSET_MASK;
    if (v->marks.count == 0 || lin_addr == end)
        return 0;
    unsigned i = first_from(v, lin_addr + 1);
    return i < v->marks.count && v->marks.at[i] <= end ? v->marks.at[i] - lin_addr : 0;
}

void marks_pass(struct vcpu *v)
{
    v->marks.tick = vcpu_tick(v);
    v->marks.lin_addr = v->g.seg[SEG_CS].base + v->g.eip;
}

bool marks_reached(struct vcpu *v)
{
    uint32_t lin_addr = v->g.seg[SEG_CS].base + v->g.eip;
    uint64_t tick = vcpu_tick(v);
    bool again = v->marks.tick == tick && v->marks.lin_addr == lin_addr;
    if (v->marks.count == 0 || again || vcpu_rf(v) || !marks_has(v, lin_addr))
        return false;
    marks_pass(v);
    v->cfg.observer.mark(v->cfg.observer.ctx, &v->g, tick, lin_addr);
    return v->g.budget <= 0;
}
