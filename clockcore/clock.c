/* clock.c - reads the host's clocks; the virtual ones are arithmetic (ticks.h). */
#include "clockcore/clock.h"

#include <time.h>

#include "clockcore/check.h"
#include "clockcore/ticks.h"

static uint64_t host_read(clockid_t id)
{
    struct timespec ts;
    CHECK(clock_gettime(id, &ts) == 0);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_realtime_ns(void)
{
    return host_read(CLOCK_MONOTONIC);
}

uint64_t clock_realtime_coarse_ns(void)
{
    return host_read(CLOCK_MONOTONIC_COARSE);
}

uint64_t clock_host_ns(void)
{
    return host_read(CLOCK_REALTIME);
}

uint64_t clock_ns(enum clock_kind kind, uint64_t ticks, unsigned shift)
{
    switch (kind) {
    case CLOCK_KIND_REALTIME:
        return clock_realtime_ns();
    case CLOCK_KIND_HOST:
        return clock_host_ns();
    case CLOCK_KIND_VIRTUAL:
    case CLOCK_KIND_VIRTUAL_RT:
        return ticks_to_ns(ticks, shift);
    }
    CHECK(!"a known clock");
    return 0;
}

const char *clock_name(enum clock_kind kind)
{
    static const char *const names[] = {"realtime", "host", "virtual", "virtual_rt"};
    CHECK((unsigned)kind < sizeof names / sizeof names[0]);
    return names[kind];
}
