/* kallsyms.c - see kallsyms.h.
 *
 * The parts, each aligned to 4 bytes:
 *     token index   256 offsets (16 bits) of the tokens in the token table
 *     token table   256 texts, each ended by a NUL; right before the index
 *     names         per symbol a length (one byte, or two of 7 bits, least first), then token numbers; the
 * first character of the expansion is the type, the rest the name num_syms      32 bits; right before the
 * names markers       32 bits for each 256 symbols: offset in names; right behind the names offsets       32
 * bits a symbol, ascending, then the base that they are relative to; or, without a base
 *                   (CONFIG_KALLSYMS_BASE_RELATIVE off), whole addresses
 *
 * NOT MODELLED: CONFIG_KALLSYMS_ABSOLUTE_PERCPU (64 bits only); symbols of modules (modules.h). */
#include "observe/kallsyms.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS          256u
#define INDEX_BYTES     (2 * TOKENS)
#define TOKEN_BYTES_MAX 512u
#define SYMBOLS_MIN     16u
#define SYMBOLS_MAX     1000000u
#define NAMES_REACH     (UINT32_C(24) << 20) /* the names begin no further before the tokens */
#define MARKER_STEP     256u
#define LAST_BYTES      4096u /* bound of the last symbol, whose end nothing says */
#define PAGE            4096u
#define WORK_MAX        (UINT64_C(1) << 26) /* memory that imitates the shape costs no more */

struct finder {
    const uint8_t *image;
    size_t bytes;
    uint32_t near;
    uint64_t work;        /* names and positions looked at, up to WORK_MAX */
    size_t tokens, index; /* offsets in the image */
    size_t names, markers;
    uint32_t count;
    size_t addresses;
    bool relative;
    uint32_t relative_base;
};

static size_t align4(size_t v)
{
    return (v + 3) & ~(size_t)3;
}

/* --- tokens --- */

/* Ascending from 0, no step wider than a token. */
static bool index_shape(const uint8_t *p)
{
    if (p[0] || p[1] || p[3] || p[2] == 0)
        return false;
    for (unsigned i = 1; i < TOKENS; i++) {
        unsigned before = le16(p + 2 * (i - 1)), here = le16(p + 2 * i);
        if (here <= before || here - before > TOKEN_BYTES_MAX)
            return false;
    }
    return true;
}

static bool printable(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x21 || p[i] > 0x7e)
            return false;
    return true;
}

/* Every token ends with a NUL where the next one begins, and has none inside. */
static bool table_shape(const struct finder *f, size_t table)
{
    for (unsigned i = 0; i < TOKENS; i++) {
        size_t at = table + le16(f->image + f->index + 2 * i);
        size_t next = i + 1 < TOKENS ? table + le16(f->image + f->index + 2 * (i + 1)) : 0;
        size_t length = next ? next - at - 1 : strnlen((const char *)f->image + at, TOKEN_BYTES_MAX);
        if (at + length >= f->index || f->image[at + length] || !printable(f->image + at, length))
            return false;
        if (!next && align4(at + length + 1) != f->index)
            return false;
    }
    /* A digit or letter that names contain stands for itself. */
    return f->image[table + le16(f->image + f->index + 2 * '_')] == '_';
}

static bool find_table(struct finder *f)
{
    size_t last = le16(f->image + f->index + 2 * (TOKENS - 1));
    for (size_t length = 1; length <= TOKEN_BYTES_MAX + 4; length++) {
        if (last + length > f->index)
            return false;
        f->tokens = f->index - last - length;
        if ((f->tokens & 3) == 0 && table_shape(f, f->tokens))
            return true;
    }
    return false;
}

/* --- names --- */

struct name {
    const uint8_t *token;
    unsigned tokens;
};

/* The name at *at, which moves behind it. False: it would pass `end`. */
static bool next_name(const struct finder *f, size_t *at, size_t end, struct name *n)
{
    if (*at + 2 > end)
        return false;
    unsigned length = f->image[(*at)++];
    if (length & 0x80)
        length = (length & 0x7f) | (unsigned)f->image[(*at)++] << 7;
    n->token = f->image + *at;
    n->tokens = length;
    *at += length;
    return length > 0 && *at <= end;
}

static const char *token_text(const struct finder *f, uint8_t token)
{
    return (const char *)f->image + f->tokens + le16(f->image + f->index + 2 * token);
}

static bool type_known(char c)
{
    return strchr("aAbBcdDgGiInNrRsStTuUvVwW", c) && c;
}

/* All `count` names are there, and the markers behind them say the same. */
static bool names_shape(struct finder *f, size_t names, uint32_t count)
{
    size_t at = names;
    struct name n;
    for (uint32_t i = 0; i < count; i++, f->work++)
        if (!next_name(f, &at, f->tokens, &n) || !type_known(token_text(f, n.token[0])[0]))
            return false;
    f->names = names;
    f->count = count;
    f->markers = align4(at);
    size_t markers = (count + MARKER_STEP - 1) / MARKER_STEP;
    if (f->markers + 4 * markers > f->tokens)
        return false;
    at = names;
    for (uint32_t i = 0; i < count; i++) {
        if (i % MARKER_STEP == 0 && le32(f->image + f->markers + 4 * (i / MARKER_STEP)) != at - names)
            return false;
        if (!next_name(f, &at, f->tokens, &n))
            return false;
    }
    return true;
}

/* num_syms stands right before the names. The first few names tell almost every other place from it. */
static bool find_names(struct finder *f)
{
    size_t low = f->tokens > NAMES_REACH ? align4(f->tokens - NAMES_REACH) : 0;
    for (size_t at = f->tokens; at >= low + 4 && f->work < WORK_MAX; at -= 4) {
        f->work++;
        uint32_t count = le32(f->image + at - 4);
        if (count >= SYMBOLS_MIN && count <= SYMBOLS_MAX && names_shape(f, at, count))
            return true;
    }
    return false;
}

/* --- addresses --- */

static uint32_t address_of(const struct finder *f, uint32_t i)
{
    uint32_t v = le32(f->image + f->addresses + 4 * (size_t)i);
    return f->relative ? f->relative_base + v : v;
}

/* Ascending, and the kernel that runs is among them. */
static bool addresses_shape(const struct finder *f)
{
    if (f->relative && (f->relative_base & 0x80000000) == 0)
        return false;
    for (uint32_t i = 1; i < f->count; i++)
        if (le32(f->image + f->addresses + 4 * (size_t)i) < le32(f->image + f->addresses + 4 * (size_t)i - 4))
            return false;
    return address_of(f, 0) <= f->near && f->near - address_of(f, 0) < KALLSYMS_WINDOW &&
           address_of(f, 0) < address_of(f, f->count - 1);
}

/* The table of addresses begins at `at`, and if there is a base it stands at `base_at`. */
static bool addresses_at(struct finder *f, size_t at, size_t base_at, bool relative)
{
    if (at + 4 * (size_t)f->count > f->bytes || (relative && base_at + 4 > f->bytes))
        return false;
    f->addresses = at;
    f->relative = relative;
    f->relative_base = relative ? le32(f->image + base_at) : 0;
    return addresses_shape(f);
}

static bool find_addresses(struct finder *f)
{
    size_t table = 4 * (size_t)f->count, before = f->names - 4, behind = f->index + INDEX_BYTES;
    return (before >= table + 4 && addresses_at(f, before - 4 - table, before - 4, true)) ||
           (before >= table && addresses_at(f, before - table, 0, false)) ||
           addresses_at(f, behind, behind + table, true) || addresses_at(f, behind, 0, false);
}

/* --- the whole --- */

/* A name that marks where a section ends: nothing of that name is there. */
static bool is_end_mark(const char *name)
{
    return strcmp(name, "_etext") == 0 || strcmp(name, "_einittext") == 0 || strcmp(name, "_end") == 0 ||
           strcmp(name, "_edata") == 0;
}

static bool add_symbol(struct symtab *out, const struct finder *f, uint32_t i, const struct name *n)
{
    char text[SYMBOL_NAME_MAX + 1];
    size_t used = 0;
    for (unsigned k = 0; k < n->tokens; k++)
        for (const char *t = token_text(f, n->token[k]); *t && used < SYMBOL_NAME_MAX; t++)
            text[used++] = *t;
    text[used] = 0;
    if (used < 1 || strchr("aA", text[0])) /* an absolute value is no place */
        return true;
    size_t length = is_end_mark(text + 1) ? 0 : used - 1;
    return symtab_add(out, address_of(f, i), SYMBOL_SIZE_NONE, text + 1, length);
}

static bool take_symbols(const struct finder *f, struct symtab *out)
{
    size_t at = f->names;
    struct name n;
    for (uint32_t i = 0; i < f->count; i++)
        if (!next_name(f, &at, f->tokens, &n) || !add_symbol(out, f, i, &n))
            return false;
    uint32_t last = address_of(f, f->count - 1);
    symtab_finish(out, last < UINT32_MAX - LAST_BYTES ? last + LAST_BYTES : UINT32_MAX);
    return true;
}

static bool find_in(const uint8_t *image, size_t bytes, uint32_t near, struct symtab *out)
{
    struct finder f = {.image = image, .bytes = bytes, .near = near};
    for (f.index = 0; f.index + INDEX_BYTES <= bytes && f.work < WORK_MAX; f.index += 4) {
        if (!index_shape(image + f.index) || !find_table(&f) || !find_names(&f) || !find_addresses(&f))
            continue;
        if (take_symbols(&f, out))
            return true;
        symtab_free(out);
    }
    return false;
}

/* The part of near - reach .. near + reach around near that is mapped. */
static void window(const struct guest_view *g, uint32_t cr3, uint32_t near, uint32_t reach, uint32_t *first,
                   uint32_t *end)
{
    uint8_t byte;
    *first = *end = near & ~(PAGE - 1);
    while (*first >= PAGE && near - *first < reach && view_read(g, cr3, *first - PAGE, &byte, 1))
        *first -= PAGE;
    while (*end <= UINT32_MAX - 2 * PAGE && *end - (near & ~(PAGE - 1)) < reach &&
           view_read(g, cr3, *end, &byte, 1))
        *end += PAGE;
}

static bool find_within(const struct guest_view *g, uint32_t cr3, uint32_t near, uint32_t reach,
                        struct symtab *out)
{
    uint32_t first, end;
    window(g, cr3, near, reach, &first, &end);
    uint8_t *image = end > first ? malloc(end - first) : NULL;
    if (!image)
        return false;
    bool found = view_read(g, cr3, first, image, end - first) && find_in(image, end - first, near, out);
    free(image);
    return found;
}

/* The first code that is seen is the kernel's initialization, as a rule, right behind the tables. A larger
 * window is memory that the host has to find first, which takes longer than the search. */
bool kallsyms_find(const struct guest_view *g, uint32_t cr3, uint32_t near, struct symtab *out)
{
    return find_within(g, cr3, near, KALLSYMS_WINDOW / 8, out) ||
           find_within(g, cr3, near, KALLSYMS_WINDOW / 2, out) ||
           find_within(g, cr3, near, KALLSYMS_WINDOW, out);
}
