/* main.c - the tandem command: options in, a machine's run, an exit status out. */
#include "cli/run.h"
#include "cli/signals.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int fail(const struct err *e)
{
    fprintf(stderr, "tandem: %s\n", e->text);
    return RUN_HOST_ERROR;
}

static bool pidfile_write(const char *path, struct err *e)
{
    FILE *f = fopen(path, "we");
    bool bad = !f || fprintf(f, "%ld\n", (long)getpid()) < 0;
    if (f && fclose(f) != 0)
        bad = true;
    return !bad || err_set(e, "-pidfile %s: %s; a file that can be written is needed", path, strerror(errno));
}

static int act(const struct options *o, struct err *e)
{
    switch (o->action) {
    case ACTION_HELP:
        options_help(stdout);
        return RUN_OK;
    case ACTION_VERSION:
        printf("tandem %s\n", TANDEM_VERSION);
        return RUN_OK;
    case ACTION_CPU_HELP:
        cpu_model_help(stdout);
        return RUN_OK;
    case ACTION_RUN:
        break;
    }
    if (o->pidfile && !pidfile_write(o->pidfile, e))
        return fail(e);
    signals_install(o->pidfile);
    int status = run(o, e);
    if (o->pidfile)
        unlink(o->pidfile);
    return status == RUN_HOST_ERROR ? fail(e) : status;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e;
    int status = options_parse(&o, argc, argv, &e) ? act(&o, &e) : fail(&e);
    options_free(&o);
    return fflush(stdout) == 0 ? status : RUN_HOST_ERROR;
}
