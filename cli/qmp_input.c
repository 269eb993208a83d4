/* qmp_input.c - QMP's commands that press keys and move the mouse. The machine stamps and records what it
 * takes in. */
#include "cli/qmp_internal.h"

#include "cli/keys.h"

#include <string.h>

static const struct qmp_argument value_list[] = {
    {"type", QMP_STRING, false}, {"data", QMP_STRING, false}, {NULL, QMP_STRING, false}};
static const struct qmp_argument number_list[] = {
    {"type", QMP_STRING, false}, {"data", QMP_INT, false}, {NULL, QMP_STRING, false}};

#define BUTTON_LIST                                                                                          \
    {                                                                                                        \
        {"down", QMP_BOOL, false}, {"button", QMP_STRING, false},                                            \
        {                                                                                                    \
            NULL, QMP_STRING, false                                                                          \
        }                                                                                                    \
    }

static const char *member(const json_t *object, const char *name)
{
    const char *s = json_string_value(json_object_get(object, name));
    return s ? s : "";
}

/* --- keys --- */

/* QKeyCode by name, or the code that a keyboard of set 1 sends, with 80h for E0. */
static bool key_code(struct qmp_call *call, json_t *key, uint16_t *code)
{
    const bool number = strcmp(member(key, "type"), "number") == 0;
    char hex[24];
    if (!json_is_object(key)) {
        qmp_fail(call, "GenericError", "Invalid parameter type for 'keys', expected: object");
        return false;
    }
    if (!qmp_check(call, key, number ? number_list : value_list))
        return false;
    if (number) {
        snprintf(hex, sizeof hex, "%#llx",
                 (unsigned long long)json_integer_value(json_object_get(key, "data")));
        if (keys_from_name(hex, code))
            return true;
    } else if (keys_from_name(member(key, "data"), code)) {
        return true;
    }
    qmp_fail(call, "GenericError", "Parameter 'data' does not accept value '%.60s'",
             number ? hex : member(key, "data"));
    return false;
}

void qmp_send_key(struct qmp_call *call)
{
    json_t *keys = json_object_get(call->arguments, "keys");
    const json_int_t hold_ms = qmp_int(call, "hold-time", STEER_HOLD_MS);
    const size_t n = json_array_size(keys);
    uint16_t code[STEER_KEYS_MAX];
    if (n > STEER_KEYS_MAX || hold_ms < 0 || hold_ms > INT32_MAX) {
        qmp_fail(call, "GenericError", "at most %d keys are accepted, and a hold-time from 0 ms on",
                 STEER_KEYS_MAX);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (!key_code(call, json_array_get(keys, i), &code[i]))
            return;
    if (n > 0 && !steer_press(call->steer, code, (unsigned)n, (uint64_t)hold_ms))
        qmp_fail(call, "GenericError", "too many keys wait already to be pressed");
}

/* --- events --- */

static void too_much(struct qmp_call *call)
{
    qmp_fail(call, "GenericError", "the guest has had too much input already");
}

static void key_event(struct qmp_call *call, json_t *data)
{
    static const struct qmp_argument list[] = {
        {"key", QMP_OBJECT, false}, {"down", QMP_BOOL, false}, {NULL, QMP_STRING, false}};
    struct port_key key = {0};
    if (!qmp_check(call, data, list) || !key_code(call, json_object_get(data, "key"), &key.code))
        return;
    key.down = json_is_true(json_object_get(data, "down"));
    if (!machine_key(call->steer->machine, key))
        too_much(call);
}

static void button_event(struct qmp_call *call, json_t *data, struct port_motion *m)
{
    static const struct qmp_argument list[] = BUTTON_LIST;
    static const struct {
        const char *name;
        uint8_t bit;
        int8_t wheel;
    } buttons[] = {{"left", 1, 0},   {"right", 2, 0},     {"middle", 4, 0},    {"side", 8, 0},
                   {"extra", 16, 0}, {"wheel-up", 0, -1}, {"wheel-down", 0, 1}};
    if (!qmp_check(call, data, list))
        return;
    const bool down = json_is_true(json_object_get(data, "down"));
    uint8_t *held = &call->steer->mouse_buttons;
    for (size_t i = 0; i < sizeof buttons / sizeof *buttons; i++) {
        if (strcmp(buttons[i].name, member(data, "button")) != 0)
            continue;
        *held = (uint8_t)(down ? *held | buttons[i].bit : *held & ~buttons[i].bit);
        m->dz = (int8_t)(down ? m->dz + buttons[i].wheel : m->dz);
        return;
    }
    qmp_fail(call, "GenericError", "Parameter 'button' does not accept value '%.60s'",
             member(data, "button"));
}

static void motion_event(struct qmp_call *call, json_t *data, struct port_motion *m)
{
    static const struct qmp_argument list[] = {
        {"axis", QMP_STRING, false}, {"value", QMP_INT, false}, {NULL, QMP_STRING, false}};
    if (!qmp_check(call, data, list))
        return;
    const bool x = strcmp(member(data, "axis"), "x") == 0;
    const json_int_t value = json_integer_value(json_object_get(data, "value"));
    if ((!x && strcmp(member(data, "axis"), "y") != 0) || value < INT16_MIN || value > INT16_MAX)
        qmp_fail(call, "GenericError", "axis x or y and a value of 16 bits are accepted");
    else
        *(x ? &m->dx : &m->dy) = (int16_t)value;
}

/* Motions and buttons gather in `m` and go to the machine as one. */
static void one_event(struct qmp_call *call, json_t *event, struct port_motion *m)
{
    static const struct qmp_argument list[] = {
        {"type", QMP_STRING, false}, {"data", QMP_OBJECT, false}, {NULL, QMP_STRING, false}};
    if (!json_is_object(event)) {
        qmp_fail(call, "GenericError", "Invalid parameter type for 'events', expected: object");
        return;
    }
    if (!qmp_check(call, event, list))
        return;
    json_t *data = json_object_get(event, "data");
    if (strcmp(member(event, "type"), "key") == 0)
        key_event(call, data);
    else if (strcmp(member(event, "type"), "btn") == 0)
        button_event(call, data, m);
    else if (strcmp(member(event, "type"), "rel") == 0)
        motion_event(call, data, m);
    else
        qmp_fail(call, "GenericError",
                 "Parameter 'type' does not accept value '%.60s'; key, btn and rel are accepted",
                 member(event, "type"));
}

void qmp_input_send_event(struct qmp_call *call)
{
    const json_t *events = json_object_get(call->arguments, "events");
    const uint8_t held = call->steer->mouse_buttons;
    struct port_motion m = {0};
    for (size_t i = 0; i < json_array_size(events) && !call->class; i++)
        one_event(call, json_array_get(events, i), &m);
    m.buttons = call->steer->mouse_buttons;
    if (!call->class && (m.dx || m.dy || m.dz || m.buttons != held) &&
        !machine_pointer(call->steer->machine, m))
        too_much(call);
}
