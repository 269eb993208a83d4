/* fuzz_chips.c - random accesses at random times against every chip; and tables for guests (fuzz_tables.c).
 *
 * Usage: fuzz_chips [SECONDS [SEED]]. A case is one chip, one tick length and a few hundred random
 * operations, run on two states that start from different garbage. Checked after each operation:
 *  - no crash, no undefined behaviour (build it with the sanitizers);
 *  - next_event lies after the access, or the few calls of advance for a tick's events;
 *  - reads of registers that are declared pure change nothing and agree with pure_read;
 *  - both states have the same bytes, and so has one rebuilt from the field table alone.
 * A failing case prints its seed: fuzz_chips 0 SEED runs that case and nothing else. */
#include "tests/fuzz/fuzz_chips.h"
#include "clockcore/ticks.h"
#include "hw/apic.h"
#include "hw/blocks.h"
#include "hw/debugcon.h"
#include "hw/e1000.h"
#include "hw/fw_cfg.h"
#include "hw/i440fx.h"
#include "hw/i8042.h"
#include "hw/i82077.h"
#include "hw/i8237.h"
#include "hw/i8254.h"
#include "hw/i8259.h"
#include "hw/ioapic.h"
#include "hw/marker.h"
#include "hw/mc146818.h"
#include "hw/ns16550.h"
#include "hw/pcmisc.h"
#include "hw/piix4_pm.h"
#include "hw/piix_ide.h"
#include "hw/toypci.h"
#include "hw/vga_draw.h"
#include "hw/virtio_blk.h"
#include "hw/virtio_net.h"
#include "mem/master.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATE_WORDS     20000
#define OPS_PER_CASE    400
#define LARGE_STATE     65536 /* bytes: not looked at after each operation */
#define EVENTS_PER_TICK 4     /* edges of the fastest clock within the longest tick */
#define EVENTS_PER_GAP  500

struct target {
    const struct chip_class *chip;
    uint32_t offsets;                                       /* offsets 0..offsets-1 are tried */
    uint64_t pure;                                          /* bit n: offset n is declared pure for reading */
    bool wide;                                              /* takes 2 and 4 bytes too */
    uint32_t (*poke)(void *s, uint64_t r, uint64_t now_ns); /* a call of the back end; NULL: none */
};

static uint32_t poke_pic(void *s, uint64_t r, uint64_t now_ns)
{
    (void)now_ns;
    if (r & 1)
        i8259_set_line(s, r >> 8 & 31, r >> 16 & 1);
    else if (i8259_intr(s))
        return i8259_acknowledge(s);
    return i8259_can_interrupt(s);
}

/* What the board does with it, and writes that hit a register: messages are its own, or like its own. */
static uint32_t poke_apic(void *s, uint64_t r, uint64_t now_ns)
{
    struct apic_message m = {.vector = (uint8_t)(r >> 8),
                             .mode = r >> 16 & 7,
                             .dest = (uint8_t)(r >> 24),
                             .shorthand = r >> 32 & 3,
                             .logical = r >> 34 & 1,
                             .level = r >> 35 & 1};
    uint32_t v = 0;

    switch (r & 7) {
    case 0:
    case 1:
    case 2:
        apic_class.write(s, (r >> 8 & 63) * 16, 4, (uint32_t)(r >> 32), now_ns);
        break;
    case 3:
        apic_set_lint(s, r >> 8 & 1, r >> 9 & 1);
        break;
    case 4:
        v = apic_set_base(s, r >> 16 & 7 ? APIC_PAGE | APIC_BASE_ENABLE : r >> 20);
        break;
    case 5:
        v = apic_send(s, 1, r >> 40 & 1, &m);
        break;
    default:
        v = apic_acknowledge(s);
        break;
    }
    if (apic_take_ipi(s, &m))
        v += apic_send(s, 1, 0, &m);
    return v + (uint32_t)apic_take_eoi(s) + apic_take_pins(s) + apic_page(s) + apic_intr(s) + apic_extint(s) +
           apic_timer_interrupts(s) + apic_lint_message(s, 0, &m) + apic_would_interrupt(s, &m);
}

static uint32_t poke_ioapic(void *s, uint64_t r, uint64_t now_ns)
{
    struct apic_message m = {0};

    if (r & 1)
        ioapic_set_pin(s, r >> 8 & 31, r >> 16 & 1);
    else if (r & 2)
        ioapic_eoi(s, (uint8_t)(r >> 8));
    ioapic_class.write(s, 0, 1, r >> 24 & 0x3F, now_ns);
    if (r & 4)
        ioapic_class.write(s, 0x10, 4, (uint32_t)(r >> 32), now_ns);
    uint32_t ready = ioapic_ready(s);
    if (ready == 0)
        return 0;
    unsigned pin = (unsigned)__builtin_ctz(ready);
    bool sent = ioapic_message(s, pin, &m);
    ioapic_sent(s, pin, sent && (r & 8));
    return ready + m.vector;
}

static uint32_t poke_rtc(void *s, uint64_t r, uint64_t now_ns)
{
    if (r % 8 == 0)
        mc146818_set_time(s, r >> 8 & 0xFFFFFFFFF, now_ns);
    else if (r % 8 == 1)
        mc146818_reset_pin(s, now_ns);
    else if (r % 8 == 2)
        mc146818_set_cmos(s, r >> 8 & 0xFF, (uint8_t)(r >> 16));
    return (uint32_t)mc146818_get_time(s, now_ns);
}

static uint32_t poke_uart(void *s, uint64_t r, uint64_t now_ns)
{
    uint8_t byte = 0;

    if (r % 4 == 0 && ns16550_can_receive(s))
        ns16550_receive(s, (uint8_t)(r >> 8), now_ns);
    else if (r % 16 == 1)
        ns16550_receive(s, (uint8_t)(r >> 8), now_ns); /* a careless back end */
    else if (r % 16 == 2)
        ns16550_break(s, now_ns);
    else
        ns16550_take_tx(s, &byte);
    return byte;
}

/* Commands that go together with their arguments, to the keyboard or the mouse. */
static void kbc_command(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t codes[] = {0xED, 0xF0, 0xF0, 0xF3, 0xF3, 0xF8, 0xFA, 0xFB, 0xFC, 0xFD, 0xFF,
                                    0xF4, 0xF4, 0xF6, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xEB, 0xEC, 0xEE};
    static const uint8_t arguments[] = {0, 1, 2, 3, 3, 7, 0x1C, 0x7F, 80, 80, 100, 200, 200, 200};
    bool mouse = r >> 8 & 1;
    const uint8_t bytes[2] = {codes[(r >> 16 & 0xFF) % sizeof codes],
                              arguments[(r >> 24 & 0xFF) % sizeof arguments]};

    for (unsigned i = 0; i < 2; i++) {
        if (mouse)
            i8042_class.write(s, I8042_OFF_STATUS, 1, 0xD4, now_ns);
        i8042_class.write(s, I8042_OFF_DATA, 1, bytes[i], now_ns);
    }
}

static uint32_t poke_kbc(void *s, uint64_t r, uint64_t now_ns)
{
    struct port_motion m = {.dx = (int16_t)(r >> 8), .dy = (int16_t)(r >> 24), .dz = (int8_t)(r >> 40)};

    switch (r & 7) {
    case 0:
        return i8042_take_request(s);
    case 1:
        kbc_command(s, r, now_ns);
        return 0;
    case 2:
        m.dx >>= r >> 48 & 15;
        m.buttons = (uint8_t)(r >> 52);
        i8042_motion(s, m, now_ns);
        return i8042_motion_ready_ns(s) > now_ns;
    default:
        i8042_key(s, r >> 8 & 0x1FF, r >> 24 & 1, now_ns);
        return i8042_key_ready_ns(s) > now_ns;
    }
}

/* Registers of every function, by mechanism 1: sized, moved, switched on; any other byte, too. */
static void pci_access(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t liked[] = {0x04, 0x10, 0x14, 0x18, 0x20, 0x24, 0x30,
                                    0x3C, 0x40, 0x59, 0x5D, 0x60, 0x80};
    static const uint32_t values[] = {0xFFFFFFFF, 0, 7, 0x80000001, 0xC000, 0xFEB00000, 0xF, 0x33};
    const struct pci_function *f = i440fx_function(s, r >> 8 & 31);
    uint32_t reg = r >> 16 & 3 ? liked[(r >> 18 & 0xFF) % sizeof liked] : r >> 18 & 0xFF;
    uint32_t value = r >> 30 & 3 ? values[r >> 32 & 7] : (uint32_t)(r >> 32);
    uint32_t devfn = f ? f->devfn : r >> 40 & 0xFF;

    i440fx_class.write(s, I440FX_OFF_ADDRESS, 4, 1u << 31 | devfn << 8 | (reg & 0xFC), now_ns);
    i440fx_class.write(s, I440FX_OFF_DATA + (reg & 3), 1u << (r >> 28 & 3) % 3, value, now_ns);
}

/* Which cards are in the slots, and which of them have expansion ROMs. */
static void pci_fit(struct i440fx *s, uint64_t r)
{
    s->fitted = (uint32_t)(r >> 17 & 0x1F) << I440FX_FN_TOY;
    for (unsigned n = 0; n < NIC_SLOTS; n++) {
        unsigned function = (r >> (24 + n) & 1 ? I440FX_FN_E1000_0 : I440FX_FN_VIRTIO_NET0) + n;
        s->fitted |= (r >> (28 + n) & 1) << function;
        s->rom_log2[function] = (uint8_t)(r >> (32 + 4 * n) & 31);
    }
}

static uint32_t pci_look(const struct i440fx *s, uint64_t r)
{
    uint32_t address = 0;
    unsigned function = r >> 20 & 31;
    bool decoded = i440fx_bar_decoded(s, function, r >> 25 & 7, &address);

    return decoded + address + i440fx_config_peek(s, function, r >> 8 & 0x1FF) +
           i440fx_pirq_route(s, r >> 32 & 7) + i440fx_may_master(s, function) + i440fx_ide_decoded(s, r & 1) +
           i440fx_pm_decoded(s, &address) + i440fx_pam(s, r >> 40 & 15);
}

static uint32_t poke_pci(void *s, uint64_t r, uint64_t now_ns)
{
    if (r % 16 == 0)
        pci_fit(s, r);
    for (unsigned i = 0; i < 4; i++)
        pci_access(s, r * (2 * i + 1) + i, now_ns);
    return i440fx_take_request(s) + pci_look(s, r);
}

struct physmem memories[2];
unsigned copy;

/* A drive whose contents and failures follow from the request. */
static uint8_t drive_bytes[BLOCKS_BYTES_MAX];

static uint8_t *drive_buffer(void *ctx, unsigned drive)
{
    (void)ctx, (void)drive;
    return drive_bytes;
}

static void drive_start(void *ctx, unsigned drive, const struct blocks_request *r)
{
    (void)ctx, (void)drive;
    if (r->bytes > BLOCKS_BYTES_MAX && r->op != BLOCKS_DISCARD)
        abort();
}

static enum blocks_status drive_finish(void *ctx, unsigned drive, const struct blocks_request *r,
                                       const uint8_t **data)
{
    drive_start(ctx, drive, r);
    if (r->op == BLOCKS_READ)
        memset(drive_bytes, (int)(r->offset / 512), r->bytes);
    if (data)
        *data = drive_bytes;
    return r->offset % 7 == 3 ? BLOCKS_IO_ERROR : BLOCKS_OK;
}

static const struct chip_blocks drives = {
    .buffer = drive_buffer, .start = drive_start, .finish = drive_finish};

/* Items of fw_cfg: the ends of all of them are within reach. */
static struct fw_cfg_items fw_cfg_items;

static void make_items(void)
{
    static const uint8_t contents[70000] = {1, 2, 3, 4};

    fw_cfg_add(&fw_cfg_items, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_file(&fw_cfg_items, "opt/large", contents, sizeof contents);
    fw_cfg_add_file(&fw_cfg_items, "opt/empty", contents, 0);
    fw_cfg_finish(&fw_cfg_items);
}

/* A DMA channel that moves as much as the operation says. */
static uint32_t dma_most;

static uint32_t dma_transfer(void *ctx, bool to_memory, uint8_t *data, uint32_t bytes, bool *terminal_count)
{
    uint32_t n = bytes < dma_most ? bytes : dma_most;

    (void)ctx;
    if (!to_memory)
        memset(data, (int)n, n);
    *terminal_count = n && n == dma_most;
    return n;
}

static const struct chip_dma dma_channel = {.transfer = dma_transfer};

void use_memory(const struct chip_class *chip, void *s, uint64_t r, uint64_t now_ns)
{
    struct mem_master mm = {.pm = &memories[copy]};
    struct chip_master m = {.memory = r >> 8 & 15 ? &mm : NULL,
                            .blocks = &drives,
                            .constant = &fw_cfg_items,
                            .dma = &dma_channel};

    dma_most = r >> 20 & 3 ? 512 + (r >> 22 & 1) : r >> 22 & 0x3FF;
    mem_masters_begin(mm.pm);
    chip->master(s, &m, now_ns);
    mem_masters_end(mm.pm);
}

/* Half a driver: it sets a queue up, and its memory holds chains that are almost right. */
#define RING_AT  0x1000u
#define CHAIN_AT 0x8000u

void put_guest(uint64_t at, uint64_t v, unsigned bytes)
{
    physmem_write(&memories[copy], at, &v, bytes);
}

static void put_descriptor(unsigned n, uint64_t r)
{
    static const uint16_t bytes[] = {16, 1, 512, 4096, 15, 48, 20, 0};
    uint64_t at = RING_AT + 16 * n;

    put_guest(at, r % 16 ? CHAIN_AT + (r >> 8 & 0xFFF) * 16 : r, 8);
    put_guest(at + 8, r >> 4 & 63 ? bytes[r >> 20 & 7] : (uint32_t)(r >> 32), 4);
    put_guest(at + 12, n == 0 ? 1 : r >> 24 & 31 ? r >> 30 & 3 : r >> 30 & 7, 2);
    put_guest(at + 14, r >> 40 & 7 ? n + 1 : r >> 43 & 1 ? r >> 44 & 3 : r >> 46, 2);
}

static void put_chain(uint64_t r)
{
    static const uint8_t types[] = {0, 1, 4, 8, 11, 13, 0, 1};
    struct virtio_blk s = {.q.size = VIRTQ_SIZE_MAX};
    unsigned avail = RING_AT + 16 * s.q.size;

    put_guest(CHAIN_AT + (r >> 8 & 0xFFF) * 16, r >> 50 & 15 ? types[r >> 20 & 7] : r, 8);
    put_guest(CHAIN_AT + (r >> 8 & 0xFFF) * 16 + 8, r >> 30 & 0x1FFF, 8);
    for (unsigned n = 0; n < 4; n++)
        put_descriptor(n, r * (2 * n + 1) >> n);
    for (unsigned n = 0; n < s.q.size; n++)
        put_guest(avail + 4 + 2 * n, r >> n % 32 & 31 ? n % 3 : r, 2);
    put_guest(avail + 2, r >> 60 & 3 ? r >> 36 & 3 : r, 2);
}

static void put_queue(struct virtio_blk *s, uint64_t r, uint64_t now_ns)
{
    uint64_t legacy = r >> 8 & 1;

    virtio_blk_fit(s, &(struct drive_config){.bytes = 1u << 20, .read_only = r >> 9 & 1});
    virtio_blk_class.write(s, 0x04, 4, (uint32_t)(r >> 10 & 1) << 29 | (uint32_t)(r >> 11 & 1) << 28, now_ns);
    if (legacy)
        virtio_blk_class.write(s, 0x08, 4, RING_AT / 4096, now_ns);
    virtio_blk_class.write(s, VIRTIO_COMMON_AT + 0x20, 4, RING_AT, now_ns);
    virtio_blk_class.write(s, VIRTIO_COMMON_AT + 0x28, 4, RING_AT + 16 * VIRTQ_SIZE_MAX, now_ns);
    virtio_blk_class.write(s, VIRTIO_COMMON_AT + 0x30, 4, RING_AT + 0x2000, now_ns);
    virtio_blk_class.write(s, VIRTIO_COMMON_AT + 0x1C, 2, 1, now_ns);
    virtio_blk_class.write(s, 0x12, 1, 15, now_ns);
}

static uint32_t poke_virtio(void *state, uint64_t r, uint64_t now_ns)
{
    struct virtio_blk *s = state;

    if (r % 2 && virtio_blk_class.next_master(s) <= now_ns)
        use_memory(&virtio_blk_class, s, r, now_ns);
    else if (r % 16 == 2)
        put_queue(s, r, now_ns);
    else if (r % 16 == 4)
        virtio_blk_reset_pin(s);
    else if (r % 16 < 12)
        put_chain(r);
    if (r >> 20 & 1)
        virtio_blk_class.write(s, VIRTIO_NOTIFY_AT, 2, 0, now_ns);
    return s->count;
}

/* --- network cards: half a driver each, and frames that are almost right --- */

static uint8_t frame_bytes[PORT_ENTRY_BYTES];

/* A frame for the card, with headers that lead anywhere. */
static uint32_t make_frame(uint64_t r)
{
    static const uint8_t head[] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0,  0, 1, 8, 0,  0x45, 0, 0,
                                   100,  0,    1, 0,    0,    64,   6, 0, 0, 10, 0, 2, 2, 10, 0,    2, 15};
    static const uint16_t lengths[] = {60, 114, 1514, 300, 14, 1600, 16128, 13};

    memset(frame_bytes, (int)(r >> 40), sizeof frame_bytes);
    memcpy(frame_bytes, head, sizeof head);
    if (r >> 8 & 1)
        memset(frame_bytes, r >> 9 & 1 ? 0xFF : 1, 6);
    if (r >> 10 & 1)
        frame_bytes[23] = 17;
    if (!(r >> 11 & 3))
        frame_bytes[12 + (r >> 13 & 31)] = (uint8_t)(r >> 18);
    if (!(r >> 26 & 3))
        memcpy(frame_bytes + 12, r >> 28 & 1 ? "\x81\x00\x20\x04" : "\x86\xDD\x60\x00", 4);
    return r >> 32 & 31 ? lengths[r >> 37 & 7] : (uint32_t)(r >> 40) % PORT_ENTRY_BYTES + 1;
}

static uint32_t take_frames(const struct port_output *out, void *s)
{
    static uint8_t entry[PORT_ENTRY_BYTES];
    uint32_t sum = 0, n;

    for (unsigned i = 0; i < 10000 && (n = out->take(s, entry, sizeof entry)); i++)
        sum += n + entry[n - 1];
    return sum;
}

static void put_frame(const struct port_input *in, void *s, uint64_t r, uint64_t now_ns)
{
    if (in->ready_ns(s) > now_ns)
        return;
    uint32_t n = make_frame(r);
    in->put(s, frame_bytes, n, now_ns);
}

/* A ring of descriptors of all kinds; few of them are wrong. */
static void put_e1000_ring(uint64_t at, uint64_t r)
{
    for (unsigned n = 0; n < 16; n++, r = r * UINT64_C(6364136223846793005) + 1442695040888963407) {
        bool context = !(r >> 40 & 3);
        uint32_t length = r >> 42 & 7 ? r >> 45 & 0x7FF : r >> 45 & 0xFFFFF;
        uint32_t flags = (uint32_t)(r >> 20 & 0xCF) << 24; /* EOP, IFCS, TSE, RS, VLE, IDE */

        put_guest(at + 16 * n, context ? 0x210E0A0E2200100E : r >> 60 ? 0x8000 + (r >> 50 & 0xFFF) : r, 8);
        put_guest(at + 16 * n + 8,
                  length | flags | (r >> 33 & 3 ? 1u << 29 | (context ? 0 : 1u << 20) : r >> 35 & 0xF00000),
                  4);
        put_guest(at + 16 * n + 12, r >> 36 & 3 ? (r & 0xFF) << 16 | 0x3600 | (r >> 8 & 0x300) : r, 4);
    }
}

static void e1000_setup(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint16_t rings[] = {128, 256, 256, 0};
    static const uint16_t regs[] = {0x3800, 0x3808, 0x3810, 0x3818, 0x400,  0x2800, 0x2808, 0x2810,
                                    0x2818, 0x2820, 0x282C, 0x3820, 0x382C, 0x2C00, 0x5000, 0xC4};
    uint32_t length = rings[r >> 8 & 3], rctl = 0x8002 | (uint32_t)(r >> 10 & 0x07FFFFFF);
    const uint32_t values[] = {0x3000,
                               length,
                               0,
                               (uint32_t)(r >> 40 & 15),
                               0xA,
                               r >> 44 & 15 ? 0x4000 : 0xFFFFF000,
                               length,
                               0,
                               (uint32_t)(r >> 48 & 15),
                               (uint32_t)(r >> 52 & 7),
                               (uint32_t)(r >> 53 & 7),
                               (uint32_t)(r >> 54 & 7),
                               (uint32_t)(r >> 55 & 7),
                               (uint32_t)(r >> 56 & 127),
                               (uint32_t)(r >> 57 & 3) << 8,
                               (uint32_t)(r >> 59 & 31)};

    for (unsigned i = 0; i < 16; i++)
        e1000_class.write(s, regs[i], 4, values[i], now_ns);
    e1000_class.write(s, 0, 4, 0x41 | (uint32_t)(r >> 63) << 30, now_ns);
    e1000_class.write(s, 0x100, 4, r >> 12 & 3 ? rctl & ~0x18u : 0x8002, now_ns);
}

/* The EEPROM bit by bit, and the PHY. */
static uint32_t e1000_beside(void *s, uint64_t r, uint64_t now_ns)
{
    uint32_t v = 0, command = 6u << 6 | (r >> 8 & 63);

    for (unsigned i = 25; i-- > 0;) {
        uint32_t bit = i >= 16 ? command >> (i - 16) & 1 : 0;
        e1000_class.write(s, 0x10, 4, 0x42 | bit << 2, now_ns);
        e1000_class.write(s, 0x10, 4, 0x43 | bit << 2, now_ns);
        v = v << 1 | (e1000_class.pure_read(s, 0x10, 4, now_ns) >> 3 & 1);
    }
    e1000_class.write(s, 0x10, 4, 0, now_ns);
    e1000_class.write(s, 0x14, 4, (uint32_t)(r >> 8 & 0xFF00) | 1, now_ns);
    e1000_class.write(s, 0x20, 4,
                      (uint32_t)(r >> 16 & 0xFFFF) | (uint32_t)(r >> 32 & 31) << 16 | 1u << 21 |
                          (1u + (r >> 40 & 1)) << 26,
                      now_ns);
    return v;
}

static uint32_t poke_e1000(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t mac[NIC_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    const struct chip_class *c = &e1000_class;

    if (c->next_master(s) <= now_ns)
        use_memory(c, s, r, now_ns);
    else if (r % 32 == 0)
        e1000_fit(s, mac);
    else if (r % 64 == 1)
        e1000_reset_pin(s, now_ns);
    else if (r % 8 == 2)
        e1000_setup(s, r, now_ns);
    else if (r % 8 == 3)
        put_e1000_ring(r >> 8 & 1 ? 0x3000 : 0x4000, r);
    else if (r % 8 == 4)
        return e1000_beside(s, r, now_ns);
    else if (r % 8 == 5) {
        c->write(s, 0x3818, 4, r >> 8 & 15, now_ns);
        c->write(s, 0x2818, 4, r >> 12 & 15, now_ns);
    } else
        put_frame(&e1000_frames_in, s, r, now_ns);
    if (c->next_master(s) <= now_ns)
        use_memory(c, s, r, now_ns);
    return take_frames(&e1000_frames_out, s) + c->outputs(s);
}

/* Chains for each of the three queues, in areas of their own. */
static void put_net_chains(uint64_t r)
{
    static const uint16_t lengths[] = {12, 10, 60, 1526, 100, 2, 4, 6};

    for (unsigned q = 0; q < VIRTIO_NET_QUEUES; q++) {
        uint64_t at = 0x3000 + 0x3000 * q;
        for (unsigned n = 0; n < 8; n++, r = r * UINT64_C(6364136223846793005) + 1442695040888963407) {
            uint32_t flags = (q == VIRTIO_NET_RX ? 2
                              : n % 4 == 3       ? 2
                                                 : 0) |
                             (n % 4 != 3 && r >> 30 & 3 ? 1 : 0);
            put_guest(at + 16 * n, r >> 59 ? CHAIN_AT + 0x8000 + (r >> 8 & 0xFFF) : r, 8);
            put_guest(at + 16 * n + 8, r >> 20 & 15 ? lengths[r >> 24 & 7] : r >> 32 & 0x3FFF, 4);
            put_guest(at + 16 * n + 12, r >> 33 & 63 ? flags : r, 2);
            put_guest(at + 16 * n + 14, r >> 40 & 31 ? n + 1 : r, 2);
            put_guest(at + 16 * VIRTQ_SIZE_MAX + 4 + 2 * n, r >> 45 & 31 ? n & 4 : r, 2);
        }
        put_guest(at + 16 * VIRTQ_SIZE_MAX + 2, r >> 50 & 15 ? r >> 54 & 7 : r, 2);
    }
    for (unsigned n = 0; n < 64; n++, r = r * UINT64_C(6364136223846793005) + 1442695040888963407)
        put_guest(CHAIN_AT + 0x8000 + 64 * n, r >> 20 & 0x010101010101, 8);
}

static void net_setup(struct virtio_net *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t mac[NIC_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    const struct chip_class *c = &virtio_net_class;

    virtio_net_fit(s, mac);
    c->write(s, 0x04, 4, (uint32_t)(r >> 8), now_ns);
    for (unsigned q = 0; q < VIRTIO_NET_QUEUES; q++) {
        uint32_t at = 0x3000 + 0x3000 * q;
        c->write(s, VIRTIO_COMMON_AT + 0x16, 2, q, now_ns);
        c->write(s, VIRTIO_COMMON_AT + 0x20, 4, at, now_ns);
        c->write(s, VIRTIO_COMMON_AT + 0x28, 4, at + 16 * VIRTQ_SIZE_MAX, now_ns);
        c->write(s, VIRTIO_COMMON_AT + 0x30, 4, at + 0x2000, now_ns);
        c->write(s, VIRTIO_COMMON_AT + 0x1C, 2, 1, now_ns);
    }
    c->write(s, 0x12, 1, 15, now_ns);
}

static uint32_t poke_virtio_net(void *state, uint64_t r, uint64_t now_ns)
{
    const struct chip_class *c = &virtio_net_class;

    if (r % 16 == 0)
        net_setup(state, r, now_ns);
    else if (r % 64 == 1)
        virtio_net_reset_pin(state);
    else if (r % 4 == 2)
        put_net_chains(r);
    else if (r % 4 == 3)
        put_frame(&virtio_net_frames_in, state, r, now_ns);
    c->write(state, VIRTIO_NOTIFY_AT, 2, r >> 60 & 3, now_ns);
    if (c->next_master(state) <= now_ns)
        use_memory(c, state, r, now_ns);
    return take_frames(&virtio_net_frames_out, state) + c->outputs(state);
}

/* What a read of the port has, which needs the items; commands lie where the address says, near the start. */
static uint32_t poke_fw_cfg(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t controls[] = {2, 10, 4, 12, 8, 16, 18, 0};
    uint8_t command[16] = {0,
                           (uint8_t)(r >> 40 & 0x3F),
                           0,
                           controls[r >> 16 & 7],
                           0,
                           (uint8_t)(r >> 48 & 3),
                           (uint8_t)(r >> 24),
                           (uint8_t)(r >> 32),
                           0,
                           0,
                           0,
                           0,
                           0,
                           (uint8_t)(r >> 50 & 0x7F)};

    physmem_write(&memories[copy], 0x100, command, sizeof command);
    if (r % 4 == 0) {
        fw_cfg_class.write(s, FW_CFG_OFF_DMA, 4, 0, now_ns);
        fw_cfg_class.write(s, FW_CFG_OFF_DMA + 4, 4, 0x00010000, now_ns);
    }
    if (r % 4 < 2 && fw_cfg_class.next_master(s) != NS_NEVER)
        use_memory(&fw_cfg_class, s, r, now_ns);
    return fw_cfg_class.read_constant(s, &fw_cfg_items, FW_CFG_OFF_DATA, 1, now_ns);
}

static uint32_t poke_dma(void *s, uint64_t r, uint64_t now_ns)
{
    static uint8_t data[0x20000];
    struct mem_master mm = {.pm = &memories[copy]};
    bool tc;

    if (r % 4 == 0) /* what makes a channel of the first controller work */
        i8237_class.reset(s, now_ns);
    if (r % 4 == 0)
        i8237_class.write(s, 0x0E, 1, 0, now_ns);
    mem_masters_begin(&memories[copy]);
    uint32_t n = i8237_transfer(s, r >> 3 & 31 ? &mm : NULL, r >> 8 & 15, r >> 12 & 1, data,
                                (uint32_t)(r >> 16) % sizeof(data), &tc);
    mem_masters_end(&memories[copy]);
    return n + tc;
}

/* Half a driver of the floppy controller: it fetches results, then gives a command that is almost right. */
static void give_command(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t codes[] = {0x03, 0x04, 0xC5, 0xE6, 0x46, 0x45, 0x07, 0x08, 0x4A, 0x4D,
                                    0x0E, 0x0F, 0x10, 0x12, 0x13, 0x94, 0x14, 0x1F, 0xE6, 0xC5};
    uint8_t cylinder = r >> 16 & 3 ? 0 : r >> 18 & 127, head = r >> 25 & 1;
    uint8_t bytes[9] = {codes[(r >> 8) % sizeof(codes)],
                        (uint8_t)(head << 2 | (r >> 26 & 15 ? 0 : 1)),
                        cylinder,
                        head,
                        (uint8_t)(r >> 30 & 15),
                        2,
                        (uint8_t)(r >> 34 & 31),
                        0x1B,
                        0xFF};

    if (bytes[0] == 0x03)
        bytes[2] = r >> 40 & 1; /* ND */
    if (bytes[0] == 0x13)
        bytes[2] = (uint8_t)(r >> 40);
    if (bytes[0] == 0x4D) {
        bytes[2] = 2;
        bytes[3] = r >> 40 & 31;
    }
    i82077_class.write(s, I82077_OFF_DOR, 1, 0x3C, now_ns);
    i82077_class.write(s, I82077_OFF_DIR, 1, r >> 48 & 7 ? 0 : r >> 51 & 3, now_ns);
    for (unsigned i = 0; i < 16 && (i82077_class.read(s, I82077_OFF_STATUS, 1, now_ns) & 0x40); i++)
        i82077_class.read(s, I82077_OFF_FIFO, 1, now_ns);
    for (unsigned i = 0; i < 9 && (i82077_class.read(s, I82077_OFF_STATUS, 1, now_ns) & 0xC0) == 0x80; i++)
        i82077_class.write(s, I82077_OFF_FIFO, 1, bytes[i], now_ns);
}

/* PIO at once, as if time had passed between two bytes. */
static void move_fifo(void *s, uint64_t now_ns)
{
    struct i82077 *f = s;

    for (unsigned i = 0; i < I82077_SECTOR && f->ready_ns > now_ns && f->fifo_at < f->fifo_n; i++) {
        f->ready_ns = now_ns;
        if (f->fifo_to_cpu)
            i82077_class.read(s, I82077_OFF_FIFO, 1, now_ns);
        else
            i82077_class.write(s, I82077_OFF_FIFO, 1, i, now_ns);
    }
}

static uint32_t poke_fdc(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint32_t sectors[] = {2880, 2880, 5760, 2400, 1440, 720, 0, 5};
    struct drive_config d = {.present = true,
                             .medium = r >> 8 & 7,
                             .read_only = !(r >> 11 & 7),
                             .bytes = (uint64_t)sectors[r >> 14 & 7] * 512};

    if (i82077_class.next_master(s) <= now_ns)
        use_memory(&i82077_class, s, r, now_ns);
    else if (r % 16 == 0)
        i82077_fit(s, r >> 20 & 3 ? 0 : 1, &d);
    else if (r % 64 == 1)
        i82077_reset_pin(s, now_ns);
    else if (r % 16 < 12)
        give_command(s, r, now_ns);
    else
        move_fifo(s, now_ns);
    return i82077_class.outputs(s);
}

static uint32_t poke_pm(void *s, uint64_t r, uint64_t now_ns)
{
    if (r & 1)
        piix4_pm_button(s, (uint8_t)(r >> 8 & 3), now_ns);
    return piix4_pm_take_request(s);
}

static uint32_t poke_misc(void *s, uint64_t r, uint64_t now_ns)
{
    (void)r;
    (void)now_ns;
    return pcmisc_take_request(s);
}

static uint32_t poke_debugcon(void *s, uint64_t r, uint64_t now_ns)
{
    uint8_t byte;

    (void)r;
    (void)now_ns;
    return debugcon_take(s, &byte) ? byte : 0x100;
}

/* A line of the picture, and a cell, must lie in memory. */
static uint32_t poke_vga(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t memory[VGA_MEMORY_BYTES];
    static uint32_t line[VGA_PICTURE_WIDTH_MAX];
    struct vga_range range[VGA_RANGES_MAX];
    struct vga_text t;
    uint8_t c[2];
    unsigned width, height;

    vga_picture_size(s, &width, &height);
    if (width < 1 || width > VGA_PICTURE_WIDTH_MAX || height < 1 || height > VGA_PICTURE_HEIGHT_MAX)
        abort();
    for (unsigned i = vga_picture_ranges(s, range); i-- > 0;)
        if (range[i].first > VGA_MEMORY_BYTES || range[i].bytes > VGA_MEMORY_BYTES - range[i].first)
            abort();
    vga_draw(s, memory, now_ns, line, VGA_PICTURE_WIDTH_MAX, (unsigned)(r >> 32) % (height + 1), 1);
    if (vga_text_screen(s, &t))
        vga_text_cell(s, memory, vga_text_at(&t, (unsigned)(r >> 8 & 0x3FF), (unsigned)(r >> 24 & 255)), c);
    if (vga_picture_changes_ns(s, now_ns) <= now_ns)
        abort();
    return line[r % width] + width;
}

static const struct target targets[] = {
    {&i8259_class, 8, 0, false, poke_pic},
    {&apic_class, 0x1000, 0, true, poke_apic},
    {&apic_firmware_class, 0x400, 0, true, poke_apic},
    {&ioapic_class, 0x18, 0, true, poke_ioapic},
    {&i8254_class, 6, 1u << I8254_OFF_PORTB, false, NULL},
    {&mc146818_class, 3, 0, false, poke_rtc},
    {&ns16550_class, 9, 0xFA, false, poke_uart},
    {&ns16550_wire_class, 9, 0xFA, false, poke_uart},
    {&i8042_class, 3, 1u << I8042_OFF_STATUS, false, poke_kbc},
    {&i440fx_class, 9, UINT64_MAX, true, poke_pci},
    {&i440fx_firmware_class, 9, UINT64_MAX, true, poke_pci},
    {&piix4_pm_class, 70, UINT64_MAX, true, poke_pm},
    {&toypci_class, 0xC00, ~(1u << TOYPCI_REG_CLEAR | 1u << TOYPCI_REG_READS), true, poke_toypci},
    {&virtio_blk_class, 0x1C4, ~(UINT64_C(1) << 0x13), true, poke_virtio},
    {&e1000_class, 0x5900, UINT64_MAX, true, poke_e1000},
    {&virtio_net_class, 0x1C4, ~(UINT64_C(1) << 0x13), true, poke_virtio_net},
    {&piix_ide_class, PIIX_IDE_OFFSETS, 0xFFFFFE, true, poke_ide},
    {&pcmisc_class, 9, UINT64_MAX, true, poke_misc},
    {&debugcon_class, 1, UINT64_MAX, false, poke_debugcon},
    {&fw_cfg_class, 13, 0xFF0, true, poke_fw_cfg},
    {&marker_class, 4, UINT64_MAX, true, NULL},
    {&i8237_class, 0x50, 0xFE00, false, poke_dma},
    {&i82077_class, 8, ~(UINT64_C(1) << I82077_OFF_FIFO), false, poke_fdc},
    {&vga_class, VGA_OFF_DISPI + 3, 0, true, poke_vga},
};
#define NTARGETS (sizeof targets / sizeof targets[0])

struct run {
    const struct target *t;
    uint64_t a[STATE_WORDS], b[STATE_WORDS];
    uint64_t rng;
    uint64_t tick;
    unsigned shift;
    const char *failure; /* NULL: none */
    unsigned checks;
};

static uint64_t rnd(struct run *r)
{
    r->rng ^= r->rng << 13;
    r->rng ^= r->rng >> 7;
    r->rng ^= r->rng << 17;
    return r->rng * UINT64_C(0x2545F4914F6CDD1D);
}

static uint64_t now_ns(const struct run *r)
{
    return ticks_to_ns(r->tick, r->shift);
}

static void expect(struct run *r, bool ok, const char *what)
{
    if (!ok && !r->failure)
        r->failure = what;
}

static uint64_t next_tick(const struct run *r)
{
    const struct chip_class *c = r->t->chip;

    return c->next_event ? ticks_ceil(c->next_event(r->a), r->shift) : TICK_NEVER;
}

static void check_state(struct run *r)
{
    const struct chip_class *c = r->t->chip;

    if (c->state_bytes < LARGE_STATE || r->checks++ % 16 == 0)
        expect(r, memcmp(r->a, r->b, c->state_bytes) == 0, "two copies differ");
    if (c->next_event)
        expect(r, c->next_event(r->a) > now_ns(r), "next_event does not lie ahead");
}

/* Goes to `target` by way of every event, or as far as EVENTS_PER_GAP events lead. */
static void pass_time(struct run *r, uint64_t target)
{
    const struct chip_class *c = r->t->chip;

    for (unsigned n = 0; next_tick(r) <= target; n++) {
        if (n == EVENTS_PER_GAP || r->failure)
            return;
        r->tick = next_tick(r);
        for (unsigned e = 0; next_tick(r) <= r->tick && e < EVENTS_PER_TICK; e++) {
            c->advance(r->a, now_ns(r));
            c->advance(r->b, now_ns(r));
        }
        check_state(r);
    }
    r->tick = target;
}

/* Mostly a few ticks, sometimes up to seconds; rarely years. */
static uint64_t random_gap(struct run *r)
{
    uint64_t x = rnd(r);
    unsigned bits = x % 64 == 0 ? 54 - r->shift : x % 8 == 0 ? 32 - r->shift : 16;

    return (rnd(r) & ((UINT64_C(1) << bits) - 1)) >> (x >> 8 & 15);
}

static unsigned random_size(struct run *r)
{
    return r->t->wide ? 1u << rnd(r) % 3 : 1;
}

/* Values that registers like: mostly small bytes, and the bits of the chip's own commands. */
static uint32_t random_value(struct run *r)
{
    static const uint8_t liked[] = {0x00, 0x01, 0x02, 0x11, 0x20, 0x34, 0x36, 0x38, 0x60, 0x80, 0x83,
                                    0xB0, 0xC2, 0xD4, 0xE0, 0xED, 0xF1, 0xF2, 0xF4, 0xFE, 0xFF};
    uint64_t x = rnd(r);

    return x & 1 ? (uint32_t)(x >> 32) : liked[(x >> 8) % sizeof liked];
}

static void do_read(struct run *r, uint32_t offset)
{
    const struct chip_class *c = r->t->chip;
    unsigned size = random_size(r);
    uint64_t before[STATE_WORDS];
    bool pure = offset < 64 && (r->t->pure >> offset & 1) &&
                (c->state_bytes < LARGE_STATE || r->checks % 16 == 0) &&
                !(c->read_changes && c->read_changes(r->a, offset));

    if (pure)
        memcpy(before, r->a, c->state_bytes);
    uint32_t v = c->read(r->a, offset, size, now_ns(r));
    expect(r, c->read(r->b, offset, size, now_ns(r)) == v, "two copies read different values");
    if (!pure)
        return;
    expect(r, memcmp(before, r->a, c->state_bytes) == 0, "a pure read changed the state");
    expect(r, c->pure_read(r->a, offset, size, now_ns(r)) == v, "pure_read and read differ");
}

static void do_op(struct run *r)
{
    const struct chip_class *c = r->t->chip;
    uint64_t x = rnd(r);
    uint32_t offset = (uint32_t)((x >> 8) % r->t->offsets);

    if (x % 8 == 0 && r->t->poke) {
        uint64_t arg = rnd(r);
        copy = 0;
        uint32_t v = r->t->poke(r->a, arg, now_ns(r));
        copy = 1;
        expect(r, r->t->poke(r->b, arg, now_ns(r)) == v, "two copies answer the back end differently");
    } else if (x % 8 < 4) {
        do_read(r, offset);
    } else {
        unsigned size = random_size(r);
        uint32_t v = random_value(r);
        if (c->write_error)
            expect(r, c->write_error(r->a, offset, size, v) == c->write_error(r->b, offset, size, v),
                   "two copies find another fault with one write");
        c->write(r->a, offset, size, v, now_ns(r));
        c->write(r->b, offset, size, v, now_ns(r));
    }
    check_state(r);
}

/* Replaces state b by garbage with the named fields of a in it: a snapshot taken and loaded. */
static void reload(struct run *r)
{
    const struct chip_class *c = r->t->chip;

    memset(r->b, 0xC3, c->state_bytes);
    for (size_t i = 0; i < c->nfields; i++) {
        const struct field *f = &c->fields[i];
        uint32_t pieces = f->stride_bytes == f->elem_bytes ? 1 : f->count;
        size_t bytes = (size_t)f->elem_bytes * f->count / pieces;
        for (uint32_t e = 0; e < pieces; e++)
            memcpy((uint8_t *)r->b + f->offset + (size_t)e * f->stride_bytes,
                   (uint8_t *)r->a + f->offset + (size_t)e * f->stride_bytes, bytes);
    }
    check_state(r);
}

static const char *run_case(uint64_t seed, const char **chip)
{
    static struct run r;

    r.rng = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    r.tick = r.checks = 0;
    r.failure = NULL;
    rnd(&r);
    r.t = &targets[rnd(&r) % NTARGETS];
    r.shift = (unsigned)(rnd(&r) % (ICOUNT_SHIFT_MAX + 1));
    *chip = r.t->chip->name;
    memset(r.a, 0x5A, r.t->chip->state_bytes);
    memset(r.b, 0xA5, r.t->chip->state_bytes);
    r.t->chip->reset(r.a, 0);
    r.t->chip->reset(r.b, 0);
    check_state(&r);
    for (unsigned i = 0; i < OPS_PER_CASE && !r.failure; i++) {
        if (rnd(&r) % 2)
            pass_time(&r, r.tick + random_gap(&r));
        if (rnd(&r) % 64 == 0)
            reload(&r);
        do_op(&r);
    }
    return r.failure;
}

static bool report(uint64_t seed)
{
    const char *chip, *failure = run_case(seed, &chip);

    for (uint64_t i = 0, r = seed; i < 4; i++, r = fuzz_next(r))
        if (!fuzz_tables(fuzz_next(r) >> 8)) {
            printf("a table is not as it should be (fuzz_chips 0 %" PRIu64 ")\n", seed);
            return false;
        }

    if (failure)
        printf("%s: %s (fuzz_chips 0 %" PRIu64 ")\n", chip, failure, seed);
    return failure == NULL;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 5;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    uint64_t passed = 0, failed = 0;
    struct timespec start, now;

    for (unsigned i = 0; i < 2; i++)
        if (physmem_init(&memories[i], RAM_BYTES_MIN) != 0)
            return 2;
    make_items();
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        if (report(seed++))
            passed++;
        else
            failed++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", passed, failed);
    return failed != 0;
}
