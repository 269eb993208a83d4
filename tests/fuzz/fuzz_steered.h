/* fuzz_steered.h - a machine that runs a guest and is steered, for fuzz_monitor and fuzz_qmp: made, run in
 * stretches, and compared with one that nobody looked at. */
#ifndef TANDEM_TESTS_FUZZ_STEERED_H
#define TANDEM_TESTS_FUZZ_STEERED_H

#include "fuzz_random.h"
#include "machine/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRETCH_TICKS 1000

/* The host's fault, not the program's under test. */
static void die(const char *text)
{
    fprintf(stderr, "fuzz: %s\n", text);
    exit(2);
}

static struct machine *machine_of(const char *guest, FILE *log)
{
    struct machine_config cfg;
    struct err e;
    machine_config_init(&cfg);
    cfg.ram_bytes = UINT64_C(16) << 20;
    cfg.kernel = guest;
    cfg.append = "shift=3";
    cfg.mode = (enum link_mode)rng(3);
    cfg.interactive = true;
    cfg.log_file = log;
    struct machine *m = machine_create(&cfg, &e);
    if (!m)
        die(e.text);
    return m;
}

static void stretch(struct machine *m)
{
    struct err e;
    const struct vcpu_until until = {.tick = machine_tick(m) + STRETCH_TICKS};
    enum machine_stop stop;
    while ((stop = machine_run_until(m, &until, &e)) == MACHINE_STOP_PAUSE) {
    }
    if (stop == MACHINE_STOP_ERROR)
        die(e.text);
}

static void ask(void *machine)
{
    machine_pause_request(machine);
}

static void end_machine(struct machine *m)
{
    struct machine_stats s;
    struct err e;
    machine_finish(m, &s, &e);
    machine_destroy(m);
}

static void compare_states(struct machine *m, struct machine *other)
{
    char looked_at[DIGEST_HEX], alone[DIGEST_HEX];
    machine_state_hex(m, looked_at);
    machine_state_hex(other, alone);
    if (strcmp(looked_at, alone) != 0) {
        fprintf(stderr, "fuzz: the guest has noticed: %s, not %s\n", looked_at, alone);
        abort();
    }
}

#endif
