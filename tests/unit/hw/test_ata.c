/* test_ata.c - an ATA disk against ATA/ATAPI-6 (T13/1410D; section numbers are its), and as the drivers of
 * MINIX, Linux and SeaBIOS use it: PIO, addresses, errors, resets, two drives on a cable. */
#include "ide_test.h"

#define MIB (UINT64_C(1) << 20)

Test(ata, fields)
{
    chip_check_fields(&piix_ide_class);
}

static uint32_t word(const uint8_t *id, unsigned n)
{
    return id[2 * n] | (uint32_t)id[2 * n + 1] << 8;
}

static void identify(struct rig *r, uint8_t *id)
{
    out(r, DEVICE, LBA);
    cr_assert_eq(command(r, 0xEC), 0x58);
    read_block(r, id, 512);
    cr_assert_eq(in(r, STATUS), 0x50);
}

/* 8.15 */
Test(ata, identify_tells_what_there_is)
{
    struct rig *r = rig_disk(504 * MIB); /* 1032192 sectors: 1024 * 16 * 63 */
    uint8_t id[512], sum = 0;

    identify(r, id);
    cr_assert_eq(word(id, 0), 0x0040);
    cr_assert_eq(word(id, 1), 1024);
    cr_assert_eq(word(id, 3), 16);
    cr_assert_eq(word(id, 6), 63);
    cr_assert_eq(word(id, 54) * word(id, 55) * word(id, 56), word(id, 57) | word(id, 58) << 16);
    cr_assert_eq(word(id, 60) | word(id, 61) << 16, 1032192);
    cr_assert_eq(word(id, 100) | word(id, 101) << 16, 1032192);
    cr_assert_eq(word(id, 47), 0x8010);
    cr_assert(word(id, 49) & 0x200, "LBA");
    cr_assert(word(id, 49) & 0x100, "DMA");
    cr_assert_eq(word(id, 53) & 7, 7);
    cr_assert_eq(word(id, 83) & 0xC400, 0x4400, "48-bit addresses");
    cr_assert_eq(word(id, 83) & 0x3000, 0x3000, "FLUSH CACHE, FLUSH CACHE EXT");
    cr_assert_eq(word(id, 85) & 0x60, 0x60, "write cache, look ahead");
    cr_assert_eq(word(id, 80) & 0x100, 0x100, "ATA8-ACS");
    cr_assert_eq(word(id, 169) & 1, 1, "TRIM");
    cr_assert_eq(word(id, 105), 1, "of one block of ranges");
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + id[i]);
    cr_assert_eq(sum, 0);
    cr_assert_eq(id[510], 0xA5);
    rig_free(r);
}

/* Bytes of a word are swapped, fields are padded with blanks. */
Test(ata, identify_names)
{
    struct rig *r = rig_disk(MIB);
    uint8_t id[512];
    char text[41] = {0};

    identify(r, id);
    for (unsigned i = 0; i < 40; i++)
        text[i] = (char)id[54 + (i ^ 1)];
    cr_assert_str_eq(text, "TANDEM HARDDISK                         ");
    for (unsigned i = 0; i < 20; i++)
        text[i] = (char)id[20 + (i ^ 1)];
    text[20] = 0;
    cr_assert_str_eq(text, "TD00001             ");
    rig_free(r);
}

/* More than 2^28 sectors. */
Test(ata, identify_of_a_large_disk)
{
    struct rig *r = rig_disk(UINT64_C(200) << 30);
    uint8_t id[512];

    identify(r, id);
    cr_assert_eq(word(id, 1), 16383);
    cr_assert_eq(word(id, 60) | word(id, 61) << 16, 0x0FFFFFFF);
    cr_assert_eq(word(id, 100) | (uint64_t)word(id, 101) << 16 | (uint64_t)word(id, 102) << 32, UINT64_C(200)
                                                                                                    << 21);
    rig_free(r);
}

/* 9.5: an interrupt with each block; Status takes it back. MINIX waits for one a sector. */
Test(ata, read_sectors_asks_once_a_block)
{
    struct rig *r = rig_disk(MIB);
    uint8_t got[512];

    task_file(r, 3, 5, LBA);
    cr_assert_eq(command(r, 0x20), 0x58);
    for (unsigned n = 0; n < 3; n++) {
        cr_assert(rig_irq(r), "sector %u", n);
        cr_assert_eq(in(r, STATUS), 0x58);
        cr_assert_not(rig_irq(r));
        read_block(r, got, 512);
        cr_assert_arr_eq(got, r->medium[0] + (5 + n) * 512, 512);
    }
    cr_assert_not(rig_irq(r), "none after the last");
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(in(r, COUNT), 0);
    cr_assert_eq(in(r, LOW), 7);
    rig_free(r);
}

/* The block is there at its time, not before: BSY first. */
Test(ata, data_comes_after_the_drive_s_time)
{
    struct rig *r = rig_disk(MIB);

    task_file(r, 1, 100, LBA);
    out(r, STATUS, 0x20);
    uint64_t begin = r->ns;
    cr_assert_eq(in(r, STATUS) & 0x88, 0x80);
    rig_event(r);
    cr_assert_eq(in(r, STATUS) & 0x88, 0x80, "the medium works");
    settle(r);
    cr_assert_eq(in(r, STATUS) & 0x88, 0x08);
    cr_assert_geq(r->ns, begin + DRIVE_ACCESS_NS);
    rig_free(r);
}

Test(ata, write_sectors_asks_when_a_block_is_taken)
{
    struct rig *r = rig_disk(MIB);
    uint8_t data[512];

    memset(data, 0x77, sizeof(data));
    task_file(r, 2, 9, LBA);
    cr_assert_eq(command(r, 0x30), 0x58);
    cr_assert_not(rig_irq(r), "not for the first");
    write_block(r, data, 512);
    cr_assert(rig_irq(r));
    cr_assert_eq(in(r, STATUS), 0x58);
    write_block(r, data, 512);
    cr_assert(rig_irq(r));
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(r->medium[0][9 * 512], 0x77);
    cr_assert_eq(r->medium[0][11 * 512 - 1], 0x77);
    cr_assert_neq(r->medium[0][11 * 512], 0x77);
    rig_free(r);
}

/* Count 0 is 256 sectors, with 48 bits 65536 (which this disk does not have). */
Test(ata, count_0)
{
    struct rig *r = rig_disk(RIG_BYTES);
    static uint8_t got[512];

    task_file(r, 0, 0, LBA);
    command(r, 0x20);
    for (unsigned n = 0; n < 256; n++) {
        cr_assert_eq(in(r, STATUS), 0x58, "sector %u", n);
        read_block(r, got, 512);
    }
    cr_assert_eq(in(r, STATUS), 0x50);
    task_file_48(r, 0, 0);
    cr_assert_eq(command(r, 0x24), 0x51);
    cr_assert_eq(in(r, ERROR), 0x10);
    rig_free(r);
}

/* 8.39, 8.30 */
Test(ata, multiple)
{
    struct rig *r = rig_disk(MIB);
    static uint8_t got[8192];

    task_file(r, 5, 8, LBA);
    cr_assert_eq(command(r, 0xC4), 0x51, "off after a reset");
    cr_assert_eq(in(r, ERROR), 0x04);
    out(r, COUNT, 3);
    cr_assert_eq(command(r, 0xC6), 0x51, "not a power of two");
    out(r, COUNT, 32);
    cr_assert_eq(command(r, 0xC6), 0x51, "too many");
    out(r, COUNT, 4);
    cr_assert_eq(command(r, 0xC6), 0x50);
    task_file(r, 5, 8, LBA);
    cr_assert_eq(command(r, 0xC4), 0x58);
    in(r, STATUS);
    read_block(r, got, 4 * 512);
    cr_assert(rig_irq(r));
    cr_assert_eq(in(r, STATUS), 0x58);
    read_block(r, got + 4 * 512, 512); /* the rest is a block of its own */
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_arr_eq(got, r->medium[0] + 8 * 512, 5 * 512);
    got[0] ^= 1;
    task_file(r, 5, 100, LBA);
    cr_assert_eq(command(r, 0xC5), 0x58);
    write_block(r, got, 4 * 512);
    cr_assert_eq(in(r, STATUS), 0x58);
    write_block(r, got + 4 * 512, 512);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_arr_eq(got, r->medium[0] + 100 * 512, 5 * 512);
    rig_free(r);
}

static uint32_t chs(uint32_t c, uint32_t h, uint32_t s, uint32_t heads, uint32_t track)
{
    return (c * heads + h) * track + s - 1;
}

/* MINIX on disks below 512 MB: SPECIFY (91h), then cylinders, heads, sectors. */
Test(ata, chs)
{
    struct rig *r = rig_disk(504 * MIB);
    uint8_t got[512], id[512];

    task_file(r, 1, 1 | 2 << 8, 0xA0 | 3); /* sector 1, cylinder 2, head 3, of 16 and 63 */
    out(r, DEVICE, 0xA3);
    cr_assert_eq(command(r, 0x20), 0x58);
    read_block(r, got, 512);
    cr_assert_arr_eq(got, r->medium[0] + chs(2, 3, 1, 16, 63) * 512, 512);
    in(r, STATUS);
    out(r, DEVICE, 0xA7); /* the last head */
    out(r, COUNT, 32);    /* sectors a track */
    cr_assert_eq(command(r, 0x91), 0x50);
    cr_assert(rig_irq(r));
    identify(r, id);
    cr_assert_eq(word(id, 55), 8);
    cr_assert_eq(word(id, 56), 32);
    cr_assert_eq(word(id, 54), 1032192 / 256);
    task_file(r, 1, 32 | 3 << 8, 0xA0);
    out(r, DEVICE, 0xA7);
    cr_assert_eq(command(r, 0x20), 0x58);
    read_block(r, got, 512);
    cr_assert_arr_eq(got, r->medium[0] + chs(3, 7, 32, 8, 32) * 512, 512);
    cr_assert_eq(in(r, LOW), 32);
    cr_assert_eq(in(r, MID), 3);
    cr_assert_eq(in(r, DEVICE), 0xA7);
    rig_free(r);
}

/* No sector 0, none above the track, no such head, nothing beyond the end. */
Test(ata, chs_that_is_not_there)
{
    static const struct {
        uint32_t low_mid;
        uint8_t device;
    } wrong[] = {{0 | 1 << 8, 0xA0}, {64 | 1 << 8, 0xA0}, {1 | 0xFFFF << 8, 0xA0}};
    struct rig *r = rig_disk(504 * MIB);

    for (unsigned i = 0; i < 3; i++) {
        task_file(r, 1, wrong[i].low_mid, wrong[i].device);
        cr_assert_eq(command(r, 0x20), 0x51, "%u", i);
        cr_assert_eq(in(r, ERROR), 0x10);
        cr_assert(rig_irq(r));
    }
    out(r, DEVICE, 0xA3);
    out(r, COUNT, 63);
    command(r, 0x91);
    task_file(r, 1, 1, 0xA0);
    out(r, DEVICE, 0xA4);
    cr_assert_eq(command(r, 0x20), 0x51, "head 4 of 4");
    rig_free(r);
}

/* Beyond the end: IDNF, with the first sector that is not there; the last one is fine. */
Test(ata, beyond_the_end)
{
    struct rig *r = rig_disk(MIB); /* 2048 sectors */
    uint8_t got[512];

    task_file(r, 1, 2047, LBA);
    cr_assert_eq(command(r, 0x20), 0x58);
    read_block(r, got, 512);
    in(r, STATUS);
    task_file(r, 4, 2046, LBA);
    cr_assert_eq(command(r, 0x20), 0x51);
    cr_assert_eq(in(r, ERROR), 0x10);
    cr_assert_eq(in(r, LOW) | in(r, MID) << 8, 2048);
    cr_assert_eq(in(r, COUNT), 2);
    task_file_48(r, 1, UINT64_C(1) << 40);
    cr_assert_eq(command(r, 0x24), 0x51);
    cr_assert_eq(in(r, ERROR), 0x10);
    cr_assert_eq(r->reads, 1);
    rig_free(r);
}

/* 6.20: what was there before is read with HOB; any write of a register ends that. */
Test(ata, lba_48)
{
    struct rig *r = rig_disk(UINT64_C(4) << 40);
    uint8_t got[512];

    task_file_48(r, 0x0102, 0x3456789A);
    out(r, CONTROL, 0x80);
    cr_assert_eq(in(r, COUNT), 0x01);
    cr_assert_eq(in(r, LOW), 0x34);
    out(r, CONTROL, 0x00);
    cr_assert_eq(in(r, COUNT), 0x02);
    cr_assert_eq(in(r, LOW), 0x9A);
    out(r, CONTROL, 0x80);
    out(r, ERROR, 0);
    cr_assert_eq(in(r, COUNT), 0x02, "HOB is gone");
    task_file_48(r, 2, UINT64_C(0x12345678A));
    cr_assert_eq(command(r, 0x24), 0x58);
    for (unsigned n = 0; n < 2; n++)
        read_block(r, got, 512);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(in(r, LOW), 0x8B);
    cr_assert_eq(in(r, MID), 0x67);
    cr_assert_eq(in(r, HIGH), 0x45);
    out(r, CONTROL, 0x80);
    cr_assert_eq(in(r, LOW), 0x23);
    cr_assert_eq(in(r, MID), 0x01);
    rig_free(r);
}

/* The host cannot read a sector: UNC, its address, and what lies before it has come. */
Test(ata, unreadable_sector)
{
    struct rig *r = rig_disk(MIB);
    uint8_t got[512];

    r->bad[0] = 7 * 512 + 100;
    task_file(r, 4, 5, LBA);
    cr_assert_eq(command(r, 0x20), 0x58);
    for (unsigned n = 0; n < 2; n++)
        read_block(r, got, 512);
    cr_assert(rig_irq(r));
    cr_assert_eq(in(r, STATUS), 0x51);
    cr_assert_eq(in(r, ERROR), 0x40);
    cr_assert_eq(in(r, LOW), 7);
    cr_assert_eq(in(r, COUNT), 2);
    task_file(r, 100, 0, LBA);
    cr_assert_eq(command(r, 0x40), 0x51, "READ VERIFY");
    cr_assert_eq(in(r, LOW), 7);
    cr_assert_eq(in(r, COUNT), 93);
    rig_free(r);
}

Test(ata, unwritable_sector)
{
    struct rig *r = rig_disk(MIB);
    uint8_t data[512] = {0};

    r->bad[0] = 6 * 512;
    task_file(r, 3, 5, LBA);
    command(r, 0x30);
    write_block(r, data, 512);
    cr_assert_eq(in(r, STATUS), 0x58);
    write_block(r, data, 512);
    cr_assert_eq(in(r, STATUS), 0x71, "device fault");
    cr_assert_eq(in(r, ERROR), 0x04);
    cr_assert_eq(in(r, LOW), 6);
    r->bad[0] = 0;
    cr_assert_eq(command(r, 0xE7), 0x71, "FLUSH CACHE");
    rig_free(r);
}

Test(ata, read_only)
{
    struct rig *r = rig_new();
    struct drive_config cfg = {.present = true, .medium = true, .read_only = true, .bytes = MIB};

    piix_ide_fit(&r->ide, 0, &cfg, 1);
    task_file(r, 1, 0, LBA);
    cr_assert_eq(command(r, 0x30), 0x51);
    cr_assert_eq(in(r, ERROR), 0x40);
    rig_free(r);
}

/* 8.12, 8.46: with the cache off, and with FUA, a write is safe before it is done. */
Test(ata, flush_and_fua)
{
    struct rig *r = rig_disk(MIB);
    uint8_t data[512] = {0}, id[512];

    cr_assert_eq(command(r, 0xE7), 0x50);
    cr_assert_eq(command(r, 0xEA), 0x50);
    cr_assert_eq(r->flushes, 2);
    task_file(r, 1, 0, LBA);
    command(r, 0x30);
    write_block(r, data, 512);
    cr_assert_eq(r->fua, 0);
    out(r, ERROR, 0x82);
    cr_assert_eq(command(r, 0xEF), 0x50);
    cr_assert_eq(r->flushes, 3, "what is in the cache goes first");
    identify(r, id);
    cr_assert_not(word(id, 85) & 0x20);
    task_file(r, 1, 0, LBA);
    command(r, 0x30);
    write_block(r, data, 512);
    cr_assert_eq(r->fua, 1);
    out(r, ERROR, 0x02);
    command(r, 0xEF);
    out(r, COUNT, 1);
    command(r, 0xC6);
    task_file_48(r, 1, 0);
    command(r, 0xCE); /* WRITE MULTIPLE FUA EXT */
    write_block(r, data, 512);
    cr_assert_eq(r->fua, 2);
    rig_free(r);
}

/* 8.46.1; words 63 and 88: one mode is selected at most. */
Test(ata, transfer_modes)
{
    struct rig *r = rig_disk(MIB);
    uint8_t id[512];

    identify(r, id);
    cr_assert_eq(word(id, 63), 0x0407);
    out(r, ERROR, 3);
    out(r, COUNT, 0x42);
    cr_assert_eq(command(r, 0xEF), 0x50);
    identify(r, id);
    cr_assert_eq(word(id, 63), 0x0007);
    cr_assert_eq(word(id, 88), 0x043F);
    for (unsigned i = 0; i < 3; i++) {
        static const uint8_t wrong[] = {0x23, 0x46, 0x0D};
        out(r, ERROR, 3);
        out(r, COUNT, wrong[i]);
        cr_assert_eq(command(r, 0xEF), 0x51, "%02x", wrong[i]);
    }
    out(r, ERROR, 3);
    out(r, COUNT, 0x0C);
    cr_assert_eq(command(r, 0xEF), 0x50, "PIO 4");
    rig_free(r);
}

/* Every code is done or aborted; none hangs, and none leaves the drive out of order. */
Test(ata, every_command_ends)
{
    for (unsigned cdrom = 0; cdrom < 2; cdrom++)
        for (unsigned code = 0; code < 256; code++) {
            struct rig *r = rig_new();
            fit(r, 0, cdrom, MIB);
            task_file(r, 1, 1, LBA);
            uint8_t status = command(r, (uint8_t)code);
            bool waits = r->ide.drive[0].phase == ATA_WAITING;
            cr_assert(waits || !(status & 0x80), "%u %02x: busy", cdrom, code);
            if (status & 0x01)
                cr_assert_neq(in(r, ERROR), 0, "%u %02x: without a reason", cdrom, code);
            out(r, CONTROL, 4);
            out(r, CONTROL, 0);
            settle(r);
            cr_assert_eq(in(r, STATUS), cdrom ? 0 : 0x50, "%u %02x: after a reset", cdrom, code);
            rig_free(r);
        }
}

Test(ata, nop_and_unknown_commands_are_aborted)
{
    static const uint8_t codes[] = {0x00, 0x08, 0x44, 0xA0, 0xA1, 0xB1, 0xF0, 0xFF};
    struct rig *r = rig_disk(MIB);

    for (unsigned i = 0; i < sizeof(codes); i++) {
        cr_assert_eq(command(r, codes[i]), 0x51, "%02x", codes[i]);
        cr_assert_eq(in(r, ERROR), 0x04);
        cr_assert(rig_irq(r));
    }
    rig_free(r);
}

Test(ata, commands_without_data)
{
    static const uint8_t codes[] = {0x10, 0x70, 0x91, 0xE0, 0xE1, 0xE2, 0xE3, 0xE7};
    struct rig *r = rig_disk(MIB);

    for (unsigned i = 0; i < sizeof(codes); i++) {
        task_file(r, 63, 1, LBA);
        cr_assert_eq(command(r, codes[i]), 0x50, "%02x", codes[i]);
        cr_assert(rig_irq(r));
        cr_assert_eq(in(r, STATUS), 0x50);
        cr_assert_not(rig_irq(r));
    }
    task_file(r, 1, 5000, LBA);
    cr_assert_eq(command(r, 0x70), 0x51, "SEEK beyond the end");
    task_file(r, 0, 0, LBA);
    cr_assert_eq(command(r, 0xF8), 0x50, "READ NATIVE MAX ADDRESS");
    cr_assert_eq(in(r, LOW) | in(r, MID) << 8, 2047);
    rig_free(r);
}

static uint8_t smart(struct rig *r, uint8_t what)
{
    out(r, ERROR, what);
    task_file(r, 0, 0xC24F00, LBA);
    return command(r, 0xB0);
}

/* ATA8-ACS, 7.53 */
Test(ata, smart)
{
    struct rig *r = rig_disk(MIB);
    uint8_t data[512], sum = 0;

    identify(r, data);
    cr_assert(word(data, 82) & 1);
    cr_assert(word(data, 85) & 1);
    cr_assert_eq(smart(r, 0xD0), 0x58);
    read_block(r, data, 512);
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + data[i]);
    cr_assert_eq(sum, 0);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(smart(r, 0xDA), 0x50);
    cr_assert_eq(in(r, MID) | in(r, HIGH) << 8, 0xC24F, "no threshold was exceeded");
    cr_assert_eq(smart(r, 0xD9), 0x50, "off");
    identify(r, data);
    cr_assert_not(word(data, 85) & 1);
    cr_assert_eq(smart(r, 0xDA), 0x51);
    cr_assert_eq(smart(r, 0xD0), 0x51);
    cr_assert_eq(smart(r, 0xD8), 0x50, "on");
    cr_assert_eq(smart(r, 0xDA), 0x50);
    cr_assert_eq(smart(r, 0xD5), 0x51, "no logs");
    out(r, ERROR, 0xDA);
    task_file(r, 0, 0, LBA);
    cr_assert_eq(command(r, 0xB0), 0x51, "without its signature");
    rig_free(r);
}

/* 8.6, 9.3 */
Test(ata, power)
{
    struct rig *r = rig_disk(MIB);

    command(r, 0xE5);
    cr_assert_eq(in(r, COUNT), 0xFF);
    command(r, 0xE0);
    command(r, 0xE5);
    cr_assert_eq(in(r, COUNT), 0x00);
    task_file(r, 1, 0, LBA);
    command(r, 0x40);
    command(r, 0xE5);
    cr_assert_eq(in(r, COUNT), 0xFF, "an access wakes it");
    command(r, 0xE6);
    out(r, STATUS, 0xEC);
    settle(r);
    cr_assert_eq(in(r, STATUS), 0x50, "asleep: it takes nothing");
    out(r, CONTROL, 4);
    out(r, CONTROL, 0);
    settle(r);
    cr_assert_eq(command(r, 0xEC), 0x58);
    rig_free(r);
}

/* 9.2, 9.12: BSY until it is done, then the signature; nothing of the command is left. */
Test(ata, soft_reset)
{
    struct rig *r = rig_disk(MIB);

    task_file(r, 5, 0x123456, LBA);
    out(r, STATUS, 0x20);
    out(r, CONTROL, 4);
    cr_assert_eq(in(r, STATUS) & 0x80, 0x80);
    settle(r);
    cr_assert_eq(in(r, STATUS) & 0x80, 0x80, "as long as SRST is set");
    out(r, CONTROL, 0);
    cr_assert_eq(in(r, STATUS) & 0x80, 0x80);
    settle(r);
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(in(r, ERROR), 1);
    cr_assert_eq(in(r, COUNT), 1);
    cr_assert_eq(in(r, LOW), 1);
    cr_assert_eq(in(r, MID), 0);
    cr_assert_eq(in(r, HIGH), 0);
    cr_assert_eq(in(r, DEVICE) & 0x10, 0);
    cr_assert_not(rig_irq(r));
    rig_free(r);
}

Test(ata, nien)
{
    struct rig *r = rig_disk(MIB);

    out(r, CONTROL, 2);
    task_file(r, 1, 0, LBA);
    command(r, 0x40);
    cr_assert_not(rig_irq(r));
    out(r, CONTROL, 0);
    cr_assert(rig_irq(r), "it still asks");
    in(r, CONTROL);
    cr_assert(rig_irq(r), "the alternate status leaves that");
    in(r, STATUS);
    cr_assert_not(rig_irq(r));
    rig_free(r);
}

/* Registers of a busy drive stay as they are; a command is ignored. */
Test(ata, busy)
{
    struct rig *r = rig_disk(MIB);

    task_file(r, 1, 5, LBA);
    out(r, STATUS, 0x20);
    out(r, LOW, 77);
    out(r, STATUS, 0xE7);
    settle(r);
    cr_assert_eq(in(r, STATUS), 0x58);
    cr_assert_eq(r->flushes, 0);
    rig_free(r);
}

/* --- two drives --- */

/* 9.16.1: device 0 answers for the missing one with Status 0, and ignores its commands. Nobody waits. */
Test(ata, missing_device_1)
{
    struct rig *r = rig_disk(MIB);

    out(r, DEVICE, 0xB0);
    cr_assert_eq(in(r, STATUS), 0);
    cr_assert_eq(in(r, CONTROL), 0);
    out(r, COUNT, 0x55);
    out(r, LOW, 0xAA);
    cr_assert_eq(in(r, COUNT), 0x55);
    cr_assert_eq(in(r, LOW), 0xAA);
    out(r, STATUS, 0xEC);
    cr_assert_eq(piix_ide_class.next_master(&r->ide), NS_NEVER);
    cr_assert_eq(in(r, STATUS), 0);
    cr_assert_not(rig_irq(r));
    out(r, DEVICE, 0xA0);
    cr_assert_eq(in(r, STATUS), 0x50);
    rig_free(r);
}

Test(ata, empty_channel)
{
    struct rig *r = rig_new();

    for (unsigned reg = 0; reg <= CONTROL; reg++)
        cr_assert_eq(in(r, reg), 0);
    out(r, COUNT, 0x55);
    cr_assert_eq(in(r, COUNT), 0);
    for (unsigned device = 0xA0; device <= 0xB0; device += 0x10) {
        out(r, DEVICE, device);
        out(r, STATUS, 0xEC);
        cr_assert_eq(piix_ide_class.next_master(&r->ide), NS_NEVER);
        cr_assert_eq(in(r, STATUS), 0);
    }
    out(r, CONTROL, 4);
    out(r, CONTROL, 0);
    cr_assert_eq(in(r, STATUS), 0);
    rig_free(r);
}

/* Registers go to both; each has its own data and interrupt. */
Test(ata, two_disks)
{
    struct rig *r = rig_disk(MIB);
    uint8_t got[512];

    fit(r, 1, false, 2 * MIB);
    task_file(r, 1, 3, LBA);
    command(r, 0x20);
    cr_assert(rig_irq(r));
    read_block(r, got, 512);
    cr_assert_arr_eq(got, r->medium[0] + 3 * 512, 512);
    out(r, DEVICE, LBA | SLAVE);
    cr_assert_not(rig_irq(r), "it is device 0's");
    cr_assert_eq(in(r, LOW), 3, "written to both");
    cr_assert_eq(command(r, 0x20), 0x58);
    cr_assert(rig_irq(r));
    in(r, STATUS);
    read_block(r, got, 512);
    cr_assert_arr_eq(got, r->medium[1] + 3 * 512, 512);
    out(r, DEVICE, LBA);
    cr_assert(rig_irq(r), "nobody has asked device 0 yet");
    rig_free(r);
}

/* 8.11: both, whichever is selected; device 0 asks. */
Test(ata, diagnostic)
{
    struct rig *r = rig_disk(MIB);

    fit(r, 1, false, MIB);
    out(r, DEVICE, 0xB0);
    out(r, STATUS, 0x90);
    settle(r);
    cr_assert(rig_irq(r));
    cr_assert_eq(in(r, STATUS), 0x50);
    cr_assert_eq(in(r, ERROR), 1);
    cr_assert_eq(in(r, COUNT), 1);
    cr_assert_eq(in(r, DEVICE) & 0x10, 0);
    out(r, DEVICE, 0xB0);
    cr_assert_eq(in(r, ERROR), 1);
    cr_assert_not(rig_irq(r));
    rig_free(r);
}

/* --- the data port --- */

/* A run takes all but the last word, and the rest comes as ever; the other sizes agree. */
Test(ata, runs)
{
    struct rig *r = rig_disk(MIB);
    uint8_t *at, got[512];

    cr_assert_eq(piix_ide_class.run(&r->ide, 2, 256, false, &at), 0, "no DRQ");
    task_file(r, 1, 3, LBA);
    command(r, 0x20);
    cr_assert_eq(piix_ide_class.run(&r->ide, 2, 256, true, &at), 0, "not a write");
    cr_assert_eq(piix_ide_class.run(&r->ide, 1, 256, false, &at), 0, "not bytes");
    cr_assert_eq(piix_ide_class.run(&r->ide, 2, 10, false, &at), 10);
    memcpy(got, at, 20);
    cr_assert_eq(piix_ide_class.run(&r->ide, 4, 256, false, &at), 122);
    memcpy(got + 20, at, 488);
    cr_assert_eq(piix_ide_class.run(&r->ide, 4, 256, false, &at), 0);
    uint32_t last = rig_in(r, DATA, 4);
    memcpy(got + 508, &last, 4);
    settle(r);
    cr_assert_arr_eq(got, r->medium[0] + 3 * 512, 512);
    cr_assert_eq(in(r, STATUS), 0x50);
    rig_free(r);
}

Test(ata, runs_of_writes)
{
    struct rig *r = rig_disk(MIB);
    uint8_t *at;

    task_file(r, 1, 3, LBA);
    command(r, 0x30);
    cr_assert_eq(piix_ide_class.run(&r->ide, 2, 1000, true, &at), 255);
    memset(at, 0x42, 510);
    r->ns += 100;
    piix_ide_class.write(&r->ide, DATA, 2, 0x4242, r->ns);
    settle(r);
    cr_assert_eq(in(r, STATUS), 0x50);
    for (unsigned i = 0; i < 512; i++)
        cr_assert_eq(r->medium[0][3 * 512 + i], 0x42);
    rig_free(r);
}

/* Reads that the board declares pure are, and Status is not while it holds an interrupt. */
Test(ata, what_reads_change)
{
    struct rig *r = rig_disk(MIB);

    cr_assert(piix_ide_class.read_changes(&r->ide, DATA));
    cr_assert_not(piix_ide_class.read_changes(&r->ide, STATUS));
    task_file(r, 1, 3, LBA);
    command(r, 0x40);
    cr_assert(piix_ide_class.read_changes(&r->ide, STATUS));
    cr_assert_not(piix_ide_class.read_changes(&r->ide, CONTROL));
    cr_assert_not(piix_ide_class.read_changes(&r->ide, BMIS));
    in(r, STATUS);
    cr_assert_not(piix_ide_class.read_changes(&r->ide, STATUS));
    rig_free(r);
}

/* A machine's reset in the middle: the drives are as after power-on. */
Test(ata, reset_pin)
{
    struct rig *r = rig_disk(MIB);
    uint8_t id[512];

    out(r, COUNT, 8);
    command(r, 0xC6);
    task_file(r, 1, 3, LBA);
    out(r, STATUS, 0x20);
    piix_ide_reset_pin(&r->ide);
    cr_assert_eq(piix_ide_class.next_master(&r->ide), NS_NEVER);
    cr_assert_eq(in(r, STATUS), 0x50);
    identify(r, id);
    cr_assert_eq(word(id, 59), 0);
    cr_assert_eq(word(id, 60), 2048);
    rig_free(r);
}

Test(ata, decode_enable)
{
    uint8_t cfg[256] = {0};

    cr_assert_not(piix_ide_decoded(cfg, 0));
    cfg[0x41] = 0x80;
    cr_assert_not(piix_ide_decoded(cfg, 0));
    cfg[4] = 1;
    cr_assert(piix_ide_decoded(cfg, 0));
    cr_assert_not(piix_ide_decoded(cfg, 1));
    cfg[0x43] = 0x80;
    cr_assert(piix_ide_decoded(cfg, 1));
    cr_assert_not(piix_ide_decoded(cfg, 2));
}
