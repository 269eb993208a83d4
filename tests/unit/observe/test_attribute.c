/* attribute.c, symbolfiles.c, elffile.c: who runs and what the code is called, over a guest that exists in
 * memory alone; ELF files are those of the test guests. */
#include "kernels.h"
#include "observe/attribute.h"
#include "observe/names.h"
#include "observe/symbolfiles.h"
#include "translator/guest_state.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USER_AT 0x40000u /* where user code is mapped in the memory of kernels.h */

static const struct linux_layout layout = {
    .canary = true, .percpu = KERNELS_BASE + 0x70000, .current = 0x80, .comm = 0x500, .parents = 0x400};

static struct guest_state *state_at(uint32_t eip, unsigned cpl)
{
    static struct guest_state g;
    memset(&g, 0, sizeof g);
    g.cr0 = 0x80000001;
    g.cr3 = 0x5000;
    g.cpl = (uint8_t)cpl;
    g.eip = eip;
    g.seg[SEG_FS] = (struct segment){.sel = 0xd8, .base = layout.percpu};
    return &g;
}

static void take(struct attribute *a, struct profile_writer *w, uint64_t tick, uint32_t eip, unsigned cpl)
{
    struct guest_state *g = state_at(eip, cpl);
    struct sample s = {.tick = tick, .cpl = (uint8_t)cpl, .cr3 = g->cr3, .frames = 1};
    s.frame[0] = (struct sample_frame){eip, (uint8_t)(FRAME_INSN | (cpl == 3 ? FRAME_USER : 0))};
    s.task = attribute_task(a, g);
    attribute_sampled(a, &s);
    profile_put_sample(w, &s);
}

/* What the file says of each sample, in order. */
struct seen {
    struct names *names;
    unsigned count;
    char text[8][128];
};

static void see(struct seen *seen, const struct sample *s)
{
    struct names_task t = names_task(seen->names, s);
    struct names_function f = names_function(seen->names, s, 0);
    snprintf(seen->text[seen->count++], sizeof seen->text[0], "%s %d/%d %s %s", t.name, (int)t.pid,
             (int)t.tid, f.name, f.file);
}

static struct image guest_elf(void)
{
    struct image img;
    struct err e;
    const char *path = getenv("TANDEM_SYMBOL_ELF");
    cr_assert(path && image_read(&img, "test", path, UINT32_MAX, &e));
    return img;
}

/* Address and file offset of a function of the test ELF file. */
static uint32_t function_of_elf(const struct image *img, const char *name, uint32_t *offset)
{
    struct elf_facts facts;
    struct symtab t = {0};
    uint32_t addr = 0;
    cr_assert(elf_read(img->data, img->bytes, &facts, &t));
    cr_assert(symtab_find(&t, name, &addr), "%s", name);
    for (unsigned i = 0; i < facts.codes; i++)
        if (addr - facts.code[i].lin_addr < facts.code[i].bytes)
            *offset = addr - facts.code[i].lin_addr + facts.code[i].offset;
    symtab_free(&t);
    return addr;
}

Test(attribute, kernel_and_user_code_of_a_linux_guest)
{
    struct kernel_memory *m = calloc(1, sizeof *m);
    struct image img = guest_elf();
    struct guest_view v = kernels_view(m);
    struct err e = {""};
    char path[] = "/tmp/tandem-test-attribute-XXXXXX";
    uint32_t offset = 0;
    close(mkstemp(path));
    kernels_put_kallsyms(m, 0x20000, KALLSYMS_OLD);
    kernels_put_linux(m, &layout);
    /* The file's code, somewhere that is not its link address. */
    uint32_t addr = function_of_elf(&img, "symbols_inner", &offset);
    memcpy(m->byte + USER_AT, img.data + (offset & ~0xfffu), img.bytes - (offset & ~0xfffu));
    uint32_t user = KERNELS_BASE + USER_AT + (offset & 0xfff);
    struct attribute *a = attribute_create();
    cr_assert(attribute_symbols(a, getenv("TANDEM_SYMBOL_ELF"), &e), "%s", e.text);
    attribute_begin(a, &v);
    struct profile_writer *w = profile_create(path, &e);
    struct profile_head head = {.every = 1};
    profile_put_head(w, &head);
    take(a, w, 1, KERNELS_BASE + KERNELS_TEXT + 5 * KERNELS_STEP + 3, 0);
    take(a, w, 2, user + 2, 3);
    take(a, w, 3, user + 0x20000, 3); /* nobody's code */
    char text[64];
    cr_expect(attribute_task_text(a, 1, text, sizeof text) && strcmp(text, "sh (4242/4243)") == 0, "%s",
              text);
    cr_expect_not(attribute_task_text(a, 2, text, sizeof text));
    attribute_write(a, w);
    cr_assert(profile_finish(w, 4, &e));
    struct seen seen = {.names = names_load(path, &e)};
    struct profile_reader *r = profile_open(path, &head, &e);
    const char *json;
    struct sample s;
    for (enum profile_record k; (k = profile_next(r, &s, &json, NULL, &e)) != PROFILE_END;) {
        cr_assert(k != PROFILE_ERROR);
        if (k == PROFILE_SAMPLE)
            see(&seen, &s);
    }
    profile_close(r);
    cr_expect_str_eq(seen.text[0], "sh 4242/4243 function_5 [kernel]");
    cr_expect_str_eq(seen.text[1], "sh 4242/4243 symbols_inner symbols.elf");
    cr_expect_str_eq(seen.text[2], "sh 4242/4243 [unknown] ");
    cr_expect(addr != user);
    names_free(seen.names);
    attribute_destroy(a);
    image_free(&img);
    unlink(path);
    free(m);
}

Test(symbolfiles, options)
{
    static const char *const bad[] = {
        "", "/nonexistent", "/dev/null", ",base=1", "x,base=0x100000000", "x,process=", "x,colour=red"};
    struct symbol_files *f = calloc(1, sizeof *f);
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        e.text[0] = 0;
        cr_expect_not(symbolfiles_add(f, bad[i], &e), "%s", bad[i]);
        cr_expect(e.text[0] && !strchr(e.text, '\n'), "%s", bad[i]);
    }
    char spec[4096];
    snprintf(spec, sizeof spec, "%s,base=0x5000000,process=sh", getenv("TANDEM_SYMBOL_ELF"));
    cr_assert(symbolfiles_add(f, spec, &e), "%s", e.text);
    cr_expect(f->count == 1 && f->file[0].based && strcmp(f->file[0].process, "sh") == 0);
    cr_expect_eq(f->file[0].bias, 0x5000000 - f->file[0].facts.low);
    symbolfiles_add_guest(f, "/nonexistent");
    symbolfiles_add_guest(f, "/etc/passwd");
    cr_expect_eq(f->count, 1);
    symbolfiles_free(f);
    free(f);
}

/* The file has a struct task_struct of its own, with DWARF. */
Test(elffile, offsets_from_dwarf)
{
    struct image img = guest_elf();
    struct task_offsets t = {0};
    cr_assert(elf_task_offsets(img.data, img.bytes, &t));
    cr_expect(t.pid == 40 && t.tgid == 44 && t.real_parent == 52 && t.comm == 100, "%u %u %u %u", t.pid,
              t.tgid, t.real_parent, t.comm);
    image_free(&img);
}
