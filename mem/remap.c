/* remap.c - see remap.h. */
#include "mem/remap.h"

#include <stdlib.h>

#include "clockcore/check.h"
#include "mem/watch_internal.h"

#define A20 (UINT64_C(1) << 20)

typedef void remap_fn(struct physmem *pm, const struct mem_remap *r);

struct mem_remap {
    remap_fn *apply; /* puts the value into force, where it was `before` */
    phys_addr_t first;
    uint32_t bytes;
    mem_target_t target;
    mem_target_t bus; /* windows: instead of a memory; 0: never */
    uint32_t memory_bytes;
    uint32_t value, before, initial;
};

bool physmem_remaps_init(struct physmem *pm)
{
    pm->remap = calloc(MEM_REMAPS_MAX, sizeof *pm->remap);
    return pm->remap;
}

void physmem_remaps_free(struct physmem *pm)
{
    free(pm->remap);
}

static int add(struct physmem *pm, const struct mem_remap *r)
{
    if (pm->nremaps == MEM_REMAPS_MAX)
        return -1;
    pm->remap[pm->nremaps] = *r;
    pm->remap[pm->nremaps].value = pm->remap[pm->nremaps].before = r->initial;
    r->apply(pm, &pm->remap[pm->nremaps]);
    return (int)pm->nremaps++;
}

bool physmem_remap(struct physmem *pm, unsigned number, uint32_t value)
{
    CHECK(number < pm->nremaps);
    struct mem_remap *r = &pm->remap[number];
    if (r->value == value)
        return false;
    r->before = r->value;
    r->value = value;
    r->apply(pm, r);
    physmem_remapped(pm);
    return true;
}

uint32_t physmem_remap_value(const struct physmem *pm, unsigned number)
{
    CHECK(number < pm->nremaps);
    return pm->remap[number].value;
}

void physmem_remaps_reset(struct physmem *pm)
{
    for (unsigned i = 0; i < pm->nremaps; i++)
        physmem_remap(pm, i, pm->remap[i].initial);
}

/* --- A20 --- */

static void a20_apply(struct physmem *pm, const struct mem_remap *r)
{
    pm->addr_mask = r->value & 1 ? ~UINT64_C(0) : ~A20;
}

int physmem_add_a20(struct physmem *pm)
{
    return add(pm, &(struct mem_remap){.apply = a20_apply, .initial = 1});
}

/* --- shadow RAM --- */

static void shadow_apply(struct physmem *pm, const struct mem_remap *r)
{
    mem_target_t ram = mem_target(MEM_RAM, r->first);
    physmem_map(pm, r->first, r->bytes, r->value & MEM_SHADOW_READ ? ram : r->target,
                r->value & MEM_SHADOW_WRITE ? ram : r->target);
}

int physmem_add_shadow(struct physmem *pm, phys_addr_t first, uint32_t bytes, mem_target_t outside,
                       uint32_t value)
{
    CHECK(first + bytes <= physmem_ram_bytes(pm));
    return add(
        pm, &(struct mem_remap){
                .apply = shadow_apply, .first = first, .bytes = bytes, .target = outside, .initial = value});
}

/* --- windows --- */

static void window_apply(struct physmem *pm, const struct mem_remap *r);

/* Physical pages [first, end) of the window at this value that lie above RAM and below 4 GiB: the base is the
 * guest's. */
struct window_pages {
    uint64_t base, first, end;
};

static struct window_pages window_pages(const struct physmem *pm, const struct mem_remap *r, uint32_t value)
{
    const uint64_t end_max = (UINT64_C(1) << 32) / PAGE_BYTES, ram_end = physmem_ram_bytes(pm) / PAGE_BYTES;
    struct window_pages w = {.base = value / PAGE_BYTES};
    w.first = w.base < ram_end ? ram_end : w.base;
    w.end = w.base + r->bytes / PAGE_BYTES;
    w.end = w.end < end_max ? w.end : end_max;
    return w;
}

static void window_hide(struct physmem *pm, const struct mem_remap *r, uint32_t value)
{
    struct window_pages w = window_pages(pm, r, value);
    for (uint64_t page = w.first; (value & MEM_WINDOW_ON) && page < w.end; page++)
        if (pm->map[page].read & MEM_TARGET_WINDOW)
            pm->map[page] = (struct map_entry){0};
}

static mem_target_t window_target(const struct physmem *pm, const struct mem_remap *r)
{
    return pm->windows_on_bus && r->bus ? r->bus : r->target;
}

static void window_show(struct physmem *pm, const struct mem_remap *r)
{
    const mem_target_t target = window_target(pm, r);
    struct window_pages w = window_pages(pm, r, r->value);
    for (uint64_t page = w.first; (r->value & MEM_WINDOW_ON) && page < w.end; page++) {
        mem_target_t t = (target + (page - w.base) * PAGE_BYTES) | MEM_TARGET_WINDOW;
        if (pm->map[page].read == 0 && pm->map[page].write == 0)
            pm->map[page] = (struct map_entry){t, t};
    }
}

static void windows_hide(struct physmem *pm)
{
    for (unsigned i = 0; i < pm->nremaps; i++)
        if (pm->remap[i].apply == window_apply)
            window_hide(pm, &pm->remap[i], pm->remap[i].value);
}

static void windows_show(struct physmem *pm)
{
    for (unsigned i = 0; i < pm->nremaps; i++)
        if (pm->remap[i].apply == window_apply)
            window_show(pm, &pm->remap[i]);
}

/* All windows anew, in order: what the old place hid is seen, and the lower number wins. */
static void window_apply(struct physmem *pm, const struct mem_remap *r)
{
    window_hide(pm, r, r->before);
    windows_hide(pm);
    windows_show(pm);
}

int physmem_add_window(struct physmem *pm, uint32_t bytes, mem_target_t target)
{
    CHECK(bytes >= PAGE_BYTES && (bytes & (bytes - 1)) == 0 && mem_target_addr(target) != 0);
    return add(pm, &(struct mem_remap){.apply = window_apply, .bytes = bytes, .target = target});
}

int physmem_add_memory_window(struct physmem *pm, uint32_t bytes, mem_target_t memory, mem_target_t bus)
{
    CHECK(bytes >= PAGE_BYTES && (bytes & (bytes - 1)) == 0);
    return add(pm, &(struct mem_remap){.apply = window_apply, .bytes = bytes, .target = memory, .bus = bus});
}

/* --- the aperture --- */

/* Values may come from a file: whatever they are, what is shown is in the memory. */
static mem_target_t aperture_target(const struct mem_remap *r, uint32_t in_place)
{
    const uint32_t first = (r->value >> 3 & 3) * MEM_APERTURE_UNIT;
    const uint32_t bytes = ((r->value >> 5 & 3) + 1) * MEM_APERTURE_UNIT;
    if (in_place < first || in_place - first >= bytes)
        return mem_target(MEM_HOLE, 0);
    if (r->value & MEM_APERTURE_BUS)
        return mem_target(MEM_BUS, 0);
    if (!(r->value & MEM_APERTURE_MEMORY))
        return mem_target(MEM_HOLE, 0);
    const uint64_t at = ((uint64_t)(r->value & ~(PAGE_BYTES - 1)) + in_place - first) % r->memory_bytes;
    return r->target + at;
}

static void aperture_apply(struct physmem *pm, const struct mem_remap *r)
{
    const bool apart = r->value & MEM_APERTURE_APART;
    for (uint32_t at = 0; at < r->bytes; at += PAGE_BYTES) {
        const mem_target_t t = aperture_target(r, at);
        physmem_map(pm, r->first + at, PAGE_BYTES, t, t);
    }
    if (apart == pm->windows_on_bus)
        return;
    windows_hide(pm);
    pm->windows_on_bus = apart;
    windows_show(pm);
}

int physmem_add_aperture(struct physmem *pm, phys_addr_t first, mem_addr_t memory, uint32_t memory_bytes)
{
    return add(pm, &(struct mem_remap){.apply = aperture_apply,
                                       .first = first,
                                       .bytes = MEM_APERTURE_BYTES,
                                       .target = mem_target(MEM_VRAM, memory),
                                       .memory_bytes = memory_bytes});
}
