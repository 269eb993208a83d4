/* fuzz_net.c - hostile guests, peers and options of networks: fuzz_net [SECONDS [SEED]].
 *
 * Frames of every service, cut, damaged and random, from a guest to the computed network and to libslirp
 * behind its filter; states of the computed network with random values; byte streams and datagrams of a peer;
 * texts of addresses. Every outcome is fine but a crash, a sanitizer's complaint, or an answer that is no
 * frame. Meant for the sanitizer build. */
#include "../unit/devthread/netframes.h"
#include "clockcore/ticks.h"
#include "devthread/hostio.h"
#include "devthread/net.h"
#include "devthread/usernet.h"
#include "hw/port.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KINDS 10

/* libslirp ends without freeing its TFTP transfers. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:g_malloc";
}

static uint64_t rng_state;
static uint8_t got[PORT_ENTRY_BYTES];

static uint32_t rng(uint32_t below)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (uint32_t)((rng_state >> 16) % below);
}

static void fail(const char *what)
{
    fprintf(stderr, "fuzz_net: %s\n", what);
    exit(1);
}

/* --- frames --- */

static uint32_t echo(uint8_t *f)
{
    const uint32_t bytes = 8 + rng(1465);
    memset(f + 34, (int)rng(256), bytes);
    memcpy(f + 34, "\x08\0\0\0", 4);
    to_be16(f + 36, ~sum_be16(f + 34, bytes, 0));
    return frame_ip(f, GUEST_IP, rng(2) ? HOST_IP : DNS_IP, 1, bytes);
}

static uint32_t noise(uint8_t *f)
{
    const uint32_t bytes = rng(1400);
    for (uint32_t i = 0; i < bytes; i++)
        f[34 + i] = (uint8_t)rng(256);
    return frame_ip(f, GUEST_IP, HOST_IP, rng(20), bytes);
}

static uint32_t good_frame(uint8_t f[2048])
{
    static const char read[] = "\0\1file\0octet\0tsize\0"
                               "0\0blksize\0"
                               "600\0";
    const uint8_t ack[4] = {0, 4, 0, (uint8_t)rng(4)};
    switch (rng(KINDS)) {
    case 0:
        return frame_arp(f, GUEST_IP, HOST_IP + rng(3));
    case 1:
        return frame_dhcp(f, rng(2) ? GUEST_IP : 0, rng(9), GUEST_IP + rng(20) - 2, (uint8_t)rng(40));
    case 2:
        return frame_udp(f, GUEST_IP, HOST_IP, 2000 + rng(10), 69, read, sizeof read - 1);
    case 3:
    case 4:
        return frame_udp(f, GUEST_IP, HOST_IP, 2000 + rng(10), 69, ack, 4);
    case 5:
        return frame_udp(f, GUEST_IP, DNS_IP, 5000, 53, "\x12\x34\1\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1", 19);
    case 6:
        return frame_tcp(f, GUEST_IP, 0x0A000264, 3000 + rng(4), 80, rng(100), rng(64));
    case 7:
        return frame_tcp(f, GUEST_IP, 0x08080808, 3000, 80, 77, 2);
    case 8:
        return echo(f);
    default:
        return noise(f);
    }
}

/* In an allocation of its exact size, so that reading beyond it is noticed. */
static uint8_t *frame_made(uint32_t *bytes)
{
    uint8_t f[2048] = {0};
    *bytes = good_frame(f);
    for (uint32_t hits = rng(4); hits; hits--)
        f[rng(*bytes)] = (uint8_t)rng(256);
    if (rng(2) && be16(f + 12) == 0x0800) { /* past the first checks */
        to_be16(f + 24, 0);
        to_be16(f + 24, ~sum_be16(f + 14, 20, 0));
    }
    if (rng(8) == 0)
        *bytes = rng(*bytes + 1);
    uint8_t *copy = malloc(*bytes ? *bytes : 1);
    memcpy(copy, f, *bytes);
    return copy;
}

/* --- the computed network --- */

static struct usernet *computed;
static uint64_t now_ns;

static void take_answers(void)
{
    while (usernet_backend.next_ns(computed) <= now_ns) {
        const uint32_t n = usernet_backend.take(computed, got);
        if (n < NET_FRAME_MIN || n > USERNET_FRAME_BYTES)
            fail("an answer that is no frame");
    }
}

static void try_computed(void)
{
    uint32_t bytes;
    uint8_t *f = frame_made(&bytes);
    usernet_backend.output(computed, f, bytes, now_ns += rng(200000));
    free(f);
    take_answers();
    if (!usernet_backend.loaded(computed))
        fail("a state that it would not load");
}

/* What is loaded is any state that its table and itself let pass. */
static void try_state(void)
{
    struct state_part p;
    usernet_backend.part(computed, &p);
    struct usernet_state *s = p.state, *saved = malloc(sizeof *s);
    memcpy(saved, s, sizeof *s);
    for (uint32_t hits = 1 + rng(8); hits; hits--)
        ((uint8_t *)s)[rng(offsetof(struct usernet_state, frame))] = (uint8_t)rng(256);
    if (s->head < USERNET_SLOTS && s->count <= USERNET_SLOTS && usernet_backend.loaded(computed)) {
        const uint64_t before_ns = now_ns;
        for (unsigned i = 0; i < 20; i++) {
            uint32_t bytes;
            uint8_t *f = frame_made(&bytes);
            usernet_backend.output(computed, f, bytes, now_ns);
            free(f);
            usernet_backend.take(computed, got);
        }
        now_ns = before_ns;
    }
    memcpy(s, saved, sizeof *s);
    free(saved);
}

/* --- the host's networks --- */

static struct hostio *h;
static struct net *user, *listener, *datagrams;
static int peer = -1, sender;
static struct sockaddr_in at = {.sin_family = AF_INET}, udp_at = {.sin_family = AF_INET};

static void try_user(void)
{
    uint32_t bytes;
    uint8_t *f = frame_made(&bytes);
    net_backend.step(user, now_ns += rng(5000000));
    net_backend.output(user, f, bytes);
    free(f);
    hostio_wait(h, HOSTIO_SERVICE, 0);
    net_backend.input_take(user, got, PORT_ENTRY_BYTES);
}

static void try_stream(void)
{
    uint8_t bytes[256];
    uint32_t n = 1 + rng(sizeof bytes);
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(rng(3) ? 0 : rng(256));
    if (peer < 0) {
        peer = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(peer, (struct sockaddr *)&at, sizeof at) != 0)
            fail("the listener is gone");
    }
    if (send(peer, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 || rng(20) == 0) {
        close(peer);
        peer = -1;
    }
    sendto(sender, bytes, rng(n), MSG_DONTWAIT, (struct sockaddr *)&udp_at, sizeof udp_at);
    hostio_wait(h, HOSTIO_SERVICE, 0);
    net_backend.output(listener, bytes, n);
    net_backend.input_take(listener, got, PORT_ENTRY_BYTES);
    net_backend.input_take(datagrams, got, PORT_ENTRY_BYTES);
}

static void try_text(void)
{
    static const char piece[] = "0123456789.:-/tcpudmxni%\xff";
    char text[64];
    uint32_t n = rng(sizeof text), net, mask;
    struct net_forward f;
    struct net_guest_forward g;
    uint8_t mac[6];
    for (uint32_t i = 0; i < n; i++)
        text[i] = piece[rng(sizeof piece - 1)];
    text[n] = 0;
    netaddr_parse_forward(text, &f);
    netaddr_parse_forward_host(text, &f);
    netaddr_parse_guest_forward(text, &g);
    netaddr_parse_net(text, &net, &mask);
    netaddr_parse_mac(text, mac);
}

/* --- */

static char dir[] = "/tmp/tandem-fuzz-net-XXXXXX", path[64];

static void open_computed(void)
{
    struct net_user u;
    char why[256];
    if (!mkdtemp(dir))
        fail("no temporary directory");
    snprintf(path, sizeof path, "%s/file", dir);
    FILE *f = fopen(path, "w");
    if (!f)
        fail(path);
    for (unsigned i = 0; i < 2000; i++)
        fputc((int)i & 255, f);
    fclose(f);
    net_user_init(&u);
    u.restricted = true;
    u.tftp = dir;
    net_user_complete(&u);
    computed = usernet_create(&u, why, sizeof why);
    if (!computed)
        fail(why);
}

static struct net *open_net(const struct net_config *c)
{
    const struct net_env env = {.hostio = h};
    char why[NET_ERR_BYTES];
    struct net *n = net_open(c, &env, why, sizeof why);
    if (!n)
        fail(why);
    return n;
}

static uint16_t free_port(int type, struct sockaddr_in *a)
{
    socklen_t bytes = sizeof *a;
    int fd = socket(AF_INET, type, 0);
    a->sin_addr.s_addr = htonl(NETADDR_LOOPBACK);
    a->sin_port = 0;
    if (bind(fd, (struct sockaddr *)a, bytes) != 0 || getsockname(fd, (struct sockaddr *)a, &bytes) != 0)
        fail("no port of the loopback");
    close(fd);
    return ntohs(a->sin_port);
}

static void open_nets(void)
{
    struct net_config c = {.kind = NET_USER, .option = "user"};
    h = hostio_create();
    net_user_init(&c.user);
    c.user.restricted = true;
    c.user.tftp = dir;
    c.user.guest_forward[c.user.nguest_forwards++] =
        (struct net_guest_forward){.server = {0x0A000264, 80}, .what = "/nowhere"};
    net_user_complete(&c.user);
    user = open_net(&c);
    c = (struct net_config){.kind = NET_SOCKET, .option = "socket", .socket.kind = NET_LISTEN};
    c.socket.remote = (struct net_endpoint){NETADDR_LOOPBACK, free_port(SOCK_STREAM, &at)};
    listener = open_net(&c);
    c.socket.kind = NET_UDP;
    c.socket.local = (struct net_endpoint){NETADDR_LOOPBACK, free_port(SOCK_DGRAM, &udp_at)};
    datagrams = open_net(&c);
    sender = socket(AF_INET, SOCK_DGRAM, 0);
}

int main(int argc, char **argv)
{
    const time_t end = time(NULL) + (argc > 1 ? strtol(argv[1], NULL, 10) : 10);
    static void (*const tries[])(void) = {try_computed, try_computed, try_computed, try_user,
                                          try_stream,   try_text,     try_state};
    uint64_t rounds = 0;
    rng_state = argc > 2 ? strtoull(argv[2], NULL, 0) * 2 + 1 : 1;
    open_computed();
    open_nets();
    for (; time(NULL) < end; rounds++)
        tries[rng(sizeof tries / sizeof *tries)]();
    net_close(user);
    net_close(listener);
    net_close(datagrams);
    hostio_destroy(h);
    usernet_destroy(computed);
    unlink(path);
    rmdir(dir);
    printf("fuzz_net: %llu rounds\n", (unsigned long long)rounds);
    return 0;
}
