/* socketspec.c - see socketspec.h. */
#include "devthread/socketspec.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OPTIONS_ACCEPTED "accepted options: server[=on|off], wait[=on|off], nowait"

/* "name", "name=on" or "name=off"; false: something else. */
static bool parse_switch(const char *opt, const char *name, bool *out)
{
    size_t n = strlen(name);

    if (strncmp(opt, name, n) != 0)
        return false;
    if (strcmp(opt + n, "") == 0 || strcmp(opt + n, "=on") == 0)
        *out = true;
    else if (strcmp(opt + n, "=off") == 0)
        *out = false;
    else
        return false;
    return true;
}

static bool parse_option(const char *opt, struct socketspec *s, bool *wait_given)
{
    bool nowait;

    if (parse_switch(opt, "server", &s->server))
        return true;
    *wait_given = true;
    if (parse_switch(opt, "wait", &s->wait))
        return true;
    if (!parse_switch(opt, "nowait", &nowait))
        return false;
    s->wait = !nowait;
    return true;
}

bool socketspec_parse(struct socketspec *s, const char *text, char *err, size_t err_bytes)
{
    char copy[sizeof(s->address)];
    bool wait_given = false;
    char *save, *opt;

    *s = (struct socketspec){.wait = true};
    if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy)) {
        snprintf(err, err_bytes, "longer than %zu bytes", sizeof(copy) - 1);
        return false;
    }
    size_t address_len = strcspn(copy, ",");
    memcpy(s->address, copy, address_len);
    for (opt = strtok_r(copy + address_len, ",", &save); opt; opt = strtok_r(NULL, ",", &save))
        if (!parse_option(opt, s, &wait_given)) {
            snprintf(err, err_bytes, "option '%.64s' (" OPTIONS_ACCEPTED ")", opt);
            return false;
        }
    if (wait_given && !s->server) {
        snprintf(err, err_bytes, "wait is for servers (add server=on)");
        return false;
    }
    return true;
}

/* --- addresses: a socket that is bound or connected, or -1 with errno (or *why) --- */

static void unlink_socket(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

static int unix_socket(const struct socketspec *s, const char **why)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _Static_assert(sizeof(a.sun_path) == 108, "what the message says");
    int fd;

    if (!*s->address || strlen(s->address) >= sizeof(a.sun_path)) {
        *why = *s->address ? "the path is too long (accepted: unix:PATH of up to 107 bytes)"
                           : "no path (accepted: unix:PATH)";
        return -1;
    }
    memcpy(a.sun_path, s->address, strlen(s->address) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (s->server)
        unlink_socket(s->address);
    int rc = s->server ? bind(fd, (struct sockaddr *)&a, sizeof(a))
                       : connect(fd, (struct sockaddr *)&a, sizeof(a));
    if (rc == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* "HOST:PORT", "[V6]:PORT" or ":PORT" into its two parts, in place. */
static bool split_host_port(char *text, char **host, char **port)
{
    char *colon = strrchr(text, ':');

    if (!colon || !colon[1])
        return false;
    *colon = '\0';
    *port = colon + 1;
    *host = text;
    size_t n = strlen(text);
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text[n - 1] = '\0';
        *host = text + 1;
    }
    return true;
}

static int tcp_socket_at(const struct addrinfo *a, bool server)
{
    int one = 1;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (server)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    int rc = server ? bind(fd, a->ai_addr, a->ai_addrlen) : connect(fd, a->ai_addr, a->ai_addrlen);
    if (rc == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* A number is at most 65535, for getaddrinfo takes the low 16 bits of a greater one; other names of ports are
 * its business. */
static bool port_is_accepted(const char *port)
{
    char *end;
    const unsigned long v = strtoul(port, &end, 10);
    return *end || v <= UINT16_MAX;
}

static int tcp_socket(const struct socketspec *s, const char **why)
{
    char address[sizeof(s->address)];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    char *host, *port;
    int fd = -1;

    memcpy(address, s->address, sizeof(address));
    if (!split_host_port(address, &host, &port)) {
        *why = "no port (accepted: tcp:HOST:PORT)";
        return -1;
    }
    if (!port_is_accepted(port)) {
        *why = "the port is beyond 65535 (accepted: tcp:HOST:PORT)";
        return -1;
    }
    hints.ai_flags = s->server ? AI_PASSIVE : 0;
    int rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -1;
    }
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = tcp_socket_at(a, s->server);
    int saved = errno;
    freeaddrinfo(list);
    errno = saved;
    return fd;
}

int socketspec_open(const struct socketspec *s, bool tcp, char *err, size_t err_bytes)
{
    const char *why = NULL;
    int fd = tcp ? tcp_socket(s, &why) : unix_socket(s, &why);

    if (fd < 0)
        snprintf(err, err_bytes, "%s", why ? why : strerror(errno));
    return fd;
}
