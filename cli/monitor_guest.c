/* monitor_guest.c - commands that give the guest input, and those that write about it. Input is stamped and
 * recorded where the machine takes it in, as all input is. */
#include "cli/monitor_internal.h"

#include "cli/keys.h"
#include "cli/screendump.h"
#include "machine/optvalue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- input --- */

static bool number(const char *text, long least, long most, long *value)
{
    char *end;
    *value = strtol(text, &end, 0);
    return *text && !*end && *value >= least && *value <= most;
}

void monitor_sendkey(struct monitor_call *call)
{
    struct key_chord chord;
    struct err e;
    long hold_ms = STEER_HOLD_MS;
    if (!keys_from_chord(call->word[1], &chord, &e))
        fprintf(call->out, "Error: %s\n", e.text);
    else if (call->nwords > 2 && !number(call->word[2], 1, 1000000, &hold_ms))
        fprintf(call->out, "Error: 1 to 1000000 milliseconds are accepted\n");
    else if (!steer_press(call->steer, chord.code, chord.n, (uint64_t)hold_ms))
        fprintf(call->out, "Error: too many keys wait already\n");
}

static bool press_all(struct machine *m, const struct key_chord *c)
{
    bool ok = true;
    for (uint32_t i = 0; i < c->n; i++)
        ok = ok && machine_key(m, (struct port_key){.code = c->code[i], .down = true});
    for (uint32_t i = c->n; i-- > 0;)
        ok = machine_key(m, (struct port_key){.code = c->code[i], .down = false}) && ok;
    return ok;
}

/* \n, \t and \\ in place; the words of a monitor have no other way to say a line end. */
static void unescape(char *text)
{
    char *to = text;
    for (; *text; text++) {
        const bool escaped = text[0] == '\\' && text[1] && strchr("nt\\", text[1]);
        text += escaped;
        *to++ = !escaped ? *text : *text == 'n' ? '\n' : *text == 't' ? '\t' : '\\';
    }
    *to = '\0';
}

/* The machine takes the keys as fast as the guest reads them (docs/decisions.md, "Keys in virtual time"). */
static void type_text(struct monitor_call *call, const struct keymap *map, const char *text)
{
    struct machine *m = call->steer->machine;
    struct key_press p;
    struct err e;
    for (const char *at = text; keys_from_text(map, &at, &p, &e); text = at) {
        const struct key_chord dead = keys_of_dead(p), chord = keys_of_press(p);
        if (press_all(m, &dead) && press_all(m, &chord))
            continue;
        fprintf(call->out, "Error: too many keys wait already; not typed: %s\n", text);
        return;
    }
    if (e.text[0])
        fprintf(call->out, "Error: %s\n", e.text);
}

void monitor_paste(struct monitor_call *call)
{
    const char *layout = call->steer->o->keyboard_layout;
    struct err e;
    struct keymap *map = keymap_create(layout ? layout : "us", &e);
    char *text = strdup(call->rest);
    if (map && text) {
        unescape(text);
        type_text(call, map, text);
    } else {
        fprintf(call->out, "Error: %s\n", map ? "no host memory" : e.text);
    }
    free(text);
    keymap_destroy(map);
}

static void point(struct monitor_call *call, struct port_motion m)
{
    m.buttons = call->steer->mouse_buttons;
    if (!machine_pointer(call->steer->machine, m))
        fprintf(call->out, "Error: there is no mouse, or it has had too much already\n");
}

void monitor_mouse_move(struct monitor_call *call)
{
    long dx, dy, dz = 0;
    if (!number(call->word[1], INT16_MIN, INT16_MAX, &dx) ||
        !number(call->word[2], INT16_MIN, INT16_MAX, &dy) ||
        (call->nwords > 3 && !number(call->word[3], INT8_MIN, INT8_MAX, &dz))) {
        fprintf(call->out,
                "Error: accepted: -32768 to 32767 to the right and down, -128 to 127 of the wheel\n");
        return;
    }
    point(call, (struct port_motion){.dx = (int16_t)dx, .dy = (int16_t)dy, .dz = (int8_t)dz});
}

void monitor_mouse_button(struct monitor_call *call)
{
    long buttons;
    if (!number(call->word[1], 0, 7, &buttons)) {
        fprintf(call->out, "Error: accepted: a sum of 1 (left), 2 (right) and 4 (middle), 0 for none\n");
        return;
    }
    call->steer->mouse_buttons = (uint8_t)buttons;
    point(call, (struct port_motion){0});
}

/* --- output --- */

void monitor_screendump(struct monitor_call *call)
{
    struct err e;
    if (!screendump_write(call->steer->machine, call->word[1], SCREENDUMP_BY_NAME, &e))
        fprintf(call->out, "Error: screendump %s\n", e.text);
}

void monitor_digest(struct monitor_call *call)
{
    char hex[DIGEST_HEX];
    machine_state_hex(call->steer->machine, hex);
    fprintf(call->out, "tick %" PRIu64 " digest %s\n", machine_tick(call->steer->machine), hex);
}

void monitor_log(struct monitor_call *call)
{
    unsigned items = 0;
    if (strcmp(call->word[1], "none") != 0 && log_items_parse(call->word[1], &items, NULL)) {
        fprintf(call->out, "Error: log %s: none, or a list of " LOG_ITEMS_ACCEPTED " is accepted\n",
                call->word[1]);
        return;
    }
    machine_set_log(call->steer->machine, items);
}
