/* emit.c - appends IR ops; keeps track of the flags' statically known kind. */
#include "translator/emit.h"

#include <string.h>

#include "clockcore/check.h"

unsigned emit_temp(struct builder *b)
{
    CHECK(IR_T0 + b->temps <= IR_T_LAST);
    return IR_T0 + b->temps++;
}

struct ir_op *emit_raw(struct builder *b, enum ir_opcode op)
{
    CHECK(b->out->nops < TB_OPS_MAX && !b->ended);
    struct ir_op *o = &b->out->ops[b->out->nops++];
    memset(o, 0, sizeof *o);
    o->op = (uint8_t)op;
    o->insn = b->insn;
    o->dst = IR_NONE;
    o->a = o->b = IR_ZERO;
    return o;
}

static void set_b(struct ir_op *o, struct value src)
{
    if (src.is_imm) {
        o->flags |= IRF_IMM;
        o->imm = src.imm;
    } else {
        o->b = src.slot;
    }
}

void emit_mov(struct builder *b, unsigned dst, struct value src)
{
    struct ir_op *o = emit_raw(b, IR_MOV);
    o->dst = (uint8_t)dst;
    set_b(o, src);
}

void emit_unary(struct builder *b, enum ir_opcode op, unsigned size, unsigned flags, unsigned dst, unsigned a)
{
    struct ir_op *o = emit_raw(b, op);
    o->size = (uint8_t)size;
    o->flags = (uint8_t)flags;
    o->dst = (uint8_t)dst;
    o->a = (uint8_t)a;
    b->cc = ir_cc_after(b->cc, o);
}

void emit_binary(struct builder *b, enum ir_opcode op, unsigned size, unsigned flags, unsigned dst,
                 unsigned a, struct value src)
{
    struct ir_op *o = emit_raw(b, op);
    o->size = (uint8_t)size;
    o->flags = (uint8_t)flags;
    o->dst = (uint8_t)dst;
    o->a = (uint8_t)a;
    set_b(o, src);
    b->cc = ir_cc_after(b->cc, o);
}

void emit_getb(struct builder *b, unsigned dst, unsigned reg, unsigned high)
{
    struct ir_op *o = emit_raw(b, IR_GETB);
    o->dst = (uint8_t)dst;
    o->a = (uint8_t)reg;
    o->aux = (uint8_t)high;
}

void emit_putb(struct builder *b, unsigned reg, unsigned high, struct value src)
{
    struct ir_op *o = emit_raw(b, IR_PUTB);
    o->dst = (uint8_t)reg;
    o->aux = (uint8_t)high;
    set_b(o, src);
}

void emit_putw(struct builder *b, unsigned reg, struct value src)
{
    struct ir_op *o = emit_raw(b, IR_PUTW);
    o->dst = (uint8_t)reg;
    set_b(o, src);
}

void emit_lea(struct builder *b, unsigned dst, unsigned base, unsigned index, unsigned scale, uint32_t disp)
{
    if (index == IR_ZERO && base == IR_ZERO)
        emit_mov(b, dst, value_imm(disp));
    else if (index == IR_ZERO && disp == 0)
        emit_mov(b, dst, value_slot(base));
    else if (index == IR_ZERO)
        emit_binary(b, IR_ADD, 2, 0, dst, base, value_imm(disp));
    else if (scale == 0 && disp == 0)
        emit_binary(b, IR_ADD, 2, 0, dst, base, value_slot(index));
    else {
        struct ir_op *o = emit_raw(b, IR_LEA);
        o->dst = (uint8_t)dst;
        o->a = (uint8_t)base;
        o->b = (uint8_t)index;
        o->aux = (uint8_t)scale;
        o->imm = disp;
    }
}

void emit_lea16(struct builder *b, unsigned dst, unsigned base, unsigned index, uint32_t disp)
{
    struct ir_op *o = emit_raw(b, IR_LEA16);
    o->dst = (uint8_t)dst;
    o->a = (uint8_t)base;
    o->b = (uint8_t)index;
    o->imm = disp;
}

void emit_load(struct builder *b, enum ir_opcode op, unsigned size, unsigned dst, struct addr at)
{
    struct ir_op *o = emit_raw(b, op);
    o->size = (uint8_t)size;
    o->dst = (uint8_t)dst;
    o->a = at.base;
    o->imm = at.disp;
}

void emit_store(struct builder *b, unsigned size, struct addr at, struct value src)
{
    struct ir_op *o = emit_raw(b, IR_ST);
    o->size = (uint8_t)size;
    o->a = at.base;
    o->imm = at.disp;
    if (src.is_imm) {
        o->flags = src.is_eip ? IRF_IMM | IRF_EIP : IRF_IMM;
        o->imm2 = src.imm & size_mask(size);
        b->out->fixed |= src.is_eip && size < 2;
    } else {
        o->b = src.slot;
    }
}

void emit_segaddr(struct builder *b, unsigned size, unsigned flags, unsigned dst, unsigned seg,
                  struct addr at)
{
    struct ir_op *o = emit_raw(b, IR_SEGADDR);
    o->size = (uint8_t)size;
    o->flags = (uint8_t)flags;
    o->dst = (uint8_t)dst;
    o->a = at.base;
    o->imm = at.disp;
    o->aux = (uint8_t)seg;
}

/* Conditions name the known kind of the flags, so that engines need not dispatch on IR_CC_OP. */
static void set_cond(struct builder *b, struct ir_op *o, unsigned cond)
{
    o->aux = (uint8_t)(cond & 15);
    if (b->cc >= 0) {
        o->flags |= IRF_CC_KNOWN;
        o->size = (uint8_t)b->cc;
    }
}

void emit_cond(struct builder *b, enum ir_opcode op, unsigned cond, unsigned dst, unsigned src)
{
    struct ir_op *o = emit_raw(b, op);
    o->dst = (uint8_t)dst;
    o->b = (uint8_t)src;
    set_cond(b, o, cond);
}

struct ir_op *emit_helper(struct builder *b, enum ir_helper helper)
{
    struct ir_op *o = emit_raw(b, IR_HELPER);
    o->imm = helper;
    b->cc = ir_cc_after(b->cc, o);
    return o;
}

struct ir_op *emit_helper_next(struct builder *b, enum ir_helper helper)
{
    struct ir_op *o = emit_helper(b, helper);
    o->flags = IRF_EIP;
    o->imm2 = b->next_eip;
    return o;
}

void emit_raise(struct builder *b, unsigned vector)
{
    struct ir_op *o = emit_raw(b, IR_RAISE);
    o->imm = vector;
    b->ended = true;
}

void emit_raise_gp0(struct builder *b)
{
    struct ir_op *o = emit_raw(b, IR_RAISE);
    o->imm = VECTOR_GP;
    o->aux = 1;
    b->ended = true;
}

void emit_jmp(struct builder *b, uint32_t eip)
{
    struct ir_op *o = emit_raw(b, IR_JMP);
    o->imm = eip;
    b->ended = true;
}

/* --- long blocks --- */

enum { PAGE_MASK = CODE_PAGE_BYTES - 1 };

/* The number of the page of eip among the block's; one more than there are, if the block may go on there; -1:
 * it may not. */
static int page_of(struct builder *b, uint32_t eip)
{
    const struct translate_request *req = b->req;
    struct followed_page *next = &b->pages[b->npages + 1];
    if ((eip ^ req->eip) <= PAGE_MASK)
        return 0;
    for (int i = 1; i <= b->npages; i++)
        if (eip - b->pages[i].eip <= PAGE_MASK)
            return i;
    if (!req->page || b->npages == TB_PAGES - 1 || !req->page(req->follow_ctx, eip, &next->is))
        return -1;
    next->eip = eip & ~(uint32_t)PAGE_MASK;
    return b->npages + 1;
}

/* May the block go on with the instruction at eip, to which it has not come yet? */
static bool may_follow(struct builder *b, uint32_t eip)
{
    const struct translate_out *out = b->out;
    if (!b->req->follow || b->req->code2 || eip == b->eip || out->ninsns + 1 >= TB_LONG_INSNS_MAX)
        return false;
    for (unsigned i = 0; i < out->ninsns; i++)
        if (b->req->eip + (uint32_t)out->insn_offset[i] == eip)
            return false;
    const int page = page_of(b, eip);
    b->next_page = (uint8_t)page;
    return page >= 0;
}

/* Behind may_follow. */
static void follow(struct builder *b, uint32_t eip)
{
    if (b->next_page > b->npages) {
        struct ir_op *o = emit_raw(b, IR_CROSS);
        o->imm = eip;
        o->imm2 = b->pages[++b->npages].is.phys_page;
    }
    b->jumped = eip != b->next_eip;
    b->next_eip = b->segment = eip;
}

void emit_goto(struct builder *b, uint32_t eip)
{
    if (may_follow(b, eip))
        follow(b, eip);
    else
        emit_jmp(b, eip);
}

/* A call of the next instruction is how code learns where it is: nobody returns from it. */
void emit_call(struct builder *b, uint32_t eip)
{
    const uint32_t back = b->next_eip;
    if (eip != back) {
        b->ncalls = b->ncalls == CALLS_MAX ? 0 : b->ncalls;
        b->calls[b->ncalls++] = back;
    }
    emit_goto(b, eip);
}

void emit_return(struct builder *b, unsigned slot)
{
    if (b->ncalls == 0 || !may_follow(b, b->calls[b->ncalls - 1])) {
        emit_jmpind(b, slot);
        return;
    }
    struct ir_op *o = emit_raw(b, IR_EXPECT);
    o->a = (uint8_t)slot;
    o->imm = b->calls[--b->ncalls];
    follow(b, o->imm);
}

static void emit_side(struct builder *b, unsigned cond, uint32_t eip)
{
    struct ir_op *o = emit_raw(b, IR_SIDE);
    o->imm = eip;
    o->imm2 = 2u + b->sides++;
    set_cond(b, o, cond);
}

/* Does the block go on behind a conditional jump? One to its start makes it a loop. */
static bool follow_jcc(struct builder *b, unsigned cond, uint32_t taken_eip, uint32_t else_eip)
{
    if (!b->req->follow || taken_eip == b->req->eip || b->sides == TB_SIDES_MAX)
        return false;
    const enum translate_follow way = b->req->follow(b->req->follow_ctx, b->segment);
    const uint32_t eip = way == FOLLOW_TAKEN ? taken_eip : else_eip;
    if (way == FOLLOW_END || !may_follow(b, eip))
        return false;
    emit_side(b, way == FOLLOW_TAKEN ? cond ^ 1 : cond, way == FOLLOW_TAKEN ? else_eip : taken_eip);
    follow(b, eip);
    return true;
}

void emit_jcc(struct builder *b, unsigned cond, uint32_t taken_eip, uint32_t else_eip)
{
    if (follow_jcc(b, cond, taken_eip, else_eip))
        return;
    const bool loops = else_eip == b->req->eip; /* a long block: loops are known by the branch taken */
    struct ir_op *o = emit_raw(b, IR_JCC);
    o->imm = loops ? else_eip : taken_eip;
    o->imm2 = loops ? taken_eip : else_eip;
    set_cond(b, o, loops ? cond ^ 1 : cond);
    b->ended = true;
}

void emit_jnz(struct builder *b, unsigned slot, uint32_t taken_eip, uint32_t else_eip)
{
    struct ir_op *o = emit_raw(b, IR_JNZ);
    o->a = (uint8_t)slot;
    o->imm = taken_eip;
    o->imm2 = else_eip;
    b->ended = true;
}

void emit_jmpind(struct builder *b, unsigned slot)
{
    emit_raw(b, IR_JMPIND)->a = (uint8_t)slot;
    b->ended = true;
}

void emit_leave(struct builder *b)
{
    emit_raw(b, IR_LEAVE_TB);
    b->ended = true;
}

void emit_leave_if_mode_changed(struct builder *b)
{
    struct ir_op *o = emit_raw(b, IR_LEAVE_TB);
    o->aux = 1;
    o->flags = IRF_EIP;
    o->imm2 = b->next_eip;
    b->ended = true;
}
