/* e1000_eeprom.c - what the 82540EM has beside itself: a Microwire EEPROM of 64 words, and its PHY.
 *
 * The EEPROM is read by EERD, which has the word at once, or bit by bit through EECD: a bit is taken over at
 * each rise of SK while CS is high: a start bit, two of the command, six of the address; then the word leaves
 * on DO, highest bit first (5.4.1, and the 93C46 family's data sheets). The PHY answers MDIC at once.
 *
 * NOT MODELLED: writes of the EEPROM (it is as if they were protected), the time that both take, what PHY
 * registers do: the link is there, 1000 Mb/s and full duplex. */
#include "hw/e1000_internal.h"

#include <string.h>

enum { /* 13.4.3 */
       EECD_SK = 1 << 0,
       EECD_CS = 1 << 1,
       EECD_DI = 1 << 2,
       EECD_DO = 1 << 3,
       EECD_FWE = 3 << 4,
       EECD_REQ = 1 << 6,
       EECD_GNT = 1 << 7,
       EECD_PRES = 1 << 8,
};
#define EECD_WRITABLE (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ)
#define COMMAND_BITS  9u /* start, two of the command, six of the address */
#define COMMAND_READ  6u /* with its start bit */
#define WORD_BITS     16u

enum { EERD_START = 1 << 0, EERD_DONE = 1 << 4 };

/* Table 5-2: words of the EEPROM. */
enum { EE_SUBSYSTEM = 0x0B, EE_SUBVENDOR = 0x0C, EE_DEVICE = 0x0D, EE_VENDOR = 0x0E, EE_CHECKSUM = 0x3F };
#define EE_SUM 0xBABA /* of all words */

void e1000_eeprom_fill(struct e1000 *s, const uint8_t mac[NIC_MAC_BYTES])
{
    uint16_t sum = 0;

    memset(s->eeprom, 0, sizeof(s->eeprom));
    for (unsigned i = 0; i < NIC_MAC_BYTES / 2; i++)
        s->eeprom[i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
    s->eeprom[EE_SUBSYSTEM] = 0x001E;
    s->eeprom[EE_SUBVENDOR] = s->eeprom[EE_VENDOR] = 0x8086;
    s->eeprom[EE_DEVICE] = 0x100E;
    for (unsigned i = 0; i < EE_CHECKSUM; i++)
        sum = (uint16_t)(sum + s->eeprom[i]);
    s->eeprom[EE_CHECKSUM] = (uint16_t)(EE_SUM - sum);
}

/* --- EECD --- */

/* Bits behind the last start bit count: what comes before it is idle. */
static void clock_rises(struct e1000 *s, bool di)
{
    if (s->ee_clocks == 0 && !di)
        return;
    if (s->ee_clocks < COMMAND_BITS)
        s->ee_in = s->ee_in << 1 | di;
    if (s->ee_clocks < COMMAND_BITS + WORD_BITS)
        s->ee_clocks++;
}

void e1000_write_eecd(struct e1000 *s, uint32_t value)
{
    bool rises = value & ~s->eecd & EECD_SK;

    s->eecd = value & EECD_WRITABLE;
    if (!(value & EECD_CS))
        s->ee_in = s->ee_clocks = 0;
    else if (rises)
        clock_rises(s, value & EECD_DI);
}

/* The bit on DO: ready (1) before a command, 0 behind the last bit of an address, then the word. */
static bool data_out(const struct e1000 *s)
{
    if (s->ee_clocks < COMMAND_BITS)
        return true;
    if (s->ee_in >> 6 != COMMAND_READ || s->ee_clocks == COMMAND_BITS)
        return s->ee_in >> 6 != COMMAND_READ;
    uint32_t bit = s->ee_clocks - COMMAND_BITS;
    return bit <= WORD_BITS && s->eeprom[s->ee_in % E1000_EEPROM_WORDS] >> (WORD_BITS - bit) & 1;
}

uint32_t e1000_read_eecd(const struct e1000 *s)
{
    return s->eecd | EECD_PRES | (s->eecd & EECD_REQ ? EECD_GNT : 0) | (data_out(s) ? EECD_DO : 0);
}

void e1000_write_eerd(struct e1000 *s, uint32_t value)
{
    uint32_t address = value >> 8 & 0xFF;

    if (!(value & EERD_START))
        return;
    s->eerd = address << 8 | EERD_DONE;
    s->eerd |= (uint32_t)s->eeprom[address % E1000_EEPROM_WORDS] << 16;
}

/* --- PHY --- */

enum { /* 13.4.7 */
       MDIC_PHY = 1,
       MDIC_WRITE = 1,
       MDIC_READ = 2,
       MDIC_READY = 1 << 28,
       MDIC_INTERRUPT = 1 << 29,
       MDIC_ERROR = 1 << 30,
};

enum { /* table 12-1; IEEE 802.3, 22.2.4 */
       PHY_CONTROL = 0,
       PHY_ANAR = 4,
       PHY_1000T_CONTROL = 9,
       PHY_SPEC_CONTROL = 16,
       PHY_EXT_SPEC_CONTROL = 20,
};
#define CONTROL_RESET   0x8000
#define CONTROL_RESTART 0x0200
#define PHY_WRITABLE                                                                                         \
    (1u << PHY_CONTROL | 1u << PHY_ANAR | 1u << 7 | 1u << PHY_1000T_CONTROL | 1u << PHY_SPEC_CONTROL |       \
     1u << 18 | 1u << PHY_EXT_SPEC_CONTROL | 1u << 24 | 1u << 29 | 1u << 30)

void e1000_phy_reset(struct e1000 *s)
{
    static const uint16_t values[E1000_PHY_REGS] = {
        [PHY_CONTROL] = 0x1140, /* auto-negotiation, full duplex, 1000 Mb/s */
        [1] = 0x796D,           /* all of 10 and 100 Mb/s; extended status; negotiated; the link is up */
        [2] = 0x0141,           /* PHY ID: that of the 82540's */
        [3] = 0x0C25,
        [PHY_ANAR] = 0x0DE1, /* 10, 100, PAUSE */
        [5] = 0x4DE1,        /* the partner's, acknowledged */
        [6] = 0x000D,        /* it negotiates; a page was received */
        [PHY_1000T_CONTROL] = 0x0E00,
        [10] = 0x3C00, /* both receivers are good; the partner has 1000BASE-T, full and half */
        [15] = 0x3000, /* 1000BASE-T, full and half */
        [PHY_SPEC_CONTROL] = 0x0068,
        [17] = 0xAC08, /* 1000 Mb/s, full duplex, resolved, link */
        [PHY_EXT_SPEC_CONTROL] = 0x0D60,
    };

    memcpy(s->phy, values, sizeof(values));
}

static void phy_write(struct e1000 *s, unsigned reg, uint16_t value)
{
    if (!(PHY_WRITABLE >> reg & 1))
        return;
    if (reg == PHY_CONTROL && value & CONTROL_RESET)
        e1000_phy_reset(s);
    else
        s->phy[reg] = reg == PHY_CONTROL ? value & (uint16_t)~CONTROL_RESTART : value;
}

void e1000_write_mdic(struct e1000 *s, uint32_t value, uint64_t now_ns)
{
    unsigned reg = value >> 16 & 31, phy = value >> 21 & 31, op = value >> 26 & 3;
    uint32_t error = 0;

    if (phy != MDIC_PHY || (op != MDIC_WRITE && op != MDIC_READ))
        error = MDIC_ERROR;
    else if (op == MDIC_WRITE)
        phy_write(s, reg, (uint16_t)value);
    else
        value = (value & ~0xFFFFu) | s->phy[reg];
    s->mdic = (value & 0x2FFFFFFF) | MDIC_READY | error;
    if (value & MDIC_INTERRUPT)
        e1000_raise(s, ICR_MDAC, now_ns);
}
