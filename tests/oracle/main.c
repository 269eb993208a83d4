/* main.c - the hardware oracle: random instructions on the real CPU and in the emulator must agree.
 *
 *     oracle [--cases N] [--sequences N] [--seed S] [--row TEXT] [--table] [--single-tb] [--engine
 * interp|eager] Prints mismatches with their bytes and differences, then the coverage table (--table), then
 * the counts. */
#include <Zydis/Zydis.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/sequence.h"
#include "translator/guest_state.h"

#define SHOWN_MAX      20
#define FLAGS_COMPARED (FLAGS_ARITH | FLAG_DF | FLAG_TF | FLAG_NT | FLAG_RF | FLAG_AC)

static const char *const gpr_name[8] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};

/* A native fetch from the (there not executable) data pages has no counterpart; skip such a case. */
static bool comparable(const struct test_result *native)
{
    return !(native->fetch_fault && native->cr2 >= DATA_BASE && native->cr2 < DATA_BASE + DATA_BYTES);
}

static bool wraps(const struct test_result *segment, const struct test_result *page, uint32_t bytes)
{
    return (segment->vector == 13 || segment->vector == 12) && segment->error == 0 && page->vector == 14 &&
           (page->cr2 >= 0u - bytes || page->cr2 < bytes);
}

static bool is_image(const struct oracle_row *row)
{
    return row && !strncmp(row->mnemonic, "FX", 2) && !row->x87; /* FXSAVE, FXRSTOR */
}

/* What the SDM leaves to the implementation: an operand that wraps around at 4 GiB may raise #GP or #SS (the
 * emulator accesses both ends, which are not mapped), and which operand of CMPS, or field of an x87
 * environment or FXSAVE image, faults first. */
static bool allowed_fault(const struct oracle_row *row, const struct test_result *n,
                          const struct test_result *e)
{
    const uint32_t bytes = is_image(row) ? 512 : 32;
    if (wraps(n, e, bytes) || wraps(e, n, bytes))
        return n->out.eip == e->out.eip;
    if (is_image(row) && n->vector == 13 &&
        e->vector == 12) /* misaligned as well as over the stack segment's end */
        return n->out.eip == e->out.eip && e->error == 0;
    if (n->vector == 14 && e->vector == 14 && n->cr2 == e->cr2 &&
        emulated_owns(e->cr2)) /* present there, for CPL 0 */
        return n->out.eip == e->out.eip;
    if (row && !strcmp(row->mnemonic, "CVTPI2PS") && e->vector == 16) /* allow_sse */
        return n->out.eip >= e->out.eip;
    if (!row || n->vector != 14 || e->vector != 14 || n->out.eip != e->out.eip)
        return false;
    if (is_image(row)) /* AMD's look at the image's end first */
        return n->cr2 - e->cr2 < 512;
    return !strcmp(row->mnemonic, "CMPS") || (row->x87_env && n->cr2 >> 12 == e->cr2 >> 12);
}

#define DIFFER(...) (show ? (void)printf(__VA_ARGS__) : (void)0, differ++)

static unsigned compare_fpu(const struct fpu_image *n, const struct fpu_image *e, const struct undefined *u,
                            bool show)
{
    unsigned differ = 0;
    if (n->cw != e->cw)
        DIFFER("    fcw: cpu %04x, emulator %04x\n", n->cw, e->cw);
    if ((n->sw ^ e->sw) & ~u->fsw)
        DIFFER("    fsw: cpu %04x, emulator %04x\n", n->sw, e->sw);
    if (n->empty != e->empty)
        DIFFER("    empty: cpu %02x, emulator %02x\n", n->empty, e->empty);
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(n->r[i], e->r[i], 10) == 0)
            continue;
        uint64_t nm, em;
        uint16_t ne, ee;
        memcpy(&nm, n->r[i], 8), memcpy(&em, e->r[i], 8), memcpy(&ne, n->r[i] + 8, 2),
            memcpy(&ee, e->r[i] + 8, 2);
        DIFFER("    R%u: cpu %04x.%016lx, emulator %04x.%016lx\n", i, ne, nm, ee, em);
    }
    return differ;
}

static void split(const uint8_t *p, uint64_t half[2])
{
    memcpy(half, p, 16);
}

static unsigned compare_sse(const struct sse_image *n, const struct sse_image *e, bool show)
{
    unsigned differ = 0;
    uint64_t nh[2], eh[2];
    if (n->mxcsr != e->mxcsr)
        DIFFER("    mxcsr: cpu %04x, emulator %04x\n", n->mxcsr, e->mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(n->xmm[i], e->xmm[i], 16) == 0)
            continue;
        split(n->xmm[i], nh), split(e->xmm[i], eh);
        DIFFER("    xmm%u: cpu %016lx.%016lx, emulator %016lx.%016lx\n", i, nh[1], nh[0], eh[1], eh[0]);
    }
    return differ;
}

/* Number of differences; prints them with show. */
static unsigned compare(const struct test_result *n, const struct test_result *e, const struct undefined *u,
                        bool show)
{
    unsigned differ = 0;
    bool faulted = n->vector != 3;
    uint32_t mask = FLAGS_COMPARED & ~(faulted ? 0 : u->flags);
    if (n->vector != e->vector)
        DIFFER("    vector: cpu %u, emulator %u\n", n->vector, e->vector);
    if ((n->vector == 14 ? n->error & ~0x10u : n->error) != e->error) /* no NX in the guest */
        DIFFER("    error code: cpu %x, emulator %x\n", n->error, e->error);
    if (n->cr2 != e->cr2)
        DIFFER("    cr2: cpu %08x, emulator %08x\n", n->cr2, e->cr2);
    if (n->out.eip != e->out.eip)
        DIFFER("    eip: cpu %08x, emulator %08x\n", n->out.eip, e->out.eip);
    if ((n->out.eflags ^ e->out.eflags) & mask)
        DIFFER("    eflags: cpu %08x, emulator %08x (mask %08x)\n", n->out.eflags, e->out.eflags, mask);
    if (!u->result && !(faulted && u->fault_writes)) {
        for (unsigned i = 0; i < 8; i++)
            if (n->out.gpr[i] != e->out.gpr[i])
                DIFFER("    %s: cpu %08x, emulator %08x\n", gpr_name[i], n->out.gpr[i], e->out.gpr[i]);
        bool same = memcmp(n->data, e->data, DATA_BYTES) == 0;
        for (unsigned i = 0, shown = 0; !same && i < DATA_BYTES && shown < 4; i++)
            if (n->data[i] != e->data[i]) {
                DIFFER("    [%08x]: cpu %02x, emulator %02x\n", DATA_BASE + i, n->data[i], e->data[i]);
                shown++;
            }
    }
    return differ + compare_fpu(&n->out.fpu, &e->out.fpu, u, show) +
           compare_sse(&n->out.sse, &e->out.sse, show);
}

/* Differences between makers that the SDM decides: what an unmasked #IA leaves in a comparison's codes. */
static void allow_x87(const struct oracle_row *row, const struct test_result *n, struct undefined *u)
{
    if (!row || !row->x87_compare)
        return;
    u->fsw |= 1u << 9; /* C1 of FCOMI: AMD leaves it */
    if ((n->out.fpu.sw & 1) && !(n->out.fpu.cw & 1))
        u->fsw |= 0x4500, u->flags |= FLAGS_ARITH;
}

/* MMX and SSE: AMD's processors keep the x87 state at CVTPI2PS from memory, and have one more bit in
 * MXCSR_MASK. */
static void allow_sse(const struct oracle_row *row, const struct test_case *c, const struct undefined *u,
                      const struct test_result *n, struct test_result *e)
{
    if (row && !strcmp(row->mnemonic, "CVTPI2PS") && n->out.fpu.sw == c->in.fpu.sw)
        e->out.fpu.sw = n->out.fpu.sw, e->out.fpu.empty = n->out.fpu.empty;
    if (u->mxcsr_mask >= DATA_BASE && u->mxcsr_mask <= DATA_BASE + DATA_BYTES - 4)
        memcpy(e->data + (u->mxcsr_mask - DATA_BASE), n->data + (u->mxcsr_mask - DATA_BASE), 4);
}

static void show_case(const struct test_case *c, const char *row)
{
    ZydisDisassembledInstruction di;
    printf("MISMATCH %s:", row);
    for (unsigned i = 0; i < c->code_bytes; i++)
        printf(" %02x", c->code[i]);
    for (unsigned at = 0; at < c->code_bytes; at += di.info.length) {
        if (!ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LEGACY_32, c->in.eip + at, c->code + at,
                                                c->code_bytes - at, &di)))
            break;
        printf("%s %s", at ? ";" : "  ", di.text);
    }
    printf("\n    in:");
    for (unsigned i = 0; i < 8; i++)
        printf(" %s=%08x", gpr_name[i], c->in.gpr[i]);
    printf(" eflags=%08x fcw=%04x fsw=%04x mxcsr=%04x\n", c->in.eflags, c->in.fpu.cw, c->in.fpu.sw,
           c->in.sse.mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t half[2];
        split(c->in.sse.xmm[i], half);
        printf("    xmm%u=%016lx.%016lx%s", i, half[1], half[0], i & 1 ? "\n" : "");
    }
}

static void print_table(const struct gen *g)
{
    printf("%-32s %9s %9s %9s\n", "row", "cases", "completed", "faulted");
    for (unsigned i = 0; i < g->nrows; i++) {
        const struct oracle_row *r = &g->rows[i];
        if (r->excluded)
            printf("%-32s excluded: %s\n", r->name, r->excluded);
        else
            printf("%-32s %9lu %9lu %9lu%s\n", r->name, r->cases, r->completed, r->faulted,
                   r->cases ? "" : "  NOT RUN");
    }
}

struct options {
    uint64_t cases, sequences, seed;
    const char *row;
    bool table, single_tb, compiled;
};

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"cases", required_argument, NULL, 'c'},  {"seed", required_argument, NULL, 's'},
        {"row", required_argument, NULL, 'r'},    {"table", no_argument, NULL, 't'},
        {"single-tb", no_argument, NULL, '1'},    {"sequences", required_argument, NULL, 'q'},
        {"engine", required_argument, NULL, 'e'}, {NULL, 0, NULL, 0}};
    *o = (struct options){.cases = 100000, .seed = 1};
    for (int k; (k = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (k) {
        case 'c':
            o->cases = strtoull(optarg, NULL, 0);
            break;
        case 'q':
            o->sequences = strtoull(optarg, NULL, 0);
            break;
        case 's':
            o->seed = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            o->row = optarg;
            break;
        case 't':
            o->table = true;
            break;
        case '1':
            o->single_tb = true;
            break;
        case 'e':
            o->compiled = strcmp(optarg, "eager") == 0;
            break;
        default:
            return false;
        }
    }
    return true;
}

/* Draws one case; returns the row, or NULL for a sequence. */
static struct oracle_row *draw(struct gen *g, const struct options *o, uint64_t n, struct test_case *c,
                               struct undefined *u)
{
    *u = (struct undefined){0};
    if (!o->row && n % 8 == 7) {
        gen_sequence(g, c);
        return NULL;
    }
    for (;;) {
        struct oracle_row *row = &g->rows[gen_random(g) % g->nrows];
        if (row->excluded || (o->row && !strstr(row->name, o->row)))
            continue;
        if (gen_single(g, row, c, u))
            return row;
    }
}

/* Adds the sequences' counts; false: they could not run. */
static bool run_sequences(struct gen *g, const struct options *o, uint64_t *passed, uint64_t *failed)
{
    struct sequence_counts c;
    if (o->sequences == 0)
        return true;
    if (!sequences_run(g, o->seed, o->sequences, &c))
        return false;
    printf(
        "sequences: %lu instructions, %lu skipped, %lu with code changes (%lu through an alias); ended by:",
        c.insns, c.skipped, c.changed_code, c.by_alias);
    for (unsigned i = 0; i < 32; i++)
        if (c.vector[i])
            printf(" %u: %lu", i, c.vector[i]);
    putchar('\n');
    *passed += c.passed, *failed += c.failed;
    return true;
}

int main(int argc, char **argv)
{
    static struct test_case c;
    static struct test_result native, emulated;
    struct options o;
    struct gen g;
    struct undefined u;
    uint64_t passed = 0, failed = 0, skipped = 0;
    if (!parse(argc, argv, &o) || !native_init())
        return 2;
    struct emulated *machine = emulated_create(&(struct emulated_config){
        .single_tb = o.single_tb, .mode = o.compiled ? TRANSLATOR_EAGER : TRANSLATOR_INTERP});
    if (!machine)
        return 2;
    gen_init(&g, o.seed);
    for (uint64_t n = 0; n < o.cases; n++) {
        struct oracle_row *row = draw(&g, &o, n, &c, &u);
        native_run(&c, &native);
        if (!comparable(&native) || native.vector == NATIVE_STOPPED) {
            skipped++;
            continue;
        }
        emulated_run(machine, &c, &emulated);
        allow_x87(row, &native, &u);
        allow_sse(row, &c, &u, &native, &emulated);
        if (row) {
            row->cases++;
            *(native.vector == 3 ? &row->completed : &row->faulted) += 1;
        }
        if (compare(&native, &emulated, &u, false) == 0 || allowed_fault(row, &native, &emulated)) {
            passed++;
            continue;
        }
        if (failed++ < SHOWN_MAX) {
            show_case(&c, row ? row->name : "sequence");
            compare(&native, &emulated, &u, true);
        }
    }
    if (o.table)
        print_table(&g);
    if (!run_sequences(&g, &o, &passed, &failed))
        return 2;
    printf("oracle: seed %lu, %lu cases skipped (fetch from data)\n%lu passed, %lu failed\n", o.seed, skipped,
           passed, failed);
    gen_end(&g);
    emulated_destroy(machine);
    return failed ? 1 : 0;
}
