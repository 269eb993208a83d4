/* protobuf.h - protocol buffers by hand: fields appended to a message in memory (protobuf.dev, "Encoding").
 *
 * A message within a message is one that was written into a buffer of its own. */
#ifndef TANDEM_OBSERVE_PROTOBUF_H
#define TANDEM_OBSERVE_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct protobuf {
    uint8_t *data;
    size_t bytes, room;
    bool failed; /* no memory: fields are missing */
};

void protobuf_uint(struct protobuf *p, unsigned field, uint64_t v);
void protobuf_string(struct protobuf *p, unsigned field, const char *text);
void protobuf_message(struct protobuf *p, unsigned field, const struct protobuf *inner);
/* A number without a field, for packed fields. */
void protobuf_varint(struct protobuf *p, uint64_t v);
void protobuf_clear(struct protobuf *p); /* empty again; keeps its memory */
void protobuf_free(struct protobuf *p);

#endif
