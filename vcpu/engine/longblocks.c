/* longblocks.c - which blocks get long (tb.h), and which way they go.
 *
 * Compiled code counts nothing. But a run stops at the horizon thousands of times a second, and the block
 * that it stops before is most likely a hot one. That block is translated once more, as a long one, which
 * takes its place. It goes through jumps, calls and the returns from these, to other pages, too, if the fetch
 * TLB has them now; whether it still has them is asked each time (IR_CROSS). Where a plain block ends with a
 * conditional jump, the long one goes the way that the interpreter went most of the time, before that block
 * was compiled; where it went both ways, the long block ends. How blocks are cut cannot be seen by the guest,
 * so the choice need not be the same in each run.
 *
 * Only in flat 32-bit mode, and on pages without marks and instructions that access devices: such an
 * instruction begins a block of its own. */
#include "vcpu/engine/engine.h"

enum { WENT_MIN = 8, SAMPLES_MIN = 4 }; /* fewer jumps counted, or stops before a block, say nothing */

bool longblocks_may(const struct vcpu *v, uint32_t mode, uint32_t lin_addr, mem_addr_t at)
{
    const uint32_t wanted = TB_MODE_FLAT | TB_MODE_CODE32, plain = TB_MODE_SINGLE | TB_MODE_SHORT;
    const uint32_t page = PAGE_OF(lin_addr), memory_page = PAGE_OF(at);
    return v->cfg.long_blocks != LONG_BLOCKS_OFF && (mode & (wanted | plain)) == wanted &&
           !marks_has(v, page) && !marks_next(v, page) && !devsites_has(v, memory_page) &&
           !devsites_next(v, memory_page);
}

/* In flat mode eip is a linear address. Reading the fetch TLB here changes nothing that the guest can see. */
bool longblocks_page(void *ctx, uint32_t eip, struct translate_page *out)
{
    struct vcpu *v = ctx;
    const uint32_t phys_page = tlb_fetch_page(v, eip);
    if (phys_page >= v->cfg.mem->bytes || !longblocks_may(v, v->g.mode, PAGE_OF(eip), phys_page))
        return false;
    *out = (struct translate_page){v->cfg.mem->host + phys_page, phys_page};
    return true;
}

/* --- which way the interpreter went most of the time --- */

static enum translate_follow follow_most(void *ctx, uint32_t eip)
{
    struct vcpu *v = ctx;
    const struct tb *at = tb_peek(v, v->tb, eip, tlb_fetch_page(v, eip));
    if (!at)
        return FOLLOW_END;
    const uint16_t *went = at->is_long ? at->went_before : at->went;
    const unsigned all = (unsigned)went[0] + went[1];
    if (all < WENT_MIN)
        return FOLLOW_END;
    if (went[1] * 4u >= all * 3u)
        return FOLLOW_TAKEN;
    return went[0] * 4u >= all * 3u ? FOLLOW_ELSE : FOLLOW_END;
}

void longblocks_sample(struct vcpu *v, struct tb *tb)
{
    if (tb->is_long || tb->samples == SAMPLES_MIN || ++tb->samples < SAMPLES_MIN)
        return;
    if (tb->valid && tb->phys_page2 == ~0u && !v->survey.on && v->cfg.long_blocks == LONG_BLOCKS_ON &&
        longblocks_may(v, tb->mode, tb->lin_addr, tb->phys_addr))
        tb_lengthen(v, tb, follow_most);
}

/* --- for tests: any way, by a hash of address and seed --- */

enum translate_follow longblocks_follow_any(void *ctx, uint32_t eip)
{
    const struct vcpu *v = ctx;
    uint32_t h = (eip ^ v->cfg.long_blocks_seed) * 0x9e3779b1u;
    h = (h ^ h >> 15) * 0x85ebca6bu >> 29;
    return h == 0 ? FOLLOW_END : h < 4 ? FOLLOW_ELSE : FOLLOW_TAKEN;
}
