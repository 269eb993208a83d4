/* monitor_expr.c - see monitor_expr.h: recursive descent. */
#include "cli/monitor_expr.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

struct expr {
    const char *text, *at;
    expr_register_fn reg;
    void *ctx;
    struct err *e;
    unsigned depth;
};

static bool sum(struct expr *x, uint64_t *value);

static char look(struct expr *x)
{
    while (*x->at == ' ' || *x->at == '\t')
        x->at++;
    return *x->at;
}

static bool fail(struct expr *x, const char *what)
{
    return err_set(
        x->e, "'%.200s': %s at '%.40s'; accepted: numbers, 0x numbers, $registers, + - * / %% & | ^ ~ ( )",
        x->text, what, x->at);
}

static int digit(char c, unsigned base)
{
    const char *const digits = "0123456789abcdef", *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at && at - digits < (ptrdiff_t)base ? (int)(at - digits) : -1;
}

static bool number(struct expr *x, uint64_t *value)
{
    const unsigned base = x->at[0] == '0' && tolower((unsigned char)x->at[1]) == 'x' ? 16 : 10;
    x->at += base == 16 ? 2 : 0;
    if (digit(*x->at, base) < 0)
        return fail(x, "no number");
    for (*value = 0; digit(*x->at, base) >= 0; x->at++) {
        const uint64_t d = (uint64_t)digit(*x->at, base);
        if (*value > (UINT64_MAX - d) / base)
            return fail(x, "more than 64 bits");
        *value = *value * base + d;
    }
    return !isalnum((unsigned char)*x->at) || fail(x, "no digit");
}

static bool reg(struct expr *x, uint64_t *value)
{
    char name[16];
    size_t n = 0;
    for (x->at++; isalnum((unsigned char)x->at[n]) && n < sizeof name - 1; n++)
        name[n] = (char)tolower((unsigned char)x->at[n]);
    name[n] = '\0';
    if (!x->reg(x->ctx, name, value))
        return fail(x, "no such register");
    x->at += n;
    return true;
}

static bool character(struct expr *x, uint64_t *value)
{
    if (!x->at[1] || x->at[2] != '\'')
        return fail(x, "no character");
    *value = (unsigned char)x->at[1];
    x->at += 3;
    return true;
}

static bool parentheses(struct expr *x, uint64_t *value)
{
    x->at++;
    if (!sum(x, value))
        return false;
    if (look(x) != ')')
        return fail(x, "no )");
    x->at++;
    return true;
}

static bool sign(struct expr *x, uint64_t *value);

static bool unit(struct expr *x, uint64_t *value)
{
    const char c = look(x);
    bool ok;
    if (x->depth++ == EXPR_DEPTH_MAX)
        return fail(x, "too deep");
    if (c == '(')
        ok = parentheses(x, value);
    else if (c == '$')
        ok = reg(x, value);
    else if (c == '\'')
        ok = character(x, value);
    else if (c && strchr("-+~", c))
        ok = sign(x, value);
    else
        ok = number(x, value);
    x->depth--;
    return ok;
}

static bool sign(struct expr *x, uint64_t *value)
{
    const char c = *x->at++;
    uint64_t v;
    if (!unit(x, &v))
        return false;
    *value = c == '-' ? 0 - v : c == '~' ? ~v : v;
    return true;
}

static bool product(struct expr *x, uint64_t *value)
{
    char c;
    if (!unit(x, value))
        return false;
    while ((c = look(x)) && strchr("*/%", c)) {
        uint64_t v;
        x->at++;
        if (!unit(x, &v))
            return false;
        if (c != '*' && v == 0)
            return fail(x, "division by zero");
        *value = c == '*' ? *value * v : c == '/' ? *value / v : *value % v;
    }
    return true;
}

static bool sum(struct expr *x, uint64_t *value)
{
    char c;
    if (!product(x, value))
        return false;
    while ((c = look(x)) && strchr("+-&|^", c)) {
        uint64_t v;
        x->at++;
        if (!product(x, &v))
            return false;
        switch (c) {
        case '+':
            *value += v;
            break;
        case '-':
            *value -= v;
            break;
        case '&':
            *value &= v;
            break;
        case '|':
            *value |= v;
            break;
        default:
            *value ^= v;
        }
    }
    return true;
}

bool expr_value(const char *text, expr_register_fn reg_of, void *ctx, uint64_t *value, struct err *e)
{
    struct expr x = {.text = text, .at = text, .reg = reg_of, .ctx = ctx, .e = e};
    return sum(&x, value) && (look(&x) == '\0' || fail(&x, "something is left over"));
}
