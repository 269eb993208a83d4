/* netaddr.h - addresses of networks as options write them.
 *
 * Addresses are IPv4, in numbers, in host byte order: nothing here asks a name server. Text comes from users
 * and from the monitor: anything else than what is described is refused. Pure functions. */
#ifndef TANDEM_DEVTHREAD_NETADDR_H
#define TANDEM_DEVTHREAD_NETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETADDR_LOOPBACK   UINT32_C(0x7F000001)
#define NETADDR_TEXT       32 /* of an address or an endpoint, with its NUL */
#define NETADDR_PATH_BYTES 256

struct net_endpoint {
    uint32_t address;
    uint16_t port;
};

/* A port of the host's that leads into the guest. */
struct net_forward {
    bool udp;
    struct net_endpoint host;  /* where the host listens */
    struct net_endpoint guest; /* address 0: the first that DHCP gives */
};

/* An address of the network's that leads to a command or a Unix socket of the host's. */
struct net_guest_forward {
    struct net_endpoint server;
    bool command;                  /* else a Unix socket */
    char what[NETADDR_PATH_BYTES]; /* the command line, or the socket's path */
};

/* "10.0.2.2" */
bool netaddr_parse(const char *text, uint32_t *address);
/* "10.0.2.0/24", "10.0.2.0/255.255.255.0" or "10.0.2.0", which has the mask of its class. */
bool netaddr_parse_net(const char *text, uint32_t *net, uint32_t *mask);
/* "ADDRESS:PORT" or ":PORT" (`missing` is the address then), PORT 1 to 65535. */
bool netaddr_parse_endpoint(const char *text, uint32_t missing, struct net_endpoint *e);
/* "[tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT"; without HOSTADDR the loopback alone. */
#define NETADDR_FORWARD "[tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT"
bool netaddr_parse_forward(const char *text, struct net_forward *f);
/* "[tcp|udp]:[HOSTADDR]:HOSTPORT", of one to be removed: the other half stays zero. */
bool netaddr_parse_forward_host(const char *text, struct net_forward *f);
/* "tcp:ADDR:PORT-cmd:COMMAND" or "tcp:ADDR:PORT-unix:PATH" */
#define NETADDR_GUEST_FORWARD "tcp:ADDR:PORT-cmd:COMMAND|unix:PATH"
bool netaddr_parse_guest_forward(const char *text, struct net_guest_forward *f);
/* "52:54:00:12:34:56" or with dashes; not a group's address. */
bool netaddr_parse_mac(const char *text, uint8_t mac[6]);

void netaddr_text(uint32_t address, char text[NETADDR_TEXT]);
void netaddr_endpoint_text(const struct net_endpoint *e, char text[NETADDR_TEXT]);

#endif
