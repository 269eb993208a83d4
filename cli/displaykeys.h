/* displaykeys.h - what is typed and pointed at in front of a display, on its way to the machine.
 *
 * Keys come as X keysyms (VNC's; a character below 100h is its own keysym). A display holds what is down, so
 * that nothing stays down when the one who typed goes away. The guest has a relative pointer (PS/2) alone:
 * places become motions. Threads: the display's. Full: what the machine has no room for is dropped, as a
 * keyboard does. */
#ifndef TANDEM_CLI_DISPLAYKEYS_H
#define TANDEM_CLI_DISPLAYKEYS_H

#include "cli/keys.h"
#include "machine/machine.h"

#define DISPLAY_HELD_MAX 32

struct display_keys {
    struct machine *machine;
    const struct keymap *map;
    unsigned nheld;
    struct {
        uint32_t keysym;
        uint16_t code;
    } held[DISPLAY_HELD_MAX];
    bool placed; /* x and y are known */
    int x, y;
    uint8_t buttons;
};

enum display_button { DISPLAY_WHEEL_UP = 8, DISPLAY_WHEEL_DOWN = 16 };

/* A key goes down or up. What no key of the layout makes is nothing, and so is Caps Lock: the symbols say
 * already what it does, and a guest that had it on would turn them over once more. */
void display_key(struct display_keys *k, uint32_t keysym, bool down);
/* A key with all that it needs, and with Ctrl or Alt, down and up. */
void display_key_tap(struct display_keys *k, uint32_t keysym, bool ctrl, bool alt);
void display_keys_release(struct display_keys *k);
/* A place, and what is down there: bit 0 left, 1 middle, 2 right, enum display_button. */
void display_pointer(struct display_keys *k, int x, int y, unsigned buttons);
/* The next place is where another pointer begins. */
void display_pointer_lost(struct display_keys *k);

#endif
