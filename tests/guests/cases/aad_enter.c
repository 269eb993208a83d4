/* aad_enter.c - AAD and AAM take their immediate (all 256 for AAD, 1..255 for AAM, flags SF ZF PF by AL); AAM
 * 0 is #DE in the guest only; ENTER with every level 0..31 against a model; LEAVE. */
#include "rt.h"
static uint8_t stk[4096] __attribute__((aligned(16)));
static uint8_t parity(uint8_t v)
{
    v ^= v >> 4;
    v ^= v >> 2;
    v ^= v >> 1;
    return !(v & 1);
}
static uint8_t *mk;
static uint8_t code[64] __attribute__((aligned(64)));
int guest_main(void)
{
    mk = code;
    for (unsigned imm = 0; imm < 256; imm++)
        for (unsigned v = 0; v < 3; v++) {
            static const uint16_t ax[] = {0x0709, 0xffff, 0x2a80};
            mk[0] = 0xd5;
            mk[1] = (uint8_t)imm;
            mk[2] = 0x9c;
            mk[3] = 0x5a;
            mk[4] = 0xc3; /* aad; pushf; pop edx; ret */
            uint32_t r = 0xabcd0000 | ax[v], f;
            __asm__ volatile("call *%2" : "+a"(r), "=d"(f) : "r"(mk) : "memory");
            uint8_t al = (uint8_t)((ax[v] & 0xff) + (ax[v] >> 8) * imm);
            EXPECT_EQ(r, 0xabcd0000u | al);
            EXPECT_EQ(f & 0xc4, (al & 0x80) | (al == 0) << 6 | parity(al) << 2);
            if (!imm)
                continue;
            mk[0] = 0xd4;
            r = 0xabcd0000 | ax[v];
            __asm__ volatile("call *%2" : "+a"(r), "=d"(f) : "r"(mk) : "memory");
            uint8_t q = (uint8_t)((ax[v] & 0xff) / imm), m = (uint8_t)((ax[v] & 0xff) % imm);
            EXPECT_EQ(r, 0xabcd0000u | q << 8 | m);
            EXPECT_EQ(f & 0xc4, (m & 0x80) | (m == 0) << 6 | parity(m) << 2);
        }
    for (unsigned lvl = 0; lvl < 34; lvl++) {
        uint32_t *p = (uint32_t *)stk;
        for (unsigned i = 0; i < 1024; i++)
            p[i] = 0x1000 + i;
        /* mov esp, ecx; mov ebp, edx; enter 16, lvl; mov eax, esp; mov edx, ebp; mov esp, esi; mov ebp, edi;
         * ret */
        static const uint8_t c[] = {0x89, 0xcc, 0x89, 0xd5, 0xc8, 0x10, 0x00, 0x00, 0x89,
                                    0xe0, 0x89, 0xea, 0x89, 0xf4, 0x89, 0xfd, 0xc3};
        memcpy(mk, c, sizeof c);
        mk[7] = (uint8_t)lvl;
        uint32_t sp = (uint32_t)(uintptr_t)&p[600], bp = (uint32_t)(uintptr_t)&p[900], a, d = bp,
                 n = lvl & 31;
        __asm__ volatile("pushl %%ebp\n\tmovl %%ebp, %%edi\n\tmovl %%esp, %%esi\n\tsubl $4, %%esi\n\tcall "
                         "*%3\n\tpopl %%ebp"
                         : "=a"(a), "+d"(d), "+c"(sp)
                         : "b"(mk)
                         : "esi", "edi", "memory");
        sp = (uint32_t)(uintptr_t)&p[600];
        EXPECT_EQ(d, sp - 4);
        EXPECT_EQ(a, sp - 4 - 4 * n - 16);
        EXPECT_EQ(p[599], bp);
        for (unsigned i = 1; i < n; i++)
            EXPECT_EQ(p[599 - i], 0x1000 + 900 - i);
        if (n)
            EXPECT_EQ(p[599 - n], sp - 4);
    }
    return 0;
}
