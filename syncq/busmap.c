/* busmap.c - see busmap.h. Ports are found by a table of 64 Ki bytes, MMIO by a scan at each access: there
 * are few MMIO ranges, and none that is accessed often. */
#include "syncq/busmap.h"

#include <string.h>

#include "clockcore/check.h"

_Static_assert(BUS_RANGES_MAX <= 256, "port_range[] holds indices in a byte");

void busmap_init(struct busmap *m)
{
    memset(m, 0, sizeof *m);
    m->range[0] = (struct bus_range){.last = UINT64_MAX,
                                     .read_class = CLASS_NONE,
                                     .write_class = CLASS_NONE,
                                     .width = 4,
                                     .latency_ticks = 1};
    m->nranges = 1;
}

static bool range_valid(const struct bus_range *r)
{
    return r->first <= r->last && (r->mmio || r->last < 65536) && r->latency_ticks >= 1 &&
           (r->width == 1 || r->width == 2 || r->width == 4) && r->read_class != CLASS_POSTED &&
           r->write_class != CLASS_PURE && (r->read_class != CLASS_PURE || r->pure_read) &&
           (r->read_class != CLASS_LOCAL || r->read) && (r->write_class != CLASS_LOCAL || r->write);
}

static bool range_overlaps(const struct busmap *m, const struct bus_range *r)
{
    for (unsigned i = 1; i < m->nranges; i++) {
        const struct bus_range *o = &m->range[i];
        if (o->mmio == r->mmio && r->first <= o->last && o->first <= r->last)
            return true;
    }
    return false;
}

int busmap_add(struct busmap *m, const struct bus_range *r)
{
    CHECK(range_valid(r));
    if (m->nranges == BUS_RANGES_MAX || range_overlaps(m, r))
        return -1;
    unsigned index = m->nranges++;
    m->range[index] = *r;
    if (!r->mmio)
        memset(&m->port_range[r->first], (int)index, r->last - r->first + 1);
    return (int)index;
}

unsigned busmap_find_mmio(const struct busmap *m, uint64_t phys_addr)
{
    for (unsigned i = 1; i < m->nranges; i++) {
        const struct bus_range *r = &m->range[i];
        if (r->mmio && phys_addr >= r->first && phys_addr <= r->last)
            return i;
    }
    return 0;
}
