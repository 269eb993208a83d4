/* cpumodel.c - the models, and -cpu's text.
 *
 * i686 is all that Tandem has, under the family and model of the first processor that had most of it (Core,
 * of 2006); the others are processors of their time, as QEMU's models of the same names are, less what Tandem
 * does not have. Each says what is there, no more, but the hypervisor bit, which no processor had: with it
 * kernels do not look for a P6's performance counters, which are not here (docs/decisions.md). */
#include "vcpu/cpumodel.h"

#include <string.h>
#include <strings.h>

#define F(name) FEATURE_BIT(FEATURE_##name)

#define HAS_486      (F(FPU) | F(PSE) | F(HYPERVISOR))
#define HAS_PENTIUM  (HAS_486 | F(DE) | F(TSC) | F(MSR) | F(MCE) | F(CX8) | F(APIC) | F(MMX))
#define HAS_P6       (HAS_PENTIUM | F(PAE) | F(SEP) | F(PGE) | F(CMOV) | F(PAT) | F(FXSR))
#define HAS_PENTIUM2 (HAS_P6 | F(MTRR) | F(MCA) | F(PSE36))
#define HAS_PENTIUM3 (HAS_PENTIUM2 | F(SSE))
#define HAS_QEMU32   (HAS_P6 | F(SSE) | F(SSE2) | F(SSE3))

/* Signatures: SDM 3A table 9-1 and QEMU's. Leaf 2 (SDM 2A table 3-12): TLBs, and 16 + 16 KB L1, 512 KB L2 of
 * the Pentium II and III; 32 + 32 KB L1, 1 MB L2, 64-byte lines of i686. */
static const struct cpu_model models[] = {
    {.name = CPU_MODEL_DEFAULT,
     .brand = "Tandem i686 virtual CPU @ 1.00GHz",
     .about = "all that there is (default; also: max)",
     .features = FEATURES_ALL,
     .signature = 0x6e8,
     .basic_max = 0x16,
     .extended_max = 0x80000008,
     .caches = {0x02b3b001, 0xf0, 0, 0x2c04307c}},
    {.name = "486", .about = "i486DX4, with CPUID", .features = HAS_486, .signature = 0x480, .basic_max = 1},
    {.name = "pentium",
     .about = "Pentium with MMX",
     .features = HAS_PENTIUM,
     .signature = 0x543,
     .basic_max = 1},
    {.name = "pentium2",
     .about = "Pentium II",
     .features = HAS_PENTIUM2,
     .signature = 0x652,
     .basic_max = 2,
     .caches = {0x03020101, 0, 0, 0x0c040843}},
    {.name = "pentium3",
     .about = "Pentium III",
     .features = HAS_PENTIUM3,
     .signature = 0x683,
     .basic_max = 2,
     .caches = {0x03020101, 0, 0, 0x0c040843}},
    {.name = "qemu32",
     .brand = "QEMU Virtual CPU version 2.5+",
     .about = "QEMU's default for i386",
     .features = HAS_QEMU32,
     .signature = 0x663,
     .basic_max = 4,
     .extended_max = 0x80000004,
     .caches = {0x02b3b001, 0xf0, 0, 0x2c04307d}},
};
#define MODELS (sizeof models / sizeof models[0])

static const struct {
    const char *spelling, *other;
    enum feature needs;
    uint8_t word, bit;
} features[FEATURE_COUNT] = {
#define FEATURE(name, word, bit, spelling, other, needs)                                                     \
    [FEATURE_##name] = {spelling, other, FEATURE_##needs, CPUID_##word, bit},
#include "translator/cpu_features.def"
#undef FEATURE
};

void cpu_model_default(struct cpu_model *m)
{
    *m = models[0];
}

uint32_t cpu_model_word(const struct cpu_model *m, enum cpuid_word word)
{
    uint32_t bits = 0;
    for (unsigned f = 1; f < FEATURE_COUNT; f++)
        if (features[f].word == word && cpu_model_has(m, (enum feature)f))
            bits |= 1u << features[f].bit;
    return bits;
}

/* --- text --- */

void cpu_model_text(const struct cpu_model *m, char *to)
{
    int n = snprintf(to, CPU_MODEL_TEXT, "%s", m->name);
    for (unsigned word = 0; word < CPUID_WORDS; word++)
        n += snprintf(to + n, (size_t)(CPU_MODEL_TEXT - n), ",%x", cpu_model_word(m, (enum cpuid_word)word));
}

static bool is_word(const char *text, size_t n, const char *word)
{
    return word && strlen(word) == n && strncasecmp(text, word, n) == 0;
}

static bool find_model(const char *text, size_t n, struct cpu_model *m)
{
    for (unsigned i = 0; i < MODELS; i++)
        if (is_word(text, n, models[i].name) || (i == 0 && is_word(text, n, "max"))) {
            *m = models[i];
            return true;
        }
    return false;
}

static enum feature find_feature(const char *text, size_t n)
{
    for (unsigned f = 1; f < FEATURE_COUNT; f++)
        if (is_word(text, n, features[f].spelling) || is_word(text, n, features[f].other))
            return (enum feature)f;
    return FEATURE_NONE;
}

static void list_models(FILE *out)
{
    for (unsigned i = 0; i < MODELS; i++)
        fprintf(out, " %s", models[i].name);
    fprintf(out, " max");
}

static void list_features(FILE *out)
{
    for (unsigned f = 1; f < FEATURE_COUNT; f++)
        fprintf(out, " %s", features[f].spelling);
}

static bool refuse(char *why, size_t bytes, const char *text, size_t n, const char *what,
                   void (*list)(FILE *))
{
    FILE *f = fmemopen(why, bytes, "w");
    if (!f)
        return false;
    fprintf(f, "%.*s: %s; accepted:", (int)(n < 40 ? n : 40), text, what);
    list(f);
    fclose(f);
    why[bytes - 1] = 0;
    return false;
}

/* +NAME, -NAME, NAME=on, NAME=off. */
static bool set_feature(struct cpu_model *m, const char *text, size_t n, char *why, size_t bytes)
{
    const char *equals = memchr(text, '=', n);
    const bool sign = *text == '+' || *text == '-';
    const char *name = text + sign, *end = equals ? equals : text + n;
    bool on = *text == '+' || (equals && is_word(equals + 1, (size_t)(text + n - equals - 1), "on"));
    const bool off = *text == '-' || (equals && is_word(equals + 1, (size_t)(text + n - equals - 1), "off"));
    const enum feature f = find_feature(name, (size_t)(end - name));
    if (sign == (equals != NULL) || on == off)
        return refuse(why, bytes, text, n, "not +FEATURE, -FEATURE or FEATURE=on|off", list_features);
    if (f == FEATURE_NONE)
        return refuse(why, bytes, text, n, "not a feature that this CPU can have", list_features);
    if (f == FEATURE_FPU && off)
        return refuse(why, bytes, text, n, "the FPU is always there; other features can be left out",
                      list_features);
    m->features = on ? m->features | FEATURE_BIT(f) : m->features & ~FEATURE_BIT(f);
    return true;
}

/* A set that no guest could make sense of. */
static bool check_needs(const struct cpu_model *m, char *why, size_t bytes)
{
    for (unsigned f = 1; f < FEATURE_COUNT; f++) {
        const enum feature needs = features[f].needs;
        if (!cpu_model_has(m, (enum feature)f) || needs == FEATURE_NONE || cpu_model_has(m, needs))
            continue;
        snprintf(why, bytes, "%s makes no sense without %s; -%s or +%s is accepted", features[f].spelling,
                 features[needs].spelling, features[f].spelling, features[needs].spelling);
        return false;
    }
    return true;
}

bool cpu_model_parse(const char *text, struct cpu_model *m, char *why, size_t bytes)
{
    size_t n = strcspn(text, ",");
    if (!find_model(text, n, m))
        return refuse(why, bytes, text, n, "not a CPU model", list_models);
    while (text[n] == ',') {
        text += n + 1;
        n = strcspn(text, ",");
        if (!set_feature(m, text, n, why, bytes))
            return false;
    }
    return check_needs(m, why, bytes);
}

void cpu_model_help(FILE *out)
{
    fprintf(out, "Models (-cpu NAME,+FEATURE,-FEATURE):\n");
    for (unsigned i = 0; i < MODELS; i++)
        fprintf(out, "  %-10s %s\n", models[i].name, models[i].about);
    fprintf(out, "Features:\n ");
    list_features(out);
    fprintf(out, "\n");
}
