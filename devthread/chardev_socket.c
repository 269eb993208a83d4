/* chardev_socket.c - unix: and tcp: back ends: address and options, listen or connect. */
#include "devthread/chardev_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_PATIENCE_MS 1000 /* a client that does not read holds the guest up this long, once */
#define BACKLOG            4
#define OPTIONS_ACCEPTED   "accepted options: server[=on|off], wait[=on|off], nowait"

struct socket_spec {
    char address[512]; /* before the first comma */
    bool server, wait;
};

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

static bool parse_option(const char *opt, struct socket_spec *s, bool *wait_given)
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

static bool parse_spec(const struct chardev *c, const char *text, struct socket_spec *s, char *err,
                       size_t err_bytes)
{
    char copy[sizeof(s->address)];
    bool wait_given = false;
    char *save, *opt;

    *s = (struct socket_spec){.wait = true};
    if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
        return chardev_fail(c, err, err_bytes, "longer than %zu bytes", sizeof(copy) - 1);
    size_t address_len = strcspn(copy, ",");
    memcpy(s->address, copy, address_len);
    for (opt = strtok_r(copy + address_len, ",", &save); opt; opt = strtok_r(NULL, ",", &save))
        if (!parse_option(opt, s, &wait_given))
            return chardev_fail(c, err, err_bytes, "option '%.64s' (" OPTIONS_ACCEPTED ")", opt);
    if (wait_given && !s->server)
        return chardev_fail(c, err, err_bytes, "wait is for servers (add server=on)");
    return true;
}

/* --- addresses: a socket that is bound or connected, or -1 with errno (or *why) --- */

static void unlink_socket(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

static int unix_socket(const struct socket_spec *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd;

    if (!*s->address || strlen(s->address) >= sizeof(a.sun_path)) {
        errno = *s->address ? ENAMETOOLONG : EINVAL;
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

static int tcp_socket(struct socket_spec *s, const char **why)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    char *host, *port;
    int fd = -1;

    if (!split_host_port(s->address, &host, &port)) {
        *why = "no port (accepted: tcp:HOST:PORT)";
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

/* --- connection --- */

static bool attach_client(struct chardev *c, int fd, char *err, size_t err_bytes)
{
    fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK); /* what connect() left blocking */
    hostio_lock(c->env.hostio);
    bool ok = chardev_attach(c, fd);
    hostio_unlock(c->env.hostio);
    return ok || chardev_fail(c, err, err_bytes, "%s", strerror(errno));
}

static bool wait_for_client(struct chardev *c, char *err, size_t err_bytes)
{
    chardev_notice(c, "waiting for connection on: %s", c->spec);
    int fd = accept4(c->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return chardev_fail(c, err, err_bytes, "waiting for a client: %s", strerror(errno));
    c->listener.events = 0;
    return attach_client(c, fd, err, err_bytes);
}

bool chardev_open_socket(struct chardev *c, bool tcp, const char *address, char *err, size_t err_bytes)
{
    struct socket_spec s;
    const char *why = NULL;

    if (!parse_spec(c, address, &s, err, err_bytes))
        return false;
    c->duplex = true;
    c->server = s.server;
    c->patience_ms = SOCKET_PATIENCE_MS;
    int fd = tcp ? tcp_socket(&s, &why) : unix_socket(&s);
    if (fd < 0)
        return chardev_fail(c, err, err_bytes, "%s", why ? why : strerror(errno));
    if (!s.server)
        return attach_client(c, fd, err, err_bytes);
    c->listener.fd = fd;
    c->listener.events = EPOLLIN;
    if (!tcp)
        c->unlink_path = strdup(s.address);
    if (listen(fd, BACKLOG) != 0)
        return chardev_fail(c, err, err_bytes, "%s", strerror(errno));
    if (s.wait && !wait_for_client(c, err, err_bytes))
        return false;
    fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK); /* a client may leave between readiness and accept */
    return true;
}
