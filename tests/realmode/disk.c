/* disk.c - INT 13h on the drive that the suite came from: by cylinder, head and sector (02h, 03h, 08h), by
 * number (41h, 42h, 43h, 48h: the EDD specification), what it reports, and that IF is afterwards what it was
 * before. A sector behind the suite is written and put back; on a CD none is. */
#include "suite.h"

static uint8_t buffer[2048], again[512];
static const uint32_t scratch_sector = SUITE_SECTORS + 1; /* behind the suite, from 0 */
struct geometry {
    uint32_t cylinders, heads, sectors;
};

static bool is_cd(void)
{
    return boot_drive >= 0xe0;
}

/* El Torito's emulation: INT 13h, 4B01h describes the drive that the CD stands for. */
static bool is_emulated(void)
{
    static uint8_t packet[19];
    struct regs r = regs_of(0x4b01);
    packet[0] = sizeof packet;
    r.edx = boot_drive, r.esi = (uint32_t)packet;
    bios(0x13, &r);
    return !(r.eflags & FLAG_CF) && (packet[1] & 0x0f) != 0;
}

static struct regs disk(uint32_t eax, uint32_t ecx, uint32_t edx, void *data)
{
    struct regs r = regs_of(eax);
    r.ecx = ecx, r.edx = edx << 8 | boot_drive, r.ebx = (uint32_t)data;
    bios(0x13, &r);
    return r;
}

/* As it must be after each call that succeeds. */
static void expect_done(struct regs r)
{
    EXPECT(!(r.eflags & FLAG_CF));
    EXPECT_EQ(high(r.eax), 0);
    EXPECT_EQ(r.eflags & FLAG_IF, FLAG_IF);
    EXPECT_EQ(r.ds, SUITE_SEGMENT);
    EXPECT_EQ(r.es, SUITE_SEGMENT);
}

/* Sector 0 begins as the copy at 7C00h does; the loader has changed its variables, at its end. */
static void expect_boot_sector(const uint8_t *sector)
{
    unsigned wrong = 0;
    for (uint16_t i = 0; i < 128; i++)
        wrong += sector[i] != peek8(0, (uint16_t)(0x7c00 + i));
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(sector[510] | sector[511] << 8, 0xaa55);
}

static struct geometry check_parameters(void)
{
    struct regs r = regs_of(0x0800);
    r.edx = boot_drive;
    bios(0x13, &r);
    EXPECT(!(r.eflags & FLAG_CF));
    EXPECT_EQ(high(r.eax), 0);
    struct geometry g = {(high(r.ecx) | (r.ecx & 0xc0) << 2) + 1, high(r.edx) + 1u, r.ecx & 0x3f};
    EXPECT((r.edx & 0xff) >= 1); /* drives of this kind */
    EXPECT(g.sectors >= 1 && g.heads >= 1 && g.cylinders >= 1);
    if (boot_drive < 0x80)
        EXPECT((r.ebx & 0xff) >= 1 && (r.ebx & 0xff) <= 6); /* kind of floppy */
    return g;
}

static void check_chs(struct geometry g)
{
    memset(buffer, 0x55, sizeof buffer);
    struct regs r = disk(0x0201, 1, 0, buffer);
    expect_done(r);
    EXPECT_EQ(r.eax & 0xff, 1); /* sectors done */
    expect_boot_sector(buffer);
    EXPECT_EQ(buffer[512], 0x55); /* not a byte more */

    expect_done(disk(0x0202, 1, 0, buffer)); /* two */
    expect_done(disk(0x0201, 2, 0, again));
    EXPECT(memcmp(buffer + 512, again, 512) == 0);
    expect_done(disk(0x0401, 1, 0, 0)); /* verify */

    memset(buffer, 0x55, 512);
    r = disk(0x0201, g.sectors + 1, 0, buffer); /* there is no such sector */
    EXPECT(r.eflags & FLAG_CF);
    EXPECT(high(r.eax) != 0);
    EXPECT_EQ(r.eflags & FLAG_IF, FLAG_IF);
    uint8_t status = high(r.eax);
    EXPECT_EQ(buffer[0], 0x55);
    r = disk(0x0100, 0, 0, 0); /* the status of the last call */
    EXPECT_EQ(high(r.eax), status);
    expect_done(disk(0x0000, 0, 0, 0)); /* reset */
    expect_done(disk(0x0201, 1, 0, buffer));
    r = disk(0x0201, 1, 0, buffer);
    EXPECT_EQ(peek8(0x40, boot_drive < 0x80 ? 0x41 : 0x74), 0);
}

static uint32_t chs_of(uint32_t lba, struct geometry g)
{
    return (lba / g.sectors / g.heads) << 8 | (lba % g.sectors + 1);
}
static uint32_t head_of(uint32_t lba, struct geometry g)
{
    return lba / g.sectors % g.heads;
}

/* Writes, reads back, restores. */
static void check_writing(struct geometry g)
{
    uint32_t cx = chs_of(scratch_sector, g), head = head_of(scratch_sector, g);
    expect_done(disk(0x0201, cx, head, again));
    for (unsigned i = 0; i < 512; i++)
        buffer[i] = (uint8_t)(again[i] ^ (i + 1));
    struct regs r = disk(0x0301, cx, head, buffer);
    expect_done(r);
    memset(buffer + 512, 0, 512);
    expect_done(disk(0x0201, cx, head, buffer + 512));
    EXPECT(memcmp(buffer, buffer + 512, 512) == 0);
    expect_done(disk(0x0301, cx, head, again));
    expect_done(disk(0x0201, cx, head, buffer));
    EXPECT(memcmp(buffer, again, 512) == 0);
}

/* SDM: INT pushes FLAGS and clears IF; the handler's return must bring back what the caller had. */
static void check_interrupt_flag(void)
{
    for (unsigned i = 0; i < 4; i++) {
        struct regs r = regs_of(is_cd() ? 0x4100 : i & 2 ? 0x0000 : 0x0201);
        r.ebx = is_cd() ? 0x55aa : (uint32_t)buffer, r.ecx = 1, r.edx = boot_drive;
        r.eflags = i & 1 ? 2 : 2 | FLAG_IF;
        uint32_t want = r.eflags & FLAG_IF;
        bios(0x13, &r);
        EXPECT(!(r.eflags & FLAG_CF));
        EXPECT_EQ(r.eflags & FLAG_IF, want);
    }
}

struct packet { /* EDD */
    uint8_t bytes, zero;
    uint16_t blocks, offset, segment;
    uint32_t lba, lba_high;
};

static struct regs extended(uint32_t eax, uint32_t lba, uint16_t blocks, void *data)
{
    static struct packet p;
    p = (struct packet){sizeof p, 0, blocks, (uint16_t)(uint32_t)data, SUITE_SEGMENT, lba, 0};
    struct regs r = regs_of(eax);
    r.edx = boot_drive, r.esi = (uint32_t)&p;
    bios(0x13, &r);
    return r;
}

static bool has_extensions(void)
{
    struct regs r = regs_of(0x4100);
    r.ebx = 0x55aa, r.edx = boot_drive;
    bios(0x13, &r);
    return !(r.eflags & FLAG_CF) && (r.ebx & 0xffff) == 0xaa55 && (r.ecx & 1);
}

static void check_extensions(void)
{
    uint32_t size = is_cd() ? 2048 : 512;
    struct {
        uint16_t bytes, flags;
        uint32_t cylinders, heads, sectors, total, total_high;
        uint16_t sector_bytes;
    } p = {26, 0, 0, 0, 0, 0, 0, 0};
    EXPECT(has_extensions());
    struct regs r = regs_of(0x4800);
    r.edx = boot_drive, r.esi = (uint32_t)&p;
    bios(0x13, &r);
    expect_done(r);
    EXPECT_EQ(p.sector_bytes, size);
    if (!is_cd()) /* SeaBIOS has none for a CD */
        EXPECT(p.total > scratch_sector && p.total_high == 0);

    expect_done(extended(0x4200, is_cd() ? 16 : 0, 1, buffer));
    if (is_cd())
        EXPECT(memcmp(buffer, "\1CD001", 6) == 0); /* ISO 9660's first descriptor */
    else
        expect_boot_sector(buffer);
    r = extended(0x4200, 0x7fffffff, 1, buffer); /* beyond the end */
    EXPECT(r.eflags & FLAG_CF);
    EXPECT(high(r.eax) != 0);
    if (is_cd())
        return;
    expect_done(extended(0x4200, scratch_sector, 1, again));
    for (unsigned i = 0; i < 512; i++)
        buffer[i] = (uint8_t)(again[i] ^ 0xa5);
    expect_done(extended(0x4300, scratch_sector, 1, buffer));
    expect_done(extended(0x4200, scratch_sector, 1, buffer + 512));
    EXPECT(memcmp(buffer, buffer + 512, 512) == 0);
    expect_done(extended(0x4300, scratch_sector, 1, again));
    expect_done(extended(0x4400, scratch_sector, 1, 0)); /* verify */
}

static void check_kind(void)
{
    struct regs r = disk(0x1500, 0, 0, 0);
    EXPECT(!(r.eflags & FLAG_CF));
    EXPECT_EQ(high(r.eax), boot_drive < 0x80 ? (high(r.eax) == 1 ? 1 : 2) : 3);
    r = regs_of(0x0800); /* a drive that is not there */
    r.edx = 0x8f;
    bios(0x13, &r);
    EXPECT(r.eflags & FLAG_CF);
}

void check_disk(void)
{
    if (!is_cd()) {
        struct geometry g = check_parameters();
        check_chs(g);
        check_kind();
        if (!is_emulated())
            check_writing(g);
    }
    check_interrupt_flag();
    if (boot_drive >= 0x80)
        check_extensions();
}

/* What the monitor's task does: the same reads, in virtual-8086 mode. */
void check_disk_v86(void)
{
    if (is_cd()) {
        expect_done(extended(0x4200, 16, 1, buffer));
        EXPECT(memcmp(buffer, "\1CD001", 6) == 0);
        return;
    }
    memset(buffer, 0, 512);
    expect_done(disk(0x0201, 1, 0, buffer));
    expect_boot_sector(buffer);
    if (boot_drive < 0x80)
        return;
    memset(buffer, 0, 512);
    expect_done(extended(0x4200, 0, 1, buffer));
    expect_boot_sector(buffer);
}
