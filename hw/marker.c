/* marker.c - see marker.h. */
#include "hw/marker.h"

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    (void)size, (void)now_ns;
    return ((const struct marker *)state)->value >> 8 * (offset & 3);
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    return pure_read(state, offset, size, now_ns);
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    (void)now_ns;
    if (offset == 0)
        ((struct marker *)state)->value = size < 4 ? value & ((1u << 8 * size) - 1) : value;
}

static void reset(void *state, uint64_t now_ns)
{
    (void)now_ns;
    *(struct marker *)state = (struct marker){0};
}

static const struct field fields[] = {FIELD(struct marker, value)};

const struct chip_class marker_class = {
    .name = "marker",
    .state_bytes = sizeof(struct marker),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .pure_read = pure_read,
};
