/* toypci.c - see toypci.h. */
#include "hw/toypci.h"

#include "clockcore/ticks.h"
#include "hw/blocks.h"
#include "mem/master.h"

#include <string.h>

#define EVENTS      (TOYPCI_DMA | TOYPCI_TIMER | TOYPCI_FRAME | TOYPCI_ERROR)
#define PIN0        (TOYPCI_DMA | TOYPCI_FRAME | TOYPCI_ERROR)
#define PIN1        TOYPCI_TIMER
#define TIMER_NS    256
#define RATE_BYTES  16
#define SECTOR      512
#define CARD_DEVICE 4 /* slot on bus 0 */

enum { DESC_ADDRESS, DESC_BYTES, DESC_CARD, DESC_FLAGS };

/* --- configuration space --- */

static const struct pci_reg regs[] = {
    {PCI_VENDOR, 0x50, 0},         {PCI_VENDOR + 1, 0x54, 0}, /* nobody's */
    {PCI_DEVICE, 0x01, 0},         {PCI_COMMAND, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER},
    {PCI_CLASS + 1, 0xFF, 0}, /* fits no class */
    {PCI_INTERRUPT_LINE, 0, 0xFF}, {PCI_INTERRUPT_PIN, 1, 0},
};

const struct pci_function toypci_function = {
    .devfn = PCI_DEVFN(CARD_DEVICE, 0),
    .regs = regs,
    .nregs = sizeof(regs) / sizeof(regs[0]),
    .bar = {{.bytes = TOYPCI_BAR_BYTES}, {.bytes = TOYPCI_IO_BYTES, .io = true}},
};

/* --- registers --- */

static uint32_t status(const struct toypci *s)
{
    return s->status | (s->master_ns != NS_NEVER ? TOYPCI_BUSY : 0);
}

static uint32_t ram_word(const struct toypci *s, uint32_t at)
{
    uint32_t v;

    memcpy(&v, s->ram + (at & (TOYPCI_RAM_BYTES - 4)), sizeof(v));
    return v;
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct toypci *s = state;

    if (size != 4)
        return UINT32_MAX;
    if (offset >= TOYPCI_RAM_AT)
        return ram_word(s, offset - TOYPCI_RAM_AT);
    switch (offset) {
    case TOYPCI_REG_ID:
        return TOYPCI_ID;
    case TOYPCI_REG_STATUS:
        return status(s);
    case TOYPCI_REG_ENABLE:
        return s->enable;
    case TOYPCI_REG_TIMER:
        return s->timer;
    case TOYPCI_REG_TICKS:
        return s->ticks;
    case TOYPCI_REG_NOW:
        return (uint32_t)(now_ns / 64);
    case TOYPCI_REG_LIST:
        return s->list;
    case TOYPCI_REG_COUNT:
        return s->count;
    case TOYPCI_REG_RATE:
        return s->rate;
    case TOYPCI_REG_FRAME:
        return s->frame;
    case TOYPCI_REG_MOTION:
        return (s->x & 0xFFFF) | s->y << 16;
    case TOYPCI_REG_SCREEN:
        return s->screen;
    default:
        return 0;
    }
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct toypci *s = state;

    if (size == 4 && offset == TOYPCI_REG_READS)
        return ++s->reads;
    if (size == 4 && offset == TOYPCI_REG_CLEAR) {
        uint32_t v = status(s);
        s->status = 0;
        return v;
    }
    return pure_read(state, offset, size, now_ns);
}

static void start(struct toypci *s, uint64_t now_ns)
{
    if (s->master_ns != NS_NEVER)
        return;
    s->index = s->moving = 0;
    s->master_ns = now_ns + TOYPCI_SETUP_NS;
}

static void set_timer(struct toypci *s, uint32_t period, uint64_t now_ns)
{
    s->timer = period;
    s->timer_ns = period ? now_ns + (uint64_t)period * TIMER_NS : NS_NEVER;
}

static void write_ram(struct toypci *s, uint32_t at, uint32_t value)
{
    memcpy(s->ram + (at & (TOYPCI_RAM_BYTES - 4)), &value, sizeof(value));
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct toypci *s = state;

    if (size != 4)
        return;
    if (offset >= TOYPCI_RAM_AT) {
        write_ram(s, offset - TOYPCI_RAM_AT, value);
        return;
    }
    switch (offset) {
    case TOYPCI_REG_CLEAR:
        s->status &= ~value;
        break;
    case TOYPCI_REG_ENABLE:
        s->enable = value & EVENTS;
        break;
    case TOYPCI_REG_TIMER:
        set_timer(s, value, now_ns);
        break;
    case TOYPCI_REG_LIST:
        s->list = value;
        break;
    case TOYPCI_REG_COUNT:
        s->count = value;
        break;
    case TOYPCI_REG_RATE:
        s->rate = value & 0xFFFFFF;
        break;
    case TOYPCI_REG_START:
        start(s, now_ns);
        break;
    case TOYPCI_REG_SEND:
        s->send = value < TOYPCI_RAM_BYTES ? value : TOYPCI_RAM_BYTES;
        break;
    case TOYPCI_REG_FRAME:
        s->frame = 0;
        break;
    case TOYPCI_REG_SCREEN:
        s->screen = value;
        break;
    default:
        break;
    }
}

/* --- time --- */

static uint64_t next_event(const void *state)
{
    return ((const struct toypci *)state)->timer_ns;
}

/* The shortest period is shorter than the longest tick: periods that have passed then count at once. */
static void advance(void *state, uint64_t now_ns)
{
    struct toypci *s = state;
    uint64_t period_ns = (uint64_t)s->timer * TIMER_NS;

    if (s->timer_ns > now_ns)
        return;
    if (!s->timer) { /* of a damaged snapshot */
        s->timer_ns = NS_NEVER;
        return;
    }
    uint64_t periods = (now_ns - s->timer_ns) / period_ns + 1;
    s->ticks += (uint32_t)periods;
    s->timer_ns += periods * period_ns;
    s->status |= TOYPCI_TIMER;
}

static uint32_t outputs(const void *state)
{
    const struct toypci *s = state;
    uint32_t active = s->status & s->enable;

    return (active & PIN0 ? 1u : 0) | (active & PIN1 ? 2u : 0);
}

static void reset(void *state, uint64_t now_ns)
{
    struct toypci *s = state;

    (void)now_ns;
    memset(s, 0, sizeof(*s));
    s->timer_ns = s->master_ns = NS_NEVER;
}

/* --- memory --- */

/* Bytes of the descriptor under way that the other side has. */
static uint32_t desc_bytes(const struct toypci *s)
{
    uint32_t most = PORT_ENTRY_BYTES;

    if (!(s->desc[DESC_FLAGS] & TOYPCI_DISK))
        most = s->desc[DESC_CARD] < TOYPCI_RAM_BYTES ? TOYPCI_RAM_BYTES - s->desc[DESC_CARD] : 0;
    return s->desc[DESC_BYTES] < most ? s->desc[DESC_BYTES] : most;
}

static void finish(struct toypci *s, uint32_t events)
{
    s->status |= events;
    s->moving = 0;
    s->master_ns = NS_NEVER;
}

/* The disk's part of a descriptor. */
static struct blocks_request disk_request(const struct toypci *s, enum blocks_op op)
{
    return (struct blocks_request){
        .offset = (uint64_t)s->desc[DESC_CARD] * SECTOR, .bytes = desc_bytes(s), .op = (uint8_t)op};
}

static void read_desc(struct toypci *s, const struct chip_master *m, uint64_t now_ns)
{
    if (mem_master_read(m->memory, (uint64_t)s->list + (uint64_t)s->index * sizeof(s->desc), s->desc,
                        sizeof(s->desc)) != MEM_OK) {
        finish(s, TOYPCI_ERROR);
        return;
    }
    s->index++;
    s->moving = 1;
    if (m->blocks &&
        (s->desc[DESC_FLAGS] & (TOYPCI_DISK | TOYPCI_TO_MEMORY)) == (TOYPCI_DISK | TOYPCI_TO_MEMORY)) {
        struct blocks_request r = disk_request(s, BLOCKS_READ);
        m->blocks->start(m->blocks->ctx, 0, &r);
    }
    s->master_ns = now_ns + (uint64_t)desc_bytes(s) / RATE_BYTES * s->rate;
}

static enum mem_result disk_to_memory(const struct toypci *s, const struct chip_master *m)
{
    struct blocks_request r = disk_request(s, BLOCKS_READ);
    const uint8_t *data;

    if (m->blocks->finish(m->blocks->ctx, 0, &r, &data) != BLOCKS_OK)
        return MEM_NOT_THERE;
    return mem_master_write(m->memory, s->desc[DESC_ADDRESS], data, r.bytes);
}

static enum mem_result memory_to_disk(const struct toypci *s, const struct chip_master *m)
{
    struct blocks_request r = disk_request(s, BLOCKS_WRITE);
    uint8_t *data = m->blocks->buffer(m->blocks->ctx, 0);
    enum mem_result result = mem_master_read(m->memory, s->desc[DESC_ADDRESS], data, r.bytes);

    m->blocks->start(m->blocks->ctx, 0, &r);
    return m->blocks->finish(m->blocks->ctx, 0, &r, NULL) == BLOCKS_OK ? result : MEM_NOT_THERE;
}

static enum mem_result move_card(struct toypci *s, const struct chip_master *m)
{
    uint8_t *here = s->ram + s->desc[DESC_CARD] % TOYPCI_RAM_BYTES;

    return s->desc[DESC_FLAGS] & TOYPCI_TO_MEMORY
               ? mem_master_write(m->memory, s->desc[DESC_ADDRESS], here, desc_bytes(s))
               : mem_master_read(m->memory, s->desc[DESC_ADDRESS], here, desc_bytes(s));
}

static void move(struct toypci *s, const struct chip_master *m, uint64_t now_ns)
{
    bool disk = s->desc[DESC_FLAGS] & TOYPCI_DISK && m->blocks;
    enum mem_result r = !disk                                    ? move_card(s, m)
                        : s->desc[DESC_FLAGS] & TOYPCI_TO_MEMORY ? disk_to_memory(s, m)
                                                                 : memory_to_disk(s, m);

    s->moving = 0;
    s->master_ns = now_ns + TOYPCI_SETUP_NS;
    if (r == MEM_NOT_THERE)
        finish(s, TOYPCI_ERROR);
    else if (s->desc[DESC_FLAGS] & TOYPCI_TELL)
        s->status |= TOYPCI_DMA;
}

static uint64_t next_master(const void *state)
{
    return ((const struct toypci *)state)->master_ns;
}

static void master(void *state, const struct chip_master *m, uint64_t now_ns)
{
    struct toypci *s = state;

    if (!m->memory)
        finish(s, TOYPCI_ERROR);
    else if (s->moving)
        move(s, m, now_ns);
    else if (s->index < s->count)
        read_desc(s, m, now_ns);
    else
        finish(s, TOYPCI_DMA);
}

/* --- typed ports --- */

static uint64_t frame_ready_ns(const void *state)
{
    return ((const struct toypci *)state)->frame ? NS_NEVER : 0;
}

/* What is longer than the card's memory is cut. */
static void frame_put(void *state, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    struct toypci *s = state;
    uint32_t room = TOYPCI_RAM_BYTES - TOYPCI_FRAME_AT;

    (void)now_ns;
    s->frame = bytes < room ? bytes : room;
    memcpy(s->ram + TOYPCI_FRAME_AT, entry, s->frame);
    s->status |= TOYPCI_FRAME;
}

static uint32_t frame_take(void *state, uint8_t *entry, uint32_t max)
{
    struct toypci *s = state;
    uint32_t n = s->send < max ? s->send : max;

    memcpy(entry, s->ram, n);
    s->send = 0;
    return n;
}

static uint64_t motion_ready_ns(const void *state)
{
    (void)state;
    return 0;
}

static void motion_put(void *state, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    struct toypci *s = state;
    struct port_motion m = port_motion_unpack(entry, bytes);

    (void)now_ns;
    s->x += (uint32_t)m.dx;
    s->y += (uint32_t)m.dy;
}

static bool picture(const void *state, struct port_picture *p)
{
    const struct toypci *s = state;

    *p = (struct port_picture){.address = s->screen & ~0xFFFu,
                               .width = (s->screen & 63) * 8,
                               .height = (s->screen >> 6 & 63) * 8,
                               .row_bytes = (s->screen & 63) * 8};
    return p->width && p->height;
}

const struct port_input toypci_frames_in = {.ready_ns = frame_ready_ns, .put = frame_put};
const struct port_output toypci_frames_out = {.take = frame_take};
const struct port_input toypci_pointer_in = {.ready_ns = motion_ready_ns, .put = motion_put};
const struct port_pixels toypci_pixels = {.picture = picture};

static const struct field fields[] = {
    FIELD(struct toypci, timer_ns),
    FIELD(struct toypci, master_ns),
    FIELD_ARRAY(struct toypci, desc),
    FIELD(struct toypci, status),
    FIELD(struct toypci, enable),
    FIELD(struct toypci, timer),
    FIELD(struct toypci, ticks),
    FIELD(struct toypci, reads),
    FIELD(struct toypci, list),
    FIELD(struct toypci, count),
    FIELD(struct toypci, rate),
    FIELD(struct toypci, index),
    FIELD_MAX(struct toypci, moving, 1),
    FIELD_MAX(struct toypci, send, TOYPCI_RAM_BYTES),
    FIELD_MAX(struct toypci, frame, TOYPCI_RAM_BYTES - TOYPCI_FRAME_AT),
    FIELD(struct toypci, x),
    FIELD(struct toypci, y),
    FIELD(struct toypci, screen),
    FIELD(struct toypci, reserved),
    FIELD_ARRAY(struct toypci, ram),
};

const struct chip_class toypci_class = {
    .name = "toypci",
    .state_bytes = sizeof(struct toypci),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .pure_read = pure_read,
    .advance = advance,
    .next_event = next_event,
    .outputs = outputs,
    .next_master = next_master,
    .master = master,
};
