/* The computed network: each service against its RFC, frames that are none, and that its state is its
 * table's. */
#include "clockcore/ticks.h"
#include "devthread/usernet.h"
#include "hw/port.h"
#include "netframes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct usernet *net;
static struct net_user cfg;
static uint8_t q[2048], a[PORT_ENTRY_BYTES];
static uint64_t now_ns;
static char dir[] = "/tmp/tandem-usernet-XXXXXX";
static uint8_t file[3000];

static void put_file(const char *name, const void *data, size_t bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert(f && fwrite(data, 1, bytes, f) == bytes);
    fclose(f);
}

static void make(void)
{
    char why[256] = "";
    net_user_init(&cfg);
    cfg.restricted = true;
    cfg.tftp = dir;
    cfg.bootfile = "boot.img";
    cr_assert(net_user_complete(&cfg));
    net = usernet_create(&cfg, why, sizeof why);
    cr_assert(net, "%s", why);
}

static void setup(void)
{
    char sub[64];
    cr_assert(mkdtemp(dir));
    snprintf(sub, sizeof sub, "%s/sub", dir);
    cr_assert_eq(mkdir(sub, 0700), 0);
    for (unsigned i = 0; i < sizeof file; i++)
        file[i] = (uint8_t)(i * 7 + i / 256);
    put_file("sub/file", file, sizeof file);
    put_file("whole", file, 1024);
    put_file("empty", file, 0);
    make();
}

static void teardown(void)
{
    char command[96];
    usernet_destroy(net);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(usernet, .init = setup, .fini = teardown);

/* The answer to q, in a; 0: none comes. */
static uint32_t ask(uint32_t bytes)
{
    usernet_backend.output(net, q, bytes, now_ns);
    const uint64_t due_ns = usernet_backend.next_ns(net);
    if (due_ns == NS_NEVER)
        return 0;
    cr_assert_geq(due_ns, now_ns + BACKEND_COMPUTED_NS);
    now_ns = due_ns;
    const uint32_t n = usernet_backend.take(net, a);
    cr_assert_eq(usernet_backend.next_ns(net), NS_NEVER, "one answer");
    if (n >= 34 && be16(a + 12) == 0x0800) {
        cr_assert_eq(sum_be16(a + 14, 20, 0), 0xFFFF, "IP header");
        cr_assert(a[23] == 1 || transport_sum(a) == 0xFFFF, "checksum");
        cr_assert_geq(n, 14 + be16(a + 16));
    }
    return n;
}

Test(usernet, arp_for_its_two_hosts_alone)
{
    cr_assert_eq(ask(frame_arp(q, GUEST_IP, HOST_IP)), 60);
    cr_expect_eq(memcmp(a, guest_mac, 6), 0);
    cr_expect_eq(memcmp(a + 6, "\x52\x55\x0a\0\2\2", 6), 0);
    cr_expect_eq(be16(a + 20), 2);
    cr_expect_eq(memcmp(a + 22, a + 6, 6), 0);
    cr_expect_eq(be32(a + 28), HOST_IP);
    cr_expect_eq(be32(a + 38), GUEST_IP);
    cr_expect_eq(ask(frame_arp(q, GUEST_IP, DNS_IP)), 60);
    cr_expect_eq(ask(frame_arp(q, GUEST_IP, GUEST_IP)), 0, "a guest asks for its own address");
    cr_expect_eq(ask(frame_arp(q, GUEST_IP, 0x0A000204)), 0);
}

Test(usernet, ping)
{
    memset(q + 34, 0x5A, 64);
    memcpy(q + 34, "\x08\0\0\0\x12\x34\0\1", 8);
    to_be16(q + 36, ~sum_be16(q + 34, 64, 0));
    cr_assert_eq(ask(frame_ip(q, GUEST_IP, HOST_IP, 1, 64)), 98);
    cr_expect_eq(a[34], 0);
    cr_expect_eq(sum_be16(a + 34, 64, 0), 0xFFFF);
    cr_expect_eq(memcmp(a + 38, q + 38, 60), 0);
    cr_expect_eq(be32(a + 26), HOST_IP);
    cr_expect_eq(ask(frame_ip(q, GUEST_IP, 0x08080808, 1, 64)), 0, "there is no way out");
    q[40] ^= 1;
    cr_expect_eq(ask(frame_ip(q, GUEST_IP, HOST_IP, 1, 64)), 0, "checksum");
}

static unsigned dhcp_type(void)
{
    return a[42 + 242];
}

Test(usernet, dhcp_gives_each_client_its_own_address)
{
    cr_assert_gt(ask(frame_dhcp(q, 0, 1, 0, 0x56)), 0);
    cr_expect_eq(dhcp_type(), 2, "an offer");
    cr_expect_eq(be32(a + 42 + 16), GUEST_IP);
    cr_expect_eq(be32(a + 42 + 20), HOST_IP);
    cr_expect_str_eq((char *)a + 42 + 108, "boot.img");
    cr_expect_eq(memcmp(a + 42 + 4, "\x12\x34\x56\x78", 4), 0);
    cr_assert_gt(ask(frame_dhcp(q, 0, 3, GUEST_IP, 0x56)), 0);
    cr_expect_eq(dhcp_type(), 5, "an acknowledgement");
    cr_assert_gt(ask(frame_dhcp(q, 0, 1, 0, 0x57)), 0);
    cr_expect_eq(be32(a + 42 + 16), GUEST_IP + 1, "another client");
    cr_assert_gt(ask(frame_dhcp(q, 0, 3, GUEST_IP, 0x57)), 0);
    cr_expect_eq(dhcp_type(), 6, "who asks for another's address");
    cr_assert_gt(ask(frame_dhcp(q, 0, 3, 0x0A000202, 0x57)), 0);
    cr_expect_eq(dhcp_type(), 6, "or for the host's");
    cr_assert_gt(ask(frame_dhcp(q, GUEST_IP, 3, 0, 0x56)), 0);
    cr_expect_eq(dhcp_type(), 5, "renewed");
    cr_expect_eq(be32(a + 30), GUEST_IP, "to the client itself");
    cr_expect_eq(ask(frame_dhcp(q, GUEST_IP, 7, 0, 0x56)), 0, "released");
    cr_assert_gt(ask(frame_dhcp(q, 0, 3, GUEST_IP, 0x58)), 0);
    cr_expect_eq(dhcp_type(), 5);
    for (unsigned i = 0; i < USERNET_LEASES + 4; i++)
        ask(frame_dhcp(q, 0, 1, 0, (uint8_t)(0x60 + i)));
    cr_expect_eq(ask(frame_dhcp(q, 0, 1, 0, 0x99)), 0, "all are given away");
}

static uint32_t tftp(const void *data, uint32_t bytes)
{
    return ask(frame_udp(q, GUEST_IP, HOST_IP, 2000, 69, data, bytes));
}

static uint32_t tftp_ack(unsigned block)
{
    return tftp((uint8_t[]){0, 4, (uint8_t)(block >> 8), (uint8_t)block}, 4);
}

Test(usernet, tftp_in_blocks_of_512)
{
    uint32_t n = tftp("\0\1/sub/file\0OCTET\0", 18);
    for (unsigned block = 1; block <= 6; block++) {
        const uint32_t want = block < 6 ? 512 : 3000 - 5 * 512;
        cr_assert_eq(n, 46 + want);
        cr_expect_eq(be16(a + 42), 3);
        cr_expect_eq(be16(a + 44), block);
        cr_expect_eq(memcmp(a + 46, file + (block - 1) * 512, want), 0);
        cr_expect_eq(tftp_ack(block - 1), block == 1 ? 46 + want : 46 + want, "an old one: the block again");
        cr_expect_eq(be16(a + 44), block);
        n = tftp_ack(block);
    }
    cr_expect_eq(n, 0, "the end");
    cr_expect_eq(tftp_ack(6), 0, "is the end");
}

Test(usernet, tftp_of_whole_blocks_and_of_nothing)
{
    cr_expect_eq(tftp("\0\1whole\0octet\0", 14), 46 + 512);
    cr_expect_eq(tftp_ack(1), 46 + 512);
    cr_expect_eq(tftp_ack(2), 46, "a last one without data");
    cr_expect_eq(tftp_ack(3), 0);
    cr_expect_eq(tftp("\0\1empty\0octet\0", 14), 46);
    cr_expect_eq(tftp_ack(1), 0);
}

Test(usernet, tftp_options)
{
    cr_assert_gt(tftp("\0\1sub/file\0octet\0tsize\0"
                      "0\0blksize\0"
                      "1400\0windowsize\0"
                      "9\0",
                      51),
                 0);
    cr_expect_eq(be16(a + 42), 6);
    cr_expect_eq(be16(a + 38) - 8, 2 + 11 + 13);
    cr_expect_eq(memcmp(a + 44,
                        "tsize\0"
                        "3000\0blksize\0"
                        "1400",
                        24),
                 0);
    cr_expect_eq(tftp_ack(0), 46 + 1400);
    cr_expect_eq(tftp_ack(1), 46 + 1400);
    cr_expect_eq(tftp_ack(2), 46 + 200);
    cr_expect_eq(tftp("\0\5\0\0no\0", 7), 0, "an error ends it");
    cr_expect_eq(tftp_ack(2), 0);
}

Test(usernet, tftp_errors)
{
    cr_assert_gt(tftp("\0\1../passwd\0octet\0", 18), 0);
    cr_expect_eq(be32(a + 42), 5u << 16 | 1, "not found");
    cr_assert_gt(tftp("\0\2sub/file\0octet\0", 17), 0);
    cr_expect_eq(be32(a + 42), 5u << 16 | 2, "no writes");
    cr_assert_gt(tftp("\0\1sub/file\0netascii\0", 20), 0);
    cr_expect_eq(be32(a + 42), 5u << 16 | 4);
    cr_assert_gt(tftp("\0\1sub/file", 10), 0, "without an end");
    cr_expect_eq(be16(a + 42), 5);
}

Test(usernet, names_and_connections_are_refused)
{
    cr_assert_gt(
        ask(frame_udp(q, GUEST_IP, DNS_IP, 5000, 53, "\x12\x34\1\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1", 19)), 0);
    cr_expect_eq(be32(a + 42), 0x12348105);
    cr_expect_eq(be16(a + 36), 5000);
    cr_assert_eq(ask(frame_tcp(q, GUEST_IP, 0x01020304, 3000, 80, 77, 2)), 54);
    cr_expect_eq(a[47], 0x14);
    cr_expect_eq(be32(a + 42), 78, "SYN counts");
    cr_expect_eq(be32(a + 26), 0x01020304);
    cr_expect_eq(ask(frame_tcp(q, GUEST_IP, HOST_IP, 3000, 80, 77, 4)), 0, "no reset for a reset");
    cr_expect_eq(ask(frame_udp(q, GUEST_IP, 0x08080808, 5000, 9, "x", 1)), 0);
}

/* Frames of all services, cut, torn and with any byte changed: answers are frames, or none. */
Test(usernet, hostile_frames)
{
    uint32_t seed = 12345, n[8];
    uint8_t good[8][1600];
    n[0] = frame_arp(good[0], GUEST_IP, HOST_IP);
    n[1] = frame_dhcp(good[1], 0, 1, 0, 1);
    n[2] = frame_dhcp(good[2], 0, 3, GUEST_IP, 2);
    n[3] = frame_udp(good[3], GUEST_IP, HOST_IP, 2000, 69,
                     "\0\1sub/file\0octet\0blksize\0"
                     "600\0",
                     29);
    n[4] = frame_udp(good[4], GUEST_IP, HOST_IP, 2000, 69, "\0\4\0\1", 4);
    n[5] = frame_udp(good[5], GUEST_IP, DNS_IP, 5000, 53, "\x12\x34\1\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1", 19);
    n[6] = frame_tcp(good[6], GUEST_IP, HOST_IP, 3000, 80, 77, 2);
    memset(good[7] + 34, 8, 1472);
    n[7] = frame_ip(good[7], GUEST_IP, HOST_IP, 1, 1472);
    for (unsigned i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        const unsigned k = seed >> 29;
        uint32_t bytes = n[k];
        memcpy(q, good[k], bytes);
        for (unsigned hits = seed >> 8 & 3; hits; hits--) {
            seed = seed * 1664525 + 1013904223;
            q[(seed >> 8) % bytes] = (uint8_t)seed;
        }
        if (be16(q + 12) == 0x0800 && seed & 64) { /* past the first check */
            to_be16(q + 24, 0);
            to_be16(q + 24, ~sum_be16(q + 14, 20, 0));
        }
        bytes = seed & 1024 ? bytes : (seed >> 12) % (bytes + 1);
        usernet_backend.output(net, q, bytes, now_ns += seed >> 24);
        while (usernet_backend.next_ns(net) <= now_ns) {
            const uint32_t got = usernet_backend.take(net, a);
            cr_assert(got >= 14 && got <= 1514);
        }
        cr_assert(usernet_backend.loaded(net));
    }
}

Test(usernet, its_table_leaves_nothing_out)
{
    cr_expect_eq(fields_uncovered(usernet_fields, usernet_nfields, sizeof(struct usernet_state), 1),
                 sizeof(struct usernet_state));
}

/* In the middle of a transfer, with an answer on its way, into another network of the same configuration. */
Test(usernet, saved_and_loaded)
{
    struct state_part from, to;
    struct usernet *first = net;
    ask(frame_dhcp(q, 0, 3, GUEST_IP, 0x56));
    tftp("\0\1sub/file\0octet\0", 17);
    usernet_backend.output(net, q, frame_udp(q, GUEST_IP, HOST_IP, 2000, 69, "\0\4\0\1", 4), now_ns);
    make();
    cr_expect_eq(usernet_hash(net), usernet_hash(first));
    usernet_backend.part(first, &from);
    usernet_backend.part(net, &to);
    uint8_t *bytes = malloc(fields_bytes(from.fields, from.nfields)), *at = bytes;
    fields_put(from.fields, from.nfields, from.state, bytes);
    for (size_t i = 0; i < to.nfields; at += field_bytes(&to.fields[i++]))
        cr_assert(field_get(&to.fields[i], to.state, at));
    free(bytes);
    cr_assert(usernet_backend.loaded(net));
    cr_expect_eq(usernet_backend.next_ns(net), usernet_backend.next_ns(first));
    cr_expect_eq(usernet_backend.take(net, a), 46 + 512);
    cr_expect_eq(memcmp(a + 46, file + 512, 512), 0);
    cr_expect_eq(tftp_ack(2), 46 + 512, "it goes on");
    usernet_destroy(first);
}

Test(usernet, damaged_states_are_refused)
{
    struct state_part p;
    usernet_backend.part(net, &p);
    struct usernet_state *s = p.state, good = *s;
    s->count = 1;
    cr_expect_not(usernet_backend.loaded(net), "a frame without bytes");
    s->bytes[0] = 2000;
    s->due_ns[0] = 1;
    cr_expect_not(usernet_backend.loaded(net));
    *s = good;
    s->session[3] = (struct usernet_session){.peer = 1, .file = 3, .block_bytes = 512};
    cr_expect_not(usernet_backend.loaded(net), "there are three files");
    s->session[3].file = 2;
    s->session[3].block_bytes = 2000;
    cr_expect_not(usernet_backend.loaded(net));
    s->session[3].block_bytes = 512;
    cr_expect(usernet_backend.loaded(net));
}

Test(usernet, files_are_part_of_its_identity)
{
    const uint64_t before = usernet_hash(net);
    char why[256];
    usernet_destroy(net);
    make();
    cr_expect_eq(usernet_hash(net), before);
    usernet_destroy(net);
    put_file("whole", "other", 5);
    make();
    cr_expect_neq(usernet_hash(net), before);
    cfg.tftp = "/nowhere";
    cr_expect_null(usernet_create(&cfg, why, sizeof why));
    cr_expect_str_eq(why, "tftp=/nowhere: No such file or directory; a directory whose files can be read is "
                          "accepted");
    cfg.tftp = "/etc/passwd";
    cr_expect_null(usernet_create(&cfg, why, sizeof why));
}

Test(usernet, a_flood_is_dropped_and_counted)
{
    const uint32_t n = frame_arp(q, GUEST_IP, HOST_IP);
    for (unsigned i = 0; i < 100; i++)
        usernet_backend.output(net, q, n, now_ns);
    cr_expect_eq(usernet_dropped(net), 100 - USERNET_SLOTS);
    uint64_t last_ns = 0;
    for (unsigned i = 0; i < USERNET_SLOTS; i++) {
        cr_expect_gt(usernet_backend.next_ns(net), last_ns, "one after the other on the wire");
        last_ns = usernet_backend.next_ns(net);
        cr_expect_eq(usernet_backend.take(net, a), 60);
    }
    cr_expect_eq(usernet_backend.take(net, a), 0);
}
