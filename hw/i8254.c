/* i8254.c - programmable interval timer (Intel 8254 data sheet, order 231164) and port 61h (AT).
 *
 * Model: the input clock is count_at(now, 1193182), a number since virtual time zero. A counter is
 * (base_clk, count): CE held `count` at clock base_clk and has counted down since; modes 2 and 3
 * repeat with period `count` from base_clk for ever, so they cannot drift. CR reaches CE one clock
 * after it is written (modes 0, 4), at the end of the period (2) or half period (3) that runs, or
 * one clock after a trigger (1, 5): load_clk. counter_settle() makes that step when the clock has
 * come; value, OUT and the next change of OUT are functions of the settled counter and the clock.
 * OUT0 is shown edge by edge, one per advance(): a pulse shorter than a tick takes two calls at that tick.
 * Port 61h bit 4 follows the refresh rate of the AT (18 clocks, 15.085 us, a toggle).
 * After reset the counters are in mode 3 without a count: OUT high, nothing counts.
 *
 * NOT MODELLED: a count of 1 in modes 2 and 3 (illegal: taken as 2); the refresh bit under another
 * programming of counter 1; parity and channel check bits of port 61h; the speaker's sound. */
#include "hw/i8254.h"

#include "clockcore/ticks.h"

#define CW_LATCH       0
#define CW_RW_LSB      1
#define CW_RW_MSB      2
#define RB_NO_COUNT    0x20
#define RB_NO_STATUS   0x10
#define PORTB_GATE2    0x01
#define PORTB_WRITABLE 0x0F
#define PORTB_REFRESH  0x10
#define PORTB_OUT2     0x20
#define REFRESH_CLKS   18

static uint64_t clk_at(uint64_t now_ns)
{
    return count_at(now_ns, I8254_HZ);
}

static bool periodic(const struct i8254_counter *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* Modes 1 and 5 load on a trigger only. */
static bool triggered(const struct i8254_counter *c)
{
    return c->mode == 1 || c->mode == 5;
}

static uint32_t modulus(const struct i8254_counter *c)
{
    return c->bcd ? 10000 : 65536;
}

/* Modes 2, 3: clocks into the running period. Modular: base_clk may lie before clock zero. Only a damaged
 * snapshot has a count of 0. */
static uint32_t phase(const struct i8254_counter *c, uint64_t clk)
{
    return c->count ? (uint32_t)((clk - c->base_clk) % c->count) : 0;
}

/* Clocks for which OUT is high in a period; mode 3 gives the odd clock to the high half. */
static uint32_t high_clks(const struct i8254_counter *c, uint32_t period)
{
    return c->mode == 2 ? period - 1 : (period + 1) / 2;
}

static uint32_t period_of(uint32_t cr)
{
    return cr < 2 ? 2 : cr;
}

static bool expired(const struct i8254_counter *c, uint64_t clk)
{
    return c->fired || (c->running && clk - c->base_clk >= c->count);
}

/* CE, as a plain number below the modulus (0 stands for the full range). */
static uint32_t counter_value(const struct i8254_counter *c, uint64_t clk)
{
    uint32_t mod = modulus(c), value = c->count;

    if (c->running && c->mode == 2)
        value = c->count - phase(c, clk);
    else if (c->running && c->mode == 3) {
        uint32_t p = phase(c, clk), high = high_clks(c, c->count);
        value = (c->count & ~1u) - 2 * (p < high ? p : p - high);
    } else if (c->running)
        value = c->count + mod - (uint32_t)((clk - c->base_clk) % mod);
    return value % mod;
}

static bool counter_out(const struct i8254_counter *c, uint64_t clk)
{
    switch (c->mode) {
    case 0:
        return c->loaded && expired(c, clk);
    case 1:
        return !(c->running && !expired(c, clk));
    case 2:
    case 3:
        return !c->running || phase(c, clk) < high_clks(c, c->count);
    default: /* 4, 5: a strobe of one clock */
        return !(c->running && !c->fired && clk - c->base_clk == c->count);
    }
}

/* Loads CR into CE at clock load_clk. */
static void counter_load(struct i8254_counter *c)
{
    uint64_t at = c->load_clk;

    if (periodic(c)) {
        uint32_t period = period_of(c->cr);
        bool mid = c->running && c->mode == 3 && phase(c, at) == high_clks(c, c->count);
        c->base_clk = mid ? at - high_clks(c, period) : at; /* mid: its low half begins */
        c->count = period;
    } else {
        c->base_clk = at;
        c->count = c->cr;
    }
    c->running = triggered(c) || c->gate;
    c->fired = 0;
    c->loaded = 1;
    c->null_count = 0;
    c->load_clk = I8254_CLK_NEVER;
}

static void counter_settle(struct i8254_counter *c, uint64_t clk)
{
    if (c->load_clk <= clk)
        counter_load(c);
}

static struct i8254_counter settled_copy(const struct i8254_counter *c, uint64_t clk)
{
    struct i8254_counter copy = *c;

    counter_settle(&copy, clk);
    return copy;
}

/* First clock after clk at which OUT changes, were CR never loaded again. */
static uint64_t change_unloaded(const struct i8254_counter *c, uint64_t clk)
{
    uint64_t end = c->base_clk + c->count;

    if (!c->running)
        return I8254_CLK_NEVER;
    if (periodic(c)) {
        uint32_t p = phase(c, clk), high = high_clks(c, c->count);
        return clk + (p < high ? high - p : c->count - p);
    }
    if (c->fired)
        return I8254_CLK_NEVER;
    if (clk - c->base_clk < c->count)
        return end;
    return c->mode >= 4 && clk == end ? end + 1 : I8254_CLK_NEVER;
}

/* First clock after clk at which OUT changes; `c` is settled at clk. */
static uint64_t counter_next_change(const struct i8254_counter *c, uint64_t clk)
{
    uint64_t own = change_unloaded(c, clk);

    if (own <= c->load_clk)
        return own;
    struct i8254_counter after = settled_copy(c, c->load_clk);
    if (counter_out(&after, c->load_clk) != counter_out(c, clk))
        return c->load_clk;
    return change_unloaded(&after, c->load_clk);
}

/* Where a new count takes over from the running one. */
static uint64_t reload_clk(const struct i8254_counter *c, uint64_t clk)
{
    if (triggered(c))
        return c->load_clk; /* none, or the trigger's */
    if (!periodic(c))
        return clk + 1;
    if (!c->gate)
        return I8254_CLK_NEVER; /* the gate's rising edge will load it */
    if (!c->running)
        return clk + 1;
    uint32_t p = phase(c, clk), high = high_clks(c, c->count);
    return clk + (c->mode == 3 && p < high ? high - p : c->count - p);
}

static uint32_t decode_count(const struct i8254_counter *c, uint32_t raw)
{
    uint32_t n = raw;

    if (c->bcd)
        n = (raw >> 12) * 1000 + ((raw >> 8) & 15) * 100 + ((raw >> 4) & 15) * 10 + (raw & 15);
    return n % modulus(c) ? n % modulus(c) : modulus(c);
}

static uint16_t encode_value(const struct i8254_counter *c, uint32_t n)
{
    if (!c->bcd)
        return (uint16_t)n;
    return (uint16_t)((n / 1000 % 10) << 12 | (n / 100 % 10) << 8 | (n / 10 % 10) << 4 | n % 10);
}

/* Stops CE where it stands. */
static void counter_freeze(struct i8254_counter *c, uint64_t clk)
{
    if (!c->running)
        return;
    uint32_t value = counter_value(c, clk);
    c->fired = !periodic(c) && expired(c, clk);
    c->count = value ? value : modulus(c);
    c->running = 0;
}

static void counter_write_count(struct i8254_counter *c, uint32_t raw, uint64_t clk)
{
    c->cr = decode_count(c, raw);
    c->null_count = 1;
    c->load_clk = reload_clk(c, clk);
    if (c->mode == 0) { /* OUT falls with the write, no clock needed */
        counter_freeze(c, clk);
        c->fired = 0;
    }
}

static void counter_write(struct i8254_counter *c, uint8_t v, uint64_t clk)
{
    if (c->rw == CW_RW_LSB) {
        counter_write_count(c, v, clk);
    } else if (c->rw == CW_RW_MSB) {
        counter_write_count(c, (uint32_t)v << 8, clk);
    } else if (c->write_msb) {
        c->write_msb = 0;
        counter_write_count(c, c->write_lsb | (uint32_t)v << 8, clk);
    } else {
        c->write_msb = 1;
        c->write_lsb = v;
        if (c->mode == 0) { /* the first byte of a pair stops the count */
            counter_freeze(c, clk);
            c->fired = 0;
            c->load_clk = I8254_CLK_NEVER;
        }
    }
}

static void counter_latch_count(struct i8254_counter *c, uint64_t clk)
{
    if (c->latch_bytes)
        return; /* the first latch holds until it is read */
    c->latch = encode_value(c, counter_value(c, clk));
    c->latch_bytes = c->rw == 3 ? 2 : 1;
}

static void counter_latch_status(struct i8254_counter *c, uint64_t clk)
{
    if (c->status_latched)
        return;
    c->status = (uint8_t)(counter_out(c, clk) << 7 | c->null_count << 6 | c->rw << 4 | c->mode << 1 | c->bcd);
    c->status_latched = 1;
}

static uint8_t counter_read(struct i8254_counter *c, uint64_t clk)
{
    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    uint16_t value = c->latch_bytes ? c->latch : encode_value(c, counter_value(c, clk));
    bool msb = c->rw == CW_RW_MSB || (c->rw == 3 && c->read_msb);
    if (c->rw == 3)
        c->read_msb ^= 1;
    if (c->latch_bytes)
        c->latch_bytes--;
    return (uint8_t)(msb ? value >> 8 : value);
}

static void counter_control(struct i8254_counter *c, uint8_t v, uint64_t clk)
{
    counter_freeze(c, clk);
    c->rw = (v >> 4) & 3;
    c->mode = (v >> 1) & 7;
    if (c->mode > 5)
        c->mode -= 4; /* the top bit is "don't care" for modes 2 and 3 */
    c->bcd = v & 1;
    c->null_count = 1;
    c->cr = 0;
    c->fired = c->loaded = 0;
    c->load_clk = I8254_CLK_NEVER;
    c->latch_bytes = c->status_latched = 0;
    c->write_msb = c->read_msb = 0;
}

static void counter_gate_rise(struct i8254_counter *c, uint64_t clk)
{
    if (periodic(c) || triggered(c)) {
        if (c->cr)
            c->load_clk = clk + 1;
    } else if (c->loaded && !c->running && !c->write_msb) {
        c->base_clk = clk;
        c->running = 1;
    }
}

static void counter_gate_fall(struct i8254_counter *c, uint64_t clk)
{
    if (triggered(c))
        return;
    counter_freeze(c, clk);
    if (periodic(c))
        c->load_clk = I8254_CLK_NEVER;
}

static void counter_set_gate(struct i8254_counter *c, bool gate, uint64_t clk)
{
    bool was = c->gate;

    c->gate = gate;
    if (gate && !was)
        counter_gate_rise(c, clk);
    if (!gate && was)
        counter_gate_fall(c, clk);
}

/* After counter 0 was programmed: its pin and its next event, from the formula. */
static void show_out0(struct i8254 *s, uint64_t clk)
{
    const struct i8254_counter *c = &s->counter[0];
    uint64_t change = counter_next_change(c, clk);

    s->out0 = counter_out(c, clk);
    s->next_ns = change == I8254_CLK_NEVER ? NS_NEVER : count_ns(change, I8254_HZ);
}

static void settle(struct i8254 *s, uint64_t clk)
{
    for (unsigned i = 0; i < 3; i++)
        counter_settle(&s->counter[i], clk);
}

static void advance(void *state, uint64_t now_ns)
{
    struct i8254 *s = state;
    uint64_t clk = clk_at(now_ns), edge = clk_at(s->next_ns);

    if (now_ns < s->next_ns)
        return;
    counter_settle(&s->counter[0], edge);
    if (counter_out(&s->counter[0], edge) != (s->out0 != 0)) {
        show_out0(s, edge);
        return;
    }
    /* The edge was put off behind an access that has settled the counter meanwhile. */
    counter_settle(&s->counter[0], clk);
    if (counter_out(&s->counter[0], clk) != (s->out0 != 0)) {
        show_out0(s, clk);
        return;
    }
    /* An even number of edges since the last event: show one now and one at the next tick. */
    s->out0 = !s->out0;
    s->next_ns = now_ns + 1;
}

static void read_back(struct i8254 *s, uint8_t v, uint64_t clk)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!(v & 2u << i))
            continue;
        if (!(v & RB_NO_COUNT))
            counter_latch_count(&s->counter[i], clk);
        if (!(v & RB_NO_STATUS))
            counter_latch_status(&s->counter[i], clk);
    }
}

static void write_control(struct i8254 *s, uint8_t v, uint64_t clk)
{
    unsigned n = v >> 6;

    if (n == 3) {
        read_back(s, v, clk);
    } else if (((v >> 4) & 3) == CW_LATCH) {
        counter_latch_count(&s->counter[n], clk);
    } else {
        counter_control(&s->counter[n], v, clk);
        if (n == 0)
            show_out0(s, clk);
    }
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct i8254 *s = state;
    uint64_t clk = clk_at(now_ns);
    uint8_t v = (uint8_t)value;

    (void)size;
    settle(s, clk);
    if (offset < I8254_OFF_CONTROL) {
        counter_write(&s->counter[offset], v, clk);
        if (offset == I8254_OFF_COUNTER0)
            show_out0(s, clk);
    } else if (offset == I8254_OFF_CONTROL) {
        write_control(s, v, clk);
    } else if (offset == I8254_OFF_PORTB) {
        s->portb = v & PORTB_WRITABLE;
        counter_set_gate(&s->counter[2], v & PORTB_GATE2, clk);
    }
}

/* Data sheet, "read-back command": D0 must be 0; "mode 2", "mode 3": a count of 1 is illegal; a BCD count has
 * four decimal digits. */
static const char *count_error(const struct i8254_counter *c, uint8_t v)
{
    bool last_byte = c->rw != 3 || c->write_msb;
    unsigned count = c->rw == CW_RW_MSB   ? (unsigned)v << 8
                     : c->rw == CW_RW_LSB ? v
                                          : (unsigned)v << 8 | c->write_lsb;

    if (c->bcd && ((v & 15) > 9 || v >> 4 > 9))
        return "a digit above 9 in a BCD count";
    return last_byte && count == 1 && periodic(c) ? "a count of 1 in mode 2 or 3" : NULL;
}

static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct i8254 *s = state;
    uint8_t v = (uint8_t)value;

    (void)size;
    if (offset < I8254_OFF_CONTROL)
        return count_error(&s->counter[offset], v);
    return offset == I8254_OFF_CONTROL && v >> 6 == 3 && (v & 1) ? "read-back command with bit 0 set" : NULL;
}

/* Port 61h only: everything else has side effects. */
static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct i8254 *s = state;
    uint64_t clk = clk_at(now_ns);
    struct i8254_counter c2 = settled_copy(&s->counter[2], clk);
    uint32_t v = s->portb;

    (void)size;
    if (offset != I8254_OFF_PORTB)
        return 0xFF;
    if (clk / REFRESH_CLKS & 1)
        v |= PORTB_REFRESH;
    if (counter_out(&c2, clk))
        v |= PORTB_OUT2;
    return v;
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct i8254 *s = state;
    uint64_t clk = clk_at(now_ns);

    if (offset >= I8254_OFF_CONTROL)
        return pure_read(s, offset, size, now_ns);
    counter_settle(&s->counter[offset], clk);
    return counter_read(&s->counter[offset], clk);
}

static void reset(void *state, uint64_t now_ns)
{
    struct i8254 *s = state;

    (void)now_ns;
    *s = (struct i8254){0};
    for (unsigned i = 0; i < 3; i++) {
        struct i8254_counter *c = &s->counter[i];
        c->load_clk = I8254_CLK_NEVER;
        c->count = 65536;
        c->mode = 3;
        c->rw = 3;
        c->gate = i != 2;
    }
    s->out0 = 1;
    s->next_ns = NS_NEVER;
}

static uint64_t next_event(const void *state)
{
    return ((const struct i8254 *)state)->next_ns;
}

static uint32_t outputs(const void *state)
{
    return ((const struct i8254 *)state)->out0;
}

#define COUNTER_FIELD(n, member) FIELD(struct i8254, counter[n].member)
#define COUNTER_FIELDS(n)                                                                                    \
    COUNTER_FIELD(n, base_clk), COUNTER_FIELD(n, load_clk), COUNTER_FIELD(n, count), COUNTER_FIELD(n, cr),   \
        COUNTER_FIELD(n, latch), FIELD_MAX(struct i8254, counter[n].latch_bytes, 2),                         \
        COUNTER_FIELD(n, status), COUNTER_FIELD(n, status_latched),                                          \
        FIELD_MAX(struct i8254, counter[n].mode, 5), COUNTER_FIELD(n, bcd),                                  \
        FIELD_MAX(struct i8254, counter[n].rw, 3), COUNTER_FIELD(n, gate), COUNTER_FIELD(n, running),        \
        COUNTER_FIELD(n, fired), COUNTER_FIELD(n, null_count), COUNTER_FIELD(n, write_msb),                  \
        COUNTER_FIELD(n, write_lsb), COUNTER_FIELD(n, read_msb), COUNTER_FIELD(n, loaded)

static const struct field fields[] = {
    COUNTER_FIELDS(0),         COUNTER_FIELDS(1),          COUNTER_FIELDS(2), FIELD(struct i8254, next_ns),
    FIELD(struct i8254, out0), FIELD(struct i8254, portb),
};

const struct chip_class i8254_class = {
    .name = "i8254",
    .state_bytes = sizeof(struct i8254),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .write_error = write_error,
    .pure_read = pure_read,
    .advance = advance,
    .next_event = next_event,
    .outputs = outputs,
};
