/* snapshot_diff.c - see snapshot_diff.h. What a snapshot holds is in its own names, so that snapshots of
 * other builds can be read, too. */
#include "cli/snapshot_diff.h"

#include "machine/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINES_MAX 100 /* that name what differs */

struct side {
    struct snapshot_reader *r;
    struct snapshot_item item;
    char part[SNAPSHOT_NAME_BYTES];
};

bool snapshot_diff_is_one(const char *path)
{
    char head[16] = "";
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    return n == sizeof head && memcmp(head, SNAPSHOT_MAGIC, sizeof head) == 0;
}

static int trouble(const char *path, const struct err *e)
{
    fprintf(stderr, "tandem-digest-diff: %s: %s\n", path, e->text);
    return 2;
}

static bool next(struct side *s, struct err *e)
{
    if (!snapshot_next(s->r, &s->item, e))
        return false;
    if (s->item.kind == SNAPSHOT_PART)
        snprintf(s->part, sizeof s->part, "%s", s->item.name);
    return true;
}

static uint64_t element(const struct snapshot_item *i, uint32_t at)
{
    uint64_t value = 0;
    memcpy(&value, i->data + (size_t)at * i->elem_bytes, i->elem_bytes);
    return value;
}

/* --- one --- */

static void show_field(const struct side *s)
{
    const struct snapshot_item *i = &s->item;
    for (uint32_t at = 0; at < i->count; at++) {
        if (i->count == 1)
            printf("%s.%s: %#" PRIx64 "\n", s->part, i->name, element(i, at));
        else if (element(i, at))
            printf("%s.%s[%" PRIu32 "]: %#" PRIx64 "\n", s->part, i->name, at, element(i, at));
    }
}

int snapshot_show(const char *path)
{
    struct err e;
    struct side s = {snapshot_open("snapshot", path, &e), {0}, ""};
    if (!s.r)
        return trouble(path, &e);
    printf("tick: %" PRIu64 "\nidentity: %s\n", snapshot_tick(s.r), snapshot_identity(s.r));
    uint64_t pages = 0, disk_bytes = 0;
    bool ok;
    while ((ok = next(&s, &e)) && s.item.kind != SNAPSHOT_END) {
        pages += s.item.kind == SNAPSHOT_PAGE;
        disk_bytes += s.item.kind == SNAPSHOT_BLOCKS ? s.item.count : 0;
        if (s.item.kind == SNAPSHOT_FIELD)
            show_field(&s);
    }
    if (ok)
        printf("pages that are not zero: %" PRIu64 "\n", pages);
    if (ok && disk_bytes)
        printf("bytes written to drives: %" PRIu64 "\n", disk_bytes);
    snapshot_close(s.r);
    return ok ? 0 : trouble(path, &e);
}

/* --- two --- */

static bool may_print(uint64_t *differences)
{
    if (++*differences == LINES_MAX + 1)
        printf("and more\n");
    return *differences <= LINES_MAX;
}

static void compare_fields(const struct side *a, const struct side *b, uint64_t *differences)
{
    const struct snapshot_item *x = &a->item, *y = &b->item;
    if (x->count != y->count && may_print(differences))
        printf("%s.%s: %" PRIu32 " elements / %" PRIu32 "\n", a->part, x->name, x->count, y->count);
    for (uint32_t at = 0; at < x->count && at < y->count; at++) {
        if (element(x, at) == element(y, at) || !may_print(differences))
            continue;
        printf("%s.%s", a->part, x->name);
        if (x->count > 1)
            printf("[%" PRIu32 "]", at);
        printf(": %#" PRIx64 " / %#" PRIx64 "\n", element(x, at), element(y, at));
    }
}

/* Bytes of a page that the other file has no page for are compared with zeroes. */
static void compare_pages(uint64_t number, const uint8_t *a, const uint8_t *b, uint64_t *differences)
{
    static const uint8_t zeroes[SNAPSHOT_PAGE_BYTES];
    uint32_t at = 0;
    a = a ? a : zeroes;
    b = b ? b : zeroes;
    while (at < SNAPSHOT_PAGE_BYTES && a[at] == b[at])
        at++;
    if (at < SNAPSHOT_PAGE_BYTES && may_print(differences))
        printf("memory[%#" PRIx64 "]: %#x / %#x (the first byte of its page that differs)\n",
               number * SNAPSHOT_PAGE_BYTES + at, a[at], b[at]);
}

static uint64_t page_number(const struct side *s)
{
    return s->item.kind == SNAPSHOT_PAGE ? s->item.number : UINT64_MAX;
}

/* The pages of both, in the order of their numbers. */
static bool compare_memory(struct side *a, struct side *b, uint64_t *differences, struct err *e)
{
    while (a->item.kind == SNAPSHOT_PAGE || b->item.kind == SNAPSHOT_PAGE) {
        uint64_t na = page_number(a), nb = page_number(b), n = na < nb ? na : nb;
        compare_pages(n, na == n ? a->item.data : NULL, nb == n ? b->item.data : NULL, differences);
        if ((na == n && !next(a, e)) || (nb == n && !next(b, e)))
            return false;
    }
    return true;
}

static bool same_blocks(const struct snapshot_item *x, const struct snapshot_item *y)
{
    return x->kind == y->kind && strcmp(x->name, y->name) == 0 && x->number == y->number &&
           x->count == y->count && x->bad == y->bad && (x->bad || memcmp(x->data, y->data, x->count) == 0);
}

/* Both begin where memory has ended. The first difference is told alone: what follows it may be elsewhere. */
static bool compare_drives(struct side *a, struct side *b, uint64_t *differences, struct err *e)
{
    while (a->item.kind == SNAPSHOT_BLOCKS || b->item.kind == SNAPSHOT_BLOCKS) {
        const struct side *at = a->item.kind == SNAPSHOT_BLOCKS ? a : b;
        if (!same_blocks(&a->item, &b->item)) {
            if (may_print(differences))
                printf("%s[%#" PRIx64 "]: what was written there differs\n", at->item.name, at->item.number);
            return true;
        }
        if (!next(a, e) || !next(b, e))
            return false;
    }
    return true;
}

static bool same_place(const struct side *a, const struct side *b)
{
    const struct snapshot_item *x = &a->item, *y = &b->item;
    if (x->kind != y->kind || x->kind >= SNAPSHOT_PAGE)
        return false;
    return strcmp(x->name, y->name) == 0 && (x->kind == SNAPSHOT_PART || x->elem_bytes == y->elem_bytes);
}

static bool after_fields(const struct side *s)
{
    return s->item.kind >= SNAPSHOT_PAGE;
}

static int compare(struct side *a, struct side *b, struct err *e)
{
    uint64_t differences = 0;
    for (;;) {
        if (!next(a, e) || !next(b, e))
            return 2;
        if (!same_place(a, b))
            break;
        if (a->item.kind == SNAPSHOT_FIELD)
            compare_fields(a, b, &differences);
    }
    if (!after_fields(a) || !after_fields(b)) {
        printf("from here on not the same fields (another build's?): %s.%s / %s.%s\n", a->part, a->item.name,
               b->part, b->item.name);
        return 1;
    }
    if (!compare_memory(a, b, &differences, e) || !compare_drives(a, b, &differences, e))
        return 2;
    return differences ? 1 : 0;
}

static int compare_open(struct side *a, struct side *b, struct err *e)
{
    bool same = strcmp(snapshot_identity(a->r), snapshot_identity(b->r)) == 0;
    if (!same)
        printf("identity: %s / %s\n", snapshot_identity(a->r), snapshot_identity(b->r));
    if (snapshot_tick(a->r) != snapshot_tick(b->r))
        printf("tick: %" PRIu64 " / %" PRIu64 "\n", snapshot_tick(a->r), snapshot_tick(b->r));
    int status = compare(a, b, e);
    return status == 0 && (!same || snapshot_tick(a->r) != snapshot_tick(b->r)) ? 1 : status;
}

int snapshot_diff(const char *path_a, const char *path_b)
{
    struct err e;
    struct side a = {snapshot_open("snapshot", path_a, &e), {0}, ""}, b = {NULL, {0}, ""};
    if (!a.r)
        return trouble(path_a, &e);
    b.r = snapshot_open("snapshot", path_b, &e);
    int status = b.r ? compare_open(&a, &b, &e) : 2;
    if (status == 2)
        trouble(b.r ? "snapshots" : path_b, &e);
    else if (status == 0)
        printf("equal\n");
    snapshot_close(a.r);
    snapshot_close(b.r);
    return status;
}
