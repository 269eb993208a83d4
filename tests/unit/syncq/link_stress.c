/* link_stress.c - the toy machine in every mode with jitter, pings and stops, for as many seeds as asked.
 * Without Criterion, whose shared arena cannot start under ThreadSanitizer: this is the program to run in
 * that build. Usage: link_stress [first seed [seeds [ticks]]]; exit status 1 at the first difference, 3 when
 * no guest's tick has grown for a while, however slow the host is. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "toy.h"

enum { HUNG_AFTER_S = 20, STATUS_HUNG = 3 };

static _Atomic uint64_t progress; /* ticks of all guests */

static unsigned access_percent(uint64_t seed)
{
    if (seed % 4 == 0)
        return 50;
    return seed % 8 == 7 ? 10 : 5;
}

static struct toy_config variant(uint64_t seed, uint64_t end_tick, unsigned k)
{
    static const uint64_t quantum[] = {900, 40, 3100, 2000};
    return (struct toy_config){.mode = k == 0  ? LINK_INLINE
                                       : k & 1 ? LINK_THREAD
                                               : LINK_ADAPTIVE,
                               .seed = seed,
                               .end_tick = end_tick,
                               .quantum_ticks = quantum[k % 4],
                               .spin_iterations = k < 6 ? 500 : 0,
                               .access_percent = access_percent(seed),
                               .progress = &progress,
                               .flood = seed % 4 == 3,
                               .early_events = seed % 2,
                               .ahead = k >= 3,
                               .pings = k >= 4,
                               .pauses = k == 2 || k == 3 || k > 6,
                               .jitter_seed = k >= 5 ? seed * 16 + k : 0};
}

static bool seed_agrees(uint64_t seed, uint64_t end_tick)
{
    struct toy_result want, got;
    for (unsigned k = 0; k < 9; k++) {
        struct toy_config cfg = variant(seed, end_tick, k);
        toy_run(&cfg, k == 0 ? &want : &got);
        if (k > 0 && (got.guest_hash != want.guest_hash || got.device_hash != want.device_hash)) {
            printf("seed %llu: variant %u gives another log than mode inline\n", (unsigned long long)seed, k);
            return false;
        }
        cfg.stop_after_us = 1 + seed * 37 % 3000; /* must end, whatever it reached */
        toy_run(&cfg, &got);
    }
    return true;
}

/* The device thread gets no CPU: the guest must not wait for it again and again. */
static bool manages_alone(uint64_t seed, uint64_t end_tick)
{
    struct toy_result got;
    struct toy_config cfg = variant(seed, end_tick, 1);
    cfg.ahead = cfg.absent = true;
    toy_run(&cfg, &got);
    if (got.stats.rendezvous > 60)
        printf("seed %llu: without a device thread the guest waited %llu times\n", (unsigned long long)seed,
               (unsigned long long)got.stats.rendezvous);
    return got.stats.rendezvous <= 60;
}

static void *watchdog(void *arg)
{
    (void)arg;
    for (uint64_t seen = UINT64_MAX, now; (now = atomic_load(&progress)) != seen; seen = now)
        nanosleep(&(struct timespec){.tv_sec = HUNG_AFTER_S}, NULL);
    printf("hangs: no guest's tick has grown for %d s\n", HUNG_AFTER_S);
    fflush(stdout);
    _exit(STATUS_HUNG);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t seeds = argc > 2 ? strtoull(argv[2], NULL, 0) : 4;
    uint64_t end_tick = argc > 3 ? strtoull(argv[3], NULL, 0) : 20000;
    pthread_t dog;
    if (pthread_create(&dog, NULL, watchdog, NULL) != 0)
        return 2;
    for (uint64_t seed = first; seed < first + seeds; seed++)
        if (!seed_agrees(seed, end_tick) || !manages_alone(seed, end_tick))
            return 1;
    printf("%llu seeds agree\n", (unsigned long long)seeds);
    return 0;
}
