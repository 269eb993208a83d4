/* bench_cpu.c - CPU-bound: a sieve, passes=N times. */
#include "rt.h"

static uint8_t composite[65536];

int guest_main(void)
{
    uint32_t count = 0;
    for (unsigned pass = option("passes", 60); pass; pass--) {
        memset(composite, 0, sizeof composite);
        count = 0;
        for (uint32_t i = 2; i < sizeof composite; i++) {
            if (composite[i])
                continue;
            count++;
            for (uint32_t j = i + i; j < sizeof composite; j += i)
                composite[j] = 1;
        }
    }
    EXPECT_EQ(count, 6542);
    return 0;
}
