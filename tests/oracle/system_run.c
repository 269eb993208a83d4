/* system_run.c - runs the cases of system.h in every engine and compares.
 *
 * The machines live as long as the test, so that compiled code, translations and TLB entries of earlier cases
 * are there to be stale.
 * First a scout, which is not compared, runs the case one instruction at a time: it counts the coverage, and
 * finds where a case must end that would fault for ever without a tick going by. */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/system_coverage.h"
#include "tests/oracle/system_machine.h"
#include "vcpu/parts.h"

enum { SHOWN_MAX = 5, STATE_MAX = 2048, TICKS_MAX = 400, DELIVERIES_MAX = 400, TRACE = 12, TURNS_MAX = 2 };

static const struct system_engine scout = {.name = "scout", .mode = TRANSLATOR_INTERP, .turns = 1};
static const struct system_engine engines[] = {
    {.name = "interp", .mode = TRANSLATOR_INTERP, .turns = 2},
    {.name = "interp, a condition asked", .mode = TRANSLATOR_INTERP, .one_at_a_time = true, .turns = 1},
    {.name = "interp, horizon every 7 ticks", .mode = TRANSLATOR_INTERP, .quantum_ticks = 7, .turns = 1},
    {.name = "eager", .mode = TRANSLATOR_EAGER, .turns = 2},
    {.name = "eager, blocks of one instruction", .mode = TRANSLATOR_EAGER, .single_tb = true, .turns = 1},
    {.name = "eager, unchained, cut at random ticks",
     .mode = TRANSLATOR_EAGER,
     .no_chain = true,
     .cut = true,
     .turns = 1},
    {.name = "interp, long blocks, cut at random ticks",
     .mode = TRANSLATOR_INTERP,
     .long_blocks = LONG_BLOCKS_ANY,
     .cut = true,
     .turns = 1},
    {.name = "eager, long blocks", .mode = TRANSLATOR_EAGER, .long_blocks = LONG_BLOCKS_ANY, .turns = 2},
    {.name = "eager, 64K cache, cut at random ticks, horizon every 61",
     .mode = TRANSLATOR_EAGER,
     .code_cache_bytes = 64 << 10,
     .quantum_ticks = 61,
     .cut = true,
     .turns = 1},
    {.name = "background, threads=0, hot=2", .mode = TRANSLATOR_BACKGROUND, .hot = 2, .turns = 2},
    {.name = "background, threads=1, hot=2",
     .mode = TRANSLATOR_BACKGROUND,
     .hot = 2,
     .threads = 1,
     .turns = 2},
};
enum { MACHINES = sizeof engines / sizeof engines[0] };

struct outcome {
    enum vcpu_exit exit;
    uint64_t ticks, exceptions, interrupts;
    size_t state_bytes;
    uint8_t state[STATE_MAX];
    const uint8_t *ram; /* the machine's own, until it runs again */
};

/* An instruction that the scout saw. */
struct step {
    uint64_t tick;
    uint32_t eip, lin_addr, cr0;
    uint16_t cs;
    uint8_t cpl;
    bool code32, vm86;
};

struct runner {
    struct coverage *coverage;
    struct system_counts *counts;
    struct system_machine *scout, *machine[MACHINES];
    struct system_case c;
    uint64_t ticks;                     /* that the case runs */
    struct vcpu_stats before;           /* the scout's, at the case's start */
    struct step last, trace[TICKS_MAX]; /* last: before the instruction that runs */
    unsigned nsteps;
    bool endless;
    struct outcome right, other; /* of the first engine; of another */
};

/* --- start and end --- */

static bool machines_start(struct runner *r)
{
    bool ok = (r->scout = system_machine_create(&scout)) != NULL;
    for (unsigned i = 0; i < MACHINES; i++)
        ok &= (r->machine[i] = system_machine_create(&engines[i])) != NULL;
    if (!ok)
        fprintf(stderr, "oracle: cannot set up the machines for system cases\n");
    return ok;
}

static void machines_end(struct runner *r)
{
    system_machine_destroy(r->scout);
    for (unsigned i = 0; i < MACHINES; i++)
        system_machine_destroy(r->machine[i]);
}

/* --- the scout --- */

static struct step step_now(struct runner *r)
{
    const struct guest_state *g = vcpu_state(system_machine_vcpu(r->scout));
    return (struct step){.tick = system_machine_ticks(r->scout),
                         .eip = g->eip,
                         .lin_addr = g->seg[SEG_CS].base + g->eip,
                         .cr0 = g->cr0,
                         .cs = g->seg[SEG_CS].sel,
                         .cpl = g->cpl,
                         .vm86 = g->eflags & FLAG_VM,
                         .code32 = g->seg[SEG_CS].access & SEG_ACC_DB};
}

static void note_retired(struct runner *r)
{
    if (r->coverage)
        coverage_count(r->coverage, system_machine_vcpu(r->scout), system_machine_ram(r->scout), r->last.cpl,
                       r->last.code32, r->last.vm86);
    if (r->nsteps < TICKS_MAX)
        r->trace[r->nsteps++] = r->last;
}

/* Before each instruction; true: enough of this case. */
static bool scout_looks(void *ctx)
{
    struct runner *r = ctx;
    struct vcpu_stats now;
    struct step s = step_now(r);
    if (s.tick > r->last.tick)
        note_retired(r);
    r->last = s;
    vcpu_get_stats(system_machine_vcpu(r->scout), &now);
    r->endless =
        now.exceptions - r->before.exceptions + now.interrupts - r->before.interrupts > DELIVERIES_MAX;
    return r->endless;
}

static void scout_case(struct runner *r, uint64_t ticks)
{
    r->endless = false;
    r->nsteps = 0;
    system_machine_load(r->scout, &r->c);
    vcpu_get_stats(system_machine_vcpu(r->scout), &r->before);
    r->last = step_now(r);
    system_machine_watch(r->scout, scout_looks, r);
    system_machine_run(r->scout, ticks);
    r->ticks = r->endless ? system_machine_ticks(r->scout) : ticks;
}

/* --- a run --- */

static void run(struct system_machine *m, const struct system_case *c, uint64_t ticks, struct outcome *o)
{
    struct vcpu *v = system_machine_vcpu(m);
    struct vcpu_stats before, after;
    system_machine_load(m, c);
    vcpu_get_stats(v, &before);
    o->exit = system_machine_run(m, ticks);
    vcpu_get_stats(v, &after);
    o->ticks = system_machine_ticks(m);
    o->exceptions = after.exceptions - before.exceptions;
    o->interrupts = after.interrupts - before.interrupts;
    o->state_bytes = system_machine_state(m, o->state, sizeof o->state);
    o->ram = system_machine_ram(m);
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
    return a->exit == b->exit && a->ticks == b->ticks && a->exceptions == b->exceptions &&
           a->interrupts == b->interrupts && a->state_bytes == b->state_bytes &&
           !memcmp(a->state, b->state, a->state_bytes) && !memcmp(a->ram, b->ram, SYS_RAM_BYTES);
}

/* --- showing --- */

static void show_field(struct vcpu *v, const struct runner *r)
{
    struct state_part p;
    size_t at = 0;
    for (unsigned i = 0; vcpu_part(v, STATE_CPU, i, &p); i++)
        for (size_t f = 0; f < p.nfields; at += field_bytes(&p.fields[f++])) {
            const size_t bytes = field_bytes(&p.fields[f]);
            const uint8_t *a = r->other.state + at, *b = r->right.state + at;
            if (!memcmp(a, b, bytes))
                continue;
            printf("    %s %s:", p.name, p.fields[f].name);
            for (size_t k = bytes; k-- > 0;)
                printf(" %02x", a[k]);
            printf(", %s", engines[0].name);
            for (size_t k = bytes; k-- > 0;)
                printf(" %02x", b[k]);
            putchar('\n');
        }
}

static void show_difference(const struct runner *r, struct vcpu *v)
{
    const struct outcome *o = &r->other, *right = &r->right;
    printf("    exit %d, %lu ticks, %lu exceptions, %lu interrupts; %s: %d, %lu, %lu, %lu\n", (int)o->exit,
           o->ticks, o->exceptions, o->interrupts, engines[0].name, (int)right->exit, right->ticks,
           right->exceptions, right->interrupts);
    show_field(v, r);
    for (uint32_t i = 0, shown = 0; i < SYS_RAM_BYTES && shown < 8; i++)
        if (o->ram[i] != right->ram[i])
            printf("    [%05x]: %02x, %s %02x\n", i, o->ram[i], engines[0].name, right->ram[i]), shown++;
}

static void show_step(const struct runner *r, const struct step *s)
{
    ZydisDisassembledInstruction di;
    printf("    tick %3lu  %04x:%08x (linear %08x, cr0 %08x, cpl %u%s, %s-bit)", s->tick, s->cs, s->eip,
           s->lin_addr, s->cr0, s->cpl, s->vm86 ? " VM" : "", s->code32 ? "32" : "16");
    for (uint32_t i = s->lin_addr; i < s->lin_addr + 8 && i < SYS_RAM_BYTES; i++)
        printf(" %02x", r->other.ram[i]);
    if (s->lin_addr < SYS_RAM_BYTES - INSN_BYTES_MAX &&
        ZYAN_SUCCESS(
            ZydisDisassembleIntel(s->code32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                                  s->eip, r->other.ram + s->lin_addr, INSN_BYTES_MAX, &di)))
        printf("  %s", di.text);
    putchar('\n');
}

/* The last instructions before `ticks`, from memory as it is then; without paging, that is what ran, unless
 * it has been changed since. */
static void show_trace(struct runner *r, uint64_t ticks)
{
    struct coverage *counted = r->coverage;
    r->coverage = NULL;
    scout_case(r, ticks);
    r->coverage = counted;
    for (unsigned i = r->nsteps > TRACE ? r->nsteps - TRACE : 0; i < r->nsteps; i++)
        show_step(r, &r->trace[i]);
    show_step(r, &r->last);
}

/* The least number of ticks after which they differ, and what ran until then. The case may need what earlier
 * cases left behind: then it is not shown alone. */
static void show(struct runner *r, unsigned i, uint64_t first_seed, uint64_t seed)
{
    const uint64_t ticks_max = r->ticks;
    printf(
        "MISMATCH system case, --seed %lu --systems 1 (or --seed %lu --systems %lu), mode %d, %s-bit: %s\n",
        seed, first_seed, seed - first_seed + 1, (int)r->c.mode, r->c.code32 ? "32" : "16", engines[i].name);
    for (uint64_t ticks = 1; ticks <= ticks_max; ticks++) {
        run(r->machine[0], &r->c, ticks, &r->right);
        run(r->machine[i], &r->c, ticks, &r->other);
        if (is_same(&r->right, &r->other))
            continue;
        printf("    differs after tick %lu:\n", ticks);
        show_difference(r, system_machine_vcpu(r->machine[i]));
        show_trace(r, ticks);
        return;
    }
    printf("    (not when run to each tick alone)\n");
}

/* --- all --- */

/* The first engine comes first: it says what is right. */
static bool run_engine(struct runner *r, unsigned i, uint64_t first_seed, uint64_t seed)
{
    run(r->machine[i], &r->c, r->ticks, i ? &r->other : &r->right);
    if (i == 0 || is_same(&r->other, &r->right))
        return true;
    if (r->counts->failed < SHOWN_MAX)
        show(r, i, first_seed, seed);
    return false;
}

static bool run_case(struct runner *r, uint64_t first_seed, uint64_t seed)
{
    scout_case(r, TICKS_MAX);
    for (unsigned turn = 0; turn < TURNS_MAX; turn++)
        for (unsigned i = 0; i < MACHINES; i++)
            if (turn < engines[i].turns && !run_engine(r, i, first_seed, seed))
                return false;
    return true;
}

static void count_case(struct runner *r, bool same)
{
    struct system_counts *n = r->counts;
    *(same ? &n->passed : &n->failed) += 1;
    n->mode[r->c.mode]++;
    n->ticks += r->right.ticks;
    n->exceptions += r->right.exceptions, n->interrupts += r->right.interrupts;
    n->halted += r->right.exit == VCPU_EXIT_HALTED;
    n->triple_faults += r->right.exit == VCPU_EXIT_TRIPLE_FAULT;
    n->endless += r->endless;
}

bool systems_run(struct gen *g, uint64_t seed, uint64_t count, struct coverage *cov,
                 struct system_counts *out)
{
    struct runner *r = calloc(1, sizeof *r);
    *out = (struct system_counts){0};
    if (!r)
        return false;
    r->coverage = cov, r->counts = out;
    const bool ok = machines_start(r);
    for (uint64_t i = 0; ok && i < count; i++) {
        g->seed = seed + i;
        system_draw(g, &r->c);
        count_case(r, run_case(r, seed, seed + i));
    }
    machines_end(r);
    free(r);
    return ok;
}
