/* strings.c - see strings.h.
 *
 * Programs fill and copy small structures this way, kernels frames and pages. The helper (vcpu/arch/string.c)
 * is C code, for which the guest's FPU leaves the host's registers: that takes longer than such an
 * instruction. The stub does what the helper does where all iterations can be done at once: upwards, each
 * side in one page that the TLB's first way has at hand, enough ticks, and nothing that waits to be
 * delivered. Few elements are moved one by one: what was pushed a moment ago is read as it was pushed, since
 * a processor waits for narrower stores to reach the cache before it gives them to a wider load. More are the
 * host's own REP, which does overlapping copies as the guest's. */
#include "translator/x64/strings.h"

#include "clockcore/check.h"
#include "translator/x64/mem.h"

enum { ONE_BY_ONE_MAX = 32 };
/* Of the pool, and those that hold addends elsewhere: a repeated instruction is alone in its block. */
enum { BUDGET = R8, BYTES = R9, SOURCE = R12, DEST = R13 };

/* Copies of words and then of the bytes that are left have often none of these. */
static void emit_none(struct x64_buf *b)
{
    x_test(b, SZ32, reg_guest(IR_ECX), reg_guest(IR_ECX)); /* CF = 0 */
    uint8_t *some = x_jcc(b, CC_NE);
    x_ret(b);
    x_patch_here(b, some);
}

/* BUDGET = the budget without the ticks of all iterations but the first, BYTES = what they move. The jumps
 * stored in no: not now. Stricter than the helper. MATCH may_repeat */
static void emit_may_run(struct x64_buf *b, const struct x64_env *env, unsigned size, uint8_t **no)
{
    const unsigned count = reg_guest(IR_ECX);
    x_lea(b, SZ32, BUDGET, mem_at(count, -1));
    x_alu_imm(b, ALU_CMP, SZ32, BUDGET, (X64_PAGE_BYTES >> size) - 1);
    no[0] = x_jcc(b, CC_A);
    x_alu_mem_imm(b, ALU_CMP, SZ32, mem_state(offsetof(struct guest_state, df)), 0);
    no[1] = x_jcc(b, CC_S);
    x_alu_mem_imm(b, ALU_CMP, SZ8, mem_state(env->wants), 0);
    no[2] = x_jcc(b, CC_NE);
    x_load(b, SZ64, SCRATCH1, mem_budget());
    x_alu(b, ALU_SUB, SZ64, SCRATCH1, BUDGET);
    no[3] = x_jcc(b, CC_S);
    x_mov(b, SZ64, BUDGET, SCRATCH1);
    x_mov(b, SZ32, BYTES, count);
    if (size)
        x_shift_imm(b, SH_SHL, SZ32, BYTES, size);
}

/* reg = where the host has the bytes that the guest register points to; the returned jump: not at hand. */
static uint8_t *emit_side(struct x64_buf *b, const struct x64_env *env, bool user, uint32_t tag,
                          unsigned slot, unsigned reg)
{
    x_mov(b, SZ32, SCRATCH1, reg_guest(slot));
    emit_tlb_index(b, env, SCRATCH2, SCRATCH1);
    x_alu_load(b, ALU_XOR, SZ64, SCRATCH1, mem_tlb(env->tlb[user], tag, SCRATCH2));
    x_alu(b, ALU_ADD, SZ64, SCRATCH1, BYTES);
    x_alu_imm(b, ALU_CMP, SZ64, SCRATCH1, X64_PAGE_BYTES);
    uint8_t *no = x_jcc(b, CC_A);
    x_load(b, SZ64, reg, mem_tlb(env->tlb[user], env->addend, SCRATCH2));
    x_alu(b, ALU_ADD, SZ64, reg, reg_guest(slot));
    return no;
}

static void emit_one_by_one(struct x64_buf *b, bool copies, unsigned size)
{
    const uint8_t *again = b->at;
    if (copies) {
        x_load(b, size, SCRATCH1, mem_at(SOURCE, 0));
        x_alu_imm(b, ALU_ADD, SZ64, SOURCE, 1u << size);
    }
    x_store(b, size, mem_at(DEST, 0), copies ? (unsigned)SCRATCH1 : reg_guest(IR_EAX));
    x_alu_imm(b, ALU_ADD, SZ64, DEST, 1u << size);
    x_dec(b, SZ32, reg_guest(IR_ECX));
    x_patch(x_jcc(b, CC_NE), again);
}

static void emit_host_rep(struct x64_buf *b, bool copies, unsigned size)
{
    x_push(b, RSI);
    x_push(b, RDI);
    x_mov(b, SZ64, RSI, SOURCE);
    x_mov(b, SZ64, RDI, DEST);
    x_rep(b, copies ? REP_MOVS : REP_STOS, size);
    x_pop(b, RDI);
    x_pop(b, RSI);
}

static void emit_elements(struct x64_buf *b, bool copies, unsigned size)
{
    x_alu_imm(b, ALU_CMP, SZ32, reg_guest(IR_ECX), ONE_BY_ONE_MAX);
    uint8_t *many = x_jcc(b, CC_A);
    emit_one_by_one(b, copies, size);
    uint8_t *done = x_jmp(b);
    x_patch_here(b, many);
    emit_host_rep(b, copies, size);
    x_patch_here(b, done);
}

uint8_t *emit_string_stub(struct x64_buf *b, const struct x64_env *env, bool user, bool copies, unsigned size)
{
    uint8_t *start = b->at, *no[6] = {NULL};
    CHECK(reg_guest(IR_EAX) == RAX && reg_guest(IR_ECX) == RCX);
    emit_none(b);
    emit_may_run(b, env, size, no);
    if (copies)
        no[4] = emit_side(b, env, user, env->tag_r, IR_ESI, SOURCE);
    no[5] = emit_side(b, env, user, env->tag_w, IR_EDI, DEST);
    x_store(b, SZ64, mem_budget(), BUDGET);
    emit_elements(b, copies, size);
    x_alu(b, ALU_ADD, SZ32, reg_guest(IR_EDI), BYTES);
    if (copies)
        x_alu(b, ALU_ADD, SZ32, reg_guest(IR_ESI), BYTES);
    x_test(b, SZ32, BYTES, BYTES); /* CF = 0 */
    x_ret(b);
    for (unsigned i = 0; i < sizeof no / sizeof no[0]; i++)
        if (no[i])
            x_patch_here(b, no[i]);
    x_alu_imm(b, ALU_CMP, SZ64, RSP, UINT32_MAX); /* -1: CF */
    x_ret(b);
    return start;
}

const uint8_t *string_stub(const struct compile *c, const struct ir_op *op)
{
    const uint32_t mode = c->tb->mode;
    const bool copies = op->imm == HELPER_MOVS;
    const unsigned rep = op->aux & ((1u << STR_SEG_SHIFT) - 1), source = op->aux >> STR_SEG_SHIFT;
    if ((!copies && op->imm != HELPER_STOS) || op != c->ops || rep != STR_REPE ||
        (copies && source != SEG_DS) || (mode & (TB_MODE_FLAT | TB_MODE_SINGLE)) != TB_MODE_FLAT)
        return NULL;
    return c->x->stubs.string[(mode & TB_MODE_USER) != 0][copies][op->size];
}
