/* hostio.h - the host I/O event loop: file descriptors of the back ends, waits and wake-ups.
 *
 * Two waits exist, by role: HOSTIO_SERVICE (link_ops.host_io: a thread with nothing else to do looks after
 * the back ends) and HOSTIO_IDLE (link_ops.idle: a halted vCPU waits for input). In adaptive mode
 * both may go on at once, on two threads. Each role has an epoll set and an eventfd of its own; the
 * sets hold the same sources, and one lock covers the sources, their handlers and whatever the
 * handlers touch. So a handler runs on one thread at a time, whoever found its descriptor ready.
 *
 * Wake-ups carry no data and are sticky: one that comes before the wait ends the wait at once.
 * Threads: create and destroy alone; hostio_wake any thread and signal handlers; the rest any thread.
 * Memory: a source belongs to its back end and must outlive its registration; no allocation after create.
 * Errors: hostio_add returns false with errno. Bound: HOSTIO_SOURCES_MAX sources. */
#ifndef TANDEM_DEVTHREAD_HOSTIO_H
#define TANDEM_DEVTHREAD_HOSTIO_H

#include <stdbool.h>
#include <stdint.h>

#define HOSTIO_SOURCES_MAX 32
#define HOSTIO_FOREVER     UINT64_MAX
#define HOSTIO_POLL_NS     1000000 /* hostio_poll looks at the host at most this often */

enum hostio_role { HOSTIO_SERVICE, HOSTIO_IDLE, HOSTIO_ROLES };

struct hostio;

struct hostio_source {
    int fd;                                    /* set before hostio_add */
    uint32_t events;                           /* EPOLLIN | EPOLLOUT that are waited for; 0: none */
    void (*ready)(void *ctx, uint32_t events); /* under the lock */
    void *ctx;
    bool registered; /* hostio's */
    bool always;     /* hostio's: a plain file, which is always ready */
};

/* NULL with errno. */
struct hostio *hostio_create(void);
void hostio_destroy(struct hostio *h);

void hostio_lock(struct hostio *h);
void hostio_unlock(struct hostio *h);

/* --- with the lock held --- */
bool hostio_add(struct hostio *h, struct hostio_source *s);
void hostio_set_events(struct hostio *h, struct hostio_source *s, uint32_t events);
/* The descriptor stays open: closing it is the caller's business, afterwards. */
void hostio_remove(struct hostio *h, struct hostio_source *s);
/* Something for the device side has come in: ends the idle wait. */
void hostio_input_arrived(struct hostio *h);
/* A back end has more to read than it took, or room again: the next hostio_poll looks at once. */
void hostio_poll_soon(struct hostio *h);

/* --- without it --- */
/* Runs the handlers of ready sources; waits up to timeout_ns of host time for one, or for a wake-up.
 * True: a wake-up was taken. */
bool hostio_wait(struct hostio *h, enum hostio_role role, uint64_t timeout_ns);
/* hostio_wait(service, 0), but at most once in HOSTIO_POLL_NS: for callers in a hot loop. */
void hostio_poll(struct hostio *h);
/* Ends one wait of each role, or the next one. Async-signal-safe. */
void hostio_wake(struct hostio *h);

#endif
