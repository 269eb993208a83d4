/* criterion.h - stands in for Criterion in builds with sanitizers: the same tests, each in a plain fork.
 *
 * Criterion's own runner places its arena where the thread sanitizer keeps its shadow memory, and aborts.
 * Under the address sanitizer it works, but it starts the program anew for each test, with twenty libraries
 * of its own. Only what our tests use is here; a test that needs more does not build under the sanitizer, and
 * says so that way. Exit status 0: all passed. Arguments are ignored. */
#ifndef TANDEM_TESTS_STANDIN_CRITERION_H
#define TANDEM_TESTS_STANDIN_CRITERION_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct shim_options {
    void (*init)(void);
    void (*fini)(void);
    unsigned timeout; /* seconds; 0: none */
    int signal;       /* that must end the test; 0: none */
};

struct shim_entry {
    const char *suite, *name; /* name NULL: options of the suite */
    void (*body)(void);
    struct shim_options options;
    struct shim_entry *next;
};

/* One of each a program, whichever file it comes from. */
__attribute__((weak)) struct shim_entry *shim_entries;
__attribute__((weak)) int shim_failures;

#define SHIM_TIMEOUT_FACTOR 10 /* the sanitizer is slow */

#define SHIM_REGISTER(id, suite_, name_, body_, ...)                                                         \
    static struct shim_entry id = {suite_, name_, body_, {__VA_ARGS__}, NULL};                               \
    __attribute__((constructor)) static void id##_register(void)                                             \
    {                                                                                                        \
        id.next = shim_entries;                                                                              \
        shim_entries = &id;                                                                                  \
    }

#define Test(suite, name, ...)                                                                               \
    static void shim_##suite##_##name(void);                                                                 \
    SHIM_REGISTER(shim_entry_##suite##_##name, #suite, #name, shim_##suite##_##name, __VA_ARGS__)            \
    static void shim_##suite##_##name(void)

#define TestSuite(suite, ...)                                                                                \
    SHIM_REGISTER(shim_suite_##suite, #suite, NULL, NULL, __VA_ARGS__)                                       \
    struct shim_entry

static inline void shim_failed(bool fatal, const char *file, int line, const char *what, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "%s:%d: %s: ", file, line, what);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    shim_failures++;
    if (fatal)
        exit(1);
}

static inline void shim_skip(void)
{
    exit(shim_failures != 0);
}

#define SHIM_CHECK(fatal, cond, what, ...)                                                                   \
    ((cond) ? (void)0 : shim_failed(fatal, __FILE__, __LINE__, what, "" __VA_ARGS__))

#define cr_assert(cond, ...)           SHIM_CHECK(true, cond, #cond, __VA_ARGS__)
#define cr_assert_not(cond, ...)       SHIM_CHECK(true, !(cond), "not " #cond, __VA_ARGS__)
#define cr_assert_null(p, ...)         SHIM_CHECK(true, (p) == NULL, #p " is NULL", __VA_ARGS__)
#define cr_assert_not_null(p, ...)     SHIM_CHECK(true, (p) != NULL, #p " is not NULL", __VA_ARGS__)
#define cr_assert_eq(a, b, ...)        SHIM_CHECK(true, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)       SHIM_CHECK(true, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)        SHIM_CHECK(true, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)       SHIM_CHECK(true, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)        SHIM_CHECK(true, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)       SHIM_CHECK(true, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)    SHIM_CHECK(true, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)   SHIM_CHECK(true, strcmp(a, b) != 0, #a " is not " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) SHIM_CHECK(true, memcmp(a, b, n) == 0, #a " is " #b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) SHIM_CHECK(false, memcmp(a, b, n) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_fail(...)            SHIM_CHECK(true, false, "failed", __VA_ARGS__)
#define cr_expect(cond, ...)           SHIM_CHECK(false, cond, #cond, __VA_ARGS__)
#define cr_expect_not(cond, ...)       SHIM_CHECK(false, !(cond), "not " #cond, __VA_ARGS__)
#define cr_expect_null(p, ...)         SHIM_CHECK(false, (p) == NULL, #p " is NULL", __VA_ARGS__)
#define cr_expect_not_null(p, ...)     SHIM_CHECK(false, (p) != NULL, #p " is not NULL", __VA_ARGS__)
#define cr_expect_eq(a, b, ...)        SHIM_CHECK(false, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)       SHIM_CHECK(false, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)        SHIM_CHECK(false, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)       SHIM_CHECK(false, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)        SHIM_CHECK(false, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)       SHIM_CHECK(false, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)    SHIM_CHECK(false, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...)   SHIM_CHECK(false, strcmp(a, b) != 0, #a " is not " #b, __VA_ARGS__)
#define cr_expect_str_empty(a, ...)    SHIM_CHECK(false, *(a) == '\0', #a " is empty", __VA_ARGS__)
#define cr_skip_test(...)              shim_skip()

static inline struct shim_options shim_suite_options(const char *suite)
{
    for (struct shim_entry *s = shim_entries; s; s = s->next)
        if (!s->name && strcmp(s->suite, suite) == 0)
            return s->options;
    return (struct shim_options){0};
}

/* In the child. */
static inline void shim_run(const struct shim_entry *t)
{
    struct shim_options suite = shim_suite_options(t->suite);
    unsigned timeout = t->options.timeout ? t->options.timeout : suite.timeout;
    void (*init)(void) = t->options.init ? t->options.init : suite.init;
    void (*fini)(void) = t->options.fini ? t->options.fini : suite.fini;
    alarm(timeout * SHIM_TIMEOUT_FACTOR);
    if (init)
        init();
    t->body();
    if (fini)
        fini();
    exit(shim_failures != 0);
}

static inline bool shim_passes(const struct shim_entry *t)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        shim_run(t);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    bool passes =
        t->options.signal ? WIFSIGNALED(status) && WTERMSIG(status) == t->options.signal : status == 0;
    if (!passes)
        fprintf(stderr, "FAIL %s::%s (%s %d)\n", t->suite, t->name, WIFSIGNALED(status) ? "signal" : "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return passes;
}

__attribute__((weak)) int main(void)
{
    int tests = 0, failed = 0;
    for (struct shim_entry *t = shim_entries; t; t = t->next) {
        if (!t->name)
            continue;
        tests++;
        failed += !shim_passes(t);
    }
    fprintf(stderr, "%d passed, %d failed\n", tests - failed, failed);
    return failed != 0;
}

#endif
