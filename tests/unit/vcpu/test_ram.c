/* ram.c: bounds, dirty bits, clearing. */
#include "mem/ram.h"

#include <criterion/criterion.h>
#include <string.h>

static bool dirty(const struct ram *r, unsigned page)
{
    return r->dirty[page / 64] >> (page % 64) & 1;
}

Test(ram, write_marks_every_page_it_touches)
{
    struct ram r;
    uint8_t bytes[2 * PAGE_BYTES];
    memset(bytes, 0x5a, sizeof bytes);
    cr_assert_eq(ram_init(&r, RAM_BYTES_MIN), 0);
    cr_assert(ram_write(&r, 70 * PAGE_BYTES + 4095, bytes, PAGE_BYTES + 2));
    cr_assert(!dirty(&r, 69) && dirty(&r, 70) && dirty(&r, 71) && dirty(&r, 72) && !dirty(&r, 73));
    cr_assert_eq(r.host[70 * PAGE_BYTES + 4094], 0);
    cr_assert_eq(r.host[72 * PAGE_BYTES], 0x5a);
    cr_assert_eq(r.host[72 * PAGE_BYTES + 1], 0);
    ram_free(&r);
}

Test(ram, refuses_what_is_out_of_range)
{
    struct ram r;
    uint8_t bytes[16] = {0};
    cr_assert_eq(ram_init(&r, RAM_BYTES_MIN), 0);
    cr_assert(ram_write(&r, RAM_BYTES_MIN - 16, bytes, 16));
    cr_assert(!ram_write(&r, RAM_BYTES_MIN - 15, bytes, 16));
    cr_assert(!ram_read(&r, UINT64_MAX - 7, bytes, 16));
    cr_assert(ram_read(&r, RAM_BYTES_MIN, bytes, 0));
    ram_free(&r);
}

Test(ram, clear_zeroes_and_marks_all)
{
    struct ram r;
    cr_assert_eq(ram_init(&r, RAM_BYTES_MIN), 0);
    cr_assert(ram_write(&r, 123, "x", 1));
    ram_clear(&r);
    cr_assert_eq(r.host[123], 0);
    cr_assert(dirty(&r, 0) && dirty(&r, 1023));
    ram_free(&r);
}
