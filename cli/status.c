/* status.c - see status.h. */
#include "cli/status.h"

#include "clockcore/clock.h"
#include "clockcore/ticks.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define REFRESH_NS (NS_PER_SEC / 2)

static bool uses_terminal(const struct options *o)
{
    bool stdio = (o->nographic && !o->nserial) || o->display.kind == DISPLAY_CURSES;
    for (unsigned i = 0; i < o->nserial; i++)
        stdio = stdio || strstr(o->serial[i], "stdio");
    for (unsigned i = 0; i < o->ncontrols; i++)
        stdio = stdio || strcmp(o->control[i].spec, "stdio") == 0;
    return stdio && (isatty(STDIN_FILENO) || isatty(STDOUT_FILENO));
}

void status_init(struct status *s, const struct options *o)
{
    *s = (struct status){.on = isatty(STDERR_FILENO) && !uses_terminal(o),
                         .name = o->name ? o->name : "tandem",
                         .mode = link_mode_name(o->mode),
                         .shift = o->shift,
                         .last_ns = clock_realtime_ns()};
    s->next_ns = s->last_ns + REFRESH_NS;
}

void status_update(struct status *s, uint64_t tick, uint64_t icount)
{
    if (!s->on || clock_realtime_coarse_ns() < s->next_ns)
        return;
    uint64_t now = clock_realtime_ns(), passed = now - s->last_ns;
    double mips = passed ? (double)(icount - s->last_icount) * 1e3 / (double)passed : 0;
    fprintf(stderr, "\r%s: tick %" PRIu64 "  virtual %.2f s  %.1f MIPS  %s\033[K", s->name, tick,
            (double)ticks_to_ns(tick, s->shift) / 1e9, mips, s->mode);
    fflush(stderr);
    s->shown = true;
    s->last_ns = now;
    s->last_icount = icount;
    s->next_ns = now + REFRESH_NS;
}

void status_erase(struct status *s)
{
    if (s->shown)
        fprintf(stderr, "\r\033[K");
    s->shown = false;
}
