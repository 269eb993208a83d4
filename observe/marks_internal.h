/* marks_internal.h - what the files of marks share: see marks.h. */
#ifndef TANDEM_OBSERVE_MARKS_INTERNAL_H
#define TANDEM_OBSERVE_MARKS_INTERNAL_H

#include "clockcore/histogram.h"
#include "hw/pc.h"
#include "observe/marks.h"

#define STREAMS (PC_SERIAL_MAX + 1) /* the serial ports and the debug console */

/* What regions measure, counted from the run's start. */
enum measure { MEASURE_TICKS, MEASURE_INSNS, MEASURE_ACCESSES, MEASURE_EXCEPTIONS, MEASURES };
extern const char *const measure_names[MEASURES];

struct mark {
    const struct mark_option *o;
    uint32_t lin_addr;
    uint64_t hits, first_tick, last_tick;
    bool resolved; /* lin_addr is known */
    bool nowhere;  /* lin_addr will never be known */
    bool module;   /* lin_addr is looked for when a module is loaded */
};

/* Which hits are meant. */
struct mark_reference {
    unsigned mark; /* index; MARKS_MAX: the device */
    bool any_value;
    uint32_t value;
};

struct mark_hit {
    unsigned mark; /* as above */
    uint64_t tick;
    uint64_t stop_tick; /* where a run that is to end at it stands */
    uint32_t value, cr3;
    uint64_t number; /* of this mark, from 1 on */
};

struct region {
    const struct region_option *o;
    struct mark_reference from, to;
    bool open;
    uint32_t value;                /* of the hit that opened it */
    uint64_t begin[MEASURES];      /* counts then */
    uint64_t restarted, unmatched; /* hits of `from` in it, of `to` out of it */
    struct histogram histogram[MEASURES];
};

struct moment {
    const struct moment_option *o;
    struct mark_reference mark;
    uint64_t seen;
    bool came;
    uint8_t border[MARK_TEXT_MAX]; /* of each prefix of the text: how much of its end begins it again */
    uint8_t matched[STREAMS];      /* bytes of the text that each stream has sent so far */
};

struct marks {
    const struct marks_config *c;
    struct observe *hub;
    struct machine *machine;
    uint32_t at[MARKS_MAX + 1];      /* addresses that the vCPU has been told of */
    unsigned known;                  /* how many of them there are */
    struct mark mark[MARKS_MAX + 1]; /* the last one is the device's */
    struct mark_option loader_option;
    struct mark loader; /* without hits; o NULL: no mark needs it */
    bool loading;       /* a module was loaded at this tick */
    struct region *region;
    struct moment *moment;
    uint64_t count[MEASURES]; /* MEASURE_TICKS: unused; MEASURE_INSNS: idle ticks, which are subtracted */
    uint8_t lcr[PC_SERIAL_MAX],
        mcr[PC_SERIAL_MAX]; /* of the UARTs: is a write of THR one, and does it leave? */
    FILE *log;
    uint64_t log_lines, log_lost;
};

/* --- textwatch.c --- */
void text_prepare(struct moment *t);
/* The guest sent a byte; true: the text is whole. */
bool text_byte(struct moment *t, unsigned stream, uint8_t byte);
/* The stream that this access sends a byte to, or -1; follows the UARTs' registers. */
int text_stream(struct marks *m, int device, const struct access *a);
/* The UARTs are as they are. */
void text_begin(struct marks *m, const struct pc *pc);
void text_reset(struct marks *m);

/* --- marklog.c --- */
void marklog_hit(struct marks *m, const struct mark_hit *hit);
void marklog_region(struct marks *m, const struct region *r, const uint64_t now[MEASURES]);
void marklog_summary(const struct marks *m, FILE *f, bool json);

#endif
