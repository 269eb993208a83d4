/* optkeys_observe.c - keys of the options that look at a run: digests, snapshots, profiles, statistics. See
 * options_internal.h. */
#include "cli/options_internal.h"

#include "machine/optvalue.h"
#include "observe/formats.h"
#include "observe/timeline.h"

#include <string.h>

static bool set_digest_file(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct options *)target)->digest_file, e);
}

static bool set_digest_every(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, INT64_MAX, &((struct options *)target)->digest_every);
}

static struct snapshot_option *last_snapshot(void *target)
{
    struct options *o = target;
    return &o->snapshot[o->nsnapshots - 1];
}

static bool set_snapshot_tick(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, INT64_MAX, &last_snapshot(target)->tick);
}

static bool set_snapshot_mark(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &last_snapshot(target)->mark, e);
}

static bool set_snapshot_count(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, INT64_MAX, &last_snapshot(target)->count);
}

static bool set_snapshot_text(void *target, const char *value, struct err *e)
{
    return markopts_text(value, &last_snapshot(target)->text, e);
}

static bool set_snapshot_file(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &last_snapshot(target)->file, e);
}

const struct list_key snapshot_keys[] = {
    {"tick", "a number of ticks, at least 1,", set_snapshot_tick},
    {"mark", "NAME|marker|marker:VALUE", set_snapshot_mark},
    {"count", "N (at least 1)", set_snapshot_count},
    {"text", "1 to 255 bytes (\",,\" for a comma)", set_snapshot_text},
    {"file", "a file that can be written", set_snapshot_file},
};

static bool set_screendump_moment(void *target, const char *value, struct err *e)
{
    last_snapshot(target)->at_end = strcmp(value, "end") == 0;
    return last_snapshot(target)->at_end || set_snapshot_tick(target, value, e);
}

const struct list_key screendump_keys[] = {
    {"tick", "a number of ticks, at least 1, or end", set_screendump_moment},
    {"mark", "NAME|marker|marker:VALUE", set_snapshot_mark},
    {"count", "N (at least 1)", set_snapshot_count},
    {"text", "1 to 255 bytes (\",,\" for a comma)", set_snapshot_text},
    {"file", "a file that can be written", set_snapshot_file},
};

const struct list_key digest_keys[] = {
    {"file", "FILE", set_digest_file},
    {"every", "N (ticks, at least 1)", set_digest_every},
};

static bool set_profile_file(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct options *)target)->profile_file, e);
}

static bool set_profile_every(void *target, const char *value, struct err *e)
{
    return value_number(value, 1, INT64_MAX, &((struct options *)target)->profile_every);
}

static bool set_profile_phase(void *target, const char *value, struct err *e)
{
    return value_number(value, 0, INT64_MAX, &((struct options *)target)->profile_phase);
}

static bool set_profile_stacks(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "off|on|exact"); /* MATCH enum profile_stacks */
    ((struct options *)target)->profile_stacks = (unsigned)i;
    return i >= 0;
}

static bool set_profile_format(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, FORMAT_NAMES);
    ((struct options *)target)->profile_format = (unsigned)i;
    return i >= 0;
}

static bool set_profile_within(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct options *)target)->profile_within, e);
}

const struct list_key profile_keys[] = {
    {"file", "FILE", set_profile_file},
    {"every", "N (ticks, at least 1)", set_profile_every},
    {"phase", "N (ticks, below every)", set_profile_phase},
    {"stacks", "off|on|exact", set_profile_stacks},
    {"format", FORMAT_NAMES, set_profile_format},
    {"within", "NAME (of a -region)", set_profile_within},
};

static bool is_json_name(const char *name)
{
    size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

static bool set_account_file(void *target, const char *value, struct err *e)
{
    struct options *o = target;
    o->account_json = o->account_json || is_json_name(value);
    return *value && value_string(value, &o->account_file, e);
}

static bool set_account_format(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "human|json");
    ((struct options *)target)->account_json = i == 1;
    return i >= 0;
}

const struct list_key account_keys[] = {
    {"file", "FILE", set_account_file},
    {"format", "human|json", set_account_format},
};

static bool set_trace_file(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct options *)target)->trace_file, e);
}

/* The next power of two. */
static bool set_trace_buffer(void *target, const char *value, struct err *e)
{
    unsigned *log2 = &((struct options *)target)->trace_log2;
    uint64_t v;
    if (!value_number(value, UINT64_C(1) << TIMELINE_LOG2_MIN, UINT64_C(1) << TIMELINE_LOG2_MAX, &v))
        return false;
    for (*log2 = TIMELINE_LOG2_MIN; UINT64_C(1) << *log2 < v;)
        ++*log2;
    return true;
}

static bool set_trace_names(void *target, const char *value, struct err *e)
{
    return value_switch(value, &((struct options *)target)->trace_names);
}

const struct list_key trace_keys[] = {
    {"file", "FILE", set_trace_file},
    {"buffer", "N (records of each thread, 1024..16777216)", set_trace_buffer},
    {"names", "on|off", set_trace_names},
};

static bool set_stats_file(void *target, const char *value, struct err *e)
{
    struct options *o = target;
    o->stats_json = o->stats_json || is_json_name(value);
    return *value && value_string(value, &o->stats_file, e);
}

static bool set_stats_format(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "human|json");
    ((struct options *)target)->stats_json = i == 1;
    return i >= 0;
}

static bool set_stats_latency(void *target, const char *value, struct err *e)
{
    bool on;
    bool ok = value_switch(value, &on);
    ((struct options *)target)->stats_no_latency = ok && !on;
    return ok;
}

const struct list_key stats_keys[] = {
    {"file", "FILE", set_stats_file},
    {"format", "human|json", set_stats_format},
    {"latency", "on|off", set_stats_latency},
};
