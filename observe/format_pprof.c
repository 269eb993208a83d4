/* format_pprof.c - profile.proto of pprof (github.com/google/pprof/proto/profile.proto).
 *
 * A function is one location without an address: pprof shows functions, and names are all that a tree of
 * calls has. Each sample carries the label "process". */
#include "observe/formats_internal.h"
#include "observe/keymap.h"
#include "observe/protobuf.h"

#include <string.h>

/* Field numbers. */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE_FIELD,
    PROFILE_MAPPING,
    PROFILE_LOCATION,
    PROFILE_FUNCTION,
    PROFILE_STRING
};
enum { PROFILE_DURATION_NANOS = 10, PROFILE_PERIOD_TYPE, PROFILE_PERIOD };
enum { VALUE_TYPE = 1, VALUE_UNIT };
enum { SAMPLE_LOCATIONS = 1, SAMPLE_VALUES, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_STRING };
enum { LOCATION_ID = 1, LOCATION_LINE = 4 };
enum { LINE_FUNCTION = 1 };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILENAME };

struct pprof {
    const struct calltree *tree;
    struct protobuf out;
    struct keymap strings; /* pointer of an interned text: its index in the table */
    struct keymap functions;
    uint64_t next_string, next_function;
    bool failed;
};

/* Index of a text that is one pointer for each content. */
static uint64_t string_index(struct pprof *p, const char *text)
{
    bool is_new;
    uint32_t *index = keymap_at(&p->strings, (uintptr_t)text, UINT32_MAX, &is_new);
    if (!index) {
        p->failed = true;
        return 0;
    }
    if (is_new) {
        *index = (uint32_t)p->next_string++;
        protobuf_string(&p->out, PROFILE_STRING, text);
    }
    return *index;
}

static void put_value_type(struct pprof *p, unsigned field, const char *type, const char *unit)
{
    struct protobuf v = {0};
    protobuf_uint(&v, VALUE_TYPE, string_index(p, type));
    protobuf_uint(&v, VALUE_UNIT, string_index(p, unit));
    protobuf_message(&p->out, field, &v);
    protobuf_free(&v);
}

static void put_function(struct pprof *p, uint64_t id, const char *name, const char *where)
{
    struct protobuf f = {0}, line = {0}, location = {0};
    protobuf_uint(&f, FUNCTION_ID, id);
    protobuf_uint(&f, FUNCTION_NAME, string_index(p, name));
    protobuf_uint(&f, FUNCTION_SYSTEM_NAME, string_index(p, name));
    protobuf_uint(&f, FUNCTION_FILENAME, string_index(p, where));
    protobuf_message(&p->out, PROFILE_FUNCTION, &f);
    protobuf_uint(&line, LINE_FUNCTION, id);
    protobuf_uint(&location, LOCATION_ID, id);
    protobuf_message(&location, LOCATION_LINE, &line);
    protobuf_message(&p->out, PROFILE_LOCATION, &location);
    protobuf_free(&f);
    protobuf_free(&line);
    protobuf_free(&location);
}

/* Number of the location of a node's function, which is written when it is first met. */
static uint64_t location_of(struct pprof *p, const struct call_node *n)
{
    static const char *const where[] = {"", "", "[user]", "[kernel]", "[idle]"};
    bool is_new;
    uint32_t *id = keymap_at(&p->functions, (uintptr_t)n->name << 3 | n->kind, UINT32_MAX, &is_new);
    if (!id) {
        p->failed = true;
        return 1;
    }
    if (is_new) {
        *id = (uint32_t)p->next_function++;
        put_function(p, *id, n->name, where[n->kind]);
    }
    return *id;
}

static void put_label(struct pprof *p, struct protobuf *sample, const char *key, const char *text)
{
    struct protobuf label = {0};
    protobuf_uint(&label, LABEL_KEY, string_index(p, key));
    protobuf_uint(&label, LABEL_STRING, string_index(p, text));
    protobuf_message(sample, SAMPLE_LABEL, &label);
    protobuf_free(&label);
}

static void put_stack(struct pprof *p, uint32_t node)
{
    const struct calltree *t = p->tree;
    struct protobuf sample = {0}, numbers = {0};
    const char *process = "";
    for (uint32_t at = node; at != CALLTREE_ROOT; at = t->node[at].parent) {
        if (t->node[at].kind == CALL_PROCESS)
            process = t->node[at].name;
        else
            protobuf_varint(&numbers, location_of(p, &t->node[at]));
    }
    protobuf_message(&sample, SAMPLE_LOCATIONS, &numbers);
    protobuf_clear(&numbers);
    protobuf_varint(&numbers, t->node[node].self);
    protobuf_varint(&numbers, (t->node[node].self * t->head.every) << t->head.shift);
    protobuf_message(&sample, SAMPLE_VALUES, &numbers);
    put_label(p, &sample, "process", process);
    protobuf_message(&p->out, PROFILE_SAMPLE_FIELD, &sample);
    protobuf_free(&sample);
    protobuf_free(&numbers);
}

bool format_pprof(const struct calltree *t, FILE *out)
{
    struct pprof p = {.tree = t, .next_function = 1};
    string_index(&p, "");
    put_value_type(&p, PROFILE_SAMPLE_TYPE, "samples", "count");
    put_value_type(&p, PROFILE_SAMPLE_TYPE, "virtual", "nanoseconds");
    put_value_type(&p, PROFILE_PERIOD_TYPE, "virtual", "nanoseconds");
    protobuf_uint(&p.out, PROFILE_PERIOD, t->head.every << t->head.shift);
    protobuf_uint(&p.out, PROFILE_DURATION_NANOS, (t->end_tick - t->head.begin) << t->head.shift);
    for (uint32_t i = 0; i < t->nodes; i++)
        if (t->node[i].self)
            put_stack(&p, i);
    bool ok = !p.failed && !p.out.failed;
    fwrite(p.out.data, 1, p.out.bytes, out);
    protobuf_free(&p.out);
    keymap_free(&p.strings);
    keymap_free(&p.functions);
    return ok;
}
