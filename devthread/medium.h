/* medium.h - what lies behind a drive on the host: a raw image file or a block server, as bytes that are read
 * and written.
 *
 * The functions of a medium wait for the host. Threads: open and close alone; the others by any thread,
 * several at once, but none over bytes that another one is changing: who calls them keeps order (blocks.h).
 * Errors: open returns NULL and one line in err that names the option and the file; the others 0 or an errno.
 */
#ifndef TANDEM_DEVTHREAD_MEDIUM_H
#define TANDEM_DEVTHREAD_MEDIUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEDIUM_SECTOR      512u
#define MEDIUM_BYTES_MAX   (UINT64_C(1) << 57) /* 48-bit sector numbers, as LBA48 has */
#define MEDIUM_PROBE_BYTES 512                 /* from the beginning: what medium_probe looks at */

/* How hard a write is made safe (-drive cache=). */
enum medium_cache {
    MEDIUM_WRITEBACK,    /* by a flush */
    MEDIUM_WRITETHROUGH, /* at once */
    MEDIUM_UNSAFE,       /* never: flushes are ignored */
};

struct medium_config {
    const char *option; /* "-hda": heads messages */
    const char *file;   /* a path, or a URL of a block server */
    const char *format; /* "raw", "qcow2" ...; NULL: by content */
    uint32_t sector;    /* the size is padded to a multiple of it: 512, of a CD 2048 */
    bool read_only;     /* open it for reading alone */
    bool unmap;         /* a discard gives the host's space back; else the space stays allocated */
    uint8_t cache;      /* enum medium_cache */
    void (*notice)(void *ctx, const char *line); /* for the user, no newline; NULL: dropped */
    void *notice_ctx;
};

struct medium {
    const struct medium_class *class;
    uint64_t bytes;     /* whole sectors */
    bool read_only;     /* it takes no writes */
    bool alone;         /* all that it holds is in the one file that was named */
    const char *format; /* "raw", "qcow2" */
};

struct medium_class {
    int (*read)(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes);
    int (*write)(struct medium *m, uint64_t offset, const uint8_t *from, uint32_t bytes);
    int (*flush)(struct medium *m); /* what was written is safe from a loss of power */
    int (*zero)(struct medium *m, uint64_t offset,
                uint64_t bytes); /* a discard: reads as zeroes from now on */
    /* As read, if the host has the bytes in memory; else EAGAIN, at once. By the holder of the baton alone.
     * NULL: it never has. */
    int (*read_now)(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes);
    /* The next offset from there on that may be other than zero; NULL: it does not know. */
    uint64_t (*next_data)(struct medium *m, uint64_t offset);
    void (*close)(struct medium *m);
};

struct medium *medium_open(const struct medium_config *cfg, char *err, size_t err_bytes);
/* NULL is fine. */
void medium_close(struct medium *m);

/* As of the class, but EIO for what is not wholly on the medium, and EROFS for writes where it takes none. */
int medium_read(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes);
int medium_read_now(struct medium *m, uint64_t offset, uint8_t *to, uint32_t bytes);
int medium_write(struct medium *m, uint64_t offset, const uint8_t *from, uint32_t bytes);
int medium_zero(struct medium *m, uint64_t offset, uint64_t bytes);
int medium_flush(struct medium *m);
uint64_t medium_next_data(struct medium *m, uint64_t offset);

/* Of a file: pread that takes only what is in the page cache, all or nothing (EAGAIN). */
int medium_pread_now(int fd, uint64_t offset, uint8_t *to, uint32_t bytes);

/* Format of an image by its first bytes (as many as there are, at most MEDIUM_PROBE_BYTES), in QEMU's words;
 * "raw" if none is known. */
const char *medium_probe(const uint8_t *head, size_t bytes);

#endif
