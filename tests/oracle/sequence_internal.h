/* sequence_internal.h - a sequence being written, for sequence*.c only. Threads: one. */
#ifndef TANDEM_TESTS_ORACLE_SEQUENCE_INTERNAL_H
#define TANDEM_TESTS_ORACLE_SEQUENCE_INTERNAL_H

#include <Zydis/Zydis.h>

#include "tests/oracle/sequence.h"

enum { LABELS = 24, FIXUPS = 24, HEADS = 16, SLOTS = 12, FUNCTIONS = 3 };
enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };

/* Where an address or a distance to a label has to be written. */
enum fixup_kind { FIX_REL8, FIX_REL32, FIX_ABS32 };
struct fixup {
    uint32_t at, addend;
    uint8_t kind;
};

/* An instruction that is there to be changed. */
enum slot_kind {
    SLOT_MOV,
    SLOT_ADD32,
    SLOT_ADD8,
    SLOT_INC,
    SLOT_JMP,
    SLOT_LOAD,
    SLOT_REGREG,
    SLOT_NOP,
    SLOT_KINDS
};
struct slot {
    uint32_t at;
    uint8_t kind;
};

/* A place that is not reached yet, or only now. */
struct label {
    bool pending, jumped, has_slot; /* used at all; by a jump; an instruction to be changed is put there */
    bool placed;                    /* now it is, at `at` */
    uint32_t at;
    uint8_t slot;       /* enum slot_kind */
    unsigned countdown; /* items until then */
    uint16_t undefined; /* flags, over all jumps */
    unsigned nfixups;
    struct fixup fixup[FIXUPS];
};

struct draft {
    struct gen *g;
    struct sequence *s;
    uint32_t at;
    uint16_t undefined; /* flags, here */
    uint8_t known_mask; /* bit n: the value of register n is the same whatever ran before */
    uint32_t known[8];  /* the values of the registers in known_mask */
    struct label label[LABELS], function[FUNCTIONS], function_slot[FUNCTIONS], out;
    uint32_t head[HEADS];
    struct slot slot[SLOTS];
    unsigned nheads, nslots;
    bool in_functions; /* the main part is written */
    bool failed;       /* a short jump did not reach, or a table is full: draw another */
};

/* What Zydis says about an instruction. */
struct facts {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
    uint8_t written;               /* registers */
    bool writes_memory, names_esp; /* ESP is an explicit destination */
    uint32_t tested;               /* flags */
};

#define LE32(v)      (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)
#define EMIT(d, ...) seq_emit(d, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), 0)

/* --- sequence_draft.c --- */
uint32_t seq_below(struct draft *d, uint32_t n);
bool seq_chance(struct draft *d, unsigned percent);
/* False: no instruction to Zydis. */
bool seq_decode(const uint8_t *p, unsigned n, struct facts *f);
void seq_put8(struct draft *d, uint32_t at, uint32_t v);
void seq_put32(struct draft *d, uint32_t at, uint32_t v);
/* Not ESP. */
unsigned seq_any_reg(struct draft *d);
/* An instruction on registers alone, so that it cannot fault, which leaves no flag undefined. */
void seq_define_flags(struct draft *d);
/* Appends an instruction that leaves `undefined` flags so. */
void seq_emit(struct draft *d, const uint8_t *p, unsigned n, uint32_t undefined);
void seq_emit_mov(struct draft *d, unsigned reg, uint32_t value);
/* PUSH of a segment register, by its opcode, onto a slot whose upper half is 0 already (vendor.def). */
void seq_push_selector(struct draft *d, uint8_t opcode);
struct label *seq_label_new(struct draft *d, unsigned countdown);
/* A field to be filled with the label's address or distance. */
void seq_label_use(struct draft *d, struct label *l, enum fixup_kind kind, uint32_t at, uint32_t addend);
/* The instruction just appended jumps there: its distance or address is in its last bytes. */
void seq_label_jump(struct draft *d, struct label *l, enum fixup_kind kind);
void seq_label_place(struct draft *d, struct label *l);
/* Places those that are due; all: every one. */
void seq_labels_step(struct draft *d, bool all);
/* Mostly in the writable data pages. */
uint32_t seq_data_target(struct draft *d, bool writes);
bool seq_in_data(uint32_t lin_addr);
uint32_t seq_stack_top(struct draft *d);

/* --- sequence_code.c --- */
/* Adds a register to a sum in memory, so that its value shows in the end even if something overwrites it. */
void seq_accumulate(struct draft *d, unsigned reg);
/* Goes on so close to the page end that an instruction of a few bytes runs over it. */
void seq_skip_to_page_end(struct draft *d);
void seq_emit_slot(struct draft *d, unsigned kind);
/* A store to code. */
void seq_change_code(struct draft *d);

/* --- sequence_rows.c --- */
/* Appends an instruction of some row, with what it needs in front of it. */
void seq_any_row(struct draft *d);

#endif
