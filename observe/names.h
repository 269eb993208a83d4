/* names.h - what a profile's file knows of processes and symbols: the reading half of attribute.h.
 *
 * Read before the samples, in a pass of its own, for the records about a sample may stand behind it. */
#ifndef TANDEM_OBSERVE_NAMES_H
#define TANDEM_OBSERVE_NAMES_H

#include "observe/profilefile.h"

struct names;

enum names_os { NAMES_NONE, NAMES_LINUX, NAMES_MINIX };

struct names_task {
    enum names_os os; /* NAMES_NONE: not known; the name is its CR3, or that there is none */
    const char *name;
    int64_t pid, tid; /* MINIX: both are the endpoint; none: 0 */
};

struct names_function {
    const char *name; /* never empty; "[unknown]" or "[FILE]" where no symbol is around the address */
    const char *file; /* "" where it is not known */
    uint32_t first;   /* address of its first byte; the address itself where no symbol is around it */
    bool known;
};

/* NULL: e says why. */
struct names *names_load(const char *path, struct err *e);
void names_free(struct names *n); /* NULL is fine */
/* Texts are valid until names_free. */
struct names_task names_task(struct names *n, const struct sample *s);
struct names_function names_function(struct names *n, const struct sample *s, unsigned frame);
/* One text of each content, as long as n lives; equal texts are one pointer. */
const char *names_intern(struct names *n, const char *text);

#endif
