/* test_ir.c - the tables of the IR, and that the validator refuses what breaks the contract. */
#include <criterion/criterion.h>

#include "translator/cc.h"
#include "translator/ir.h"

/* The columns of ir_ops.def and helpers.def, as far as static asserts in ir.c do not see to them. */
Test(ir, every_op_is_described)
{
    for (unsigned i = 0; i < IR_OPCODE_COUNT; i++) {
        const struct ir_op_info *info = &ir_op_info[i];
        const struct ir_op op = {.op = (uint8_t)i, .flags = IRF_FLAGS, .size = 2};
        cr_assert_not_null(info->name);
        cr_assert(info->writes < CC_KIND_COUNT + 1 || info->writes >= IR_WRITES_NONE, "%s", info->name);
        if (!info->ends && info->faults == IR_FAULTS_NO && ir_kills_cc(&op))
            cr_assert_not(ir_observes_cc(&op, true), "%s replaces what it reads", info->name);
        if (info->ends)
            cr_assert(ir_observes_cc(&op, false), "%s: flags are live at the end", info->name);
    }
}

Test(ir, every_helper_is_described)
{
    for (unsigned i = 0; i < HELPER_COUNT; i++) {
        const struct ir_op op = {.op = IR_HELPER, .imm = i};
        cr_assert_not_null(helper_info[i].name);
        cr_assert_leq(helper_info[i].size & 15, helper_info[i].size >> 4, "%s", helper_info[i].name);
        cr_assert_eq(ir_cc_after(CC_EFLAGS, &op) < 0, helper_info[i].flags >= HELPER_FLAGS_WRITE, "%s",
                     helper_info[i].name);
    }
}

static const struct ir_op jmp = {.op = IR_JMP};
static const struct ir_op load = {.op = IR_LD, .size = 2, .dst = IR_EAX, .a = IR_EBX};
static const struct ir_op add = {
    .op = IR_ADD, .size = 2, .flags = IRF_FLAGS, .dst = IR_ECX, .a = IR_ECX, .b = IR_EDX};
static const struct ir_op store = {.op = IR_ST, .size = 2, .a = IR_EBX, .b = IR_EDX};

#define REFUSED(...)                                                                                         \
    cr_assert_not_null(ir_validate((struct ir_op[]){__VA_ARGS__},                                            \
                                   sizeof((struct ir_op[]){__VA_ARGS__}) / sizeof(struct ir_op)))
#define ACCEPTED(...)                                                                                        \
    cr_assert_null(ir_validate((struct ir_op[]){__VA_ARGS__},                                                \
                               sizeof((struct ir_op[]){__VA_ARGS__}) / sizeof(struct ir_op)))

static struct ir_op with_insn(struct ir_op op, unsigned insn)
{
    op.insn = (uint8_t)insn;
    return op;
}

Test(ir, ends)
{
    ACCEPTED(jmp);
    REFUSED(add);
    REFUSED(jmp, jmp);
    REFUSED(with_insn(add, 1), jmp);
}

/* A block that ends behind a helper ends as the helper's row says. */
Test(ir, helpers_end_blocks)
{
    static const struct ir_op leave = {.op = IR_LEAVE_TB};
    for (unsigned i = 0; i < HELPER_COUNT; i++) {
        const struct helper_info *h = &helper_info[i];
        const struct ir_op helper = {
            .op = IR_HELPER, .imm = i, .size = h->size & 15, .dst = IR_NONE, .a = IR_ZERO, .b = IR_ZERO};
        const struct ir_op left[] = {helper, leave}, jumped[] = {helper, jmp},
                           later[] = {helper, with_insn(leave, 1)},
                           later_jump[] = {helper, with_insn(jmp, 1)};
        const bool leaves = h->ends >= HELPER_ENDS_LEAVE;
        cr_assert_eq(ir_validate(left, 2) == NULL, leaves, "%s", h->name);
        cr_assert_eq(ir_validate(jumped, 2) == NULL, !leaves, "%s", h->name);
        cr_assert_not_null(ir_validate(later, 2), "%s", h->name);
        cr_assert_eq(ir_validate(later_jump, 2) == NULL, h->ends == HELPER_ENDS_NO, "%s", h->name);
    }
    REFUSED(leave);
    REFUSED(add, leave);
    struct ir_op sized = {.op = IR_HELPER, .imm = HELPER_ENTER, .size = 2, .dst = IR_NONE};
    ACCEPTED(sized, jmp);
    sized.size = 0;
    REFUSED(sized, jmp);
}

Test(ir, faults_come_before_writes)
{
    ACCEPTED(load, add, jmp);
    REFUSED(add, load, jmp);
    ACCEPTED(add, with_insn(load, 1), with_insn(jmp, 1));
    REFUSED(add, store, jmp);
    struct ir_op rw = {.op = IR_LDRW, .size = 2, .dst = IR_T0, .a = IR_EBX};
    ACCEPTED(rw, add, store, jmp);
    rw.imm = 4;
    REFUSED(rw, add, store, jmp);
}

Test(ir, operands)
{
    struct ir_op op = add;
    op.a = IR_T0; /* nobody wrote it */
    REFUSED(op, jmp);
    ACCEPTED((struct ir_op){.op = IR_MOV, .flags = IRF_IMM, .dst = IR_T0}, op, jmp);
    REFUSED((struct ir_op){.op = IR_MOV, .flags = IRF_IMM, .dst = IR_T0}, with_insn(op, 1),
            with_insn(jmp, 1));
    REFUSED((struct ir_op){.op = IR_MOV, .flags = IRF_IMM, .dst = IR_ZERO}, jmp);
    REFUSED((struct ir_op){.op = IR_MOV, .dst = IR_EAX, .b = IR_NONE}, jmp);
    REFUSED((struct ir_op){.op = IR_MOV, .dst = IR_CC_R, .b = IR_EAX}, jmp);
    REFUSED((struct ir_op){.op = IR_MOV, .dst = IR_EAX, .b = 40}, jmp);
    REFUSED((struct ir_op){.op = IR_NOT, .size = 3}, jmp);
    REFUSED((struct ir_op){.op = IR_NOT, .size = 2, .flags = IRF_FLAGS}, jmp);
    REFUSED((struct ir_op){.op = IR_HELPER, .dst = IR_NONE, .imm = HELPER_COUNT}, jmp);
}

Test(ir, known_flags)
{
    struct ir_op jcc = {.op = IR_JCC, .flags = IRF_CC_KNOWN, .size = CC_OP(CC_KIND_ADD, 2), .aux = 4};
    ACCEPTED(add, jcc);
    REFUSED(jcc);
    jcc.size = CC_OP(CC_KIND_SUB, 2);
    REFUSED(add, jcc);
}
