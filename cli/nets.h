/* nets.h - options of networks: -nic, -netdev, -net, -device e1000 and its kin, -object filter-dump.
 *
 * Options are kept as they come; nets_place gives each card its place at the end, when all are known. Without
 * any of them there is no card: a network that nobody asked for would be outside input.
 * Memory: strings are owned by the struct. Errors: one line that names the option and what is accepted. */
#ifndef TANDEM_CLI_NETS_H
#define TANDEM_CLI_NETS_H

#include "machine/nics.h"

#define NETS_MAX 16

struct net_option {
    char *text; /* "-netdev user,id=n0" */
    char *id;   /* NULL: of -nic or -net, without one */
    char *tftp, *bootfile, *hostname, *ifname;
    struct net_config config; /* its strings are the above */
    unsigned set;             /* of a socket: bit n: enum net_socket_kind n was given */
    bool is_old;              /* -net: for the next card of -net nic */
    bool used;                /* a card has it */
};

struct nic_option {
    char *text;    /* "-device e1000,netdev=n0" */
    char *netdev;  /* NULL: none was named */
    char *romfile; /* NULL: not given */
    int net;       /* number of its network; -1: not known yet, or none */
    uint8_t model; /* enum nics_model (nets.c) */
    bool mac_given;
    uint8_t mac[NIC_MAC_BYTES];
    bool is_old; /* -net nic */
};

struct dump_option {
    char *netdev, *file;
    bool has_id;
    uint32_t max_bytes;
};

struct net_options {
    struct net_option net[NETS_MAX];
    struct nic_option nic[NETS_MAX];
    struct dump_option dump[MACHINE_DUMPS_MAX];
    unsigned nnets, nnics, ndumps;
};

bool nets_add_nic(struct net_options *o, const char *value, struct err *e);    /* -nic */
bool nets_add_netdev(struct net_options *o, const char *value, struct err *e); /* -netdev */
bool nets_add_net(struct net_options *o, const char *value, struct err *e);    /* -net */
bool nets_add_object(struct net_options *o, const char *value, struct err *e); /* -object */
/* Is it the value of a -device that is a network card? */
bool nets_is_device(const char *value);
bool nets_add_device(struct net_options *o, const char *value, struct err *e);
#define NETS_DEVICES "e1000 or virtio-net-pci,netdev=ID[,mac=MAC][,romfile=FILE]"

/* Fills nic[] (MACHINE_NICS_MAX) and dump[] (MACHINE_DUMPS_MAX); *toy: one of them is the toy's. Strings and
 * networks stay the options'. */
bool nets_place(struct net_options *o, struct machine_nic *nic, unsigned *nnics, struct machine_dump *dump,
                unsigned *ndumps, bool *toy, struct err *e);
void nets_free(struct net_options *o);

#endif
