/* histogram.h - a log-linear histogram: how often which value came, in fixed memory.
 *
 * A value below 64 has a bucket of its own; from there each power of two is cut into 32 buckets of equal
 * width. So whatever the values are, a quantile is told at most 1/32 (3.2 %) too high and never too low;
 * count, sum, least and most are exact. Threads: one writer; readers when it has been handed over. Memory: a
 * plain value of 15 KiB; all zero is empty. Cost: an add touches the head and one bucket; no loop. */
#ifndef TANDEM_CLOCKCORE_HISTOGRAM_H
#define TANDEM_CLOCKCORE_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 5 /* 32 buckets a power of two */
#define HISTOGRAM_SUBS     (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUBS)

struct histogram {
    uint64_t count;
    uint64_t sum;   /* of all values, modulo 2^64 */
    uint64_t least; /* meaningless while count is 0 */
    uint64_t most;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);
/* The least value that `per_thousand` (0 to 1000) of a thousand values do not exceed, as its bucket's highest
 * value, at most h->most. 0: no values. */
uint64_t histogram_quantile(const struct histogram *h, unsigned per_thousand);
/* 0: no values. */
double histogram_mean(const struct histogram *h);
/* The highest value that falls into bucket i. */
uint64_t histogram_bucket_highest(unsigned i);

#endif
