/* monitor_info.c - what `info` shows of the run and of the chips; maps are in monitor_maps.c. */
#include "cli/monitor_internal.h"
#include "cli/stats.h"

#include "clockcore/clock.h"
#include "clockcore/ticks.h"

#include <inttypes.h>
#include <string.h>

/* --- the CPU --- */

/* x87 and SSE: registers as their bytes are, the highest first. */
static void print_bytes(FILE *out, const uint8_t *bytes, unsigned n)
{
    while (n-- > 0)
        fprintf(out, "%02x", bytes[n]);
}

void info_registers(struct monitor_call *call)
{
    const struct guest_state *g = machine_guest(call->steer->machine);
    machine_print_registers(call->steer->machine, call->out);
    fprintf(call->out, "FCW=%04x FSW=%04x [ST=%u] FEMPTY=%02x MXCSR=%08x\n", g->x87.cw, g->x87.sw,
            g->x87.sw >> 11 & 7, g->x87.empty, g->sse.mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        fprintf(call->out, "FPR%u=", i);
        print_bytes(call->out, g->x87.r[i], 10);
        fputc(i % 2 ? '\n' : ' ', call->out);
    }
    for (unsigned i = 0; i < 8; i++) {
        fprintf(call->out, "XMM%u=", i);
        print_bytes(call->out, g->sse.xmm[i], 16);
        fputc(i % 2 ? '\n' : ' ', call->out);
    }
}

void info_hot(struct monitor_call *call)
{
    if (call->steer->o->hot_list)
        machine_list_hot(call->steer->machine, call->out, NULL);
    else
        fputs("nothing is counted; -d hot=N is needed\n", call->out);
}

/* --- time --- */

void info_clock(struct monitor_call *call)
{
    struct machine_stats s;
    machine_get_stats(call->steer->machine, &s);
    fprintf(call->out,
            "tick: %" PRIu64 "\ninstructions: %" PRIu64 "\nidle ticks: %" PRIu64 "\nvirtual time: %" PRIu64
            " ns\none tick: %u ns (shift %u)\n",
            s.tick, s.vcpu.icount, s.vcpu.idle_ticks, s.virtual_ns, 1u << call->steer->o->shift,
            call->steer->o->shift);
}

/* --- parts of the state by their field tables --- */

static uint64_t element(const struct state_part *p, const struct field *f, uint32_t at)
{
    uint64_t value = 0;
    memcpy(&value, (const uint8_t *)p->state + f->offset + (size_t)at * f->stride_bytes, f->elem_bytes);
    return value;
}

/* Of arrays, what is not 0; short ones whole, in a line. */
static void print_field(FILE *out, const struct state_part *p, const struct field *f)
{
    const bool line = f->count <= 32;
    if (line)
        fprintf(out, "%s.%s:", p->name, f->name);
    for (uint32_t i = 0; i < f->count; i++) {
        const uint64_t v = element(p, f, i);
        if (line)
            fprintf(out, " %#" PRIx64, v);
        else if (v)
            fprintf(out, "%s.%s[%" PRIu32 "]: %#" PRIx64 "\n", p->name, f->name, i, v);
    }
    if (line)
        fputc('\n', out);
}

static void print_part(FILE *out, const struct state_part *p)
{
    for (size_t i = 0; i < p->nfields; i++)
        print_field(out, p, &p->fields[i]);
}

/* All parts whose name is `name`, or begins with it where it ends in *. False: there is none. */
static bool print_parts(struct monitor_call *call, const char *name)
{
    static const enum state_group groups[] = {STATE_CPU, STATE_DEVICES, STATE_OTHER, STATE_MAP};
    const size_t n = strcspn(name, "*");
    struct state_part p;
    bool found = false;
    for (unsigned g = 0; g < 4; g++)
        for (unsigned i = 0; machine_state_part(call->steer->machine, groups[g], i, &p); i++)
            if (name[n] ? strncmp(p.name, name, n) == 0 : strcmp(p.name, name) == 0) {
                print_part(call->out, &p);
                found = true;
            }
    return found;
}

bool info_named(struct monitor_call *call, const char *name)
{
    return print_parts(call, name);
}

/* The tick at which each device does something by itself next. */
static void print_next_events(struct monitor_call *call)
{
    const struct board *b = machine_wiring(call->steer->machine);
    struct state_part p;
    for (unsigned i = 0; machine_state_part(call->steer->machine, STATE_DEVICES, i, &p); i++)
        for (size_t f = 0; f < p.nfields && strcmp(p.name, "board") == 0; f++)
            for (uint32_t d = 0; d < b->ndevices && strcmp(p.fields[f].name, "next_tick") == 0; d++)
                if (element(&p, &p.fields[f], d) != TICK_NEVER)
                    fprintf(call->out, "%s: next event at tick %" PRIu64 "\n", b->device[d].name,
                            element(&p, &p.fields[f], d));
}

void info_horizon(struct monitor_call *call)
{
    fprintf(call->out, "mode: %s\ntick: %" PRIu64 "\nthe vCPU looks at the world next at tick: %" PRIu64 "\n",
            link_mode_name(call->steer->o->mode), machine_tick(call->steer->machine),
            machine_limit(call->steer->machine));
    print_parts(call, "link");
    print_next_events(call);
}

void info_irq(struct monitor_call *call)
{
    print_parts(call, "pic");
    print_parts(call, "ioapic");
    print_parts(call, "apic*");
}

/* One device: every chip. All: which there are. */
void info_devices(struct monitor_call *call)
{
    const struct board *b = machine_wiring(call->steer->machine);
    struct state_part p;
    for (unsigned i = 0; i < b->ndevices; i++)
        if (b->device[i].present)
            fprintf(call->out, "%s: device %u, latency %" PRIu32 " ns%s\n", b->device[i].name, i,
                    b->device[i].latency_ns, b->device[i].local ? ", on the CPU's side" : "");
    fprintf(call->out, "parts of the state (info NAME shows one):");
    for (unsigned i = 0; machine_state_part(call->steer->machine, STATE_DEVICES, i, &p); i++)
        fprintf(call->out, " %s", p.name);
    fputc('\n', call->out);
}

/* --- back ends --- */

void info_chardev(struct monitor_call *call)
{
    const struct options *o = call->steer->o;
    if (o->nographic && !o->nserial && !o->nodefaults)
        fprintf(call->out, "serial0: mon:stdio\n");
    for (unsigned i = 0; i < o->nserial; i++)
        fprintf(call->out, "serial%u: %s\n", i, o->serial[i]);
    if (o->debugcon)
        fprintf(call->out, "debugcon: %s\n", o->debugcon);
    for (unsigned i = 0; i < o->ncontrols; i++)
        fprintf(call->out, "%s%u: %s\n", o->control[i].qmp ? "qmp" : "monitor", i, o->control[i].spec);
}

/* --- the run --- */

void info_stats(struct monitor_call *call)
{
    struct options o = *call->steer->o; /* as text, whatever -stats says */
    struct run_stats s = {.reason = "so far", .wall_ns = clock_realtime_ns() - call->steer->begin_ns};
    o.stats_json = false;
    machine_get_stats(call->steer->machine, &s.machine);
    machine_state_hex(call->steer->machine, s.machine.state_hex);
    stats_print(call->out, &o, &s);
}

void info_replay(struct monitor_call *call)
{
    static const char *const modes[] = {"no recording", "record", "replay"};
    const struct options *o = call->steer->o;
    fprintf(call->out, "%s%s%s, tick %" PRIu64 "\n", modes[o->rr], o->rrfile ? ": " : "",
            o->rrfile ? o->rrfile : "", machine_tick(call->steer->machine));
    if (o->rr != RR_OFF)
        print_parts(call, "input-log");
}

void info_version(struct monitor_call *call)
{
    fprintf(call->out, "Tandem %s\n%s\n", TANDEM_VERSION, machine_identity(call->steer->machine));
}

void info_name(struct monitor_call *call)
{
    fprintf(call->out, "%s\n", call->steer->o->name ? call->steer->o->name : "tandem");
}
