/* ops.c - emitters of the operations on values: moves, arithmetic, shifts, bits, conditions.
 *
 * Shape of each: operands (reg_src), flags that die (flags_kill) or must be whole (flags_flush), result
 * (reg_dst), host code, new flags (flags_set). Results narrower than 32 bits stay zero-extended: an 8- or
 * 16-bit host operation leaves the rest of its register as it is. */
#include "translator/x64/ops.h"

#include "clockcore/check.h"
#include "translator/x64/compile.h"
#include "translator/x64/flags.h"

/* Does it set flags that somebody sees? */
static bool op_wants_flags(const struct compile *c, const struct ir_op *op)
{
    return (op->flags & IRF_FLAGS) && c->regs.cc_live_after[op - c->ops];
}

bool op_is_for_dead_flags(const struct compile *c, const struct ir_op *op)
{
    return ir_is_for_flags(op) && !op_wants_flags(c, op);
}

static unsigned bits_of(unsigned size)
{
    return 8u << size;
}

static void move(struct compile *c, unsigned dst, unsigned src)
{
    enum x64_part before = part_begin(&c->b, X64_PART_MOVE);
    if (dst != src)
        x_mov(&c->b, SZ32, dst, src);
    part_end(&c->b, before);
}

/* dst = src without what is above the size. */
static void move_narrow(struct compile *c, unsigned size, unsigned dst, unsigned src)
{
    if (size == SZ32)
        move(c, dst, src);
    else
        x_movzx(&c->b, size, dst, src);
}

/* --- moves and widths --- */

void emit_MOV(struct compile *c, const struct ir_op *op)
{
    if (op_has_imm(op) || op->b == IR_ZERO) {
        x_mov_imm(&c->b, reg_dst(c, op->dst), op_has_imm(op) ? op->imm : 0);
        return;
    }
    unsigned b = reg_src(c, op->b), dst = reg_dst(c, op->dst);
    if (dst != b)
        x_mov(&c->b, SZ32, dst, b);
}

void emit_GETB(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a), dst = reg_dst(c, op->dst);
    if (op->aux == 0) {
        x_movzx(&c->b, SZ8, dst, a);
    } else if (a <= RBX && dst < R8) {
        x_movzx_high(&c->b, dst, a);
    } else {
        x_mov(&c->b, SZ32, SCRATCH1, a);
        x_shift_imm(&c->b, SH_SHR, SZ32, SCRATCH1, 8);
        x_movzx(&c->b, SZ8, dst, SCRATCH1);
    }
}

void emit_GETW(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a);
    x_movzx(&c->b, SZ16, reg_dst(c, op->dst), a);
}

/* Bits 8..15 of dst = low byte of src. */
static void put_high(struct compile *c, unsigned dst, unsigned src)
{
    if (src == dst) {
        x_mov(&c->b, SZ32, SCRATCH2, src);
        src = SCRATCH2;
    }
    x_shift_imm(&c->b, SH_ROR, SZ32, dst, 8);
    x_mov(&c->b, SZ8, dst, src);
    x_shift_imm(&c->b, SH_ROL, SZ32, dst, 8);
}

static void put_byte(struct compile *c, unsigned aux, unsigned dst, unsigned src)
{
    if (aux)
        put_high(c, dst, src);
    else
        x_mov(&c->b, SZ8, dst, src);
}

void emit_PUTB(struct compile *c, const struct ir_op *op)
{
    if (!op_has_imm(op)) {
        unsigned b = reg_src(c, op->b);
        put_byte(c, op->aux, reg_dst_kept(c, op->dst), b);
        return;
    }
    unsigned dst = reg_dst_kept(c, op->dst);
    if (op->aux == 0) {
        x_mov_imm8(&c->b, dst, (uint8_t)op->imm);
    } else if (dst <= RBX) {
        x_mov_imm8_high(&c->b, dst, (uint8_t)op->imm);
    } else {
        x_mov_imm(&c->b, SCRATCH1, op->imm);
        put_high(c, dst, SCRATCH1);
    }
}

void emit_PUTW(struct compile *c, const struct ir_op *op)
{
    if (op_has_imm(op)) {
        x_mov_imm16(&c->b, reg_dst_kept(c, op->dst), (uint16_t)op->imm);
        return;
    }
    unsigned b = reg_src(c, op->b);
    x_mov(&c->b, SZ16, reg_dst_kept(c, op->dst), b);
}

void emit_SEXT(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a), dst = reg_dst(c, op->dst);
    if (op->size == SZ32)
        move(c, dst, a);
    else
        x_movsx(&c->b, op->size, dst, a);
}

void emit_SEXT8W(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a), dst = reg_dst(c, op->dst);
    x_movsx(&c->b, SZ8, SCRATCH1, a);
    x_movzx(&c->b, SZ16, dst, SCRATCH1);
}

static struct host_mem lea_mem(struct compile *c, const struct ir_op *op, unsigned scale)
{
    unsigned a = op->a == IR_ZERO ? NO_REG : reg_src(c, op->a),
             b = op->b == IR_ZERO ? NO_REG : reg_src(c, op->b);
    return mem_indexed(a, b, scale, (int32_t)op->imm);
}

void emit_LEA(struct compile *c, const struct ir_op *op)
{
    struct host_mem m = lea_mem(c, op, op->aux);
    x_lea(&c->b, SZ32, reg_dst(c, op->dst), m);
}

void emit_LEA16(struct compile *c, const struct ir_op *op)
{
    struct host_mem m = lea_mem(c, op, 0);
    unsigned dst = reg_dst(c, op->dst);
    x_lea(&c->b, SZ32, SCRATCH1, m);
    x_movzx(&c->b, SZ16, dst, SCRATCH1);
}

void emit_BSWAP(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a), dst = reg_dst(c, op->dst);
    move(c, dst, a);
    x_bswap(&c->b, dst);
}

/* --- flags of an operation whose result may replace an operand --- */

/* The value of a register operand as CC slot `which`: it is stored now when the result replaces it. */
static struct cc_value operand_value(struct compile *c, unsigned which, unsigned reg, unsigned dst)
{
    if (reg != dst)
        return cc_in_reg(reg);
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    x_store(&c->b, SZ32, mem_slot(IR_CC_A + which), reg);
    part_end(&c->b, before);
    return cc_in_slot();
}

static struct cc_value result_value(struct compile *c, unsigned dst)
{
    if (dst != SCRATCH1)
        return cc_in_reg(dst);
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    x_store(&c->b, SZ32, mem_slot(IR_CC_R), dst);
    part_end(&c->b, before);
    return cc_in_slot();
}

/* --- two operands --- */

struct binary {
    enum host_alu alu;
    unsigned kind; /* enum cc_kind */
    bool commutes;
};

struct operands {
    unsigned a, b; /* registers; b NO_REG: the immediate */
    uint32_t imm;
};

static struct operands take_operands(struct compile *c, const struct ir_op *op)
{
    struct operands o = {.a = reg_src(c, op->a), .b = NO_REG, .imm = op->imm};
    if (op_has_imm(op))
        return o;
    o.imm = 0;
    if (op->b != IR_ZERO)
        o.b = reg_src(c, op->b);
    return o;
}

static void alu_operand(struct compile *c, const struct binary *k, unsigned size, unsigned dst,
                        struct operands o)
{
    if (o.b == NO_REG)
        x_alu_imm(&c->b, k->alu, size, dst, o.imm);
    else
        x_alu(&c->b, k->alu, size, dst, o.b);
}

/* dst = a op b; dst may be either's register. */
static void compute_binary(struct compile *c, const struct binary *k, unsigned size, unsigned dst,
                           struct operands o)
{
    if (o.b == dst && o.b != o.a && k->commutes) {
        x_alu(&c->b, k->alu, size, dst, o.a);
    } else if (o.b == dst && o.b != o.a) {
        x_mov(&c->b, SZ32, SCRATCH2, o.a);
        x_alu(&c->b, k->alu, size, SCRATCH2, o.b);
        x_mov(&c->b, SZ32, dst, SCRATCH2);
    } else {
        move(c, dst, o.a);
        alu_operand(c, k, size, dst, o);
    }
}

static struct cc_value b_value(struct compile *c, struct operands o, unsigned dst)
{
    return o.b == NO_REG ? cc_is_imm(o.imm) : operand_value(c, CC_B_VALUE, o.b, dst);
}

/* Of a sum, B is the operand that is not overwritten. */
static void order_operands(struct operands *o, unsigned dst)
{
    if (o->b == dst) {
        o->b = o->a;
        o->a = dst;
    }
}

static void emit_binary_flags(struct compile *c, const struct ir_op *op, const struct binary *k,
                              struct operands o)
{
    struct cc_value a = cc_in_slot(), b = cc_in_slot();
    flags_kill(c);
    unsigned dst = reg_dst(c, op->dst);
    if (k->kind == CC_KIND_ADD)
        order_operands(&o, dst);
    if (k->kind != CC_KIND_LOGIC) {
        b = b_value(c, o, dst);
        a = cc_derived();
    }
    compute_binary(c, k, op->size, dst, o);
    c->b.flags_for = FLAGS_ALL;
    struct cc_value r = result_value(c, dst);
    flags_set(c, CC_OP((int)k->kind, op->size), a, b, r);
}

/* Nothing is computed until the flags are asked for. */
static void emit_compare(struct compile *c, const struct ir_op *op, unsigned kind, struct operands o)
{
    struct cc_value b = o.b == NO_REG ? cc_is_imm(o.imm) : cc_in_reg(o.b);
    flags_kill(c);
    c->b.flags_for = 0;
    if (kind == CC_KIND_LOGIC && o.a == o.b)
        flags_set(c, CC_OP((int)kind, op->size), cc_in_slot(), cc_in_slot(), cc_in_reg(o.a));
    else
        flags_set(c, CC_OP((int)kind, op->size), cc_in_reg(o.a), b, cc_derived());
}

/* 32-bit sums without flags: one LEA, which spares the host's. */
static bool emit_sum(struct compile *c, const struct ir_op *op, const struct binary *k, struct operands o)
{
    bool sub_imm = k->alu == ALU_SUB && o.b == NO_REG;
    if (op->size != SZ32 || !(k->alu == ALU_ADD || sub_imm))
        return false;
    int32_t disp = (int32_t)(sub_imm ? 0u - o.imm : o.imm);
    x_lea(&c->b, SZ32, reg_dst(c, op->dst), mem_indexed(o.a, o.b, 0, o.b == NO_REG ? disp : 0));
    return true;
}

static void emit_binary(struct compile *c, const struct ir_op *op, const struct binary *k)
{
    struct operands o = take_operands(c, op);
    bool compares = op->dst == IR_NONE && (k->alu == ALU_SUB || k->alu == ALU_AND);
    if (op_wants_flags(c, op) && compares)
        emit_compare(c, op, k->kind, o);
    else if (op_wants_flags(c, op))
        emit_binary_flags(c, op, k, o);
    else if (!emit_sum(c, op, k, o))
        compute_binary(c, k, op->size, reg_dst(c, op->dst), o);
}

#define BINARY(NAME, KIND, COMMUTES)                                                                         \
    void emit_##NAME(struct compile *c, const struct ir_op *op)                                              \
    {                                                                                                        \
        static const struct binary k = {ALU_##NAME, CC_KIND_##KIND, COMMUTES};                               \
        emit_binary(c, op, &k);                                                                              \
    }
BINARY(ADD, ADD, true)
BINARY(SUB, SUB, false)
BINARY(AND, LOGIC, true)
BINARY(OR, LOGIC, true)
BINARY(XOR, LOGIC, true)

/* The result's register is asked for before the carry is in the host's flags: that may cost flag-writing
 * code. */
static void emit_with_carry(struct compile *c, const struct ir_op *op, const struct binary *k)
{
    struct operands o = take_operands(c, op);
    unsigned dst = reg_dst(c, op->dst);
    struct cc_value a = cc_in_slot(), b = cc_in_slot();
    flags_carry(c);
    if (op_wants_flags(c, op)) {
        flags_kill(c);
        b = b_value(c, o, dst);
        a = operand_value(c, CC_A_VALUE, o.a, dst);
    }
    compute_binary(c, k, op->size, dst, o);
    if (!op_wants_flags(c, op))
        return;
    c->b.flags_for = FLAGS_ALL;
    struct cc_value r = result_value(c, dst);
    flags_set(c, CC_OP((int)k->kind, op->size), a, b, r);
}

void emit_ADC(struct compile *c, const struct ir_op *op)
{
    static const struct binary k = {ALU_ADC, CC_KIND_ADC, true};
    emit_with_carry(c, op, &k);
}

void emit_SBB(struct compile *c, const struct ir_op *op)
{
    static const struct binary k = {ALU_SBB, CC_KIND_SBB, false};
    emit_with_carry(c, op, &k);
}

/* --- one operand --- */

static void step(struct compile *c, const struct ir_op *op, unsigned dst, bool up)
{
    if (up)
        x_inc(&c->b, op->size, dst);
    else
        x_dec(&c->b, op->size, dst);
}

static void emit_step(struct compile *c, const struct ir_op *op, unsigned kind)
{
    bool up = kind == CC_KIND_INC;
    unsigned a = reg_src(c, op->a), dst;
    if (!op_wants_flags(c, op)) {
        dst = reg_dst(c, op->dst);
        if (op->size == SZ32) {
            x_lea(&c->b, SZ32, dst, mem_at(a, up ? 1 : -1));
            return;
        }
        move(c, dst, a);
        step(c, op, dst, up);
        return;
    }
    struct cc_value cf = flags_carry_value(c);
    flags_kill(c);
    dst = reg_dst(c, op->dst);
    move(c, dst, a);
    step(c, op, dst, up);
    c->b.flags_for = FLAGS_NO_CARRY;
    struct cc_value r = result_value(c, dst);
    flags_set(c, CC_OP((int)kind, op->size), cc_derived(), cf, r);
}

void emit_INC(struct compile *c, const struct ir_op *op)
{
    emit_step(c, op, CC_KIND_INC);
}
void emit_DEC(struct compile *c, const struct ir_op *op)
{
    emit_step(c, op, CC_KIND_DEC);
}

void emit_NEG(struct compile *c, const struct ir_op *op)
{
    struct cc_value b = cc_in_slot();
    unsigned a = reg_src(c, op->a);
    if (op_wants_flags(c, op))
        flags_kill(c);
    unsigned dst = reg_dst(c, op->dst);
    if (op_wants_flags(c, op))
        b = operand_value(c, CC_B_VALUE, a, dst);
    move(c, dst, a);
    x_unary(&c->b, UN_NEG, op->size, dst);
    if (!op_wants_flags(c, op))
        return;
    c->b.flags_for = FLAGS_ALL;
    struct cc_value r = result_value(c, dst);
    flags_set(c, CC_OP(CC_KIND_SUB, op->size), cc_derived(), b, r);
}

void emit_NOT(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a), dst = reg_dst(c, op->dst);
    move(c, dst, a);
    x_unary(&c->b, UN_NOT, op->size, dst);
}

/* --- shifts --- */

struct shift {
    enum host_shift host;
    unsigned kind; /* enum cc_kind */
};

/* reg = a, fit to be shifted with 32-bit operations. */
static void shift_input(struct compile *c, const struct shift *k, unsigned size, unsigned reg, unsigned a)
{
    if (k->host == SH_SAR && size != SZ32)
        x_movsx(&c->b, size, reg, a);
    else
        move(c, reg, a);
}

static void emit_shift_imm(struct compile *c, const struct ir_op *op, const struct shift *k, unsigned n)
{
    struct cc_value old = cc_in_slot();
    unsigned a = reg_src(c, op->a);
    bool flags = op_wants_flags(c, op) && n;
    if (flags)
        flags_kill(c);
    unsigned dst = reg_dst(c, op->dst);
    if (flags)
        old = operand_value(c, CC_A_VALUE, a, dst);
    shift_input(c, k, op->size, dst, a);
    if (n)
        x_shift_imm(&c->b, k->host, SZ32, dst, n);
    if (op->size != SZ32)
        x_movzx(&c->b, op->size, dst, dst);
    if (!flags)
        return;
    if (op->size == SZ32)
        c->b.flags_for = n == 1 ? FLAGS_ALL : FLAGS_NO_OVERFLOW;
    else
        c->b.flags_for = 0;
    struct cc_value r = result_value(c, dst);
    flags_set(c, CC_OP((int)k->kind, op->size), old, cc_is_imm(n), r);
}

/* Behind a flush: the CC slots change only when the count is not 0. Result in SCRATCH1. */
static void shift_flags_by_cl(struct compile *c, const struct ir_op *op, const struct shift *k, unsigned a)
{
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    x_mov(&c->b, SZ32, SCRATCH2, RCX);
    x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH2, 31);
    uint8_t *none = x_jcc(&c->b, CC_E);
    x_store(&c->b, SZ32, mem_slot(IR_CC_A), a);
    x_store(&c->b, SZ32, mem_slot(IR_CC_B), SCRATCH2);
    x_store(&c->b, SZ32, mem_slot(IR_CC_R), SCRATCH1);
    x_store_imm(&c->b, SZ32, mem_slot(IR_CC_OP), (uint32_t)CC_OP((int)k->kind, op->size));
    x_patch_here(&c->b, none);
    flags_unknown(c);
    part_end(&c->b, before);
}

static void emit_shift_cl(struct compile *c, const struct ir_op *op, const struct shift *k)
{
    unsigned a = reg_src(c, op->a);
    if (op_wants_flags(c, op))
        flags_flush(c);
    unsigned dst = reg_dst(c, op->dst);
    shift_input(c, k, op->size, SCRATCH1, a);
    x_shift_cl(&c->b, k->host, SZ32, SCRATCH1);
    if (op->size != SZ32)
        x_movzx(&c->b, op->size, SCRATCH1, SCRATCH1);
    if (op_wants_flags(c, op))
        shift_flags_by_cl(c, op, k, a);
    move(c, dst, SCRATCH1);
}

static void emit_shift(struct compile *c, const struct ir_op *op, const struct shift *k)
{
    if (op_has_imm(op))
        emit_shift_imm(c, op, k, op->imm & 31);
    else if (op->b == IR_ECX)
        emit_shift_cl(c, op, k);
    else
        emit_in_c(c, op);
}

#define SHIFT(NAME)                                                                                          \
    void emit_##NAME(struct compile *c, const struct ir_op *op)                                              \
    {                                                                                                        \
        static const struct shift k = {SH_##NAME, CC_KIND_##NAME};                                           \
        emit_shift(c, op, &k);                                                                               \
    }
SHIFT(SHL)
SHIFT(SHR)
SHIFT(SAR)

/* --- rotates --- */

static void flags_are_eflags(struct compile *c)
{
    c->cc = (struct cc_state){.op = CC_EFLAGS, .op_in_slot = true};
}

/* By CL: a count of 0 keeps the flags, which are in their slots. */
static void rotate_flags_by_cl(struct compile *c, const struct ir_op *op, bool left, unsigned value)
{
    x_test_imm(&c->b, SZ8, RCX, 31);
    uint8_t *none = x_jcc(&c->b, CC_E);
    flags_set_rotate(c, left, op->size, value);
    flags_flush(c);
    x_patch_here(&c->b, none);
    flags_unknown(c);
}

static void emit_rotate(struct compile *c, const struct ir_op *op, enum host_shift host)
{
    bool left = host == SH_ROL, by_cl = !op_has_imm(op);
    bool flags = op_wants_flags(c, op) && (by_cl || (op->imm & 31) != 0);
    if ((by_cl && (op->b != IR_ECX || op->dst == IR_ECX)) || op->dst == IR_NONE) {
        emit_in_c(c, op);
        return;
    }
    unsigned a = reg_src(c, op->a);
    if (flags && by_cl)
        flags_flush(c);
    unsigned dst = reg_dst(c, op->dst);
    move(c, dst, a);
    if (by_cl)
        x_shift_cl(&c->b, host, op->size, dst);
    else
        x_shift_imm(&c->b, host, op->size, dst, op->imm & 31);
    if (flags && by_cl)
        rotate_flags_by_cl(c, op, left, dst);
    else if (flags)
        flags_set_rotate(c, left, op->size, dst);
}

void emit_ROL(struct compile *c, const struct ir_op *op)
{
    emit_rotate(c, op, SH_ROL);
}
void emit_ROR(struct compile *c, const struct ir_op *op)
{
    emit_rotate(c, op, SH_ROR);
}
void emit_RCL(struct compile *c, const struct ir_op *op)
{
    emit_in_c(c, op);
}
void emit_RCR(struct compile *c, const struct ir_op *op)
{
    emit_in_c(c, op);
}

/* --- double shifts --- */

/* Without flags. */
static void emit_double_shift_cl(struct compile *c, const struct ir_op *op, bool right)
{
    unsigned a = reg_src(c, op->a), b = reg_src(c, op->b), dst = reg_dst(c, op->dst);
    x_mov(&c->b, SZ32, SCRATCH1, a);
    x_shift_double(&c->b, right, SCRATCH1, b, -1);
    move(c, dst, SCRATCH1);
}

static void emit_double_shift(struct compile *c, const struct ir_op *op, bool right)
{
    unsigned n = op->imm & 31;
    bool simple = op->size == SZ32 && op_has_imm(op) && n;
    struct cc_value old = cc_in_slot();
    if (op->size == SZ32 && !op_has_imm(op) && op->aux == IR_ECX && !op_wants_flags(c, op)) {
        emit_double_shift_cl(c, op, right);
        return;
    }
    if (!simple) {
        emit_in_c(c, op);
        return;
    }
    unsigned a = reg_src(c, op->a), b = reg_src(c, op->b);
    if (op_wants_flags(c, op))
        flags_kill(c);
    unsigned dst = reg_dst(c, op->dst);
    x_mov(&c->b, SZ32, SCRATCH1, a);
    x_shift_double(&c->b, right, SCRATCH1, b, (int)n);
    if (op_wants_flags(c, op)) {
        old = operand_value(c, CC_A_VALUE, a, dst);
        x_store_imm(&c->b, SZ32, mem_slot(IR_CC_B),
                    n); /* not an immediate: a SHL done again would not have this result */
    }
    move(c, dst, SCRATCH1);
    if (op_wants_flags(c, op))
        flags_set(c, CC_OP(right ? CC_KIND_SHRD : CC_KIND_SHL, SZ32), old, cc_in_slot(),
                  result_value(c, dst));
}

void emit_SHLD(struct compile *c, const struct ir_op *op)
{
    emit_double_shift(c, op, false);
}
void emit_SHRD(struct compile *c, const struct ir_op *op)
{
    emit_double_shift(c, op, true);
}

/* --- multiplication: one 64-bit product of extended operands --- */

static void extend(struct compile *c, bool is_signed, unsigned size, unsigned dst, unsigned src)
{
    if (!is_signed)
        move(c, dst, src);
    else
        x_movsx(&c->b, size, dst, src); /* SZ8, SZ16: to 32 bits, enough for their products */
}

/* CC slot B = does the product (SCRATCH1) not fit? Leaves SCRATCH1 alone. */
static void store_misfit(struct compile *c, bool is_signed, unsigned size)
{
    unsigned wide = is_signed && size == SZ32 ? SZ64 : SZ32;
    if (is_signed) {
        x_movsx(&c->b, size, SCRATCH2, SCRATCH1);
        x_alu(&c->b, ALU_CMP, wide, SCRATCH2, SCRATCH1);
        x_setcc(&c->b, CC_NE, SCRATCH2);
        x_movzx(&c->b, SZ8, SCRATCH2, SCRATCH2);
    } else {
        x_mov(&c->b, SZ64, SCRATCH2, SCRATCH1);
        x_shift_imm(&c->b, SH_SHR, SZ64, SCRATCH2, bits_of(size));
    }
    x_store(&c->b, SZ32, mem_slot(IR_CC_B), SCRATCH2);
}

static void store_product_flags(struct compile *c, const struct ir_op *op, bool is_signed)
{
    enum x64_part before = part_begin(&c->b, X64_PART_FLAGS);
    store_misfit(c, is_signed, op->size);
    move_narrow(c, op->size, SCRATCH2, SCRATCH1);
    x_store(&c->b, SZ32, mem_slot(IR_CC_R), SCRATCH2);
    flags_set(c, CC_OP(CC_KIND_MUL, op->size), cc_in_slot(), cc_in_slot(), cc_in_slot());
    part_end(&c->b, before);
}

static void emit_product(struct compile *c, const struct ir_op *op, bool is_signed)
{
    unsigned a = reg_src(c, op->a), b = reg_src(c, op->b), high = NO_REG;
    if (op_wants_flags(c, op))
        flags_kill(c);
    unsigned dst = reg_dst(c, op->dst);
    if (op->size != SZ8)
        high = reg_dst(c, op->aux);
    extend(c, is_signed, op->size, SCRATCH1, a);
    extend(c, is_signed, op->size, SCRATCH2, b);
    x_imul(&c->b, op->size == SZ32 ? SZ64 : SZ32, SCRATCH1, SCRATCH2);
    if (op_wants_flags(c, op))
        store_product_flags(c, op, is_signed);
    c->b.flags_for = 0;
    if (dst != SCRATCH1)
        move_narrow(c, op->size == SZ8 ? SZ16 : op->size, dst, SCRATCH1);
    if (high == NO_REG)
        return;
    x_shift_imm(&c->b, SH_SHR, SZ64, SCRATCH1, bits_of(op->size));
    move_narrow(c, op->size, high, SCRATCH1);
}

void emit_MUL(struct compile *c, const struct ir_op *op)
{
    emit_product(c, op, false);
}
void emit_IMUL(struct compile *c, const struct ir_op *op)
{
    emit_product(c, op, true);
}

static void emit_imul2_narrow(struct compile *c, const struct ir_op *op, struct operands o, unsigned dst)
{
    x_movsx(&c->b, SZ16, SCRATCH1, o.a);
    if (o.b == NO_REG)
        x_mov_imm(&c->b, SCRATCH2, (uint32_t)(int16_t)o.imm);
    else
        x_movsx(&c->b, SZ16, SCRATCH2, o.b);
    x_imul(&c->b, SZ32, SCRATCH1, SCRATCH2);
    if (op_wants_flags(c, op))
        store_product_flags(c, op, true);
    x_movzx(&c->b, SZ16, dst, SCRATCH1);
}

static void emit_imul2_wide(struct compile *c, const struct ir_op *op, struct operands o, unsigned dst)
{
    if (o.b == NO_REG) {
        x_imul_imm(&c->b, SZ32, dst, o.a, o.imm);
    } else if (o.b == dst) {
        x_imul(&c->b, SZ32, dst, o.a);
    } else {
        move(c, dst, o.a);
        x_imul(&c->b, SZ32, dst, o.b);
    }
    if (!op_wants_flags(c, op))
        return;
    x_setcc(&c->b, CC_O, SCRATCH2);
    x_movzx(&c->b, SZ8, SCRATCH2, SCRATCH2);
    x_store(&c->b, SZ32, mem_slot(IR_CC_B), SCRATCH2);
    c->b.flags_for = FLAGS_CARRY_OVERFLOW;
    flags_set(c, CC_OP(CC_KIND_MUL, SZ32), cc_in_slot(), cc_in_slot(), result_value(c, dst));
}

void emit_IMUL2(struct compile *c, const struct ir_op *op)
{
    struct operands o = take_operands(c, op);
    if (op_wants_flags(c, op))
        flags_kill(c);
    unsigned dst = reg_dst(c, op->dst);
    if (op->size == SZ32)
        emit_imul2_wide(c, op, o, dst);
    else
        emit_imul2_narrow(c, op, o, dst);
}

/* --- bits --- */

/* reg = reg after the host's bit operation; CF = the bit before. A register counts modulo 32. */
static void host_bit(struct compile *c, const struct ir_op *op, enum host_bit how, unsigned reg,
                     struct operands o)
{
    if (o.b == NO_REG) {
        x_bit_imm(&c->b, how, reg, o.imm & (bits_of(op->size) - 1));
    } else if (op->size == SZ32) {
        x_bit(&c->b, how, reg, o.b);
    } else {
        x_mov(&c->b, SZ32, SCRATCH1, o.b);
        x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH1, bits_of(op->size) - 1);
        x_bit(&c->b, how, reg, SCRATCH1);
    }
}

static void emit_bit(struct compile *c, const struct ir_op *op, enum host_bit how)
{
    struct operands o = take_operands(c, op);
    if (op_wants_flags(c, op))
        flags_before_bit(c);
    const unsigned dst = reg_dst(c, op->dst);
    const bool in_place = how == BIT_TEST || dst == o.a;
    if (!in_place)
        x_mov(&c->b, SZ32, SCRATCH2, o.a);
    host_bit(c, op, how, in_place ? o.a : SCRATCH2, o);
    if (op_wants_flags(c, op))
        flags_after_bit(c);
    if (!in_place)
        x_mov(&c->b, SZ32, dst, SCRATCH2);
}

void emit_BT(struct compile *c, const struct ir_op *op)
{
    emit_bit(c, op, BIT_TEST);
}
void emit_BTS(struct compile *c, const struct ir_op *op)
{
    emit_bit(c, op, BIT_SET);
}
void emit_BTR(struct compile *c, const struct ir_op *op)
{
    emit_bit(c, op, BIT_RESET);
}
void emit_BTC(struct compile *c, const struct ir_op *op)
{
    emit_bit(c, op, BIT_COMPLEMENT);
}

static void emit_scan(struct compile *c, const struct ir_op *op, bool reverse)
{
    struct cc_value r = cc_in_slot();
    unsigned a = reg_src(c, op->a);
    if (op_wants_flags(c, op))
        flags_kill(c);
    unsigned dst = reg_dst_kept(c, op->dst);
    if (op_wants_flags(c, op))
        r = operand_value(c, CC_R_VALUE, a, dst);
    if (reverse)
        x_bsr(&c->b, SCRATCH2, a);
    else
        x_bsf(&c->b, SCRATCH2, a);
    x_cmov(&c->b, CC_NE, dst, SCRATCH2);
    if (!op_wants_flags(c, op))
        return;
    c->b.flags_for = 1 << (CC_E >> 1);
    flags_set(c, CC_OP(CC_KIND_LOGIC, op->size), cc_in_slot(), cc_in_slot(), r);
}

void emit_BSF(struct compile *c, const struct ir_op *op)
{
    emit_scan(c, op, false);
}
void emit_BSR(struct compile *c, const struct ir_op *op)
{
    emit_scan(c, op, true);
}

/* --- conditions and flags --- */

/* Is the op behind it all that reads its result, and puts it into a register's low byte? */
static bool goes_to_low_byte(const struct compile *c, const struct ir_op *op)
{
    const struct ir_op *put = op + 1; /* no SETCC ends a block */
    return put->op == IR_PUTB && !op_has_imm(put) && put->aux == 0 && put->dst <= IR_EBX &&
           put->b == op->dst && !reg_is_live_after(c, (unsigned)(put - c->ops), op->dst);
}

static void set_low_byte(struct compile *c, const struct ir_op *op)
{
    const unsigned cond = flags_cond(c, op->aux);
    if (!c->regs.cc_live_after[op - c->ops])
        flags_kill(c);
    x_setcc(&c->b, cond, reg_dst_kept(c, op[1].dst));
    c->done_ahead = true;
}

void emit_SETCC(struct compile *c, const struct ir_op *op)
{
    if (goes_to_low_byte(c, op)) {
        set_low_byte(c, op);
        return;
    }
    unsigned dst = reg_dst(c, op->dst), cond = flags_cond(c, op->aux);
    x_setcc(&c->b, cond, SCRATCH1);
    x_movzx(&c->b, SZ8, dst, SCRATCH1);
}

void emit_CMOV(struct compile *c, const struct ir_op *op)
{
    unsigned b = reg_src(c, op->b), dst = reg_dst_kept(c, op->dst);
    unsigned cond = flags_cond(c, op->aux);
    x_cmov(&c->b, cond, dst, b);
}

void emit_GETFLAGS(struct compile *c, const struct ir_op *op)
{
    unsigned dst = reg_dst(c, op->dst);
    flags_flush(c);
    x_call_to(&c->b, op->aux ? c->x->stubs.get_eflags : c->x->stubs.get_flags);
    move(c, dst, SCRATCH1);
}

void emit_SETFLAGS(struct compile *c, const struct ir_op *op)
{
    unsigned a = reg_src(c, op->a);
    flags_kill(c);
    x_mov(&c->b, SZ32, SCRATCH1, a);
    x_alu_imm(&c->b, ALU_AND, SZ32, SCRATCH1, FLAGS_ARITH);
    x_store(&c->b, SZ32, mem_slot(IR_CC_R), SCRATCH1);
    flags_set(c, CC_EFLAGS, cc_in_slot(), cc_in_slot(), cc_in_slot());
}

/* Host flags stay. */
void emit_GETDF(struct compile *c, const struct ir_op *op)
{
    unsigned dst = reg_dst(c, op->dst);
    x_load(&c->b, SZ32, dst, mem_state(offsetof(struct guest_state, df)));
    if (op->aux)
        x_lea(&c->b, SZ32, dst, mem_indexed(NO_REG, dst, op->aux, 0));
}

void emit_SETCF(struct compile *c, const struct ir_op *op)
{
    flags_flush(c);
    if (op->imm == 2) {
        x_call_to(&c->b, c->x->stubs.carry);
        x_alu_imm(&c->b, ALU_XOR, SZ32, SCRATCH1, 1);
    } else {
        x_mov_imm(&c->b, SCRATCH1, op->imm);
    }
    x_call_to(&c->b, c->x->stubs.set_cf);
    flags_are_eflags(c);
}
