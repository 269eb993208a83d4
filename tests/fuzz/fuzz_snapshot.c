/* fuzz_snapshot.c - random damage to the snapshot of a real run, with a right checksum: fuzz_snapshot
 * GUEST [SECONDS [SEED]].
 *
 * The guest is run in a machine of 16 MiB with the toy PCI device, in any device mode and engine, and saved
 * at a random tick now and then; the guest disk.elf has a drive, with requests under way and what it has
 * written. The snapshot is taken apart, fields, pages and contents of drives are damaged, some dropped, media
 * put in that nobody has, and it is put together again. A machine that loads it, at its start or after it has
 * run, says in one line what is wrong and is as it was, or runs on for a while; either is fine but a crash or
 * a sanitizer's complaint. */
#include "fuzz_random.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUN_TICKS      20000
#define SAVE_TICKS_MAX 300000
#define SAVE_EVERY     100 /* damaged ones of one valid snapshot */

static uint64_t odd_value(void)
{
    static const uint64_t values[] = {0,      1,      2,         7,          0x7f,      0xff,
                                      0x7fff, 0xffff, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint64_t v = values[rng(sizeof values / sizeof *values)];
    return rng(2) ? v : v + rng(33) - 16;
}

static bool is_zero(const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (data[i])
            return false;
    return true;
}

/* Of a large array hardly any element is in use: mostly one that is not 0, if there is one. */
static uint32_t choose_element(const uint8_t *data, const struct snapshot_item *item)
{
    uint32_t first = rng(item->count);
    for (uint32_t i = 0; rng(4) && i < item->count; i++) {
        uint32_t at = (first + i) % item->count;
        if (!is_zero(data + (size_t)at * item->elem_bytes, item->elem_bytes))
            return at;
    }
    return first;
}

static void damage(uint8_t *data, const struct snapshot_item *item)
{
    uint64_t value = odd_value();
    uint32_t at = choose_element(data, item);
    if (rng(2))
        memcpy(data + (size_t)at * item->elem_bytes, &value, item->elem_bytes);
    else
        data[(size_t)at * item->elem_bytes + rng(item->elem_bytes)] ^= (uint8_t)(1u << rng(8));
}

static void put_page_damaged(struct snapshot_writer *w, const struct snapshot_item *item, uint32_t chance)
{
    uint8_t page[SNAPSHOT_PAGE_BYTES];
    memcpy(page, item->data, sizeof page);
    for (uint32_t n = rng(chance) ? 0 : 1 + rng(8); n; n--) {
        uint64_t value = odd_value();
        memcpy(page + rng(sizeof page / 4) * 4, &value, 1 + rng(4));
    }
    if (rng(chance * 20))
        snapshot_page(w, item->number, page);
}

static uint64_t runs_seen; /* of what was written to a drive */

/* What a drive holds: other bytes, elsewhere, of another drive, bad, or not at all. */
static void put_blocks_damaged(struct snapshot_writer *w, const struct snapshot_item *item, uint32_t chance)
{
    static uint8_t data[SNAPSHOT_BLOCKS_MAX];
    static const char *const names[] = {"ide0-hd0", "fd0", "", "blocks0"};
    const char *name = item->name;
    uint64_t offset = item->number;
    uint32_t bytes = item->count;
    bool bad = item->bad;
    runs_seen++;
    if (bytes <= sizeof data && !bad)
        memcpy(data, item->data, bytes);
    switch (rng(chance) ? 6 : rng(6)) {
    case 0:
        offset = odd_value();
        break;
    case 1:
        offset ^= UINT64_C(1) << rng(64);
        break;
    case 2:
        bytes = 1 + rng(SNAPSHOT_BLOCKS_MAX);
        break;
    case 3:
        name = names[rng(4)];
        break;
    case 4:
        bad = !bad;
        break;
    case 5:
        return;
    default:
        break;
    }
    snapshot_blocks(w, name, offset, bytes, bad ? NULL : data);
}

static void put_medium(struct snapshot_writer *w)
{
    static const char *const names[] = {"ide1-cd0", "fd0", "blocks0", ""};
    uint8_t entry[200];
    for (unsigned i = 0; i < sizeof entry; i++)
        entry[i] = (uint8_t)rng(256);
    snapshot_medium(w, names[rng(4)], rng(2), entry, rng(sizeof entry));
}

/* One damaged field in `chance`, on the way from r to w. False: the snapshot itself is bad. */
static bool copy_damaged(struct snapshot_reader *r, struct snapshot_writer *w, uint32_t chance, struct err *e)
{
    struct snapshot_item item;
    while (snapshot_next(r, &item, e)) {
        struct field f = {item.name, 0, item.elem_bytes, item.count, item.elem_bytes, UINT64_MAX};
        struct state_part p = {item.name, &f, 1, NULL};
        if (item.kind == SNAPSHOT_END)
            return true;
        if (item.kind == SNAPSHOT_BLOCKS)
            put_blocks_damaged(w, &item, chance);
        if (item.kind == SNAPSHOT_MEDIUM)
            snapshot_medium(w, item.name, item.bad, item.data, item.count);
        if (rng(chance * 50) == 0)
            put_medium(w);
        if (item.kind == SNAPSHOT_PAGE)
            put_page_damaged(w, &item, chance);
        if (item.kind == SNAPSHOT_PART) {
            p.nfields = 0;
            snapshot_part(w, &p);
        }
        if (item.kind == SNAPSHOT_FIELD) {
            uint8_t *copy = malloc((size_t)item.count * item.elem_bytes + 1);
            memcpy(copy, item.data, (size_t)item.count * item.elem_bytes);
            for (uint32_t n = rng(chance) || !item.count ? 0 : 1 + rng(3); n; n--)
                damage(copy, &item);
            p.state = copy;
            snapshot_field(w, &f, copy);
            free(copy);
        }
    }
    return false;
}

static bool make_damaged(const char *from, const char *to, struct err *e)
{
    struct snapshot_reader *r = snapshot_open("fuzz", from, e);
    if (!r)
        return false;
    struct snapshot_writer *w = snapshot_create(to, snapshot_tick(r), snapshot_identity(r), e);
    bool ok = w && copy_damaged(r, w, 1 + rng(400), e) && snapshot_finish(w, e);
    snapshot_close(r);
    return ok;
}

static char image[64]; /* of the drive; "": none */

/* A machine that begins at `snapshot`; NULL: at the guest's start. */
static struct machine *create(const char *snapshot, const char *kernel, struct err *e)
{
    static const enum translator_mode engines[] = {TRANSLATOR_INTERP, TRANSLATOR_EAGER,
                                                   TRANSLATOR_BACKGROUND};
    struct machine_config cfg;
    machine_config_init(&cfg);
    cfg.ram_bytes = 16u << 20;
    cfg.kernel = kernel;
    cfg.append = "rounds=500 moves=100";
    cfg.serial[0] = "null";
    cfg.debug_exit = true;
    cfg.debug_exit_port = 0xf4;
    cfg.debug_exit_ports = 4;
    cfg.sleep = false;
    cfg.toypci = true;
    cfg.mode = rng(4) ? LINK_INLINE : rng(2) ? LINK_THREAD : LINK_ADAPTIVE;
    cfg.translator = engines[rng(3)];
    if (image[0])
        cfg.drive[cfg.ndrives++] = (struct machine_drive){.port = PC_PORT_BLOCKS,
                                                          .option = "-drive",
                                                          .file = image,
                                                          .format = "raw",
                                                          .private_copy = true,
                                                          .bootindex = -1};
    cfg.loadvm = snapshot;
    cfg.rtc_default = true;
    return machine_create(&cfg, e);
}

static void run(struct machine *m, uint64_t ticks, struct err *e)
{
    struct vcpu_until until = {.tick = machine_tick(m) + ticks};
    machine_run_until(m, &until, e);
}

static bool make_valid(const char *path, const char *kernel, struct err *e)
{
    struct machine *m = create(NULL, kernel, e);
    if (!m)
        return false;
    run(m, 1 + rng(SAVE_TICKS_MAX), e);
    bool ok = machine_save(m, path, e);
    machine_destroy(m);
    return ok;
}

/* True: it could be loaded. */
static bool load_and_run(const char *snapshot, const char *kernel)
{
    struct err e = {""};
    struct machine *m = create(snapshot, kernel, &e);
    if (!m) {
        if (e.text[0] && !strchr(e.text, '\n'))
            return false;
        fprintf(stderr, "fuzz_snapshot: no one-line message\n");
        exit(1);
    }
    run(m, RUN_TICKS, &e);
    machine_destroy(m);
    return true;
}

/* The same into a machine that has run: one that refuses is as it was. */
static bool load_into_running(const char *snapshot, const char *kernel)
{
    struct err e = {""};
    char before[DIGEST_HEX], after[DIGEST_HEX];
    struct machine *m = create(NULL, kernel, &e);
    if (!m)
        return false;
    run(m, 1 + rng(RUN_TICKS), &e);
    machine_state_hex(m, before);
    const uint64_t tick = machine_tick(m);
    const bool loaded = machine_load(m, snapshot, &e);
    machine_state_hex(m, after);
    if (!loaded && (tick != machine_tick(m) || strcmp(before, after) != 0)) {
        fprintf(stderr, "fuzz_snapshot: refused (%s), and the machine is another one\n", e.text);
        exit(1);
    }
    run(m, RUN_TICKS, &e);
    machine_destroy(m);
    return loaded;
}

/* The image of the drive, for the guest that has one; what is known of images goes with the folder. */
static bool make_image(const char *dir, const char *kernel)
{
    if (!strstr(kernel, "disk.elf"))
        return true;
    setenv("XDG_CACHE_HOME", dir, 1);
    snprintf(image, sizeof image, "%s/image", dir);
    FILE *f = fopen(image, "w");
    return f && ftruncate(fileno(f), 1 << 20) == 0 && fclose(f) == 0;
}

int main(int argc, char **argv)
{
    struct err e = {""};
    char dir[32], valid[sizeof dir + 8], damaged[sizeof dir + 8];
    /* Each file is synced: on a disk that takes longer than all the rest. */
    snprintf(dir, sizeof dir, "%s/fuzz_snapshot.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (argc < 2 || !mkdtemp(dir) || !make_image(dir, argv[1]))
        return 2;
    snprintf(valid, sizeof valid, "%s/valid", dir);
    snprintf(damaged, sizeof damaged, "%s/damaged", dir);
    unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2;
    rng_state = (argc > 3 ? strtoull(argv[3], NULL, 0) : 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    uint64_t runs = 0, loaded = 0;
    bool ok = true;
    for (time_t end = time(NULL) + seconds; ok && time(NULL) < end; runs++) {
        ok = (runs % SAVE_EVERY || make_valid(valid, argv[1], &e)) && make_damaged(valid, damaged, &e);
        loaded += ok && (rng(2) ? load_and_run : load_into_running)(damaged, argv[1]);
    }
    unlink(valid);
    unlink(damaged);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ok &= system(command) == 0;
    if (!ok)
        fprintf(stderr, "fuzz_snapshot: %s\n", e.text);
    printf("fuzz_snapshot: %" PRIu64 " snapshots, %" PRIu64 " loaded, the others refused; %" PRIu64
           " runs of what a drive holds\n",
           runs, loaded, runs_seen);
    return ok && (!image[0] || runs_seen) ? 0 : 1;
}
