/* parts.h - what emitted bytes are for, byte by byte: noted only when somebody asks (x64_compile_parts), for
 * the list of hot blocks.
 *
 * An emitter says what comes next (part_begin) and puts back what it found (part_end). Threads: as the
 * buffer's. */
#ifndef TANDEM_TRANSLATOR_X64_PARTS_H
#define TANDEM_TRANSLATOR_X64_PARTS_H

#include <string.h>

#include "translator/x64/emit_x64.h"
#include "translator/x64/x64.h"

struct x64_parts {
    uint8_t now;         /* enum x64_part: of the bytes to come */
    const uint8_t *from; /* bytes from here to the buffer's end are not noted yet */
    uint8_t *of;         /* by offset in the buffer */
};

static inline enum x64_part part_begin(struct x64_buf *b, enum x64_part part)
{
    struct x64_parts *p = b->parts;
    if (!p)
        return X64_PART_WORK;
    const enum x64_part before = p->now;
    if (b->at > p->from) /* else the end has been taken back */
        memset(p->of + (p->from - b->start), before, (size_t)(b->at - p->from));
    p->from = b->at;
    p->now = (uint8_t)part;
    return before;
}

static inline void part_end(struct x64_buf *b, enum x64_part before)
{
    part_begin(b, before);
}

#endif
