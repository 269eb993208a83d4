/* init.c - runs the phases one after the other, as process 1 of a guest or as a process of the host.
 *
 * The host times lines on the console: "@begin NAME" when a phase starts, "@end NAME PASSES ok" when it has
 * ended. tcdrain() keeps the printing of the first out of the phase. Environment (from the kernel's command
 * line, which hands unknown key=value words to process 1): phases=a,b,c: only these; passes=N: instead of the
 * table's numbers. */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

enum where { ANYWHERE, GUEST, SSE2 };

struct phase {
    const char *name;
    unsigned passes;
    uint32_t checksum; /* of every pass */
    enum where where;
    uint32_t (*pass)(void);
};

static const struct phase phases[] = {
#define PHASE(NAME, PASSES, CHECKSUM, WHERE) {#NAME, PASSES, CHECKSUM, WHERE, pass_##NAME},
#include "phases.def"
#undef PHASE
};
#define NPHASES (sizeof phases / sizeof phases[0])

static bool is_process_1(void)
{
    return getpid() == 1;
}

/* --- what the phases share --- */

uint32_t hash_bytes(const void *data, size_t bytes)
{
    const uint32_t *word = data;
    uint32_t hash = HASH_START;
    for (size_t i = 0; i < bytes / 4; i++)
        hash = hash_word(hash, word[i]);
    return hash;
}

void random_fill(void *data, size_t bytes, uint32_t seed)
{
    uint32_t *word = data;
    for (size_t i = 0; i < bytes / 4; i++)
        word[i] = random_next(&seed);
}

static void power_off(void)
{
    if (is_process_1())
        reboot(RB_POWER_OFF);
}

void die(const char *what)
{
    printf("@error %s: %s\n", what, strerror(errno));
    fflush(stdout);
    power_off();
    exit(1);
}

/* --- one phase --- */

static void say(const char *word, const char *name, const char *rest)
{
    printf("@%s %s%s\n", word, name, rest);
    fflush(stdout);
    tcdrain(STDOUT_FILENO); /* fails on a pipe, where there is nothing to drain */
}

static bool has_sse2(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (edx & bit_SSE2);
}

static bool runs_here(const struct phase *p)
{
    if (p->where == GUEST)
        return is_process_1();
    return p->where != SSE2 || has_sse2();
}

static bool phase_run(const struct phase *p, unsigned passes)
{
    char result[64];
    uint32_t checksum = 0;
    unsigned n = 0;
    say("begin", p->name, "");
    do
        checksum = p->pass();
    while (++n < passes && checksum == p->checksum);
    bool ok = checksum == p->checksum;
    snprintf(result, sizeof result, " %u %s %#x", n, ok ? "ok" : "wrong", checksum);
    say("end", p->name, result);
    return ok;
}

static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length]))
            return true;
    return false;
}

static bool phase_try(const struct phase *p)
{
    const char *list = getenv("phases"), *passes = getenv("passes");
    if (list && !is_listed(list, p->name))
        return true;
    if (runs_here(p))
        return phase_run(p, passes ? (unsigned)atoi(passes) : p->passes);
    say("skip", p->name, "");
    return true;
}

int main(void)
{
    bool ok = true;
    mkdir("/tmp", 01777); /* the guest has no file but this program */
    say("begin", "init", "");
    for (size_t i = 0; i < NPHASES; i++)
        ok &= phase_try(&phases[i]);
    say("done", ok ? "ok" : "wrong", "");
    power_off();
    return !ok;
}
