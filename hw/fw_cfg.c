/* fw_cfg.c - see fw_cfg.h (QEMU's docs/specs/fw_cfg.rst).
 *
 * Model: the selector and an offset into the selected item, which each read moves on. A DMA command is 16
 * bytes in guest memory, big-endian: control, length, address. It is read a microsecond after its address was
 * written; what it asks for moves in pieces of PIECE_BYTES, one each PIECE_NS, so that no command holds up
 * the host; then control becomes 0, or DMA_ERROR. The pace is no hardware's: there is none. A command that is
 * started while one is under way replaces it. No item can be written.
 *
 * NOT MODELLED: items that the guest writes. */
#include "hw/fw_cfg.h"

#include "clockcore/ticks.h"
#include "mem/master.h"

#include <stdlib.h>
#include <string.h>

#define START_NS    1000
#define PIECE_NS    1000
#define PIECE_BYTES 65536u
#define CHUNK_BYTES 4096u /* of zeroes, behind an item's end */

enum { /* control of a DMA command; a selector may stand in its upper half */
       DMA_ERROR = 1,
       DMA_READ = 2,
       DMA_SKIP = 4,
       DMA_SELECT = 8,
       DMA_WRITE = 16,
};
#define COMMAND_BYTES 16

static const char dma_signature[] = "QEMU CFG";

/* --- items --- */

static const struct fw_cfg_item *find(const struct fw_cfg_items *items, uint16_t key)
{
    for (unsigned i = 0; items && i < items->n; i++)
        if (items->item[i].key == key)
            return &items->item[i];
    return NULL;
}

static struct fw_cfg_item *add(struct fw_cfg_items *items, const void *data, uint32_t bytes)
{
    if (items->n == FW_CFG_ITEMS_MAX)
        return NULL;
    struct fw_cfg_item *item = &items->item[items->n++];
    *item = (struct fw_cfg_item){.data = data, .bytes = bytes};
    return item;
}

bool fw_cfg_add(struct fw_cfg_items *items, uint16_t key, const void *data, uint32_t bytes)
{
    struct fw_cfg_item *item = find(items, key) ? NULL : add(items, data, bytes);

    if (item)
        item->key = key;
    return item;
}

bool fw_cfg_add_file(struct fw_cfg_items *items, const char *name, const void *data, uint32_t bytes)
{
    if (!*name || strlen(name) >= FW_CFG_NAME_BYTES)
        return false;
    for (unsigned i = 0; i < items->n; i++)
        if (strcmp(items->item[i].name, name) == 0)
            return false;
    struct fw_cfg_item *item = add(items, data, bytes);
    if (!item)
        return false;
    strcpy(item->name, name);
    item->key = UINT16_MAX; /* fw_cfg_finish numbers it */
    return true;
}

/* Files behind all others, by name. */
static int compare(const void *a, const void *b)
{
    return strcmp(((const struct fw_cfg_item *)a)->name, ((const struct fw_cfg_item *)b)->name);
}

static void put_be(uint8_t *p, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static uint64_t get_be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static void put_entry(uint8_t *entry, const struct fw_cfg_item *item)
{
    put_be(entry, item->bytes, 4);
    put_be(entry + 4, item->key, 2);
    put_be(entry + 6, 0, 2);
    memcpy(entry + 8, item->name, FW_CFG_NAME_BYTES);
}

void fw_cfg_finish(struct fw_cfg_items *items)
{
    unsigned files = 0;

    qsort(items->item, items->n, sizeof(items->item[0]), compare);
    for (unsigned i = 0; i < items->n; i++) {
        struct fw_cfg_item *item = &items->item[i];
        if (!item->name[0])
            continue;
        item->key = (uint16_t)(FW_CFG_FILE_FIRST + files);
        put_entry(items->dir + 4 + FW_CFG_ENTRY * files++, item);
    }
    put_be(items->dir, files, 4);
    fw_cfg_add(items, FW_CFG_FILE_DIR, items->dir, 4 + FW_CFG_ENTRY * files);
}

/* What is left of an item from the offset on; *bytes 0: nothing. */
static const uint8_t *rest(const struct fw_cfg *s, const struct fw_cfg_items *items, uint32_t *bytes)
{
    const struct fw_cfg_item *item = find(items, s->key);

    *bytes = item && s->offset < item->bytes ? item->bytes - s->offset : 0;
    return *bytes ? item->data + s->offset : NULL;
}

static void move_on(struct fw_cfg *s, uint32_t bytes)
{
    s->offset = bytes > UINT32_MAX - s->offset ? UINT32_MAX : s->offset + bytes;
}

static void select_item(struct fw_cfg *s, uint16_t key)
{
    s->key = key;
    s->offset = 0;
}

/* --- registers --- */

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    uint32_t v = 0;

    (void)state;
    (void)now_ns;
    if (offset < FW_CFG_OFF_DMA || offset + size > FW_CFG_PORTS)
        return UINT32_MAX;
    for (unsigned i = 0; i < size && i < 4; i++)
        v |= (uint32_t)(uint8_t)dma_signature[offset - FW_CFG_OFF_DMA + i] << (8 * i);
    return v;
}

static uint32_t read_constant(void *state, const void *constant, uint32_t offset, unsigned size,
                              uint64_t now_ns)
{
    struct fw_cfg *s = state;
    uint32_t bytes;

    if (offset != FW_CFG_OFF_DATA || size != 1)
        return pure_read(s, offset, size, now_ns);
    const uint8_t *data = rest(s, constant, &bytes);
    move_on(s, 1);
    return bytes ? *data : 0;
}

/* Without items every item is empty. */
static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    return read_constant(state, NULL, offset, size, now_ns);
}

static uint32_t swapped(uint32_t v)
{
    return __builtin_bswap32(v);
}

static void start(struct fw_cfg *s, uint32_t low, uint64_t now_ns)
{
    s->command = (s->command & ~(uint64_t)UINT32_MAX) | low;
    s->moving = 0;
    s->master_ns = now_ns + START_NS;
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct fw_cfg *s = state;

    if (offset == FW_CFG_OFF_SELECTOR && size == 2)
        select_item(s, (uint16_t)value);
    else if (offset == FW_CFG_OFF_DMA && size == 4)
        s->command = (uint64_t)swapped(value) << 32;
    else if (offset == FW_CFG_OFF_DMA + 4 && size == 4)
        start(s, swapped(value), now_ns);
}

static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    (void)state;
    (void)value;
    if (offset < FW_CFG_OFF_DMA)
        return offset == FW_CFG_OFF_SELECTOR && size == 2 ? NULL
                                                          : "a write other than of the 16-bit selector";
    return size == 4 && offset % 4 == 0 ? NULL : "a DMA address in other pieces than two halves";
}

/* --- DMA --- */

/* The command's first word says how it went; the high half of the address is 0 for the next one. */
static void finish(struct fw_cfg *s, const struct mem_master *memory, bool error)
{
    uint8_t control[4];

    put_be(control, error ? DMA_ERROR : 0, 4);
    mem_master_write(memory, s->command, control, sizeof(control));
    s->command = s->left = s->moving = 0;
    s->address = 0;
    s->master_ns = NS_NEVER;
}

static void begin(struct fw_cfg *s, const struct mem_master *memory, uint64_t now_ns)
{
    uint8_t command[COMMAND_BYTES];

    if (mem_master_read(memory, s->command, command, sizeof(command)) != MEM_OK) {
        finish(s, memory, true);
        return;
    }
    uint32_t control = (uint32_t)get_be(command, 4), length = (uint32_t)get_be(command + 4, 4);
    if (control & DMA_SELECT)
        select_item(s, (uint16_t)(control >> 16));
    if (control & DMA_READ) {
        s->left = length;
        s->address = get_be(command + 8, 8);
        s->moving = 1;
        s->master_ns = now_ns + PIECE_NS;
        return;
    }
    if (control & DMA_SKIP)
        move_on(s, length);
    finish(s, memory, (control & (DMA_WRITE | DMA_SKIP)) == DMA_WRITE);
}

/* Bytes of the item, or zeroes behind its end: how many went. 0: they went nowhere. */
static uint32_t move_some(struct fw_cfg *s, const struct fw_cfg_items *items, const struct mem_master *memory,
                          uint32_t bytes)
{
    static const uint8_t zeroes[CHUNK_BYTES];
    uint32_t have;
    const uint8_t *data = rest(s, items, &have);

    if (!have)
        data = zeroes, have = CHUNK_BYTES;
    bytes = bytes < have ? bytes : have;
    if (mem_master_write(memory, s->address, data, bytes) == MEM_NOT_THERE)
        return 0;
    s->address += bytes;
    s->left -= bytes;
    move_on(s, bytes);
    return bytes;
}

static void move_piece(struct fw_cfg *s, const struct fw_cfg_items *items, const struct mem_master *memory,
                       uint64_t now_ns)
{
    uint32_t piece = s->left < PIECE_BYTES ? s->left : PIECE_BYTES;

    while (piece > 0) {
        uint32_t went = move_some(s, items, memory, piece);
        if (!went) {
            finish(s, memory, true);
            return;
        }
        piece -= went;
    }
    s->master_ns = now_ns + PIECE_NS;
    if (s->left == 0)
        finish(s, memory, false);
}

static uint64_t next_master(const void *state)
{
    return ((const struct fw_cfg *)state)->master_ns;
}

static void master(void *state, const struct chip_master *m, uint64_t now_ns)
{
    struct fw_cfg *s = state;

    if (!m->memory)
        s->master_ns = NS_NEVER;
    else if (s->moving)
        move_piece(s, m->constant, m->memory, now_ns);
    else
        begin(s, m->memory, now_ns);
}

static void reset(void *state, uint64_t now_ns)
{
    (void)now_ns;
    *(struct fw_cfg *)state = (struct fw_cfg){.master_ns = NS_NEVER};
}

static const struct field fields[] = {
    FIELD(struct fw_cfg, master_ns),     FIELD(struct fw_cfg, command),        FIELD(struct fw_cfg, address),
    FIELD(struct fw_cfg, left),          FIELD(struct fw_cfg, offset),         FIELD(struct fw_cfg, key),
    FIELD_MAX(struct fw_cfg, moving, 1), FIELD_ARRAY(struct fw_cfg, reserved),
};

const struct chip_class fw_cfg_class = {
    .name = "fw_cfg",
    .state_bytes = sizeof(struct fw_cfg),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .read_constant = read_constant,
    .write = write_reg,
    .write_error = write_error,
    .pure_read = pure_read,
    .next_master = next_master,
    .master = master,
};
