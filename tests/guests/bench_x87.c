/* bench_x87.c - the x87: passes=N times sums and products, an iteration in extended precision, and doubles
 * from memory (kib=N of them); part=1, 2 or 4 alone, or their sum (default 7). */
#include "rt.h"

#define MATRIX 48

static double big[1 << 20]; /* 8 MiB */

static uint32_t hash_bytes(uint32_t hash, const void *p, size_t n)
{
    for (const uint8_t *b = p; n; n--)
        hash = (hash ^ *b++) * 16777619u;
    return hash;
}

static long double root(long double x)
{
    __asm__("fsqrt" : "+t"(x));
    return x;
}

static uint32_t mandelbrot(uint32_t hash)
{
    for (int row = -20; row < 20; row++)
        for (int column = -40; column < 20; column++) {
            long double re = column / 20.0L, im = row / 20.0L, x = 0, y = 0;
            unsigned n = 0;
            for (; n < 200 && x * x + y * y < 4; n++) {
                long double next = x * x - y * y + re;
                y = 2 * x * y + im;
                x = next;
            }
            hash = hash_bytes(hash, &n, sizeof n);
        }
    return hash;
}

static uint32_t matrices(uint32_t hash)
{
    static double a[MATRIX][MATRIX], b[MATRIX][MATRIX];
    for (int i = 0; i < MATRIX * MATRIX; i++) {
        a[i / MATRIX][i % MATRIX] = 1.0 / (1 + i);
        b[i % MATRIX][i / MATRIX] = i * 0.375;
    }
    for (unsigned i = 0; i < MATRIX; i++)
        for (unsigned j = 0; j < MATRIX; j++) {
            volatile double sum = 0;
            for (unsigned k = 0; k < MATRIX; k++)
                sum += a[i][k] * b[k][j];
            double rounded = sum;
            hash = hash_bytes(hash, &rounded, sizeof rounded);
        }
    return hash;
}

static uint32_t roots(uint32_t hash)
{
    double x = 2, sum = 0;
    for (int i = 1; i < 100000; i++) {
        x = root(x + i) + 1 / x;
        sum += x > 500 ? -x : x / 3;
    }
    hash = hash_bytes(hash, &x, sizeof x);
    return hash_bytes(hash, &sum, sizeof sum);
}

static uint32_t stream(uint32_t hash, unsigned n)
{
    double sum = 0;
    for (unsigned i = 0; i < n; i++)
        big[i] = big[i] * 0.5 + 1.25;
    for (unsigned i = 0; i < n; i++)
        sum += big[i];
    return hash_bytes(hash, &sum, sizeof sum);
}

int guest_main(void)
{
    unsigned part = option("part", 7), n = option("kib", 8192) * 128;
    uint32_t hash = 2166136261u;
    __asm__ volatile("fninit");
    if (n > sizeof big / sizeof big[0])
        n = sizeof big / sizeof big[0];
    for (unsigned pass = option("passes", 2); pass; pass--) {
        if (part & 1)
            hash = roots(matrices(hash));
        if (part & 2)
            hash = mandelbrot(hash);
        if (part & 4)
            hash = stream(hash, n);
    }
    print("x87 %x\n", hash);
    return 0;
}
