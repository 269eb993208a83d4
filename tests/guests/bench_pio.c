/* bench_pio.c - nothing but port I/O: posted, synchronous and pure accesses, n=N of each. */
#include "rt.h"

int guest_main(void)
{
    uint32_t n = option("n", 300000), sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        outb(0x80, (uint8_t)i);
        outb(0x3ff, (uint8_t)i);
        sum += inb(0x3ff);
        sum += inl(0x608) & 1;
        outb(0x43, 0);
        sum += inb(0x40);
        sum += inb(0x40);
    }
    EXPECT(sum != 1);
    return 0;
}
