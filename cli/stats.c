/* stats.c - one table of figures, printed in two ways. See stats.h. */
#include "cli/stats.h"

#include "cli/sampler.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

enum unit { UNIT_COUNT, UNIT_NS, UNIT_RATE };

/* What both formats show. JSON names carry the unit; text is in seconds where JSON has ns. */
struct figure {
    const char *group, *key, *text;
    enum unit unit;
    double value;
};
#define FIGURES_MAX 72

static double per_second(uint64_t count, uint64_t ns)
{
    return ns ? (double)count * 1e9 / (double)ns : 0;
}

static double per_million(uint64_t count, uint64_t icount)
{
    return icount ? (double)count * 1e6 / (double)icount : 0;
}

/* Misses were counted over the whole run, chances only in a survey. 0: nothing was surveyed. */
static double hit_percent(uint64_t misses, uint64_t surveyed, const struct vcpu_stats *v)
{
    double chances = v->survey_ticks ? (double)surveyed * (double)v->icount / (double)v->survey_ticks : 0;
    double percent = chances > 0 ? 100 - 100 * (double)misses / chances : 0;
    return percent > 0 ? percent : 0;
}

static size_t collect(const struct run_stats *s, struct figure f[FIGURES_MAX])
{
    const struct link_stats *l = &s->machine.link;
    const struct link_figures *g = s->figures;
    const struct vcpu_stats *v = &s->machine.vcpu;
    const struct blocks_stats *b = &s->machine.blocks;
    const struct nics_stats *n = &s->machine.nics;
    uint64_t busy_ns = s->wall_ns > l->idle_ns ? s->wall_ns - l->idle_ns : 0;
    const struct figure all[] = {
        {"time", "ticks", "ticks", UNIT_COUNT, (double)s->machine.tick},
        {"time", "icount", "instructions", UNIT_COUNT, (double)v->icount},
        {"time", "idle_ticks", "idle ticks", UNIT_COUNT, (double)v->idle_ticks},
        {"time", "virtual_ns", "virtual time", UNIT_NS, (double)s->machine.virtual_ns},
        {"time", "wall_ns", "wall time", UNIT_NS, (double)s->wall_ns},
        {"time", "idle_wall_ns", "of it asleep with the guest", UNIT_NS, (double)l->idle_ns},
        {"time", "mips", "MIPS while not asleep", UNIT_RATE, per_second(v->icount, busy_ns) / 1e6},
        {"devices", "posted", "posted accesses", UNIT_COUNT, (double)l->posted},
        {"devices", "synchronous", "synchronous accesses", UNIT_COUNT, (double)l->synchronous},
        {"devices", "pure", "pure accesses", UNIT_COUNT, (double)l->pure},
        {"devices", "steps", "horizons reached", UNIT_COUNT, (double)l->steps},
        {"devices", "effects", "effects applied", UNIT_COUNT, (double)l->effects},
        {"threads", "rendezvous", "rendezvous", UNIT_COUNT, (double)l->rendezvous},
        {"threads", "rendezvous_per_second", "rendezvous per second", UNIT_RATE,
         per_second(l->rendezvous, s->wall_ns)},
        {"threads", "wait_ns", "vCPU waited for the other thread", UNIT_NS,
         (double)(g ? g->wait_ns.sum : l->wait_ns)},
        {"threads", "handovers", "baton hand-overs", UNIT_COUNT, (double)l->handovers},
        {"threads", "vcpu_parks", "vCPU parked, times", UNIT_COUNT, (double)l->vcpu_parks},
        {"threads", "vcpu_parked_ns", "vCPU parked", UNIT_NS, (double)l->vcpu_parked_ns},
        {"threads", "device_parks", "device thread parked, times", UNIT_COUNT, (double)l->dev_parks},
        {"threads", "device_parked_ns", "device thread parked", UNIT_NS, (double)l->dev_parked_ns},
        {"disks", "reads", "reads", UNIT_COUNT, (double)b->reads},
        {"disks", "reads_at_once", "of them, in the host's memory", UNIT_COUNT, (double)b->at_once},
        {"disks", "read_bytes", "bytes read", UNIT_COUNT, (double)b->read_bytes},
        {"disks", "writes", "writes", UNIT_COUNT, (double)b->writes},
        {"disks", "written_bytes", "bytes written", UNIT_COUNT, (double)b->written_bytes},
        {"disks", "flushes", "flushes", UNIT_COUNT, (double)b->flushes},
        {"disks", "discards", "discards", UNIT_COUNT, (double)b->discards},
        {"disks", "late", "waits for a late host", UNIT_COUNT, (double)b->late},
        {"disks", "late_ns", "waited for it", UNIT_NS, (double)b->late_ns},
        {"disks", "reads_again", "reads done again for a write", UNIT_COUNT, (double)b->again},
        {"disks", "errors", "errors of the host", UNIT_COUNT, (double)b->errors},
        {"network", "frames_in", "frames to the guest", UNIT_COUNT, (double)n->to_guest},
        {"network", "bytes_in", "bytes in them", UNIT_COUNT, (double)n->to_guest_bytes},
        {"network", "frames_out", "frames from the guest", UNIT_COUNT, (double)n->from_guest},
        {"network", "bytes_out", "bytes in them", UNIT_COUNT, (double)n->from_guest_bytes},
        {"network", "dropped_in", "dropped on their way to it", UNIT_COUNT, (double)n->dropped_to_guest},
        {"network", "dropped_out", "that the host did not take", UNIT_COUNT, (double)n->dropped_to_host},
        {"vcpu", "exceptions", "exceptions", UNIT_COUNT, (double)v->exceptions},
        {"vcpu", "interrupts", "interrupts", UNIT_COUNT, (double)v->interrupts},
        {"vcpu", "tlb_fills", "TLB fills", UNIT_COUNT, (double)v->tlb_fills},
        {"vcpu", "tlb_fills_per_million", "of 1,000,000 instructions", UNIT_RATE,
         per_million(v->tlb_fills, v->icount)},
        {"vcpu", "tlb_flushes", "TLB flushes", UNIT_COUNT, (double)v->tlb_flushes},
        {"vcpu", "tlb_restored", "TLB entries put back", UNIT_COUNT, (double)v->tlb_restored},
        {"vcpu", "tb_built", "TBs built", UNIT_COUNT, (double)v->tb_built},
        {"vcpu", "tb_moved", "of them, moved from another address", UNIT_COUNT, (double)v->tb_moved},
        {"vcpu", "native_copied", "with their host code", UNIT_COUNT, (double)v->native_copied},
        {"vcpu", "tb_placed", "TBs taken to another address", UNIT_COUNT, (double)v->tb_placed},
        {"vcpu", "tb_bytes", "guest code bytes in them", UNIT_COUNT, (double)v->tb_bytes},
        {"vcpu", "tb_ops", "IR operations in them", UNIT_COUNT, (double)v->tb_ops},
        {"vcpu", "tb_lookups", "TB lookups", UNIT_COUNT, (double)v->tb_lookups},
        {"vcpu", "tb_invalidated", "TBs invalidated", UNIT_COUNT, (double)v->tb_invalidated},
        {"vcpu", "host_probes", "questions to the host's CPU", UNIT_COUNT, (double)v->host_probes},
        {"vcpu", "host_differs", "answered otherwise", UNIT_COUNT, (double)v->host_differs},
        {"vcpu", "native_blocks", "TBs compiled", UNIT_COUNT, (double)v->native_blocks},
        {"vcpu", "native_links", "chained jumps between them", UNIT_COUNT, (double)v->native_links},
        {"vcpu", "native_exits", "returns to the run loop", UNIT_COUNT, (double)v->native_exits},
        {"vcpu", "native_exits_per_million", "of 1,000,000 instructions", UNIT_RATE,
         per_million(v->native_exits, v->icount)},
        {"vcpu", "chain_hit_percent", "block ends that need none, %", UNIT_RATE,
         hit_percent(v->native_misses, v->survey_blocks, v)},
        {"vcpu", "tlb_hit_percent", "accesses that hit the TLB, %", UNIT_RATE,
         hit_percent(v->native_slow, v->survey_accesses, v)},
        {"vcpu", "survey_ticks", "surveyed for these, ticks", UNIT_COUNT, (double)v->survey_ticks},
        {"vcpu", "native_evicted", "compiled TBs evicted", UNIT_COUNT, (double)v->native_evicted},
        {"vcpu", "native_discarded", "compiled too late", UNIT_COUNT, (double)v->native_discarded},
        {"vcpu", "native_bytes", "host code bytes made", UNIT_COUNT, (double)v->native_bytes},
        {"vcpu", "native_used_bytes", "in the code cache", UNIT_COUNT, (double)v->native_used_bytes},
        {"vcpu", "native_cache_bytes", "of", UNIT_COUNT, (double)v->native_cache_bytes},
    };
    _Static_assert(sizeof all / sizeof *all <= FIGURES_MAX, "collect's table");
    memcpy(f, all, sizeof all);
    return sizeof all / sizeof *all;
}

/* --- distributions --- */

struct distribution {
    const char *key, *text;
    const struct histogram *h;
    bool is_time; /* host ns; else a number of things */
};
#define DISTRIBUTIONS 5

static void list_distributions(const struct link_figures *g, struct distribution d[DISTRIBUTIONS])
{
    const struct distribution all[DISTRIBUTIONS] = {
        {"posted", "posted writes", &g->posted_ns, true},
        {"synchronous", "synchronous accesses", &g->sync_ns, true},
        {"event", "events, as timers'", &g->event_ns, true},
        {"wait", "waits for the other thread", &g->wait_ns, true},
        {"queue", "messages in the queue", &g->queue_depth, false},
    };
    memcpy(d, all, sizeof all);
}

static const struct {
    const char *key, *text;
    unsigned per_thousand;
} quantiles[] = {{"p50", "50 %", 500}, {"p90", "90 %", 900}, {"p99", "99 %", 990}, {"p999", "99.9 %", 999}};
#define QUANTILES (sizeof quantiles / sizeof *quantiles)

/* One line each. The last is in messages, the others in microseconds. */
static void print_distributions(FILE *out, const struct link_figures *g)
{
    struct distribution d[DISTRIBUTIONS];
    list_distributions(g, d);
    fprintf(out, "latency, us%30s%12s", "times", "mean");
    for (unsigned q = 0; q < QUANTILES; q++)
        fprintf(out, "%12s", quantiles[q].text);
    fprintf(out, "%12s\n", "most");
    for (unsigned i = 0; i < DISTRIBUTIONS; i++) {
        double unit = d[i].is_time ? 1e3 : 1;
        fprintf(out, "  %-28s %10" PRIu64 "%12.3f", d[i].text, d[i].h->count, histogram_mean(d[i].h) / unit);
        for (unsigned q = 0; q < QUANTILES; q++)
            fprintf(out, "%12.3f", (double)histogram_quantile(d[i].h, quantiles[q].per_thousand) / unit);
        fprintf(out, "%12.3f\n", (double)d[i].h->most / unit);
    }
}

/* One line a thread, one column an activity. */
static void print_host_time(FILE *out, const struct sampler *s)
{
    fprintf(out, "host time, s%4s", "");
    for (unsigned k = 0; k < ACTIVITY_KINDS; k++)
        fprintf(out, "%13s", activity_names[k]);
    fputc('\n', out);
    for (unsigned i = 0; i < sampler_count(s); i++) {
        const struct sampled_thread *t = sampler_thread(s, i);
        fprintf(out, "  %-14s", t->name);
        for (unsigned k = 0; k < ACTIVITY_KINDS; k++)
            fprintf(out, "%13.3f", (double)t->ns[k] / 1e9);
        fputc('\n', out);
    }
}

static void print_text(FILE *out, const struct options *o, const struct run_stats *s)
{
    struct figure f[FIGURES_MAX];
    size_t n = collect(s, f);
    fprintf(out, "%s: %s\nmode %s, shift %u, sleep=%s\n", o->name ? o->name : "tandem", s->reason,
            link_mode_name(o->mode), o->shift, o->sleep ? "on" : "off");
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(f[i].group, f[i - 1].group) != 0)
            fprintf(out, "%s\n", f[i].group);
        if (f[i].unit == UNIT_COUNT)
            fprintf(out, "  %-28s %20.0f\n", f[i].text, f[i].value);
        else
            fprintf(out, "  %-28s %20.3f%s\n", f[i].text,
                    f[i].unit == UNIT_NS ? f[i].value / 1e9 : f[i].value, f[i].unit == UNIT_NS ? " s" : "");
    }
    if (s->figures)
        print_distributions(out, s->figures);
    if (s->sampler)
        print_host_time(out, s->sampler);
    fprintf(out, "guest resets %" PRIu64 "\ndigest %s at tick %" PRIu64 "\n", s->machine.resets,
            s->machine.state_hex, s->machine.tick);
}

static json_t *figure_json(const struct figure *f)
{
    return f->unit == UNIT_RATE ? json_real(f->value) : json_integer((json_int_t)f->value);
}

/* Of each bucket that is not empty: the highest value that falls into it, and how many did. */
static json_t *buckets_json(const struct histogram *h)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (h->bucket[i])
            json_array_append_new(
                list, json_pack("[I, I]", (json_int_t)histogram_bucket_highest(i), (json_int_t)h->bucket[i]));
    return list;
}

static json_t *distribution_json(const struct distribution *d)
{
    char key[24];
    const char *unit = d->is_time ? "_ns" : "";
    json_t *j = json_pack("{s:I}", "count", (json_int_t)d->h->count);
    snprintf(key, sizeof key, "mean%s", unit);
    json_object_set_new(j, key, json_real(histogram_mean(d->h)));
    for (unsigned q = 0; q < QUANTILES; q++) {
        snprintf(key, sizeof key, "%s%s", quantiles[q].key, unit);
        json_object_set_new(j, key,
                            json_integer((json_int_t)histogram_quantile(d->h, quantiles[q].per_thousand)));
    }
    snprintf(key, sizeof key, "most%s", unit);
    json_object_set_new(j, key, json_integer((json_int_t)d->h->most));
    json_object_set_new(j, "buckets", buckets_json(d->h));
    return j;
}

static json_t *distributions_json(const struct link_figures *g)
{
    struct distribution d[DISTRIBUTIONS];
    json_t *all = json_object();
    list_distributions(g, d);
    for (unsigned i = 0; i < DISTRIBUTIONS; i++)
        json_object_set_new(all, d[i].key, distribution_json(&d[i]));
    return all;
}

static json_t *host_time_json(const struct sampler *s)
{
    json_t *threads = json_object();
    for (unsigned i = 0; i < sampler_count(s); i++) {
        const struct sampled_thread *t = sampler_thread(s, i);
        json_t *times = json_object();
        for (unsigned k = 0; k < ACTIVITY_KINDS; k++)
            json_object_set_new(times, activity_keys[k], json_integer((json_int_t)t->ns[k]));
        json_object_set_new(threads, t->name, times);
    }
    return threads;
}

static json_t *build_json(const struct options *o, const struct run_stats *s)
{
    struct figure f[FIGURES_MAX];
    size_t n = collect(s, f);
    json_t *name = o->name ? json_string(o->name) : NULL; /* NULL too where it is no UTF-8 */
    json_t *root = json_pack("{s:o, s:s, s:i, s:s, s:i, s:b, s:I, s:s}", "name",
                             name ? name : json_string("tandem"), "reason", s->reason, "status", s->status,
                             "mode", link_mode_name(o->mode), "shift", (int)o->shift, "sleep", (int)o->sleep,
                             "resets", (json_int_t)s->machine.resets, "digest", s->machine.state_hex);
    for (size_t i = 0; i < n && root; i++) {
        json_t *group = json_object_get(root, f[i].group);
        if (!group) {
            group = json_object();
            json_object_set_new(root, f[i].group, group);
        }
        json_object_set_new(group, f[i].key, figure_json(&f[i]));
    }
    if (root && s->figures)
        json_object_set_new(root, "latency", distributions_json(s->figures));
    if (root && s->sampler)
        json_object_set_new(root, "host_time", host_time_json(s->sampler));
    return root;
}

void stats_print(FILE *f, const struct options *o, const struct run_stats *s)
{
    json_t *root = o->stats_json ? build_json(o, s) : NULL;
    if (root) {
        json_dumpf(root, f, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        fputc('\n', f);
        json_decref(root);
    } else {
        print_text(f, o, s);
    }
}
