/* instruments.c - see instruments.h. */
#include "cli/instruments.h"

#include "clockcore/ticks.h"
#include "machine/optvalue.h"
#include "observe/account.h"
#include "observe/attribute.h"
#include "observe/formats.h"
#include "observe/marks.h"
#include "observe/profile.h"
#include "observe/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RAW_SUFFIX ".raw"

struct instruments {
    const struct options *o;
    struct machine *machine;
    struct observe *hub;         /* NULL: nothing was asked for */
    struct attribute *attribute; /* NULL: nobody asks for names */
    char *raw_file;              /* of the profile until it is in its format; NULL: it stays raw */
    struct account *account;
    FILE *account_file;
    struct profiler *profiler;
    struct marks *marks;
    struct timeline *timeline;
    struct marks_config marks_config;
    struct moment_option moment[MOMENTS_MAX];
    unsigned nmoments;
    int profile_region; /* of -profile within=; negative: none */
};

static bool wants_moments(const struct options *o)
{
    for (unsigned n = 0; n < o->nsnapshots; n++)
        if (o->snapshot[n].mark || o->snapshot[n].text)
            return true;
    return o->marks.until.mark || o->marks.until.text;
}

static bool wants_marks(const struct options *o)
{
    return o->marks.nmarks || o->marks.nregions || o->marks.log_file || o->marker || wants_moments(o);
}

/* A number needs none; observe/marks.h. */
static bool mark_wants_names(const struct mark_option *m)
{
    return m->process || m->where[0] < '0' || m->where[0] > '9';
}

/* Who runs, and what code is called: looking for that costs, so only where somebody asks. */
static bool wants_names(const struct options *o)
{
    for (unsigned n = 0; n < o->marks.nmarks; n++)
        if (mark_wants_names(&o->marks.mark[n]))
            return true;
    return o->account_file || o->profile_file || o->nsymbols || (o->trace_file && o->trace_names);
}

static bool wanted(const struct options *o)
{
    return o->account_file || o->profile_file || o->trace_file || wants_marks(o);
}

/* --- start --- */

/* --- who runs, and names --- */

static uint32_t guest_task(void *ctx, const struct guest_state *g)
{
    return attribute_task(ctx, g);
}

static bool guest_task_text(void *ctx, uint32_t task, char *text, size_t bytes)
{
    return attribute_task_text(ctx, task, text, bytes);
}

static void guest_sampled(void *ctx, const struct sample *s)
{
    attribute_sampled(ctx, s);
}

/* An entry into the kernel is a moment to look at it. */
static void guest_event(void *ctx, const struct guest_state *g, const struct vcpu_event *e)
{
    if (e->kind <= VCPU_EVENT_GATE)
        attribute_look(ctx, g);
}

static size_t guest_peek(const void *ctx, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    return observe_peek(ctx, cr3, lin_addr, to, bytes);
}

/* A Multiboot kernel and its modules ("FILE ARGUMENTS,...") have symbols of their own, maybe. */
static bool add_guest_files(struct instruments *i, struct err *e)
{
    const char *rest = i->o->initrd;
    char *name = rest ? malloc(strlen(rest) + 1) : NULL;
    if (rest && !name)
        return err_set(e, "no host memory");
    bool elf = i->o->kernel && attribute_guest_file(i->attribute, i->o->kernel);
    while (elf && rest && *rest) {
        list_next(&rest, name);
        name[strcspn(name, " ")] = 0;
        attribute_guest_file(i->attribute, name);
    }
    free(name);
    return true;
}

static bool create_attribute(struct instruments *i, struct err *e)
{
    if (!wants_names(i->o))
        return true;
    i->attribute = attribute_create();
    if (!i->attribute)
        return err_set(e, "no host memory");
    const struct observe_guest guest = {i->attribute, guest_task, guest_task_text, guest_sampled};
    const struct vcpu_observer watcher = {
        .ctx = i->attribute, .sample_first = TICK_NEVER, .event = guest_event};
    observe_set_guest(i->hub, &guest);
    for (unsigned n = 0; n < i->o->nsymbols; n++)
        if (!attribute_symbols(i->attribute, i->o->symbols[n], e))
            return false;
    return add_guest_files(i, e) && (observe_add(i->hub, &watcher) || err_set(e, "too many observers"));
}

/* --- account and profile --- */

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

/* Another format is made of the raw profile at the end, which needs a place until then. */
static bool name_raw_file(struct instruments *i, struct err *e)
{
    if (!i->o->profile_file || i->o->profile_format == FORMAT_RAW)
        return true;
    i->raw_file = malloc(strlen(i->o->profile_file) + sizeof RAW_SUFFIX);
    if (!i->raw_file)
        return err_set(e, "no host memory");
    sprintf(i->raw_file, "%s" RAW_SUFFIX, i->o->profile_file);
    return true;
}

static bool in_region(void *ctx)
{
    const struct instruments *i = ctx;
    return marks_in_region(i->marks, i->profile_region);
}

static bool find_region(struct instruments *i, struct err *e)
{
    const char *name = i->o->profile_within;
    i->profile_region = i->marks && name ? marks_region(i->marks, name) : -1;
    return !name || i->profile_region >= 0 ||
           err_set(e, "-profile: within=%s: no such region; the name of a -region is accepted", name);
}

static bool create_profiler(struct instruments *i, struct err *e)
{
    if (!find_region(i, e))
        return false;
    const struct profiler_config c = {
        .file = i->raw_file ? i->raw_file : i->o->profile_file,
        .every = i->o->profile_every,
        .phase = i->o->profile_phase,
        .stacks = (enum profile_stacks)i->o->profile_stacks,
        .shift = i->o->shift,
        .within = i->o->profile_within ? in_region : NULL,
        .within_ctx = i,
        .account = i->account,
    };
    if (!c.file)
        return true;
    i->profiler = profiler_create(i->hub, &c, e);
    return i->profiler != NULL;
}

/* Numbers of moments: what ends the run, then one for each snapshot. */
enum { MOMENT_MARK, MOMENT_TEXT, MOMENT_SNAPSHOTS };
_Static_assert(MOMENT_SNAPSHOTS + SNAPSHOTS_MAX <= MOMENTS_MAX, "moments");

static void collect_moments(struct instruments *i)
{
    const struct until_option *u = &i->o->marks.until;
    i->moment[i->nmoments++] = (struct moment_option){.mark = u->mark, .count = u->count};
    i->moment[i->nmoments++] = (struct moment_option){.text = u->text, .count = u->count};
    for (unsigned n = 0; n < i->o->nsnapshots; n++) {
        const struct snapshot_option *s = &i->o->snapshot[n];
        i->moment[i->nmoments++] = (struct moment_option){s->mark, s->count, s->text};
    }
}

static enum mark_lookup find_symbol(void *ctx, const struct guest_state *g, const char *symbol,
                                    uint32_t *lin_addr)
{
    const struct instruments *i = ctx;
    attribute_look(i->attribute, g);
    if (attribute_find(i->attribute, symbol, lin_addr))
        return MARK_FOUND;
    return attribute_kernel_known(i->attribute) ? MARK_NEVER : MARK_NOT_YET;
}

static void module_loaded(void *ctx, const struct guest_state *g, uint64_t tick)
{
    const struct instruments *i = ctx;
    attribute_loaded(i->attribute, g, tick);
}

static bool create_marks(struct instruments *i, struct err *e)
{
    const struct mark_options *o = &i->o->marks;
    if (!wants_marks(i->o))
        return true;
    collect_moments(i);
    i->marks_config = (struct marks_config){.mark = o->mark,
                                            .nmarks = o->nmarks,
                                            .region = o->region,
                                            .nregions = o->nregions,
                                            .moment = i->moment,
                                            .nmoments = i->nmoments,
                                            .find = find_symbol,
                                            .loader = ATTRIBUTE_LOADER,
                                            .loaded = module_loaded,
                                            .find_ctx = i,
                                            .marker = i->o->marker,
                                            .log_file = o->log_file,
                                            .log_json = o->log_json};
    i->marks = marks_create(i->hub, &i->marks_config, e);
    return i->marks != NULL;
}

static bool create_timeline(struct instruments *i, struct err *e)
{
    const struct options *o = i->o;
    if (!o->trace_file)
        return true;
    const struct timeline_config c = {.file = o->trace_file,
                                      .log2_records = o->trace_log2,
                                      .shift = o->shift,
                                      .names = o->trace_names,
                                      .marks = i->marks};
    i->timeline = timeline_create(i->hub, &c, e);
    return i->timeline != NULL;
}

static bool create_all(struct instruments *i, struct err *e)
{
    if (!wanted(i->o))
        return true;
    i->hub = observe_create();
    return (i->hub || err_set(e, "no host memory for -profile, -account, -mark and -trace")) &&
           name_raw_file(i, e) && create_marks(i, e) && create_attribute(i, e) && create_account(i, e) &&
           create_profiler(i, e) && create_timeline(i, e);
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

bool instruments_begin(struct instruments *i, struct machine *m, struct err *e)
{
    i->machine = m;
    if (i->hub)
        observe_begin(i->hub, m);
    if (i->attribute) {
        const struct guest_view view = {i->hub, guest_peek};
        attribute_begin(i->attribute, &view);
    }
    if (i->account)
        account_begin(i->account, machine_guest(m), machine_tick(m));
    if (i->profiler)
        profiler_begin(i->profiler, m);
    if (i->marks)
        marks_begin(i->marks, m);
    return !i->timeline || timeline_begin(i->timeline, m, e);
}

static bool moment_came(const struct instruments *i, unsigned n)
{
    return i->marks && marks_moment_came(i->marks, n);
}

bool instruments_snapshot_came(const struct instruments *i, unsigned n)
{
    return moment_came(i, MOMENT_SNAPSHOTS + n);
}

bool instruments_mark_came(const struct instruments *i)
{
    return moment_came(i, MOMENT_MARK);
}

bool instruments_text_came(const struct instruments *i)
{
    return moment_came(i, MOMENT_TEXT);
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
    attribute_write(i->attribute, profiler_writer(i->profiler));
    if (!profiler_end(i->profiler, machine_tick(i->machine), e))
        return false;
    tell_agreement(i);
    return true;
}

/* The raw profile in the format that was asked for. */
static bool convert(struct instruments *i, struct err *e)
{
    const char *path = i->o->profile_file;
    if (!i->raw_file)
        return true;
    FILE *f = fopen(path, "we");
    if (!f)
        return err_set(e, "-profile: file=%s: %s; a file that can be written is needed", path,
                       strerror(errno));
    bool ok = format_write(i->raw_file, (enum profile_format)i->o->profile_format, f, path, e);
    if (fclose(f) != 0 && ok)
        ok = err_set(e, "-profile: file=%s: could not be written: %s", path, strerror(errno));
    remove(i->raw_file);
    return ok;
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

/* People are told of marks that they named. */
static bool end_marks(struct instruments *i, struct err *e)
{
    const struct mark_options *o = &i->o->marks;
    return !i->marks || marks_end(i->marks, o->nmarks || o->nregions ? stderr : NULL, e);
}

static bool end_timeline(struct instruments *i, struct err *e)
{
    uint64_t lost;
    if (!i->timeline)
        return true;
    if (!timeline_end(i->timeline, &lost, e))
        return false;
    if (lost)
        fprintf(stderr,
                "tandem: -trace: the oldest %" PRIu64 " records were pushed out; buffer=N keeps more\n",
                lost);
    return true;
}

bool instruments_end(struct instruments *i, struct err *e)
{
    return end_profiler(i, e) && convert(i, e) && end_account(i, e) && end_marks(i, e) && end_timeline(i, e);
}

void instruments_destroy(struct instruments *i)
{
    if (!i)
        return;
    profiler_destroy(i->profiler);
    account_destroy(i->account);
    timeline_destroy(i->timeline);
    marks_destroy(i->marks);
    observe_destroy(i->hub);
    attribute_destroy(i->attribute);
    free(i->raw_file);
    if (i->account_file)
        fclose(i->account_file);
    free(i);
}
