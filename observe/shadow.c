/* shadow.c - see shadow.h. */
#include "observe/shadow.h"

#include <stdlib.h>
#include <string.h>

#define NONE       (-1)
#define OUTER_MAX  16                  /* stacks one above the other */
#define USER_SPACE (UINT64_C(1) << 32) /* stacks of user code, with CR3; the kernel's are one space, 0 */
#define SPAN_BELOW (16u * SHADOW_FAR)  /* ESP of user code may be so far below the last slot of its stack */
#define NEVER_DEAD UINT32_MAX

struct slot {
    uint32_t at; /* ESP that has it on top */
    uint32_t lin_addr;
    uint8_t flags; /* enum frame_flag */
};

struct stack {
    uint64_t space;
    uint64_t ran; /* when it was last made the current one */
    uint32_t left_esp;
    int outer;          /* the stack above; NONE */
    uint64_t outer_ran; /* its `ran` then: if it has run since, it is above no more */
    unsigned count;
    struct slot slot[SHADOW_SLOTS_MAX]; /* outermost first */
};

struct shadow {
    const struct stack_memory *m;
    uint64_t clock; /* of `ran` */
    int current;    /* NONE: not begun */
    unsigned stacks;
    uint32_t esp;       /* at the last step or event */
    unsigned call;      /* bytes that the instruction there pushes as a CALL; 0: it is none */
    uint64_t call_tick; /* of that instruction */
    struct stack stack[SHADOW_STACKS_MAX];
};

/* --- slots --- */

static void push(struct stack *k, uint32_t at, uint32_t lin_addr, unsigned flags)
{
    if (k->count == SHADOW_SLOTS_MAX)
        memmove(k->slot, k->slot + 1, --k->count * sizeof *k->slot);
    k->slot[k->count++] = (struct slot){at, lin_addr, (uint8_t)flags};
}

static void drop_dead(struct stack *k, uint32_t esp)
{
    while (k->count > 0 && k->slot[k->count - 1].at < esp)
        k->count--;
}

/* --- which stack --- */

static uint64_t space_of(const struct guest_state *g)
{
    return g->cpl == 3 ? USER_SPACE | g->cr3 : 0;
}

static bool spans(const struct stack *k, uint64_t space, uint32_t esp)
{
    if (k->space != space || k->count == 0)
        return false;
    const uint32_t low = k->slot[k->count - 1].at;
    const uint32_t below = space ? SPAN_BELOW : SHADOW_FAR; /* a kernel's stacks lie next to each other */
    return k->slot[0].at != NEVER_DEAD && esp <= k->slot[0].at && (esp >= low || low - esp < below);
}

static int stack_left_at(const struct shadow *s, uint64_t space, uint32_t esp)
{
    for (unsigned i = 0; i < s->stacks; i++)
        if ((int)i != s->current && s->stack[i].space == space && s->stack[i].left_esp == esp &&
            s->stack[i].count > 0)
            return (int)i;
    return NONE;
}

static bool outer_holds(const struct shadow *s, const struct stack *k)
{
    return k->outer != NONE && s->stack[k->outer].ran == k->outer_ran;
}

static int stack_above(const struct shadow *s, uint64_t space, uint32_t esp)
{
    int i = s->current;
    for (unsigned n = 0; n < OUTER_MAX; n++) {
        if (spans(&s->stack[i], space, esp))
            return i;
        if (!outer_holds(s, &s->stack[i]))
            break;
        i = s->stack[i].outer;
    }
    return NONE;
}

/* The one that has not run for longest makes room. */
static int stack_room(struct shadow *s)
{
    int oldest = 0;
    if (s->stacks < SHADOW_STACKS_MAX)
        return (int)s->stacks++;
    for (int i = 1; i < SHADOW_STACKS_MAX; i++)
        if (s->stack[i].ran < s->stack[oldest].ran)
            oldest = i;
    return oldest;
}

/* Has user code just entered the kernel here? */
static bool is_fresh(const struct stack *k)
{
    return k->space == 0 && k->count == 1 && k->slot[0].flags == (FRAME_INSN | FRAME_USER);
}

/* A kernel that copies the frame of its entry to a stack of the task takes the entry along; what was on that
 * stack is of an entry before. */
static void inherit(struct stack *k, const struct stack *from)
{
    if (k->space != 0 || !is_fresh(from))
        return;
    k->count = 0;
    push(k, NEVER_DEAD, from->slot[0].lin_addr, from->slot[0].flags);
}

static int stack_new(struct shadow *s, uint64_t space)
{
    const int was = s->current, i = stack_room(s);
    struct stack *k = &s->stack[i];
    k->space = space;
    k->count = 0;
    k->outer = NONE;
    if (was == NONE || was == i)
        return i;
    inherit(k, &s->stack[was]);
    if (k->count == 0) {
        k->outer = was;
        k->outer_ran = s->stack[was].ran;
    }
    return i;
}

static void go_to(struct shadow *s, int i)
{
    if (s->current != NONE)
        s->stack[s->current].left_esp = s->esp;
    s->current = i;
    s->stack[i].ran = ++s->clock;
}

static bool is_near(const struct shadow *s, uint64_t space, uint32_t esp)
{
    return s->current != NONE && s->stack[s->current].space == space &&
           esp - s->esp + SHADOW_FAR <= 2 * SHADOW_FAR;
}

static void find_stack(struct shadow *s, uint64_t space, uint32_t esp)
{
    if (is_near(s, space, esp))
        return;
    int i = s->current == NONE ? NONE : stack_left_at(s, space, esp);
    if (i == NONE && s->current != NONE)
        i = stack_above(s, space, esp);
    if (i == NONE)
        i = stack_new(s, space);
    else if (i != s->current)
        inherit(&s->stack[i], &s->stack[s->current]);
    if (i != s->current)
        go_to(s, i);
}

/* --- CALL --- */

static bool is_prefix(uint8_t byte)
{
    return (byte & 0xe7) == 0x26 || (byte >= 0x64 && byte <= 0x67) || byte == 0xf0 || byte == 0xf2 ||
           byte == 0xf3;
}

/* Bytes that the instruction pushes as a CALL of 32 bits; 0: it is none. SDM 2A CALL. */
static unsigned call_bytes(const uint8_t *code, size_t bytes)
{
    size_t i = 0;
    while (i + 1 < bytes && is_prefix(code[i]))
        if (code[i++] == 0x66)
            return 0;
    if (i + 1 >= bytes)
        return 0;
    const unsigned reg = code[i + 1] >> 3 & 7;
    if (code[i] == 0xe8 || (code[i] == 0xff && reg == 2))
        return 4;
    return code[i] == 0x9a || (code[i] == 0xff && reg == 3) ? 8 : 0;
}

/* A CALL that has retired has left its return address. */
static void note_call(struct shadow *s, const struct guest_state *g, uint64_t tick)
{
    uint32_t eip;
    const uint32_t at = s->esp - s->call;
    const bool retired = s->call && tick > s->call_tick;
    s->call = 0;
    if (!retired || s->m->peek(s->m->ctx, g->cr3, g->seg[SEG_SS].base + at, &eip, sizeof eip) != sizeof eip)
        return;
    struct stack *k = &s->stack[s->current];
    drop_dead(k, at + 1);
    push(k, at, g->seg[SEG_CS].base + eip, k->space ? FRAME_USER : 0);
    s->esp = at;
}

static void settle(struct shadow *s, const struct guest_state *g, uint64_t tick)
{
    const uint32_t esp = g->slot[IR_ESP];
    if (tick > s->call_tick)
        note_call(s, g, tick);
    find_stack(s, space_of(g), esp);
    drop_dead(&s->stack[s->current], esp);
    s->esp = esp;
}

void shadow_step(struct shadow *s, const struct guest_state *g, uint64_t tick)
{
    uint8_t code[STACK_CODE_BYTES];
    settle(s, g, tick);
    const size_t bytes = s->m->peek(s->m->ctx, g->cr3, g->seg[SEG_CS].base + g->eip, code, sizeof code);
    s->call = g->seg[SEG_CS].access & SEG_ACC_DB ? call_bytes(code, bytes) : 0;
    s->call_tick = tick;
}

/* --- entries --- */

/* SDM 3A table 6-1: these push an error code, which the handler takes away before its IRET. */
static unsigned error_bytes(const struct vcpu_event *e)
{
    const uint32_t vectors = 1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17;
    return e->kind == VCPU_EVENT_EXCEPTION && e->vector < 32 && (vectors >> e->vector & 1) ? 4 : 0;
}

/* From outer code: on a stack that begins here. */
static void begin_stack(struct shadow *s, const struct guest_state *g, uint32_t at)
{
    int i = NONE;
    for (unsigned k = 0; k < s->stacks && i == NONE; k++)
        if (s->stack[k].space == space_of(g) && s->stack[k].count > 0 && s->stack[k].slot[0].at == at)
            i = (int)k;
    const int was = s->current;
    if (i == NONE)
        i = stack_new(s, space_of(g));
    go_to(s, i);
    s->stack[i].count = 0;
    s->stack[i].outer = was == i ? NONE : was;
    s->stack[i].outer_ran = was == NONE ? 0 : s->stack[was].ran;
}

void shadow_event(struct shadow *s, const struct guest_state *g, const struct vcpu_event *e)
{
    const uint32_t at = g->slot[IR_ESP] + error_bytes(e);
    if (e->kind > VCPU_EVENT_GATE)
        return;
    if (s->current == NONE)
        find_stack(s, space_of(g), at);
    else
        note_call(s, g, e->tick);
    if (e->from_cpl > g->cpl)
        begin_stack(s, g, at);
    else
        find_stack(s, space_of(g), at);
    drop_dead(&s->stack[s->current], at + 1);
    push(&s->stack[s->current], at, g->seg[SEG_CS].base + e->from_eip,
         FRAME_INSN | (e->from_cpl == 3 ? FRAME_USER : 0));
    s->esp = g->slot[IR_ESP];
}

/* --- life, and the answer --- */

struct shadow *shadow_create(const struct stack_memory *m)
{
    struct shadow *s = calloc(1, sizeof *s);
    if (s) {
        s->m = m;
        s->current = NONE;
    }
    return s;
}

void shadow_destroy(struct shadow *s)
{
    free(s);
}

/* False: there is no more room. */
static bool add_slots(const struct stack *k, struct sample *out)
{
    for (unsigned i = k->count; i-- > 0;) {
        if (out->frames == SAMPLE_FRAMES_MAX) {
            out->flags |= SAMPLE_FULL;
            return false;
        }
        out->frame[out->frames++] = (struct sample_frame){k->slot[i].lin_addr, k->slot[i].flags};
    }
    return true;
}

void shadow_follow(struct shadow *s, const struct guest_state *g, uint64_t tick, struct sample *out)
{
    settle(s, g, tick);
    const struct stack *k = &s->stack[s->current];
    out->flags |= SAMPLE_EXACT;
    for (unsigned n = 0; n < OUTER_MAX && add_slots(k, out); n++) {
        if (!outer_holds(s, k)) {
            out->flags |= SAMPLE_WHOLE;
            return;
        }
        k = &s->stack[k->outer];
    }
}
