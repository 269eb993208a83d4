/* instruments.c - see instruments.h. */
#include "cli/instruments.h"

#include "observe/account.h"
#include "observe/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct instruments {
    const struct options *o;
    struct machine *machine;
    struct observe *hub; /* NULL: nothing was asked for */
    struct account *account;
    FILE *account_file;
    struct profiler *profiler;
};

static bool wanted(const struct options *o)
{
    return o->account_file || o->profile_file;
}

/* --- start --- */

/* The account comes first: the profile asks it where a sample is counted. */
static bool create_account(struct instruments *i, struct err *e)
{
    const char *path = i->o->account_file;
    if (!path)
        return true;
    i->account_file = fopen(path, "we");
    if (!i->account_file)
        return err_set(e, "-account: file=%s: %s; a file that can be written is needed", path,
                       strerror(errno));
    i->account = account_create(i->hub);
    return i->account || err_set(e, "-account: no host memory");
}

static bool create_profiler(struct instruments *i, struct err *e)
{
    const struct profiler_config c = {
        .file = i->o->profile_file,
        .every = i->o->profile_every,
        .phase = i->o->profile_phase,
        .stacks = (enum profile_stacks)i->o->profile_stacks,
        .shift = i->o->shift,
        .account = i->account,
    };
    if (!c.file)
        return true;
    i->profiler = profiler_create(i->hub, &c, e);
    return i->profiler != NULL;
}

static bool create_all(struct instruments *i, struct err *e)
{
    if (!wanted(i->o))
        return true;
    i->hub = observe_create();
    return (i->hub || err_set(e, "no host memory for -profile and -account")) && create_account(i, e) &&
           create_profiler(i, e);
}

struct instruments *instruments_create(const struct options *o, struct err *e)
{
    struct instruments *i = calloc(1, sizeof *i);
    if (!i) {
        err_set(e, "no host memory");
        return NULL;
    }
    i->o = o;
    if (create_all(i, e))
        return i;
    instruments_destroy(i);
    return NULL;
}

struct vcpu_observer instruments_observer(const struct instruments *i)
{
    return i->hub ? *observe_vcpu(i->hub) : (struct vcpu_observer){0};
}

void instruments_begin(struct instruments *i, struct machine *m)
{
    i->machine = m;
    if (i->hub)
        observe_begin(i->hub, m);
    if (i->account)
        account_begin(i->account, machine_guest(m), machine_tick(m));
    if (i->profiler)
        profiler_begin(i->profiler, m);
}

void instruments_until(struct instruments *i, struct vcpu_until *until)
{
    if (i->profiler)
        profiler_until(i->profiler, until);
}

/* --- end --- */

static double percent(const struct profiler_agreement *a)
{
    return a->stacks ? 100.0 * (double)a->agree / (double)a->stacks : 0;
}

static void tell_agreement(const struct instruments *i)
{
    struct profiler_agreement kernel, user;
    if (i->o->profile_stacks != PROFILE_STACKS_EXACT)
        return;
    profiler_agreement(i->profiler, &kernel, &user);
    fprintf(stderr,
            "tandem: -profile: frame pointers would have given the exact stack in %.2f %% of %" PRIu64
            " samples of the kernel, %.2f %% of %" PRIu64 " of user code\n",
            percent(&kernel), kernel.stacks, percent(&user), user.stacks);
}

static bool end_profiler(struct instruments *i, struct err *e)
{
    if (!i->profiler)
        return true;
    if (!profiler_end(i->profiler, machine_tick(i->machine), e))
        return false;
    tell_agreement(i);
    return true;
}

static bool write_account(struct instruments *i)
{
    FILE *f = i->account_file;
    i->account_file = NULL;
    bool ok = true;
    if (i->o->account_json)
        ok = account_print_json(i->account, f);
    else
        account_print(i->account, f);
    ok = ok && !ferror(f);
    return fclose(f) == 0 && ok;
}

static bool end_account(struct instruments *i, struct err *e)
{
    if (!i->account)
        return true;
    account_end(i->account, machine_tick(i->machine));
    return write_account(i) ||
           err_set(e, "-account: file=%s: could not be written: %s", i->o->account_file, strerror(errno));
}

bool instruments_end(struct instruments *i, struct err *e)
{
    return end_profiler(i, e) && end_account(i, e);
}

void instruments_destroy(struct instruments *i)
{
    if (!i)
        return;
    profiler_destroy(i->profiler);
    account_destroy(i->account);
    observe_destroy(i->hub);
    if (i->account_file)
        fclose(i->account_file);
    free(i);
}
