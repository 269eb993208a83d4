/* smbios.c - see smbios.h (DSP0134 2.8: 5.2.1 the entry point, 6.1 structures, 7 their contents).
 *
 * Structures of types 0, 1, 3, 4, 16, 17, 19, 32 and 127: firmware, system, enclosure, one processor, its
 * memory as one device, boot status. Strings say nothing that differs between runs or hosts. */
#include "hw/smbios.h"

#include <string.h>

#define VERSION_MAJOR 2
#define VERSION_MINOR 8
#define KIB_PER_MIB   1024
#define SIZE_IN_MIB   0x7FFF /* type 17: more than that is said elsewhere */

/* Bytes appended to the tables. `full` sticks: the caller looks once, at the end. */
struct out {
    struct smbios *s;
    unsigned count;   /* structures */
    size_t begin;     /* of the structure under way */
    size_t largest;   /* structure, bytes */
    unsigned strings; /* of the structure under way */
    bool full;
};

static void put(struct out *o, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        if (o->s->tables_bytes == SMBIOS_BYTES_MAX) {
            o->full = true;
            return;
        }
        o->s->tables[o->s->tables_bytes++] = (uint8_t)(v >> 8 * i);
    }
}

static void put_zeroes(struct out *o, unsigned bytes)
{
    while (bytes--)
        put(o, 0, 1);
}

static void begin(struct out *o, uint8_t type, uint8_t length, uint16_t handle)
{
    o->begin = o->s->tables_bytes;
    o->strings = 0;
    put(o, type, 1);
    put(o, length, 1);
    put(o, handle, 2);
}

/* Strings follow the formatted part, numbered from 1. */
static void string(struct out *o, const char *text)
{
    o->strings++;
    for (; *text; text++)
        put(o, (uint8_t)*text, 1);
    put(o, 0, 1);
}

static void end(struct out *o)
{
    put_zeroes(o, o->strings ? 1 : 2);
    size_t bytes = o->s->tables_bytes - o->begin;
    o->largest = bytes > o->largest ? bytes : o->largest;
    o->count++;
}

static void firmware(struct out *o)
{
    begin(o, 0, 24, 0x000);
    put(o, 1, 1); /* vendor, version */
    put(o, 2, 1);
    put(o, 0xE800, 2); /* segment of its start */
    put(o, 3, 1);      /* date */
    put(o, 0, 1);      /* 64 KiB */
    put(o, 8, 4);      /* characteristics are not given; upper half none */
    put(o, 0, 4);
    put(o, 0, 1);
    put(o, 0x14, 1);   /* of a virtual machine; targeted content distribution */
    put(o, 0, 2);      /* release */
    put(o, 0xFFFF, 2); /* no embedded controller */
    string(o, "Tandem");
    string(o, "1");
    string(o, "01/01/2023");
    end(o);
}

static void system_information(struct out *o)
{
    begin(o, 1, 27, 0x100);
    put(o, 1, 1); /* manufacturer, product, version; no serial number */
    put(o, 2, 1);
    put(o, 3, 1);
    put(o, 0, 1);
    put_zeroes(o, 16); /* UUID: not set */
    put(o, 6, 1);      /* woken by the power switch */
    put(o, 0, 2);      /* no SKU, no family */
    string(o, "Tandem");
    string(o, "Standard PC (i440FX + PIIX)");
    string(o, "1");
    end(o);
}

static void enclosure(struct out *o)
{
    begin(o, 3, 21, 0x300);
    put(o, 1, 1); /* manufacturer */
    put(o, 1, 1); /* type: other */
    put_zeroes(o, 3);
    put(o, 3, 1); /* boot-up, power, thermal: safe */
    put(o, 3, 1);
    put(o, 3, 1);
    put(o, 2, 1); /* security: unknown */
    put_zeroes(o, 4 + 4);
    string(o, "Tandem");
    end(o);
}

static void processor(struct out *o)
{
    begin(o, 4, 42, 0x400);
    put(o, 1, 1);      /* socket */
    put(o, 3, 1);      /* central processor */
    put(o, 1, 1);      /* family: other */
    put(o, 2, 1);      /* manufacturer */
    put_zeroes(o, 8);  /* its CPUID says that */
    put(o, 0, 1);      /* no version */
    put(o, 0, 1);      /* voltage */
    put_zeroes(o, 6);  /* clocks: not known */
    put(o, 0x41, 1);   /* fitted, enabled */
    put(o, 1, 1);      /* upgrade: other */
    put(o, 0xFFFF, 2); /* no structures of caches */
    put(o, 0xFFFF, 2);
    put(o, 0xFFFF, 2);
    put_zeroes(o, 3); /* no serial number, asset tag, part number */
    put(o, 1, 1);     /* cores, enabled cores, threads */
    put(o, 1, 1);
    put(o, 1, 1);
    put(o, 2, 2); /* characteristics: unknown */
    put(o, 1, 2); /* family, again */
    string(o, "CPU 0");
    string(o, "Tandem");
    end(o);
}

static void memory_array(struct out *o, uint32_t kib)
{
    begin(o, 16, 23, 0x1000);
    put(o, 1, 1); /* location: other */
    put(o, 3, 1); /* system memory */
    put(o, 3, 1); /* no error correction */
    put(o, kib, 4);
    put(o, 0xFFFE, 2); /* no error information */
    put(o, 1, 2);      /* devices */
    put_zeroes(o, 8);
    end(o);
}

static void memory_device(struct out *o, uint32_t kib)
{
    uint32_t mib = kib / KIB_PER_MIB;

    begin(o, 17, 40, 0x1100);
    put(o, 0x1000, 2); /* its array */
    put(o, 0xFFFE, 2);
    put(o, 0xFFFF, 2); /* widths: unknown */
    put(o, 0xFFFF, 2);
    put(o, mib < SIZE_IN_MIB ? mib : SIZE_IN_MIB, 2);
    put(o, 9, 1); /* DIMM */
    put(o, 0, 1);
    put(o, 1, 1); /* locator; no bank */
    put(o, 0, 1);
    put(o, 7, 1);             /* RAM */
    put(o, 2, 2);             /* type detail: other */
    put_zeroes(o, 2 + 4 + 1); /* speed, strings, attributes */
    put(o, mib < SIZE_IN_MIB ? 0 : mib, 4);
    put_zeroes(o, 2 + 6);
    string(o, "DIMM 0");
    end(o);
}

static void memory_mapped(struct out *o, uint32_t kib)
{
    begin(o, 19, 31, 0x1300);
    put(o, 0, 4);
    put(o, kib - 1, 4); /* the last KiB */
    put(o, 0x1000, 2);
    put(o, 1, 1); /* width of a row */
    put_zeroes(o, 16);
    end(o);
}

static void boot_status(struct out *o)
{
    begin(o, 32, 11, 0x2000);
    put_zeroes(o, 6 + 1); /* no errors detected */
    end(o);
}

static void end_of_table(struct out *o)
{
    begin(o, 127, 4, 0x7F00);
    end(o);
}

static void put_le(uint8_t *p, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static void anchor(const struct out *o)
{
    uint8_t *a = o->s->anchor;

    memcpy(a, "_SM_", 4);
    a[5] = SMBIOS_ANCHOR_BYTES;
    a[6] = VERSION_MAJOR;
    a[7] = VERSION_MINOR;
    put_le(a + 8, (uint32_t)o->largest, 2);
    memcpy(a + 16, "_DMI_", 5);
    put_le(a + 22, (uint32_t)o->s->tables_bytes, 2);
    put_le(a + 28, o->count, 2);
    a[30] = VERSION_MAJOR << 4 | VERSION_MINOR;
}

bool smbios_build(struct smbios *s, uint64_t ram_bytes)
{
    struct out o = {.s = s};
    uint32_t kib = (uint32_t)(ram_bytes >> 10);

    *s = (struct smbios){0};
    firmware(&o);
    system_information(&o);
    enclosure(&o);
    processor(&o);
    memory_array(&o, kib);
    memory_device(&o, kib);
    memory_mapped(&o, kib);
    boot_status(&o);
    end_of_table(&o);
    anchor(&o);
    return !o.full;
}
