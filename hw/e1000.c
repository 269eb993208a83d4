/* e1000.c - see e1000.h: the map of registers, statistics, interrupts, resets. Section numbers are those of
 * order 317453.
 *
 * Interrupts: causes gather in ICR; INTA# is asserted while one of them is in IMS. ITR holds its next
 * assertion back until the interval since the last one has passed (13.4.18).
 * The link is up as long as CTRL.SLU is set; LSC comes when it is set.
 *
 * NOT MODELLED: flash memory (BAR 1), wake-up, manageability, loopback, TBI mode, message signalled
 * interrupts, diagnostic registers from 2410h on and the packet buffer at 10000h (they read as 0). */
#include "hw/e1000_internal.h"

#include <string.h>

/* --- configuration space (4.1) --- */

/* clang-format off */
static const struct pci_reg config[] = {
    {PCI_VENDOR, 0x86, 0}, {PCI_VENDOR + 1, 0x80, 0}, {PCI_DEVICE, 0x0E, 0}, {PCI_DEVICE + 1, 0x10, 0},
    {PCI_COMMAND, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | 0x10}, {PCI_COMMAND + 1, 0, 0x05},
    {PCI_STATUS, 0x20, 0}, {PCI_STATUS + 1, 0x02, 0}, /* 66 MHz, medium DEVSEL */
    {PCI_REVISION, 0x02, 0}, {PCI_CLASS + 1, 0x02, 0}, /* class 02 00 00 */
    {0x0C, 0, 0xFF}, {0x0D, 0, 0xF8},                  /* cache line, latency timer */
    {0x2C, 0x86, 0}, {0x2D, 0x80, 0}, {0x2E, 0x1E, 0}, /* subsystem 8086:001E */
    {PCI_INTERRUPT_LINE, 0, 0xFF}, {PCI_INTERRUPT_PIN, 1, 0},
    {0x3E, 0xFF, 0},                                   /* MIN_GNT */
};
/* clang-format on */

#define FUNCTION(n)                                                                                          \
    {                                                                                                        \
        .devfn = PCI_DEVFN(NIC_SLOT(n), 0), .regs = config, .nregs = sizeof(config) / sizeof(config[0]),     \
        .bar = {                                                                                             \
            [0] = {.bytes = E1000_BAR_BYTES},                                                                \
            [E1000_IO_BAR] = {.bytes = E1000_IO_BYTES, .io = true}                                           \
        }                                                                                                    \
    }
const struct pci_function e1000_function[NIC_SLOTS] = {FUNCTION(0), FUNCTION(1), FUNCTION(2), FUNCTION(3)};

/* --- registers --- */

enum {
    REG_CTRL = 0x0000,
    REG_CTRL_DUP = 0x0004,
    REG_STATUS = 0x0008,
    REG_EECD = 0x0010,
    REG_EERD = 0x0014,
    REG_MDIC = 0x0020,
    REG_ICR = 0x00C0,
    REG_ITR = 0x00C4,
    REG_ICS = 0x00C8,
    REG_IMS = 0x00D0,
    REG_IMC = 0x00D8,
    REG_RCTL = 0x0100,
    REG_TCTL = 0x0400,
    REG_RDTR = 0x2820,
    REG_TIDV = 0x3820,
    REG_RXCSUM = 0x5000,
    REG_STATS = 0x4000,
    REG_MTA = 0x5200,
    REG_RA = 0x5400,
    REG_VFTA = 0x5600,
};

enum { STATUS_FD = 1 << 0, STATUS_LU = 1 << 1, STATUS_SPEED_1000 = 2 << 6, STATUS_ASDV_1000 = 2 << 8 };

/* Registers that are words of the state, and the bits of them that software may change. What else a write
 * does is in written(). */
static const struct map {
    uint16_t reg, offset;
    uint32_t mask;
} map[] = {
    {REG_CTRL, offsetof(struct e1000, ctrl), ~(CTRL_RST | CTRL_PHY_RST)},
    {REG_CTRL_DUP, offsetof(struct e1000, ctrl), ~(CTRL_RST | CTRL_PHY_RST)},
    {0x0018, offsetof(struct e1000, ctrl_ext), 0x00FFFFFF},
    {0x0028, offsetof(struct e1000, fcal), UINT32_MAX},
    {0x002C, offsetof(struct e1000, fcah), 0xFFFF},
    {0x0030, offsetof(struct e1000, fct), 0xFFFF},
    {0x0038, offsetof(struct e1000, vet), 0xFFFF},
    {REG_ITR, offsetof(struct e1000, itr), 0xFFFF},
    {REG_IMS, offsetof(struct e1000, ims), 0},
    {REG_RCTL, offsetof(struct e1000, rctl), 0x06DFFFFE},
    {0x0170, offsetof(struct e1000, fcttv), 0xFFFF},
    {0x0178, offsetof(struct e1000, txcw), UINT32_MAX},
    {REG_TCTL, offsetof(struct e1000, tctl), 0x03FFFFFA},
    {0x0410, offsetof(struct e1000, tipg), 0x3FFFFFFF},
    {0x0458, offsetof(struct e1000, ait), 0xFFFF},
    {0x0E00, offsetof(struct e1000, ledctl), UINT32_MAX},
    {0x1000, offsetof(struct e1000, pba), 0xFFFF},
    {0x2160, offsetof(struct e1000, fcrtl), 0x8000FFF8},
    {0x2168, offsetof(struct e1000, fcrth), 0xFFF8},
    {0x2800, offsetof(struct e1000, rdbal), 0xFFFFFFF0},
    {0x2804, offsetof(struct e1000, rdbah), UINT32_MAX},
    {0x2808, offsetof(struct e1000, rdlen), 0x000FFF80},
    {0x2810, offsetof(struct e1000, rdh), 0xFFFF},
    {0x2818, offsetof(struct e1000, rdt), 0xFFFF},
    {REG_RDTR, offsetof(struct e1000, rdtr), DELAY_MASK},
    {0x2828, offsetof(struct e1000, rxdctl), 0x013F3F3F},
    {0x282C, offsetof(struct e1000, radv), DELAY_MASK},
    {0x2C00, offsetof(struct e1000, rsrpd), 0xFFF},
    {0x3800, offsetof(struct e1000, tdbal), 0xFFFFFFF0},
    {0x3804, offsetof(struct e1000, tdbah), UINT32_MAX},
    {0x3808, offsetof(struct e1000, tdlen), 0x000FFF80},
    {0x3810, offsetof(struct e1000, tdh), 0xFFFF},
    {0x3818, offsetof(struct e1000, tdt), 0xFFFF},
    {REG_TIDV, offsetof(struct e1000, tidv), DELAY_MASK},
    {0x3828, offsetof(struct e1000, txdctl), 0xFF3F3F3F},
    {0x382C, offsetof(struct e1000, tadv), DELAY_MASK},
    {0x3830, offsetof(struct e1000, tspmt), UINT32_MAX},
    {REG_RXCSUM, offsetof(struct e1000, rxcsum), 0x7FF},
    {0x5800, offsetof(struct e1000, wuc), 0xFF},
    {0x5808, offsetof(struct e1000, wufc), 0xFFFFF},
    {0x5820, offsetof(struct e1000, manc), UINT32_MAX},
    {0x5838, offsetof(struct e1000, ipav), 0x1FFFF},
};

static const struct map *find(uint32_t reg)
{
    for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
        if (map[i].reg == reg)
            return &map[i];
    return NULL;
}

static uint32_t *word(struct e1000 *s, const struct map *m)
{
    return (uint32_t *)(void *)((uint8_t *)s + m->offset);
}

/* An element of an array of registers; NULL: the register is in none. */
static uint32_t *element(struct e1000 *s, uint32_t reg)
{
    if (reg >= REG_MTA && reg < REG_MTA + sizeof(s->mta))
        return &s->mta[(reg - REG_MTA) / 4];
    if (reg >= REG_RA && reg < REG_RA + sizeof(s->ra))
        return &s->ra[(reg - REG_RA) / 4];
    if (reg >= REG_VFTA && reg < REG_VFTA + sizeof(s->vfta))
        return &s->vfta[(reg - REG_VFTA) / 4];
    return NULL;
}

static bool is_stat(uint32_t reg)
{
    return reg >= REG_STATS && reg < REG_STATS + 4 * E1000_STATS;
}

static uint32_t status(const struct e1000 *s)
{
    return STATUS_FD | STATUS_SPEED_1000 | STATUS_ASDV_1000 | (s->ctrl & CTRL_SLU ? STATUS_LU : 0);
}

static uint32_t get(const struct e1000 *state, uint32_t reg)
{
    struct e1000 *s = (struct e1000 *)(uintptr_t)state; /* nothing is changed */
    const struct map *m = find(reg);
    const uint32_t *e = element(s, reg);

    if (m)
        return *word(s, m);
    if (e)
        return *e;
    if (is_stat(reg))
        return s->stats[(reg - REG_STATS) / 4];
    switch (reg) {
    case REG_STATUS:
        return status(s);
    case REG_EECD:
        return e1000_read_eecd(s);
    case REG_EERD:
        return s->eerd;
    case REG_MDIC:
        return s->mdic;
    case REG_ICR:
        return s->icr;
    default:
        return 0;
    }
}

/* --- statistics: they stop at their highest value, and a read clears them (13.7) --- */

void e1000_count(struct e1000 *s, unsigned stat, uint32_t n)
{
    s->stats[stat] = s->stats[stat] > UINT32_MAX - n ? UINT32_MAX : s->stats[stat] + n;
}

void e1000_count64(struct e1000 *s, unsigned stat, uint32_t n)
{
    uint64_t v = (uint64_t)s->stats[stat + 1] << 32 | s->stats[stat];

    v = v > UINT64_MAX - n ? UINT64_MAX : v + n;
    s->stats[stat] = (uint32_t)v;
    s->stats[stat + 1] = (uint32_t)(v >> 32);
}

void e1000_count_size(struct e1000 *s, unsigned stat_64, uint32_t bytes)
{
    static const uint16_t most[] = {64, 127, 255, 511, 1023};
    unsigned n = 0;

    while (n < sizeof(most) / sizeof(most[0]) && bytes > most[n])
        n++;
    e1000_count(s, stat_64 + n, 1);
}

/* --- interrupts --- */

static void pin_settle(struct e1000 *s, uint64_t now_ns)
{
    if (!(s->icr & s->ims)) {
        s->asserted = 0;
    } else if (!s->asserted && now_ns >= s->itr_ns) {
        s->asserted = 1;
        s->itr_ns = s->itr ? now_ns + s->itr * UINT64_C(256) : 0;
    }
}

void e1000_raise(struct e1000 *s, uint32_t causes, uint64_t now_ns)
{
    s->icr |= causes & ICR_CAUSES;
    pin_settle(s, now_ns);
}

static uint32_t outputs(const void *state)
{
    return ((const struct e1000 *)state)->asserted;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_event(const void *state)
{
    const struct e1000 *s = state;
    uint64_t next = least(least(s->rdt_ns, s->rad_ns), least(s->tid_ns, s->tad_ns));

    return s->icr & s->ims && !s->asserted ? least(next, s->itr_ns) : next;
}

static void receive_delay_over(struct e1000 *s, uint64_t now_ns)
{
    s->rdt_ns = s->rad_ns = NS_NEVER;
    e1000_raise(s, ICR_RXT0, now_ns);
}

static void transmit_delay_over(struct e1000 *s, uint64_t now_ns)
{
    s->tid_ns = s->tad_ns = NS_NEVER;
    e1000_raise(s, ICR_TXDW, now_ns);
}

static void advance(void *state, uint64_t now_ns)
{
    struct e1000 *s = state;

    if (least(s->rdt_ns, s->rad_ns) <= now_ns)
        receive_delay_over(s, now_ns);
    if (least(s->tid_ns, s->tad_ns) <= now_ns)
        transmit_delay_over(s, now_ns);
    pin_settle(s, now_ns);
}

/* --- accesses --- */

static void mac_reset(struct e1000 *s)
{
    const uint16_t *mac = s->eeprom;

    memset(&s->ctrl, 0, offsetof(struct e1000, ee_in) - offsetof(struct e1000, ctrl));
    s->ctrl = CTRL_FD | CTRL_SLU | CTRL_SPEED_1000;
    s->mdic = 1u << 28; /* ready */
    s->eerd = 1u << 4;
    s->pba = 0x00100030; /* KiB: of the transmitter, of the receiver */
    s->vet = 0x8100;
    s->tipg = 0x00602008;
    s->ledctl = 0x07068302;
    s->rxcsum = 0x300;
    s->ra[0] = mac[0] | (uint32_t)mac[1] << 16;
    s->ra[1] = mac[2] | 1u << 31;
    s->ee_in = s->ee_clocks = s->asserted = 0;
    s->itr_ns = s->burst_ns = 0;
    e1000_tx_reset(s);
    e1000_rx_reset(s);
}

static void write_ctrl(struct e1000 *s, uint32_t before, uint32_t value, uint64_t now_ns)
{
    if (value & CTRL_PHY_RST)
        e1000_phy_reset(s);
    if (value & CTRL_RST)
        mac_reset(s);
    else if (s->ctrl & ~before & CTRL_SLU)
        e1000_raise(s, ICR_LSC, now_ns);
    e1000_rx_arm(s, now_ns);
}

/* A shorter interval holds nothing back any longer than itself. */
static void write_itr(struct e1000 *s, uint64_t now_ns)
{
    s->itr_ns = least(s->itr_ns, s->itr ? now_ns + s->itr * UINT64_C(256) : 0);
    pin_settle(s, now_ns);
}

/* A register has been written: what follows from it. */
static void written(struct e1000 *s, uint32_t reg, uint32_t before, uint32_t value, uint64_t now_ns)
{
    switch (reg) {
    case REG_CTRL:
    case REG_CTRL_DUP:
        write_ctrl(s, before, value, now_ns);
        return;
    case REG_ITR:
        write_itr(s, now_ns);
        return;
    case REG_IMS:
        s->ims |= value & ICR_CAUSES;
        pin_settle(s, now_ns);
        return;
    case REG_RDTR: /* 13.4.30: FPD */
        if (value & DELAY_FPD && least(s->rdt_ns, s->rad_ns) != NS_NEVER)
            receive_delay_over(s, now_ns);
        return;
    case REG_TIDV:
        if (value & DELAY_FPD && least(s->tid_ns, s->tad_ns) != NS_NEVER)
            transmit_delay_over(s, now_ns);
        return;
    default:
        e1000_tx_arm(s, now_ns);
        e1000_rx_arm(s, now_ns);
    }
}

static void set(struct e1000 *s, uint32_t reg, uint32_t value, uint64_t now_ns)
{
    const struct map *m = find(reg);
    uint32_t *e = element(s, reg);

    if (m) {
        uint32_t before = *word(s, m);
        *word(s, m) = (before & ~m->mask) | (value & m->mask);
        written(s, reg, before, value, now_ns);
    } else if (e) {
        *e = value;
    } else if (reg == REG_EECD) {
        e1000_write_eecd(s, value);
    } else if (reg == REG_EERD) {
        e1000_write_eerd(s, value);
    } else if (reg == REG_MDIC) {
        e1000_write_mdic(s, value, now_ns);
    } else if (reg == REG_ICR || reg == REG_IMC) {
        uint32_t *w = reg == REG_ICR ? &s->icr : &s->ims;
        *w &= ~value;
        pin_settle(s, now_ns);
    } else if (reg == REG_ICS) {
        e1000_raise(s, value, now_ns);
    }
}

/* 13.3: IOADDR says which register IODATA is. Registers are dwords. Below it, a register's own offset. */
static uint32_t register_of(const struct e1000 *s, uint32_t offset)
{
    if (offset < E1000_OFF_IO)
        return offset & ~3u;
    return offset >> 2 == (E1000_OFF_IO + 4) >> 2 && s->ioaddr < E1000_OFF_IO ? s->ioaddr & ~3u : UINT32_MAX;
}

static bool is_ioaddr(uint32_t offset)
{
    return offset >> 2 == E1000_OFF_IO >> 2;
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    const struct e1000 *s = state;
    uint32_t v = is_ioaddr(offset) ? s->ioaddr : get(s, register_of(s, offset));

    (void)now_ns;
    (void)size;
    return v >> 8 * (offset & 3);
}

static bool read_changes(const void *state, uint32_t offset)
{
    const struct e1000 *s = state;
    uint32_t reg = register_of(s, offset);

    return (reg == REG_ICR || is_stat(reg)) && get(s, reg);
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct e1000 *s = state;
    uint32_t reg = register_of(s, offset), v = pure_read(s, offset, size, now_ns);

    if (reg == REG_ICR) {
        s->icr = 0;
        pin_settle(s, now_ns);
    } else if (is_stat(reg)) {
        s->stats[(reg - REG_STATS) / 4] = 0;
    }
    return v;
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct e1000 *s = state;

    if (size != 4 || offset & 3)
        return;
    if (is_ioaddr(offset))
        s->ioaddr = value;
    else
        set(s, register_of(s, offset), value, now_ns);
}

static bool is_known(struct e1000 *s, uint32_t reg)
{
    static const uint16_t others[] = {REG_STATUS, REG_EECD, REG_EERD, REG_MDIC, REG_ICR, REG_ICS, REG_IMC};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (others[i] == reg)
            return true;
    return find(reg) || element(s, reg) || is_stat(reg);
}

static const char *ring_error(const struct e1000 *s, uint32_t reg, uint32_t value)
{
    if ((reg == 0x2810 && s->rctl & RCTL_EN) || (reg == 0x3810 && s->tctl & TCTL_EN))
        return "the head of a ring written while the ring runs";
    if ((reg == 0x2818 && value >= s->rdlen / 16 && s->rctl & RCTL_EN) ||
        (reg == 0x3818 && value >= s->tdlen / 16 && s->tctl & TCTL_EN))
        return "the tail of a ring set outside of it";
    if ((reg == 0x2808 || reg == 0x3808) && value & ~0x000FFF80u)
        return "the length of a ring is no multiple of 128 bytes";
    if ((reg == 0x2800 || reg == 0x3800) && value & 15)
        return "a ring that is not aligned to 16 bytes";
    return NULL;
}

static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    struct e1000 *s = (struct e1000 *)(uintptr_t)state; /* nothing is changed */
    uint32_t reg = register_of(s, offset);

    if (size != 4 || offset & 3)
        return "a write that is no dword";
    if (is_ioaddr(offset))
        return value < E1000_BAR_BYTES ? NULL : "IOADDR beyond the registers";
    if (reg == REG_STATUS || is_stat(reg))
        return "a register that is read-only";
    if (!is_known(s, reg))
        return "a register that is not modelled";
    return ring_error(s, reg, value);
}

/* --- memory --- */

static uint64_t next_master(const void *state)
{
    const struct e1000 *s = state;

    return least(s->tx_ns, s->rx_ns);
}

/* Without memory (bus mastering is off) everything waits for the driver's next word. */
static void master(void *state, const struct chip_master *m, uint64_t now_ns)
{
    struct e1000 *s = state;

    if (!m->memory) {
        s->tx_ns = s->rx_ns = NS_NEVER;
        return;
    }
    if (s->tx_ns <= now_ns)
        e1000_tx_master(s, m->memory, now_ns);
    if (s->rx_ns <= now_ns)
        e1000_rx_master(s, m->memory, now_ns);
}

/* --- life --- */

static void reset(void *state, uint64_t now_ns)
{
    (void)now_ns;
    memset(state, 0, sizeof(struct e1000));
    e1000_phy_reset(state);
    mac_reset(state);
}

void e1000_fit(struct e1000 *s, const uint8_t mac[NIC_MAC_BYTES])
{
    reset(s, 0);
    e1000_eeprom_fill(s, mac);
    mac_reset(s);
}

void e1000_reset_pin(struct e1000 *s, uint64_t now_ns)
{
    (void)now_ns;
    s->ioaddr = 0;
    e1000_phy_reset(s);
    mac_reset(s);
}

#define F(member)       FIELD(struct e1000, member)
#define A(member)       FIELD_ARRAY(struct e1000, member)
#define M(member, most) FIELD_MAX(struct e1000, member, most)
/* clang-format off */
static const struct field fields[] = {
    F(tx_ns), F(rx_ns), F(tx_wire_ns), F(rx_wire_ns), F(burst_ns), F(rdt_ns), F(rad_ns), F(tid_ns), F(tad_ns),
    F(itr_ns), F(ctrl), F(ctrl_ext), F(eecd), F(eerd), F(mdic), F(fcal), F(fcah), F(fct), F(fcttv), F(vet), F(icr),
    F(ims), F(itr), F(rctl), F(tctl), F(txcw), F(tipg), F(ait), F(ledctl), F(pba), F(fcrtl), F(fcrth), F(rdbal),
    F(rdbah), M(rdlen, 0xFFF80), F(rdh), F(rdt), F(rdtr), F(rxdctl), F(radv), F(rsrpd), F(tdbal), F(tdbah),
    M(tdlen, 0xFFF80), F(tdh), F(tdt), F(tidv), F(txdctl), F(tadv), F(tspmt), F(rxcsum), F(wuc), F(wufc), F(ipav),
    F(manc), F(ioaddr), A(mta), A(vfta), A(ra), A(stats), F(ee_in), F(ee_clocks), A(eeprom), A(phy), A(context),
    A(tx_first), M(tx_used, 0xFFFFF), M(tx_bytes, E1000_FRAME_MAX + 1), F(tx_segment), M(tx_in_packet, 1),
    M(out_head, E1000_OUT_BYTES), M(out_tail, E1000_OUT_BYTES), M(rx_head, E1000_RX_FIFO_BYTES),
    M(rx_tail, E1000_RX_FIFO_BYTES), M(asserted, 1), F(reserved), A(tx_header), A(tx), A(out), A(rx),
};
/* clang-format on */

const struct chip_class e1000_class = {
    .name = "82540EM",
    .state_bytes = sizeof(struct e1000),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .write_error = write_error,
    .pure_read = pure_read,
    .read_changes = read_changes,
    .advance = advance,
    .next_event = next_event,
    .outputs = outputs,
    .next_master = next_master,
    .master = master,
};
