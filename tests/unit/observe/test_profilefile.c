/* profilefile.c: what is written is read again; damaged files are refused without harm. */
#include "observe/profilefile.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES 3000

static char path[] = "/tmp/profilefile.XXXXXX";

static void temp_file(void)
{
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
}

static void remove_file(void)
{
    unlink(path);
}

TestSuite(profilefile, .init = temp_file, .fini = remove_file);

/* A sample with every field in use; i decides all of them. */
static struct sample sample_at(unsigned i)
{
    struct sample s = {.tick = 1000 + i * 12500ull,
                       .flags = (uint8_t)(i % 32),
                       .cpl = (uint8_t)(i % 4),
                       .cs = (uint16_t)(i * 77),
                       .cs_base = i % 5 ? 0 : i * 0x1234567,
                       .cr3 = i * 0x9e3779b9u,
                       .entry = {(uint8_t)(i % ENTRY_KINDS), (uint8_t)i, i % 3 ? i : ENTRY_NO_NUMBER},
                       .task = i % 7,
                       .frames = 1 + i % SAMPLE_FRAMES_MAX};
    for (unsigned k = 0; k < s.frames; k++)
        s.frame[k] = (struct sample_frame){(i + k) * 0x85ebca6bu, (uint8_t)(k % 4)};
    return s;
}

static void write_profile(void)
{
    struct err e;
    struct profile_writer *w = profile_create(path, &e);
    cr_assert(w, "%s", e.text);
    profile_put_head(w, &(struct profile_head){12500, 1000, 3, PROFILE_STACKS_ON, 17});
    for (unsigned i = 0; i < SAMPLES; i++) {
        struct sample s = sample_at(i);
        profile_put_sample(w, &s);
        if (i % 1000 == 0)
            profile_put_json(w, "{\"type\": \"note\"}");
    }
    cr_assert(profile_finish(w, 99999999, &e), "%s", e.text);
}

static void expect_same(const struct sample *a, const struct sample *b)
{
    cr_assert_eq(a->tick, b->tick);
    cr_assert_eq(a->flags, b->flags);
    cr_assert_eq(a->cpl, b->cpl);
    cr_assert_eq(a->cs, b->cs);
    cr_assert_eq(a->cs_base, b->cs_base);
    cr_assert_eq(a->cr3, b->cr3);
    cr_assert_eq(a->task, b->task);
    cr_assert_eq(a->entry.kind, b->entry.kind);
    cr_assert_eq(a->entry.vector, b->entry.vector);
    cr_assert_eq(a->entry.number, b->entry.number);
    cr_assert_eq(a->frames, b->frames);
    for (unsigned k = 0; k < a->frames; k++) {
        cr_assert_eq(a->frame[k].lin_addr, b->frame[k].lin_addr);
        cr_assert_eq(a->frame[k].flags, b->frame[k].flags);
    }
}

Test(profilefile, round_trip)
{
    struct err e;
    struct profile_head head;
    struct sample got;
    const char *json;
    uint64_t end;
    unsigned samples = 0, notes = 0;
    enum profile_record kind;
    write_profile();
    struct profile_reader *r = profile_open(path, &head, &e);
    cr_assert(r, "%s", e.text);
    cr_assert(head.every == 12500 && head.phase == 1000 && head.shift == 3 && head.begin == 17);
    cr_assert_eq(head.stacks, PROFILE_STACKS_ON);
    while ((kind = profile_next(r, &got, &json, &end, &e)) != PROFILE_END) {
        struct sample want = sample_at(samples);
        cr_assert_neq(kind, PROFILE_ERROR, "%s", e.text);
        if (kind == PROFILE_SAMPLE) {
            expect_same(&got, &want);
            samples++;
        } else {
            cr_assert_str_eq(json, "{\"type\": \"note\"}");
            notes++;
        }
    }
    cr_assert_eq(samples, SAMPLES);
    cr_assert_eq(notes, 3);
    cr_assert_eq(end, 99999999);
    profile_close(r);
}

/* Reads to the end or to the error; false: refused. */
static bool read_all(void)
{
    struct err e;
    struct profile_head head;
    struct profile_reader *r = profile_open(path, &head, &e);
    enum profile_record kind = PROFILE_ERROR;
    if (r)
        while ((kind = profile_next(r, NULL, NULL, NULL, &e)) != PROFILE_END && kind != PROFILE_ERROR)
            ;
    profile_close(r);
    return kind == PROFILE_END;
}

Test(profilefile, cut_off_anywhere)
{
    write_profile();
    FILE *f = fopen(path, "rb");
    fseek(f, 0, SEEK_END);
    long bytes = ftell(f);
    fclose(f);
    cr_assert(read_all());
    for (long cut = bytes - 1; cut >= 0; cut -= 1 + bytes / 200) {
        cr_assert(truncate(path, cut) == 0);
        cr_assert_not(read_all(), "%ld of %ld bytes", cut, bytes);
    }
}

Test(profilefile, abandoned_has_no_end)
{
    struct err e;
    struct profile_writer *w = profile_create(path, &e);
    profile_put_head(w, &(struct profile_head){.every = 1});
    profile_abandon(w);
    cr_assert_not(read_all());
}

Test(profilefile, damage_does_no_harm)
{
    unsigned random = 1;
    write_profile();
    for (unsigned round = 0; round < 300; round++) {
        FILE *f = fopen(path, "r+b");
        fseek(f, 0, SEEK_END);
        long bytes = ftell(f);
        random = random * 1103515245 + 12345;
        fseek(f, (long)(random >> 8) % bytes, SEEK_SET);
        fputc((int)(random >> 3) & 0xff, f);
        fclose(f);
        read_all();
    }
}

Test(profilefile, refuses_what_cannot_be_written)
{
    struct err e;
    cr_assert_null(profile_create("/nonexistent/profile", &e));
    cr_assert_not_null(strstr(e.text, "/nonexistent/profile"));
    profile_abandon(NULL);
    struct profile_writer *w = profile_create("/dev/full", &e);
    cr_assert(w);
    profile_put_head(w, &(struct profile_head){.every = 1});
    cr_assert_not(profile_finish(w, 0, &e));
    cr_assert_not_null(strstr(e.text, "No space"));
}
