/* inputqueue.h - keys, motions, buttons and wishes for trays that wait to enter the machine, as a back end
 * (backend.h).
 *
 * Whoever has a keyboard, a mouse or a monitor in front of it puts entries in; the device side takes them at
 * its steps, one a step, in order, and gives each its stamp there.
 * Threads: inputqueue_put by any thread; the back end by the holder of the baton. The lock is hostio's.
 * Memory: no allocation after create. Full: the entry is refused, as a keyboard's buffer refuses it. */
#ifndef TANDEM_DEVTHREAD_INPUTQUEUE_H
#define TANDEM_DEVTHREAD_INPUTQUEUE_H

#include "devthread/backend.h"
#include "devthread/hostio.h"
#include "hw/port.h"

#define INPUTQUEUE_ENTRIES 1024 /* of small entries: port.h */

struct inputqueue;

/* Room for `entries` of at most `bytes`. NULL: no memory. The hostio outlives it. open: more may come, so
 * that a guest that halts for good is waited for. */
struct inputqueue *inputqueue_create(struct hostio *hostio, bool open, uint32_t entries, uint32_t bytes);
void inputqueue_destroy(struct inputqueue *q); /* NULL is fine */
/* An entry of 1 byte at least. False: there is no room. */
bool inputqueue_put(struct inputqueue *q, const uint8_t *entry, uint32_t bytes);
/* Its ctx is a struct inputqueue. */
extern const struct backend_class inputqueue_backend;

#endif
