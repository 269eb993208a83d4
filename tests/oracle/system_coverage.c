/* system_coverage.c - see system_coverage.h. */
#include "tests/oracle/system_coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "translator/ir.h"
#include "vcpu/vcpu_internal.h"

/* Ring 0 and ring 3, the others being rare, in 16-bit and 32-bit code; virtual-8086 mode. */
enum way { RING0_16, RING0_32, OUTER_16, OUTER_32, VM86, WAYS };
static const char *const way_name[WAYS] = {"ring 0, 16-bit", "ring 0, 32-bit", "outer rings, 16-bit",
                                           "outer rings, 32-bit", "virtual-8086 mode"};

struct coverage {
    uint64_t *row[WAYS]; /* by number of the row */
    uint64_t helper[WAYS][HELPER_COUNT];
};

/* Rows that cannot retire at ring 0. */
static const struct reason {
    const char *name, *why;
} row_reasons[] = {{"UD", "always #UD"}, {"RDPMC", "always #GP: no counter can be read"}},
  helper_reasons[] = {{"RDPMC", "always #GP: no counter can be read"},
                      {"DEVICE_BEGIN", "the machines have no device"},
                      {"DEVICE_END", "the machines have no device"},
                      {"PUSHF", "virtual-8086 mode's alone: an operation elsewhere"}};

struct coverage *coverage_create(void)
{
    struct coverage *c = calloc(1, sizeof *c);
    bool ok = c;
    for (unsigned way = 0; ok && way < WAYS; way++)
        ok = (c->row[way] = calloc(insn_row_count, sizeof *c->row[way])) != NULL;
    if (ok)
        return c;
    coverage_destroy(c);
    return NULL;
}

void coverage_destroy(struct coverage *c)
{
    for (unsigned way = 0; c && way < WAYS; way++)
        free(c->row[way]);
    free(c);
}

/* --- counting --- */

static void count_row(struct coverage *c, enum way way, const struct tb *tb, const uint8_t *ram, bool code32)
{
    struct insn in;
    if (tb->phys_addr + INSN_BYTES_MAX > SYS_RAM_BYTES)
        return;
    if (decode_insn(ram + tb->phys_addr, INSN_BYTES_MAX, code32, &in) == DECODE_OK)
        c->row[way][in.row - insn_rows]++;
}

void coverage_count(struct coverage *c, const struct vcpu *v, const uint8_t *ram, unsigned cpl, bool code32,
                    bool vm86)
{
    const enum way way = vm86 ? VM86 : (cpl ? OUTER_16 : RING0_16) + code32;
    const struct tb *tb = v->tb;
    if (!tb)
        return;
    count_row(c, way, tb, ram, code32);
    for (unsigned i = 0; i < tb->nops; i++)
        if (tb->ops[i].op == IR_HELPER)
            c->helper[way][tb->ops[i].imm]++;
}

/* --- printing --- */

static unsigned reached(const uint64_t *counts, unsigned n)
{
    unsigned k = 0;
    for (unsigned i = 0; i < n; i++)
        k += counts[i] != 0;
    return k;
}

static const char *reason_of(const struct reason *r, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(r[i].name, name))
            return r[i].why;
    return NULL;
}
#define REASON(table, name) reason_of(table, sizeof(table) / sizeof((table)[0]), name)

/* In neither 16-bit nor 32-bit code of ring 0. */
static bool is_missing(const uint64_t *in16, const uint64_t *in32, unsigned i)
{
    return !in16[i] && !in32[i];
}

static bool print_missing(const char *table, const char *name, const char *why)
{
    printf("    %s %s: %s\n", table, name, why ? why : "NOT REACHED at ring 0");
    return why != NULL;
}

bool coverage_print(const struct coverage *c)
{
    bool explained = true;
    for (unsigned way = 0; way < WAYS; way++)
        printf("coverage: %s: %u of %u rows of insns.def and insns_sse.def, %u of %u of helpers.def\n",
               way_name[way], reached(c->row[way], insn_row_count), insn_row_count,
               reached(c->helper[way], HELPER_COUNT), (unsigned)HELPER_COUNT);
    for (unsigned i = 0; i < insn_row_count; i++)
        if (is_missing(c->row[RING0_16], c->row[RING0_32], i)) {
            char name[48];
            snprintf(name, sizeof name, "%03x/%d %s", insn_rows[i].opcode, insn_rows[i].reg,
                     insn_rows[i].mnemonic);
            explained &= print_missing("row", name, REASON(row_reasons, insn_rows[i].mnemonic));
        }
    for (unsigned i = 0; i < HELPER_COUNT; i++)
        if (is_missing(c->helper[RING0_16], c->helper[RING0_32], i))
            explained &=
                print_missing("helper", helper_info[i].name, REASON(helper_reasons, helper_info[i].name));
    return explained;
}
