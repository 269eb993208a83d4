/* chardevs.c - see chardevs.h. */
#include "cli/chardevs.h"

#include "machine/optvalue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The pieces of one -chardev, each owned or NULL. */
struct parts {
    char *backend, *id, *path, *host, *port;
    bool server, nowait;
};

static bool set_text(char **field, const char *value, struct err *e)
{
    return *value && value_string(value, field, e);
}

static bool set_backend(void *target, const char *value, struct err *e)
{
    return value_choice(value, "stdio|null|file|pty|socket") >= 0 &&
           set_text(&((struct parts *)target)->backend, value, e);
}

static bool set_id(void *target, const char *value, struct err *e)
{
    return set_text(&((struct parts *)target)->id, value, e);
}

static bool set_path(void *target, const char *value, struct err *e)
{
    return set_text(&((struct parts *)target)->path, value, e);
}

static bool set_host(void *target, const char *value, struct err *e)
{
    return value_string(value, &((struct parts *)target)->host, e); /* empty: every address */
}

static bool set_port(void *target, const char *value, struct err *e)
{
    return set_text(&((struct parts *)target)->port, value, e);
}

static bool set_server(void *target, const char *value, struct err *e)
{
    return value_switch(value, &((struct parts *)target)->server);
}

static bool set_wait(void *target, const char *value, struct err *e)
{
    bool wait = false;
    bool ok = value_switch(value, &wait);
    ((struct parts *)target)->nowait = !wait;
    return ok;
}

static bool set_mux(void *target, const char *value, struct err *e)
{
    return strcmp(value, "off") == 0 ||
           err_set(e,
                   "-chardev: mux=%s is not supported; mon:stdio, or a back end for each port, is accepted",
                   value);
}

static const struct list_key keys[] = {
    {"backend", "stdio|null|file|pty|socket", set_backend},
    {"id", "NAME", set_id},
    {"path", "FILE", set_path},
    {"host", "HOST", set_host},
    {"port", "PORT", set_port},
    {"server", "on|off", set_server},
    {"wait", "on|off", set_wait},
    {"mux", "off", set_mux},
};

/* Settings that the back end has no use for are errors, as everywhere. */
static bool check(const struct parts *p, const char *text, struct err *e)
{
    bool is_file = p->backend && strcmp(p->backend, "file") == 0;
    bool is_socket = p->backend && strcmp(p->backend, "socket") == 0;
    if (!p->backend || !p->id)
        return err_set(e, "-chardev %s: stdio|null|file|pty|socket,id=NAME is needed", text);
    if (is_file != (p->path != NULL) && !is_socket)
        return err_set(e, "-chardev %s: path=FILE belongs to file and socket", text);
    if (!is_socket && (p->host || p->port || p->server || p->nowait))
        return err_set(e, "-chardev %s: host, port, server and wait belong to socket", text);
    if (is_socket && (p->path != NULL) == (p->port != NULL))
        return err_set(e, "-chardev %s: socket needs path=FILE, or port=PORT and perhaps host=HOST", text);
    if (is_socket && p->path && strchr(p->path, ','))
        return err_set(e, "-chardev %s: a socket's path cannot have a comma", text);
    return true;
}

/* The same back end as chardev.h writes it; owned by the caller, NULL: no memory. */
static char *to_spec(const struct parts *p)
{
    char *spec = NULL;
    const char *server = p->server ? ",server=on" : "", *wait = p->server && p->nowait ? ",wait=off" : "";
    int n;
    if (strcmp(p->backend, "file") == 0)
        n = asprintf(&spec, "file:%s", p->path);
    else if (strcmp(p->backend, "socket") != 0)
        n = asprintf(&spec, "%s", p->backend);
    else if (p->path)
        n = asprintf(&spec, "unix:%s%s%s", p->path, server, wait);
    else
        n = asprintf(&spec, "tcp:%s:%s%s%s", p->host ? p->host : "", p->port, server, wait);
    return n < 0 ? NULL : spec;
}

static bool add_parts(struct chardevs *c, struct parts *p, const char *text, struct err *e)
{
    if (!check(p, text, e))
        return false;
    for (unsigned i = 0; i < c->n; i++)
        if (strcmp(c->dev[i].id, p->id) == 0)
            return err_set(e, "-chardev %s: there is one with id=%s already", text, p->id);
    if (c->n == CHARDEVS_MAX)
        return err_set(e, "-chardev %s: %d are there already, the most that are accepted", text,
                       CHARDEVS_MAX);
    char *spec = to_spec(p);
    if (!spec)
        return err_set(e, "-chardev: no host memory");
    c->dev[c->n].id = p->id;
    c->dev[c->n].spec = spec;
    c->n++;
    p->id = NULL;
    return true;
}

bool chardevs_add(struct chardevs *c, const char *text, struct err *e)
{
    struct parts p = {0};
    bool ok = list_parse("-chardev", text, "backend", keys, sizeof keys / sizeof *keys, &p, e) &&
              add_parts(c, &p, text, e);
    free(p.backend);
    free(p.id);
    free(p.path);
    free(p.host);
    free(p.port);
    return ok;
}

const char *chardevs_spec(struct chardevs *c, const char *option, const char *value, struct err *e)
{
    if (strncmp(value, "chardev:", 8) != 0)
        return value;
    for (unsigned i = 0; i < c->n; i++) {
        if (strcmp(c->dev[i].id, value + 8) != 0)
            continue;
        if (c->dev[i].used) {
            err_set(e, "%s %s: it serves another port already", option, value);
            return NULL;
        }
        c->dev[i].used = true;
        return c->dev[i].spec;
    }
    err_set(e, "%s %s: no -chardev has that id", option, value);
    return NULL;
}

void chardevs_free(struct chardevs *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        free(c->dev[i].id);
        free(c->dev[i].spec);
    }
    *c = (struct chardevs){0};
}
