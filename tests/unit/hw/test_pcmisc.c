/* test_pcmisc.c - POST port, port 92h, the shutdown and debug exit ports. */
#include "hw/pcmisc.h"
#include "hw_test.h"

static const struct chip_class *const C = &pcmisc_class;

static void shutdown_text(struct pcmisc *s, const char *text)
{
    for (; *text; text++)
        C->write(s, PCMISC_OFF_SHUTDOWN, 1, (uint8_t)*text, 0);
}

Test(pcmisc, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 9, 1);
}

Test(pcmisc, post_code)
{
    struct pcmisc s;

    C->reset(&s, 0);
    C->write(&s, PCMISC_OFF_POST, 1, 0xA5, 0);
    cr_assert_eq(C->read(&s, PCMISC_OFF_POST, 1, 0), 0xA5);
}

Test(pcmisc, fast_reset_and_a20)
{
    struct pcmisc s;

    C->reset(&s, 0);
    cr_assert(pcmisc_a20(&s));
    C->write(&s, PCMISC_OFF_PORTA, 1, 0x00, 0);
    cr_assert(!pcmisc_a20(&s));
    cr_assert_eq(pcmisc_take_request(&s), 0);
    C->write(&s, PCMISC_OFF_PORTA, 1, 0x03, 0);
    cr_assert_eq(pcmisc_take_request(&s), HW_REQUEST_RESET);
    C->write(&s, PCMISC_OFF_PORTA, 1, 0x03, 0);
    cr_assert_eq(pcmisc_take_request(&s), 0);
}

Test(pcmisc, shutdown_word)
{
    struct pcmisc s;

    C->reset(&s, 0);
    shutdown_text(&s, "Shutdow");
    cr_assert_eq(pcmisc_take_request(&s), 0);
    shutdown_text(&s, "SShutdown");
    cr_assert_eq(pcmisc_take_request(&s), HW_REQUEST_POWEROFF);
    shutdown_text(&s, "shutdownShutXdown");
    cr_assert_eq(pcmisc_take_request(&s), 0);
}

Test(pcmisc, debug_exit)
{
    struct pcmisc s;

    C->reset(&s, 0);
    C->write(&s, PCMISC_OFF_DEBUG_EXIT, 4, 0x12345678, 0);
    cr_assert_eq(pcmisc_take_request(&s), HW_REQUEST_DEBUG_EXIT);
    cr_assert_eq(pcmisc_exit_value(&s), 0x12345678);
    C->write(&s, PCMISC_OFF_DEBUG_EXIT, 1, 0x11, 0);
    cr_assert_eq(pcmisc_exit_value(&s), 0x11);
}
