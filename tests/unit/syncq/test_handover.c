/* The buffer that goes to and fro: one owner at a time, and whole whenever it arrives. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>

#include "syncq/handover.h"

#define ROUNDS 20000
#define WORDS  64

struct exchange {
    struct handover h;
    uint32_t word[WORDS]; /* plain memory: the thread sanitizer sees a wrong owner */
    _Atomic bool ended;
};

static void *fill(void *arg)
{
    struct exchange *x = arg;
    for (uint32_t n = 1; !atomic_load(&x->ended);) {
        if (!handover_asked(&x->h)) {
            sched_yield();
            continue;
        }
        for (unsigned i = 0; i < WORDS; i++)
            x->word[i] = n;
        n++;
        handover_give(&x->h);
    }
    return NULL;
}

static void take_one(struct exchange *x, uint32_t n)
{
    handover_ask(&x->h);
    while (!handover_filled(&x->h))
        sched_yield();
    for (unsigned i = 0; i < WORDS; i++)
        cr_assert_eq(x->word[i], n);
}

Test(handover, whole_and_in_turn, .timeout = 60)
{
    static struct exchange x;
    pthread_t t;
    handover_init(&x.h);
    cr_assert_eq(pthread_create(&t, NULL, fill, &x), 0);
    for (uint32_t n = 1; n <= ROUNDS; n++)
        take_one(&x, n);
    atomic_store(&x.ended, true);
    pthread_join(t, NULL);
}

Test(handover, is_the_askers_at_first)
{
    struct handover h;
    handover_init(&h);
    cr_assert(handover_filled(&h));
    cr_assert_not(handover_asked(&h));
    handover_ask(&h);
    cr_assert(handover_asked(&h));
    cr_assert_not(handover_filled(&h));
}
