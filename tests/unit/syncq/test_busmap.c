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

/* --- windows --- */

static int add_in_window(unsigned n, uint64_t first, uint64_t last)
{
    struct bus_range r = range(first, last, false);
    return busmap_add_in_window(&m, n, &r);
}

Test(busmap, a_window_moves_with_all_its_ranges)
{
    busmap_init(&m);
    cr_assert_eq(add(0x60, 0x64, false), 1);
    cr_assert_eq(add_in_window(3, 0, 7), 2);
    cr_assert_eq(add_in_window(3, 8, 31), 3);
    cr_assert_eq(m.port_range[0], 0, "off at first");
    busmap_move(&m, 3, 0xc000 | BUS_WINDOW_ON);
    cr_assert_eq(m.port_range[0xbfff], 0);
    cr_assert_eq(m.port_range[0xc000], 2);
    cr_assert_eq(m.port_range[0xc008], 3);
    cr_assert_eq(m.port_range[0xc01f], 3);
    cr_assert_eq(m.port_range[0xc020], 0);
    cr_assert_eq(m.range[3].first, 0xc008);
    busmap_move(&m, 3, 0xc010 | BUS_WINDOW_ON); /* over a part of itself */
    cr_assert_eq(m.port_range[0xc000], 0);
    cr_assert_eq(m.port_range[0xc010], 2);
    cr_assert_eq(m.port_range[0xc018], 3);
    cr_assert_eq(m.port_range[0xc02f], 3);
    busmap_move(&m, 3, 0xc010);
    for (unsigned port = 0xc000; port < 0xc040; port++)
        cr_assert_eq(m.port_range[port], 0);
}

Test(busmap, loaded_windows_are_where_they_were)
{
    static struct busmap saved;
    busmap_init(&m);
    cr_assert_eq(add_in_window(0, 0, 15), 1);
    cr_assert_eq(add_in_window(1, 4, 7), 2);
    saved = m;
    busmap_move(&m, 0, 0x5c | BUS_WINDOW_ON);
    busmap_move(&m, 1, 0x58 | BUS_WINDOW_ON);
    for (unsigned n = 0; n < 2; n++)
        saved.window[n] = m.window[n];
    busmap_loaded(&saved);
    for (unsigned port = 0; port < 65536; port++)
        cr_assert_eq(saved.port_range[port], m.port_range[port]);
    for (unsigned i = 1; i <= 2; i++)
        cr_assert(saved.range[i].first == m.range[i].first && saved.range[i].last == m.range[i].last);
}

Test(busmap, the_lower_index_is_on_top)
{
    busmap_init(&m);
    cr_assert_eq(add(0x60, 0x64, false), 1);
    cr_assert_eq(add_in_window(0, 0, 15), 2);
    cr_assert_eq(add_in_window(1, 0, 15), 3);
    busmap_move(&m, 1, 0x58 | BUS_WINDOW_ON);
    busmap_move(&m, 0, 0x5c | BUS_WINDOW_ON);
    cr_assert_eq(m.port_range[0x5b], 3);
    cr_assert_eq(m.port_range[0x5c], 2);
    cr_assert_eq(m.port_range[0x60], 1);
    cr_assert_eq(m.port_range[0x65], 2);
    busmap_move(&m, 0, 0);
    cr_assert_eq(m.port_range[0x5c], 3);
    cr_assert_eq(m.port_range[0x60], 1);
    cr_assert_eq(m.port_range[0x65], 3);
    cr_assert_eq(m.port_range[0x68], 0);
    busmap_move(&m, 1, 0xfff8 | BUS_WINDOW_ON); /* the end of the space cuts it */
    cr_assert_eq(m.port_range[0xffff], 3);
    cr_assert_eq(m.port_range[0x67], 0);
}

/* Many ranges, added in no order: each byte of them is found, and nothing beside them. */
Test(busmap, mmio_is_found_wherever_it_is)
{
    enum { N = BUS_RANGES_MAX - 1, GRAIN = 64 };
    busmap_init(&m);
    for (unsigned k = 0; k < N; k++) {
        uint64_t first =
            (uint64_t)(k * 37 % N) * GRAIN + (UINT64_C(1) << 40); /* 37 and N have no common divisor */
        struct bus_range r = {.first = first,
                              .last = first + k % (GRAIN / 2),
                              .read_class = CLASS_SYNC,
                              .write_class = CLASS_SYNC,
                              .width = 4,
                              .mmio = true,
                              .latency_ticks = 1};
        cr_assert_eq(busmap_add(&m, &r), (int)k + 1);
    }
    for (unsigned i = 1; i <= N; i++) {
        const struct bus_range *r = &m.range[i];
        cr_assert_eq(busmap_find_mmio(&m, r->first), i);
        cr_assert_eq(busmap_find_mmio(&m, (r->first + r->last) / 2), i);
        cr_assert_eq(busmap_find_mmio(&m, r->last), i);
        cr_assert_eq(busmap_find_mmio(&m, r->first - 1), 0);
        cr_assert_eq(busmap_find_mmio(&m, r->last + 1), 0);
    }
    cr_assert_eq(busmap_find_mmio(&m, 0), 0);
    cr_assert_eq(busmap_find_mmio(&m, UINT64_MAX), 0);
}
