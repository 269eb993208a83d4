/* keys.h - which key is meant: by its name, by the symbol that it makes, or by text to be typed.
 *
 * Keys are the codes of hw/i8042.h. Names are QEMU's: those of the monitor's sendkey and of QMP's send-key
 * (QKeyCode), and numbers ("0x1e": the code in hexadecimal). A keymap says which symbols the keys make under
 * a layout of the X keyboard extension ("us", "de", "fr(oss)"); libxkbcommon reads it.
 * Threads: any; a keymap does not change once it is made. Memory: keymap_create allocates, nothing else.
 * Errors: a message that names the key, the character or the layout, and what is accepted. */
#ifndef TANDEM_CLI_KEYS_H
#define TANDEM_CLI_KEYS_H

#include "machine/err.h"

#include <stdbool.h>
#include <stdint.h>

#define KEYS_CHORD_MAX 16 /* as many keys does sendkey take */

/* Keys that go down in this order and up in the other. */
struct key_chord {
    uint16_t code[KEYS_CHORD_MAX];
    uint32_t n;
};

enum key_with { KEY_WITH_SHIFT = 1, KEY_WITH_ALTGR = 2, KEY_WITH_CTRL = 4 };

/* A key, and what is held down meanwhile so that it makes the symbol: bits of enum key_with. For a symbol
 * that the layout makes of two keys, a dead one is pressed before it (for e with acute on a German keyboard).
 */
struct key_press {
    uint16_t code;
    uint8_t with;
    uint8_t dead_with;
    uint16_t dead; /* 0: none */
};

/* "ret", "kp_enter", "shift_r", "0x1e". False: no key is called so. */
bool keys_from_name(const char *name, uint16_t *code);
/* Names joined by "-": "ctrl-alt-delete". */
bool keys_from_chord(const char *chord, struct key_chord *c, struct err *e);
/* The names one by one, for completion; NULL behind the last. */
const char *keys_name(uint32_t i);
/* The keys of one press with its modifiers, to go down in this order and up in the other; without the dead
 * key, which keys_of_dead has. */
struct key_chord keys_of_press(struct key_press p);
struct key_chord keys_of_dead(struct key_press p); /* n 0: none */

struct keymap;

/* NULL and a message: no such layout. */
struct keymap *keymap_create(const char *layout, struct err *e);
void keymap_destroy(struct keymap *k); /* NULL is fine */
/* An X keysym (VNC's, curses' by a table of its own). False: no key of the layout makes it. */
bool keys_from_keysym(const struct keymap *k, uint32_t keysym, struct key_press *p);
/* Does the symbol stand for a character, so that it says by itself whether Shift and AltGr are meant? */
bool keysym_is_character(uint32_t keysym);
/* The next character of a UTF-8 text, to be typed; *text moves behind it. False at the end (then e->text is
 * empty) and at a character that no key makes, or that is no UTF-8. */
bool keys_from_text(const struct keymap *k, const char **text, struct key_press *p, struct err *e);

#endif
