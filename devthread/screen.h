/* screen.h - pictures for a display: a copy of a chip's state and of the video memory that it shows.
 *
 *     the display's thread                     the holder of the baton, where the vCPU stands
 *     screen_ask(s);                           screen_serve(s, ...): copies what has changed
 *     if (screen_take(s, &picture)) draw it
 *
 * There is one copy, and it goes to and fro (syncq/handover.h). A step copies the pages that were written
 * since the last copy (dirty log MEM_LOG_SCREEN) and that the picture depends on; the others stay dirty, so
 * that writes to them cost nothing. A picture is also given where the vCPU is halted or the machine stands,
 * at the tick where it is. Drawing is the display's business. Nothing of the guest's state changes by it.
 *
 * Memory: allocated at creation, as large as the video memory; the host allocates what is touched. */
#ifndef TANDEM_DEVTHREAD_SCREEN_H
#define TANDEM_DEVTHREAD_SCREEN_H

#include "devthread/hostio.h"
#include "hw/board.h"
#include "mem/physmem.h"

#include <stdbool.h>
#include <stdint.h>

struct screen;

/* Until the next screen_ask. */
struct screen_picture {
    const void *state;     /* of the chip */
    const uint8_t *memory; /* video memory from its start; only what the picture depends on is right */
    uint64_t now_ns;       /* virtual time */
    bool changed;          /* state or memory differ from those of the picture before */
};

/* A display looks at the typed port `port` (PORT_PIXELS with `ranges`). NULL: no memory, or nothing is there
 * to be seen. The memory's dirty log is started. All of these outlive it. */
struct screen *screen_create(const struct board *b, unsigned port, struct physmem *pm, struct hostio *hostio);
void screen_destroy(struct screen *s); /* NULL is fine */

/* --- the display's thread --- */
/* Wants a fresh picture. Until it is there, a display may not ask again. */
void screen_ask(struct screen *s);
/* False: the picture that was asked for is not there yet. */
bool screen_take(struct screen *s, struct screen_picture *p);

/* --- the holder of the baton, while the vCPU stands; NULL is fine --- */
bool screen_asked(const struct screen *s);
/* state: the board's. Copies, if it was asked for. */
void screen_serve(struct screen *s, const void *state, uint64_t now_ns);

#endif
