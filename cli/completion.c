/* completion.c - see completion.h. */
#include "cli/completion.h"

#include "cli/monitor.h"

#include <string.h>

struct candidates {
    const char *word;              /* that is completed */
    size_t bytes;                  /* of it */
    char common[COMPLETION_BYTES]; /* what all candidates begin with */
    unsigned count;
    FILE *list; /* NULL: they are only counted */
};

static void candidate(void *ctx, const char *name)
{
    struct candidates *c = ctx;
    if (strncmp(name, c->word, c->bytes) != 0)
        return;
    if (c->count++ == 0)
        snprintf(c->common, sizeof c->common, "%s", name);
    size_t n = 0;
    while (c->common[n] && c->common[n] == name[n])
        n++;
    c->common[n] = '\0';
    if (c->list)
        fprintf(c->list, "%s%s", c->count == 1 ? "" : "  ", name);
}

/* Words end at blanks, and those of keys at a hyphen. */
static struct candidates look(const char *line, FILE *list)
{
    const char *word = line + strlen(line);
    while (word > line && word[-1] != ' ' && word[-1] != '-')
        word--;
    struct candidates c = {.word = word, .bytes = strlen(word), .list = list};
    monitor_candidates(line, candidate, &c);
    return c;
}

enum completion completion_find(const char *line, char rest[COMPLETION_BYTES + 1])
{
    const struct candidates c = look(line, NULL);
    if (c.count == 0)
        return COMPLETION_NONE;
    if (c.count > 1 && strlen(c.common) <= c.bytes)
        return COMPLETION_MANY;
    snprintf(rest, COMPLETION_BYTES + 1, "%s%s", c.common + c.bytes, c.count == 1 ? " " : "");
    return COMPLETION_MORE;
}

void completion_list(const char *line, FILE *out)
{
    look(line, out);
    fputc('\n', out);
}
