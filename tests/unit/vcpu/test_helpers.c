/* test_helpers.c - the columns of helpers.def against what the helpers do: each row from random states, with
 * operands that its doc allows.
 *
 *   flags    KEEP, READ: the CC slots stay bit for bit. KEEP, WRITE: with other flags before, all else comes
 * out alike, and each flag either alike or kept changes  DST: nothing but that slot ends     NO, JUMP: eip,
 * mode and what the run loop looks at stay. The others: eip is set; HANDLER: TF is clear tick     NO: at
 * another tick the same, and none is taken
 *
 * A new row needs nothing here unless its aux or imm2 is special (table `operands`). */
#include "tests/unit/vcpu/harness.h"

#include <criterion/criterion.h>
#include <string.h>

#include "syncq/link.h"
#include "translator/cc.h"
#include "translator/sse.h"
#include "translator/x87.h"
#include "vcpu/helpers.h"

enum { RAM = 0x20000, STACK = 0x6000, STACK_BYTES = 0x1000, CODE = 0x3000, GDT_TSS = 0x1030, TRIALS = 600 };
enum { DST = IR_T0 + 2, POISON = 0x00dead00 };

static struct harness h;
static struct vcpu *v;
static _Alignas(64) uint8_t tb_memory[sizeof(struct tb) + sizeof(struct ir_op)];
static uint8_t ram[RAM];
static struct guest_state tidy; /* with the harness's tables */
static uint64_t seed = 1;
static uint64_t next_limit = 2000; /* accesses to devices never go back in time */

static uint32_t rnd(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 32);
}
static uint32_t below(uint32_t n)
{
    return rnd() % n;
}

/* --- operands --- */

enum { REG_FORM = 1, MEM_FORM = 2 };
static const uint8_t sse_form[SSE_COUNT] = {
#define FORM_R                           REG_FORM
#define FORM_M                           MEM_FORM
#define FORM_RM                          (REG_FORM | MEM_FORM)
#define SSE(pfx, opcode, reg, form, ...) [SSE_##pfx##_##opcode##_##reg##_##form] = FORM_##form,
#define SSE_OWN(...)
#include "translator/sse_rows.h"
};

static uint8_t any_segment(void)
{
    return (uint8_t)below(SEG_COUNT);
}

static bool is_general(unsigned opnd)
{
    return opnd == OP_Ed || opnd == OP_EdMw;
}

static void sse_operands(struct ir_op *op, unsigned form)
{
    enum sse_id id;
    do
        id = (enum sse_id)(1 + below(SSE_COUNT - 1));
    while (!(sse_form[id] & form));
    const struct sse_row *r = &sse_rows[id];
    op->imm2 = sse_op_make(id, rnd() & 0xff);
    op->aux = (uint8_t)(below(8) | below(8) << 4);
    op->b = form == REG_FORM && is_general(r->opnd[1]) ? IR_ECX : IR_NONE;
    const bool writes = r->opnd[0] == OP_Gd || (form == REG_FORM && r->opnd[0] == OP_Ed);
    op->dst = writes ? IR_EBX : IR_NONE;
}

static void for_SSE_REG(struct ir_op *op)
{
    sse_operands(op, REG_FORM);
}
static void for_SSE_MEM(struct ir_op *op)
{
    sse_operands(op, MEM_FORM);
}
static void for_MASKMOV(struct ir_op *op)
{
    op->imm2 = any_segment();
    op->aux = (uint8_t)(below(8) | below(8) << 4);
}
static void for_X87_MEM(struct ir_op *op)
{
    do
        op->imm2 = below(8) << 8 | below(0xc0);
    while (!x87_mem_forms[op->imm2 >> 8][op->imm2 >> 3 & 7].exists);
}

static const struct x87_form *x87_reg_form(const struct ir_op *op)
{
    return &x87_reg_forms[op->imm2 >> 8][op->imm2 & 63];
}

static void for_X87_REG(struct ir_op *op)
{
    do
        op->imm2 = below(8) << 8 | 0xc0 | below(64);
    while (!x87_reg_form(op)->exists);
}
static void for_INT(struct ir_op *op)
{
    op->aux = (uint8_t)(op->size == 1 ? 3 : op->size == 2 ? 4 : rnd());
}
static void for_CR(struct ir_op *op)
{
    static const uint8_t numbers[] = {0, 2, 3, 4};
    op->aux = numbers[below(4)];
}
static void for_DR(struct ir_op *op)
{
    op->aux = (uint8_t)below(8);
}
static void for_repeated(struct ir_op *op)
{
    op->aux = (uint8_t)((1 + below(2)) | below(2) << 2 | below(SEG_COUNT) << 4);
}
static void for_string_io(struct ir_op *op)
{
    for_repeated(op);
    op->aux &= (uint8_t)(below(3) ? 0xff : 0xfc);
}
static void for_ENTER(struct ir_op *op)
{
    op->imm2 = below(0x100) | below(32) << 16;
}
static void for_LOAD_SEG(struct ir_op *op)
{
    static const uint8_t segments[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
    op->aux = segments[below(5)];
    op->b = below(2) ? IR_NONE : IR_T0 + 1;
}
static void for_LOAD_SEG_FLAT(struct ir_op *op)
{
    op->aux = (uint8_t)(SEG_FS + below(2));
}
static void for_LOAD_FAR(struct ir_op *op)
{
    for_LOAD_SEG(op);
    op->b = (uint8_t)below(IR_EDI + 1);
}

static const struct {
    enum ir_helper helper;
    void (*choose)(struct ir_op *op);
} operands[] = {
    {HELPER_SSE_REG, for_SSE_REG},   {HELPER_SSE_MEM, for_SSE_MEM},
    {HELPER_MASKMOV, for_MASKMOV},   {HELPER_X87_MEM, for_X87_MEM},
    {HELPER_X87_REG, for_X87_REG},   {HELPER_INT, for_INT},
    {HELPER_INTO, for_INT},          {HELPER_MOV_FROM_CR, for_CR},
    {HELPER_MOV_TO_CR, for_CR},      {HELPER_MOV_FROM_DR, for_DR},
    {HELPER_MOV_TO_DR, for_DR},      {HELPER_MOVS, for_repeated},
    {HELPER_CMPS, for_repeated},     {HELPER_STOS, for_repeated},
    {HELPER_LODS, for_repeated},     {HELPER_SCAS, for_repeated},
    {HELPER_INS, for_string_io},     {HELPER_OUTS, for_string_io},
    {HELPER_ENTER, for_ENTER},       {HELPER_LOAD_SEG, for_LOAD_SEG},
    {HELPER_LOAD_FAR, for_LOAD_FAR}, {HELPER_LOAD_SEG_FLAT, for_LOAD_SEG_FLAT},
};

static struct ir_op random_op(unsigned helper)
{
    const unsigned first = helper_info[helper].size & 15, last = helper_info[helper].size >> 4;
    struct ir_op op = {.op = IR_HELPER,
                       .imm = helper,
                       .a = IR_T0,
                       .b = IR_T0 + 1,
                       .dst = DST,
                       .aux = any_segment(),
                       .size = (uint8_t)(first + (last > first ? below(last - first + 1) : 0)),
                       .imm2 = CODE + below(64)};
    for (unsigned i = 0; i < sizeof operands / sizeof *operands; i++)
        if (operands[i].helper == helper)
            operands[i].choose(&op);
    return op;
}

/* --- states --- */

/* Selectors of harness_tables, addresses in RAM, small and random numbers. */
static uint32_t likely(void)
{
    static const uint32_t selectors[] = {0, 0x10, 0x18, 0x23, 0x2b, 0x30};
    switch (below(5)) {
    case 0:
        return selectors[below(6)];
    case 1:
        return (STACK + below(STACK_BYTES)) & ~15u;
    case 2:
        return below(0x40);
    case 3:
        return CODE + below(0x100);
    default:
        return rnd();
    }
}

static void random_ram(void)
{
    for (unsigned i = STACK; i < STACK + STACK_BYTES; i += 4) {
        const uint32_t value = likely();
        memcpy(ram + i, &value, 4);
    }
}

static void random_fpu(struct guest_state *g)
{
    for (unsigned i = 0; i < 8; i++)
        for (unsigned k = 0; k < 16; k++) {
            g->x87.r[i][k] = (uint8_t)(k < 10 ? rnd() : 0);
            g->sse.xmm[i][k] = (uint8_t)rnd();
        }
    g->x87.cw = 0x37f;
    g->x87.sw = (uint16_t)(below(8) << 11);
    g->x87.empty = (uint8_t)rnd();
    g->sse.mxcsr = 0x1f80;
}

/* Flat protected mode, ring 0 or 3, not paged. */
static struct guest_state random_state(void)
{
    struct guest_state g = tidy;
    const bool user = below(4) == 0;
    for (unsigned i = IR_EAX; i < IR_NSLOTS; i++)
        if (i <= IR_EDI || i >= IR_T0)
            g.slot[i] = likely();
    g.slot[IR_ESP] = STACK + STACK_BYTES / 2 + below(64) * 4;
    g.slot[IR_ECX] = below(3) ? below(20) : likely();
    g.df = below(2) ? 1 : -1;
    g.eip = POISON;
    g.eflags = (below(2) ? FLAG_IF : 0) | (below(4) ? FLAG_IOPL : 0) | (below(8) ? 0 : FLAG_TF);
    g.int_shadow = g.halted = 0;
    g.cpl = user ? 3 : 0;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        g.seg[i] = (struct segment){
            .sel = user ? 0x2b : 0x18, .access = (uint16_t)(0xc093 | (user ? 0x60 : 0)), .limit = UINT32_MAX};
    g.seg[SEG_CS] = (struct segment){
        .sel = user ? 0x23 : 0x10, .access = (uint16_t)(0xc09b | (user ? 0x60 : 0)), .limit = UINT32_MAX};
    g.cr0 = CR0_PE | CR0_NE | CR0_ET | (below(4) ? 0 : CR0_TS);
    g.cr2 = g.cr3 = 0;
    g.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    memset(g.dr, 0, sizeof g.dr);
    g.dr[6] = 0xffff0ff0, g.dr[7] = 0x400;
    g.sysenter_cs = below(2) ? 0x10 : 0, g.sysenter_esp = STACK, g.sysenter_eip = CODE;
    random_fpu(&g);
    return g;
}

/* --- running --- */

struct outcome {
    enum helper_result result;
    bool to_be_redone, pending;
    uint8_t exit_reason;
    struct pending_exc exc;
    struct guest_state g;
    uint8_t ram[RAM];
};

static void set_flags(struct guest_state *g, uint32_t flags)
{
    g->slot[IR_CC_OP] = CC_EFLAGS;
    g->slot[IR_CC_A] = g->slot[IR_CC_B] = 0;
    g->slot[IR_CC_R] = flags;
}

static void run(struct outcome *o, const struct ir_op *op, const struct guest_state *g, uint32_t flags,
                uint64_t limit)
{
    struct tb *tb = (struct tb *)tb_memory;
    v->g = *g;
    set_flags(&v->g, flags);
    memcpy(h.mem.host, ram, RAM);
    h.sync_reads = 0;
    h.pins = h.local_pins = v->pins = v->wants = 0;
    v->exc = (struct pending_exc){0};
    v->exit_reason = 0, v->db_pending = 0, v->redo_single = false, v->in_single = false;
    v->limit = limit;
    v->g.budget = 1000;
    vcpu_state_changed(v);
    *tb =
        (struct tb){.lin_addr = CODE, .bytes = 2, .nops = 1, .ninsns = 1, .valid = 1, .cs_limit = UINT32_MAX};
    tb->mode = v->g.mode;
    static const int32_t offsets[] = {0, 2};
    tb->insn_offset = offsets;
    tb->ops[0] = *op;
    v->tb = tb;
    o->result = vcpu_helpers[op->imm](v, op);
    o->to_be_redone = v->redo_single, o->exit_reason = v->exit_reason, o->pending = v->exc.pending;
    o->exc = v->exc.pending ? v->exc : (struct pending_exc){0};
    o->g = v->g;
    memcpy(o->ram, h.mem.host, RAM);
}

static uint32_t flags_of(const struct outcome *o)
{
    const uint32_t *s = o->g.slot;
    return cc_flags(s[IR_CC_OP], s[IR_CC_A], s[IR_CC_B], s[IR_CC_R]);
}

static bool same_but_flags(const struct outcome *a, const struct outcome *b)
{
    struct guest_state other = b->g;
    memcpy(&other.slot[IR_CC_OP], &a->g.slot[IR_CC_OP], 4 * sizeof other.slot[0]);
    return a->result == b->result && a->to_be_redone == b->to_be_redone && a->exit_reason == b->exit_reason &&
           memcmp(&a->exc, &b->exc, sizeof a->exc) == 0 && memcmp(&a->g, &other, sizeof other) == 0 &&
           memcmp(a->ram, b->ram, RAM) == 0;
}

/* --- columns --- */

#define EXPECT(cond, text) cr_assert(cond, "%s: %s", helper_info[op->imm].name, text)

static bool slots_keep(const struct outcome *o, uint32_t flags)
{
    const uint32_t *s = o->g.slot;
    return s[IR_CC_OP] == CC_EFLAGS && s[IR_CC_A] == 0 && s[IR_CC_B] == 0 && s[IR_CC_R] == flags;
}

/* `clear` began with no flag, `set` with all. */
static void check_flags(const struct ir_op *op, const struct outcome *clear, const struct outcome *set)
{
    const unsigned flags = helper_info[op->imm].flags;
    if (!(flags & HELPER_FLAGS_WRITE))
        EXPECT(slots_keep(clear, 0) && slots_keep(set, FLAGS_ARITH), "writes flags");
    if (!(flags & HELPER_FLAGS_READ)) {
        EXPECT(same_but_flags(clear, set), "reads flags");
        EXPECT((flags_of(clear) & ~flags_of(set)) == 0, "a flag follows from another");
    }
}

static void check_changes(const struct ir_op *op, const struct guest_state *before, const struct outcome *o)
{
    struct guest_state expected = *before;
    if (helper_info[op->imm].changes == HELPER_CHANGES_MORE)
        return;
    expected.slot[op->dst] = o->g.slot[op->dst];
    if (o->result != HELPER_OK)
        expected.slot[op->dst] = before->slot[op->dst];
    memcpy(&expected.slot[IR_CC_OP], &o->g.slot[IR_CC_OP], 4 * sizeof expected.slot[0]);
    expected.budget = o->g.budget, expected.mode = o->g.mode; /* of the next column */
    EXPECT(memcmp(&expected, &o->g, sizeof expected) == 0, "changes more than dst");
    EXPECT(memcmp(ram, o->ram, RAM) == 0, "writes memory");
}

static void check_goes_on(const struct ir_op *op, const struct guest_state *before, const struct outcome *o)
{
    const struct tb *tb = (const struct tb *)tb_memory;
    EXPECT(o->g.eip == POISON, "sets eip in the midst of a block");
    EXPECT(o->g.mode == tb->mode && o->g.cpl == before->cpl, "changes the mode in the midst of a block");
    EXPECT(!o->g.halted && o->g.int_shadow == before->int_shadow && !o->exit_reason && !o->pending,
           "wants the run loop in the midst of a block");
    EXPECT(!(o->g.eflags & ~before->eflags & (FLAG_IF | FLAG_TF)), "lets an interrupt or a trap in");
}

static void check_ends(const struct ir_op *op, const struct guest_state *before, const struct outcome *o)
{
    const unsigned ends = helper_info[op->imm].ends;
    if (o->result != HELPER_OK)
        EXPECT(o->pending || o->to_be_redone, "fails without a reason");
    else if (ends == HELPER_ENDS_NO || ends == HELPER_ENDS_JUMP)
        check_goes_on(op, before, o);
    else
        EXPECT(o->g.eip != POISON, "does not set eip");
    if (o->result == HELPER_OK && ends == HELPER_ENDS_REPEAT)
        EXPECT(o->g.eip == op->imm2 || o->g.eip == CODE, "goes elsewhere");
    if (o->result == HELPER_OK && ends == HELPER_ENDS_HANDLER && o->g.eip != op->imm2)
        EXPECT(!(o->g.eflags & FLAG_TF), "enters a handler with TF");
}

/* `later` is the same at another tick. */
static void check_tick(const struct ir_op *op, const struct outcome *o, const struct outcome *later)
{
    if (helper_info[op->imm].tick == HELPER_TICK_TICK)
        return;
    EXPECT(o->g.budget == 1000, "takes ticks");
    EXPECT(same_but_flags(o, later) && flags_of(o) == flags_of(later), "knows its tick");
}

/* Rows that never complete, and why. */
static const struct {
    enum ir_helper helper;
    const char *why;
} never[] = {
    {HELPER_RDPMC, "no counters: always #GP(0)"},
    {HELPER_INT1, "always a trap"},
};

static bool may_never_complete(unsigned helper)
{
    for (unsigned i = 0; i < sizeof never / sizeof *never; i++)
        if (never[i].helper == helper)
            return true;
    return false;
}

static bool check_once(unsigned helper)
{
    static struct outcome clear, set, later;
    const struct ir_op the_op = random_op(helper), *op = &the_op;
    random_ram();
    const struct guest_state g = random_state();
    const uint64_t limit = ++next_limit;
    run(&clear, op, &g, 0, limit);
    run(&set, op, &g, FLAGS_ARITH, limit);
    check_flags(op, &clear, &set);
    check_changes(op, &g, &clear);
    check_ends(op, &g, &clear);
    check_ends(op, &g, &set);
    if (helper_info[helper].tick == HELPER_TICK_NO) {
        run(&later, op, &g, 0, limit + 12345);
        check_tick(op, &clear, &later);
    }
    return clear.result == HELPER_OK || set.result == HELPER_OK;
}

static void start(void)
{
    harness_init(&h, &(struct harness_options){.ram_bytes = RAM});
    v = h.cpu;
    vcpu_set_flat32(v, CODE, 0x10, 0x18);
    harness_tables(&h);
    for (unsigned vector = 0; vector < 256; vector++)
        harness_gate(&h, vector, CODE, 3);
    tidy = v->g;
    memcpy(ram, h.mem.host, RAM);
    memcpy(ram + GDT_TSS, (const uint8_t[]){0x67, 0, 0, 0x11, 0, 0x89, 0, 0}, 8); /* available, for LTR */
    link_arrive(h.link, 0); /* accesses to devices are allowed from here on */
    cr_assert_gt(link_limit(h.link), next_limit + TRIALS * HELPER_COUNT);
}

static void end(void)
{
    harness_free(&h);
}

TestSuite(helpers, .init = start, .fini = end);

Test(helpers, do_what_their_columns_say, .timeout = 60)
{
    for (unsigned helper = 0; helper < HELPER_COUNT; helper++) {
        unsigned completed = 0;
        for (unsigned i = 0; i < TRIALS; i += test_every())
            completed += check_once(helper);
        cr_assert(completed || test_every() > 1 || may_never_complete(helper), "%s never completed",
                  helper_info[helper].name);
    }
}
