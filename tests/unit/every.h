/* every.h - how many of a long loop's cases are taken: one of so many, as the environment's TANDEM_TEST_EVERY
 * says (default: each). Sanitizers make long loops slow, and find in a few cases what they find in all. */
#ifndef TANDEM_TESTS_UNIT_EVERY_H
#define TANDEM_TESTS_UNIT_EVERY_H

#include <stdlib.h>

static inline unsigned test_every(void)
{
    const char *every = getenv("TANDEM_TEST_EVERY");
    const long n = every ? strtol(every, NULL, 10) : 1;
    return n > 0 && n <= 1000000 ? (unsigned)n : 1;
}

#endif
