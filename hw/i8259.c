/* i8259.c - a pair of 8259A interrupt controllers (Intel 8259A data sheet, order 231468; ELCR: 82371SB).
 *
 * Model: each half latches rising edges of its edge-mode lines in IRR and takes level-mode lines
 * (ELCR) as they are. Its INT pin is a function of IRR, ISR, IMR and the priority rotation, never
 * stored. The slave's INT is the master's IR2: it is looked at as a level, so a request that the
 * slave still has after an EOI cannot be lost. A request of either mode goes when its line falls before the
 * INTA cycle (data sheet, "edge and level triggered modes"; the PIIX says the same): docs/decisions.md.
 * Before the first complete ICW sequence INT stays low.
 *
 * The PIIX's coprocessor error logic stands here, too: FERR# is interrupt line 13 until the guest writes
 * port F0h, which asserts IGNNE# until FERR# goes (82371SB, "Coprocessor Error Function").
 *
 * NOT MODELLED: MCS-80/85 mode (ICW4 bit 0 clear), LTIM (the PIIX ignores it: ELCR decides),
 * buffered mode (accepted, no effect), cascade wiring other than the PC's (ICW3 is stored only). */
#include "hw/i8259.h"

#define ICW1_IC4         0x01
#define ICW1_SNGL        0x02
#define ICW1_INIT        0x10
#define ICW4_8086        0x01
#define ICW4_AEOI        0x02
#define ICW4_SFNM        0x10
#define OCW2_R           0x80
#define OCW2_SL          0x40
#define OCW2_EOI         0x20
#define OCW3             0x08
#define OCW3_ESMM        0x40
#define OCW3_SMM         0x20
#define OCW3_P           0x04
#define OCW3_RR          0x02
#define OCW3_RIS         0x01
#define CASCADE_IR       2
#define SPURIOUS_IR      7
#define COPROCESSOR_LINE 13

static unsigned bit(unsigned n)
{
    return 1u << (n & 7);
}

/* Rank of an IR under the current rotation: 0 is the highest priority. */
static unsigned priority_rank(const struct i8259_pic *p, unsigned ir)
{
    return (ir - p->top) & 7;
}

/* Highest-priority IR in `set`; 8: empty. */
static unsigned highest(const struct i8259_pic *p, unsigned set)
{
    for (unsigned i = 0; i < 8; i++)
        if (set & bit(p->top + i))
            return (p->top + i) & 7;
    return 8;
}

/* The request that the INT pin stands for; 8: none. `cascade`: the slave's INT, on the master. */
static unsigned pending(const struct i8259_pic *p, bool master, bool cascade)
{
    unsigned requests = p->irr | (p->lines & p->elcr);
    unsigned blocking = p->isr;

    if (!p->ready || p->init_step)
        return 8;
    if (cascade)
        requests |= bit(CASCADE_IR);
    if (p->special_mask)
        blocking &= ~p->imr;
    if (master && (p->icw4 & ICW4_SFNM))
        blocking &= ~bit(CASCADE_IR);
    unsigned ir = highest(p, requests & ~p->imr);
    unsigned in_service = highest(p, blocking);
    if (p->special_mask) /* only the same level blocks: try the others in turn */
        return highest(p, requests & ~p->imr & ~blocking);
    if (ir == 8 || in_service == 8)
        return ir;
    return priority_rank(p, ir) < priority_rank(p, in_service) ? ir : 8;
}

static unsigned pending_slave(const struct i8259 *s)
{
    return pending(&s->pic[1], false, false);
}

static unsigned pending_master(const struct i8259 *s)
{
    return pending(&s->pic[0], true, pending_slave(s) != 8);
}

/* Moves a request to service, as the INTA cycle does; 8 (nothing pending) changes nothing. */
static void take(struct i8259_pic *p, unsigned ir)
{
    if (ir == 8)
        return;
    p->irr &= ~bit(ir);
    if (!(p->icw4 & ICW4_AEOI))
        p->isr |= bit(ir);
    else if (p->rotate_aeoi)
        p->top = (ir + 1) & 7;
}

void i8259_reset(struct i8259 *s)
{
    *s = (struct i8259){0};
    s->pic[0].imr = s->pic[1].imr = 0xFF;
}

void i8259_set_line(struct i8259 *s, unsigned line, unsigned level)
{
    if (line > 15 || line == CASCADE_IR)
        return;
    struct i8259_pic *p = &s->pic[line >> 3];
    unsigned b = bit(line);
    if (!level) {
        p->lines &= ~b;
        p->irr &= ~b;
        return;
    }
    if (!(p->lines & b) && !(p->elcr & b))
        p->irr |= b;
    p->lines |= b;
}

void i8259_set_ferr(struct i8259 *s, bool asserted)
{
    if (s->ferr == asserted)
        return;
    s->ferr = asserted;
    s->ignne = 0;
    i8259_set_line(s, COPROCESSOR_LINE, asserted);
}

bool i8259_ignne(const struct i8259 *s)
{
    return s->ignne;
}

static void write_f0(struct i8259 *s)
{
    s->ignne = s->ferr;
    i8259_set_line(s, COPROCESSOR_LINE, 0);
}

bool i8259_intr(const struct i8259 *s)
{
    return pending_master(s) != 8;
}

uint8_t i8259_acknowledge(struct i8259 *s)
{
    unsigned slave = pending_slave(s);
    unsigned ir = pending_master(s);

    take(&s->pic[0], ir);
    if (ir == 8)
        return s->pic[0].vector_base + SPURIOUS_IR;
    if (ir != CASCADE_IR)
        return (uint8_t)(s->pic[0].vector_base + ir);
    take(&s->pic[1], slave);
    return (uint8_t)(s->pic[1].vector_base + (slave == 8 ? SPURIOUS_IR : slave));
}

int i8259_line_of_vector(const struct i8259 *s, uint8_t vector)
{
    for (int i = 0; i < 2; i++)
        if (s->pic[i].ready && (vector & 0xf8) == s->pic[i].vector_base)
            return 8 * i + (vector & 7);
    return -1;
}

bool i8259_can_interrupt(const struct i8259 *s)
{
    const struct i8259_pic *m = &s->pic[0], *sl = &s->pic[1];
    unsigned open = (uint8_t)~m->imr;

    if (!m->ready || m->init_step)
        return false;
    if (!sl->ready || sl->init_step || sl->imr == 0xFF)
        open &= ~bit(CASCADE_IR);
    return open != 0;
}

static void write_icw1(struct i8259_pic *p, uint8_t v)
{
    p->irr = p->isr = p->imr = 0;
    p->top = 0;
    p->special_mask = p->read_isr = p->poll = p->rotate_aeoi = 0;
    p->icw4 = 0;
    p->ready = 0;
    p->init_icw1 = v;
    p->init_step = 2;
}

static void end_init(struct i8259_pic *p)
{
    p->init_step = 0;
    p->ready = 1;
}

static void write_icw(struct i8259_pic *p, uint8_t v)
{
    switch (p->init_step) {
    case 2:
        p->vector_base = v & 0xF8;
        p->init_step = 3;
        if (!(p->init_icw1 & ICW1_SNGL))
            return;
        break;
    case 3:
        p->icw3 = v;
        break;
    default:
        p->icw4 = v & 0x1F;
        end_init(p);
        return;
    }
    if (p->init_icw1 & ICW1_IC4)
        p->init_step = 4;
    else
        end_init(p);
}

static void write_ocw2(struct i8259_pic *p, uint8_t v)
{
    /* In special mask mode a non-specific EOI leaves the masked levels in service. */
    unsigned in_service = p->special_mask ? p->isr & ~p->imr : p->isr;
    unsigned ir = v & OCW2_SL ? v & 7u : highest(p, in_service);

    if (!(v & OCW2_EOI)) {
        if ((v & (OCW2_R | OCW2_SL)) == (OCW2_R | OCW2_SL))
            p->top = (ir + 1) & 7;
        else if (!(v & OCW2_SL))
            p->rotate_aeoi = (v & OCW2_R) != 0;
        return;
    }
    if (ir == 8) /* an EOI with nothing in service is harmless */
        return;
    p->isr &= ~bit(ir);
    if (v & OCW2_R)
        p->top = (ir + 1) & 7;
}

static void write_ocw3(struct i8259_pic *p, uint8_t v)
{
    if (v & OCW3_ESMM)
        p->special_mask = (v & OCW3_SMM) != 0;
    if (v & OCW3_RR)
        p->read_isr = (v & OCW3_RIS) != 0;
    p->poll = (v & OCW3_P) != 0;
}

static void write_cmd(struct i8259_pic *p, uint8_t v)
{
    if (v & ICW1_INIT)
        write_icw1(p, v);
    else if (v & OCW3)
        write_ocw3(p, v);
    else
        write_ocw2(p, v);
}

static void write_data(struct i8259_pic *p, uint8_t v)
{
    if (p->init_step)
        write_icw(p, v);
    else
        p->imr = v;
}

void i8259_write(struct i8259 *s, uint32_t offset, uint32_t value)
{
    uint8_t v = (uint8_t)value;

    switch (offset) {
    case I8259_OFF_MASTER_CMD:
    case I8259_OFF_SLAVE_CMD:
        write_cmd(&s->pic[offset >> 1], v);
        break;
    case I8259_OFF_MASTER_DATA:
    case I8259_OFF_SLAVE_DATA:
        write_data(&s->pic[offset >> 1], v);
        break;
    case I8259_OFF_ELCR1: /* IRQ 0, 1 and the cascade are edges for ever */
        s->pic[0].elcr = v & 0xF8;
        break;
    case I8259_OFF_ELCR2: /* so are IRQ 8 and 13 */
        s->pic[1].elcr = v & 0xDE;
        break;
    case I8259_OFF_COPROCESSOR:
        write_f0(s);
        break;
    default:
        break;
    }
}

/* Data sheet, "initialization command words" and "operation command words"; ICW3: the PC's wiring. */
static const char *command_error(const struct i8259_pic *p, uint8_t v)
{
    if ((v & ICW1_INIT) && (v & ICW1_SNGL))
        return "ICW1 says that there is one 8259, there are two";
    if ((v & ICW1_INIT) && !(v & ICW1_IC4))
        return "ICW1 without ICW4, for an 8080";
    if (!(v & ICW1_INIT) && p->init_step)
        return "OCW before the last ICW";
    return (v & (ICW1_INIT | OCW3 | 0x80)) == (OCW3 | 0x80) ? "OCW3 with bit 7 set" : NULL;
}

static const char *data_error(const struct i8259_pic *p, bool slave, uint8_t v)
{
    if (p->init_step == 3 && v != (slave ? CASCADE_IR : 1u << CASCADE_IR))
        return "ICW3 is not how the two are wired";
    if (p->init_step == 4 && !(v & ICW4_8086))
        return "ICW4 for an 8080";
    return p->init_step == 4 && (v & 0xE0) ? "ICW4 with reserved bits set" : NULL;
}

static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct i8259 *s = state;
    uint8_t v = (uint8_t)value;

    (void)size;
    if (offset > I8259_OFF_SLAVE_DATA)
        return NULL;
    const struct i8259_pic *p = &s->pic[offset >> 1];
    return offset & 1 ? data_error(p, offset >> 1, v) : command_error(p, v);
}

/* A poll is an INTA cycle whose vector goes over the data bus. */
static uint8_t poll(struct i8259 *s, unsigned half)
{
    unsigned ir = half ? pending_slave(s) : pending_master(s);

    s->pic[half].poll = 0;
    take(&s->pic[half], ir);
    return ir == 8 ? 0 : (uint8_t)(0x80 | ir);
}

static uint8_t read_irr(const struct i8259 *s, unsigned half)
{
    const struct i8259_pic *p = &s->pic[half];
    unsigned cascade = !half && pending_slave(s) != 8 ? bit(CASCADE_IR) : 0;

    return (uint8_t)(p->irr | (p->lines & p->elcr) | cascade);
}

uint32_t i8259_read(struct i8259 *s, uint32_t offset)
{
    unsigned half = (offset >> 1) & 1;

    if (offset == I8259_OFF_ELCR1 || offset == I8259_OFF_ELCR2)
        return s->pic[offset - I8259_OFF_ELCR1].elcr;
    if (offset > I8259_OFF_ELCR2)
        return 0xFF;
    if (s->pic[half].poll)
        return poll(s, half);
    if (offset & 1)
        return s->pic[half].imr;
    return s->pic[half].read_isr ? s->pic[half].isr : read_irr(s, half);
}

static void class_reset(void *s, uint64_t now_ns)
{
    (void)now_ns;
    i8259_reset(s);
}

static uint32_t class_read(void *s, uint32_t offset, unsigned size, uint64_t now_ns)
{
    (void)size;
    (void)now_ns;
    return i8259_read(s, offset);
}

static void class_write(void *s, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    (void)size;
    (void)now_ns;
    i8259_write(s, offset, value);
}

#define PIC_FIELDS(n)                                                                                        \
    FIELD(struct i8259, pic[n].irr), FIELD(struct i8259, pic[n].isr), FIELD(struct i8259, pic[n].imr),       \
        FIELD(struct i8259, pic[n].lines), FIELD(struct i8259, pic[n].elcr),                                 \
        FIELD(struct i8259, pic[n].vector_base), FIELD(struct i8259, pic[n].icw3),                           \
        FIELD(struct i8259, pic[n].icw4), FIELD_MAX(struct i8259, pic[n].init_step, 4),                      \
        FIELD(struct i8259, pic[n].init_icw1), FIELD(struct i8259, pic[n].ready),                            \
        FIELD_MAX(struct i8259, pic[n].top, 7), FIELD(struct i8259, pic[n].rotate_aeoi),                     \
        FIELD(struct i8259, pic[n].special_mask), FIELD(struct i8259, pic[n].read_isr),                      \
        FIELD(struct i8259, pic[n].poll)

static const struct field fields[] = {PIC_FIELDS(0), PIC_FIELDS(1), FIELD(struct i8259, ferr),
                                      FIELD(struct i8259, ignne)};

const struct chip_class i8259_class = {
    .name = "i8259",
    .state_bytes = sizeof(struct i8259),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = class_reset,
    .read = class_read,
    .write = class_write,
    .write_error = write_error,
};
