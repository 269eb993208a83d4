/* i440fx.c - PCI configuration mechanism 1 and the configuration registers of bus 0 (Intel 82441FX
 * data sheet, order 290549; 82371SB PIIX3, order 290550; 82371AB PIIX4, order 290562).
 *
 * Model: the address register at CF8h (dword accesses only) selects a function and a register, and
 * CFCh..CFFh read and write its bytes. What a function has is in its table (pci.h): here those of the
 * chip set, in their own files those of other chips. Absent functions and disabled cycles read all ones.
 * The PIRQ route registers 60h..63h of the PIIX3 send INTA#..INTD# to an ISA line (290550, PIRQRC[A:D]: bit 7
 * turns a route off; lines 0, 1, 2, 8 and 13 are reserved, here they are routes to nowhere).
 * A byte access to CF9h is the PIIX3's reset control register: a rise of RCPU resets the machine.
 * A reset leaves what the data sheets say, and one table of presets[]. Without firmware that is what firmware
 * would have set up: PMBASE at 600h, enabled; SCI on IRQ9; C0000-FFFFF is RAM (PAM0..PAM6). With firmware it
 * is what SeaBIOS looks for: the subsystem of the host bridge that tells it of an emulator with fw_cfg, and
 * APMC_EN of the PIIX4, from which it concludes that SMM is set up and needs no handler of its own.
 *
 * NOT MODELLED: what other registers do (SMRAM, X-bus chip selects),
 * status bits, the PIIX USB function, SMBus. */
#include "hw/i440fx.h"

#include "hw/board.h"
#include "hw/e1000.h"
#include "hw/pci.h"
#include "hw/piix4_pm.h"
#include "hw/piix_ide.h"
#include "hw/toypci.h"
#include "hw/vga.h"
#include "hw/virtio_blk.h"
#include "hw/virtio_net.h"

#define CONFADD_ENABLE   0x80000000u
#define CONFADD_WRITABLE 0x80FFFFFCu
#define CF9_RCPU         0x04
#define CF9_SRST         0x02

#define HOST_PAM0    0x59
#define PM_PMBA      0x40
#define PM_PMREGMISC 0x80
#define PMIOSE       0x01
#define ISA_PIRQRC   0x60 /* four of them */
#define PIRQRC_OFF   0x80
#define PIRQRC_LINE  0x0F
#define PIRQRC_LINES 0xDEF8u /* a bit for each line that may be routed to */

/* One register pair a line. */
/* clang-format off */
static const struct pci_reg host_regs[] = {
    {0x00, 0x86, 0},    {0x01, 0x80, 0},    /* vendor: Intel */
    {0x02, 0x37, 0},    {0x03, 0x12, 0},    /* device: 82441FX */
    {0x04, 0x06, 0x40}, {0x05, 0x00, 0x01}, /* PCICMD: PERRE, SERRE */
    {0x06, 0x80, 0},    {0x07, 0x02, 0},    /* PCISTS */
    {0x08, 0x02, 0},    {0x0B, 0x06, 0},    /* revision; class 06 00 00 */
    {0x0D, 0x00, 0xF8},                     /* MLT */
    {0x50, 0x00, 0xFF}, {0x51, 0x01, 0xFF}, /* PMCCFG */
    {0x57, 0x01, 0xFF}, {0x58, 0x10, 0xFF}, /* DRAMC, DRAMT */
    {0x59, 0x00, 0xFF}, {0x5A, 0x00, 0xFF}, /* PAM0..PAM6: no RAM */
    {0x5B, 0x00, 0xFF}, {0x5C, 0x00, 0xFF},
    {0x5D, 0x00, 0xFF}, {0x5E, 0x00, 0xFF},
    {0x5F, 0x00, 0xFF}, {0x72, 0x02, 0x78}, /* SMRAM */
};

static const struct pci_reg isa_regs[] = {
    {0x00, 0x86, 0},     {0x01, 0x80, 0},
    {0x02, 0x00, 0},     {0x03, 0x70, 0},   /* device: PIIX3 ISA bridge */
    {0x04, 0x07, 0x08},  {0x05, 0x00, 0x01},
    {0x06, 0x80, 0},     {0x07, 0x02, 0},
    {0x0A, 0x01, 0},     {0x0B, 0x06, 0},   /* class 06 01 00 */
    {0x0E, 0x80, 0},                        /* multi-function */
    {0x4C, 0x4D, 0xFF},  {0x4E, 0x03, 0xFF}, /* IORT, XBCS */
    {0x60, 0x80, 0x8F},  {0x61, 0x80, 0x8F}, /* PIRQRCA..D */
    {0x62, 0x80, 0x8F},  {0x63, 0x80, 0x8F},
    {0x69, 0x02, 0xFF},                     /* TOM */
};

static const struct pci_reg pm_regs[] = {
    {0x00, 0x86, 0},      {0x01, 0x80, 0},
    {0x02, 0x13, 0},      {0x03, 0x71, 0},  /* device: PIIX4 power management */
    {0x04, 0x00, 0x01},                     /* PCICMD: I/O space */
    {0x06, 0x80, 0},      {0x07, 0x02, 0},
    {0x08, 0x03, 0},                        /* revision */
    {0x0A, 0x80, 0},      {0x0B, 0x06, 0},  /* class 06 80 00 */
    {0x3C, 0x00, 0xFF},   {0x3D, 0x01, 0},  /* interrupt line, pin A */
    {0x40, 0x01, 0xC0},   {0x41, 0x00, 0xFF}, /* PMBA: I/O space */
    {0x58, 0x00, 0xFF},   {0x59, 0x00, 0xFF}, /* DEVACTB: what it enables is not modelled */
    {0x5A, 0x00, 0xFF},   {0x5B, 0x00, 0xFF},
    {0x80, 0x00, 0x01},                     /* PMREGMISC: PMIOSE */
    {0x90, 0x01, 0},                        /* SMBBA: not set up */
};

struct preset {
    uint8_t function, reg, value;
};

static const struct preset as_after_firmware[] = {
    {I440FX_FN_HOST, 0x59, 0x30}, {I440FX_FN_HOST, 0x5A, 0x33}, {I440FX_FN_HOST, 0x5B, 0x33},
    {I440FX_FN_HOST, 0x5C, 0x33}, {I440FX_FN_HOST, 0x5D, 0x33}, {I440FX_FN_HOST, 0x5E, 0x33},
    {I440FX_FN_HOST, 0x5F, 0x33},
    {I440FX_FN_PM, PCI_INTERRUPT_LINE, PIIX4_PM_SCI_IRQ},
    {I440FX_FN_PM, PM_PMBA, (PIIX4_PM_BASE & 0xC0) | 1},
    {I440FX_FN_PM, PM_PMBA + 1, PIIX4_PM_BASE >> 8},
    {I440FX_FN_PM, PM_PMREGMISC, PMIOSE},
    {I440FX_FN_IDE, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER},
    {I440FX_FN_IDE, PCI_BAR0 + 4 * PIIX_IDE_BAR, 0xA1}, /* the bus masters are at FFA0h */
    {I440FX_FN_IDE, PCI_BAR0 + 4 * PIIX_IDE_BAR + 1, 0xFF},
    {I440FX_FN_IDE, 0x41, 0x80}, {I440FX_FN_IDE, 0x43, 0x80}, /* IDETIM: both channels are decoded */
    {I440FX_FN_VGA, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY},
    {I440FX_FN_VGA, PCI_BAR0 + 4 * VGA_BAR + 3, 0xFD}, /* the frame buffer is at FD000000h */
};

static const struct preset for_firmware[] = {
    {I440FX_FN_HOST, 0x2C, 0xF4}, {I440FX_FN_HOST, 0x2D, 0x1A}, /* subsystem 1AF4:1100 */
    {I440FX_FN_HOST, 0x2E, 0x00}, {I440FX_FN_HOST, 0x2F, 0x11},
    {I440FX_FN_PM, 0x5B, 0x02},                                 /* DEVACTB: APMC_EN, bit 25 */
};
/* clang-format on */

#define REGS(table) .regs = table, .nregs = sizeof(table) / sizeof(table)[0]

static const struct pci_function host = {.devfn = PCI_DEVFN(0, 0), REGS(host_regs)};
static const struct pci_function isa = {.devfn = PCI_DEVFN(1, 0), REGS(isa_regs)};
static const struct pci_function pm = {.devfn = PCI_DEVFN(1, 3), REGS(pm_regs)};

static const struct pci_function *const functions[I440FX_FN_COUNT] = {
    [I440FX_FN_HOST] = &host,
    [I440FX_FN_ISA] = &isa,
    [I440FX_FN_PM] = &pm,
    [I440FX_FN_TOY] = &toypci_function,
    [I440FX_FN_VIRTIO0] = &virtio_blk_function[0],
    [I440FX_FN_VIRTIO0 + 1] = &virtio_blk_function[1],
    [I440FX_FN_VIRTIO0 + 2] = &virtio_blk_function[2],
    [I440FX_FN_VIRTIO0 + 3] = &virtio_blk_function[3],
    [I440FX_FN_IDE] = &piix_ide_function,
    [I440FX_FN_E1000_0] = &e1000_function[0],
    [I440FX_FN_E1000_0 + 1] = &e1000_function[1],
    [I440FX_FN_E1000_0 + 2] = &e1000_function[2],
    [I440FX_FN_E1000_0 + 3] = &e1000_function[3],
    [I440FX_FN_VIRTIO_NET0] = &virtio_net_function[0],
    [I440FX_FN_VIRTIO_NET0 + 1] = &virtio_net_function[1],
    [I440FX_FN_VIRTIO_NET0 + 2] = &virtio_net_function[2],
    [I440FX_FN_VIRTIO_NET0 + 3] = &virtio_net_function[3],
    [I440FX_FN_VGA] = &vga_function,
};
#define CHIP_SET (1u << I440FX_FN_HOST | 1u << I440FX_FN_ISA | 1u << I440FX_FN_PM | 1u << I440FX_FN_IDE)

_Static_assert((int)I440FX_FN_COUNT < (int)I440FX_FNS_MAX, "fitted and rom_log2 have room");

static bool is_there(const struct i440fx *s, unsigned function)
{
    return function < I440FX_FN_COUNT && ((CHIP_SET | s->fitted) >> function & 1);
}

/* Function addressed by CONFADD; I440FX_FN_COUNT: none. */
static unsigned addressed_function(const struct i440fx *s)
{
    if (!(s->address & CONFADD_ENABLE))
        return I440FX_FN_COUNT;
    for (unsigned n = 0; n < I440FX_FN_COUNT; n++)
        if (is_there(s, n) &&
            (s->address >> 8 & 0xFFFF) == functions[n]->devfn) /* bus 23..16, device 15..11, function 10..8 */
            return n;
    return I440FX_FN_COUNT;
}

/* 290549, 3.2.13: PAM0 has one region in its upper half, PAM1 to PAM6 have two each; bit 0 of a half: reads
 * go to RAM, bit 1: writes do. */
uint32_t i440fx_pam(const struct i440fx *s, unsigned region)
{
    if (region >= I440FX_PAM_REGIONS)
        return 0;
    unsigned half = region + 1; /* counted from PAM0's lower half, which is reserved */
    return s->cfg[I440FX_FN_HOST * PCI_CONFIG_BYTES + HOST_PAM0 + half / 2] >> (half % 2 * 4) & 3;
}

/* 290562, 7.1: PMBA bits 15..6; PMREGMISC's PMIOSE alone turns it on. */
bool i440fx_pm_decoded(const struct i440fx *s, uint32_t *address)
{
    const uint8_t *cfg = &s->cfg[I440FX_FN_PM * PCI_CONFIG_BYTES];

    *address = (uint32_t)cfg[PM_PMBA + 1] << 8 | (cfg[PM_PMBA] & 0xC0);
    return cfg[PM_PMREGMISC] & PMIOSE;
}

const struct pci_function *i440fx_function(const struct i440fx *s, unsigned function)
{
    return is_there(s, function) ? functions[function] : NULL;
}

uint8_t i440fx_config_peek(const struct i440fx *s, unsigned function, unsigned reg)
{
    return function < I440FX_FN_COUNT && reg < 256 ? s->cfg[function * PCI_CONFIG_BYTES + reg] : 0;
}

static uint8_t data_byte(const struct i440fx *s, uint32_t offset)
{
    unsigned function = addressed_function(s);

    if (function == I440FX_FN_COUNT || offset > 7)
        return 0xFF;
    return s->cfg[function * PCI_CONFIG_BYTES + (s->address & 0xFC) + (offset & 3)];
}

static void write_data_byte(struct i440fx *s, uint32_t offset, uint8_t v)
{
    unsigned function = addressed_function(s);
    unsigned reg = (s->address & 0xFC) + (offset & 3);

    if (function == I440FX_FN_COUNT || offset > 7)
        return;
    if (reg >= PCI_ROM_BASE && reg < PCI_ROM_BASE + 4)
        pci_write_rom(&s->cfg[function * PCI_CONFIG_BYTES], reg, v, s->rom_log2[function]);
    else
        pci_write(functions[function], &s->cfg[function * PCI_CONFIG_BYTES], reg, v);
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

/* A read of a function that is not there is how software looks for one; 290549, 3.2.1: reserved bits of
 * CONFADD. */
static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct i440fx *s = state;

    if (offset == I440FX_OFF_ADDRESS && size == 4 && (value & ~CONFADD_WRITABLE))
        return "CONFADD with reserved bits set";
    if (offset < I440FX_OFF_DATA || addressed_function(s) != I440FX_FN_COUNT)
        return NULL;
    return s->address & CONFADD_ENABLE ? "configuration write to a function that is not there"
                                       : "configuration write without CONFADD's enable bit";
}

static void reset_with(struct i440fx *s, const struct preset *p, size_t n)
{
    *s = (struct i440fx){0};
    for (unsigned f = 0; f < I440FX_FN_COUNT; f++)
        pci_reset(functions[f], &s->cfg[f * PCI_CONFIG_BYTES]);
    for (size_t i = 0; i < n; i++)
        s->cfg[p[i].function * PCI_CONFIG_BYTES + p[i].reg] = p[i].value;
}

static void reset(void *state, uint64_t now_ns)
{
    (void)now_ns;
    reset_with(state, as_after_firmware, sizeof(as_after_firmware) / sizeof(as_after_firmware[0]));
}

static void reset_for_firmware(void *state, uint64_t now_ns)
{
    (void)now_ns;
    reset_with(state, for_firmware, sizeof(for_firmware) / sizeof(for_firmware[0]));
}

unsigned i440fx_pirq_route(const struct i440fx *s, unsigned pirq)
{
    uint8_t route = s->cfg[I440FX_FN_ISA * PCI_CONFIG_BYTES + ISA_PIRQRC + pirq % BOARD_PIRQS];
    unsigned line = route & PIRQRC_LINE;

    return route & PIRQRC_OFF || !(PIRQRC_LINES >> line & 1) ? BOARD_NO_LINE : line;
}

bool i440fx_bar_decoded(const struct i440fx *s, unsigned function, unsigned n, uint32_t *address)
{
    if (!is_there(s, function) || n > PCI_BAR_ROM)
        return false;
    const uint8_t *cfg = &s->cfg[function * PCI_CONFIG_BYTES];
    return n == PCI_BAR_ROM ? pci_rom_decoded(cfg, s->rom_log2[function], address)
                            : pci_bar_decoded(functions[function], cfg, n, address);
}

bool i440fx_may_master(const struct i440fx *s, unsigned function)
{
    return is_there(s, function) && pci_may_master(&s->cfg[function * PCI_CONFIG_BYTES]);
}

bool i440fx_ide_decoded(const struct i440fx *s, unsigned channel)
{
    return piix_ide_decoded(&s->cfg[I440FX_FN_IDE * PCI_CONFIG_BYTES], channel);
}

uint32_t i440fx_take_request(struct i440fx *s)
{
    uint32_t request = s->request;

    s->request = 0;
    return request;
}

static const struct field fields[] = {
    FIELD(struct i440fx, address),        FIELD(struct i440fx, reset_control),
    FIELD(struct i440fx, request),        FIELD_MAX(struct i440fx, fitted, (1u << I440FX_FN_COUNT) - 1),
    FIELD_ARRAY(struct i440fx, rom_log2), FIELD_ARRAY(struct i440fx, cfg),
};

#define CLASS(reset_fn)                                                                                      \
    {                                                                                                        \
        .name = "i440fx", .state_bytes = sizeof(struct i440fx), .fields = fields,                            \
        .nfields = sizeof fields / sizeof fields[0], .reset = (reset_fn), .read = read_reg,                  \
        .write = write_reg, .write_error = write_error, .pure_read = pure_read                               \
    }

const struct chip_class i440fx_class = CLASS(reset);
const struct chip_class i440fx_firmware_class = CLASS(reset_for_firmware);
