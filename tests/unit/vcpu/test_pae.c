/* PAE and NX: walks, reserved bits, fault codes, page directory pointers, address spaces, addresses above 4
 * GiB, vcpu_peek; and PSE-36. SDM 3A 4.3, 4.4, 4.7. */
#include "tests/unit/vcpu/harness.h"
#include "vcpu/helpers.h"

#include <criterion/criterion.h>

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX (UINT64_C(1) << 63)
/* Error codes: SDM 3A figure 4-12. */
enum { E_P = 1, E_W = 2, E_U = 4, E_RSVD = 8, E_I = 16 };

/* Two tables of pointers in one page, as kernels have them; one directory, two tables: 4 MiB, one to one. */
enum {
    POINTERS = 0x80020,
    OTHER_POINTERS = 0x80040,
    DIRECTORY = 0x81000,
    OTHER_DIRECTORY = 0x82000,
    TABLES = 0x83000
};

static struct harness h;
static struct vcpu *v;

static void poke64(uint32_t phys_addr, uint64_t value)
{
    harness_poke32(&h, phys_addr, (uint32_t)value);
    harness_poke32(&h, phys_addr + 4, (uint32_t)(value >> 32));
}

static uint64_t peek64(uint32_t phys_addr)
{
    return harness_peek32(&h, phys_addr) | (uint64_t)harness_peek32(&h, phys_addr + 4) << 32;
}

static uint32_t pte_at(uint32_t lin_addr)
{
    return TABLES + (lin_addr >> 12) * 8;
}

static enum helper_result write_cr(unsigned reg, uint32_t value)
{
    struct ir_op op = {.aux = (uint8_t)reg, .a = IR_EAX};
    v->exc.pending = false;
    v->g.slot[IR_EAX] = value;
    return helper_MOV_TO_CR(v, &op);
}

static void set_efer(uint32_t value)
{
    struct ir_op op = {.aux = 0};
    v->g.slot[IR_ECX] = 0xc0000080;
    v->g.slot[IR_EAX] = value;
    v->g.slot[IR_EDX] = 0;
    cr_assert_eq(helper_WRMSR(v, &op), HELPER_OK);
}

static void start(uint32_t efer)
{
    static const uint8_t nop = 0x90;
    harness_init(&h, &(struct harness_options){0});
    harness_load32(&h, &nop, &nop + 1);
    v = h.cpu;
    for (uint32_t page = 0; page < 1024; page++)
        poke64(TABLES + page * 8, page << 12 | P | RW | US);
    for (uint32_t i = 0; i < 2; i++) {
        poke64(DIRECTORY + i * 8, (TABLES + i * 0x1000) | P | RW | US);
        poke64(OTHER_DIRECTORY + i * 8, (TABLES + i * 0x1000) | P | RW | US);
    }
    poke64(POINTERS, DIRECTORY | P);
    poke64(OTHER_POINTERS, OTHER_DIRECTORY | P);
    set_efer(efer);
    cr_assert_eq(write_cr(4, CR4_PAE), HELPER_OK);
    cr_assert_eq(write_cr(3, POINTERS), HELPER_OK);
    cr_assert_eq(write_cr(0, v->g.cr0 | CR0_PG | CR0_WP), HELPER_OK);
}

static bool read32(uint32_t lin_addr, bool user, uint32_t *value)
{
    uint64_t wide = 0;
    v->exc.pending = false;
    bool ok = mem_read(v, lin_addr, 4, user, &wide);
    *value = (uint32_t)wide;
    return ok;
}

static bool write32(uint32_t lin_addr, bool user, uint32_t value)
{
    v->exc.pending = false;
    return mem_write(v, lin_addr, 4, user, value);
}

static bool fetches(uint32_t lin_addr)
{
    const uint8_t *host;
    uint32_t page;
    v->exc.pending = false;
    return mem_fetch_page(v, lin_addr, &host, &page);
}

static void expect_mapped(uint32_t lin_addr, uint32_t value)
{
    uint32_t got;
    cr_assert(read32(lin_addr, false, &got));
    cr_assert_eq(got, value, "%x", got);
}

static void expect_fault(uint32_t cr2, uint32_t code)
{
    cr_assert(v->exc.pending);
    cr_assert_eq(v->exc.vector, EXC_PF);
    cr_assert_eq(v->exc.error, code, "error code %x", v->exc.error);
    cr_assert_eq(v->g.cr2, cr2);
}

static void expect_gp(enum helper_result r)
{
    cr_assert_eq(r, HELPER_FAULT);
    cr_assert(v->exc.pending && v->exc.vector == EXC_GP && v->exc.error == 0);
}

/* A page is read, written, and executed at CPL 3, with this entry; code: of the fault; ~0: none. */
static void expect_access(uint64_t pte, uint32_t code, int what)
{
    const uint32_t at = 0x5000;
    uint32_t value;
    poke64(pte_at(at), pte);
    tlb_flush(v);
    bool ok = what == 'r' ? read32(at, true, &value) : what == 'w' ? write32(at, true, 1) : false;
    if (what == 'x') {
        v->g.cpl = 3;
        ok = fetches(at);
        v->g.cpl = 0;
    }
    cr_assert_eq(ok, code == ~0u, "%c %llx: %x", what, (unsigned long long)pte, v->exc.error);
    if (!ok)
        expect_fault(at, code);
}

Test(pae, rights_and_fault_codes)
{
    start(EFER_NXE);
    const uint64_t page = 0x5000;
    expect_access(page | P | RW | US, ~0u, 'r');
    expect_access(page | P | RW | US, ~0u, 'w');
    expect_access(page | P | RW | US, ~0u, 'x');
    expect_access(page | P | RW | US | NX, ~0u, 'r');
    expect_access(page | P | RW | US | NX, ~0u, 'w');
    expect_access(page | P | RW | US | NX, E_P | E_U | E_I, 'x');
    expect_access(page | P | US, E_P | E_U | E_W, 'w');
    expect_access(page | P | RW, E_P | E_U, 'r');
    expect_access(page | P | RW, E_P | E_U | E_I, 'x');
    expect_access(0, E_U, 'r');
    expect_access(0, E_U | E_W, 'w');
    expect_access(0, E_U | E_I, 'x');
    expect_access(NX | UINT64_C(0x7ff0000000000000), E_U, 'r'); /* not present: nothing is reserved */
    for (unsigned bit = MEM_PHYS_BITS; bit < 63; bit++) {
        expect_access(page | P | RW | US | UINT64_C(1) << bit, E_P | E_U | E_RSVD, 'r');
        expect_access(page | P | RW | US | UINT64_C(1) << bit, E_P | E_U | E_W | E_RSVD, 'w');
        expect_access(page | P | RW | US | UINT64_C(1) << bit, E_P | E_U | E_I | E_RSVD, 'x');
    }
    harness_free(&h);
}

/* Without NXE bit 63 is reserved, and no code says that it was a fetch. */
Test(pae, without_nxe)
{
    start(0);
    expect_access(0x5000 | P | RW | US | NX, E_P | E_U | E_RSVD, 'r');
    expect_access(0x5000 | P | RW | US | NX, E_P | E_U | E_RSVD, 'x');
    expect_access(0, E_U, 'x');
    set_efer(EFER_NXE);
    expect_access(0x5000 | P | RW | US | NX, ~0u, 'r');
    expect_access(0x5000 | P | RW | US | NX, E_P | E_U | E_I, 'x');
    harness_free(&h);
}

/* What was cached under the one meaning of bit 63 is not used under the other. */
Test(pae, nxe_may_change_while_pages_are_in_use)
{
    uint32_t value;
    start(EFER_NXE);
    poke64(pte_at(0x5000), 0x5000 | P | RW | US | NX);
    cr_assert(read32(0x5000, false, &value));
    set_efer(0);
    cr_assert_not(read32(0x5000, false, &value));
    expect_fault(0x5000, E_P | E_RSVD);
    harness_free(&h);
}

Test(pae, rights_of_both_levels_count)
{
    uint32_t value;
    start(EFER_NXE);
    poke64(DIRECTORY, TABLES | P | RW | US | NX);
    tlb_flush(v);
    cr_assert(read32(0x5000, true, &value));
    cr_assert_not(fetches(0x5000));
    expect_fault(0x5000, E_P | E_I);
    poke64(DIRECTORY, TABLES | P | US);
    tlb_flush(v);
    cr_assert_not(write32(0x5000, false, 1));
    expect_fault(0x5000, E_P | E_W);
    cr_assert_eq(write_cr(0, v->g.cr0 & ~(uint32_t)CR0_WP), HELPER_OK);
    cr_assert(write32(0x5000, false, 1));
    poke64(DIRECTORY, TABLES | P | RW | US | UINT64_C(1) << 40);
    poke64(pte_at(0x5000), 0);
    tlb_flush(v);
    cr_assert_not(read32(0x5000, false, &value));
    expect_fault(0x5000, E_P | E_RSVD); /* found before the table is looked at */
    harness_free(&h);
}

Test(pae, accessed_and_dirty_bits)
{
    uint32_t value;
    start(EFER_NXE);
    poke64(pte_at(0x5000), 0x5000 | P | RW | NX);
    cr_assert(read32(0x5000, false, &value));
    cr_assert_eq(peek64(pte_at(0x5000)), 0x5000 | P | RW | A | NX);
    cr_assert_eq(peek64(DIRECTORY), (uint64_t)TABLES | P | RW | US | A);
    cr_assert(write32(0x5000, false, 1));
    cr_assert_eq(peek64(pte_at(0x5000)), 0x5000 | P | RW | A | D | NX);
    cr_assert_eq(peek64(POINTERS), (uint64_t)DIRECTORY | P);
    harness_free(&h);
}

Test(pae, pages_of_2_mib)
{
    uint32_t value;
    const uint32_t pde_at = DIRECTORY + 5 * 8, at = 5 << 21;
    start(EFER_NXE);
    harness_poke32(&h, 0x600000 + 0x1ff000, 0x1234);
    poke64(pde_at, 0x600000 | P | RW | PS);
    expect_mapped(at + 0x1ff000, 0x1234);
    cr_assert(write32(at + 0x1000, false, 7));
    cr_assert_eq(harness_peek32(&h, 0x601000), 7);
    cr_assert_eq(peek64(pde_at), 0x600000 | P | RW | PS | A | D);
    poke64(pde_at, 0x600000 | P | RW | PS | NX);
    tlb_flush_page(v, at + 0x5000); /* all of the page */
    cr_assert_not(fetches(at + 0x1000));
    expect_fault(at + 0x1000, E_P | E_I);
    for (unsigned bit = 13; bit < 21; bit++) {
        poke64(pde_at, (uint64_t)0x600000 | P | RW | PS | 1u << bit);
        tlb_flush(v);
        cr_assert_not(read32(at, false, &value));
        expect_fault(at, E_P | E_RSVD);
    }
    poke64(pde_at, 0x600000 | P | RW | PS | 1u << 12); /* PAT */
    tlb_flush(v);
    cr_assert(read32(at, false, &value));
    harness_free(&h);
}

/* SDM 3A 4.4.2: without the PAT its bits are reserved. */
Test(pae, pat_bits_without_pat)
{
    uint32_t value;
    start(0);
    v->cfg.model.features &= ~FEATURE_BIT(FEATURE_PAT);
    expect_access(0x5000 | P | RW | US | 0x80, E_P | E_U | E_RSVD, 'r');
    poke64(DIRECTORY + 5 * 8, 0x600000 | P | RW | PS | 1u << 12);
    tlb_flush(v);
    cr_assert_not(read32(5 << 21, false, &value));
    expect_fault(5 << 21, E_P | E_RSVD);
    harness_free(&h);
}

/* --- page directory pointers: SDM 3A 4.4.1 --- */

Test(pae, pointers_are_registers)
{
    uint32_t value;
    start(0);
    poke64(POINTERS + 8, DIRECTORY | P); /* 1 GiB up the same again */
    cr_assert_not(read32(0x40005000, false, &value));
    expect_fault(0x40005000, 0);
    cr_assert_eq(write_cr(3, POINTERS), HELPER_OK);
    cr_assert(read32(0x40005000, false, &value));
    poke64(POINTERS + 8, 0);
    tlb_flush(v);
    cr_assert(read32(0x40005000, false, &value));
    cr_assert_eq(write_cr(4, v->g.cr4 | CR4_PGE), HELPER_OK);
    cr_assert_not(read32(0x40005000, false, &value));
    poke64(POINTERS + 8, DIRECTORY | P);
    cr_assert_eq(write_cr(4, v->g.cr4 | CR4_TSD), HELPER_OK); /* loads nothing */
    cr_assert_not(read32(0x40005000, false, &value));
    cr_assert_eq(write_cr(0, v->g.cr0 | CR0_CD), HELPER_OK);
    cr_assert(read32(0x40005000, false, &value));
    harness_free(&h);
}

/* The low five bits of CR3 are no address. */
Test(pae, low_bits_of_cr3)
{
    start(0);
    cr_assert_eq(write_cr(3, POINTERS | 0x18), HELPER_OK);
    cr_assert_eq(v->g.cr3, POINTERS | 0x18u);
    harness_poke32(&h, 0x5000, 5);
    expect_mapped(0x5000, 5);
    harness_free(&h);
}

Test(pae, reserved_bits_of_pointers)
{
    static const uint64_t reserved[] = {1 << 1, 1 << 2, 1 << 5, 1 << 8, UINT64_C(1) << 36, UINT64_C(1) << 62,
                                        NX};
    uint64_t before[4];
    start(EFER_NXE);
    memcpy(before, v->g.pdptr, sizeof before);
    for (unsigned i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        poke64(OTHER_POINTERS + 24, reserved[i]);
        cr_assert_eq(write_cr(3, OTHER_POINTERS), HELPER_OK, "not present: %u", i);
        cr_assert_eq(write_cr(3, POINTERS), HELPER_OK);
        poke64(OTHER_POINTERS + 24, DIRECTORY | P | reserved[i]);
        expect_gp(write_cr(3, OTHER_POINTERS));
        cr_assert_eq(v->g.cr3, (uint32_t)POINTERS);
        cr_assert_eq(memcmp(before, v->g.pdptr, sizeof before), 0);
    }
    poke64(OTHER_POINTERS + 24, DIRECTORY | P | 0xe18); /* PWT, PCD, ignored bits */
    cr_assert_eq(write_cr(3, OTHER_POINTERS), HELPER_OK);
    cr_assert_eq(write_cr(3, POINTERS), HELPER_OK);
    poke64(POINTERS + 16, DIRECTORY | P | RW);
    const uint32_t cr0 = v->g.cr0, cr4 = v->g.cr4;
    expect_gp(write_cr(0, cr0 | CR0_CD));
    expect_gp(write_cr(4, cr4 | CR4_PGE));
    cr_assert(v->g.cr0 == cr0 && v->g.cr4 == cr4);
    cr_assert_eq(write_cr(0, cr0 & ~CR0_PG), HELPER_OK);
    expect_gp(write_cr(0, cr0));
    cr_assert_eq(v->g.cr0, cr0 & ~CR0_PG);
    cr_assert_eq(write_cr(4, 0), HELPER_OK);
    cr_assert_eq(write_cr(3, 0xfffff000), HELPER_OK);    /* without PAE nothing is read */
    expect_gp((write_cr(0, cr0), write_cr(4, CR4_PAE))); /* ones, from nowhere */
    harness_free(&h);
}

/* --- spaces.c --- */

static uint64_t fills_of_read(uint32_t lin_addr)
{
    uint32_t value;
    uint64_t before = v->stats.tlb_fills;
    cr_assert(read32(lin_addr, false, &value));
    return v->stats.tlb_fills - before;
}

/* 0x5000 and 0x6000 were read in the first space; then the other became current. */
static void start_two_spaces(void)
{
    uint32_t value;
    start(EFER_NXE);
    for (uint32_t page = 0x5000; page <= 0x8000; page += 0x1000)
        harness_poke32(&h, page, page);
    cr_assert(read32(0x5000, false, &value) && read32(0x6000, false, &value) && fetches(0x6000));
    cr_assert_eq(write_cr(3, OTHER_POINTERS), HELPER_OK);
}

Test(pae, a_switch_back_needs_no_walks)
{
    start_two_spaces();
    cr_assert_eq(fills_of_read(0x5000), 1, "another space, though in the same page");
    cr_assert_eq(write_cr(3, POINTERS), HELPER_OK);
    cr_assert_eq(fills_of_read(0x5000) + fills_of_read(0x6000), 0);
    harness_free(&h);
}

Test(pae, changed_pointers_are_another_space)
{
    start_two_spaces();
    harness_poke32(&h, 0x205000, 0x205);
    poke64(OTHER_DIRECTORY + 8, TABLES | P | RW); /* the first table twice */
    cr_assert_eq(write_cr(3, POINTERS), HELPER_OK);
    expect_mapped(0x205000, 0x205);
    cr_assert_eq(write_cr(3, OTHER_POINTERS), HELPER_OK);
    cr_assert(write32(POINTERS, false, OTHER_DIRECTORY | P)); /* in no page table */
    cr_assert_eq(write_cr(3, POINTERS), HELPER_OK);
    expect_mapped(0x205000, 0x5000);
    cr_assert(write32(POINTERS, false, DIRECTORY | P));
    expect_mapped(0x205000, 0x5000);
    cr_assert_eq(write_cr(3, POINTERS), HELPER_OK); /* the space that is current */
    expect_mapped(0x205000, 0x205);
    harness_free(&h);
}

Test(pae, each_half_of_an_entry_is_watched)
{
    start_two_spaces();
    cr_assert(write32(pte_at(0x6000) + 4, false, 0x80000000)); /* NX */
    cr_assert_eq(write_cr(3, POINTERS), HELPER_OK);
    cr_assert_not(fetches(0x6000));
    expect_fault(0x6000, E_P | E_I);
    harness_free(&h);
    start_two_spaces();
    cr_assert(write32(pte_at(0x6000), false, 0x8000 | P | RW));
    cr_assert_eq(write_cr(3, POINTERS), HELPER_OK);
    expect_mapped(0x6000, 0x8000);
    harness_free(&h);
}

/* --- addresses above 4 GiB --- */

Test(pae, beyond_4_gib_nothing_answers)
{
    uint32_t value;
    const uint64_t high = UINT64_C(0xf00005000);
    start(0);
    harness_poke32(&h, 0x5000, 5);
    poke64(pte_at(0x6000), high | P | RW);
    v->in_single = true;
    cr_assert(read32(0x6000, false, &value));
    cr_assert_eq(value, 0xffffffff);
    cr_assert(write32(0x6000, false, 9));
    v->in_single = false;
    cr_assert_eq(harness_peek32(&h, 0x5000), 5);
    cr_assert(fetches(0x6000));
    cr_assert_eq(v->exc.pending, false);
    poke64(DIRECTORY + 8,
           UINT64_C(0x100000000) | TABLES | P | RW); /* a table there: ones, with reserved bits */
    tlb_flush(v);
    cr_assert_not(read32(0x200000, false, &value));
    expect_fault(0x200000, E_P | E_RSVD);
    harness_free(&h);
}

/* SDM 3A table 4-4. */
Test(pae, pse36)
{
    uint32_t value;
    start(0);
    cr_assert_eq(write_cr(0, v->g.cr0 & ~CR0_PG), HELPER_OK);
    harness_poke32(&h, 0x84000, 0x400000 | P | RW | PS);
    harness_poke32(&h, 0x84000 + 4, 0x400000 | 0xf << 13 | P | RW | PS);
    harness_poke32(&h, 0x84000 + 8, 0x400000 | 1 << 17 | P | RW | PS);
    harness_poke32(&h, 0x84000, 0 | P | RW | PS);
    harness_poke32(&h, 0x400000, 4);
    cr_assert_eq(write_cr(4, CR4_PSE), HELPER_OK);
    cr_assert_eq(write_cr(3, 0x84000), HELPER_OK);
    cr_assert_eq(write_cr(0, v->g.cr0 | CR0_PG), HELPER_OK);
    v->in_single = true;
    cr_assert(read32(0x400000, false, &value));
    cr_assert_eq(value, 0xffffffff, "at 3c0400000H");
    cr_assert_not(read32(0x800000, false, &value));
    expect_fault(0x800000, E_P | E_RSVD);
    v->cfg.model.features &= ~FEATURE_BIT(FEATURE_PSE36);
    tlb_flush(v);
    cr_assert_not(read32(0x400000, false, &value));
    expect_fault(0x400000, E_P | E_RSVD);
    v->in_single = false;
    harness_free(&h);
}

/* --- looking --- */

Test(pae, peek)
{
    uint32_t value;
    start(EFER_NXE);
    harness_poke32(&h, 0x7000, 0x77);
    harness_poke32(&h, 0x600010, 0x66);
    poke64(DIRECTORY + 5 * 8, 0x600000 | P | RW | PS | NX);
    poke64(TABLES + 0x1000, 0x7000 | P);
    poke64(OTHER_DIRECTORY, (TABLES + 0x1000) | P);
    cr_assert_eq(vcpu_peek(v, POINTERS, 0x7000, &value, 4), 4);
    cr_assert_eq(value, 0x77);
    cr_assert_eq(vcpu_peek(v, POINTERS, (5 << 21) + 0x10, &value, 4), 4);
    cr_assert_eq(value, 0x66);
    cr_assert_eq(vcpu_peek(v, OTHER_POINTERS, 0, &value, 4), 4);
    cr_assert_eq(value, 0x77);
    cr_assert_eq(vcpu_peek(v, POINTERS, 0x40000000, &value, 4), 0);
    cr_assert_eq(vcpu_peek(v, 0xffffffe0, 0x7000, &value, 4), 0);
    poke64(pte_at(0x7000), UINT64_C(0x100007000) | P);
    cr_assert_eq(vcpu_peek(v, POINTERS, 0x7000, &value, 4), 0);
    harness_free(&h);
}
