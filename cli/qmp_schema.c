/* qmp_schema.c - query-qmp-schema: what QMP accepts and answers here, as QEMU's introspection has it.
 *
 * Names and arguments of commands come from the table that dispatches and checks them (qmp_commands). What
 * that one does not say stands here in a notation of one line: str, int, bool, any; [TYPE] an array;
 * {NAME:TYPE,NAME?:TYPE} an object, ? an optional member; <A|B> names to choose from; and an object whose
 * first member says what else it has: {TAG:<A|B>;A{...};B{...}}. tests/qmp_shape.py compares all answers
 * with this and with QEMU's own schema. */
#include "cli/qmp_internal.h"

#include <string.h>

#define REASON                                                                                               \
    "{guest:bool,reason:<none|host-error|host-qmp-quit|host-qmp-system-reset|host-signal|host-ui|"           \
    "guest-shutdown|guest-reset|guest-panic|subsystem-reset|snapshot-load>}"
#define KEY   "{type:<number|qcode>;number{data:int};qcode{data:str}}"
#define IMAGE "{filename:str,format:str,virtual-size:int}"
#define INSERTED                                                                                             \
    "{file:str,node-name?:str,ro:bool,drv:str,backing_file_depth:int,encrypted:bool,detect_zeroes:str,"      \
    "bps:int,bps_rd:int,bps_wr:int,iops:int,iops_rd:int,iops_wr:int,image:" IMAGE                            \
    ",cache:{writeback:bool,direct:bool,no-flush:bool},write_threshold:int}"
#define STATS                                                                                                \
    "{rd_bytes:int,wr_bytes:int,unmap_bytes:int,rd_operations:int,wr_operations:int,flush_operations:int,"   \
    "unmap_operations:int,rd_total_time_ns:int,wr_total_time_ns:int,flush_total_time_ns:int,"                \
    "unmap_total_time_ns:int,wr_highest_offset:int,rd_merged:int,wr_merged:int,unmap_merged:int,"            \
    "failed_rd_operations:int,failed_wr_operations:int,failed_flush_operations:int,"                         \
    "failed_unmap_operations:int,invalid_rd_operations:int,invalid_wr_operations:int,"                       \
    "invalid_flush_operations:int,invalid_unmap_operations:int,account_invalid:bool,account_failed:bool,"    \
    "timed_stats:[any]}"
#define REGION "{bar:int,type:str,address:int,size:int,prefetch?:bool,mem_type_64?:bool}"
#define PCI_DEVICE                                                                                           \
    "{bus:int,slot:int,function:int,class_info:{desc?:str,class:int},id:{device:int,vendor:int,"             \
    "subsystem?:int,subsystem-vendor?:int},irq?:int,irq_pin:int,qdev_id:str,regions:[" REGION "]}"
#define FAMILY "<ipv4|ipv6|unix|vsock|unknown>"
#define VIEWER "{host:str,service:str,family:" FAMILY ",websocket:bool}"
#define SERVER "{host:str,service:str,family:" FAMILY ",websocket:bool,auth?:str}"
#define SCHEMA                                                                                               \
    "{meta-type:<builtin|enum|array|object|command|event>,name:str;builtin{json-type:str};"                  \
    "enum{members:[{name:str}],values:[str]};array{element-type:str};"                                       \
    "object{members:[{name:str,type:str,default?:any}],tag?:str,variants?:[{case:str,type:str}]};"           \
    "command{arg-type:str,ret-type:str};event{arg-type:str}}"

struct noted {
    const char *name, *type;
};

/* clang-format off */
static const struct noted answers[] = { /* of the other commands: an empty object */
    {"human-monitor-command", "str"},
    {"query-block", "[{device:str,type:str,removable:bool,locked:bool,inserted?:" INSERTED ",tray_open?:bool,io-status?:<ok|failed|nospace>}]"},
    {"query-blockstats", "[{device?:str,stats:" STATS "}]"},
    {"query-chardev", "[{label:str,filename:str,frontend-open:bool}]"},
    {"query-commands", "[{name:str}]"},
    {"query-cpus-fast", "[{cpu-index:int,qom-path:str,thread-id:int,target:str,props?:{core-id?:int,thread-id?:int,socket-id?:int}}]"},
    {"query-current-machine", "{wakeup-suspend-support:bool}"},
    {"query-iothreads", "[{id:str,thread-id:int,poll-max-ns:int,poll-grow:int,poll-shrink:int,aio-max-batch:int}]"},
    {"query-jobs", "[{id:str,type:<snapshot-load|snapshot-save|snapshot-delete>,status:<concluded>,current-progress:int,total-progress:int,error?:str}]"},
    {"query-kvm", "{enabled:bool,present:bool}"},
    {"query-machines", "[{name:str,alias?:str,is-default?:bool,cpu-max:int,hotpluggable-cpus:bool,numa-mem-supported:bool,deprecated:bool}]"},
    {"query-memory-size-summary", "{base-memory:int,plugged-memory?:int}"},
    {"query-mice", "[{name:str,index:int,current:bool,absolute:bool}]"},
    {"query-name", "{name?:str}"},
    {"query-named-block-nodes", "[" INSERTED "]"},
    {"query-pci", "[{bus:int,devices:[" PCI_DEVICE "]}]"},
    {"query-qmp-schema", "[" SCHEMA "]"},
    {"query-replay", "{mode:<none|record|play>,filename?:str,icount:int}"},
    {"query-status", "{running:bool,singlestep:bool,status:<paused|prelaunch|running|shutdown|io-error>}"},
    {"query-target", "{arch:str}"},
    {"query-uuid", "{UUID:str}"},
    {"query-version", "{qemu:{major:int,minor:int,micro:int},package:str}"},
    {"query-vnc", "{enabled:bool,host?:str,family?:" FAMILY ",service?:str,auth?:str,clients?:[" VIEWER "]}"},
};
/* Of an argument that is an array or an object: COMMAND.ARGUMENT; of a command that has others by the value of one: COMMAND. */
static const struct noted arguments[] = {
    {"blockdev-add",
     "{driver:<file|raw|qcow2>,node-name?:str,read-only?:bool,auto-read-only?:bool;file{filename:str};raw{file:any};qcow2{file:any}}"},
    {"qmp_capabilities.enable", "[str]"},
    {"screendump.format", "<png|ppm>"},
    {"snapshot-delete.devices", "[str]"},
    {"snapshot-load.devices", "[str]"},
    {"snapshot-save.devices", "[str]"},
    {"send-key.keys", "[" KEY "]"},
    {"input-send-event.events",
     "[{type:<key|btn|rel>;key{data:{key:" KEY ",down:bool}};btn{data:{button:str,down:bool}};rel{data:{axis:<x|y>,value:int}}}]"},
};
static const struct noted events[] = {
    {"BLOCK_IO_ERROR", "{device:str,operation:<read|write>,action:<ignore|report|stop>,nospace?:bool,reason:str}"},
    {"DEVICE_TRAY_MOVED", "{device:str,id:str,tray-open:bool}"},
    {"JOB_STATUS_CHANGE", "{id:str,status:<created|running|pending|concluded|null|waiting|ready|standby|aborting|paused|undefined>}"},
    {"VNC_CONNECTED", "{server:" SERVER ",client:" VIEWER "}"},
    {"VNC_INITIALIZED", "{server:" SERVER ",client:" VIEWER "}"},
    {"VNC_DISCONNECTED", "{server:" SERVER ",client:" VIEWER "}"},
    {"POWERDOWN", "{}"}, {"RESET", REASON}, {"RESUME", "{}"}, {"SHUTDOWN", REASON}, {"STOP", "{}"},
};
/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct schema {
    json_t *entries; /* the answer */
    json_t *named;   /* from a type's text to its name */
};

static const char *type_of(const struct noted *list, size_t n, const char *name, const char *otherwise)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return list[i].type;
    return otherwise;
}

/* --- the notation; texts are this program's own, and whole --- */

/* Behind the type that begins at `t`: brackets are pairs. */
static const char *type_end(const char *t)
{
    unsigned depth = 0;
    for (; *t; t++) {
        if (strchr("{[<", *t))
            depth++;
        else if (strchr("}]>", *t) && depth-- <= 1)
            return depth == 0 ? t + 1 : t;
        else if (depth == 0 && strchr(",;", *t))
            break;
    }
    return t;
}

static const char *type_name(struct schema *s, const char *text, size_t n);

static json_t *enum_entry(const char *text)
{
    json_t *j = json_pack("{s:s,s:[],s:[]}", "meta-type", "enum", "members", "values");
    while (*text != '>') {
        const size_t n = strcspn(++text, "|>");
        json_array_append_new(json_object_get(j, "values"), json_stringn(text, n));
        json_array_append_new(json_object_get(j, "members"),
                              json_pack("{s:o}", "name", json_stringn(text, n)));
        text += n;
    }
    return j;
}

static json_t *array_entry(struct schema *s, const char *text)
{
    const char *of = text + 1;
    return json_pack("{s:s,s:s}", "meta-type", "array", "element-type",
                     type_name(s, of, (size_t)(type_end(of) - of)));
}

static json_t *member_entry(struct schema *s, const char *name, size_t n, const char *type, size_t type_bytes)
{
    const bool optional = name[n - 1] == '?';
    json_t *j = json_pack("{s:o,s:s}", "name", json_stringn(name, n - optional), "type",
                          type_name(s, type, type_bytes));
    if (optional)
        json_object_set_new(j, "default", json_null());
    return j;
}

/* text: behind the members, at ';'. */
static void add_variants(struct schema *s, json_t *object, const char *text)
{
    json_t *list = json_array(), *first = json_array_get(json_object_get(object, "members"), 0);
    json_object_set(object, "tag", json_object_get(first, "name"));
    while (*text == ';') {
        const char *name = text + 1, *type = strchr(name, '{'), *end = type_end(type);
        json_array_append_new(list, json_pack("{s:o,s:s}", "case", json_stringn(name, (size_t)(type - name)),
                                              "type", type_name(s, type, (size_t)(end - type))));
        text = end;
    }
    json_object_set_new(object, "variants", list);
}

static json_t *object_entry(struct schema *s, const char *text)
{
    json_t *j = json_pack("{s:s,s:[]}", "meta-type", "object", "members");
    for (text++; *text != '}' && *text != ';';) {
        const size_t n = strcspn(text, ":");
        const char *type = text + n + 1, *end = type_end(type);
        json_array_append_new(json_object_get(j, "members"),
                              member_entry(s, text, n, type, (size_t)(end - type)));
        text = *end == ',' ? end + 1 : end;
    }
    if (*text == ';')
        add_variants(s, j, text);
    return j;
}

static json_t *builtin_entry(const char *name)
{
    const char *json = strcmp(name, "str") == 0 ? "string" : strcmp(name, "bool") == 0 ? "boolean" : name;
    return json_pack("{s:s,s:s}", "meta-type", "builtin", "json-type",
                     strcmp(name, "any") == 0 ? "value" : json);
}

static json_t *type_entry(struct schema *s, const char *text)
{
    switch (*text) {
    case '[':
        return array_entry(s, text);
    case '{':
        return object_entry(s, text);
    case '<':
        return enum_entry(text);
    default:
        return builtin_entry(text);
    }
}

/* Types are named by numbers, as QEMU's are: their names are nobody's business. */
static const char *name_entry(struct schema *s, const char *text, const json_t *entry)
{
    char name[64];
    if (*text == '[')
        snprintf(name, sizeof name, "[%s]", json_string_value(json_object_get(entry, "element-type")));
    else
        snprintf(name, sizeof name, "%zu", json_object_size(s->named));
    json_object_set_new(s->named, text, json_string(strchr("[{<", *text) ? name : text));
    return json_string_value(json_object_get(s->named, text));
}

/* Each type has one entry, before that of the first who needs it. */
static const char *type_name(struct schema *s, const char *text, size_t n)
{
    char copy[2048];
    snprintf(copy, sizeof copy, "%.*s", (int)n, text);
    const char *known = json_string_value(json_object_get(s->named, copy));
    if (known)
        return known;
    json_t *entry = type_entry(s, copy);
    const char *name = name_entry(s, copy, entry);
    json_object_set_new(entry, "name", json_string(name));
    json_array_append_new(s->entries, entry);
    return name;
}

static const char *whole_type_name(struct schema *s, const char *text)
{
    return type_name(s, text, strlen(text));
}

/* --- the tables --- */

/* The arguments of a command in the notation. */
static void arguments_text(const char *command, const struct qmp_argument *list, char *text, size_t bytes)
{
    static const char *const types[] = {[QMP_STRING] = "str", [QMP_INT] = "int",    [QMP_BOOL] = "bool",
                                        [QMP_LIST] = "[any]", [QMP_OBJECT] = "any", [QMP_ANY] = "any"};
    size_t n = (size_t)snprintf(text, bytes, "%s", type_of(arguments, COUNT(arguments), command, "{"));
    if (n > 1)
        return;
    for (const struct qmp_argument *a = list; a->name; a++) {
        char name[128];
        snprintf(name, sizeof name, "%s.%s", command, a->name);
        n += (size_t)snprintf(text + n, bytes - n, "%s%s%s:%s", a == list ? "" : ",", a->name,
                              a->optional ? "?" : "",
                              type_of(arguments, COUNT(arguments), name, types[a->type]));
    }
    snprintf(text + n, bytes - n, "}");
}

static void add_command(struct schema *s, const char *name, const struct qmp_argument *list)
{
    char text[1024];
    arguments_text(name, list, text, sizeof text);
    const char *accepts = whole_type_name(s, text);
    const char *returns = whole_type_name(s, type_of(answers, COUNT(answers), name, "{}"));
    json_array_append_new(s->entries, json_pack("{s:s,s:s,s:s,s:s}", "name", name, "meta-type", "command",
                                                "arg-type", accepts, "ret-type", returns));
}

void qmp_query_schema(struct qmp_call *call)
{
    struct schema s = {json_array(), json_object()};
    add_command(&s, "qmp_capabilities", qmp_capabilities_arguments);
    for (unsigned i = 0; i < qmp_ncommands; i++)
        add_command(&s, qmp_commands[i].name, qmp_commands[i].argument);
    for (size_t i = 0; i < COUNT(events); i++)
        json_array_append_new(s.entries, json_pack("{s:s,s:s,s:s}", "name", events[i].name, "meta-type",
                                                   "event", "arg-type", whole_type_name(&s, events[i].type)));
    json_decref(s.named);
    call->answer = s.entries;
}
