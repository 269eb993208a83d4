/* shadow.h - exact stacks: each CALL and each entry is noted when it happens, each return when it happens.
 *
 * Follows the guest one instruction at a time (machine_run_until with shadow_step as its condition), which is
 * some hundred times slower than a run without: a second run of the same command, whose samples fall on the
 * same ticks. What is on the stack is known then without any help of the compiler.
 *
 * A stack is a list of slots: addresses at which a CALL stored its return address, or at which a handler's
 * stack began. A slot is dead once ESP is above it. ESP that moves far (SHADOW_FAR bytes) or with a change of
 * privilege has gone to another stack: to the one that was left at this very ESP, or to the caller's that
 * spans it, or to a new one, above which the caller's goes on as long as nobody else runs on it.
 *
 * Bounds: SHADOW_STACKS_MAX stacks, the one that has not run for longest makes room; SHADOW_SLOTS_MAX slots
 * of each, the outermost are forgotten. */
#ifndef TANDEM_OBSERVE_SHADOW_H
#define TANDEM_OBSERVE_SHADOW_H

#include "observe/stack.h"

#define SHADOW_STACKS_MAX 1024
#define SHADOW_SLOTS_MAX  512
#define SHADOW_FAR        4096

struct shadow;

/* NULL: no memory. `m` is kept, not copied. */
struct shadow *shadow_create(const struct stack_memory *m);
void shadow_destroy(struct shadow *s); /* NULL is fine */
/* Before each instruction. */
void shadow_step(struct shadow *s, const struct guest_state *g, uint64_t tick);
void shadow_event(struct shadow *s, const struct guest_state *g, const struct vcpu_event *e);
/* Adds the callers to out, which has its first frame. */
void shadow_follow(struct shadow *s, const struct guest_state *g, uint64_t tick, struct sample *out);

#endif
