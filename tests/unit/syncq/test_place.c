/* Placement: wishes are kept or refused with a reason; without a wish nothing is pinned; one CPU means no
 * spinning. */
#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>

#include "syncq/place.h"

Test(place, without_a_wish_the_scheduler_places)
{
    struct place p;
    char err[200] = "";
    cpu_set_t before, after;
    cr_assert_eq(sched_getaffinity(0, sizeof before, &before), 0);
    cr_assert(place_choose(PLACE_ANY, PLACE_ANY, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == PLACE_ANY && p.dev_cpu == PLACE_ANY);
    cr_assert_eq(p.allowed_cpus, (unsigned)CPU_COUNT(&before));
    cr_assert_eq(p.spin_iterations > 0, p.allowed_cpus > 1);
    cr_assert(place_bind_self(p.vcpu_cpu));
    cr_assert_eq(sched_getaffinity(0, sizeof after, &after), 0);
    cr_assert(CPU_EQUAL(&before, &after));
}

Test(place, one_wish_pins_one_thread)
{
    struct place p;
    char err[200] = "";
    int cpu = sched_getcpu();
    cr_assert(place_choose(cpu, PLACE_ANY, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == cpu && p.dev_cpu == PLACE_ANY);
    cr_assert(place_choose(PLACE_ANY, cpu, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == PLACE_ANY && p.dev_cpu == cpu);
}

Test(place, one_cpu_pins_nothing_and_never_spins)
{
    struct place p;
    char err[200] = "";
    cpu_set_t set;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    int cpu = 0;
    while (!CPU_ISSET((size_t)cpu, &set))
        cpu++;
    cr_assert(place_bind_self(cpu));
    cr_assert(place_choose(PLACE_ANY, PLACE_ANY, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == PLACE_ANY && p.dev_cpu == PLACE_ANY && p.spin_iterations == 0);
    cr_assert(place_choose(cpu, cpu, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == cpu && p.dev_cpu == cpu && p.spin_iterations == 0);
    cr_assert(place_bind_self(PLACE_ANY));
}

Test(place, refuses_a_cpu_that_is_not_allowed)
{
    struct place p;
    char err[200] = "";
    cr_assert_not(place_choose(100000, PLACE_ANY, &p, err, sizeof err));
    cr_assert(strstr(err, "cpu=100000") && strstr(err, "accepted"));
    cr_assert_not(place_choose(PLACE_ANY, -7, &p, err, sizeof err));
    cr_assert(strstr(err, "-devthread"));
}
