/* test_goldens.c - guest bytes to IR, as reviewed listings: goldens/<name>.txt (golden.h). */
#include <criterion/criterion.h>

#include "golden.h"
#include "translator/disas.h"

/* Each guest instruction, followed by its ops. */
static void print_ir(FILE *out, uint32_t mode, const uint8_t *bytes, unsigned count)
{
    static struct translate_out t;
    unsigned op = 0;
    golden_translate(&t, mode, bytes, count);
    for (unsigned i = 0; i < t.ninsns; i++) {
        const unsigned at = t.insn_offset[i];
        disas_guest(out, mode, GOLDEN_EIP + at, bytes + at, count - at);
        fputc('\n', out);
        for (; op < t.nops && t.ops[op].insn == i; op++) {
            fputs("  ", out);
            ir_print(out, &t.ops[op]);
        }
    }
}

Test(goldens, listings)
{
    golden_check("goldens", print_ir);
}
