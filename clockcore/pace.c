/* pace.c - see pace.h. Deadline and tick reached are inverses: the tick reached at the deadline
 * is the target, and one ns earlier it is not. */
#include "clockcore/pace.h"

#include "clockcore/check.h"
#include "clockcore/ticks.h"

uint64_t pace_deadline_ns(uint64_t start_tick, uint64_t target_tick, uint64_t host_start_ns, unsigned shift)
{
    CHECK(target_tick >= start_tick);
    if (target_tick == TICK_NEVER)
        return NS_NEVER;
    uint64_t ns = ticks_to_ns(target_tick - start_tick, shift);
    return ns >= NS_NEVER - host_start_ns ? NS_NEVER - 1 : host_start_ns + ns;
}

uint64_t pace_tick_at(uint64_t start_tick, uint64_t target_tick, uint64_t host_start_ns, uint64_t host_now_ns,
                      unsigned shift)
{
    CHECK(target_tick >= start_tick);
    if (host_now_ns <= host_start_ns)
        return start_tick;
    uint64_t passed = (host_now_ns - host_start_ns) >> shift;
    return passed >= target_tick - start_tick ? target_tick : start_tick + passed;
}

uint64_t pace_remaining_ns(uint64_t deadline_ns, uint64_t host_now_ns)
{
    if (deadline_ns == NS_NEVER)
        return NS_NEVER;
    return deadline_ns > host_now_ns ? deadline_ns - host_now_ns : 0;
}
