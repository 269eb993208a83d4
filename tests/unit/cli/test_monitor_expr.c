/* test_monitor_expr.c - the monitor's expressions: values, and that any text has a value or an error. */
#include "cli/monitor_expr.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool reg(void *ctx, const char *name, uint64_t *value)
{
    *value = 0xcafe;
    return strcmp(name, "eax") == 0;
}

static bool value(const char *text, uint64_t *v, struct err *e)
{
    e->text[0] = '\0';
    return expr_value(text, reg, NULL, v, e);
}

Test(monitor_expr, values)
{
    static const struct {
        const char *text;
        uint64_t value;
    } rows[] = {
        {"0", 0},
        {"  42 ", 42},
        {"010", 10},
        {"0x10", 16},
        {"0XfF", 255},
        {"18446744073709551615", UINT64_MAX},
        {"0xffffffffffffffff", UINT64_MAX},
        {"$eax", 0xcafe},
        {"$EAX+1", 0xcaff},
        {"'A'", 65},
        {"' '", 32},
        {"1+2*3", 7},
        {"(1+2)*3", 9},
        {"10-3-2", 5},
        {"7/2", 3},
        {"7%4", 3},
        {"-1", UINT64_MAX},
        {"~0", UINT64_MAX},
        {"- - 3", 3},
        {"0xff & 0x0f | 0x30 ^ 1", 0x3e},
        {"0xffffffffffffffff + 2", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t v = 0;
        struct err e;
        cr_expect(value(rows[i].text, &v, &e), "%s: %s", rows[i].text, e.text);
        cr_expect_eq(v, rows[i].value, "%s: %#" PRIx64, rows[i].text, v);
    }
}

Test(monitor_expr, errors)
{
    static const char *const rows[] = {"",
                                       " ",
                                       "0x",
                                       "1 2",
                                       "1+",
                                       "(1",
                                       "1)",
                                       "$",
                                       "$ebx",
                                       "'",
                                       "''",
                                       "'a",
                                       "1/0",
                                       "1%0",
                                       "12a",
                                       "0xg",
                                       "**",
                                       "!1",
                                       "1 / (2-2)",
                                       "\x80",
                                       "--",
                                       "18446744073709551616",
                                       "0x10000000000000000",
                                       "$eaxeaxeaxeaxeaxeaxeaxeax"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t v;
        struct err e;
        cr_expect_not(value(rows[i], &v, &e), "%s", rows[i]);
        cr_expect(strstr(e.text, "accepted"), "%s: '%s'", rows[i], e.text);
    }
}

static void expect_depth(const char *open, const char *close)
{
    for (unsigned depth = 1; depth < 100000; depth *= 10) {
        char *text = calloc(depth + 1, 2);
        uint64_t v;
        struct err e;
        for (unsigned i = 0; i < depth; i++)
            text[i] = *open;
        text[depth] = '1';
        for (unsigned i = 0; i < depth && *close; i++)
            text[depth + 1 + i] = *close;
        cr_expect_eq(value(text, &v, &e), depth < EXPR_DEPTH_MAX, "%u %s", depth, open);
        free(text);
    }
}

Test(monitor_expr, depth)
{
    expect_depth("(", ")");
    expect_depth("-", "");
    expect_depth("~", "");
}

Test(monitor_expr, any_text)
{
    static const char letters[] = "0123456789abcdefx$ea()+-*/%&|^~' \t\"\\\x01\xff";
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        char text[24] = "";
        uint64_t v;
        struct err e;
        for (unsigned n = (unsigned)rand() % (sizeof text - 1); n-- > 0;)
            text[n] = letters[(unsigned)rand() % (sizeof letters - 1)];
        if (!value(text, &v, &e))
            cr_assert_neq(e.text[0], '\0', "%s", text);
    }
}
