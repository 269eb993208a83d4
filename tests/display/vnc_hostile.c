/* vnc_hostile.c - VNC clients that send anything: vnc_hostile PORT|PATH [SECONDS [SEED]]. Each says what the
 * protocol wants up to some point (RFC 6143, 7.1), then messages with random contents, of known and unknown
 * types, or plain noise, cut at random places. Status 1: the server is gone. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "connect.h"

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(seed >> 33) % below;
}

/* What the server has said, thrown away. */
static void drain(int fd, int ms)
{
    char bytes[65536];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, ms) > 0 && read(fd, bytes, sizeof bytes) > 0)
        ms = 0;
}

static bool say(int fd, const void *bytes, size_t n)
{
    return send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

/* Bytes of a message of the client's behind its type; those that follow a length are random anyway. */
static size_t length_of(uint8_t type)
{
    static const uint8_t length[] = {19, 0, 3, 9, 7, 5, 7, 31, 2};
    return type < sizeof length ? length[type] : draw(64);
}

static bool random_message(int fd)
{
    uint8_t m[2048];
    for (unsigned i = 0; i < sizeof m; i++)
        m[i] = (uint8_t)(draw(3) ? draw(256) : draw(2) ? 0 : 0xFF);
    if (draw(8))
        m[0] = (uint8_t)draw(9);
    const size_t n = 1 + length_of(m[0]);
    if (m[0] == 2 && draw(4))
        m[2] = 0, m[3] = (uint8_t)draw(8); /* encodings that follow */
    return say(fd, m, draw(10) ? n + (m[0] == 2 ? m[3] * 4u : 0) : draw(sizeof m));
}

static void client(int fd)
{
    const unsigned honest = draw(4); /* steps of the handshake */
    if (honest > 0 && say(fd, draw(8) ? "RFB 003.008\n" : "RFB 003.003\n", 12)) {
        drain(fd, 200);
        if (honest > 1)
            say(fd, "\1", 1); /* no authentication */
        drain(fd, 50);
        if (honest > 2)
            say(fd, "\1", 1); /* shared */
        drain(fd, 50);
    }
    for (unsigned n = draw(60); n > 0 && random_message(fd); n--)
        if (draw(3))
            drain(fd, 0);
}

int main(int argc, char **argv)
{
    const time_t end = time(NULL) + (argc > 2 ? strtol(argv[2], NULL, 10) : 5);
    unsigned clients = 0, refused = 0;
    seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    signal(SIGPIPE, SIG_IGN);
    for (; argc > 1 && time(NULL) < end; clients++) {
        const int fd = connect_to(argv[1]);
        refused = fd < 0 ? refused + 1 : 0;
        if (refused > 50)
            break;
        if (fd < 0) {
            usleep(100000);
            continue;
        }
        client(fd);
        close(fd);
    }
    printf("%u clients, seed %s\n", clients, argc > 3 ? argv[3] : "1");
    return refused > 50 || argc < 2;
}
