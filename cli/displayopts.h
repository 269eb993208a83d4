/* displayopts.h - -display and -vnc: which display, and where.
 *
 * Threads: any. Memory: strings are owned by the option, until display_option_free. Errors: a message that
 * names the option and says what is accepted. */
#ifndef TANDEM_CLI_DISPLAYOPTS_H
#define TANDEM_CLI_DISPLAYOPTS_H

#include "machine/err.h"

#include <stdbool.h>

enum display_kind { DISPLAY_NONE, DISPLAY_VNC, DISPLAY_CURSES };

struct display_option {
    enum display_kind kind;
    char *host;          /* of VNC; NULL: a socket in the file system */
    char *path;          /* that one's; else NULL */
    char *password_file; /* NULL: nobody is asked for a password */
    unsigned first, to;  /* VNC's display numbers: the first free one is taken */
};

/* The value of -display. *o is what an earlier one said: the last one counts. */
bool display_option_parse(struct display_option *o, const char *value, struct err *e);
/* The value of -vnc: what follows "vnc=" in -display. */
bool display_option_parse_vnc(struct display_option *o, const char *value, struct err *e);
void display_option_free(struct display_option *o);

#endif
