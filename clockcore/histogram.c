/* histogram.c - see histogram.h.
 *
 * Bucket of value v: with its highest bit at e >= 5, the bits e to e-5 (32 to 63) choose one of the 32
 * buckets of [2^e, 2^(e+1)), each 2^(e-5) wide. The scheme is the one of log-linear histograms everywhere
 * (circllhist, HdrHistogram): a floating-point number's exponent and the head of its mantissa. */
#include "clockcore/histogram.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_SUBS)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return shift * HISTOGRAM_SUBS + (unsigned)(value >> shift);
}

uint64_t histogram_bucket_highest(unsigned i)
{
    if (i < 2 * HISTOGRAM_SUBS)
        return i;
    unsigned shift = i / HISTOGRAM_SUBS - 1;
    uint64_t head = i - shift * HISTOGRAM_SUBS;
    return ((head + 1) << shift) - 1; /* of the last bucket: 2^64 - 1, modulo 2^64 */
}

void histogram_add(struct histogram *h, uint64_t value)
{
    if (h->count == 0 || value < h->least)
        h->least = value;
    if (value > h->most)
        h->most = value;
    h->count++;
    h->sum += value;
    h->bucket[bucket_of(value)]++;
}

/* Which value in order of size is the quantile, from 1. */
static uint64_t rank_of(uint64_t count, unsigned per_thousand)
{
    uint64_t rank = count / 1000 * per_thousand + (count % 1000 * per_thousand + 999) / 1000;
    return rank ? rank : 1;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned per_thousand)
{
    uint64_t rank = rank_of(h->count, per_thousand), seen = 0;
    for (unsigned i = 0; h->count && i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen < rank)
            continue;
        uint64_t highest = histogram_bucket_highest(i);
        return highest < h->most ? highest : h->most;
    }
    return h->most;
}

double histogram_mean(const struct histogram *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0;
}
