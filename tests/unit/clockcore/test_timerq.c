/* The timer queue against a plain array that is searched. */
#include <criterion/criterion.h>

#include "clockcore/ticks.h"
#include "clockcore/timerq.h"

Test(timerq, orders_by_tick_then_device_then_arming)
{
    struct timerq q;
    uint32_t id;
    cr_assert(timerq_init(&q, 8));
    timerq_arm(&q, 0, 2, 50);
    timerq_arm(&q, 1, 1, 50);
    timerq_arm(&q, 2, 1, 50);
    timerq_arm(&q, 3, 9, 10);
    timerq_arm(&q, 1, 1, 50); /* armed again: now after timer 2 */
    static const uint32_t order[] = {3, 2, 1, 0};
    for (unsigned i = 0; i < 4; i++) {
        cr_assert(timerq_pop(&q, 50, &id));
        cr_assert_eq(id, order[i]);
    }
    cr_assert_not(timerq_pop(&q, TICK_NEVER, &id));
    cr_assert_eq(timerq_peek(&q), TICK_NEVER);
    timerq_destroy(&q);
}

Test(timerq, pops_only_what_is_due_and_cancels)
{
    struct timerq q;
    uint32_t id;
    cr_assert(timerq_init(&q, 2));
    timerq_arm(&q, 0, 0, 5);
    cr_assert_not(timerq_pop(&q, 4, &id));
    cr_assert_eq(timerq_peek(&q), 5);
    cr_assert(timerq_armed(&q, 0));
    cr_assert(timerq_cancel(&q, 0));
    cr_assert_not(timerq_cancel(&q, 0));
    cr_assert_not(timerq_armed(&q, 0));
    timerq_destroy(&q);
}

#define N 37

struct plain {
    bool armed;
    uint64_t tick, seq;
    uint16_t dev;
};

static int plain_first(const struct plain *p)
{
    int best = -1;
    for (int i = 0; i < N; i++) {
        if (!p[i].armed)
            continue;
        if (best < 0 || p[i].tick < p[best].tick ||
            (p[i].tick == p[best].tick &&
             (p[i].dev < p[best].dev || (p[i].dev == p[best].dev && p[i].seq < p[best].seq))))
            best = i;
    }
    return best;
}

Test(timerq, agrees_with_a_plain_search)
{
    struct timerq q;
    struct plain p[N] = {0};
    uint64_t x = 88172645463325252u, seq = 0;
    cr_assert(timerq_init(&q, N));
    for (int round = 0; round < 200000; round++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint32_t id = (uint32_t)(x >> 8) % N;
        if (x % 4 < 2) {
            p[id] = (struct plain){true, (x >> 20) % 50, seq++, (uint16_t)((x >> 40) % 3)};
            timerq_arm(&q, id, p[id].dev, p[id].tick);
        } else if (x % 4 == 2) {
            cr_assert_eq(timerq_cancel(&q, id), p[id].armed);
            p[id].armed = false;
        } else {
            int first = plain_first(p);
            uint32_t got;
            cr_assert_eq(timerq_peek(&q), first < 0 ? TICK_NEVER : p[first].tick);
            cr_assert_eq(timerq_pop(&q, 49, &got), first >= 0);
            if (first >= 0) {
                cr_assert_eq((int)got, first);
                p[first].armed = false;
            }
        }
    }
    timerq_destroy(&q);
}
