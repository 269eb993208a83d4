/* test_ir.c - the tables of the IR, and that the validator refuses what breaks the contract. */
#include <criterion/criterion.h>

#include "translator/cc.h"
#include "translator/ir.h"

Test(ir, every_op_is_described)
{
    for (unsigned i = 0; i < IR_OPCODE_COUNT; i++) {
        cr_assert_not_null(ir_op_name[i]);
        cr_assert_not_null(ir_op_kinds[i]);
        cr_assert_not_null(ir_op_uses[i], "%s", ir_op_name[i]);
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
