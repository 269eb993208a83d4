/* Liveness of parking: two threads hand a turn to and fro, and sleep for each. One lost wake-up, and
 * the test hangs until its time-out. */
#include <criterion/criterion.h>
#include <pthread.h>

#include "syncq/baton.h"
#include "syncq/park.h"

#define TURNS 100000

struct pingpong {
    struct parker parker[2];
    _Atomic uint32_t turn;
};

static void wait_for_turn(struct pingpong *p, uint32_t turn)
{
    uint32_t me = turn & 1;
    while (atomic_load_explicit(&p->turn, memory_order_acquire) != turn) {
        park_prepare(&p->parker[me]);
        if (atomic_load_explicit(&p->turn, memory_order_acquire) == turn)
            park_cancel(&p->parker[me]);
        else
            park_commit(&p->parker[me]);
    }
}

static void play(struct pingpong *p, uint32_t me)
{
    for (uint32_t turn = me; turn < TURNS; turn += 2) {
        wait_for_turn(p, turn);
        for (uint32_t i = 0; i < turn * 7 % 200; i++) /* meet the other at many phases of its sleep */
            cpu_relax();
        atomic_store_explicit(&p->turn, turn + 1, memory_order_release);
        park_unpark(&p->parker[!me]);
    }
}

static void *second(void *arg)
{
    play(arg, 1);
    return NULL;
}

Test(park, no_wake_up_is_lost, .timeout = 120)
{
    static struct pingpong p;
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, second, &p), 0);
    play(&p, 0);
    pthread_join(t, NULL);
    cr_assert_eq(p.turn, TURNS);
}

Test(park, an_unpark_before_the_sleep_is_harmless)
{
    struct parker p;
    park_init(&p);
    cr_assert_not(park_unpark(&p));
    park_prepare(&p);
    cr_assert(park_unpark(&p));
    park_commit(&p); /* returns at once */
    park_prepare(&p);
    park_cancel(&p);
    cr_assert_not(park_claim(&p));
}

Test(park, baton_has_one_holder)
{
    struct baton b;
    baton_init(&b, BATON_FREE);
    cr_assert(baton_try(&b, BATON_VCPU));
    cr_assert_not(baton_try(&b, BATON_DEVICE));
    cr_assert_not(baton_try(&b, BATON_VCPU));
    cr_assert_eq(baton_holder(&b), BATON_VCPU);
    baton_drop(&b);
    cr_assert(baton_try(&b, BATON_DEVICE));
}
