/* x87.c - see x87.h. */
#include "translator/x87.h"

const struct x87_form x87_mem_forms[8][8] = {
#define X87_MEM(opcode, reg, name, operand, access, class, how)                                              \
    [(opcode)&7][reg] = {true,     X87_BYTES_##operand, X87_##access, X87_CLASS_##class,                     \
                         X87_KEEP, X87_INLINE_##how},
#define X87_REG(...)
#include "translator/x87_rows.h"
#undef X87_MEM
#undef X87_REG
};

const struct x87_form x87_reg_forms[8][64] = {
#define X87_MEM(...)
#define X87_REG(opcode, modrm, count, name, operands, class, flags, how)                                     \
    [(opcode)&7][(modrm)&63 ...((modrm)&63) + (count)-1] = {                                                 \
        true, 0, X87_LOAD, X87_CLASS_##class, X87_##flags, X87_INLINE_##how},
#include "translator/x87_rows.h"
#undef X87_MEM
#undef X87_REG
};

/* Inline code has no room for images, and does with flags what the row says. */
#define X87_MEM(opcode, reg, name, operand, access, class, how)                                              \
    _Static_assert(X87_INLINE_##how == X87_INLINE_CALL || (int)X87_BYTES_##operand <= 10,                    \
                   #name ": an image");                                                                      \
    _Static_assert(X87_INLINE_##how != X87_INLINE_FLDCW || X87_##access == X87_LOAD, #name ": no load");     \
    _Static_assert(X87_INLINE_##how <= X87_INLINE_SAME || X87_INLINE_##how == X87_INLINE_FLDCW,              \
                   #name ": a register form");
#define X87_REG(opcode, modrm, count, name, operands, class, flags, how)                                     \
    _Static_assert((X87_INLINE_##how == X87_INLINE_FCMOV) == (X87_##flags == X87_READ), #name ": flags");    \
    _Static_assert((X87_INLINE_##how == X87_INLINE_EFLAGS) == (X87_##flags == X87_WRITE), #name ": flags");  \
    _Static_assert(X87_INLINE_##how != X87_INLINE_FLDCW, #name ": a memory form");                           \
    _Static_assert(((modrm)&7) + (count) <= 8, #name ": more than ST(0) to ST(7)");
#include "translator/x87_rows.h"
#undef X87_MEM
#undef X87_REG
