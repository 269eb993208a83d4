/* link_bench.c - what the link costs, per mode: a posted write, a synchronous read, a pure read, a timer
 * step with its effect, an idle warp to a timer, and a CPU-bound loop that only meets the quantum.
 *
 * The devices do next to nothing, so the figures are the link's own, and "op" is the bare indirect call
 * of the device ops to compare with. Each figure is the best of ROUNDS, in host ns per operation; the
 * spread to the worst round is printed beside it. Usage: link_bench [mode...] (inline adaptive thread). */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clockcore/check.h"
#include "clockcore/clock.h"
#include "clockcore/ticks.h"
#include "syncq/link.h"
#include "syncq/pinning.h"

#define ROUNDS  7
#define QUANTUM 100000

struct machine {
    struct link *link;
    uint64_t next, state, period; /* period 0: no timer */
    uint64_t tick;
    int fd;
};

static uint32_t bench_access(void *ctx, const struct access *a)
{
    struct machine *m = ctx;
    m->state += a->tick + a->value;
    return (uint32_t)m->state;
}

static void bench_step(void *ctx, uint64_t tick)
{
    struct machine *m = ctx;
    if (tick < m->next)
        return;
    m->next += m->period;
    link_effect(m->link, &(struct effect){.tick = tick, .kind = EFFECT_IRQ});
}

static uint64_t bench_next_event(void *ctx)
{
    return ((struct machine *)ctx)->next;
}

static uint64_t bench_idle(void *ctx, uint64_t tick, uint64_t max_tick, uint64_t stand_tick)
{
    (void)ctx, (void)tick, (void)stand_tick;
    return max_tick;
}

static void bench_host_io(void *ctx, uint64_t timeout_ns)
{
    struct pollfd p = {.fd = ((struct machine *)ctx)->fd, .events = POLLIN};
    uint64_t count;
    if (poll(&p, 1, timeout_ns ? -1 : 0) > 0)
        CHECK(read(p.fd, &count, sizeof count) == sizeof count);
}

static void bench_wake(void *ctx)
{
    uint64_t one = 1;
    CHECK(write(((struct machine *)ctx)->fd, &one, sizeof one) == sizeof one);
}

static bool bench_input_waiting(void *ctx)
{
    return false;
}

static const struct link_ops ops = {bench_access,  bench_step, bench_next_event,   bench_idle,
                                    bench_host_io, bench_wake, bench_input_waiting};

static void arrive(struct machine *m)
{
    struct effect e;
    link_arrive(m->link, m->tick);
    while (link_effect_take(m->link, m->tick, &e))
        m->state += e.seq;
}

static void advance(struct machine *m)
{
    m->tick++;
    while (m->tick >= link_limit(m->link))
        arrive(m);
}

static void loop_op(struct machine *m, unsigned n)
{
    const struct link_ops *volatile indirect = &ops; /* as the link calls them */
    for (unsigned i = 0; i < n; i++, m->tick++) {
        struct access a = {.tick = m->tick, .kind = ACCESS_PIO_WRITE, .size = 1};
        indirect->access(m, &a);
        m->state += indirect->next_event(m);
    }
}

static void loop_post(struct machine *m, unsigned n)
{
    for (unsigned i = 0; i < n; i++, advance(m)) {
        struct access a = {.tick = m->tick, .kind = ACCESS_PIO_WRITE, .size = 1};
        link_post(m->link, &a, 1000);
    }
}

static void loop_sync(struct machine *m, unsigned n)
{
    for (unsigned i = 0; i < n; i++, advance(m)) {
        struct access a = {.tick = m->tick, .kind = ACCESS_PIO_READ, .size = 1};
        m->state += link_sync(m->link, &a, 1);
    }
}

static void loop_pure(struct machine *m, unsigned n)
{
    for (unsigned i = 0; i < n; i++, advance(m)) {
        link_pure(m->link);
        m->state += m->next;
    }
}

static void loop_timer(struct machine *m, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        m->tick = link_limit(m->link);
        arrive(m);
    }
}

static void loop_idle(struct machine *m, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        m->tick = link_idle(m->link, m->tick, TICK_NEVER, TICK_NEVER);
        arrive(m);
    }
}

/* n quanta of a guest that makes no access: 20 us of host work each. */
static void loop_cpu(struct machine *m, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t to = link_limit(m->link);
        for (volatile unsigned work = 0; work < 20000; work++)
            ;
        m->tick = to;
        arrive(m);
    }
}

struct bench {
    const char *name;
    void (*loop)(struct machine *m, unsigned n);
    uint64_t period;
    unsigned n;
};

static const struct bench benches[] = {
    {"op", loop_op, 0, 2000000},
    {"post", loop_post, 0, 500000},
    {"sync", loop_sync, 0, 200000},
    {"pure", loop_pure, 0, 1000000},
    {"timer+effect", loop_timer, 500, 200000},
    {"idle+timer", loop_idle, 500, 100000},
    {"cpu quantum", loop_cpu, 0, 2000},
};

static double per_op_ns(struct machine *m, const struct bench *b)
{
    m->period = b->period;
    uint64_t start_ns = clock_realtime_ns();
    b->loop(m, b->n);
    return (double)(clock_realtime_ns() - start_ns) / b->n;
}

static void run_bench(struct machine *m, const struct bench *b)
{
    double best = 1e18, worst = 0;
    m->next = b->period ? m->tick + 1 + b->period : TICK_NEVER;
    link_poke(m->link, m->tick);
    arrive(m);
    for (int r = 0; r < ROUNDS; r++) {
        double ns = per_op_ns(m, b);
        best = ns < best ? ns : best;
        worst = ns > worst ? ns : worst;
    }
    printf(" %12.1f (%9.1f)", best, worst);
    fflush(stdout);
}

static void *device_thread(void *arg)
{
    link_device_loop(arg);
    return NULL;
}

static void run_mode(const char *name, enum link_mode mode, uint32_t spin)
{
    struct machine m = {.next = TICK_NEVER, .fd = eventfd(0, EFD_CLOEXEC)};
    struct link_config cfg = {
        .mode = mode, .ops = &ops, .ctx = &m, .quantum_ticks = QUANTUM, .spin_iterations = spin};
    pthread_t t;
    CHECK((m.link = link_create(&cfg)) != NULL);
    if (mode != LINK_INLINE)
        CHECK(pthread_create(&t, NULL, device_thread, m.link) == 0);
    arrive(&m);
    printf("%-9s", name);
    for (unsigned i = 0; i < sizeof benches / sizeof benches[0]; i++)
        run_bench(&m, &benches[i]);
    printf("\n");
    link_end(m.link);
    if (mode != LINK_INLINE)
        pthread_join(t, NULL);
    link_destroy(m.link);
    close(m.fd);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"thread", "inline", "adaptive"};
    struct pinning p;
    char err[200];
    if (!pinning_choose(PIN_ANY, PIN_ANY, &p, err, sizeof err)) {
        fprintf(stderr, "link_bench: %s\n", err);
        return 1;
    }
    printf("%u CPUs, spin %u; best (worst) of %d, ns\n%-9s", p.allowed_cpus, p.spin_iterations, ROUNDS, "");
    for (unsigned i = 0; i < sizeof benches / sizeof benches[0]; i++)
        printf(" %24s", benches[i].name);
    printf("\n");
    for (int i = 0; i < 3; i++) {
        static const enum link_mode order[] = {LINK_INLINE, LINK_ADAPTIVE, LINK_THREAD};
        bool wanted = argc < 2;
        for (int a = 1; a < argc; a++)
            wanted |= strcmp(argv[a], names[order[i]]) == 0;
        if (wanted)
            run_mode(names[order[i]], order[i], p.spin_iterations);
    }
    return 0;
}
