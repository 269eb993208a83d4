/* Pacing arithmetic: the deadline and the tick reached are inverses. */
#include <criterion/criterion.h>

#include "clockcore/pace.h"
#include "clockcore/ticks.h"

Test(pace, a_warp_lasts_its_virtual_time)
{
    cr_assert_eq(pace_deadline_ns(1000, 1125, 5000000, 3), 5001000);
    cr_assert_eq(pace_deadline_ns(7, 7, 99, 3), 99);
    cr_assert_eq(pace_deadline_ns(0, TICK_NEVER, 99, 3), NS_NEVER);
    cr_assert_eq(pace_deadline_ns(0, TICK_NEVER - 1, 99, 3), NS_NEVER - 1);
}

Test(pace, deadline_and_tick_reached_are_inverses)
{
    for (unsigned shift = 0; shift <= ICOUNT_SHIFT_MAX; shift++) {
        uint64_t start = 12345, target = 12345 + 777, host = 1000;
        uint64_t deadline = pace_deadline_ns(start, target, host, shift);
        cr_assert_eq(pace_tick_at(start, target, host, deadline, shift), target);
        cr_assert_eq(pace_tick_at(start, target, host, deadline - 1, shift), target - 1);
        cr_assert_eq(pace_tick_at(start, target, host, deadline + 1000000, shift), target);
        cr_assert_eq(pace_tick_at(start, target, host, host, shift), start);
        cr_assert_eq(pace_tick_at(start, target, host, host - 1, shift), start);
    }
    cr_assert_eq(pace_tick_at(10, TICK_NEVER, 0, 80, 3), 20);
}

Test(pace, remaining)
{
    cr_assert_eq(pace_remaining_ns(100, 40), 60);
    cr_assert_eq(pace_remaining_ns(100, 140), 0);
    cr_assert_eq(pace_remaining_ns(NS_NEVER, 140), NS_NEVER);
}
