/* atapi.c - packet commands of a CD-ROM drive (MMC-3, T10/1363D; SPC-2 for what all devices have;
 * ATA/ATAPI-6, 9.11: how packets travel), for ata.h.
 *
 * Model: a data disc of one track in one session, 2048 bytes a sector. A command that is refused leaves sense
 * data: key in the upper half of Error, the rest for REQUEST SENSE. A reset or another medium is told once,
 * by a unit attention. START STOP UNIT moves the tray, as long as the host has not locked it; the medium
 * stays in it. Outside somebody opens and closes it, too, and changes the medium while it is open (port.h);
 * of a tray that is locked the host learns that its button was pressed (GET EVENT STATUS NOTIFICATION). The
 * status of a packet command has no SERV (bit 4), and each end of one says in the interrupt reason that it is
 * an end.
 *
 * NOT MODELLED: audio, raw sectors (READ CD gives user data only), several sessions, DVD structures,
 * MODE SELECT, changers. */
#include "hw/ata_internal.h"

#include <string.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

enum { KEY_NOT_READY = 2, KEY_MEDIUM = 3, KEY_ILLEGAL = 5, KEY_ATTENTION = 6 };
enum {
    ASC_OPCODE = 0x20,
    ASC_ADDRESS = 0x21,
    ASC_FIELD = 0x24,
    ASC_MEDIUM_CHANGED = 0x28,
    ASC_NOT_PRESENT = 0x3A,
    ASC_NOT_SAVED = 0x39,
    ASC_REMOVAL = 0x53,
    ASC_MODE = 0x64,
    ASC_READ = 0x11,
};
enum { EVENT_EJECT_REQUEST = 1, EVENT_NEW_MEDIUM = 2, EVENT_REMOVED = 3 }; /* MMC-3, 5.6: media class */

#define LEAD_OUT    0xAA
#define MSF_OFFSET  150u    /* frames before sector 0 */
#define CD_SECTORS  405000u /* of 90 minutes: what is larger is a DVD */
#define SPEED_KB    9152u   /* 52 times 176 */
#define PROFILE_CD  0x08
#define PROFILE_DVD 0x10

/* --- bytes --- */

static uint32_t get_16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get_32(const uint8_t *p)
{
    return get_16(p) << 16 | get_16(p + 2);
}

static void put_16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put_32(uint8_t *p, uint32_t v)
{
    put_16(p, v >> 16);
    put_16(p + 2, v);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* --- how a command ends --- */

static void refuse(struct ata *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
    d->sense_key = key;
    d->asc = asc;
    d->ascq = ascq;
    ata_fail(d, (uint8_t)(key << 4 | (key == KEY_ILLEGAL ? ATA_ABRT : 0)));
}

static void refuse_field(struct ata *d)
{
    refuse(d, KEY_ILLEGAL, ASC_FIELD, 0);
}

void atapi_medium_error(struct ata *d)
{
    refuse(d, KEY_MEDIUM, ASC_READ, 0);
}

void atapi_medium_gone(struct ata *d)
{
    d->gone = 0;
    d->left = d->chunk = d->moved = 0;
    refuse(d, KEY_NOT_READY, ASC_NOT_PRESENT, d->ejected ? 2 : 1);
}

/* What the host has room for. */
static void reply(struct ata *d, const struct ata_host *h, uint32_t bytes, uint32_t room)
{
    bytes = min_u32(bytes, room);
    if (bytes)
        ata_reply(d, h, bytes);
    else
        ata_done(d);
}

static bool disc_is_in(const struct ata *d)
{
    return d->medium && !d->ejected;
}

/* A packet, and where its reply goes. */
struct packet {
    uint8_t b[ATA_PACKET_BYTES];
    uint8_t *to; /* zeroes at first */
};

/* --- what the drive is --- */

static void test_ready(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    (void)h, (void)p;
    ata_done(d);
}

/* SPC-2, 7.20: fixed format. A unit attention that nobody has heard of yet is told here. */
static void request_sense(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    if (d->sense_key == 0 && d->attention) {
        d->sense_key = KEY_ATTENTION;
        d->asc = d->attention;
        d->attention = 0;
    }
    p->to[0] = 0x70;
    p->to[2] = d->sense_key;
    p->to[7] = 10; /* bytes that follow */
    p->to[12] = d->asc;
    p->to[13] = d->ascq;
    d->sense_key = d->asc = d->ascq = 0;
    reply(d, h, 18, p->b[4]);
}

static void inquiry(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    if (p->b[1] & 3 || p->b[2]) { /* vital product data: none */
        refuse_field(d);
        return;
    }
    p->to[0] = 0x05; /* CD/DVD */
    p->to[1] = 0x80; /* removable */
    p->to[3] = 0x21; /* ATAPI, response format 1 */
    p->to[4] = 31;   /* bytes that follow */
    memcpy(p->to + 8, "TANDEM  CD-ROM          1.0 ", 28);
    reply(d, h, 36, p->b[4]);
}

/* --- the tray --- */

/* A command that reads from the medium will not find it any more. */
static void medium_goes(struct ata *d)
{
    d->gone |= d->phase != ATA_IDLE && d->command == ATA_PACKET && (d->left || d->chunk);
}

static void move_tray(struct ata *d, bool in)
{
    if (!in)
        medium_goes(d);
    if (in && d->ejected && d->medium) {
        d->attention = ASC_MEDIUM_CHANGED;
        d->event = EVENT_NEW_MEDIUM;
    } else if (!in && !d->ejected) {
        d->event = EVENT_REMOVED;
    }
    d->ejected = !in;
}

/* MMC-3, 6.42: LoEj and Start. */
static void start_stop(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    bool tray = p->b[4] & 2, in = p->b[4] & 1;

    (void)h;
    if (tray && !in && d->locked) {
        refuse(d, KEY_ILLEGAL, ASC_REMOVAL, 2);
        return;
    }
    if (tray)
        move_tray(d, in);
    ata_done(d);
}

bool ata_tray_busy(const struct ata *d)
{
    return d->cdrom && d->phase == ATA_MEDIUM;
}

bool ata_tray_takes(const struct ata *d, const struct port_tray *t)
{
    switch (d->present && d->cdrom ? t->op : 0) {
    case PORT_TRAY_OPEN:
        return !d->locked || t->force || d->ejected;
    case PORT_TRAY_CLOSE:
        return true;
    case PORT_TRAY_REMOVE:
        return d->ejected && d->medium;
    case PORT_TRAY_INSERT:
        return d->ejected && !d->medium;
    default:
        return false;
    }
}

void ata_tray(struct ata *d, const struct port_tray *t)
{
    if (!ata_tray_takes(d, t)) {
        if (d->cdrom && t->op == PORT_TRAY_OPEN)
            d->event = EVENT_EJECT_REQUEST;
        return;
    }
    if (t->op == PORT_TRAY_OPEN || t->op == PORT_TRAY_CLOSE) {
        move_tray(d, t->op == PORT_TRAY_CLOSE);
        return;
    }
    d->medium = t->op == PORT_TRAY_INSERT;
    d->sectors = d->medium ? t->bytes / DRIVE_CD_SECTOR : 0;
}

bool ata_tray_moved(struct ata *d)
{
    bool moved = d->told != d->ejected;

    d->told = d->ejected;
    return moved;
}

static void prevent_allow(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    (void)h;
    d->locked = p->b[4] & 1;
    ata_done(d);
}

static void mechanism_status(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    p->to[1] = d->ejected ? 0x10 : 0;
    reply(d, h, 8, get_16(p->b + 8));
}

/* MMC-3, 6.7: polled only; an event is told once. */
static void event_status(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    bool media = p->b[4] & 0x10;

    if (!(p->b[1] & 1)) {
        refuse_field(d);
        return;
    }
    p->to[1] = media ? 6 : 2;
    p->to[2] = media ? 4 : 0x80; /* class, or no event is available */
    p->to[3] = 0x10;             /* classes that there are */
    if (media) {
        p->to[4] = d->event;
        p->to[5] = (uint8_t)(d->ejected | disc_is_in(d) << 1);
        d->event = 0;
    }
    reply(d, h, media ? 8 : 4, get_16(p->b + 7));
}

/* --- reading --- */

static void read_sectors(struct ata *d, const struct ata_host *h, uint32_t lba, uint32_t count)
{
    if (lba > d->sectors || count > d->sectors - lba) {
        refuse(d, KEY_ILLEGAL, ASC_ADDRESS, 0);
        return;
    }
    d->lba = lba;
    d->left = count;
    ata_transfer(d, h);
}

static void read_10(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    read_sectors(d, h, get_32(p->b + 2), get_16(p->b + 7));
}

static void read_12(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    read_sectors(d, h, get_32(p->b + 2), get_32(p->b + 6));
}

/* MMC-3, 6.19: sectors of mode 1, of which the host wants the user data, or nothing. */
static void read_cd(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    uint8_t type = p->b[1] >> 2 & 7, parts = p->b[9] & 0xF8;

    if (type != 0 && type != 2)
        refuse(d, KEY_ILLEGAL, ASC_MODE, 0);
    else if ((parts != 0x10 && parts != 0) || p->b[10] & 7)
        refuse_field(d);
    else
        read_sectors(d, h, get_32(p->b + 2), parts ? get_32(p->b + 5) & 0xFFFFFF : 0);
}

static void seek_10(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    (void)h;
    if (get_32(p->b + 2) < d->sectors)
        ata_done(d);
    else
        refuse(d, KEY_ILLEGAL, ASC_ADDRESS, 0);
}

static void read_capacity(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    put_32(p->to, (uint32_t)(d->sectors ? d->sectors - 1 : 0));
    put_32(p->to + 4, DRIVE_CD_SECTOR);
    reply(d, h, 8, 8);
}

static void put_address(uint8_t *to, uint32_t lba, bool msf)
{
    uint32_t frames = lba + MSF_OFFSET;

    if (msf)
        put_32(to, frames / 4500 << 16 | frames / 75 % 60 << 8 | frames % 75);
    else
        put_32(to, lba);
}

static void read_header(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    uint32_t lba = get_32(p->b + 2);

    if (lba >= d->sectors) {
        refuse(d, KEY_ILLEGAL, ASC_ADDRESS, 0);
        return;
    }
    p->to[0] = 1; /* mode 1 */
    put_address(p->to + 4, lba, p->b[1] & 2);
    reply(d, h, 8, get_16(p->b + 7));
}

static void read_subchannel(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    bool wants_data = p->b[2] & 0x40;

    if (wants_data && p->b[3] != 1) { /* position; no catalogue number, no ISRC */
        refuse_field(d);
        return;
    }
    p->to[1] = 0x15; /* no audio status */
    if (wants_data) {
        p->to[3] = 12; /* bytes that follow */
        p->to[4] = 1;  /* of this format */
        p->to[5] = 0x14;
        p->to[6] = p->to[7] = 1; /* track, index */
        put_address(p->to + 8, 0, p->b[1] & 2);
    }
    reply(d, h, wants_data ? 16 : 4, get_16(p->b + 7));
}

/* --- table of contents --- */

static uint32_t put_track(uint8_t *to, uint8_t control, uint8_t track, uint32_t lba, bool msf)
{
    to[1] = control;
    to[2] = track;
    put_address(to + 4, lba, msf);
    return 8;
}

/* MMC-3, 6.30.3.2: tracks from `start` on, and the lead-out. */
static uint32_t toc_tracks(const struct ata *d, uint8_t *to, uint8_t start, bool msf)
{
    uint32_t n = 4;

    to[2] = to[3] = 1;
    if (start <= 1)
        n += put_track(to + n, 0x14, 1, 0, msf);
    n += put_track(to + n, 0x16, LEAD_OUT, (uint32_t)d->sectors, msf);
    return n;
}

static uint32_t toc_sessions(uint8_t *to, bool msf)
{
    to[2] = to[3] = 1;
    return 4 + put_track(to + 4, 0x14, 1, 0, msf);
}

/* A row of the lead-in: addresses in MSF. */
static uint32_t put_full(uint8_t *to, uint8_t point, uint32_t msf)
{
    to[0] = 1; /* session */
    to[1] = 0x14;
    to[3] = point;
    to[8] = (uint8_t)(msf >> 16);
    to[9] = (uint8_t)(msf >> 8);
    to[10] = (uint8_t)msf;
    return 11;
}

static uint32_t toc_full(const struct ata *d, uint8_t *to)
{
    uint8_t end[4];
    uint32_t n = 4;

    put_address(end, (uint32_t)d->sectors, true);
    to[2] = to[3] = 1;
    n += put_full(to + n, 0xA0, 0x010000); /* first track */
    n += put_full(to + n, 0xA1, 0x010000); /* last track */
    n += put_full(to + n, 0xA2, get_32(end));
    n += put_full(to + n, 0x01, 0x000200); /* where track 1 begins */
    return n;
}

/* The format is in byte 2, or, of drives before MMC, in the upper bits of byte 9. */
static void read_toc(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    unsigned format = p->b[2] & 0x0F ? p->b[2] & 0x0F : p->b[9] >> 6;
    uint8_t start = p->b[6];
    bool msf = p->b[1] & 2;
    uint32_t n = 0;

    if (format == 0 && (start <= 1 || start == LEAD_OUT))
        n = toc_tracks(d, p->to, start, msf);
    else if (format == 1)
        n = toc_sessions(p->to, msf);
    else if (format == 2)
        n = toc_full(d, p->to);
    if (n == 0) {
        refuse_field(d);
        return;
    }
    put_16(p->to, n - 2);
    reply(d, h, n, get_16(p->b + 7));
}

static void disc_information(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    put_16(p->to, 32);
    p->to[2] = 0x0E;                               /* complete, its last session too */
    p->to[3] = p->to[4] = p->to[5] = p->to[6] = 1; /* first track, sessions, tracks of the last one */
    p->to[7] = 0x20;                               /* for any use */
    memset(p->to + 16, 0xFF, 8);
    reply(d, h, 34, get_16(p->b + 7));
}

/* --- features --- */

static uint8_t profile(const struct ata *d)
{
    return !disc_is_in(d) ? 0 : d->sectors > CD_SECTORS ? PROFILE_DVD : PROFILE_CD;
}

static uint32_t put_profile(uint8_t *to, uint8_t number, uint8_t now)
{
    to[1] = number;
    to[2] = number == now;
    return 4;
}

/* MMC-3, 5.3: feature, flags (bit 0: now, bit 1: always), bytes that follow. */
static uint8_t *put_feature(uint8_t *to, uint32_t feature, uint8_t flags, uint8_t bytes)
{
    put_16(to, feature);
    to[2] = flags;
    to[3] = bytes;
    return to + 4;
}

static uint32_t put_features(const struct ata *d, uint8_t *to, uint32_t from, bool only_one, bool only_now)
{
    uint8_t now = profile(d), *at = to;

    if (from == 0) { /* profiles */
        at = put_feature(at, 0, 3, 8);
        at += put_profile(at, PROFILE_DVD, now);
        at += put_profile(at, PROFILE_CD, now);
    }
    if (from == 1 || (from < 1 && !only_one)) { /* core: ATAPI */
        at = put_feature(at, 1, 7, 8);
        at[3] = 2;
        at += 8;
    }
    if (from == 3 || (from < 3 && !only_one)) { /* removable medium: tray, eject, lock */
        at = put_feature(at, 3, 3, 4);
        at[0] = 0x29;
        at += 4;
    }
    if (from == 0x10 || (from < 0x10 && !only_one && (now || !only_now))) { /* random readable */
        at = put_feature(at, 0x10, now ? 1 : 0, 8);
        put_32(at, DRIVE_CD_SECTOR);
        put_16(at + 4, 1);
        at += 8;
    }
    return (uint32_t)(at - to);
}

static void get_configuration(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    uint8_t which = p->b[1] & 3; /* all, those of now, one */

    if (which == 3) {
        refuse_field(d);
        return;
    }
    uint32_t n = 8 + put_features(d, p->to + 8, get_16(p->b + 2), which == 2, which == 1);
    put_32(p->to, n - 4);
    p->to[7] = profile(d);
    reply(d, h, n, get_16(p->b + 7));
}

/* --- modes --- */

static uint32_t page_recovery(const struct ata *d, uint8_t *to)
{
    (void)d;
    to[0] = 0x01;
    to[1] = 6;
    to[3] = 5; /* retries */
    return 8;
}

static uint32_t page_audio(const struct ata *d, uint8_t *to)
{
    (void)d;
    to[0] = 0x0E;
    to[1] = 14;
    to[2] = 4; /* IMMED */
    return 16;
}

/* MMC-3, 5.5.10. */
static uint32_t page_capabilities(const struct ata *d, uint8_t *to)
{
    to[0] = 0x2A;
    to[1] = 18;
    to[2] = 0x0B;                             /* reads CD-R, CD-RW, DVD-ROM */
    to[6] = (uint8_t)(0x29 | d->locked << 1); /* tray; eject; lock, and its state */
    put_16(to + 8, SPEED_KB);
    put_16(to + 12, 512); /* buffer, KiB */
    put_16(to + 14, SPEED_KB);
    return 20;
}

static const struct {
    uint8_t page;
    uint32_t (*put)(const struct ata *d, uint8_t *to);
} pages[] = {{0x01, page_recovery}, {0x0E, page_audio}, {0x2A, page_capabilities}};

/* The pages that are asked for; 0: there is none. What can be changed is nothing. */
static uint32_t put_pages(const struct ata *d, uint8_t *to, uint8_t which, bool changeable)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < NELEM(pages); i++) {
        if (which != pages[i].page && which != 0x3F)
            continue;
        uint32_t bytes = pages[i].put(d, to + n);
        if (changeable)
            memset(to + n + 2, 0, bytes - 2);
        n += bytes;
    }
    return n;
}

static void mode_sense(struct ata *d, const struct ata_host *h, const struct packet *p, uint32_t header,
                       uint32_t room)
{
    uint8_t control = p->b[2] >> 6; /* current, changeable, default, saved */
    uint32_t n = put_pages(d, p->to + header, p->b[2] & 0x3F, control == 1);

    if (control == 3) {
        refuse(d, KEY_ILLEGAL, ASC_NOT_SAVED, 0);
        return;
    }
    if (n == 0) {
        refuse_field(d);
        return;
    }
    uint8_t type = disc_is_in(d) ? 0x01 : d->ejected ? 0x71 : 0x70;
    if (header == 4) {
        p->to[0] = (uint8_t)(n + header - 1);
        p->to[1] = type;
    } else {
        put_16(p->to, n + header - 2);
        p->to[2] = type;
    }
    reply(d, h, n + header, room);
}

static void mode_sense_6(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    mode_sense(d, h, p, 4, p->b[4]);
}

static void mode_sense_10(struct ata *d, const struct ata_host *h, const struct packet *p)
{
    mode_sense(d, h, p, 8, get_16(p->b + 7));
}

/* --- packets --- */

enum { MEDIUM = 1, ANYTIME = 2 }; /* needs a disc; is done although a unit attention waits */

static const struct {
    uint8_t opcode, flags;
    void (*run)(struct ata *d, const struct ata_host *h, const struct packet *p);
} packets[] = {
    {0x00, MEDIUM, test_ready},
    {0x03, ANYTIME, request_sense},
    {0x12, ANYTIME, inquiry},
    {0x1A, 0, mode_sense_6},
    {0x1B, 0, start_stop},
    {0x1E, 0, prevent_allow},
    {0x25, MEDIUM, read_capacity},
    {0x28, MEDIUM, read_10},
    {0x2B, MEDIUM, seek_10},
    {0x42, MEDIUM, read_subchannel},
    {0x43, MEDIUM, read_toc},
    {0x44, MEDIUM, read_header},
    {0x46, ANYTIME, get_configuration},
    {0x4A, ANYTIME, event_status},
    {0x51, MEDIUM, disc_information},
    {0x5A, 0, mode_sense_10},
    {0xA8, MEDIUM, read_12},
    {0xBB, 0, test_ready}, /* SET CD SPEED: there is only one */
    {0xBD, 0, mechanism_status},
    {0xBE, MEDIUM, read_cd},
};

static void run(struct ata *d, const struct ata_host *h, const struct packet *p, unsigned i)
{
    if (d->attention && !(packets[i].flags & ANYTIME)) {
        uint8_t asc = d->attention;
        d->attention = 0;
        refuse(d, KEY_ATTENTION, asc, 0);
    } else if (packets[i].flags & MEDIUM && !disc_is_in(d)) {
        refuse(d, KEY_NOT_READY, ASC_NOT_PRESENT, d->ejected ? 2 : 1);
    } else {
        packets[i].run(d, h, p);
    }
}

void atapi_packet(struct ata *d, const struct ata_host *h)
{
    struct packet p = {.to = d->buffer};

    memcpy(p.b, d->buffer, sizeof(p.b));
    memset(d->buffer, 0, 512);
    d->transfer &= TRANSFER_DMA;
    d->left = d->chunk = d->moved = d->total = d->gone = 0;
    if (p.b[0] != 0x03) /* SPC-2, 7.20: sense data are those of the command before */
        d->sense_key = d->asc = d->ascq = 0;
    for (unsigned i = 0; i < NELEM(packets); i++)
        if (packets[i].opcode == p.b[0]) {
            run(d, h, &p, i);
            return;
        }
    refuse(d, KEY_ILLEGAL, ASC_OPCODE, 0);
}
