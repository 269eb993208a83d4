/* displaykeys.c - see displaykeys.h. */
#include "cli/displaykeys.h"

#include "hw/i8042.h"

#define LEFT_SHIFT  0x2A /* codes of hw/i8042.h */
#define RIGHT_SHIFT 0x36
#define ALTGR       (I8042_KEY_E0 | 0x38)
#define LEFT_ALT    0x38
#define X_ALT_R     0xFFEA /* keysyms: X11 protocol, appendix A */
#define X_CAPS_LOCK 0xFFE5
#define STEP_MAX    255 /* of one motion: PS/2 has 9 bits */

static void send(struct display_keys *k, uint16_t code, bool down)
{
    machine_key(k->machine, (struct port_key){.code = code, .down = down});
}

static bool is_held(const struct display_keys *k, uint16_t code)
{
    for (unsigned i = 0; i < k->nheld; i++)
        if (k->held[i].code == code)
            return true;
    return false;
}

static void release(struct display_keys *k, unsigned i)
{
    send(k, k->held[i].code, false);
    k->held[i] = k->held[--k->nheld];
}

/* The key that went down with this symbol; a letter's other case is the same key. */
static void release_keysym(struct display_keys *k, uint32_t keysym, uint16_t code)
{
    for (unsigned i = k->nheld; i-- > 0;)
        if (k->held[i].keysym == keysym || k->held[i].code == code)
            release(k, i);
}

/* What is held down for the symbol, but for what is down already. */
static uint8_t missing(const struct display_keys *k, uint8_t with)
{
    if (is_held(k, LEFT_SHIFT) || is_held(k, RIGHT_SHIFT))
        with &= (uint8_t)~KEY_WITH_SHIFT;
    if (is_held(k, ALTGR))
        with &= (uint8_t)~KEY_WITH_ALTGR;
    return with;
}

/* Does held key `i` make another character of one that wants `with`? The viewer's keyboard may need Shift or
 * AltGr where the guest's does not. Alt_R is no AltGr: whoever holds that means Alt. */
static bool is_in_the_way(const struct display_keys *k, unsigned i, uint8_t with)
{
    const uint16_t code = k->held[i].code;
    if (code == LEFT_SHIFT || code == RIGHT_SHIFT)
        return !(with & KEY_WITH_SHIFT);
    return code == ALTGR && k->held[i].keysym != X_ALT_R && !(with & KEY_WITH_ALTGR);
}

/* All that is in the way goes up, or down again; how much that is. */
static unsigned set_aside(struct display_keys *k, uint8_t with, bool down)
{
    unsigned n = 0;
    for (unsigned i = 0; i < k->nheld; i++)
        if (is_in_the_way(k, i, with)) {
            send(k, k->held[i].code, down);
            n++;
        }
    return n;
}

/* The key goes down, with what it needs around it. False: it is up again already, since it would repeat
 * without what it needs. */
static bool stroke(struct display_keys *k, uint16_t code, uint8_t with, bool is_character)
{
    const struct key_chord c = keys_of_press((struct key_press){.code = code, .with = missing(k, with)});
    const unsigned aside = is_character ? set_aside(k, with, false) : 0;
    const bool stays = c.n == 1 && aside == 0;
    for (unsigned i = 0; i < c.n; i++)
        send(k, c.code[i], true);
    for (unsigned i = c.n - stays; i-- > 0;)
        send(k, c.code[i], false);
    if (aside)
        set_aside(k, with, true);
    return stays;
}

/* Whoever sends 'A' without Shift (programs do) means it all the same. A key that is held goes down once
 * more: it repeats. */
static void press(struct display_keys *k, uint32_t keysym, const struct key_press *p)
{
    const bool held = is_held(k, p->code), is_character = keysym_is_character(keysym);
    if (k->nheld == DISPLAY_HELD_MAX && !held)
        return;
    if (p->dead && stroke(k, p->dead, p->dead_with, true))
        send(k, p->dead, false);
    if (!stroke(k, p->code, p->with, is_character) || held)
        return;
    k->held[k->nheld].keysym = keysym;
    k->held[k->nheld++].code = p->code;
}

void display_key(struct display_keys *k, uint32_t keysym, bool down)
{
    struct key_press p;
    if (keysym == X_CAPS_LOCK || !keys_from_keysym(k->map, keysym, &p))
        return;
    if (down)
        press(k, keysym, &p);
    else
        release_keysym(k, keysym, p.code);
}

static void tap(struct display_keys *k, struct key_chord c)
{
    for (unsigned i = 0; i < c.n; i++)
        send(k, c.code[i], true);
    for (unsigned i = c.n; i-- > 0;)
        send(k, c.code[i], false);
}

void display_key_tap(struct display_keys *k, uint32_t keysym, bool ctrl, bool alt)
{
    struct key_press p;
    if (!keys_from_keysym(k->map, keysym, &p))
        return;
    p.with |= ctrl ? KEY_WITH_CTRL : 0;
    tap(k, keys_of_dead(p));
    if (alt)
        send(k, LEFT_ALT, true);
    tap(k, keys_of_press(p));
    if (alt)
        send(k, LEFT_ALT, false);
}

void display_keys_release(struct display_keys *k)
{
    while (k->nheld)
        release(k, k->nheld - 1);
}

/* --- the pointer --- */

static int step_of(int distance)
{
    return distance > STEP_MAX ? STEP_MAX : distance < -STEP_MAX ? -STEP_MAX : distance;
}

static void move(struct display_keys *k, int dx, int dy, int dz, unsigned buttons)
{
    do {
        const int x = step_of(dx), y = step_of(dy);
        machine_pointer(k->machine, (struct port_motion){.dx = (int16_t)x,
                                                         .dy = (int16_t)y,
                                                         .dz = (int8_t)dz,
                                                         .buttons = (uint8_t)buttons});
        dx -= x;
        dy -= y;
        dz = 0;
    } while (dx || dy);
}

static unsigned to_port_buttons(unsigned b)
{
    return (b & 1) | (b & 4) >> 1 | (b & 2) << 1;
}

void display_pointer(struct display_keys *k, int x, int y, unsigned buttons)
{
    const unsigned pressed = buttons & ~(unsigned)k->buttons;
    const int dz = !!(pressed & DISPLAY_WHEEL_DOWN) - !!(pressed & DISPLAY_WHEEL_UP);
    const int dx = k->placed ? x - k->x : 0, dy = k->placed ? y - k->y : 0;
    const bool same = to_port_buttons(buttons) == to_port_buttons(k->buttons);
    k->placed = true;
    k->x = x;
    k->y = y;
    k->buttons = (uint8_t)buttons;
    if (dx || dy || dz || !same)
        move(k, dx, dy, dz, to_port_buttons(buttons));
}

void display_pointer_lost(struct display_keys *k)
{
    if (to_port_buttons(k->buttons))
        move(k, 0, 0, 0, 0);
    k->buttons = 0;
    k->placed = false;
}
