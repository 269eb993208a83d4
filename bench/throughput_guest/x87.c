/* x87.c - arithmetic on the x87: add, multiply, divide, square root, comparisons, in double and extended
 * precision. No transcendentals, whose last bits depend on the unit; so every unit gives the same checksum.
 * Built with -mfpmath=387. */
#include <math.h>
#include <string.h>

#include "guest.h"

#define MATRIX 48
#define STEPS  300000

/* The double nearest to x, whatever precision it has in a register. */
static uint32_t hash_double(uint32_t hash, double x)
{
    uint32_t word[2];
    memcpy(word, &x, sizeof word);
    return hash_word(hash_word(hash, word[0]), word[1]);
}

/* Mandelbrot's iteration in extended precision. */
static unsigned escape_count(long double re, long double im)
{
    long double x = 0, y = 0;
    unsigned n = 0;
    for (; n < 200 && x * x + y * y < 4; n++) {
        long double next = x * x - y * y + re;
        y = 2 * x * y + im;
        x = next;
    }
    return n;
}

static uint32_t mandelbrot(uint32_t hash)
{
    for (int row = -20; row < 20; row++)
        for (int column = -40; column < 20; column++)
            hash = hash_word(hash, escape_count(column / 20.0L, row / 20.0L));
    return hash;
}

static double cell_product(double a[MATRIX][MATRIX], double b[MATRIX][MATRIX], unsigned i, unsigned j)
{
    double sum = 0;
    for (unsigned k = 0; k < MATRIX; k++)
        sum += a[i][k] * b[k][j];
    return sum;
}

static uint32_t matrices(uint32_t hash)
{
    static double a[MATRIX][MATRIX], b[MATRIX][MATRIX];
    for (unsigned i = 0; i < MATRIX * MATRIX; i++) {
        a[i / MATRIX][i % MATRIX] = 1.0 / (1 + i);
        b[i % MATRIX][i / MATRIX] = i * 0.375;
    }
    for (unsigned i = 0; i < MATRIX; i++)
        for (unsigned j = 0; j < MATRIX; j++)
            hash = hash_double(hash, cell_product(a, b, i, j));
    return hash;
}

static uint32_t roots(uint32_t hash)
{
    double x = 2, sum = 0;
    for (unsigned i = 1; i < STEPS; i++) {
        x = sqrt(x + i) + 1 / x;
        sum += x > 500 ? -x : x / 3;
    }
    return hash_double(hash_double(hash, x), sum);
}

uint32_t pass_x87(void)
{
    return roots(matrices(mandelbrot(HASH_START)));
}
