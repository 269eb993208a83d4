/* piix4_pm.c - ACPI fixed hardware of the 82371AB (PIIX4 data sheet, order 290562, chapter 7; ACPI 1.0, 4.7).
 *
 * Model: the PM timer is count_at(now, 3579545), 24 bits of it. TMROF_STS is set whenever bit 23
 * changes, that is every 2^23 counts since time zero; changes since tmr_epochs are pending and
 * count as set, so the status is right whenever it is read, and an event is needed only while the
 * timer is enabled to raise SCI. SCI is a level: SCI_EN and any enabled status. APMC (B2h) plays
 * the firmware's part of the hand-over: F1h sets SCI_EN, F0h clears it. SLP_EN with the S5 type
 * powers off.
 *
 * NOT MODELLED: sleep states but S5, SMI, device monitors, throttling (PCNTRL and the registers
 * above 10h read 0), sources of GPSTS, RTC_STS from the RTC's alarm, the bus-master status bit. */
#include "hw/piix4_pm.h"

#include "clockcore/ticks.h"
#include "hw/leak.h"

#define PM1_TMROF         0x0001
#define PM1_GBL           0x0020
#define PM1_PWRBTN        0x0100
#define PM1_RTC           0x0400
#define PM1_RSM_STS       0x8000
#define PM1_STS_BITS      (PM1_TMROF | PM1_GBL | PM1_PWRBTN | PM1_RTC | PM1_RSM_STS)
#define PM1_EN_BITS       (PM1_TMROF | PM1_GBL | PM1_PWRBTN | PM1_RTC)
#define CNT_SCI_EN        0x0001
#define CNT_BRLD_EN_BM    0x0002
#define CNT_SUS_TYP_SHIFT 10
#define CNT_SUS_TYP       0x1C00
#define CNT_SUS_EN        0x2000
#define CNT_WRITABLE      (CNT_BRLD_EN_BM | CNT_SUS_TYP)
#define GP_BITS           0x0F01 /* LID, RI, GPI, USB, THRM */
#define TMR_EPOCH_BITS    23
#define TMR_MASK          0xFFFFFF

static uint64_t epochs_at(uint64_t now_ns)
{
    return count_at(now_ns, PIIX4_PM_TIMER_HZ) >> TMR_EPOCH_BITS;
}

static uint16_t status_at(const struct piix4_pm *s, uint64_t now_ns)
{
    return s->pm1_sts | (epochs_at(now_ns) != s->tmr_epochs ? PM1_TMROF : 0);
}

static void settle(struct piix4_pm *s, uint64_t now_ns)
{
    s->pm1_sts = status_at(s, now_ns);
    s->tmr_epochs = epochs_at(now_ns);
}

static void schedule(struct piix4_pm *s)
{
    bool wanted = (s->pm1_cnt & CNT_SCI_EN) && (s->pm1_en & PM1_TMROF) && !(s->pm1_sts & PM1_TMROF);

    s->next_ns = wanted ? count_ns((s->tmr_epochs + 1) << TMR_EPOCH_BITS, PIIX4_PM_TIMER_HZ) : NS_NEVER;
}

static uint8_t byte_of(uint16_t v, uint32_t offset)
{
    return (uint8_t)(v >> (8 * (offset & 1)));
}

static uint8_t pure_byte(const struct piix4_pm *s, uint32_t offset, uint64_t now_ns)
{
    switch (offset & ~1u) {
    case PIIX4_PM_OFF_PM1_STS:
        return byte_of(status_at(s, now_ns), offset);
    case PIIX4_PM_OFF_PM1_EN:
        return byte_of(s->pm1_en, offset);
    case PIIX4_PM_OFF_PM1_CNT:
        return byte_of(s->pm1_cnt, offset);
    case PIIX4_PM_OFF_TMR:
    case PIIX4_PM_OFF_TMR + 2:
        return (uint8_t)((count_at(now_ns, PIIX4_PM_TIMER_HZ) & TMR_MASK) >> (8 * (offset & 3)));
    case PIIX4_PM_OFF_GPSTS:
        return byte_of(s->gpsts, offset);
    case PIIX4_PM_OFF_GPEN:
        return byte_of(s->gpen, offset);
    case PIIX4_PM_OFF_APMC:
        return offset == PIIX4_PM_OFF_APMC ? s->apmc : s->apms;
    default:
        return offset < PIIX4_PM_BYTES ? 0 : 0xFF;
    }
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    uint32_t v = 0;

    if (offset == PIIX4_PM_OFF_TMR && size == 4) /* the one that guests poll */
        return leak_count((uint32_t)count_at(now_ns, PIIX4_PM_TIMER_HZ) & TMR_MASK);
    for (unsigned i = 0; i < size && i < 4; i++)
        v |= (uint32_t)pure_byte(state, offset + i, now_ns) << (8 * i);
    return v;
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    return pure_read(state, offset, size, now_ns);
}

/* SLP_TYP and SLP_EN share a byte; SLP_EN is write-only. */
static void write_sleep(struct piix4_pm *s, uint16_t v)
{
    if ((v & CNT_SUS_EN) && (v & CNT_SUS_TYP) >> CNT_SUS_TYP_SHIFT == PIIX4_PM_SLP_TYP_S5)
        s->request |= HW_REQUEST_POWEROFF;
}

static void write_apmc(struct piix4_pm *s, uint8_t v)
{
    s->apmc = v;
    if (v == PIIX4_PM_ACPI_ENABLE)
        s->pm1_cnt |= CNT_SCI_EN;
    else if (v == PIIX4_PM_ACPI_DISABLE)
        s->pm1_cnt &= ~CNT_SCI_EN;
}

static void write_byte(struct piix4_pm *s, uint32_t offset, uint8_t byte)
{
    unsigned shift = 8 * (offset & 1);
    uint16_t lane = (uint16_t)(0xFF << shift), v = (uint16_t)(byte << shift);

    switch (offset & ~1u) {
    case PIIX4_PM_OFF_PM1_STS: /* written ones clear */
        s->pm1_sts &= ~(v & PM1_STS_BITS);
        break;
    case PIIX4_PM_OFF_PM1_EN:
        s->pm1_en = (s->pm1_en & ~lane) | (v & PM1_EN_BITS);
        break;
    case PIIX4_PM_OFF_PM1_CNT:
        s->pm1_cnt = (s->pm1_cnt & ~(lane & CNT_WRITABLE)) | (v & CNT_WRITABLE);
        if (shift)
            write_sleep(s, v);
        break;
    case PIIX4_PM_OFF_GPSTS:
        s->gpsts &= ~v;
        break;
    case PIIX4_PM_OFF_GPEN:
        s->gpen = (s->gpen & ~lane) | (v & GP_BITS);
        break;
    case PIIX4_PM_OFF_APMC:
        if (shift)
            s->apms = byte;
        else
            write_apmc(s, byte);
        break;
    default:
        break;
    }
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct piix4_pm *s = state;

    settle(s, now_ns);
    for (unsigned i = 0; i < size && i < 4; i++)
        write_byte(s, offset + i, (uint8_t)(value >> (8 * i)));
    schedule(s);
}

static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    unsigned high = 8 * (PIIX4_PM_OFF_PM1_CNT + 1 - offset);

    (void)state;
    if (offset > PIIX4_PM_OFF_PM1_CNT + 1 || offset + size < PIIX4_PM_OFF_PM1_CNT + 2)
        return NULL;
    uint32_t v = (value >> high & 0xFF) << 8;
    return (v & CNT_SUS_EN) && (v & CNT_SUS_TYP) >> CNT_SUS_TYP_SHIFT != PIIX4_PM_SLP_TYP_S5
               ? "a sleep type other than soft off"
               : NULL;
}

static void advance(void *state, uint64_t now_ns)
{
    settle(state, now_ns);
    schedule(state);
}

static uint64_t next_event(const void *state)
{
    return ((const struct piix4_pm *)state)->next_ns;
}

static uint32_t outputs(const void *state)
{
    const struct piix4_pm *s = state;

    return (s->pm1_cnt & CNT_SCI_EN) && ((s->pm1_sts & s->pm1_en) || (s->gpsts & s->gpen));
}

uint32_t piix4_pm_take_request(struct piix4_pm *s)
{
    uint32_t request = s->request;

    s->request = 0;
    return request;
}

/* ACPI 1.0, 4.7.2.2.1: the status is set whether SCI_EN is or not. */
static void power_button(struct piix4_pm *s, uint64_t now_ns)
{
    settle(s, now_ns);
    s->pm1_sts |= PM1_PWRBTN;
    schedule(s);
}

void piix4_pm_button(struct piix4_pm *s, uint8_t button, uint64_t now_ns)
{
    if (button == PORT_BUTTON_POWER)
        power_button(s, now_ns);
    else if (button == PORT_BUTTON_RESET)
        s->request |= HW_REQUEST_RESET;
    else if (button == PORT_BUTTON_NMI)
        s->request |= HW_REQUEST_NMI;
}

static void reset(void *state, uint64_t now_ns)
{
    struct piix4_pm *s = state;

    *s = (struct piix4_pm){0};
    s->tmr_epochs = epochs_at(now_ns);
    s->next_ns = NS_NEVER;
}

static const struct field fields[] = {
    FIELD(struct piix4_pm, next_ns), FIELD(struct piix4_pm, tmr_epochs), FIELD(struct piix4_pm, pm1_sts),
    FIELD(struct piix4_pm, pm1_en),  FIELD(struct piix4_pm, pm1_cnt),    FIELD(struct piix4_pm, gpsts),
    FIELD(struct piix4_pm, gpen),    FIELD(struct piix4_pm, apmc),       FIELD(struct piix4_pm, apms),
    FIELD(struct piix4_pm, request),
};

const struct chip_class piix4_pm_class = {
    .name = "piix4_pm",
    .state_bytes = sizeof(struct piix4_pm),
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
