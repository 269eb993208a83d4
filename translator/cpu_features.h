/* cpu_features.h - cpu_features.def as numbers, and sets of them as masks. Threads: any; constants. */
#ifndef TANDEM_TRANSLATOR_CPU_FEATURES_H
#define TANDEM_TRANSLATOR_CPU_FEATURES_H

#include <stdint.h>

enum feature {
    FEATURE_NONE,
#define FEATURE(name, ...) FEATURE_##name,
#include "translator/cpu_features.def"
#undef FEATURE
    FEATURE_COUNT
};
_Static_assert(FEATURE_COUNT <= 64, "a set is a word");

/* Bit of a set. */
#define FEATURE_BIT(feature) (UINT64_C(1) << (feature))
/* All there are. */
#define FEATURES_ALL ((UINT64_C(1) << FEATURE_COUNT) - 1 - FEATURE_BIT(FEATURE_NONE))

#endif
