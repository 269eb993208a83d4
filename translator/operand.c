/* operand.c - see operand.h.
 *
 * In flat mode (tb.h) DS, ES and SS need neither base nor check: a linear address is the offset, and loads
 * take base + displacement directly. FS and GS, CS (which protected mode never lets anyone write, and may not
 * let read), and everything in other modes go through SEGADDR, which has little to check where the mode says
 * that the segment is plain and the offset has 16 bits. */
#include "translator/operand.h"

/* --- sizes and registers --- */

unsigned opnd_size(const struct insn *in, unsigned i)
{
    switch (opnd_info[in->row->opnd[i]].size) {
    case OPND_SIZE_B:
        return 0;
    case OPND_SIZE_W:
        return 1;
    case OPND_SIZE_D:
        return 2;
    case OPND_SIZE_X:
        return insn_opnd_is_mem(in, i) ? 1 : in->opsize;
    default:
        return in->opsize;
    }
}

/* Register number as the instruction encodes it. */
static unsigned reg_number(const struct insn *in, unsigned i)
{
    switch (opnd_info[in->row->opnd[i]].kind) {
    case OPND_RM:
    case OPND_RMREG:
        return in->rm;
    case OPND_REG:
        return in->reg;
    case OPND_OPREG:
        return in->opcode & 7;
    case OPND_FIXED1:
        return IR_ECX;
    case OPND_FIXED2:
        return IR_EDX;
    default:
        return IR_EAX;
    }
}

unsigned opnd_reg(const struct insn *in, unsigned i)
{
    return reg_number(in, i);
}

static bool is_imm(const struct insn *in, unsigned i)
{
    const uint8_t kind = opnd_info[in->row->opnd[i]].kind;
    return kind == OPND_IMM || kind == OPND_SIMM || kind == OPND_ONE;
}

/* The immediate of operand i: `imm2` when an earlier operand is an immediate too. */
static uint32_t imm_of(const struct insn *in, unsigned i)
{
    if (opnd_info[in->row->opnd[i]].kind == OPND_ONE)
        return 1;
    for (unsigned before = 0; before < i; before++)
        if (is_imm(in, before))
            return in->imm2;
    return in->imm;
}

/* AL CL DL BL AH CH DH BH: slot and half of 8-bit register n. */
static unsigned byte_reg(unsigned n)
{
    return n & 3;
}
static unsigned byte_high(unsigned n)
{
    return n >> 2;
}

/* Part of a register, zero-extended; read once per instruction. */
static unsigned narrow_value(struct builder *b, unsigned reg, unsigned size, unsigned high)
{
    const int key = (int)(reg * 4 + size * 2 + high);
    if (b->narrow_key == key)
        return b->narrow_temp;
    const unsigned t = emit_temp(b);
    if (size == 0)
        emit_getb(b, t, reg, high);
    else
        emit_unary(b, IR_GETW, 0, 0, t, reg);
    b->narrow_key = key;
    b->narrow_temp = (uint8_t)t;
    return t;
}

unsigned reg_value(struct builder *b, unsigned reg, unsigned size)
{
    return size == 2 ? reg : narrow_value(b, reg, size, 0);
}

void reg_store(struct builder *b, unsigned reg, unsigned size, struct value v)
{
    if (size == 1)
        emit_putw(b, reg, v);
    else if (v.is_imm || v.slot != reg)
        emit_mov(b, reg, v);
}

/* --- addresses --- */

/* A CS override takes the checked way: code segments cannot be written. */
bool seg_is_flat(const struct builder *b, unsigned seg)
{
    return mode_has(b, TB_MODE_FLAT) && (seg == SEG_DS || seg == SEG_ES || seg == SEG_SS);
}

/* The offset as slot + displacement. */
static struct addr effective(struct builder *b, const struct insn *in, uint32_t extra)
{
    const uint32_t disp = in->disp + extra;
    if (in->addrsize == 2 && in->index == IR_ZERO)
        return (struct addr){in->base, disp};
    if (in->addrsize == 1 && in->base == IR_ZERO)
        return (struct addr){IR_ZERO, disp & 0xffff};
    const unsigned t = emit_temp(b);
    if (in->addrsize == 1)
        emit_lea16(b, t, in->base, in->index, disp);
    else
        emit_lea(b, t, in->base, in->index, in->scale, disp);
    return (struct addr){(uint8_t)t, 0};
}

unsigned addr_slot(struct builder *b, struct addr at)
{
    if (at.disp == 0)
        return at.base;
    const unsigned t = emit_temp(b);
    emit_lea(b, t, at.base, IR_ZERO, 0, at.disp);
    return t;
}

/* May protected mode have let CS in for being readable? */
static bool seg_is_plain(const struct builder *b, unsigned seg, bool write)
{
    const bool maybe_code = seg == SEG_CS && mode_has(b, TB_MODE_PE);
    return (b->req->mode & tb_mode_plain(seg)) && !(write && maybe_code);
}

/* Temporaries live in one instruction: what made this one is among its last ops. */
static bool is_below_64k(const struct builder *b, struct addr at)
{
    const struct ir_op *o = b->out->ops + b->out->nops;
    if (at.base == IR_ZERO)
        return at.disp <= 0xffff;
    if (at.base < IR_T0 || at.disp != 0)
        return false;
    do
        o--;
    while (o->dst != at.base);
    return o->op == IR_LEA16 || o->op == IR_GETW;
}

static struct addr linear(struct builder *b, unsigned seg, struct addr offset, unsigned size, bool write)
{
    if (seg_is_flat(b, seg))
        return offset;
    const unsigned t = emit_temp(b);
    const bool plain = seg_is_plain(b, seg, write) && is_below_64k(b, offset);
    emit_segaddr(b, size, (write ? IRF_WRITE : 0) | (plain ? IRF_PLAIN : 0), t, seg, offset);
    return (struct addr){(uint8_t)t, 0};
}

struct addr seg_addr(struct builder *b, unsigned seg, unsigned offset, unsigned size, bool write)
{
    return linear(b, seg, (struct addr){(uint8_t)offset, 0}, size, write);
}

struct addr mem_addr(struct builder *b, const struct insn *in, uint32_t extra, unsigned size, bool write)
{
    return linear(b, in->seg, effective(b, in, extra), size, write);
}

unsigned mem_offset(struct builder *b, const struct insn *in, uint32_t extra)
{
    return addr_slot(b, effective(b, in, extra));
}

/* --- reading --- */

unsigned value_in_slot(struct builder *b, struct value v)
{
    if (!v.is_imm)
        return v.slot;
    if (v.imm == 0)
        return IR_ZERO;
    const unsigned t = emit_temp(b);
    emit_mov(b, t, v);
    return t;
}

static unsigned load_mem(struct builder *b, const struct insn *in, unsigned size)
{
    const struct addr at = mem_addr(b, in, 0, size, false);
    const unsigned t = emit_temp(b);
    emit_load(b, IR_LD, size, t, at);
    return t;
}

/* A register operand, zero-extended. */
static unsigned load_reg(struct builder *b, unsigned n, unsigned size)
{
    return size == 0 ? narrow_value(b, byte_reg(n), 0, byte_high(n)) : reg_value(b, n, size);
}

struct value opnd_value(struct builder *b, const struct insn *in, unsigned i)
{
    if (is_imm(in, i))
        return value_imm(imm_of(in, i));
    if (insn_opnd_is_mem(in, i))
        return value_slot(load_mem(b, in, opnd_size(in, i)));
    return value_slot(load_reg(b, reg_number(in, i), opnd_size(in, i)));
}

struct value opnd_value_low(struct builder *b, const struct insn *in, unsigned i)
{
    const unsigned n = reg_number(in, i);
    if (is_imm(in, i) || insn_opnd_is_mem(in, i) || (opnd_size(in, i) == 0 && byte_high(n)))
        return opnd_value(b, in, i);
    return value_slot(n);
}

unsigned opnd_slot(struct builder *b, const struct insn *in, unsigned i)
{
    return value_in_slot(b, opnd_value(b, in, i));
}

/* --- operands that are written --- */

struct operand opnd_locate(struct builder *b, const struct insn *in, unsigned i, enum operand_use use)
{
    const unsigned n = reg_number(in, i);
    struct operand p = {.size = (uint8_t)opnd_size(in, i), .use = (uint8_t)use};
    p.is_mem = insn_opnd_is_mem(in, i);
    if (p.is_mem)
        p.at = mem_addr(b, in, 0, p.size, use != USE_READ);
    p.reg = (uint8_t)(p.size == 0 ? byte_reg(n) : n);
    p.high = p.size == 0 && byte_high(n);
    return p;
}

unsigned operand_load(struct builder *b, const struct operand *p)
{
    if (!p->is_mem)
        return p->size == 2 ? p->reg : narrow_value(b, p->reg, p->size, p->high);
    const unsigned t = emit_temp(b);
    emit_load(b, p->use == USE_RW ? IR_LDRW : IR_LD, p->size, t, p->at);
    return t;
}

unsigned operand_target(struct builder *b, const struct operand *p)
{
    return p->is_mem || p->size != 2 ? emit_temp(b) : p->reg;
}

void operand_store(struct builder *b, const struct operand *p, struct value v)
{
    if (p->is_mem)
        emit_store(b, p->size, p->at, v);
    else if (p->size == 0)
        emit_putb(b, p->reg, p->high, v);
    else
        reg_store(b, p->reg, p->size, v);
}

/* --- the stack --- */

/* dst = ESP + delta at the stack's width. */
static unsigned moved_sp(struct builder *b, uint32_t delta)
{
    const unsigned t = emit_temp(b);
    if (mode_has(b, TB_MODE_STACK32))
        emit_lea(b, t, IR_ESP, IR_ZERO, 0, delta);
    else
        emit_lea16(b, t, IR_ESP, IR_ZERO, delta);
    return t;
}

static void set_sp(struct builder *b, unsigned slot)
{
    reg_store(b, IR_ESP, mode_has(b, TB_MODE_STACK32) ? 2 : 1, value_slot(slot));
}

static bool is_simple_stack(const struct builder *b)
{
    return mode_has(b, TB_MODE_STACK32) && seg_is_flat(b, SEG_SS);
}

static void push_stored(struct builder *b, unsigned size, unsigned stored_size, struct value v)
{
    const uint32_t delta = 0u - (1u << size);
    if (is_simple_stack(b)) {
        emit_store(b, stored_size, (struct addr){IR_ESP, delta}, v);
        emit_binary(b, IR_ADD, 2, 0, IR_ESP, IR_ESP, value_imm(delta));
        return;
    }
    const unsigned sp = moved_sp(b, delta);
    emit_store(b, stored_size, seg_addr(b, SEG_SS, sp, stored_size, true), v);
    set_sp(b, sp);
}

void builder_push(struct builder *b, unsigned size, struct value v)
{
    push_stored(b, size, size, v);
}

void builder_push_selector(struct builder *b, unsigned size, struct value v)
{
    push_stored(b, size, 1, v);
}

unsigned stack_load(struct builder *b, unsigned size, unsigned into)
{
    const unsigned sp = mode_has(b, TB_MODE_STACK32) ? IR_ESP : moved_sp(b, 0);
    const struct addr at = seg_addr(b, SEG_SS, sp, size, false);
    const unsigned t = into == IR_NONE ? emit_temp(b) : into;
    emit_load(b, IR_LD, size, t, at);
    return t;
}

void stack_release(struct builder *b, unsigned bytes)
{
    if (mode_has(b, TB_MODE_STACK32))
        emit_binary(b, IR_ADD, 2, 0, IR_ESP, IR_ESP, value_imm(bytes));
    else
        set_sp(b, moved_sp(b, bytes));
}

unsigned stack_released(struct builder *b, unsigned bytes)
{
    const unsigned t = emit_temp(b);
    if (mode_has(b, TB_MODE_STACK32)) {
        emit_lea(b, t, IR_ESP, IR_ZERO, 0, bytes);
        return t;
    }
    const unsigned sp = moved_sp(b, bytes);
    emit_mov(b, t, value_slot(IR_ESP));
    emit_putw(b, t, value_slot(sp));
    return t;
}
