/* kbc_test.h - the keyboard controller with what is behind it, driven as a driver drives it. */
#ifndef TANDEM_TESTS_KBC_TEST_H
#define TANDEM_TESTS_KBC_TEST_H

#include "hw/i8042.h"
#include "hw_test.h"

static const struct chip_class *const C = &i8042_class;

struct rig {
    struct i8042 s;
    uint64_t ns;
};

static inline void start(struct rig *r)
{
    C->reset(&r->s, 0);
    r->ns = 0;
}

static inline unsigned status(struct rig *r)
{
    return chip_in(C, &r->s, I8042_OFF_STATUS, r->ns);
}

static inline void cmd(struct rig *r, uint8_t v)
{
    chip_out(C, &r->s, I8042_OFF_STATUS, v, r->ns);
}

static inline void data(struct rig *r, uint8_t v)
{
    chip_out(C, &r->s, I8042_OFF_DATA, v, r->ns);
}

/* Switches translation off. */
static inline void no_translation(struct rig *r)
{
    cmd(r, 0x60);
    data(r, 0x07);
}

/* Polls as a driver does, every 50 us, for at most a second; -1: nothing came. */
static inline int wait_byte(struct rig *r)
{
    for (unsigned i = 0; i < 20000; i++, r->ns += 50 * US)
        if (status(r) & 1)
            return (int)chip_in(C, &r->s, I8042_OFF_DATA, r->ns);
    return -1;
}

static inline int wait_from(struct rig *r, bool aux)
{
    for (unsigned i = 0; i < 20000; i++, r->ns += 50 * US) {
        unsigned st = status(r);
        if (!(st & 1))
            continue;
        cr_assert_eq((st >> 5) & 1, aux);
        return (int)chip_in(C, &r->s, I8042_OFF_DATA, r->ns);
    }
    return -1;
}

static inline void expect_kbd(struct rig *r, uint8_t v)
{
    cr_assert_eq(wait_from(r, false), v);
}

static inline void expect_aux(struct rig *r, uint8_t v)
{
    cr_assert_eq(wait_from(r, true), v);
}

static inline void mouse(struct rig *r, uint8_t v)
{
    cmd(r, 0xD4);
    data(r, v);
    expect_aux(r, 0xFA);
}

/* A command to the keyboard, or its argument. */
static inline void kbd(struct rig *r, uint8_t v)
{
    data(r, v);
    expect_kbd(r, 0xFA);
}

static inline void quiet(struct rig *r)
{
    cr_assert_eq(wait_byte(r), -1);
}

#endif
