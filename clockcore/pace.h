/* pace.h - pacing of a halted vCPU: QEMU's `-icount sleep=on|off`.
 *
 * sleep=on: while the vCPU is idle, virtual time advances with the host's clock: a warp over D
 * ticks lasts D << shift ns of host time, and input that arrives earlier ends it at the tick that
 * was reached. sleep=off: a warp takes no host time. Either way only *where input lands* can
 * depend on the host, and that is stamped and recorded; timers fire at their own ticks.
 * Here is the arithmetic only; who waits reads the clock (clock_realtime_ns) and blocks.
 * Threads: pure functions, any thread. Everything saturates, nothing wraps. */
#ifndef TANDEM_CLOCKCORE_PACE_H
#define TANDEM_CLOCKCORE_PACE_H

#include <stdint.h>

/* Host time at which a warp that began at (start_tick, host_start_ns) reaches target_tick;
 * NS_NEVER if target_tick is TICK_NEVER. */
uint64_t pace_deadline_ns(uint64_t start_tick, uint64_t target_tick, uint64_t host_start_ns, unsigned shift);
/* Tick that such a warp has reached at host_now_ns, at most target_tick. Rounds down: a tick is
 * reached when its whole duration has passed. */
uint64_t pace_tick_at(uint64_t start_tick, uint64_t target_tick, uint64_t host_start_ns, uint64_t host_now_ns,
                      unsigned shift);
/* Host ns left until deadline_ns (0: over; NS_NEVER: no deadline). */
uint64_t pace_remaining_ns(uint64_t deadline_ns, uint64_t host_now_ns);

#endif
