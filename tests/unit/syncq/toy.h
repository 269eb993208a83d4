/* toy.h - a toy machine for the tests of the link: random "guest" on one side, timers and registers
 * that depend on order and time on the other. The log of both sides is hashed; two runs with
 * one seed must agree in every mode.
 *
 * Device: NTIMERS timers; a write re-arms one or raises a line after L; a read mixes state. Every op that
 * does something is hashed with its tick; step() without a due timer changes nothing.
 * Guest: xorshift decides at each tick whether to access, halt or run; what it reads and which effects
 * it gets feed the xorshift, so that any divergence grows. */
#ifndef TANDEM_TESTS_TOY_H
#define TANDEM_TESTS_TOY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clockcore/timerq.h"
#include "syncq/link.h"

#define TOY_TIMERS 5

struct toy_config {
    enum link_mode mode;
    uint64_t seed; /* of the guest */
    uint64_t jitter_seed;
    uint64_t plant_late;
    uint64_t end_tick;
    uint64_t quantum_ticks;
    uint32_t spin_iterations;
    bool pings;                 /* a third thread calls wake() all the time: the device thread stirs */
    bool ahead;                 /* offer input_waiting: soft limits */
    bool absent;                /* mode thread: the device thread never gets a CPU */
    bool early_events;          /* timers may be armed nearer than L: the link must put them off */
    uint32_t access_percent;    /* of ticks at which the guest makes an access */
    bool pauses;                /* another thread makes the guest stand now and then; it goes on by itself */
    bool flood;                 /* accesses are posted writes of long latency, but for one in 32 */
    _Atomic uint64_t *progress; /* counts the guest's ticks, for a watchdog; NULL: nobody looks */
    uint64_t stop_after_us;     /* call link_stop() from another thread then; 0: never */
    uint64_t *trace;            /* guest hash at each 1024th tick (0: warped over), for prefix checks */
    uint64_t trace_entries;
    struct link_figures *figures; /* of the link; NULL: not taken */
    uint64_t slow_ns;             /* host time that each access and timer takes at least */
};

struct toy_result {
    uint64_t guest_hash, device_hash;
    uint64_t ticks; /* reached */
    struct link_stats stats;
};

void toy_run(const struct toy_config *cfg, struct toy_result *out);

#endif
