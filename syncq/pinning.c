/* pinning.c - see pinning.h. */
#include "syncq/pinning.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "syncq/link.h"

static bool cpu_allowed(const cpu_set_t *set, int cpu)
{
    return cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET((size_t)cpu, set);
}

static bool check_wish(const cpu_set_t *set, const char *who, int cpu, char *err, size_t err_bytes)
{
    if (cpu == PIN_ANY || cpu_allowed(set, cpu))
        return true;
    snprintf(err, err_bytes,
             "%s: cpu=%d: this process may not use that CPU; accepted: a number from the list that "
             "`taskset -cp $$` prints",
             who, cpu);
    return false;
}

bool pinning_choose(int want_vcpu, int want_dev, struct pinning *out, char *err, size_t err_bytes)
{
    cpu_set_t set;
    *out = (struct pinning){.vcpu_cpu = want_vcpu, .dev_cpu = want_dev};
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        snprintf(err, err_bytes, "sched_getaffinity failed: the list of allowed CPUs is unknown");
        return false;
    }
    if (!check_wish(&set, "vCPU", want_vcpu, err, err_bytes) ||
        !check_wish(&set, "-devthread", want_dev, err, err_bytes))
        return false;
    out->allowed_cpus = (unsigned)CPU_COUNT(&set);
    bool one_cpu = want_vcpu != PIN_ANY && want_vcpu == want_dev;
    out->spin_iterations = one_cpu ? 0 : link_default_spin();
    return true;
}

unsigned pinning_spare_cpus(const struct pinning *p)
{
    enum { WORKERS_ENOUGH = 4 };
    unsigned spare = p->allowed_cpus ? p->allowed_cpus - 1 : 0;
    return spare < WORKERS_ENOUGH ? spare : WORKERS_ENOUGH;
}

bool pin_self(int cpu)
{
    if (cpu == PIN_ANY)
        return true;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    errno = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    return errno == 0;
}
