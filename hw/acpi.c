/* acpi.c - ACPI tables (ACPI specification 1.0b, chapters 5, 6, 16 and, for AML, 15).
 *
 * RSDP, RSDT, FADT (revision 1), FACS, DSDT and, where there are APICs, MADT (5.2.8). SCI is IRQ9, of the
 * 8259 pair and of the I/O APIC. The MADT says how ISA lines reach the I/O APIC (pcintc.c): line 0 on pin 2,
 * and lines 5, 9, 10 and 11 level-triggered and active high, since 9 is SCI's and PIRQ routing puts the PCI
 * bus there. The DSDT is assembled here, byte by byte, through a few emitters named after the grammar's
 * productions. It says, in ASL:
 *
 *   Name (\_S5, Package (4) {0, 0, 0, 0})
 *   Scope (\_SB) { Device (PCI0) { Name (_HID, EisaId ("PNP0A03"))
 *     Name (_CRS, ResourceTemplate () { buses 0..255, ports 0..CF7h and D00h..FFFFh, ports CF8h..CFFh,
 *                                       memory A0000h..BFFFFh and E0000000h..FEBFFFFFh })
 *     Name (_PRT, Package () { INTA# to INTD# of slots 1 to PRT_SLOTS on LNKA to LNKD, as the board has them
 * }) Device (ISA) { Name (_ADR, 0x00010000) OperationRegion (PIRQ, PCI_Config, 0x60, 4)  Field (...) { PRQA,
 * 8, PRQB, 8, PRQC, 8, PRQD, 8 } Device (PIC) ... one for each row of isa_devices[], with _HID, _UID and _CRS
 * ... } } Device (LNKA) ... to LNKD: PIRQ route registers of the PIIX3, with _PRS (5, 10, 11), _STA, _DIS,
 * _CRS, _SRS }
 *
 * NOT MODELLED: sleep states but S5, processor objects, thermal zones. */
#include "hw/acpi.h"

#include "hw/apic.h"
#include "hw/ioapic.h"

#include "hw/mc146818.h"
#include "hw/piix4_pm.h"

#include <stdbool.h>
#include <string.h>

#define HEADER_BYTES         36
#define RSDP_BYTES           20
#define RSDT_BYTES           (HEADER_BYTES + 4)
#define FADT_BYTES           116
#define FACS_BYTES           64
#define FADT_WBINVD          0x0001
#define FADT_PROC_C1         0x0004
#define FADT_NO_SLEEP_BUTTON 0x0020 /* the power button is a fixed feature, a sleep button there is not */
#define FADT_NO_FIXED_RTC    0x0040 /* the RTC's alarm does not reach PM1_STS */

/* Bytes appended to a fixed buffer. `full` sticks: the caller looks once, at the end. */
struct out {
    uint8_t *buf;
    size_t max;
    size_t n;
    bool full;
};

static void put8(struct out *o, uint8_t v)
{
    if (o->n < o->max)
        o->buf[o->n++] = v;
    else
        o->full = true;
}

static void put16(struct out *o, uint32_t v)
{
    put8(o, (uint8_t)v);
    put8(o, (uint8_t)(v >> 8));
}

static void put32(struct out *o, uint32_t v)
{
    put16(o, v & 0xFFFF);
    put16(o, v >> 16);
}

static void put_bytes(struct out *o, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put8(o, (uint8_t)bytes[i]);
}

static void pad_to(struct out *o, size_t n)
{
    while (o->n < n && !o->full)
        put8(o, 0);
}

static void align(struct out *o, size_t to)
{
    pad_to(o, (o->n + to - 1) / to * to);
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += p[i];
    return (uint8_t)-sum;
}

/* System description table header; length and checksum are filled in by end_table. */
static size_t begin_table(struct out *o, const char *signature)
{
    size_t at = o->n;

    put_bytes(o, signature, 4);
    put32(o, 0); /* length */
    put8(o, 1);  /* revision: 1 for all tables of ACPI 1.0 */
    put8(o, 0);  /* checksum */
    put_bytes(o, "TANDEM", 6);
    put_bytes(o, "TANDEMPC", 8);
    put32(o, 1); /* OEM revision */
    put_bytes(o, "TNDM", 4);
    put32(o, 1); /* creator revision */
    return at;
}

static void end_table(struct out *o, size_t at)
{
    size_t length = o->n - at;

    if (o->full)
        return;
    for (unsigned i = 0; i < 4; i++)
        o->buf[at + 4 + i] = (uint8_t)(length >> (8 * i));
    o->buf[at + 9] = checksum(o->buf + at, length);
}

/* --- AML --- */

enum {
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_NAME = 0x08,
    AML_BYTE_PREFIX = 0x0A,
    AML_WORD_PREFIX = 0x0B,
    AML_DWORD_PREFIX = 0x0C,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_METHOD = 0x14,
    AML_MULTI_NAME = 0x2F,
    AML_EXT_PREFIX = 0x5B,
    AML_EXT_REGION = 0x80,
    AML_EXT_FIELD = 0x81,
    AML_EXT_DEVICE = 0x82,
    AML_ARG0 = 0x68,
    AML_STORE = 0x70,
    AML_AND = 0x7B,
    AML_OR = 0x7D,
    AML_CREATE_DWORD = 0x8A,
    AML_IF = 0xA0,
    AML_RETURN = 0xA4,
};

/* PkgLength, always in its two-byte form (up to 4095 bytes), patched by aml_end. */
static size_t aml_begin(struct out *o)
{
    put16(o, 0);
    return o->n - 2;
}

static void aml_end(struct out *o, size_t at)
{
    size_t length = o->n - at; /* it counts itself */

    if (o->full)
        return;
    o->buf[at] = (uint8_t)(0x40 | (length & 0x0F));
    o->buf[at + 1] = (uint8_t)(length >> 4);
}

static void aml_name(struct out *o, const char *seg)
{
    put8(o, AML_NAME);
    put_bytes(o, seg, strlen(seg)); /* four letters, or five with the root's backslash */
}

static void aml_dword(struct out *o, uint32_t v)
{
    put8(o, AML_DWORD_PREFIX);
    put32(o, v);
}

static size_t aml_device(struct out *o, const char *seg)
{
    put8(o, AML_EXT_PREFIX);
    put8(o, AML_EXT_DEVICE);
    size_t at = aml_begin(o);
    put_bytes(o, seg, 4);
    return at;
}

/* Name (_HID, EisaId ("PNPxxxx")): letters packed into two bytes, number big-endian. */
static void aml_hid_pnp(struct out *o, unsigned number)
{
    aml_name(o, "_HID");
    put8(o, AML_DWORD_PREFIX);
    put8(o, 0x41);
    put8(o, 0xD0);
    put8(o, (uint8_t)(number >> 8));
    put8(o, (uint8_t)number);
}

/* Name (seg, ResourceTemplate () {...}): a buffer whose size is patched by crs_end. */
static size_t resources_begin(struct out *o, const char *seg)
{
    aml_name(o, seg);
    put8(o, AML_BUFFER);
    size_t at = aml_begin(o);
    put8(o, AML_WORD_PREFIX);
    put16(o, 0);
    return at;
}

static size_t crs_begin(struct out *o)
{
    return resources_begin(o, "_CRS");
}

static void crs_end(struct out *o, size_t at)
{
    put8(o, 0x79); /* end tag; checksum 0: not used */
    put8(o, 0);
    if (o->full)
        return;
    size_t size = o->n - (at + 5);
    o->buf[at + 3] = (uint8_t)size;
    o->buf[at + 4] = (uint8_t)(size >> 8);
    aml_end(o, at);
}

static void crs_io(struct out *o, uint16_t base, uint8_t bytes)
{
    put8(o, 0x47);
    put8(o, 0x01); /* decodes 16 bits */
    put16(o, base);
    put16(o, base);
    put8(o, 1); /* alignment */
    put8(o, bytes);
}

static void crs_irq(struct out *o, unsigned irq)
{
    put8(o, 0x22);
    put16(o, 1u << irq);
}

enum { SPACE_MEMORY = 0, SPACE_IO = 1, SPACE_BUS = 2 };

/* Word address space descriptor: producer, positive decode, fixed at both ends. */
static void crs_word_space(struct out *o, uint8_t space, uint8_t flags, uint32_t min, uint32_t max)
{
    put8(o, 0x88);
    put16(o, 13);
    put8(o, space);
    put8(o, 0x0C);
    put8(o, flags);
    put16(o, 0); /* granularity */
    put16(o, min);
    put16(o, max);
    put16(o, 0); /* translation */
    put16(o, max - min + 1);
}

static void crs_dword_memory(struct out *o, uint32_t min, uint32_t max)
{
    put8(o, 0x87);
    put16(o, 23);
    put8(o, SPACE_MEMORY);
    put8(o, 0x0C);
    put8(o, 0x01); /* read/write, not cacheable */
    put32(o, 0);
    put32(o, min);
    put32(o, max);
    put32(o, 0);
    put32(o, max - min + 1);
}

static void aml_pci_crs(struct out *o)
{
    size_t crs = crs_begin(o);

    crs_word_space(o, SPACE_BUS, 0, 0x0000, 0x00FF);
    crs_io(o, 0x0CF8, 8);
    crs_word_space(o, SPACE_IO, 3, 0x0000, 0x0CF7); /* 3: the entire range */
    crs_word_space(o, SPACE_IO, 3, 0x0D00, 0xFFFF);
    crs_dword_memory(o, 0x000A0000, 0x000BFFFF);
    crs_dword_memory(o, 0xE0000000, 0xFEBFFFFF);
    crs_end(o, crs);
}

/* --- PCI interrupts: links and routes --- */

#define LINKS     4
#define PRT_SLOTS 15
#define LINK_OFF  0x80 /* PIRQRC: no route */
#define LINK_IRQ  5    /* offset of the interrupt's number in its descriptor */

static const char *const link_seg[LINKS] = {"LNKA", "LNKB", "LNKC", "LNKD"};
static const char *const route_seg[LINKS] = {"PRQA", "PRQB", "PRQC", "PRQD"};

static void aml_byte(struct out *o, uint8_t v)
{
    put8(o, AML_BYTE_PREFIX);
    put8(o, v);
}

static size_t aml_method(struct out *o, const char *seg, uint8_t flags)
{
    put8(o, AML_METHOD);
    size_t at = aml_begin(o);
    put_bytes(o, seg, 4);
    put8(o, flags); /* arguments; bit 3: serialized */
    return at;
}

/* \_SB.PCI0.ISA.PRQx */
static void aml_route(struct out *o, unsigned link)
{
    put8(o, '\\');
    put8(o, AML_MULTI_NAME);
    put8(o, 4);
    put_bytes(o, "_SB_PCI0ISA_", 12);
    put_bytes(o, route_seg[link], 4);
}

/* Extended interrupt descriptor: consumer, level, active high, as the MADT has these lines, shared. */
static void crs_interrupts(struct out *o, const uint8_t *irq, unsigned n)
{
    put8(o, 0x89);
    put16(o, 2 + 4 * n);
    put8(o, 0x09);
    put8(o, (uint8_t)n);
    for (unsigned i = 0; i < n; i++)
        put32(o, irq[i]);
}

/* If (And (PRQx, 0x80)) { Return (9) }  Return (11): there, functioning; enabled */
static void aml_link_sta(struct out *o, unsigned link)
{
    size_t method = aml_method(o, "_STA", 0);

    put8(o, AML_IF);
    size_t off = aml_begin(o);
    put8(o, AML_AND);
    aml_route(o, link);
    aml_byte(o, LINK_OFF);
    put8(o, AML_ZERO); /* no target */
    put8(o, AML_RETURN);
    aml_byte(o, 9);
    aml_end(o, off);
    put8(o, AML_RETURN);
    aml_byte(o, 11);
    aml_end(o, method);
}

/* Or (PRQx, 0x80, PRQx) */
static void aml_link_dis(struct out *o, unsigned link)
{
    size_t method = aml_method(o, "_DIS", 0);

    put8(o, AML_OR);
    aml_route(o, link);
    aml_byte(o, LINK_OFF);
    aml_route(o, link);
    aml_end(o, method);
}

/* CreateDWordField (buffer, LINK_IRQ, IRQN) */
static void aml_create_irq(struct out *o)
{
    aml_byte(o, LINK_IRQ);
    put_bytes(o, "IRQN", 4);
}

/* Name (RES, {one interrupt})  CreateDWordField (RES, 5, IRQN)  And (PRQx, 15, IRQN)  Return (RES) */
static void aml_link_crs(struct out *o, unsigned link)
{
    static const uint8_t none[1] = {0};
    size_t method = aml_method(o, "_CRS", 8);
    size_t res = resources_begin(o, "RES_");

    crs_interrupts(o, none, 1);
    crs_end(o, res);
    put8(o, AML_CREATE_DWORD);
    put_bytes(o, "RES_", 4);
    aml_create_irq(o);
    put8(o, AML_AND);
    aml_route(o, link);
    aml_byte(o, 15);
    put_bytes(o, "IRQN", 4);
    put8(o, AML_RETURN);
    put_bytes(o, "RES_", 4);
    aml_end(o, method);
}

/* CreateDWordField (Arg0, 5, IRQN)  Store (IRQN, PRQx) */
static void aml_link_srs(struct out *o, unsigned link)
{
    size_t method = aml_method(o, "_SRS", 8 | 1);

    put8(o, AML_CREATE_DWORD);
    put8(o, AML_ARG0);
    aml_create_irq(o);
    put8(o, AML_STORE);
    put_bytes(o, "IRQN", 4);
    aml_route(o, link);
    aml_end(o, method);
}

static void aml_link(struct out *o, unsigned link)
{
    static const uint8_t possible[] = {5, 10, 11};
    size_t device = aml_device(o, link_seg[link]);

    aml_hid_pnp(o, 0x0C0F);
    aml_name(o, "_UID");
    aml_byte(o, (uint8_t)(link + 1));
    size_t prs = resources_begin(o, "_PRS");
    crs_interrupts(o, possible, sizeof possible);
    crs_end(o, prs);
    aml_link_sta(o, link);
    aml_link_dis(o, link);
    aml_link_crs(o, link);
    aml_link_srs(o, link);
    aml_end(o, device);
}

/* MATCH slot_pirq: each slot's pins begin at the next of INTA# to INTD#. */
static void aml_prt_entry(struct out *o, unsigned slot, unsigned pin)
{
    put8(o, AML_PACKAGE);
    size_t entry = aml_begin(o);
    put8(o, 4);
    aml_dword(o, slot << 16 | 0xFFFF);
    aml_byte(o, (uint8_t)pin);
    put_bytes(o, link_seg[(slot + pin + LINKS - 1) % LINKS], 4);
    put8(o, AML_ZERO);
    aml_end(o, entry);
}

static void aml_prt(struct out *o)
{
    aml_name(o, "_PRT");
    put8(o, AML_PACKAGE);
    size_t package = aml_begin(o);
    put8(o, PRT_SLOTS * LINKS);
    for (unsigned slot = 1; slot <= PRT_SLOTS; slot++)
        for (unsigned pin = 0; pin < LINKS; pin++)
            aml_prt_entry(o, slot, pin);
    aml_end(o, package);
}

/* The PIIX3's route registers, byte by byte. */
static void aml_routes(struct out *o)
{
    put8(o, AML_EXT_PREFIX);
    put8(o, AML_EXT_REGION);
    put_bytes(o, "PIRQ", 4);
    put8(o, 2); /* PCI_Config */
    aml_byte(o, 0x60);
    aml_byte(o, LINKS);
    put8(o, AML_EXT_PREFIX);
    put8(o, AML_EXT_FIELD);
    size_t field = aml_begin(o);
    put_bytes(o, "PIRQ", 4);
    put8(o, 1); /* by bytes, no lock, what is not written is preserved */
    for (unsigned link = 0; link < LINKS; link++) {
        put_bytes(o, route_seg[link], 4);
        put8(o, 8); /* bits */
    }
    aml_end(o, field);
}

struct isa_device {
    char seg[5];
    uint16_t pnp;
    uint8_t irq; /* NO_IRQ: none */
    struct {
        uint16_t base;
        uint8_t bytes; /* 0: no more */
    } io[2];
};

#define NO_IRQ 0xFF

/* clang-format off */
static const struct isa_device isa_devices[] = {
    {"PIC_", 0x0000, 2, {{0x20, 2}, {0xA0, 2}}},
    {"TIMR", 0x0100, 0, {{0x40, 4}}},
    {"KBD_", 0x0303, 1, {{0x60, 1}, {0x64, 1}}},
    {"MOU_", 0x0F13, 12, {{0, 0}}},
    {"SPKR", 0x0800, NO_IRQ, {{0x61, 1}}},
    {"RTC_", 0x0B00, 8, {{0x70, 2}}},
    {"COM1", 0x0501, 4, {{0x3F8, 8}}},
};
/* clang-format on */

static void aml_isa_device(struct out *o, const struct isa_device *d)
{
    size_t device = aml_device(o, d->seg);

    aml_hid_pnp(o, d->pnp);
    aml_name(o, "_UID");
    put8(o, AML_ONE);
    size_t crs = crs_begin(o);
    for (unsigned i = 0; i < 2 && d->io[i].bytes; i++)
        crs_io(o, d->io[i].base, d->io[i].bytes);
    if (d->irq != NO_IRQ)
        crs_irq(o, d->irq);
    crs_end(o, crs);
    aml_end(o, device);
}

static void aml_isa_bridge(struct out *o)
{
    size_t isa = aml_device(o, "ISA_");

    aml_name(o, "_ADR");
    aml_dword(o, 0x00010000); /* device 1, function 0 */
    aml_routes(o);
    for (unsigned i = 0; i < sizeof isa_devices / sizeof isa_devices[0]; i++)
        aml_isa_device(o, &isa_devices[i]);
    aml_end(o, isa);
}

static void aml_system_bus(struct out *o)
{
    put8(o, AML_SCOPE);
    size_t scope = aml_begin(o);
    put_bytes(o, "\\_SB_", 5);
    size_t pci = aml_device(o, "PCI0");
    aml_hid_pnp(o, 0x0A03);
    aml_pci_crs(o);
    aml_prt(o);
    aml_isa_bridge(o);
    aml_end(o, pci);
    for (unsigned link = 0; link < LINKS; link++)
        aml_link(o, link);
    aml_end(o, scope);
}

/* Soft off: the values for SLP_TYPa and SLP_TYPb, and two reserved elements. */
static void aml_s5(struct out *o)
{
    aml_name(o, "\\_S5_");
    put8(o, AML_PACKAGE);
    size_t package = aml_begin(o);
    put8(o, 4);
    for (unsigned i = 0; i < 4; i++) {
        put8(o, AML_BYTE_PREFIX);
        put8(o, i < 2 ? PIIX4_PM_SLP_TYP_S5 : 0);
    }
    aml_end(o, package);
}

/* --- tables --- */

static size_t build_dsdt(struct out *o)
{
    size_t at = begin_table(o, "DSDT");

    aml_s5(o);
    aml_system_bus(o);
    end_table(o, at);
    return at;
}

static size_t build_facs(struct out *o)
{
    align(o, 64);
    size_t at = o->n;
    put_bytes(o, "FACS", 4);
    put32(o, FACS_BYTES);
    pad_to(o, at + FACS_BYTES); /* signature, waking vector, global lock, flags: all 0 */
    return at;
}

static size_t build_fadt(struct out *o, uint32_t facs, uint32_t dsdt, bool apic)
{
    align(o, 16);
    size_t at = begin_table(o, "FACP");
    put32(o, facs);
    put32(o, dsdt);
    put8(o, apic); /* INT_MODEL: dual PIC, or multiple APIC */
    put8(o, 0);
    put16(o, PIIX4_PM_SCI_IRQ);
    put32(o, PIIX4_PM_SMI_PORT);
    put8(o, PIIX4_PM_ACPI_ENABLE);
    put8(o, PIIX4_PM_ACPI_DISABLE);
    put16(o, 0); /* S4BIOS_REQ, reserved */
    put32(o, PIIX4_PM_BASE + PIIX4_PM_OFF_PM1_STS);
    put32(o, 0); /* PM1b_EVT_BLK */
    put32(o, PIIX4_PM_BASE + PIIX4_PM_OFF_PM1_CNT);
    put32(o, 0); /* PM1b_CNT_BLK */
    put32(o, 0); /* PM2_CNT_BLK */
    put32(o, PIIX4_PM_BASE + PIIX4_PM_OFF_TMR);
    put32(o, PIIX4_PM_BASE + PIIX4_PM_OFF_GPSTS);
    put32(o, 0); /* GPE1_BLK */
    put8(o, 4);  /* lengths: PM1_EVT, PM1_CNT, PM2_CNT, PM_TM, GPE0, GPE1 */
    put8(o, 2);
    put8(o, 0);
    put8(o, 4);
    put8(o, 4);
    put8(o, 0);
    put16(o, 0);      /* GPE1_BASE, reserved */
    put16(o, 0x0FFF); /* P_LVL2_LAT: over 100, no C2 */
    put16(o, 0x0FFF); /* P_LVL3_LAT: over 1000, no C3 */
    put32(o, 0);      /* FLUSH_SIZE, FLUSH_STRIDE: WBINVD works */
    put16(o, 0);      /* DUTY_OFFSET, DUTY_WIDTH */
    put16(o, 0);      /* DAY_ALRM, MON_ALRM: the RTC has neither */
    put8(o, CMOS_CENTURY);
    pad_to(o, at + 112);
    put32(o, FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC);
    end_table(o, at);
    return at;
}

enum { MADT_APIC, MADT_IOAPIC, MADT_OVERRIDE, MADT_LOCAL_NMI = 4 };
#define MADT_PCAT_COMPAT 1    /* there is an 8259 pair, too */
#define MADT_LEVEL_HIGH  0x0D /* active high, level-triggered */

static void madt_override(struct out *o, unsigned line, unsigned pin, unsigned flags)
{
    put8(o, MADT_OVERRIDE);
    put8(o, 10);
    put8(o, 0); /* bus: ISA */
    put8(o, (uint8_t)line);
    put32(o, pin);
    put16(o, flags);
}

static size_t build_madt(struct out *o)
{
    static const uint8_t level_lines[] = {5, 9, 10, 11};

    align(o, 16);
    size_t at = begin_table(o, "APIC");
    put32(o, APIC_PAGE);
    put32(o, MADT_PCAT_COMPAT);
    put8(o, MADT_APIC);
    put8(o, 8);
    put16(o, 0); /* processor 0, APIC 0 */
    put32(o, 1); /* enabled */
    put8(o, MADT_IOAPIC);
    put8(o, 12);
    put16(o, 0); /* ID 0 */
    put32(o, IOAPIC_PAGE);
    put32(o, 0); /* its first interrupt of the system */
    madt_override(o, 0, 2, 0);
    for (unsigned i = 0; i < sizeof level_lines; i++)
        madt_override(o, level_lines[i], level_lines[i], MADT_LEVEL_HIGH);
    put8(o, MADT_LOCAL_NMI);
    put8(o, 6);
    put8(o, 0xFF); /* of every processor */
    put16(o, 0);   /* as the bus has it */
    put8(o, 1);    /* LINT1 */
    end_table(o, at);
    return at;
}

size_t acpi_madt(uint8_t *buf, size_t bytes)
{
    struct out o = {.buf = buf, .max = bytes};

    build_madt(&o);
    return o.full ? 0 : o.n;
}

static size_t build_rsdt(struct out *o, uint32_t fadt, uint32_t madt)
{
    align(o, 16);
    size_t at = begin_table(o, "RSDT");
    put32(o, fadt);
    if (madt)
        put32(o, madt);
    end_table(o, at);
    return at;
}

static void build_rsdp(struct out *o, uint32_t rsdt)
{
    put_bytes(o, "RSD PTR ", 8);
    put8(o, 0); /* checksum */
    put_bytes(o, "TANDEM", 6);
    put8(o, 0); /* revision: ACPI 1.0 */
    put32(o, rsdt);
    if (!o->full)
        o->buf[8] = checksum(o->buf, RSDP_BYTES);
}

size_t acpi_build(uint8_t *buf, size_t bytes, uint32_t phys_base, bool apic, uint32_t *rsdp_addr)
{
    /* The RSDP is first, so that it lies on phys_base; its pointer is known only at the end. */
    struct out rsdp = {.buf = buf, .max = bytes};
    struct out o = {.buf = buf, .max = bytes};

    if (bytes < ACPI_BYTES_MAX || phys_base % 64)
        return 0;
    pad_to(&o, 32);
    size_t facs = build_facs(&o);
    size_t dsdt = build_dsdt(&o);
    size_t fadt = build_fadt(&o, phys_base + (uint32_t)facs, phys_base + (uint32_t)dsdt, apic);
    size_t madt = apic ? build_madt(&o) : 0;
    size_t rsdt = build_rsdt(&o, phys_base + (uint32_t)fadt, apic ? phys_base + (uint32_t)madt : 0);
    build_rsdp(&rsdp, phys_base + (uint32_t)rsdt);
    if (o.full || rsdp.full)
        return 0;
    if (rsdp_addr)
        *rsdp_addr = phys_base;
    return o.n;
}
_Static_assert(RSDP_BYTES <= 32 && RSDT_BYTES == 40 && FADT_BYTES == 112 + 4, "fixed layouts");
