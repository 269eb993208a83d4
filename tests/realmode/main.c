/* main.c - the suite's order and its verdict. */
#include "suite.h"

static const struct {
    const char *name;
    void (*check)(void);
} parts[] = {
    {"firmware", check_firmware}, {"video", check_video},
    {"memory", check_memory},     {"keyboard", check_keyboard},
    {"time", check_time},         {"serial", check_serial},
    {"pci", check_pci},           {"disk", check_disk},
    {"a20", check_a20},           {"exceptions", check_exceptions},
    {"unreal", check_unreal},     {"pm16", check_pm16},
    {"v86", check_v86},           {"resume", check_resume},
};

void suite_main(void)
{
    print("real-mode suite, drive %x\r\n", boot_drive);
    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        unsigned before = failures, first = checks;
        parts[i].check();
        print("%s: %d checks, %d failed\r\n", parts[i].name, checks - first, failures - before);
    }
    print("%s: %d checks, %d failed\r\n", failures ? "FAIL" : "OK", checks, failures);
    outb(0xf4, (uint8_t)(failures > 100 ? 100 : failures));
    outb(0x501, (uint8_t)(failures > 100 ? 100 : failures));
}
