/* monitor_memory.c - commands about memory: x, xp, print, memsave, pmemsave. What is not memory is not read:
 * a device's registers may do something when they are read. */
#include "cli/monitor_expr.h"
#include "cli/monitor_internal.h"

#include "machine/optvalue.h"
#include "mem/physmem.h"
#include "translator/cc.h"
#include "translator/disas.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define DUMP_BYTES_MAX  (UINT64_C(1) << 20) /* of one x or xp */
#define INSNS_MAX       4096
#define INSN_BYTES      15 /* of the longest */
#define STRING_MAX      4096
#define LINE_BYTES      16
#define SAVE_CHUNK      4096
#define FORMAT_ACCEPTED "accepted: /[COUNT][x|d|u|o|c|i|s][b|h|w|g]"

/* --- registers by name --- */

static uint32_t eflags(const struct guest_state *g)
{
    return g->eflags | FLAG_1 | (g->df < 0 ? FLAG_DF : 0) |
           cc_flags(g->slot[IR_CC_OP], g->slot[IR_CC_A], g->slot[IR_CC_B], g->slot[IR_CC_R]);
}

static bool general_register(const struct guest_state *g, const char *name, uint64_t *value)
{
    static const char *const names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    static const char *const low[] = {"al", "cl", "dl", "bl"}, *const high[] = {"ah", "ch", "dh", "bh"};
    for (unsigned i = 0; i < 8; i++) {
        if (strcmp(name, names[i]) == 0)
            *value = g->slot[i];
        else if (strcmp(name, names[i] + 1) == 0)
            *value = g->slot[i] & 0xffff;
        else if (i < 4 && strcmp(name, low[i]) == 0)
            *value = g->slot[i] & 0xff;
        else if (i < 4 && strcmp(name, high[i]) == 0)
            *value = g->slot[i] >> 8 & 0xff;
        else
            continue;
        return true;
    }
    return false;
}

static bool numbered_register(const struct guest_state *g, const char *name, uint64_t *value)
{
    const unsigned n = (unsigned)(name[2] - '0');
    if (strlen(name) != 3 || n > 7)
        return false;
    if (strncmp(name, "cr", 2) == 0) {
        *value = n == 0 ? g->cr0 : n == 2 ? g->cr2 : n == 3 ? g->cr3 : g->cr4;
        return n <= 4 && n != 1;
    }
    *value = g->dr[n];
    return strncmp(name, "dr", 2) == 0;
}

static bool register_value(void *ctx, const char *name, uint64_t *value)
{
    static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    const struct machine *m = ctx;
    const struct guest_state *g = machine_guest(m);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        if (strcmp(name, segments[i]) == 0) {
            *value = g->seg[i].sel;
            return true;
        }
    if (strcmp(name, "eip") == 0)
        *value = g->eip;
    else if (strcmp(name, "pc") == 0)
        *value = g->seg[SEG_CS].base + g->eip;
    else if (strcmp(name, "eflags") == 0)
        *value = eflags(g);
    else if (strcmp(name, "tick") == 0)
        *value = machine_tick(m);
    else
        return general_register(g, name, value) || numbered_register(g, name, value);
    return true;
}

/* False: the answer says why. */
static bool value_of(struct monitor_call *call, const char *text, uint64_t *value)
{
    struct err e;
    if (expr_value(text, register_value, call->steer->machine, value, &e))
        return true;
    fprintf(call->out, "Error: %s\n", e.text);
    return false;
}

/* --- formats --- */

struct format {
    uint64_t count;
    char letter;
    unsigned bytes;
};

static bool format_letter(struct format *f, char c)
{
    static const char sizes[] = "bhwg";
    const char *size = strchr(sizes, c);
    if (size)
        f->bytes = 1u << (size - sizes);
    else if (strchr("xduocis", c))
        f->letter = c;
    else
        return false;
    return true;
}

/* "/4xw EXPR" or "EXPR"; *rest moves to the expression. */
static bool parse_format(struct monitor_call *call, struct format *f, const char **rest)
{
    const char *p = *rest;
    *f = (struct format){.count = 1, .letter = 'x'};
    if (*p == '/') {
        p++;
        if (isdigit((unsigned char)*p))
            for (f->count = 0; isdigit((unsigned char)*p); p++)
                f->count = f->count > DUMP_BYTES_MAX ? f->count : f->count * 10 + (uint64_t)(*p - '0');
        while (*p && *p != ' ' && *p != '\t')
            if (!format_letter(f, *p++)) {
                fprintf(call->out, "Error: " FORMAT_ACCEPTED "\n");
                return false;
            }
    }
    if (!f->bytes)
        f->bytes = f->letter == 'c' ? 1 : 4;
    *rest = p;
    return true;
}

static void print_value(FILE *out, const struct format *f, uint64_t v)
{
    const unsigned bits = f->bytes * 8;
    const int64_t negative = (int64_t)(v << (64 - bits)) >> (64 - bits);
    switch (f->letter) {
    case 'd':
        fprintf(out, "%" PRId64, negative);
        break;
    case 'u':
        fprintf(out, "%" PRIu64, v);
        break;
    case 'o':
        fprintf(out, "0%" PRIo64, v);
        break;
    case 'c':
        fprintf(out, isprint((int)(v & 0xff)) ? "'%c'" : "'\\x%02x'", (int)(v & 0xff));
        break;
    default:
        fprintf(out, "0x%0*" PRIx64, (int)(2 * f->bytes), v);
    }
}

/* --- x, xp --- */

struct dump {
    struct monitor_call *call;
    bool physical;
    struct format format;
};

/* How many bytes from there on are memory, `bytes` at most. */
static size_t read_some(const struct dump *d, uint64_t at, void *to, size_t bytes)
{
    const struct machine *m = d->call->steer->machine;
    if (!d->physical)
        return machine_peek(m, machine_guest(m)->cr3, (uint32_t)at, to, bytes);
    size_t n = 0;
    while (n < bytes && physmem_read(machine_memory(m), at + n, (uint8_t *)to + n, 1))
        n++;
    return n;
}

static uint64_t wrap(const struct dump *d, uint64_t at)
{
    return d->physical ? at : (uint32_t)at;
}

static void print_address(const struct dump *d, uint64_t at)
{
    fprintf(d->call->out, d->physical ? "%016" PRIx64 ":" : "%08" PRIx64 ":", at);
}

static bool cannot(const struct dump *d)
{
    fprintf(d->call->out, " cannot access memory\n");
    return false;
}

static bool dump_insn(const struct dump *d, uint64_t *at)
{
    const struct guest_state *g = machine_guest(d->call->steer->machine);
    uint8_t bytes[INSN_BYTES];
    const size_t n = read_some(d, *at, bytes, sizeof bytes);
    print_address(d, *at);
    if (n == 0)
        return cannot(d);
    fputc(' ', d->call->out);
    *at = wrap(d, *at + disas_guest(d->call->out, g->mode, (uint32_t)*at, bytes, (unsigned)n));
    fputc('\n', d->call->out);
    return true;
}

/* Up to its NUL. */
static bool dump_string(const struct dump *d, uint64_t *at)
{
    uint8_t c = 0;
    print_address(d, *at);
    if (read_some(d, *at, &c, 1) == 0)
        return cannot(d);
    fputs(" \"", d->call->out);
    for (unsigned n = 0; n < STRING_MAX && read_some(d, *at, &c, 1) == 1; n++) {
        *at = wrap(d, *at + 1);
        if (!c)
            break;
        fprintf(d->call->out, isprint(c) && c != '"' && c != '\\' ? "%c" : "\\x%02x", c);
    }
    fputs("\"\n", d->call->out);
    return true;
}

/* One line of at most `n` values. */
static bool dump_line(const struct dump *d, uint64_t *at, uint64_t n)
{
    print_address(d, *at);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t v = 0;
        if (read_some(d, *at, &v, d->format.bytes) != d->format.bytes)
            return cannot(d);
        fputc(' ', d->call->out);
        print_value(d->call->out, &d->format, v);
        *at = wrap(d, *at + d->format.bytes);
    }
    fputc('\n', d->call->out);
    return true;
}

static void dump(const struct dump *d, uint64_t at)
{
    const struct format *f = &d->format;
    const uint64_t line = LINE_BYTES / f->bytes;
    bool ok = true;
    for (uint64_t i = 0; i < f->count && ok;) {
        if (f->letter == 'i' || f->letter == 's') {
            ok = f->letter == 'i' ? dump_insn(d, &at) : dump_string(d, &at);
            i++;
            continue;
        }
        const uint64_t n = f->count - i < line ? f->count - i : line;
        ok = dump_line(d, &at, n);
        i += n;
    }
}

static bool count_is_fine(const struct dump *d)
{
    const struct format *f = &d->format;
    const uint64_t most = f->letter == 'i' || f->letter == 's' ? INSNS_MAX : DUMP_BYTES_MAX / f->bytes;
    if (f->count > 0 && f->count <= most)
        return true;
    fprintf(d->call->out, "Error: count: 1 to %" PRIu64 " is accepted; pmemsave and memsave write more\n",
            most);
    return false;
}

static void dump_command(struct monitor_call *call, bool physical)
{
    struct dump d = {.call = call, .physical = physical};
    const char *rest = call->rest;
    uint64_t at;
    if (parse_format(call, &d.format, &rest) && count_is_fine(&d) && value_of(call, rest, &at))
        dump(&d, wrap(&d, at));
}

void monitor_x(struct monitor_call *call)
{
    dump_command(call, false);
}

void monitor_xp(struct monitor_call *call)
{
    dump_command(call, true);
}

void monitor_print(struct monitor_call *call)
{
    const char *rest = call->rest;
    struct format f;
    uint64_t v;
    if (!parse_format(call, &f, &rest) || !value_of(call, rest, &v))
        return;
    if (f.letter == 'i' || f.letter == 's') {
        fprintf(call->out, "Error: accepted: /[x|d|u|o|c]\n");
        return;
    }
    f.bytes = 8;
    if (f.letter == 'x')
        fprintf(call->out, "%#" PRIx64, v);
    else
        print_value(call->out, &f, v);
    fputc('\n', call->out);
}

/* --- memsave, pmemsave --- */

static void save_bytes(const struct dump *d, uint64_t at, uint64_t bytes, FILE *f)
{
    uint8_t chunk[SAVE_CHUNK];
    for (uint64_t n; bytes > 0; at = wrap(d, at + n), bytes -= n) {
        n = bytes < sizeof chunk ? bytes : sizeof chunk;
        const bool whole = d->physical ? physmem_read(machine_memory(d->call->steer->machine), at, chunk, n)
                                       : read_some(d, at, chunk, n) == n;
        if (!whole) {
            fprintf(d->call->out, "Error: from %#" PRIx64 " to %#" PRIx64 " not all is memory\n", at, at + n);
            return;
        }
        if (fwrite(chunk, 1, n, f) != n)
            break;
    }
}

static void save_command(struct monitor_call *call, bool physical)
{
    const struct dump d = {.call = call, .physical = physical};
    const char *file = call->word[3];
    uint64_t at, bytes;
    if (!value_of(call, call->word[1], &at) || !value_of(call, call->word[2], &bytes))
        return;
    if (bytes == 0 || bytes > UINT64_C(1) << 32) {
        fprintf(call->out, "Error: a size of 1 to 4294967296 is accepted\n");
        return;
    }
    FILE *f = fopen(file, "we");
    if (f)
        save_bytes(&d, wrap(&d, at), bytes, f);
    const bool bad = !f || ferror(f);
    if ((f && fclose(f) != 0) || bad)
        fprintf(call->out, "Error: %s: %s; a file that can be written is accepted\n", file, strerror(errno));
}

void monitor_memsave(struct monitor_call *call)
{
    save_command(call, false);
}

void monitor_pmemsave(struct monitor_call *call)
{
    save_command(call, true);
}
