/* gen.h - random cases from the instruction tables (insns.def, insns_x87.def, insns_sse.def).
 * Threads: one; deterministic for a seed. */
#ifndef TANDEM_TESTS_ORACLE_GEN_H
#define TANDEM_TESTS_ORACLE_GEN_H

#include "tests/oracle/oracle.h"
#include "translator/decode.h"

/* One row of either table, as the coverage count sees it. */
struct oracle_row {
    const struct insn_row *insn; /* NULL: x87 */
    char name[40];               /* "01 ADD Ev,Gv" or "d8/0 FADD m32fp" */
    const char *excluded;        /* reason, or NULL: runnable */
    uint16_t opcode;
    int16_t reg;   /* ModRM.reg, -1: any */
    uint8_t span;  /* opcodes, or x87 ModRM bytes */
    int16_t modrm; /* x87 register forms: first ModRM byte, else -1 */
    uint8_t test;  /* enum insn_test */
    bool x87, x87_compare, x87_env;
    uint8_t prefix;     /* insns_sse.def: enum simd_prefix */
    uint16_t form;      /* A_MEM, A_REG: which ModRM.mod */
    uint16_t sse;       /* enum sse_id */
    uint32_t undefined; /* U_* */
    const char *mnemonic;
    uint64_t cases, completed, faulted, formless; /* filled by the driver; formless: NATIVE_NO_FORM */
};

struct gen {
    uint64_t seed;
    const struct test_case
        *pool;              /* states and data to start from (record.h); NULL: each case draws its own */
    unsigned npool, pooled; /* pooled: the last case's */
    struct oracle_row *rows;
    unsigned nrows;
};

/* What may differ after a case. */
struct undefined {
    uint32_t flags;      /* EFLAGS bits */
    bool result;         /* registers and memory too (shift counts beyond the operand) */
    uint32_t mxcsr_mask; /* FXSAVE: address of MXCSR_MASK, 0: none */
};

void gen_init(struct gen *g, uint64_t seed);
void gen_end(struct gen *g);
/* Fills *c with one instruction of `row`; false: this draw makes no case (try again). */
bool gen_single(struct gen *g, const struct oracle_row *row, struct test_case *c, struct undefined *u);
/* The row of an instruction; NULL: none. */
const struct oracle_row *gen_row_of(const struct gen *g, const uint8_t *code);
/* What may differ after a case of one instruction. */
void gen_undefined(const struct oracle_row *row, const struct test_case *c, struct undefined *u);
/* A sequence of 2..6 instructions without undefined flags. */
bool gen_sequence(struct gen *g, struct test_case *c);
uint64_t gen_random(struct gen *g);
/* One encoding of the row at p (room for 16 bytes); its length, or 0: not this draw. */
unsigned gen_encode(struct gen *g, const struct oracle_row *row, uint8_t *p, struct insn *in);

#endif
