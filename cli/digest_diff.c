/* digest_diff.c - tandem-digest-diff A B: the first interval in which two runs differ, and in which part.
 * Two snapshots instead: every field that differs. One snapshot: all its fields. A digest of a run that began
 * at a snapshot is compared from its first point on.
 *
 * Exit status as cmp(1): 0 equal, 1 different, 2 trouble. */
#include "cli/snapshot_diff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 4096

struct point {
    uint64_t tick;
    char chain[40], part[3][24];
};

static const char *const part_names[] = {"CPU", "devices", "RAM"};

static int trouble(const char *path, const char *why)
{
    fprintf(stderr, "tandem-digest-diff: %s: %s; two files written by tandem -digest are needed\n", path,
            why);
    return 2;
}

static int point_parse(const char *line, struct point *p)
{
    char *rest;
    p->tick = strtoull(line, &rest, 10);
    return rest != line &&
           sscanf(rest, " %39s %23s %23s %23s", p->chain, p->part[0], p->part[1], p->part[2]) == 4;
}

static int different(const char *a, const char *b, uint64_t last_equal)
{
    struct point pa, pb;
    if (!point_parse(a, &pa) || !point_parse(b, &pb) || pa.tick != pb.tick) {
        printf("the runs differ after tick %" PRIu64 ":\n  %s  %s", last_equal, a, b);
        return 1;
    }
    printf("first difference in ticks %" PRIu64 " to %" PRIu64 ":", last_equal, pa.tick);
    for (int i = 0; i < 3; i++)
        if (strcmp(pa.part[i], pb.part[i]) != 0)
            printf(" %s", part_names[i]);
    if (strcmp(pa.chain, pb.chain) != 0 && strcmp(pa.part[0], pb.part[0]) == 0 &&
        strcmp(pa.part[1], pb.part[1]) == 0 && strcmp(pa.part[2], pb.part[2]) == 0)
        printf(" only the chain (the runs differ before, or one began at a snapshot without a digest)");
    printf("\n");
    return 1;
}

/* Skips points of the run that began earlier. False: nothing is left. */
static bool skip_before(FILE *f, char line[LINE_BYTES], const char *other)
{
    struct point p, q;
    while (point_parse(line, &p) && point_parse(other, &q) && p.tick < q.tick)
        if (!fgets(line, LINE_BYTES, f))
            return false;
    return true;
}

static int compare(FILE *a, FILE *b)
{
    char la[LINE_BYTES], lb[LINE_BYTES];
    struct point p;
    uint64_t last_equal = 0, points = 0;
    bool ga = fgets(la, sizeof la, a), gb = fgets(lb, sizeof lb, b);
    if (ga && gb) {
        ga = skip_before(a, la, lb);
        gb = skip_before(b, lb, la);
    }
    for (;; ga = fgets(la, sizeof la, a), gb = fgets(lb, sizeof lb, b)) {
        if (!ga && !gb) {
            printf("equal, %" PRIu64 " points\n", points);
            return 0;
        }
        if (!ga || !gb) {
            printf("equal up to tick %" PRIu64 ", where the %s file ends\n", last_equal,
                   ga ? "second" : "first");
            return 1;
        }
        if (strcmp(la, lb) != 0)
            return different(la, lb, last_equal);
        if (point_parse(la, &p)) {
            last_equal = p.tick;
            points++;
        }
    }
}

/* The first line, checked; 0: fine. */
static int header(FILE *f, const char *path, char line[LINE_BYTES])
{
    if (!fgets(line, LINE_BYTES, f) || strncmp(line, "# tandem-digest 1 ", 18) != 0)
        return trouble(path, ferror(f) ? strerror(errno) : "not a digest file");
    return 0;
}

static int run(FILE *a, FILE *b, char **argv)
{
    char ha[LINE_BYTES], hb[LINE_BYTES];
    if (header(a, argv[1], ha) || header(b, argv[2], hb))
        return 2;
    if (strcmp(ha, hb) != 0) {
        printf("not the same machine:\n  %s  %s", ha, hb);
        return 1;
    }
    return compare(a, b);
}

int main(int argc, char **argv)
{
    if (argc == 2 && snapshot_diff_is_one(argv[1]))
        return snapshot_show(argv[1]);
    if (argc != 3) {
        fprintf(stderr, "usage: tandem-digest-diff FILE FILE (two digests or two snapshots)\n"
                        "       tandem-digest-diff SNAPSHOT\n");
        return 2;
    }
    if (snapshot_diff_is_one(argv[1]) && snapshot_diff_is_one(argv[2]))
        return snapshot_diff(argv[1], argv[2]);
    FILE *a = fopen(argv[1], "re"), *b = fopen(argv[2], "re");
    int rc = !a || !b ? trouble(a ? argv[2] : argv[1], strerror(errno)) : run(a, b, argv);
    if (a)
        fclose(a);
    if (b)
        fclose(b);
    return rc;
}
