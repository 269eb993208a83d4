/* optkeys_tests.c - keys of the hidden options, which are for tests. See options_internal.h. */
#include "cli/options_internal.h"

#include "machine/optvalue.h"

static bool set_seed(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, UINT64_MAX, &((struct options *)target)->jitter_seed);
}

static bool set_late(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, UINT32_MAX, &((struct options *)target)->plant_late);
}

static bool set_delay_seed(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, UINT64_MAX, &((struct options *)target)->host_delay_seed);
}

static bool set_delay_one_in(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, UINT64_MAX, &((struct options *)target)->host_delay_one_in);
}

const struct list_key host_delay_keys[] = {{"seed", "N (at least 1)", set_delay_seed},
                                           {"one-in", "N (at least 1)", set_delay_one_in}};
const struct list_key jitter_keys[] = {{"seed", "N (at least 1)", set_seed}};
static bool set_pause_every(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, UINT64_C(1) << 40, &((struct options *)target)->pause_every);
}

static bool set_pause_seed(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, UINT64_MAX, &((struct options *)target)->pause_seed);
}

const struct list_key pause_keys[] = {{"every", "N (ticks, at least 1)", set_pause_every},
                                      {"seed", "N (at least 1)", set_pause_seed}};
const struct list_key plant_keys[] = {{"late", "N (effect number, at least 1)", set_late}};

static bool set_differs(void *target, const char *value, struct err *e)
{
    return value_number(value, 0, UINT32_MAX, &((struct options *)target)->pretend_differs);
}

static bool set_lacks(void *target, const char *value, struct err *e)
{
    return value_number(value, 0, UINT32_MAX, &((struct options *)target)->pretend_lacks);
}

static bool set_ask_host(void *target, const char *value, struct err *e)
{
    return value_switch(value, &((struct options *)target)->ask_host);
}

const struct list_key probe_keys[] = {
    {"differs", "MASK", set_differs}, {"lacks", "MASK", set_lacks}, {"ask", "on|off", set_ask_host}};
