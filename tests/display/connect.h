/* connect.h - a connection to a VNC server, as the hostile clients make it. */
#ifndef TANDEM_TESTS_DISPLAY_CONNECT_H
#define TANDEM_TESTS_DISPLAY_CONNECT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* To a path, or to a port of the loopback; -1: there is nobody. */
static inline int connect_to(const char *where)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtol(where, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const bool path = strchr(where, '/') != NULL;
    const int fd = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", where);
    if (connect(fd, path ? (struct sockaddr *)&un : (struct sockaddr *)&in, path ? sizeof un : sizeof in) ==
        0)
        return fd;
    close(fd);
    return -1;
}

#endif
