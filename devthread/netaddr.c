/* netaddr.c - see netaddr.h. */
#include "devthread/netaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The text up to `stop` or its end, in buf; what follows is returned. NULL: it does not fit, or there is no
 * `stop` where one is needed. */
static const char *cut(const char *text, char stop, bool needed, char *buf, size_t bytes)
{
    const char *at = stop ? strchr(text, stop) : NULL;
    const size_t n = at ? (size_t)(at - text) : strlen(text);

    if ((needed && !at) || n >= bytes)
        return NULL;
    memcpy(buf, text, n);
    buf[n] = 0;
    return at ? at + 1 : text + n;
}

/* Digits alone, first..last. */
static bool parse_number(const char *text, unsigned first, unsigned last, unsigned *v)
{
    unsigned long sum = 0;

    if (!*text || strlen(text) > 6)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        sum = sum * 10 + (unsigned)(*text - '0');
    }
    *v = (unsigned)sum;
    return sum >= first && sum <= last;
}

bool netaddr_parse(const char *text, uint32_t *address)
{
    struct in_addr a;

    if (inet_pton(AF_INET, text, &a) != 1)
        return false;
    *address = ntohl(a.s_addr);
    return true;
}

static uint32_t class_mask(uint32_t address)
{
    return !(address >> 31) ? 0xFF000000 : !(address >> 30 & 1) ? 0xFFFF0000 : 0xFFFFFF00;
}

/* At most /28: the host, a name server and some guests have room. */
bool netaddr_parse_net(const char *text, uint32_t *net, uint32_t *mask)
{
    char address[NETADDR_TEXT];
    unsigned bits;
    const char *rest = cut(text, '/', false, address, sizeof address);

    if (!rest || !netaddr_parse(address, net))
        return false;
    if (!strchr(text, '/'))
        *mask = class_mask(*net);
    else if (parse_number(rest, 4, 28, &bits))
        *mask = UINT32_MAX << (32 - bits);
    else if (!netaddr_parse(rest, mask))
        return false;
    const uint32_t hosts = ~*mask;
    return (hosts & (hosts + 1)) == 0 && hosts >= 15 && *mask >> 28 == 15 && (*net & hosts) == 0;
}

bool netaddr_parse_endpoint(const char *text, uint32_t missing, struct net_endpoint *e)
{
    char address[NETADDR_TEXT];
    unsigned port;
    const char *rest = cut(text, ':', true, address, sizeof address);

    e->address = missing;
    if (!rest || (*address && !netaddr_parse(address, &e->address)) || !parse_number(rest, 1, 65535, &port))
        return false;
    e->port = (uint16_t)port;
    return true;
}

/* Moves past "tcp:", "udp:" or ":"; NULL: something else. */
static const char *protocol(const char *text, bool *udp)
{
    char name[8];
    const char *rest = cut(text, ':', true, name, sizeof name);

    *udp = rest && strcmp(name, "udp") == 0;
    return rest && (*udp || !*name || strcmp(name, "tcp") == 0) ? rest : NULL;
}

bool netaddr_parse_forward_host(const char *text, struct net_forward *f)
{
    *f = (struct net_forward){0};
    text = protocol(text, &f->udp);
    return text && netaddr_parse_endpoint(text, NETADDR_LOOPBACK, &f->host);
}

bool netaddr_parse_forward(const char *text, struct net_forward *f)
{
    char host[64];
    const char *guest = cut(text, '-', true, host, sizeof host);

    return guest && netaddr_parse_forward_host(host, f) && netaddr_parse_endpoint(guest, 0, &f->guest);
}

bool netaddr_parse_guest_forward(const char *text, struct net_guest_forward *f)
{
    char server[64];
    bool udp;
    const char *what = cut(text, '-', true, server, sizeof server), *address = protocol(server, &udp);

    *f = (struct net_guest_forward){0};
    if (!what || !address || udp || !netaddr_parse_endpoint(address, 0, &f->server) || !f->server.address)
        return false;
    f->command = strncmp(what, "cmd:", 4) == 0;
    if (!f->command && strncmp(what, "unix:", 5) != 0)
        return false;
    what += f->command ? 4 : 5;
    return *what && snprintf(f->what, sizeof f->what, "%s", what) < (int)sizeof f->what;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool netaddr_parse_mac(const char *text, uint8_t mac[6])
{
    if (strlen(text) != 17)
        return false;
    for (unsigned i = 0; i < 6; i++) {
        const int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
        if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':' && text[3 * i + 2] != '-'))
            return false;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    return !(mac[0] & 1);
}

void netaddr_text(uint32_t address, char text[NETADDR_TEXT])
{
    snprintf(text, NETADDR_TEXT, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
             address & 255);
}

void netaddr_endpoint_text(const struct net_endpoint *e, char text[NETADDR_TEXT])
{
    char address[16];

    snprintf(address, sizeof address, "%u.%u.%u.%u", e->address >> 24, e->address >> 16 & 255,
             e->address >> 8 & 255, e->address & 255);
    snprintf(text, NETADDR_TEXT, "%s:%u", address, e->port);
}
