/* protobuf.c - see protobuf.h. */
#include "observe/protobuf.h"

#include <stdlib.h>
#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_LENGTH = 2 };

static void append(struct protobuf *p, const void *data, size_t bytes)
{
    if (p->bytes + bytes > p->room) {
        size_t room = (p->bytes + bytes) * 2 + 256;
        uint8_t *more = realloc(p->data, room);
        if (!more) {
            p->failed = true;
            return;
        }
        p->data = more;
        p->room = room;
    }
    if (bytes)
        memcpy(p->data + p->bytes, data, bytes);
    p->bytes += bytes;
}

void protobuf_varint(struct protobuf *p, uint64_t v)
{
    uint8_t raw[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        raw[n++] = (uint8_t)v | 0x80;
    raw[n++] = (uint8_t)v;
    append(p, raw, n);
}

void protobuf_uint(struct protobuf *p, unsigned field, uint64_t v)
{
    protobuf_varint(p, field << 3 | WIRE_VARINT);
    protobuf_varint(p, v);
}

static void protobuf_bytes(struct protobuf *p, unsigned field, const void *data, size_t bytes)
{
    protobuf_varint(p, field << 3 | WIRE_LENGTH);
    protobuf_varint(p, bytes);
    append(p, data, bytes);
}

void protobuf_string(struct protobuf *p, unsigned field, const char *text)
{
    protobuf_bytes(p, field, text, strlen(text));
}

void protobuf_message(struct protobuf *p, unsigned field, const struct protobuf *inner)
{
    protobuf_bytes(p, field, inner->data, inner->bytes);
    p->failed = p->failed || inner->failed;
}

void protobuf_clear(struct protobuf *p)
{
    p->bytes = 0;
}

void protobuf_free(struct protobuf *p)
{
    free(p->data);
    *p = (struct protobuf){0};
}
