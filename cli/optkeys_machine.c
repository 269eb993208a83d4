/* optkeys_machine.c - keys of the options that say what the machine is and how it runs. See
 * options_internal.h. */
#include "cli/options_internal.h"

#include "clockcore/ticks.h"
#include "machine/bootorder.h"
#include "machine/optvalue.h"
#include "mem/physmem.h"
#include "vcpu/vcpu.h"

#include <stdio.h>
#include <string.h>

static bool set_shift(void *target, const char *value, struct err *e)
{
    struct options *o = target;
    uint64_t v;
    if (strcmp(value, "auto") == 0)
        return err_set(
            e,
            "-icount: shift=auto is refused: it adapts the speed of virtual time to the host, so that no "
            "two runs agree; shift=0..%d is accepted",
            ICOUNT_SHIFT_MAX);
    if (!value_number(value, 0, ICOUNT_SHIFT_MAX, &v))
        return false;
    o->shift = (unsigned)v;
    return true;
}

static bool set_sleep(void *target, const char *value, struct err *e)
{
    return value_switch(value, &((struct options *)target)->sleep);
}

static bool set_align(void *target, const char *value, struct err *e)
{
    bool on;
    if (!value_switch(value, &on))
        return false;
    return on ? err_set(
                    e,
                    "-icount: align=on is refused: it delays the guest to follow the host's clock while it "
                    "computes; align=off is accepted")
              : true;
}

static bool set_rr(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "record|replay");
    ((struct options *)target)->rr = i == 0 ? RR_RECORD : RR_REPLAY;
    return i >= 0;
}

static bool set_rrfile(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &((struct options *)target)->rrfile, e);
}

const struct list_key icount_keys[] = {
    {"shift", "0..10", set_shift},   {"sleep", "on|off", set_sleep}, {"align", "off", set_align},
    {"rr", "record|replay", set_rr}, {"rrfile", "FILE", set_rrfile},
};

static bool set_rtc_base(void *target, const char *value, struct err *e)
{
    char why[ERR_BYTES / 2];
    if (rtc_base_parse(value, &((struct options *)target)->rtc, why, sizeof why))
        return true;
    return err_set(e, "-rtc: %s", why);
}

static bool set_rtc_clock(void *target, const char *value, struct err *e)
{
    if (value_choice(value, "host|rt") >= 0)
        return err_set(
            e,
            "-rtc: clock=%s is refused: the guest's clock would follow the host's, so that no two runs "
            "agree; clock=vm is accepted",
            value);
    return strcmp(value, "vm") == 0;
}

const struct list_key rtc_keys[] = {
    {"base", "utc|localtime|YYYY-MM-DD[THH:MM:SS]", set_rtc_base},
    {"clock", "vm", set_rtc_clock},
};

static bool set_ram(void *target, const char *value, struct err *e)
{
    uint64_t bytes;
    if (!value_size(value, UINT64_C(1) << 20, &bytes))
        return false;
    bytes = (bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    if (bytes < RAM_BYTES_MIN || bytes > RAM_BYTES_MAX)
        return false;
    ((struct options *)target)->ram_bytes = bytes;
    return true;
}

const struct list_key memory_keys[] = {{"size", "SIZE[K|M|G] of 4M..3G", set_ram}};

static bool set_mode(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "thread|inline|adaptive"); /* MATCH enum link_mode */
    ((struct options *)target)->mode = (enum link_mode)i;
    return i >= 0;
}
_Static_assert(LINK_THREAD == 0 && LINK_INLINE == 1 && LINK_ADAPTIVE == 2, "set_mode's choices");

#define HOST_CPU_MAX 4095

static bool set_device_cpu(void *target, const char *value, struct err *e)
{
    uint64_t v;
    bool ok = value_number(value, 0, HOST_CPU_MAX, &v);
    ((struct options *)target)->device_cpu = ok ? (int)v : -1;
    return ok;
}

static bool set_vcpu_cpu(void *target, const char *value, struct err *e)
{
    uint64_t v;
    bool ok = value_number(value, 0, HOST_CPU_MAX, &v);
    ((struct options *)target)->vcpu_cpu = ok ? (int)v : -1;
    return ok;
}

const struct list_key devthread_keys[] = {
    {"mode", "thread|inline|adaptive", set_mode},
    {"cpu", "N (a host CPU)", set_device_cpu},
    {"vcpu-cpu", "N (a host CPU)", set_vcpu_cpu},
};

static bool set_translator_mode(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "interp|eager|background"); /* MATCH enum translator_mode */
    ((struct options *)target)->translator_mode = (unsigned)i;
    return i >= 0;
}
_Static_assert(TRANSLATOR_INTERP == 0 && TRANSLATOR_EAGER == 1 && TRANSLATOR_BACKGROUND == 2,
               "set_translator_mode");

#define HOT_MAX 1000000

static bool set_translator_hot(void *target, const char *value, struct err *e)
{
    uint64_t v;
    bool ok = value_number(value, 1, HOT_MAX, &v);
    ((struct options *)target)->hot = ok ? (unsigned)v : 0;
    return ok;
}

static bool set_translator_threads(void *target, const char *value, struct err *e)
{
    uint64_t v;
    bool ok = value_number(value, 0, VCPU_TRANSLATORS_MAX, &v);
    ((struct options *)target)->translator_threads = ok ? (int)v : -1;
    return ok;
}

static bool set_code_cache(void *target, const char *value, struct err *e)
{
    uint64_t *bytes = &((struct options *)target)->code_cache_bytes;
    return value_size(value, 1, bytes) && *bytes >= VCPU_CODE_CACHE_MIN && *bytes <= VCPU_CODE_CACHE_MAX;
}

static bool set_chain(void *target, const char *value, struct err *e)
{
    return value_switch(value, &((struct options *)target)->chain);
}

static bool set_long_blocks(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "on|off|any"); /* MATCH enum long_blocks */
    ((struct options *)target)->long_blocks = (unsigned)i;
    return i >= 0;
}

static bool set_moved_blocks(void *target, const char *value, struct err *e)
{
    int i = value_choice(value, "on|off|checked"); /* MATCH enum moved_blocks */
    ((struct options *)target)->moved_blocks = (unsigned)i;
    return i >= 0;
}

const struct list_key translator_keys[] = {
    {"mode", "interp|eager|background", set_translator_mode},
    {"hot", "COUNT (1..1000000)", set_translator_hot},
    {"threads", "N (0..64)", set_translator_threads},
    {"cache", "SIZE (64K..1G)", set_code_cache},
    {"chain", "on|off", set_chain},
    {"long", "on|off|any", set_long_blocks},
    {"moved", "on|off|checked", set_moved_blocks},
};

/* Settings that have one honest value, which is given: nothing is stored. */

static bool set_machine_type(void *target, const char *value, struct err *e)
{
    return strcmp(value, "pc") == 0 || strncmp(value, "pc-i440fx-", 10) == 0;
}

static bool set_accel(void *target, const char *value, struct err *e)
{
    return strcmp(value, "tcg") == 0;
}

static bool set_on(void *target, const char *value, struct err *e)
{
    return strcmp(value, "on") == 0;
}

static bool set_off(void *target, const char *value, struct err *e)
{
    return strcmp(value, "off") == 0;
}

static bool set_one(void *target, const char *value, struct err *e)
{
    uint64_t v;
    return value_number(value, 1, 1, &v);
}

static bool set_graphics(void *target, const char *value, struct err *e)
{
    return value_switch(value, &((struct options *)target)->graphics);
}

const struct list_key machine_keys[] = {
    {"type", "pc|pc-i440fx-VERSION", set_machine_type},
    {"graphics", "on|off", set_graphics},
    {"accel", "tcg", set_accel},
    {"acpi", "on", set_on},
    {"hpet", "off", set_off},
    {"usb", "off", set_off},
    {"vmport", "off", set_off},
};

const struct list_key accel_keys[] = {{"accel", "tcg", set_accel}};

const struct list_key smp_keys[] = {
    {"cpus", "1", set_one},  {"maxcpus", "1", set_one}, {"sockets", "1", set_one},
    {"cores", "1", set_one}, {"threads", "1", set_one},
};

/* Up to three letters, none twice. */
static bool set_letters(char letters[4], const char *value)
{
    uint16_t flags;
    if (!bootorder_flags(value, &flags))
        return false;
    strcpy(letters, value);
    return true;
}

static bool set_boot_order(void *target, const char *value, struct err *e)
{
    return set_letters(((struct options *)target)->boot.order, value);
}

static bool set_boot_once(void *target, const char *value, struct err *e)
{
    return set_letters(((struct options *)target)->boot.once, value);
}

static bool set_boot_menu(void *target, const char *value, struct err *e)
{
    return value_switch(value, &((struct options *)target)->boot.menu);
}

static bool set_boot_strict(void *target, const char *value, struct err *e)
{
    return value_switch(value, &((struct options *)target)->boot.strict);
}

static bool set_milliseconds(int *ms, const char *value)
{
    uint64_t v;
    bool ok = value_number(value, 0, 65535, &v);
    *ms = ok ? (int)v : -1;
    return ok;
}

static bool set_splash_time(void *target, const char *value, struct err *e)
{
    return set_milliseconds(&((struct options *)target)->boot.splash_ms, value);
}

static bool set_reboot_timeout(void *target, const char *value, struct err *e)
{
    return set_milliseconds(&((struct options *)target)->boot.reboot_ms, value);
}

#define BOOT_LETTERS "one to three of a, b (floppy), c (disk), d (CD-ROM), n (network)"

const struct list_key boot_keys[] = {
    {"order", BOOT_LETTERS, set_boot_order},
    {"once", BOOT_LETTERS, set_boot_once},
    {"menu", "on|off", set_boot_menu},
    {"splash-time", "MS (0..65535)", set_splash_time},
    {"reboot-timeout", "MS (0..65535)", set_reboot_timeout},
    {"strict", "on|off", set_boot_strict},
};

static struct firmware_user_item *last_fw_cfg(void *target)
{
    struct options *o = target;
    return &o->fw_cfg[o->nfw_cfg - 1];
}

static bool set_fw_cfg_name(void *target, const char *value, struct err *e)
{
    return *value && strlen(value) < FIRMWARE_NAME_BYTES &&
           value_string(value, &last_fw_cfg(target)->name, e);
}

static bool set_fw_cfg_file(void *target, const char *value, struct err *e)
{
    return *value && value_string(value, &last_fw_cfg(target)->file, e);
}

static bool set_fw_cfg_string(void *target, const char *value, struct err *e)
{
    return value_string(value, &last_fw_cfg(target)->string, e);
}

const struct list_key fw_cfg_keys[] = {
    {"name", "NAME (1 to 55 bytes)", set_fw_cfg_name},
    {"file", "FILE", set_fw_cfg_file},
    {"string", "TEXT", set_fw_cfg_string},
};

static bool set_mon_chardev(void *target, const char *value, struct err *e)
{
    char spec[128];
    snprintf(spec, sizeof spec, "chardev:%s", value);
    return *value && strlen(value) < sizeof spec - 8 && value_string(spec, &last_control(target)->spec, e);
}

static bool set_mon_mode(void *target, const char *value, struct err *e)
{
    last_control(target)->qmp = strcmp(value, "control") == 0;
    return last_control(target)->qmp || strcmp(value, "readline") == 0;
}

static bool set_mon_pretty(void *target, const char *value, struct err *e)
{
    return value_switch(value, &last_control(target)->pretty);
}

const struct list_key mon_keys[] = {
    {"chardev", "ID", set_mon_chardev},
    {"mode", "readline or control", set_mon_mode},
    {"pretty", "on or off", set_mon_pretty},
};
