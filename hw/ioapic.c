/* ioapic.c - I/O APIC (Intel 82093AA data sheet, order 290566).
 *
 * Model: an edge-triggered pin asks once for each change to its active level, a level-triggered one while it
 * is active and no interrupt of it is in service (remote IRR). What an edge-triggered pin does while it is
 * masked is forgotten (3.2.4, interrupt mask). A message arrives at once: delivery status is always idle.
 * NMI, INIT and SMI are edges whatever the entry says; an entry in ExtINT mode stands for the 8259 while its
 * pin is active. To write an entry as edge-triggered clears its remote IRR, as drivers of this version
 * expect.
 *
 * NOT MODELLED: the 3-wire bus (arbitration ID is what was written to ID), relocation by the PIIX3's APICBASE
 * and its chip-select enable (it is always at FEC00000H). */
#include "hw/ioapic.h"

#define OFF_SELECT 0x00
#define OFF_WINDOW 0x10

#define REG_ID          0
#define REG_VERSION     1
#define REG_ARBITRATION 2
#define REG_ENTRIES     0x10 /* two each */
#define REG_END         (REG_ENTRIES + 2 * IOAPIC_PINS)

#define ENTRY_LOW    0x0FFFu
#define BIT_LOW      13
#define BIT_REMOTE   14
#define BIT_LEVEL    15
#define BIT_MASKED   16
#define MODE(low)    ((low) >> 8 & 7)
#define LOGICAL(low) ((low) >> 11 & 1)
#define PINS_MASK    ((1u << IOAPIC_PINS) - 1)

static bool is_level(const struct ioapic *s, unsigned pin)
{
    return (s->level >> pin & 1) && MODE(s->low[pin]) <= APIC_LOWEST;
}

static uint32_t active_pins(const struct ioapic *s)
{
    return (s->lines ^ s->active_low) & PINS_MASK;
}

/* Pins may have become active. */
static void note_edges(struct ioapic *s, uint32_t was_active)
{
    for (uint32_t rises = active_pins(s) & ~was_active & ~s->masked; rises; rises &= rises - 1) {
        unsigned pin = (unsigned)__builtin_ctz(rises);
        s->requests |= is_level(s, pin) ? 0 : 1u << pin;
    }
}

void ioapic_set_pin(struct ioapic *s, unsigned pin, bool level)
{
    uint32_t was_active = active_pins(s);

    if (pin >= IOAPIC_PINS || (s->lines >> pin & 1) == level)
        return;
    s->lines = (s->lines & ~(1u << pin)) | (uint32_t)level << pin;
    note_edges(s, was_active);
}

uint32_t ioapic_ready(const struct ioapic *s)
{
    uint32_t ready = s->requests;

    for (uint32_t left = active_pins(s) & s->level & ~s->remote_irr & ~s->masked; left; left &= left - 1) {
        unsigned pin = (unsigned)__builtin_ctz(left);
        ready |= is_level(s, pin) ? 1u << pin : 0;
    }
    return ready;
}

static struct apic_message entry_message(const struct ioapic *s, unsigned pin)
{
    return (struct apic_message){.vector = (uint8_t)s->low[pin],
                                 .mode = MODE(s->low[pin]),
                                 .dest = s->dest[pin],
                                 .logical = LOGICAL(s->low[pin]),
                                 .level = is_level(s, pin)};
}

bool ioapic_message(const struct ioapic *s, unsigned pin, struct apic_message *m)
{
    *m = entry_message(s, pin);
    return !(s->masked >> pin & 1) && m->mode != APIC_EXTINT && m->mode != APIC_SIPI;
}

void ioapic_sent(struct ioapic *s, unsigned pin, bool accepted)
{
    s->requests &= ~(1u << pin);
    if (accepted && is_level(s, pin))
        s->remote_irr |= 1u << pin;
}

void ioapic_eoi(struct ioapic *s, uint8_t vector)
{
    for (uint32_t left = s->remote_irr; left; left &= left - 1) {
        unsigned pin = (unsigned)__builtin_ctz(left);
        if ((uint8_t)s->low[pin] == vector)
            s->remote_irr &= ~(1u << pin);
    }
}

bool ioapic_is_extint(const struct ioapic *s, unsigned pin, const struct apic *to)
{
    struct apic_message m = entry_message(s, pin);

    return m.mode == APIC_EXTINT && !(s->masked >> pin & 1) && apic_is_addressed(to, &m);
}

bool ioapic_extint(const struct ioapic *s, const struct apic *to)
{
    for (uint32_t left = active_pins(s) & ~s->masked; left; left &= left - 1)
        if (ioapic_is_extint(s, (unsigned)__builtin_ctz(left), to))
            return true;
    return false;
}

/* --- registers --- */

static void put_bit(uint32_t *set, unsigned pin, uint32_t bit)
{
    *set = (*set & ~(1u << pin)) | (bit & 1) << pin;
}

static void write_entry_low(struct ioapic *s, unsigned pin, uint32_t value)
{
    uint32_t was_active = active_pins(s);

    s->low[pin] = value & ENTRY_LOW;
    put_bit(&s->active_low, pin, value >> BIT_LOW);
    put_bit(&s->level, pin, value >> BIT_LEVEL);
    put_bit(&s->masked, pin, value >> BIT_MASKED);
    s->requests &= is_level(s, pin) ? ~(1u << pin) : ~s->masked;
    if (!is_level(s, pin))
        s->remote_irr &= ~(1u << pin);
    note_edges(s, was_active);
}

static uint32_t read_entry_low(const struct ioapic *s, unsigned pin)
{
    return s->low[pin] | (s->active_low >> pin & 1) << BIT_LOW | (s->remote_irr >> pin & 1) << BIT_REMOTE |
           (s->level >> pin & 1) << BIT_LEVEL | (s->masked >> pin & 1) << BIT_MASKED;
}

static uint32_t read_reg(const struct ioapic *s)
{
    unsigned entry = (unsigned)s->select - REG_ENTRIES;

    if (s->select >= REG_ENTRIES && s->select < REG_END)
        return entry & 1 ? (uint32_t)s->dest[entry / 2] << 24 : read_entry_low(s, entry / 2);
    switch (s->select) {
    case REG_ID:
        return (uint32_t)s->id << 24;
    case REG_VERSION:
        return (IOAPIC_PINS - 1) << 16 | IOAPIC_VERSION;
    case REG_ARBITRATION:
        return (uint32_t)s->arbitration << 24;
    default:
        return 0;
    }
}

static void write_reg(struct ioapic *s, uint32_t value)
{
    unsigned entry = (unsigned)s->select - REG_ENTRIES;

    if (s->select == REG_ID)
        s->id = s->arbitration = value >> 24 & 0xF;
    else if (s->select < REG_ENTRIES || s->select >= REG_END)
        return;
    else if (entry & 1)
        s->dest[entry / 2] = (uint8_t)(value >> 24);
    else
        write_entry_low(s, entry / 2, value);
}

static uint32_t read_at(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct ioapic *s = state;

    (void)now_ns;
    if (offset == OFF_SELECT)
        return s->select;
    return offset == OFF_WINDOW && size == 4 ? read_reg(s) : 0;
}

static void write_at(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct ioapic *s = state;

    (void)now_ns;
    if (offset == OFF_SELECT)
        s->select = (uint8_t)value;
    else if (offset == OFF_WINDOW && size == 4)
        write_reg(s, value);
}

static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct ioapic *s = state;
    bool entry = s->select >= REG_ENTRIES && s->select < REG_END;

    (void)value;
    if (offset == OFF_SELECT)
        return NULL;
    if (offset != OFF_WINDOW || size != 4)
        return "neither IOREGSEL nor 32 bits of IOWIN";
    return entry || s->select == REG_ID ? NULL : "a register that cannot be written";
}

static void reset(void *state, uint64_t now_ns)
{
    struct ioapic *s = state;

    (void)now_ns;
    *s = (struct ioapic){.masked = PINS_MASK};
}

static const struct field fields[] = {
    FIELD_ARRAY(struct ioapic, low),
    FIELD_ARRAY(struct ioapic, dest),
    FIELD_MAX(struct ioapic, masked, PINS_MASK),
    FIELD_MAX(struct ioapic, level, PINS_MASK),
    FIELD_MAX(struct ioapic, active_low, PINS_MASK),
    FIELD_MAX(struct ioapic, remote_irr, PINS_MASK),
    FIELD_MAX(struct ioapic, lines, PINS_MASK),
    FIELD_MAX(struct ioapic, requests, PINS_MASK),
    FIELD_MAX(struct ioapic, id, 15),
    FIELD_MAX(struct ioapic, arbitration, 15),
    FIELD(struct ioapic, select),
    FIELD_MAX(struct ioapic, reserved, 0),
};

const struct chip_class ioapic_class = {
    .name = "ioapic",
    .state_bytes = sizeof(struct ioapic),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_at,
    .write = write_at,
    .write_error = write_error,
};
