/* mc146818.c - real-time clock and CMOS RAM (Motorola MC146818A data sheet; PC/AT CMOS layout).
 *
 * Model: the divider chain is time since div_base_ns. Half a second after it starts, and then every
 * second, an update cycle advances the calendar; periodic ticks are multiples of 2^(RS-1) of its
 * 32768 Hz. The calendar registers hold the time as of settled_ns; settle() applies the updates,
 * alarms and periodic ticks that lie between there and now in one step, so the flags of register C
 * are right whenever they are looked at, and an event is needed only when an enabled flag will
 * raise IRQ8. With SET the updates pass without effect; with DV other than 010 nothing runs.
 * Registers are kept as the guest wrote them (BCD or binary, 12 or 24 hours); a value that is no
 * time of day is brought into range by the first update. The century byte (32h) takes part.
 * UIP is set 244 us before an update (t_BUC); the update itself takes no time.
 *
 * NOT MODELLED: the 1984 us of the update cycle; daylight saving (DSE); square wave pin; time bases
 * other than 32768 Hz (DV 000, 001); battery failure (VRT is always set). */
#include "hw/mc146818.h"

#include "clockcore/ticks.h"

#define HALF_SECOND_NS  (NS_PER_SEC / 2)
#define UIP_NS          244000 /* data sheet, t_BUC */
#define DIVIDER_HZ      32768
#define SECONDS_PER_DAY 86400

enum { REG_SEC, REG_SEC_ALARM, REG_MIN, REG_MIN_ALARM, REG_HOUR, REG_HOUR_ALARM };
enum { REG_DOW = 6, REG_DAY, REG_MONTH, REG_YEAR, REG_A, REG_B, REG_C, REG_D };

#define A_UIP      0x80
#define A_DV       0x70
#define A_DV_RUN   0x20
#define A_DV_RESET 0x60
#define A_RS       0x0F
#define B_SET      0x80
#define B_PIE      0x40
#define B_AIE      0x20
#define B_UIE      0x10
#define B_SQWE     0x08
#define B_DM       0x04
#define B_24H      0x02
#define C_IRQF     0x80
#define C_PF       0x40
#define C_AF       0x20
#define C_UF       0x10
#define C_FLAGS    (C_PF | C_AF | C_UF)
#define D_VRT      0x80
#define HOUR_PM    0x80
#define ALARM_ANY  0xC0 /* both top bits: "don't care" */

struct civil {
    unsigned year, month, day; /* 1.., 1..12, 1..31 */
};

static bool divider_runs(const struct mc146818 *s)
{
    return (s->ram[REG_A] & A_DV) == A_DV_RUN;
}

static bool updates_run(const struct mc146818 *s)
{
    return divider_runs(s) && !(s->ram[REG_B] & B_SET);
}

/* Update instants up to and at `ns`. Modular: the divider may have started before time zero. */
static uint64_t updates_at(const struct mc146818 *s, uint64_t ns)
{
    return (ns - s->div_base_ns + HALF_SECOND_NS) / NS_PER_SEC;
}

static uint64_t update_ns(const struct mc146818 *s, uint64_t n)
{
    return s->div_base_ns + n * NS_PER_SEC - HALF_SECOND_NS;
}

/* Period of PF in divider counts; 0: off. RS 1 and 2 are RS 8 and 9 (data sheet, table 5). */
static uint64_t periodic_counts(const struct mc146818 *s)
{
    unsigned rs = s->ram[REG_A] & A_RS;

    if (rs == 0)
        return 0;
    return UINT64_C(1) << (rs <= 2 ? rs + 6 : rs - 1);
}

static uint64_t periodics_at(const struct mc146818 *s, uint64_t ns)
{
    uint64_t counts = periodic_counts(s);

    return counts ? count_at(ns - s->div_base_ns, DIVIDER_HZ) / counts : 0;
}

static unsigned from_reg(const struct mc146818 *s, uint8_t v)
{
    return s->ram[REG_B] & B_DM ? v : (v >> 4) * 10u + (v & 15u);
}

static uint8_t to_reg(const struct mc146818 *s, unsigned n)
{
    return (uint8_t)(s->ram[REG_B] & B_DM ? n : n / 10 << 4 | n % 10);
}

/* Hour 0..23 of an hour register; other values come back above 23. */
static unsigned from_hour(const struct mc146818 *s, uint8_t v)
{
    if (s->ram[REG_B] & B_24H)
        return from_reg(s, v);
    unsigned h = from_reg(s, v & 0x7F);
    if (h < 1 || h > 12)
        return 24;
    return h % 12 + (v & HOUR_PM ? 12 : 0);
}

static uint8_t to_hour(const struct mc146818 *s, unsigned h)
{
    if (s->ram[REG_B] & B_24H)
        return to_reg(s, h);
    return to_reg(s, h % 12 ? h % 12 : 12) | (h >= 12 ? HOUR_PM : 0);
}

/* Days from 1970-01-01 (year >= 1), proleptic Gregorian; counts in years that begin in March. */
static int64_t days_from_civil(struct civil c)
{
    unsigned m = (c.month + 9) % 12;
    int64_t y = (int64_t)c.year - (m >= 10);

    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + c.day - 1 - 719468;
}

static struct civil civil_from_days(int64_t days)
{
    int64_t d = days + 719468;
    int64_t era = d / 146097, doe = d % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = (unsigned)(doe - (365 * yoe + yoe / 4 - yoe / 100));
    unsigned m = (5 * doy + 2) / 153;

    return (struct civil){.year = (unsigned)(yoe + era * 400 + (m >= 10)),
                          .month = m < 10 ? m + 3 : m - 9,
                          .day = doy - (153 * m + 2) / 5 + 1};
}

static unsigned clamp(unsigned v, unsigned lo, unsigned hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static unsigned time_of_day(const struct mc146818 *s)
{
    return clamp(from_hour(s, s->ram[REG_HOUR]), 0, 23) * 3600 +
           clamp(from_reg(s, s->ram[REG_MIN]), 0, 59) * 60 + clamp(from_reg(s, s->ram[REG_SEC]), 0, 59);
}

static int64_t date_days(const struct mc146818 *s)
{
    unsigned year =
        clamp(from_reg(s, s->ram[CMOS_CENTURY]), 0, 99) * 100 + clamp(from_reg(s, s->ram[REG_YEAR]), 0, 99);
    struct civil c = {.year = clamp(year, 1, 9999), /* 1: the day count stays positive */
                      .month = clamp(from_reg(s, s->ram[REG_MONTH]), 1, 12),
                      .day = clamp(from_reg(s, s->ram[REG_DAY]), 1, 31)};

    return days_from_civil(c);
}

static void store_date(struct mc146818 *s, int64_t days)
{
    struct civil c = civil_from_days(days);

    s->ram[REG_DAY] = to_reg(s, c.day);
    s->ram[REG_MONTH] = to_reg(s, c.month);
    s->ram[REG_YEAR] = to_reg(s, c.year % 100);
    s->ram[CMOS_CENTURY] = to_reg(s, c.year / 100 % 100);
}

static void store_time(struct mc146818 *s, unsigned tod)
{
    s->ram[REG_HOUR] = to_hour(s, tod / 3600);
    s->ram[REG_MIN] = to_reg(s, tod / 60 % 60);
    s->ram[REG_SEC] = to_reg(s, tod % 60);
}

static void add_seconds(struct mc146818 *s, uint64_t seconds)
{
    uint64_t tod = time_of_day(s) + seconds;
    uint64_t days = tod / SECONDS_PER_DAY;

    store_time(s, (unsigned)(tod % SECONDS_PER_DAY));
    if (!days)
        return;
    store_date(s, date_days(s) + (int64_t)days);
    unsigned dow = clamp(from_reg(s, s->ram[REG_DOW]), 1, 7);
    s->ram[REG_DOW] = to_reg(s, (unsigned)((dow - 1 + days) % 7 + 1));
}

static bool alarm_field(uint8_t reg, unsigned wanted, unsigned value)
{
    return (reg & ALARM_ANY) == ALARM_ANY || wanted == value;
}

/* Seconds until the alarm next matches, from time of day `tod`: 1..86400; 0: it never does. */
static unsigned alarm_distance(const struct mc146818 *s, unsigned tod)
{
    const uint8_t *r = s->ram;
    unsigned ah = from_hour(s, r[REG_HOUR_ALARM]);
    unsigned am = from_reg(s, r[REG_MIN_ALARM]), as = from_reg(s, r[REG_SEC_ALARM]);

    if (!alarm_field(r[REG_SEC_ALARM], as < 60, true))
        return 0; /* no second looks like that */
    for (unsigned d = 1; d <= SECONDS_PER_DAY;) {
        unsigned t = (tod + d) % SECONDS_PER_DAY;
        if (!alarm_field(r[REG_HOUR_ALARM], ah, t / 3600))
            d += 3600 - t % 3600; /* on to the next hour */
        else if (!alarm_field(r[REG_MIN_ALARM], am, t / 60 % 60))
            d += 60 - t % 60;
        else if (!alarm_field(r[REG_SEC_ALARM], as, t % 60))
            d += (as + 60 - t % 60) % 60;
        else
            return d;
    }
    return 0;
}

static void update_irqf(struct mc146818 *s)
{
    uint8_t c = s->ram[REG_C] & C_FLAGS;

    s->ram[REG_C] = c | (c & s->ram[REG_B] ? C_IRQF : 0); /* enables and flags share bit numbers */
}

/* Brings calendar and flags up to `now_ns`. */
static void settle(struct mc146818 *s, uint64_t now_ns)
{
    if (divider_runs(s)) {
        uint64_t updates = updates_at(s, now_ns) - updates_at(s, s->settled_ns);
        if (periodics_at(s, now_ns) != periodics_at(s, s->settled_ns))
            s->ram[REG_C] |= C_PF;
        if (updates && updates_run(s)) {
            unsigned alarm = s->ram[REG_C] & C_AF ? 0 : alarm_distance(s, time_of_day(s));
            if (alarm && alarm <= updates)
                s->ram[REG_C] |= C_AF;
            s->ram[REG_C] |= C_UF;
            add_seconds(s, updates);
        }
    }
    s->settled_ns = now_ns;
    update_irqf(s);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_periodic_ns(const struct mc146818 *s)
{
    uint64_t counts = periodic_counts(s);

    if (!counts)
        return NS_NEVER;
    return s->div_base_ns + count_ns((periodics_at(s, s->settled_ns) + 1) * counts, DIVIDER_HZ);
}

/* Next event, from settled state: the first enabled flag to rise, unless IRQ8 is up already. */
static void schedule(struct mc146818 *s)
{
    uint8_t b = s->ram[REG_B];
    uint64_t n = updates_at(s, s->settled_ns);

    s->next_ns = NS_NEVER;
    if (s->ram[REG_C] & C_IRQF || !divider_runs(s))
        return;
    if (b & B_PIE)
        s->next_ns = next_periodic_ns(s);
    if (!updates_run(s))
        return;
    if (b & B_UIE)
        s->next_ns = earlier(s->next_ns, update_ns(s, n + 1));
    unsigned alarm = b & B_AIE ? alarm_distance(s, time_of_day(s)) : 0;
    if (alarm)
        s->next_ns = earlier(s->next_ns, update_ns(s, n + alarm));
}

static bool uip(const struct mc146818 *s, uint64_t now_ns)
{
    return updates_run(s) && updates_at(s, now_ns + UIP_NS) != updates_at(s, now_ns);
}

static uint8_t read_data(struct mc146818 *s, uint64_t now_ns)
{
    unsigned i = s->index & 0x7F;
    uint8_t v;

    settle(s, now_ns);
    v = s->ram[i];
    if (i == REG_A && uip(s, now_ns))
        v |= A_UIP;
    if (i == REG_C)
        s->ram[REG_C] = 0;
    schedule(s);
    return v;
}

/* The divider starts: its first update comes half a second later (data sheet, "divider control"). */
static void write_reg_a(struct mc146818 *s, uint8_t v, uint64_t now_ns)
{
    bool ran = divider_runs(s);

    s->ram[REG_A] = v & ~A_UIP;
    if (divider_runs(s) && !ran)
        s->div_base_ns = now_ns;
}

static void write_reg_b(struct mc146818 *s, uint8_t v)
{
    if (v & B_SET)
        v &= ~B_UIE; /* data sheet: SET clears UIE */
    s->ram[REG_B] = v;
    update_irqf(s);
}

static void write_data(struct mc146818 *s, uint8_t v, uint64_t now_ns)
{
    unsigned i = s->index & 0x7F;

    settle(s, now_ns);
    if (i == REG_A)
        write_reg_a(s, v, now_ns);
    else if (i == REG_B)
        write_reg_b(s, v);
    else if (i != REG_C && i != REG_D)
        s->ram[i] = v;
    schedule(s);
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    (void)size;
    return offset == MC146818_OFF_DATA ? read_data(state, now_ns) : 0xFF;
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct mc146818 *s = state;

    (void)size;
    if (offset == MC146818_OFF_INDEX)
        s->index = value & 0xFF;
    else if (offset == MC146818_OFF_DATA)
        write_data(s, (uint8_t)value, now_ns);
}

/* Data sheet, "registers": C and D are read-only, three values of the divider are not described. */
static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    unsigned i = ((const struct mc146818 *)state)->index & 0x7F, divider = value >> 4 & 7;

    (void)size;
    if (offset != MC146818_OFF_DATA)
        return NULL;
    if (i == REG_A && divider >= 3 && divider <= 5)
        return "register A with a divider that is not described";
    return i == REG_C || i == REG_D ? "registers C and D are read-only" : NULL;
}

static void advance(void *state, uint64_t now_ns)
{
    settle(state, now_ns);
    schedule(state);
}

static uint64_t next_event(const void *state)
{
    return ((const struct mc146818 *)state)->next_ns;
}

static uint32_t outputs(const void *state)
{
    return ((const struct mc146818 *)state)->ram[REG_C] >> 7;
}

void mc146818_set_time(struct mc146818 *s, uint64_t unix_seconds, uint64_t now_ns)
{
    uint64_t days = unix_seconds / SECONDS_PER_DAY;

    settle(s, now_ns);
    s->div_base_ns = now_ns - HALF_SECOND_NS; /* a whole second to the next update */
    store_time(s, (unsigned)(unix_seconds % SECONDS_PER_DAY));
    store_date(s, (int64_t)days);
    s->ram[REG_DOW] = to_reg(s, (unsigned)((days + 4) % 7 + 1)); /* 1 is Sunday; 1970-01-01 a Thursday */
    schedule(s);
}

uint64_t mc146818_get_time(const struct mc146818 *s, uint64_t now_ns)
{
    struct mc146818 copy = *s;

    settle(&copy, now_ns);
    int64_t days = date_days(&copy);
    return days < 0 ? 0 : (uint64_t)days * SECONDS_PER_DAY + time_of_day(&copy);
}

void mc146818_set_cmos(struct mc146818 *s, unsigned index, uint8_t value)
{
    if (index > REG_D && index < sizeof s->ram)
        s->ram[index] = value;
}

uint8_t mc146818_cmos(const struct mc146818 *s, unsigned index)
{
    return index > REG_D && index < sizeof s->ram ? s->ram[index] : 0;
}

void mc146818_reset_pin(struct mc146818 *s, uint64_t now_ns)
{
    settle(s, now_ns);
    s->ram[REG_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s->ram[REG_C] = 0;
    schedule(s);
}

static void reset(void *state, uint64_t now_ns)
{
    struct mc146818 *s = state;

    *s = (struct mc146818){0};
    s->settled_ns = now_ns;
    s->ram[REG_A] = A_DV_RUN | 6; /* as firmware leaves it: 1024 Hz rate */
    s->ram[REG_B] = B_24H;
    s->ram[REG_D] = D_VRT;
    mc146818_set_time(s, 0, now_ns);
}

static const struct field fields[] = {
    FIELD(struct mc146818, div_base_ns), FIELD(struct mc146818, settled_ns), FIELD(struct mc146818, next_ns),
    FIELD_ARRAY(struct mc146818, ram),   FIELD(struct mc146818, index),      FIELD(struct mc146818, reserved),
};

const struct chip_class mc146818_class = {
    .name = "mc146818",
    .state_bytes = sizeof(struct mc146818),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .write_error = write_error,
    .advance = advance,
    .next_event = next_event,
    .outputs = outputs,
};
