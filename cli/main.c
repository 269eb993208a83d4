/* main.c - the tandem command: options in, a machine's run, an exit status out. */
#include "cli/machine.h"
#include "cli/signals.h"

static int fail(const struct err *e)
{
    fprintf(stderr, "tandem: %s\n", e->text);
    return MACHINE_HOST_ERROR;
}

static int act(const struct options *o, struct err *e)
{
    switch (o->action) {
    case ACTION_HELP:
        options_help(stdout);
        return MACHINE_OK;
    case ACTION_VERSION:
        printf("tandem %s\n", TANDEM_VERSION);
        return MACHINE_OK;
    case ACTION_RUN:
        break;
    }
    signals_install();
    int status = machine_run(o, e);
    return status == MACHINE_HOST_ERROR ? fail(e) : status;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e;
    int status = options_parse(&o, argc, argv, &e) ? act(&o, &e) : fail(&e);
    options_free(&o);
    return fflush(stdout) == 0 ? status : MACHINE_HOST_ERROR;
}
