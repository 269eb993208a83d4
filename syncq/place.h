/* place.h - which host CPUs the vCPU's and the device thread run on: those that the user named, else any.
 *
 * A thread without a wish is left to the host's scheduler, which knows what else runs and moves threads when
 * that changes; a program that binds itself can know neither (docs/decisions.md). Where the guest runs can
 * never change what it computes.
 * Threads: place_choose at start-up; place_bind_self on the thread itself.
 * Errors: false, with a message that names the option and what is accepted. */
#ifndef TANDEM_SYNCQ_PLACE_H
#define TANDEM_SYNCQ_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACE_ANY (-1) /* no particular CPU: do not pin */

struct place {
    int vcpu_cpu, dev_cpu;    /* host CPU numbers (OS numbering) that were asked for, or PLACE_ANY */
    unsigned allowed_cpus;    /* how many CPUs this process may use */
    uint32_t spin_iterations; /* for link_config: 0 where both threads share one CPU */
};

/* want_vcpu, want_dev: CPU numbers (`vcpu-cpu=N`, `cpu=N`), each checked against the CPUs that this process
 * may use, or PLACE_ANY. Nobody spins where both threads share one CPU. */
bool place_choose(int want_vcpu, int want_dev, struct place *out, char *err, size_t err_bytes);
/* How many translation workers find a CPU that the vCPU does not need; 0 where it has the only one. The
 * device thread mostly sleeps: it counts for nothing. */
unsigned place_spare_cpus(const struct place *p);
/* Binds the calling thread; PLACE_ANY: leaves it alone. False with errno. */
bool place_bind_self(int cpu);

#endif
