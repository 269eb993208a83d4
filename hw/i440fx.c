/* i440fx.c - PCI configuration mechanism 1 and the configuration registers of bus 0 (Intel 82441FX
 * data sheet, order 290549; 82371SB PIIX3, order 290550; 82371AB PIIX4, order 290562).
 *
 * Model: the address register at CF8h (dword accesses only) selects a function and a register, and
 * CFCh..CFFh read and write its bytes. Every function is 256 bytes and a mask of the bits that
 * software may change; the tables below list both, everything else is 0 and read-only. Absent
 * functions and disabled cycles read all ones. No function has a BAR, so sizing reads 0.
 * A byte access to CF9h is the PIIX3's reset control register: a rise of RCPU resets the machine.
 * The machine boots without firmware, so what firmware would set up is there after reset: PMBASE
 * at 600h, enabled; SCI on IRQ9; the PIRQ routes are off. PMBASE is fixed: it cannot be moved.
 *
 * NOT MODELLED: what the registers do (PAM shadowing, SMRAM, PIRQ routing, X-bus chip selects),
 * status bits, the PIIX IDE and USB functions, SMBus. */
#include "hw/i440fx.h"

#include "hw/piix4_pm.h"

#define CONFADD_ENABLE   0x80000000u
#define CONFADD_WRITABLE 0x80FFFFFCu
#define CF9_RCPU         0x04
#define CF9_SRST         0x02

struct pci_reg {
    uint8_t function, reg;
    uint8_t value; /* after reset */
    uint8_t mask;  /* writable bits */
};

#define HOST I440FX_FN_HOST
#define ISA  I440FX_FN_ISA
#define PM   I440FX_FN_PM

/* One register pair a line. */
/* clang-format off */
static const struct pci_reg regs[] = {
    {HOST, 0x00, 0x86, 0},    {HOST, 0x01, 0x80, 0},    /* vendor: Intel */
    {HOST, 0x02, 0x37, 0},    {HOST, 0x03, 0x12, 0},    /* device: 82441FX */
    {HOST, 0x04, 0x06, 0x40}, {HOST, 0x05, 0x00, 0x01}, /* PCICMD: PERRE, SERRE */
    {HOST, 0x06, 0x80, 0},    {HOST, 0x07, 0x02, 0},    /* PCISTS */
    {HOST, 0x08, 0x02, 0},    {HOST, 0x0B, 0x06, 0},    /* revision; class 06 00 00 */
    {HOST, 0x0D, 0x00, 0xF8},                           /* MLT */
    {HOST, 0x50, 0x00, 0xFF}, {HOST, 0x51, 0x01, 0xFF}, /* PMCCFG */
    {HOST, 0x57, 0x01, 0xFF}, {HOST, 0x58, 0x10, 0xFF}, /* DRAMC, DRAMT */
    {HOST, 0x59, 0x00, 0xFF}, {HOST, 0x5A, 0x00, 0xFF}, /* PAM0..PAM6 */
    {HOST, 0x5B, 0x00, 0xFF}, {HOST, 0x5C, 0x00, 0xFF},
    {HOST, 0x5D, 0x00, 0xFF}, {HOST, 0x5E, 0x00, 0xFF},
    {HOST, 0x5F, 0x00, 0xFF}, {HOST, 0x72, 0x02, 0x78}, /* SMRAM */

    {ISA, 0x00, 0x86, 0},     {ISA, 0x01, 0x80, 0},
    {ISA, 0x02, 0x00, 0},     {ISA, 0x03, 0x70, 0},     /* device: PIIX3 ISA bridge */
    {ISA, 0x04, 0x07, 0x08},  {ISA, 0x05, 0x00, 0x01},
    {ISA, 0x06, 0x80, 0},     {ISA, 0x07, 0x02, 0},
    {ISA, 0x0A, 0x01, 0},     {ISA, 0x0B, 0x06, 0},     /* class 06 01 00 */
    {ISA, 0x0E, 0x80, 0},                               /* multi-function */
    {ISA, 0x4C, 0x4D, 0xFF},  {ISA, 0x4E, 0x03, 0xFF},  /* IORT, XBCS */
    {ISA, 0x60, 0x80, 0x8F},  {ISA, 0x61, 0x80, 0x8F},  /* PIRQRCA..D: bit 7 routes nothing */
    {ISA, 0x62, 0x80, 0x8F},  {ISA, 0x63, 0x80, 0x8F},
    {ISA, 0x69, 0x02, 0xFF},                            /* TOM */

    {PM, 0x00, 0x86, 0},      {PM, 0x01, 0x80, 0},
    {PM, 0x02, 0x13, 0},      {PM, 0x03, 0x71, 0},      /* device: PIIX4 power management */
    {PM, 0x04, 0x00, 0x01},                             /* PCICMD: I/O space */
    {PM, 0x06, 0x80, 0},      {PM, 0x07, 0x02, 0},
    {PM, 0x08, 0x03, 0},                                /* revision */
    {PM, 0x0A, 0x80, 0},      {PM, 0x0B, 0x06, 0},      /* class 06 80 00 */
    {PM, 0x3C, 0x09, 0xFF},   {PM, 0x3D, 0x01, 0},      /* interrupt line, pin A */
    {PM, 0x40, (PIIX4_PM_BASE & 0xC0) | 1, 0}, /* PMBA: I/O space */
    {PM, 0x41, PIIX4_PM_BASE >> 8, 0},
    {PM, 0x80, 0x01, 0x01},                             /* PMREGMISC: PMIOSE */
    {PM, 0x90, 0x01, 0},                                /* SMBBA: not set up */
};
/* clang-format on */

/* Function addressed by CONFADD; I440FX_FN_COUNT: none. */
static unsigned addressed_function(uint32_t address)
{
    if (!(address & CONFADD_ENABLE))
        return I440FX_FN_COUNT;
    switch (address >> 8 & 0xFFFF) { /* bus 23..16, device 15..11, function 10..8 */
    case 0x00 << 3 | 0:
        return I440FX_FN_HOST;
    case 0x01 << 3 | 0:
        return I440FX_FN_ISA;
    case 0x01 << 3 | 3:
        return I440FX_FN_PM;
    default:
        return I440FX_FN_COUNT;
    }
}

static uint8_t writable_mask(unsigned function, unsigned reg)
{
    for (unsigned i = 0; i < sizeof regs / sizeof regs[0]; i++)
        if (regs[i].function == function && regs[i].reg == reg)
            return regs[i].mask;
    return 0;
}

uint8_t i440fx_config_peek(const struct i440fx *s, unsigned function, unsigned reg)
{
    return function < I440FX_FN_COUNT && reg < 256 ? s->cfg[function * 256 + reg] : 0;
}

static uint8_t data_byte(const struct i440fx *s, uint32_t offset)
{
    unsigned function = addressed_function(s->address);

    if (function == I440FX_FN_COUNT || offset > 7)
        return 0xFF;
    return s->cfg[function * 256 + (s->address & 0xFC) + (offset & 3)];
}

static void write_data_byte(struct i440fx *s, uint32_t offset, uint8_t v)
{
    unsigned function = addressed_function(s->address);
    unsigned reg = (s->address & 0xFC) + (offset & 3);

    if (function == I440FX_FN_COUNT || offset > 7)
        return;
    uint8_t *byte = &s->cfg[function * 256 + reg];
    uint8_t mask = writable_mask(function, reg);
    *byte = (uint8_t)((*byte & ~mask) | (v & mask));
}

static void write_reset_control(struct i440fx *s, uint8_t v)
{
    if (v & ~s->reset_control & CF9_RCPU)
        s->request |= HW_REQUEST_RESET;
    s->reset_control = v & (CF9_RCPU | CF9_SRST);
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct i440fx *s = state;
    uint32_t v = 0;

    (void)now_ns;
    if (offset == I440FX_OFF_ADDRESS && size == 4)
        return s->address;
    if (offset == I440FX_OFF_RESET && size == 1)
        return s->reset_control;
    if (offset < I440FX_OFF_DATA)
        return UINT32_MAX;
    for (unsigned i = 0; i < size && i < 4; i++)
        v |= (uint32_t)data_byte(s, offset + i) << (8 * i);
    return v;
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    return pure_read(state, offset, size, now_ns);
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct i440fx *s = state;

    (void)now_ns;
    if (offset == I440FX_OFF_ADDRESS && size == 4)
        s->address = value & CONFADD_WRITABLE;
    else if (offset == I440FX_OFF_RESET && size == 1)
        write_reset_control(s, (uint8_t)value);
    for (unsigned i = 0; offset >= I440FX_OFF_DATA && i < size && i < 4; i++)
        write_data_byte(s, offset + i, (uint8_t)(value >> (8 * i)));
}

static void reset(void *state, uint64_t now_ns)
{
    struct i440fx *s = state;

    (void)now_ns;
    *s = (struct i440fx){0};
    for (unsigned i = 0; i < sizeof regs / sizeof regs[0]; i++)
        s->cfg[regs[i].function * 256 + regs[i].reg] = regs[i].value;
}

uint32_t i440fx_take_request(struct i440fx *s)
{
    uint32_t request = s->request;

    s->request = 0;
    return request;
}

static const struct chip_field fields[] = {
    CHIP_FIELD(struct i440fx, address),
    CHIP_FIELD(struct i440fx, reset_control),
    CHIP_FIELD(struct i440fx, request),
    CHIP_ARRAY(struct i440fx, cfg),
};

const struct chip_class i440fx_class = {
    .name = "i440fx",
    .state_bytes = sizeof(struct i440fx),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .pure_read = pure_read,
};
