/* fpu.c - see fpu.h.
 *
 * Inline: what IEEE 754 and the SDM fix. In C: transcendental instructions, FXTRACT, decimal forms
 * (computed in integers there), undocumented aliases, and what moves or resets the whole state. */
#include "translator/x64/fpu.h"

#include "translator/x64/compile.h"
#include "translator/x64/flags.h"
#include "translator/x64/mem.h"
#include "translator/x64/sse.h"
#include "translator/x87.h"

enum { ESC_D9 = 1, ESC_DA, ESC_DB, ESC_DC, ESC_DD, ESC_DE, ESC_DF }; /* escape opcode & 7 */
enum { STACK_UP = 0xf7, STACK_DOWN = 0xf6 };                         /* D9: FINCSTP, FDECSTP */

static unsigned escape_of(const struct ir_op *op)
{
    return op->imm2 >> 8 & 7;
}
static unsigned modrm_of(const struct ir_op *op)
{
    return op->imm2 & 0xff;
}
static unsigned digit_of(const struct ir_op *op)
{
    return op->imm2 >> 3 & 7;
}
static bool is_mem(const struct ir_op *op)
{
    return op->imm == HELPER_X87_MEM;
}
/* Of HELPER ops X87_MEM and X87_REG. */
static const struct x87_form *form_of(const struct ir_op *op)
{
    return is_mem(op) ? &x87_mem_forms[escape_of(op)][digit_of(op)]
                      : &x87_reg_forms[escape_of(op)][modrm_of(op) & 63];
}
static bool is_form(const struct ir_op *op, enum x87_inline how)
{
    return form_of(op)->how == how;
}

/* --- what is inline --- */

/* MATCH x87_operand: where the helpers take slot a for the linear address. */
static bool is_flat(const struct compile *c, unsigned seg)
{
    return (c->tb->mode & TB_MODE_FLAT) && seg < SEG_FS && seg != SEG_CS;
}

/* Does the host do otherwise than the helper (probe.h)? */
static bool differs_on_host(const struct x64_host *h, const struct ir_op *op)
{
    return is_mem(op) ? h->x87_mem_in_c >> (escape_of(op) * 8 + digit_of(op)) & 1
                      : h->x87_reg_in_c[escape_of(op)] >> (modrm_of(op) & 63) & 1;
}

bool fpu_is_inline(const struct compile *c, const struct ir_op *op)
{
    if (op->op != IR_HELPER || c->tb->fpu_in_c || (c->tb->mode & TB_MODE_SINGLE))
        return false;
    if (helper_info[op->imm].form == HELPER_INLINE_SSE)
        return sse_is_inline(&c->x->host, op);
    if (helper_info[op->imm].form != HELPER_INLINE_X87)
        return false;
    if (op->imm == HELPER_FWAIT)
        return true;
    return !is_form(op, X87_INLINE_CALL) && (!is_mem(op) || is_flat(c, op->aux)) &&
           !differs_on_host(&c->x->host, op);
}

static bool is_sse_mem(const struct ir_op *op)
{
    return op->imm == HELPER_SSE_MEM;
}
static bool is_sse(const struct ir_op *op)
{
    return helper_info[op->imm].form == HELPER_INLINE_SSE;
}

bool fpu_is_mem(const struct ir_op *op)
{
    return is_mem(op) || is_sse_mem(op);
}

unsigned fpu_operand_bytes(const struct ir_op *op)
{
    return is_sse_mem(op) ? sse_operand_bytes(op) : form_of(op)->bytes;
}

unsigned fpu_operand_align(const struct ir_op *op)
{
    return is_sse_mem(op) ? sse_operand_align(op) : 1;
}

bool fpu_operand_written(const struct ir_op *op)
{
    return is_sse_mem(op) ? sse_operand_written(op) : form_of(op)->access == X87_STORE;
}

bool fpu_writes_slot(const struct ir_op *op, unsigned slot)
{
    if (is_sse(op))
        return op->imm != HELPER_EMMS && op->dst == slot;
    return op->imm == HELPER_X87_REG && is_form(op, X87_INLINE_FNSTSW) && slot == IR_EAX;
}

/* --- FIP and its like --- */

static struct host_mem mem_fpu(size_t field)
{
    return mem_state((uint32_t)(offsetof(struct guest_state, fpu_host) + field));
}
_Static_assert(offsetof(struct fpu_host, executed) == offsetof(struct fpu_host, fop) + 2 &&
                   offsetof(struct fpu_host, fds_seg) == offsetof(struct fpu_host, fop) + 3,
               "one store of 32 bits");

void fpu_flush_pending(struct compile *c, const struct fpu_pending *p)
{
    if (!p->last)
        return;
    part_begin(&c->b, X64_PART_FPU);
    const struct tb *tb = c->tb;
    uint32_t fop = p->last->imm2 & 0x7ff,
             fip = tb->lin_addr - tb->cs_base + (uint32_t)tb->insn_offset[p->last->insn];
    x_store_imm(&c->b, SZ32, mem_fpu(offsetof(struct fpu_host, fip)), fip);
    x_note_move(&c->b, X64_MOVE_LIN);
    if (p->last_mem) {
        uint32_t all = fop | 1u << 16 | (uint32_t)p->last_mem->aux << 24;
        x_store_imm(&c->b, SZ32, mem_fpu(offsetof(struct fpu_host, fop)), all);
        return;
    }
    x_store_imm(&c->b, SZ16, mem_fpu(offsetof(struct fpu_host, fop)), fop);
    x_store_imm(&c->b, SZ8, mem_fpu(offsetof(struct fpu_host, executed)), 1);
}

void fpu_flush(struct compile *c)
{
    fpu_flush_pending(c, &c->fpu);
    c->fpu = (struct fpu_pending){0};
}

/* --- where the guest's x87 is --- */

static uint8_t *jump_if(struct compile *c, unsigned cond)
{
    x_alu_mem_imm(&c->b, ALU_CMP, SZ8, mem_state(offsetof(struct guest_state, fpu_on_host)), 0);
    return x_jcc(&c->b, cond);
}

static void far_leave(struct compile *c, const struct far_code *f)
{
    x_call_to(&c->b, c->x->stubs.fpu_leave);
    x_jmp_to(&c->b, f->back);
}

void fpu_leave(struct compile *c)
{
    part_begin(&c->b, X64_PART_FPU);
    if (c->fpu_on_host) {
        x_call_to(&c->b, c->x->stubs.fpu_leave);
    } else {
        struct far_code *f = far_add(c, far_leave, jump_if(c, CC_NE));
        f->back = c->b.at;
    }
    c->fpu_on_host = false;
}

static void far_enter(struct compile *c, const struct far_code *f)
{
    x_call_to(&c->b, c->x->stubs.fpu_enter);
    uint8_t *refused = x_jcc(&c->b, CC_S);
    x_jmp_to(&c->b, f->back);
    x_patch_here(&c->b, refused);
    emit_fault_far(c, f);
}

static void fpu_enter(struct compile *c)
{
    if (c->fpu_on_host)
        return;
    enum x64_part before = part_begin(&c->b, X64_PART_FPU);
    struct far_code *f = far_add(c, far_enter, jump_if(c, CC_E));
    f->back = c->b.at;
    c->fpu_on_host = true;
    part_end(&c->b, before);
}

static void far_refuse(struct compile *c, const struct far_code *f)
{
    x_call_to(&c->b, c->x->stubs.fpu_refuse);
    emit_fault_far(c, f);
}

void fpu_refuse_if(struct compile *c, unsigned cond)
{
    far_add(c, far_refuse, x_jcc(&c->b, cond));
}

/* --- instructions --- */

void emit_fpu_access(struct compile *c, const struct ir_op *op, unsigned reg, struct host_mem at)
{
    if (is_sse_mem(op))
        emit_sse_access(c, op, reg, at);
    else if (is_form(op, X87_INLINE_FLDCW))
        x_load(&c->b, SZ16, reg, at);
    else
        x_fpu_mem(&c->b, 0xd8 + escape_of(op), digit_of(op), at);
}

static struct host_mem mem_x87(size_t field)
{
    return mem_state((uint32_t)(offsetof(struct guest_state, x87) + field));
}

/* Inline when everything stays masked, and the precision is none that hosts may take differently (MATCH
 * reserved_precision). MATCH fldcw */
static void emit_fldcw(struct compile *c, const struct ir_op *op)
{
    enum { KEPT = 0x1f3f, ONE = 0x40, MASKS = 0x3f, PC = 0x300, PC_RESERVED = 0x100 };
    struct host_mem cw = mem_x87(offsetof(struct x87_state, cw));
    unsigned reg = reg_scratch(c);
    emit_fpu_operand(c, op, reg);
    x_mov(&c->b, SZ32, SCRATCH1, reg);
    x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH1, MASKS);
    x_alu_imm(&c->b, ALU_CMP, SZ32, SCRATCH1, MASKS);
    fpu_refuse_if(c, CC_NE);
    x_mov(&c->b, SZ32, SCRATCH1, reg);
    x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH1, PC);
    x_alu_imm(&c->b, ALU_CMP, SZ32, SCRATCH1, PC_RESERVED);
    fpu_refuse_if(c, CC_E);
    x_alu_imm(&c->b, ALU_AND, SZ32, reg, KEPT);
    x_alu_imm(&c->b, ALU_OR, SZ32, reg, ONE);
    x_store(&c->b, SZ16, cw, reg);
    x_fpu_mem(&c->b, 0xd8 + ESC_D9, 5, cw);
}

static void emit_mem(struct compile *c, const struct ir_op *op)
{
    unsigned a = emit_fpu_operand(c, op, NO_REG);
    if (form_of(op)->class & X87_NO_POINTERS)
        return;
    part_begin(&c->b, X64_PART_FPU);
    emit_address(c, op, a);
    x_store(&c->b, SZ32, mem_x87(offsetof(struct x87_state, fdp)), SCRATCH1);
    c->fpu = (struct fpu_pending){op, op};
}

void fpu_flags_from_host(struct compile *c)
{
    flags_kill(c);
    x_mov(&c->b, SZ64, SCRATCH1, RAX);
    x_lahf(&c->b);
    x_movzx_high(&c->b, RAX, RAX);
    x_lea(&c->b, SZ32, SCRATCH2, mem_at(RAX, -2)); /* bit 1 is always set there */
    x_mov(&c->b, SZ64, RAX, SCRATCH1);
    x_store(&c->b, SZ32, mem_slot(IR_CC_R), SCRATCH2);
    flags_set(c, CC_EFLAGS, cc_in_slot(), cc_in_slot(), cc_in_slot());
    c->b.flags_for = FLAGS_ALL;
}

void emit_fpu_compare(struct x64_buf *b, unsigned opcode, unsigned modrm)
{
    x_fpu_reg(b, 0xd8 + ESC_D9, STACK_UP);
    x_fpu_reg(b, 0xd8 + ESC_D9, STACK_DOWN);
    x_fpu_reg(b, opcode, modrm);
}

static void emit_compare_eflags(struct compile *c, const struct ir_op *op)
{
    emit_fpu_compare(&c->b, 0xd8 + escape_of(op), modrm_of(op));
    fpu_flags_from_host(c);
}

/* The host's condition may be another: any of B, E, BE, P and their opposites. */
static void emit_fcmov(struct compile *c, const struct ir_op *op)
{
    static const uint8_t conds[] = {CC_B, CC_E, CC_BE, CC_P},
                         group[] = {[CC_B >> 1] = 0, [CC_E >> 1] = 1, [CC_BE >> 1] = 2, [CC_P >> 1] = 3};
    unsigned cond = conds[modrm_of(op) >> 3 & 3] | (escape_of(op) == ESC_DB);
    unsigned host = flags_cond(c, cond);
    unsigned modrm = 0xc0u | (unsigned)group[host >> 1] << 3 | (modrm_of(op) & 7);
    x_fpu_reg(&c->b, 0xd8u + (host & 1 ? ESC_DB : ESC_DA), modrm);
}

static void emit_reg(struct compile *c, const struct ir_op *op)
{
    if (is_form(op, X87_INLINE_FNSTSW)) { /* no pointers */
        flags_before_write(c, RAX);
        x_fpu_reg(&c->b, 0xd8 + ESC_DF, 0xe0);
        return;
    }
    if (is_form(op, X87_INLINE_EFLAGS))
        emit_compare_eflags(c, op);
    else if (is_form(op, X87_INLINE_FCMOV))
        emit_fcmov(c, op);
    else if (!is_form(op, X87_INLINE_NOTHING))
        x_fpu_reg(&c->b, 0xd8 + escape_of(op), modrm_of(op));
    c->fpu.last = op;
}

/* #MF is raised in C. While the x87 is on the host, nothing is pending, and the status in memory says so. */
static void emit_fwait(struct compile *c)
{
    enum { ES = 0x80 };
    x_load(&c->b, SZ8, SCRATCH1, mem_x87(offsetof(struct x87_state, sw)));
    x_test_imm(&c->b, SZ32, SCRATCH1, ES);
    fpu_refuse_if(c, CC_NE);
}

void emit_fpu(struct compile *c, const struct ir_op *op)
{
    if (op->imm == HELPER_FWAIT) {
        if (!c->fpu_on_host)
            emit_fwait(c);
        return;
    }
    fpu_enter(c);
    if (is_sse(op))
        emit_sse(c, op);
    else if (!is_mem(op))
        emit_reg(c, op);
    else if (is_form(op, X87_INLINE_FLDCW))
        emit_fldcw(c, op);
    else
        emit_mem(c, op);
}
