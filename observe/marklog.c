/* marklog.c - hits and regions in a file, as they come; what they come to at the end. */
#include "observe/marks_internal.h"

#include <inttypes.h>

const char *const measure_names[MEASURES] = {"ticks", "insns", "accesses", "exceptions"};

static const char *mark_name(const struct marks *m, unsigned mark)
{
    return mark == MARKS_MAX ? MARKER_REFERENCE : m->mark[mark].o->name;
}

/* One line more; false: there are enough. */
static bool take_line(struct marks *m)
{
    if (!m->log)
        return false;
    if (m->log_lines == MARK_LOG_MAX) {
        m->log_lost++;
        return false;
    }
    m->log_lines++;
    return true;
}

void marklog_hit(struct marks *m, const struct mark_hit *hit)
{
    const char *name = mark_name(m, hit->mark);
    if (!take_line(m))
        return;
    if (m->c->log_json)
        fprintf(m->log,
                "{\"type\":\"hit\",\"tick\":%" PRIu64 ",\"mark\":\"%s\",\"value\":%" PRIu32
                ",\"cr3\":%" PRIu32 ",\"number\":%" PRIu64 "}\n",
                hit->tick, name, hit->value, hit->cr3, hit->number);
    else
        fprintf(m->log, "%" PRIu64 " %s %#" PRIx32 "\n", hit->tick, name, hit->value);
}

void marklog_region(struct marks *m, const struct region *r, const uint64_t now[MEASURES])
{
    if (!take_line(m))
        return;
    if (m->c->log_json)
        fprintf(m->log,
                "{\"type\":\"region\",\"region\":\"%s\",\"from\":%" PRIu64 ",\"to\":%" PRIu64
                ",\"value\":%" PRIu32,
                r->o->name, r->begin[MEASURE_TICKS], now[MEASURE_TICKS], r->value);
    else
        fprintf(m->log, "%" PRIu64 " %s %#" PRIx32 " since %" PRIu64 ":", now[MEASURE_TICKS], r->o->name,
                r->value, r->begin[MEASURE_TICKS]);
    for (unsigned i = 0; i < MEASURES; i++)
        fprintf(m->log, m->c->log_json ? ",\"%s\":%" PRIu64 : " %s %" PRIu64, measure_names[i],
                now[i] - r->begin[i]);
    fputs(m->c->log_json ? "}\n" : "\n", m->log);
}

/* --- at the end --- */

static void mark_as_text(const struct mark *k, const char *name, FILE *f)
{
    if (k->hits)
        fprintf(f, "mark %s: %" PRIu64 " hits, the first at tick %" PRIu64 ", the last at %" PRIu64 "\n",
                name, k->hits, k->first_tick, k->last_tick);
    else
        fprintf(f, "mark %s: no hit%s\n", name, k->resolved ? "" : "; its symbol was not found");
}

static void mark_as_json(const struct mark *k, const char *name, FILE *f)
{
    fprintf(f, "{\"type\":\"mark\",\"mark\":\"%s\",\"hits\":%" PRIu64, name, k->hits);
    if (k->hits)
        fprintf(f, ",\"first\":%" PRIu64 ",\"last\":%" PRIu64, k->first_tick, k->last_tick);
    fprintf(f, ",\"found\":%s}\n", k->resolved ? "true" : "false");
}

static void region_as_text(const struct region *r, FILE *f)
{
    fprintf(f, "region %s: %" PRIu64 " passes", r->o->name, r->histogram[0].count);
    if (r->restarted || r->unmatched)
        fprintf(f, ", %" PRIu64 " begun again before their end, %" PRIu64 " ends without a begin",
                r->restarted, r->unmatched);
    fputc('\n', f);
    if (!r->histogram[0].count)
        return;
    fprintf(f, "  %-10s %15s %12s %12s %12s %12s %12s\n", "", "total", "mean", "least", "median", "99 %",
            "most");
    for (unsigned i = 0; i < MEASURES; i++) {
        const struct histogram *h = &r->histogram[i];
        fprintf(f, "  %-10s %15" PRIu64 " %12.1f %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n",
                measure_names[i], h->sum, histogram_mean(h), h->least, histogram_quantile(h, 500),
                histogram_quantile(h, 990), h->most);
    }
}

static void histogram_as_json(const struct histogram *h, FILE *f)
{
    const char *comma = "";
    fprintf(f, "{\"total\":%" PRIu64 ",\"least\":%" PRIu64 ",\"most\":%" PRIu64 ",\"buckets\":[", h->sum,
            h->least, h->most);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (!h->bucket[i])
            continue;
        fprintf(f, "%s[%" PRIu64 ",%" PRIu64 "]", comma, histogram_bucket_highest(i), h->bucket[i]);
        comma = ",";
    }
    fputs("]}", f);
}

static void region_as_json(const struct region *r, FILE *f)
{
    fprintf(f,
            "{\"type\":\"summary\",\"region\":\"%s\",\"passes\":%" PRIu64 ",\"restarted\":%" PRIu64
            ",\"unmatched\":%" PRIu64,
            r->o->name, r->histogram[0].count, r->restarted, r->unmatched);
    for (unsigned i = 0; i < MEASURES && r->histogram[0].count; i++) {
        fprintf(f, ",\"%s\":", measure_names[i]);
        histogram_as_json(&r->histogram[i], f);
    }
    fputs("}\n", f);
}

void marklog_summary(const struct marks *m, FILE *f, bool json)
{
    for (unsigned i = 0; i <= MARKS_MAX; i++) {
        if (i < MARKS_MAX ? i >= m->c->nmarks : !m->c->marker)
            continue;
        (json ? mark_as_json : mark_as_text)(&m->mark[i], mark_name(m, i), f);
    }
    for (unsigned i = 0; i < m->c->nregions; i++)
        (json ? region_as_json : region_as_text)(&m->region[i], f);
    if (!m->log_lost)
        return;
    fprintf(f,
            json ? "{\"type\":\"lost\",\"lines\":%" PRIu64 "}\n"
                 : "%" PRIu64 " lines were left out of the log\n",
            m->log_lost);
}
