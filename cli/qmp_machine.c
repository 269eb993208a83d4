/* qmp_machine.c - QMP commands about parts of the machine: PCI functions, VNC, which machine it is. */
#include "cli/display.h"
#include "cli/qmp_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VNC_PORT         5900 /* of display 0 */
#define SUBSYSTEM_VENDOR 0x2C /* PCI Local Bus Specification 2.1, 6.2.4 */
#define SUBSYSTEM        0x2E
#define NOT_MAPPED       (-1) /* QEMU's word for a BAR that decodes nothing */
#define BAR_PREFETCHABLE 8

/* --- PCI --- */

static unsigned config16(const struct i440fx *s, unsigned fn, unsigned reg)
{
    return i440fx_config_peek(s, fn, reg) | (unsigned)i440fx_config_peek(s, fn, reg + 1) << 8;
}

/* PCI Local Bus Specification 2.1, appendix D: base class and sub-class. */
static const char *class_name(unsigned class)
{
    static const struct {
        unsigned class;
        const char *name;
    } names[] = {{0x0100, "SCSI controller"}, {0x0101, "IDE controller"}, {0x0200, "Ethernet controller"},
                 {0x0300, "VGA controller"},  {0x0600, "Host bridge"},    {0x0601, "ISA bridge"},
                 {0x0680, "Bridge"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].class == class)
            return names[i].name;
    return NULL;
}

static void add_region(json_t *list, const struct i440fx *s, unsigned fn, unsigned n, uint32_t bytes, bool io)
{
    const unsigned reg = n == PCI_BAR_ROM ? PCI_ROM_BASE : PCI_BAR0 + 4 * n;
    uint32_t address;
    const json_int_t at = i440fx_bar_decoded(s, fn, n, &address) ? (json_int_t)address : NOT_MAPPED;
    json_t *j = json_pack("{s:i,s:s,s:I,s:I}", "bar", (int)n, "type", io ? "io" : "memory", "address", at,
                          "size", (json_int_t)bytes);
    if (!io) {
        const bool prefetch = n != PCI_BAR_ROM && i440fx_config_peek(s, fn, reg) & BAR_PREFETCHABLE;
        json_object_update_new(j, json_pack("{s:b,s:b}", "prefetch", prefetch, "mem_type_64", 0));
    }
    json_array_append_new(list, j);
}

static json_t *regions(const struct i440fx *s, unsigned fn, const struct pci_function *f)
{
    json_t *list = json_array();
    for (unsigned n = 0; n < PCI_BARS; n++)
        if (f->bar[n].bytes)
            add_region(list, s, fn, n, f->bar[n].bytes, f->bar[n].io);
    if (s->rom_log2[fn])
        add_region(list, s, fn, PCI_BAR_ROM, UINT32_C(1) << s->rom_log2[fn], false);
    return list;
}

static json_t *function(const struct i440fx *s, unsigned fn, const struct pci_function *f)
{
    const unsigned class = config16(s, fn, PCI_CLASS), pin = i440fx_config_peek(s, fn, PCI_INTERRUPT_PIN);
    json_t *j = json_pack("{s:i,s:i,s:i,s:{s:i,s:s*},s:{s:i,s:i,s:i,s:i},s:i,s:s,s:o}", "bus", 0, "slot",
                          f->devfn >> 3, "function", f->devfn & 7, "class_info", "class", (int)class, "desc",
                          class_name(class), "id", "device", (int)config16(s, fn, PCI_DEVICE), "vendor",
                          (int)config16(s, fn, PCI_VENDOR), "subsystem", (int)config16(s, fn, SUBSYSTEM),
                          "subsystem-vendor", (int)config16(s, fn, SUBSYSTEM_VENDOR), "irq_pin", (int)pin,
                          "qdev_id", "", "regions", regions(s, fn, f));
    if (pin)
        json_object_set_new(j, "irq", json_integer(i440fx_config_peek(s, fn, PCI_INTERRUPT_LINE)));
    return j;
}

/* By slot and function, as the bus is searched. */
void qmp_query_pci(struct qmp_call *call)
{
    const struct i440fx *s = &machine_board(call->steer->machine)->pci;
    json_t *list = json_array();
    for (unsigned devfn = 0; devfn < PCI_DEVFN(32, 0); devfn++) {
        for (unsigned fn = 0; fn < I440FX_FN_COUNT; fn++) {
            const struct pci_function *f = i440fx_function(s, fn);
            if (f && f->devfn == devfn)
                json_array_append_new(list, function(s, fn, f));
        }
    }
    call->answer = json_pack("[{s:i,s:o}]", "bus", 0, "devices", list);
}

/* --- the rest --- */

static const char *vnc_auth(const struct display_option *o)
{
    return o->password_file ? "vnc" : "none";
}

/* The port is told where it was not left to the host. */
static json_t *vnc_server(const struct display_option *o)
{
    const bool local = o->path != NULL;
    char port[16];
    snprintf(port, sizeof port, "%u", VNC_PORT + o->first);
    const char *family = local ? "unix" : o->host && strchr(o->host, ':') ? "ipv6" : "ipv4";
    return json_pack("{s:b,s:s*,s:s,s:s*,s:s}", "enabled", 1, "host", local ? o->path : o->host, "family",
                     family, "service", local || o->first != o->to ? NULL : port, "auth", vnc_auth(o));
}

static json_t *vnc_viewer(const struct display_viewer *v)
{
    return json_pack("{s:s,s:s,s:s,s:b}", "host", v->host, "service", v->service, "family", v->family,
                     "websocket", 0);
}

static json_t *vnc_clients(struct display *d)
{
    struct display_viewer v[DISPLAY_VIEWERS_MAX];
    json_t *list = json_array();
    for (unsigned n = display_viewers(d, v), i = 0; i < n; i++)
        json_array_append_new(list, vnc_viewer(&v[i]));
    return list;
}

void qmp_query_vnc(struct qmp_call *call)
{
    const struct display_option *o = &call->steer->o->display;
    call->answer = o->kind == DISPLAY_VNC ? vnc_server(o) : json_pack("{s:b}", "enabled", 0);
    if (o->kind == DISPLAY_VNC)
        json_object_set_new(call->answer, "clients", vnc_clients(call->steer->display));
}

void qmp_tell_viewer(struct control *c, const struct display_option *o, enum display_moment moment,
                     const struct display_viewer *server, const struct display_viewer *viewer)
{
    static const char *const names[] = {[VIEWER_CONNECTED] = "VNC_CONNECTED",
                                        [VIEWER_INITIALIZED] = "VNC_INITIALIZED",
                                        [VIEWER_DISCONNECTED] = "VNC_DISCONNECTED"};
    json_t *data = json_pack("{s:o,s:o}", "server", vnc_viewer(server), "client", vnc_viewer(viewer));
    json_object_set_new(json_object_get(data, "server"), "auth", json_string(vnc_auth(o)));
    char *text = json_dumps(data, 0);
    if (text)
        control_post(c, names[moment], text);
    free(text);
    json_decref(data);
}

void qmp_query_machines(struct qmp_call *call)
{
    call->answer = json_pack("[{s:s,s:b,s:i,s:b,s:b,s:b}]", "name", "pc", "is-default", 1, "cpu-max", 1,
                             "hotpluggable-cpus", 0, "numa-mem-supported", 0, "deprecated", 0);
}

void qmp_query_current_machine(struct qmp_call *call)
{
    call->answer = json_pack("{s:b}", "wakeup-suspend-support", 0);
}
