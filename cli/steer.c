/* steer.c - see steer.h. */
#include "cli/steer.h"

#include "cli/media.h"
#include "clockcore/clock.h"
#include "clockcore/ticks.h"

#include <string.h>
#include <unistd.h>

#define WAIT_NS     UINT64_C(100000000) /* of host time, in one call: how long does not matter */
#define FAREWELL_NS UINT64_C(1000000000)
#define NS_PER_MS   UINT64_C(1000000)
#define GAP_MS      1 /* of virtual time, between the keys of one sendkey and those of the next */

void steer_init(struct steer *s, const struct options *o, struct machine *m, struct control *control)
{
    *s = (struct steer){.o = o,
                        .machine = m,
                        .control = control,
                        .begin_ns = clock_realtime_ns(),
                        .paused = o->start_paused,
                        .run_to = TICK_NEVER};
}

static void tell(struct steer *s, const char *event, const char *data)
{
    if (s->control)
        control_event(s->control, event, data);
}

/* --- what is due later --- */

/* Whoever waits for run-to is told, wherever the machine stands now. */
static void end_run_to(struct steer *s)
{
    void (*ran)(void *ctx) = s->ran;
    s->run_to = TICK_NEVER;
    s->ran = NULL;
    if (ran)
        ran(s->ran_ctx);
}

/* A full queue of the machine drops keys, as a keyboard does. */
static void press_due(struct steer *s)
{
    const uint64_t now = machine_tick(s->machine);
    unsigned n = 0;
    while (n < s->nkeys && s->key[n].tick <= now)
        machine_key(s->machine, s->key[n++].key);
    s->nkeys -= n;
    memmove(s->key, s->key + n, s->nkeys * sizeof *s->key);
}

static void do_due(struct steer *s)
{
    press_due(s);
    if (machine_tick(s->machine) >= s->run_to)
        steer_stop(s);
}

uint64_t steer_next_tick(const struct steer *s)
{
    return s->nkeys && s->key[0].tick < s->run_to ? s->key[0].tick : s->run_to;
}

bool steer_press(struct steer *s, const uint16_t *code, unsigned n, uint64_t hold_ms)
{
    const unsigned shift = s->o->shift;
    const uint64_t now = machine_tick(s->machine), last = s->nkeys ? s->key[s->nkeys - 1].tick : 0;
    const uint64_t down = last ? last + ticks_ceil(GAP_MS * NS_PER_MS, shift) : now;
    const uint64_t up = down + ticks_ceil(hold_ms * NS_PER_MS, shift);
    if (n > STEER_KEYS_MAX || s->nkeys + 2 * n > STEER_AGENDA_MAX)
        return false;
    for (unsigned i = 0; i < n; i++)
        s->key[s->nkeys++] = (struct steer_key){down, {.code = code[i], .down = true}};
    for (unsigned i = n; i-- > 0;)
        s->key[s->nkeys++] = (struct steer_key){up, {.code = code[i], .down = false}};
    press_due(s);
    return true;
}

/* --- stop and go --- */

void steer_stop(struct steer *s)
{
    if (!s->paused) {
        s->paused = true;
        tell(s, "STOP", NULL);
    }
    end_run_to(s);
}

bool steer_cont(struct steer *s)
{
    if (s->shutdown)
        return false;
    if (steer_io_waits(s))
        machine_io_retry(s->machine);
    if (s->paused) {
        s->paused = false;
        tell(s, "RESUME", NULL);
    }
    return true;
}

void steer_shutdown(struct steer *s)
{
    steer_ends(s, MACHINE_STOP_POWEROFF);
    s->shutdown = true;
    steer_stop(s);
}

void steer_quit(struct steer *s, const char *reason)
{
    s->quit = reason;
}

bool steer_button(struct steer *s, enum port_button button)
{
    if (s->shutdown || !machine_button(s->machine, button))
        return false;
    s->reset_asked |= button == PORT_BUTTON_RESET;
    if (button == PORT_BUTTON_POWER)
        tell(s, "POWERDOWN", NULL);
    return true;
}

void steer_was_loaded(struct steer *s)
{
    s->nkeys = 0;
    s->shutdown = false;
    s->reset_asked = false;
    end_run_to(s);
}

bool steer_io_waits(const struct steer *s)
{
    return machine_io_waits(s->machine);
}

void steer_was_reset(struct steer *s)
{
    tell(s, "RESET",
         s->reset_asked ? "{\"guest\": false, \"reason\": \"host-qmp-system-reset\"}"
                        : "{\"guest\": true, \"reason\": \"guest-reset\"}");
    s->reset_asked = false;
}

void steer_ends(struct steer *s, enum machine_stop why)
{
    const bool host = s->quit || why == MACHINE_STOP_TICK;
    if (why == MACHINE_STOP_QUIT)
        tell(s, "SHUTDOWN", "{\"guest\": false, \"reason\": \"host-signal\"}");
    else if (host || why == MACHINE_STOP_CONSOLE)
        tell(s, "SHUTDOWN", "{\"guest\": false, \"reason\": \"host-qmp-quit\"}");
    else if (why == MACHINE_STOP_RESET || why == MACHINE_STOP_TRIPLE_FAULT)
        tell(s, "SHUTDOWN", "{\"guest\": true, \"reason\": \"guest-reset\"}");
    else if (!s->shutdown)
        tell(s, "SHUTDOWN", "{\"guest\": true, \"reason\": \"guest-shutdown\"}");
}

bool steer_run_to(struct steer *s, uint64_t tick, void (*ran)(void *ctx), void *ctx)
{
    if (tick < machine_tick(s->machine) || !steer_cont(s))
        return false;
    end_run_to(s);
    s->run_to = tick;
    s->ran = ran;
    s->ran_ctx = ctx;
    return true;
}

enum machine_stop steer_stand(struct steer *s)
{
    for (;;) {
        do_due(s);
        media_tell_moved(s);
        if (s->control)
            control_execute(s->control);
        if (s->quit || !s->paused)
            return MACHINE_STOP_TICK;
        const enum machine_stop stop = machine_wait(s->machine, WAIT_NS);
        if (stop == MACHINE_STOP_QUIT || stop == MACHINE_STOP_CONSOLE)
            return stop;
    }
}

void steer_end(struct steer *s)
{
    const uint64_t end_ns = clock_realtime_ns() + FAREWELL_NS;
    while (s->control && !s->quit && clock_realtime_ns() < end_ns && !control_is_idle(s->control)) {
        control_execute(s->control);
        usleep(1000);
    }
}
