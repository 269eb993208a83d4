/* qmp.c - see qmp.h: requests found in a stream of bytes, checked and dispatched; answers and events.
 *
 * A request ends with the bracket that closes its first one. What is no JSON ends with its line, and is
 * answered by an error, so that a client finds back. Where QEMU's own parser is more lenient (strings in
 * single quotes), this one is not. Out-of-band execution is not offered. */
#include "cli/qmp_internal.h"

#include "cli/media.h"

#include "clockcore/clock.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 1024 /* of brackets in one request, as QEMU's */

struct qmp {
    struct steer *steer;
    struct control_client *client;
    bool pretty;
    bool negotiated; /* qmp_capabilities was said */
    /* --- where the bytes so far have led to; the connections' thread --- */
    unsigned depth; /* of open brackets */
    bool string, escaped, junk;
};

/* --- out --- */

static void send(const struct qmp *q, json_t *message)
{
    char *text = json_dumps(message, q->pretty ? JSON_INDENT(4) : 0);
    if (text)
        control_printf(q->client, "%s\r\n", text);
    free(text);
    json_decref(message);
}

json_t *qmp_version(void)
{
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", 0, "minor", 2, "major", 7, "package",
                     "Tandem " TANDEM_VERSION);
}

void qmp_fail(struct qmp_call *call, const char *class, const char *fmt, ...)
{
    va_list ap;
    call->class = class;
    va_start(ap, fmt);
    vsnprintf(call->desc, sizeof call->desc, fmt, ap);
    va_end(ap);
}

/* Names that a client sent may be cut in the middle of a character. */
static json_t *text(const char *s)
{
    json_t *j = json_string(s);
    return j ? j : json_string("a text that is no UTF-8");
}

static void answer(const struct qmp *q, struct qmp_call *call, json_t *id)
{
    json_t *message;
    if (call->class)
        message = json_pack("{s:{s:s,s:o}}", "error", "class", call->class, "desc", text(call->desc));
    else
        message = json_pack("{s:o}", "return", call->answer ? json_incref(call->answer) : json_object());
    if (message && id)
        json_object_set(message, "id", id);
    if (message)
        send(q, message);
    json_decref(call->answer);
}

/* --- arguments --- */

static const struct {
    const char *name;
    json_type type;
} types[] = {
    [QMP_STRING] = {"string", JSON_STRING}, [QMP_INT] = {"integer", JSON_INTEGER},
    [QMP_BOOL] = {"boolean", JSON_TRUE},    [QMP_LIST] = {"array", JSON_ARRAY},
    [QMP_OBJECT] = {"object", JSON_OBJECT}, [QMP_ANY] = {"any", JSON_NULL},
};

static bool has_type(const json_t *j, enum qmp_type type)
{
    return type == QMP_ANY || json_typeof(j) == types[type].type || (type == QMP_BOOL && json_is_boolean(j));
}

static bool is_listed(const struct qmp_argument *list, const char *name)
{
    for (; list->name; list++)
        if (strcmp(list->name, name) == 0)
            return true;
    return false;
}

bool qmp_check(struct qmp_call *call, json_t *object, const struct qmp_argument *list)
{
    const char *name;
    json_t *value;
    for (const struct qmp_argument *a = list; a->name; a++) {
        value = json_object_get(object, a->name);
        if (!value && !a->optional) {
            qmp_fail(call, "GenericError", "Parameter '%s' is missing", a->name);
            return false;
        }
        if (value && !has_type(value, a->type)) {
            qmp_fail(call, "GenericError", "Invalid parameter type for '%s', expected: %s", a->name,
                     types[a->type].name);
            return false;
        }
    }
    json_object_foreach(object, name, value)
    {
        if (is_listed(list, name))
            continue;
        qmp_fail(call, "GenericError", "Parameter '%.100s' is unexpected", name);
        return false;
    }
    return true;
}

const char *qmp_string(const struct qmp_call *call, const char *name)
{
    return json_string_value(json_object_get(call->arguments, name));
}

json_int_t qmp_int(const struct qmp_call *call, const char *name, json_int_t otherwise)
{
    const json_t *j = json_object_get(call->arguments, name);
    return j ? json_integer_value(j) : otherwise;
}

/* --- dispatch --- */

static const struct qmp_command *find(const char *name)
{
    for (unsigned i = 0; i < qmp_ncommands; i++)
        if (strcmp(qmp_commands[i].name, name) == 0)
            return &qmp_commands[i];
    return NULL;
}

const struct qmp_argument qmp_capabilities_arguments[] = {{"enable", QMP_LIST, true},
                                                          {NULL, QMP_LIST, false}};

/* Every capability has to be one that the greeting offered, and it offered none. */
static void negotiate(struct qmp *q, struct qmp_call *call)
{
    json_t *asked = json_object_get(call->arguments, "enable");
    if (q->negotiated)
        qmp_fail(call, "CommandNotFound", "Capabilities negotiation is already complete, command ignored");
    else if (qmp_check(call, call->arguments, qmp_capabilities_arguments) && json_array_size(asked) > 0)
        qmp_fail(call, "GenericError", "Capability %.100s not available",
                 json_is_string(json_array_get(asked, 0)) ? json_string_value(json_array_get(asked, 0))
                                                          : "of another type than string");
    q->negotiated |= !call->class;
}

static void execute_command(struct qmp *q, struct qmp_call *call, const char *name)
{
    const struct qmp_command *c = find(name);
    if (strcmp(name, "qmp_capabilities") == 0)
        negotiate(q, call);
    else if (!q->negotiated)
        qmp_fail(call, "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
    else if (!c)
        qmp_fail(call, "CommandNotFound", "The command %.100s has not been found", name);
    else if (qmp_check(call, call->arguments, c->argument))
        c->run(call);
}

/* What a request may have. False: the call fails. */
static bool check_request(struct qmp_call *call, json_t *request)
{
    const char *name;
    json_t *value;
    if (!json_is_object(request)) {
        qmp_fail(call, "GenericError", "QMP input must be a JSON object");
        return false;
    }
    json_object_foreach(request, name, value)
    {
        const bool execute = strcmp(name, "execute") == 0, arguments = strcmp(name, "arguments") == 0;
        if (execute && !json_is_string(value))
            qmp_fail(call, "GenericError", "QMP input member 'execute' must be a string");
        else if (arguments && !json_is_object(value))
            qmp_fail(call, "GenericError", "QMP input member 'arguments' must be an object");
        else if (!execute && !arguments && strcmp(name, "id") != 0)
            qmp_fail(call, "GenericError", "QMP input member '%.100s' is unexpected", name);
        if (call->class)
            return false;
    }
    if (!json_object_get(request, "execute"))
        qmp_fail(call, "GenericError", "QMP input lacks member 'execute'");
    return !call->class;
}

static void execute_request(struct qmp *q, struct qmp_call *call, json_t *request)
{
    json_t *none = NULL;
    if (!check_request(call, request))
        return;
    call->arguments = json_object_get(request, "arguments");
    if (!call->arguments)
        call->arguments = none = json_object();
    execute_command(q, call, json_string_value(json_object_get(request, "execute")));
    json_decref(none);
}

static void qmp_execute(void *state, struct control_client *k, char *bytes, size_t n)
{
    struct qmp *q = state;
    struct qmp_call call = {.steer = q->steer};
    json_error_t error;
    json_t *request = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (request)
        execute_request(q, &call, request);
    else
        qmp_fail(&call, "GenericError", "JSON parse error, %.200s", error.text);
    answer(q, &call, json_is_object(request) ? json_object_get(request, "id") : NULL);
    json_decref(request);
}

/* The guest waits for a drive whose host fails, and does not stand: what can be answered all the same. */
static bool qmp_meanwhile(void *state, struct control_client *k, const char *bytes, size_t n)
{
    struct qmp *q = state;
    struct qmp_call call = {.steer = q->steer};
    json_t *request = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    const char *name = json_string_value(json_object_get(request, "execute"));
    bool done = q->negotiated && name;
    if (done && strcmp(name, "cont") == 0)
        media_retry(q->steer);
    else if (done && strcmp(name, "quit") == 0)
        machine_quit_request(q->steer->machine);
    else if (done && strcmp(name, "query-status") == 0)
        call.answer = json_pack("{s:s,s:b,s:b}", "status", "io-error", "singlestep", 0, "running", 0);
    else
        done = false;
    if (done)
        answer(q, &call, json_object_get(request, "id"));
    json_decref(request);
    return done;
}

/* --- bytes --- */

static void begin_request(struct qmp *q)
{
    q->depth = 0;
    q->string = q->escaped = q->junk = false;
}

static bool in_string(struct qmp *q, char byte)
{
    const bool escaped = q->escaped;
    q->escaped = byte == '\\' && !escaped;
    if (byte == '"' && !escaped)
        q->string = false;
    return byte == '\n'; /* JSON has none in there */
}

/* True: the request ends with this byte. */
static bool outside_string(struct qmp *q, char byte)
{
    if (byte == '{' || byte == '[')
        return ++q->depth > DEPTH_MAX;
    if (byte == '}' || byte == ']')
        return q->depth-- <= 1;
    q->string = byte == '"' && q->depth > 0;
    q->junk |= q->depth == 0 && (!byte || !strchr(" \t\r\n", byte));
    return q->junk && byte == '\n';
}

static bool qmp_feed(void *state, char byte)
{
    struct qmp *q = state;
    const bool whole = q->string ? in_string(q, byte) : outside_string(q, byte);
    if (whole)
        begin_request(q);
    return whole;
}

/* --- connections and events --- */

static void *open_client(void *ctx, struct control_client *k, bool pretty)
{
    struct qmp *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    *q = (struct qmp){.steer = ctx, .client = k, .pretty = pretty};
    send(q, json_pack("{s:{s:o,s:[]}}", "QMP", "version", qmp_version(), "capabilities"));
    return q;
}

static void *qmp_open(void *ctx, struct control_client *k)
{
    return open_client(ctx, k, false);
}

static void *qmp_open_pretty(void *ctx, struct control_client *k)
{
    return open_client(ctx, k, true);
}

/* QEMU's protocol stamps events with host time. */
static void qmp_event(void *state, struct control_client *k, const char *name, const char *data)
{
    const struct qmp *q = state;
    const uint64_t us = clock_host_ns() / 1000;
    json_t *j = data ? json_loads(data, 0, NULL) : NULL;
    if (q->negotiated)
        send(q, json_pack("{s:{s:I,s:I},s:s,s:o*}", "timestamp", "seconds", (json_int_t)(us / 1000000),
                          "microseconds", (json_int_t)(us % 1000000), "event", name, "data", json_incref(j)));
    json_decref(j);
}

const struct control_class qmp_class = {.open = qmp_open,
                                        .close = free,
                                        .feed = qmp_feed,
                                        .execute = qmp_execute,
                                        .meanwhile = qmp_meanwhile,
                                        .event = qmp_event};
const struct control_class qmp_pretty_class = {.open = qmp_open_pretty,
                                               .close = free,
                                               .feed = qmp_feed,
                                               .execute = qmp_execute,
                                               .meanwhile = qmp_meanwhile,
                                               .event = qmp_event};
