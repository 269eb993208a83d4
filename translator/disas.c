/* disas.c - see disas.h. */
#include "translator/disas.h"

#include <Zydis/Zydis.h>

#include "translator/tb.h"

unsigned disas_guest(FILE *out, uint32_t mode, uint32_t eip, const uint8_t *bytes, unsigned count)
{
    ZydisDisassembledInstruction insn;
    const ZydisMachineMode machine =
        mode & TB_MODE_CODE32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16;
    const bool ok = ZYAN_SUCCESS(ZydisDisassembleIntel(machine, eip, bytes, count, &insn));
    fputs(ok ? insn.text : "(bad)", out);
    return ok ? insn.info.length : 1;
}
