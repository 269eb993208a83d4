/* The bus map: lookup, overlap, full. */
#include <criterion/criterion.h>

#include "syncq/busmap.h"

static struct busmap m;

static struct bus_range range(uint64_t first, uint64_t last, bool mmio)
{
    return (struct bus_range){.first = first,
                              .last = last,
                              .mmio = mmio,
                              .width = 1,
                              .latency_ticks = 1,
                              .read_class = CLASS_SYNC,
                              .write_class = CLASS_POSTED};
}

static int add(uint64_t first, uint64_t last, bool mmio)
{
    struct bus_range r = range(first, last, mmio);
    return busmap_add(&m, &r);
}

Test(busmap, ports_and_mmio_are_two_spaces)
{
    busmap_init(&m);
    cr_assert_eq(add(0x40, 0x43, false), 1);
    cr_assert_eq(add(0x40, 0x4f, true), 2);
    cr_assert_eq(add(0xffff, 0xffff, false), 3);
    cr_assert_eq(m.port_range[0x3f], 0);
    cr_assert_eq(m.port_range[0x40], 1);
    cr_assert_eq(m.port_range[0x43], 1);
    cr_assert_eq(m.port_range[0x44], 0);
    cr_assert_eq(m.port_range[0xffff], 3);
    cr_assert_eq(busmap_find_mmio(&m, 0x4f), 2);
    cr_assert_eq(busmap_find_mmio(&m, 0x50), 0);
    cr_assert_eq(m.range[0].read_class, CLASS_NONE);
}

Test(busmap, overlap_is_refused)
{
    busmap_init(&m);
    cr_assert_eq(add(0x60, 0x64, false), 1);
    cr_assert_eq(add(0x64, 0x70, false), -1);
    cr_assert_eq(add(0x50, 0x60, false), -1);
    cr_assert_eq(add(0x61, 0x62, false), -1);
    cr_assert_eq(add(0x00, 0xff, false), -1);
    cr_assert_eq(m.port_range[0x70], 0);
    cr_assert_eq(add(0x65, 0x70, false), 2);
}

Test(busmap, full_is_refused)
{
    busmap_init(&m);
    for (unsigned i = 1; i < BUS_RANGES_MAX; i++)
        cr_assert_eq(add(i * 16, i * 16 + 3, false), (int)i);
    cr_assert_eq(add(0x8000, 0x8000, false), -1);
    cr_assert_eq(m.port_range[127 * 16 + 3], 127);
}
