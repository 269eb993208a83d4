/* bench_console.c - floods the console: n=N characters to COM1, each when the transmitter is empty, as an
 * operating system's console driver writes them. Lines of 64. */
#include "rt.h"

enum { COM1_THR = 0x3f8, COM1_LSR = 0x3fd, LSR_THRE = 0x20 };

static void put(uint8_t c)
{
    while (!(inb(COM1_LSR) & LSR_THRE))
        ;
    outb(COM1_THR, c);
}

int guest_main(void)
{
    uint32_t n = option("n", 100000);
    for (uint32_t i = 1; i <= n; i++)
        put(i % 64 ? (uint8_t)('0' + i % 64) : '\n');
    return 0;
}
