/* completion.h - what Tab makes of a line that is typed into a monitor, on whichever screen.
 *
 * Threads: any. */
#ifndef TANDEM_CLI_COMPLETION_H
#define TANDEM_CLI_COMPLETION_H

#include <stdio.h>

#define COMPLETION_BYTES 64

enum completion {
    COMPLETION_NONE, /* nothing begins so */
    COMPLETION_MORE, /* `rest` goes behind the line */
    COMPLETION_MANY, /* only a person can choose: completion_list */
};

/* The last word of `line` becomes as long as it can only be; a blank follows one that is whole. */
enum completion completion_find(const char *line, char rest[COMPLETION_BYTES + 1]);
/* All that the last word may become, on a line of their own. */
void completion_list(const char *line, FILE *out);

#endif
