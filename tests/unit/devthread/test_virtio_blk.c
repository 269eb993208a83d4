/* The virtio disk on the bus, driven as a guest drives it: modern and legacy, data in pieces, indirect
 * tables, the event index, refusals, and rings that no honest driver makes. */
#include "machine/pcmem.h"
#include "mem/remap.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define DEVFN      PCI_DEVFN(VIRTIO_BLK_SLOT(0), 0)
#define WINDOW_IO  5 /* of the board: behind PMBASE, the APICs' and the toy's two */
#define BAR_IO     0xC000u
#define BAR_MEM    0xE0000000u
#define RING       0x10000u /* of guest memory: page-aligned, as a legacy driver needs it */
#define TABLE      0x20000u
#define DATA       0x100000u
#define HEADER     0x40000u
#define STATUS     0x40010u
#define DISK       (4u << 20)
#define NEXT       1u
#define WRITE      2u
#define INDIRECT   4u
#define SIZE       VIRTQ_SIZE_MAX
#define AVAIL      (RING + 16 * SIZE)
#define USED       ((AVAIL + 6 + 2 * SIZE + 4095) / 4096 * 4096)
#define LONG_TICKS 100000000u /* longer than any request here takes */

static struct rig rig;
static struct physmem pm;
static uint8_t disk[DISK];
static unsigned flushes, avail_index;
static enum blocks_status disk_status;

static void disk_start(void *ctx, const struct blocks_request *r, const uint8_t *data)
{
    cr_assert(r->offset + r->bytes <= DISK);
    if (r->op == BLOCKS_WRITE)
        memcpy(disk + r->offset, data, r->bytes);
    else if (r->op == BLOCKS_DISCARD)
        memset(disk + r->offset, 0, r->bytes);
}

static enum blocks_status disk_finish(void *ctx, const struct blocks_request *r, uint8_t *data)
{
    cr_assert(r->offset + r->bytes <= DISK);
    if (r->op == BLOCKS_READ)
        memcpy(data, disk + r->offset, r->bytes);
    flushes += r->op == BLOCKS_FLUSH;
    return disk_status;
}

static const struct backend_class disk_class = {.blocks_start = disk_start, .blocks_finish = disk_finish};

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

static uint32_t io(uint16_t port, unsigned size, uint32_t value, bool write)
{
    uint32_t v = rig_access(&rig, port, value, size, write);

    rig.tick += 200;
    return v;
}

static uint32_t config(unsigned reg, uint32_t value, bool write)
{
    io(0xCF8, 4, 0x80000000u | DEVFN << 8 | reg, true);
    return io(0xCFC, 4, value, write);
}

static uint32_t mmio(uint32_t offset, unsigned size, uint32_t value, bool write)
{
    uint64_t addr = BUS_WINDOW_ADDR(WINDOW_IO + 1) + offset;
    unsigned index = busmap_find_mmio(&rig.bus.map, addr);
    const struct bus_range *r = &rig.bus.map.range[index];
    struct access a = {.tick = rig.tick,
                       .addr = addr,
                       .offset = r->base_offset + (uint32_t)(addr - r->first),
                       .value = value,
                       .range = (uint16_t)index,
                       .size = (uint8_t)size,
                       .kind = write ? ACCESS_MMIO_WRITE : ACCESS_MMIO_READ};

    cr_assert_gt(index, 0);
    uint32_t v = bus_access(&rig.bus, &a);
    rig.tick += 20;
    return v;
}

static void put(uint64_t at, const void *bytes, size_t n)
{
    cr_assert(physmem_write(&pm, at, bytes, n));
}

static uint32_t get(uint64_t at, size_t n)
{
    uint32_t v = 0;

    cr_assert(physmem_read(&pm, at, &v, n));
    return v;
}

static void put32(uint64_t at, uint32_t v)
{
    put(at, &v, 4);
}

static void put16(uint64_t at, uint16_t v)
{
    put(at, &v, 2);
}

static void desc_in(uint64_t table, unsigned n, uint64_t address, uint32_t bytes, uint32_t flags,
                    unsigned next)
{
    put(table + 16 * n, &address, 8);
    put32(table + 16 * n + 8, bytes);
    put32(table + 16 * n + 12, flags | next << 16);
}

static void desc(unsigned n, uint64_t address, uint32_t bytes, uint32_t flags, unsigned next)
{
    desc_in(RING, n, address, bytes, flags, next);
}

static void header(uint32_t type, uint64_t sector)
{
    put32(HEADER, type);
    put32(HEADER + 4, 0);
    put(HEADER + 8, &sector, 8);
    put32(STATUS, 0xFF);
}

static void available(unsigned head)
{
    put16(AVAIL + 4 + 2 * (avail_index++ % SIZE), (uint16_t)head);
    put16(AVAIL + 2, (uint16_t)avail_index);
}

static void setup(void)
{
    struct bus_config c;

    cr_assert_eq(pcmem_init(&pm, 8u << 20, NULL, 0, false), 0);
    rig_config(&rig, &c);
    rig.cfg.virtio[0] =
        (struct drive_config){.present = true, .medium = true, .bytes = DISK, .serial = "disk 7"};
    c.memory = &pm;
    c.backend[PC_PORT_VIRTIO0] = (struct backend){.class = &disk_class};
    cr_assert(rig_init(&rig, &c));
    rig.tick = 1000;
    config(PCI_BAR0, BAR_IO, true);
    config(PCI_BAR0 + 16, BAR_MEM, true);
    config(PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, true);
    take_effects();
    for (unsigned i = 0; i < DISK; i++)
        disk[i] = (uint8_t)(i / 512 + i);
    avail_index = flushes = 0;
    disk_status = BLOCKS_OK;
}

static void teardown(void)
{
    bus_fini(&rig.bus);
    physmem_free(&pm);
}

TestSuite(virtio_blk, .init = setup, .fini = teardown);

/* Virtio 1.1, 3.1.1, with these features besides VERSION_1. */
static void start_modern(uint32_t features)
{
    mmio(0x14, 1, 0, true);
    mmio(0x14, 1, 3, true);
    mmio(0x08, 4, 0, true);
    mmio(0x0C, 4, features, true);
    mmio(0x08, 4, 1, true);
    mmio(0x0C, 4, 1, true);
    mmio(0x14, 1, 11, true);
    cr_assert_eq(mmio(0x14, 1, 0, false), 11);
    mmio(0x16, 2, 0, true);
    cr_assert_eq(mmio(0x18, 2, 0, false), SIZE);
    mmio(0x20, 4, RING, true);
    mmio(0x28, 4, AVAIL, true);
    mmio(0x30, 4, USED, true);
    mmio(0x1C, 2, 1, true);
    mmio(0x14, 1, 15, true);
}

static void start_legacy(void)
{
    io(BAR_IO + 0x12, 1, 0, true);
    io(BAR_IO + 0x12, 1, 3, true);
    io(BAR_IO + 0x04, 4, 0, true);
    io(BAR_IO + 0x0E, 2, 0, true);
    cr_assert_eq(io(BAR_IO + 0x0C, 2, 0, false), SIZE);
    io(BAR_IO + 0x08, 4, RING / 4096, true);
    io(BAR_IO + 0x12, 1, 7, true);
}

static void run(void)
{
    rig_run_to(&rig, rig.tick + LONG_TICKS);
}

static void notify(void)
{
    mmio(0x3000, 2, 0, true);
    run();
}

/* One request in three descriptors from 0 on; its status. */
static uint32_t request(uint32_t type, uint64_t sector, uint32_t bytes, uint32_t data_flags)
{
    header(type, sector);
    desc(0, HEADER, 16, NEXT, bytes ? 1 : 2);
    desc(1, DATA, bytes, NEXT | data_flags, 2);
    desc(2, STATUS, 1, WRITE, 0);
    available(0);
    notify();
    return get(STATUS, 1);
}

static bool disk_and_memory_agree(uint64_t sector, uint32_t bytes)
{
    static uint8_t here[DISK];

    cr_assert(physmem_read(&pm, DATA, here, bytes));
    return memcmp(here, disk + sector * 512, bytes) == 0;
}

static bool broken(void)
{
    return mmio(0x14, 1, 0, false) & VIRTIO_NEEDS_RESET;
}

Test(virtio_blk, identity_capabilities_configuration)
{
    cr_expect_eq(config(0, 0, false), 0x10011AF4);
    cr_expect_eq(config(8, 0, false), 0x01000000);
    cr_expect_eq(config(0x2C, 0, false), 0x00021AF4);
    cr_expect_eq(config(4, 0, false) >> 16, 0x10);
    unsigned types = 0, at = config(0x34, 0, false) & 0xFF;
    for (unsigned n = 0; at && n < 10; n++) {
        uint32_t v = config(at, 0, false);
        cr_expect_eq(v & 0xFF, 9);
        if (v >> 24 == 5) { /* 4.1.4.9: the driver says which BAR, where and how much */
            config(at + 8, 0x2000, true);
            cr_expect_eq(config(at + 8, 0, false), 0x2000);
        } else {
            cr_expect_eq(config(at + 4, 0, false), 4, "BAR 4");
        }
        types |= 1u << (v >> 24);
        at = v >> 8 & 0xFF;
    }
    cr_expect_eq(types, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5, "each kind is there (4.1.4)");
    cr_expect_eq(mmio(0x2000, 4, 0, false), DISK / 512);
    cr_expect_eq(io(BAR_IO + 0x14, 4, 0, false), DISK / 512);
    cr_expect_eq(mmio(0x2014, 4, 0, false), 512);
    cr_expect_eq(mmio(0x2012, 1, 0, false), 16, "heads, by byte");
    cr_expect_eq(mmio(0x12, 2, 0, false), 1, "one queue");
    cr_expect_eq(mmio(0x10, 2, 0, false), 0xFFFF, "no MSI-X");
}

Test(virtio_blk, modern_read_write_flush_and_id)
{
    start_modern(0);
    cr_expect_eq(request(0, 5, 4096, WRITE), 0);
    cr_expect(disk_and_memory_agree(5, 4096));
    cr_expect_eq(get(USED + 2, 2), 1);
    cr_expect_eq(get(USED + 4, 4), 0);
    cr_expect_eq(get(USED + 8, 4), 4097);
    cr_expect_eq(mmio(0x1000, 1, 0, false), 1);
    cr_expect_eq(mmio(0x1000, 1, 0, false), 0, "the read has cleared it");
    put32(DATA, 0x12345678);
    cr_expect_eq(request(1, 100, 1024, 0), 0);
    cr_expect(disk_and_memory_agree(100, 1024));
    cr_expect_eq(get(USED + 2, 2), 2);
    cr_expect_eq(request(4, 0, 0, 0), 0);
    cr_expect_eq(flushes, 1);
    cr_expect_eq(request(8, 0, 20, WRITE), 0);
    cr_expect_eq(get(DATA, 4), 0x6B736964, "disk 7");
    cr_expect_eq(request(99, 0, 512, WRITE), 2, "no such request");
    cr_expect_not(broken());
}

/* One that is longer than a request for blocks may be. */
Test(virtio_blk, long_requests)
{
    start_modern(0);
    cr_expect_eq(request(0, 3, 3u << 20, WRITE), 0);
    cr_expect(disk_and_memory_agree(3, 3u << 20));
    memset(disk, 0, sizeof(disk));
    cr_expect_eq(request(1, 1, 3u << 20, 0), 0);
    cr_expect(disk_and_memory_agree(1, 3u << 20));
}

Test(virtio_blk, legacy_with_a_header_in_pieces)
{
    start_legacy();
    header(0, 9);
    desc(7, HEADER, 3, NEXT, 8);
    desc(8, HEADER + 3, 13, NEXT, 2);
    desc(2, DATA, 100, NEXT | WRITE, 3);
    desc(3, DATA + 100, 413, WRITE, 0); /* the status is the last byte */
    available(7);
    io(BAR_IO + 0x10, 2, 0, true);
    run();
    cr_expect(disk_and_memory_agree(9, 512));
    cr_expect_eq(get(DATA + 512, 1), 0);
    cr_expect_eq(get(USED + 4, 4), 7);
    cr_expect_eq(io(BAR_IO + 0x13, 1, 0, false), 1);
    cr_expect_eq(io(BAR_IO + 0x13, 1, 0, false), 0);
}

Test(virtio_blk, an_indirect_table)
{
    for (unsigned on = 0; on < 2; on++) {
        start_modern(on ? (uint32_t)VIRTIO_F_INDIRECT_DESC : 0);
        avail_index = 0;
        put16(USED + 2, 0);
        header(0, 11);
        desc(4, TABLE, 48, INDIRECT, 0);
        desc_in(TABLE, 0, HEADER, 16, NEXT, 2);
        desc_in(TABLE, 2, DATA, 512, NEXT | WRITE, 1);
        desc_in(TABLE, 1, STATUS, 1, WRITE, 0);
        available(4);
        notify();
        cr_expect_eq(get(STATUS, 1), on ? 0 : 0xFF);
        cr_expect_eq(broken(), !on, "only who took the feature may use it");
    }
    cr_expect(disk_and_memory_agree(11, 512));
}

/* Requests are given back in order, and interrupts come when the driver wants them. */
Test(virtio_blk, when_interrupts_come)
{
    start_modern(0);
    put16(AVAIL, 1); /* VIRTQ_AVAIL_F_NO_INTERRUPT */
    cr_expect_eq(request(0, 0, 512, WRITE), 0);
    cr_expect_eq(mmio(0x1000, 1, 0, false), 0);
    put16(AVAIL, 0);
    cr_expect_eq(request(0, 0, 512, WRITE), 0);
    cr_expect_eq(mmio(0x1000, 1, 0, false), 1);

    start_modern((uint32_t)VIRTIO_F_EVENT_IDX);
    avail_index = 0;
    put16(USED + 2, 0);
    for (unsigned i = 0; i < 3; i++) {
        put16(AVAIL + 4 + 2 * SIZE, 1); /* after the second one */
        cr_expect_eq(request(0, 0, 512, WRITE), 0);
        cr_expect_eq(mmio(0x1000, 1, 0, false), i == 1, "%u", i);
        cr_expect_eq(get(USED + 4 + 8 * SIZE, 2), i + 1, "it asks for the next");
    }
}

Test(virtio_blk, what_is_refused)
{
    start_modern(0);
    cr_expect_eq(request(0, DISK / 512, 512, WRITE), 1, "behind the end");
    cr_expect_eq(request(0, DISK / 512 - 1, 1024, WRITE), 1);
    cr_expect_eq(request(0, UINT64_MAX, 1024, WRITE), 1);
    cr_expect_eq(request(0, 0, 100, WRITE), 1, "not whole sectors");
    cr_expect_eq(request(0, 0, VIRTIO_BLK_BYTES_MAX + 512, WRITE), 1);
    disk_status = BLOCKS_IO_ERROR;
    cr_expect_eq(request(0, 0, 512, WRITE), 1);
    cr_expect_eq(request(1, 0, 512, 0), 1);
    cr_expect_eq(request(4, 0, 0, 0), 1);
    cr_expect_not(broken());
    disk_status = BLOCKS_OK;
    rig.pc.virtio[0].read_only = 1;
    uint8_t before = disk[0];
    put32(DATA, ~(uint32_t)before);
    cr_expect_eq(request(1, 0, 512, 0), 1);
    cr_expect_eq(disk[0], before);
}

Test(virtio_blk, discard_and_write_zeroes)
{
    static const struct {
        uint64_t sector;
        uint32_t sectors;
        uint32_t status;
    } c[] = {{8, 16, 0}, {DISK / 512, 1, 1}, {0, UINT32_MAX, 1}, {4, 0, 0}};

    start_modern(0);
    for (unsigned i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        put(DATA, &c[i].sector, 8);
        put32(DATA + 8, c[i].sectors);
        put32(DATA + 12, 0);
        cr_expect_eq(request(i % 2 ? 11 : 13, 0, 16, 0), c[i].status, "case %u", i);
    }
    for (unsigned i = 8 * 512; i < 24 * 512; i++)
        cr_assert_eq(disk[i], 0);
    cr_expect_neq(disk[24 * 512 + 1], 0);
    cr_expect_eq(request(11, 0, 32, 0), 2, "two ranges");
}

/* Whatever the ring says: the device is broken or refuses, and a reset makes it whole. */
Test(virtio_blk, hostile_rings)
{
    enum { LOOP, NEXT_OUT, HEAD_OUT, NO_STATUS, READ_BEHIND_WRITE, NO_MEMORY, TOO_MANY, SHORT_HEADER, CASES };

    for (unsigned i = 0; i < CASES; i++) {
        start_modern((uint32_t)VIRTIO_F_INDIRECT_DESC);
        avail_index = 0;
        put16(USED + 2, 0);
        header(0, 0);
        desc(0, i == NO_MEMORY ? UINT64_MAX - 5 : HEADER, i == SHORT_HEADER ? 15 : 16, NEXT,
             i == LOOP       ? 0
             : i == NEXT_OUT ? SIZE
                             : 1);
        desc(1, DATA, 512, NEXT | WRITE, 2);
        desc(2, STATUS, 1, i == NO_STATUS || i == READ_BEHIND_WRITE ? 0 : WRITE, 0);
        if (i == NO_STATUS)
            desc(1, DATA, 512, NEXT, 2);
        available(i == HEAD_OUT ? SIZE + 3 : 0);
        if (i == TOO_MANY)
            put16(AVAIL + 2, SIZE + 1);
        notify();
        cr_expect(broken(), "case %u", i);
        cr_expect_eq(get(USED + 2, 2), 0, "case %u", i);
    }
    start_modern(0);
    avail_index = 0;
    put16(USED + 2, 0);
    cr_expect_eq(request(0, 1, 512, WRITE), 0);
    cr_expect_not(broken());
}

/* Data into a hole of memory is the request's error; a used ring there is the device's end. */
Test(virtio_blk, memory_that_is_not_there)
{
    start_modern(0);
    header(0, 0);
    desc(0, HEADER, 16, NEXT, 1);
    desc(1, 0xF0000000u, 512, NEXT | WRITE, 2);
    desc(2, STATUS, 1, WRITE, 0);
    available(0);
    notify();
    cr_expect_eq(get(STATUS, 1), 1);
    cr_expect_not(broken());
    config(PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY, true); /* no bus master */
    put32(STATUS, 0xFF);
    available(0);
    notify();
    cr_expect_eq(get(STATUS, 1), 0xFF);
}

/* The driver changes its mind while a request is under way: a write has happened, a read has not. */
Test(virtio_blk, reset_under_way)
{
    start_modern(0);
    put32(DATA, 0xCAFEF00D);
    header(1, 77);
    desc(0, HEADER, 16, NEXT, 1);
    desc(1, DATA, 512, NEXT, 2);
    desc(2, STATUS, 1, WRITE, 0);
    available(0);
    mmio(0x3000, 2, 0, true);
    rig_run_to(&rig, rig.tick + 1000);
    cr_expect_eq(rig.pc.virtio[0].count, 1);
    mmio(0x14, 1, 0, true);
    cr_expect_eq(mmio(0x14, 1, 0, false), 0);
    run();
    cr_expect_eq(get(STATUS, 1), 0xFF);
    cr_expect_eq(memcmp(disk + 77 * 512, "\x0D\xF0\xFE\xCA", 4), 0);
    cr_expect_eq(rig.pc.virtio[0].sectors, DISK / 512);
}
