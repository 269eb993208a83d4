/* memory.c - copying and filling in every flavour but SSE2's, in buffers of 64 KiB.
 *
 * Each copy starts 4 bytes behind the one before it and each fill 512, so that a copy or fill that was left
 * out, or one wrong byte, shows in the checksum of the end. Built without the compiler's own memcpy and
 * memset recognition and vectorizing. */
#include "memory.h"

#include <string.h>

static uint32_t one[BUFFER_BYTES / 4 + 16], other[BUFFER_BYTES / 4 + 16];

uint32_t copies(void (*copy)(void *to, const void *from, size_t bytes))
{
    random_fill(one, sizeof one, 4711);
    memset(other, 0, sizeof other);
    for (unsigned i = 0; i < REPEATS; i++) {
        copy(other, one + 1, BUFFER_BYTES);
        copy(one, other + 1, BUFFER_BYTES);
    }
    return hash_bytes(one, sizeof one);
}

uint32_t fills(void (*fill)(void *to, uint8_t value, size_t bytes))
{
    for (unsigned i = 0; i < REPEATS; i++)
        fill(one, (uint8_t)(i * 37 + 1), BUFFER_BYTES);
    for (unsigned i = 0; i < REPEATS; i++)
        fill(one + i * 128, (uint8_t)(i * 53 + 7), BUFFER_BYTES - i * 512);
    return hash_bytes(one, BUFFER_BYTES);
}

/* --- REP --- */

static void copy_movsb(void *to, const void *from, size_t bytes)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static void copy_movsd(void *to, const void *from, size_t bytes)
{
    bytes /= 4;
    __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static void fill_stosb(void *to, uint8_t value, size_t bytes)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
}

static void fill_stosd(void *to, uint8_t value, size_t bytes)
{
    bytes /= 4;
    __asm__ volatile("rep stosl" : "+D"(to), "+c"(bytes) : "a"(value * 0x01010101u) : "memory");
}

/* --- loops --- */

static void copy_bytes(void *to, const void *from, size_t bytes)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    for (size_t i = 0; i < bytes; i++)
        t[i] = f[i];
}

static void copy_dwords(void *to, const void *from, size_t bytes)
{
    uint32_t *t = to;
    const uint32_t *f = from;
    for (size_t i = 0; i < bytes / 4; i++)
        t[i] = f[i];
}

static void copy_unrolled(void *to, const void *from, size_t bytes)
{
    uint32_t *t = to;
    const uint32_t *f = from;
    for (size_t i = 0; i < bytes / 4; i += 8) {
        t[i] = f[i], t[i + 1] = f[i + 1], t[i + 2] = f[i + 2], t[i + 3] = f[i + 3];
        t[i + 4] = f[i + 4], t[i + 5] = f[i + 5], t[i + 6] = f[i + 6], t[i + 7] = f[i + 7];
    }
}

static void fill_bytes(void *to, uint8_t value, size_t bytes)
{
    uint8_t *t = to;
    for (size_t i = 0; i < bytes; i++)
        t[i] = value;
}

static void fill_dwords(void *to, uint8_t value, size_t bytes)
{
    uint32_t *t = to, word = value * 0x01010101u;
    for (size_t i = 0; i < bytes / 4; i++)
        t[i] = word;
}

static void fill_unrolled(void *to, uint8_t value, size_t bytes)
{
    uint32_t *t = to, word = value * 0x01010101u;
    for (size_t i = 0; i < bytes / 4; i += 8) {
        t[i] = word, t[i + 1] = word, t[i + 2] = word, t[i + 3] = word;
        t[i + 4] = word, t[i + 5] = word, t[i + 6] = word, t[i + 7] = word;
    }
}

uint32_t pass_memcpy_movsb(void)
{
    return copies(copy_movsb);
}
uint32_t pass_memcpy_movsd(void)
{
    return copies(copy_movsd);
}
uint32_t pass_memcpy_bytes(void)
{
    return copies(copy_bytes);
}
uint32_t pass_memcpy_dwords(void)
{
    return copies(copy_dwords);
}
uint32_t pass_memcpy_unrolled(void)
{
    return copies(copy_unrolled);
}
uint32_t pass_memset_stosb(void)
{
    return fills(fill_stosb);
}
uint32_t pass_memset_stosd(void)
{
    return fills(fill_stosd);
}
uint32_t pass_memset_bytes(void)
{
    return fills(fill_bytes);
}
uint32_t pass_memset_dwords(void)
{
    return fills(fill_dwords);
}
uint32_t pass_memset_unrolled(void)
{
    return fills(fill_unrolled);
}
