/* vnc_stalls.c - VNC clients that begin something and never go on: vnc_stalls PORT|PATH CLIENTS SECONDS. Each
 * stops at another place: before and in each step of the greeting, in each message of RFC 6143, 7.5, as TLS
 * or a WebSocket would begin, or asking for pictures without reading them. All are held at once, for so long.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connect.h"

#define CLIENTS_MAX 64
#define GREETED     "RFB 003.008\n\1\1" /* no password, shared */
#define REQUEST     "\3\0\0\0\0\0\7\xFF\7\xFF"
#define SAID(s)     s, sizeof s - 1, false

static const struct {
    const char *bytes;
    size_t n;
    bool asks; /* for pictures, again and again */
} kinds[] = {
    {GREETED, sizeof GREETED - 1, true},
    {SAID("")},
    {SAID("\x16")},
    {SAID("\x16\3\1\2\0\1\0\1\xFC\3")}, /* TLS */
    {SAID("\x80")},
    {SAID("GET /")},
    {SAID("GET / HTTP/1.1\r\nUpgrade: websocket\r\n")},
    {SAID("RFB 00")},
    {SAID("RFB 003.008\n")},
    {SAID("RFB 003.008\n\1")},
    {SAID("RFB 003.008\n\2ABCDE")}, /* half an answer to a challenge */
    {SAID("RFB 003.003\n")},
    {SAID(GREETED "\0")},
    {SAID(GREETED "\0\0\0\0\x20\x18\0")},
    {SAID(GREETED "\2")},
    {SAID(GREETED "\2\0\0\x64\0\0\0\0\0\0")},
    {SAID(GREETED "\3\0\0")},
    {SAID(GREETED "\4\1")},
    {SAID(GREETED "\5\1\0")},
    {SAID(GREETED "\6\0\0\0\xFF\xFF\xFF\xFFtext")},
    {SAID(GREETED "\6\0\0")},
    {SAID(GREETED "\7")},
    {SAID(GREETED "\x08\1")},
    {SAID(GREETED "\xFB\0\1")},
};

static void ask(int fd)
{
    (void)!send(fd, REQUEST, sizeof REQUEST - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
    int fd[CLIENTS_MAX];
    const size_t nkinds = sizeof kinds / sizeof *kinds;
    const size_t n = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    if (n < 1 || n > CLIENTS_MAX)
        return 2;
    for (size_t i = 0; i < n; i++) {
        fd[i] = connect_to(argv[1]);
        if (fd[i] < 0) {
            perror("vnc_stalls");
            return 1;
        }
        (void)!send(fd[i], kinds[i % nkinds].bytes, kinds[i % nkinds].n, MSG_NOSIGNAL);
    }
    for (long ms = 1000 * strtol(argv[3], NULL, 10); ms > 0; ms -= 10) {
        for (size_t i = 0; i < n; i++)
            if (kinds[i % nkinds].asks)
                ask(fd[i]);
        usleep(10000);
    }
    return 0;
}
