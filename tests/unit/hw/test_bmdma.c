/* test_bmdma.c - the PIIX bus master against its data sheet (82371AB, 290562, 4.3 and 5.2.1), and DMA
 * commands of both kinds of drives over it. */
#include "ide_test.h"

#define MIB   (UINT64_C(1) << 20)
#define TABLE 0x1000u
#define BUF   0x100000u

enum { ACTIVE = 1, FAILED = 2, INTERRUPT = 4 };
enum { START = 1, TO_MEMORY = 8 };

static void start(struct rig *r, uint8_t direction)
{
    out_32(r, BMIDTP, TABLE);
    out(r, BMIS, 0x66);
    out(r, BMIC, direction);
    out(r, BMIC, direction | START);
}

static void read_dma(struct rig *r, uint32_t lba, uint8_t count)
{
    task_file(r, count, lba, LBA);
    out(r, STATUS, 0xC8);
    start(r, TO_MEMORY);
    settle(r);
}

Test(bmdma, registers)
{
    struct rig *r = rig_disk(MIB);

    out_32(r, BMIDTP, 0x12345677);
    cr_assert_eq(rig_in(r, BMIDTP, 4), 0x12345674);
    out(r, BMIS, 0xFF);
    cr_assert_eq(in(r, BMIS), 0x60, "simplex reads as 0");
    out(r, BMIC, 0xF8);
    cr_assert_eq(in(r, BMIC), 0x08);
    cr_assert_eq(rig_in(r, BMIC, 4), 0x00600008);
    out_32(r, BMIC, 0x00000009);
    cr_assert_eq(in(r, BMIS) & ACTIVE, ACTIVE);
    out(r, BMIC, 0);
    cr_assert_eq(in(r, BMIS) & ACTIVE, 0);
    rig_free(r);
}

/* Regions as long as the transfer: the interrupt, and Active is clear. */
Test(bmdma, equal)
{
    struct rig *r = rig_disk(MIB);

    prd(r, TABLE, BUF, 512);
    prd(r, TABLE + 8, BUF + 0x10000, 1024);
    prd(r, TABLE + 16, BUF + 0x20002, 512 | EOT);
    read_dma(r, 7, 4);
    cr_assert(rig_irq(r));
    cr_assert_eq(in(r, BMIS), 0x64);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(in(r, BMIS), 0x64, "the drive's Status leaves it");
    out(r, BMIS, 0x64);
    cr_assert_eq(in(r, BMIS), 0x60);
    cr_assert_arr_eq(ram(r, BUF), r->medium[0] + 7 * 512, 512);
    cr_assert_arr_eq(ram(r, BUF + 0x10000), r->medium[0] + 8 * 512, 1024);
    cr_assert_arr_eq(ram(r, BUF + 0x20002), r->medium[0] + 10 * 512, 512);
    rig_free(r);
}

/* Longer: the interrupt, and Active is set until Start is taken back. */
Test(bmdma, longer)
{
    struct rig *r = rig_disk(MIB);

    prd(r, TABLE, BUF, 0x4000 | EOT);
    read_dma(r, 0, 4);
    cr_assert_eq(in(r, BMIS), 0x65);
    out(r, BMIC, TO_MEMORY);
    cr_assert_eq(in(r, BMIS), 0x64);
    rig_free(r);
}

/* Shorter: no interrupt, neither Active nor an error; the drive waits, and goes on with more regions. */
Test(bmdma, shorter)
{
    struct rig *r = rig_disk(MIB);

    prd(r, TABLE, BUF, 700 | EOT);
    read_dma(r, 3, 4);
    cr_assert_not(rig_irq(r));
    cr_assert_eq(in(r, BMIS), 0x60);
    cr_assert_eq(in(r, CONTROL) & 0x80, 0x80);
    out(r, BMIC, 0);
    prd(r, TABLE, BUF + 700, (4 * 512 - 700) | EOT);
    start(r, TO_MEMORY);
    settle(r);
    cr_assert_eq(in(r, BMIS), 0x64);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_arr_eq(ram(r, BUF), r->medium[0] + 3 * 512, 4 * 512);
    rig_free(r);
}

/* The same for a write, cut in the middle of a sector. */
Test(bmdma, shorter_write)
{
    struct rig *r = rig_disk(MIB);

    for (unsigned i = 0; i < 4 * 512; i++)
        *ram(r, BUF + i) = (uint8_t)(i * 7 + i / 256);
    prd(r, TABLE, BUF, 700 | EOT);
    task_file(r, 4, 3, LBA);
    out(r, STATUS, 0xCA);
    start(r, 0);
    settle(r);
    cr_assert_not(rig_irq(r));
    cr_assert_arr_eq(ram(r, BUF), r->medium[0] + 3 * 512, 512, "whole sectors are written");
    out(r, BMIC, 0);
    prd(r, TABLE, BUF + 700, (4 * 512 - 700) | EOT);
    start(r, 0);
    settle(r);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_arr_eq(ram(r, BUF), r->medium[0] + 3 * 512, 4 * 512);
    rig_free(r);
}

/* --- TRIM: DATA SET MANAGEMENT (ACS-2, 7.9) --- */

static void range_put(struct rig *r, unsigned i, uint64_t lba, uint64_t sectors)
{
    uint64_t entry = sectors << 48 | lba;
    memcpy(ram(r, BUF + i * 8), &entry, 8);
}

/* The ranges in `count` blocks at BUF; the status. */
static uint8_t trim(struct rig *r, uint8_t features, uint16_t count)
{
    prd(r, TABLE, BUF, 512 | EOT);
    out(r, ERROR, features);
    task_file_48(r, count, 0);
    out(r, STATUS, 0x06);
    start(r, 0);
    settle(r);
    out(r, BMIC, 0);
    return in(r, STATUS);
}

static bool is_zero(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (p[i])
            return false;
    return true;
}

Test(bmdma, trim)
{
    struct rig *r = rig_disk(MIB);
    uint8_t before[512];

    memcpy(before, r->medium[0] + 9 * 512, 512);
    memset(ram(r, BUF), 0, 512);
    range_put(r, 0, 10, 5);
    range_put(r, 7, 100, 0); /* unused: an address without sectors */
    range_put(r, 63, 2047, 1);
    cr_assert_eq(trim(r, 1, 1), 0x50);
    cr_assert_eq(r->discards, 2);
    cr_assert_arr_eq(r->medium[0] + 9 * 512, before, 512);
    cr_assert(is_zero(r->medium[0] + 10 * 512, 5 * 512));
    cr_assert_not(is_zero(r->medium[0] + 15 * 512, 512));
    cr_assert_not(is_zero(r->medium[0] + 100 * 512, 512));
    cr_assert(is_zero(r->medium[0] + 2047 * 512, 512));
    rig_free(r);
}

/* Nothing of a list with a range that is not there; what the standard does not have is aborted. */
Test(bmdma, trim_that_is_refused)
{
    struct rig *r = rig_disk(MIB);

    memset(ram(r, BUF), 0, 512);
    range_put(r, 0, 10, 5);
    range_put(r, 1, 2047, 2);
    cr_assert_eq(trim(r, 1, 1), 0x51);
    cr_assert_eq(in(r, ERROR), 0x10);
    range_put(r, 1, UINT64_C(0xFFFFFFFFFFFF), 65535);
    cr_assert_eq(trim(r, 1, 1), 0x51);
    range_put(r, 1, 0, 0);
    cr_assert_eq(trim(r, 0, 1), 0x51, "not TRIM");
    cr_assert_eq(in(r, ERROR), 0x04);
    cr_assert_eq(trim(r, 1, 0), 0x51, "no block, or 65536");
    cr_assert_eq(trim(r, 1, 2), 0x51, "more than word 105 says");
    cr_assert_eq(r->discards, 0);
    r->bad[0] = 12 * 512;
    cr_assert_eq(trim(r, 1, 1) & 0x21, 0x21, "the host cannot");
    rig_free(r);
}

/* The list in two regions, the second of which comes later. */
Test(bmdma, trim_with_a_list_in_parts)
{
    struct rig *r = rig_disk(MIB);

    memset(ram(r, BUF), 0, 512);
    range_put(r, 40, 20, 3);
    prd(r, TABLE, BUF, 300 | EOT);
    out(r, ERROR, 1);
    task_file_48(r, 1, 0);
    out(r, STATUS, 0x06);
    start(r, 0);
    settle(r);
    cr_assert(in(r, CONTROL) & 0x80, "it waits");
    out(r, BMIC, 0);
    prd(r, TABLE, BUF + 300, 212 | EOT);
    start(r, 0);
    settle(r);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert(is_zero(r->medium[0] + 20 * 512, 3 * 512));
    rig_free(r);
}

/* Start may come before the command, with it, and long after it. */
Test(bmdma, order_of_start_and_command)
{
    for (unsigned late = 0; late < 2; late++) {
        struct rig *r = rig_disk(MIB);
        prd(r, TABLE, BUF, 512 | EOT);
        if (!late)
            start(r, TO_MEMORY);
        task_file(r, 1, 9, LBA);
        out(r, STATUS, 0xC8);
        settle(r);
        cr_assert_eq(rig_irq(r), !late);
        if (late)
            start(r, TO_MEMORY);
        settle(r);
        cr_assert_eq(in(r, BMIS), late ? 0x64 : 0x64);
        cr_assert_arr_eq(ram(r, BUF), r->medium[0] + 9 * 512, 512);
        rig_free(r);
    }
}

/* Count 0 is 64 KiB; bit 0 of address and count is not there; a region may cross 64 KiB. */
Test(bmdma, odd_regions)
{
    struct rig *r = rig_disk(RIG_BYTES);

    prd(r, TABLE, BUF + 0xFE01, 0);
    prd(r, TABLE + 8, BUF + 0x40000, 1);
    prd(r, TABLE + 16, BUF + 0x60000, 0 | EOT);
    task_file(r, 0, 0, LBA); /* 128 KiB */
    out(r, STATUS, 0xC8);
    start(r, TO_MEMORY);
    settle(r);
    cr_assert_eq(in(r, BMIS), 0x65, "the third region is not needed");
    cr_assert_arr_eq(ram(r, BUF + 0xFE00), r->medium[0], 0x10000);
    cr_assert_arr_eq(ram(r, BUF + 0x40000), r->medium[0] + 0x10000, 0x10000);
    rig_free(r);
}

/* A table without an end goes on as long as the drive has data, and the command is done then. */
Test(bmdma, table_of_tiny_regions_without_end)
{
    struct rig *r = rig_disk(MIB);

    for (unsigned i = 0; i < 0x8000; i++)
        prd(r, TABLE + 8 * i, BUF, 2);
    read_dma(r, 0, 64);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(in(r, BMIS), 0x65);
    rig_free(r);
}

/* Descriptors and regions where there is no memory: the error bit, Active clear, no interrupt. */
Test(bmdma, nowhere)
{
    static const uint32_t nowhere[] = {0xF0000000, 0x01000000, 0xFFFFFFFC, 0x00FFFFFC};

    for (unsigned i = 0; i < 3; i++) {
        struct rig *r = rig_disk(MIB);
        prd(r, TABLE, nowhere[i], 512 | EOT);
        read_dma(r, 0, 1);
        cr_assert_eq(in(r, BMIS), 0x62, "region at %x", nowhere[i]);
        cr_assert_not(rig_irq(r));
        out(r, BMIC, 0);
        out_32(r, BMIDTP, nowhere[i]);
        out(r, BMIS, 6);
        out(r, BMIC, TO_MEMORY | START);
        settle(r);
        cr_assert_eq(in(r, BMIS) & 7, FAILED, "table at %x", nowhere[i]);
        out(r, CONTROL, 4);
        out(r, CONTROL, 0);
        settle(r);
        prd(r, TABLE, BUF, 512 | EOT);
        read_dma(r, 0, 1);
        cr_assert_eq(in(r, BMIS), 0x64, "all is well after a reset");
        rig_free(r);
    }
}

/* The command register of the function forbids it. */
Test(bmdma, mastering_is_off)
{
    struct rig *r = rig_disk(MIB);

    r->master_enabled = false;
    prd(r, TABLE, BUF, 512 | EOT);
    read_dma(r, 0, 1);
    cr_assert_eq(in(r, BMIS), 0x62);
    cr_assert_eq(*ram(r, BUF), 0);
    rig_free(r);
}

/* The wrong direction moves nothing. */
Test(bmdma, wrong_direction)
{
    struct rig *r = rig_disk(MIB);

    prd(r, TABLE, BUF, 512 | EOT);
    task_file(r, 1, 0, LBA);
    out(r, STATUS, 0xCA);
    start(r, TO_MEMORY);
    settle(r);
    cr_assert_eq(in(r, BMIS), 0x61);
    cr_assert_not(rig_irq(r));
    rig_free(r);
}

/* Start taken back in the middle: nothing comes any more; the next command is whole. */
Test(bmdma, stopped_in_the_middle)
{
    struct rig *r = rig_disk(RIG_BYTES);

    for (unsigned i = 0; i < 8; i++)
        prd(r, TABLE + 8 * i, BUF + 0x10000 * i, 0 | (i == 7 ? EOT : 0));
    task_file_48(r, 1024, 0); /* four requests */
    out(r, STATUS, 0x25);
    start(r, TO_MEMORY);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(rig_event(r));
    out(r, BMIC, 0);
    cr_assert_eq(in(r, BMIS) & ACTIVE, 0);
    settle(r);
    cr_assert_not(rig_irq(r));
    cr_assert_arr_eq(ram(r, BUF), r->medium[0], 0x20000);
    static const uint8_t none[8];
    cr_assert_arr_eq(ram(r, BUF + 0x70004), none, sizeof none);
    out(r, CONTROL, 4);
    out(r, CONTROL, 0);
    settle(r);
    read_dma(r, 5, 2);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_arr_eq(ram(r, BUF), r->medium[0] + 5 * 512, 1024);
    rig_free(r);
}

/* Larger than one request to the medium, with 48 bits and FUA. */
Test(bmdma, large_transfers)
{
    struct rig *r = rig_disk(RIG_BYTES);

    for (unsigned i = 0; i < 16; i++)
        prd(r, TABLE + 8 * i, BUF + 0x10000 * i, 0 | (i == 15 ? EOT : 0));
    task_file_48(r, 2048, 1000);
    out(r, STATUS, 0x25);
    start(r, TO_MEMORY);
    settle(r);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(in(r, BMIS), 0x64);
    cr_assert_arr_eq(ram(r, BUF), r->medium[0] + 1000 * 512, 1 << 20);
    cr_assert_eq(in(r, LOW), (1000 + 2047) & 0xFF);
    memset(ram(r, BUF), 0x3C, 1 << 20);
    task_file_48(r, 2048, 500);
    out(r, STATUS, 0x3D); /* WRITE DMA FUA EXT */
    start(r, 0);
    settle(r);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(r->medium[0][500 * 512], 0x3C);
    cr_assert_eq(r->medium[0][2548 * 512 - 1], 0x3C);
    cr_assert_eq(r->fua, 8);
    rig_free(r);
}

/* What lies before an unreadable sector reaches memory. */
Test(bmdma, unreadable_sector)
{
    struct rig *r = rig_disk(MIB);

    r->bad[0] = 77 * 512;
    prd(r, TABLE, BUF, 0x10000 | EOT);
    read_dma(r, 10, 128);
    cr_assert(rig_irq(r));
    cr_assert_eq(in(r, BMIS), 0x65);
    cr_assert_eq(in(r, STATUS), 0x51);
    cr_assert_eq(in(r, ERROR), 0x40);
    cr_assert_eq(in(r, LOW), 77);
    cr_assert_eq(in(r, COUNT), 61);
    cr_assert_arr_eq(ram(r, BUF), r->medium[0] + 10 * 512, 67 * 512);
    cr_assert_eq(*ram(r, BUF + 67 * 512), 0);
    rig_free(r);
}

/* The interrupt bit follows the drive's line with PIO, too, but not under nIEN. */
Test(bmdma, interrupt_bit_without_dma)
{
    struct rig *r = rig_disk(MIB);

    task_file(r, 1, 0, LBA);
    command(r, 0x40);
    cr_assert_eq(in(r, BMIS), INTERRUPT);
    in(r, STATUS);
    out(r, BMIS, INTERRUPT);
    out(r, CONTROL, 2);
    command(r, 0x40);
    cr_assert_eq(in(r, BMIS), 0);
    rig_free(r);
}

/* ATAPI: sectors and short answers. */
Test(bmdma, packets)
{
    static const uint8_t read_10[12] = {0x28, 0, 0, 0, 0, 5, 0, 0, 100};
    static const uint8_t inquiry[12] = {0x12, 0, 0, 0, 96};
    struct rig *r = rig_new();

    fit(r, 0, true, RIG_BYTES);
    r->ide.drive[0].attention = 0;
    for (unsigned i = 0; i < 4; i++)
        prd(r, TABLE + 8 * i, BUF + 0x10000 * i, 0 | (i == 3 ? EOT : 0));
    out(r, ERROR, 1);
    cr_assert_eq(command(r, 0xA0), 0x48);
    start(r, TO_MEMORY);
    write_block(r, read_10, 12);
    cr_assert(rig_irq(r));
    cr_assert_eq(in(r, BMIS), 0x65);
    cr_assert_eq(in(r, STATUS), 0x40);
    cr_assert_eq(in(r, COUNT), 3);
    cr_assert_arr_eq(ram(r, BUF), r->medium[0] + 5 * 2048, 100 * 2048);
    out(r, BMIC, 0);
    out(r, ERROR, 1);
    command(r, 0xA0);
    write_block(r, inquiry, 12);
    start(r, TO_MEMORY);
    settle(r);
    cr_assert_eq(in(r, STATUS), 0x40);
    cr_assert_arr_eq(ram(r, BUF + 8), "TANDEM  ", 8);
    rig_free(r);
}
