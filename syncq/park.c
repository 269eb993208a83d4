/* park.c - the futex calls of park.h. */
#include "syncq/park.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
    int saved_errno = errno; /* park_unpark may run in a signal handler */
    syscall(SYS_futex, word, op, value, NULL, NULL, 0);
    errno = saved_errno;
}

void park_commit(struct parker *p)
{
    /* Acquire pairs with the release of park_claim. A wait that ends early (EINTR, a late wake of an
     * earlier sleep) goes round. */
    while (atomic_load_explicit(&p->word, memory_order_acquire) == PARK_ASLEEP)
        futex(&p->word, FUTEX_WAIT_PRIVATE, PARK_ASLEEP);
}

bool park_unpark(struct parker *p)
{
    if (!park_claim(p))
        return false;
    futex(&p->word, FUTEX_WAKE_PRIVATE, 1);
    return true;
}
