/* Placement: wishes are kept or refused with a reason; one CPU means no pinning and no spinning. */
#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>

#include "syncq/place.h"

Test(place, chooses_two_allowed_cpus)
{
    struct place p;
    char err[200] = "";
    cpu_set_t set;
    cr_assert(place_choose(PLACE_ANY, PLACE_ANY, &p, err, sizeof err), "%s", err);
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cr_assert_eq(p.allowed_cpus, (unsigned)CPU_COUNT(&set));
    if (p.allowed_cpus > 1) {
        cr_assert(p.vcpu_cpu != p.dev_cpu);
        cr_assert(CPU_ISSET((size_t)p.vcpu_cpu, &set) && CPU_ISSET((size_t)p.dev_cpu, &set));
        cr_assert(p.spin_iterations > 0);
    }
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
