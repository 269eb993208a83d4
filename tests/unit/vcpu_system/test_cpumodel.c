/* What -cpu says, and what each model's guest sees of it: CPUID, CR4, MSRs. Expected values: SDM 2A CPUID,
 * SDM 3A 2.5. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>

static struct vcpu *v;

static void setup(void)
{
    v = fx_create();
}

static void teardown(void)
{
    fx_destroy(v);
}

TestSuite(cpumodel, .init = setup, .fini = teardown);

static const char *parse(const char *text)
{
    static char why[384];
    why[0] = 0;
    return cpu_model_parse(text, &v->cfg.model, why, sizeof why) ? NULL : why;
}

static const uint32_t *cpuid(uint32_t leaf)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    v->g.slot[IR_EAX] = leaf;
    cr_assert_eq(helper_CPUID(v, &op), HELPER_OK);
    return v->g.slot;
}

enum {
    FPU = 1 << 0,
    PSE = 1 << 3,
    TSC = 1 << 4,
    SEP = 1 << 11,
    CMOV = 1 << 15,
    MMX = 1 << 23,
    SSE2 = 1 << 26
};

Test(cpumodel, what_is_refused)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"host", "pentium3"},     {"", "pentium3"},
        {"486,", "mmx"},          {"486,avx=on", "mmx"},
        {"486,+avx", "mmx"},      {"486,mmx", "FEATURE=on"},
        {"486,mmx=maybe", "mmx"}, {"486,+mmx=on", "FEATURE=on"},
        {"486,-fpu", "always"},   {"486,+sse", "fxsr"},
        {"i686,-sse", "sse2"},    {"486,+", "mmx"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *why = parse(cases[i].text);
        cr_assert(why && strstr(why, cases[i].says), "%s: %s", cases[i].text, why ? why : "accepted");
    }
    char small[32], text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    cr_assert_not(cpu_model_parse(text, &v->cfg.model, small, sizeof small));
    cr_assert_lt(strlen(small), sizeof small);
}

Test(cpumodel, features_are_added_and_removed)
{
    cr_assert_null(parse("pentium3,-mmx,sep=off,+sse2,clflush=on"));
    cr_assert_eq(cpuid(1)[IR_EDX] & (MMX | SEP | SSE2), (uint32_t)SSE2);
    cr_assert_eq(cpuid(1)[IR_EBX], 0x800);
    cr_assert_null(parse("MAX,-hypervisor"));
    cr_assert_eq(cpuid(1)[IR_ECX] >> 31, 0);
    cr_assert_neq(cpuid(0x40000000)[IR_EBX], 0x646e6154, "nobody says that Tandem is there");
}

Test(cpumodel, identities_differ_as_models_do)
{
    char a[CPU_MODEL_TEXT], b[CPU_MODEL_TEXT];
    cr_assert_null(parse("486"));
    cpu_model_text(&v->cfg.model, a);
    cr_assert_null(parse("486,+tsc"));
    cpu_model_text(&v->cfg.model, b);
    cr_assert_str_neq(a, b);
    cr_assert_null(parse("486,+tsc,-tsc"));
    cpu_model_text(&v->cfg.model, b);
    cr_assert_str_eq(a, b);
    cr_assert_null(strchr(a, ' '));
}

/* Leaf 0 EAX, leaf 1 EAX and EDX, and the leaf beyond the last. */
Test(cpumodel, cpuid_of_each_model)
{
    static const struct {
        const char *name;
        uint32_t max, signature, has, has_not;
    } models[] = {
        {"486", 1, 0x480, FPU | PSE, TSC | SEP | CMOV | MMX | SSE2},
        {"pentium", 1, 0x543, FPU | PSE | TSC | MMX, SEP | CMOV | SSE2},
        {"pentium2", 2, 0x652, FPU | PSE | TSC | SEP | CMOV | MMX, SSE2},
        {"pentium3", 2, 0x683, FPU | PSE | TSC | SEP | CMOV | MMX | 1 << 25, SSE2},
        {"qemu32", 4, 0x663, FPU | PSE | TSC | SEP | CMOV | MMX | SSE2, 1 << 19},
    };
    for (unsigned i = 0; i < sizeof models / sizeof models[0]; i++) {
        cr_assert_null(parse(models[i].name));
        cr_assert_eq(cpuid(0)[IR_EAX], models[i].max);
        const uint32_t *r = cpuid(1);
        cr_assert_eq(r[IR_EAX], models[i].signature);
        cr_assert_eq(r[IR_EDX] & (models[i].has | models[i].has_not), models[i].has, "%s: %x", models[i].name,
                     r[IR_EDX]);
        const uint32_t last = cpuid(models[i].max)[IR_EAX];
        cr_assert_eq(cpuid(models[i].max + 1)[IR_EAX], last, "%s: beyond the range", models[i].name);
    }
}

/* SDM 3A 2.5: a bit without its feature is reserved. */
Test(cpumodel, cr4_bits)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } models[] = {
        {"486", CR4_PSE},
        {"pentium", CR4_TSD | CR4_DE | CR4_PSE},
        {"pentium2", CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE | CR4_OSFXSR},
        {"pentium3", CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT},
    };
    for (unsigned i = 0; i < sizeof models / sizeof models[0]; i++) {
        cr_assert_null(parse(models[i].name));
        for (unsigned bit = 0; bit < 32; bit++) {
            struct ir_op op = fx_op(v, 2, 1u << bit, 0);
            op.aux = 4;
            v->g.cr4 = 0;
            fx_mark(v);
            if (models[i].bits >> bit & 1)
                cr_assert_eq(helper_MOV_TO_CR(v, &op), HELPER_OK, "%s: bit %u", models[i].name, bit);
            else
                fx_expect_fault(v, helper_MOV_TO_CR(v, &op), EXC_GP, 0, models[i].name);
        }
    }
}
