/* sse.c - MMX, SSE, SSE2 and SSE3 instructions: operands, faults, dispatch.
 *
 * One helper for register and one for memory forms, driven by the rows of translator/insns_sse.def. Order:
 * pending x87 exception (#MF), alignment (#GP(0)), page faults, SIMD floating-point exception (#XM); only
 * then is anything written. MMX registers are the significands of the x87 registers; an MMX instruction
 * leaves TOP = 0, all registers valid, and ones above what it writes (SDM 1 9.5).
 *
 * NOT MODELLED: FIP, FDP and FOP are left alone by MMX instructions; non-temporal stores are stores. */
#include "translator/cc.h"
#include "vcpu/arch/sse_internal.h"

struct sse_insn {
    struct vcpu *v;
    const struct ir_op *op;
    enum sse_id id;
    const struct sse_row *row;
    bool is_mem;
};

static struct sse_insn insn_of(struct vcpu *v, const struct ir_op *op, bool is_mem)
{
    const enum sse_id id = sse_op_id(op->imm2);
    return (struct sse_insn){v, op, id, &sse_rows[id], is_mem};
}

/* SDM 2 CVTPI2PD: with a memory operand it is no MMX instruction. */
static bool is_mmx(const struct sse_insn *c)
{
    return (c->row->class & SSE_IS_MMX) && !(c->is_mem && c->id == SSE_66_0x0f2a_ANY_RM);
}

static enum helper_result mmx_wait(const struct sse_insn *c)
{
    return is_mmx(c) ? fpu_wait(c->v) : HELPER_OK;
}

/* --- registers --- */

static uint8_t *xmm(const struct sse_insn *c, unsigned i)
{
    return c->v->g.sse.xmm[i];
}
static uint8_t *mmx(const struct sse_insn *c, unsigned i)
{
    return c->v->g.x87.r[i];
}
static unsigned reg_of(const struct ir_op *op)
{
    return op->aux & 7;
}
static unsigned rm_of(const struct ir_op *op)
{
    return op->aux >> 4 & 7;
}

static void mmx_write(struct vcpu *v, unsigned i, const void *value)
{
    memcpy(v->g.x87.r[i], value, 8);
    memset(v->g.x87.r[i] + 8, 0xff, 2);
}

/* --- memory --- */

static bool is_in_page(uint32_t lin_addr, unsigned bytes)
{
    return (lin_addr & (PAGE_BYTES - 1)) + bytes <= PAGE_BYTES;
}

static bool read_wide(struct vcpu *v, uint32_t lin_addr, uint8_t *to)
{
    const bool user = mem_is_user(v);
    uint64_t half[2];
    if (!mem_read(v, lin_addr, 8, user, &half[0]) || !mem_read(v, lin_addr + 8, 8, user, &half[1]))
        return false;
    memcpy(to, half, 16);
    return true;
}

/* Little-endian, zero-extended to 16 bytes. */
static bool read_operand(struct vcpu *v, uint32_t lin_addr, unsigned bytes, uint8_t *to)
{
    const uint8_t *fast = is_in_page(lin_addr, bytes) ? mem_fast_read(v, lin_addr) : NULL;
    uint64_t value;
    memset(to, 0, 16);
    if (fast) {
        memcpy(to, fast, bytes);
        return true;
    }
    if (bytes == 16)
        return read_wide(v, lin_addr, to);
    if (!mem_read(v, lin_addr, bytes, mem_is_user(v), &value))
        return false;
    memcpy(to, &value, bytes);
    return true;
}

static bool write_wide(struct vcpu *v, uint32_t lin_addr, const uint8_t *from)
{
    const bool user = mem_is_user(v);
    uint64_t half[2];
    memcpy(half, from, 16);
    return mem_probe_write(v, lin_addr, 16, user) && mem_write(v, lin_addr, 8, user, half[0]) &&
           mem_write(v, lin_addr + 8, 8, user, half[1]);
}

static bool write_operand(struct vcpu *v, uint32_t lin_addr, unsigned bytes, const uint8_t *from)
{
    uint8_t *fast = is_in_page(lin_addr, bytes) ? mem_fast_write(v, lin_addr) : NULL;
    uint64_t value = 0;
    if (fast) {
        memcpy(fast, from, bytes);
        return true;
    }
    if (bytes == 16)
        return write_wide(v, lin_addr, from);
    memcpy(&value, from, bytes);
    return mem_write(v, lin_addr, bytes, mem_is_user(v), value);
}

/* --- operands --- */

/* Into io what the register forms read; memory was read into io->b before. */
static void load_opnd(const struct sse_insn *c, struct sse_io *io, unsigned i)
{
    switch (c->row->opnd[i]) {
    case OP_V:
        memcpy(io->a, xmm(c, reg_of(c->op)), 16);
        break;
    case OP_P:
        memcpy(io->a, mmx(c, reg_of(c->op)), 8);
        break;
    case OP_W:
    case OP_U:
        if (!c->is_mem)
            memcpy(io->b, xmm(c, rm_of(c->op)), 16);
        break;
    case OP_Q:
    case OP_N:
        if (!c->is_mem)
            memcpy(io->b, mmx(c, rm_of(c->op)), 8);
        break;
    case OP_Ed:
    case OP_EdMw:
        if (c->is_mem)
            memcpy(&io->gpr, io->b, 4);
        else if (c->op->b != IR_NONE)
            io->gpr = c->v->g.slot[c->op->b];
        break;
    default:
        break;
    }
}

/* AF, SF and OF are cleared, CF, PF and ZF are the outcome. */
static void commit_flags(struct vcpu *v, const struct sse_io *io)
{
    uint32_t *slot = v->g.slot;
    slot[IR_CC_OP] = CC_EFLAGS;
    slot[IR_CC_A] = slot[IR_CC_B] = 0;
    slot[IR_CC_R] = (io->carry ? FLAG_CF : 0) | (io->parity ? FLAG_PF : 0) | (io->zero ? FLAG_ZF : 0);
}

static void commit(const struct sse_insn *c, const struct sse_io *io)
{
    if (c->row->class & SSE_IS_FLAGS) {
        commit_flags(c->v, io);
        return;
    }
    switch (c->row->opnd[0]) {
    case OP_V:
        memcpy(xmm(c, reg_of(c->op)), io->a, 16);
        break;
    case OP_P:
        mmx_write(c->v, reg_of(c->op), io->a);
        break;
    case OP_W:
    case OP_U:
        memcpy(xmm(c, rm_of(c->op)), io->b, 16);
        break;
    case OP_Q:
    case OP_N:
        mmx_write(c->v, rm_of(c->op), io->b);
        break;
    case OP_Gd:
    case OP_Ed:
        c->v->g.slot[c->op->dst] = io->gpr;
        break;
    default:
        break;
    }
}

/* --- running --- */

/* Loads that exist for memory only, and MOVSS, MOVSD, which clear the rest of the register then. */
static bool is_own_load(const struct sse_insn *c)
{
    return c->is_mem && (c->row->opnd[1] == OP_Mx || c->row->opcode == 0x0f10);
}

static void run_own_load(const struct sse_insn *c, struct sse_io *io)
{
    const bool high = c->row->opcode == 0x0f16;
    if (c->row->opcode == 0x0f10 || c->row->bytes == 16)
        memcpy(io->a, io->b, 16);
    else
        memcpy(io->a + (high ? 8 : 0), io->b, 8);
}

static bool has_imm(const struct sse_row *row)
{
    return row->opnd[1] == OP_Ib || row->opnd[2] == OP_Ib;
}

/* False: exception recorded. */
static bool run(const struct sse_insn *c, struct sse_io *io)
{
    const uint8_t imm = sse_op_imm(c->op->imm2), class = c->row->class;
    if (is_own_load(c))
        run_own_load(c, io);
    else if ((class & SSE_IS_FP) && has_imm(c->row))
        return sse_run_fp(c->v, c->id, sse_exec_cmp(c->row->prefix, imm), io);
    else if (class & SSE_IS_FP)
        return sse_run_fp(c->v, c->id, sse_exec[c->id], io);
    else if (class & SSE_IS_APPROX)
        sse_run_approx(c->id, io);
    else if (has_imm(c->row))
        sse_run_imm(c->id, io, imm);
    else
        sse_exec[c->id](io);
    return true;
}

static enum helper_result run_loaded(const struct sse_insn *c, struct sse_io *io)
{
    load_opnd(c, io, 0);
    load_opnd(c, io, 1);
    if (is_mmx(c)) /* an #XM comes after it */
        mmx_enter(&c->v->g.x87);
    if (!run(c, io))
        return HELPER_FAULT;
    commit(c, io);
    return HELPER_OK;
}

enum helper_result helper_SSE_REG(struct vcpu *v, const struct ir_op *op)
{
    const struct sse_insn c = insn_of(v, op, false);
    struct sse_io io = {.gpr = 0};
    return mmx_wait(&c) == HELPER_OK ? run_loaded(&c, &io) : HELPER_FAULT;
}

/* --- memory forms --- */

/* MXCSR, or the part of a register that the row stores. */
static const uint8_t *stored_bytes(const struct sse_insn *c)
{
    const unsigned high = c->row->opcode == 0x0f17 ? 8 : 0;
    if (c->row->class & SSE_IS_CSR)
        return (const uint8_t *)&c->v->g.sse.mxcsr;
    return c->row->opnd[1] == OP_P ? mmx(c, reg_of(c->op)) : xmm(c, reg_of(c->op)) + high;
}

static enum helper_result store(const struct sse_insn *c, uint32_t lin_addr)
{
    if (!write_operand(c->v, lin_addr, c->row->bytes, stored_bytes(c)))
        return HELPER_FAULT;
    if (is_mmx(c))
        mmx_enter(&c->v->g.x87);
    return HELPER_OK;
}

static enum helper_result load_csr(const struct sse_insn *c, const struct sse_io *io)
{
    uint32_t value;
    memcpy(&value, io->b, 4);
    return sse_load_mxcsr(c->v, value) ? HELPER_OK : HELPER_FAULT;
}

enum helper_result helper_SSE_MEM(struct vcpu *v, const struct ir_op *op)
{
    const struct sse_insn c = insn_of(v, op, true);
    const uint32_t lin_addr = v->g.slot[op->a] + op->disp;
    struct sse_io io = {.gpr = 0};
    if (mmx_wait(&c) != HELPER_OK)
        return HELPER_FAULT;
    if (lin_addr & (c.row->align - 1u))
        return vcpu_raise_error(v, EXC_GP, 0);
    if (sse_row_stores(c.row))
        return store(&c, lin_addr);
    if (!read_operand(v, lin_addr, c.row->bytes, io.b))
        return HELPER_FAULT;
    return c.row->class & SSE_IS_CSR ? load_csr(&c, &io) : run_loaded(&c, &io);
}

/* --- MASKMOVQ, MASKMOVDQU: each selected byte is an access of its own, checked before any is written --- */

struct masked {
    const uint8_t *data, *mask;
    unsigned bytes;
    uint32_t lin_addr[16];
};

static bool is_selected(const struct masked *m, unsigned i)
{
    return m->mask[i] & 0x80;
}

static bool masked_check(struct vcpu *v, const struct ir_op *op, struct masked *m)
{
    const uint32_t offset = v->g.slot[op->a];
    for (unsigned i = 0; i < m->bytes; i++)
        if (is_selected(m, i) && (!seg_linear(v, op->imm2, offset + i, 1, true, &m->lin_addr[i]) ||
                                  !mem_probe_write(v, m->lin_addr[i], 1, mem_is_user(v))))
            return false;
    return true;
}

static bool masked_write(struct vcpu *v, const struct masked *m)
{
    for (unsigned i = 0; i < m->bytes; i++)
        if (is_selected(m, i) && !mem_write(v, m->lin_addr[i], 1, mem_is_user(v), m->data[i]))
            return false;
    return true;
}

enum helper_result helper_MASKMOV(struct vcpu *v, const struct ir_op *op)
{
    const bool mm = op->size == 3;
    struct guest_state *g = &v->g;
    struct masked m = {.data = mm ? g->x87.r[reg_of(op)] : g->sse.xmm[reg_of(op)],
                       .mask = mm ? g->x87.r[rm_of(op)] : g->sse.xmm[rm_of(op)],
                       .bytes = 1u << op->size};
    if (mm && fpu_wait(v) != HELPER_OK)
        return HELPER_FAULT;
    if (!masked_check(v, op, &m) || !masked_write(v, &m))
        return HELPER_FAULT;
    if (mm)
        mmx_enter(&g->x87);
    return HELPER_OK;
}

/* --- the rest --- */

enum helper_result helper_EMMS(struct vcpu *v, const struct ir_op *op)
{
    (void)op;
    if (fpu_wait(v) != HELPER_OK)
        return HELPER_FAULT;
    mmx_enter(&v->g.x87);
    v->g.x87.empty = 0xff;
    return HELPER_OK;
}

enum helper_result helper_CLFLUSH(struct vcpu *v, const struct ir_op *op)
{
    return mem_probe_read(v, v->g.slot[op->a], 1, mem_is_user(v)) ? HELPER_OK : HELPER_FAULT;
}
