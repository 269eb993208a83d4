/* ir.c - the IR described: names, forms, operand use, flag behaviour, printer, validator. */
#include "translator/ir.h"

#include <string.h>

#include "translator/cc.h"

/* Column `uses`. */
enum {
    USES_none = 0,
    USES_d = IR_WRITES_DST,
    USES_a = IR_READS_A,
    USES_ab = IR_READS_A | IR_READS_B,
    USES_da = USES_d | USES_a,
    USES_db = USES_d | IR_READS_B,
    USES_dab = USES_d | USES_ab,
    USES_dabx = USES_dab | IR_READS_AUX,
    USES_dabX = USES_dab | IR_WRITES_AUX,
    USES_dDa = USES_da | IR_READS_DST,
    USES_dDb = USES_db | IR_READS_DST
};

/* Columns `writes` and `ends`, where they are no names of other enumerations. */
enum {
    CC_KIND_EFLAGS = CC_KIND_COUNT,
    CC_KIND_NONE = IR_WRITES_NONE,
    CC_KIND_VARIES = IR_WRITES_VARIES,
    ENDS_NO = 0,
    ENDS_END = 1
};

const struct ir_op_info ir_op_info[IR_OPCODE_COUNT] = {
#define IROP(name, shape, uses, reads, writes, faults, ends, doc)                                            \
    [IR_##name] = {                                                                                          \
        #name,      IR_SHAPE_##shape, USES_##uses, IR_READS_##reads, CC_KIND_##writes, IR_FAULTS_##faults,   \
        ENDS_##ends},
#include "translator/ir_ops.def"
#undef IROP
};

/* A row that numbers its handlers by IRF_FLAGS sets flags, and one that reads them because it keeps some
 * does. */
#define IROP(name, shape, uses, reads, writes, faults, ends, doc)                                            \
    _Static_assert((IR_SHAPE_##shape != IR_SHAPE_SF && IR_SHAPE_##shape != IR_SHAPE_SIF) ||                  \
                       (int)CC_KIND_##writes != (int)IR_WRITES_NONE,                                         \
                   #name ": has a form with flags");                                                         \
    _Static_assert(IR_READS_##reads < IR_READS_FLAGS || (int)CC_KIND_##writes != (int)IR_WRITES_NONE,        \
                   #name ": keeps flags without setting any");                                               \
    _Static_assert(!(USES_##uses & IR_READS_DST) || (USES_##uses & IR_WRITES_DST), #name ": dst");           \
    _Static_assert(!ENDS_##ends || !(USES_##uses & IR_WRITES_DST), #name ": nobody reads what an end "       \
                                                                         "writes");
#include "translator/ir_ops.def"
#undef IROP

const struct helper_info helper_info[HELPER_COUNT] = {
#define HELPER(name, ends, flags, changes, tick, inl, size, doc)                                             \
    [HELPER_##name] = {#name,                                                                                \
                       HELPER_ENDS_##ends,                                                                   \
                       HELPER_FLAGS_##flags,                                                                 \
                       HELPER_CHANGES_##changes,                                                             \
                       HELPER_TICK_##tick,                                                                   \
                       HELPER_INLINE_##inl,                                                                  \
                       HELPER_SIZE_##size},
#include "translator/helpers.def"
#undef HELPER
};

#define HELPER(name, ends, flags, changes, tick, inl, size, doc)                                             \
    _Static_assert(!HELPER_TICK_##tick || HELPER_ENDS_##ends != HELPER_ENDS_NO,                              \
                   #name ": what needs the tick is its block's last instruction");                           \
    _Static_assert(HELPER_CHANGES_##changes == HELPER_CHANGES_MORE ||                                        \
                       HELPER_FLAGS_##flags < HELPER_FLAGS_WRITE,                                            \
                   #name ": flags are more than dst");                                                       \
    _Static_assert(HELPER_CHANGES_##changes == HELPER_CHANGES_MORE || HELPER_ENDS_##ends == HELPER_ENDS_NO,  \
                   #name ": eip is more than dst");                                                          \
    _Static_assert(HELPER_INLINE_##inl == HELPER_INLINE_CALL || HELPER_ENDS_##ends == HELPER_ENDS_NO,        \
                   #name ": inline code goes on");
#include "translator/helpers.def"
#undef HELPER

/* --- flags --- */

/* A shift by a count that is known not to be 0 replaces all flags. */
static bool shifts_by_nonzero_imm(const struct ir_op *op)
{
    return (op->flags & IRF_IMM) && (op->imm & 31) != 0;
}

/* What a flag-setting op (IRF_FLAGS) always leaves in IR_CC_OP; -1: it depends on values. */
static int ir_cc_op(const struct ir_op *op)
{
    const struct ir_op_info *info = &ir_op_info[op->op];
    if (info->writes == CC_KIND_COUNT)
        return CC_EFLAGS;
    const bool may_keep = info->reads == IR_READS_COUNT && !shifts_by_nonzero_imm(op);
    if (!(op->flags & IRF_FLAGS) || info->writes >= IR_WRITES_NONE || may_keep)
        return -1;
    return CC_OP(info->writes, op->size);
}

int ir_cc_after(int cc, const struct ir_op *op)
{
    if (op->op == IR_HELPER)
        return helper_info[op->imm].flags & HELPER_FLAGS_WRITE ? -1 : cc;
    return op->flags & IRF_FLAGS ? ir_cc_op(op) : cc;
}

static bool ir_reads_cc(const struct ir_op *op)
{
    switch (ir_op_info[op->op].reads) {
    case IR_READS_NO:
        return false;
    case IR_READS_YES:
        return true;
    case IR_READS_FLAGS:
        return op->flags & IRF_FLAGS;
    default:
        return (op->flags & IRF_FLAGS) && !shifts_by_nonzero_imm(op);
    }
}

bool ir_kills_cc(const struct ir_op *op)
{
    return (op->flags & IRF_FLAGS) && ir_has_flags(op) && !ir_reads_cc(op);
}

bool ir_is_for_flags(const struct ir_op *op)
{
    return ir_has_flags(op) && op->dst == IR_NONE && op->op != IR_MUL && op->op != IR_IMUL;
}

bool ir_is_sse(const struct ir_op *op)
{
    return op->op == IR_HELPER && (op->imm == HELPER_SSE_REG || op->imm == HELPER_SSE_MEM);
}

bool ir_observes_cc(const struct ir_op *op, bool faults)
{
    const unsigned how = ir_op_info[op->op].faults;
    const bool by_access = how == IR_FAULTS_ACCESS || ir_is_sse(op);
    const bool may_fault = by_access ? faults : how == IR_FAULTS_OTHER;
    return ir_reads_cc(op) || may_fault || ir_ends(op);
}

/* --- blocks at another eip --- */

void ir_move(struct ir_op *ops, unsigned nops, uint32_t by)
{
    for (struct ir_op *op = ops; op < ops + nops; op++) {
        if (op->op == IR_JMP || op->op == IR_JCC || op->op == IR_JNZ || op->op == IR_SIDE ||
            op->op == IR_EXPECT)
            op->imm += by;
        if (op->op == IR_JCC || op->op == IR_JNZ || (op->flags & IRF_EIP))
            op->imm2 += by;
    }
}

/* --- printer --- */

static const char *const slot_name[IR_NSLOTS] = {
    "eax",  "ecx",  "edx", "ebx",     "esp", "ebp", "esi", "edi", "cc_op", "cc_a", "cc_b",
    "cc_r", "zero", "-",   "rotated", "?15", "t0",  "t1",  "t2",  "t3",    "t4",   "t5",
    "t6",   "t7",   "t8",  "t9",      "t10", "t11", "t12", "t13", "t14",   "t15",
};
static const char *const cond_name[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                          "s", "ns", "p", "np", "l", "ge", "le", "g"};
static const char *const seg_name[8] = {"es", "cs", "ss", "ds", "fs", "gs", "?6", "?7"};
static const char *const cc_kind_name[] = {"add", "adc", "sub", "sbb", "logic", "inc", "dec",  "shl",
                                           "shr", "sar", "mul", "cmp", "shrd",  "sum", "diff", "eflags"};
static const char *slot(unsigned s)
{
    return s < IR_NSLOTS ? slot_name[s] : "?";
}

const char *ir_slot_name(unsigned s)
{
    return slot(s);
}

static void print_lower(FILE *out, const char *s)
{
    for (; *s; s++)
        fputc(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s, out);
}

static void print_head(FILE *out, const struct ir_op *op)
{
    fprintf(out, "%2u  ", op->insn);
    print_lower(out, ir_op_info[op->op].name);
    if (ir_has_size(op))
        fprintf(out, "%s%u", op->op == IR_IMUL2 ? "_" : "", 8u << (op->size & 3));
    if (op->op == IR_SETCC || op->op == IR_CMOV || op->op == IR_SIDE || op->op == IR_JCC)
        fprintf(out, ".%s", cond_name[op->aux & 15]);
    if (op->flags & IRF_FLAGS)
        fputs(".f", out);
    if (op->flags & IRF_CC_KNOWN) {
        fprintf(out, "(%s", cc_kind_name[op->size / 3 <= CC_KIND_COUNT ? op->size / 3 : 0]);
        if (op->size != CC_EFLAGS)
            fprintf(out, "%u", 8u << op->size % 3);
        fputc(')', out);
    }
}

static void print_address(FILE *out, const struct ir_op *op)
{
    if (op->a == IR_ZERO)
        fprintf(out, "[0x%x]", op->imm);
    else if (op->imm == 0)
        fprintf(out, "[%s]", slot(op->a));
    else if ((int32_t)op->imm < 0)
        fprintf(out, "[%s - 0x%x]", slot(op->a), 0u - op->imm);
    else
        fprintf(out, "[%s + 0x%x]", slot(op->a), op->imm);
}

static void print_b(FILE *out, const struct ir_op *op)
{
    if (op->flags & IRF_IMM)
        fprintf(out, "0x%x", op->op == IR_ST ? op->imm2 : op->imm);
    else
        fputs(slot(op->b), out);
}

static void print_lea(FILE *out, const struct ir_op *op)
{
    fprintf(out, " %s, %s + (%s << %u) + 0x%x", slot(op->dst), slot(op->a), slot(op->b), op->aux & 3,
            op->imm);
}

static void print_helper(FILE *out, const struct ir_op *op)
{
    fprintf(out, " %s size=%u aux=%u dst=%s a=%s b=%s imm2=0x%x",
            op->imm < HELPER_COUNT ? helper_info[op->imm].name : "?", op->size, op->aux, slot(op->dst),
            slot(op->a), slot(op->b), op->imm2);
    if (op->disp)
        fprintf(out, " disp=0x%x", op->disp);
}

static void print_segaddr(FILE *out, const struct ir_op *op)
{
    fprintf(out, "%u%s%s %s, %s:", 1u << (op->size & 7), op->flags & IRF_WRITE ? ".w" : "",
            op->flags & IRF_PLAIN ? ".plain" : "", slot(op->dst), seg_name[op->aux & 7]);
    print_address(out, op);
}

static void print_raise(FILE *out, const struct ir_op *op)
{
    fprintf(out, " vector=%u", op->imm);
    if (op->aux & 1)
        fprintf(out, " error=0x%x", op->imm2);
}

static void print_store(FILE *out, const struct ir_op *op)
{
    fputc(' ', out);
    print_address(out, op);
    fputs(", ", out);
    print_b(out, op);
}

static void print_load(FILE *out, const struct ir_op *op)
{
    fprintf(out, " %s, ", slot(op->dst));
    print_address(out, op);
}

static void print_jmp(FILE *out, const struct ir_op *op)
{
    fprintf(out, " 0x%x chain=%u", op->imm, op->aux);
}

static void print_branch(FILE *out, const struct ir_op *op)
{
    if (op->op == IR_JNZ)
        fprintf(out, " %s,", slot(op->a));
    fprintf(out, " 0x%x else 0x%x", op->imm, op->imm2);
}

static void print_side(FILE *out, const struct ir_op *op)
{
    fprintf(out, " 0x%x chain=%u", op->imm, op->imm2);
}

static void print_expect(FILE *out, const struct ir_op *op)
{
    fprintf(out, " %s, 0x%x", slot(op->a), op->imm);
}

static void print_cross(FILE *out, const struct ir_op *op)
{
    fprintf(out, " 0x%x memory=0x%x", op->imm, op->imm2);
}

static void print_leave(FILE *out, const struct ir_op *op)
{
    if (op->aux)
        fprintf(out, " unless in this mode 0x%x", op->imm2);
}

static void print_plain(FILE *out, const struct ir_op *op)
{
    const char *sep = " ";
    if (ir_uses(op, IR_WRITES_DST))
        sep = (fprintf(out, "%s%s", sep, slot(op->dst)), ", ");
    if (ir_uses(op, IR_WRITES_AUX) && op->size != 0)
        sep = (fprintf(out, "%s%s", sep, slot(op->aux)), ", ");
    if (ir_uses(op, IR_READS_A))
        sep = (fprintf(out, "%s%s", sep, slot(op->a)), ", ");
    if (ir_uses(op, IR_READS_AUX)) {
        fprintf(out, "%s%s, ", sep, slot(op->b));
        if (op->flags & IRF_IMM)
            fprintf(out, "0x%x", op->imm);
        else
            fputs(slot(op->aux), out);
    } else if (ir_uses(op, IR_READS_B)) {
        fputs(sep, out);
        print_b(out, op);
    }
    if (op->op == IR_GETB || op->op == IR_PUTB)
        fputs(op->aux ? " high" : " low", out);
    if (op->op == IR_SETCF)
        fprintf(out, " %u", op->imm);
    if (op->op == IR_GETFLAGS && op->aux)
        fputs(", pushed", out);
    if (op->op == IR_GETDF)
        fprintf(out, " << %u", op->aux);
    if (op->op == IR_LEA16)
        fprintf(out, ", 0x%x", op->imm);
}

typedef void print_fn(FILE *out, const struct ir_op *op);
static print_fn *const printer[IR_OPCODE_COUNT] = {
    [IR_LEA] = print_lea,       [IR_LD] = print_load,         [IR_LDRW] = print_load,
    [IR_ST] = print_store,      [IR_SEGADDR] = print_segaddr, [IR_HELPER] = print_helper,
    [IR_RAISE] = print_raise,   [IR_JMP] = print_jmp,         [IR_JCC] = print_branch,
    [IR_JNZ] = print_branch,    [IR_LEAVE_TB] = print_leave,  [IR_SIDE] = print_side,
    [IR_EXPECT] = print_expect, [IR_CROSS] = print_cross,
};

void ir_print(FILE *out, const struct ir_op *op)
{
    if (op->op >= IR_OPCODE_COUNT) {
        fprintf(out, "%2u  ?%u\n", op->insn, op->op);
        return;
    }
    print_head(out, op);
    (printer[op->op] ? printer[op->op] : print_plain)(out, op);
    fputc('\n', out);
}

/* --- validator --- */

/* What is known while walking a block. */
struct check {
    uint32_t defined;       /* temporaries written by this guest instruction */
    bool wrote_guest;       /* it wrote a register or the flags */
    const struct ir_op *rw; /* its last LDRW */
    int cc;                 /* enum cc_op known to be in IR_CC_OP, -1: unknown */
};

static bool is_temp(unsigned s)
{
    return s >= IR_T0 && s <= IR_T_LAST;
}

static const char *check_read(const struct check *c, unsigned s)
{
    if (s >= IR_NSLOTS)
        return "operand is no slot";
    if (s == IR_NONE)
        return "reads IR_NONE";
    if (s > IR_NONE && s < IR_T0)
        return "reads an unused slot";
    if (s >= IR_CC_OP && s <= IR_CC_R)
        return "reads a CC slot directly";
    if (is_temp(s) && !(c->defined >> s & 1))
        return "reads a temporary that this instruction did not write";
    return NULL;
}

static const char *check_reads(const struct check *c, const struct ir_op *op)
{
    const bool imm_b = (op->flags & IRF_IMM) && !ir_uses(op, IR_READS_AUX);
    const bool any = op->op == IR_HELPER; /* its b may be IR_NONE; its row knows */
    const char *why = NULL;
    if (ir_uses(op, IR_READS_A) && (why = check_read(c, op->a)))
        return why;
    if (ir_uses(op, IR_READS_B) && !imm_b && !(any && op->b == IR_NONE) && (why = check_read(c, op->b)))
        return why;
    if (ir_uses(op, IR_READS_DST) && (why = check_read(c, op->dst)))
        return why;
    if (ir_uses(op, IR_READS_AUX) && !(op->flags & IRF_IMM))
        why = check_read(c, op->aux);
    return why;
}

static const char *check_write(struct check *c, unsigned s)
{
    if (s >= IR_NSLOTS || (s > IR_NONE && s < IR_T0))
        return "writes no slot";
    if (s == IR_ZERO)
        return "writes IR_ZERO";
    if (s >= IR_CC_OP && s <= IR_CC_R)
        return "writes a CC slot directly";
    if (is_temp(s))
        c->defined |= 1u << s;
    else if (s != IR_NONE)
        c->wrote_guest = true;
    return NULL;
}

static const char *check_writes(struct check *c, const struct ir_op *op)
{
    const char *why = NULL;
    if (ir_uses(op, IR_WRITES_DST) && (why = check_write(c, op->dst)))
        return why;
    if (ir_uses(op, IR_WRITES_AUX) && op->size != 0 && (why = check_write(c, op->aux)))
        return why;
    if ((op->flags & IRF_FLAGS) ||
        (op->op == IR_HELPER && helper_info[op->imm].changes == HELPER_CHANGES_MORE))
        c->wrote_guest = true;
    c->cc = ir_cc_after(c->cc, op);
    return NULL;
}

static bool is_cc_reader(const struct ir_op *op)
{
    return op->op == IR_SETCC || op->op == IR_CMOV || op->op == IR_SIDE || op->op == IR_JCC;
}

static const char *check_helper(const struct ir_op *op)
{
    if (op->imm >= HELPER_COUNT)
        return "no such helper";
    const unsigned size = helper_info[op->imm].size;
    if (op->size < (size & 15) || op->size > size >> 4)
        return "a size that the helper does not have";
    return NULL;
}

/* What must follow a helper: columns `ends` and `tick` of helpers.def. */
static const char *check_behind_helper(const struct ir_op *helper, const struct ir_op *next)
{
    const unsigned ends = helper_info[helper->imm].ends;
    if ((next->op == IR_LEAVE_TB) != (ends >= HELPER_ENDS_LEAVE))
        return "LEAVE_TB stands behind helpers that say so, and only there";
    if (ends == HELPER_ENDS_JUMP && next->op != IR_JMP)
        return "a helper that ends the block for the sake of the tick goes on with a JMP";
    if (ends != HELPER_ENDS_NO && next->insn != helper->insn)
        return "the block's last instruction is not that of the helper which ends it";
    return NULL;
}

/* IRF_IMM, IRF_FLAGS, ... and size only where the row has such a form. */
static const char *check_form(const struct check *c, const struct ir_op *op)
{
    if ((op->flags & IRF_IMM) && !ir_has_imm(op))
        return "no immediate form";
    if ((op->flags & IRF_FLAGS) && !ir_has_flags(op))
        return "no flag-setting form";
    if ((op->op == IR_SETFLAGS || op->op == IR_SETCF) && !(op->flags & IRF_FLAGS))
        return "SETFLAGS and SETCF exist only with IRF_FLAGS";
    if ((op->flags & IRF_WRITE) && op->op != IR_SEGADDR)
        return "IRF_WRITE outside SEGADDR";
    if ((op->flags & IRF_PLAIN) && op->op != IR_SEGADDR)
        return "IRF_PLAIN outside SEGADDR";
    if (ir_has_size(op) && op->size > 2)
        return "bad size";
    if (op->op == IR_IMUL2 && op->size == 0)
        return "IMUL2 has no 8-bit form";
    if (op->flags & IRF_CC_KNOWN) {
        if (!is_cc_reader(op))
            return "IRF_CC_KNOWN where no condition is read";
        if (op->size != c->cc)
            return "IRF_CC_KNOWN with the wrong kind";
    }
    return op->op == IR_HELPER ? check_helper(op) : NULL;
}

/* May the op fault after this instruction wrote guest state? Only the store that its LDRW vouched for. What
 * ends a device block never faults. */
static const char *check_fault_order(const struct check *c, const struct ir_op *op)
{
    const struct ir_op *rw = c->rw;
    if (!c->wrote_guest || ir_op_info[op->op].faults == IR_FAULTS_NO)
        return NULL;
    if (op->op == IR_HELPER && op->imm == HELPER_DEVICE_END)
        return NULL;
    if (op->op == IR_ST && rw && rw->a == op->a && rw->imm == op->imm && rw->size == op->size)
        return NULL;
    return "may fault after guest state was written";
}

static void begin_insn(struct check *c)
{
    c->defined = 0;
    c->wrote_guest = false;
    c->rw = NULL;
}

static const char *check_op(struct check *c, const struct ir_op *op)
{
    const char *why = check_form(c, op);
    if (!why)
        why = check_fault_order(c, op);
    if (!why)
        why = check_reads(c, op);
    if (!why)
        why = check_writes(c, op);
    if (op->op == IR_LDRW)
        c->rw = op;
    return why;
}

const char *ir_validate(const struct ir_op *ops, unsigned nops)
{
    struct check c = {.cc = -1};
    unsigned insn = 0;
    if (nops == 0)
        return "empty block";
    for (unsigned i = 0; i < nops; i++) {
        if (ops[i].op >= IR_OPCODE_COUNT)
            return "no such op";
        if (ops[i].insn < insn)
            return "instruction index decreases";
        if (i == 0 || ops[i].insn != insn)
            begin_insn(&c);
        insn = ops[i].insn;
        if (ir_ends(&ops[i]) != (i == nops - 1))
            return "the last op, and only it, ends the block";
        const char *why = check_op(&c, &ops[i]);
        if (!why && ops[i].op == IR_HELPER)
            why = i + 1 < nops ? check_behind_helper(&ops[i], &ops[i + 1]) : NULL;
        if (!why && ops[i].op == IR_LEAVE_TB && (i == 0 || ops[i - 1].op != IR_HELPER))
            why = "LEAVE_TB without a helper before it";
        if (why)
            return why;
    }
    return NULL;
}
