/* reg_order_random.c - see reg_order.h: EBX EBP ESI EDI permuted, temporaries in random order, both by
 * RANDOM_REGS. */
#include "translator/x64/reg_order.h"

#include "translator/x64/regs.h"

/* The seed's permutation of 3 5 6 7, a hexadecimal digit each: RBX RBP RSI RDI. */
#define CHOOSE3(first, a, b, c, n)                                                                           \
    ((first) << 12 | ((n) % 6 == 0   ? (a) << 8 | (b) << 4 | (c)                                             \
                      : (n) % 6 == 1 ? (a) << 8 | (c) << 4 | (b)                                             \
                      : (n) % 6 == 2 ? (b) << 8 | (a) << 4 | (c)                                             \
                      : (n) % 6 == 3 ? (b) << 8 | (c) << 4 | (a)                                             \
                      : (n) % 6 == 4 ? (c) << 8 | (a) << 4 | (b)                                             \
                                     : (c) << 8 | (b) << 4 | (a)))
#define PERMUTATION(n)                                                                                       \
    ((n) / 6 % 4 == 0   ? CHOOSE3(RBX, RBP, RSI, RDI, n)                                                     \
     : (n) / 6 % 4 == 1 ? CHOOSE3(RBP, RBX, RSI, RDI, n)                                                     \
     : (n) / 6 % 4 == 2 ? CHOOSE3(RSI, RBX, RBP, RDI, n)                                                     \
                        : CHOOSE3(RDI, RBX, RBP, RSI, n))
#define DIGIT(n) (PERMUTATION(RANDOM_REGS) >> 4 * (n)&15)

const struct reg_order reg_order = {
    .guest = {RAX, RCX, RDX, DIGIT(3), HOST_ESP, DIGIT(2), DIGIT(1), DIGIT(0)}, .seed = RANDOM_REGS};
