/* ir.c - the IR described: names, forms, operand use, flag behaviour, printer, validator. */
#include "translator/ir.h"

#include <string.h>

#include "translator/cc.h"

const char *const ir_op_name[IR_OPCODE_COUNT] = {
#define IROP(name, kinds, doc) #name,
#include "translator/ir_ops.def"
#undef IROP
};

const char *const ir_op_kinds[IR_OPCODE_COUNT] = {
#define IROP(name, kinds, doc) kinds,
#include "translator/ir_ops.def"
#undef IROP
};

const char *const ir_op_uses[IR_OPCODE_COUNT] = {
    [IR_MOV] = "db",    [IR_GETB] = "da",    [IR_GETW] = "da",    [IR_PUTB] = "dDb",   [IR_PUTW] = "dDb",
    [IR_SEXT] = "da",   [IR_SEXT8W] = "da",  [IR_LEA] = "dab",    [IR_LEA16] = "dab",  [IR_ADD] = "dab",
    [IR_ADC] = "dab",   [IR_SUB] = "dab",    [IR_SBB] = "dab",    [IR_AND] = "dab",    [IR_OR] = "dab",
    [IR_XOR] = "dab",   [IR_INC] = "da",     [IR_DEC] = "da",     [IR_NEG] = "da",     [IR_NOT] = "da",
    [IR_SHL] = "dab",   [IR_SHR] = "dab",    [IR_SAR] = "dab",    [IR_ROL] = "dab",    [IR_ROR] = "dab",
    [IR_RCL] = "dab",   [IR_RCR] = "dab",    [IR_SHLD] = "dabx",  [IR_SHRD] = "dabx",  [IR_MUL] = "dabX",
    [IR_IMUL] = "dabX", [IR_IMUL2] = "dab",  [IR_BT] = "ab",      [IR_BTS] = "dab",    [IR_BTR] = "dab",
    [IR_BTC] = "dab",   [IR_BSF] = "dDa",    [IR_BSR] = "dDa",    [IR_BSWAP] = "da",   [IR_SETCC] = "d",
    [IR_CMOV] = "dDb",  [IR_GETFLAGS] = "d", [IR_SETFLAGS] = "a", [IR_SETCF] = "",     [IR_GETDF] = "d",
    [IR_LD] = "da",     [IR_LDRW] = "da",    [IR_ST] = "ab",      [IR_SEGADDR] = "da", [IR_HELPER] = "dab",
    [IR_RAISE] = "",    [IR_JMP] = "",       [IR_JCC] = "",       [IR_JNZ] = "a",      [IR_JMPIND] = "a",
    [IR_LEAVE_TB] = "",
};

static bool has(const char *set, char c)
{
    return strchr(set, c) != NULL;
}
static bool is_kind(const struct ir_op *op, char c)
{
    return has(ir_op_kinds[op->op], c);
}

/* --- flags --- */

/* kind + 1 of ops whose flag result has one kind; 0: none or it depends. */
static const uint8_t cc_kind_of[IR_OPCODE_COUNT] = {
    [IR_ADD] = CC_KIND_ADD + 1,   [IR_ADC] = CC_KIND_ADC + 1,   [IR_SUB] = CC_KIND_SUB + 1,
    [IR_SBB] = CC_KIND_SBB + 1,   [IR_AND] = CC_KIND_LOGIC + 1, [IR_OR] = CC_KIND_LOGIC + 1,
    [IR_XOR] = CC_KIND_LOGIC + 1, [IR_INC] = CC_KIND_INC + 1,   [IR_DEC] = CC_KIND_DEC + 1,
    [IR_NEG] = CC_KIND_SUB + 1,   [IR_SHL] = CC_KIND_SHL + 1,   [IR_SHR] = CC_KIND_SHR + 1,
    [IR_SAR] = CC_KIND_SAR + 1,   [IR_MUL] = CC_KIND_MUL + 1,   [IR_IMUL] = CC_KIND_MUL + 1,
    [IR_IMUL2] = CC_KIND_MUL + 1,
};

static bool is_shift(const struct ir_op *op)
{
    return op->op == IR_SHL || op->op == IR_SHR || op->op == IR_SAR;
}

/* A shift by a count that is known not to be 0 replaces all flags. */
static bool shifts_by_nonzero_imm(const struct ir_op *op)
{
    return (op->flags & IRF_IMM) && (op->imm & 31) != 0;
}

/* What a flag-setting op (IRF_FLAGS) always leaves in IR_CC_OP; -1: it depends on values. */
static int ir_cc_op(const struct ir_op *op)
{
    if (op->op == IR_SETFLAGS)
        return CC_EFLAGS;
    const unsigned kind = cc_kind_of[op->op];
    if (!(op->flags & IRF_FLAGS) || kind == 0 || (is_shift(op) && !shifts_by_nonzero_imm(op)))
        return -1;
    return CC_OP((int)kind - 1, op->size);
}

/* Helpers that change nothing but their dst. */
static bool helper_is_pure(unsigned helper)
{
    return helper == HELPER_CHECK_IP || helper == HELPER_FWAIT || helper == HELPER_GET_SREG ||
           helper == HELPER_SMSW || helper == HELPER_SLDT || helper == HELPER_STR;
}

static bool helper_keeps_cc(unsigned helper)
{
    return helper_is_pure(helper) || helper == HELPER_DIV || helper == HELPER_IDIV || helper == HELPER_CLD ||
           helper == HELPER_STD;
}

int ir_cc_after(int cc, const struct ir_op *op)
{
    if (op->op == IR_HELPER)
        return helper_keeps_cc(op->imm) ? cc : -1;
    return op->flags & IRF_FLAGS ? ir_cc_op(op) : cc;
}

/* Does the op read the CC slots (its F result aside)? */
static bool ir_reads_cc(const struct ir_op *op)
{
    if (!is_kind(op, 'C'))
        return false;
    switch (op->op) {
    case IR_ADC:
    case IR_SBB:
    case IR_RCL:
    case IR_RCR:
        return true;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_SHLD:
    case IR_SHRD:
        return (op->flags & IRF_FLAGS) && !shifts_by_nonzero_imm(op);
    default:
        return !is_kind(op, 'F') || (op->flags & IRF_FLAGS); /* INC keeps CF only with F */
    }
}

bool ir_kills_cc(const struct ir_op *op)
{
    return (op->flags & IRF_FLAGS) && is_kind(op, 'F') && !ir_reads_cc(op);
}

bool ir_is_sse(const struct ir_op *op)
{
    return op->op == IR_HELPER && (op->imm == HELPER_SSE_REG || op->imm == HELPER_SSE_MEM);
}

bool ir_observes_cc(const struct ir_op *op, bool faults)
{
    bool by_access = is_kind(op, 'M') || ir_is_sse(op), may_fault = by_access ? faults : is_kind(op, 'X');
    return ir_reads_cc(op) || may_fault || is_kind(op, 'E');
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
static const char *const cc_kind_name[] = {"add", "adc", "sub", "sbb", "logic", "inc",
                                           "dec", "shl", "shr", "sar", "mul",   "eflags"};
static const char *const helper_name[HELPER_COUNT] = {
#define HELPER(name, doc) #name,
#include "translator/helpers.def"
#undef HELPER
};

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
    print_lower(out, ir_op_name[op->op]);
    if (is_kind(op, 'S'))
        fprintf(out, "%s%u", op->op == IR_IMUL2 ? "_" : "", 8u << (op->size & 3));
    if (op->op == IR_SETCC || op->op == IR_CMOV || op->op == IR_JCC)
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
            op->imm < HELPER_COUNT ? helper_name[op->imm] : "?", op->size, op->aux, slot(op->dst),
            slot(op->a), slot(op->b), op->imm2);
    if (op->disp)
        fprintf(out, " disp=0x%x", op->disp);
}

static void print_segaddr(FILE *out, const struct ir_op *op)
{
    fprintf(out, "%u%s %s, %s:", 1u << (op->size & 7), op->flags & IRF_WRITE ? ".w" : "", slot(op->dst),
            seg_name[op->aux & 7]);
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

static void print_leave(FILE *out, const struct ir_op *op)
{
    if (op->aux)
        fprintf(out, " unless in this mode 0x%x", op->imm2);
}

static void print_plain(FILE *out, const struct ir_op *op)
{
    const char *uses = ir_op_uses[op->op];
    const char *sep = " ";
    if (has(uses, 'd'))
        sep = (fprintf(out, "%s%s", sep, slot(op->dst)), ", ");
    if (has(uses, 'X') && op->size != 0)
        sep = (fprintf(out, "%s%s", sep, slot(op->aux)), ", ");
    if (has(uses, 'a'))
        sep = (fprintf(out, "%s%s", sep, slot(op->a)), ", ");
    if (has(uses, 'x')) {
        fprintf(out, "%s%s, ", sep, slot(op->b));
        if (op->flags & IRF_IMM)
            fprintf(out, "0x%x", op->imm);
        else
            fputs(slot(op->aux), out);
    } else if (has(uses, 'b')) {
        fputs(sep, out);
        print_b(out, op);
    }
    if (op->op == IR_GETB || op->op == IR_PUTB)
        fputs(op->aux ? " high" : " low", out);
    if (op->op == IR_SETCF)
        fprintf(out, " %u", op->imm);
    if (op->op == IR_GETDF)
        fprintf(out, " << %u", op->aux);
    if (op->op == IR_LEA16)
        fprintf(out, ", 0x%x", op->imm);
}

typedef void print_fn(FILE *out, const struct ir_op *op);
static print_fn *const printer[IR_OPCODE_COUNT] = {
    [IR_LEA] = print_lea,     [IR_LD] = print_load,         [IR_LDRW] = print_load,
    [IR_ST] = print_store,    [IR_SEGADDR] = print_segaddr, [IR_HELPER] = print_helper,
    [IR_RAISE] = print_raise, [IR_JMP] = print_jmp,         [IR_JCC] = print_branch,
    [IR_JNZ] = print_branch,  [IR_LEAVE_TB] = print_leave,
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
    const char *uses = ir_op_uses[op->op];
    const bool imm_b = (op->flags & IRF_IMM) && !has(uses, 'x');
    const bool any = op->op == IR_HELPER; /* its b may be IR_NONE; its row knows */
    const char *why = NULL;
    if (has(uses, 'a') && (why = check_read(c, op->a)))
        return why;
    if (has(uses, 'b') && !imm_b && !(any && op->b == IR_NONE) && (why = check_read(c, op->b)))
        return why;
    if (has(uses, 'D') && (why = check_read(c, op->dst)))
        return why;
    if (has(uses, 'x') && !(op->flags & IRF_IMM))
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
    if (has(ir_op_uses[op->op], 'd') && (why = check_write(c, op->dst)))
        return why;
    if (has(ir_op_uses[op->op], 'X') && op->size != 0 && (why = check_write(c, op->aux)))
        return why;
    if ((op->flags & IRF_FLAGS) || (op->op == IR_HELPER && !helper_is_pure(op->imm)))
        c->wrote_guest = true;
    c->cc = ir_cc_after(c->cc, op);
    return NULL;
}

static bool is_cc_reader(const struct ir_op *op)
{
    return op->op == IR_SETCC || op->op == IR_CMOV || op->op == IR_JCC;
}

/* IRF_IMM, IRF_FLAGS, ... and size only where the row has such a form. */
static const char *check_form(const struct check *c, const struct ir_op *op)
{
    const bool imm_ok = is_kind(op, 'I') || op->op == IR_ST || op->op == IR_SHLD || op->op == IR_SHRD;
    if ((op->flags & IRF_IMM) && !imm_ok)
        return "no immediate form";
    if ((op->flags & IRF_FLAGS) && !is_kind(op, 'F'))
        return "no flag-setting form";
    if ((op->op == IR_SETFLAGS || op->op == IR_SETCF) && !(op->flags & IRF_FLAGS))
        return "SETFLAGS and SETCF exist only with IRF_FLAGS";
    if ((op->flags & IRF_WRITE) && op->op != IR_SEGADDR)
        return "IRF_WRITE outside SEGADDR";
    if (is_kind(op, 'S') && op->size > 2)
        return "bad size";
    if (op->op == IR_IMUL2 && op->size == 0)
        return "IMUL2 has no 8-bit form";
    if (op->flags & IRF_CC_KNOWN) {
        if (!is_cc_reader(op))
            return "IRF_CC_KNOWN where no condition is read";
        if (op->size != c->cc)
            return "IRF_CC_KNOWN with the wrong kind";
    }
    if (op->op == IR_HELPER && op->imm >= HELPER_COUNT)
        return "no such helper";
    return NULL;
}

/* May the op fault after this instruction wrote guest state? Only the store that its LDRW vouched for, CHECK.
 */
static const char *check_fault_order(const struct check *c, const struct ir_op *op)
{
    const struct ir_op *rw = c->rw;
    if (!c->wrote_guest || !(is_kind(op, 'M') || is_kind(op, 'X')))
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
        if (is_kind(&ops[i], 'E') != (i == nops - 1))
            return "the last op, and only it, ends the block";
        const char *why = check_op(&c, &ops[i]);
        if (why)
            return why;
    }
    return NULL;
}
