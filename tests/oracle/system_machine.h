/* system_machine.h - a machine for the cases of system.h: RAM, a toy board, one vCPU of some engine.
 *
 * The board. Ports 0 to 3fh: synchronous. 40h to 7fh: pure reads, posted writes, each of which raises the
 * interrupt line LATENCY ticks later. 80h to bfh: a register on the vCPU's own side. SYS_MMIO: a page of
 * synchronous registers. What is read is a function of the address, of the time since the case began and of
 * what was written. The interrupt controller also raises a vector by itself every so many ticks.
 * Threads: one, but for the translation workers that the configuration asks for. */
#ifndef TANDEM_TESTS_ORACLE_SYSTEM_MACHINE_H
#define TANDEM_TESTS_ORACLE_SYSTEM_MACHINE_H

#include "tests/oracle/system.h"

struct system_engine {
    const char *name;
    enum translator_mode mode;
    unsigned hot, threads; /* as in struct vcpu_config; 0: the default */
    size_t code_cache_bytes;
    uint64_t quantum_ticks; /* between horizons; 0: seldom */
    bool single_tb, no_chain;
    enum long_blocks long_blocks;
    bool one_at_a_time; /* by a condition that never holds */
    bool cut;           /* at random ticks: the run ends and goes on */
    unsigned turns;     /* how often a case is run */
};

struct system_machine;
/* NULL: no memory. */
struct system_machine *system_machine_create(const struct system_engine *e);
void system_machine_destroy(struct system_machine *m);
struct vcpu *system_machine_vcpu(struct system_machine *m);
const uint8_t *system_machine_ram(const struct system_machine *m);
/* Puts the case's memory and state in place. Code and translations that are still good stay. */
void system_machine_load(struct system_machine *m, const struct system_case *c);
/* Runs on until `ticks` of the case have gone by in all, or the guest has ended. */
enum vcpu_exit system_machine_run(struct system_machine *m, uint64_t ticks);
uint64_t system_machine_ticks(const struct system_machine *m); /* of the case, so far */
/* The whole vCPU (vcpu_state_bytes), its ticks counted from the case's start; returns how many bytes, also
 * where there is room for fewer. Afterwards the machine is good for another case only. */
size_t system_machine_state(struct system_machine *m, uint8_t *out, size_t max);
/* Called before every instruction of the next runs; true ends the run. NULL: no more. */
void system_machine_watch(struct system_machine *m, bool (*condition)(void *ctx), void *ctx);

#endif
