/* jsonrows.h - the 'J' records of attribute.h, as text. Names become ASCII without control characters. */
#ifndef TANDEM_OBSERVE_JSONROWS_H
#define TANDEM_OBSERVE_JSONROWS_H

#include <stddef.h>
#include <stdint.h>

#define JSONROWS_BYTES 65536u

struct profile_writer;

/* Rows of one space are gathered until a record is full; zero but for `writer`, `from` and `to` at first. */
struct json_rows {
    struct profile_writer *writer;
    uint64_t from, to; /* ticks of samples that all rows are about, without `to`; 0 and 0: all */
    uint64_t space;
    size_t used; /* of text; 0: no record is open */
    char text[JSONROWS_BYTES];
};

void jsonrows_add(struct json_rows *r, uint64_t space, uint32_t first, uint32_t end, const char *name,
                  const char *file);
void jsonrows_end(struct json_rows *r); /* behind the last row */
void jsonrows_linux_task(struct profile_writer *w, uint32_t id, const char *name, uint32_t pid, uint32_t tid);
void jsonrows_minix_task(struct profile_writer *w, uint32_t id, const char *name, int32_t endpoint);

#endif
