/* test_marker.c - the marker port: it remembers the value of a write of each size. */
#include "hw/marker.h"
#include "hw_test.h"

static const struct chip_class *const C = &marker_class;

Test(marker, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 4, 1);
}

Test(marker, a_write_of_any_size_replaces_the_value)
{
    struct marker s;

    C->reset(&s, 0);
    cr_assert_eq(C->read(&s, 0, 4, 0), 0);
    C->write(&s, 0, 4, 0x12345678, 0);
    cr_assert_eq(C->read(&s, 0, 4, 0), 0x12345678);
    cr_assert_eq(C->pure_read(&s, 2, 1, 0) & 0xff, 0x34);
    C->write(&s, 0, 2, 0xfffff00d, 0);
    cr_assert_eq(C->read(&s, 0, 4, 0), 0xf00d);
    C->write(&s, 0, 1, 0x107, 0);
    cr_assert_eq(C->read(&s, 0, 4, 0), 7);
}

Test(marker, other_offsets_mark_nothing)
{
    struct marker s;

    C->reset(&s, 0);
    C->write(&s, 0, 1, 7, 0);
    for (uint32_t offset = 1; offset < 4; offset++)
        C->write(&s, offset, 1, 9, 0);
    cr_assert_eq(C->read(&s, 0, 4, 0), 7);
}
