/* check.h - CHECK(cond): a bug of ours, fatal in every build. Never for guest or host errors. */
#ifndef TANDEM_CLOCKCORE_CHECK_H
#define TANDEM_CLOCKCORE_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))

static inline void check_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "tandem: internal error: %s (%s:%d)\n", cond, file, line);
    abort();
}

#endif
