/* sse2.c - SSE2: packed and scalar doubles, packed integers, copying and filling. Built with -msse2
 * -mfpmath=sse; entered only where CPUID claims SSE2. */
#include <emmintrin.h>
#include <math.h>
#include <string.h>

#include "memory.h"

#define STEPS 200000

static uint32_t hash_vector(uint32_t hash, __m128i v)
{
    uint32_t word[4];
    memcpy(word, &v, sizeof word);
    for (unsigned i = 0; i < 4; i++)
        hash = hash_word(hash, word[i]);
    return hash;
}

static uint32_t packed_doubles(uint32_t hash)
{
    __m128d x = _mm_set_pd(2, 3), sum = _mm_setzero_pd(), one = _mm_set1_pd(1), limit = _mm_set1_pd(300);
    for (unsigned i = 1; i < STEPS; i++) {
        x = _mm_add_pd(_mm_sqrt_pd(_mm_add_pd(x, _mm_set1_pd(i))), _mm_div_pd(one, x));
        __m128d above = _mm_cmpgt_pd(x, limit);
        sum = _mm_add_pd(sum, _mm_andnot_pd(above, _mm_mul_pd(x, x)));
        sum = _mm_sub_pd(sum, _mm_and_pd(above, _mm_max_pd(x, one)));
    }
    return hash_vector(hash_vector(hash, _mm_castpd_si128(x)), _mm_castpd_si128(sum));
}

static uint32_t packed_singles(uint32_t hash)
{
    __m128 x = _mm_set_ps(1, 2, 3, 4), half = _mm_set1_ps(0.5f), step = _mm_set_ps(0.1f, 0.2f, 0.3f, 0.4f);
    for (unsigned i = 0; i < STEPS; i++)
        x = _mm_add_ps(_mm_mul_ps(_mm_shuffle_ps(x, x, 0x39), half), step);
    return hash_vector(hash, _mm_castps_si128(x));
}

static uint32_t packed_integers(uint32_t hash)
{
    __m128i a = _mm_set_epi32(1, 2, 3, 4), b = _mm_set1_epi32(0x9e3779b9);
    for (unsigned i = 0; i < STEPS; i++) {
        a = _mm_add_epi32(_mm_xor_si128(a, _mm_slli_epi32(a, 13)), b);
        b = _mm_sub_epi16(_mm_mullo_epi16(b, a), _mm_srli_epi64(a, 7));
        a = _mm_unpacklo_epi8(_mm_packus_epi16(a, b), _mm_shuffle_epi32(a, 0x1b));
    }
    return hash_vector(hash_vector(hash, a), b);
}

static uint32_t scalar_doubles(uint32_t hash)
{
    double x = 1, sum = 0;
    for (unsigned i = 1; i < STEPS; i++) {
        x = (x * 3 + i) / (x + 2) - (int)x * 0.125;
        sum += sqrt(x * x + i);
    }
    return hash_vector(hash, _mm_castpd_si128(_mm_set_pd(x, sum)));
}

uint32_t pass_sse2(void)
{
    return scalar_doubles(packed_integers(packed_singles(packed_doubles(HASH_START))));
}

static void copy_sse2(void *to, const void *from, size_t bytes)
{
    __m128i *t = to;
    const __m128i *f = from;
    for (size_t i = 0; i < bytes / 16; i += 2) {
        __m128i first = _mm_loadu_si128(f + i), second = _mm_loadu_si128(f + i + 1);
        _mm_storeu_si128(t + i, first);
        _mm_storeu_si128(t + i + 1, second);
    }
}

static void fill_sse2(void *to, uint8_t value, size_t bytes)
{
    __m128i *t = to, v = _mm_set1_epi8((char)value);
    for (size_t i = 0; i < bytes / 16; i++)
        _mm_storeu_si128(t + i, v);
}

uint32_t pass_memcpy_sse2(void)
{
    return copies(copy_sse2);
}
uint32_t pass_memset_sse2(void)
{
    return fills(fill_sse2);
}
