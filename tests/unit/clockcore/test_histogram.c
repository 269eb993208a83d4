/* Log-linear histograms: buckets without gaps, and quantiles against a sorted array. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "clockcore/histogram.h"

#define VALUES 20000

static uint64_t random_next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* The bucket that a value falls into, as histogram_add shows it. */
static unsigned bucket_with(uint64_t value)
{
    struct histogram h = {0};
    unsigned i = 0;
    histogram_add(&h, value);
    while (i < HISTOGRAM_BUCKETS && h.bucket[i] == 0)
        i++;
    cr_assert(i < HISTOGRAM_BUCKETS && h.bucket[i] == 1);
    return i;
}

Test(histogram, each_bucket_ends_where_the_next_begins)
{
    cr_assert_eq(bucket_with(0), 0);
    for (unsigned i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
        uint64_t highest = histogram_bucket_highest(i);
        cr_assert_eq(bucket_with(highest), i);
        cr_assert_eq(bucket_with(highest + 1), i + 1);
    }
    cr_assert_eq(histogram_bucket_highest(HISTOGRAM_BUCKETS - 1), UINT64_MAX);
    cr_assert_eq(bucket_with(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

Test(histogram, no_bucket_is_wider_than_a_32nd_of_its_values)
{
    for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t lowest = histogram_bucket_highest(i - 1) + 1;
        uint64_t beyond = histogram_bucket_highest(i) - lowest;
        cr_assert(beyond <= lowest / 32, "bucket %u", i);
    }
}

Test(histogram, empty)
{
    struct histogram h = {0};
    cr_assert_eq(histogram_quantile(&h, 500), 0);
    cr_assert_eq(histogram_quantile(&h, 1000), 0);
    cr_assert_eq(histogram_mean(&h), 0);
}

Test(histogram, one_value_is_every_quantile)
{
    struct histogram h = {0};
    histogram_add(&h, 123456789);
    for (unsigned q = 0; q <= 1000; q++)
        cr_assert_eq(histogram_quantile(&h, q), 123456789);
    cr_assert_eq(h.least, 123456789);
    cr_assert_eq(h.most, 123456789);
    cr_assert_eq(histogram_mean(&h), 123456789);
}

Test(histogram, small_values_are_exact)
{
    struct histogram h = {0};
    for (uint64_t v = 0; v < 64; v++)
        histogram_add(&h, v);
    for (unsigned v = 1; v <= 64; v++)
        cr_assert_eq(histogram_quantile(&h, v * 1000 / 64), (v * 1000 / 64 * 64 + 999) / 1000 - 1);
    cr_assert_eq(h.sum, 63 * 64 / 2);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The smallest value that `q` of a thousand do not exceed, by counting. */
static uint64_t true_quantile(const uint64_t *sorted, unsigned q)
{
    size_t n = 0;
    while (n < VALUES - 1 && (n + 1) * 1000 < (size_t)q * VALUES)
        n++;
    return sorted[n];
}

static void compare(uint64_t *value)
{
    static const unsigned quantiles[] = {0, 1, 10, 250, 500, 900, 990, 999, 1000};
    struct histogram h = {0};
    uint64_t sum = 0, in_buckets = 0;
    for (unsigned i = 0; i < VALUES; i++) {
        histogram_add(&h, value[i]);
        sum += value[i];
    }
    qsort(value, VALUES, sizeof *value, by_value);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        in_buckets += h.bucket[i];
    cr_assert(h.count == VALUES && in_buckets == VALUES && h.sum == sum);
    cr_assert(h.least == value[0] && h.most == value[VALUES - 1]);
    for (unsigned i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        uint64_t want = true_quantile(value, quantiles[i]), got = histogram_quantile(&h, quantiles[i]);
        cr_assert(got >= want && got - want <= want / 32, "quantile %u: %llu, not %llu", quantiles[i],
                  (unsigned long long)got, (unsigned long long)want);
    }
}

Test(histogram, quantiles_of_values_of_every_size)
{
    static uint64_t value[VALUES];
    uint64_t seed = 88172645463325252;
    for (unsigned bits = 1; bits <= 64; bits += 7) {
        for (unsigned i = 0; i < VALUES; i++)
            value[i] = random_next(&seed) >> (64 - bits);
        compare(value);
    }
    for (unsigned i = 0; i < VALUES; i++)
        value[i] = random_next(&seed) >> (random_next(&seed) % 64); /* all sizes in one */
    compare(value);
}
