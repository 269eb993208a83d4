/* test_transcendental.c - FSIN and its kin against the host's: at most 2 units in the last place apart,
 * and everything but the last places the same: special cases, stack faults, flags, C2, TOP, tags. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

#include "tests/unit/every.h"
#include "tests/unit/fpu/harness.h"

#define CASES_PER_FORM (30000 / test_every())
#define ULPS_MAX       2
#define SHOWN_MAX      8

/* Distance in units of the last place; neighbouring binades only. */
static uint64_t ulps(struct f80 a, struct f80 b)
{
    if (a.se == b.se)
        return a.sig > b.sig ? a.sig - b.sig : b.sig - a.sig;
    struct f80 hi = a.se > b.se ? a : b, lo = a.se > b.se ? b : a;
    if (hi.se - lo.se != 1 || f80_exp(&hi) == F80_EXP_MAX)
        return UINT64_MAX;
    uint64_t lo_last = f80_exp(&lo) ? UINT64_MAX : F80_INTEGER - 1;
    return hi.sig - F80_INTEGER + (lo_last - lo.sig) + 1;
}

/* The SDM leaves F2XM1 beyond +-1 and FYL2XP1 beyond +-(1 - sqrt(2)/2) undefined. */
static bool is_defined(const struct form *f, struct f80 a)
{
    enum f80_class class = f80_classify(&a);
    if (class != F80_NORMAL && class != F80_INF)
        return true;
    if (!strcmp(f->name, "F2XM1"))
        return f80_exp(&a) < F80_BIAS || (f80_exp(&a) == F80_BIAS && a.sig == F80_INTEGER);
    return strcmp(f->name, "FYL2XP1") != 0 || f80_exp(&a) < F80_BIAS - 2;
}

/* F2XM1 of +-1 and FYL2X of a power of two are exact here; the host reports PE (and UE) regardless. */
static bool is_exact(const struct form *f, struct f80 a)
{
    bool power = (a.sig & (a.sig - 1)) == 0;
    return power && ((!strcmp(f->name, "F2XM1") && f80_exp(&a) == F80_BIAS) || !strcmp(f->name, "FYL2X"));
}

/* The sine of a tiny number lies just below it, the tangent just above. A unit that errs by one place returns
 * the argument itself, which keeps within the SDM's accuracy (volume 1, 8.3.10). At the ends of the denormal
 * numbers it then reports no underflow, or a number instead of zero, so that flags and tags differ, too. */
static bool is_underflow_edge(const struct form *f, struct f80 a)
{
    bool edge = a.sig == 1 || a.sig == F80_INTEGER - 1 || a.sig == F80_INTEGER;
    return edge && f80_exp(&a) <= 1 && (!strncmp(f->name, "FSIN", 4) || !strcmp(f->name, "FPTAN"));
}

#define PE_BITS (FSW_PE | FSW_UE | FSW_ES | FSW_B | FSW_C1)

static uint64_t max_ulps;
static bool close_enough(const struct form *f, const struct machine *before, const struct machine *native,
                         const struct machine *emulated)
{
    struct machine patched = *native;
    uint64_t worst = 0;
    for (unsigned i = 0; i < 8; i++) {
        struct f80 a = image_reg(&native->image, i), b = image_reg(&emulated->image, i);
        uint64_t d = ulps(a, b);
        if (d > ULPS_MAX)
            return false;
        worst = d > worst ? d : worst;
        image_set_reg(&patched.image, i, b);
    }
    max_ulps = worst > max_ulps ? worst : max_ulps;
    if (image_word(&emulated->image, IMG_SW) & FSW_PE) { /* C1 says how this unit rounded, or approximated */
        uint16_t sw = image_word(&native->image, IMG_SW) & (uint16_t)~FSW_C1;
        image_set_word(&patched.image, IMG_SW, sw | (image_word(&emulated->image, IMG_SW) & FSW_C1));
    }
    if (is_exact(f, image_reg(&before->image, 0))) {
        uint16_t sw = image_word(&patched.image, IMG_SW) & (uint16_t)~PE_BITS;
        image_set_word(&patched.image, IMG_SW, sw | (image_word(&emulated->image, IMG_SW) & PE_BITS));
    }
    memset(patched.image.b + IMG_IP, 0, 16);
    return !memcmp(&patched.image, &emulated->image, sizeof patched.image);
}

/* Half of the arguments within the usual domain of every function. */
static struct f80 argument(void)
{
    unsigned sign = rnd() & 1;
    switch (rnd() >> 60) {
    case 0:
    case 1:
    case 2:
        return rnd_f80();
    case 3:
    case 4:
        return f80_make(sign, F80_BIAS - (rnd() >> 57), F80_INTEGER | rnd());
    case 5:
    case 6:
        return f80_make(sign, F80_BIAS + (rnd() >> 58), F80_INTEGER | rnd());
    default:
        return f80_make(sign, F80_BIAS - 4 + (rnd() >> 61), F80_INTEGER | rnd());
    }
}

static bool one_case(const struct form *f, unsigned *shown)
{
    struct machine before, native, emulated;
    rnd_machine(&before, no_memory, false);
    image_set_reg(&before.image, 0, argument());
    image_set_reg(&before.image, 1, argument());
    if (!is_defined(f, image_reg(&before.image, 0)) || is_underflow_edge(f, image_reg(&before.image, 0)))
        return true;
    native = emulated = before;
    run_native(&native, f->opcode, f->modrm, false);
    enum helper_result result = run_emulated(&emulated, f->opcode, f->modrm, false);
    memset(emulated.image.b + IMG_IP, 0, 16);
    if (result == HELPER_OK && close_enough(f, &before, &native, &emulated))
        return true;
    if ((*shown)++ < SHOWN_MAX) {
        fprintf(stderr, "%s\n", f->name);
        print_machine(" before  ", &before);
        print_machine(" native  ", &native);
        print_machine(" emulated", &emulated);
    }
    return false;
}

Test(fpu_transcendental, against_host)
{
    unsigned long differ = 0;
    fake_reset();
    rnd_seed(20260102);
    for (unsigned i = 0; i < form_count; i++) {
        unsigned shown = 0, bad = 0;
        if (forms[i].class != TRANSCENDENTAL)
            continue;
        max_ulps = 0;
        for (unsigned n = 0; n < CASES_PER_FORM; n++)
            bad += !one_case(&forms[i], &shown);
        fprintf(stderr, "%-8s %u of %u differ, at most %llu ulp\n", forms[i].name, bad, CASES_PER_FORM,
                (unsigned long long)max_ulps);
        differ += bad;
    }
    cr_expect_eq(differ, 0);
}

#define CHAIN 2000

/* A chain of results, each the next one's argument. */
static void *chain(void *out)
{
    struct x87_state x = {.cw = FCW_INIT};
    struct f80 a = f80_make(0, F80_BIAS - 1, UINT64_C(0x9249249249249249)), b = a, *r = out;
    for (unsigned i = 0; i < CHAIN; i++) {
        fpu_trig(&x, FPU_TAN, b, &a);
        a.se &= 0x7fff;
        fpu_yl2x(&x, b, a, &b);
        fpu_atan2(&x, b, a, &b);
        fpu_2xm1(&x, f80_make(0, F80_BIAS - 2, b.sig), &b);
        fpu_yl2xp1(&x, a, b, &r[i]);
    }
    return NULL;
}

/* The library's caches are per thread: neither threads nor their ends show in results. */
Test(fpu_transcendental, same_on_every_thread)
{
    static struct f80 r[4][CHAIN];
    pthread_t thread[3];
    chain(r[3]);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, chain, r[i]), 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    for (unsigned i = 0; i < 3; i++)
        cr_expect_eq(memcmp(r[i], r[3], sizeof r[3]), 0, "thread %u", i);
}
