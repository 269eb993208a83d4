/* fuzz_profile.c - random damage to what the profiler reads: fuzz_profile ELF [SECONDS [SEED]].
 *
 * Three inputs: an ELF file with DWARF; a guest's memory with kallsyms, Linux's tasks and MINIX's table; the
 * file of a profile, of which both the bytes and the JSON in it are damaged. Every outcome is fine but a
 * crash, a sanitizer's complaint, a search without an end, or a message that is not one line. Meant for the
 * sanitizer build. */
#include "../unit/observe/kernels.h"
#include "fuzz_random.h"
#include "observe/attribute.h"
#include "observe/formats.h"
#include "observe/functions.h"
#include "observe/kallsyms.h"
#include "observe/linux.h"
#include "observe/minix.h"
#include "observe/symbolfiles.h"
#include "observe/systemmap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void damage(uint8_t *data, size_t bytes, uint32_t times)
{
    static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffff000, 0x10000};
    for (; times && bytes > 4; times--) {
        size_t at = rng((uint32_t)bytes - 4);
        if (rng(2))
            data[at] = (uint8_t)rng(256);
        else
            put32(data + at, values[rng(7)] + rng(9) - 4);
    }
}

static void expect_line(bool ok, const struct err *e)
{
    if (ok || (e->text[0] && !strchr(e->text, '\n')))
        return;
    fprintf(stderr, "fuzz_profile: no one-line message\n");
    exit(1);
}

/* --- ELF --- */

static void try_elf(const struct image *whole)
{
    /* In an allocation of its exact size, so that reading beyond it is noticed. */
    size_t bytes = rng(4) ? whole->bytes : 1 + rng((uint32_t)whole->bytes);
    uint8_t *copy = malloc(bytes);
    memcpy(copy, whole->data, bytes);
    damage(copy, bytes < 512 || rng(2) ? bytes : 512, rng(6));
    if (rng(2) && bytes > 2000)
        damage(copy + bytes - 2000, 2000, rng(6)); /* section headers */
    struct elf_facts facts;
    struct symtab t = {0};
    struct task_offsets offsets;
    elf_read(copy, bytes, &facts, &t);
    symtab_row(&t, rng(UINT32_MAX));
    symtab_free(&t);
    elf_task_offsets(copy, bytes, &offsets);
    systemmap_read(copy, bytes, &t);
    symtab_free(&t);
    free(copy);
}

/* --- guest memory --- */

static void try_memory(struct kernel_memory *m)
{
    const struct linux_layout l = {rng(2), KERNELS_BASE + 0x70000, 0x140, 0x3c8, 0x2f0};
    struct guest_view v = kernels_view(m);
    struct symtab t = {0};
    struct linux_guest g = {0};
    struct linux_task task;
    static struct minix_guest minix;
    struct minix_task process;
    memset(m, 0, sizeof *m);
    uint32_t end = kernels_put_kallsyms(m, 0x20000, (enum kallsyms_order)rng(3));
    kernels_put_linux(m, &l);
    kernels_put_minix(m, 0x90000, 30);
    damage(m->byte + 0x20000, end - 0x20000, rng(4));
    damage(m->byte + 0x70000, 0x20000, rng(200));
    damage(m->byte + 0x90000, 0x5000, rng(8));
    if (kallsyms_find(&v, 0, KERNELS_BASE + KERNELS_TEXT + rng(20000), &t))
        symtab_row(&t, KERNELS_BASE + rng(KERNELS_BYTES));
    symtab_free(&t);
    linux_prepare(&g, &v, 0, KERNELS_BASE + KERNELS_TEXT, KERNELS_BASE + 0x10000, NULL);
    linux_see_kernel(&g, 0, l.percpu);
    linux_locate(&g, &v);
    linux_current(&g, &v, 0, &task);
    memset(&minix, 0, sizeof minix);
    if (rng(8) == 0 && minix_find(&minix, &v, 0, KERNELS_BASE)) {
        for (unsigned i = 0; i < 6; i++)
            minix_see_user(&minix, &v, kernels_cr3(rng(30)));
        minix_current(&minix, &v, kernels_cr3(rng(30)), &process);
    }
}

/* --- profiles --- */

static void put_samples(struct profile_writer *w)
{
    struct sample s = {0};
    for (unsigned i = 0; i < 40; i++) {
        s.tick += 1 + rng(5);
        s.frames = 1 + rng(rng(10) ? 6 : SAMPLE_FRAMES_MAX);
        s.cpl = (uint8_t)(rng(2) ? 3 : 0);
        s.cr3 = rng(3) * 0x1000;
        s.task = rng(4);
        s.flags = (uint8_t)rng(16);
        s.entry = (struct entry){(uint8_t)rng(ENTRY_KINDS), (uint8_t)rng(256), rng(500)};
        for (unsigned k = 0; k < s.frames; k++)
            s.frame[k] = (struct sample_frame){0x1000 * rng(8) + rng(4), (uint8_t)rng(4)};
        profile_put_sample(w, &s);
    }
}

static void put_records(struct profile_writer *w)
{
    static const char *const records[] = {
        "{\"type\":\"task\",\"id\":1,\"os\":\"linux\",\"name\":\"sh\",\"pid\":3,\"tid\":4}",
        "{\"type\":\"task\",\"id\":2,\"os\":\"minix\",\"name\":\"vfs\",\"endpoint\":-4}",
        "{\"type\":\"symbols\",\"space\":0,\"rows\":[[4096,8192,\"one\",\"f\"],[5000,5001,\"\",\"g\"]]}",
        "{\"type\":\"symbols\",\"space\":2,\"rows\":[[0,4294967295,\"all\",\"f\"],[1,0,\"bad\",\"g\"]]}"};
    for (unsigned i = 0; i < 4; i++) {
        char text[256];
        strcpy(text, records[i]);
        if (rng(3) == 0) {
            damage((uint8_t *)text, strlen(text), rng(4));
            text[sizeof text - 1] = 0;
        }
        profile_put_json(w, text);
    }
}

static void damage_file(const char *path)
{
    uint8_t data[65536];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(data, 1, sizeof data, f) : 0;
    if (f)
        fclose(f);
    damage(data, n, 1 + rng(3));
    f = fopen(path, "wb");
    if (f) {
        fwrite(data, 1, rng(3) ? n : rng((uint32_t)n + 1), f);
        fclose(f);
    }
}

static void try_profile(const char *path, FILE *null)
{
    const struct profile_head head = {.every = 1 + rng(100), .shift = rng(11)};
    struct err e = {""};
    struct profile_writer *w = profile_create(path, &e);
    if (!w)
        exit(2);
    profile_put_head(w, &head);
    put_samples(w);
    put_records(w);
    if (!profile_finish(w, 1000, &e))
        exit(2);
    if (rng(2))
        damage_file(path);
    bool ok = format_write(path, (enum profile_format)(1 + rng(5)), null, "null", &e);
    expect_line(ok, &e);
    struct calltree *t = calltree_load(path, &e);
    struct functions f;
    if (t && functions_of(t, &f))
        functions_free(&f);
    calltree_free(t);
}

int main(int argc, char **argv)
{
    struct image elf;
    struct err e;
    char path[] = "/tmp/fuzz-profile-XXXXXX";
    unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2;
    rng_state = (argc > 3 ? strtoull(argv[3], NULL, 0) : 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    FILE *null = fopen("/dev/null", "w");
    if (argc < 2 || !image_read(&elf, "fuzz_profile", argv[1], UINT32_MAX, &e) || !null)
        return 2;
    close(mkstemp(path));
    struct kernel_memory *m = malloc(sizeof *m);
    uint64_t runs = 0;
    for (time_t end = time(NULL) + seconds; time(NULL) < end; runs++) {
        for (unsigned i = 0; i < 8; i++)
            try_elf(&elf);
        for (unsigned i = 0; i < 4; i++)
            try_profile(path, null);
        try_memory(m);
    }
    unlink(path);
    free(m);
    image_free(&elf);
    fclose(null);
    printf("fuzz_profile: %" PRIu64 " rounds\n", runs);
    return 0;
}
