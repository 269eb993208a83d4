/* nics.c - see nics.h. */
#include "machine/nics.h"

#include "devthread/usernet.h"
#include "machine/machine.h"
#include "machine/pcap.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *model_name(const struct machine_nic *m)
{
    static const char *const names[] = {[NIC_E1000] = "e1000", [NIC_VIRTIO] = "virtio-net-pci"};

    return m->port == PC_PORT_FRAMES ? "x-toy" : names[m->model];
}

/* --- open and close --- */

static bool make_usernet(struct nics *n, unsigned i, struct err *e)
{
    const struct net_config *net = n->cfg->nic[i].net;
    char why[NET_ERR_BYTES / 2];

    if (!net || !net_is_computed(net))
        return true;
    n->nic[i].usernet = usernet_create(&net->user, why, sizeof why);
    return n->nic[i].usernet || err_set(e, "%s: %s", net->option, why);
}

bool nics_open(struct nics *n, const struct machine_config *c, struct err *e)
{
    *n = (struct nics){.cfg = c};
    for (unsigned i = 0; i < c->nnics; i++)
        if (!make_usernet(n, i, e))
            return false;
    for (unsigned i = 0; i < c->ndumps; i++) {
        n->dump[i] = pcap_create(c->dump[i].file, c->dump[i].max_bytes);
        if (!n->dump[i])
            return err_set(e, "-object filter-dump: file=%s: %s; a file that can be written is needed",
                           c->dump[i].file, strerror(errno));
    }
    return true;
}

bool nics_close(struct nics *n, struct err *e)
{
    bool ok = true;

    for (unsigned i = 0; i < MACHINE_DUMPS_MAX; i++) {
        if (!pcap_close(n->dump[i]))
            ok = err_set(e, "-object filter-dump: file=%s: could not be written: %s", n->cfg->dump[i].file,
                         strerror(errno));
        n->dump[i] = NULL;
    }
    for (unsigned i = 0; i < MACHINE_NICS_MAX; i++) {
        usernet_destroy(n->nic[i].usernet);
        n->nic[i].usernet = NULL;
    }
    return ok;
}

void nics_configure(const struct machine_config *c, struct pc_config *pc)
{
    for (unsigned i = 0; i < c->nnics; i++) {
        const struct machine_nic *m = &c->nic[i];
        if (m->port < PC_PORT_NIC0 || m->port >= PC_PORT_NIC0 + PC_NICS)
            continue;
        struct nic_config *nic = &pc->nic[m->port - PC_PORT_NIC0];
        nic->present = true;
        nic->model = m->model;
        memcpy(nic->mac, m->mac, sizeof nic->mac);
    }
}

/* --- frames --- */

static int nic_at(const struct nics *n, unsigned port)
{
    for (unsigned i = 0; i < n->cfg->nnics; i++)
        if (n->cfg->nic[i].port == port)
            return (int)i;
    return -1;
}

static void on_frame(void *ctx, unsigned port, bool to_guest, const uint8_t *bytes, uint32_t nbytes,
                     uint64_t now_ns)
{
    struct nics *n = ctx;
    const int i = nic_at(n, port);

    if (i < 0)
        return;
    struct nics_stats *s = &n->nic[i].stats;
    *(to_guest ? &s->to_guest : &s->from_guest) += 1;
    *(to_guest ? &s->to_guest_bytes : &s->from_guest_bytes) += nbytes;
    for (unsigned k = 0; k < n->cfg->ndumps; k++)
        if (n->dump[k] && n->cfg->dump[k].nic == (unsigned)i)
            pcap_frame(n->dump[k], bytes, nbytes, now_ns);
}

static void connect_one(struct nics *n, unsigned i, struct devthread_config *dev)
{
    const struct machine_nic *m = &n->cfg->nic[i];

    if (n->nic[i].usernet)
        dev->backend[m->port] = (struct backend){.computed = &usernet_backend, .ctx = n->nic[i].usernet};
    else
        dev->net[m->port] = m->net;
}

bool nics_connect(struct nics *n, struct devthread_config *dev, struct err *e)
{
    const struct machine_config *c = n->cfg;

    for (unsigned i = 0; i < c->nnics; i++) {
        if (!dev->board->port[c->nic[i].port].present)
            return err_set(e, "network card %s: this machine has no such card yet", model_name(&c->nic[i]));
        connect_one(n, i, dev);
    }
    dev->frame = c->nnics ? on_frame : NULL;
    dev->frame_ctx = n;
    return true;
}

void nics_connected(struct nics *n, struct devthread *dev)
{
    n->dev = dev;
}

/* --- what the run is made of --- */

static void mac_text(const struct machine_nic *m, char text[18])
{
    snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m->mac[0], m->mac[1], m->mac[2], m->mac[3], m->mac[4],
             m->mac[5]);
}

/* All that the guest can see of it without its answers coming from outside. */
static void describe(const struct nics *n, unsigned i, char *text, size_t bytes)
{
    char mac[18], network[32] = "host";

    mac_text(&n->cfg->nic[i], mac);
    if (n->nic[i].usernet)
        snprintf(network, sizeof network, "%016" PRIx64, usernet_hash(n->nic[i].usernet));
    else if (!n->cfg->nic[i].net)
        snprintf(network, sizeof network, "none");
    snprintf(text, bytes, "%s,%s,%s", model_name(&n->cfg->nic[i]), mac, network);
}

void nics_identity(const struct nics *n, char *text, size_t bytes)
{
    char what[96];
    size_t used = (size_t)snprintf(text, bytes, " nics=%u", n->cfg->nnics);

    for (unsigned i = 0; i < n->cfg->nnics && used < bytes; i++) {
        describe(n, i, what, sizeof what);
        used += (size_t)snprintf(text + used, bytes - used, " nic%u=%s", i, what);
    }
}

void nics_list(const struct nics *n, char *text, size_t bytes)
{
    char what[96];
    size_t used = 0;

    for (unsigned i = 0; i < n->cfg->nnics && used < bytes; i++) {
        describe(n, i, what, sizeof what);
        used += (size_t)snprintf(text + used, bytes - used, "nic%u %s\n", i, what);
    }
}

/* --- what others ask --- */

static void one_stats(const struct nics *n, unsigned i, struct nics_stats *s)
{
    struct net *net = n->dev ? devthread_net(n->dev, n->cfg->nic[i].port) : NULL;
    struct net_stats dropped = {0};

    *s = n->nic[i].stats;
    if (net)
        net_get_stats(net, &dropped);
    if (n->nic[i].usernet)
        dropped.dropped_to_guest = usernet_dropped(n->nic[i].usernet);
    s->dropped_to_guest = dropped.dropped_to_guest;
    s->dropped_to_host = dropped.dropped_to_host;
}

void nics_get_stats(const struct nics *n, struct nics_stats *s)
{
    struct nics_stats one;

    *s = (struct nics_stats){0};
    for (unsigned i = 0; i < n->cfg->nnics; i++) {
        one_stats(n, i, &one);
        s->to_guest += one.to_guest;
        s->to_guest_bytes += one.to_guest_bytes;
        s->from_guest += one.from_guest;
        s->from_guest_bytes += one.from_guest_bytes;
        s->dropped_to_guest += one.dropped_to_guest;
        s->dropped_to_host += one.dropped_to_host;
    }
}

static void network_text(const struct nics *n, unsigned i, char *text, size_t bytes)
{
    const struct net_config *net = n->cfg->nic[i].net;
    struct net *open = n->dev ? devthread_net(n->dev, n->cfg->nic[i].port) : NULL;

    if (open)
        net_describe(open, text, bytes);
    else
        snprintf(text, bytes, "%s",
                 n->nic[i].usernet ? "user: restrict=on, computed"
                 : net             ? "a replay opens no network"
                                   : "none");
}

void nics_describe(const struct nics *n, FILE *f)
{
    char mac[18], text[8192];
    struct nics_stats s;

    if (n->cfg->nnics == 0)
        fputs("no network cards\n", f);
    for (unsigned i = 0; i < n->cfg->nnics; i++) {
        const struct machine_nic *m = &n->cfg->nic[i];
        mac_text(m, mac);
        one_stats(n, i, &s);
        network_text(n, i, text, sizeof text);
        fprintf(f,
                "%s: model=%s,macaddr=%s\n  frames in %" PRIu64 " (%" PRIu64 " bytes), out %" PRIu64
                " (%" PRIu64 " bytes), dropped in %" PRIu64 ", out %" PRIu64 "\n  %s\n",
                m->id, model_name(m), mac, s.to_guest, s.to_guest_bytes, s.from_guest, s.from_guest_bytes,
                s.dropped_to_guest, s.dropped_to_host, text);
    }
}

/* The network that a forward is about; -1: e says why there is none. */
static int find_user(const struct nics *n, const char *id, struct err *e)
{
    for (unsigned i = 0; i < n->cfg->nnics; i++) {
        const struct machine_nic *m = &n->cfg->nic[i];
        if (m->net && m->net->kind == NET_USER && (!id || strcmp(id, m->id) == 0))
            return (int)i;
    }
    err_set(e, "%s%s: there is no such user network", id ? "netdev " : "hostfwd", id ? id : "");
    return -1;
}

static bool change_forward(const struct nics *n, const char *id, const struct net_forward *f, bool add,
                           struct err *e)
{
    const int i = find_user(n, id, e);

    if (i < 0)
        return false;
    struct net *net = n->dev ? devthread_net(n->dev, n->cfg->nic[i].port) : NULL;
    if (n->nic[i].usernet)
        return err_set(e, "hostfwd: this network is computed (restrict=on without a forward from the start): "
                          "nothing of the host's can reach it");
    if (!net)
        return err_set(e, "hostfwd: a replay opens no network");
    return (add ? net_forward_add(net, f) : net_forward_remove(net, f)) ||
           err_set(e, add ? "hostfwd: the host does not give that port: %s" : "hostfwd: there is none such",
                   strerror(errno));
}

bool nics_hostfwd_add(const struct nics *n, const char *id, const char *text, struct err *e)
{
    struct net_forward f;

    if (!netaddr_parse_forward(text, &f))
        return err_set(e, "hostfwd: %s: " NETADDR_FORWARD " is accepted", text);
    return change_forward(n, id, &f, true, e);
}

bool nics_hostfwd_remove(const struct nics *n, const char *id, const char *text, struct err *e)
{
    struct net_forward f;

    if (!netaddr_parse_forward_host(text, &f))
        return err_set(e, "hostfwd: %s: [tcp|udp]:[HOSTADDR]:HOSTPORT is accepted", text);
    return change_forward(n, id, &f, false, e);
}
