/* shl_flags.c - SHL/SHR/SAR by CL: ZF SF PF CF exact for every count and width; a masked count of 0 keeps all
 * flags. OF is compared only where defined (count 1). */
#include "rt.h"
static unsigned parity(unsigned v)
{
    v &= 0xff;
    v ^= v >> 4;
    v ^= v >> 2;
    v ^= v >> 1;
    return !(v & 1);
}
int guest_main(void)
{
    static const uint32_t vals[] = {0x3c, 1, 0x80, 0xff, 0x80000000, 0x7fffffff, 0xdeadbeef, 0x8000};
    for (unsigned k = 0; k < 8; k++)
        for (unsigned n = 0; n < 40; n++)
            for (unsigned op = 0; op < 9; op++)
                for (unsigned fi = 0; fi < 2; fi++) {
                    uint32_t r = vals[k], f = 0, fin = fi ? 0x8d7 : 2, mask = 0xc5;
                    unsigned bits = op < 3 ? 8 : op < 6 ? 16 : 32, c = n & 31, kind = op % 3;
#define S(ins)                                                                                               \
    __asm__ volatile("pushl %2\n\tpopfl\n\t" ins "\n\tpushfl\n\tpopl %1"                                     \
                     : "+a"(r), "=&r"(f)                                                                     \
                     : "r"(fin), "c"(n))
                    switch (op) {
                    case 0:
                        S("shlb %%cl, %%al");
                        break;
                    case 1:
                        S("shrb %%cl, %%al");
                        break;
                    case 2:
                        S("sarb %%cl, %%al");
                        break;
                    case 3:
                        S("shlw %%cl, %%ax");
                        break;
                    case 4:
                        S("shrw %%cl, %%ax");
                        break;
                    case 5:
                        S("sarw %%cl, %%ax");
                        break;
                    case 6:
                        S("shll %%cl, %%eax");
                        break;
                    case 7:
                        S("shrl %%cl, %%eax");
                        break;
                    case 8:
                        S("sarl %%cl, %%eax");
                        break;
                    }
                    uint64_t m = (1ull << bits) - 1, v = vals[k] & m, res = v;
                    unsigned cf = fin & 1, of = 0, bad;
                    for (unsigned i = 0; i < c; i++) {
                        if (kind == 0) {
                            cf = res >> (bits - 1) & 1;
                            res = res << 1 & m;
                        } else {
                            cf = res & 1;
                            res = res >> 1 | (kind == 2 ? (res >> (bits - 1) & 1) << (bits - 1) : 0);
                        }
                    }
                    uint32_t e = (vals[k] & ~(uint32_t)m) | (uint32_t)res, ef;
                    if (c == 0)
                        ef = fin & 0x8d5, mask = 0x8d5;
                    else {
                        ef = cf | parity((unsigned)res) << 2 | (res == 0) << 6 |
                             (unsigned)(res >> (bits - 1) & 1) << 7;
                        if (c == 1) {
                            of = kind == 0   ? (unsigned)(res >> (bits - 1) & 1) ^ cf
                                 : kind == 1 ? (unsigned)(v >> (bits - 1)) & 1
                                             : 0;
                            ef |= of << 11;
                            mask |= 0x800;
                        }
                        if (c >= bits && kind != 2)
                            mask &= ~1u; /* CF undefined: SHL, SHR */
                    }
                    bad = r != e || (f & mask) != (ef & mask);
                    checks++;
                    if (bad) {
                        print("op %u val %x cl %u flags %x:\n", op, vals[k], n, fin);
                        expect_failed("result:flags", __FILE__, __LINE__, (uint64_t)r << 16 | (f & mask),
                                      (uint64_t)e << 16 | (ef & mask));
                    }
                }
    return 0;
}
