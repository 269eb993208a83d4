/* reg_order.h - which host register a guest register or an IR temporary gets. A value chosen by Meson:
 * reg_order.c, or with -Drandom_regs=SEED reg_order_random.c, a test build whose code differs and whose
 * guests must not. */
#ifndef TANDEM_TRANSLATOR_X64_REG_ORDER_H
#define TANDEM_TRANSLATOR_X64_REG_ORDER_H

#include <stdint.h>

struct reg_order {
    uint8_t
        guest[8]; /* EAX ECX EDX ESP stay: emitters name theirs (shifts by CL, products in EDX:EAX, regs.h) */
    uint32_t seed; /* of the temporaries' order; 0: as in the pool */
};
extern const struct reg_order reg_order;

#endif
