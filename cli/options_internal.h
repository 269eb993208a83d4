/* options_internal.h - the keys of list options ("-icount shift=3,sleep=off"), by which options.c parses
 * them.
 *
 * Each setter's target is the struct options. */
#ifndef TANDEM_CLI_OPTIONS_INTERNAL_H
#define TANDEM_CLI_OPTIONS_INTERNAL_H

#include "cli/options.h"
#include "machine/optvalue.h"

/* optkeys_machine.c: what the machine is and how it runs */
extern const struct list_key icount_keys[5];
extern const struct list_key rtc_keys[2];
extern const struct list_key memory_keys[1];
extern const struct list_key devthread_keys[3];
extern const struct list_key translator_keys[7];
extern const struct list_key machine_keys[7];
extern const struct list_key accel_keys[1];
extern const struct list_key smp_keys[5];
extern const struct list_key boot_keys[6];
extern const struct list_key fw_cfg_keys[3];
extern const struct list_key mon_keys[3];

/* optkeys_devices.c: -device */
extern const struct list_key debug_exit_keys[3];
extern const struct list_key debugcon_keys[3];
extern const struct list_key marker_keys[2];

/* optkeys_observe.c: what looks at a run */
extern const struct list_key snapshot_keys[5];
extern const struct list_key screendump_keys[5];
extern const struct list_key digest_keys[2];
extern const struct list_key profile_keys[6];
extern const struct list_key account_keys[2];
extern const struct list_key trace_keys[3];
extern const struct list_key stats_keys[3];

/* optkeys_tests.c: hidden options, for tests */
extern const struct list_key host_delay_keys[2];
extern const struct list_key jitter_keys[1];
extern const struct list_key pause_keys[2];
extern const struct list_key plant_keys[1];
extern const struct list_key probe_keys[3];

/* The monitor that the option has begun. */
static inline struct control_option *last_control(void *target)
{
    struct options *o = target;
    return &o->control[o->ncontrols - 1];
}

#endif
