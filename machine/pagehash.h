/* pagehash.h - the hash of guest memory, taken at an instant and computed behind it.
 *
 * The hash is a sum over the pages of a hash of page number and contents, where a page of zeroes counts 0.
 * Only pages that were written since the last time are hashed anew. With a worker that is its work, while the
 * vCPU runs on: a page that is about to be stored to before its turn came is hashed by who stores
 * (syncq/claim.h). So the sum is that of the contents at the instant, whoever hashed what.
 *
 * Threads: the vCPU's, or any while it stands. Memory: borrows the physical memory. */
#ifndef TANDEM_MACHINE_PAGEHASH_H
#define TANDEM_MACHINE_PAGEHASH_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/watch.h"

struct pagehash;

struct pagehash_config {
    struct physmem *mem;
    bool worker;
    int not_on_cpu;       /* host CPU that the worker stays off where there is another; PIN_ANY: none */
    uint64_t jitter_seed; /* test: pool.h */
};

/* NULL: no host memory, or no thread. At most one for a memory. */
struct pagehash *pagehash_create(const struct pagehash_config *cfg);
void pagehash_destroy(struct pagehash *p);
/* The instant: memory as it is now. */
void pagehash_take(struct pagehash *p);
/* The sum at the last instant. Helps the worker, and waits for the page that it is at. */
uint64_t pagehash_sum(struct pagehash *p);
/* What the worker is doing; there must be one. */
struct activity *pagehash_activity(struct pagehash *p);

#endif
