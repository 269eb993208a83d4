/* drive.c - see drive.h. */
#include "hw/drive.h"

static uint64_t work_ns(const struct drive_clock *c, const struct blocks_request *r)
{
    uint64_t access_ns = r->offset == c->next ? 0 : DRIVE_ACCESS_NS;

    switch (r->op) {
    case BLOCKS_READ:
        return access_ns + DRIVE_READ_NS(r->bytes);
    case BLOCKS_WRITE:
        return access_ns + DRIVE_WRITE_NS(r->bytes);
    default: /* its contents do not pass */
        return DRIVE_ACCESS_NS;
    }
}

uint64_t drive_request(struct drive_clock *c, const struct blocks_request *r, uint64_t now_ns)
{
    c->free_ns = (c->free_ns > now_ns ? c->free_ns : now_ns) + work_ns(c, r);
    if (r->op == BLOCKS_READ || r->op == BLOCKS_WRITE)
        c->next = r->offset + r->bytes;
    return c->free_ns;
}
