/* optkeys_devices.c - keys of -device, for the devices that are neither drives nor network cards. See
 * options_internal.h. */
#include "cli/options_internal.h"

#include "machine/optvalue.h"

#include <stdio.h>
#include <string.h>

static bool set_exit_port(void *target, const char *value, struct err *e)
{
    uint64_t v;
    bool ok = value_number(value, 0, 0xffff, &v);
    ((struct options *)target)->debug_exit_port = ok ? (uint32_t)v : 0;
    return ok;
}

static bool set_exit_ports(void *target, const char *value, struct err *e)
{
    uint64_t v;
    if (!value_number(value, 1, 4, &v) || v == 3)
        return false;
    ((struct options *)target)->debug_exit_ports = (uint32_t)v;
    return true;
}

static bool set_driver(void *target, const char *value, struct err *e)
{
    return true; /* parse_device has looked */
}

const struct list_key debug_exit_keys[] = {
    {"driver", "isa-debug-exit", set_driver},
    {"iobase", "0..0xffff (default 0x501)", set_exit_port},
    {"iosize", "1|2|4 (default 2)", set_exit_ports},
};

static bool set_debugcon_port(void *target, const char *value, struct err *e)
{
    uint64_t v;
    bool ok = value_number(value, 0, 0xffff, &v);
    ((struct options *)target)->debugcon_port = ok ? (uint32_t)v : 0;
    return ok;
}

static bool set_debugcon_chardev(void *target, const char *value, struct err *e)
{
    char spec[128];
    snprintf(spec, sizeof spec, "chardev:%s", value);
    return *value && strlen(value) < sizeof spec - 8 &&
           value_string(spec, &((struct options *)target)->debugcon, e);
}

const struct list_key debugcon_keys[] = {
    {"driver", "isa-debugcon", set_driver},
    {"iobase", "0..0xffff (default 0xe9)", set_debugcon_port},
    {"chardev", "ID", set_debugcon_chardev},
};

static bool set_marker_port(void *target, const char *value, struct err *e)
{
    uint64_t v;
    bool ok = value_number(value, 0, 0xfffc, &v);
    ((struct options *)target)->marker_port = ok ? (uint32_t)v : 0;
    return ok;
}

const struct list_key marker_keys[] = {
    {"driver", "tandem-marker", set_driver},
    {"iobase", "0..0xfffc (default 0x5e0)", set_marker_port},
};
