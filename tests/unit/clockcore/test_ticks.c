/* Ticks, ns and counts: rounding and saturation. */
#include <criterion/criterion.h>

#include "clockcore/clock.h"
#include "clockcore/ticks.h"

Test(ticks, deadlines_round_up)
{
    cr_assert_eq(ticks_ceil(0, 3), 0);
    cr_assert_eq(ticks_ceil(1, 3), 1);
    cr_assert_eq(ticks_ceil(8, 3), 1);
    cr_assert_eq(ticks_ceil(9, 3), 2);
    cr_assert_eq(ticks_ceil(9, 0), 9);
    cr_assert_eq(ticks_ceil(NS_NEVER, 3), TICK_NEVER);
    cr_assert_eq(ticks_ceil(NS_NEVER - 1, 0), NS_NEVER - 1);
}

Test(ticks, ns_saturate_below_never)
{
    cr_assert_eq(ticks_to_ns(5, 3), 40);
    cr_assert_eq(ticks_to_ns(TICK_NEVER, 3), NS_NEVER - 1);
    cr_assert_eq(ticks_to_ns(TICK_NEVER >> 3, 3), (TICK_NEVER >> 3) << 3);
}

Test(ticks, counts_and_their_deadlines_agree)
{
    static const uint64_t hz[] = {1, 1193182, 3579545, 14318180, 999999937, 3000000000u};
    for (unsigned i = 0; i < sizeof hz / sizeof hz[0]; i++) {
        for (uint64_t count = 1; count < 2000000; count = count * 3 + 1) {
            uint64_t ns = count_ns(count, hz[i]);
            cr_assert(count_at(ns, hz[i]) >= count);
            cr_assert(ns == 0 || count_at(ns - 1, hz[i]) < count);
        }
    }
}

Test(ticks, virtual_rt_is_virtual)
{
    cr_assert_eq(clock_ns(CLOCK_KIND_VIRTUAL, 125, 3), 1000);
    cr_assert_eq(clock_ns(CLOCK_KIND_VIRTUAL_RT, 125, 3), 1000);
    cr_assert(clock_ns(CLOCK_KIND_REALTIME, 0, 3) > 0);
    cr_assert(clock_ns(CLOCK_KIND_HOST, 0, 3) > UINT64_C(1600000000) * NS_PER_SEC);
    uint64_t before = clock_realtime_ns();
    cr_assert(clock_realtime_ns() >= before);
    cr_assert_str_eq(clock_name(CLOCK_KIND_VIRTUAL_RT), "virtual_rt");
}
