/* test_inputqueue.c - entries of any thread come out whole, once each, in order; a full queue refuses. */
#include "devthread/inputqueue.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#define WRITERS 3
#define EACH    5000

struct rig {
    struct hostio *hostio;
    struct inputqueue *q;
};

struct writer {
    struct rig *rig;
    uint8_t number;
};

static struct rig rig_make(bool open)
{
    struct rig r = {.hostio = hostio_create()};

    cr_assert(r.hostio);
    r.q = inputqueue_create(r.hostio, open, INPUTQUEUE_ENTRIES, PORT_SMALL_BYTES);
    cr_assert(r.q);
    return r;
}

static void rig_free(struct rig *r)
{
    inputqueue_destroy(r->q);
    hostio_destroy(r->hostio);
}

static uint32_t take(struct rig *r, uint8_t *entry, uint32_t room)
{
    return inputqueue_backend.input_take(r->q, entry, room);
}

/* The same at both ends of an entry: half an entry would show. */
static void *write_entries(void *arg)
{
    const struct writer *w = arg;

    for (uint32_t n = 0; n < EACH; n++) {
        uint8_t entry[6] = {w->number,         (uint8_t)n, (uint8_t)(n >> 8),
                            (uint8_t)(n >> 8), (uint8_t)n, w->number};
        while (!inputqueue_put(w->rig->q, entry, sizeof entry))
            sched_yield(); /* full: the reader makes room */
    }
    return NULL;
}

static void check_entry(const uint8_t e[6], uint32_t next[WRITERS])
{
    cr_assert(e[0] < WRITERS && e[0] == e[5] && e[1] == e[4] && e[2] == e[3], "an entry is whole");
    cr_assert_eq((uint32_t)(e[1] | e[2] << 8), next[e[0]], "of each thread in order");
    next[e[0]]++;
}

Test(inputqueue, from_threads, .timeout = 60)
{
    struct rig r = rig_make(true);
    struct writer w[WRITERS];
    pthread_t t[WRITERS];
    uint32_t next[WRITERS] = {0};

    for (uint8_t i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){.rig = &r, .number = i};
        cr_assert_eq(pthread_create(&t[i], NULL, write_entries, &w[i]), 0);
    }
    for (uint32_t got = 0; got < WRITERS * EACH;) {
        uint8_t entry[PORT_SMALL_BYTES];
        if (!inputqueue_backend.input_waiting(r.q, sizeof entry)) {
            hostio_wait(r.hostio, HOSTIO_IDLE, 1000000); /* as a halted vCPU waits for a key */
            continue;
        }
        cr_assert_eq(take(&r, entry, sizeof entry), 6);
        check_entry(entry, next);
        got++;
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(t[i], NULL);
    cr_assert_not(inputqueue_backend.input_waiting(r.q, PORT_SMALL_BYTES));
    rig_free(&r);
}

/* A halted vCPU that waits for ever is woken by the first entry: none is lost between look and wait. */
static void *put_one(void *arg)
{
    const struct rig *r = arg;

    inputqueue_put(r->q, (const uint8_t *)"k", 1);
    return NULL;
}

Test(inputqueue, an_entry_ends_the_idle_wait, .timeout = 60)
{
    struct rig r = rig_make(true);

    for (unsigned i = 0; i < 200; i++) {
        pthread_t t;
        uint8_t byte;
        cr_assert_eq(pthread_create(&t, NULL, put_one, &r), 0);
        while (!inputqueue_backend.input_waiting(r.q, 1))
            hostio_wait(r.hostio, HOSTIO_IDLE, HOSTIO_FOREVER);
        cr_assert_eq(take(&r, &byte, 1), 1);
        pthread_join(t, NULL);
    }
    rig_free(&r);
}

Test(inputqueue, full_refuses_and_room_is_kept)
{
    struct rig r = rig_make(false);
    uint8_t entry[PORT_SMALL_BYTES] = {0};
    uint32_t n = 0;

    while (n <= INPUTQUEUE_ENTRIES &&
           inputqueue_put(r.q, (const uint8_t[]){(uint8_t)n, (uint8_t)(n >> 8), 7}, 3))
        n++;
    cr_expect_eq(n, INPUTQUEUE_ENTRIES);
    cr_expect_not(inputqueue_backend.input_waiting(r.q, 2), "an entry of three bytes in room for two");
    cr_expect_eq(take(&r, entry, 2), 0);
    cr_expect_eq(take(&r, entry, 3), 3);
    cr_expect(entry[0] == 0 && entry[1] == 0 && entry[2] == 7);
    cr_expect(inputqueue_put(r.q, entry, 3), "one has left");
    cr_expect_not(inputqueue_put(r.q, entry, 3));
    for (n = 1; n < INPUTQUEUE_ENTRIES; n++) {
        cr_expect_eq(take(&r, entry, sizeof entry), 3);
        cr_expect_eq((uint32_t)(entry[0] | entry[1] << 8), n);
    }
    cr_expect_eq(take(&r, entry, sizeof entry), 3);
    cr_expect_eq(take(&r, entry, sizeof entry), 0, "empty");
    rig_free(&r);
}

Test(inputqueue, says_whether_more_may_come)
{
    struct rig a = rig_make(true), b = rig_make(false);

    cr_expect(inputqueue_backend.input_open(a.q));
    cr_expect_not(inputqueue_backend.input_open(b.q));
    rig_free(&a);
    rig_free(&b);
}
