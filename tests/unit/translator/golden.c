/* golden.c - see golden.h. */
#include "golden.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20 };

static const struct mode_name {
    const char *name;
    uint32_t mode;
} mode_names[] = {
    {"flat32", TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_CPL0},
    {"user32", TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_FLAT | TB_MODE_PE | TB_MODE_USER},
    {"seg32", TB_MODE_CODE32 | TB_MODE_STACK32 | TB_MODE_PE | TB_MODE_CPL0},
    {"real16", TB_MODE_CPL0 | TB_MODE_PLAIN},
    {"vm86", TB_MODE_USER | TB_MODE_VM86 | TB_MODE_PLAIN},
    {"seg16", TB_MODE_PE | TB_MODE_CPL0},
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

void golden_translate(struct translate_out *out, uint32_t mode, const uint8_t *bytes, unsigned count)
{
    const struct translate_request req = {.eip = GOLDEN_EIP,
                                          .cs_limit = mode & TB_MODE_CODE32 ? 0xffffffff : 0xffff,
                                          .mode = mode,
                                          .code = bytes,
                                          .code_bytes = count,
                                          .insns_max = TB_INSNS_MAX};
    cr_assert_eq(translate_block(&req, out), TRANSLATE_OK);
    cr_assert_null(ir_validate(out->ops, out->nops));
}

static void run_case(FILE *out, const char *head, golden_print *print)
{
    char name[16];
    uint8_t bytes[256];
    int used = 0;
    cr_assert_eq(sscanf(head, "== %15s %n", name, &used), 1);
    print(out, mode_by_name(name), bytes, parse_bytes(head + used, bytes, sizeof bytes));
}

/* Comments and heads are copied, listings made anew. */
static void regenerate(FILE *in, FILE *out, golden_print *print)
{
    char line[1024];
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '#' || line[0] == '\n')
            fputs(line, out);
        if (line[0] == '=') {
            fputs(line, out);
            run_case(out, line, print);
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

static void check_file(const char *path, golden_print *print)
{
    static char want[TEXT_MAX], got[TEXT_MAX];
    slurp(path, want);
    memset(got, 0, sizeof got);
    FILE *in = fopen(path, "r"), *out = fmemopen(got, sizeof got, "w");
    regenerate(in, out, print);
    fclose(in);
    fclose(out);
    if (strcmp(want, got) == 0)
        return;
    cr_assert_not_null(getenv("TANDEM_REBASE"), "%s differs: run rebase.sh and review the diff", path);
    out = fopen(path, "w");
    fputs(got, out);
    fclose(out);
}

void golden_check(const char *name, golden_print *print)
{
    const char *root = getenv("TANDEM_GOLDENS");
    char folder[2048];
    unsigned files = 0;
    cr_assert_not_null(root, "TANDEM_GOLDENS names the folder");
    snprintf(folder, sizeof folder, "%s/%s", root, name);
    DIR *dir = opendir(folder);
    cr_assert_not_null(dir, "%s", folder);
    for (const struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        if (!strstr(e->d_name, ".txt"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        check_file(path, print);
        files++;
    }
    closedir(dir);
    cr_assert_gt(files, 0);
}
