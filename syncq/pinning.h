/* pinning.h - which host CPUs the vCPU's and the device thread run on: those that the user named, else any.
 *
 * A thread without a wish is left to the host's scheduler, which knows what else runs and moves threads when
 * that changes; a program that binds itself can know neither (docs/decisions.md). Where the guest runs can
 * never change what it computes.
 * Threads: pinning_choose at start-up; pin_self on the thread itself.
 * Errors: false, with a message that names the option and what is accepted. */
#ifndef TANDEM_SYNCQ_PINNING_H
#define TANDEM_SYNCQ_PINNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIN_ANY (-1) /* no particular CPU: do not pin */

struct pinning {
    int vcpu_cpu, dev_cpu;    /* host CPU numbers (OS numbering) that were asked for, or PIN_ANY */
    unsigned allowed_cpus;    /* how many CPUs this process may use */
    uint32_t spin_iterations; /* for link_config: 0 where both threads share one CPU */
};

/* want_vcpu, want_dev: CPU numbers (`vcpu-cpu=N`, `cpu=N`), each checked against the CPUs that this process
 * may use, or PIN_ANY. Nobody spins where both threads share one CPU. */
bool pinning_choose(int want_vcpu, int want_dev, struct pinning *out, char *err, size_t err_bytes);
/* How many translation workers find a CPU that the vCPU does not need; 0 where it has the only one. The
 * device thread mostly sleeps: it counts for nothing. */
unsigned pinning_spare_cpus(const struct pinning *p);
/* Binds the calling thread; PIN_ANY: leaves it alone. False with errno. */
bool pin_self(int cpu);

#endif
