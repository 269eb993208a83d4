/* regs.c - see regs.h. */
#include "translator/x64/regs.h"

#include <string.h>

#include "clockcore/check.h"
#include "translator/x64/compile.h"
#include "translator/x64/flags.h"
#include "translator/x64/reg_order.h"

static const uint8_t pool[] = {R8, R9, R12};
enum { POOL = sizeof pool };

unsigned reg_guest(unsigned slot)
{
    return reg_order.guest[slot];
}

static bool is_temp(unsigned slot)
{
    return slot >= IR_T0;
}

/* --- which temporaries are live --- */

static uint16_t temp_bit(unsigned slot)
{
    return is_temp(slot) && slot < IR_NSLOTS ? (uint16_t)(1u << (slot - IR_T0)) : 0;
}

/* The slot, not an immediate in its place. */
static bool reads_b(const struct ir_op *op)
{
    return ir_uses(op, IR_READS_B) && (!(op->flags & IRF_IMM) || ir_uses(op, IR_READS_AUX));
}

static uint16_t temps_read(const struct ir_op *op)
{
    uint16_t bits = 0;
    if (ir_uses(op, IR_READS_A))
        bits |= temp_bit(op->a);
    if (reads_b(op))
        bits |= temp_bit(op->b);
    if (ir_uses(op, IR_READS_AUX) && !(op->flags & IRF_IMM))
        bits |= temp_bit(op->aux);
    if (ir_uses(op, IR_READS_DST) || op->op == IR_HELPER)
        bits |= temp_bit(op->dst);
    return bits;
}

static uint16_t temps_written(const struct ir_op *op)
{
    uint16_t bits = 0;
    if (ir_uses(op, IR_WRITES_DST) && op->op != IR_HELPER)
        bits |= temp_bit(op->dst);
    if (ir_uses(op, IR_WRITES_AUX) && op->size != 0)
        bits |= temp_bit(op->aux);
    return bits;
}

bool reg_is_live_after(const struct compile *c, unsigned index, unsigned slot)
{
    return c->regs.live[index] & temp_bit(slot);
}

static void find_live(struct compile *c)
{
    uint16_t live = 0;
    for (unsigned i = c->nops; i-- > 0;) {
        const struct ir_op *op = &c->ops[i];
        c->regs.live[i] = live;
        live = (uint16_t)((live & ~temps_written(op)) | temps_read(op));
    }
}

/* An access that an earlier check vouches for can neither fault nor go on in the careful copy: it shows no
 * flags. */
static void find_live_flags(struct compile *c)
{
    bool live = true;
    for (unsigned i = c->nops; i-- > 0;) {
        struct ir_op op = c->ops[i];
        c->regs.cc_live_after[i] = live;
        if (!live)
            op.flags &= (uint8_t)~IRF_FLAGS;
        else if (ir_kills_cc(&op))
            live = false;
        if (ir_observes_cc(&op, !c->loop.strip && !access_is_covered(c, i)))
            live = true;
        c->regs.cc_live[i] = live;
    }
}

/* How many registers of the pool the op may hold at once, at most. */
static unsigned pool_needed(const struct compile *c, unsigned index)
{
    const struct ir_op *op = &c->ops[index];
    unsigned temps = c->regs.live[index] | temps_read(op) | temps_written(op);
    bool zero_a = ir_uses(op, IR_READS_A) && op->a == IR_ZERO, zero_b = reads_b(op) && op->b == IR_ZERO;
    return (unsigned)__builtin_popcount(temps) + zero_a + zero_b + (op->op == IR_HELPER);
}

static unsigned find_pool_most(const struct compile *c)
{
    unsigned most = 0;
    for (unsigned i = 0; i < c->nops; i++)
        most = pool_needed(c, i) > most ? pool_needed(c, i) : most;
    return most;
}

static bool flags_are_in(const struct cc_state *cc, unsigned reg)
{
    bool in = cc->rotate.kind != CC_ROTATE_NONE && cc->rotate.reg == reg;
    for (unsigned which = 0; which < 3; which++)
        in |= cc->v[which].where == CC_IN_REG && cc->v[which].reg == reg;
    return in;
}

bool reg_reserve(struct compile *c, unsigned reg)
{
    if (c->regs.pool_most + (unsigned)__builtin_popcount(c->regs.reserved) >= POOL ||
        flags_are_in(&c->cc, reg))
        return false;
    c->regs.reserved |= (uint16_t)(1u << reg);
    c->regs.pinned |= c->regs.reserved;
    return true;
}

void reg_begin(struct compile *c)
{
    memset(c->regs.temp_reg, NO_REG, sizeof c->regs.temp_reg);
    memset(c->regs.reg_temp, NTEMPS, sizeof c->regs.reg_temp);
    find_live(c);
    find_live_flags(c);
    c->regs.pool_most = find_pool_most(c);
    c->regs.reserved = c->regs.pool_most < POOL ? 1u << HOST_PAGE2 : 0;
    c->regs.pinned = c->regs.reserved;
}

/* --- the pool --- */

static void release(struct compile *c, unsigned temp)
{
    if (c->regs.temp_reg[temp] == NO_REG)
        return;
    c->regs.reg_temp[c->regs.temp_reg[temp]] = NTEMPS;
    c->regs.temp_reg[temp] = NO_REG;
}

static void release_dead(struct compile *c, uint16_t live)
{
    for (unsigned i = 0; i < POOL; i++)
        if (c->regs.reg_temp[pool[i]] != NTEMPS && !(live >> c->regs.reg_temp[pool[i]] & 1))
            release(c, c->regs.reg_temp[pool[i]]);
}

void reg_begin_op(struct compile *c, unsigned index)
{
    c->op = &c->ops[index];
    c->regs.pinned = c->regs.reserved;
    c->regs.live_after = c->regs.live[index];
    release_dead(c, (uint16_t)(c->regs.live_after | temps_read(c->op)));
    memcpy(c->regs.temp_reg_before, c->regs.temp_reg, sizeof c->regs.temp_reg);
    if (!c->regs.cc_live[index])
        flags_kill(c); /* else a value that nobody sees would be saved before its register is written */
}

static void spill(struct compile *c, unsigned reg)
{
    unsigned temp = c->regs.reg_temp[reg];
    enum x64_part before = part_begin(&c->b, X64_PART_MOVE);
    x_store(&c->b, SZ32, mem_slot(IR_T0 + temp), reg);
    part_end(&c->b, before);
    release(c, temp);
}

/* Where a search of the pool begins: a function of the block, the op and the seed, so that a build's code
 * repeats. */
static unsigned pool_first(const struct compile *c)
{
    uint32_t at = (uint32_t)(c->op - c->ops) + c->tb->lin_addr;
    return reg_order.seed ? ((at + reg_order.seed) * 0x9e3779b1u >> 16) % POOL : 0;
}

static unsigned pool_choose(struct compile *c)
{
    unsigned first = pool_first(c);
    for (unsigned i = 0; i < POOL; i++) {
        unsigned reg = pool[(first + i) % POOL];
        if (c->regs.reg_temp[reg] == NTEMPS && !(c->regs.pinned >> reg & 1))
            return reg;
    }
    for (unsigned i = 0; i < POOL; i++) {
        unsigned reg = pool[(first + i) % POOL];
        if (!(c->regs.pinned >> reg & 1)) {
            spill(c, reg);
            return reg;
        }
    }
    CHECK(!"no register left for an IR operation");
    return NO_REG;
}

static unsigned pool_take(struct compile *c)
{
    unsigned reg = pool_choose(c);
    flags_before_write(c, reg);
    c->regs.pinned |= (uint16_t)(1u << reg);
    return reg;
}

static unsigned pool_take_for(struct compile *c, unsigned slot)
{
    unsigned reg = pool_take(c);
    c->regs.temp_reg[slot - IR_T0] = (uint8_t)reg;
    c->regs.reg_temp[reg] = (uint8_t)(slot - IR_T0);
    return reg;
}

unsigned reg_scratch(struct compile *c)
{
    return pool_take(c);
}

/* --- operands --- */

unsigned reg_src(struct compile *c, unsigned slot)
{
    unsigned reg;
    enum x64_part before = part_begin(&c->b, X64_PART_MOVE);
    if (slot <= IR_EDI) {
        reg = reg_order.guest[slot];
    } else if (!is_temp(slot)) {
        CHECK(slot == IR_ZERO);
        reg = pool_take(c);
        x_mov_imm(&c->b, reg, 0);
    } else if (c->regs.temp_reg[slot - IR_T0] != NO_REG) {
        reg = c->regs.temp_reg[slot - IR_T0];
    } else {
        reg = pool_take_for(c, slot);
        x_load(&c->b, SZ32, reg, mem_slot(slot));
    }
    c->regs.pinned |= (uint16_t)(1u << reg);
    part_end(&c->b, before);
    return reg;
}

static unsigned dst_in(struct compile *c, unsigned slot)
{
    unsigned reg;
    if (slot <= IR_EDI) {
        reg = reg_order.guest[slot];
        flags_before_write(c, reg);
        return reg;
    }
    if (!is_temp(slot))
        return SCRATCH1;
    reg = c->regs.temp_reg[slot - IR_T0];
    if (reg == NO_REG)
        return pool_take_for(c, slot);
    flags_before_write(c, reg);
    c->regs.pinned |= (uint16_t)(1u << reg);
    return reg;
}

/* Operands that die here give up their registers to the result, but stay readable until it is written. */
static void unpin_dying(struct compile *c)
{
    for (unsigned i = 0; i < POOL; i++) {
        unsigned temp = c->regs.reg_temp[pool[i]];
        if (temp != NTEMPS && !(c->regs.live_after >> temp & 1)) {
            release(c, temp);
            c->regs.pinned &= (uint16_t) ~(1u << pool[i]);
        }
    }
}

unsigned reg_dst(struct compile *c, unsigned slot)
{
    if (is_temp(slot) && c->regs.temp_reg[slot - IR_T0] == NO_REG)
        unpin_dying(c);
    return dst_in(c, slot);
}

unsigned reg_dst_kept(struct compile *c, unsigned slot)
{
    if (slot == IR_NONE)
        return SCRATCH1;
    reg_src(c, slot);
    return dst_in(c, slot);
}

/* --- to and from memory --- */

void reg_spill_temps(struct compile *c)
{
    for (unsigned i = 0; i < POOL; i++)
        if (c->regs.reg_temp[pool[i]] != NTEMPS)
            spill(c, pool[i]);
}

void reg_spill_far(struct compile *c, const uint8_t temp_reg[NTEMPS])
{
    for (unsigned temp = 0; temp < NTEMPS; temp++)
        if (temp_reg[temp] != NO_REG)
            x_store(&c->b, SZ32, mem_slot(IR_T0 + temp), temp_reg[temp]);
}

void reg_store_guest(struct x64_buf *b)
{
    for (unsigned slot = 0; slot < 8; slot++)
        x_store(b, SZ32, mem_slot(slot), reg_order.guest[slot]);
}

void reg_load_guest(struct x64_buf *b)
{
    for (unsigned slot = 0; slot < 8; slot++)
        x_load(b, SZ32, reg_order.guest[slot], mem_slot(slot));
}

struct far_code *far_add(struct compile *c, void (*emit)(struct compile *c, const struct far_code *f),
                         uint8_t *from)
{
    CHECK(c->nfar < FAR_MAX);
    struct far_code *f = &c->far[c->nfar++];
    *f = (struct far_code){.emit = emit,
                           .from = {from},
                           .op = c->op,
                           .cc = c->cc,
                           .fpu = c->fpu,
                           .careful = c->careful.emitting};
    return f;
}
