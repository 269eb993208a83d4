/* bench_sse.c - SSE2: passes=N times packed doubles, singles and integers, scalar doubles, and copies of 1
 * MiB; part=1 arithmetic, 2 copies, or 3 (the default). */
#include "rt.h"
#include "simd.h"

#define STEPS      100000
#define COPY_BYTES (1u << 20)

typedef double pd __attribute__((vector_size(16)));
typedef float ps __attribute__((vector_size(16)));
typedef uint32_t pi __attribute__((vector_size(16)));
typedef uint16_t pw __attribute__((vector_size(16)));

static uint8_t from[COPY_BYTES] __attribute__((aligned(16))), to[COPY_BYTES] __attribute__((aligned(16)));

static uint32_t hash_bytes(uint32_t hash, const void *p, size_t n)
{
    for (const uint8_t *b = p; n; n--)
        hash = (hash ^ *b++) * 16777619u;
    return hash;
}

static SSE2 uint32_t packed_doubles(uint32_t hash)
{
    pd x = {3, 2}, sum = {0, 0}, i = {0, 0};
    for (unsigned n = 1; n < STEPS; n++) {
        i += 1;
        x = x + i;
        __asm__("sqrtpd %0, %0" : "+x"(x));
        sum += x * x + 1 / x;
        __asm__("maxpd %1, %0" : "+x"(sum) : "x"(x));
    }
    return hash_bytes(hash_bytes(hash, &x, 16), &sum, 16);
}

static SSE2 uint32_t packed_singles(uint32_t hash)
{
    ps x = {1, 2, 3, 4}, step = {0.1f, 0.2f, 0.3f, 0.4f};
    for (unsigned n = 0; n < STEPS; n++) {
        __asm__("shufps $0x39, %0, %0" : "+x"(x));
        x = x * 0.5f + step;
    }
    return hash_bytes(hash, &x, 16);
}

static SSE2 uint32_t packed_integers(uint32_t hash)
{
    pi a = {1, 2, 3, 4}, b = {0x9e3779b9, 5, 6, 7};
    for (unsigned n = 0; n < STEPS; n++) {
        a = (a ^ a << 13) + b;
        b = (pi)((pw)b * (pw)a - (pw)(a >> 7));
        __asm__("packuswb %1, %0\n\tpunpcklbw %1, %0" : "+x"(a) : "x"(b));
    }
    return hash_bytes(hash_bytes(hash, &a, 16), &b, 16);
}

static SSE2 uint32_t scalar_doubles(uint32_t hash)
{
    double x = 1, sum = 0;
    for (int i = 1; i < STEPS; i++) {
        x = (x * 3 + i) / (x + 2) - (int)x * 0.125;
        double root = x * x + i;
        __asm__("sqrtsd %0, %0" : "+x"(root));
        sum += root > 300 ? root : -root;
    }
    return hash_bytes(hash_bytes(hash, &x, 8), &sum, 8);
}

static SSE2 uint32_t copies(uint32_t hash)
{
    for (unsigned round = 0; round < 20; round++)
        for (unsigned i = 0; i < COPY_BYTES; i += 32)
            __asm__ volatile(
                "movdqu (%0), %%xmm0\n\tmovdqu 16(%0), %%xmm1\n\tmovdqa %%xmm0, (%1)\n\tmovdqa %%xmm1, 16(%1)"
                :
                : "r"(from + i), "r"(to + i)
                : "memory");
    return hash_bytes(hash, to + COPY_BYTES / 2, 64);
}

int guest_main(void)
{
    unsigned part = option("part", 3);
    uint32_t hash = 2166136261u;
    sse_on();
    for (unsigned i = 0; i < COPY_BYTES; i++)
        from[i] = (uint8_t)(i * 7 + (i >> 8));
    for (unsigned pass = option("passes", 2); pass; pass--) {
        if (part & 1)
            hash = scalar_doubles(packed_integers(packed_singles(packed_doubles(hash))));
        if (part & 2)
            hash = copies(hash);
    }
    print("sse %x\n", hash);
    return 0;
}
