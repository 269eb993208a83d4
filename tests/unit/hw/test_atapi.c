/* test_atapi.c - an ATAPI CD-ROM drive: how packets travel (ATA/ATAPI-6, 9.11) and what they do (MMC-3). */
#include "ide_test.h"
#include "tests/unit/every.h"

#define MIB (UINT64_C(1) << 20)

enum { COMMAND_BLOCK = 1, DATA_BLOCK = 2, COMPLETED = 3 }; /* interrupt reasons */

static uint8_t reply[70000];
static uint32_t reply_bytes;

/* A packet with PIO until its end; the reply is in reply[]. Returns Status. */
static uint8_t packet_limited(struct rig *r, const uint8_t *p, uint16_t limit)
{
    out(r, ERROR, 0);
    out(r, MID, limit & 0xFF);
    out(r, HIGH, limit >> 8);
    cr_assert_eq(command(r, 0xA0), 0x48, "DRQ, no SERV");
    cr_assert_eq(in(r, COUNT) & 7, COMMAND_BLOCK);
    cr_assert_not(rig_irq(r), "the packet's block comes without an interrupt");
    write_block(r, p, 12);
    reply_bytes = 0;
    while (in(r, CONTROL) & 0x08) {
        cr_assert(rig_irq(r));
        cr_assert_eq(in(r, STATUS), 0x48);
        cr_assert_eq(in(r, COUNT) & 7, DATA_BLOCK);
        uint32_t n = in(r, MID) | (uint32_t)in(r, HIGH) << 8;
        cr_assert(n > 0 && (limit < 2 || n <= limit));
        read_block(r, reply + reply_bytes, n);
        reply_bytes += n;
    }
    cr_assert(rig_irq(r));
    cr_assert_eq(in(r, COUNT) & 7, COMPLETED);
    return in(r, STATUS);
}

static uint8_t packet(struct rig *r, const uint8_t *p)
{
    return packet_limited(r, p, 0xFFFE);
}

static uint8_t simple(struct rig *r, uint8_t opcode)
{
    const uint8_t p[12] = {opcode};

    return packet(r, p);
}

static uint32_t sense(struct rig *r)
{
    const uint8_t p[12] = {0x03, 0, 0, 0, 18};

    cr_assert_eq(packet(r, p), 0x40);
    cr_assert_eq(reply_bytes, 18);
    cr_assert_eq(reply[0], 0x70);
    return (uint32_t)reply[2] << 16 | (uint32_t)reply[12] << 8 | reply[13];
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static struct rig *rig_cd(uint64_t bytes)
{
    struct rig *r = rig_new();

    fit(r, 0, true, bytes);
    return r;
}

/* A drive whose unit attention has been told. */
static struct rig *rig_ready_cd(void)
{
    struct rig *r = rig_cd(RIG_BYTES);

    simple(r, 0x00);
    cr_assert_eq(sense(r), 0x062900);
    return r;
}

Test(atapi, signature_and_identity)
{
    struct rig *r = rig_cd(RIG_BYTES);
    uint8_t id[512];

    cr_assert_eq(in(r, MID), 0x14);
    cr_assert_eq(in(r, HIGH), 0xEB);
    cr_assert_eq(in(r, STATUS), 0, "no DRDY before a command");
    cr_assert_eq(command(r, 0xEC), 0x41, "IDENTIFY DEVICE is aborted");
    cr_assert_eq(in(r, ERROR), 0x04);
    cr_assert_eq(in(r, MID), 0x14);
    cr_assert_eq(in(r, HIGH), 0xEB);
    cr_assert_eq(command(r, 0xA1), 0x48);
    cr_assert(rig_irq(r));
    read_block(r, id, 512);
    cr_assert_eq(id[0] | id[1] << 8, 0x85C0);
    cr_assert_eq(in(r, STATUS), 0x40);
    rig_free(r);
}

Test(atapi, unit_attention_is_told_once)
{
    struct rig *r = rig_cd(RIG_BYTES);
    const uint8_t inquiry[12] = {0x12, 0, 0, 0, 36};

    cr_assert_eq(packet(r, inquiry), 0x40, "INQUIRY does not care");
    cr_assert_eq(simple(r, 0x00), 0x41);
    cr_assert_eq(in(r, ERROR) >> 4, 6);
    cr_assert_eq(sense(r), 0x062900);
    cr_assert_eq(simple(r, 0x00), 0x40);
    cr_assert_eq(sense(r), 0);
    out(r, CONTROL, 4);
    out(r, CONTROL, 0);
    settle(r);
    cr_assert_eq(sense(r), 0x062900, "REQUEST SENSE itself tells it");
    cr_assert_eq(simple(r, 0x00), 0x40);
    rig_free(r);
}

Test(atapi, empty_drive)
{
    static const uint8_t needs[] = {0x00, 0x25, 0x28, 0x43, 0x51, 0xBE};
    struct rig *r = rig_cd(0);

    simple(r, 0x00);
    for (unsigned i = 0; i < sizeof(needs); i++) {
        cr_assert_eq(simple(r, needs[i]), 0x41, "%02x", needs[i]);
        cr_assert_eq(in(r, ERROR) >> 4, 2);
        cr_assert_eq(sense(r) >> 8, 0x023A);
    }
    rig_free(r);
}

Test(atapi, unknown_packets)
{
    struct rig *r = rig_ready_cd();

    cr_assert_eq(simple(r, 0xFF), 0x41);
    cr_assert_eq(in(r, ERROR), 0x54);
    cr_assert_eq(sense(r), 0x052000);
    rig_free(r);
}

Test(atapi, read)
{
    struct rig *r = rig_ready_cd();
    const uint8_t read_10[12] = {0x28, 0, 0, 0, 0, 7, 0, 0, 20};
    const uint8_t read_12[12] = {0xA8, 0, 0, 0, 0, 9, 0, 0, 0, 3};
    const uint8_t read_cd[12] = {0xBE, 0, 0, 0, 0, 11, 0, 0, 2, 0x10};
    const uint8_t none[12] = {0x28, 0, 0, 0, 0, 7};

    cr_assert_eq(packet(r, read_10), 0x40);
    cr_assert_eq(reply_bytes, 20 * 2048);
    cr_assert_arr_eq(reply, r->medium[0] + 7 * 2048, 20 * 2048);
    cr_assert_eq(packet(r, read_12), 0x40);
    cr_assert_arr_eq(reply, r->medium[0] + 9 * 2048, 3 * 2048);
    cr_assert_eq(packet(r, read_cd), 0x40);
    cr_assert_arr_eq(reply, r->medium[0] + 11 * 2048, 2 * 2048);
    cr_assert_eq(packet(r, none), 0x40);
    cr_assert_eq(reply_bytes, 0);
    rig_free(r);
}

/* The host's limit: whole sectors where it takes them, else even pieces. */
Test(atapi, byte_count_limit)
{
    static const uint16_t limits[] = {2, 3, 100, 2047, 2048, 2049, 4096, 5000, 0xFFFF, 0, 1};
    struct rig *r = rig_ready_cd();
    const uint8_t read_10[12] = {0x28, 0, 0, 0, 0, 7, 0, 0, 5};

    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        cr_assert_eq(packet_limited(r, read_10, limits[i]), 0x40);
        cr_assert_eq(reply_bytes, 5 * 2048, "limit %u", limits[i]);
        cr_assert_arr_eq(reply, r->medium[0] + 7 * 2048, 5 * 2048);
    }
    rig_free(r);
}

Test(atapi, beyond_the_end)
{
    struct rig *r = rig_ready_cd(); /* 1024 sectors */
    const uint8_t last[12] = {0x28, 0, 0, 0, 0x03, 0xFF, 0, 0, 1};
    const uint8_t too_many[12] = {0x28, 0, 0, 0, 0x03, 0xFF, 0, 0, 2};
    const uint8_t far[12] = {0xA8, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

    cr_assert_eq(packet(r, last), 0x40);
    cr_assert_eq(packet(r, too_many), 0x41);
    cr_assert_eq(sense(r), 0x052100);
    cr_assert_eq(packet(r, far), 0x41);
    cr_assert_eq(sense(r), 0x052100);
    rig_free(r);
}

Test(atapi, unreadable_sector)
{
    struct rig *r = rig_ready_cd();
    const uint8_t read_10[12] = {0x28, 0, 0, 0, 0, 7, 0, 0, 20};

    r->bad[0] = 12 * 2048;
    cr_assert_eq(packet(r, read_10), 0x41);
    cr_assert_eq(in(r, ERROR) >> 4, 3);
    cr_assert_eq(reply_bytes, 4 * 2048, "the block before it");
    cr_assert_eq(sense(r), 0x031100);
    rig_free(r);
}

Test(atapi, capacity_and_contents)
{
    struct rig *r = rig_ready_cd();
    const uint8_t toc[12] = {0x43, 0x02, 0, 0, 0, 0, 0, 0x03, 0x24};
    const uint8_t toc_lba[12] = {0x43, 0, 0, 0, 0, 0, 0, 0, 100};
    const uint8_t short_toc[12] = {0x43, 0, 0, 0, 0, 0, 0xAA, 0, 12};
    const uint8_t sessions[12] = {0x43, 0, 1, 0, 0, 0, 0, 0, 100};
    const uint8_t sessions_old[12] = {0x43, 0, 0, 0, 0, 0, 0, 0, 100, 0x40};
    const uint8_t full[12] = {0x43, 2, 2, 0, 0, 0, 0, 0, 100};
    const uint8_t wrong[12] = {0x43, 0, 0, 0, 0, 0, 2, 0, 100};

    cr_assert_eq(simple(r, 0x25), 0x40);
    cr_assert_eq(be32(reply), 1023);
    cr_assert_eq(be32(reply + 4), 2048);
    cr_assert_eq(packet(r, toc), 0x40);
    cr_assert_eq(reply_bytes, 20);
    cr_assert_arr_eq(reply, "\0\x12\1\1\0\x14\1\0\0\0\2\0\0\x16\xAA\0\0\0\x0F\x31", 20); /* 1174 frames */
    cr_assert_eq(packet(r, toc_lba), 0x40);
    cr_assert_eq(be32(reply + 8), 0);
    cr_assert_eq(be32(reply + 16), 1024);
    cr_assert_eq(packet(r, short_toc), 0x40);
    cr_assert_eq(reply_bytes, 12);
    cr_assert_eq(reply[6], 0xAA);
    cr_assert_eq(packet(r, sessions), 0x40);
    cr_assert_eq(reply[1], 10);
    cr_assert_eq(packet(r, sessions_old), 0x40);
    cr_assert_eq(reply[1], 10);
    cr_assert_eq(packet(r, full), 0x40);
    cr_assert_eq(reply_bytes, 4 + 4 * 11);
    cr_assert_eq(packet(r, wrong), 0x41);
    cr_assert_eq(sense(r), 0x052400);
    rig_free(r);
}

static uint8_t tray(struct rig *r, uint8_t bits)
{
    const uint8_t p[12] = {0x1B, 0, 0, 0, bits};

    return packet(r, p);
}

static uint8_t lock(struct rig *r, uint8_t on)
{
    const uint8_t p[12] = {0x1E, 0, 0, 0, on};

    return packet(r, p);
}

Test(atapi, tray)
{
    struct rig *r = rig_ready_cd();
    const uint8_t events[12] = {0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8};

    packet(r, events);
    cr_assert_arr_eq(reply, "\0\6\4\x10\0\2\0\0", 8);
    lock(r, 1);
    cr_assert_eq(tray(r, 2), 0x41);
    cr_assert_eq(sense(r), 0x055302);
    lock(r, 0);
    cr_assert_eq(tray(r, 2), 0x40);
    packet(r, events);
    cr_assert_arr_eq(reply + 4, "\3\1", 2);
    packet(r, events);
    cr_assert_eq(reply[4], 0, "told once");
    cr_assert_eq(simple(r, 0x00), 0x41);
    cr_assert_eq(sense(r), 0x023A02);
    cr_assert_eq(tray(r, 3), 0x40);
    packet(r, events);
    cr_assert_arr_eq(reply + 4, "\2\2", 2);
    cr_assert_eq(simple(r, 0x00), 0x41);
    cr_assert_eq(sense(r), 0x062800);
    cr_assert_eq(simple(r, 0x00), 0x40);
    rig_free(r);
}

/* --- the tray from outside (port.h) --- */

static bool wish(struct rig *r, uint8_t op, bool force, uint64_t bytes)
{
    const struct port_tray t = {.op = op, .force = force, .bytes = bytes};
    uint8_t entry[PORT_TRAY_BYTES];
    bool takes = piix_ide_tray_in.trays->takes(&r->ide, &t);

    port_tray_pack(&t, entry);
    cr_assert_eq(piix_ide_tray_in.ready_ns(&r->ide), 0);
    piix_ide_tray_in.put(&r->ide, entry, sizeof(entry), r->ns);
    return takes;
}

static uint8_t event(struct rig *r)
{
    const uint8_t events[12] = {0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8};

    packet(r, events);
    return reply[4];
}

Test(atapi, medium_changed_from_outside)
{
    struct rig *r = rig_ready_cd();
    const uint8_t capacity[12] = {0x25};
    uint8_t told[PORT_TRAY_MOVED_BYTES];

    cr_assert_eq(piix_ide_tray_out.take(&r->ide, told, sizeof(told)), 0);
    cr_assert(!wish(r, PORT_TRAY_REMOVE, false, 0), "the tray is closed");
    cr_assert(!wish(r, PORT_TRAY_INSERT, false, 4096));
    cr_assert(wish(r, PORT_TRAY_OPEN, false, 0));
    cr_assert_eq(piix_ide_tray_out.take(&r->ide, told, sizeof(told)), PORT_TRAY_MOVED_BYTES);
    cr_assert_arr_eq(told, "\0\1", 2);
    cr_assert_eq(piix_ide_tray_out.take(&r->ide, told, sizeof(told)), 0, "told once");
    cr_assert_eq(event(r), 3, "media removal");
    cr_assert_eq(simple(r, 0x00), 0x41);
    cr_assert_eq(sense(r), 0x023A02);
    cr_assert(!wish(r, PORT_TRAY_INSERT, false, 4096), "one is in it");
    cr_assert(wish(r, PORT_TRAY_REMOVE, false, 0));
    cr_assert(!wish(r, PORT_TRAY_REMOVE, false, 0));
    cr_assert(wish(r, PORT_TRAY_CLOSE, false, 0));
    cr_assert_eq(simple(r, 0x00), 0x41);
    cr_assert_eq(sense(r), 0x023A01, "no medium, tray closed");
    cr_assert(wish(r, PORT_TRAY_OPEN, false, 0));
    cr_assert(wish(r, PORT_TRAY_INSERT, false, 7 * 2048));
    cr_assert(wish(r, PORT_TRAY_CLOSE, false, 0));
    cr_assert_eq(event(r), 2, "new media");
    cr_assert_eq(packet(r, capacity), 0x41);
    cr_assert_eq(sense(r), 0x062800);
    cr_assert_eq(packet(r, capacity), 0x40);
    cr_assert_eq(be32(reply), 6);
    rig_free(r);
}

Test(atapi, locked_tray_asks)
{
    struct rig *r = rig_ready_cd();

    lock(r, 1);
    cr_assert(!wish(r, PORT_TRAY_OPEN, false, 0));
    cr_assert_eq(event(r), 1, "eject request");
    cr_assert_eq(event(r), 0);
    cr_assert_eq(simple(r, 0x00), 0x40, "it is as it was");
    cr_assert(wish(r, PORT_TRAY_OPEN, true, 0), "by force");
    cr_assert_eq(event(r), 3);
    cr_assert_eq(simple(r, 0x00), 0x41);
    rig_free(r);
}

/* Every phase in which a command can be found. */
Test(atapi, medium_goes_during_a_read)
{
    const uint8_t read[12] = {0x28, 0, 0, 0, 0, 3, 0, 0, 40};
    const struct port_tray t = {.op = PORT_TRAY_OPEN};
    uint8_t entry[PORT_TRAY_BYTES], status = 0;

    port_tray_pack(&t, entry);
    for (unsigned steps = 0; steps < 30; steps++) {
        struct rig *r = rig_ready_cd();
        unsigned done = 0;
        bool gone = false;
        out(r, ERROR, 0);
        out(r, MID, 0);
        out(r, HIGH, 8);
        cr_assert_eq(command(r, 0xA0), 0x48);
        write_block(r, read, 12);
        for (; done < 200; done++) {
            if (done >= steps && !gone && piix_ide_tray_in.ready_ns(&r->ide) == 0) {
                piix_ide_tray_in.put(&r->ide, entry, sizeof(entry), r->ns);
                gone = true;
            }
            settle(r);
            if (!(in(r, CONTROL) & 0x08))
                break;
            read_block(r, reply, in(r, MID) | (uint32_t)in(r, HIGH) << 8);
        }
        status = in(r, STATUS);
        cr_assert(gone);
        cr_assert_eq(status, 0x41, "at step %u", steps);
        cr_assert_eq(sense(r), 0x023A02, "at step %u", steps);
        rig_free(r);
    }
}

Test(atapi, tray_waits_for_the_medium)
{
    struct rig *r = rig_ready_cd();
    const uint8_t read[12] = {0x28, 0, 0, 0, 0, 3, 0, 0, 4};

    out(r, ERROR, 0);
    out(r, MID, 0);
    out(r, HIGH, 8);
    command(r, 0xA0);
    for (unsigned i = 0; i < 12; i += 2)
        piix_ide_class.write(&r->ide, DATA, 2, read[i] | (uint32_t)read[i + 1] << 8, r->ns);
    cr_assert(rig_event(r)); /* the packet */
    cr_assert_eq(piix_ide_tray_in.ready_ns(&r->ide), NS_NEVER);
    cr_assert(rig_event(r));
    cr_assert_eq(piix_ide_tray_in.ready_ns(&r->ide), 0);
    rig_free(r);
}

/* What no user sends. */
Test(atapi, tray_entries_of_any_content)
{
    struct rig *r = rig_ready_cd();
    uint8_t entry[PORT_TRAY_BYTES] = {0};

    for (unsigned op = 0; op < 256; op++)
        for (unsigned drive = 0; drive < 256; drive += 5) {
            entry[0] = (uint8_t)op;
            entry[1] = (uint8_t)drive;
            piix_ide_tray_in.put(&r->ide, entry, op % 2 ? sizeof(entry) : op % 32, r->ns);
        }
    fit(r, 1, false, RIG_BYTES);
    for (unsigned op = 0; op < 6; op++) {
        entry[0] = (uint8_t)op;
        entry[1] = 1;
        const struct port_tray t = port_tray_unpack(entry, sizeof(entry));
        cr_assert(!piix_ide_tray_in.trays->takes(&r->ide, &t), "a disk is not removable");
    }
    rig_free(r);
}

Test(atapi, modes)
{
    struct rig *r = rig_ready_cd();
    const uint8_t capabilities[12] = {0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 128};
    const uint8_t six[12] = {0x1A, 0, 0x01, 0, 255};
    const uint8_t all[12] = {0x5A, 0, 0x3F, 0, 0, 0, 0, 1, 0};
    const uint8_t saved[12] = {0x5A, 0, 0xEA, 0, 0, 0, 0, 0, 128};
    const uint8_t none[12] = {0x5A, 0, 0x11, 0, 0, 0, 0, 0, 128};

    cr_assert_eq(packet(r, capabilities), 0x40);
    cr_assert_eq(reply_bytes, 28);
    cr_assert_eq(reply[1], 26);
    cr_assert_eq(reply[8], 0x2A);
    cr_assert_eq(packet(r, six), 0x40);
    cr_assert_eq(reply_bytes, 12);
    cr_assert_eq(reply[4], 0x01);
    cr_assert_eq(packet(r, all), 0x40);
    cr_assert_eq(reply_bytes, 8 + 8 + 16 + 20);
    cr_assert_eq(packet(r, saved), 0x41);
    cr_assert_eq(sense(r), 0x053900);
    cr_assert_eq(packet(r, none), 0x41);
    cr_assert_eq(sense(r), 0x052400);
    rig_free(r);
}

Test(atapi, the_rest_answers)
{
    static const struct {
        uint8_t p[12];
        uint32_t bytes;
    } rows[] = {
        {{0x12, 0, 0, 0, 36}, 36},
        {{0x12, 0, 0, 0, 5}, 5},
        {{0x46, 0, 0, 0, 0, 0, 0, 1, 0}, 8 + 12 + 12 + 8 + 12},
        {{0x46, 2, 0, 3, 0, 0, 0, 1, 0}, 8 + 8},
        {{0x51, 0, 0, 0, 0, 0, 0, 0, 34}, 34},
        {{0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8}, 8},
        {{0x42, 2, 0x40, 1, 0, 0, 0, 0, 16}, 16},
        {{0x42, 0, 0, 0, 0, 0, 0, 0, 16}, 4},
        {{0x44, 0, 0, 0, 0, 5, 0, 0, 8}, 8},
        {{0x2B, 0, 0, 0, 0, 5}, 0},
        {{0xBB, 0, 0xFF, 0xFF}, 0},
        {{0x1B, 0, 0, 0, 1}, 0},
    };
    struct rig *r = rig_ready_cd();

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(packet(r, rows[i].p), 0x40, "%02x", rows[i].p[0]);
        cr_assert_eq(reply_bytes, rows[i].bytes, "%02x", rows[i].p[0]);
    }
    rig_free(r);
}

/* Every opcode with a few packets: it ends, with what reason it likes, and the drive is in order. */
Test(atapi, every_packet_ends)
{
    uint64_t seed = 12345;

    for (unsigned n = 0; n < 8; n += test_every())
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            struct rig *r = rig_ready_cd();
            uint8_t p[12] = {(uint8_t)opcode};
            for (unsigned i = 1; i < 12; i++) {
                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
                p[i] = n == 0 ? 0xFF : (uint8_t)(seed >> 60 ? 0 : seed >> 40);
            }
            uint8_t status = packet_limited(r, p, (uint16_t)(seed >> 20));
            cr_assert(status == 0x40 || status == 0x41, "%02x", opcode);
            rig_free(r);
        }
}

/* 8.10: takes effect while the drive is busy, without an interrupt. */
Test(atapi, device_reset)
{
    struct rig *r = rig_ready_cd();
    const uint8_t read_10[12] = {0x28, 0, 0, 0, 0, 7, 0, 0, 20};

    command(r, 0xA0);
    for (unsigned i = 0; i < 12; i += 2) {
        r->ns += 100;
        piix_ide_class.write(&r->ide, DATA, 2, read_10[i] | (uint32_t)read_10[i + 1] << 8, r->ns);
    }
    cr_assert_eq(in(r, CONTROL) & 0x80, 0x80);
    out(r, STATUS, 0x08);
    settle(r);
    cr_assert_eq(in(r, CONTROL), 0);
    cr_assert_eq(in(r, MID), 0x14);
    cr_assert_not(rig_irq(r));
    cr_assert_eq(packet(r, read_10), 0x40);
    rig_free(r);
}
