/* fields.c - see fields.h. */
#include "clockcore/fields.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are copied as the host has them");

size_t field_bytes(const struct field *f)
{
    return (size_t)f->elem_bytes * f->count;
}

size_t fields_bytes(const struct field *fields, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += field_bytes(&fields[i]);
    return bytes;
}

static void field_put(const struct field *f, const void *state, uint8_t *out)
{
    const uint8_t *from = (const uint8_t *)state + f->offset;
    if (f->stride_bytes == f->elem_bytes) {
        memcpy(out, from, field_bytes(f));
        return;
    }
    for (uint32_t i = 0; i < f->count; i++)
        memcpy(out + (size_t)i * f->elem_bytes, from + (size_t)i * f->stride_bytes, f->elem_bytes);
}

void fields_put(const struct field *fields, size_t n, const void *state, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        field_put(&fields[i], state, out);
        out += field_bytes(&fields[i]);
    }
}

bool field_get(const struct field *f, void *state, const uint8_t *in)
{
    uint8_t *to = (uint8_t *)state + f->offset;
    for (uint32_t i = 0; f->max != UINT64_MAX && i < f->count; i++) {
        uint64_t value = 0;
        memcpy(&value, in + (size_t)i * f->elem_bytes, f->elem_bytes);
        if (value > f->max)
            return false;
    }
    for (uint32_t i = 0; i < f->count; i++)
        memcpy(to + (size_t)i * f->stride_bytes, in + (size_t)i * f->elem_bytes, f->elem_bytes);
    return true;
}

/* How many elements of all fields hold the byte. */
static unsigned holders(const struct field *fields, size_t n, size_t byte)
{
    unsigned held = 0;
    for (size_t i = 0; i < n; i++) {
        const struct field *f = &fields[i];
        if (byte < f->offset)
            continue;
        size_t at = byte - f->offset;
        held += at / f->stride_bytes < f->count && at % f->stride_bytes < f->elem_bytes;
    }
    return held;
}

/* Where the gap that begins at `byte` ends. */
static size_t gap_end(const struct field *fields, size_t n, size_t byte, size_t bytes)
{
    while (byte < bytes && holders(fields, n, byte) == 0)
        byte++;
    return byte;
}

static bool is_padding(size_t from, size_t to, size_t align_max)
{
    size_t align = 1;
    while (align <= to - from)
        align *= 2;
    return align <= align_max && to % align == 0;
}

size_t fields_uncovered(const struct field *fields, size_t n, size_t bytes, size_t align)
{
    size_t byte = 0;
    while (byte < bytes) {
        unsigned held = holders(fields, n, byte);
        size_t end = held ? byte + 1 : gap_end(fields, n, byte, bytes);
        if (held > 1 || (held == 0 && !is_padding(byte, end, align)))
            break;
        byte = end;
    }
    return byte;
}
