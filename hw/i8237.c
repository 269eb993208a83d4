/* i8237.c - see i8237.h.
 *
 * Model: a transfer moves all units that the device has at once, at the device's tick; so single, block and
 * demand mode come to the same. Addresses count within 64 KiB (words: 128 KiB) and never carry into the page
 * register. At terminal count a channel reloads itself (autoinitialization) or masks itself. What the
 * transfer type does not want is not moved: a verify counts and moves nothing.
 * A request of channels 0 to 3 passes through channel 4, which must be in cascade mode and not masked.
 *
 * NOT MODELLED: memory-to-memory transfers and the temporary register (the PIIX3 has none), transfers by
 * software request (the bit is kept, no data bus answers), priorities, DREQ and DACK polarity, compressed
 * timing, extended mode registers (40Bh, 4D6h). */
#include "hw/i8237.h"

#include "mem/master.h"

#include <string.h>

enum { /* registers behind the channels' addresses and counts */
       REG_COMMAND = 0x8,
       REG_REQUEST = 0x9,
       REG_SINGLE_MASK = 0xA,
       REG_MODE = 0xB,
       REG_CLEAR_POINTER = 0xC,
       REG_MASTER_CLEAR = 0xD,
       REG_CLEAR_MASK = 0xE,
       REG_ALL_MASKS = 0xF,
};

#define COMMAND_DISABLE 0x04
#define MODE_BITS       0xFC
#define MODE_TYPE       0x0C
#define MODE_VERIFY     0x00
#define MODE_WRITE      0x04 /* to memory */
#define MODE_READ       0x08 /* from memory */
#define MODE_AUTO       0x10
#define MODE_DOWN       0x20
#define MODE_SELECT     0xC0
#define MODE_CASCADE    0xC0
#define CASCADE         4 /* its channel */

/* Ports of the page registers, less 80h. */
static const uint8_t page_port[I8237_CHANNELS] = {0x7, 0x3, 0x1, 0x2, 0xF, 0xB, 0x9, 0xA};

/* Controller and register of an offset below I8237_OFF_PAGE. */
static unsigned controller_of(uint32_t offset)
{
    return offset >= I8237_OFF_HIGH;
}

static unsigned register_of(uint32_t offset)
{
    return offset >= I8237_OFF_HIGH ? (offset - I8237_OFF_HIGH) >> 1 & 0xF : offset & 0xF;
}

/* --- registers --- */

static void write_half(uint16_t *to, bool high, uint8_t v)
{
    *to = high ? (uint16_t)((*to & 0x00FF) | v << 8) : (uint16_t)((*to & 0xFF00) | v);
}

static void write_channel(struct i8237 *s, unsigned controller, unsigned reg, uint8_t v)
{
    struct i8237_channel *c = &s->ch[controller * 4 + reg / 2];
    bool high = s->high_byte[controller];

    write_half(reg & 1 ? &c->base_count : &c->base_address, high, v);
    write_half(reg & 1 ? &c->count : &c->address, high, v);
    s->high_byte[controller] ^= 1;
}

static uint8_t read_channel(struct i8237 *s, unsigned controller, unsigned reg)
{
    const struct i8237_channel *c = &s->ch[controller * 4 + reg / 2];
    uint16_t v = reg & 1 ? c->count : c->address;
    bool high = s->high_byte[controller];

    s->high_byte[controller] ^= 1;
    return (uint8_t)(high ? v >> 8 : v);
}

static void master_clear(struct i8237 *s, unsigned controller)
{
    s->command[controller] = s->done[controller] = s->request[controller] = s->high_byte[controller] = 0;
    s->mask[controller] = 0xF;
}

/* Bits 0 and 1 name a bit of the register, bit 2 is its value. */
static uint8_t with_bit(uint8_t reg, uint8_t v)
{
    return (uint8_t)((reg & ~(1u << (v & 3))) | (v >> 2 & 1u) << (v & 3));
}

static void write_control(struct i8237 *s, unsigned controller, unsigned reg, uint8_t v)
{
    switch (reg) {
    case REG_COMMAND:
        s->command[controller] = v;
        break;
    case REG_REQUEST:
        s->request[controller] = with_bit(s->request[controller], v);
        break;
    case REG_SINGLE_MASK:
        s->mask[controller] = with_bit(s->mask[controller], v);
        break;
    case REG_MODE:
        s->ch[controller * 4 + (v & 3)].mode = v & MODE_BITS;
        break;
    case REG_CLEAR_POINTER:
        s->high_byte[controller] = 0;
        break;
    case REG_MASTER_CLEAR:
        master_clear(s, controller);
        break;
    case REG_CLEAR_MASK:
        s->mask[controller] = 0;
        break;
    default:
        s->mask[controller] = v & 0xF;
        break;
    }
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct i8237 *s = state;
    unsigned reg = register_of(offset);

    (void)size;
    (void)now_ns;
    if (offset >= I8237_OFF_PAGE)
        s->page[offset & 0xF] = (uint8_t)value;
    else if (reg < REG_COMMAND)
        write_channel(s, controller_of(offset), reg, (uint8_t)value);
    else
        write_control(s, controller_of(offset), reg, (uint8_t)value);
}

static uint8_t read_status(struct i8237 *s, unsigned controller)
{
    uint8_t v = (uint8_t)(s->done[controller] | s->request[controller] << 4);

    s->done[controller] = 0;
    return v;
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct i8237 *s = state;

    (void)size;
    (void)now_ns;
    if (offset >= I8237_OFF_PAGE)
        return s->page[offset & 0xF];
    return register_of(offset) == REG_ALL_MASKS ? s->mask[controller_of(offset)] : 0;
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    unsigned reg = register_of(offset);

    if (offset < I8237_OFF_PAGE && reg < REG_COMMAND)
        return read_channel(state, controller_of(offset), reg);
    if (offset < I8237_OFF_PAGE && reg == REG_COMMAND)
        return read_status(state, controller_of(offset));
    return pure_read(state, offset, size, now_ns);
}

static void reset_for_firmware(void *state, uint64_t now_ns)
{
    struct i8237 *s = state;

    (void)now_ns;
    memset(s, 0, sizeof(*s));
    master_clear(s, 0);
    master_clear(s, 1);
}

static void reset(void *state, uint64_t now_ns)
{
    struct i8237 *s = state;

    reset_for_firmware(state, now_ns);
    s->ch[CASCADE].mode = MODE_CASCADE;
    s->mask[1] = 0xE;
}

/* --- transfers --- */

static bool enabled(const struct i8237 *s, unsigned channel, bool cascade)
{
    return !(s->command[channel / 4] & COMMAND_DISABLE) && !(s->mask[channel / 4] >> channel % 4 & 1) &&
           ((s->ch[channel].mode & MODE_SELECT) == MODE_CASCADE) == cascade;
}

static uint32_t memory_address(const struct i8237 *s, unsigned channel)
{
    uint32_t page = s->page[page_port[channel]], address = s->ch[channel].address;

    return channel < 4 ? page << 16 | address : (page & 0xFE) << 16 | address << 1;
}

static void move(const struct i8237 *s, const struct mem_master *memory, unsigned channel, bool to_memory,
                 uint8_t *data, uint32_t bytes)
{
    unsigned type = s->ch[channel].mode & MODE_TYPE;

    if (to_memory && type == MODE_WRITE && memory)
        mem_master_write(memory, memory_address(s, channel), data, bytes);
    else if (!to_memory && type == MODE_READ && memory)
        mem_master_read(memory, memory_address(s, channel), data, bytes);
    else if (!to_memory)
        memset(data, 0xFF, bytes);
}

/* Units until the address wraps, or fewer. */
static uint32_t run_units(const struct i8237_channel *c, uint32_t units)
{
    uint32_t ahead = c->mode & MODE_DOWN ? 1 : 0x10000u - c->address;
    uint32_t left = c->count + 1u;

    ahead = ahead < left ? ahead : left;
    return units < ahead ? units : ahead;
}

static void terminal_count(struct i8237 *s, unsigned channel)
{
    struct i8237_channel *c = &s->ch[channel];
    uint8_t bit = (uint8_t)(1u << channel % 4);

    s->done[channel / 4] |= bit;
    s->request[channel / 4] &= (uint8_t)~bit;
    if (c->mode & MODE_AUTO) {
        c->address = c->base_address;
        c->count = c->base_count;
    } else {
        s->mask[channel / 4] |= bit;
    }
}

uint32_t i8237_transfer(struct i8237 *s, const struct mem_master *memory, unsigned channel, bool to_memory,
                        uint8_t *data, uint32_t bytes, bool *tc)
{
    struct i8237_channel *c = &s->ch[channel % I8237_CHANNELS];
    unsigned unit_bytes = channel < 4 ? 1 : 2;
    uint32_t moved = 0;

    *tc = false;
    if (channel >= I8237_CHANNELS || !enabled(s, channel, false) ||
        (channel < 4 && !enabled(s, CASCADE, true)))
        return 0;
    while (!*tc && bytes - moved >= unit_bytes) {
        uint32_t units = run_units(c, (bytes - moved) / unit_bytes);
        move(s, memory, channel, to_memory, data + moved, units * unit_bytes);
        moved += units * unit_bytes;
        c->address = (uint16_t)(c->mode & MODE_DOWN ? c->address - units : c->address + units);
        *tc = units == c->count + 1u;
        c->count = (uint16_t)(c->count - units);
    }
    if (*tc)
        terminal_count(s, channel);
    return moved;
}

static const struct field fields[] = {
    FIELD_COLUMN(struct i8237, ch, base_address),
    FIELD_COLUMN(struct i8237, ch, base_count),
    FIELD_COLUMN(struct i8237, ch, address),
    FIELD_COLUMN(struct i8237, ch, count),
    FIELD_COLUMN(struct i8237, ch, mode),
    FIELD_COLUMN(struct i8237, ch, reserved),
    FIELD_ARRAY(struct i8237, page),
    FIELD_ARRAY(struct i8237, command),
    FIELD_ARRAY(struct i8237, mask),
    FIELD_ARRAY(struct i8237, done),
    FIELD_ARRAY(struct i8237, request),
    FIELD_ARRAY(struct i8237, high_byte),
};

#define CLASS(reset_fn)                                                                                      \
    {                                                                                                        \
        .name = "i8237", .state_bytes = sizeof(struct i8237), .fields = fields,                              \
        .nfields = sizeof fields / sizeof fields[0], .reset = (reset_fn), .read = read_reg,                  \
        .write = write_reg, .pure_read = pure_read                                                           \
    }

const struct chip_class i8237_class = CLASS(reset);
const struct chip_class i8237_firmware_class = CLASS(reset_for_firmware);
