/* attribute.h - whose code is it, and what is it called? For each sample of a run: the process, from what the
 * guest says (Linux, MINIX), and for each address the name.
 *
 *     a = attribute_create();
 *     attribute_symbols(a, "vmlinux", &e);    // each -symbols
 *     attribute_begin(a, &view);
 *     sample.task = attribute_task(a, state); // each sample, and whenever it is asked who runs
 *     attribute_sampled(a, &sample);          // at once, while the code is still where it was
 *     attribute_write(a, writer);             // at the end: what has been learnt, as 'J' records
 *
 * The records are those of profilefile.h. "type" is one of two:
 *
 * "task": id, os ("linux", "minix"), name, then pid and tid (Linux) or endpoint (MINIX): whose sample.task is
 * id.
 *
 * "symbols": space, rows of [first, end, name, file] with linear addresses. Space 0 is the kernel, an even
 * number is twice the task, an odd one is CR3 + 1 of user code whose task is not known. The name "" says that
 * only the file is known. With "from" and maybe "to" the rows are about samples of ticks from there to before
 * there only: a module of the kernel's.
 *
 * Only what has been sampled is written.
 *
 * NOT MODELLED: a guest that resets and places its kernel elsewhere (KASLR) has the names of the one that was
 * found first; a process that unmaps code and maps another file at the same place keeps the first one's
 * names. */
#ifndef TANDEM_OBSERVE_ATTRIBUTE_H
#define TANDEM_OBSERVE_ATTRIBUTE_H

#include "machine/err.h"
#include "observe/guest_view.h"

struct attribute;
struct guest_state;
struct profile_writer;
struct sample;

/* NULL: no memory. */
struct attribute *attribute_create(void);
void attribute_destroy(struct attribute *a); /* NULL is fine */
/* The value of one -symbols. */
bool attribute_symbols(struct attribute *a, const char *spec, struct err *e);
/* The guest's kernel, or a module of it: its symbols are used if it has any. False: no ELF file. */
bool attribute_guest_file(struct attribute *a, const char *path);
void attribute_begin(struct attribute *a, const struct guest_view *view);
/* Looks for what is not known of the guest's system yet. Worth a call whenever its kernel runs. */
void attribute_look(struct attribute *a, const struct guest_state *g);
/* Number of the task that runs; 0: not known. */
uint32_t attribute_task(struct attribute *a, const struct guest_state *g);
/* A task for people: name and number. False: there is none. */
bool attribute_task_text(const struct attribute *a, uint32_t task, char *text, size_t bytes);
/* A module of the guest's kernel was loaded: it is at the first instruction of ATTRIBUTE_LOADER, a function
 * of the kernel. */
#define ATTRIBUTE_LOADER "do_init_module"
void attribute_loaded(struct attribute *a, const struct guest_state *g, uint64_t tick);
/* Address of a symbol of the guest's kernel, by what is known now: files first, then kallsyms; MODULE:SYMBOL
 * is one of a module. False: there is none, or not yet. */
bool attribute_find(const struct attribute *a, const char *name, uint32_t *lin_addr);
/* Nothing more will be known: a name that is not found by now is none. */
bool attribute_kernel_known(const struct attribute *a);
void attribute_sampled(struct attribute *a, const struct sample *s);
void attribute_write(struct attribute *a, struct profile_writer *w);
/* Which space of "symbols" a frame's address is looked up in. */
uint64_t attribute_space(const struct sample *s, unsigned frame);
/* The address that has the frame's name: that of the CALL, not the one behind it. */
uint32_t attribute_address(const struct sample *s, unsigned frame);

#endif
