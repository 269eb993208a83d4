/* test_keys.c - names of keys, keymaps and text: what is pressed. */
#include "cli/keys.h"
#include "hw/i8042.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static unsigned code_of(const char *name)
{
    uint16_t code = 0;

    return keys_from_name(name, &code) ? code : 0;
}

Test(keys, names)
{
    cr_expect_eq(code_of("a"), 0x1E);
    cr_expect_eq(code_of("ret"), 0x1C);
    cr_expect_eq(code_of("kp_enter"), 0x9C);
    cr_expect_eq(code_of("f12"), 0x58);
    cr_expect_eq(code_of("delete"), 0xD3);
    cr_expect_eq(code_of("print"), 0xB7);
    cr_expect_eq(code_of("pause"), 0x100);
    cr_expect_eq(code_of("0x1e"), 0x1E);
    cr_expect_eq(code_of("0xc8"), 0xC8);
    cr_expect_eq(code_of("0xc6"), 0x100, "QEMU's number of Pause");
    static const char *const bad[] = {"", "A", "enter", "0x", "0x0", "0x100", "0x1g", "0x-1", "30", "ret "};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(code_of(bad[i]), 0, "%s", bad[i]);
}

/* Each name is there once, and each names a key that the keyboard has. */
Test(keys, every_name_is_a_key)
{
    for (uint32_t i = 0; keys_name(i); i++) {
        struct i8042 s;
        i8042_class.reset(&s, 0);
        cr_expect(i8042_key(&s, code_of(keys_name(i)), true, 0), "%s", keys_name(i));
        for (uint32_t j = 0; j < i; j++)
            cr_expect_neq(strcmp(keys_name(i), keys_name(j)), 0, "%s", keys_name(i));
    }
}

Test(keys, chords)
{
    struct key_chord c;
    struct err e;

    cr_assert(keys_from_chord("ctrl-alt-delete", &c, &e));
    cr_expect_eq(c.n, 3);
    cr_expect(c.code[0] == 0x1D && c.code[1] == 0x38 && c.code[2] == 0xD3);
    cr_assert(keys_from_chord("shift-0x1e", &c, &e));
    cr_expect(c.n == 2 && c.code[1] == 0x1E);
    static const char *const bad[] = {
        "",
        "-",
        "a-",
        "-a",
        "ctrl--a",
        "hyper-a",
        "ctrl alt",
        "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(keys_from_chord(bad[i], &c, &e), "%s", bad[i]);
    keys_from_chord("ctrl-hyper", &c, &e);
    cr_expect(strstr(e.text, "'hyper'") && strstr(e.text, "accepted:"), "%s", e.text);
}

static struct keymap *map_of(const char *layout)
{
    struct err e = {{0}};
    struct keymap *k = keymap_create(layout, &e);

    cr_assert(k, "%s", e.text);
    return k;
}

static void expect_sym(const struct keymap *k, uint32_t keysym, uint16_t code, uint8_t with)
{
    struct key_press p = {0};

    cr_expect(keys_from_keysym(k, keysym, &p), "%x", keysym);
    cr_expect(p.code == code && p.with == with, "%x: %x with %x", keysym, p.code, p.with);
}

Test(keys, keysyms_us)
{
    struct keymap *k = map_of("us");

    expect_sym(k, 'a', 0x1E, 0);
    expect_sym(k, 'A', 0x1E, KEY_WITH_SHIFT);
    expect_sym(k, '!', 0x02, KEY_WITH_SHIFT);
    expect_sym(k, ' ', 0x39, 0);
    expect_sym(k, 0xFF0D, 0x1C, 0);              /* Return */
    expect_sym(k, 0xFF8D, 0x9C, 0);              /* KP_Enter */
    expect_sym(k, 0xFF51, 0xCB, 0);              /* Left */
    expect_sym(k, 0xFF55, 0xC9, 0);              /* Page_Up */
    expect_sym(k, 0xFFBE, 0x3B, 0);              /* F1 */
    expect_sym(k, 0xFFC9, 0x58, 0);              /* F12 */
    expect_sym(k, 0xFFE1, 0x2A, 0);              /* Shift_L */
    expect_sym(k, 0xFFE4, 0x9D, 0);              /* Control_R */
    expect_sym(k, 0xFFEA, 0xB8, 0);              /* Alt_R */
    expect_sym(k, 0xFE03, 0xB8, 0);              /* ISO_Level3_Shift */
    expect_sym(k, 0xFFB7, 0x47, 0);              /* KP_7 */
    expect_sym(k, 0xFF95, 0x47, 0);              /* KP_Home */
    expect_sym(k, 0xFF13, 0x100, 0);             /* Pause */
    expect_sym(k, 0xFF6B, 0x100, KEY_WITH_CTRL); /* Break */
    expect_sym(k, 0xFF61, 0xB7, 0);              /* Print */
    expect_sym(k, 0xFE20, 0x0F, KEY_WITH_SHIFT); /* ISO_Left_Tab */
    expect_sym(k, 0xFFEB, 0xDB, 0);              /* Super_L */
    expect_sym(k, 0xFF67, 0xDD, 0);              /* Menu */
    struct key_press p;
    cr_expect_not(keys_from_keysym(k, 0xE4, &p), "no umlaut");
    cr_expect_not(keys_from_keysym(k, 0, &p));
    cr_expect_not(keys_from_keysym(k, UINT32_MAX, &p));
    keymap_destroy(k);
}

Test(keys, keysyms_of_other_layouts)
{
    struct keymap *k = map_of("de");

    expect_sym(k, 'z', 0x15, 0);
    expect_sym(k, '@', 0x10, KEY_WITH_ALTGR);
    expect_sym(k, 0xE4, 0x28, 0);              /* a with diaeresis */
    expect_sym(k, 0xC4, 0x28, KEY_WITH_SHIFT); /* the capital */
    expect_sym(k, '<', 0x56, 0);
    keymap_destroy(k);
    k = map_of("fr");
    expect_sym(k, 'a', 0x10, 0);
    expect_sym(k, '1', 0x02, KEY_WITH_SHIFT);
    keymap_destroy(k);
    keymap_destroy(map_of("en-us"));
    keymap_destroy(map_of("de(nodeadkeys)"));
    keymap_destroy(NULL);
}

static void expect_composed(const struct keymap *k, uint32_t keysym, uint16_t dead, uint8_t dead_with,
                            uint16_t code, uint8_t with)
{
    struct key_press p = {0};

    cr_expect(keys_from_keysym(k, keysym, &p), "%x", keysym);
    cr_expect(p.dead == dead && p.dead_with == dead_with && p.code == code && p.with == with,
              "%x: %x+%x, %x+%x", keysym, p.dead, p.dead_with, p.code, p.with);
    const struct key_chord c = keys_of_dead(p);
    cr_expect(c.n == 1u + (dead_with != 0) && c.code[c.n - 1] == dead);
}

Test(keys, dead_keys)
{
    struct keymap *k = map_of("de");

    expect_composed(k, 0xE9, 0x0D, 0, 0x12, 0);                           /* e with acute */
    expect_composed(k, 0xC0, 0x0D, KEY_WITH_SHIFT, 0x1E, KEY_WITH_SHIFT); /* A with grave */
    expect_composed(k, '^', 0x29, 0, 0x39, 0);
    keymap_destroy(k);
    k = map_of("fr");
    expect_composed(k, 0xEA, 0x1A, 0, 0x12, 0);              /* e with circumflex */
    expect_composed(k, 0xEF, 0x1A, KEY_WITH_SHIFT, 0x17, 0); /* i with diaeresis */
    expect_sym(k, 0xE9, 0x03, 0);                            /* it has a key of its own */
    keymap_destroy(k);
    k = map_of("de(nodeadkeys)");
    expect_sym(k, '^', 0x29, 0);
    struct key_press p = {0};
    cr_expect(keys_from_keysym(k, 'a', &p) && keys_of_dead(p).n == 0);
    keymap_destroy(k);
}

Test(keys, characters_and_other_symbols)
{
    static const uint32_t characters[] = {'!', 'a', 0xFF, 0x20AC, 0x1000100},
                          others[] = {0, ' ', 0xFE03, 0xFE51, 0xFF0D, 0xFFE1, 0xFFFF};

    for (unsigned i = 0; i < sizeof characters / sizeof characters[0]; i++)
        cr_expect(keysym_is_character(characters[i]), "%x", characters[i]);
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect_not(keysym_is_character(others[i]), "%x", others[i]);
}

Test(keys, no_such_layout)
{
    static const char *const bad[] = {"", "xx-none", "us,de;", "../../etc/passwd", "us ", "de(none)"};

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e;
        cr_expect_null(keymap_create(bad[i], &e), "%s", bad[i]);
        cr_expect(strstr(e.text, "accepted:"), "%s", e.text);
    }
}

/* The keys that type a text, as "SHIFT+code " each. */
static bool type(const struct keymap *k, const char *text, char *out, struct err *e)
{
    struct key_press p;

    *out = '\0';
    while (keys_from_text(k, &text, &p, e)) {
        struct key_chord c = keys_of_press(p);
        for (unsigned i = 0; i < c.n; i++)
            out += sprintf(out, "%s%02x", i ? "+" : "", c.code[i]);
        out += sprintf(out, " ");
    }
    return e->text[0] == '\0';
}

Test(keys, text)
{
    struct keymap *k = map_of("us");
    struct err e;
    char out[512];

    cr_expect(type(k, "aB ?\n", out, &e));
    cr_expect_str_eq(out, "1e 2a+30 39 2a+35 1c ");
    cr_expect(type(k, "\r\n\r\t\b\033\003", out, &e));
    cr_expect_str_eq(out, "1c 1c 0f 0e 01 1d+2e ");
    cr_expect_not(type(k, "x\303\244", out, &e));
    cr_expect(strstr(e.text, "U+00E4") && strstr(e.text, "us"), "%s", e.text);
    static const char *const bad[] = {"\200", "\303", "\303(", "\377", "\340\240", "\360\220\200"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(type(k, bad[i], out, &e), "%u", i);
    keymap_destroy(k);
    k = map_of("de");
    cr_expect(type(k, "\303\244{\342\202\254", out, &e), "%s", e.text); /* AltGr+7, AltGr+E */
    cr_expect_str_eq(out, "28 b8+08 b8+12 ");
    keymap_destroy(k);
}

/* All of ASCII that can be seen has a key under the default layout. */
Test(keys, ascii)
{
    struct keymap *k = map_of("us");

    for (char c = ' '; c < 0x7F; c++) {
        const char text[2] = {c}, *at = text;
        struct key_press p;
        struct err e;
        cr_expect(keys_from_text(k, &at, &p, &e), "%s", e.text);
    }
    keymap_destroy(k);
}
