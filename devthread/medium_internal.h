/* medium_internal.h - how medium.c opens each kind of medium. */
#ifndef TANDEM_DEVTHREAD_MEDIUM_INTERNAL_H
#define TANDEM_DEVTHREAD_MEDIUM_INTERNAL_H

#include "devthread/medium.h"

/* An image file that is open already; fd belongs to the medium, on failure too. `guard`: its first sector
 * never becomes that of another format (medium_raw.c). */
struct medium *medium_raw_open(const struct medium_config *cfg, int fd, bool guard, char *err,
                               size_t err_bytes);

#endif
