/* x87.h - the forms of insns_x87.def as data, for whoever runs or re-emits them. Threads: any; constant
 * tables. */
#ifndef TANDEM_TRANSLATOR_X87_H
#define TANDEM_TRANSLATOR_X87_H

#include <stdbool.h>
#include <stdint.h>

/* What a class consists of (insns_x87.def). */
enum {
    X87_NO_WAIT = 1 << 0,     /* never raises #MF */
    X87_NO_POINTERS = 1 << 1, /* leaves FIP, FDP and FOP alone */
    X87_SETS_CODES = 1 << 2,  /* C0, C2, C3, or EFLAGS, are its result */
};
enum x87_class {
    X87_CLASS_LOADSTORE = 0,
    X87_CLASS_ARITH = 0,
    X87_CLASS_COMPARE = X87_SETS_CODES,
    X87_CLASS_STACK = 0,
    X87_CLASS_TRANSCENDENTAL = 0,
    X87_CLASS_CONTROL = X87_NO_POINTERS,
    X87_CLASS_ENV = X87_NO_POINTERS,
    X87_CLASS_NOWAIT = X87_NO_WAIT | X87_NO_POINTERS,
    X87_CLASS_ENV_NOWAIT = X87_NO_WAIT | X87_NO_POINTERS,
};
enum x87_access { X87_LOAD, X87_STORE };
enum x87_flags { X87_KEEP, X87_READ, X87_WRITE };
enum x87_inline {
    X87_INLINE_CALL,
    X87_INLINE_SAME,
    X87_INLINE_NOTHING,
    X87_INLINE_FLDCW,
    X87_INLINE_FNSTSW,
    X87_INLINE_EFLAGS,
    X87_INLINE_FCMOV,
    X87_INLINE_REM
};
/* Bytes of a memory operand; of images with 32-bit operand size. */
enum x87_bytes {
    X87_BYTES_m32fp = 4,
    X87_BYTES_m64fp = 8,
    X87_BYTES_m80fp = 10,
    X87_BYTES_m16int = 2,
    X87_BYTES_m32int = 4,
    X87_BYTES_m64int = 8,
    X87_BYTES_m80bcd = 10,
    X87_BYTES_m2byte = 2,
    X87_BYTES_m14_28byte = 28,
    X87_BYTES_m94_108byte = 108
};

struct x87_form {
    bool exists;
    uint8_t bytes;  /* of the memory operand; 0: a register form */
    uint8_t access; /* enum x87_access */
    uint8_t class;  /* enum x87_class */
    uint8_t flags;  /* enum x87_flags */
    uint8_t how;    /* enum x87_inline */
};
extern const struct x87_form x87_mem_forms[8][8];  /* by opcode & 7 and ModRM.reg */
extern const struct x87_form x87_reg_forms[8][64]; /* by opcode & 7 and ModRM & 63 */

#endif
