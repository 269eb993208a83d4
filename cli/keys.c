/* keys.c - see keys.h.
 *
 * A keymap is a table of (symbol, key, what is held down), made once by asking libxkbcommon what each key
 * makes alone, with Shift, with AltGr and with both: the first that makes a symbol is the one to press.
 * Behind these come those that a dead key and another one make together. */
#include "cli/keys.h"

#include "hw/i8042.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <xkbcommon/xkbcommon.h>

#define E0(code) (I8042_KEY_E0 | (code))

/* --- names --- */

struct key_name {
    const char *name; /* QKeyCode's */
    uint16_t code;
};

/* Codes of keys that media keyboards have are from Microsoft's Keyboard Scan Code Specification. */
static const struct key_name names[] = {
    {"esc", 0x01},
    {"1", 0x02},
    {"2", 0x03},
    {"3", 0x04},
    {"4", 0x05},
    {"5", 0x06},
    {"6", 0x07},
    {"7", 0x08},
    {"8", 0x09},
    {"9", 0x0A},
    {"0", 0x0B},
    {"minus", 0x0C},
    {"equal", 0x0D},
    {"backspace", 0x0E},
    {"tab", 0x0F},
    {"q", 0x10},
    {"w", 0x11},
    {"e", 0x12},
    {"r", 0x13},
    {"t", 0x14},
    {"y", 0x15},
    {"u", 0x16},
    {"i", 0x17},
    {"o", 0x18},
    {"p", 0x19},
    {"bracket_left", 0x1A},
    {"bracket_right", 0x1B},
    {"ret", 0x1C},
    {"ctrl", 0x1D},
    {"a", 0x1E},
    {"s", 0x1F},
    {"d", 0x20},
    {"f", 0x21},
    {"g", 0x22},
    {"h", 0x23},
    {"j", 0x24},
    {"k", 0x25},
    {"l", 0x26},
    {"semicolon", 0x27},
    {"apostrophe", 0x28},
    {"grave_accent", 0x29},
    {"shift", 0x2A},
    {"backslash", 0x2B},
    {"z", 0x2C},
    {"x", 0x2D},
    {"c", 0x2E},
    {"v", 0x2F},
    {"b", 0x30},
    {"n", 0x31},
    {"m", 0x32},
    {"comma", 0x33},
    {"dot", 0x34},
    {"slash", 0x35},
    {"shift_r", 0x36},
    {"asterisk", 0x37},
    {"kp_multiply", 0x37},
    {"alt", 0x38},
    {"spc", 0x39},
    {"caps_lock", 0x3A},
    {"f1", 0x3B},
    {"f2", 0x3C},
    {"f3", 0x3D},
    {"f4", 0x3E},
    {"f5", 0x3F},
    {"f6", 0x40},
    {"f7", 0x41},
    {"f8", 0x42},
    {"f9", 0x43},
    {"f10", 0x44},
    {"num_lock", 0x45},
    {"scroll_lock", 0x46},
    {"kp_7", 0x47},
    {"kp_8", 0x48},
    {"kp_9", 0x49},
    {"kp_subtract", 0x4A},
    {"kp_4", 0x4B},
    {"kp_5", 0x4C},
    {"kp_6", 0x4D},
    {"kp_add", 0x4E},
    {"kp_1", 0x4F},
    {"kp_2", 0x50},
    {"kp_3", 0x51},
    {"kp_0", 0x52},
    {"kp_decimal", 0x53},
    {"sysrq", 0x54},
    {"less", 0x56},
    {"<", 0x56},
    {"f11", 0x57},
    {"f12", 0x58},
    {"kp_equals", 0x59},
    {"f13", 0x64},
    {"f14", 0x65},
    {"f15", 0x66},
    {"f16", 0x67},
    {"f17", 0x68},
    {"f18", 0x69},
    {"f19", 0x6A},
    {"f20", 0x6B},
    {"f21", 0x6C},
    {"f22", 0x6D},
    {"f23", 0x6E},
    {"katakanahiragana", 0x70},
    {"lang2", 0x71},
    {"lang1", 0x72},
    {"ro", 0x73},
    {"f24", 0x76},
    {"hiragana", 0x77},
    {"henkan", 0x79},
    {"muhenkan", 0x7B},
    {"yen", 0x7D},
    {"kp_comma", 0x7E},
    {"audioprev", E0(0x10)},
    {"audionext", E0(0x19)},
    {"kp_enter", E0(0x1C)},
    {"ctrl_r", E0(0x1D)},
    {"audiomute", E0(0x20)},
    {"calculator", E0(0x21)},
    {"audioplay", E0(0x22)},
    {"audiostop", E0(0x24)},
    {"volumedown", E0(0x2E)},
    {"volumeup", E0(0x30)},
    {"ac_home", E0(0x32)},
    {"kp_divide", E0(0x35)},
    {"print", E0(0x37)},
    {"alt_r", E0(0x38)},
    {"home", E0(0x47)},
    {"up", E0(0x48)},
    {"pgup", E0(0x49)},
    {"left", E0(0x4B)},
    {"right", E0(0x4D)},
    {"end", E0(0x4F)},
    {"down", E0(0x50)},
    {"pgdn", E0(0x51)},
    {"insert", E0(0x52)},
    {"delete", E0(0x53)},
    {"meta_l", E0(0x5B)},
    {"meta_r", E0(0x5C)},
    {"compose", E0(0x5D)},
    {"menu", E0(0x5D)},
    {"power", E0(0x5E)},
    {"sleep", E0(0x5F)},
    {"wake", E0(0x63)},
    {"ac_bookmarks", E0(0x66)},
    {"ac_refresh", E0(0x67)},
    {"ac_forward", E0(0x69)},
    {"ac_back", E0(0x6A)},
    {"computer", E0(0x6B)},
    {"mail", E0(0x6C)},
    {"mediaselect", E0(0x6D)},
    {"pause", I8042_KEY_PAUSE},
};
#define NNAMES (sizeof names / sizeof names[0])

#define NUMBER_PAUSE 0xC6 /* QEMU's number of Pause */

static bool from_number(const char *name, uint16_t *code)
{
    char *end;

    if (strncmp(name, "0x", 2) != 0 || !isxdigit((unsigned char)name[2]))
        return false;
    unsigned long v = strtoul(name, &end, 16);
    if (*end || v == 0 || v > 0xFF)
        return false;
    *code = v == NUMBER_PAUSE ? I8042_KEY_PAUSE : (uint16_t)v;
    return true;
}

bool keys_from_name(const char *name, uint16_t *code)
{
    for (size_t i = 0; i < NNAMES; i++)
        if (strcmp(names[i].name, name) == 0) {
            *code = names[i].code;
            return true;
        }
    return from_number(name, code);
}

const char *keys_name(uint32_t i)
{
    return i < NNAMES ? names[i].name : NULL;
}

static bool unknown(const char *name, struct err *e)
{
    return err_set(
        e,
        "no key is called '%.40s'; accepted: a to z, 0 to 9, f1 to f24, ret, spc, esc, tab, shift, ctrl, "
        "alt, delete and the other names of QEMU's send-key (QKeyCode), or a code such as 0x1e",
        name);
}

bool keys_from_chord(const char *chord, struct key_chord *c, struct err *e)
{
    char name[32];

    *c = (struct key_chord){.n = 0};
    for (const char *at = chord;; at++) {
        size_t n = strcspn(at, "-");
        if (c->n == KEYS_CHORD_MAX)
            return err_set(e, "'%.80s': more than %u keys at once", chord, (unsigned)KEYS_CHORD_MAX);
        if (n >= sizeof name)
            return unknown(at, e);
        memcpy(name, at, n);
        name[n] = '\0';
        if (!keys_from_name(name, &c->code[c->n]))
            return unknown(name, e);
        c->n++;
        at += n;
        if (!*at)
            return true;
    }
}

struct key_chord keys_of_press(struct key_press p)
{
    static const struct {
        uint8_t with;
        uint16_t code;
    } held[] = {{KEY_WITH_CTRL, 0x1D}, {KEY_WITH_SHIFT, 0x2A}, {KEY_WITH_ALTGR, E0(0x38)}};
    struct key_chord c = {.n = 0};

    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
        if (p.with & held[i].with)
            c.code[c.n++] = held[i].code;
    c.code[c.n++] = p.code;
    return c;
}

struct key_chord keys_of_dead(struct key_press p)
{
    return p.dead ? keys_of_press((struct key_press){.code = p.dead, .with = p.dead_with})
                  : (struct key_chord){.n = 0};
}

/* X11 protocol, appendix A: Latin 1 is itself, keys and modifiers are FD00h to FFFFh; others are characters.
 * A blank is one with Shift, too. */
bool keysym_is_character(uint32_t keysym)
{
    return keysym > 0x20 && (keysym < 0xFD00 || keysym > 0xFFFF);
}

/* --- keymaps --- */

#define SYMBOLS_MAX  1024
#define LAYOUT_BYTES 48

struct symbol {
    uint32_t keysym;
    struct key_press press;
};

struct keymap {
    char layout[LAYOUT_BYTES];
    uint32_t n;
    struct symbol symbol[SYMBOLS_MAX];
};

/* Keys whose number in libxkbcommon, which is Linux's plus 8, is not their set 1 code plus 8. */
static const struct {
    uint8_t linux_number;
    uint16_t code;
} others[] = {
    {96, E0(0x1C)},  {97, E0(0x1D)},  {98, E0(0x35)},  {99, E0(0x37)},  {100, E0(0x38)}, {102, E0(0x47)},
    {103, E0(0x48)}, {104, E0(0x49)}, {105, E0(0x4B)}, {106, E0(0x4D)}, {107, E0(0x4F)}, {108, E0(0x50)},
    {109, E0(0x51)}, {110, E0(0x52)}, {111, E0(0x53)}, {119, 0x100},    {125, E0(0x5B)}, {126, E0(0x5C)},
    {127, E0(0x5D)}, {89, 0x73},      {124, 0x7D},     {92, 0x79},      {94, 0x7B},      {93, 0x70},
};

/* Symbols that no level of these keys has under every layout, or that need Num Lock. */
static const struct symbol fixed[] = {
    {XKB_KEY_KP_0, {.code = 0x52}},
    {XKB_KEY_KP_1, {.code = 0x4F}},
    {XKB_KEY_KP_2, {.code = 0x50}},
    {XKB_KEY_KP_3, {.code = 0x51}},
    {XKB_KEY_KP_4, {.code = 0x4B}},
    {XKB_KEY_KP_5, {.code = 0x4C}},
    {XKB_KEY_KP_6, {.code = 0x4D}},
    {XKB_KEY_KP_7, {.code = 0x47}},
    {XKB_KEY_KP_8, {.code = 0x48}},
    {XKB_KEY_KP_9, {.code = 0x49}},
    {XKB_KEY_KP_Decimal, {.code = 0x53}},
    {XKB_KEY_KP_Separator, {.code = 0x53}},
    {XKB_KEY_Alt_R, {.code = E0(0x38)}},
    {XKB_KEY_ISO_Level3_Shift, {.code = E0(0x38)}},
    {XKB_KEY_Mode_switch, {.code = E0(0x38)}},
    {XKB_KEY_Meta_L, {.code = 0x38}},
    {XKB_KEY_Meta_R, {.code = E0(0x38)}},
    {XKB_KEY_Sys_Req, {.code = 0x54}},
    {XKB_KEY_Break, {.code = I8042_KEY_PAUSE, .with = KEY_WITH_CTRL}},
};

/* QEMU's names of layouts where they are not those of the X keyboard extension. */
static const struct {
    const char *qemu, *xkb;
} aliases[] = {{"en-us", "us"}, {"en-gb", "gb"},     {"de-ch", "ch"}, {"fr-be", "be"},
               {"fr-ca", "ca"}, {"fr-ch", "ch(fr)"}, {"pt-br", "br"}, {"ja", "jp"},
               {"sv", "se"},    {"da", "dk"},        {"et", "ee"},    {"sl", "si"}};

static const char *xkb_name(const char *layout)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(layout, aliases[i].qemu) == 0)
            return aliases[i].xkb;
    return layout;
}

static const struct symbol *find(const struct keymap *k, uint32_t keysym)
{
    for (uint32_t i = 0; i < k->n; i++)
        if (k->symbol[i].keysym == keysym)
            return &k->symbol[i];
    return NULL;
}

static void add(struct keymap *k, uint32_t keysym, struct key_press p)
{
    if (keysym != XKB_KEY_NoSymbol && k->n < SYMBOLS_MAX && !find(k, keysym))
        k->symbol[k->n++] = (struct symbol){.keysym = keysym, .press = p};
}

static void add_key(struct keymap *k, struct xkb_state *state, uint8_t with, unsigned linux_number,
                    uint16_t code)
{
    xkb_keysym_t sym = xkb_state_key_get_one_sym(state, linux_number + 8);

    add(k, sym, (struct key_press){.code = code, .with = with});
}

static xkb_mod_mask_t modifier(struct xkb_keymap *map, const char *name)
{
    xkb_mod_index_t i = xkb_keymap_mod_get_index(map, name);

    return i == XKB_MOD_INVALID || i >= 32 ? 0 : (xkb_mod_mask_t)1 << i;
}

static void add_level(struct keymap *k, struct xkb_keymap *map, struct xkb_state *state, uint8_t with)
{
    xkb_mod_mask_t mask = (with & KEY_WITH_SHIFT ? modifier(map, XKB_MOD_NAME_SHIFT) : 0) |
                          (with & KEY_WITH_ALTGR ? modifier(map, "Mod5") : 0);

    xkb_state_update_mask(state, mask, 0, 0, 0, 0, 0);
    for (uint16_t code = 1; code <= 0x58; code++)
        if (code != 0x54 && code != 0x55)
            add_key(k, state, with, code, code);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        add_key(k, state, with, others[i].linux_number, others[i].code);
}

/* What a dead key makes of the next one: pairs of that and what comes out. Unicode's decompositions of the
 * Latin letters that keyboards of Europe make so, and the mark itself with a blank. */
static const struct {
    uint32_t dead;
    const wchar_t *pairs;
} compositions[] = {
    {XKB_KEY_dead_grave, L"AÀEÈIÌOÒUÙaàeèiìoòuù `"},
    {XKB_KEY_dead_acute, L"AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆLĹNŃRŔSŚZŹcćlĺnńrŕsśzź ´"},
    {XKB_KEY_dead_circumflex, L"AÂEÊIÎOÔUÛaâeêiîoôuûCĈGĜHĤJĴSŜWŴYŶcĉgĝhĥjĵsŝwŵyŷ ^"},
    {XKB_KEY_dead_tilde, L"AÃNÑOÕaãnñoõIĨUŨiĩuũ ~"},
    {XKB_KEY_dead_diaeresis, L"AÄEËIÏOÖUÜYŸaäeëiïoöuüyÿ ¨"},
    {XKB_KEY_dead_abovering, L"AÅUŮaåuů"},
    {XKB_KEY_dead_doubleacute, L"OŐUŰoőuű"},
    {XKB_KEY_dead_caron, L"CČDĎEĚLĽNŇRŘSŠTŤZŽcčdďeělľnňrřsštťzž"},
    {XKB_KEY_dead_cedilla, L"CÇSŞTŢcçsştţ ¸"},
    {XKB_KEY_dead_ogonek, L"AĄEĘIĮUŲaąeęiįuų"},
    {XKB_KEY_dead_abovedot, L"IİZŻzżEĖeė"},
};

static void compose(struct keymap *k, const struct symbol *dead, wchar_t base, wchar_t out)
{
    const struct symbol *s = find(k, xkb_utf32_to_keysym((uint32_t)base));

    if (s && s->press.dead == 0)
        add(k, xkb_utf32_to_keysym((uint32_t)out),
            (struct key_press){s->press.code, s->press.with, dead->press.with, dead->press.code});
}

static void add_compositions(struct keymap *k)
{
    for (size_t i = 0; i < sizeof compositions / sizeof compositions[0]; i++) {
        const struct symbol *dead = find(k, compositions[i].dead);
        for (const wchar_t *p = compositions[i].pairs; dead && p[0] && p[1]; p += 2)
            compose(k, dead, p[0], p[1]);
    }
}

static bool fill(struct keymap *k, struct xkb_context *ctx)
{
    const struct xkb_rule_names rules = {.rules = "evdev", .model = "pc105", .layout = xkb_name(k->layout)};
    struct xkb_keymap *map = xkb_keymap_new_from_names(ctx, &rules, XKB_KEYMAP_COMPILE_NO_FLAGS);
    struct xkb_state *state = map ? xkb_state_new(map) : NULL;

    if (state) {
        for (unsigned with = 0; with <= (KEY_WITH_SHIFT | KEY_WITH_ALTGR); with++)
            add_level(k, map, state, (uint8_t)with);
        for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
            add(k, fixed[i].keysym, fixed[i].press);
        add_compositions(k);
    }
    xkb_state_unref(state);
    xkb_keymap_unref(map);
    return state != NULL;
}

static void say_nothing(struct xkb_context *ctx, enum xkb_log_level level, const char *format, va_list args)
{
    (void)ctx, (void)level, (void)format, (void)args; /* the caller's message names the layout */
}

static bool is_layout_name(const char *layout)
{
    return *layout && strlen(layout) < LAYOUT_BYTES &&
           layout[strspn(layout, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-()")] ==
               '\0';
}

struct keymap *keymap_create(const char *layout, struct err *e)
{
    struct xkb_context *ctx = xkb_context_new(XKB_CONTEXT_NO_ENVIRONMENT_NAMES);
    struct keymap *k = calloc(1, sizeof(*k));
    bool done = false;

    if (ctx && k && is_layout_name(layout)) {
        xkb_context_set_log_fn(ctx, say_nothing);
        memcpy(k->layout, layout, strlen(layout));
        done = fill(k, ctx);
    }
    xkb_context_unref(ctx);
    if (done)
        return k;
    free(k);
    err_set(e,
            "no keyboard layout '%.40s'; accepted: those of the package xkb-data, such as us, gb, de, fr or "
            "de(nodeadkeys), and QEMU's names for them (en-us)",
            layout);
    return NULL;
}

void keymap_destroy(struct keymap *k)
{
    free(k);
}

bool keys_from_keysym(const struct keymap *k, uint32_t keysym, struct key_press *p)
{
    const struct symbol *s = find(k, keysym);

    if (s)
        *p = s->press;
    return s != NULL;
}

/* --- text --- */

/* The character at `text` and its bytes; 0: no UTF-8. */
static unsigned utf8_char(const char *text, uint32_t *c)
{
    const uint8_t *b = (const uint8_t *)text;
    unsigned n = b[0] < 0x80                   ? 1
                 : b[0] >= 0xC2 && b[0] < 0xE0 ? 2
                 : (b[0] & 0xF0) == 0xE0       ? 3
                 : b[0] >= 0xF0 && b[0] < 0xF5 ? 4
                                               : 0;

    *c = n > 1 ? b[0] & (0x7F >> n) : b[0];
    for (unsigned i = 1; i < n; i++) {
        if ((b[i] & 0xC0) != 0x80)
            return 0;
        *c = *c << 6 | (b[i] & 0x3F);
    }
    return n;
}

static uint32_t keysym_of(uint32_t c)
{
    switch (c) {
    case '\n':
    case '\r':
        return XKB_KEY_Return;
    case '\t':
        return XKB_KEY_Tab;
    case '\b':
    case 0x7F:
        return XKB_KEY_BackSpace;
    case 0x1B:
        return XKB_KEY_Escape;
    default:
        return xkb_utf32_to_keysym(c);
    }
}

/* Control characters are letters with Ctrl. */
static bool press_of(const struct keymap *k, uint32_t c, struct key_press *p)
{
    if (keys_from_keysym(k, keysym_of(c), p))
        return true;
    if (c < 1 || c > 26 || !keys_from_keysym(k, 'a' + c - 1, p))
        return false;
    p->with |= KEY_WITH_CTRL;
    return true;
}

bool keys_from_text(const struct keymap *k, const char **text, struct key_press *p, struct err *e)
{
    uint32_t c;

    e->text[0] = '\0';
    if (**text == '\0')
        return false;
    unsigned n = utf8_char(*text, &c);
    if (n == 0)
        return err_set(e, "byte 0x%02x: the text is no UTF-8", (unsigned)(uint8_t) * *text);
    if (!press_of(k, c, p))
        return err_set(e, "no key of the layout %s makes '%.*s' (U+%04X)", k->layout, (int)n, *text,
                       (unsigned)c);
    *text += n;
    if (c == '\r' && **text == '\n')
        (*text)++; /* one line end, one key */
    return true;
}
