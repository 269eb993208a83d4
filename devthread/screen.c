/* screen.c - see screen.h. */
#include "devthread/screen.h"

#include "mem/watch.h"
#include "syncq/handover.h"

#include <stdlib.h>
#include <string.h>

struct screen {
    /* --- constant --- */
    const struct port_pixels *pixels;
    uint32_t state_offset; /* where the chip's state is in the board's */
    struct physmem *pm;
    struct mem_area video;
    struct hostio *hostio;
    /* --- used by the thread that the hand-over (syncq/handover.h) names --- */
    struct handover handover;
    void *state;     /* pixels->state_bytes */
    uint8_t *memory; /* video.bytes */
    uint64_t now_ns;
    bool changed;
};

struct screen *screen_create(const struct board *b, unsigned port, struct physmem *pm, struct hostio *hostio)
{
    const struct port_pixels *pixels = b->port[port].pixels;
    const struct mem_area video = pm ? physmem_area(pm, MEM_VRAM) : (struct mem_area){0};
    struct screen *s = NULL;

    if (b->port[port].present && pixels && pixels->ranges && video.bytes)
        s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct screen){.pixels = pixels,
                         .state_offset = b->device[b->port[port].device].state_offset,
                         .pm = pm,
                         .video = video,
                         .hostio = hostio,
                         .state = calloc(1, pixels->state_bytes),
                         .memory = calloc(1, video.bytes)};
    handover_init(&s->handover);
    physmem_log_start(pm, MEM_LOG_SCREEN);
    if (s->state && s->memory)
        return s;
    screen_destroy(s);
    return NULL;
}

void screen_destroy(struct screen *s)
{
    if (!s)
        return;
    physmem_log_stop(s->pm, MEM_LOG_SCREEN);
    free(s->state);
    free(s->memory);
    free(s);
}

void screen_ask(struct screen *s)
{
    handover_ask(&s->handover);
    hostio_lock(s->hostio);
    hostio_input_arrived(s->hostio); /* wakes a halted vCPU, so that it hands the picture over, too */
    hostio_unlock(s->hostio);
}

bool screen_take(struct screen *s, struct screen_picture *p)
{
    if (!handover_filled(&s->handover))
        return false;
    *p = (struct screen_picture){
        .state = s->state, .memory = s->memory, .now_ns = s->now_ns, .changed = s->changed};
    return true;
}

bool screen_asked(const struct screen *s)
{
    return s && handover_asked(&s->handover);
}

static void copy_page(void *ctx, uint32_t page)
{
    struct screen *s = ctx;
    const uint32_t at = page * PAGE_BYTES - s->video.first;

    memcpy(s->memory + at, physmem_page(s->pm, page), PAGE_BYTES);
    s->changed = true;
}

static bool any_dirty(const struct screen *s, uint32_t first, uint32_t pages)
{
    for (uint32_t page = first; page < first + pages; page++)
        if (physmem_log_is_dirty(s->pm, MEM_LOG_SCREEN, page))
            return true;
    return false;
}

/* To take a log costs the vCPU its fast stores for a moment, so it is left alone where nothing is in it. */
static void copy_range(struct screen *s, const struct port_range *r)
{
    const uint32_t room = r->first < s->video.bytes ? s->video.bytes - r->first : 0;
    const uint32_t bytes =
        r->bytes < room
            ? r->bytes
            : room; /* r->bytes is computed from registers that the guest wrote: not to be trusted */
    if (bytes == 0)
        return;
    const uint32_t first = (s->video.first + r->first) / PAGE_BYTES;
    const uint32_t last = (s->video.first + r->first + bytes - 1) / PAGE_BYTES;
    if (any_dirty(s, first, last - first + 1))
        physmem_log_take(s->pm, MEM_LOG_SCREEN, first, last - first + 1, copy_page, s);
}

void screen_serve(struct screen *s, const void *state, uint64_t now_ns)
{
    struct port_range range[PORT_RANGES_MAX];

    if (!screen_asked(s))
        return;
    const void *chip = (const uint8_t *)state + s->state_offset;
    s->now_ns = now_ns;
    s->changed = memcmp(s->state, chip, s->pixels->state_bytes) != 0;
    memcpy(s->state, chip, s->pixels->state_bytes);
    for (unsigned n = s->pixels->ranges(chip, range); n > 0; n--)
        copy_range(s, &range[n - 1]);
    handover_give(&s->handover);
}
