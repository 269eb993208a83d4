/* screendump.c - see screendump.h.
 *
 * Characters are those of code page 437, which a VGA's own font has, in its graphic form: 01h to 1Fh and 7Fh
 * are pictures too. The font that the guest may have loaded is not looked at. */
#include "cli/screendump.h"

#include "hw/vga_draw.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define UTF8_MAX 3 /* bytes of one character of the table */

/* Code page 437 in Unicode; 0 and 255 are blank. */
static const uint16_t cp437_low[32] = {0x0020, 0x263A, 0x263B, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022,
                                       0x25D8, 0x25CB, 0x25D9, 0x2642, 0x2640, 0x266A, 0x266B, 0x263C,
                                       0x25BA, 0x25C4, 0x2195, 0x203C, 0x00B6, 0x00A7, 0x25AC, 0x21A8,
                                       0x2191, 0x2193, 0x2192, 0x2190, 0x221F, 0x2194, 0x25B2, 0x25BC};
static const uint16_t cp437_high[129] = {
    0x2302, /* 7Fh */
    0x00C7, 0x00FC, 0x00E9, 0x00E2, 0x00E4, 0x00E0, 0x00E5, 0x00E7, 0x00EA, 0x00EB, 0x00E8, 0x00EF, 0x00EE,
    0x00EC, 0x00C4, 0x00C5, 0x00C9, 0x00E6, 0x00C6, 0x00F4, 0x00F6, 0x00F2, 0x00FB, 0x00F9, 0x00FF, 0x00D6,
    0x00DC, 0x00A2, 0x00A3, 0x00A5, 0x20A7, 0x0192, 0x00E1, 0x00ED, 0x00F3, 0x00FA, 0x00F1, 0x00D1, 0x00AA,
    0x00BA, 0x00BF, 0x2310, 0x00AC, 0x00BD, 0x00BC, 0x00A1, 0x00AB, 0x00BB, 0x2591, 0x2592, 0x2593, 0x2502,
    0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255D, 0x255C, 0x255B, 0x2510, 0x2514,
    0x2534, 0x252C, 0x251C, 0x2500, 0x253C, 0x255E, 0x255F, 0x255A, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550,
    0x256C, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256B, 0x256A, 0x2518, 0x250C,
    0x2588, 0x2584, 0x258C, 0x2590, 0x2580, 0x03B1, 0x00DF, 0x0393, 0x03C0, 0x03A3, 0x03C3, 0x00B5, 0x03C4,
    0x03A6, 0x0398, 0x03A9, 0x03B4, 0x221E, 0x03C6, 0x03B5, 0x2229, 0x2261, 0x00B1, 0x2265, 0x2264, 0x2320,
    0x2321, 0x00F7, 0x2248, 0x00B0, 0x2219, 0x00B7, 0x221A, 0x207F, 0x00B2, 0x25A0, 0x0020};

static unsigned unicode(uint8_t c)
{
    return c < 32 ? cp437_low[c] : c < 127 ? c : cp437_high[c - 127];
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
    } else {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
    }
    *to++ = (char)(0x80 | (c & 0x3F));
    return to;
}

struct screen {
    const struct machine *m;
    const struct vga *vga; /* NULL: there is no VGA */
    const uint8_t *memory; /* of it */
    bool text;             /* else graphics of text.columns x text.rows dots */
    struct vga_text at;
};

static struct screen screen_of(const struct machine *m)
{
    struct screen s = {.m = m};
    mem_addr_t first;

    s.vga = machine_vga(m);
    s.memory = machine_video_memory(m, &first);
    s.text = s.vga && vga_text_screen(s.vga, &s.at);
    return s;
}

/* Character and attribute. */
static void cell(const struct screen *s, unsigned row, unsigned column, uint8_t c[2])
{
    vga_text_cell(s->vga, s->memory, vga_text_at(&s->at, row, column), c);
}

/* Row `row` as UTF-8 without blanks at its end; `line` has room for UTF8_MAX * columns + 1. */
static void row_text(const struct screen *s, unsigned row, char *line)
{
    char *end = line, *seen = line;
    uint8_t c[2];

    for (unsigned column = 0; column < s->at.columns; column++) {
        cell(s, row, column, c);
        unsigned u = unicode(c[0]);
        end = put_utf8(end, u);
        if (u != ' ')
            seen = end;
    }
    *seen = '\0';
}

static void row_attributes(const struct screen *s, unsigned row, char *line)
{
    uint8_t c[2];

    for (unsigned column = 0; column < s->at.columns; column++) {
        cell(s, row, column, c);
        snprintf(line + (size_t)2 * column, 3, "%02x", c[1]);
    }
}

/* Where the cursor is; false: not on the screen. */
static bool cursor_place(const struct screen *s, unsigned *row, unsigned *column)
{
    for (*row = 0; *row < s->at.rows; ++*row)
        for (*column = 0; *column < s->at.columns; ++*column)
            if (vga_text_at(&s->at, *row, *column) == s->at.cursor)
                return true;
    return false;
}

static const char *no_text(const struct screen *s)
{
    return s->vga ? "graphics mode: the picture is not written yet" : "there is no VGA card (-vga std)";
}

static void write_text(FILE *f, const struct screen *s, char *line)
{
    unsigned row, column;

    if (!s->text) {
        fprintf(f, "[%s; %u x %u dots; tick %" PRIu64 "]\n", no_text(s), s->at.columns, s->at.rows,
                machine_tick(s->m));
        return;
    }
    for (row = 0; row < s->at.rows; row++) {
        row_text(s, row, line);
        fprintf(f, "%s\n", line);
    }
    fprintf(f, "[%u columns, %u rows, ", s->at.columns, s->at.rows);
    if (s->at.cursor_on && cursor_place(s, &row, &column))
        fprintf(f, "cursor at column %u, row %u, ", column, row);
    else
        fprintf(f, "no cursor, ");
    fprintf(f, "%stick %" PRIu64 "]\n", s->at.dark ? "the screen is dark, " : "", machine_tick(s->m));
}

static json_t *rows_json(const struct screen *s, char *line,
                         void (*row_of)(const struct screen *, unsigned, char *))
{
    json_t *rows = json_array();

    for (unsigned row = 0; row < s->at.rows; row++) {
        row_of(s, row, line);
        json_array_append_new(rows, json_string(line));
    }
    return rows;
}

static json_t *cursor_json(const struct screen *s)
{
    unsigned row, column;

    if (!s->at.cursor_on || !cursor_place(s, &row, &column))
        return json_null();
    return json_pack("{s:i, s:i}", "column", (int)column, "row", (int)row);
}

static void write_json(FILE *f, const struct screen *s, char *line)
{
    json_t *o = json_pack("{s:I, s:s, s:i, s:i}", "tick", (json_int_t)machine_tick(s->m), "mode",
                          s->text  ? "text"
                          : s->vga ? "graphics"
                                   : "none",
                          "columns", (int)s->at.columns, "rows", (int)s->at.rows);

    if (s->text) {
        json_object_set_new(o, "dark", json_boolean(s->at.dark));
        json_object_set_new(o, "cursor", cursor_json(s));
        json_object_set_new(o, "text", rows_json(s, line, row_text));
        json_object_set_new(o, "attributes", rows_json(s, line, row_attributes));
    }
    json_dumpf(o, f, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    fputc('\n', f);
    json_decref(o);
}

static bool wants_json(const char *file)
{
    size_t n = strlen(file);

    return n > 5 && strcmp(file + n - 5, ".json") == 0;
}

bool screendump_write(const struct machine *m, const char *file, struct err *e)
{
    struct screen s = screen_of(m);
    char *line = malloc(UTF8_MAX * (size_t)s.at.columns + 1);
    FILE *f = line ? fopen(file, "we") : NULL;

    if (f)
        (wants_json(file) ? write_json : write_text)(f, &s, line);
    bool ok = f && !ferror(f);
    if (f && fclose(f) != 0)
        ok = false;
    if (!ok)
        err_set(e, "-screendump-at: file=%s: %s; a file that can be written is needed", file,
                strerror(errno));
    free(line);
    return ok;
}
