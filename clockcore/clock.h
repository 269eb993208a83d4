/* clock.h - the four clocks, named as in QEMU.
 *
 * REALTIME    host monotonic time: pacing, statistics; never visible to the guest.
 * HOST        host wall clock: `-rtc base=utc|localtime` at start-up only.
 * VIRTUAL     ticks << shift: the only clock that devices use.
 * VIRTUAL_RT  virtual time that follows the host where instruction counting is off. Tandem always
 *             counts instructions, hence it is VIRTUAL; the name stays for QEMU's users.
 *
 * The host is read here and nowhere else (but for bench/ and the back ends).
 * Threads: any. Units: ns, unsigned 64 bits. Errors: none; clock_gettime cannot fail on Linux. */
#ifndef TANDEM_CLOCKCORE_CLOCK_H
#define TANDEM_CLOCKCORE_CLOCK_H

#include <stdint.h>

enum clock_kind { CLOCK_KIND_REALTIME, CLOCK_KIND_HOST, CLOCK_KIND_VIRTUAL, CLOCK_KIND_VIRTUAL_RT };

/* Host monotonic time; about 25 ns a call. */
uint64_t clock_realtime_ns(void);
/* The same clock at the scheduler tick's resolution (1 to 10 ms); about 5 ns a call. Sums of
 * differences are right on average, which is enough for statistics of a hot path. */
uint64_t clock_realtime_coarse_ns(void);
/* Host wall clock, ns since the Unix epoch. Not repeatable. */
uint64_t clock_host_ns(void);
/* Any of the four; `ticks` and `shift` matter to the virtual ones only. */
uint64_t clock_ns(enum clock_kind kind, uint64_t ticks, unsigned shift);
const char *clock_name(enum clock_kind kind);

#endif
