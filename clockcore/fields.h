/* fields.h - state as data: a table names every field of a struct.
 *
 * The tables are the one description of a machine's state: digest, snapshot (save and load), and the
 * messages that name what differs are all readers of them. A part is one struct with its table; a folder
 * that owns state lists its parts. A struct without gaps, whose table leaves no byte out
 * (fields_uncovered), cannot grow a field that its readers forget.
 *
 * Bytes: fields_put writes the elements in the table's order, each little-endian as the host has them.
 * Threads: pure functions of their arguments. Memory: none of their own. */
#ifndef TANDEM_CLOCKCORE_FIELDS_H
#define TANDEM_CLOCKCORE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One named field, or array, or column of an array of structs. */
struct field {
    const char *name;
    uint32_t offset;       /* byte offset of the first element in the struct */
    uint32_t elem_bytes;   /* 1, 2, 4 or 8 */
    uint32_t count;        /* elements; 1 unless an array */
    uint32_t stride_bytes; /* from one element to the next; elem_bytes unless a column */
    uint64_t max;          /* a loaded element above it is refused; UINT64_MAX: any value is in order */
};

#define FIELD_SIZE(type, member) sizeof(((type *)0)->member)
/* A bool that holds anything but 0 and 1 is undefined behaviour. */
#define FIELD_ANY(type, member) _Generic(((type *)0)->member, _Bool : 1, default : UINT64_MAX)

/* A field whose values are 0 to `most`: counts, indices, numbers of modes. */
#define FIELD_MAX(type, member, most)                                                                        \
    {                                                                                                        \
        .name = #member, .offset = offsetof(type, member), .elem_bytes = FIELD_SIZE(type, member),           \
        .count = 1, .stride_bytes = FIELD_SIZE(type, member), .max = (most)                                  \
    }
#define FIELD(type, member) FIELD_MAX(type, member, FIELD_ANY(type, member))
#define FIELD_ARRAY(type, member)                                                                            \
    {                                                                                                        \
        .name = #member, .offset = offsetof(type, member), .elem_bytes = FIELD_SIZE(type, member[0]),        \
        .count = FIELD_SIZE(type, member) / FIELD_SIZE(type, member[0]),                                     \
        .stride_bytes = FIELD_SIZE(type, member[0]), .max = FIELD_ANY(type, member[0])                       \
    }
/* Member `member` of each element of an array of structs. */
#define FIELD_COLUMN(type, array, member)                                                                    \
    {                                                                                                        \
        .name = #array "." #member, .offset = offsetof(type, array[0].member),                               \
        .elem_bytes = FIELD_SIZE(type, array[0].member),                                                     \
        .count = FIELD_SIZE(type, array) / FIELD_SIZE(type, array[0]),                                       \
        .stride_bytes = FIELD_SIZE(type, array[0]), .max = FIELD_ANY(type, array[0].member)                  \
    }

/* Who reads a part besides the snapshot: the digest's hash of the CPU, its hash of the devices, or nobody.
 * STATE_MAP is nobody's either, and loaded before the others. */
enum state_group { STATE_CPU, STATE_DEVICES, STATE_MAP, STATE_OTHER };

/* One part of the machine's state. */
struct state_part {
    const char *name; /* "com1" */
    const struct field *fields;
    size_t nfields;
    void *state;
};

/* Bytes that fields_put writes. */
size_t fields_bytes(const struct field *fields, size_t n);
void fields_put(const struct field *fields, size_t n, const void *state, uint8_t *out);
/* One field of it from such bytes. False: an element is above the field's max, and the state is as it was. */
size_t field_bytes(const struct field *f);
bool field_get(const struct field *f, void *state, const uint8_t *in);
/* The first byte of a struct that is in no field, or in two; `bytes` if every one is in exactly one. Gaps are
 * let pass that look like padding: fewer than `align` bytes before an offset of an alignment up to that (1:
 * none are). A small member that was put where padding had been is then not found. */
size_t fields_uncovered(const struct field *fields, size_t n, size_t bytes, size_t align);

#endif
