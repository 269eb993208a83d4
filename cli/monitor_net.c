/* monitor_net.c - commands of the monitor about networks. */
#include "cli/monitor_internal.h"
#include "cli/steer.h"

void monitor_info_network(struct monitor_call *call)
{
    nics_describe(machine_nics(call->steer->machine), call->out);
}

static void change(struct monitor_call *call,
                   bool (*how)(const struct nics *n, const char *id, const char *text, struct err *e))
{
    const char *id = call->nwords > 2 ? call->word[1] : NULL;
    struct err e;
    if (!how(machine_nics(call->steer->machine), id, call->word[call->nwords - 1], &e))
        fprintf(call->out, "Error: %s\n", e.text);
}

void monitor_hostfwd_add(struct monitor_call *call)
{
    change(call, nics_hostfwd_add);
}

void monitor_hostfwd_remove(struct monitor_call *call)
{
    change(call, nics_hostfwd_remove);
}
