/* debugcon.c - see debugcon.h. */
#include "hw/debugcon.h"

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    (void)state, (void)offset, (void)size, (void)now_ns;
    return DEBUGCON_READBACK;
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    return pure_read(state, offset, size, now_ns);
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    (void)offset, (void)size, (void)now_ns;
    *(struct debugcon *)state = (struct debugcon){.byte = (uint8_t)value, .full = 1};
}

bool debugcon_take(struct debugcon *s, uint8_t *byte)
{
    bool full = s->full & 1;

    *byte = s->byte;
    s->full = 0;
    return full;
}

static void reset(void *state, uint64_t now_ns)
{
    (void)now_ns;
    *(struct debugcon *)state = (struct debugcon){0};
}

static const struct field fields[] = {
    FIELD(struct debugcon, byte),
    FIELD(struct debugcon, full),
};

const struct chip_class debugcon_class = {
    .name = "debugcon",
    .state_bytes = sizeof(struct debugcon),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .pure_read = pure_read,
};
