/* blocks.h - the media of a machine's drives as back ends (backend.h): requests on their way, and the threads
 * that do their host I/O.
 *
 * A request that starts becomes a job for the threads at once (a short read of what is in the host's page
 * cache is done instead), unless one that started before it and touches the same bytes is still on its way:
 * then it waits for that. So jobs that overlap never run together, and those of one sector run in the order
 * in which they started. What a read has found is void when a write of its sectors starts later: it reads
 * again at its finish. A flush begins when the writes before it are done.
 *
 * Of a block server more is read ahead where a drive reads one block behind the other and has one read on its
 * way at a time: pieces, which the reads that come then take their bytes from. A write makes a piece void, an
 * error drops it.
 *
 * A drive has BLOCKS_PENDING_MAX requests and BLOCKS_PENDING_BYTES of their data at most on their way. Beyond
 * that the oldest read is forgotten (its start is only a hint), and if there is none the guest waits for the
 * host.
 *
 * A request that fails and may be tried again (blocks_on_error) is simply late: its thread tries once a
 * second, and at once when blocks_retry says so, until it succeeds, or until blocks_end_soon: the guest waits
 * for it as for any late host, and sees nothing.
 *
 * A medium can be changed. What was on its way to the old one is done first; nobody will finish it.
 *
 * Threads: blocks_create and _destroy alone, blocks_add before the machine runs; the others and the back end
 * by the holder of the baton. Media are used by the threads that this starts. */
#ifndef TANDEM_DEVTHREAD_BLOCKS_H
#define TANDEM_DEVTHREAD_BLOCKS_H

#include "devthread/backend.h"
#include "devthread/medium.h"

#define BLOCKS_DRIVES_MAX    16
#define BLOCKS_PENDING_MAX   256
#define BLOCKS_PENDING_BYTES (32u << 20)

/* A request that the host could not carry out. */
struct blocks_error {
    const char *drive; /* blocks_set_label; "" if it has none */
    bool write;        /* reads and all others */
    bool waits;        /* it is tried again, and the guest waits; else the guest is told, or not (enum
                          backend_error) */
    bool first;        /* of those that the guest waits for */
    bool ignored, no_space;
    const char *reason;
};

struct blocks_config {
    unsigned workers;      /* 1..POOL_WORKERS_MAX */
    uint32_t spin;         /* before the guest sleeps for a late host (pool.h) */
    uint64_t delay_seed;   /* test: some requests take the host 0 to 50 ms longer; 0: none */
    uint64_t delay_one_in; /* of so many requests one does, at random; 0: 2 */
    void (*notice)(void *ctx, const char *line); /* for the user, no newline; NULL: dropped */
    void *notice_ctx;
    void (*error)(void *ctx, const struct blocks_error *e); /* any thread; NULL: nobody wants to know */
    void *error_ctx;
};

struct blocks_stats {
    uint64_t reads, writes, flushes, discards;
    uint64_t read_bytes, written_bytes;
    uint64_t late, late_ns; /* finishes for which the guest waited for the host, and how long */
    uint64_t at_once;       /* reads that were in the host's memory */
    uint64_t again;         /* reads that were done again for a write that came later */
    uint64_t errors;        /* requests that the host could not carry out */
};

struct blocks;
struct blocks_drive;

/* NULL with errno. */
struct blocks *blocks_create(const struct blocks_config *cfg);
/* The run is to end: what fails is not tried again. Any thread, async-signal-safe; NULL is fine. */
void blocks_end_soon(struct blocks *b);
/* Waits for what is on its way, closes the media. NULL is fine. */
void blocks_destroy(struct blocks *b);
/* A drive with this medium, which is its from now on. `name` ("-hda disk.img", copied) heads messages.
 * private_copy: what is written stays in an overlay (overlay.h). NULL with errno: the medium is closed. */
struct blocks_drive *blocks_add(struct blocks *b, struct medium *m, const char *name, bool private_copy);
/* What becomes of errors, enum backend_error: here only whether a request is tried again. Before the machine
 * runs. */
void blocks_on_error(struct blocks_drive *d, enum backend_error read, enum backend_error write);
/* Its ctx is a struct blocks_drive. */
extern const struct backend_class blocks_backend;

/* --- media that are changed --- */
struct blocks_medium;

/* As of blocks_add; for blocks_change. Any thread. */
struct blocks_medium *blocks_medium_create(struct medium *m, const char *name, bool private_copy);
void blocks_medium_destroy(struct blocks_medium *m); /* NULL is fine */
/* A drive without a medium. NULL with errno. */
struct blocks_drive *blocks_add_empty(struct blocks *b, const char *name);
/* The drive has this medium from now on, which is its own; NULL: none. By the holder of the baton, between
 * the calls of the back end. */
void blocks_change(struct blocks_drive *d, struct blocks_medium *m);
/* What the drive has; NULL: none. While the machine stands. */
struct medium *blocks_medium_of(const struct blocks_drive *d);

/* --- errors --- */
/* Its name in struct blocks_error; borrowed. Before the machine runs. */
void blocks_set_label(struct blocks_drive *d, const char *label);
/* Requests that the host failed, and that are tried again? Any thread; NULL: no. */
bool blocks_waits(struct blocks *b);
/* They are tried again now. Any thread; NULL is fine. */
void blocks_retry(struct blocks *b);

struct blocks_drive_stats {
    uint64_t reads, writes, flushes, discards, read_bytes, written_bytes, failed_reads, failed_writes;
    uint64_t written_end; /* behind the last byte that was written */
};
/* While the machine stands. */
void blocks_get_drive_stats(const struct blocks_drive *d, struct blocks_drive_stats *out);

/* --- what was written to a private copy; while the machine stands --- */
#define BLOCKS_RUN_BYTES 65536u

struct blocks_run {
    uint64_t offset;
    uint32_t bytes; /* at most BLOCKS_RUN_BYTES, whole sectors; 0: no more */
    bool bad;       /* it could not be written, so it has no data */
};

bool blocks_is_private(const struct blocks_drive *d);
/* The next run from the offset `from` on, and its data, BLOCKS_RUN_BYTES of room. What has been started
 * counts, whether it is done or not. 0 or an errno. */
int blocks_saved(struct blocks_drive *d, uint64_t from, uint8_t *data, struct blocks_run *run);
/* A run of a snapshot, in a drive to which nothing was written yet. 0 or an errno; EINVAL: no such place. */
int blocks_load(struct blocks_drive *d, const struct blocks_run *run, const uint8_t *data);

/* Around a load into a machine that has run: nothing is on its way any more, and a private copy is as if
 * nothing had been written to it; what had been is kept aside. 0 or an errno: then nothing has changed. */
int blocks_set_aside(struct blocks_drive *d);
/* Then one of the two: what was set aside is there again, or it is gone. */
void blocks_take_back(struct blocks_drive *d);
void blocks_drop_aside(struct blocks_drive *d);

void blocks_get_stats(const struct blocks *b, struct blocks_stats *out);
/* What the threads are doing. NULL: i is past the last. */
struct activity *blocks_activity(struct blocks *b, unsigned i);

#endif
