/* e1000_internal.h - what the files of the 82540EM share. */
#ifndef TANDEM_HW_E1000_INTERNAL_H
#define TANDEM_HW_E1000_INTERNAL_H

#include "hw/e1000.h"

#include "clockcore/ticks.h"

struct mem_master;

enum { /* 13.4.1 */
       CTRL_FD = 1u << 0,
       CTRL_SLU = 1u << 6,
       CTRL_SPEED_1000 = 2u << 8,
       CTRL_RST = 1u << 26,
       CTRL_VME = 1u << 30,
};
#define CTRL_PHY_RST (1u << 31)

enum { /* 13.4.17: causes of interrupts */
       ICR_TXDW = 1u << 0,
       ICR_TXQE = 1u << 1,
       ICR_LSC = 1u << 2,
       ICR_RXDMT0 = 1u << 4,
       ICR_RXT0 = 1u << 7,
       ICR_MDAC = 1u << 9,
       ICR_SRPD = 1u << 16,
};
#define ICR_CAUSES 0x1FFFFu

enum { /* 13.4.22 */
       RCTL_EN = 1u << 1,
       RCTL_UPE = 1u << 3,
       RCTL_MPE = 1u << 4,
       RCTL_LPE = 1u << 5,
       RCTL_BAM = 1u << 15,
       RCTL_VFE = 1u << 18,
       RCTL_CFIEN = 1u << 19,
       RCTL_CFI = 1u << 20,
       RCTL_BSEX = 1u << 25,
       RCTL_SECRC = 1u << 26,
};
enum { TCTL_EN = 1u << 1 };
#define DELAY_FPD  (1u << 31) /* RDTR, TIDV: what waits happens now */
#define DELAY_MASK 0xFFFFu
#define DELAY_NS   1024u /* 13.4.30: a unit of RDTR, RADV, TIDV, TADV is 1.024 us */
#define VLAN_BYTES 4u

/* Statistics, by number (e1000.h). */
enum {
    STAT_MPC = 0x10 / 4,
    STAT_PRC64 = 0x5C / 4,
    STAT_GPRC = 0x74 / 4,
    STAT_BPRC = 0x78 / 4,
    STAT_MPRC = 0x7C / 4,
    STAT_GPTC = 0x80 / 4,
    STAT_GORC = 0x88 / 4, /* low, high */
    STAT_GOTC = 0x90 / 4,
    STAT_RNBC = 0xA0 / 4,
    STAT_RUC = 0xA4 / 4,
    STAT_ROC = 0xAC / 4,
    STAT_TOR = 0xC0 / 4,
    STAT_TOT = 0xC8 / 4,
    STAT_TPR = 0xD0 / 4,
    STAT_TPT = 0xD4 / 4,
    STAT_PTC64 = 0xD8 / 4,
    STAT_MPTC = 0xF0 / 4,
    STAT_BPTC = 0xF4 / 4,
    STAT_TSCTC = 0xF8 / 4,
};

/* Time on the wire: preamble and start (8 bytes), FCS (4) and gap (12) come with each frame; a byte is 8 ns
 * (IEEE 802.3, 1000BASE-T). `bytes` without FCS; no frame is shorter than 60. */
static inline uint64_t e1000_wire_ns(uint32_t bytes)
{
    return (uint64_t)((bytes < 60 ? 60 : bytes) + 24) * 8;
}

/* Descriptors of a ring; 0: it does not run, because it has none or an index is outside of it. */
static inline uint32_t e1000_ring(uint32_t bytes, uint32_t head, uint32_t tail)
{
    uint32_t n = bytes / 16;

    return head < n && tail < n ? n : 0;
}

/* --- e1000.c --- */
void e1000_count(struct e1000 *s, unsigned stat, uint32_t n);
void e1000_count64(struct e1000 *s, unsigned stat, uint32_t n);
/* A good frame: its size class, and what else both directions count. `bytes` with FCS. */
void e1000_count_size(struct e1000 *s, unsigned stat_64, uint32_t bytes);
/* Causes of interrupts, at once. */
void e1000_raise(struct e1000 *s, uint32_t causes, uint64_t now_ns);

/* --- e1000_eeprom.c --- */
void e1000_eeprom_fill(struct e1000 *s, const uint8_t mac[NIC_MAC_BYTES]);
void e1000_write_eecd(struct e1000 *s, uint32_t value);
uint32_t e1000_read_eecd(const struct e1000 *s);
void e1000_write_eerd(struct e1000 *s, uint32_t value);
void e1000_write_mdic(struct e1000 *s, uint32_t value, uint64_t now_ns);
void e1000_phy_reset(struct e1000 *s);

/* --- e1000_tx.c, e1000_rx.c --- */
void e1000_tx_reset(struct e1000 *s);
void e1000_tx_arm(struct e1000 *s, uint64_t now_ns); /* registers have changed: is there something to read? */
void e1000_tx_master(struct e1000 *s, const struct mem_master *m, uint64_t now_ns);
void e1000_rx_reset(struct e1000 *s);
void e1000_rx_arm(struct e1000 *s, uint64_t now_ns);
void e1000_rx_master(struct e1000 *s, const struct mem_master *m, uint64_t now_ns);

#endif
