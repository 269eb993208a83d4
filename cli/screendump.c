/* screendump.c - see screendump.h.
 *
 * The font that the guest may have loaded is not looked at: characters are those of cp437.h. */
#include "cli/screendump.h"

#include "cli/cp437.h"
#include "cli/picture.h"
#include "hw/vga_draw.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define UTF8_MAX 3 /* bytes of one character of the table */

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
        unsigned u = cp437_unicode(c[0]);
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
    return s->vga ? "graphics mode: a file .png or .ppm shows it" : "there is no VGA card (-vga std)";
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

/* --- pictures --- */

/* Pixels of the whole screen, the caller's; NULL: no host memory. */
static uint32_t *draw(const struct screen *s, unsigned *width, unsigned *height)
{
    vga_picture_size(s->vga, width, height);
    uint32_t *pixels = calloc((size_t)*width * *height, sizeof *pixels);
    if (pixels)
        vga_draw(s->vga, s->memory, machine_now_ns(s->m), pixels, *width, 0, *height);
    return pixels;
}

static bool write_picture(FILE *f, const struct screen *s, bool png)
{
    unsigned width, height;
    uint32_t *pixels = draw(s, &width, &height);
    bool ok = pixels && (png ? picture_png : picture_ppm)(f, pixels, width, height);

    free(pixels);
    return ok;
}

static bool ends_with(const char *file, const char *suffix)
{
    size_t n = strlen(file), k = strlen(suffix);

    return n > k && strcmp(file + n - k, suffix) == 0;
}

/* By the name's end: never SCREENDUMP_BY_NAME_OR_PPM. */
static enum screendump_format format_of(const char *file, enum screendump_format format)
{
    if (format == SCREENDUMP_PNG || format == SCREENDUMP_PPM)
        return format;
    if (ends_with(file, ".png"))
        return SCREENDUMP_PNG;
    const bool text = ends_with(file, ".txt") || ends_with(file, ".json");
    return ends_with(file, ".ppm") || (format == SCREENDUMP_BY_NAME_OR_PPM && !text) ? SCREENDUMP_PPM
                                                                                     : SCREENDUMP_BY_NAME;
}

static bool write_as(FILE *f, const struct screen *s, const char *file, enum screendump_format format,
                     char *line)
{
    if (format != SCREENDUMP_BY_NAME)
        return write_picture(f, s, format == SCREENDUMP_PNG);
    (ends_with(file, ".json") ? write_json : write_text)(f, s, line);
    return true;
}

bool screendump_write(const struct machine *m, const char *file, enum screendump_format format, struct err *e)
{
    struct screen s = screen_of(m);

    format = format_of(file, format);
    if (!s.vga && format != SCREENDUMP_BY_NAME)
        return err_set(e, "%s: there is no VGA card to make a picture of (-vga std)", file);
    char *line = malloc(UTF8_MAX * (size_t)s.at.columns + 1);
    FILE *f = line ? fopen(file, "we") : NULL;
    bool ok = f && write_as(f, &s, file, format, line) && !ferror(f);
    if (f && fclose(f) != 0)
        ok = false;
    if (!ok)
        err_set(e, "%s: %s; a file that can be written is needed", file, strerror(errno));
    free(line);
    return ok;
}
