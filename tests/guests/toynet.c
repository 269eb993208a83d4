/* toynet.c - networks as a guest sees them, through the toy PCI device (hw/toypci.c), whose frames need no
 * ring.
 *
 * role=0: what the network of restrict=on answers: DHCP, ARP, ping, TFTP of "file", a refused connection.
 * role=1 sends `frames` frames to the machine at the other end of a socket, role=2 sends them back.
 * role=3: gets an address, prints "ready" and sends `frames` datagrams to UDP port 7 back.
 * role=4: keeps a TCP connection to `port` of the host that answers DHCP, on which it says "N\n" and waits
 * for the same back, `frames` times; a connection that is reset is made anew, and "reset" printed.
 * role=5: is 10.77.0.2, pings 10.77.0.1 with `frames` lengths, then does as role=3.
 * Arrival times go into `hash`, which digests compare too. */
#include "netstack.h"

#define REG_STATUS 0x04
#define REG_CLEAR  0x08
#define REG_SEND   0x30
#define REG_FRAME  0x34
#define RAM_AT     0x800
#define FRAME_AT   1024
#define FRAME      8u
#define SLOT       (0x80000000u | 4u << 11)
#define MEM_AT     0xE0000000u

static uint32_t hash = 2166136261u;

static void mix(uint32_t v)
{
    hash = (hash ^ v) * 16777619u;
    hash ^= hash >> 15;
}

static volatile uint32_t *reg(uint32_t offset)
{
    return (volatile uint32_t *)(MEM_AT + offset);
}

static void net_send(const uint8_t *frame, unsigned bytes)
{
    uint32_t word;
    for (unsigned i = 0; i < bytes; i += 4) {
        memcpy(&word, frame + i, 4);
        *reg(RAM_AT + i) = word;
    }
    *reg(REG_SEND) = bytes;
}

static unsigned net_receive(uint8_t frame[FRAME_MAX])
{
    const unsigned bytes = *reg(REG_FRAME);
    if (!bytes)
        return 0;
    mix((uint32_t)rdtsc());
    for (unsigned i = 0; i < bytes; i += 4) {
        const uint32_t word = *reg(RAM_AT + FRAME_AT + i);
        memcpy(frame + i, &word, 4);
        mix(word);
    }
    *reg(REG_CLEAR) = FRAME;
    *reg(REG_FRAME) = 0;
    return bytes;
}

static void config(uint32_t at, uint32_t v)
{
    outl(0xCF8, SLOT | at);
    outl(0xCFC, v);
}

#define TCP_PORT 3000
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

/* `bytes` are at out + 54 already. */
static void send_tcp(unsigned port, uint32_t seq, uint32_t ack, unsigned flags, unsigned bytes)
{
    uint8_t *tcp = out + 34;
    uint8_t pseudo[12];
    memset(tcp, 0, 20);
    to_be16(tcp, TCP_PORT);
    to_be16(tcp + 2, port);
    to_be32(tcp + 4, seq);
    to_be32(tcp + 8, ack);
    tcp[12] = 0x50;
    tcp[13] = (uint8_t)flags;
    to_be16(tcp + 14, 1000);
    to_be32(pseudo, my_ip);
    to_be32(pseudo + 4, host_ip);
    to_be32(pseudo + 8, 6u << 16 | (20 + bytes));
    to_be16(tcp + 16, ~sum_be16(tcp, 20 + bytes, sum_be16(pseudo, 12, 0)) & 0xFFFF);
    send_ip(host_mac, my_ip, host_ip, 6, 20 + bytes);
}

static void connection_refused(void)
{
    send_tcp(80, 1000, 0, SYN, 0);
    EXPECT(receive(1000) >= 54);
    EXPECT_EQ(in[23], 6);
    EXPECT_EQ(in[47], 0x14); /* RST, ACK */
    EXPECT_EQ(be32(in + 42), 1001);
}

static void services(void)
{
    uint32_t sum = 0;
    EXPECT(dhcp());
    EXPECT_EQ(my_ip, 0x0A00020F);
    EXPECT_EQ(host_ip, 0x0A000202);
    EXPECT(resolve(host_ip));
    EXPECT(!resolve(0x0A000263));
    EXPECT(resolve(host_ip));
    for (unsigned i = 1; i < 20; i++)
        EXPECT(ping(host_ip, i, 8 + i * 50));
    const int bytes = tftp("file", &sum);
    print("file %d bytes sum %x\n", bytes, sum);
    EXPECT_EQ((unsigned)tftp("nothing", &sum), (unsigned)-1);
    connection_refused();
}

static bool link_answer(uint32_t number)
{
    while (receive(200))
        if (be16(in + 12) == 0x88B5 && be32(in + 14) == number)
            return true;
    return false;
}

/* Until the other end is there, frames are lost: then they are sent again. */
static void link_send(unsigned frames)
{
    my_mac[5] = 1;
    for (unsigned i = 1, tries = 0; i <= frames && tries < 1000; tries++) {
        put_ether(broadcast_mac, 0x88B5); /* for experiments (IEEE 802) */
        to_be32(out + 14, i);
        for (unsigned k = 18; k < 60 + i % 900; k++)
            out[k] = (uint8_t)(k * i);
        net_send(out, 60 + i % 900);
        if (!link_answer(i))
            continue;
        EXPECT_EQ(memcmp(in + 18, out + 18, 42 + i % 900), 0);
        i++;
    }
    put_ether(broadcast_mac, 0x88B6);
    net_send(out, 60);
}

static void link_echo(void)
{
    unsigned n;
    my_mac[5] = 2;
    while ((n = receive(60000)) && be16(in + 12) != 0x88B6) {
        memcpy(out, in, n);
        memcpy(out + 6, my_mac, 6);
        net_send(out, n);
    }
    EXPECT(n > 0);
}

/* The host may be late, and says other things, too: a ping is repeated. */
static bool pinged(unsigned number)
{
    for (unsigned tries = 0; tries < 100; tries++)
        if (ping(host_ip, number, 8 + number * 200 % 960))
            return true;
    return false;
}

static void addressed(unsigned pings)
{
    unsigned tries = 0;
    my_ip = 0x0A4D0002;
    host_ip = 0x0A4D0001;
    while (!resolve(host_ip) && tries < 100)
        tries++;
    for (unsigned i = 1; i <= pings; i++)
        EXPECT(pinged(i));
    print("%u pings\n", pings);
}

static void udp_echo(unsigned frames)
{
    EXPECT(resolve(host_ip));
    print("ready\n");
    for (unsigned i = 0; i < frames; i++) {
        const unsigned n = receive_udp(7, 600000);
        EXPECT(n > 0);
        memcpy(out + 42, in + 42, n);
        send_udp(in + 6, be32(in + 26), 7, be16(in + 34), n);
    }
}

/* A segment for us: its flags, its data's bytes, at in + 54; 0: none comes. */
static unsigned receive_tcp(unsigned ms, unsigned *bytes)
{
    for (unsigned n; (n = receive(ms));)
        if (n >= 54 && be16(in + 12) == 0x0800 && in[23] == 6 && be16(in + 36) == TCP_PORT) {
            *bytes = be16(in + 16) - 20 - (in[46] >> 4) * 4;
            for (unsigned i = 0, from = 34 + (in[46] >> 4) * 4; i < *bytes; i++)
                in[54 + i] = in[from + i];
            return in[47];
        }
    return 0;
}

static uint32_t tcp_seq, tcp_ack;

static void connect(unsigned port)
{
    unsigned bytes, flags = RST;
    for (unsigned tries = 0; flags != (SYN | ACK) && tries < 1000; tries++) {
        if (flags & RST) /* nobody is there yet */
            tcp_seq = (uint32_t)rdtsc();
        send_tcp(port, tcp_seq, 0, SYN, 0);
        flags = receive_tcp(1000, &bytes);
        if (flags && be32(in + 42) != tcp_seq + 1)
            flags = 0; /* of the connection before */
    }
    EXPECT_EQ(flags, SYN | ACK);
    tcp_ack = be32(in + 38) + 1;
    send_tcp(port, ++tcp_seq, tcp_ack, ACK, 0);
}

/* What has been said comes back, in pieces or whole. False: the connection is gone. */
static bool echoed(unsigned port, const char *line, unsigned length)
{
    unsigned bytes, got = 0;
    for (unsigned tries = 0; got < length && tries < 600;) {
        if (got == 0 && tries % 10 == 0) {
            memcpy(out + 54, line, length);
            send_tcp(port, tcp_seq, tcp_ack, PSH | ACK, length);
        }
        const unsigned flags = receive_tcp(100, &bytes);
        if (flags & RST)
            return false;
        tries += !flags;
        if (!flags || be32(in + 38) != tcp_ack || bytes > length - got)
            continue;
        EXPECT_EQ(memcmp(in + 54, line + got, bytes), 0);
        got += bytes;
        tcp_ack += bytes + !!(flags & FIN);
        if (bytes)
            send_tcp(port, tcp_seq + length, tcp_ack, ACK, 0);
    }
    EXPECT_EQ(got, length);
    tcp_seq += length;
    return true;
}

static void stream(unsigned port, unsigned lines)
{
    EXPECT(dhcp());
    EXPECT(resolve(host_ip));
    connect(port);
    for (unsigned i = 0; i < lines && !failures;) {
        char line[8] = "000000\n";
        for (unsigned k = 5, v = i; v; v /= 10)
            line[k--] = (char)('0' + v % 10);
        if (echoed(port, line, 7)) {
            i++;
            continue;
        }
        print("reset\n");
        connect(port);
    }
}

int guest_main(void)
{
    config(0x10, MEM_AT);
    config(0x14, 0xC000);
    config(0x04, 7);
    const unsigned role = option("role", 0), frames = option("frames", 20);
    if (role == 0)
        services();
    else if (role == 1)
        link_send(frames);
    else if (role == 2)
        link_echo();
    else if (role == 4)
        stream(option("port", 7), frames);
    else {
        if (role == 5)
            addressed(frames);
        else
            EXPECT(dhcp());
        udp_echo(frames);
    }
    print("hash %x tsc %X\n", hash, rdtsc());
    return (int)failures;
}
