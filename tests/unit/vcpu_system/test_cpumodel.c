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
        {"pentium", CR4_TSD | CR4_DE | CR4_PSE | CR4_MCE},
        {"pentium2", CR4_TSD | CR4_DE | CR4_PSE | CR4_MCE | CR4_PAE | CR4_PGE | CR4_OSFXSR},
        {"pentium3", CR4_TSD | CR4_DE | CR4_PSE | CR4_MCE | CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT},
    };
    for (unsigned i = 0; i < sizeof models / sizeof models[0]; i++) {
        cr_assert_null(parse(models[i].name));
        for (unsigned bit = 0; bit < 32; bit++) {
            struct ir_op op = fx_op(v, 2, 1u << bit, 0);
            op.aux = 4;
            v->g.cr4 = 0;
            v->g.cr0 &= ~CR0_PG; /* PAE would load pointers */
            fx_mark(v);
            if (models[i].bits >> bit & 1)
                cr_assert_eq(helper_MOV_TO_CR(v, &op), HELPER_OK, "%s: bit %u", models[i].name, bit);
            else
                fx_expect_fault(v, helper_MOV_TO_CR(v, &op), EXC_GP, 0, models[i].name);
        }
    }
}

/* --- MSRs: SDM 4 tables 2-2, 2-20, 2-21 --- */

static bool rdmsr(uint32_t msr, uint64_t *value)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    v->g.slot[IR_ECX] = msr;
    v->exc.pending = false;
    fx_mark(v);
    if (helper_RDMSR(v, &op) != HELPER_OK) {
        fx_expect_fault(v, HELPER_FAULT, EXC_GP, 0, "RDMSR");
        return false;
    }
    *value = (uint64_t)v->g.slot[IR_EDX] << 32 | v->g.slot[IR_EAX];
    return true;
}

static bool wrmsr(uint32_t msr, uint64_t value)
{
    struct ir_op op = fx_op(v, 2, 0, 0);
    v->g.slot[IR_ECX] = msr;
    v->g.slot[IR_EAX] = (uint32_t)value;
    v->g.slot[IR_EDX] = (uint32_t)(value >> 32);
    v->exc.pending = false;
    fx_mark(v);
    if (helper_WRMSR(v, &op) == HELPER_OK)
        return true;
    fx_expect_fault(v, HELPER_FAULT, EXC_GP, 0, "WRMSR");
    return false;
}

static void use_model(const char *name)
{
    cr_assert_null(parse(name));
    msr_reset(&v->g.msr, &v->cfg.model);
}

/* Which models have it, as letters: 4 486, 5 pentium, 2 pentium2, 3 pentium3, q qemu32, i i686. */
Test(cpumodel, msrs_of_each_model)
{
    static const struct {
        uint32_t msr;
        const char *models;
    } msrs[] = {
        {0x0, "523qi"},   {0x1, "523qi"},  {0x2, ""},       {0x10, "523qi"},   {0x11, ""},
        {0x17, "23qi"},   {0x1b, "23qi"},  {0x79, ""},      {0x8b, "23qi"},    {0xc1, ""},
        {0xfe, "23i"},    {0x174, "23qi"}, {0x176, "23qi"}, {0x177, ""},       {0x179, "23i"},
        {0x17b, "23i"},   {0x17c, ""},     {0x186, ""},     {0x1a0, "i"},      {0x1d9, ""},
        {0x200, "23i"},   {0x20f, "23i"},  {0x210, ""},     {0x250, "23i"},    {0x251, ""},
        {0x258, "23i"},   {0x259, "23i"},  {0x25a, ""},     {0x267, ""},       {0x268, "23i"},
        {0x26f, "23i"},   {0x270, ""},     {0x277, "23qi"}, {0x2ff, "23i"},    {0x400, "23i"},
        {0x413, "23i"},   {0x414, ""},     {0x480, ""},     {0xc0000080, "i"}, {0xc0000081, ""},
        {0xffffffff, ""},
    };
    static const struct {
        char letter;
        const char *name;
    } names[] = {{'4', "486,+msr"}, {'5', "pentium"}, {'2', "pentium2"},
                 {'3', "pentium3"}, {'q', "qemu32"},  {'i', "i686"}};
    for (unsigned m = 0; m < sizeof names / sizeof names[0]; m++) {
        use_model(names[m].name);
        for (unsigned i = 0; i < sizeof msrs / sizeof msrs[0]; i++) {
            uint64_t value;
            const bool has = strchr(msrs[i].models, names[m].letter) && *msrs[i].models;
            cr_assert_eq(rdmsr(msrs[i].msr, &value), has, "%s: RDMSR %x", names[m].name, msrs[i].msr);
            cr_assert(has || !wrmsr(msrs[i].msr, 0), "%s: WRMSR %x", names[m].name, msrs[i].msr);
        }
    }
    use_model("qemu32,+nx,+mtrr");
    cr_assert(wrmsr(0xc0000080, 0x800) && wrmsr(0x2ff, 0xc06));
}

/* Each value is taken and read back, or #GP(0) and nothing changes. */
Test(cpumodel, values_of_msrs)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
        bool taken;
    } cases[] = {
        {0x17, 0, false},
        {0x1b, 0xfee00900, false}, /* there is no APIC to enable */
        {0x1b, 0xfee00101, false},
        {0x1b, UINT64_C(0xffee00100), true},
        {0x1b, UINT64_C(0x10fee00100), false},
        {0xfe, 0x508, false},
        {0x174, 0x8c, true},
        {0x179, 0x105, false},
        {0x17a, 7, true},
        {0x17a, 8, false},
        {0x17b, UINT64_MAX, true},
        {0x1a0, 0x1800, true},
        {0x1a0, 0x1801, true},
        {0x1a0, UINT64_C(1) << 34, false}, /* XD cannot be disabled */
        {0x200, UINT64_C(0xfc0000006), true},
        {0x200, 0x2, false},
        {0x200, 0x106, false},
        {0x200, UINT64_C(0x1000000000), false},
        {0x20f, UINT64_C(0xfc0000800), true},
        {0x20f, 0x400, false},
        {0x250, UINT64_C(0x0605040100060606), true},
        {0x250, UINT64_C(0x0605040100060607), false},
        {0x26f, UINT64_C(0x0300000000000000), false},
        {0x277, UINT64_C(0x0001040500070406), true},
        {0x277, UINT64_C(0x0001040500020406), false},
        {0x2ff, 0xc06, true},
        {0x2ff, 0xc07, false},
        {0x2ff, 0x1000, false},
        {0x400, UINT64_MAX, true},
        {0x401, 0, true},
        {0x401, 1, false},
        {0x40e, 0, true},
        {0xc0000080, 0x800, true},
        {0xc0000080, 0x801, false}, /* no SYSCALL */
        {0xc0000080, 0x900, false}, /* no 64-bit mode */
    };
    use_model("i686");
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t before, after;
        cr_assert(rdmsr(cases[i].msr, &before));
        cr_assert_eq(wrmsr(cases[i].msr, cases[i].value), cases[i].taken, "%u: %x", i, cases[i].msr);
        cr_assert(rdmsr(cases[i].msr, &after));
        cr_assert_eq(after, cases[i].taken ? cases[i].value : before, "%u: %x", i, cases[i].msr);
        cr_assert_null(system_registers_wrong(v));
    }
    v->g.msr.pat = 2;
    cr_assert_str_eq(system_registers_wrong(v), "cpu.msr.pat");
}

Test(cpumodel, msrs_at_reset)
{
    uint64_t value;
    use_model("i686");
    cr_assert(rdmsr(0x1b, &value) && value == 0xfee00100);
    cr_assert(rdmsr(0xfe, &value) && value == 0x508);
    cr_assert(rdmsr(0x179, &value) && value == 0x105);
    cr_assert(rdmsr(0x1a0, &value) && value == 0x1801);
    cr_assert(rdmsr(0x277, &value) && value == UINT64_C(0x0007040600070406));
    cr_assert(rdmsr(0x2ff, &value) && value == 0);
    cr_assert(rdmsr(0xc0000080, &value) && value == 0);
}

/* SDM 3B 17.17: 64 bits of the TSC since family 6 model 14. */
Test(cpumodel, tsc_is_written)
{
    uint64_t value;
    use_model("i686");
    cr_assert(wrmsr(0x10, UINT64_C(0x1234567800000000)) && rdmsr(0x10, &value));
    cr_assert_eq(value, UINT64_C(0x1234567800000000));
    use_model("pentium3");
    cr_assert(wrmsr(0x10, UINT64_C(0x1234567800000000)) && rdmsr(0x10, &value));
    cr_assert_eq(value, 0);
}

/* SDM 4 table 2-2: IA32_MISC_ENABLE bit 22. */
Test(cpumodel, cpuid_may_be_limited)
{
    use_model("i686");
    cr_assert(wrmsr(0x1a0, 1 << 22));
    cr_assert_eq(cpuid(0)[IR_EAX], 3);
    cr_assert_eq(cpuid(0x15)[IR_EBX], 0, "beyond the range: as leaf 3");
    cr_assert_eq(cpuid(0x80000000)[IR_EAX], 0x80000008);
}

/* -d guest_errors: registers that are not there, and reserved bits. */
Test(cpumodel, unknown_msrs_are_logged)
{
    char *text = NULL;
    size_t bytes;
    uint64_t value;
    use_model("i686");
    v->cfg.log_items = VCPU_LOG_GUEST_ERRORS;
    v->cfg.log_file = open_memstream(&text, &bytes);
    cr_assert(rdmsr(0x277, &value));
    cr_assert_not(rdmsr(0x3a, &value));
    cr_assert_not(wrmsr(0x277, 2));
    fclose(v->cfg.log_file);
    v->cfg.log_items = 0;
    cr_assert(strstr(text, "RDMSR of 0000003a"), "%s", text);
    cr_assert(strstr(text, "WRMSR of 0000000000000002 to 00000277"), "%s", text);
    cr_assert_null(strstr(text, "RDMSR of 00000277"));
    free(text);
}
