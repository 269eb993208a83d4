/* test_i82077.c - the floppy controller: commands, statuses and times against the data sheet (290166). */
#include "hw/blocks.h"
#include "hw/i82077.h"
#include "hw_test.h"

#define SECTOR   512u
#define TURN     UINT64_C(200000000)
#define FLOPPY   (2880 * SECTOR)
#define READ     0xE6
#define WRITE    0xC5
#define DMA_MODE 0x02
#define PIO_MODE 0x03

static const struct chip_class *const C = &i82077_class;

static struct i82077 s;
static uint64_t now;
static uint8_t disk[2 * FLOPPY], block[BLOCKS_BYTES_MAX];
static uint8_t ram[0x10000]; /* what DMA sees */
static uint32_t ram_at, ram_count;
static enum blocks_status host_says;
static unsigned starts, finishes;

/* --- a drive and a DMA channel --- */

static uint8_t *drive_buffer(void *ctx, unsigned drive)
{
    (void)ctx, (void)drive;
    return block;
}

static void drive_start(void *ctx, unsigned drive, const struct blocks_request *r)
{
    (void)ctx;
    cr_assert_leq(r->offset + r->bytes, sizeof(disk));
    if (r->op == BLOCKS_WRITE && drive == 0)
        memcpy(disk + r->offset, block, r->bytes);
    starts++;
}

static enum blocks_status drive_finish(void *ctx, unsigned drive, const struct blocks_request *r,
                                       const uint8_t **data)
{
    (void)ctx, (void)drive;
    cr_assert_leq(r->offset + r->bytes, sizeof(disk));
    if (r->op == BLOCKS_READ)
        memcpy(block, disk + r->offset, r->bytes);
    if (data)
        *data = block;
    finishes++;
    return host_says;
}

static uint32_t dma_transfer(void *ctx, bool to_memory, uint8_t *data, uint32_t bytes, bool *tc)
{
    uint32_t n = bytes < ram_count ? bytes : ram_count;

    (void)ctx;
    if (to_memory)
        memcpy(ram + ram_at, data, n);
    else
        memcpy(data, ram + ram_at, n);
    ram_at += n;
    ram_count -= n;
    *tc = n > 0 && ram_count == 0;
    return n;
}

static const struct chip_blocks blocks = {
    .buffer = drive_buffer, .start = drive_start, .finish = drive_finish};
static const struct chip_dma dma = {.transfer = dma_transfer};

/* --- the CPU --- */

/* What is due up to `ns`, in the order of time, events first. */
static void run_to(uint64_t ns)
{
    const struct chip_master m = {.blocks = &blocks, .dma = &dma};

    for (;;) {
        uint64_t event = C->next_event(&s), master = C->next_master(&s);
        uint64_t next = event <= master ? event : master;
        if (next > ns)
            break;
        now = next > now ? next : now;
        if (event <= master)
            C->advance(&s, now);
        else
            C->master(&s, &m, now);
    }
    now = ns;
}

static bool interrupt(void)
{
    return C->outputs(&s) & 1;
}

/* Until the pin rises; how long that took. */
static uint64_t wait_interrupt(uint64_t most)
{
    uint64_t start = now;

    while (!interrupt() && now - start < most) {
        uint64_t event = C->next_event(&s), master = C->next_master(&s);
        uint64_t next = event < master ? event : master;
        cr_assert_neq(next, NS_NEVER, "it waits for ever");
        run_to(next > now ? next : now);
    }
    return now - start;
}

static uint8_t in(uint32_t offset)
{
    run_to(now + 1000);
    return (uint8_t)C->read(&s, offset, 1, now);
}

static void out(uint32_t offset, uint8_t v)
{
    run_to(now + 1000);
    C->write(&s, offset, 1, v, now);
}

static void command(const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        cr_assert_eq(in(I82077_OFF_STATUS)&0xC0, 0x80, "byte %u of command %02x is not taken", i, bytes[0]);
        out(I82077_OFF_FIFO, bytes[i]);
    }
}
#define COMMAND(...) command((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static uint8_t result[16];
static unsigned results(void)
{
    unsigned n = 0;

    while ((in(I82077_OFF_STATUS)&0xD0) == 0xD0 && n < sizeof(result))
        result[n++] = in(I82077_OFF_FIFO);
    cr_assert_eq(in(I82077_OFF_STATUS)&0xD0, 0x80);
    return n;
}

static void expect_results(const uint8_t *want, unsigned n)
{
    cr_assert_eq(results(), n);
    for (unsigned i = 0; i < n; i++)
        cr_assert_eq(result[i], want[i], "result %u: %02x, not %02x", i, result[i], want[i]);
}
#define RESULTS(...) expect_results((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void put_disk(unsigned n, uint64_t bytes, bool read_only)
{
    struct drive_config d = {.present = true, .medium = bytes > 0, .read_only = read_only, .bytes = bytes};

    i82077_fit(&s, n, &d);
}

/* Out of reset, the four polls told, motor of drive 0 on, 500 kbit/s, DMA. */
static void start_controller(void)
{
    out(I82077_OFF_DOR, 0x1C);
    wait_interrupt(MS);
    for (unsigned n = 0; n < 4; n++) {
        COMMAND(0x08);
        RESULTS(0xC0 | n, 0);
    }
    out(I82077_OFF_DIR, 0);
    COMMAND(0x03, 0xD1, DMA_MODE); /* 3 ms a step */
}

static void setup(void)
{
    C->reset(&s, 0);
    now = 0;
    host_says = BLOCKS_OK;
    starts = finishes = ram_at = ram_count = 0;
    put_disk(0, FLOPPY, false);
    for (unsigned n = 0; n < sizeof(disk) / SECTOR; n++)
        for (unsigned i = 0; i < SECTOR; i++)
            disk[n * SECTOR + i] = (uint8_t)(n + 13 * i + n / 256);
    start_controller();
}

static void seek(uint8_t cylinder)
{
    COMMAND(0x0F, 0x00, cylinder);
    wait_interrupt(1000 * MS);
    COMMAND(0x08);
    RESULTS(0x20, cylinder);
}

TestSuite(i82077, .init = setup);

Test(i82077, fields)
{
    chip_check_fields(C);
    chip_check_replay(C, 8, 1);
}

Test(i82077, reset_asks_for_four_sense_interrupts)
{
    out(I82077_OFF_DOR, 0x18);
    cr_assert_eq(in(I82077_OFF_STATUS), 0);
    out(I82077_OFF_DOR, 0x1C);
    cr_assert_not(interrupt());
    cr_assert_lt(wait_interrupt(MS), MS);
    for (unsigned n = 0; n < 4; n++) {
        COMMAND(0x08);
        RESULTS(0xC0 | n, 0);
        cr_assert_not(interrupt()); /* the first one has cleared it */
    }
    COMMAND(0x08);
    RESULTS(0x80);
    COMMAND(0x13, 0, 0x10, 0); /* CONFIGURE without polling: nothing to tell; a reset turns it on again */
    out(I82077_OFF_STATUS, 0x80);
    wait_interrupt(MS);
    COMMAND(0x08);
    RESULTS(0xC0, 0);
}

Test(i82077, dor_gates_the_interrupt)
{
    COMMAND(0x0F, 0, 1);
    wait_interrupt(100 * MS);
    out(I82077_OFF_DOR, 0x14);
    cr_assert_not(interrupt());
    out(I82077_OFF_DOR, 0x1C);
    cr_assert(interrupt());
}

Test(i82077, seek_takes_the_step_rate)
{
    COMMAND(0x0F, 0x00, 40);
    cr_assert_eq(in(I82077_OFF_STATUS), 0x81); /* busy with drive 0, ready for commands */
    uint64_t ns = wait_interrupt(1000 * MS);
    cr_assert(ns > 119 * MS && ns <= 120 * MS, "%llu ns", (unsigned long long)ns);
    cr_assert_eq(in(I82077_OFF_STATUS), 0x81);
    COMMAND(0x08);
    RESULTS(0x20, 40);
    cr_assert_eq(in(I82077_OFF_STATUS), 0x80);
    cr_assert_not(interrupt());
}

/* Issue: a seek to where the head is, and a recalibration at track 0, interrupt and are busy, too. */
Test(i82077, seek_to_the_same_cylinder_interrupts)
{
    for (unsigned n = 0; n < 2; n++) {
        COMMAND(0x0F, 0x00, 0);
        cr_assert_eq(in(I82077_OFF_STATUS)&0x0F, 1);
        wait_interrupt(MS);
        cr_assert_eq(in(I82077_OFF_STATUS)&0x0F, 1);
        COMMAND(0x08);
        RESULTS(0x20, 0);
        COMMAND(0x07, 0x00);
        cr_assert_eq(in(I82077_OFF_STATUS)&0x0F, 1);
        wait_interrupt(MS);
        COMMAND(0x08);
        RESULTS(0x20, 0);
        cr_assert_eq(in(I82077_OFF_STATUS), 0x80);
    }
}

Test(i82077, two_positions_seek_at_once)
{
    COMMAND(0x0F, 0x01, 2);
    COMMAND(0x0F, 0x00, 3);
    cr_assert_eq(in(I82077_OFF_STATUS), 0x83);
    run_to(now + 20 * MS);
    COMMAND(0x08);
    RESULTS(0x20, 3);
    cr_assert(interrupt());
    COMMAND(0x08);
    RESULTS(0x21, 2);
    cr_assert_not(interrupt());
}

Test(i82077, recalibrate)
{
    seek(30);
    COMMAND(0x07, 0);
    uint64_t ns = wait_interrupt(1000 * MS);
    cr_assert(ns > 89 * MS && ns <= 90 * MS);
    COMMAND(0x08);
    RESULTS(0x20, 0);
    COMMAND(0x04, 0);
    RESULTS(0x38);
    COMMAND(0x07, 1); /* no drive: no track 0 after 79 steps */
    cr_assert_gt(wait_interrupt(1000 * MS), 230 * MS);
    COMMAND(0x08);
    RESULTS(0x71, 0);
}

Test(i82077, sense_drive_status)
{
    put_disk(1, FLOPPY, true);
    COMMAND(0x04, 0x05);
    RESULTS(0x7D);
    COMMAND(0x04, 0x03);
    RESULTS(0x2B);
    seek(1);
    COMMAND(0x04, 0x00);
    RESULTS(0x28);
}

Test(i82077, commands_without_media)
{
    COMMAND(0x10);
    RESULTS(0x90);
    COMMAND(0x94);
    RESULTS(0x10);
    COMMAND(0x14);
    RESULTS(0x00);
    COMMAND(0x18);
    RESULTS(0x80);
    COMMAND(0x1F);
    RESULTS(0x80);
    COMMAND(0x12, 0x84);
    COMMAND(0x13, 0, 0x57, 9);
    seek(5);
    COMMAND(0x0E);
    RESULTS(5, 0, 0, 0, 0xD1, DMA_MODE, 0, 0x04, 0x57, 9);
}

Test(i82077, lock_keeps_the_fifo_over_a_software_reset)
{
    COMMAND(0x13, 0, 0x57, 9);
    COMMAND(0x94);
    results();
    out(I82077_OFF_STATUS, 0x80);
    run_to(now + MS);
    for (unsigned n = 0; n < 4; n++) {
        COMMAND(0x08);
        results();
    }
    COMMAND(0x0E);
    results();
    cr_assert_eq(result[7] & 0x80, 0x80);
    cr_assert_eq(result[8], 0x07);
    cr_assert_eq(result[9], 9);
}

static unsigned sector_number(unsigned c, unsigned h, unsigned r)
{
    return (c * 2 + h) * 18 + r - 1;
}

Test(i82077, read_by_dma)
{
    seek(3);
    ram_count = 4 * SECTOR;
    COMMAND(READ, 0x04, 3, 1, 2, 2, 18, 0x1B, 0xFF);
    cr_assert_eq(in(I82077_OFF_STATUS), 0x10);
    uint64_t start = now, ns = wait_interrupt(1000 * MS);
    cr_assert(ns >= 4 * TURN / 18 - MS && ns <= TURN + 4 * TURN / 18, "%llu", (unsigned long long)ns);
    cr_assert_lt((start + ns) % TURN - 5 * TURN / 18, 2 * US); /* sector 5 has passed */
    RESULTS(0x04, 0, 0, 3, 1, 6, 2);
    cr_assert_not(interrupt());
    cr_assert_eq(memcmp(ram, disk + sector_number(3, 1, 2) * SECTOR, 4 * SECTOR), 0);
    cr_assert_eq(starts, finishes);
}

Test(i82077, both_sides_in_one_command)
{
    ram_count = 36 * SECTOR;
    COMMAND(READ, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF);
    uint64_t ns = wait_interrupt(2000 * MS);
    cr_assert_leq(ns, 3 * TURN); /* one to get to sector 1, one a side */
    RESULTS(0x04, 0, 0, 1, 0, 1, 2);
    cr_assert_eq(memcmp(ram, disk, 36 * SECTOR), 0);
}

Test(i82077, no_terminal_count_is_end_of_cylinder)
{
    ram_count = sizeof(ram);
    COMMAND(0x46, 0x00, 0, 0, 17, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    RESULTS(0x40, 0x80, 0, 1, 0, 1, 2);
    cr_assert_eq(ram_at, 2 * SECTOR);
}

Test(i82077, terminal_count_within_a_sector)
{
    ram_count = 700;
    COMMAND(READ, 0x00, 0, 0, 4, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    RESULTS(0x00, 0, 0, 0, 0, 6, 2);
    cr_assert_eq(memcmp(ram, disk + 3 * SECTOR, 700), 0);
    cr_assert_eq(ram[700], 0);
}

Test(i82077, a_masked_channel_is_an_overrun)
{
    COMMAND(READ, 0x00, 0, 0, 4, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    RESULTS(0x40, 0x10, 0, 0, 0, 4, 2);
    COMMAND(WRITE, 0x00, 0, 0, 4, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    RESULTS(0x40, 0x10, 0, 0, 0, 4, 2);
}

Test(i82077, write_by_dma)
{
    uint8_t before[SECTOR];

    memcpy(before, disk + 8 * SECTOR, SECTOR);
    memset(ram, 0xE5, sizeof(ram));
    ram_count = 2 * SECTOR + 100;
    COMMAND(WRITE, 0x00, 0, 0, 6, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    RESULTS(0x00, 0, 0, 0, 0, 9, 2);
    cr_assert_eq(disk[5 * SECTOR], 0xE5);
    cr_assert_eq(disk[7 * SECTOR + 99], 0xE5);
    cr_assert_eq(disk[7 * SECTOR + 100], 0); /* the rest of a sector is zeroes */
    cr_assert_eq(memcmp(before, disk + 8 * SECTOR, SECTOR), 0);
}

Test(i82077, what_the_host_cannot_do)
{
    host_says = BLOCKS_IO_ERROR;
    ram_count = SECTOR;
    COMMAND(READ, 0x00, 0, 0, 4, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    RESULTS(0x40, 0x20, 0x20, 0, 0, 4, 2);
    ram_count = SECTOR;
    COMMAND(WRITE, 0x00, 0, 0, 4, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    RESULTS(0x50, 0, 0, 0, 0, 4, 2);
}

Test(i82077, sectors_that_are_not_there)
{
    static const struct {
        uint8_t head, c, h, r, n, st1, st2;
    } row[] = {
        {0, 0, 0, 19, 2, 0x04, 0},   {0, 0, 0, 0, 2, 0x04, 0},      {0, 0, 0, 1, 3, 0x04, 0},
        {0, 1, 0, 1, 2, 0x04, 0x10}, {0, 255, 0, 1, 2, 0x04, 0x10}, {0, 0, 7, 1, 2, 0x04, 0},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ram_count = SECTOR;
        COMMAND(0x46, row[i].head, row[i].c, row[i].h, row[i].r, row[i].n, 18, 0x1B, 0xFF);
        uint64_t ns = wait_interrupt(1000 * MS);
        cr_assert(ns >= TURN && ns <= 2 * TURN);
        RESULTS((uint8_t)(0x40 | (row[i].h & 1) << 2), row[i].st1, row[i].st2, row[i].c, row[i].h, row[i].r,
                2);
    }
}

Test(i82077, a_wrong_rate_finds_no_marks)
{
    out(I82077_OFF_DIR, 2);
    COMMAND(0x4A, 0);
    wait_interrupt(1000 * MS);
    results();
    cr_assert_eq(result[0], 0x40);
    cr_assert_eq(result[1], 0x01);
    put_disk(0, 1440 * SECTOR, false);
    COMMAND(0x4A, 0);
    wait_interrupt(1000 * MS);
    results();
    cr_assert_eq(result[0], 0);
}

Test(i82077, read_id_gives_what_passes)
{
    seek(7);
    for (unsigned n = 0; n < 3; n++) {
        COMMAND(0x4A, 0x04);
        wait_interrupt(100 * MS);
        uint64_t at = now % TURN;
        results();
        cr_assert_eq(result[0], 4);
        cr_assert_eq(result[3], 7);
        cr_assert_eq(result[4], 1);
        cr_assert_eq(result[5], (at + 1) * 18 / TURN + 1); /* a start is rounded down to ns */
    }
}

Test(i82077, write_protect)
{
    put_disk(0, FLOPPY, true);
    ram_count = SECTOR;
    COMMAND(WRITE, 0x00, 0, 0, 4, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    RESULTS(0x40, 0x02, 0, 0, 0, 4, 2);
    COMMAND(0x4D, 0x00, 2, 18, 0x54, 0xF6);
    wait_interrupt(1000 * MS);
    results();
    cr_assert_eq(result[1], 0x02);
    cr_assert_eq(starts, 0);
}

/* No medium, or the motor is off: no index pulse, until a reset. */
Test(i82077, a_disk_that_stands)
{
    put_disk(0, 0, false);
    COMMAND(READ, 0x00, 0, 0, 4, 2, 18, 0x1B, 0xFF);
    run_to(now + 10 * TURN);
    cr_assert_not(interrupt());
    cr_assert_eq(in(I82077_OFF_STATUS), 0x10);
    out(I82077_OFF_DOR, 0);
    start_controller();
    put_disk(0, FLOPPY, false);
    out(I82077_OFF_DOR, 0x0C);
    COMMAND(0x4A, 0);
    run_to(now + 10 * TURN);
    cr_assert_not(interrupt());
}

Test(i82077, disk_change_until_a_step)
{
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0x80);
    COMMAND(0x07, 0); /* no step: it stays */
    wait_interrupt(MS);
    COMMAND(0x08);
    results();
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0x80);
    seek(1);
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0);
    out(I82077_OFF_DOR, 0x2D); /* a position without a drive */
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0);
    put_disk(1, 0, false);
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0x80);
    COMMAND(0x0F, 1, 4); /* without a medium steps clear nothing */
    wait_interrupt(100 * MS);
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0x80);
}

static bool wish(uint8_t op, uint8_t drive, uint64_t bytes, bool read_only)
{
    const struct port_tray t = {.op = op, .drive = drive, .bytes = bytes, .read_only = read_only};
    uint8_t entry[PORT_TRAY_BYTES];
    bool takes = i82077_tray_in.trays->takes(&s, &t);

    port_tray_pack(&t, entry);
    i82077_tray_in.put(&s, entry, sizeof(entry), now);
    return takes;
}

Test(i82077, medium_changed_from_outside)
{
    seek(1);
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0);
    cr_assert(!wish(PORT_TRAY_OPEN, 0, 0, false), "it has no tray");
    cr_assert(!wish(PORT_TRAY_INSERT, 0, FLOPPY, false), "one is in it");
    cr_assert(!wish(PORT_TRAY_REMOVE, 7, 0, false), "no drive");
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0);
    cr_assert(wish(PORT_TRAY_REMOVE, 0, 0, false));
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0x80);
    seek(2);
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0x80, "no medium");
    cr_assert(wish(PORT_TRAY_INSERT, 0, FLOPPY, true));
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0x80, "until a step");
    seek(1);
    cr_assert_eq(in(I82077_OFF_DIR)&0x80, 0);
    COMMAND(0x04, 0);
    results();
    cr_assert_eq(result[0] & 0x40, 0x40, "write-protected");
}

Test(i82077, implied_seek)
{
    COMMAND(0x13, 0, 0x57, 0);
    ram_count = SECTOR;
    COMMAND(READ, 0x00, 20, 0, 1, 2, 18, 0x1B, 0xFF);
    cr_assert_eq(in(I82077_OFF_STATUS)&0x0F, 1);
    cr_assert_geq(wait_interrupt(1000 * MS), 59 * MS);
    RESULTS(0x00, 0, 0, 20, 0, 2, 2);
    cr_assert_eq(in(I82077_OFF_STATUS), 0x80);
    cr_assert_eq(memcmp(ram, disk + sector_number(20, 0, 1) * SECTOR, SECTOR), 0);
}

Test(i82077, format_track)
{
    seek(2);
    for (unsigned n = 0; n < 18; n++)
        memcpy(ram + 4 * n, (const uint8_t[]){2, 1, (uint8_t)(18 - n), 2}, 4);
    ram_count = 72;
    COMMAND(0x4D, 0x04, 2, 18, 0x54, 0xF6);
    uint64_t ns = wait_interrupt(1000 * MS);
    cr_assert(ns >= TURN && ns <= 2 * TURN);
    results();
    cr_assert_eq(result[0], 4);
    cr_assert_eq(result[1] | result[2], 0);
    for (unsigned i = 0; i < 18 * SECTOR; i++)
        cr_assert_eq(disk[sector_number(2, 1, 1) * SECTOR + i], 0xF6);
    cr_assert_neq(disk[sector_number(2, 0, 18) * SECTOR], 0xF6);
    cr_assert_neq(disk[sector_number(3, 0, 1) * SECTOR], 0xF6);
}

/* --- PIO: ND of SPECIFY --- */

static void pio_read(uint8_t *to, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        cr_assert_leq(wait_interrupt(1000 * MS), 600 * MS);
        cr_assert_eq(in(I82077_OFF_STATUS), 0xF0);
        to[i] = in(I82077_OFF_FIFO);
        cr_assert(i + 1 == bytes || !interrupt());
    }
}

Test(i82077, read_by_pio)
{
    COMMAND(0x03, 0xD1, PIO_MODE);
    COMMAND(0x46, 0x00, 0, 0, 16, 2, 18, 0x1B, 0xFF);
    cr_assert_eq(in(I82077_OFF_STATUS), 0x30);
    pio_read(ram, 3 * SECTOR);
    wait_interrupt(MS);
    RESULTS(0x40, 0x80, 0, 1, 0, 1, 2); /* there is no terminal count in PIO */
    cr_assert_eq(memcmp(ram, disk + 15 * SECTOR, 3 * SECTOR), 0);
}

Test(i82077, pio_that_is_not_fetched_overruns)
{
    COMMAND(0x03, 0xD1, PIO_MODE);
    COMMAND(0x46, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF);
    pio_read(ram, 500);
    run_to(now + 2 * TURN / 18);
    RESULTS(0x40, 0x10, 0, 0, 0, 2, 2);
}

Test(i82077, write_by_pio)
{
    COMMAND(0x03, 0xD1, PIO_MODE);
    COMMAND(0x45, 0x00, 0, 0, 17, 2, 18, 0x1B, 0xFF);
    run_to(now + 3 * TURN); /* the first sector may come at any time */
    for (unsigned i = 0; i < 2 * SECTOR; i++) {
        wait_interrupt(1000 * MS);
        cr_assert_eq(in(I82077_OFF_STATUS), 0xB0);
        out(I82077_OFF_FIFO, (uint8_t)(i / 3));
    }
    wait_interrupt(1000 * MS);
    RESULTS(0x40, 0x80, 0, 1, 0, 1, 2);
    for (unsigned i = 0; i < 2 * SECTOR; i++)
        cr_assert_eq(disk[16 * SECTOR + i], (uint8_t)(i / 3));
}

Test(i82077, media_by_their_size)
{
    static const struct {
        uint32_t sectors;
        uint8_t type, rate, last;
    } row[] = {{720, 1, 2, 9},   {2400, 2, 0, 15}, {1440, 4, 2, 9},
               {2880, 4, 0, 18}, {5760, 5, 3, 36}, {1, 4, 0, 18}};

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct drive_config d = {.present = true, .medium = true, .bytes = row[i].sectors * SECTOR};
        cr_assert_eq(i82077_drive_type(&d), row[i].type);
        i82077_fit(&s, 0, &d);
        out(I82077_OFF_DIR, row[i].rate);
        ram_at = 0;
        ram_count = SECTOR;
        COMMAND(0x46, 0x00, 0, 0, row[i].last, 2, row[i].last, 0x1B, 0xFF);
        wait_interrupt(1000 * MS);
        RESULTS(0x00, 0, 0, 1, 0, 1, 2);
        cr_assert_eq(ram[5], row[i].sectors == 1 ? 0 : disk[(row[i].last - 1) * SECTOR + 5]);
    }
    ram_count = SECTOR; /* what a short image lacks takes no writes */
    out(I82077_OFF_DIR, 0);
    COMMAND(WRITE, 0x00, 0, 0, 2, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    results();
    cr_assert_eq(result[0], 0x50);
}

Test(i82077, a_reset_forgets_the_command_and_no_write)
{
    memset(ram, 0xE5, SECTOR);
    ram_count = SECTOR;
    COMMAND(WRITE, 0x00, 0, 0, 6, 2, 18, 0x1B, 0xFF);
    while (!starts)
        run_to(C->next_master(&s));
    i82077_reset_pin(&s, now);
    cr_assert_eq(disk[5 * SECTOR], 0xE5);
    cr_assert_eq(C->next_master(&s), NS_NEVER);
    start_controller();
    ram_at = 0;
    ram_count = SECTOR;
    COMMAND(READ, 0x00, 0, 0, 6, 2, 18, 0x1B, 0xFF);
    wait_interrupt(1000 * MS);
    RESULTS(0x00, 0, 0, 0, 0, 7, 2);
    cr_assert_eq(ram[0], 0xE5);
}

Test(i82077, guest_errors)
{
    cr_assert_null(C->write_error(&s, I82077_OFF_FIFO, 1, 0x08));
    cr_assert_not_null(C->write_error(&s, I82077_OFF_FIFO, 1, 0x1F));
    COMMAND(0x10);
    cr_assert_not_null(C->write_error(&s, I82077_OFF_FIFO, 1, 0x08));
}
