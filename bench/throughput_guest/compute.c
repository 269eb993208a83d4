/* compute.c - integer phases: sieve, sorting, pointer chasing. */
#include <string.h>

#include "guest.h"

/* --- sieve of Eratosthenes --- */

#define SIEVE_MAX 1000000u
static uint8_t composite[SIEVE_MAX];

static void strike_multiples(unsigned prime)
{
    for (unsigned n = prime * prime; n < SIEVE_MAX; n += prime)
        composite[n] = 1;
}

uint32_t pass_sieve(void)
{
    uint32_t hash = HASH_START;
    memset(composite, 0, sizeof composite);
    for (unsigned n = 2; n < SIEVE_MAX; n++) {
        if (composite[n])
            continue;
        hash = hash_word(hash, n);
        if (n < 1000)
            strike_multiples(n);
    }
    return hash;
}

/* --- quicksort with insertion sort for short runs --- */

#define SORT_COUNT (1u << 17)
#define SHORT_RUN  12
static uint32_t sorted[SORT_COUNT];

static void insertion_sort(uint32_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t x = v[i];
        size_t at = i;
        for (; at > 0 && v[at - 1] > x; at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
}

static size_t partition(uint32_t *v, size_t n)
{
    uint32_t pivot = v[n / 2];
    size_t low = 0, high = n - 1;
    for (;; low++, high--) {
        while (v[low] < pivot)
            low++;
        while (v[high] > pivot)
            high--;
        if (low >= high)
            return high + 1;
        uint32_t x = v[low];
        v[low] = v[high];
        v[high] = x;
    }
}

static void quicksort(uint32_t *v, size_t n)
{
    while (n > SHORT_RUN) {
        size_t left = partition(v, n);
        quicksort(v, left);
        v += left;
        n -= left;
    }
    insertion_sort(v, n);
}

uint32_t pass_sort(void)
{
    random_fill(sorted, sizeof sorted, 12345);
    quicksort(sorted, SORT_COUNT);
    for (size_t i = 1; i < SORT_COUNT; i++)
        if (sorted[i - 1] > sorted[i])
            return 0;
    return hash_bytes(sorted, sizeof sorted);
}

/* --- pointer chasing: one cycle through 8 MiB, a node a cache line --- */

#define CHASE_COUNT ((8u << 20) / sizeof(struct node))

struct node {
    struct node *next;
    uint32_t value;
    uint32_t pad[14];
};
static struct node nodes[131072];
_Static_assert(CHASE_COUNT == sizeof nodes / sizeof nodes[0] || sizeof(void *) != 4, "8 MiB");

/* Sattolo's shuffle: the permutation is a single cycle. */
static void chase_shuffle(uint32_t *order, uint32_t n)
{
    uint32_t seed = 777;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t other = random_next(&seed) % i, x = order[i];
        order[i] = order[other];
        order[other] = x;
    }
}

static void chase_prepare(void)
{
    static uint32_t order[CHASE_COUNT];
    chase_shuffle(order, CHASE_COUNT);
    for (uint32_t i = 0; i < CHASE_COUNT; i++)
        nodes[i] = (struct node){.next = &nodes[order[i]], .value = i};
}

uint32_t pass_chase(void)
{
    if (!nodes[0].next)
        chase_prepare();
    uint32_t hash = HASH_START;
    const struct node *at = nodes;
    for (unsigned i = 0; i < 4 * CHASE_COUNT; i++, at = at->next)
        hash += at->value ^ (hash << 1);
    return hash;
}
