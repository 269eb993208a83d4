/* nics.h - the network cards of a machine: what they are told, and the networks that they are connected to.
 *
 * Threads: as machine.h; nics_frame by the holder of the baton; nics_describe and nics_hostfwd_* by any
 * thread. */
#ifndef TANDEM_MACHINE_NICS_H
#define TANDEM_MACHINE_NICS_H

#include "devthread/devthread.h"
#include "devthread/net.h"
#include "hw/pc.h"
#include "machine/err.h"

#include <stdio.h>

#define MACHINE_NICS_MAX  (PC_NICS + 1) /* the last one is the toy's */
#define MACHINE_DUMPS_MAX 8

/* Strings and networks are borrowed until machine_destroy. */
struct machine_nic {
    unsigned port;  /* where it is: enum pc_port, of kind PORT_FRAMES; no two have the same */
    const char *id; /* its network's name, for the monitor */
    uint8_t model;  /* enum nic_model */
    uint8_t mac[NIC_MAC_BYTES];
    const char *romfile;          /* NULL: the model's own; "": none */
    const struct net_config *net; /* NULL: the other end of its cable lies on the floor */
};

/* -object filter-dump */
struct machine_dump {
    const char *file;
    unsigned nic;       /* its number */
    uint32_t max_bytes; /* that are kept of a frame */
};

struct nics_stats {
    uint64_t to_guest, to_guest_bytes, from_guest, from_guest_bytes; /* frames, and their bytes */
    uint64_t dropped_to_guest, dropped_to_host;
};

struct machine_config;
struct pcap;
struct usernet;

struct nics {
    const struct machine_config *cfg;
    struct devthread *dev; /* NULL: not yet, or not any more */
    struct nics_one {
        struct usernet *usernet; /* NULL: none */
        struct nics_stats stats;
    } nic[MACHINE_NICS_MAX];
    struct pcap *dump[MACHINE_DUMPS_MAX];
};

/* Makes computed networks and dump files. False: e says why; nics_close them in either case. */
bool nics_open(struct nics *n, const struct machine_config *c, struct err *e);
bool nics_close(struct nics *n, struct err *e); /* false: a dump could not be written; once is enough */
/* What the cards are told. */
void nics_configure(const struct machine_config *c, struct pc_config *pc);
/* Networks for the device side. The host's are opened by it, but for a replay. False: the board has not such
 * a card. */
bool nics_connect(struct nics *n, struct devthread_config *dev, struct err *e);
void nics_connected(struct nics *n, struct devthread *dev);
/* " nics=N nic0=WHAT ...", for the machine's identity. */
void nics_identity(const struct nics *n, char *text, size_t bytes);
/* The same as lines "nic0 WHAT", for the head of a recording. */
void nics_list(const struct nics *n, char *text, size_t bytes);
/* Of all cards, while the device side is there. */
void nics_get_stats(const struct nics *n, struct nics_stats *s);

/* --- for a monitor --- */
/* What `info network` says. */
void nics_describe(const struct nics *n, FILE *f);
/* text: netaddr.h, NETADDR_FORWARD; for nics_hostfwd_remove its first half. id: of the network; NULL: the
 * first that is a user network. What then comes in is recorded as all input is. */
bool nics_hostfwd_add(const struct nics *n, const char *id, const char *text, struct err *e);
bool nics_hostfwd_remove(const struct nics *n, const char *id, const char *text, struct err *e);

#endif
