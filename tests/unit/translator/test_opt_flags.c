/* test_opt_flags.c - dead flag elimination: listings before and after, and the contract on random blocks. */
#include <criterion/criterion.h>
#include <string.h>

#include "listing.h"
#include "random_code.h"
#include "translator/opt_flags.h"

static struct ir_op add(unsigned insn, unsigned dst)
{
    return (struct ir_op){.op = IR_ADD,
                          .size = 2,
                          .flags = IRF_FLAGS,
                          .dst = (uint8_t)dst,
                          .a = IR_EAX,
                          .b = IR_EBX,
                          .insn = (uint8_t)insn};
}
static struct ir_op load(unsigned insn)
{
    return (struct ir_op){.op = IR_LD, .size = 2, .dst = IR_ECX, .a = IR_ESI, .insn = (uint8_t)insn};
}
static struct ir_op op(unsigned insn, enum ir_opcode code, unsigned flags)
{
    return (struct ir_op){.op = (uint8_t)code,
                          .size = 2,
                          .flags = (uint8_t)flags,
                          .dst = IR_EDX,
                          .a = IR_EDX,
                          .b = IR_ECX,
                          .insn = (uint8_t)insn};
}
static struct ir_op end(unsigned insn)
{
    return (struct ir_op){.op = IR_JMP, .insn = (uint8_t)insn};
}

static void expect(struct ir_op *ops, unsigned nops, const char *want)
{
    char text[2048] = "";
    listing(text, sizeof text, ops, opt_flags(ops, nops));
    cr_assert_str_eq(text, want);
}

Test(opt_flags, overwritten_flags_die)
{
    struct ir_op ops[] = {add(0, IR_EAX), add(1, IR_EAX), end(1)};
    expect(ops, 3, " 0  add32 eax, eax, ebx\n 1  add32.f eax, eax, ebx\n 1  jmp 0x0 chain=0\n");
}

Test(opt_flags, a_load_keeps_them)
{
    struct ir_op ops[] = {add(0, IR_EAX), load(1), add(2, IR_EAX), end(2)};
    expect(
        ops, 4,
        " 0  add32.f eax, eax, ebx\n 1  ld32 ecx, [esi]\n 2  add32.f eax, eax, ebx\n 2  jmp 0x0 chain=0\n");
}

Test(opt_flags, a_dead_compare_goes)
{
    struct ir_op ops[] = {add(0, IR_NONE), add(1, IR_EAX), end(1)};
    expect(ops, 3, " 1  add32.f eax, eax, ebx\n 1  jmp 0x0 chain=0\n");
}

Test(opt_flags, readers_keep_them)
{
    struct ir_op ops[] = {add(0, IR_EAX), op(1, IR_ADC, IRF_FLAGS), op(2, IR_INC, IRF_FLAGS), add(3, IR_EAX),
                          end(3)};
    expect(ops, 5,
           " 0  add32.f eax, eax, ebx\n 1  adc32 edx, edx, ecx\n 2  inc32 edx, edx\n"
           " 3  add32.f eax, eax, ebx\n 3  jmp 0x0 chain=0\n");
}

/* A shift by a register may leave all flags: it reads them. By an immediate, it replaces them. */
Test(opt_flags, shifts)
{
    struct ir_op by_slot[] = {add(0, IR_EAX), op(1, IR_SHL, IRF_FLAGS), end(1)};
    expect(by_slot, 3, " 0  add32.f eax, eax, ebx\n 1  shl32.f edx, edx, ecx\n 1  jmp 0x0 chain=0\n");
    struct ir_op by_imm[] = {add(0, IR_EAX), op(1, IR_SHL, IRF_FLAGS | IRF_IMM), end(1)};
    by_imm[1].imm = 3;
    expect(by_imm, 3, " 0  add32 eax, eax, ebx\n 1  shl32.f edx, edx, 0x3\n 1  jmp 0x0 chain=0\n");
    struct ir_op rotate[] = {add(0, IR_EAX), op(1, IR_ROL, IRF_FLAGS | IRF_IMM), end(1)};
    rotate[1].imm = 3;
    expect(rotate, 3, " 0  add32.f eax, eax, ebx\n 1  rol32.f edx, edx, 0x3\n 1  jmp 0x0 chain=0\n");
}

/* The contract, checked forwards and without the pass's own liveness: after an op that lost its flags, a
 * full replacement comes before anything that could see them. */

static bool replaces_all(const struct ir_op *o)
{
    const bool shift_by_imm = o->op == IR_SHL && (o->flags & IRF_IMM) && (o->imm & 31);
    return (o->flags & IRF_FLAGS) && (shift_by_imm || ir_op_info[o->op].reads == IR_READS_NO);
}

/* INC, shifts, rotates and bit ops keep some flags, but only when they still set flags at all. */
static bool sees(const struct ir_op *o)
{
    if (ir_op_info[o->op].faults != IR_FAULTS_NO || ir_ends(o))
        return true;
    if (o->op == IR_ADC || o->op == IR_SETCC)
        return true;
    return ir_op_info[o->op].reads != IR_READS_NO && (o->flags & IRF_FLAGS) && !replaces_all(o);
}

static bool is_dead_after(const struct ir_op *after, unsigned kept, unsigned insn)
{
    for (unsigned j = 0; j < kept; j++) {
        if (after[j].insn <= insn)
            continue;
        if (sees(&after[j]))
            return false;
        if (replaces_all(&after[j]))
            return true;
    }
    return false;
}

static void random_block(uint64_t *seed, struct ir_op *ops, unsigned nops)
{
    static const uint8_t codes[] = {IR_ADD, IR_SUB, IR_XOR, IR_NEG, IR_ADC,   IR_INC,   IR_SHL,
                                    IR_ROL, IR_MOV, IR_LD,  IR_BTS, IR_SETCC, IR_SETCF, IR_IMUL2};
    for (unsigned i = 0; i < nops; i++) {
        ops[i] = op(i, codes[random_below(seed, sizeof codes)], 0);
        if (ir_has_flags(&ops[i]) && (ops[i].op == IR_SETCF || random_below(seed, 4)))
            ops[i].flags |= IRF_FLAGS;
        if (ir_has_imm(&ops[i]) && random_below(seed, 2))
            ops[i].flags |= IRF_IMM;
        ops[i].imm = random_below(seed, 3);
        ops[i].dst = ops[i].op == IR_SETCF ? IR_NONE : IR_EDX;
    }
    ops[nops - 1] = end(nops - 1);
}

/* Returns how many ops lost their flags. One op per instruction, so that insn finds it again. */
static unsigned check_block(const struct ir_op *before, const struct ir_op *after, unsigned nops,
                            unsigned kept)
{
    unsigned k = 0, lost = 0;
    for (unsigned i = 0; i < nops; i++) {
        const bool gone = k == kept || after[k].insn != i;
        if (gone || (before[i].flags & ~after[k].flags & IRF_FLAGS)) {
            cr_assert(is_dead_after(after, kept, i), "op %u lost live flags", i);
            lost++;
        }
        k += !gone;
    }
    return lost;
}

Test(opt_flags, random_blocks)
{
    uint64_t seed = 7, lost = 0;
    for (uint64_t n = 0; n < test_scale(100000); n++) {
        struct ir_op before[12], after[12];
        random_block(&seed, before, 12);
        memcpy(after, before, sizeof before);
        lost += check_block(before, after, 12, opt_flags(after, 12));
    }
    cr_assert_gt(lost, 1000);
}
