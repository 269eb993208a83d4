/* marks.h - marks: where the guest came by, and when; regions between two of them; moments at which a run
 * ends.
 *
 * A mark is an address in the guest, of which the guest knows nothing, or a write of the guest's own to the
 * device tandem-marker (hw/marker.h). Each hit has its exact tick, the same in every mode and engine. Regions
 * measure from one mark to another. A moment (a hit of a mark, a text that the guest sends to a serial port
 * or the debug console) ends the stretch that runs, at the mark's instruction or right behind the write.
 *
 * A symbol is marked from the moment at which its address is known: with the first instruction where a file
 * says it, for Linux's own names within MARK_LOOK_TICKS of the moment at which the kernel turns paging on.
 *
 * A symbol of a loadable module is marked when the module is loaded, before its first instruction: at a hit
 * of `loader`, of which people are told nothing.
 *
 * What is told of each hit goes to a log, text or JSON lines. Bounds: the numbers below; hits beyond
 * MARK_LOG_MAX are counted, and no longer written.
 * Threads: the vCPU's in a watcher's functions; everything else while the machine stands. */
#ifndef TANDEM_OBSERVE_MARKS_H
#define TANDEM_OBSERVE_MARKS_H

#include "machine/err.h"
#include "observe/observe.h"

#include <stdio.h>

#define MARKS_MAX        64
#define REGIONS_MAX      64
#define MOMENTS_MAX      264                /* snapshots, and two that end a run; MATCH moments_max */
#define MARK_LOG_MAX     UINT64_C(10000000) /* lines */
#define MARK_LOOK_TICKS  (UINT64_C(1) << 16)
#define MARK_SYMBOL_MAX  255      /* bytes of a symbol's name */
#define MARK_TEXT_MAX    255      /* bytes of a text that is waited for */
#define MARKER_REFERENCE "marker" /* the device's name among marks */

enum mark_lookup { MARK_NOT_YET, MARK_FOUND, MARK_NEVER };

struct mark_option {
    char *name;
    char *where; /* a linear address (a number), SYMBOL, SYMBOL+OFFSET, MODULE:SYMBOL, ... */
    bool has_cr3;
    uint32_t cr3;       /* only hits under this CR3 count */
    char *process;      /* only hits in processes of this name count; NULL: any */
    uint64_t count_max; /* hits that are taken; UINT64_MAX: all */
    unsigned value;     /* enum ir_slot of the register whose value a hit has */
};

struct region_option {
    char *name;
    char *from, *to; /* references: NAME of a mark, "marker", or "marker:VALUE" */
};

struct moment_option {
    const char *mark; /* a reference, or NULL */
    uint64_t count;   /* the hit of it that counts, from 1 on */
    const char *text; /* what the guest sends, or NULL */
};

/* Borrowed until marks_destroy. */
struct marks_config {
    const struct mark_option *mark;
    unsigned nmarks;
    const struct region_option *region;
    unsigned nregions;
    const struct moment_option *moment;
    unsigned nmoments;
    /* Address of a symbol in the guest, which runs at `g`. Asked now and then until it is MARK_FOUND or
     * MARK_NEVER. */
    enum mark_lookup (*find)(void *ctx, const struct guest_state *g, const char *symbol, uint32_t *lin_addr);
    /* For MODULE:SYMBOL: the symbol at whose hit a module was loaded; told at each hit, before `find` is
     * asked for such symbols. */
    const char *loader;
    void (*loaded)(void *ctx, const struct guest_state *g, uint64_t tick);
    void *find_ctx;       /* of both */
    bool marker;          /* the device is fitted */
    const char *log_file; /* NULL: none */
    bool log_json;
};

struct marks;

/* Adds itself to the hub. NULL: e says why. */
struct marks *marks_create(struct observe *o, const struct marks_config *c, struct err *e);
void marks_destroy(struct marks *m); /* NULL is fine */
/* The machine stands at its first tick. */
void marks_begin(struct marks *m, struct machine *machine);
/* Name of a mark at this address, or NULL. */
const char *marks_name(const struct marks *m, uint32_t lin_addr);
/* Has moment i come? */
bool marks_moment_came(const struct marks *m, unsigned i);
/* Is the guest between the two marks of this region now? Negative: there is no such region. */
int marks_region(const struct marks *m, const char *name);
bool marks_in_region(const struct marks *m, int region);
/* Ends the log; the summary goes to it, and for people to `people`. False: it could not be written. */
bool marks_end(struct marks *m, FILE *people, struct err *e);

#endif
