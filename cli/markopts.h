/* markopts.h - -mark, -region, -until, -mark-log and the moments of -snapshot-at. */
#ifndef TANDEM_CLI_MARKOPTS_H
#define TANDEM_CLI_MARKOPTS_H

#include "machine/err.h"
#include "observe/marks.h"

struct until_option {
    uint64_t tick; /* TICK_NEVER: none */
    char *mark;    /* a reference (observe/marks.h); NULL: none */
    uint64_t count;
    char *text; /* NULL: none */
};

struct mark_options {
    struct mark_option mark[MARKS_MAX];
    unsigned nmarks;
    struct region_option region[REGIONS_MAX];
    unsigned nregions;
    struct until_option until;
    char *log_file; /* NULL: none */
    bool log_json;
};

void markopts_init(struct mark_options *o);
/* Values of the options: NAME=ADDR[,key=value...]; NAME=FROM..TO; key=value... */
bool markopts_mark(struct mark_options *o, const char *value, struct err *e);
bool markopts_region(struct mark_options *o, const char *value, struct err *e);
bool markopts_until(struct mark_options *o, const char *value, struct err *e);
bool markopts_log(struct mark_options *o, const char *value, struct err *e);
bool markopts_text(const char *value, char **text, struct err *e); /* of text= */
void markopts_free(struct mark_options *o);

#endif
