/* Placement: wishes are kept or refused with a reason; without a wish nothing is pinned; one CPU means no
 * spinning. */
#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>

#include "syncq/pinning.h"

Test(pinning, without_a_wish_the_scheduler_places)
{
    struct pinning p;
    char err[200] = "";
    cpu_set_t before, after;
    cr_assert_eq(sched_getaffinity(0, sizeof before, &before), 0);
    cr_assert(pinning_choose(PIN_ANY, PIN_ANY, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == PIN_ANY && p.dev_cpu == PIN_ANY);
    cr_assert_eq(p.allowed_cpus, (unsigned)CPU_COUNT(&before));
    cr_assert_eq(p.spin_iterations > 0, p.allowed_cpus > 1);
    cr_assert(pin_self(p.vcpu_cpu));
    cr_assert_eq(sched_getaffinity(0, sizeof after, &after), 0);
    cr_assert(CPU_EQUAL(&before, &after));
}

Test(pinning, one_wish_pins_one_thread)
{
    struct pinning p;
    char err[200] = "";
    int cpu = sched_getcpu();
    cr_assert(pinning_choose(cpu, PIN_ANY, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == cpu && p.dev_cpu == PIN_ANY);
    cr_assert(pinning_choose(PIN_ANY, cpu, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == PIN_ANY && p.dev_cpu == cpu);
}

Test(pinning, one_cpu_pins_nothing_and_never_spins)
{
    struct pinning p;
    char err[200] = "";
    cpu_set_t set;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    int cpu = 0;
    while (!CPU_ISSET((size_t)cpu, &set))
        cpu++;
    cr_assert(pin_self(cpu));
    cr_assert(pinning_choose(PIN_ANY, PIN_ANY, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == PIN_ANY && p.dev_cpu == PIN_ANY && p.spin_iterations == 0);
    cr_assert(pinning_choose(cpu, cpu, &p, err, sizeof err), "%s", err);
    cr_assert(p.vcpu_cpu == cpu && p.dev_cpu == cpu && p.spin_iterations == 0);
    cr_assert(pin_self(PIN_ANY));
}

Test(pinning, refuses_a_cpu_that_is_not_allowed)
{
    struct pinning p;
    char err[200] = "";
    cr_assert_not(pinning_choose(100000, PIN_ANY, &p, err, sizeof err));
    cr_assert(strstr(err, "cpu=100000") && strstr(err, "accepted"));
    cr_assert_not(pinning_choose(PIN_ANY, -7, &p, err, sizeof err));
    cr_assert(strstr(err, "-devthread"));
}
