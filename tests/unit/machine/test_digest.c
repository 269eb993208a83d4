/* test_digest.c - the digest: a function of the state alone, sensitive to each of its parts. */
#include "machine/digest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RAM (4u << 20)

struct toy_chip {
    uint8_t reg[3];
    uint8_t padding; /* in no field: must not matter */
    uint32_t count;
};
static const struct field toy_fields[] = {FIELD_ARRAY(struct toy_chip, reg), FIELD(struct toy_chip, count)};
static const struct field cpu_fields[] = {{"cpu", 0, 1, 8, 1, UINT64_MAX}};

struct rig {
    struct physmem mem;
    uint8_t cpu[8];
    struct toy_chip chip[2];
    struct digest *d;
    struct err e;
};

static bool part(void *ctx, enum state_group group, unsigned i, struct state_part *out)
{
    struct rig *g = ctx;
    if (i >= (group == STATE_CPU ? 1u : 2u))
        return false;
    *out = group == STATE_CPU ? (struct state_part){"cpu", cpu_fields, 1, g->cpu}
                              : (struct state_part){"toy", toy_fields, 2, &g->chip[i]};
    return true;
}

static void settle(void *ctx)
{
}

static void rig_init(struct rig *g, const char *path)
{
    memset(g, 0, sizeof *g);
    cr_assert_eq(physmem_init(&g->mem, RAM), 0);
    const struct digest_source src = {.ram = {.mem = &g->mem}, .ctx = g, .part = part, .settle = settle};
    g->d = digest_open(path, "test=1", 1, &src, &g->e);
}

static void rig_end(struct rig *g, uint64_t tick, char hex[DIGEST_HEX])
{
    digest_end(g->d, tick, hex);
    cr_expect(digest_close(g->d, &g->e));
    physmem_free(&g->mem);
}

enum change { NOTHING, CPU, CHIP, SECOND_CHIP, PADDING, RAM_BYTE, ZERO_WRITE, TICK, UNDONE };

static void state_after(enum change c, unsigned points, char hex[DIGEST_HEX])
{
    struct rig g;
    rig_init(&g, NULL);
    cr_assert_not_null(g.d);
    physmem_write(&g.mem, 5000, "abc", 3);
    for (unsigned i = 0; i < points; i++)
        digest_point(g.d, i);
    g.cpu[3] ^= c == CPU;
    g.chip[0].count ^= c == CHIP;
    g.chip[1].reg[2] ^= c == SECOND_CHIP;
    g.chip[0].padding ^= c == PADDING;
    if (c == RAM_BYTE || c == UNDONE)
        physmem_write(&g.mem, RAM - 1, "x", 1);
    if (c == UNDONE) {
        digest_point(g.d, 90);
        physmem_write(&g.mem, RAM - 1, "", 1);
    }
    if (c == ZERO_WRITE)
        physmem_write(&g.mem, 100000, "\0\0\0", 3);
    rig_end(&g, 100 + (c == TICK), hex);
}

Test(digest, function_of_state)
{
    char ref[DIGEST_HEX], hex[DIGEST_HEX];
    static const enum change same[] = {NOTHING, PADDING, ZERO_WRITE, UNDONE};
    static const enum change different[] = {CPU, CHIP, SECOND_CHIP, RAM_BYTE, TICK};
    state_after(NOTHING, 0, ref);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        state_after(same[i], (unsigned)i * 3, hex);
        cr_expect_str_eq(hex, ref, "change %d", same[i]);
    }
    for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
        state_after(different[i], 2, hex);
        cr_expect_str_neq(hex, ref, "change %d", different[i]);
    }
}

Test(digest, file)
{
    char path[] = "/tmp/tandem-digest-XXXXXX", hex[DIGEST_HEX], line[256];
    close(mkstemp(path));
    struct rig g;
    rig_init(&g, path);
    cr_assert_not_null(g.d, "%s", g.e.text);
    digest_point(g.d, 10);
    digest_point(g.d, 20);
    rig_end(&g, 25, hex);
    FILE *f = fopen(path, "r");
    static const char *const starts[] = {"# tandem-digest 1 test=1", "10 ", "20 ", "end 25 "};
    for (int i = 0; i < 4; i++) {
        cr_assert_not_null(fgets(line, sizeof line, f));
        cr_expect_eq(strncmp(line, starts[i], strlen(starts[i])), 0, "%s", line);
    }
    cr_expect_eq(strncmp(line + 7, hex, 32), 0);
    cr_expect_null(fgets(line, sizeof line, f));
    fclose(f);
    unlink(path);
}

Test(digest, bad_file)
{
    struct rig g;
    rig_init(&g, "/nonexistent/x");
    cr_expect_null(g.d);
    cr_expect(strstr(g.e.text, "file=/nonexistent/x: No such file"), "%s", g.e.text);
    physmem_free(&g.mem);
}

Test(digest, full_disk_is_reported)
{
    struct rig g;
    rig_init(&g, "/dev/full");
    cr_assert_not_null(g.d);
    digest_point(g.d, 1);
    cr_expect_not(digest_close(g.d, &g.e));
    cr_expect(strstr(g.e.text, "/dev/full"), "%s", g.e.text);
    physmem_free(&g.mem);
}
