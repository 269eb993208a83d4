/* marks.c - see marks.h. */
#include "observe/marks_internal.h"

#include "clockcore/check.h"
#include "clockcore/ticks.h"
#include "machine/machine.h"
#include "machine/optvalue.h"
#include "syncq/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- regions --- */

static bool means(const struct mark_reference *r, const struct mark_hit *hit)
{
    return r->mark == hit->mark && (r->any_value || r->value == hit->value);
}

static void counts_at(const struct marks *m, uint64_t tick, uint64_t now[MEASURES])
{
    memcpy(now, m->count, sizeof m->count);
    now[MEASURE_TICKS] = tick;
    now[MEASURE_INSNS] = tick - m->count[MEASURE_INSNS];
}

static void region_close(struct marks *m, struct region *r, const uint64_t now[MEASURES])
{
    r->unmatched += !r->open;
    if (!r->open)
        return;
    r->open = false;
    for (unsigned i = 0; i < MEASURES; i++)
        histogram_add(&r->histogram[i], now[i] - r->begin[i]);
    marklog_region(m, r, now);
}

static void region_open(struct region *r, const struct mark_hit *hit, const uint64_t now[MEASURES])
{
    r->restarted += r->open;
    r->open = true;
    r->value = hit->value;
    memcpy(r->begin, now, sizeof r->begin);
}

/* An end comes before a begin: a region from a mark to itself measures from hit to hit. */
static void regions_hit(struct marks *m, const struct mark_hit *hit)
{
    uint64_t now[MEASURES];
    counts_at(m, hit->tick, now);
    for (unsigned i = 0; i < m->c->nregions; i++) {
        struct region *r = &m->region[i];
        bool same = strcmp(r->o->from, r->o->to) == 0;
        if (means(&r->to, hit) && (r->open || !same))
            region_close(m, r, now);
        if (means(&r->from, hit))
            region_open(r, hit, now);
    }
}

/* --- moments --- */

static void moment_comes(struct marks *m, struct moment *t, uint64_t stop_tick)
{
    t->came = true;
    machine_stop_at(m->machine, stop_tick);
}

static void moments_hit(struct marks *m, const struct mark_hit *hit)
{
    for (unsigned i = 0; i < m->c->nmoments; i++) {
        struct moment *t = &m->moment[i];
        if (t->o->mark && !t->came && means(&t->mark, hit) && ++t->seen == t->o->count)
            moment_comes(m, t, hit->stop_tick);
    }
}

static void moments_byte(struct marks *m, unsigned stream, const struct access *a)
{
    for (unsigned i = 0; i < m->c->nmoments; i++) {
        struct moment *t = &m->moment[i];
        if (t->o->text && !t->came && text_byte(t, stream, (uint8_t)a->value) && ++t->seen == t->o->count)
            moment_comes(m, t, a->tick + 1);
    }
}

/* --- what the hub tells --- */

static void hit_takes_place(struct marks *m, struct mark_hit *hit)
{
    struct mark *k = &m->mark[hit->mark];
    hit->number = ++k->hits;
    k->first_tick = hit->number == 1 ? hit->tick : k->first_tick;
    k->last_tick = hit->tick;
    marklog_hit(m, hit);
    regions_hit(m, hit);
    moments_hit(m, hit);
}

static bool is_wanted(const struct marks *m, const struct mark *k, const struct guest_state *g)
{
    const struct mark_option *o = k->o;
    return k->hits < o->count_max && (!o->has_cr3 || o->cr3 == g->cr3) &&
           (!o->process || observe_process_is(m->hub, g, o->process));
}

/* Marks cannot be set here, but at a sample, which comes before this instruction, too. */
static void module_comes(struct marks *m, const struct guest_state *g, uint64_t tick)
{
    m->c->loaded(m->c->find_ctx, g, tick);
    m->loading = true;
    observe_sample_now(m->hub, m, tick);
}

static void on_mark(void *ctx, const struct guest_state *g, uint64_t tick, uint32_t lin_addr)
{
    struct marks *m = ctx;
    if (m->loader.resolved && m->loader.lin_addr == lin_addr)
        module_comes(m, g, tick);
    for (unsigned i = 0; i < m->c->nmarks; i++) {
        struct mark *k = &m->mark[i];
        if (!k->resolved || k->lin_addr != lin_addr || !is_wanted(m, k, g))
            continue;
        struct mark_hit hit = {
            .mark = i, .tick = tick, .stop_tick = tick, .value = g->slot[k->o->value], .cr3 = g->cr3};
        hit_takes_place(m, &hit);
    }
}

static void on_access(void *ctx, const struct guest_state *g, const struct access *a)
{
    struct marks *m = ctx;
    int device = machine_access_device(m->machine, a), stream;
    m->count[MEASURE_ACCESSES]++;
    if (device == PC_DEV_MARKER && a->kind == ACCESS_PIO_WRITE && a->offset == 0) {
        struct mark_hit hit = {
            .mark = MARKS_MAX, .tick = a->tick, .stop_tick = a->tick + 1, .value = a->value, .cr3 = g->cr3};
        hit_takes_place(m, &hit);
    }
    stream = text_stream(m, device, a);
    if (stream >= 0)
        moments_byte(m, (unsigned)stream, a);
}

static void on_event(void *ctx, const struct guest_state *g, const struct vcpu_event *e)
{
    struct marks *m = ctx;
    if (e->kind == VCPU_EVENT_IDLE)
        m->count[MEASURE_INSNS] += e->idle_end - e->tick;
    else if (e->kind == VCPU_EVENT_EXCEPTION)
        m->count[MEASURE_EXCEPTIONS]++;
    else if (e->kind == VCPU_EVENT_RESET)
        text_reset(m);
}

/* --- addresses --- */

/* SYMBOL, MODULE:SYMBOL, maybe with +OFFSET. */
static enum mark_lookup find_symbol(const struct marks *m, const struct guest_state *g, const char *where,
                                    uint32_t *lin_addr)
{
    char name[MARK_SYMBOL_MAX + 1];
    size_t n = strcspn(where, "+");
    uint64_t offset = 0;
    if (n > MARK_SYMBOL_MAX || (where[n] && !value_number(where + n + 1, 0, UINT32_MAX, &offset)))
        return MARK_NEVER;
    memcpy(name, where, n);
    name[n] = 0;
    enum mark_lookup found = m->c->find(m->c->find_ctx, g, name, lin_addr);
    *lin_addr += found == MARK_FOUND ? (uint32_t)offset : 0;
    return found;
}

static void look_for(const struct marks *m, const struct guest_state *g, struct mark *k)
{
    uint64_t addr;
    enum mark_lookup found = MARK_FOUND;
    if (value_number(k->o->where, 0, UINT32_MAX, &addr))
        k->lin_addr = (uint32_t)addr;
    else
        found = find_symbol(m, g, k->o->where, &k->lin_addr);
    k->resolved = found == MARK_FOUND;
    k->nowhere = found == MARK_NEVER;
}

/* Returns whether it is to be looked for again. A module's may go, or come back elsewhere, whenever one is
 * loaded, and at no other time. */
static bool resolve(const struct marks *m, const struct guest_state *g, struct mark *k)
{
    if (k->module ? m->loading : !k->resolved && !k->nowhere)
        look_for(m, g, k);
    return !k->module && !k->resolved && !k->nowhere;
}

/* Tells the vCPU of all addresses that are known. Returns whether some are not yet. */
static bool resolve_all(struct marks *m, const struct guest_state *g)
{
    uint32_t at[MARKS_MAX + 1];
    unsigned known = 0;
    bool missing = m->loader.o && resolve(m, g, &m->loader);
    if (m->loader.resolved)
        at[known++] = m->loader.lin_addr;
    for (unsigned i = 0; i < m->c->nmarks; i++) {
        missing = resolve(m, g, &m->mark[i]) || missing;
        if (m->mark[i].resolved)
            at[known++] = m->mark[i].lin_addr;
    }
    m->loading = false;
    if (known != m->known || memcmp(at, m->at, known * sizeof *at) != 0) {
        CHECK(machine_set_marks(m->machine, at, known));
        memcpy(m->at, at, known * sizeof *at);
        m->known = known;
    }
    return missing;
}

static uint64_t on_look(void *ctx, const struct guest_state *g, uint64_t tick)
{
    return resolve_all(ctx, g) ? tick + MARK_LOOK_TICKS : TICK_NEVER;
}

/* --- life --- */

static bool reference_of(const struct marks *m, const char *text, struct mark_reference *r, struct err *e)
{
    const size_t n = strlen(MARKER_REFERENCE);
    uint64_t value = 0;
    for (unsigned i = 0; i < m->c->nmarks; i++)
        if (strcmp(m->c->mark[i].name, text) == 0) {
            *r = (struct mark_reference){.mark = i, .any_value = true};
            return true;
        }
    bool any = strcmp(text, MARKER_REFERENCE) == 0;
    bool one =
        strncmp(text, MARKER_REFERENCE ":", n + 1) == 0 && value_number(text + n + 1, 0, UINT32_MAX, &value);
    if (!any && !one)
        return err_set(e, "\"%s\" is no mark; a NAME of -mark, marker and marker:VALUE are accepted", text);
    if (!m->c->marker)
        return err_set(e, "\"%s\" needs -device tandem-marker", text);
    *r = (struct mark_reference){.mark = MARKS_MAX, .any_value = any, .value = (uint32_t)value};
    return true;
}

static bool prepare_regions(struct marks *m, struct err *e)
{
    struct err why;
    for (unsigned i = 0; i < m->c->nregions; i++) {
        struct region *r = &m->region[i];
        r->o = &m->c->region[i];
        if (!reference_of(m, r->o->from, &r->from, &why) || !reference_of(m, r->o->to, &r->to, &why))
            return err_set(e, "-region %s: %s", r->o->name, why.text);
    }
    return true;
}

static bool prepare_moments(struct marks *m, struct err *e)
{
    struct err why;
    for (unsigned i = 0; i < m->c->nmoments; i++) {
        struct moment *t = &m->moment[i];
        t->o = &m->c->moment[i];
        if (t->o->mark && !reference_of(m, t->o->mark, &t->mark, &why))
            return err_set(e, "mark=%s: %s", t->o->mark, why.text);
        if (t->o->text)
            text_prepare(t);
    }
    return true;
}

static bool open_log(struct marks *m, struct err *e)
{
    const char *path = m->c->log_file;
    if (!path)
        return true;
    m->log = fopen(path, "we");
    return m->log ||
           err_set(e, "-mark-log: file=%s: %s; a file that can be written is needed", path, strerror(errno));
}

static bool waits_for_text(const struct marks *m)
{
    for (unsigned i = 0; i < m->c->nmoments; i++)
        if (m->c->moment[i].text)
            return true;
    return false;
}

/* Accesses and events are told only where a region counts them or a text is waited for: a mark that is not
 * hit costs nothing. */
static struct vcpu_observer watcher_of(struct marks *m)
{
    const bool counts = m->c->nregions > 0, text = waits_for_text(m);
    return (struct vcpu_observer){.ctx = m,
                                  .sample_first = MARK_LOOK_TICKS,
                                  .sample = on_look,
                                  .event = counts || text ? on_event : NULL,
                                  .mark = on_mark,
                                  .access = counts || text || m->c->marker ? on_access : NULL};
}

static const struct mark_option *loader_option(struct marks *m)
{
    m->loader_option = (struct mark_option){.where = (char *)m->c->loader};
    return &m->loader_option;
}

static void prepare_marks(struct marks *m)
{
    m->mark[MARKS_MAX].resolved = true;
    for (unsigned i = 0; i < m->c->nmarks; i++) {
        m->mark[i].o = &m->c->mark[i];
        m->mark[i].module = strchr(m->c->mark[i].where, ':');
        if (m->mark[i].module && m->c->loader)
            m->loader.o = loader_option(m);
    }
}

static bool prepare(struct marks *m, struct observe *o, struct err *e)
{
    const struct vcpu_observer watcher = watcher_of(m);
    m->hub = o;
    m->region = calloc(m->c->nregions + 1, sizeof *m->region);
    m->moment = calloc(m->c->nmoments + 1, sizeof *m->moment);
    prepare_marks(m);
    if (!m->region || !m->moment)
        return err_set(e, "-mark: no host memory");
    return prepare_regions(m, e) && prepare_moments(m, e) && open_log(m, e) &&
           (observe_add(o, &watcher) || err_set(e, "-mark: too many watchers"));
}

struct marks *marks_create(struct observe *o, const struct marks_config *c, struct err *e)
{
    struct marks *m = calloc(1, sizeof *m);
    if (!m) {
        err_set(e, "-mark: no host memory");
        return NULL;
    }
    m->c = c;
    if (prepare(m, o, e))
        return m;
    marks_destroy(m);
    return NULL;
}

void marks_destroy(struct marks *m)
{
    if (!m)
        return;
    if (m->log)
        fclose(m->log);
    free(m->region);
    free(m->moment);
    free(m);
}

void marks_begin(struct marks *m, struct machine *machine)
{
    m->machine = machine;
    text_begin(m, machine_board(machine));
    resolve_all(m, machine_guest(machine));
}

const char *marks_name(const struct marks *m, uint32_t lin_addr)
{
    for (unsigned i = 0; i < m->c->nmarks; i++)
        if (m->mark[i].resolved && m->mark[i].lin_addr == lin_addr)
            return m->mark[i].o->name;
    return NULL;
}

bool marks_moment_came(const struct marks *m, unsigned i)
{
    return m->moment[i].came;
}

int marks_region(const struct marks *m, const char *name)
{
    for (unsigned i = 0; i < m->c->nregions; i++)
        if (strcmp(m->c->region[i].name, name) == 0)
            return (int)i;
    return -1;
}

bool marks_in_region(const struct marks *m, int region)
{
    return m->region[region].open;
}

bool marks_end(struct marks *m, FILE *people, struct err *e)
{
    FILE *f = m->log;
    if (people)
        marklog_summary(m, people, false);
    m->log = NULL;
    if (!f)
        return true;
    marklog_summary(m, f, m->c->log_json);
    bool bad = ferror(f);
    return (fclose(f) == 0 && !bad) ||
           err_set(e, "-mark-log: file=%s: could not be written: %s", m->c->log_file, strerror(errno));
}
