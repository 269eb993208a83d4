/* ir_handlers.h - numbering of the specialised forms of IR operations (struct ir_op.handler).
 *
 * The interpreter's table of labels and ir_finalize() both expand ir_ops.def through the
 * FORMS_ macros here, so the two cannot disagree. A user defines HANDLER(name) for the forms. */
#ifndef TANDEM_TRANSLATOR_IR_HANDLERS_H
#define TANDEM_TRANSLATOR_IR_HANDLERS_H

/* clang-format off */
#define FORMS_ONE(op) HANDLER(op)
#define FORMS_I(op)   HANDLER(op##_R) HANDLER(op##_I)
#define FORMS_S(op)   HANDLER(op##_8) HANDLER(op##_16) HANDLER(op##_32)
#define FORMS_SI(op)                                                                                         \
    HANDLER(op##_8R) HANDLER(op##_8I) HANDLER(op##_16R) HANDLER(op##_16I) HANDLER(op##_32R) HANDLER(op##_32I)
#define FORMS_SF(op)                                                                                         \
    HANDLER(op##_8) HANDLER(op##_8F) HANDLER(op##_16) HANDLER(op##_16F) HANDLER(op##_32) HANDLER(op##_32F)
#define FORMS_SIF(op)                                                                                        \
    HANDLER(op##_8R) HANDLER(op##_8RF) HANDLER(op##_8I) HANDLER(op##_8IF)                                    \
    HANDLER(op##_16R) HANDLER(op##_16RF) HANDLER(op##_16I) HANDLER(op##_16IF)                                \
    HANDLER(op##_32R) HANDLER(op##_32RF) HANDLER(op##_32I) HANDLER(op##_32IF)
/* The CC shape lists all condition forms of one operation, in the order of the CCFORM rows (asserted). */
#define FORMS_CC(op)                                                                                         \
    HANDLER(op##_ANY) HANDLER(op##_NEVER) HANDLER(op##_ALWAYS) HANDLER(op##_Z) HANDLER(op##_NZ)              \
    HANDLER(op##_S8) HANDLER(op##_S16) HANDLER(op##_S32) HANDLER(op##_NS8) HANDLER(op##_NS16)                \
    HANDLER(op##_NS32) HANDLER(op##_P) HANDLER(op##_NP) HANDLER(op##_UB) HANDLER(op##_UAE)                   \
    HANDLER(op##_UBE) HANDLER(op##_UA) HANDLER(op##_L8) HANDLER(op##_L16) HANDLER(op##_L32)                  \
    HANDLER(op##_GE8) HANDLER(op##_GE16) HANDLER(op##_GE32) HANDLER(op##_LE8) HANDLER(op##_LE16)             \
    HANDLER(op##_LE32) HANDLER(op##_G8) HANDLER(op##_G16) HANDLER(op##_G32) HANDLER(op##_RLE8)               \
    HANDLER(op##_RLE16) HANDLER(op##_RLE32) HANDLER(op##_RG8) HANDLER(op##_RG16) HANDLER(op##_RG32)          \
    HANDLER(op##_ADDC) HANDLER(op##_ADDNC) HANDLER(op##_BSET) HANDLER(op##_BCLR)
/* clang-format on */

/* Condition forms, in the order of the CCFORM rows. */
enum ir_cc_form {
#define CCFORM(name, test) CCF_##name,
#include "translator/ir_handlers.def"
#undef CCFORM
    CCF_COUNT
};

enum ir_handler {
#define HANDLER(name)          IRH_##name,
#define IROP(name, shape, ...) FORMS_##shape(name)
#include "translator/ir_ops.def"
#undef IROP
#undef HANDLER
    IRH_COUNT
};

#define CCFORM(name, test)                                                                                   \
    _Static_assert(                                                                                          \
        IRH_JCC_##name - IRH_JCC_ANY == CCF_##name && IRH_SETCC_##name - IRH_SETCC_ANY == CCF_##name &&      \
            IRH_CMOV_##name - IRH_CMOV_ANY == CCF_##name && IRH_SIDE_##name - IRH_SIDE_ANY == CCF_##name,    \
        "FORMS_CC lists the CCFORM rows in order");
#include "translator/ir_handlers.def"
#undef CCFORM

#endif
