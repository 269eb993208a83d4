/* The host's networks: sockets between two of them, hostile peers, full queues; the user network's answers;
 * and addresses as options write them. */
#include "devthread/hostio.h"
#include "devthread/net.h"
#include "hw/port.h"
#include "netframes.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct hostio *h;
static char notice[512];
static uint8_t frame[NET_FRAME_BYTES], got[PORT_ENTRY_BYTES];

static void on_notice(void *ctx, const char *line)
{
    snprintf(notice, sizeof notice, "%s", line);
}

static void setup(void)
{
    cr_assert(h = hostio_create());
}

static void teardown(void)
{
    hostio_destroy(h);
}

TestSuite(net, .init = setup, .fini = teardown);

static struct net *open_net(const struct net_config *c)
{
    const struct net_env env = {.hostio = h, .notice = on_notice};
    char err[NET_ERR_BYTES] = "";
    struct net *n = net_open(c, &env, err, sizeof err);
    cr_assert(n, "%s", err);
    return n;
}

/* A port of the loopback that nobody has right now. */
static uint16_t free_port(int type)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(NETADDR_LOOPBACK)};
    socklen_t bytes = sizeof a;
    int fd = socket(AF_INET, type, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, bytes), 0);
    getsockname(fd, (struct sockaddr *)&a, &bytes);
    close(fd);
    return ntohs(a.sin_port);
}

static struct net_config socket_config(enum net_socket_kind kind, uint16_t port)
{
    return (struct net_config){.kind = NET_SOCKET,
                               .option = "-netdev socket",
                               .socket = {.kind = kind, .remote = {NETADDR_LOOPBACK, port}}};
}

/* Looks after the host until a frame has come; 0: none did. */
static uint32_t receive(struct net *n)
{
    for (unsigned i = 0; i < 200; i++) {
        if (net_backend.input_waiting(n, PORT_ENTRY_BYTES))
            return net_backend.input_take(n, got, PORT_ENTRY_BYTES);
        hostio_wait(h, HOSTIO_SERVICE, 10000000);
    }
    return 0;
}

static void look(void)
{
    for (unsigned i = 0; i < 20; i++)
        hostio_wait(h, HOSTIO_SERVICE, 1000000);
}

static void fill(uint32_t bytes, unsigned with)
{
    for (uint32_t i = 0; i < bytes; i++)
        frame[i] = (uint8_t)(i * with + (i >> 8));
}

static void frames_cross(struct net *from, struct net *to)
{
    static const uint32_t sizes[] = {14, 60, 1514, 9000, NET_FRAME_BYTES};
    for (unsigned i = 0; i < 5; i++) {
        fill(sizes[i], i + 3);
        net_backend.output(from, frame, sizes[i]);
        cr_assert_eq(receive(to), sizes[i]);
        cr_expect_eq(memcmp(got, frame, sizes[i]), 0);
    }
}

Test(net, a_listener_and_who_connects)
{
    const uint16_t port = free_port(SOCK_STREAM);
    struct net_config c = socket_config(NET_LISTEN, port);
    struct net_stats s;
    struct net *a = open_net(&c), *b;
    net_backend.output(a, frame, 60);
    net_get_stats(a, &s);
    cr_expect_eq(s.dropped_to_host, 1, "nobody is there");
    c.socket.kind = NET_CONNECT;
    b = open_net(&c);
    look();
    frames_cross(a, b);
    frames_cross(b, a);
    net_backend.output(a, frame, 13);
    net_get_stats(a, &s);
    cr_expect_eq(s.dropped_to_host, 2, "no frame");
    net_close(b);
    look();
    cr_expect_str_eq(notice, "-netdev socket: the peer went away; the next one is waited for");
    b = open_net(&c);
    look();
    frames_cross(b, a);
    net_close(a);
    look();
    net_backend.output(b, frame, 60);
    net_get_stats(b, &s);
    cr_expect_eq(s.dropped_to_host, 1);
    net_close(b);
}

Test(net, datagrams)
{
    const uint16_t pa = free_port(SOCK_DGRAM), pb = free_port(SOCK_DGRAM);
    struct net_config ca = socket_config(NET_UDP, pb), cb = socket_config(NET_UDP, pa);
    ca.socket.local = (struct net_endpoint){NETADDR_LOOPBACK, pa};
    cb.socket.local = (struct net_endpoint){NETADDR_LOOPBACK, pb};
    struct net *a = open_net(&ca), *b = open_net(&cb);
    fill(1514, 5);
    net_backend.output(a, frame, 1514);
    cr_assert_eq(receive(b), 1514);
    cr_expect_eq(memcmp(got, frame, 1514), 0);
    net_backend.output(b, frame, 60);
    cr_assert_eq(receive(a), 60);
    net_close(a);
    net_close(b);
}

Test(net, a_group_hears_others_not_itself)
{
    struct net_config c = socket_config(NET_MCAST, free_port(SOCK_DGRAM));
    c.socket.remote.address = 0xE6000001; /* 230.0.0.1 */
    c.socket.local.address = NETADDR_LOOPBACK;
    struct net *n[3];
    for (unsigned i = 0; i < 3; i++)
        n[i] = open_net(&c);
    net_backend.output(n[1], frame, 100);
    cr_expect_eq(receive(n[0]), 100);
    cr_expect_eq(receive(n[2]), 100);
    cr_expect_not(net_backend.input_waiting(n[1], PORT_ENTRY_BYTES));
    for (unsigned i = 0; i < 3; i++)
        net_close(n[i]);
}

static int peer_of(struct net *a, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(NETADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    look();
    return fd;
}

Test(net, hostile_peers)
{
    static const uint32_t lengths[] = {0, NET_FRAME_BYTES + 1, 0x7FFFFFFF, 0xFFFFFFFF};
    const uint16_t port = free_port(SOCK_STREAM);
    struct net_config c = socket_config(NET_LISTEN, port);
    struct net *a = open_net(&c);
    uint8_t head[4];
    for (unsigned i = 0; i < 4; i++) {
        const int fd = peer_of(a, port);
        to_be32(head, lengths[i]);
        cr_assert_eq(send(fd, head, 4, 0), 4);
        look();
        cr_expect_str_eq(notice,
                         "-netdev socket: the peer sent a length that no frame has; the next one is waited "
                         "for");
        cr_expect_leq(recv(fd, head, 4, 0), 0, "it is gone");
        close(fd);
    }
    const int fd = peer_of(a, port); /* byte by byte, and one too short */
    const uint8_t good[] = {0, 0, 0,  13, 1, 2, 3, 4, 5, 6, 7, 8, 9,  10, 11, 12, 13, 0,
                            0, 0, 15, 1,  2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (unsigned i = 0; i < sizeof good; i++) {
        cr_assert_eq(send(fd, good + i, 1, 0), 1);
        hostio_wait(h, HOSTIO_SERVICE, 1000000);
    }
    cr_expect_eq(receive(a), 15);
    close(fd);
    net_close(a);
}

/* Random bytes are frames, or the end of the connection. */
Test(net, random_streams)
{
    const uint16_t port = free_port(SOCK_STREAM);
    struct net_config c = socket_config(NET_LISTEN, port);
    struct net *a = open_net(&c);
    uint32_t seed = 99;
    uint8_t bytes[512];
    for (unsigned round = 0; round < 60; round++) {
        const int fd = peer_of(a, port);
        for (unsigned i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = i % 64 < 3 ? 0 : (uint8_t)(seed >> 24);
        }
        send(fd, bytes, 1 + (seed >> 20) % sizeof bytes, MSG_NOSIGNAL);
        look();
        close(fd);
        look();
    }
    net_close(a);
}

/* Who does not read does not stop the guest; a guest that does not take frames loses the later ones. */
Test(net, full_queues)
{
    const uint16_t port = free_port(SOCK_STREAM);
    struct net_config c = socket_config(NET_LISTEN, port);
    struct net *a = open_net(&c);
    struct net_stats s;
    const int fd = peer_of(a, port);
    for (unsigned i = 0; i < 20000; i++)
        net_backend.output(a, frame, 1514);
    net_get_stats(a, &s);
    cr_expect_gt(s.dropped_to_host, 0);
    to_be32(frame, 60);
    unsigned sent = 0;
    while (send(fd, frame, 64, MSG_DONTWAIT) == 64 && sent < 1000000) {
        sent++;
        hostio_wait(h, HOSTIO_SERVICE, 0);
    }
    cr_expect_lt(sent, 1000000, "the rest stays with the kernel: the stream waits");
    for (unsigned i = 0; i < sent; i++)
        cr_assert_eq(receive(a), 60);
    close(fd);
    net_close(a);
}

static struct net_config user_config(bool restricted)
{
    struct net_config c = {.kind = NET_USER, .option = "-netdev user"};
    net_user_init(&c.user);
    c.user.restricted = restricted;
    c.user.guest_forward[c.user.nguest_forwards++] =
        (struct net_guest_forward){.server = {0x0A000264, 80}, .command = true, .what = "cat"};
    cr_assert(net_user_complete(&c.user));
    return c;
}

Test(net, user_answers_arp_and_dhcp)
{
    struct net_config c = user_config(false);
    struct net *n = open_net(&c);
    net_backend.step(n, 1000000);
    net_backend.output(n, frame, frame_arp(frame, GUEST_IP, HOST_IP));
    cr_assert_geq(receive(n), 42);
    cr_expect_eq(be16(got + 20), 2);
    net_backend.output(n, frame, frame_dhcp(frame, 0, 1, 0, 0x56));
    cr_assert_gt(receive(n), 282);
    cr_expect_eq(got[42 + 242], 2);
    cr_expect_eq(be32(got + 42 + 16), GUEST_IP);
    net_close(n);
}

Test(net, user_forwards_come_and_go)
{
    struct net_config c = user_config(true);
    struct net *n = open_net(&c);
    struct net_forward f;
    char text[64], what[2048];
    snprintf(text, sizeof text, ":127.0.0.1:%u-:7", free_port(SOCK_STREAM));
    cr_assert(netaddr_parse_forward(text, &f));
    cr_assert(net_forward_add(n, &f));
    cr_expect_not(net_forward_add(n, &f), "it is taken");
    net_describe(n, what, sizeof what);
    cr_expect(strstr(what, "HOST_FORWARD"));
    net_backend.output(n, frame, frame_arp(frame, GUEST_IP, HOST_IP));
    cr_assert_geq(receive(n), 42);
    const int fd = peer_of(n, f.host.port);
    uint32_t bytes;
    while ((bytes = receive(n)) && !(be16(got + 12) == 0x0800 && got[23] == 6))
        continue;
    cr_assert_geq(bytes, 54);
    cr_expect_eq(got[47], 2, "a connection of the host's becomes a SYN");
    cr_expect_eq(be16(got + 36), 7);
    close(fd);
    cr_assert(net_forward_remove(n, &f));
    cr_expect_not(net_forward_remove(n, &f));
    net_close(n);
}

Test(net, user_takes_hostile_frames)
{
    struct net_config c = user_config(true);
    struct net *n = open_net(&c);
    uint32_t seed = 7;
    uint8_t good[2][600];
    const uint32_t bytes[2] = {frame_dhcp(good[0], 0, 3, GUEST_IP, 2),
                               frame_tcp(good[1], GUEST_IP, 0x0A000264, 3000, 80, 77, 2)};
    for (unsigned i = 0; i < 5000; i++) {
        memcpy(frame, good[i & 1], bytes[i & 1]);
        for (unsigned k = 0; k < 3; k++) {
            seed = seed * 1664525 + 1013904223;
            frame[(seed >> 8) % bytes[i & 1]] = (uint8_t)seed;
        }
        to_be16(frame + 24, 0);
        to_be16(frame + 24, ~sum_be16(frame + 14, 20, 0));
        net_backend.output(n, frame, i % 5 ? bytes[i & 1] : (seed >> 12) % (bytes[i & 1] + 1));
        hostio_wait(h, HOSTIO_SERVICE, 0);
        net_backend.input_take(n, got, PORT_ENTRY_BYTES);
    }
    net_close(n);
}

Test(net, what_the_host_refuses)
{
    struct net_config c = socket_config(NET_CONNECT, free_port(SOCK_STREAM));
    const struct net_env env = {.hostio = h};
    char err[NET_ERR_BYTES];
    cr_expect_null(net_open(&c, &env, err, sizeof err));
    cr_expect(strncmp(err, "-netdev socket: 127.0.0.1:", 26) == 0 && strstr(err, "Connection refused"), "%s",
              err);
    c = (struct net_config){.kind = NET_TAP, .option = "-netdev tap", .ifname = "no/such:name"};
    cr_expect_null(net_open(&c, &env, err, sizeof err));
    cr_expect(strncmp(err, "-netdev tap: /dev/net/tun", 25) == 0, "%s", err);
}

Test(netaddr, what_is_understood)
{
    struct net_forward f;
    struct net_guest_forward g;
    struct net_endpoint at;
    uint32_t net, mask;
    uint8_t mac[6];
    cr_assert(netaddr_parse_forward("tcp::2222-:22", &f));
    cr_expect(!f.udp && f.host.address == NETADDR_LOOPBACK && f.host.port == 2222 && f.guest.port == 22 &&
              !f.guest.address);
    cr_assert(netaddr_parse_forward("udp:0.0.0.0:53-10.0.2.20:5353", &f));
    cr_expect(f.udp && f.host.address == 0 && f.guest.address == 0x0A000214);
    cr_expect(netaddr_parse_forward("::1-:65535", &f));
    cr_assert(netaddr_parse_guest_forward("tcp:10.0.2.100:80-cmd:cat x-y", &g));
    cr_expect(g.command && strcmp(g.what, "cat x-y") == 0);
    cr_assert(netaddr_parse_net("192.168.7.0/24", &net, &mask));
    cr_expect(net == 0xC0A80700 && mask == 0xFFFFFF00);
    cr_assert(netaddr_parse_net("10.0.0.0", &net, &mask));
    cr_expect_eq(mask, 0xFF000000);
    cr_assert(netaddr_parse_net("10.1.0.0/255.255.0.0", &net, &mask));
    cr_expect_eq(mask, 0xFFFF0000);
    cr_expect(netaddr_parse_endpoint("1.2.3.4:80", 0, &at));
    cr_assert(netaddr_parse_mac("52-54-00-Aa-bB-cC", mac));
    cr_expect_eq(memcmp(mac, "\x52\x54\0\xAA\xBB\xCC", 6), 0);
}

Test(netaddr, what_is_refused)
{
    static const char *const forwards[] = {
        "",
        ":",
        "tcp",
        "tcp:",
        "tcp:22-22",
        "tcp::22",
        "tcp::22-",
        "tcp::0-:1",
        "tcp::65536-:1",
        "tcp::22-:22x",
        "sctp::22-:22",
        "tcp:host:22-:22",
        "tcp:1.2.3:22-:22",
        "tcp::-1-:22",
        "tcp::22-:",
        "tcp::22-::22",
        "tcp:::22-:22",
        "tcp:1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21:22-:22"};
    static const char *const nets[] = {"",          "10.0.2.1/24", "10.0.2.0/33",          "10.0.2.0/29",
                                       "10.0.2.0/", "10.0.2.0/-1", "10.0.2.0/255.0.255.0", "10.0.2.0/0",
                                       "10/8"};
    static const char *const macs[] = {"",
                                       "52:54:00:12:34",
                                       "52:54:00:12:34:5g",
                                       "53:54:00:12:34:56",
                                       "52:54:00:12:34:56:78",
                                       "525400123456",
                                       "ff:ff:ff:ff:ff:ff"};
    struct net_forward f;
    uint32_t net, mask;
    uint8_t mac[6];
    struct net_guest_forward g;
    for (unsigned i = 0; i < sizeof forwards / sizeof *forwards; i++)
        cr_expect_not(netaddr_parse_forward(forwards[i], &f), "%s", forwards[i]);
    for (unsigned i = 0; i < sizeof nets / sizeof *nets; i++)
        cr_expect_not(netaddr_parse_net(nets[i], &net, &mask), "%s", nets[i]);
    for (unsigned i = 0; i < sizeof macs / sizeof *macs; i++)
        cr_expect_not(netaddr_parse_mac(macs[i], mac), "%s", macs[i]);
    cr_expect_not(netaddr_parse_guest_forward("tcp:10.0.2.100:80-tcp:1.2.3.4:5", &g));
    cr_expect_not(netaddr_parse_guest_forward("udp:10.0.2.100:80-cmd:x", &g));
    cr_expect_not(netaddr_parse_guest_forward("tcp::80-cmd:x", &g));
    cr_expect_not(netaddr_parse_guest_forward("tcp:10.0.2.100:80-cmd:", &g));
}
