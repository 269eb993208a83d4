/* optvalue.c - see optvalue.h. */
#include "machine/optvalue.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* strtoull without its white space, signs and octal. */
static bool number_prefix(const char *text, uint64_t *out, const char **end)
{
    char *stop;
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (!isdigit((unsigned char)text[0]) || (hex && !isxdigit((unsigned char)text[2])))
        return false;
    errno = 0;
    *out = strtoull(text, &stop, hex ? 16 : 10);
    *end = stop;
    return errno == 0;
}

bool value_number(const char *text, uint64_t first, uint64_t last, uint64_t *out)
{
    const char *end;
    uint64_t v;
    if (!number_prefix(text, &v, &end) || *end || v < first || v > last)
        return false;
    *out = v;
    return true;
}

/* ".DIGITS" at *text, in 1e-9 units (later digits do not count); moves *text behind it. False: no digit. */
static bool fraction(const char **text, uint64_t *billionths)
{
    const char *p = *text + 1;
    *billionths = 0;
    if (!isdigit((unsigned char)*p))
        return false;
    for (uint64_t weight = 100000000; isdigit((unsigned char)*p); p++, weight /= 10)
        *billionths += weight * (uint64_t)(*p - '0');
    *text = p;
    return true;
}

bool value_size(const char *text, uint64_t unit, uint64_t *bytes)
{
    static const char suffixes[] = "KMG";
    const char *end;
    uint64_t v, billionths = 0;
    if (!number_prefix(text, &v, &end) || (*end == '.' && !fraction(&end, &billionths)))
        return false;
    if (*end) {
        const char *s = strchr(suffixes, toupper((unsigned char)*end));
        if (!s || end[1])
            return false;
        unit = UINT64_C(1024) << 10 * (s - suffixes);
    }
    uint64_t part = (uint64_t)((unsigned __int128)unit * billionths / 1000000000);
    return !__builtin_mul_overflow(v, unit, bytes) && !__builtin_add_overflow(*bytes, part, bytes);
}

bool value_switch(const char *text, bool *out)
{
    *out = strcmp(text, "on") == 0;
    return *out || strcmp(text, "off") == 0;
}

int value_choice(const char *text, const char *choices)
{
    size_t n = strlen(text);
    for (int i = 0;; i++) {
        size_t len = strcspn(choices, "|");
        if (len == n && memcmp(text, choices, n) == 0)
            return i;
        if (!choices[len])
            return -1;
        choices += len + 1;
    }
}

bool value_string(const char *text, char **dst, struct err *e)
{
    char *copy = strdup(text);
    if (!copy)
        return err_set(e, "no host memory");
    free(*dst);
    *dst = copy;
    return true;
}

static bool unknown_key(const char *name, const char *key, const struct list_key *keys, size_t nkeys,
                        struct err *e)
{
    char all[ERR_BYTES / 2] = "";
    for (size_t i = 0; i < nkeys; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s=%s", i ? ", " : "", keys[i].key, keys[i].accepted);
    }
    return err_set(e, "%s: unknown setting \"%s\"; accepted: %s", name, key, all);
}

static bool set_key(const char *name, const char *key, const char *value, const struct list_key *keys,
                    size_t nkeys, void *target, struct err *e)
{
    for (size_t i = 0; i < nkeys; i++) {
        if (strcmp(key, keys[i].key) != 0)
            continue;
        e->text[0] = '\0';
        if (keys[i].set(target, value, e))
            return true;
        return e->text[0]
                   ? false
                   : err_set(e, "%s: %s=%s: bad value; %s is accepted", name, key, value, keys[i].accepted);
    }
    return unknown_key(name, key, keys, nkeys, e);
}

void list_next(const char **text, char *buf)
{
    const char *p = *text;
    while (*p && !(p[0] == ',' && p[1] != ',')) {
        p += *p == ',';
        *buf++ = *p++;
    }
    *buf = '\0';
    *text = *p ? p + 1 : p;
}

static bool parse_pieces(const char *name, const char *text, const char *implied, const struct list_key *keys,
                         size_t nkeys, void *target, char *buf, struct err *e)
{
    do {
        list_next(&text, buf);
        char *eq = strchr(buf, '=');
        const char *key = eq || !implied ? buf : implied;
        const char *value = eq ? eq + 1 : implied ? buf : "on";
        if (eq)
            *eq = '\0';
        implied = NULL;
        if (!set_key(name, key, value, keys, nkeys, target, e))
            return false;
    } while (*text);
    return true;
}

bool list_parse(const char *name, const char *text, const char *implied, const struct list_key *keys,
                size_t nkeys, void *target, struct err *e)
{
    char *buf = malloc(strlen(text) + 1);
    if (!buf)
        return err_set(e, "%s: no host memory", name);
    bool ok = parse_pieces(name, text, implied, keys, nkeys, target, buf, e);
    free(buf);
    return ok;
}

#define DISTANCE_MAX 32

unsigned text_distance(const char *a, const char *b)
{
    unsigned row[DISTANCE_MAX + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > DISTANCE_MAX || m > DISTANCE_MAX)
        return DISTANCE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[m];
}
