/* sampler.c - see sampler.h. */
#include "cli/sampler.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clockcore/clock.h"

#define SAMPLE_NS 2000000

struct sampler {
    struct sampled_thread thread[SAMPLER_THREADS_MAX];
    unsigned count;
    uint64_t last_ns;
    pthread_t looker;
    bool running;
    _Atomic bool stop;
};

const char *const activity_names[ACTIVITY_KINDS] = {
    [ACTIVITY_WAIT] = "waiting",       [ACTIVITY_TRANSLATE] = "translating",
    [ACTIVITY_EXECUTE] = "executing",  [ACTIVITY_INTERPRET] = "interpreting",
    [ACTIVITY_ACCOUNT] = "accounting", [ACTIVITY_RUN_LOOP] = "run loop",
    [ACTIVITY_DEVICE] = "devices"};
const char *const activity_keys[ACTIVITY_KINDS] = {
    [ACTIVITY_WAIT] = "wait_ns",       [ACTIVITY_TRANSLATE] = "translate_ns",
    [ACTIVITY_EXECUTE] = "execute_ns", [ACTIVITY_INTERPRET] = "interpret_ns",
    [ACTIVITY_ACCOUNT] = "account_ns", [ACTIVITY_RUN_LOOP] = "run_loop_ns",
    [ACTIVITY_DEVICE] = "device_ns"};

struct sampler *sampler_create(void)
{
    return calloc(1, sizeof(struct sampler));
}

void sampler_add(struct sampler *s, const char *name, const struct activity *a)
{
    if (s->count == SAMPLER_THREADS_MAX)
        return;
    struct sampled_thread *t = &s->thread[s->count++];
    t->activity = a;
    snprintf(t->name, sizeof t->name, "%s", name);
}

/* --- the sampler's thread --- */

static void look(struct sampler *s)
{
    uint64_t now = clock_realtime_ns();
    for (unsigned i = 0; i < s->count; i++)
        s->thread[i].ns[activity_peek(s->thread[i].activity)] += now - s->last_ns;
    s->last_ns = now;
}

static bool is_stopped(struct sampler *s)
{
    return atomic_load_explicit(&s->stop, memory_order_relaxed); /* sampler_stop joins */
}

static void *sampler_main(void *arg)
{
    struct sampler *s = arg;
    while (!is_stopped(s)) {
        nanosleep(&(struct timespec){.tv_nsec = SAMPLE_NS}, NULL);
        look(s);
    }
    return NULL;
}

/* --- the machine's --- */

void sampler_start(struct sampler *s)
{
    sigset_t all, before;
    s->last_ns = clock_realtime_ns();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->running = pthread_create(&s->looker, NULL, sampler_main, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void sampler_stop(struct sampler *s)
{
    if (!s->running)
        return;
    atomic_store_explicit(&s->stop, true, memory_order_relaxed);
    pthread_join(s->looker, NULL);
    s->running = false;
}

unsigned sampler_count(const struct sampler *s)
{
    return s->count;
}

const struct sampled_thread *sampler_thread(const struct sampler *s, unsigned i)
{
    return &s->thread[i];
}

void sampler_destroy(struct sampler *s)
{
    if (s)
        sampler_stop(s);
    free(s);
}
