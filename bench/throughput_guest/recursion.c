/* recursion.c - Ackermann's function and Hanoi's towers: calls and returns, deep. Built without tail calls
 * and inlining. */
#include "guest.h"

static uint32_t ackermann(uint32_t m, uint32_t n)
{
    if (m == 0)
        return n + 1;
    if (n == 0)
        return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

static uint32_t hanoi(unsigned discs, unsigned from, unsigned to, uint32_t hash)
{
    if (discs == 0)
        return hash;
    hash = hanoi(discs - 1, from, 3 - from - to, hash);
    hash = hash_word(hash, from * 3 + to);
    return hanoi(discs - 1, 3 - from - to, to, hash);
}

uint32_t pass_recursion(void)
{
    return hanoi(17, 0, 1, hash_word(HASH_START, ackermann(3, 7))); /* 1000 calls deep */
}
