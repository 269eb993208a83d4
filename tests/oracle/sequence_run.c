/* sequence_run.c - runs the sequences on the real CPU and in every engine, and compares.
 *
 * The machines live as long as the test, and a case's memory is put in place byte by byte where it differs,
 * so that compiled code of earlier runs and cases is there to be stale. A case runs several times in each:
 * its blocks get hot, compiled and linked. Between engines, ticks and page tables (accessed and dirty bits)
 * must agree as well. Where the host runs no 32-bit code, the first engine's result and memory stand in for
 * the real CPU's. */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/oracle/gen_float.h"
#include "tests/oracle/sequence.h"

enum { SHOWN_MAX = 10, CHUNK = 64, RAN_AWAY_TICKS = 1 << 22, STATE_MAX = 2048 };

static const char *const gpr_name[8] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};

/* The engines; the first is what the others' ticks and page tables are compared with. */
static const struct engine {
    const char *name;
    struct emulated_config cfg;
    unsigned runs;
} engines[] = {
    {"interp", {.mode = TRANSLATOR_INTERP}, 1},
    {"eager", {.mode = TRANSLATOR_EAGER}, 2},
    {"background, threads=0, hot=3", {.mode = TRANSLATOR_BACKGROUND, .hot = 3}, 2},
    {"background, threads=1, hot=2", {.mode = TRANSLATOR_BACKGROUND, .hot = 2, .threads = 1}, 2},
    {"interp, long blocks, cut every 61 ticks",
     {.mode = TRANSLATOR_INTERP, .long_blocks = LONG_BLOCKS_ANY, .long_blocks_seed = 3, .quantum_ticks = 61},
     1},
    {"eager, long blocks",
     {.mode = TRANSLATOR_EAGER, .long_blocks = LONG_BLOCKS_ANY, .long_blocks_seed = 5},
     2},
    {"eager, 64K cache, cut every 61 ticks",
     {.mode = TRANSLATOR_EAGER, .code_cache_bytes = 64 << 10, .quantum_ticks = 61},
     1},
};

/* Memory that a case can write, at the same linear addresses on both sides. */
static const struct area {
    uint32_t lin_addr, bytes;
} areas[] = {{SEQ_CODE, SEQ_CODE_BYTES}, {DATA_BASE, DATA_PAGES * 4096}, {SEQ_FUEL, SEQ_FUEL_BYTES}};
enum { MACHINES = sizeof engines / sizeof engines[0] };
enum { AREAS = sizeof areas / sizeof areas[0], AREA_CODE = 0, AREA_DATA = 1, AREA_FUEL = 2 };

struct sequence_runner {
    enum vendor vendor; /* of the real CPU */
    struct emulated *machine[MACHINES];
    uint8_t data[SEQ_DATA_BYTES], fuel[SEQ_FUEL_BYTES]; /* what every case starts from */
    const uint8_t *image[AREAS];
    struct test_case enter;                /* only its registers count */
    uint64_t ticks;                        /* that the first engine's run took */
    uint8_t state[STATE_MAX];              /* the whole vCPU after the first engine's run */
    uint8_t tables[EMULATED_TABLES_BYTES]; /* page tables after the first engine's run */
};

static uint8_t *native_at(uint32_t lin_addr)
{
    return (uint8_t *)(uintptr_t)lin_addr;
}

/* --- start --- */

static bool map_native(int fd, uint32_t lin_addr, uint32_t bytes, int prot)
{
    int flags = (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED) | MAP_FIXED_NOREPLACE;
    return mmap(native_at(lin_addr), bytes, prot, flags, fd, 0) == native_at(lin_addr);
}

static bool native_pages(void)
{
    int rwx = PROT_READ | PROT_WRITE | PROT_EXEC, fd = memfd_create("oracle code", MFD_CLOEXEC);
    bool ok = fd >= 0 && ftruncate(fd, SEQ_CODE_BYTES) == 0 &&
              map_native(fd, SEQ_CODE, SEQ_CODE_BYTES, rwx) &&
              map_native(fd, SEQ_ALIAS, SEQ_CODE_BYTES, rwx) &&
              map_native(-1, SEQ_FUEL, SEQ_FUEL_BYTES, PROT_READ | PROT_WRITE);
    if (fd >= 0)
        close(fd);
    memset(native_at(CODE_BASE), 0, CODE_BYTES); /* what single cases left there; the emulator has zeroes */
    return ok;
}

/* The read-only page is the same for all cases. */
static void fill_read_only(const struct sequence_runner *r)
{
    uint32_t at = DATA_BASE + DATA_PAGES * 4096, bytes = RO_PAGES * 4096;
    const uint8_t *from = r->data + DATA_PAGES * 4096;
    mprotect(native_at(at), bytes, PROT_READ | PROT_WRITE);
    memcpy(native_at(at), from, bytes);
    mprotect(native_at(at), bytes, PROT_READ);
    for (unsigned i = 0; i < MACHINES; i++)
        emulated_put(r->machine[i], at, from, bytes);
}

static bool machine_start(struct sequence_runner *r, unsigned i)
{
    struct emulated_config cfg = engines[i].cfg;
    cfg.ran_away_ticks = RAN_AWAY_TICKS;
    r->machine[i] = emulated_create(&cfg);
    for (uint32_t at = 0; r->machine[i] && at < SEQ_CODE_BYTES; at += 4096) {
        emulated_map(r->machine[i], SEQ_CODE + at, SEQ_CODE + at, 7);
        emulated_map(r->machine[i], SEQ_ALIAS + at, SEQ_CODE + at, 7);
    }
    if (r->machine[i])
        emulated_map(r->machine[i], SEQ_FUEL, SEQ_FUEL, 7);
    return r->machine[i] != NULL;
}

/* Random bytes, with floating-point numbers strewn in. */
static void fill_data(struct gen *g, uint8_t *data)
{
    struct fpu_image f;
    for (unsigned i = 0; i < SEQ_DATA_BYTES; i += 16)
        random_lanes(g, (enum lanes)gen_below(g, LANES_COUNT), data + i);
    for (unsigned i = 0; i + 80 < SEQ_DATA_BYTES; i += 240) {
        random_fpu(g, &f, true);
        memcpy(data + i, f.r, sizeof f.r);
    }
}

static void runner_free(struct sequence_runner *r)
{
    for (unsigned i = 0; r && i < MACHINES; i++)
        emulated_destroy(r->machine[i]);
    free(r);
}

static struct sequence_runner *runner_create(struct gen *g)
{
    struct sequence_runner *r = calloc(1, sizeof *r);
    bool ok = r && native_pages();
    for (unsigned i = 0; ok && i < MACHINES; i++)
        ok = machine_start(r, i);
    if (!ok) {
        fprintf(stderr, "oracle: cannot set up the machines for sequences\n");
        runner_free(r);
        return NULL;
    }
    g->seed = 1; /* one set of data for all seeds */
    fill_data(g, r->data);
    fill_read_only(r);
    return r;
}

/* --- memory --- */

/* Puts the case's memory in place: the machine's, or with m NULL the real CPU's at base. */
static void put_memory(const struct sequence_runner *r, uint8_t *base, struct emulated *m)
{
    for (unsigned a = 0; a < AREAS; a++)
        for (uint32_t at = 0; at < areas[a].bytes; at += CHUNK) {
            uint32_t addr = areas[a].lin_addr + at;
            if (memcmp((m ? emulated_ram(m) : base) + addr, r->image[a] + at, CHUNK) == 0)
                continue;
            if (m)
                emulated_put(m, addr, r->image[a] + at, CHUNK);
            else
                memcpy(base + addr, r->image[a] + at, CHUNK);
        }
}

/* Accessed and dirty bits off, so that each run shows which it sets. */
static void clear_page_bits(struct emulated *m)
{
    const uint32_t *entry = (const uint32_t *)(emulated_ram(m) + EMULATED_TABLES);
    for (uint32_t i = 0; i < EMULATED_TABLES_BYTES / 4; i++) {
        uint32_t cleared = entry[i] & ~0x60u;
        if (cleared != entry[i])
            emulated_put(m, EMULATED_TABLES + 4 * i, &cleared, 4);
    }
}

/* --- comparing --- */

#define DIFFER(...) (show ? (void)printf(__VA_ARGS__) : (void)0, differ++)

static unsigned compare_fpu(const struct fpu_image *n, const struct fpu_image *e, bool show)
{
    unsigned differ = 0;
    if (n->cw != e->cw || n->sw != e->sw || n->empty != e->empty)
        DIFFER("    x87 cw sw empty: cpu %04x %04x %02x, emulator %04x %04x %02x\n", n->cw, n->sw, n->empty,
               e->cw, e->sw, e->empty);
    for (unsigned i = 0; i < 8; i++)
        if (memcmp(n->r[i], e->r[i], 10) != 0)
            DIFFER("    R%u differs\n", i);
    return differ;
}

static unsigned compare_sse(const struct sse_image *n, const struct sse_image *e, bool show)
{
    unsigned differ = 0;
    if (n->mxcsr != e->mxcsr)
        DIFFER("    mxcsr: cpu %04x, emulator %04x\n", n->mxcsr, e->mxcsr);
    for (unsigned i = 0; i < 8; i++)
        if (memcmp(n->xmm[i], e->xmm[i], 16) != 0)
            DIFFER("    xmm%u differs\n", i);
    return differ;
}

static unsigned compare_memory(const uint8_t *ram, bool show)
{
    unsigned differ = 0;
    for (unsigned a = 0; a < AREAS; a++) {
        const uint8_t *n = native_at(areas[a].lin_addr), *e = ram + areas[a].lin_addr;
        if (memcmp(n, e, areas[a].bytes) == 0)
            continue;
        for (uint32_t i = 0; i < areas[a].bytes && differ < 8; i++)
            if (n[i] != e[i])
                DIFFER("    [%08x]: cpu %02x, emulator %02x\n", areas[a].lin_addr + i, n[i], e[i]);
    }
    return differ;
}

static unsigned compare_state(const struct sequence *s, const struct test_result *n,
                              const struct test_result *e, bool show)
{
    unsigned differ = 0;
    uint32_t at = n->out.eip - (n->vector == 3 || n->vector == 4); /* traps report the next instruction */
    uint32_t mask =
        (FLAGS_ARITH | FLAG_DF | FLAG_TF | FLAG_NT | FLAG_RF | FLAG_AC) & ~sequence_undefined(s, at);
    if (n->vector != e->vector || n->out.eip != e->out.eip)
        DIFFER("    end: cpu vector %u at %08x, emulator %u at %08x\n", n->vector, n->out.eip, e->vector,
               e->out.eip);
    if ((n->vector == 14 ? n->error & ~0x10u : n->error) != e->error) /* no NX in the guest */
        DIFFER("    error code: cpu %x, emulator %x\n", n->error, e->error);
    if (n->cr2 != e->cr2)
        DIFFER("    cr2: cpu %08x, emulator %08x\n", n->cr2, e->cr2);
    if ((n->out.eflags ^ e->out.eflags) & mask)
        DIFFER("    eflags: cpu %08x, emulator %08x (mask %08x)\n", n->out.eflags, e->out.eflags, mask);
    for (unsigned i = 0; i < 8; i++)
        if (n->out.gpr[i] != e->out.gpr[i])
            DIFFER("    %s: cpu %08x, emulator %08x\n", gpr_name[i], n->out.gpr[i], e->out.gpr[i]);
    return differ + compare_fpu(&n->out.fpu, &e->out.fpu, show) + compare_sse(&n->out.sse, &e->out.sse, show);
}

static bool wraps(const struct test_result *segment, const struct test_result *page)
{
    return (segment->vector == 13 || segment->vector == 12) && segment->error == 0 && page->vector == 14 &&
           (page->cr2 >= 0xffffffe0u || page->cr2 < 32);
}

/* The instruction at which the case ended, on the real CPU's side; NULL: not whole in the code. */
static const uint8_t *insn_at_end(const struct test_result *n)
{
    const uint32_t at = n->out.eip;
    const bool in_code =
        at - SEQ_CODE < SEQ_CODE_BYTES - INSN_BYTES_MAX || at - SEQ_ALIAS < SEQ_CODE_BYTES - INSN_BYTES_MAX;
    return in_code ? native_at(at) : NULL;
}

/* Processors know an undefined opcode before they have fetched all of it; ours fetches ModRM from the next
 * page first. */
static bool is_undefined_over_page(const struct test_result *n, const struct test_result *e)
{
    return n->vector == 6 && e->vector == 14 && e->cr2 % 4096 == 0 && e->cr2 - n->out.eip < INSN_BYTES_MAX;
}

/* The 4 GiB wrap (vendor.def) and pages that only the emulator has. */
static bool allowed_fault(const struct test_result *n, const struct test_result *e)
{
    if (n->out.eip != e->out.eip)
        return false;
    if (wraps(n, e) || wraps(e, n) || is_undefined_over_page(n, e))
        return true;
    return n->vector == 14 && e->vector == 14 && n->cr2 == e->cr2 && emulated_owns(e->cr2);
}

/* The engines among themselves. */
static unsigned compare_engines(const struct sequence_runner *r, struct emulated *m, bool show)
{
    unsigned differ = 0;
    const uint8_t *tables = emulated_ram(m) + EMULATED_TABLES;
    if (emulated_ticks(m) != r->ticks)
        DIFFER("    ticks: %s %lu, here %lu\n", engines[0].name, r->ticks, emulated_ticks(m));
    uint8_t state[STATE_MAX];
    size_t bytes = emulated_state(m, state, sizeof state);
    for (size_t i = 0; i < bytes; i++)
        if (state[i] != r->state[i])
            DIFFER("    vCPU: byte %zu: %s %02x, here %02x\n", i, engines[0].name, r->state[i], state[i]);
    for (unsigned i = 0; i < EMULATED_TABLES_BYTES; i++)
        if (tables[i] != r->tables[i])
            DIFFER("    page tables: byte %05x: %s %02x, here %02x\n", i, engines[0].name, r->tables[i],
                   tables[i]);
    return differ;
}

/* --- showing --- */

static void show_sequence(const struct sequence *s, uint64_t seed)
{
    ZydisDisassembledInstruction di;
    printf("MISMATCH sequence, --seed %lu --sequences 1; fuel %u%s\n    in:", seed, s->fuel,
           s->alias ? ", with alias" : "");
    for (unsigned i = 0; i < 8; i++)
        printf(" %s=%08x", gpr_name[i], s->in.gpr[i]);
    printf(" eip=%08x eflags=%08x fcw=%04x fsw=%04x mxcsr=%04x\n", s->in.eip, s->in.eflags, s->in.fpu.cw,
           s->in.fpu.sw, s->in.sse.mxcsr);
    for (unsigned i = 0; i < s->ninsns; i++) {
        uint32_t at = s->insn[i].at - SEQ_CODE, room = at < SEQ_CODE_BYTES ? SEQ_CODE_BYTES - at : 0;
        unsigned n = s->insn[i].length < room ? s->insn[i].length : room;
        bool ok = n && ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LEGACY_32, SEQ_CODE + at,
                                                          s->code + at, n, &di));
        printf("    %08x %-44s", SEQ_CODE + at, ok ? di.text : "(over the end)");
        for (unsigned b = 0; b < n; b++)
            printf(" %02x", s->code[at + b]);
        putchar('\n');
    }
}

/* --- running --- */

static bool comparable(const struct test_result *n)
{
    bool in_data =
        n->fetch_fault && (n->cr2 - DATA_BASE < SEQ_DATA_BYTES || n->cr2 - SEQ_FUEL < SEQ_FUEL_BYTES);
    /* Data is not executable there; INT1, in the middle of other code, is not run natively in single cases
     * either (insns.def). */
    return !in_data && n->vector != NATIVE_STOPPED && n->vector != 1;
}

static void emulated_turn(struct sequence_runner *r, unsigned i, struct test_result *e)
{
    struct emulated *m = r->machine[i];
    put_memory(r, NULL, m);
    clear_page_bits(m);
    if (!emulated_enter(m, &r->enter.in, e)) {
        printf("oracle: a sequence does not end in %s\n", engines[i].name);
        exit(1); /* the machine was stopped for good */
    }
    if (i == 0) {
        r->ticks = emulated_ticks(m);
        emulated_state(m, r->state, sizeof r->state);
        memcpy(r->tables, emulated_ram(m) + EMULATED_TABLES, EMULATED_TABLES_BYTES);
    }
}

static unsigned compare_with_cpu(struct sequence_runner *r, const struct sequence *s, unsigned i,
                                 const struct test_result *n, const struct test_result *e, bool show)
{
    if (allowed_fault(n, e))
        return 0;
    return compare_state(s, n, e, show) + compare_memory(emulated_ram(r->machine[i]), show);
}

static unsigned compare_all(struct sequence_runner *r, const struct sequence *s, unsigned i,
                            const struct test_result *n, struct test_result *e, bool show)
{
    const uint8_t *end = insn_at_end(n);
    unsigned differ = compare_with_cpu(r, s, i, n, e, false);
    if (differ && end && vendor_adjust_end(r->vendor, end, n, e))
        differ = compare_with_cpu(r, s, i, n, e, false);
    if (differ && show)
        compare_with_cpu(r, s, i, n, e, true);
    return differ + compare_engines(r, r->machine[i], show);
}

/* Every engine against the real CPU's result; false: differs (shown with `show`). */
static bool run_engines(struct sequence_runner *r, const struct sequence *s, uint64_t seed,
                        const struct test_result *n, bool show)
{
    struct test_result e;
    for (unsigned i = 0; i < MACHINES; i++)
        for (unsigned turn = 0; turn < engines[i].runs; turn++) {
            emulated_turn(r, i, &e);
            if (compare_all(r, s, i, n, &e, false) == 0)
                continue;
            if (show) {
                show_sequence(s, seed);
                printf("    %s, run %u (cpu ended by vector %u at %08x):\n", engines[i].name, turn + 1,
                       n->vector, n->out.eip);
                compare_all(r, s, i, n, &e, true);
            }
            return false;
        }
    return true;
}

/* FPREM, FPREM1. */
static bool has_remainder(const struct sequence *s)
{
    for (unsigned i = 0; i < s->ninsns; i++) {
        const uint32_t at = s->insn[i].at - SEQ_CODE + s->insn[i].length;
        if (at >= 2 && at <= SEQ_CODE_BYTES && s->code[at - 2] == 0xd9 &&
            (s->code[at - 1] == 0xf8 || s->code[at - 1] == 0xf5))
            return true;
    }
    return false;
}

/* Does a row of vendor.def take the case elsewhere? What a remainder did is not seen at the end of a
 * sequence. */
static bool vendor_takes(const struct sequence_runner *r, const struct sequence *s,
                         const struct test_result *n)
{
    const uint8_t *end = insn_at_end(n);
    return (end && vendor_store_may_differ(r->vendor, end, n)) ||
           ((r->vendor & VENDOR_AMD) && has_remainder(s));
}

/* The result that all engines must have; its memory is at native_at. */
static void reference(struct sequence_runner *r, struct test_result *n)
{
    if (!native_is_form64()) {
        put_memory(r, native_at(0), NULL);
        native_enter(&r->enter, n);
        return;
    }
    emulated_turn(r, 0, n);
    for (unsigned a = 0; a < AREAS; a++)
        memcpy(native_at(areas[a].lin_addr), emulated_ram(r->machine[0]) + areas[a].lin_addr, areas[a].bytes);
}

static void run_case(struct sequence_runner *r, struct gen *g, uint64_t seed, struct sequence_counts *out)
{
    static struct sequence s;
    static struct test_result n;
    g->seed = seed;
    sequence_draw(g, &s);
    memcpy(r->fuel, &s.fuel, sizeof s.fuel);
    r->image[AREA_CODE] = s.code, r->image[AREA_DATA] = r->data, r->image[AREA_FUEL] = r->fuel;
    r->enter.in = s.in;
    reference(r, &n);
    if (!comparable(&n)) {
        out->skipped++;
        return;
    }
    if (vendor_takes(r, &s, &n)) {
        out->vendor++;
        return;
    }
    bool same = run_engines(r, &s, seed, &n, out->failed < SHOWN_MAX);
    *(same ? &out->passed : &out->failed) += 1;
    out->vector[n.vector & 31]++;
    out->changed_code += s.changes_code, out->by_alias += s.alias;
    out->insns += r->ticks;
}

bool sequences_run(struct gen *g, enum vendor vendor, uint64_t seed, uint64_t count,
                   struct sequence_counts *out)
{
    struct sequence_runner *r = runner_create(g);
    *out = (struct sequence_counts){0};
    if (!r)
        return false;
    r->vendor = native_is_form64() ? 0 : vendor; /* no row is about the engines among themselves */
    for (uint64_t i = 0; i < count; i++)
        run_case(r, g, seed + i, out);
    runner_free(r);
    return true;
}
