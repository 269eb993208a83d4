/* observe.h - the hub of those who watch one machine: profile, account, marks, timeline.
 *
 * A machine's vCPU has one observer (vcpu/observer.h), which is this; it tells everybody, in the order in
 * which they were added, and follows how the kernel was entered (context.h) before it tells.
 *
 *     o = observe_create();
 *     observe_add(o, &watcher);                          // each
 *     machine_config.observer = *observe_vcpu(o);
 *     m = machine_create(...);
 *     observe_begin(o, m);                               // before the first run
 *     ...
 *     machine_destroy(m);
 *     observe_destroy(o);
 *
 * Threads: watchers are called on the vCPU's thread; everything else while the machine stands. */
#ifndef TANDEM_OBSERVE_OBSERVE_H
#define TANDEM_OBSERVE_OBSERVE_H

#include "observe/context.h"

#define OBSERVE_WATCHERS_MAX 8
#define OBSERVE_TASK_BYTES   64 /* of a name to compare with, with its NUL */

struct observe;
struct machine;
struct sample;

/* What the guest's own structures say of who runs. Functions read only; NULL ones are not called. */
struct observe_guest {
    void *ctx;
    /* The task that runs, by a number of its own; 0: not known. Asked for in kernel code too. */
    uint32_t (*task)(void *ctx, const struct guest_state *g);
    /* A task's name for people. False: not known. */
    bool (*task_text)(void *ctx, uint32_t task, char *text, size_t bytes);
    /* A sample is being taken (maybe again, for the same tick): what it shows is in memory still. */
    void (*sampled)(void *ctx, const struct sample *s);
};

/* NULL: no memory. */
struct observe *observe_create(void);
void observe_destroy(struct observe *o); /* NULL is fine */
/* A watcher has the form of a vCPU's observer: see there for when its functions are called. False: there are
 * OBSERVE_WATCHERS_MAX. Before the machine is made. */
bool observe_add(struct observe *o, const struct vcpu_observer *watcher);
const struct vcpu_observer *observe_vcpu(const struct observe *o);
void observe_set_guest(struct observe *o, const struct observe_guest *guest);
/* The machine has been made and stands; sets out from its state. Nobody is told of events before. */
void observe_begin(struct observe *o, struct machine *m);

/* --- for watchers, in their functions or while the machine stands --- */
/* Where the kernel was entered; when a watcher is told of an event, the event is in it. Followed where a
 * watcher has `event`. */
const struct context *observe_context(const struct observe *o);
/* In `mark`: the watcher with this ctx is called for a sample at the mark's tick, before the instruction. */
void observe_sample_now(struct observe *o, const void *watcher, uint64_t tick);
/* As vcpu_peek. */
size_t observe_peek(const struct observe *o, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes);
/* As vcpu_peek_code, vcpu_is_inside. */
size_t observe_peek_code(const struct observe *o, void *to, size_t bytes);
bool observe_is_inside(const struct observe *o);
/* Tells the guest's side of a sample. */
void observe_sampled(const struct observe *o, const struct sample *s);
/* 0: not known. */
uint32_t observe_task(const struct observe *o, const struct guest_state *g);
/* Is the guest's process, as far as it tells, one of this name? */
bool observe_process_is(const struct observe *o, const struct guest_state *g, const char *name);
/* Printable ASCII, whatever the guest has there. False: not known. */
bool observe_task_text(const struct observe *o, uint32_t task, char *text, size_t bytes);

#endif
