/* test_goldens.c - guest bytes to IR, as reviewed listings: goldens/<name>.txt.
 *
 * A golden file is a list of cases: "== <mode> <bytes in hex>", then the listing: each guest instruction as
 * Zydis prints it, followed by its ops. rebase.sh rewrites the listings; the diff is what is reviewed. */
#include <Zydis/Zydis.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "translator/translate.h"

enum { EIP = 0x1000, TEXT_MAX = 1 << 20 };

static const struct mode_name {
    const char *name;
    uint32_t mode;
} mode_names[] = {
    { "flat32", TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_CPL0 },
    { "user32", TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_USER },
    { "seg32", TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_PE | TB_MODE_CPL0 },
    { "real16", TB_MODE_CPL0 },
    { "seg16", TB_MODE_PE | TB_MODE_CPL0 },
};

static uint32_t mode_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++)
        if (strcmp(mode_names[i].name, name) == 0)
            return mode_names[i].mode;
    cr_assert_fail("no mode %s", name);
    return 0;
}

static unsigned parse_bytes(const char *text, uint8_t *bytes, unsigned max)
{
    unsigned n = 0;
    for (char *end; n < max; text = end) {
        const unsigned long v = strtoul(text, &end, 16);
        if (end == text)
            break;
        bytes[n++] = (uint8_t)v;
    }
    return n;
}

static void print_disassembly(FILE *out, uint32_t mode, uint32_t eip, const uint8_t *bytes, unsigned count)
{
    ZydisDisassembledInstruction insn;
    const ZydisMachineMode machine = mode & TB_MODE_CODE32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16;
    if (ZYAN_SUCCESS(ZydisDisassembleIntel(machine, eip, bytes, count, &insn)))
        fprintf(out, "%s\n", insn.text);
    else
        fprintf(out, "(bad)\n");
}

/* The whole listing of one case. */
static void print_case(FILE *out, uint32_t mode, const uint8_t *bytes, unsigned count)
{
    static struct translate_out t;
    const struct translate_request req = { .eip = EIP, .cs_limit = mode & TB_MODE_CODE32 ? 0xffffffff : 0xffff,
        .mode = mode, .code = bytes, .code_bytes = count, .insns_max = TB_INSNS_MAX };
    cr_assert_eq(translate_block(&req, &t), TRANSLATE_OK);
    cr_assert_null(ir_validate(t.ops, t.nops));
    unsigned op = 0;
    for (unsigned i = 0; i < t.ninsns; i++) {
        const unsigned at = t.insn_offset[i];
        print_disassembly(out, mode, EIP + at, bytes + at, count - at);
        for (; op < t.nops && t.ops[op].insn == i; op++) {
            fputs("  ", out);
            ir_print(out, &t.ops[op]);
        }
    }
}

static void run_case(FILE *out, const char *head)
{
    char name[16];
    uint8_t bytes[256];
    int used = 0;
    cr_assert_eq(sscanf(head, "== %15s %n", name, &used), 1);
    print_case(out, mode_by_name(name), bytes, parse_bytes(head + used, bytes, sizeof bytes));
}

/* Comments and heads are copied, listings made anew. */
static void regenerate(FILE *in, FILE *out)
{
    char line[1024];
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '#' || line[0] == '\n')
            fputs(line, out);
        if (line[0] == '=') {
            fputs(line, out);
            run_case(out, line);
        }
    }
}

static void slurp(const char *path, char *text)
{
    FILE *in = fopen(path, "r");
    cr_assert_not_null(in, "%s", path);
    text[fread(text, 1, TEXT_MAX - 1, in)] = '\0';
    fclose(in);
}

static void check_file(const char *path)
{
    static char want[TEXT_MAX], got[TEXT_MAX];
    slurp(path, want);
    memset(got, 0, sizeof got);
    FILE *in = fopen(path, "r"), *out = fmemopen(got, sizeof got, "w");
    regenerate(in, out);
    fclose(in);
    fclose(out);
    if (strcmp(want, got) == 0)
        return;
    cr_assert_not_null(getenv("TANDEM_REBASE"), "%s differs: run rebase.sh and review the diff", path);
    out = fopen(path, "w");
    fputs(got, out);
    fclose(out);
}

Test(goldens, listings)
{
    const char *folder = getenv("TANDEM_GOLDENS");
    cr_assert_not_null(folder, "TANDEM_GOLDENS names the folder");
    DIR *dir = opendir(folder);
    cr_assert_not_null(dir, "%s", folder);
    unsigned files = 0;
    for (const struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        if (!strstr(e->d_name, ".txt"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        check_file(path);
        files++;
    }
    closedir(dir);
    cr_assert_gt(files, 0);
}
