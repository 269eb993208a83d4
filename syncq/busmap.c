/* busmap.c - see busmap.h. Ports are found by a table of 64 Ki bytes, MMIO by halving a sorted list. */
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
        if (!o->window && o->mmio == r->mmio && r->first <= o->last && o->first <= r->last)
            return true;
    }
    return false;
}

/* Into the list, which is sorted by address; MMIO ranges do not overlap, nor do they move. */
static void mmio_insert(struct busmap *m, unsigned index)
{
    unsigned at = m->nmmio++;
    for (; at > 0 && m->range[m->mmio[at - 1]].first > m->range[index].first; at--)
        m->mmio[at] = m->mmio[at - 1];
    m->mmio[at] = (uint8_t)index;
}

int busmap_add(struct busmap *m, const struct bus_range *r)
{
    CHECK(range_valid(r));
    if (m->nranges == BUS_RANGES_MAX || range_overlaps(m, r))
        return -1;
    unsigned index = m->nranges++;
    m->range[index] = *r;
    if (r->mmio)
        mmio_insert(m, index);
    else
        memset(&m->port_range[r->first], (int)index, r->last - r->first + 1);
    return (int)index;
}

/* --- windows --- */

int busmap_add_in_window(struct busmap *m, unsigned n, const struct bus_range *r)
{
    CHECK(n < BUS_WINDOWS_MAX && !r->mmio && range_valid(r));
    if (m->nranges == BUS_RANGES_MAX)
        return -1;
    struct bus_range *mine = &m->range[m->nranges];
    *mine = *r;
    mine->window = (uint8_t)(n + 1);
    mine->window_offset = (uint16_t)r->first;
    mine->window_bytes = (uint16_t)(r->last - r->first + 1);
    mine->first = 1;
    mine->last = 0;
    return (int)m->nranges++;
}

static uint8_t owner_of(const struct busmap *m, uint64_t port)
{
    for (unsigned i = 1; i < m->nranges; i++) {
        const struct bus_range *r = &m->range[i];
        if (!r->mmio && port >= r->first && port <= r->last)
            return (uint8_t)i;
    }
    return 0;
}

/* A window may be said to reach beyond the last port: that part is nowhere. */
static void ports_renew(struct busmap *m, uint64_t first, uint64_t last)
{
    for (uint64_t port = first; port <= last && port < 65536; port++)
        m->port_range[port] = owner_of(m, port);
}

static void range_move(struct busmap *m, struct bus_range *r, uint32_t value)
{
    uint64_t first = r->first, last = r->last;

    r->first = 1;
    r->last = 0;
    if (value & BUS_WINDOW_ON) {
        r->first = (uint64_t)(value & ~3u) + r->window_offset;
        r->last = r->first + r->window_bytes - 1;
    }
    ports_renew(m, first, last);
    ports_renew(m, r->first, r->last);
}

static void window_move(struct busmap *m, unsigned n)
{
    for (unsigned i = 1; i < m->nranges; i++)
        if (m->range[i].window == n + 1)
            range_move(m, &m->range[i], m->window[n]);
}

void busmap_move(struct busmap *m, unsigned n, uint32_t value)
{
    CHECK(n < BUS_WINDOWS_MAX);
    if (m->window[n] == value)
        return;
    m->window[n] = value;
    window_move(m, n);
}

void busmap_loaded(struct busmap *m)
{
    for (unsigned n = 0; n < BUS_WINDOWS_MAX; n++)
        window_move(m, n);
}

unsigned busmap_find_mmio(const struct busmap *m, uint64_t phys_addr)
{
    /* Ranges below `low` end before the address; from `high` on they begin behind it. */
    unsigned low = 0, high = m->nmmio;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct bus_range *r = &m->range[m->mmio[middle]];
        if (phys_addr < r->first)
            high = middle;
        else if (phys_addr > r->last)
            low = middle + 1;
        else
            return m->mmio[middle];
    }
    return 0;
}
