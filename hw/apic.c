/* apic.c - local APIC (SDM 3A chapter 10: section numbers below are its), xAPIC, version 14H.
 *
 * Model: IRR, ISR and TMR are sets of vectors; priorities are functions of them, never stored. A message
 * (apic_send) is accepted or not, at once: delivery status is always idle, and lowest priority goes to the
 * least APR, of equals to the lowest number.
 * Timer: counts at 1 GHz, divided by 1 to 128. That is the core crystal clock which CPUID 15H tells, and
 * where that leaf tells it, it is the timer's clock (10.5.4); so software that reads it need not measure, and
 * one that measures finds it. The count is a function of virtual time and of one instant, when it reaches
 * zero: no event while it is masked. In periodic mode it is reloaded at zero, so that the period is the
 * initial count and zero is never read. Whatever expires within one tick is one interrupt.
 * A new divisor keeps the count and begins a new division.
 *
 * Registers are 32 bits wide at multiples of 16; of other accesses (undefined, 10.4.1) reads within the 32
 * bits give the bytes there, the rest is 0, and writes do nothing.
 *
 * NOT MODELLED: SMI (accepted, nothing follows), TSC deadline, x2APIC, remote read, thermal and performance
 * interrupts (their LVT entries hold what is written), focus processor, a page above 4 GiB or over RAM. */
#include "hw/apic.h"

#include "clockcore/ticks.h"
#include "hw/board.h"

#define LVT_MASKED     0x10000u
#define LVT_PERIODIC   0x20000u
#define LVT_LEVEL      0x8000u
#define LVT_REMOTE_IRR 0x4000u
#define LVT_LOW        0x2000u
#define SVR_ENABLE     0x100u
#define SVR_WRITABLE   0x3FFu
#define DFR_FLAT       0xFu /* in bits 31..28; 0: cluster */
#define ICR_WRITABLE   0x000CCFFFu
#define ICR_LEVEL      0x8000u
#define ICR_ASSERT     0x4000u
#define ICR_LOGICAL    0x800u
#define DCR_WRITABLE   0xBu
#define FIRST_VECTOR   16u                   /* those below are illegal: 10.5.3 */
#define BASE_MAX       UINT64_C(0xFFFFFFFFF) /* 36 bits of physical address */

enum { TIMER, THERMAL, PERFORMANCE, LINT0, LINT1, ERROR };
enum { ESR_SEND_ILLEGAL = 0x20, ESR_RECEIVE_ILLEGAL = 0x40, ESR_REGISTER = 0x80 };

enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0A,
    REG_EOI = 0x0B,
    REG_RRD = 0x0C,
    REG_LDR = 0x0D,
    REG_DFR = 0x0E,
    REG_SVR = 0x0F,
    REG_ISR = 0x10, /* eight each */
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR_LOW = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT = 0x32, /* six */
    REG_INITIAL = 0x38,
    REG_CURRENT = 0x39,
    REG_DIVIDE = 0x3E,
};

static const uint32_t lvt_writable[APIC_LVTS] = {
    [TIMER] = 0x300FF, [THERMAL] = 0x107FF, [PERFORMANCE] = 0x107FF,
    [LINT0] = 0x1A7FF, [LINT1] = 0x1A7FF,   [ERROR] = 0x100FF,
};

/* --- sets of vectors --- */

static void set_add(uint32_t set[8], uint8_t vector)
{
    set[vector / 32] |= 1u << vector % 32;
}

static void set_remove(uint32_t set[8], uint8_t vector)
{
    set[vector / 32] &= ~(1u << vector % 32);
}

static bool set_has(const uint32_t set[8], uint8_t vector)
{
    return set[vector / 32] >> vector % 32 & 1;
}

/* The highest vector in the set; 0: it is empty (vectors below 16 are never in one). */
static uint8_t set_highest(const uint32_t set[8])
{
    for (unsigned i = 8; i-- > 0;)
        if (set[i])
            return (uint8_t)(32 * i + 31 - (unsigned)__builtin_clz(set[i]));
    return 0;
}

/* --- priorities: 10.8.3 --- */

static unsigned class_of(unsigned vector)
{
    return vector >> 4;
}

static uint32_t ppr(const struct apic *s)
{
    unsigned in_service = set_highest(s->isr);

    return class_of(s->tpr) >= class_of(in_service) ? s->tpr : in_service & 0xF0u;
}

/* 10.6.2.4; the larger of all three, where the manual's formula has an "and" between two of them. */
static uint32_t apr(const struct apic *s)
{
    unsigned in_service = class_of(set_highest(s->isr)), requested = class_of(set_highest(s->irr));
    unsigned task = class_of(s->tpr);

    if (task >= requested && task > in_service)
        return s->tpr;
    unsigned most = requested > in_service ? requested : in_service;
    return (most > task ? most : task) << 4;
}

static bool is_on(const struct apic *s)
{
    return s->base & APIC_BASE_ENABLE;
}

static bool is_enabled(const struct apic *s)
{
    return is_on(s) && (s->svr & SVR_ENABLE);
}

/* --- accepting --- */

/* 10.4.7.2: while it is disabled by software, nothing is accepted; what was accepted stays. */
static bool accept(struct apic *s, uint8_t vector, bool level);

static void log_error(struct apic *s, uint32_t bits)
{
    uint32_t lvt = s->lvt[ERROR];

    s->errors |= bits;
    if (!(lvt & LVT_MASKED) && (lvt & 0xFF) >= FIRST_VECTOR)
        accept(s, (uint8_t)lvt, false);
}

static bool accept(struct apic *s, uint8_t vector, bool level)
{
    if (!is_enabled(s))
        return false;
    if (vector < FIRST_VECTOR) {
        log_error(s, ESR_RECEIVE_ILLEGAL);
        return true;
    }
    set_add(s->irr, vector);
    if (level)
        set_add(s->tmr, vector);
    else
        set_remove(s->tmr, vector);
    return true;
}

bool apic_intr(const struct apic *s)
{
    unsigned requested = class_of(set_highest(s->irr));

    return requested && requested > class_of(ppr(s));
}

uint8_t apic_acknowledge(struct apic *s)
{
    uint8_t vector = set_highest(s->irr);

    if (!apic_intr(s))
        return (uint8_t)s->svr; /* 10.9 */
    set_remove(s->irr, vector);
    set_add(s->isr, vector);
    return vector;
}

uint32_t apic_take_pins(struct apic *s)
{
    uint32_t pins = s->pins;

    s->pins = 0;
    return pins;
}

/* --- reset --- */

static void registers_reset(struct apic *s)
{
    for (unsigned i = 0; i < 8; i++)
        s->isr[i] = s->tmr[i] = s->irr[i] = 0;
    for (unsigned i = 0; i < APIC_LVTS; i++)
        s->lvt[i] = LVT_MASKED;
    s->icr[0] = s->icr[1] = 0;
    s->ldr = s->tpr = s->esr = s->errors = s->initial = s->divide = 0;
    s->dfr = UINT32_MAX;
    s->svr = 0xFF;
    s->zero_ns = NS_NEVER;
    s->sends = s->eoi = s->eoi_vector = 0;
}

/* Power-up; CPU 0 is the bootstrap processor. */
static void power_up(struct apic *s, uint8_t number)
{
    *s = (struct apic){.number = number, .id = (uint32_t)number << 24};
    registers_reset(s);
    s->base = APIC_PAGE | APIC_BASE_ENABLE | (number == 0 ? APIC_BASE_BSP : 0);
    s->waits = number != 0;
}

/* MP specification 1.4, 3.6.2.2: enabled, the 8259's INTR comes through LINT0, NMI through LINT1. */
static void virtual_wire(struct apic *s)
{
    s->svr = SVR_ENABLE | 0xFF;
    s->lvt[LINT0] = LVT_LEVEL | APIC_EXTINT << 8;
    s->lvt[LINT1] = APIC_NMI << 8;
}

/* 10.4.7.3: as at power-up, but ID and base stay. */
static void init(struct apic *s)
{
    registers_reset(s);
    s->waits = !(s->base & APIC_BASE_BSP);
    s->pins = (s->pins & APIC_PIN_NMI) | APIC_PIN_INIT | (s->waits ? APIC_PIN_WAIT : 0);
}

bool apic_set_base(struct apic *s, uint64_t value)
{
    const uint64_t settable = APIC_BASE_ENABLE | (BASE_MAX & ~UINT64_C(0xFFF));

    if (value & ~(settable | APIC_BASE_BSP))
        return false;
    /* 10.4.3: once it is on again it is as after power-up. */
    if (!(value & APIC_BASE_ENABLE) && is_on(s))
        registers_reset(s);
    s->base = (value & settable) | (s->base & APIC_BASE_BSP);
    return true;
}

uint32_t apic_page(const struct apic *s)
{
    uint64_t page = s->base & ~UINT64_C(0xFFF);

    return is_on(s) && page <= UINT32_MAX ? (uint32_t)page | BOARD_WINDOW_ON : 0;
}

/* --- LINT0, LINT1: 10.5.1 --- */

static bool lint_active(uint32_t lvt, uint8_t level)
{
    return level != ((lvt & LVT_LOW) != 0);
}

/* Level-triggered is LINT0 alone, in fixed mode. */
static bool lint_is_level(unsigned pin, uint32_t lvt)
{
    return pin == 0 && (lvt & LVT_LEVEL) && (lvt >> 8 & 7) == APIC_FIXED;
}

static bool deliver(struct apic *s, const struct apic_message *m);

bool apic_lint_message(const struct apic *s, unsigned pin, struct apic_message *m)
{
    uint32_t lvt = s->lvt[LINT0 + pin];

    *m =
        (struct apic_message){.vector = (uint8_t)lvt, .mode = lvt >> 8 & 7, .level = lint_is_level(pin, lvt)};
    if (!is_on(s)) /* 10.4.3: the pins are INTR and NMI, as on a processor without an APIC */
        *m = (struct apic_message){.mode = pin ? APIC_NMI : APIC_EXTINT};
    return !is_on(s) || !(lvt & (LVT_MASKED | (m->level ? LVT_REMOTE_IRR : 0)));
}

/* The pin may have become active. */
static void lint_look(struct apic *s, unsigned pin, bool was_active)
{
    uint32_t *lvt = &s->lvt[LINT0 + pin];
    bool active = is_on(s) ? lint_active(*lvt, s->lint[pin]) : s->lint[pin];
    struct apic_message m;

    if (!active || !apic_lint_message(s, pin, &m))
        return;
    if ((m.level || !was_active) && deliver(s, &m) && m.level)
        *lvt |= LVT_REMOTE_IRR;
}

void apic_set_lint(struct apic *s, unsigned pin, bool level)
{
    if (s->lint[pin] == level)
        return;
    bool was_active = is_on(s) ? lint_active(s->lvt[LINT0 + pin], s->lint[pin]) : s->lint[pin];
    s->lint[pin] = level;
    lint_look(s, pin, was_active);
}

bool apic_extint(const struct apic *s)
{
    if (!is_on(s))
        return s->lint[0];
    for (unsigned pin = 0; pin < 2; pin++) {
        uint32_t lvt = s->lvt[LINT0 + pin];
        if (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == APIC_EXTINT && lint_active(lvt, s->lint[pin]))
            return true;
    }
    return false;
}

/* --- messages: 10.6, 10.7 --- */

/* 10.6.2.2 */
static bool logical_match(const struct apic *s, uint8_t dest)
{
    uint8_t mine = (uint8_t)(s->ldr >> 24);

    if (s->dfr >> 28 == DFR_FLAT)
        return dest & mine;
    bool cluster = dest >> 4 == 0xF || dest >> 4 == mine >> 4;
    return cluster && (dest & mine & 0xF);
}

static bool is_target(const struct apic *s, bool sender, const struct apic_message *m)
{
    switch (m->shorthand) {
    case APIC_TO_SELF:
        return sender;
    case APIC_TO_ALL:
        return true;
    case APIC_TO_OTHERS:
        return !sender;
    default:
        break;
    }
    if (m->logical)
        return logical_match(s, m->dest);
    return m->dest == 0xFF || m->dest == s->id >> 24;
}

bool apic_is_addressed(const struct apic *s, const struct apic_message *m)
{
    return is_on(s) && is_target(s, false, m);
}

static bool deliver_sipi(struct apic *s, uint8_t vector)
{
    if (s->waits) /* 8.4.2: others ignore it */
        s->pins |= APIC_PIN_SIPI | (uint32_t)vector << 8;
    s->waits = 0;
    return true;
}

/* False: not accepted. */
static bool deliver(struct apic *s, const struct apic_message *m)
{
    switch (m->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        return accept(s, m->vector, m->level);
    case APIC_NMI:
        s->pins |= APIC_PIN_NMI;
        return true;
    case APIC_INIT:
        init(s);
        return true;
    case APIC_SIPI:
        return deliver_sipi(s, m->vector);
    default: /* SMI; ExtINT is a level (apic_extint) */
        return true;
    }
}

/* Lowest priority: which of those that would accept. */
static struct apic *arbitrate(struct apic *apics, unsigned n, unsigned from, const struct apic_message *m)
{
    struct apic *best = NULL;

    for (unsigned i = 0; i < n; i++)
        if (is_target(&apics[i], i == from, m) && is_enabled(&apics[i]) &&
            (!best || apr(&apics[i]) < apr(best)))
            best = &apics[i];
    return best;
}

bool apic_send(struct apic *apics, unsigned n, unsigned from, const struct apic_message *m)
{
    bool accepted = false;

    if (m->mode == APIC_LOWEST) {
        struct apic *to = arbitrate(apics, n, from, m);
        return to && deliver(to, m);
    }
    for (unsigned i = 0; i < n; i++)
        if (is_on(&apics[i]) && is_target(&apics[i], i == from, m))
            accepted |= deliver(&apics[i], m);
    return accepted;
}

/* Tables 10-3 and 10-4: what may not be sent is ignored. A level-triggered one is sent as an edge, and not at
 * all when it says "deassert" (INIT level de-assert is none of these processors' any more). */
static bool may_send(uint32_t icr)
{
    unsigned mode = icr >> 8 & 7, shorthand = icr >> 18 & 3;
    bool to_self = shorthand == APIC_TO_SELF || shorthand == APIC_TO_ALL;

    if ((icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
        return false;
    return mode != APIC_MODE3 && mode != APIC_EXTINT && (mode == APIC_FIXED || !to_self);
}

static void icr_write(struct apic *s, uint32_t value)
{
    unsigned mode = value >> 8 & 7;

    s->icr[0] = value & ICR_WRITABLE;
    if (!may_send(value))
        return;
    if ((mode == APIC_FIXED || mode == APIC_LOWEST) && (value & 0xFF) < FIRST_VECTOR)
        log_error(s, ESR_SEND_ILLEGAL);
    else
        s->sends = 1;
}

bool apic_take_ipi(struct apic *s, struct apic_message *m)
{
    uint32_t icr = s->icr[0];

    if (!s->sends)
        return false;
    s->sends = 0;
    *m = (struct apic_message){.vector = (uint8_t)icr,
                               .mode = icr >> 8 & 7,
                               .dest = (uint8_t)(s->icr[1] >> 24),
                               .shorthand = icr >> 18 & 3,
                               .logical = icr & ICR_LOGICAL};
    return true;
}

/* --- EOI: 10.8.5 --- */

static void lint_eoi(struct apic *s, uint8_t vector)
{
    uint32_t *lvt = &s->lvt[LINT0];

    if (!(*lvt & LVT_REMOTE_IRR) || (uint8_t)*lvt != vector)
        return;
    *lvt &= ~LVT_REMOTE_IRR;
    lint_look(s, 0, true);
}

static void eoi_write(struct apic *s)
{
    uint8_t vector = set_highest(s->isr);

    if (vector == 0)
        return;
    set_remove(s->isr, vector);
    if (!set_has(s->tmr, vector))
        return;
    s->eoi = 1;
    s->eoi_vector = vector;
    lint_eoi(s, vector);
}

int apic_take_eoi(struct apic *s)
{
    if (!s->eoi)
        return -1;
    s->eoi = 0;
    return s->eoi_vector;
}

/* --- the timer: 10.5.4 --- */

/* 10.5.4: 0 divides by 2, ... 6 by 128, 7 by 1. */
static unsigned timer_shift(const struct apic *s)
{
    return (((s->divide >> 1 & 4) | (s->divide & 3)) + 1) & 7;
}

static uint64_t timer_period_ns(const struct apic *s)
{
    return (uint64_t)s->initial << timer_shift(s);
}

static bool timer_is_periodic(const struct apic *s)
{
    return (s->lvt[TIMER] & LVT_PERIODIC) && s->initial;
}

/* When the count is zero next, seen from now_ns. */
static uint64_t timer_zero_after(const struct apic *s, uint64_t now_ns)
{
    if (s->zero_ns > now_ns)
        return s->zero_ns;
    if (!timer_is_periodic(s))
        return NS_NEVER;
    uint64_t period = timer_period_ns(s);
    return s->zero_ns + ((now_ns - s->zero_ns) / period + 1) * period;
}

static uint32_t timer_count(const struct apic *s, uint64_t now_ns)
{
    uint64_t zero = timer_zero_after(s, now_ns), unit = UINT64_C(1) << timer_shift(s);

    return zero == NS_NEVER ? 0 : (uint32_t)((zero - now_ns + unit - 1) >> timer_shift(s));
}

static void timer_start(struct apic *s, uint32_t count, uint64_t now_ns)
{
    s->zero_ns = count ? now_ns + ((uint64_t)count << timer_shift(s)) : NS_NEVER;
}

static uint64_t next_event(const void *state)
{
    const struct apic *s = state;

    return s->lvt[TIMER] & LVT_MASKED ? NS_NEVER : s->zero_ns;
}

static void advance(void *state, uint64_t now_ns)
{
    struct apic *s = state;

    if (next_event(s) > now_ns)
        return;
    s->zero_ns = timer_zero_after(s, now_ns);
    accept(s, (uint8_t)s->lvt[TIMER], false);
}

bool apic_timer_interrupts(const struct apic *s)
{
    struct apic_message m = {.vector = (uint8_t)s->lvt[TIMER]};

    return next_event(s) != NS_NEVER && apic_would_interrupt(s, &m);
}

/* --- what a halt waits for --- */

bool apic_would_interrupt(const struct apic *s, const struct apic_message *m)
{
    return (m->mode == APIC_FIXED || m->mode == APIC_LOWEST) && is_enabled(s) && m->vector >= FIRST_VECTOR &&
           class_of(m->vector) > class_of(ppr(s));
}

/* --- registers --- */

static void lvt_write(struct apic *s, unsigned n, uint32_t value, uint64_t now_ns)
{
    uint32_t *lvt = &s->lvt[n];
    bool is_lint = n == LINT0 || n == LINT1;
    bool was_active = is_lint && lint_active(*lvt, s->lint[n - LINT0]);

    if (n == TIMER) /* what expired unseen is over */
        s->zero_ns = timer_zero_after(s, now_ns);
    *lvt = (value & lvt_writable[n]) | (*lvt & LVT_REMOTE_IRR);
    if (!(s->svr & SVR_ENABLE))
        *lvt |= LVT_MASKED;
    if (is_lint && !lint_is_level(n - LINT0, *lvt))
        *lvt &= ~LVT_REMOTE_IRR;
    if (is_lint)
        lint_look(s, n - LINT0, was_active);
}

/* 10.4.7.2: masks are set for as long as it is disabled. */
static void svr_write(struct apic *s, uint32_t value, uint64_t now_ns)
{
    s->svr = value & SVR_WRITABLE;
    for (unsigned n = 0; n < APIC_LVTS && !(s->svr & SVR_ENABLE); n++)
        lvt_write(s, n, s->lvt[n], now_ns);
}

static void divide_write(struct apic *s, uint32_t value, uint64_t now_ns)
{
    uint32_t count = timer_count(s, now_ns);

    s->divide = value & DCR_WRITABLE;
    timer_start(s, count, now_ns);
}

static bool is_register(unsigned reg)
{
    return reg == REG_ID || reg == REG_VERSION || (reg >= REG_TPR && reg <= REG_ESR) ||
           (reg >= REG_ICR_LOW && reg <= REG_CURRENT) || reg == REG_DIVIDE;
}

/* Those of the timer. */
static bool timer_write(struct apic *s, unsigned reg, uint32_t value, uint64_t now_ns)
{
    switch (reg) {
    case REG_INITIAL:
        s->initial = value;
        timer_start(s, value, now_ns);
        return true;
    case REG_DIVIDE:
        divide_write(s, value, now_ns);
        return true;
    default:
        return false;
    }
}

static void reg_write(struct apic *s, unsigned reg, uint32_t value, uint64_t now_ns)
{
    switch (reg) {
    case REG_ID:
        s->id = value & 0xFF000000u;
        break;
    case REG_TPR:
        s->tpr = value & 0xFF;
        break;
    case REG_EOI:
        eoi_write(s);
        break;
    case REG_LDR:
        s->ldr = value & 0xFF000000u;
        break;
    case REG_DFR:
        s->dfr = value | 0x0FFFFFFFu;
        break;
    case REG_SVR:
        svr_write(s, value, now_ns);
        break;
    case REG_ESR: /* 10.5.3: latches what has come since the last time */
        s->esr = s->errors;
        s->errors = 0;
        break;
    case REG_ICR_LOW:
        icr_write(s, value);
        break;
    case REG_ICR_HIGH:
        s->icr[1] = value & 0xFF000000u;
        break;
    default:
        if (!timer_write(s, reg, value, now_ns) && reg >= REG_LVT && reg < REG_LVT + APIC_LVTS)
            lvt_write(s, reg - REG_LVT, value, now_ns);
        break;
    }
}

static uint32_t set_read(const struct apic *s, unsigned reg)
{
    if (reg < REG_TMR)
        return s->isr[reg - REG_ISR];
    return reg < REG_IRR ? s->tmr[reg - REG_TMR] : s->irr[reg - REG_IRR];
}

static uint32_t reg_read(const struct apic *s, unsigned reg, uint64_t now_ns)
{
    if (reg >= REG_ISR && reg < REG_ESR)
        return set_read(s, reg);
    if (reg >= REG_LVT && reg < REG_LVT + APIC_LVTS)
        return s->lvt[reg - REG_LVT];
    switch (reg) {
    case REG_ID:
        return s->id;
    case REG_VERSION:
        return (APIC_LVTS - 1) << 16 | APIC_VERSION;
    case REG_TPR:
        return s->tpr;
    case REG_APR:
        return apr(s);
    case REG_PPR:
        return ppr(s);
    case REG_LDR:
        return s->ldr;
    case REG_DFR:
        return s->dfr;
    case REG_SVR:
        return s->svr;
    case REG_ESR:
        return s->esr;
    case REG_ICR_LOW:
    case REG_ICR_HIGH:
        return s->icr[reg - REG_ICR_LOW];
    case REG_INITIAL:
        return s->initial;
    case REG_CURRENT:
        return timer_count(s, now_ns);
    case REG_DIVIDE:
        return s->divide;
    default: /* write-only EOI, remote read */
        return 0;
    }
}

static uint32_t read_at(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct apic *s = state;
    uint32_t shift = 8 * (offset & 3);

    (void)size;
    if (!is_register(offset >> 4)) {
        log_error(s, ESR_REGISTER);
        return 0;
    }
    return (offset & 0xF) < 4 ? reg_read(s, offset >> 4, now_ns) >> shift : 0;
}

static void write_at(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    if (!is_register(offset >> 4))
        log_error(state, ESR_REGISTER);
    else if (size == 4 && (offset & 0xF) == 0)
        reg_write(state, offset >> 4, value, now_ns);
}

static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    (void)state;
    if (size != 4 || (offset & 0xF))
        return "not 32 bits at a multiple of 16";
    if (!is_register(offset >> 4))
        return "a register that is not there";
    if (offset >> 4 == REG_ICR_LOW && !may_send(value))
        return "ICR: an interrupt that cannot be sent";
    bool fixed = offset >> 4 == REG_ICR_LOW && (value >> 8 & 7) <= APIC_LOWEST;
    return fixed && (value & 0xFF) < FIRST_VECTOR ? "ICR: a vector below 16" : NULL;
}

static void reset_for_firmware(void *s, uint64_t now_ns)
{
    (void)now_ns;
    power_up(s, 0);
}

static void reset(void *s, uint64_t now_ns)
{
    reset_for_firmware(s, now_ns);
    virtual_wire(s);
}

#define PINS_MAX (APIC_PIN_NMI | APIC_PIN_INIT | APIC_PIN_WAIT | APIC_PIN_SIPI | 0xFF00)

static const struct field fields[] = {
    FIELD_MAX(struct apic, base, BASE_MAX),
    FIELD(struct apic, zero_ns),
    FIELD_ARRAY(struct apic, isr),
    FIELD_ARRAY(struct apic, tmr),
    FIELD_ARRAY(struct apic, irr),
    FIELD_ARRAY(struct apic, lvt),
    FIELD_ARRAY(struct apic, icr),
    FIELD(struct apic, id),
    FIELD(struct apic, ldr),
    FIELD(struct apic, dfr),
    FIELD(struct apic, svr),
    FIELD(struct apic, tpr),
    FIELD(struct apic, esr),
    FIELD(struct apic, errors),
    FIELD(struct apic, initial),
    FIELD(struct apic, divide),
    FIELD_MAX(struct apic, pins, PINS_MAX),
    FIELD_MAX(struct apic, lint[0], 1),
    FIELD_MAX(struct apic, lint[1], 1),
    FIELD_MAX(struct apic, number, 0),
    FIELD_MAX(struct apic, sends, 1),
    FIELD_MAX(struct apic, eoi, 1),
    FIELD(struct apic, eoi_vector),
    FIELD_MAX(struct apic, waits, 1),
    FIELD_MAX(struct apic, reserved, 0),
};

#define CLASS(reset_fn)                                                                                      \
    {                                                                                                        \
        .name = "apic", .state_bytes = sizeof(struct apic), .fields = fields,                                \
        .nfields = sizeof fields / sizeof fields[0], .reset = (reset_fn), .read = read_at,                   \
        .write = write_at, .write_error = write_error, .advance = advance, .next_event = next_event          \
    }

const struct chip_class apic_class = CLASS(reset);
const struct chip_class apic_firmware_class = CLASS(reset_for_firmware);
