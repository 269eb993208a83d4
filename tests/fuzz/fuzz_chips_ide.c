/* fuzz_chips_ide.c - pokes of the IDE channel: drivers of disks and CD-ROM drives that are almost right. See
 * fuzz_chips.h. */
#include "tests/fuzz/fuzz_chips.h"

#include "clockcore/ticks.h"
#include "hw/piix_ide.h"

#include <string.h>

static void fit_ide(void *s)
{
    static const struct drive_config disk = {.present = true, .medium = true, .bytes = UINT64_C(4) << 40};
    static const struct drive_config cdrom = {
        .present = true, .cdrom = true, .medium = true, .bytes = 700 << 20};

    piix_ide_fit(s, 0, &disk, 1);
    piix_ide_fit(s, 1, &cdrom, 2);
}

/* A table of regions anywhere, which may lead back to itself; the rest is what is there. */
static void ide_regions(uint64_t r)
{
    uint32_t table[16];

    for (unsigned i = 0; i < 16; i++) {
        r = fuzz_next(r);
        table[i] = (uint32_t)(r >> 32);
        if (i % 2 == 0 && r >> 20 & 3)
            table[i] &= 0xFFFFF;
        if (i % 2 && r >> 20 & 7)
            table[i] &= 0x7FFFFFFF;
    }
    physmem_write(&memories[copy], 0x1000, (const uint8_t *)table, sizeof table);
}

/* A command that is there, with data behind it, is more than chance would make of single bytes. */
static void ide_command(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t codes[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x3D,
                                    0x40, 0xA0, 0xA0, 0xA0, 0xA0, 0xA1, 0x06, 0x06, 0xB0,
                                    0xC4, 0xC5, 0xC6, 0xC8, 0xCA, 0xE7, 0xEC, 0xEF, 0x90};
    const struct chip_class *c = &piix_ide_class;

    c->write(s, 6, 1, r >> 8 & 1 ? 0xF0 : 0xE0, now_ns);
    c->write(s, 2, 1, (uint32_t)(r >> 9 & 0xFF), now_ns);
    c->write(s, 1, 1, (uint32_t)(r >> 17 & 3), now_ns);
    c->write(s, 4, 1, (uint32_t)(r >> 19 & 0xFF), now_ns);
    c->write(s, 7, 1, codes[(r >> 27 & 0xFF) % sizeof codes], now_ns);
    if (r >> 35 & 1) {
        c->write(s, 20, 4, 0x1000, now_ns);
        c->write(s, 16, 1, (uint32_t)(r >> 36 & 8) | 1, now_ns);
    }
}

/* Whatever the drive waits for happens. */
static void ide_settle(void *s, uint64_t r, uint64_t now_ns)
{
    const struct chip_class *c = &piix_ide_class;

    if (c->next_event && c->next_event(s) != NS_NEVER)
        c->advance(s, c->next_event(s));
    uint64_t due_ns = c->next_master(s);
    if (due_ns != NS_NEVER)
        use_memory(c, s, r, due_ns > now_ns ? due_ns : now_ns);
}

/* A drive with a CD in it, or without, that waits for a packet. */
static void ide_await_packet(void *s, uint64_t r, uint64_t now_ns)
{
    static const struct drive_config cdrom = {
        .present = true, .cdrom = true, .medium = true, .bytes = 700 << 20};
    static const struct drive_config empty = {.present = true, .cdrom = true};
    const struct chip_class *c = &piix_ide_class;

    if (r >> 40 & 1)
        piix_ide_fit(s, 1, r >> 41 & 7 ? &cdrom : &empty, 2);
    c->write(s, PIIX_IDE_OFF_CONTROL, 1, 0, now_ns); /* no reset is asked for */
    c->write(s, 6, 1, 0xF0, now_ns);
    c->write(s, 7, 1, 0x08, now_ns); /* DEVICE RESET: nothing is under way, and it does not sleep */
    for (unsigned i = 0; i < 3; i++)
        ide_settle(s, r | 0x100, now_ns);
    c->write(s, 1, 1, (uint32_t)(r >> 44 & 1), now_ns);
    c->write(s, 4, 1, (uint32_t)(r >> 45 & 0xFF), now_ns);
    c->write(s, 5, 1, (uint32_t)(r >> 53 & 0xFF), now_ns);
    c->write(s, 7, 1, 0xA0, now_ns);
    ide_settle(s, r | 0x100, now_ns);
}

/* Twelve bytes where a packet is due. */
static void ide_packet(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t codes[] = {0x00, 0x03, 0x12, 0x1A, 0x1B, 0x1E, 0x25, 0x28, 0x2B, 0x42, 0x43,
                                    0x44, 0x46, 0x4A, 0x51, 0x5A, 0xA8, 0xBB, 0xBD, 0xBE, 0xFF};
    uint8_t p[12] = {0};

    p[0] = codes[(r >> 8 & 0xFF) % sizeof codes];
    for (unsigned i = 1; i < 12; i++)
        p[i] = r >> (16 + i) & 1 ? 0 : (uint8_t)(r >> (4 * i));
    if (r >> 30 & 7)
        ide_await_packet(s, r, now_ns);
    for (unsigned i = 0; i < 12; i += 2)
        piix_ide_class.write(s, 0, 2, p[i] | (uint32_t)p[i + 1] << 8, now_ns);
    for (unsigned i = 0; i < (r >> 33 & 3); i++)
        ide_settle(s, r, now_ns);
}

/* What the vCPU does with a block of DRQ. */
static uint32_t ide_run(void *s, uint64_t r)
{
    uint8_t *at;
    bool write = r >> 9 & 1;
    uint32_t n = piix_ide_class.run(s, 1u << (r >> 10 & 3) % 3, (uint32_t)(r >> 12 & 0x7FFF), write, &at);

    if (n && write)
        memset(at, (int)(r >> 32), n);
    return n ? n + *at : 0;
}

/* --- a driver of disks, from the command to its end --- */

#define REGIONS_AT UINT32_C(0x1000)
#define DATA_AT    UINT32_C(0x2000)

/* Regions for `bytes` in pieces; with `few`, for less: the drive waits then, and goes on when DMA starts
 * again. */
static void disk_regions(uint64_t r, uint32_t bytes, bool few)
{
    static const uint16_t sizes[] = {0, 512, 4096, 2, 1534, 0xFFFE, 512, 8192};
    uint32_t n = 0;

    for (uint32_t done = 0; n < 62 && done < bytes; n++, r = fuzz_next(r)) {
        uint16_t size = n ? sizes[r >> 33 & 7] : sizes[r >> 36 & 7];
        put_guest(REGIONS_AT + 8 * n, r >> 40 & 63 ? DATA_AT + (r >> 46 & 0xFFE) : (uint32_t)r, 4);
        put_guest(REGIONS_AT + 8 * n + 4, size, 2);
        put_guest(REGIONS_AT + 8 * n + 6, few ? 0x8000 : 0, 2);
        done += size ? size : 0x10000;
        if (few)
            break;
    }
    put_guest(REGIONS_AT + 8 * n, DATA_AT, 4);
    put_guest(REGIONS_AT + 8 * n + 4, UINT32_C(0x80000000), 4);
}

/* Ranges to be discarded: on the medium but for one now and then. */
static void disk_ranges(uint64_t r)
{
    for (unsigned i = 0; i < 512; i++, r = fuzz_next(r))
        put_guest(
            DATA_AT + 8 * i,
            r >> 40 & 3 ? 0 : (r >> 20 & 0xFFF) | (r >> 44 & 0x1FF ? 1 + (r >> 50 & 63) : r >> 48) << 48, 8);
}

static void start_dma(void *s, bool to_memory, uint64_t now_ns)
{
    const struct chip_class *c = &piix_ide_class;

    c->write(s, PIIX_IDE_OFF_BMDMA + PIIX_BMIC, 1, 0, now_ns);
    c->write(s, PIIX_IDE_OFF_BMDMA + PIIX_BMIDTP, 4, REGIONS_AT, now_ns);
    c->write(s, PIIX_IDE_OFF_BMDMA + PIIX_BMIC, 1, PIIX_BMIC_START | (to_memory ? PIIX_BMIC_TO_MEMORY : 0),
             now_ns);
}

struct disk_command {
    uint8_t code;
    bool dma, out, ext;
};

static void write_task_file(void *s, const struct disk_command *k, uint64_t r, uint64_t now_ns)
{
    const struct chip_class *c = &piix_ide_class;
    static const uint8_t counts[] = {1, 2, 8, 17, 0, 200, 4, 3};

    c->write(s, PIIX_IDE_OFF_CONTROL, 1, r >> 8 & 7 ? 0 : ATA_NIEN, now_ns);
    c->write(s, ATA_DEVICE, 1, r >> 11 & 7 || k->ext ? 0xE0 : 0xA0, now_ns);
    for (unsigned i = k->ext ? 0 : 1; i < 2; i++) {
        c->write(s, ATA_FEATURES, 1, k->code == 0x06, now_ns);
        c->write(s, ATA_COUNT, 1, i == 0 ? 0 : k->code == 0x06 ? 1 : counts[r >> 14 & 7], now_ns);
        c->write(s, ATA_LBA_LOW, 1, i == 0 ? 0 : 1 + (r >> 17 & 15), now_ns);
        c->write(s, ATA_LBA_MID, 1, i == 0 ? 0 : r >> 21 & 63, now_ns);
        c->write(s, ATA_LBA_HIGH, 1, 0, now_ns);
    }
    c->write(s, ATA_COMMAND, 1, k->code, now_ns);
}

/* SET MULTIPLE, the write cache, look ahead, a translation: what later commands go by. */
static void disk_settings(void *s, uint64_t r, uint64_t now_ns)
{
    static const uint8_t settings[][3] = {{0xC6, 0, 16}, {0xC6, 0, 4},  {0xEF, 0x82, 0}, {0xEF, 0x02, 0},
                                          {0x91, 0, 63}, {0xEF, 3, 66}, {0xE2, 0, 0},    {0x10, 0, 0}};
    const uint8_t *p = settings[r >> 8 & 7];
    const struct chip_class *c = &piix_ide_class;

    c->write(s, ATA_FEATURES, 1, p[1], now_ns);
    c->write(s, ATA_COUNT, 1, p[2], now_ns);
    c->write(s, ATA_COMMAND, 1, p[0], now_ns);
    ide_settle(s, r | 0x100, now_ns);
}

/* Whatever the drive waits for happens until the command is over. `out`: data go to the drive. */
static uint32_t serve_disk(void *s, const struct disk_command *k, uint64_t r, uint64_t now_ns)
{
    const struct chip_class *c = &piix_ide_class;
    uint32_t sum = 0;

    for (unsigned i = 0; i < 64; i++, r = fuzz_next(r)) {
        uint32_t status = c->pure_read(s, PIIX_IDE_OFF_CONTROL, 1, now_ns);
        if (c->next_master(s) != NS_NEVER)
            use_memory(c, s, r >> 40 & 31 ? 0x100 : r,
                       now_ns > c->next_master(s) ? now_ns : c->next_master(s));
        else if (status & ATA_DRQ)
            sum += ide_run(s, (uint64_t)k->out << 9 | UINT64_C(1) << 10 | UINT64_C(0x7FFF) << 12 | r << 32);
        else if (status & ATA_BSY && k->dma)
            start_dma(s, !k->out, now_ns);
        else
            break;
    }
    return sum;
}

static uint32_t ide_disk(void *s, uint64_t r, uint64_t now_ns)
{
    static const struct disk_command commands[] = {
        {0x20, 0, 0, 0}, {0x24, 0, 0, 1}, {0x25, 1, 0, 1}, {0x29, 0, 0, 1}, {0x30, 0, 1, 0}, {0x34, 0, 1, 1},
        {0x35, 1, 1, 1}, {0x39, 0, 1, 1}, {0x3D, 1, 1, 1}, {0x40, 0, 0, 0}, {0x42, 0, 0, 1}, {0x06, 1, 1, 0},
        {0x06, 1, 1, 0}, {0xC4, 0, 0, 0}, {0xC5, 0, 1, 0}, {0xC8, 1, 0, 0}, {0xCA, 1, 1, 0}, {0xE7, 0, 0, 0},
        {0xEA, 0, 0, 1}, {0xEC, 0, 0, 0}, {0xCE, 0, 1, 1}};
    const struct disk_command *k = &commands[(r >> 32 & 0xFF) % (sizeof commands / sizeof commands[0])];
    const struct drive_config disk = {
        .present = true, .medium = true, .bytes = 4u << 20, .read_only = !(r >> 40 & 15)};

    if (r >> 44 & 1)
        piix_ide_fit(s, 0, &disk, 1);
    piix_ide_class.write(s, ATA_DEVICE, 1, 0xE0, now_ns);
    if (r >> 45 & 1)
        disk_settings(s, r >> 46, now_ns);
    disk_regions(r, 0x4000, r >> 50 & 1);
    if (k->code == 0x06)
        disk_ranges(r);
    write_task_file(s, k, r, now_ns);
    if (k->dma && r >> 51 & 3)
        start_dma(s, !k->out, now_ns);
    return serve_disk(s, k, fuzz_next(r), now_ns);
}

uint32_t poke_ide(void *s, uint64_t r, uint64_t now_ns)
{
    switch (r & 7) {
    case 0:
        ide_command(s, r, now_ns);
        return 0;
    case 1:
        ide_regions(r);
        return 0;
    case 2:
        ide_packet(s, r, now_ns);
        return 0;
    case 3:
        return ide_run(s, r);
    case 5:
        return ide_disk(s, r, now_ns);
    case 4:
        if ((r >> 8) % 64 == 0)
            piix_ide_reset_pin(s);
        else if (r >> 8 & 1)
            fit_ide(s);
        return 0;
    default:
        if (piix_ide_class.next_master(s) != NS_NEVER)
            use_memory(&piix_ide_class, s, r, now_ns);
        return 0;
    }
}
