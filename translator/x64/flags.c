/* flags.c - see flags.h. */
#include "translator/x64/flags.h"
#include "translator/x64/compile.h"

#include "clockcore/check.h"

enum { PAIR_O, PAIR_B, PAIR_Z, PAIR_BE, PAIR_S, PAIR_P, PAIR_L, PAIR_LE };

static struct host_mem mem_cc(unsigned which)
{
    return mem_slot(IR_CC_A + which);
}
_Static_assert(IR_CC_B == IR_CC_A + CC_B_VALUE && IR_CC_R == IR_CC_A + CC_R_VALUE, "mem_cc");

static unsigned kind_of(const struct cc_state *cc)
{
    return (unsigned)cc->op / 3;
}
static unsigned size_of(const struct cc_state *cc)
{
    return cc->op == CC_EFLAGS ? SZ32 : (unsigned)cc->op % 3;
}

/* --- state --- */

void flags_unknown(struct compile *c)
{
    c->cc = (struct cc_state){.op = -1, .op_in_slot = true};
}

void flags_begin(struct compile *c)
{
    flags_unknown(c);
    c->b.flags_for = 0;
}

void flags_kill(struct compile *c)
{
    flags_unknown(c);
}

void flags_set(struct compile *c, int op, struct cc_value a, struct cc_value b, struct cc_value r)
{
    c->cc = (struct cc_state){.op = op, .v = {a, b, r}};
}

/* --- into the slots --- */

/* reg op= B of the flags' operation; host flags become the guest's. */
static void alu_with_b(struct compile *c, enum host_alu alu, unsigned reg)
{
    const struct cc_value *b = &c->cc.v[CC_B_VALUE];
    unsigned size = size_of(&c->cc);
    switch (b->where) {
    case CC_IN_REG:
        x_alu(&c->b, alu, size, reg, b->reg);
        break;
    case CC_IS_IMM:
        x_alu_imm(&c->b, alu, size, reg, b->imm);
        break;
    default:
        x_alu_load(&c->b, alu, size, reg, mem_cc(CC_B_VALUE));
    }
}

static void load_value(struct compile *c, unsigned reg, unsigned which);

/* reg = A of ADD, SUB, INC, DEC, out of R and B. Writes host flags. */
static void derive_a(struct compile *c, unsigned reg)
{
    const unsigned kind = kind_of(&c->cc);
    load_value(c, reg, CC_R_VALUE);
    if (kind == CC_KIND_INC || kind == CC_KIND_DEC)
        x_alu_imm(&c->b, kind == CC_KIND_INC ? ALU_SUB : ALU_ADD, SZ32, reg, 1);
    else
        alu_with_b(c, kind == CC_KIND_ADD ? ALU_SUB : ALU_ADD, reg);
}

/* Host register = the value; no host flags written but for a derived A. A derived R is not for this. */
static void load_value(struct compile *c, unsigned reg, unsigned which)
{
    const struct cc_value *v = &c->cc.v[which];
    switch (v->where) {
    case CC_IN_SLOT:
        x_load(&c->b, SZ32, reg, mem_cc(which));
        break;
    case CC_IN_REG:
        x_mov(&c->b, SZ32, reg, v->reg);
        break;
    case CC_IS_IMM:
        x_mov_imm(&c->b, reg, v->imm);
        break;
    default:
        CHECK(which == CC_A_VALUE);
        derive_a(c, reg);
    }
}

/* What is derived is in no slot (kind_in_slot). */
static void save(struct compile *c, unsigned which)
{
    struct cc_value *v = &c->cc.v[which];
    switch (v->where) {
    case CC_IN_SLOT:
        return;
    case CC_IN_REG:
        x_store(&c->b, SZ32, mem_cc(which), v->reg);
        break;
    case CC_IS_IMM:
        x_store_imm(&c->b, SZ32, mem_cc(which), v->imm);
        break;
    default:
        return;
    }
    *v = cc_in_slot();
}

void flags_set_rotate(struct compile *c, bool left, unsigned size, unsigned reg)
{
    c->cc.rotate = (struct cc_rotate){left ? CC_ROTATE_LEFT : CC_ROTATE_RIGHT, (uint8_t)size, (uint8_t)reg};
}

static bool is_rotated(const struct cc_state *cc)
{
    return cc->rotate.kind != CC_ROTATE_NONE;
}

static void save_rotated(struct compile *c)
{
    x_store(&c->b, SZ32, mem_slot(IR_ROTATED), c->cc.rotate.reg);
    c->cc.rotate.reg = NO_REG;
}

void flags_before_write(struct compile *c, unsigned reg)
{
    struct cc_value *v = c->cc.v;
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    if (is_rotated(&c->cc) && c->cc.rotate.reg == reg)
        save_rotated(c);
    for (unsigned which = 0; which < 3; which++)
        if (v[which].where == CC_IN_REG && v[which].reg == reg)
            save(c, which);
    part_end(&c->b, before);
}

static void compute_r(struct compile *c)
{
    load_value(c, SCRATCH1, CC_A_VALUE);
    alu_with_b(c, kind_of(&c->cc) == CC_KIND_LOGIC ? ALU_AND : ALU_SUB, SCRATCH1);
    x_store(&c->b, SZ32, mem_cc(CC_R_VALUE), SCRATCH1);
    c->cc.v[CC_R_VALUE] = cc_in_slot();
    c->b.flags_for = FLAGS_ALL;
}

/* SCRATCH1 = CF, SCRATCH2 = OF of a rotated value. */
static void rotate_bits(struct compile *c, unsigned size, bool left)
{
    unsigned top = (8u << size) - 1;
    x_mov(&c->b, SZ32, SCRATCH2, SCRATCH1);
    x_shift_imm(&c->b, SH_SHR, SZ32, SCRATCH2, left ? top : top - 1);
    if (left)
        x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH1, 1);
    else
        x_shift_imm(&c->b, SH_SHR, SZ32, SCRATCH1, top);
    x_alu(&c->b, ALU_XOR, SZ32, SCRATCH2, SCRATCH1);
    x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH2, 1);
}

/* Behind a flush of the rest. */
static void flush_rotate(struct compile *c)
{
    struct cc_rotate rotate = c->cc.rotate;
    if (rotate.reg == NO_REG)
        x_load(&c->b, SZ32, SCRATCH1, mem_slot(IR_ROTATED));
    else
        x_mov(&c->b, SZ32, SCRATCH1, rotate.reg);
    rotate_bits(c, rotate.size, rotate.kind == CC_ROTATE_LEFT);
    x_call_to(&c->b, c->x->stubs.set_cf_of);
    c->cc = (struct cc_state){.op = CC_EFLAGS, .op_in_slot = true};
}

/* Its R goes to no slot. */
static bool is_compare(const struct cc_state *cc)
{
    return cc->op >= 0 && kind_of(cc) == CC_KIND_SUB && cc->v[CC_R_VALUE].where == CC_DERIVED;
}

/* What IR_CC_OP says once the values are saved. */
static uint32_t kind_in_slot(const struct cc_state *cc)
{
    if (is_compare(cc))
        return CC_OP(CC_KIND_CMP, size_of(cc));
    if (cc->v[CC_A_VALUE].where == CC_DERIVED && kind_of(cc) == CC_KIND_ADD)
        return CC_OP(CC_KIND_SUM, size_of(cc));
    if (cc->v[CC_A_VALUE].where == CC_DERIVED && kind_of(cc) == CC_KIND_SUB)
        return CC_OP(CC_KIND_DIFF, size_of(cc));
    return (uint32_t)cc->op;
}

void flags_flush(struct compile *c)
{
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    const bool compares = is_compare(&c->cc);
    if (c->cc.v[CC_R_VALUE].where == CC_DERIVED && !compares)
        compute_r(c);
    if (c->cc.op >= 0 && kind_of(&c->cc) == CC_KIND_LOGIC)
        c->cc.v[CC_A_VALUE] = c->cc.v[CC_B_VALUE] = cc_in_slot(); /* nobody cares */
    for (unsigned which = 0; which < 3; which++)
        save(c, which);
    if (!c->cc.op_in_slot)
        x_store_imm(&c->b, SZ32, mem_slot(IR_CC_OP), kind_in_slot(&c->cc));
    c->cc.op_in_slot = true;
    if (is_rotated(&c->cc))
        flush_rotate(c);
    part_end(&c->b, before);
}

void flags_settle_rotate(struct compile *c)
{
    if (is_rotated(&c->cc))
        flags_flush(c);
}

bool flags_in_slots(const struct cc_state *cc)
{
    bool in = !is_rotated(cc) && cc->op_in_slot;
    for (unsigned which = 0; which < 3; which++) {
        const bool derived = cc->v[which].where == CC_DERIVED && (which == CC_A_VALUE || is_compare(cc));
        in = in && (derived || cc->v[which].where == CC_IN_SLOT);
    }
    return in;
}

static bool same_value(const struct cc_value *x, const struct cc_value *y)
{
    return x->where == y->where && (x->where != CC_IN_REG || x->reg == y->reg) &&
           (x->where == CC_IN_SLOT || x->where == CC_IN_REG || x->imm == y->imm);
}

bool flags_same(const struct cc_state *x, const struct cc_state *y)
{
    bool same = x->op == y->op && x->op_in_slot == y->op_in_slot && !is_rotated(x) && !is_rotated(y);
    for (unsigned which = 0; which < 3; which++)
        same = same && same_value(&x->v[which], &y->v[which]);
    return same;
}

void flags_flush_far(struct compile *c, const struct cc_state *cc)
{
    struct cc_state main_path = c->cc;
    c->cc = *cc;
    flags_flush(c);
    c->cc = main_path;
}

/* --- conditions --- */

/* Register that holds the value, loading it where it has none. */
static unsigned value_reg(struct compile *c, unsigned which, unsigned scratch)
{
    if (c->cc.v[which].where == CC_IN_REG)
        return c->cc.v[which].reg;
    load_value(c, scratch, which);
    return scratch;
}

/* Host flags of comparing A with B: where the comparison itself is done, as a rule. */
static void replay_compare(struct compile *c)
{
    part_begin(&c->b, X64_PART_WORK);
    alu_with_b(c, ALU_CMP, value_reg(c, CC_A_VALUE, SCRATCH1));
    c->b.flags_for = FLAGS_ALL;
}

/* Host flags of A & B. */
static void replay_test(struct compile *c)
{
    part_begin(&c->b, X64_PART_WORK);
    load_value(c, SCRATCH1, CC_A_VALUE);
    alu_with_b(c, ALU_AND, SCRATCH1);
    c->b.flags_for = FLAGS_ALL;
}

static void replay_add(struct compile *c)
{
    load_value(c, SCRATCH1, CC_A_VALUE);
    alu_with_b(c, ALU_ADD, SCRATCH1);
    c->b.flags_for = FLAGS_ALL;
}

static void replay_step(struct compile *c)
{
    load_value(c, SCRATCH1, CC_A_VALUE);
    if (kind_of(&c->cc) == CC_KIND_INC)
        x_inc(&c->b, size_of(&c->cc), SCRATCH1);
    else
        x_dec(&c->b, size_of(&c->cc), SCRATCH1);
    c->b.flags_for = FLAGS_NO_CARRY;
}

/* 32-bit shifts by a constant. */
static bool replay_shift(struct compile *c)
{
    static const uint8_t shifts[CC_KIND_COUNT] = {
        [CC_KIND_SHL] = SH_SHL, [CC_KIND_SHR] = SH_SHR, [CC_KIND_SAR] = SH_SAR};
    unsigned kind = kind_of(&c->cc);
    bool is_shift = kind == CC_KIND_SHL || kind == CC_KIND_SHR || kind == CC_KIND_SAR;
    if (!is_shift || size_of(&c->cc) != SZ32 || c->cc.v[CC_B_VALUE].where != CC_IS_IMM)
        return false;
    load_value(c, SCRATCH1, CC_A_VALUE);
    x_shift_imm(&c->b, shifts[kind], SZ32, SCRATCH1, c->cc.v[CC_B_VALUE].imm);
    c->b.flags_for = FLAGS_NO_OVERFLOW;
    return true;
}

/* ZF, SF, PF of R; CF and OF come out 0. */
static void replay_result(struct compile *c)
{
    const struct cc_value *r = &c->cc.v[CC_R_VALUE];
    if (r->where == CC_IN_REG) {
        x_test(&c->b, size_of(&c->cc), r->reg, r->reg);
    } else if (r->where == CC_IN_SLOT) {
        x_alu_mem_imm(&c->b, ALU_CMP, size_of(&c->cc), mem_cc(CC_R_VALUE), 0);
    } else {
        x_mov_imm(&c->b, SCRATCH1, r->imm);
        x_test(&c->b, size_of(&c->cc), SCRATCH1, SCRATCH1);
    }
    c->b.flags_for = kind_of(&c->cc) == CC_KIND_LOGIC ? FLAGS_ALL : FLAGS_RESULT;
}

/* Makes host flags answer the pair of conditions, when the kind allows it cheaply. */
static bool replay(struct compile *c, unsigned pair)
{
    if (c->cc.op < 0 || c->cc.op == CC_EFLAGS)
        return false;
    unsigned kind = kind_of(&c->cc);
    bool derived = c->cc.v[CC_R_VALUE].where == CC_DERIVED, of_result = FLAGS_RESULT >> pair & 1;
    if (derived && kind == CC_KIND_LOGIC)
        replay_test(c);
    else if (kind == CC_KIND_SUB && (derived || !of_result))
        replay_compare(c);
    else if (kind == CC_KIND_LOGIC || of_result)
        replay_result(c);
    else if (kind == CC_KIND_ADD)
        replay_add(c);
    else if ((kind == CC_KIND_INC || kind == CC_KIND_DEC) && (FLAGS_NO_CARRY >> pair & 1))
        replay_step(c);
    else
        return (FLAGS_NO_OVERFLOW >> pair & 1) && replay_shift(c);
    return true;
}

/* Kinds whose carry is "B is not 0". */
static bool carry_is_b(const struct cc_state *cc)
{
    return cc->op >= 0 &&
           (kind_of(cc) == CC_KIND_INC || kind_of(cc) == CC_KIND_DEC || kind_of(cc) == CC_KIND_MUL);
}

/* INC's and DEC's B in its slot is a byte. MATCH carry_byte */
static unsigned b_size(const struct cc_state *cc)
{
    return kind_of(cc) == CC_KIND_MUL ? SZ32 : SZ8;
}

static bool pair_is_b(const struct cc_state *cc, unsigned pair)
{
    return carry_is_b(cc) && (pair == PAIR_B || (pair == PAIR_O && kind_of(cc) == CC_KIND_MUL));
}

/* --- flags from before the block --- */

enum { CC_COMPARE = CC_OP(CC_KIND_CMP, SZ32) };

/* Host flags in which the pair's positive condition holds when SCRATCH1 is 1, not 0. */
static void host_flags_of(struct compile *c, unsigned pair)
{
    switch (pair) {
    case PAIR_O:
        x_alu_imm(&c->b, ALU_ADD, SZ8, SCRATCH1, 0x7f);
        break;
    case PAIR_B:
    case PAIR_S:
    case PAIR_L:
        x_unary(&c->b, UN_NEG, SZ32, SCRATCH1);
        break;
    default:
        x_alu_imm(&c->b, ALU_XOR, SZ32, SCRATCH1, 1); /* ZF and PF when it gets 0 */
    }
}

static void compare_slots(struct compile *c)
{
    x_load(&c->b, SZ32, SCRATCH1, mem_cc(CC_A_VALUE));
    x_alu_load(&c->b, ALU_CMP, SZ32, SCRATCH1, mem_cc(CC_B_VALUE));
}

static uint8_t *jump_unless_kind(struct compile *c, int op)
{
    x_alu_mem_imm(&c->b, ALU_CMP, SZ32, mem_slot(IR_CC_OP), (uint32_t)op);
    return x_jcc(&c->b, CC_NE);
}

/* Of a subtraction whose A is R + B. */
static void compare_difference(struct compile *c)
{
    x_load(&c->b, SZ32, SCRATCH1, mem_cc(CC_R_VALUE));
    x_alu_load(&c->b, ALU_ADD, SZ32, SCRATCH1, mem_cc(CC_B_VALUE));
    x_alu_load(&c->b, ALU_CMP, SZ32, SCRATCH1, mem_cc(CC_B_VALUE));
}

/* A subtraction is the next guess behind a comparison. */
static void far_pair(struct compile *c, const struct far_code *f)
{
    uint8_t *other = jump_unless_kind(c, CC_OP(CC_KIND_DIFF, SZ32));
    compare_difference(c);
    x_jmp_to(&c->b, f->back);
    x_patch_here(&c->b, other);
    x_mov_imm(&c->b, SCRATCH1, f->arg * 2u);
    x_call_to(&c->b, c->x->stubs.cond);
    host_flags_of(c, f->arg);
    x_jmp_to(&c->b, f->back);
}

/* Most often the last block ended in a 32-bit comparison. */
static uint8_t *jump_unless_compare(struct compile *c)
{
    return jump_unless_kind(c, CC_COMPARE);
}

/* Host flags answer the pair, whatever the kind turns out to be. */
static void pair_unknown(struct compile *c, unsigned pair)
{
    struct far_code *f = far_add(c, far_pair, jump_unless_compare(c));
    f->arg = (uint8_t)pair;
    compare_slots(c);
    f->back = c->b.at;
}

static void test_b(struct compile *c)
{
    if (c->cc.v[CC_B_VALUE].where == CC_IN_SLOT) {
        x_alu_mem_imm(&c->b, ALU_CMP, b_size(&c->cc), mem_cc(CC_B_VALUE), 0);
        return;
    }
    unsigned b = value_reg(c, CC_B_VALUE, SCRATCH1);
    x_test(&c->b, SZ32, b, b);
}

static unsigned cond_of(struct compile *c, unsigned cond)
{
    unsigned pair = cond >> 1;
    flags_settle_rotate(c);
    if (c->b.flags_for >> pair & 1)
        return cond;
    if (c->cc.op < 0) {
        pair_unknown(c, pair);
        return cond;
    }
    if (pair_is_b(&c->cc, pair)) {
        test_b(c);
        return CC_NE ^ (cond & 1);
    }
    if (replay(c, pair))
        return cond;
    flags_flush(c);
    x_mov_imm(&c->b, SCRATCH1, cond);
    x_call_to(&c->b, c->x->stubs.cond);
    x_test(&c->b, SZ32, SCRATCH1, SCRATCH1);
    return CC_NE;
}

unsigned flags_cond(struct compile *c, unsigned cond)
{
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    unsigned host = cond_of(c, cond);
    part_end(&c->b, before);
    return host;
}

/* Stores leave host flags alone; a result that is not computed yet sets those that are wanted. */
unsigned flags_cond_flush(struct compile *c, unsigned cond)
{
    if (c->cc.v[CC_R_VALUE].where == CC_DERIVED && !is_compare(&c->cc))
        flags_flush(c);
    unsigned host = flags_cond(c, cond);
    flags_flush(c);
    return host;
}

/* SCRATCH1 = carry, by the stub. */
static void call_carry(struct compile *c)
{
    flags_flush(c);
    x_call_to(&c->b, c->x->stubs.carry);
}

static void load_b(struct compile *c)
{
    if (c->cc.v[CC_B_VALUE].where == CC_IN_SLOT)
        x_load(&c->b, b_size(&c->cc), SCRATCH1, mem_cc(CC_B_VALUE));
    else
        load_value(c, SCRATCH1, CC_B_VALUE);
}

static void emit_carry(struct compile *c)
{
    flags_settle_rotate(c);
    if (c->b.flags_for >> PAIR_B & 1)
        return;
    if (c->cc.op < 0) {
        pair_unknown(c, PAIR_B);
        return;
    }
    if (carry_is_b(&c->cc))
        load_b(c);
    else if (replay(c, PAIR_B))
        return;
    else
        call_carry(c);
    x_unary(&c->b, UN_NEG, SZ32, SCRATCH1); /* CF = (it was not 0) */
}

void flags_carry(struct compile *c)
{
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    emit_carry(c);
    part_end(&c->b, before);
}

/* Slot B = carry of the comparison, or of TEST and its like: none; as the kind in its slot says. */
static void far_carry(struct compile *c, const struct far_code *f)
{
    uint8_t *other = jump_unless_compare(c);
    compare_slots(c);
    x_setcc_mem(&c->b, CC_B, mem_cc(CC_B_VALUE));
    x_jmp_to(&c->b, f->back);
    x_patch_here(&c->b, other);
    other = jump_unless_kind(c, CC_OP(CC_KIND_DIFF, SZ32));
    compare_difference(c);
    x_setcc_mem(&c->b, CC_B, mem_cc(CC_B_VALUE));
    x_jmp_to(&c->b, f->back);
    x_patch_here(&c->b, other);
    x_alu_mem_imm(&c->b, ALU_CMP, SZ32, mem_slot(IR_CC_OP), CC_OP(CC_KIND_LOGIC, SZ32));
    uint8_t *neither = x_jcc(&c->b, CC_NE);
    x_store_imm(&c->b, SZ32, mem_cc(CC_B_VALUE), 0);
    x_jmp_to(&c->b, f->back);
    x_patch_here(&c->b, neither);
    x_call_to(&c->b, c->x->stubs.carry);
    x_store(&c->b, SZ32, mem_cc(CC_B_VALUE), SCRATCH1);
    x_jmp_to(&c->b, f->back);
}

/* Flags from before the block: in a loop most often INC's or DEC's own, whose B is the carry. */
static void carry_unknown(struct compile *c)
{
    enum { FIRST = CC_OP(CC_KIND_INC, 0), COUNT = CC_OP(CC_KIND_DEC, 2) - CC_OP(CC_KIND_INC, 0) + 1 };
    x_load(&c->b, SZ32, SCRATCH1, mem_slot(IR_CC_OP));
    x_alu_imm(&c->b, ALU_SUB, SZ32, SCRATCH1, FIRST);
    x_alu_imm(&c->b, ALU_CMP, SZ32, SCRATCH1, COUNT);
    struct far_code *f = far_add(c, far_carry, x_jcc(&c->b, CC_AE));
    f->back = c->b.at;
}
_Static_assert(CC_KIND_DEC == CC_KIND_INC + 1, "carry_unknown tests for both kinds at once");

/* A byte; MATCH carry_byte */
static struct cc_value carry_value(struct compile *c)
{
    const struct cc_state *cc = &c->cc;
    flags_settle_rotate(c);
    if (cc->op >= 0 && kind_of(cc) == CC_KIND_LOGIC)
        return cc_is_imm(0);
    if (cc->op >= 0 && (kind_of(cc) == CC_KIND_INC || kind_of(cc) == CC_KIND_DEC))
        return cc->v[CC_B_VALUE];
    if (cc->op < 0 && !(c->b.flags_for >> PAIR_B & 1)) {
        carry_unknown(c);
        return cc_in_slot();
    }
    flags_carry(c);
    x_setcc_mem(&c->b, CC_B, mem_cc(CC_B_VALUE));
    return cc_in_slot();
}

struct cc_value flags_carry_value(struct compile *c)
{
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    struct cc_value value = carry_value(c);
    part_end(&c->b, before);
    return value;
}

/* --- bit tests --- */

/* The kind in its slot, which is stored once: with the carry over it. */
void flags_before_bit(struct compile *c)
{
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    flags_settle_rotate(c);
    const bool known = c->cc.op >= 0;
    const uint32_t op = known ? kind_in_slot(&c->cc) : 0;
    c->cc.op_in_slot = true;
    flags_flush(c);
    if (!known)
        x_alu_mem_imm(&c->b, ALU_OR, SZ8, mem_slot(IR_CC_OP), CC_CARRY_GIVEN);
    else
        x_store_imm(&c->b, SZ32, mem_slot(IR_CC_OP), op | CC_CARRY_GIVEN);
    flags_unknown(c);
    part_end(&c->b, before);
}

void flags_after_bit(struct compile *c)
{
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    struct host_mem carry = mem_slot(IR_CC_OP);
    carry.disp += CC_CARRY_SHIFT / 8;
    x_setcc_mem(&c->b, CC_B, carry);
    c->b.flags_for = 1 << PAIR_B;
    part_end(&c->b, before);
}
