/* names.c, calltree.c, functions.c and the formats: a profile that is written here, read back in each format.
 * The formats of protocol buffers are read by a reader that knows the published schemas' field numbers, and
 * refuses others. */
#include "observe/attribute.h"
#include "observe/formats.h"
#include "observe/functions.h"
#include "observe/jsonrows.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVERY 1000

static char path[] = "/tmp/tandem-test-formats-XXXXXX";

static void put(struct profile_writer *w, unsigned k, uint32_t task, unsigned flags, unsigned frames,
                const uint32_t *addr)
{
    struct sample s = {
        .tick = k * EVERY, .flags = (uint8_t)flags, .cr3 = 0x5000, .task = task, .frames = frames};
    for (unsigned i = 0; i < frames; i++) {
        unsigned user = addr[i] < 0xc0000000 ? FRAME_USER : 0;
        s.frame[i] = (struct sample_frame){addr[i], (uint8_t)((i == 0 ? FRAME_INSN : 0) | user)};
    }
    s.cpl = s.frame[0].flags & FRAME_USER ? 3 : 0;
    if (s.cpl == 0)
        s.entry = (struct entry){.kind = ENTRY_SYSENTER, .number = 4};
    profile_put_sample(w, &s);
}

/* sh: main > write > sys_write > copy, twice main alone; swapper idles; a process without a name. */
static void make_profile(void)
{
    struct err e;
    close(mkstemp(path));
    struct profile_writer *w = profile_create(path, &e);
    struct profile_head head = {.every = EVERY, .shift = 3, .stacks = PROFILE_STACKS_ON};
    const uint32_t deep[] = {0xc0001010, 0xc0000025, 0xb7001010, 0x08000120};
    const uint32_t flat[] = {0x08000104}, idle[] = {0xc0002000}, stray[] = {0x08000104};
    profile_put_head(w, &head);
    put(w, 1, 1, SAMPLE_WHOLE, 4, deep);
    put(w, 2, 1, SAMPLE_WHOLE | SAMPLE_REP, 4, deep);
    put(w, 3, 1, 0, 1, flat);
    put(w, 4, 1, 0, 1, flat);
    put(w, 5, 2, SAMPLE_IDLE, 1, idle);
    put(w, 6, 0, 0, 1, stray);
    jsonrows_linux_task(w, 1, "s\"h; 1", 42, 42);
    jsonrows_linux_task(w, 2, "swapper", 0, 0);
    struct json_rows *rows = calloc(1, sizeof *rows);
    rows->writer = w;
    jsonrows_add(rows, 0, 0xc0000000, 0xc0000100, "sys_write", "[kernel]");
    jsonrows_add(rows, 0, 0xc0001000, 0xc0001100, "copy", "[kernel]");
    jsonrows_add(rows, 0, 0xc0002000, 0xc0002100, "halt", "[kernel]");
    jsonrows_add(rows, 2, 0x08000100, 0x08000200, "main", "sh");
    jsonrows_add(rows, 2, 0xb700100f, 0xb7001010, "", "libc.so");
    jsonrows_end(rows);
    free(rows);
    cr_assert(profile_finish(w, 7 * EVERY, &e), "%s", e.text);
}

static char *converted(enum profile_format format, size_t *bytes)
{
    char *text = NULL;
    struct err e = {""};
    make_profile();
    FILE *f = open_memstream(&text, bytes);
    cr_assert(format_write(path, format, f, "memory", &e), "%s", e.text);
    fclose(f);
    unlink(path);
    return text;
}

Test(formats, folded)
{
    size_t bytes;
    char *text = converted(FORMAT_FOLDED, &bytes);
    cr_expect_str_eq(text, "s\"h__1;main 2\n"
                           "s\"h__1;main;[libc.so];sys_write_[k];copy_[k] 2\n"
                           "cr3:00005000;[unknown] 1\n"
                           "swapper;halt_[k];[idle] 1\n");
    free(text);
}

Test(formats, perf_script)
{
    size_t bytes;
    char *text = converted(FORMAT_PERF, &bytes);
    static const char first[] = "s\"h;_1 42/42 [000] 0.000008: 1000 ticks: \n"
                                "\t        c0001010 copy+0x10 ([kernel])\n"
                                "\t        c0000025 sys_write+0x25 ([kernel])\n"
                                "\t        b7001010 [unknown] (libc.so)\n"
                                "\t         8000120 main+0x20 (sh)\n\n";
    cr_expect(strncmp(text, first, sizeof first - 1) == 0, "%s", text);
    cr_expect_not_null(
        strstr(text, "swapper 0/0 [000] 0.000040: 1000 idle: \n\t        c0002000 halt+0x0 ([kernel])\n\n"));
    cr_expect_not_null(strstr(text, "\t         8000104 [unknown] ([unknown])\n"));
    free(text);
}

Test(formats, svg_is_whole)
{
    size_t bytes;
    char *text = converted(FORMAT_SVG, &bytes);
    cr_expect_not_null(strstr(text, "<title>main \xe2\x80\x94 66.67 % (4 samples; itself 2)</title>"));
    cr_expect_not_null(strstr(text, ">s\"h; 1</text>"));
    cr_expect_str_eq(text + bytes - 7, "</svg>\n");
    free(text);
}

/* --- protocol buffers --- */

struct field {
    unsigned number, type;
    uint64_t value; /* type 0; type 2: its length */
    const uint8_t *data;
};

static uint64_t varint(const uint8_t **p, const uint8_t *end)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        cr_assert(*p < end, "cut off");
        v |= (uint64_t)(**p & 0x7f) << shift;
        if (!(*(*p)++ & 0x80))
            return v;
    }
    cr_assert_fail("a varint without an end");
    return 0;
}

static bool next_field(const uint8_t **p, const uint8_t *end, struct field *f)
{
    if (*p == end)
        return false;
    uint64_t key = varint(p, end);
    f->number = (unsigned)(key >> 3);
    f->type = key & 7;
    cr_assert(f->type == 0 || f->type == 2, "wire type %u", f->type);
    f->value = varint(p, end);
    f->data = *p;
    if (f->type == 2) {
        cr_assert(f->value <= (uint64_t)(end - *p));
        *p += f->value;
    }
    return true;
}

/* A message's schema: what each field may hold. 'v' a number, 's' a string, 'p' packed numbers, a letter of
 * `messages` another message. */
struct schema {
    char name;
    struct {
        unsigned number;
        char type;
    } field[12];
};

static void check(const struct schema *messages, char name, const uint8_t *p, size_t bytes)
{
    const struct schema *m = messages;
    const uint8_t *end = p + bytes;
    struct field f;
    while (m->name != name)
        m++;
    while (next_field(&p, end, &f)) {
        unsigned i = 0;
        while (m->field[i].number && m->field[i].number != f.number)
            i++;
        char type = m->field[i].type;
        cr_assert(type, "message %c has no field %u", name, f.number);
        cr_assert_eq(f.type == 0, type == 'v', "message %c field %u", name, f.number);
        if (type >= 'A' && type <= 'Z')
            check(messages, type, f.data, f.value);
        for (const uint8_t *q = f.data; type == 'p' && q < f.data + f.value;)
            varint(&q, f.data + f.value);
    }
}

/* github.com/google/pprof/proto/profile.proto */
static const struct schema pprof[] = {
    {'P',
     {{1, 'V'}, {2, 'S'}, {3, 'M'}, {4, 'L'}, {5, 'F'}, {6, 's'}, {9, 'v'}, {10, 'v'}, {11, 'V'}, {12, 'v'}}},
    {'V', {{1, 'v'}, {2, 'v'}}},
    {'S', {{1, 'p'}, {2, 'p'}, {3, 'A'}}},
    {'A', {{1, 'v'}, {2, 'v'}, {3, 'v'}, {4, 'v'}}},
    {'M', {{1, 'v'}, {2, 'v'}, {3, 'v'}, {4, 'v'}, {5, 'v'}}},
    {'L', {{1, 'v'}, {2, 'v'}, {3, 'v'}, {4, 'I'}}},
    {'I', {{1, 'v'}, {2, 'v'}}},
    {'F', {{1, 'v'}, {2, 'v'}, {3, 'v'}, {4, 'v'}, {5, 'v'}}},
};

/* perfetto/protos/perfetto/trace: trace.proto, trace_packet.proto, track_event/ */
static const struct schema perfetto[] = {
    {'T', {{1, 'P'}}},
    {'P', {{8, 'v'}, {10, 'v'}, {11, 'E'}, {12, 'I'}, {13, 'v'}, {60, 'D'}}},
    {'D', {{1, 'v'}, {2, 's'}, {3, 'R'}, {5, 'v'}}},
    {'R', {{1, 'v'}, {6, 's'}}},
    {'E', {{9, 'v'}, {10, 'v'}, {11, 'v'}, {23, 's'}}},
    {'I', {{2, 'N'}}},
    {'N', {{1, 'v'}, {2, 's'}}},
};

Test(formats, pprof_follows_its_schema)
{
    size_t bytes;
    char *text = converted(FORMAT_PPROF, &bytes);
    check(pprof, 'P', (const uint8_t *)text, bytes);
    /* The table of strings begins with the empty one; all samples are there. */
    const uint8_t *p = (const uint8_t *)text, *end = p + bytes;
    uint64_t strings = 0, samples = 0, counted = 0;
    for (struct field f; next_field(&p, end, &f);) {
        cr_expect(f.number != 6 || strings++ > 0 || f.value == 0);
        if (f.number != 2)
            continue;
        samples++;
        const uint8_t *q = f.data;
        for (struct field g; next_field(&q, f.data + f.value, &g);)
            if (g.number == 2) {
                const uint8_t *v = g.data;
                uint64_t count = varint(&v, g.data + g.value);
                counted += count;
                cr_expect_eq(varint(&v, g.data + g.value), count * EVERY * 8, "ns");
            }
    }
    cr_expect_eq(samples, 4);
    cr_expect_eq(counted, 6);
    free(text);
}

Test(formats, perfetto_follows_its_schema)
{
    size_t bytes;
    char *text = converted(FORMAT_PERFETTO, &bytes);
    check(perfetto, 'T', (const uint8_t *)text, bytes);
    /* Slices of each track begin before they end, and all end; time never goes back. */
    const uint8_t *p = (const uint8_t *)text, *end = p + bytes;
    uint64_t last = 0, tracks = 0;
    int open[8] = {0};
    for (struct field f; next_field(&p, end, &f);) {
        const uint8_t *q = f.data;
        for (struct field g; next_field(&q, f.data + f.value, &g);) {
            uint64_t type = 0, track = 0;
            tracks += g.number == 60;
            cr_expect(g.number != 8 || g.value >= last);
            last = g.number == 8 ? g.value : last;
            if (g.number != 11)
                continue;
            const uint8_t *r = g.data;
            for (struct field h; next_field(&r, g.data + g.value, &h);) {
                type = h.number == 9 ? h.value : type;
                track = h.number == 11 ? h.value : track;
            }
            cr_assert(track >= 1 && track < 8 && (type == 1 || type == 2));
            open[track] += type == 1 ? 1 : -1;
            cr_expect_geq(open[track], 0);
        }
    }
    for (unsigned i = 0; i < 8; i++)
        cr_expect_eq(open[i], 0, "track %u", i);
    cr_expect_eq(tracks, 3);
    cr_expect_eq(last, 7 * EVERY * 8);
    free(text);
}

/* --- trees and tables --- */

Test(functions, self_total_and_processes)
{
    struct err e;
    struct functions f;
    make_profile();
    struct calltree *t = calltree_load(path, &e);
    cr_assert_not_null(t);
    cr_assert(functions_of(t, &f));
    cr_expect_str_eq(f.row[0].name, "main");
    cr_expect(f.row[0].self == 2 && f.row[0].total == 4);
    cr_expect_str_eq(f.row[1].name, "copy");
    cr_expect(f.row[1].self == 2 && f.row[1].total == 2);
    cr_expect_str_eq(t->process[0].task.name, "s\"h; 1");
    cr_expect(t->process[0].user == 2 && t->process[0].kernel == 2 && t->process[0].rep == 1);
    cr_expect(t->kernel[1].samples == 2 && t->kernel[1].named == 2 && t->kernel[1].whole == 2);
    cr_expect(t->entries == 1 && t->entry[0].samples == 2 && t->entry[0].entry.number == 4);
    uint32_t top[2];
    cr_expect(functions_top_paths(t, CALL_KERNEL, top, 2) == 1 && strcmp(t->node[top[0]].name, "copy") == 0);
    struct function_pairs p;
    cr_assert(functions_pair(t, t, &p));
    cr_expect(p.count == f.count && p.row[0].change == 0 && p.row[0].a == p.row[0].b);
    functions_pairs_free(&p);
    functions_free(&f);
    calltree_free(t);
    unlink(path);
}

/* Every cut and many a flipped byte: a message, never a crash. */
Test(formats, damaged_profiles_are_refused)
{
    struct err e;
    make_profile();
    FILE *f = fopen(path, "rb");
    char whole[65536];
    size_t bytes = fread(whole, 1, sizeof whole, f);
    fclose(f);
    for (size_t cut = 0; cut < bytes; cut += 1 + cut / 50) {
        f = fopen(path, "wb");
        fwrite(whole, 1, cut, f);
        fclose(f);
        FILE *out = fopen("/dev/null", "w");
        e.text[0] = 0;
        cr_expect_not(format_write(path, FORMAT_FOLDED, out, "null", &e));
        cr_expect(e.text[0], "cut at %zu", cut);
        fclose(out);
    }
    unlink(path);
}
