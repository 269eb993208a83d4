/* The message queue: order, bound, and two threads at once. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>

#include "syncq/msgq.h"

#define COUNT 300000

Test(msgq, order_full_and_empty)
{
    struct msgq q;
    struct msg m = {0};
    cr_assert(msgq_init(&q, 4));
    cr_assert_not(msgq_pop(&q, &m));
    for (uint64_t round = 0; round < 10; round++) {
        for (uint64_t i = 0; i < 4; i++)
            cr_assert(msgq_push(&q, &(struct msg){.arg = round * 4 + i}));
        cr_assert_not(msgq_push(&q, &m));
        for (uint64_t i = 0; i < 4; i++) {
            cr_assert(msgq_available(&q));
            cr_assert(msgq_pop(&q, &m));
            cr_assert_eq(m.arg, round * 4 + i);
        }
        cr_assert_not(msgq_available(&q));
    }
    msgq_destroy(&q);
}

static void *producer(void *arg)
{
    for (uint64_t i = 0; i < COUNT; i++)
        while (!msgq_push(arg, &(struct msg){.arg = i, .access = {.tick = i * 3}}))
            sched_yield();
    return NULL;
}

Test(msgq, two_threads)
{
    struct msgq q;
    struct msg m;
    pthread_t t;
    cr_assert(msgq_init(&q, 16));
    cr_assert_eq(pthread_create(&t, NULL, producer, &q), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        while (!msgq_pop(&q, &m))
            sched_yield();
        if (m.arg != i || m.access.tick != i * 3) /* cr_assert each time would be slow */
            cr_assert(false, "message %llu is wrong", (unsigned long long)i);
    }
    pthread_join(t, NULL);
    cr_assert_not(msgq_available(&q));
    msgq_destroy(&q);
}
