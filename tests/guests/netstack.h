/* netstack.h - as much of a network's protocols as the test guests need; the card is the includer's, who
 * defines net_send and net_receive. Numbers are in network order on the wire only. */
#ifndef TANDEM_TESTS_GUESTS_NETSTACK_H
#define TANDEM_TESTS_GUESTS_NETSTACK_H

#include "../netbytes.h"
#include "rt.h"

#define FRAME_MAX 1514

/* The includer's. net_receive: 0 if no frame has come. */
static void net_send(const uint8_t *frame, unsigned bytes);
static unsigned net_receive(uint8_t frame[FRAME_MAX]);

static uint8_t my_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
static uint8_t host_mac[6];
static uint32_t my_ip, host_ip;
static uint8_t in[FRAME_MAX], out[FRAME_MAX];
static const uint8_t broadcast_mac[6] = {255, 255, 255, 255, 255, 255};

static uint32_t checksum(const uint8_t *p, unsigned bytes)
{
    return ~sum_be16(p, bytes, 0) & 0xFFFF;
}

static void put_ether(const uint8_t *to, unsigned type)
{
    memcpy(out, to, 6);
    memcpy(out + 6, my_mac, 6);
    to_be16(out + 12, type);
}

/* `bytes` are at out + 34 already. */
static void send_ip(const uint8_t *mac, uint32_t from, uint32_t to, unsigned protocol, unsigned bytes)
{
    put_ether(mac, 0x0800);
    memset(out + 14, 0, 20);
    out[14] = 0x45;
    to_be16(out + 16, 20 + bytes);
    out[22] = 64;
    out[23] = (uint8_t)protocol;
    to_be32(out + 26, from);
    to_be32(out + 30, to);
    to_be16(out + 24, checksum(out + 14, 20));
    net_send(out, 34 + bytes);
}

/* `bytes` are at out + 42 already. */
static void send_udp(const uint8_t *mac, uint32_t to, unsigned from_port, unsigned to_port, unsigned bytes)
{
    to_be16(out + 34, from_port);
    to_be16(out + 36, to_port);
    to_be16(out + 38, 8 + bytes);
    to_be16(out + 40, 0);
    send_ip(mac, my_ip, to, 17, 8 + bytes);
}

static void answer_arp(void)
{
    if (be32(in + 38) != my_ip || be16(in + 20) != 1)
        return;
    put_ether(in + 6, 0x0806);
    memcpy(out + 14, in + 14, 6);
    to_be16(out + 20, 2);
    memcpy(out + 22, my_mac, 6);
    to_be32(out + 28, my_ip);
    memcpy(out + 32, in + 22, 10);
    net_send(out, 42);
}

static void answer_ping(unsigned n)
{
    memcpy(out + 34, in + 34, n - 34);
    out[34] = 0;
    to_be16(out + 36, 0);
    to_be16(out + 36, checksum(out + 34, n - 34));
    send_ip(in + 6, my_ip, be32(in + 26), 1, n - 34);
}

/* The next frame but ARP requests and pings, which are answered; 0: none within `ms` of virtual time. */
static unsigned receive(unsigned ms)
{
    const uint64_t end = rdtsc() + (uint64_t)ms * 125000; /* shift=3 */
    while (rdtsc() < end) {
        const unsigned n = net_receive(in);
        if (n >= 42 && be16(in + 12) == 0x0806 && be16(in + 20) == 1)
            answer_arp();
        else if (n >= 42 && be16(in + 12) == 0x0800 && in[23] == 1 && in[34] == 8 && be32(in + 30) == my_ip)
            answer_ping(n);
        else if (n)
            return n;
    }
    return 0;
}

/* A datagram to `port` of ours; its data's bytes, at in + 42. */
static unsigned receive_udp(unsigned port, unsigned ms)
{
    for (unsigned n; (n = receive(ms));)
        if (n >= 42 && be16(in + 12) == 0x0800 && in[23] == 17 && be16(in + 36) == port)
            return be16(in + 38) - 8;
    return 0;
}

static bool resolve(uint32_t ip)
{
    put_ether(broadcast_mac, 0x0806);
    memcpy(out + 14, "\0\1\x08\0\6\4\0\1", 8);
    memcpy(out + 22, my_mac, 6);
    to_be32(out + 28, my_ip);
    memset(out + 32, 0, 6);
    to_be32(out + 38, ip);
    net_send(out, 42);
    for (unsigned n; (n = receive(1000));)
        if (n >= 42 && be16(in + 12) == 0x0806 && be16(in + 20) == 2 && be32(in + 28) == ip) {
            memcpy(host_mac, in + 22, 6);
            return true;
        }
    return false;
}

/* --- DHCP --- */

static void dhcp_send(unsigned type, uint32_t wanted)
{
    uint8_t *m = out + 42;
    memset(m, 0, 300);
    m[0] = 1;
    m[1] = 1;
    m[2] = 6;
    to_be32(m + 4, 0x12345678);
    memcpy(m + 28, my_mac, 6);
    to_be32(m + 236, 0x63825363);
    m[240] = 53;
    m[241] = 1;
    m[242] = (uint8_t)type;
    m[243] = 255;
    if (wanted) {
        m[243] = 50;
        m[244] = 4;
        to_be32(m + 245, wanted);
        m[249] = 255;
    }
    send_udp(broadcast_mac, 0xFFFFFFFFu, 68, 67, 300);
}

/* The message's type; 0: no answer. */
static unsigned dhcp_answer(uint32_t *yours)
{
    const unsigned n = receive_udp(68, 1000);
    if (n < 243 || in[42 + 240] != 53)
        return 0;
    *yours = be32(in + 42 + 16);
    host_ip = be32(in + 42 + 20);
    return in[42 + 242];
}

static bool dhcp(void)
{
    uint32_t yours = 0;
    my_ip = 0;
    dhcp_send(1, 0);
    if (dhcp_answer(&yours) != 2)
        return false;
    dhcp_send(3, yours);
    if (dhcp_answer(&yours) != 5)
        return false;
    my_ip = yours;
    return true;
}

static bool ping(uint32_t ip, unsigned number, unsigned bytes)
{
    memset(out + 34, 0, 8);
    out[34] = 8;
    to_be16(out + 40, number);
    for (unsigned i = 8; i < bytes; i++)
        out[34 + i] = (uint8_t)(i * number);
    to_be16(out + 36, checksum(out + 34, bytes));
    send_ip(host_mac, my_ip, ip, 1, bytes);
    const unsigned n = receive(1000);
    return n >= 34 + bytes && in[23] == 1 && in[34] == 0 && be16(in + 40) == number &&
           checksum(in + 34, bytes) == 0;
}

/* --- TFTP --- */

/* The file's bytes, whose sum goes to *sum; -1: it ended early. */
static int tftp(const char *name, uint32_t *sum)
{
    unsigned n = 2, total = 0;
    to_be16(out + 42, 1);
    while (*name)
        out[42 + n++] = (uint8_t)*name++;
    memcpy(out + 42 + n, "\0octet", 7);
    send_udp(host_mac, host_ip, 2000, 69, n + 7);
    for (unsigned block = 1;; block++) {
        n = receive_udp(2000, 1000);
        if (n < 4 || be16(in + 42) != 3 || be16(in + 44) != (block & 0xFFFF))
            return -1;
        for (unsigned i = 4; i < n; i++)
            *sum = (*sum << 1 | *sum >> 31) + in[42 + i];
        total += n - 4;
        to_be16(out + 42, 4);
        to_be16(out + 44, block);
        send_udp(host_mac, host_ip, 2000, 69, 4);
        if (n < 516)
            return (int)total;
    }
}

#endif
