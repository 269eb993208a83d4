/* guest_view.h - guest memory as the readers of kernel structures see it: linear addresses through the page
 * tables of one CR3, nothing changed by looking. In a run it is vcpu_peek; tests give an array. */
#ifndef TANDEM_OBSERVE_GUEST_VIEW_H
#define TANDEM_OBSERVE_GUEST_VIEW_H

#include "machine/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_view {
    const void *ctx;
    /* Returns how many of the bytes could be read before one that is not mapped. */
    size_t (*peek)(const void *ctx, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes);
};

static inline bool view_read(const struct guest_view *g, uint32_t cr3, uint32_t lin_addr, void *to,
                             size_t bytes)
{
    return g->peek(g->ctx, cr3, lin_addr, to, bytes) == bytes;
}

static inline bool view_read32(const struct guest_view *g, uint32_t cr3, uint32_t lin_addr, uint32_t *to)
{
    uint8_t raw[4];
    bool ok = view_read(g, cr3, lin_addr, raw, sizeof raw);
    *to = ok ? le32(raw) : 0;
    return ok;
}

#endif
