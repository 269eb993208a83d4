/* displayopts.c - see displayopts.h. */
#include "cli/displayopts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOPBACK     "127.0.0.1"
#define VNC_DISPLAYS 59635 /* ports 5900 to 65535 */
#define ACCEPTED     "none, vnc=HOST:N[,to=N][,password=FILE], vnc=unix:PATH and curses are accepted"
#define VNC_ACCEPTED "[HOST]:N[,to=N][,password=FILE], unix:PATH[,password=FILE] or none is accepted"

void display_option_free(struct display_option *o)
{
    free(o->host);
    free(o->path);
    free(o->password_file);
    *o = (struct display_option){0};
}

static bool parse_number(const char *text, unsigned *out)
{
    char *end;
    errno = 0;
    const unsigned long v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || v > VNC_DISPLAYS)
        return false;
    *out = (unsigned)v;
    return true;
}

/* "HOST:N", "[V6]:N" or ":N"; the text is changed. */
static bool parse_address(struct display_option *o, char *text)
{
    char *colon = strrchr(text, ':');
    if (!colon || !parse_number(colon + 1, &o->first))
        return false;
    *colon = 0;
    const size_t n = strlen(text);
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text[n - 1] = 0;
        text++;
    }
    o->to = o->first;
    o->host = strdup(*text ? text : LOOPBACK);
    return o->host != NULL;
}

static bool parse_where(struct display_option *o, char *text)
{
    if (strncmp(text, "unix:", 5) != 0)
        return parse_address(o, text);
    o->path = text[5] ? strdup(text + 5) : NULL;
    return o->path != NULL;
}

static bool parse_key(struct display_option *o, const char *text)
{
    if (strncmp(text, "to=", 3) == 0)
        return o->host && parse_number(text + 3, &o->to) && o->to >= o->first;
    if (strncmp(text, "password=", 9) == 0 && text[9] && !o->password_file)
        return (o->password_file = strdup(text + 9)) != NULL;
    return false;
}

static bool parse_vnc(struct display_option *o, char *text)
{
    char *save = NULL, *word = strtok_r(text, ",", &save);
    if (!word || !parse_where(o, word))
        return false;
    while ((word = strtok_r(NULL, ",", &save)))
        if (!parse_key(o, word))
            return false;
    return true;
}

/* False: it is none. */
static bool set_vnc(struct display_option *o, const char *value)
{
    char *copy = strdup(value);
    *o = (struct display_option){.kind = DISPLAY_VNC};
    const bool ok = copy && parse_vnc(o, copy);
    free(copy);
    return ok;
}

bool display_option_parse_vnc(struct display_option *o, const char *value, struct err *e)
{
    display_option_free(o);
    return strcmp(value, "none") == 0 || set_vnc(o, value) || err_set(e, "-vnc %s: %s", value, VNC_ACCEPTED);
}

bool display_option_parse(struct display_option *o, const char *value, struct err *e)
{
    display_option_free(o);
    if (strcmp(value, "none") == 0)
        return true;
    o->kind = DISPLAY_CURSES;
    return strcmp(value, "curses") == 0 || (strncmp(value, "vnc=", 4) == 0 && set_vnc(o, value + 4)) ||
           err_set(e, "-display %s: %s", value, ACCEPTED);
}
