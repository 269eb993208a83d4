/* medium_internal.h - how medium.c opens each kind of medium. */
#ifndef TANDEM_DEVTHREAD_MEDIUM_INTERNAL_H
#define TANDEM_DEVTHREAD_MEDIUM_INTERNAL_H

#include "devthread/medium.h"

/* An image file that is open already; fd belongs to the medium, on failure too. `guard`: its first sector
 * never becomes that of another format (medium_raw.c). */
struct medium *medium_raw_open(const struct medium_config *cfg, int fd, bool guard, char *err,
                               size_t err_bytes);

/* A file in another format, through a qemu-nbd child. `alone`: as in struct medium. */
struct medium *medium_nbd_open_file(const struct medium_config *cfg, const char *format, bool alone,
                                    char *err, size_t err_bytes);
/* A block server: cfg->file is its URL. */
struct medium *medium_nbd_open_url(const struct medium_config *cfg, char *err, size_t err_bytes);

/* Locks an open image against a second writer, until it is closed. 0; EAGAIN: somebody else has it; or
 * another errno: the file system knows no locks. */
int medium_lock(int fd, bool read_only);

#endif
