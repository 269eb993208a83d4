/* i82077.c - see i82077.h.
 *
 * Model: the registers, the command set in three phases, and disks that turn. A track has its sectors side by
 * side from the index on, each as long as the others (gaps included), and its start passes the head whenever
 * virtual time is a multiple of one turn: 200 ms (300 rpm), of a 1.2 MB drive 1/6 s (360 rpm). A sector is
 * read when it has passed, written from its start on. Seeks take the step rate of SPECIFY for each cylinder.
 * These times are what the data sheets of drives say (TEAC FD-235HF, FD-55GFR); a guest that waits idles, and
 * idle time is skipped unless -icount sleep=on. All bytes of a sector move at one tick, through the 8237 or,
 * with ND of SPECIFY, through the FIFO, which is a sector deep; a sector that is not fetched or filled in
 * time is an overrun. Positions 2 and 3 have no drive. Sectors of 512 bytes in MFM, as the image's size says;
 * one that the image ends before reads as zeroes. A disk that does not turn (no medium, motor off) gives no
 * index pulse: commands wait for it until a reset, as the chip does.
 *
 * NOT MODELLED: deleted data marks, READ TRACK, VERIFY, SCAN, RELATIVE SEEK (invalid commands), FM, sector
 * lengths other than 512, head load time, spin-up, FIFO thresholds, power down, PS/2 modes (3F0h, 3F1h),
 * formats other than the image's. */
#include "hw/i82077.h"

#include "clockcore/ticks.h"
#include "hw/blocks.h"

#include <string.h>

#define RESET_NS   250000 /* 290166, polling: the first drive is polled after a reset */
#define NO_STEP_NS 24000  /* a seek to where the head is: as long as the direction is set before a step */
#define FIFO_BYTE_NS                                                                                         \
    2000                /* PIO: RQM is low as long between two bytes; less than a byte on the disk takes     \
                         */
#define CYLINDER_MAX 83 /* where drives stop the head */
#define RECAL_STEPS  79 /* 290166, RECALIBRATE: step pulses before it gives up */

enum { PHASE_COMMAND, PHASE_EXECUTION, PHASE_RESULT, PHASES };
enum {
    STEP_NONE,      /* waits for the CPU, or for ever */
    STEP_BEGIN,     /* the head is there: looks for the sector */
    STEP_FAIL,      /* two turns went by without what was looked for */
    STEP_ID,        /* an ID field has passed */
    STEP_READ,      /* the sector has passed */
    STEP_WRITE,     /* the sector begins */
    STEP_WRITE_END, /* the sector has passed */
    STEP_FORMAT,    /* the track has passed */
    STEPS
};

enum { /* main status register */
       MSR_BUSY = 0x10,
       MSR_NDMA = 0x20,
       MSR_DIO = 0x40,
       MSR_RQM = 0x80,
};

enum { /* status registers 0 to 3 */
       ST0_ABNORMAL = 0x40,
       ST0_INVALID = 0x80,
       ST0_POLLED = 0xC0,
       ST0_SEEK_END = 0x20,
       ST0_EQUIPMENT = 0x10,
       ST1_NO_MARK = 0x01,
       ST1_PROTECTED = 0x02,
       ST1_NO_DATA = 0x04,
       ST1_OVERRUN = 0x10,
       ST1_DATA_ERROR = 0x20,
       ST1_END = 0x80,
       ST2_DATA_ERROR = 0x20,
       ST2_WRONG_CYLINDER = 0x10,
       ST3_PROTECTED = 0x40,
       ST3_READY = 0x20,
       ST3_TRACK0 = 0x10,
       ST3_TWO_SIDES = 0x08,
};

enum { /* commands, bits 0 to 4 */
       CMD_SPECIFY = 0x03,
       CMD_SENSE_DRIVE = 0x04,
       CMD_WRITE = 0x05,
       CMD_READ = 0x06,
       CMD_RECALIBRATE = 0x07,
       CMD_SENSE_INTERRUPT = 0x08,
       CMD_READ_ID = 0x0A,
       CMD_FORMAT = 0x0D,
       CMD_DUMPREG = 0x0E,
       CMD_SEEK = 0x0F,
       CMD_VERSION = 0x10,
       CMD_PERPENDICULAR = 0x12,
       CMD_CONFIGURE = 0x13,
       CMD_LOCK = 0x14,
};
#define CMD_CODE 0x1F
#define CMD_MT   0x80
#define CMD_MFM  0x40

#define DOR_RUN        0x04 /* /RESET */
#define DOR_DMA_GATE   0x08 /* INT, DRQ and DACK are connected */
#define DSR_RESET      0x80
#define CONFIG_EIS     0x40
#define CONFIG_NO_POLL 0x10
#define CONFIG_LOCKED  0x2F /* EFIFO and FIFOTHR: LOCK keeps them */
#define CONFIG_RESET   0x20 /* EFIFO: the FIFO is off */
#define VERSION        0x90
#define IRQ_RESULT     1
#define IRQ_SEEK       2
#define SECTOR_N       2 /* 128 << 2 bytes */

/* --- media --- */

struct format {
    uint32_t sectors;
    uint8_t cylinders, heads, per_track, rate;
    bool rpm360;
    uint8_t drive_type;
};

enum { RATE_500, RATE_300, RATE_250, RATE_1000 };
static const unsigned rate_kbps[4] = {500, 300, 250, 1000};

static const struct format formats[] = {
    {320, 40, 1, 8, RATE_250, false, 1},   {360, 40, 1, 9, RATE_250, false, 1},
    {640, 40, 2, 8, RATE_250, false, 1},   {720, 40, 2, 9, RATE_250, false, 1},
    {1440, 80, 2, 9, RATE_250, false, 4},  {2400, 80, 2, 15, RATE_500, true, 2},
    {2880, 80, 2, 18, RATE_500, false, 4}, {3360, 80, 2, 21, RATE_500, false, 4},
    {3444, 82, 2, 21, RATE_500, false, 4}, {5760, 80, 2, 36, RATE_1000, false, 5},
};
#define FORMATS      (sizeof(formats) / sizeof(formats[0]))
#define FORMAT_1440K (&formats[6])
#define FORMAT_2880K (&formats[FORMATS - 1])

/* That of the image's size; an image of no format's size is part of a usual one. */
static const struct format *format_of(uint64_t bytes)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (bytes == (uint64_t)formats[i].sectors * DRIVE_SECTOR)
            return &formats[i];
    return bytes < (uint64_t)FORMAT_1440K->sectors * DRIVE_SECTOR ? FORMAT_1440K : FORMAT_2880K;
}

uint8_t i82077_drive_type(const struct drive_config *drive)
{
    if (!drive->present)
        return 0;
    return drive->medium ? format_of(drive->bytes)->drive_type : FORMAT_1440K->drive_type;
}

static unsigned position(const struct i82077 *s)
{
    return s->command[1] & 3;
}

/* The drive of a position; NULL: none. */
static struct i82077_drive *drive_at(struct i82077 *s, unsigned n)
{
    return n < I82077_DRIVES && s->drive[n].present ? &s->drive[n] : NULL;
}

/* The drive of the command if its disk turns, else NULL. */
static struct i82077_drive *turning(struct i82077 *s)
{
    struct i82077_drive *d = drive_at(s, position(s));

    return d && d->medium && (s->dor >> (4 + position(s)) & 1) ? d : NULL;
}

static const struct format *format_now(const struct i82077 *s)
{
    return format_of(s->drive[position(s) % I82077_DRIVES].bytes);
}

static uint64_t turn_ns(const struct format *f)
{
    return f->rpm360 ? 166666667 : 200000000;
}

/* When sector `index` of a track begins, counted from 0; per_track: the end of the last one. At `from_ns` or
 * later. */
static uint64_t sector_ns(const struct format *f, unsigned index, uint64_t from_ns)
{
    uint64_t turn = turn_ns(f), at = turn * index / f->per_track;

    return at >= from_ns ? at : at + (from_ns - at + turn - 1) / turn * turn;
}

static uint64_t sector_bytes_ns(const struct format *f, unsigned index)
{
    return turn_ns(f) * (index + 1) / f->per_track - turn_ns(f) * index / f->per_track;
}

/* The second index pulse from now on. */
static uint64_t two_turns_ns(const struct format *f, uint64_t now_ns)
{
    return sector_ns(f, 0, now_ns) + turn_ns(f);
}

/* --- phases --- */

static void wait_command(struct i82077 *s)
{
    s->phase = PHASE_COMMAND;
    s->step = STEP_NONE;
    s->master_ns = NS_NEVER;
    s->ncommand = s->nresult = s->result_at = 0;
    s->fifo_at = s->fifo_n = 0;
}

static void give_results(struct i82077 *s, const uint8_t *bytes, unsigned n)
{
    wait_command(s);
    memcpy(s->result, bytes, n);
    s->nresult = (uint8_t)n;
    s->phase = PHASE_RESULT;
}

static void give_result(struct i82077 *s, uint8_t v)
{
    give_results(s, &v, 1);
}

/* The result phase of commands that move data. */
static void end_data(struct i82077 *s, uint8_t st0, uint8_t st1, uint8_t st2)
{
    uint8_t head = (uint8_t)(s->h << 2 & 4);
    const uint8_t result[7] = {(uint8_t)(st0 | head | position(s)), st1, st2, s->c, s->h, s->r, SECTOR_N};

    give_results(s, result, sizeof(result));
    s->irq |= IRQ_RESULT;
}

static void fail(struct i82077 *s, uint8_t st1, uint8_t st2)
{
    end_data(s, ST0_ABNORMAL, st1, st2);
}

/* It turns out after two turns of the disk. */
static void fail_later(struct i82077 *s, uint8_t st1, uint8_t st2, uint64_t now_ns)
{
    s->fail_st1 = st1;
    s->fail_st2 = st2;
    s->step = STEP_FAIL;
    s->master_ns = two_turns_ns(format_now(s), now_ns);
}

static bool is_pio(const struct i82077 *s)
{
    return s->specify[1] & 1;
}

static bool fifo_waits(const struct i82077 *s)
{
    return s->phase == PHASE_EXECUTION && s->fifo_at < s->fifo_n;
}

static void fifo_request(struct i82077 *s, bool to_cpu, unsigned bytes, uint64_t now_ns)
{
    s->fifo_to_cpu = to_cpu;
    s->fifo_at = 0;
    s->fifo_n = (uint16_t)bytes;
    s->ready_ns = now_ns + FIFO_BYTE_NS;
}

/* --- seeks --- */

static uint64_t step_ns(const struct i82077 *s)
{
    return (16 - (s->specify[0] >> 4)) * UINT64_C(500000000) / rate_kbps[s->rate & 3];
}

static unsigned distance(unsigned a, unsigned b)
{
    return a > b ? a - b : b - a;
}

static uint64_t seek_time_ns(const struct i82077 *s, unsigned steps)
{
    return steps ? steps * step_ns(s) : NO_STEP_NS;
}

/* Moves the head of a drive by so many cylinders, as far as it goes. */
static void move_head(struct i82077_drive *d, int steps)
{
    int to = d->cylinder + steps;

    d->cylinder = (uint8_t)(to < 0 ? 0 : to > CYLINDER_MAX ? CYLINDER_MAX : to);
    if (steps != 0 && d->medium)
        d->changed = 0;
}

static void start_seek(struct i82077 *s, bool recalibrate, uint8_t to, uint64_t now_ns)
{
    unsigned n = position(s);
    const struct i82077_drive *d = drive_at(s, n);
    unsigned steps = !recalibrate ? distance(s->pcn[n], to) : d ? d->cylinder : RECAL_STEPS;
    uint8_t bit = (uint8_t)(1u << n);

    s->seek_to[n] = to;
    s->recalibrate = (uint8_t)(recalibrate ? s->recalibrate | bit : s->recalibrate & ~bit);
    s->seek_ns[n] = now_ns + seek_time_ns(s, steps < RECAL_STEPS || !recalibrate ? steps : RECAL_STEPS);
    s->busy |= bit;
    s->seek_done &= (uint8_t)~bit;
    wait_command(s);
}

static void end_seek(struct i82077 *s, unsigned n)
{
    struct i82077_drive *d = drive_at(s, n);
    uint8_t bit = (uint8_t)(1u << n);
    bool recalibrate = s->recalibrate & bit;

    s->seek_failed &= (uint8_t)~bit;
    if (d)
        move_head(d, !recalibrate                 ? s->seek_to[n] - s->pcn[n]
                     : d->cylinder <= RECAL_STEPS ? -d->cylinder
                                                  : -RECAL_STEPS);
    if (recalibrate && (!d || d->cylinder))
        s->seek_failed |= bit;
    s->pcn[n] = s->seek_to[n];
    s->seek_ns[n] = NS_NEVER;
    s->seek_done |= bit;
    s->irq |= IRQ_SEEK;
}

/* 290166, SENSE INTERRUPT STATUS: ends of seeks, and the four positions polled after a reset. */
static void sense_interrupt(struct i82077 *s)
{
    uint8_t waiting = s->polled | s->seek_done;
    unsigned n = waiting ? (unsigned)__builtin_ctz(s->polled ? s->polled : s->seek_done) : 0;
    uint8_t bit = (uint8_t)(1u << n);
    uint8_t st0 = ST0_POLLED;

    if (!waiting) {
        give_result(s, ST0_INVALID);
        return;
    }
    if (s->polled) {
        s->polled &= (uint8_t)~bit;
    } else {
        st0 = ST0_SEEK_END | (s->seek_failed & bit ? ST0_ABNORMAL | ST0_EQUIPMENT : 0);
        s->seek_done &= (uint8_t)~bit;
        s->busy &= (uint8_t)~bit;
    }
    if (!s->seek_done)
        s->irq &= (uint8_t)~IRQ_SEEK;
    const uint8_t result[2] = {(uint8_t)(st0 | n), s->pcn[n]};
    give_results(s, result, sizeof(result));
}

/* --- commands --- */

struct command {
    uint8_t code, bytes, mask; /* mask: bits of the first byte that are fixed */
};

static const struct command commands[] = {
    {CMD_SPECIFY, 3, 0xFF},   {CMD_SENSE_DRIVE, 2, 0xFF}, {CMD_WRITE, 9, 0x3F},
    {CMD_READ, 9, 0x1F},      {CMD_RECALIBRATE, 2, 0xFF}, {CMD_SENSE_INTERRUPT, 1, 0xFF},
    {CMD_READ_ID, 2, 0xBF},   {CMD_FORMAT, 6, 0xBF},      {CMD_DUMPREG, 1, 0xFF},
    {CMD_SEEK, 3, 0xFF},      {CMD_VERSION, 1, 0xFF},     {CMD_PERPENDICULAR, 2, 0xFF},
    {CMD_CONFIGURE, 4, 0xFF}, {CMD_LOCK, 1, 0x7F},
};

static const struct command *command_of(uint8_t first)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if ((first & commands[i].mask) == commands[i].code)
            return &commands[i];
    return NULL;
}

static void sense_drive(struct i82077 *s)
{
    const struct i82077_drive *d = drive_at(s, position(s));
    uint8_t st3 = ST3_READY | ST3_TWO_SIDES | (s->command[1] & 7);

    if (d && d->cylinder == 0)
        st3 |= ST3_TRACK0;
    if (d && d->medium && d->read_only)
        st3 |= ST3_PROTECTED;
    give_result(s, st3);
}

static void dump_registers(struct i82077 *s)
{
    const uint8_t result[10] = {
        s->pcn[0],     s->pcn[1],     s->pcn[2], s->pcn[3],
        s->specify[0], s->specify[1], s->eot,    (uint8_t)(s->lock << 7 | (s->perpendicular & 0x3F)),
        s->configure,  s->pretrk};

    give_results(s, result, sizeof(result));
}

/* READ DATA, WRITE DATA, READ ID, FORMAT TRACK: what follows happens when the head is there. */
static void start_data(struct i82077 *s, uint64_t now_ns)
{
    unsigned n = position(s);
    uint8_t code = s->command[0] & CMD_CODE;
    bool id_given = code == CMD_READ || code == CMD_WRITE;

    s->phase = PHASE_EXECUTION;
    s->step = STEP_BEGIN;
    s->master_ns = now_ns;
    s->tc = s->last = 0;
    s->c = s->pcn[n];
    s->h = s->command[1] >> 2 & 1;
    s->r = 1;
    if (id_given) {
        s->c = s->command[2];
        s->h = s->command[3];
        s->r = s->command[4];
        s->eot = s->command[6];
    }
    if (id_given && s->configure & CONFIG_EIS && s->c != s->pcn[n]) {
        s->master_ns += seek_time_ns(s, distance(s->pcn[n], s->c));
        s->busy |= (uint8_t)(1u << n);
    }
}

static void execute(struct i82077 *s, uint64_t now_ns)
{
    const uint8_t *c = s->command;

    switch (c[0] & CMD_CODE) {
    case CMD_SPECIFY:
        memcpy(s->specify, c + 1, 2);
        wait_command(s);
        break;
    case CMD_SENSE_DRIVE:
        sense_drive(s);
        break;
    case CMD_RECALIBRATE:
        start_seek(s, true, 0, now_ns);
        break;
    case CMD_SENSE_INTERRUPT:
        sense_interrupt(s);
        break;
    case CMD_DUMPREG:
        dump_registers(s);
        break;
    case CMD_SEEK:
        start_seek(s, false, c[2], now_ns);
        break;
    case CMD_VERSION:
        give_result(s, VERSION);
        break;
    case CMD_PERPENDICULAR:
        s->perpendicular = c[1];
        wait_command(s);
        break;
    case CMD_CONFIGURE:
        s->configure = c[2] & 0x7F;
        s->pretrk = c[3];
        wait_command(s);
        break;
    case CMD_LOCK:
        s->lock = c[0] >> 7;
        give_result(s, (uint8_t)(s->lock << 4));
        break;
    default:
        start_data(s, now_ns);
        break;
    }
}

static void command_byte(struct i82077 *s, uint8_t v, uint64_t now_ns)
{
    s->command[s->ncommand++ % sizeof(s->command)] = v;
    const struct command *c = command_of(s->command[0]);
    if (!c)
        give_result(s, ST0_INVALID);
    else if (s->ncommand >= c->bytes)
        execute(s, now_ns);
}

/* --- data, in `master` --- */

/* What keeps the command from its track: true, and it is going to fail. */
static bool unreadable(struct i82077 *s, const struct i82077_drive *d, uint64_t now_ns)
{
    const struct format *f = format_now(s);
    bool head = s->command[1] >> 2 & 1;

    if (s->rate != f->rate || !(s->command[0] & CMD_MFM) || d->cylinder >= f->cylinders || head >= f->heads) {
        fail_later(s, ST1_NO_MARK, 0, now_ns);
        return true;
    }
    return false;
}

/* Is the sector that the command names on this track? If not it is going to fail. */
static bool sector_found(struct i82077 *s, const struct i82077_drive *d, uint64_t now_ns)
{
    const struct format *f = format_now(s);
    bool side = s->h == (s->command[1] >> 2 & 1) || s->command[0] & CMD_MT;
    bool named = side && s->c == d->cylinder && s->command[5] == SECTOR_N && s->r >= 1 &&
                 s->r <= f->per_track && s->h < f->heads;

    if (!named)
        fail_later(s, ST1_NO_DATA, s->c != d->cylinder ? ST2_WRONG_CYLINDER : 0, now_ns);
    return named;
}

static struct blocks_request request_of(const struct i82077 *s, uint8_t op, unsigned r)
{
    const struct format *f = format_now(s);
    unsigned cylinder = s->drive[position(s) % I82077_DRIVES].cylinder;
    uint64_t sector = ((uint64_t)cylinder * f->heads + s->h) * f->per_track + r - 1;

    return (struct blocks_request){.offset = sector * DRIVE_SECTOR, .bytes = DRIVE_SECTOR, .op = op};
}

/* The image has it: a short one ends before. */
static bool in_image(const struct i82077 *s, const struct blocks_request *r)
{
    uint64_t bytes = s->drive[position(s) % I82077_DRIVES].bytes;

    return r->bytes <= bytes && r->offset <= bytes - r->bytes;
}

/* Moves bytes by DMA; how many, and s->tc. */
static uint32_t dma(struct i82077 *s, const struct chip_master *m, bool to_memory, uint8_t *data,
                    uint32_t bytes)
{
    bool tc = false;
    uint32_t moved =
        m->dma && s->dor & DOR_DMA_GATE ? m->dma->transfer(m->dma->ctx, to_memory, data, bytes, &tc) : 0;

    s->tc = tc;
    return moved;
}

/* Does the cylinder, or the side, end with the sector under way? */
static bool is_last(const struct i82077 *s)
{
    bool other_side_follows = s->command[0] & CMD_MT && !(s->h & 1);

    return s->r == s->eot && !other_side_follows;
}

/* The ID that follows: that of the next sector, and what the data sheet has in the result of a command that
 * ended well. */
static void next_id(struct i82077 *s)
{
    bool last = is_last(s);

    if (s->r != s->eot) {
        s->r++;
        return;
    }
    s->r = 1;
    if (s->command[0] & CMD_MT)
        s->h ^= 1;
    if (last)
        s->c++;
}

/* ST0 has the head that was used, the result's ID the one that follows. */
static void end_well(struct i82077 *s)
{
    uint8_t h = s->h;

    next_id(s);
    end_data(s, 0, 0, 0);
    s->result[0] = (uint8_t)((s->result[0] & ~4) | (h & 1) << 2);
}

static void end_of_cylinder(struct i82077 *s)
{
    end_well(s);
    s->result[0] |= ST0_ABNORMAL;
    s->result[1] |= ST1_END;
}

/* The head waits for sector r: tells the host, and when it has passed. */
static void plan_read(struct i82077 *s, const struct chip_master *m, uint64_t now_ns)
{
    const struct format *f = format_now(s);
    struct blocks_request r = request_of(s, BLOCKS_READ, s->r);

    if (m->blocks && in_image(s, &r))
        m->blocks->start(m->blocks->ctx, position(s), &r);
    s->step = STEP_READ;
    s->end_ns = sector_ns(f, s->r - 1u, now_ns) + sector_bytes_ns(f, s->r - 1u);
    s->master_ns = s->end_ns;
}

static void plan_write(struct i82077 *s, uint64_t now_ns)
{
    const struct format *f = format_now(s);

    s->step = STEP_WRITE;
    s->master_ns = sector_ns(f, s->r - 1u, now_ns);
    s->end_ns = s->master_ns + sector_bytes_ns(f, s->r - 1u);
}

/* The track from its index on; sectors that it gets come first. */
static void plan_format(struct i82077 *s, uint64_t now_ns)
{
    const struct format *f = format_now(s);

    s->step = STEP_FORMAT;
    s->master_ns = sector_ns(f, 0, now_ns) + turn_ns(f);
}

static void plan_id(struct i82077 *s, uint64_t now_ns)
{
    const struct format *f = format_now(s);
    unsigned index = (unsigned)(now_ns % turn_ns(f) * f->per_track / turn_ns(f)) + 1;

    s->step = STEP_ID;
    s->c = s->drive[position(s) % I82077_DRIVES].cylinder;
    s->r = (uint8_t)(index % f->per_track + 1);
    s->master_ns = sector_ns(f, index % f->per_track, now_ns + 1);
}

/* PIO: the CPU gives so many bytes before the disk is waited for. */
static void want_bytes(struct i82077 *s, unsigned bytes, uint64_t now_ns)
{
    s->step = STEP_NONE;
    s->master_ns = NS_NEVER;
    fifo_request(s, false, bytes, now_ns);
}

static void begin_format(struct i82077 *s, uint64_t now_ns)
{
    unsigned bytes = s->command[3] * 4u;

    if (s->command[2] != SECTOR_N || bytes == 0 || bytes > I82077_SECTOR)
        fail_later(s, ST1_NO_DATA, 0, now_ns);
    else if (is_pio(s))
        want_bytes(s, bytes, now_ns);
    else
        plan_format(s, now_ns);
}

static void begin_sectors(struct i82077 *s, const struct chip_master *m, uint64_t now_ns)
{
    if ((s->command[0] & CMD_CODE) == CMD_READ)
        plan_read(s, m, now_ns);
    else if (is_pio(s))
        want_bytes(s, I82077_SECTOR, now_ns);
    else
        plan_write(s, now_ns);
}

static void implied_seek(struct i82077 *s)
{
    unsigned n = position(s);
    struct i82077_drive *d = drive_at(s, n);

    if (d)
        move_head(d, s->c - s->pcn[n]);
    s->pcn[n] = s->c;
    s->busy &= (uint8_t) ~(1u << n);
}

static void begin(struct i82077 *s, const struct chip_master *m, uint64_t now_ns)
{
    uint8_t code = s->command[0] & CMD_CODE;
    bool writes = code == CMD_WRITE || code == CMD_FORMAT;

    if ((code == CMD_READ || code == CMD_WRITE) && s->configure & CONFIG_EIS && s->c != s->pcn[position(s)])
        implied_seek(s);
    const struct i82077_drive *d = turning(s);
    s->step = STEP_NONE;
    s->master_ns = NS_NEVER;
    if (!d) /* no index pulse ever comes */
        return;
    if (writes && d->read_only)
        fail(s, ST1_PROTECTED, 0);
    else if (unreadable(s, d, now_ns))
        return;
    else if (code == CMD_READ_ID)
        plan_id(s, now_ns);
    else if (code == CMD_FORMAT)
        begin_format(s, now_ns);
    else if (sector_found(s, d, now_ns))
        begin_sectors(s, m, now_ns);
}

/* On to the next sector, if it is there; reads and writes alike. */
static bool go_on(struct i82077 *s, uint64_t now_ns)
{
    const struct i82077_drive *d = turning(s);

    next_id(s);
    if (!d) { /* it stands: for ever */
        s->step = STEP_NONE;
        s->master_ns = NS_NEVER;
        s->fifo_at = s->fifo_n = 0;
        return false;
    }
    return sector_found(s, d, now_ns);
}

/* A sector has reached the CPU's side. */
static void sector_read(struct i82077 *s, const struct chip_master *m)
{
    s->last = is_last(s);
    if (s->tc) {
        end_well(s);
    } else if (s->last && is_pio(s)) { /* ends when it has been fetched */
        s->step = STEP_NONE;
        s->master_ns = NS_NEVER;
    } else if (s->last) {
        end_of_cylinder(s);
    } else if (go_on(s, s->end_ns)) {
        plan_read(s, m, s->end_ns);
    }
}

static enum blocks_status fetch(const struct i82077 *s, const struct chip_master *m, uint8_t *sector)
{
    struct blocks_request r = request_of(s, BLOCKS_READ, s->r);
    const uint8_t *data;

    memset(sector, 0, I82077_SECTOR);
    if (!m->blocks || !in_image(s, &r))
        return BLOCKS_OK;
    enum blocks_status status = m->blocks->finish(m->blocks->ctx, position(s), &r, &data);
    memcpy(sector, data, I82077_SECTOR);
    return status;
}

static void read_sector(struct i82077 *s, const struct chip_master *m, uint64_t now_ns)
{
    uint8_t sector[I82077_SECTOR];

    if (fetch(s, m, sector) != BLOCKS_OK) {
        fail(s, ST1_DATA_ERROR, ST2_DATA_ERROR);
        return;
    }
    bool taken =
        is_pio(s) ? !fifo_waits(s) : dma(s, m, true, sector, I82077_SECTOR) == I82077_SECTOR || s->tc;
    if (!taken) {
        fail(s, ST1_OVERRUN, 0);
        return;
    }
    if (is_pio(s)) {
        memcpy(s->fifo, sector, I82077_SECTOR);
        fifo_request(s, true, I82077_SECTOR, now_ns);
    }
    sector_read(s, m);
}

/* The rest of a sector is zeroes if the count ends within it (290166, WRITE DATA). False: it came late. */
static bool take_bytes(struct i82077 *s, const struct chip_master *m, uint8_t *sector)
{
    memset(sector, 0, I82077_SECTOR);
    if (!is_pio(s))
        return dma(s, m, false, sector, I82077_SECTOR) == I82077_SECTOR || s->tc;
    memcpy(sector, s->fifo, I82077_SECTOR);
    return !fifo_waits(s);
}

static void write_sector(struct i82077 *s, const struct chip_master *m, uint64_t now_ns)
{
    struct blocks_request r = request_of(s, BLOCKS_WRITE, s->r);
    uint8_t sector[I82077_SECTOR];

    if (!take_bytes(s, m, sector)) {
        fail(s, ST1_OVERRUN, 0);
        return;
    }
    if (m->blocks && in_image(s, &r)) {
        memcpy(m->blocks->buffer(m->blocks->ctx, position(s)), sector, I82077_SECTOR);
        m->blocks->start(m->blocks->ctx, position(s), &r);
    }
    s->last = is_last(s);
    if (is_pio(s) && !s->last)
        fifo_request(s, false, I82077_SECTOR, now_ns);
    s->step = STEP_WRITE_END;
    s->master_ns = s->end_ns;
}

static bool written(const struct i82077 *s, const struct chip_master *m)
{
    struct blocks_request r = request_of(s, BLOCKS_WRITE, s->r);

    return !m->blocks ||
           (in_image(s, &r) && m->blocks->finish(m->blocks->ctx, position(s), &r, NULL) == BLOCKS_OK);
}

static void end_write(struct i82077 *s, const struct chip_master *m)
{
    if (!written(s, m))
        end_data(s, ST0_ABNORMAL | ST0_EQUIPMENT, 0, 0);
    else if (s->tc)
        end_well(s);
    else if (s->last)
        end_of_cylinder(s);
    else if (go_on(s, s->end_ns))
        plan_write(s, s->end_ns);
}

/* One sector of a track that is formatted: C, H, R, N and the filler byte. */
static bool format_sector(const struct i82077 *s, const struct chip_master *m, const uint8_t *id)
{
    const struct format *f = format_now(s);
    struct blocks_request r = request_of(s, BLOCKS_WRITE, id[2]);

    if (id[2] < 1 || id[2] > f->per_track || id[3] != SECTOR_N || !m->blocks || !in_image(s, &r))
        return true; /* an ID that no image of this format has room for */
    memset(m->blocks->buffer(m->blocks->ctx, position(s)), s->command[5], I82077_SECTOR);
    m->blocks->start(m->blocks->ctx, position(s), &r);
    return m->blocks->finish(m->blocks->ctx, position(s), &r, NULL) == BLOCKS_OK;
}

static void format_track(struct i82077 *s, const struct chip_master *m)
{
    uint8_t ids[I82077_SECTOR] = {0};
    unsigned bytes = s->command[3] * 4u;
    bool taken = is_pio(s) || dma(s, m, false, ids, bytes) == bytes || s->tc;
    bool ok = true;

    if (is_pio(s))
        memcpy(ids, s->fifo, I82077_SECTOR);
    for (unsigned i = 0; taken && i < bytes; i += 4)
        ok &= format_sector(s, m, ids + i);
    if (!taken)
        fail(s, ST1_OVERRUN, 0);
    else
        end_data(s, ok ? 0 : ST0_ABNORMAL | ST0_EQUIPMENT, 0, 0);
}

static void master(void *state, const struct chip_master *m, uint64_t now_ns)
{
    struct i82077 *s = state;

    switch (s->step) {
    case STEP_BEGIN:
        begin(s, m, now_ns);
        break;
    case STEP_FAIL:
        fail(s, s->fail_st1, s->fail_st2);
        break;
    case STEP_ID:
        end_data(s, 0, 0, 0);
        break;
    case STEP_READ:
        read_sector(s, m, now_ns);
        break;
    case STEP_WRITE:
        write_sector(s, m, now_ns);
        break;
    case STEP_WRITE_END:
        end_write(s, m);
        break;
    case STEP_FORMAT:
        format_track(s, m);
        break;
    default:
        s->master_ns = NS_NEVER;
        break;
    }
}

static uint64_t next_master(const void *state)
{
    return ((const struct i82077 *)state)->master_ns;
}

/* --- the FIFO --- */

/* PIO: all bytes of the FIFO have been moved. */
static void fifo_done(struct i82077 *s, uint64_t now_ns)
{
    if (s->step != STEP_NONE)
        return;
    if (s->fifo_to_cpu)
        end_of_cylinder(s);
    else if ((s->command[0] & CMD_CODE) == CMD_FORMAT)
        plan_format(s, now_ns);
    else
        plan_write(s, now_ns);
}

static void fifo_moved(struct i82077 *s, uint64_t now_ns)
{
    s->ready_ns = now_ns + FIFO_BYTE_NS;
    s->irq &= (uint8_t)~IRQ_RESULT;
    if (++s->fifo_at == s->fifo_n)
        fifo_done(s, now_ns);
}

static bool fifo_ready(const struct i82077 *s, bool to_cpu, uint64_t now_ns)
{
    return fifo_waits(s) && now_ns >= s->ready_ns && s->fifo_to_cpu == to_cpu;
}

static uint8_t read_fifo(struct i82077 *s, uint64_t now_ns)
{
    uint8_t v = 0;

    if (s->phase == PHASE_RESULT) {
        s->irq &= (uint8_t)~IRQ_RESULT;
        v = s->result[s->result_at++];
        if (s->result_at >= s->nresult)
            wait_command(s);
    } else if (fifo_ready(s, true, now_ns)) {
        v = s->fifo[s->fifo_at];
        fifo_moved(s, now_ns);
    }
    return v;
}

static void write_fifo(struct i82077 *s, uint8_t v, uint64_t now_ns)
{
    if (!(s->dor & DOR_RUN))
        return;
    if (s->phase == PHASE_COMMAND) {
        command_byte(s, v, now_ns);
    } else if (fifo_ready(s, false, now_ns)) {
        s->fifo[s->fifo_at] = v;
        fifo_moved(s, now_ns);
    }
}

/* --- registers --- */

/* Both kinds of reset (290166, "Reset"): LOCK keeps the FIFO parameters. */
static void stop(struct i82077 *s)
{
    wait_command(s);
    s->reset_ns = NS_NEVER;
    for (unsigned n = 0; n < 4; n++)
        s->seek_ns[n] = NS_NEVER;
    s->busy = s->seek_done = s->polled = s->irq = 0;
    s->configure = s->lock ? s->configure & CONFIG_LOCKED : CONFIG_RESET;
    s->pretrk = s->lock ? s->pretrk : 0;
    s->perpendicular &= 0x3C; /* the drives' bits stay, GAP and WGATE do not */
    memset(s->pcn, 0, sizeof(s->pcn));
}

static void software_reset(struct i82077 *s, uint64_t now_ns)
{
    stop(s);
    s->reset_ns = now_ns + RESET_NS;
}

static void write_dor(struct i82077 *s, uint8_t v, uint64_t now_ns)
{
    uint8_t old = s->dor;

    s->dor = v;
    if (!(v & DOR_RUN))
        stop(s);
    else if (!(old & DOR_RUN))
        software_reset(s, now_ns);
}

static void write_dsr(struct i82077 *s, uint8_t v, uint64_t now_ns)
{
    s->rate = v & 3;
    if (v & DSR_RESET && s->dor & DOR_RUN)
        software_reset(s, now_ns);
}

static uint8_t main_status(const struct i82077 *s, uint64_t now_ns)
{
    uint8_t v = s->busy & 0xF;

    if (!(s->dor & DOR_RUN))
        return 0;
    if (s->phase == PHASE_RESULT)
        return v | MSR_RQM | MSR_DIO | MSR_BUSY;
    if (s->phase == PHASE_COMMAND)
        return v | MSR_RQM | (s->ncommand ? MSR_BUSY : 0);
    v |= MSR_BUSY | (is_pio(s) ? MSR_NDMA : 0);
    if (fifo_waits(s) && now_ns >= s->ready_ns)
        v |= MSR_RQM | (s->fifo_to_cpu ? MSR_DIO : 0);
    return v;
}

/* DSKCHG of the drive that is selected and turns its motor; the other bits are not driven. */
static uint8_t digital_input(const struct i82077 *s)
{
    unsigned n = s->dor & 3;
    bool selected = n < I82077_DRIVES && s->drive[n].present && (s->dor >> (4 + n) & 1);

    return selected && s->drive[n].changed ? 0xFF : 0x7F;
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct i82077 *s = state;

    (void)size;
    switch (offset) {
    case I82077_OFF_DOR:
        return s->dor;
    case I82077_OFF_TDR:
        return s->tdr;
    case I82077_OFF_STATUS:
        return main_status(s, now_ns);
    case I82077_OFF_DIR:
        return digital_input(s);
    default:
        return UINT32_MAX;
    }
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    return offset == I82077_OFF_FIFO ? read_fifo(state, now_ns) : pure_read(state, offset, size, now_ns);
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct i82077 *s = state;
    uint8_t v = (uint8_t)value;

    (void)size;
    switch (offset) {
    case I82077_OFF_DOR:
        write_dor(s, v, now_ns);
        break;
    case I82077_OFF_TDR:
        s->tdr = v & 3;
        break;
    case I82077_OFF_STATUS:
        write_dsr(s, v, now_ns);
        break;
    case I82077_OFF_FIFO:
        write_fifo(s, v, now_ns);
        break;
    case I82077_OFF_DIR:
        s->rate = v & 3;
        break;
    default:
        break;
    }
}

/* RQM in PIO is left out: it depends on the time, which is not asked for here. */
static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct i82077 *s = state;

    (void)size;
    if (offset != I82077_OFF_FIFO)
        return NULL;
    if (!(s->dor & DOR_RUN))
        return "FIFO write while the controller is held in reset";
    if (s->phase == PHASE_RESULT)
        return "FIFO write in the result phase";
    if (s->phase == PHASE_EXECUTION && (!fifo_waits(s) || s->fifo_to_cpu))
        return "FIFO write in the execution phase, where no byte is asked for";
    return s->phase == PHASE_COMMAND && s->ncommand == 0 && !command_of((uint8_t)value) ? "invalid command"
                                                                                        : NULL;
}

/* --- time --- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* In PIO the pin rises when a byte can be moved. */
static bool fifo_rise_is_due(const struct i82077 *s)
{
    return fifo_waits(s) && !(s->irq & IRQ_RESULT);
}

static uint64_t next_event(const void *state)
{
    const struct i82077 *s = state;
    uint64_t next = s->reset_ns;

    for (unsigned n = 0; n < 4; n++)
        next = min_u64(next, s->seek_ns[n]);
    return fifo_rise_is_due(s) ? min_u64(next, s->ready_ns) : next;
}

static void advance(void *state, uint64_t now_ns)
{
    struct i82077 *s = state;

    if (s->reset_ns <= now_ns) {
        s->reset_ns = NS_NEVER;
        if (!(s->configure & CONFIG_NO_POLL)) {
            s->polled = 0xF;
            s->irq |= IRQ_SEEK;
        }
    }
    for (unsigned n = 0; n < 4; n++)
        if (s->seek_ns[n] <= now_ns)
            end_seek(s, n);
    if (fifo_rise_is_due(s) && s->ready_ns <= now_ns)
        s->irq |= IRQ_RESULT;
}

static uint32_t outputs(const void *state)
{
    const struct i82077 *s = state;

    return s->dor & DOR_DMA_GATE && s->irq ? 1 : 0;
}

void i82077_reset_pin(struct i82077 *s, uint64_t now_ns)
{
    struct i82077_drive drive[I82077_DRIVES];

    memcpy(drive, s->drive, sizeof(drive));
    i82077_class.reset(s, now_ns);
    memcpy(s->drive, drive, sizeof(drive));
}

static void reset(void *state, uint64_t now_ns)
{
    struct i82077 *s = state;

    (void)now_ns;
    memset(s, 0, sizeof(*s));
    s->rate = RATE_250;
    stop(s);
}

void i82077_fit(struct i82077 *s, unsigned n, const struct drive_config *drive)
{
    s->drive[n % I82077_DRIVES] = (struct i82077_drive){.bytes = drive->medium ? drive->bytes : 0,
                                                        .present = drive->present,
                                                        .medium = drive->medium,
                                                        .read_only = drive->read_only,
                                                        .changed = 1};
}

/* --- media come and go (port.h) --- */

static uint64_t tray_ready_ns(const void *state)
{
    const struct i82077 *s = state;

    return s->step == STEP_READ || s->step == STEP_WRITE || s->step == STEP_WRITE_END ? NS_NEVER : 0;
}

static bool tray_takes(const void *state, const struct port_tray *t)
{
    const struct i82077_drive *d = &((const struct i82077 *)state)->drive[t->drive % I82077_DRIVES];

    if (t->drive >= I82077_DRIVES || !d->present)
        return false;
    return t->op == PORT_TRAY_REMOVE ? d->medium : t->op == PORT_TRAY_INSERT && !d->medium;
}

static void tray_put(void *state, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    const struct port_tray t = port_tray_unpack(entry, bytes);

    (void)now_ns;
    if (!tray_takes(state, &t))
        return;
    struct i82077_drive *d = &((struct i82077 *)state)->drive[t.drive];
    d->medium = t.op == PORT_TRAY_INSERT;
    d->bytes = d->medium ? t.bytes : 0;
    d->read_only = d->medium && t.read_only;
    d->changed = 1;
}

static void tray_look(const void *state, unsigned drive, struct port_tray_view *v)
{
    const struct i82077_drive *d = &((const struct i82077 *)state)->drive[drive % I82077_DRIVES];

    *v = (struct port_tray_view){.removable = d->present, .medium = d->medium};
}

static const struct port_trays trays = {.takes = tray_takes, .look = tray_look};
const struct port_input i82077_tray_in = {.ready_ns = tray_ready_ns, .put = tray_put, .trays = &trays};

static const struct field fields[] = {
    FIELD_COLUMN(struct i82077, drive, bytes),
    FIELD_COLUMN(struct i82077, drive, present),
    FIELD_COLUMN(struct i82077, drive, medium),
    FIELD_COLUMN(struct i82077, drive, read_only),
    FIELD_COLUMN(struct i82077, drive, changed),
    FIELD_COLUMN(struct i82077, drive, cylinder),
    FIELD_COLUMN(struct i82077, drive, reserved[0]),
    FIELD_COLUMN(struct i82077, drive, reserved[1]),
    FIELD_COLUMN(struct i82077, drive, reserved[2]),
    FIELD(struct i82077, reset_ns),
    FIELD_ARRAY(struct i82077, seek_ns),
    FIELD(struct i82077, master_ns),
    FIELD(struct i82077, ready_ns),
    FIELD(struct i82077, end_ns),
    FIELD_ARRAY(struct i82077, pcn),
    FIELD_ARRAY(struct i82077, seek_to),
    FIELD(struct i82077, recalibrate),
    FIELD(struct i82077, seek_failed),
    FIELD(struct i82077, busy),
    FIELD_MAX(struct i82077, seek_done, 0xF),
    FIELD_MAX(struct i82077, polled, 0xF),
    FIELD_MAX(struct i82077, phase, PHASES - 1),
    FIELD_MAX(struct i82077, step, STEPS - 1),
    FIELD_MAX(struct i82077, ncommand, 9),
    FIELD_MAX(struct i82077, nresult, I82077_RESULTS),
    FIELD_MAX(struct i82077, result_at, I82077_RESULTS - 1),
    FIELD_ARRAY(struct i82077, command),
    FIELD_ARRAY(struct i82077, result),
    FIELD(struct i82077, fail_st1),
    FIELD(struct i82077, fail_st2),
    FIELD(struct i82077, c),
    FIELD(struct i82077, h),
    FIELD(struct i82077, r),
    FIELD_MAX(struct i82077, last, 1),
    FIELD_MAX(struct i82077, tc, 1),
    FIELD_MAX(struct i82077, irq, 3),
    FIELD(struct i82077, dor),
    FIELD(struct i82077, tdr),
    FIELD_MAX(struct i82077, rate, 3),
    FIELD_ARRAY(struct i82077, specify),
    FIELD(struct i82077, configure),
    FIELD(struct i82077, pretrk),
    FIELD_MAX(struct i82077, lock, 1),
    FIELD(struct i82077, perpendicular),
    FIELD(struct i82077, eot),
    FIELD_MAX(struct i82077, fifo_to_cpu, 1),
    FIELD_MAX(struct i82077, fifo_at, I82077_SECTOR),
    FIELD_MAX(struct i82077, fifo_n, I82077_SECTOR),
    FIELD_ARRAY(struct i82077, fifo),
    FIELD_ARRAY(struct i82077, reserved),
};

const struct chip_class i82077_class = {
    .name = "i82077",
    .state_bytes = sizeof(struct i82077),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .write_error = write_error,
    .pure_read = pure_read,
    .advance = advance,
    .next_event = next_event,
    .outputs = outputs,
    .next_master = next_master,
    .master = master,
};
