/* profile.c - see profile.h. */
#include "observe/profile.h"

#include "clockcore/ticks.h"
#include "machine/machine.h"
#include "observe/account.h"
#include "observe/shadow.h"
#include "syncq/access.h"

#include <stdlib.h>

struct profiler {
    struct observe *hub;
    struct profiler_config cfg;
    struct profile_writer *writer; /* NULL: finished */
    struct sample sample;          /* the last one; it goes to the file when its tick has begun for sure */
    bool waits;                    /* there is one */
    bool within;                   /* it is to be written */
    unsigned cell;                 /* of the account, for the sample that waits */
    struct stack_memory memory;
    /* --- stacks=exact --- */
    struct shadow *shadow;
    struct machine *machine;
    struct sample framed;                   /* the sample that waits, its stack by frame pointers */
    struct profiler_agreement kernel, user; /* of samples in code of the kernel and of users */
};

static bool is_within(const struct profiler *p)
{
    return !p->cfg.within || p->cfg.within(p->cfg.within_ctx);
}

/* --- one sample --- */

#define INSN_BYTES_MAX 15u /* SDM 2A 2.3.11: a longer one is a fault */

/* The instruction's bytes, and whether the tick is an iteration of a REP: SDM 2B REP, "prefixes". */
static bool is_iteration(const struct guest_state *g, const uint8_t *code, size_t bytes)
{
    bool rep = false, address32 = g->seg[SEG_CS].access & SEG_ACC_DB;
    for (size_t i = 0; i < bytes && i < INSN_BYTES_MAX; i++)
        switch (code[i]) {
        case 0xf2:
        case 0xf3:
            rep = true;
            break;
        case 0x67:
            address32 = !address32;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0x66:
            break;
        case 0x6c ... 0x6f: /* INS, OUTS */
        case 0xa4 ... 0xa7: /* MOVS, CMPS */
        case 0xaa ... 0xaf: /* STOS, LODS, SCAS */
            return rep && (address32 ? g->slot[IR_ECX] : (uint16_t)g->slot[IR_ECX]) != 0;
        default:
            return false;
        }
    return false;
}

static size_t peek(const void *ctx, uint32_t cr3, uint32_t lin_addr, void *to, size_t bytes)
{
    return observe_peek(ctx, cr3, lin_addr, to, bytes);
}

static void take_stack(struct profiler *p, const struct guest_state *g, const uint8_t *code, size_t bytes)
{
    const struct context *c = observe_context(p->hub);
    struct sample *s = &p->sample;
    if (p->shadow) {
        p->framed = *s;
        stack_follow(&p->memory, c, g, code, bytes, &p->framed);
        shadow_follow(p->shadow, g, s->tick, s);
    } else if (p->cfg.stacks == PROFILE_STACKS_ON) {
        stack_follow(&p->memory, c, g, code, bytes, s);
    }
}

static void take(struct profiler *p, const struct guest_state *g, uint64_t tick)
{
    const uint32_t at = g->seg[SEG_CS].base + g->eip;
    struct sample *s = &p->sample;
    uint8_t code[STACK_CODE_BYTES];
    /* The guest's code is in no cache of the host: not looked at without need. */
    const bool looks = !observe_is_inside(p->hub) || p->cfg.stacks != PROFILE_STACKS_OFF;
    const size_t bytes = looks ? observe_peek_code(p->hub, code, sizeof code) : 0;
    s->tick = tick;
    s->flags = is_iteration(g, code, bytes) ? SAMPLE_REP : 0;
    s->cpl = g->cpl;
    s->cs = g->seg[SEG_CS].sel;
    s->cs_base = g->seg[SEG_CS].base;
    s->cr3 = g->cr3;
    s->entry = context_entry(observe_context(p->hub), g);
    s->task = observe_task(p->hub, g);
    s->frames = 1;
    s->frame[0] = (struct sample_frame){at, FRAME_INSN | (g->cpl == 3 ? FRAME_USER : 0)};
    take_stack(p, g, code, bytes);
    observe_sampled(p->hub, s);
    p->cell = p->cfg.account ? account_cell(p->cfg.account) : 0;
    p->waits = true;
    p->within = is_within(p);
}

/* --- frame pointers against exact stacks --- */

/* In the kernel, down to where it was entered from: what user code keeps in EBP is another matter. */
static bool agree(const struct sample *a, const struct sample *b)
{
    for (unsigned i = 0; i < a->frames && i < b->frames; i++) {
        if (a->frame[i].lin_addr != b->frame[i].lin_addr)
            return false;
        if (a->cpl < 3 && (a->frame[i].flags & FRAME_USER))
            return true;
    }
    return a->frames == b->frames;
}

static void compare(struct profiler *p)
{
    struct profiler_agreement *a = p->sample.cpl == 3 ? &p->user : &p->kernel;
    a->stacks++;
    a->agree += agree(&p->sample, &p->framed);
}

void profiler_agreement(const struct profiler *p, struct profiler_agreement *kernel,
                        struct profiler_agreement *user)
{
    *kernel = p->kernel;
    *user = p->user;
}

static void flush(struct profiler *p)
{
    if (!p->waits)
        return;
    p->waits = false;
    if (!p->within)
        return;
    if (p->shadow)
        compare(p);
    profile_put_sample(p->writer, &p->sample);
    if (p->cfg.account)
        account_sampled(p->cfg.account, p->cell, p->sample.flags & SAMPLE_IDLE);
}

/* --- as a watcher --- */

static uint64_t next_tick(const struct profiler *p, uint64_t tick)
{
    const uint64_t every = p->cfg.every, phase = p->cfg.phase;
    const uint64_t next = tick < phase ? phase : tick + every - (tick - phase) % every;
    return next > tick ? next : TICK_NEVER; /* past the last tick that there is */
}

static uint64_t on_sample(void *ctx, const struct guest_state *g, uint64_t tick)
{
    struct profiler *p = ctx;
    flush(p);
    if (tick >= p->cfg.phase && (tick - p->cfg.phase) % p->cfg.every == 0)
        take(p, g, tick);
    return next_tick(p, tick);
}

static void on_event(void *ctx, const struct guest_state *g, const struct vcpu_event *e)
{
    struct profiler *p = ctx;
    if (p->shadow)
        shadow_event(p->shadow, g, e);
    if (!p->waits || e->tick != p->sample.tick)
        return;
    if (e->kind == VCPU_EVENT_IDLE)
        p->sample.flags |= SAMPLE_IDLE;
    else
        take(p, g, e->tick);
}

/* A mark at the tick of the sample that waits: its tick lies behind the mark. */
static void on_mark(void *ctx, const struct guest_state *g, uint64_t tick, uint32_t lin_addr)
{
    struct profiler *p = ctx;
    if (p->waits && tick == p->sample.tick)
        p->within = is_within(p);
}

static void on_access(void *ctx, const struct guest_state *g, const struct access *a)
{
    on_mark(ctx, g, a->tick, 0);
}

static bool on_instruction(void *ctx)
{
    struct profiler *p = ctx;
    shadow_step(p->shadow, machine_guest(p->machine), machine_tick(p->machine));
    return false;
}

void profiler_until(struct profiler *p, struct vcpu_until *until)
{
    if (!p->shadow)
        return;
    until->condition = on_instruction;
    until->ctx = p;
}

/* --- life --- */

static bool init(struct profiler *p, struct err *e)
{
    struct vcpu_observer watcher = {.ctx = p,
                                    .sample_first = p->cfg.phase,
                                    .sample = on_sample,
                                    .sample_in_block = true,
                                    .event = on_event};
    if (p->cfg.within) {
        watcher.mark = on_mark;
        watcher.access = on_access;
    }
    p->memory = (struct stack_memory){p->hub, peek};
    p->writer = profile_create(p->cfg.file, e);
    if (!p->writer)
        return false;
    if (p->cfg.stacks == PROFILE_STACKS_EXACT && !(p->shadow = shadow_create(&p->memory)))
        return err_set(e, "-profile: no host memory for exact stacks");
    return observe_add(p->hub, &watcher) || err_set(e, "-profile: too many observers");
}

struct profiler *profiler_create(struct observe *o, const struct profiler_config *c, struct err *e)
{
    struct profiler *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(e, "no host memory for the profiler");
        return NULL;
    }
    p->hub = o;
    p->cfg = *c;
    if (init(p, e))
        return p;
    profiler_destroy(p);
    return NULL;
}

void profiler_begin(struct profiler *p, struct machine *m)
{
    const struct profiler_config *c = &p->cfg;
    const struct profile_head head = {c->every, c->phase, c->shift, c->stacks, machine_tick(m)};
    p->machine = m;
    profile_put_head(p->writer, &head);
}

struct profile_writer *profiler_writer(struct profiler *p)
{
    return p->writer;
}

/* A sample at the last tick would be of a tick that never came. */
bool profiler_end(struct profiler *p, uint64_t tick, struct err *e)
{
    if (p->sample.tick < tick)
        flush(p);
    struct profile_writer *w = p->writer;
    p->writer = NULL;
    return profile_finish(w, tick, e);
}

void profiler_destroy(struct profiler *p)
{
    if (!p)
        return;
    profile_abandon(p->writer);
    shadow_destroy(p->shadow);
    free(p);
}
