/* compare.c - see compare.h. */
#include "tests/oracle/compare.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

#include "translator/guest_state.h"

#define FLAGS_COMPARED (FLAGS_ARITH | FLAG_DF | FLAG_TF | FLAG_NT | FLAG_RF | FLAG_AC)

static const char *const gpr_name[8] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};

/* A native fetch from the (there not executable) data pages has no counterpart; skip such a case. */
bool is_comparable(const struct test_result *native)
{
    return native->vector != NATIVE_STOPPED && native->vector != NATIVE_NO_FORM &&
           !(native->fetch_fault && native->cr2 >= DATA_BASE && native->cr2 < DATA_BASE + DATA_BYTES);
}

/* No NX in the guest; and the emulator's own supervisor pages are there, if not for the case. */
static uint32_t error_artefacts(const struct test_result *n, const struct test_result *e)
{
    if (n->vector != 14)
        return 0;
    return n->cr2 == e->cr2 && emulated_owns(e->cr2) ? 0x11 : 0x10;
}

#define DIFFER(...) (show ? (void)printf(__VA_ARGS__) : (void)0, differ++)

static unsigned compare_fpu(const struct fpu_image *n, const struct fpu_image *e, bool show)
{
    unsigned differ = 0;
    if (n->cw != e->cw)
        DIFFER("    fcw: cpu %04x, emulator %04x\n", n->cw, e->cw);
    if (n->sw != e->sw)
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

unsigned compare_results(const struct test_result *n, const struct test_result *e, const struct undefined *u,
                         bool show)
{
    unsigned differ = 0;
    bool faulted = n->vector != 3;
    uint32_t mask = FLAGS_COMPARED & ~(faulted ? 0 : u->flags);
    if (n->vector != e->vector)
        DIFFER("    vector: cpu %u, emulator %u\n", n->vector, e->vector);
    if ((n->error ^ e->error) & ~error_artefacts(n, e))
        DIFFER("    error code: cpu %x, emulator %x\n", n->error, e->error);
    if (n->cr2 != e->cr2)
        DIFFER("    cr2: cpu %08x, emulator %08x\n", n->cr2, e->cr2);
    if (n->out.eip != e->out.eip)
        DIFFER("    eip: cpu %08x, emulator %08x\n", n->out.eip, e->out.eip);
    if ((n->out.eflags ^ e->out.eflags) & mask)
        DIFFER("    eflags: cpu %08x, emulator %08x (mask %08x)\n", n->out.eflags, e->out.eflags, mask);
    if (!u->result) {
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
    return differ + compare_fpu(&n->out.fpu, &e->out.fpu, show) + compare_sse(&n->out.sse, &e->out.sse, show);
}

void show_case(const struct test_case *c, const char *row)
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
        uint64_t m;
        uint16_t se;
        memcpy(&m, c->in.fpu.r[i], 8), memcpy(&se, c->in.fpu.r[i] + 8, 2);
        printf("    R%u=%04x.%016lx%s%s", i, se, m, c->in.fpu.empty >> i & 1 ? " (empty)" : "",
               i & 1 ? "\n" : "");
    }
    for (unsigned i = 0; i < 8; i++) {
        uint64_t half[2];
        split(c->in.sse.xmm[i], half);
        printf("    xmm%u=%016lx.%016lx%s", i, half[1], half[0], i & 1 ? "\n" : "");
    }
}
