/* ticks.h - virtual time: ticks, nanoseconds and the counts of fixed-rate counters.
 *
 * One tick is `1 << shift` virtual ns (shift 0..ICOUNT_SHIFT_MAX); one retired guest instruction
 * is one tick, and a halted vCPU adds idle ticks: ticks = icount + idle. Everything is an
 * unsigned 64-bit integer; conversions are done once and say how they round.
 * Threads: pure functions, any thread. */
#ifndef TANDEM_CLOCKCORE_TICKS_H
#define TANDEM_CLOCKCORE_TICKS_H

#include <stdint.h>

#define ICOUNT_SHIFT_MAX     10
#define ICOUNT_SHIFT_DEFAULT 3
#define NS_PER_SEC           UINT64_C(1000000000)

#define TICK_NEVER UINT64_MAX /* no tick: later than every tick */
#define NS_NEVER   UINT64_MAX /* no deadline: later than every ns */

/* Virtual ns at which `ticks` begins; saturates below NS_NEVER. */
static inline uint64_t ticks_to_ns(uint64_t ticks, unsigned shift)
{
    return ticks > (NS_NEVER - 1) >> shift ? NS_NEVER - 1 : ticks << shift;
}

/* First tick at or after `ns`: deadlines round up, so that nothing is early. NS_NEVER is TICK_NEVER. */
static inline uint64_t ticks_ceil(uint64_t ns, unsigned shift)
{
    if (ns == NS_NEVER)
        return TICK_NEVER;
    return (ns >> shift) + ((ns & ((UINT64_C(1) << shift) - 1)) != 0);
}

/* Whole periods of a `hz` counter that have elapsed at `ns`: floor(ns * hz / 1e9). */
static inline uint64_t count_at(uint64_t ns, uint64_t hz)
{
    return (uint64_t)((unsigned __int128)ns * hz / NS_PER_SEC);
}

/* First ns at which count_at(ns, hz) >= count: ceil(count * 1e9 / hz). The inverse of count_at, so
 * that "value now" and "next event" of a counter can never disagree. Saturates below NS_NEVER. */
static inline uint64_t count_ns(uint64_t count, uint64_t hz)
{
    unsigned __int128 ns = ((unsigned __int128)count * NS_PER_SEC + hz - 1) / hz;
    return ns >= NS_NEVER ? NS_NEVER - 1 : (uint64_t)ns;
}

#endif
