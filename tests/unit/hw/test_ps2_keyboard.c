/* test_ps2_keyboard.c - scan codes against the tables of IBM's PS/2 technical reference; commands, the
 * buffer, keys that repeat. */
#include "kbc_test.h"

static void begin(struct rig *r, uint8_t set)
{
    start(r);
    no_translation(r);
    if (set != 2) {
        kbd(r, 0xF0);
        kbd(r, set);
    }
}

static void set_leds(struct rig *r, uint8_t leds)
{
    kbd(r, 0xED);
    kbd(r, leds);
}

/* A finger's work takes a moment, shorter than any delay of the keyboard. */
static void press(struct rig *r, unsigned key, bool down)
{
    i8042_key(&r->s, key, down, r->ns);
}

static void expect_codes(struct rig *r, const uint8_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int byte = wait_byte(r);
        cr_assert_eq(byte, codes[i], "byte %zu: %02x, not %02x", i, (unsigned)byte, codes[i]);
    }
}
#define EXPECT(r, ...) expect_codes(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Nothing comes within 100 ms. */
static void nothing(struct rig *r)
{
    for (unsigned i = 0; i < 2000; i++, r->ns += 50 * US)
        cr_assert_eq(status(r) & 1, 0);
}

#define UP    (I8042_KEY_E0 | 0x48)
#define PRINT (I8042_KEY_E0 | 0x37)
#define SLASH (I8042_KEY_E0 | 0x35)
#define SHIFT 0x2A
#define CTRL  0x1D
#define ALT   0x38

Test(ps2_keyboard, set_1)
{
    struct rig r;

    begin(&r, 1);
    press(&r, 0x1E, true);
    press(&r, 0x1E, false);
    press(&r, UP, true);
    press(&r, UP, false);
    EXPECT(&r, 0x1E, 0x9E, 0xE0, 0x48, 0xE0, 0xC8);
    press(&r, I8042_KEY_PAUSE, true);
    press(&r, I8042_KEY_PAUSE, false);
    EXPECT(&r, 0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5);
    press(&r, PRINT, true);
    press(&r, PRINT, false);
    EXPECT(&r, 0xE0, 0x2A, 0xE0, 0x37, 0xE0, 0xB7, 0xE0, 0xAA);
    nothing(&r);
}

Test(ps2_keyboard, set_2)
{
    struct rig r;

    begin(&r, 2);
    press(&r, 0x41, true); /* F7 */
    press(&r, 0x41, false);
    press(&r, UP, true);
    press(&r, UP, false);
    EXPECT(&r, 0x83, 0xF0, 0x83, 0xE0, 0x75, 0xE0, 0xF0, 0x75);
    press(&r, I8042_KEY_PAUSE, true);
    press(&r, I8042_KEY_PAUSE, false);
    EXPECT(&r, 0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77);
    press(&r, PRINT, true);
    press(&r, PRINT, false);
    EXPECT(&r, 0xE0, 0x12, 0xE0, 0x7C, 0xE0, 0xF0, 0x7C, 0xE0, 0xF0, 0x12);
    nothing(&r);
}

/* Every key of the 101-key keyboard in set 3, after the reference's table of key numbers. */
Test(ps2_keyboard, set_3_codes)
{
    static const struct {
        uint16_t key;
        uint8_t code;
    } keys[] = {
        {0x29, 0x0E}, {0x02, 0x16}, {0x0B, 0x45}, {0x0E, 0x66}, {0x0F, 0x0D}, {0x10, 0x15}, {0x2B, 0x5C},
        {0x3A, 0x14}, {0x1E, 0x1C}, {0x1C, 0x5A}, {0x2A, 0x12}, {0x2C, 0x1A}, {0x36, 0x59}, {0x1D, 0x11},
        {0x38, 0x19}, {0x39, 0x29}, {0xB8, 0x39}, {0x9D, 0x58}, {0xD2, 0x67}, {0xD3, 0x64}, {0xCB, 0x61},
        {0xC7, 0x6E}, {0xCF, 0x65}, {0xC8, 0x63}, {0xD0, 0x60}, {0xC9, 0x6F}, {0xD1, 0x6D}, {0xCD, 0x6A},
        {0x45, 0x76}, {0x47, 0x6C}, {0x4B, 0x6B}, {0x4F, 0x69}, {0xB5, 0x77}, {0x48, 0x75}, {0x4C, 0x73},
        {0x50, 0x72}, {0x52, 0x70}, {0x37, 0x7E}, {0x49, 0x7D}, {0x4D, 0x74}, {0x51, 0x7A}, {0x53, 0x71},
        {0x4A, 0x84}, {0x4E, 0x7C}, {0x9C, 0x79}, {0x01, 0x08}, {0x3B, 0x07}, {0x3C, 0x0F}, {0x3D, 0x17},
        {0x3E, 0x1F}, {0x3F, 0x27}, {0x40, 0x2F}, {0x41, 0x37}, {0x42, 0x3F}, {0x43, 0x47}, {0x44, 0x4F},
        {0x57, 0x56}, {0x58, 0x5E}, {0xB7, 0x57}, {0x46, 0x5F}, {0x100, 0x62}};
    struct rig r;

    begin(&r, 3);
    kbd(&r, 0xF0);
    data(&r, 0);
    EXPECT(&r, 0xFA, 0x03);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        press(&r, keys[i].key, true);
        expect_kbd(&r, keys[i].code);
        press(&r, keys[i].key, false);
        if (keys[i].code == 0x11 || keys[i].code == 0x12 || keys[i].code == 0x14 || keys[i].code == 0x19 ||
            keys[i].code == 0x59)
            EXPECT(&r, 0xF0, keys[i].code);
    }
    nothing(&r);
}

/* In set 3 modifiers and Num Lock change no code. */
Test(ps2_keyboard, set_3_has_no_wrapping)
{
    struct rig r;

    begin(&r, 3);
    set_leds(&r, 2);
    press(&r, SHIFT, true);
    press(&r, UP, true);
    press(&r, PRINT, true);
    EXPECT(&r, 0x12, 0x63, 0x57);
}

Test(ps2_keyboard, print_screen_with_modifiers)
{
    static const struct {
        uint16_t modifier;
        uint8_t set, down[4], n_down, up[5], n_up;
    } cases[] = {
        {SHIFT, 2, {0xE0, 0x7C}, 2, {0xE0, 0xF0, 0x7C}, 3},
        {CTRL, 2, {0xE0, 0x7C}, 2, {0xE0, 0xF0, 0x7C}, 3},
        {ALT, 2, {0x84}, 1, {0xF0, 0x84}, 2},
        {SHIFT, 1, {0xE0, 0x37}, 2, {0xE0, 0xB7}, 2},
        {0x9D, 1, {0xE0, 0x37}, 2, {0xE0, 0xB7}, 2},
        {0xB8, 1, {0x54}, 1, {0xD4}, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig r;
        begin(&r, cases[i].set);
        press(&r, cases[i].modifier, true);
        for (unsigned skip = cases[i].modifier & I8042_KEY_E0 ? 2 : 1; skip-- > 0;)
            wait_byte(&r);
        press(&r, PRINT, true);
        expect_codes(&r, cases[i].down, cases[i].n_down);
        press(&r, PRINT, false);
        expect_codes(&r, cases[i].up, cases[i].n_up);
    }
}

Test(ps2_keyboard, break_is_pause_with_ctrl)
{
    struct rig r;

    begin(&r, 2);
    press(&r, CTRL, true);
    EXPECT(&r, 0x14);
    press(&r, I8042_KEY_PAUSE, true);
    press(&r, I8042_KEY_PAUSE, false);
    EXPECT(&r, 0xE0, 0x7E, 0xE0, 0xF0, 0x7E);
    nothing(&r);
}

/* The reference's three columns for keys 75 to 89, and its row for key 95 (the keypad's slash). */
Test(ps2_keyboard, wrapped_keys)
{
    struct rig r;

    begin(&r, 2);
    press(&r, SHIFT, true);
    EXPECT(&r, 0x12);
    press(&r, UP, true);
    press(&r, UP, false);
    EXPECT(&r, 0xE0, 0xF0, 0x12, 0xE0, 0x75, 0xE0, 0xF0, 0x75, 0xE0, 0x12);
    press(&r, SLASH, true);
    press(&r, SLASH, false);
    EXPECT(&r, 0xE0, 0xF0, 0x12, 0xE0, 0x4A, 0xE0, 0xF0, 0x4A, 0xE0, 0x12);
    set_leds(&r, 2); /* Num Lock and Shift: as without both */
    press(&r, UP, true);
    press(&r, UP, false);
    EXPECT(&r, 0xE0, 0x75, 0xE0, 0xF0, 0x75);
    press(&r, SHIFT, false);
    EXPECT(&r, 0xF0, 0x12);
    press(&r, UP, true);
    press(&r, UP, false);
    EXPECT(&r, 0xE0, 0x12, 0xE0, 0x75, 0xE0, 0xF0, 0x75, 0xE0, 0xF0, 0x12);
    press(&r, SLASH, true);
    EXPECT(&r, 0xE0, 0x4A);
    press(&r, 0x48, true); /* the keypad's own */
    EXPECT(&r, 0x75);
}

/* Both Shift keys are undone; in set 1, too. */
Test(ps2_keyboard, wrapped_with_both_shifts)
{
    struct rig r;

    begin(&r, 1);
    press(&r, 0x2A, true);
    press(&r, 0x36, true);
    EXPECT(&r, 0x2A, 0x36);
    press(&r, UP, true);
    press(&r, UP, false);
    EXPECT(&r, 0xE0, 0xAA, 0xE0, 0xB6, 0xE0, 0x48, 0xE0, 0xC8, 0xE0, 0x2A, 0xE0, 0x36);
}

/* --- keys that repeat --- */

static uint64_t next_code_ns(struct rig *r, uint8_t code)
{
    int byte = wait_byte(r);

    if (byte < 0)
        byte = wait_byte(r); /* the longest delay is a second */
    cr_assert_eq(byte, code, "%02x, not %02x", (unsigned)byte, code);
    return r->ns;
}

/* Delay and rate of F3h's argument, measured: within two polls. */
static void check_rate(uint8_t argument, uint64_t delay_us, uint64_t period_us)
{
    struct rig r;

    begin(&r, 2);
    kbd(&r, 0xF3);
    kbd(&r, argument);
    press(&r, 0x1E, true);
    uint64_t first = next_code_ns(&r, 0x1C), second = next_code_ns(&r, 0x1C), third = next_code_ns(&r, 0x1C);
    cr_assert_lt(llabs((long long)(second - first) - (long long)(delay_us * US)), (long long)(100 * US));
    cr_assert_lt(llabs((long long)(third - second) - (long long)(period_us * US)), (long long)(100 * US));
    press(&r, 0x1E, false);
    EXPECT(&r, 0xF0, 0x1C);
    quiet(&r);
}

Test(ps2_keyboard, typematic_rate)
{
    check_rate(0x00, 250000, 33333);  /* 30.0 a second */
    check_rate(0x2B, 500000, 91667);  /* 10.9, the default */
    check_rate(0x4C, 750000, 100000); /* 10.0 */
    check_rate(0x7F, 1000000, 500000);
}

Test(ps2_keyboard, typematic_default_is_10_9)
{
    struct rig r;

    begin(&r, 2);
    press(&r, 0x1E, true);
    uint64_t first = next_code_ns(&r, 0x1C), second = next_code_ns(&r, 0x1C);
    cr_assert_lt(llabs((long long)(second - first) - (long long)(500 * MS)), (long long)(100 * US));
}

/* The last key repeats until it goes up, though another one is down. */
Test(ps2_keyboard, only_the_last_key_repeats)
{
    struct rig r;

    begin(&r, 2);
    press(&r, 0x1E, true);
    press(&r, 0x1F, true);
    EXPECT(&r, 0x1C, 0x1B, 0x1B, 0x1B);
    press(&r, 0x1E, false);
    EXPECT(&r, 0xF0, 0x1C, 0x1B);
    press(&r, 0x1F, false);
    EXPECT(&r, 0xF0, 0x1B);
    quiet(&r);
}

Test(ps2_keyboard, repeats_leave_out_the_wrapping)
{
    struct rig r;

    begin(&r, 2);
    set_leds(&r, 2);
    press(&r, UP, true);
    EXPECT(&r, 0xE0, 0x12, 0xE0, 0x75, 0xE0, 0x75, 0xE0, 0x75);
    press(&r, UP, false);
    EXPECT(&r, 0xE0, 0xF0, 0x75, 0xE0, 0xF0, 0x12);
}

Test(ps2_keyboard, pause_does_not_repeat)
{
    struct rig r;

    begin(&r, 1);
    press(&r, I8042_KEY_PAUSE, true);
    EXPECT(&r, 0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5);
    quiet(&r);
}

/* "Only the first make code is stored in the buffer": nobody reads for ten seconds. */
Test(ps2_keyboard, no_repeats_while_bytes_wait)
{
    struct rig r;

    begin(&r, 2);
    press(&r, 0x1E, true);
    chip_run_to(C, &r.s, r.ns += 10 * NS_PER_SEC);
    cr_assert_leq(r.s.kbd.keys.count, 1); /* one is in the output buffer, a second waits behind it */
    press(&r, 0x1E, false);
    EXPECT(&r, 0x1C, 0x1C, 0xF0, 0x1C);
    quiet(&r);
}

/* The host's repeats, which a remote screen sends, are not the keyboard's. */
Test(ps2_keyboard, a_key_goes_down_once)
{
    struct rig r;

    begin(&r, 2);
    cr_assert(i8042_key(&r.s, 0x1E, true, r.ns));
    cr_assert(!i8042_key(&r.s, 0x1E, true, r.ns));
    press(&r, 0x1E, false);
    EXPECT(&r, 0x1C, 0xF0, 0x1C);
    quiet(&r);
}

/* --- types of keys in set 3 --- */

/* A held for a second: how many make codes, and whether a break code? */
static unsigned hold_a(struct rig *r, bool *breaks)
{
    unsigned makes = 0;

    press(r, 0x1E, true);
    for (uint64_t end = r->ns + NS_PER_SEC; r->ns < end; r->ns += MS)
        if (status(r) & 1)
            makes += chip_in(C, &r->s, I8042_OFF_DATA, r->ns) == 0x1C;
    press(r, 0x1E, false);
    *breaks = wait_byte(r) == 0xF0;
    if (*breaks)
        expect_kbd(r, 0x1C);
    return makes;
}

static void check_type(struct rig *r, bool repeats, bool breaks)
{
    bool b;
    unsigned makes = hold_a(r, &b);

    cr_assert_eq(makes > 1, repeats);
    cr_assert_eq(b, breaks);
}

Test(ps2_keyboard, types_of_all_keys)
{
    static const struct {
        uint8_t command;
        bool repeats, breaks;
    } types[] = {{0xF7, true, false},
                 {0xF8, false, true},
                 {0xF9, false, false},
                 {0xFA, true, true},
                 {0xF6, true, false}};
    struct rig r;

    begin(&r, 3);
    check_type(&r, true, false);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        kbd(&r, types[i].command);
        if (types[i].command == 0xF6) { /* back to set 2 */
            kbd(&r, 0xF0);
            kbd(&r, 3);
        }
        check_type(&r, types[i].repeats, types[i].breaks);
    }
}

Test(ps2_keyboard, types_of_single_keys)
{
    struct rig r;

    begin(&r, 3);
    kbd(&r, 0xFC);
    kbd(&r, 0x1C);
    kbd(&r, 0x1B); /* a list of keys */
    kbd(&r, 0xF4);
    check_type(&r, false, true);
    kbd(&r, 0xFD);
    kbd(&r, 0x1C);
    kbd(&r, 0xF4);
    check_type(&r, false, false);
    kbd(&r, 0xFB);
    kbd(&r, 0x1C);
    data(&r, 0x02); /* no key has this code */
    expect_kbd(&r, 0xFE);
    kbd(&r, 0xF4);
    check_type(&r, true, false);
    press(&r, 0x1F, true);
    press(&r, 0x1F, false);
    EXPECT(&r, 0x1B, 0xF0, 0x1B);
}

/* Types are kept, but say nothing, in the other sets. */
Test(ps2_keyboard, types_matter_in_set_3_only)
{
    struct rig r;

    begin(&r, 2);
    kbd(&r, 0xF9);
    check_type(&r, true, true);
}

/* --- the buffer --- */

/* 16 bytes, then the overrun code; keys that come behind are lost until there is room. */
static void overrun(uint8_t set, bool translated, uint8_t code)
{
    struct rig r;
    unsigned taken = 0;

    begin(&r, set);
    if (translated) {
        cmd(&r, 0x60);
        data(&r, 0x47);
    }
    cmd(&r, 0xAD); /* the interface off: nothing leaves */
    for (unsigned k = 0x10; k < 0x30; k++)
        taken += i8042_key(&r.s, k, true, r.ns);
    cr_assert_eq(taken, 16);
    cmd(&r, 0xAE);
    for (unsigned i = 0; i < 16; i++)
        cr_assert_neq(wait_byte(&r), code);
    expect_kbd(&r, code);
    press(&r, 0x10, false);
    cr_assert_neq(wait_byte(&r), -1);
}

Test(ps2_keyboard, overrun)
{
    overrun(1, false, 0xFF);
    overrun(2, false, 0x00);
    overrun(2, true, 0xFF);
    overrun(3, false, 0x00);
}

/* "The entire sequence must fit": 15 bytes leave no room for two. */
Test(ps2_keyboard, a_key_is_kept_whole_or_lost)
{
    struct rig r;

    begin(&r, 2);
    cmd(&r, 0xAD);
    for (unsigned k = 0x10; k < 0x1F; k++)
        cr_assert(i8042_key(&r.s, k, true, r.ns));
    cr_assert(!i8042_key(&r.s, UP, true, r.ns));
    cr_assert_eq(r.s.kbd.keys.count, 16);
    cr_assert(!i8042_key(&r.s, 0x20, true, r.ns)); /* the overrun code has the last place */
    cr_assert_eq(r.s.kbd.keys.count, 16);
}

Test(ps2_keyboard, an_answer_finds_room)
{
    struct rig r;

    begin(&r, 2);
    for (unsigned k = 1; k < 0x54; k++)
        i8042_key(&r.s, k, true, r.ns);
    kbd(&r, 0xED);
    kbd(&r, 0x07);
    EXPECT(&r, 0x76, 0x16);
}

/* The typed port: keys wait while bytes wait, but no longer than a moment. */
Test(ps2_keyboard, ready)
{
    struct rig r;

    begin(&r, 2);
    cr_assert_eq(i8042_key_ready_ns(&r.s), 0);
    press(&r, 0x1E, true);
    cr_assert_eq(i8042_key_ready_ns(&r.s), r.ns + 50 * MS);
    EXPECT(&r, 0x1C);
    cr_assert_eq(i8042_key_ready_ns(&r.s), 0);
}

/* --- commands --- */

Test(ps2_keyboard, disable_enable_default)
{
    struct rig r;

    begin(&r, 2);
    kbd(&r, 0xF3);
    kbd(&r, 0x00);
    kbd(&r, 0xF5);
    cr_assert(!i8042_key(&r.s, 0x1E, true, r.ns));
    press(&r, 0x1E, false);
    nothing(&r);
    cr_assert_eq(r.s.kbd.rate, 0x2B);
    kbd(&r, 0xF4);
    press(&r, 0x1E, true);
    EXPECT(&r, 0x1C);
    kbd(&r, 0xF6);
    press(&r, 0x1E, false);
    EXPECT(&r, 0xF0, 0x1C);
}

/* F4h, F5h, F6h and a new set throw away what waits. */
Test(ps2_keyboard, commands_clear_the_buffer)
{
    static const uint8_t commands[] = {0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA};

    for (size_t i = 0; i < sizeof commands; i++) {
        struct rig r;
        begin(&r, 2);
        press(&r, 0x1E, true);
        press(&r, 0x1F, true);
        kbd(&r, commands[i]);
        nothing(&r);
    }
}

Test(ps2_keyboard, resend_echo_identify_reset)
{
    struct rig r;

    begin(&r, 2);
    data(&r, 0xEE);
    expect_kbd(&r, 0xEE);
    press(&r, 0x1E, true);
    press(&r, 0x1E, false);
    EXPECT(&r, 0x1C, 0xF0, 0x1C);
    data(&r, 0xFE);
    expect_kbd(&r, 0x1C);
    data(&r, 0xF2);
    EXPECT(&r, 0xFA, 0xAB, 0x83);
    set_leds(&r, 7);
    kbd(&r, 0xF0);
    kbd(&r, 3);
    uint64_t asked = r.ns;
    kbd(&r, 0xFF);
    press(&r, 0x1F, true); /* lost: the self test runs */
    press(&r, 0x1F, false);
    expect_kbd(&r, 0xAA);
    cr_assert(r.ns - asked >= 300 * MS && r.ns - asked <= 500 * MS);
    cr_assert_eq(r.s.kbd.leds, 0);
    press(&r, 0x1E, true);
    expect_kbd(&r, 0x1C);
}

/* An argument that a command may not have, and a command in an argument's place. */
Test(ps2_keyboard, arguments)
{
    struct rig r;

    begin(&r, 2);
    kbd(&r, 0xF0);
    data(&r, 4);
    expect_kbd(&r, 0xFE);
    kbd(&r, 2);
    kbd(&r, 0xED);
    data(&r, 0xEE);
    expect_kbd(&r, 0xEE);
    data(&r, 0x02); /* no argument any more */
    expect_kbd(&r, 0xFE);
    cr_assert_eq(r.s.kbd.leds, 0);
    data(&r, 0xEF);
    expect_kbd(&r, 0xFE);
    data(&r, 0xF1);
    expect_kbd(&r, 0xFE);
}
