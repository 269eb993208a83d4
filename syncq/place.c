/* place.c - see place.h. hwloc says which cores share a cache. */
#include "syncq/place.h"

#include <errno.h>
#include <hwloc.h>
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
    if (cpu == PLACE_ANY || cpu_allowed(set, cpu))
        return true;
    snprintf(err, err_bytes,
             "%s: cpu=%d: this process may not use that CPU; accepted: a number from the list that "
             "`taskset -cp $$` prints",
             who, cpu);
    return false;
}

/* Depth of the smallest cache (or other object) above both; deeper is closer. -1: the same core. */
static int closeness(hwloc_topology_t topo, hwloc_obj_t a, hwloc_obj_t b)
{
    hwloc_obj_t common = hwloc_get_common_ancestor_obj(topo, a, b);
    if (a == b || common->type == HWLOC_OBJ_CORE)
        return -1;
    return common->depth;
}

/* The partner for `self` among the allowed CPUs: the closest on another core; the lowest number wins
 * a tie; the other hardware thread of the same core only if there is nothing else. */
static int partner_of(hwloc_topology_t topo, const cpu_set_t *set, hwloc_obj_t self, int *close)
{
    int best = PLACE_ANY;
    *close = -2;
    for (hwloc_obj_t pu = NULL; (pu = hwloc_get_next_obj_by_type(topo, HWLOC_OBJ_PU, pu));) {
        if (pu == self || !cpu_allowed(set, (int)pu->os_index))
            continue;
        int c = closeness(topo, self, pu);
        if (c > *close) {
            *close = c;
            best = (int)pu->os_index;
        }
    }
    return best;
}

static void choose_partner(hwloc_topology_t topo, const cpu_set_t *set, int cpu, int *partner)
{
    int close;
    hwloc_obj_t self = hwloc_get_pu_obj_by_os_index(topo, (unsigned)cpu);
    *partner = self ? partner_of(topo, set, self, &close) : PLACE_ANY;
}

static void choose_pair(hwloc_topology_t topo, const cpu_set_t *set, struct place *out)
{
    int best_close = -3;
    for (hwloc_obj_t pu = NULL; (pu = hwloc_get_next_obj_by_type(topo, HWLOC_OBJ_PU, pu));) {
        int close;
        if (!cpu_allowed(set, (int)pu->os_index))
            continue;
        int partner = partner_of(topo, set, pu, &close);
        if (close > best_close) {
            best_close = close;
            out->vcpu_cpu = (int)pu->os_index;
            out->dev_cpu = partner;
        }
    }
}

static void choose_by_topology(const cpu_set_t *set, struct place *out)
{
    hwloc_topology_t topo;
    if (hwloc_topology_init(&topo) != 0)
        return;
    if (hwloc_topology_load(topo) == 0) {
        if (out->vcpu_cpu == PLACE_ANY && out->dev_cpu == PLACE_ANY)
            choose_pair(topo, set, out);
        else if (out->vcpu_cpu == PLACE_ANY)
            choose_partner(topo, set, out->dev_cpu, &out->vcpu_cpu);
        else
            choose_partner(topo, set, out->vcpu_cpu, &out->dev_cpu);
    }
    hwloc_topology_destroy(topo);
}

bool place_choose(int want_vcpu, int want_dev, struct place *out, char *err, size_t err_bytes)
{
    cpu_set_t set;
    *out = (struct place){.vcpu_cpu = want_vcpu, .dev_cpu = want_dev};
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        snprintf(err, err_bytes, "sched_getaffinity failed: the list of allowed CPUs is unknown");
        return false;
    }
    if (!check_wish(&set, "vCPU", want_vcpu, err, err_bytes) ||
        !check_wish(&set, "-devthread", want_dev, err, err_bytes))
        return false;
    out->allowed_cpus = (unsigned)CPU_COUNT(&set);
    if (out->allowed_cpus > 1 && (want_vcpu == PLACE_ANY || want_dev == PLACE_ANY))
        choose_by_topology(&set, out);
    bool one_cpu = out->vcpu_cpu != PLACE_ANY && out->vcpu_cpu == out->dev_cpu;
    out->spin_iterations = one_cpu ? 0 : link_default_spin();
    return true;
}

unsigned place_spare_cpus(const struct place *p)
{
    enum { WORKERS_ENOUGH = 4 };
    unsigned spare = p->allowed_cpus ? p->allowed_cpus - 1 : 0;
    return spare < WORKERS_ENOUGH ? spare : WORKERS_ENOUGH;
}

bool place_bind_self(int cpu)
{
    if (cpu == PLACE_ANY)
        return true;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    errno = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    return errno == 0;
}
