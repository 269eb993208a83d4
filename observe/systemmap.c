/* systemmap.c - see systemmap.h. */
#include "observe/systemmap.h"

#include <string.h>

#define LAST_BYTES 4096u /* bound of the last symbol, whose end nothing says */

/* Hexadecimal digits from *p on, which moves behind them; 8 of them count, more are an address of 64 bits. */
static bool take_address(const uint8_t **p, const uint8_t *end, uint32_t *addr)
{
    uint64_t v = 0;
    unsigned digits = 0;
    for (; *p < end && digits <= 16; (*p)++, digits++) {
        uint8_t c = **p | 0x20;
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        else
            break;
    }
    *addr = (uint32_t)v;
    return digits >= 1 && digits <= 16 && v <= UINT32_MAX;
}

static bool is_end_mark(const uint8_t *name, size_t n)
{
    return (n == 6 && memcmp(name, "_etext", 6) == 0) || (n == 10 && memcmp(name, "_einittext", 10) == 0);
}

/* True: the line has the form; *out has the symbol if it is one of code. */
static bool take_line(const uint8_t *p, const uint8_t *end, struct symtab *out)
{
    uint32_t addr;
    if (!take_address(&p, end, &addr) || end - p < 4 || p[0] != ' ' || p[2] != ' ')
        return false;
    const uint8_t *name = p + 3, *stop = name;
    while (stop<end && * stop> ' ')
        stop++;
    size_t n = (size_t)(stop - name);
    if (n == 0)
        return false;
    bool code = p[1] && strchr("tTwWi", p[1]);
    return symtab_add(out, addr, SYMBOL_SIZE_NONE, (const char *)name, code && !is_end_mark(name, n) ? n : 0);
}

bool systemmap_read(const uint8_t *text, size_t bytes, struct symtab *out)
{
    const uint8_t *end = text + bytes;
    uint32_t last = 0;
    for (const uint8_t *line = text; line < end;) {
        const uint8_t *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        if (take_line(line, stop, out) && out->rows[out->count - 1].first > last)
            last = out->rows[out->count - 1].first;
        line = stop + 1;
    }
    symtab_finish(out, last < UINT32_MAX - LAST_BYTES ? last + LAST_BYTES : UINT32_MAX);
    return out->count > 0;
}
