/* medium_nbd_none.c - what stands in for medium_nbd.c where Tandem was built without libnbd. */
#include "devthread/medium_internal.h"

#include <stdio.h>

struct medium *medium_nbd_open_file(const struct medium_config *cfg, const char *format, bool alone,
                                    char *err, size_t err_bytes)
{
    snprintf(
        err, err_bytes,
        "%s %.300s: format %s needs libnbd, which this build of Tandem has not (libnbd-dev when it is built, "
        "and qemu-utils); raw is accepted",
        cfg->option, cfg->file, format);
    return NULL;
}

struct medium *medium_nbd_open_url(const struct medium_config *cfg, char *err, size_t err_bytes)
{
    snprintf(
        err, err_bytes,
        "%s %.300s: a block server needs libnbd, which this build of Tandem has not (libnbd-dev when it is "
        "built); a file is accepted",
        cfg->option, cfg->file);
    return NULL;
}
