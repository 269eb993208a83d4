/* The toy PCI device on the bus: configuration, windows that move by effects, DMA, interrupts through the
 * router, typed ports. All in one thread; tests/guests/toypci.c and device_stress do it in every mode. */
#include "machine/pcmem.h"
#include "mem/remap.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define TOY_WINDOW 3 /* of memory, behind those of the chip set; the next is of I/O ports */

#define BAR_MEM 0xE0000000u
#define BAR_IO  0xC000u
#define LIST    0x1000u

static struct rig rig;
static struct physmem pm;
static uint8_t disk[4096], frame_out[4096], frame_in[4096];
static enum blocks_status disk_status;
static uint32_t frame_out_bytes, frame_in_bytes;
static struct port_motion motion;
static bool motion_waits;

static void out32(uint16_t port, uint32_t value)
{
    rig_access(&rig, port, value, 4, true);
    rig.tick += 200;
}

static uint32_t in32(uint16_t port)
{
    uint32_t v = rig_access(&rig, port, 0, 4, false);

    rig.tick += 200;
    return v;
}

static void config(unsigned reg, uint32_t value)
{
    out32(0xCF8, 0x80000000u | PCI_DEVFN(4, 0) << 8 | reg);
    out32(0xCFC, value);
}

static uint32_t config_get(unsigned reg)
{
    out32(0xCF8, 0x80000000u | PCI_DEVFN(4, 0) << 8 | reg);
    return in32(0xCFC);
}

/* As the vCPU would, wherever the window is. */
static uint32_t mmio(uint32_t offset, uint32_t value, bool write)
{
    uint64_t addr = BUS_WINDOW_ADDR(TOY_WINDOW) + offset;
    unsigned index = busmap_find_mmio(&rig.bus.map, addr);
    const struct bus_range *r = &rig.bus.map.range[index];
    struct access a = {.tick = rig.tick,
                       .addr = addr,
                       .offset = r->base_offset + (uint32_t)(addr - r->first),
                       .value = value,
                       .range = (uint16_t)index,
                       .size = 4,
                       .kind = write ? ACCESS_MMIO_WRITE : ACCESS_MMIO_READ};

    cr_assert_gt(index, 0);
    uint32_t v = bus_access(&rig.bus, &a);
    rig.tick += 20;
    return v;
}

static void put(uint32_t reg, uint32_t value)
{
    mmio(reg, value, true);
}

static uint32_t get(uint32_t reg)
{
    return mmio(reg, 0, false);
}

/* Applies what is due, as the vCPU would. */
static void take_effects(void)
{
    for (unsigned i = 0; i < rig.neffects; i++) {
        const struct effect *e = &rig.effect[i];
        if (e->kind == EFFECT_REMAP)
            physmem_remap(&pm, e->line, e->value);
        else if (e->kind == EFFECT_REMAP_IO)
            busmap_move(&rig.bus.map, e->line, e->value);
    }
    rig.neffects = 0;
}

static void disk_start(void *ctx, const struct blocks_request *r, const uint8_t *data)
{
    for (uint32_t i = 0; r->op == BLOCKS_WRITE && i < r->bytes; i++)
        if (r->offset + i < sizeof(disk))
            disk[r->offset + i] = data[i];
}

static enum blocks_status disk_finish(void *ctx, const struct blocks_request *r, uint8_t *data)
{
    for (uint32_t i = 0; r->op == BLOCKS_READ && i < r->bytes; i++)
        data[i] = r->offset + i < sizeof(disk) ? disk[r->offset + i] : 0;
    return disk_status;
}

static void net_output(void *ctx, const uint8_t *entry, uint32_t bytes)
{
    memcpy(frame_out, entry, bytes);
    frame_out_bytes = bytes;
}

static uint32_t net_input_take(void *ctx, uint8_t *entry, uint32_t room)
{
    uint32_t n = frame_in_bytes;

    memcpy(entry, frame_in, n);
    frame_in_bytes = 0;
    return n;
}

static uint32_t mouse_input_take(void *ctx, uint8_t *entry, uint32_t room)
{
    if (!motion_waits)
        return 0;
    motion_waits = false;
    port_motion_pack(motion, entry);
    return PORT_MOTION_BYTES;
}

static const struct backend_class disk_class = {.blocks_start = disk_start, .blocks_finish = disk_finish};
static const struct backend_class net_class = {.output = net_output, .input_take = net_input_take};
static const struct backend_class mouse_class = {.input_take = mouse_input_take};

static void setup(void)
{
    struct bus_config c;

    cr_assert_eq(pcmem_init(&pm, 4u << 20, NULL, 0, false), 0);
    rig_config(&rig, &c);
    rig.cfg.toypci = true;
    c.memory = &pm;
    c.backend[PC_PORT_BLOCKS] = (struct backend){.class = &disk_class};
    c.backend[PC_PORT_FRAMES] = (struct backend){.class = &net_class};
    c.backend[PC_PORT_POINTER] = (struct backend){.class = &mouse_class};
    cr_assert(rig_init(&rig, &c));
    rig.tick = 1000;
    config(PCI_BAR0, BAR_MEM);
    config(PCI_BAR0 + 4, BAR_IO);
    config(PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    take_effects();
}

static void teardown(void)
{
    bus_fini(&rig.bus);
    physmem_free(&pm);
}

TestSuite(toypci, .init = setup, .fini = teardown);

Test(toypci, identifies_itself_and_its_windows)
{
    cr_expect_eq(config_get(0), 0x00015450);
    config(PCI_BAR0, UINT32_MAX);
    cr_expect_eq(config_get(PCI_BAR0), 0xFFFFF000);
    config(PCI_BAR0 + 4, UINT32_MAX);
    cr_expect_eq(config_get(PCI_BAR0 + 4), 0xFFFFFFE1);
    cr_expect_eq(get(TOYPCI_REG_ID), TOYPCI_ID);
}

Test(toypci, windows_move_at_the_next_instruction)
{
    mem_target_t t = mem_target(MEM_BUS, BUS_WINDOW_ADDR(TOY_WINDOW));

    cr_expect_eq(physmem_entry(&pm, BAR_MEM).read & ~MEM_TARGET_WINDOW, t);
    cr_expect_eq(in32(BAR_IO), TOYPCI_ID);
    config(PCI_BAR0 + 4, 0xD000);
    uint64_t written = rig.tick - 200;
    cr_assert_eq(rig.neffects, 1);
    cr_expect_eq(rig.effect[0].kind, EFFECT_REMAP_IO);
    cr_expect_eq(rig.effect[0].tick, written + 1);
    cr_expect_eq(in32(BAR_IO), TOYPCI_ID, "until the effect is applied");
    take_effects();
    cr_expect_eq(rig.bus.map.port_range[BAR_IO], 0);
    cr_expect_eq(in32(0xD000), TOYPCI_ID);
    config(PCI_BAR0, BAR_MEM + 0x5000);
    config(PCI_COMMAND, PCI_COMMAND_MEMORY);
    take_effects();
    cr_expect_eq(rig.bus.map.port_range[0xD000], 0);
    cr_expect_eq(physmem_entry(&pm, BAR_MEM).read, 0);
    cr_expect_eq(physmem_entry(&pm, BAR_MEM + 0x5000).read & ~MEM_TARGET_WINDOW, t);
    config(PCI_BAR0, 0x10000); /* onto RAM, which stays */
    take_effects();
    cr_expect_eq(mem_target_kind(physmem_entry(&pm, 0x10000).read), MEM_RAM);
}

Test(toypci, a_move_never_overtakes_another)
{
    for (unsigned i = 0; i < 20; i++) {
        rig_access(&rig, 0xCF8, 0x80000000u | PCI_DEVFN(4, 0) << 8 | (PCI_BAR0 + 4), 4, true);
        rig.tick += 1;
        rig_access(&rig, 0xCFC, 0xA000 + i * 64, 4, true);
        rig.tick += 1;
    }
    uint64_t last = 0;
    for (unsigned i = 0; i < rig.neffects; i++) {
        cr_expect_geq(rig.effect[i].tick, last);
        last = rig.effect[i].tick;
    }
    take_effects();
    cr_expect_eq(rig.bus.map.window[TOY_WINDOW + 1], (0xA000 + 19 * 64) | BUS_WINDOW_ON);
}

static void desc(unsigned n, uint32_t address, uint32_t bytes, uint32_t card, uint32_t flags)
{
    uint32_t d[4] = {address, bytes, card, flags};

    cr_assert(physmem_write(&pm, LIST + n * 16, d, sizeof(d)));
}

static void dma(unsigned count, uint32_t rate)
{
    put(TOYPCI_REG_LIST, LIST);
    put(TOYPCI_REG_COUNT, count);
    put(TOYPCI_REG_RATE, rate);
    put(TOYPCI_REG_START, 1);
}

static unsigned irqs(unsigned line)
{
    unsigned n = 0;

    for (unsigned i = 0; i < rig.neffects; i++)
        n += rig.effect[i].kind == EFFECT_IRQ && rig.effect[i].line == line && rig.effect[i].value == 1;
    return n;
}

Test(toypci, dma_in_both_directions_takes_its_time)
{
    static uint8_t back[1024];

    for (unsigned i = 0; i < 1024; i++)
        physmem_write(&pm, 0x20F00 + i, &(uint8_t){(uint8_t)(i * 13 + i / 256)}, 1);
    desc(0, 0x20F00, 1024, 0, TOYPCI_TELL);       /* over a page's end, to the card */
    desc(1, 0x30FF1, 1000, 24, TOYPCI_TO_MEMORY); /* back, to another place */
    dma(2, 160);
    uint64_t start = rig.tick - 20;
    cr_expect(get(TOYPCI_REG_STATUS) & TOYPCI_BUSY);
    uint64_t first = start + (500 + 1024 / 16 * 160) / 8 + 1;
    rig_run_to(&rig, first - 2);
    cr_expect_eq(get(TOYPCI_REG_STATUS), TOYPCI_BUSY, "not yet");
    rig_run_to(&rig, first + 25);
    cr_expect_eq(get(TOYPCI_REG_STATUS), TOYPCI_BUSY | TOYPCI_DMA);
    put(TOYPCI_REG_CLEAR, TOYPCI_DMA);
    rig_run_to(&rig, start + 100000);
    cr_expect_eq(get(TOYPCI_REG_STATUS), TOYPCI_DMA);
    cr_assert(physmem_read(&pm, 0x30FF1, back, 1000));
    for (unsigned i = 0; i < 1000; i++)
        cr_assert_eq(back[i], (uint8_t)((i + 24) * 13 + (i + 24) / 256));
}

/* Polling keeps the last access + L ahead of the DMA's due tick for ever. */
Test(toypci, polling_does_not_starve_dma)
{
    desc(0, 0x20000, 64, 0, 0);
    dma(1, 1);
    unsigned polls = 0;
    for (; polls < 1000 && !(get(TOYPCI_REG_CLEAR) & TOYPCI_DMA); polls++) {
        rig.tick -= 15; /* an access each 5 ticks; L is 15 */
        for (uint64_t next; (next = bus_next_event(&rig.bus)) <= rig.tick;)
            bus_step(&rig.bus, next);
    }
    cr_expect_gt(polls, 10);
    cr_expect_lt(polls, 100);
}

Test(toypci, errors_of_masters)
{
    desc(0, 0xD0000000, 64, 0, TOYPCI_TO_MEMORY);
    dma(1, 1);
    rig_run_to(&rig, rig.tick + 10000);
    cr_expect_eq(get(TOYPCI_REG_CLEAR), TOYPCI_ERROR, "no memory there");
    config(PCI_COMMAND, PCI_COMMAND_MEMORY);
    take_effects();
    dma(1, 1);
    rig_run_to(&rig, rig.tick + 10000);
    cr_expect_eq(get(TOYPCI_REG_CLEAR), TOYPCI_ERROR, "bus mastering is off");
    static const uint32_t wild[] = {0, 1, 2047, 2048, 65536, UINT32_MAX};
    config(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 6 * 6 * 8; i++) {
        desc(0, 0xFFFFFFF0u * (i & 1), wild[i % 6], wild[i / 6 % 6], i / 36);
        dma(1, 1);
        rig_run_to(&rig, rig.tick + 100000);
        cr_assert_neq(get(TOYPCI_REG_CLEAR), 0);
    }
}

Test(toypci, two_interrupts_go_where_the_guest_routes_them)
{
    put(TOYPCI_REG_ENABLE, TOYPCI_DMA | TOYPCI_TIMER);
    put(TOYPCI_REG_TIMER, 100);
    rig_run_to(&rig, rig.tick + 4000);
    cr_expect_eq(get(TOYPCI_REG_TICKS), 1);
    cr_expect_eq(rig.neffects, 0, "routes are off");
    out32(0xCF8, 0x80000860);
    out32(0xCFC, 0x0B808005); /* INTA# to 5, INTD# to 11 */
    cr_expect_eq(irqs(5), 1, "slot 4: INTB# of the card is INTA# of the bus; it is high already");
    desc(0, 0x20000, 16, 0, 0);
    dma(1, 1);
    rig_run_to(&rig, rig.tick + 2000);
    cr_expect_eq(irqs(11), 1);
    out32(0xCFC, 0x05808005); /* both to 5 */
    rig.neffects = 0;
    put(TOYPCI_REG_TIMER, 0);
    put(TOYPCI_REG_CLEAR, TOYPCI_TIMER);
    cr_expect_eq(rig.neffects, 0, "the other still drives it");
    put(TOYPCI_REG_CLEAR, TOYPCI_DMA);
    cr_expect_eq(rig.neffects, 1);
    cr_expect_eq(rig.effect[0].value, 0);
}

Test(toypci, ports_for_frames_blocks_pointer_and_pixels)
{
    struct port_picture p;
    uint8_t back[1024];

    put(TOYPCI_RAM_AT, 0x64636261);
    put(TOYPCI_REG_SEND, 4);
    cr_expect_eq(frame_out_bytes, 4);
    cr_expect_eq(memcmp(frame_out, "abcd", 4), 0);
    memcpy(frame_in, "wxyz", 4);
    frame_in_bytes = 4;
    bus_step(&rig.bus, ++rig.tick);
    cr_expect_eq(get(TOYPCI_REG_FRAME), 4);
    cr_expect_eq(get(TOYPCI_RAM_AT + TOYPCI_FRAME_AT), 0x7A797877);

    motion = (struct port_motion){.dx = -3, .dy = 1000};
    motion_waits = true;
    bus_step(&rig.bus, ++rig.tick);
    cr_expect_eq(get(TOYPCI_REG_MOTION), 1000u << 16 | 0xFFFD);

    const struct port_pixels *pixels = rig.board.port[PC_PORT_PIXELS].pixels;
    cr_expect_not(pixels->picture(&rig.pc.toy, &p));
    put(TOYPCI_REG_SCREEN, 0x100000 | 25 << 6 | 40);
    cr_assert(pixels->picture(&rig.pc.toy, &p));
    cr_expect(p.address == 0x100000 && p.width == 320 && p.height == 200);

    for (unsigned i = 0; i < sizeof(disk); i++)
        disk[i] = (uint8_t)(i / 3);
    desc(0, 0x40000, 1024, 3, TOYPCI_TO_MEMORY | TOYPCI_DISK);
    desc(1, 0x40001, 1000, 0, TOYPCI_DISK);
    dma(2, 1);
    rig_run_to(&rig, rig.tick + 20000);
    cr_expect_eq(get(TOYPCI_REG_CLEAR) & ~TOYPCI_FRAME, TOYPCI_DMA);
    cr_assert(physmem_read(&pm, 0x40000, back, sizeof(back)));
    for (unsigned i = 0; i < 1024; i++)
        cr_assert_eq(back[i], (uint8_t)((3 * 512 + i) / 3));
    cr_expect_eq(memcmp(disk, back + 1, 1000), 0);
}

/* What the host cannot do reaches the guest as the card's error. */
Test(toypci, a_disk_that_fails)
{
    static const uint32_t flags[] = {TOYPCI_TO_MEMORY | TOYPCI_DISK, TOYPCI_DISK};

    for (unsigned i = 0; i < 2; i++) {
        disk_status = i ? BLOCKS_NO_SPACE : BLOCKS_IO_ERROR;
        desc(0, 0x40000, 1024, 0, flags[i]);
        dma(1, 1);
        rig_run_to(&rig, rig.tick + 20000);
        cr_expect_eq(get(TOYPCI_REG_CLEAR), TOYPCI_ERROR);
    }
    disk_status = BLOCKS_OK;
}

Test(toypci, reset_takes_windows_away)
{
    struct access a = {.tick = rig.tick,
                       .addr = BUS_RESET_ADDR,
                       .range = rig.bus.reset_range,
                       .size = 4,
                       .kind = ACCESS_MMIO_WRITE};

    bus_access(&rig.bus, &a);
    take_effects();
    cr_expect_eq(rig.bus.map.port_range[BAR_IO], 0);
    cr_expect_eq(physmem_entry(&pm, BAR_MEM).read, 0);
    rig.tick += 100;
    cr_expect_eq(config_get(0), 0x00015450, "it is still in its slot");
}
