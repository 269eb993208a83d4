/* cpumodel.h - which CPU the guest sees: the models and features that -cpu knows. Plain data: a model never
 * changes in a run. Threads: any. */
#ifndef TANDEM_VCPU_CPUMODEL_H
#define TANDEM_VCPU_CPUMODEL_H

#include "translator/cpu_features.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CPU_MODEL_DEFAULT "i686"

struct cpu_model {
    const char *name;
    const char *brand;  /* CPUID leaves 80000002H to 80000004H; NULL: none */
    const char *about;  /* for -cpu help */
    uint64_t features;  /* FEATURE_BIT */
    uint32_t signature; /* CPUID leaf 1 EAX, and EDX after a reset (SDM 3A 9.1.1): family, model, stepping */
    uint32_t basic_max, extended_max; /* greatest CPUID leaves; 0: no extended ones */
    uint32_t caches[4];               /* CPUID leaf 2 */
};

enum cpuid_word { CPUID_1D, CPUID_1C, CPUID_X1D, CPUID_WORDS }; /* see cpu_features.def */
#define CPU_MODEL_TEXT 48

/* NAME,+FEATURE,-FEATURE,FEATURE=on|off. False: `why` says what is accepted. */
bool cpu_model_parse(const char *text, struct cpu_model *m, char *why, size_t bytes);
void cpu_model_default(struct cpu_model *m);
/* Its features as a word of CPUID has them. */
uint32_t cpu_model_word(const struct cpu_model *m, enum cpuid_word word);
/* The model in one word, for identities: two are equal if their texts are. `to` has CPU_MODEL_TEXT bytes. */
void cpu_model_text(const struct cpu_model *m, char *to);
/* The lists of models and of features, as text for people. */
void cpu_model_help(FILE *out);

static inline bool cpu_model_has(const struct cpu_model *m, enum feature feature)
{
    return m->features >> feature & 1;
}
static inline unsigned cpu_model_family(const struct cpu_model *m)
{
    return m->signature >> 8 & 0xf;
}

#endif
