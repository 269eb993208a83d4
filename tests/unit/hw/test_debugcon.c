/* test_debugcon.c - the debug console: every byte comes out once, a read tells that it is there. */
#include "hw/debugcon.h"
#include "hw_test.h"

static const struct chip_class *const C = &debugcon_class;

Test(debugcon, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 1, 1);
}

Test(debugcon, each_byte_once)
{
    struct debugcon s;
    uint8_t byte;

    C->reset(&s, 0);
    cr_assert(!debugcon_take(&s, &byte));
    C->write(&s, 0, 1, 0, 0); /* a zero is a byte, too */
    cr_assert(debugcon_take(&s, &byte) && byte == 0);
    cr_assert(!debugcon_take(&s, &byte));
    C->write(&s, 0, 1, 0x1ff, 0);
    cr_assert(debugcon_take(&s, &byte) && byte == 0xff);
}

Test(debugcon, reads_say_that_it_is_there)
{
    struct debugcon s;

    C->reset(&s, 0);
    C->write(&s, 0, 1, 'x', 0);
    cr_assert_eq(C->read(&s, 0, 1, 0), 0xE9);
    cr_assert_eq(C->pure_read(&s, 0, 1, 0), 0xE9);
}
