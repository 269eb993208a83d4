/* nets.c - see nets.h.
 *
 * Cards are numbered as they stand on the command line; card n has the place n and, unless another is given,
 * the address 52:54:00:12:34:56 + n, as in QEMU. */
#include "cli/nets.h"

#include "machine/optvalue.h"
#include "machine/pcap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define KEYS_MAX 32

/* MATCH nics_model */
enum nics_model { MODEL_E1000, MODEL_VIRTIO, MODEL_TOY };
#define MODELS       "e1000|virtio-net-pci"
#define MODELS_KNOWN "e1000|virtio-net-pci|x-toy|e1000-82540em|virtio-net|virtio" /* MATCH nics_model */

static bool find_model(const char *name, uint8_t *model)
{
    const int i = value_choice(name, MODELS_KNOWN);
    *model = (uint8_t)(i < 3 ? i : i == 3 ? MODEL_E1000 : MODEL_VIRTIO);
    return i >= 0;
}

/* What one option is about: a network, a card, or (-nic) both. */
struct parts {
    struct net_option *net;
    struct nic_option *nic;
};

/* --- keys of networks --- */

static struct net_user *user_of(void *target)
{
    return &((struct parts *)target)->net->config.user;
}

static struct net_socket *socket_of(void *target)
{
    return &((struct parts *)target)->net->config.socket;
}

/* The type was read before. */
static bool set_type(void *target, const char *value, struct err *e)
{
    return true;
}

static bool set_id(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct parts *)target)->net->id, e);
}

static bool set_net(void *target, const char *value, struct err *e)
{
    struct net_user *u = user_of(target);
    return netaddr_parse_net(value, &u->net, &u->mask);
}

static bool set_host(void *target, const char *value, struct err *e)
{
    return netaddr_parse(value, &user_of(target)->host);
}

static bool set_dhcpstart(void *target, const char *value, struct err *e)
{
    return netaddr_parse(value, &user_of(target)->dhcp_start);
}

static bool set_dns(void *target, const char *value, struct err *e)
{
    return netaddr_parse(value, &user_of(target)->dns);
}

static bool set_restrict(void *target, const char *value, struct err *e)
{
    if (value_choice(value, "yes|y") >= 0)
        return user_of(target)->restricted = true;
    return value_switch(value, &user_of(target)->restricted);
}

static bool set_hostfwd(void *target, const char *value, struct err *e)
{
    struct net_user *u = user_of(target);
    if (u->nforwards == NET_FORWARDS_MAX)
        return err_set(e, "hostfwd=%s: at most %d are accepted for a network", value, NET_FORWARDS_MAX);
    return netaddr_parse_forward(value, &u->forward[u->nforwards++]);
}

static bool set_guestfwd(void *target, const char *value, struct err *e)
{
    struct net_user *u = user_of(target);
    if (u->nguest_forwards == NET_FORWARDS_MAX)
        return err_set(e, "guestfwd=%s: at most %d are accepted for a network", value, NET_FORWARDS_MAX);
    return netaddr_parse_guest_forward(value, &u->guest_forward[u->nguest_forwards++]);
}

static bool set_tftp(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct parts *)target)->net->tftp, e);
}

static bool set_bootfile(void *target, const char *value, struct err *e)
{
    return strlen(value) < 128 && value_string(value, &((struct parts *)target)->net->bootfile, e);
}

static bool set_hostname(void *target, const char *value, struct err *e)
{
    return *value && strlen(value) < 64 && value_string(value, &((struct parts *)target)->net->hostname, e);
}

static bool set_ipv6(void *target, const char *value, struct err *e)
{
    return strcmp(value, "off") == 0;
}

static bool set_ipv4(void *target, const char *value, struct err *e)
{
    return strcmp(value, "on") == 0;
}

static const struct list_key user_keys[] = {
    {"net", "ADDR[/MASK] (default 10.0.2.0/24)", set_net},
    {"host", "ADDR", set_host},
    {"dhcpstart", "ADDR", set_dhcpstart},
    {"dns", "ADDR", set_dns},
    {"restrict", "on|off", set_restrict},
    {"hostfwd", NETADDR_FORWARD, set_hostfwd},
    {"guestfwd", NETADDR_GUEST_FORWARD, set_guestfwd},
    {"tftp", "DIR", set_tftp},
    {"bootfile", "FILE (up to 127 characters)", set_bootfile},
    {"hostname", "NAME (up to 63 characters)", set_hostname},
    {"ipv4", "on", set_ipv4},
    {"ipv6", "off", set_ipv6},
};

static bool set_socket(void *target, enum net_socket_kind kind, const char *value, uint32_t missing)
{
    struct net_option *o = ((struct parts *)target)->net;
    o->set |= 1u << kind;
    o->config.socket.kind = kind;
    return netaddr_parse_endpoint(value, missing, &o->config.socket.remote);
}

static bool set_listen(void *target, const char *value, struct err *e)
{
    return set_socket(target, NET_LISTEN, value, NETADDR_LOOPBACK);
}

static bool set_connect(void *target, const char *value, struct err *e)
{
    return set_socket(target, NET_CONNECT, value, NETADDR_LOOPBACK);
}

static bool set_mcast(void *target, const char *value, struct err *e)
{
    return set_socket(target, NET_MCAST, value, 0) && socket_of(target)->remote.address >> 28 == 14;
}

static bool set_udp(void *target, const char *value, struct err *e)
{
    return set_socket(target, NET_UDP, value, NETADDR_LOOPBACK);
}

/* Of a group: an address alone. */
static bool set_localaddr(void *target, const char *value, struct err *e)
{
    struct net_endpoint *local = &socket_of(target)->local;
    local->port = 0;
    return netaddr_parse(value, &local->address) || netaddr_parse_endpoint(value, NETADDR_LOOPBACK, local);
}

static const struct list_key socket_keys[] = {
    {"listen", "[ADDR]:PORT", set_listen},
    {"connect", "ADDR:PORT", set_connect},
    {"mcast", "ADDR:PORT (224.0.0.0 to 239.255.255.255)", set_mcast},
    {"udp", "ADDR:PORT", set_udp},
    {"localaddr", "ADDR (mcast) or [ADDR]:PORT (udp)", set_localaddr},
};

static bool set_ifname(void *target, const char *value, struct err *e)
{
    return *value && strlen(value) < 16 && value_string(value, &((struct parts *)target)->net->ifname, e);
}

static bool set_script(void *target, const char *value, struct err *e)
{
    return strcmp(value, "no") == 0;
}

static const struct list_key tap_keys[] = {
    {"ifname", "NAME (up to 15 characters)", set_ifname},
    {"script", "no", set_script},
    {"downscript", "no", set_script},
};

static const struct list_key id_keys[] = {{"type", "user|socket|tap|none", set_type}, {"id", "NAME", set_id}};

/* --- keys of cards --- */

static struct nic_option *nic_of(void *target)
{
    return ((struct parts *)target)->nic;
}

static bool set_model(void *target, const char *value, struct err *e)
{
    return find_model(value, &nic_of(target)->model);
}

static bool set_mac(void *target, const char *value, struct err *e)
{
    nic_of(target)->mac_given = true;
    return netaddr_parse_mac(value, nic_of(target)->mac);
}

static bool set_romfile(void *target, const char *value, struct err *e)
{
    return value_string(value, &nic_of(target)->romfile, e);
}

static bool set_netdev(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &nic_of(target)->netdev, e);
}

static bool set_card_id(void *target, const char *value, struct err *e)
{
    return *value; /* a name that nothing refers to yet */
}

static bool set_bus(void *target, const char *value, struct err *e)
{
    return value_choice(value, "pci.0|pci") >= 0;
}

#define MAC_ACCEPTED "xx:xx:xx:xx:xx:xx (its first digit pair even)"

static const struct list_key nic_keys[] = {
    {"model", MODELS, set_model},
    {"mac", MAC_ACCEPTED, set_mac},
    {"romfile", "FILE", set_romfile},
};

static const struct list_key old_nic_keys[] = {
    {"type", "nic", set_type},          {"model", MODELS, set_model},
    {"macaddr", MAC_ACCEPTED, set_mac}, {"netdev", "ID (of a -netdev)", set_netdev},
    {"name", "NAME", set_card_id},
};

static const struct list_key device_keys[] = {
    {"driver", MODELS, set_type},   {"netdev", "ID (of a -netdev)", set_netdev},
    {"mac", MAC_ACCEPTED, set_mac}, {"romfile", "FILE", set_romfile},
    {"id", "NAME", set_card_id},    {"bus", "pci.0", set_bus},
};

/* --- options, one by one --- */

#define TYPES        "user|socket|tap|none" /* MATCH net_types */
#define TYPES_HINT   "user, socket, tap or none"
#define TYPE_NIC_OLD "nic"

/* MATCH net_types */
static const enum net_kind kinds[] = {NET_USER, NET_SOCKET, NET_TAP, NET_NONE};

static const struct {
    const struct list_key *keys;
    size_t n;
} keys_of_kind[] = {
    [NET_NONE] = {NULL, 0},
    [NET_USER] = {user_keys, COUNT(user_keys)},
    [NET_SOCKET] = {socket_keys, COUNT(socket_keys)},
    [NET_TAP] = {tap_keys, COUNT(tap_keys)},
};

/* The first piece of an option: "user", or "type=user". */
static void first_piece(const char *value, const char *key, char text[32])
{
    const size_t n = strlen(key);
    if (strncmp(value, key, n) == 0 && value[n] == '=')
        value += n + 1;
    snprintf(text, 32, "%.*s", (int)strcspn(value, ","), value);
}

/* An option as messages name it. */
static bool set_text(char **to, const char *name, const char *value, struct err *e)
{
    char text[160];
    snprintf(text, sizeof text, "%s %.140s", name, value);
    return value_string(text, to, e);
}

static size_t add_keys(struct list_key *all, size_t n, const struct list_key *more, size_t nmore)
{
    for (size_t i = 0; i < nmore; i++)
        all[n + i] = more[i];
    return n + nmore;
}

/* The kinds of sockets exclude one another. */
static bool check_socket(const struct net_option *n, struct err *e)
{
    const struct net_socket *s = &n->config.socket;
    if (n->set == 0 || (n->set & (n->set - 1)) != 0)
        return err_set(e,
                       "%s: one of listen=[ADDR]:PORT, connect=ADDR:PORT, mcast=ADDR:PORT and udp=ADDR:PORT "
                       "is accepted",
                       n->text);
    if (s->kind == NET_UDP ? !s->local.port : s->kind == NET_MCAST && s->local.port)
        return err_set(e, "%s: %s is accepted", n->text,
                       s->kind == NET_UDP ? "udp=ADDR:PORT,localaddr=[ADDR]:PORT" : "localaddr=ADDR");
    if (s->kind != NET_UDP && s->kind != NET_MCAST && s->local.address)
        return err_set(e, "%s: localaddr belongs to udp and mcast", n->text);
    return true;
}

static bool check_net(struct net_option *n, struct err *e)
{
    struct net_config *c = &n->config;
    c->option = n->text;
    c->user.tftp = n->tftp;
    c->user.bootfile = n->bootfile;
    c->user.hostname = n->hostname;
    c->ifname = n->ifname;
    if (c->kind == NET_SOCKET && c->socket.kind == NET_MCAST && !c->socket.local.address)
        c->socket.local.address = NETADDR_LOOPBACK;
    if (c->kind == NET_USER && !net_user_complete(&c->user))
        return err_set(e,
                       "%s: host, dns and dhcpstart: three different addresses of the network (net=, neither "
                       "its first nor its last) are accepted",
                       n->text);
    return c->kind != NET_SOCKET || check_socket(n, e);
}

static struct net_option *new_net(struct net_options *o, const char *name, const char *value, struct err *e)
{
    if (o->nnets == NETS_MAX) {
        err_set(e, "%s %s: at most %d networks are accepted", name, value, NETS_MAX);
        return NULL;
    }
    struct net_option *n = &o->net[o->nnets++];
    *n = (struct net_option){0};
    net_user_init(&n->config.user);
    return set_text(&n->text, name, value, e) ? n : NULL;
}

static struct nic_option *new_nic(struct net_options *o, const char *name, const char *value, struct err *e)
{
    if (o->nnics == NETS_MAX) {
        err_set(e, "%s %s: at most %d cards are accepted", name, value, MACHINE_NICS_MAX - 1);
        return NULL;
    }
    struct nic_option *n = &o->nic[o->nnics++];
    *n = (struct nic_option){.net = -1};
    return set_text(&n->text, name, value, e) ? n : NULL;
}

/* A network's own keys, and of -nic the card's. */
static bool parse_net(struct parts *p, const char *name, const char *value, struct err *e)
{
    struct list_key keys[KEYS_MAX];
    char type[32];
    first_piece(value, "type", type);
    const int i = value_choice(type, TYPES);
    if (i < 0)
        return err_set(e, "%s %s: no network is called \"%s\"; " TYPES_HINT " is accepted", name, value,
                       type);
    const enum net_kind kind = p->net->config.kind = kinds[i];
    size_t n = add_keys(keys, 0, id_keys, COUNT(id_keys));
    n = add_keys(keys, n, keys_of_kind[kind].keys, keys_of_kind[kind].n);
    if (p->nic)
        n = add_keys(keys, n, nic_keys, COUNT(nic_keys));
    return list_parse(name, value, "type", keys, n, p, e) && check_net(p->net, e);
}
_Static_assert(COUNT(id_keys) + COUNT(user_keys) + COUNT(nic_keys) <= KEYS_MAX, "parse_net's keys");

bool nets_add_netdev(struct net_options *o, const char *value, struct err *e)
{
    struct parts p = {.net = new_net(o, "-netdev", value, e)};
    if (!p.net || !parse_net(&p, "-netdev", value, e))
        return false;
    return p.net->id || err_set(e, "-netdev %s: id=NAME is needed", value);
}

bool nets_add_nic(struct net_options *o, const char *value, struct err *e)
{
    if (strcmp(value, "none") == 0)
        return true; /* the default */
    struct parts p = {.net = new_net(o, "-nic", value, e)};
    p.nic = p.net ? new_nic(o, "-nic", value, e) : NULL;
    if (!p.nic)
        return false;
    p.nic->net = (int)o->nnets - 1;
    p.net->used = true;
    return parse_net(&p, "-nic", value, e);
}

/* "-net nic" is a card, anything else a network: as they come, a card belongs to a network. */
bool nets_add_net(struct net_options *o, const char *value, struct err *e)
{
    char type[32];
    first_piece(value, "type", type);
    if (strcmp(value, "none") == 0)
        return true; /* the default */
    struct parts p = {0};
    if (strcmp(type, TYPE_NIC_OLD) == 0) {
        p.nic = new_nic(o, "-net", value, e);
        if (p.nic)
            p.nic->is_old = true;
        return p.nic && list_parse("-net", value, "type", old_nic_keys, COUNT(old_nic_keys), &p, e);
    }
    p.net = new_net(o, "-net", value, e);
    if (p.net)
        p.net->is_old = true;
    return p.net && parse_net(&p, "-net", value, e);
}

bool nets_is_device(const char *value)
{
    char driver[32];
    uint8_t model;
    first_piece(value, "driver", driver);
    return find_model(driver, &model);
}

bool nets_add_device(struct net_options *o, const char *value, struct err *e)
{
    char driver[32];
    struct parts p = {.nic = new_nic(o, "-device", value, e)};
    if (!p.nic)
        return false;
    first_piece(value, "driver", driver);
    find_model(driver, &p.nic->model);
    return list_parse("-device", value, "driver", device_keys, COUNT(device_keys), &p, e);
}

/* --- -object filter-dump --- */

static bool set_dump_id(void *target, const char *value, struct err *e)
{
    return ((struct dump_option *)target)->has_id = *value != 0;
}

static bool set_dump_netdev(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct dump_option *)target)->netdev, e);
}

static bool set_dump_file(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct dump_option *)target)->file, e);
}

static bool set_dump_max(void *target, const char *value, struct err *e)
{
    uint64_t v;
    const bool ok = value_number(value, 1, PCAP_BYTES_DEFAULT, &v);
    ((struct dump_option *)target)->max_bytes = ok ? (uint32_t)v : 0;
    return ok;
}

static bool set_object(void *target, const char *value, struct err *e)
{
    return strcmp(value, "filter-dump") == 0;
}

static const struct list_key dump_keys[] = {
    {"qom-type", "filter-dump", set_object}, {"id", "NAME", set_dump_id},
    {"netdev", "ID", set_dump_netdev},       {"file", "FILE", set_dump_file},
    {"maxlen", "1..65536", set_dump_max},
};

bool nets_add_object(struct net_options *o, const char *value, struct err *e)
{
    if (o->ndumps == MACHINE_DUMPS_MAX)
        return err_set(e, "-object %s: at most %d filters are accepted", value, MACHINE_DUMPS_MAX);
    struct dump_option *d = &o->dump[o->ndumps++];
    *d = (struct dump_option){.max_bytes = PCAP_BYTES_DEFAULT};
    if (!list_parse("-object", value, "qom-type", dump_keys, COUNT(dump_keys), d, e))
        return false;
    return (d->has_id && d->netdev && d->file) ||
           err_set(e, "-object %s: filter-dump,id=NAME,netdev=ID,file=FILE is accepted", value);
}

/* --- places --- */

static int find_net(const struct net_options *o, const char *id)
{
    for (unsigned i = 0; i < o->nnets; i++)
        if (o->net[i].id && strcmp(o->net[i].id, id) == 0)
            return (int)i;
    return -1;
}

static bool check_ids(const struct net_options *o, struct err *e)
{
    for (unsigned i = 0; i < o->nnets; i++)
        if (o->net[i].id && find_net(o, o->net[i].id) != (int)i)
            return err_set(e, "%s: there is a network with id=%s already", o->net[i].text, o->net[i].id);
    return true;
}

/* Of a card that names none: -net nic has the next network of -net. */
static int next_old_net(const struct net_options *o)
{
    for (unsigned i = 0; i < o->nnets; i++)
        if (o->net[i].is_old && !o->net[i].used)
            return (int)i;
    return -1;
}

static bool connect_nic(struct net_options *o, struct nic_option *n, struct err *e)
{
    if (n->net >= 0)
        return true;
    n->net = n->netdev ? find_net(o, n->netdev) : n->is_old ? next_old_net(o) : -1;
    if (n->net < 0)
        return !n->netdev || err_set(e, "%s: no -netdev has id=%s", n->text, n->netdev);
    struct net_option *net = &o->net[n->net];
    if (net->used)
        return err_set(e, "%s: another card has this network", n->text);
    net->used = true;
    return true;
}

static bool check_used(const struct net_options *o, struct err *e)
{
    for (unsigned i = 0; i < o->nnets; i++)
        if (!o->net[i].used)
            return err_set(e, "%s: no card has this network; %s is accepted with it", o->net[i].text,
                           o->net[i].is_old ? "-net nic"
                                            : "-device e1000,netdev=ID or virtio-net-pci,netdev=ID");
    return true;
}

/* The toy has a port of its own. */
static bool place_nic(const struct net_options *o, unsigned i, struct machine_nic *m, unsigned *places,
                      bool *toy, struct err *e)
{
    static const uint8_t first[NIC_MAC_BYTES] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    const struct nic_option *n = &o->nic[i];
    const struct net_option *net = n->net >= 0 ? &o->net[n->net] : NULL;
    const bool is_toy = n->model == MODEL_TOY;
    if (is_toy ? *toy : *places == PC_NICS)
        return err_set(e, "%s: the machine has places for %d cards", n->text, PC_NICS);
    *m = (struct machine_nic){.port = is_toy ? PC_PORT_FRAMES : PC_PORT_NIC0 + *places,
                              .id = net && net->id ? net->id : n->text,
                              .model = n->model == MODEL_VIRTIO ? NIC_VIRTIO : NIC_E1000,
                              .romfile = n->romfile,
                              .net = net && net->config.kind != NET_NONE ? &net->config : NULL};
    memcpy(m->mac, n->mac_given ? n->mac : first, sizeof m->mac);
    if (!n->mac_given)
        m->mac[5] = (uint8_t)(m->mac[5] + i);
    *toy |= is_toy;
    *places += !is_toy;
    return true;
}

static bool place_dump(const struct net_options *o, const struct dump_option *d, struct machine_dump *m,
                       struct err *e)
{
    const int net = find_net(o, d->netdev);
    for (unsigned i = 0; i < o->nnics && net >= 0; i++)
        if (o->nic[i].net == net) {
            *m = (struct machine_dump){.file = d->file, .nic = i, .max_bytes = d->max_bytes};
            return true;
        }
    return err_set(e, "-object filter-dump: netdev=%s: no network has that id", d->netdev);
}

bool nets_place(struct net_options *o, struct machine_nic *nic, unsigned *nnics, struct machine_dump *dump,
                unsigned *ndumps, bool *toy, struct err *e)
{
    unsigned places = 0;
    bool has_toy = false;
    if (!check_ids(o, e))
        return false;
    for (unsigned i = 0; i < o->nnics; i++)
        if (!connect_nic(o, &o->nic[i], e) || !place_nic(o, i, &nic[i], &places, &has_toy, e))
            return false;
    for (unsigned i = 0; i < o->ndumps; i++)
        if (!place_dump(o, &o->dump[i], &dump[i], e))
            return false;
    *nnics = o->nnics;
    *ndumps = o->ndumps;
    *toy |= has_toy;
    return check_used(o, e);
}

void nets_free(struct net_options *o)
{
    for (unsigned i = 0; i < o->nnets; i++) {
        char *owned[] = {o->net[i].text,     o->net[i].id,       o->net[i].tftp,
                         o->net[i].bootfile, o->net[i].hostname, o->net[i].ifname};
        for (size_t k = 0; k < COUNT(owned); k++)
            free(owned[k]);
    }
    for (unsigned i = 0; i < o->nnics; i++) {
        free(o->nic[i].text);
        free(o->nic[i].netdev);
        free(o->nic[i].romfile);
    }
    for (unsigned i = 0; i < o->ndumps; i++) {
        free(o->dump[i].netdev);
        free(o->dump[i].file);
    }
    *o = (struct net_options){0};
}
