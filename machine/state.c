/* state.c - see state.h. */
#include "machine/state.h"

#include "clockcore/check.h"
#include "mem/remap.h"
#include "syncq/link_state.h"
#include "vcpu/parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(SNAPSHOT_PAGE_BYTES == PAGE_BYTES, "the file's pages are the machine's");

/* --- the list --- */

static bool map_part(struct machine_parts *m, unsigned i, struct state_part *out)
{
    if (i > 0)
        return false;
    for (unsigned n = 0; n < m->mem->nremaps; n++)
        m->remap[n] = physmem_remap_value(m->mem, n);
    m->remap_field = (struct field){"remap", 0, 4, m->mem->nremaps, 4, UINT64_MAX};
    *out = (struct state_part){"memory-map", &m->remap_field, 1, m->remap};
    return true;
}

bool machine_part(struct machine_parts *m, enum state_group group, unsigned i, struct state_part *out)
{
    unsigned n = 0;
    if (group == STATE_MAP)
        return map_part(m, i, out);
    while (vcpu_part(m->vcpu, group, n, out))
        if (n++ == i)
            return true;
    for (unsigned k = 0; devthread_part(m->dev, group, k, out); k++, n++)
        if (n == i)
            return true;
    for (unsigned k = 0; link_part(devthread_link(m->dev, 0), group, k, out); k++, n++)
        if (n == i)
            return true;
    if (group != STATE_OTHER || n != i)
        return false;
    digest_part(m->digest, out);
    return true;
}

/* --- save --- */

static const enum state_group groups[] = {STATE_MAP, STATE_OTHER, STATE_CPU,
                                          STATE_DEVICES}; /* counts before arrays */
enum { NGROUPS = sizeof groups / sizeof groups[0] };

static void save_parts(struct machine_parts *m, struct snapshot_writer *w)
{
    struct state_part p;
    vcpu_settle(m->vcpu);
    vcpu_settle_caches(m->vcpu);
    devthread_settle(m->dev);
    for (unsigned g = 0; g < NGROUPS; g++)
        for (unsigned i = 0; machine_part(m, groups[g], i, &p); i++)
            snapshot_part(w, &p);
    for (uint32_t page = 0; page < m->mem->bytes / PAGE_BYTES; page++)
        snapshot_page(w, page, physmem_page(m->mem, page));
}

bool state_save(struct machine_parts *m, const char *path, uint64_t tick, const char *identity, struct err *e)
{
    struct snapshot_writer *w = snapshot_create(path, tick, identity, e);
    struct err why;
    if (!w)
        return false;
    save_parts(m, w);
    if (!drives_save(m->drives, w, &why)) {
        snapshot_abandon(w);
        return err_set(e, "%s: %s", path, why.text);
    }
    return snapshot_finish(w, e);
}

/* --- load --- */

static bool load_field(const struct state_part *p, const struct field *f, struct snapshot_reader *r,
                       struct err *e)
{
    struct snapshot_item item;
    if (!snapshot_next(r, &item, e))
        return false;
    if (item.kind != SNAPSHOT_FIELD || strcmp(item.name, f->name) != 0 || item.elem_bytes != f->elem_bytes ||
        item.count != f->count)
        return err_set(
            e, "the snapshot has no field %s.%s as this build of Tandem has it; another build wrote it",
            p->name, f->name);
    return field_get(f, p->state, item.data) ||
           err_set(e, "the snapshot is damaged: %s.%s has a value that it cannot have", p->name, f->name);
}

static bool load_part(const struct state_part *p, struct snapshot_reader *r, struct err *e)
{
    struct snapshot_item item;
    if (!snapshot_next(r, &item, e))
        return false;
    if (item.kind != SNAPSHOT_PART || strcmp(item.name, p->name) != 0)
        return err_set(
            e, "the snapshot has no part %s where this build of Tandem has it; another build wrote it",
            p->name);
    for (size_t i = 0; i < p->nfields; i++)
        if (!load_field(p, &p->fields[i], r, e))
            return false;
    return true;
}

/* What is there already needs no writing: ROM. */
static void put_page(struct physmem *mem, uint64_t page, const uint8_t *data)
{
    if (memcmp(physmem_page(mem, (uint32_t)page), data, PAGE_BYTES) != 0)
        physmem_put(mem, (mem_addr_t)(page * PAGE_BYTES), data, PAGE_BYTES);
}

/* Memory is all zero, but for ROM; behind it come the drives. */
static bool load_memory(struct machine_parts *m, struct snapshot_reader *r, struct err *e)
{
    struct physmem *mem = m->mem;
    struct snapshot_item item;
    while (snapshot_next(r, &item, e)) {
        if (item.kind == SNAPSHOT_END)
            return true;
        if (item.kind == SNAPSHOT_BLOCKS || item.kind == SNAPSHOT_MEDIUM) {
            if (!(item.kind == SNAPSHOT_MEDIUM ? media_load : drives_load)(m->drives, &item, e))
                return false;
            continue;
        }
        if (item.kind != SNAPSHOT_PAGE || item.number >= mem->bytes / PAGE_BYTES)
            return err_set(e, "the snapshot is damaged: it goes on where memory should end");
        put_page(mem, item.number, item.data);
    }
    return false;
}

static bool load_group(struct machine_parts *m, enum state_group group, struct snapshot_reader *r,
                       struct err *e)
{
    struct state_part p;
    for (unsigned i = 0; machine_part(m, group, i, &p); i++)
        if (!load_part(&p, r, e))
            return false;
    /* Now: a remap voids what the TLB holds. */
    for (unsigned n = 0; group == STATE_MAP && n < m->mem->nremaps; n++)
        physmem_remap(m->mem, n, m->remap[n]);
    return true;
}

bool state_load(struct machine_parts *m, struct snapshot_reader *r, struct err *e)
{
    char why[ERR_BYTES - 1];
    uint64_t tick = snapshot_tick(r);
    physmem_clear(m->mem);
    vcpu_forget(m->vcpu);
    for (unsigned g = 0; g < NGROUPS; g++)
        if (!load_group(m, groups[g], r, e))
            return false;
    if (!load_memory(m, r, e))
        return false;
    if (!devthread_loaded(m->dev, tick, why, sizeof why))
        return err_set(e, "%s", why);
    digest_loaded(m->digest);
    const char *field = vcpu_loaded(m->vcpu, tick);
    return !field || err_set(e, "the snapshot is damaged: %s has a value that it cannot have", field);
}

/* --- load into a machine that has run --- */

/* The state without what was written to drives, to go back to; NULL: e says why. */
static struct snapshot_reader *keep(struct machine_parts *m, uint64_t tick, struct err *e)
{
    struct snapshot_writer *w = snapshot_create_memory(tick, "kept=1", e);
    char path[32];
    if (!w)
        return NULL;
    save_parts(m, w);
    const int fd = snapshot_finish_memory(w, e);
    if (fd < 0)
        return NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct snapshot_reader *r = snapshot_open("memory", path, e);
    close(fd);
    return r;
}

/* The device thread is kept out. */
static bool replace(struct machine_parts *m, struct snapshot_reader *r, struct snapshot_reader *before,
                    struct err *e)
{
    struct err ignored;
    if (!drives_set_aside(m->drives, e))
        return false;
    if (state_load(m, r, e)) {
        drives_drop_aside(m->drives);
        return true;
    }
    drives_take_back(m->drives);
    CHECK(state_load(m, before, &ignored)); /* what this very machine was a moment ago */
    return false;
}

bool state_replace(struct machine_parts *m, struct snapshot_reader *r, uint64_t tick, struct err *e)
{
    struct snapshot_reader *before = keep(m, tick, e);
    if (!before)
        return false;
    devthread_seize(m->dev);
    const bool done = replace(m, r, before, e);
    if (done)
        devthread_end_connections(m->dev);
    devthread_release(m->dev);
    snapshot_close(before);
    return done;
}

/* --- identity --- */

/* The value of `key` in "KEY=VALUE ...", and its length; NULL: none. */
static const char *value_of(const char *identity, const char *key, size_t key_bytes, size_t *bytes)
{
    for (const char *at = identity; *at; at += *at == ' ') {
        size_t n = strcspn(at, " ");
        if (n > key_bytes && strncmp(at, key, key_bytes) == 0 && at[key_bytes] == '=') {
            *bytes = n - key_bytes - 1;
            return at + key_bytes + 1;
        }
        at += n;
    }
    return NULL;
}

bool state_identity_value(const char *identity, const char *key, int64_t *value)
{
    size_t n;
    const char *text = value_of(identity, key, strlen(key), &n);
    char *end;
    if (!text)
        return false;
    *value = strtoll(text, &end, 10);
    return end == text + n;
}

bool state_identity_text(const char *identity, const char *key, char *text, size_t bytes)
{
    size_t n;
    const char *value = value_of(identity, key, strlen(key), &n);
    if (!value || n >= bytes)
        return false;
    memcpy(text, value, n);
    text[n] = 0;
    return true;
}

bool state_same_identity(const char *snapshot, const char *machine, struct err *e)
{
    for (const char *at = machine; *at; at += *at == ' ') {
        size_t n = strcspn(at, " "), key = strcspn(at, "="), sn;
        const char *sv = value_of(snapshot, at, key, &sn);
        const char *mv = at + key + 1;
        size_t mn = n - key - 1;
        if (!sv || sn != mn || strncmp(sv, mv, mn) != 0)
            return err_set(e,
                           "the snapshot is another machine's: it was made with %.*s=%.*s, this one has %.*s",
                           (int)key, at, sv ? (int)sn : 4, sv ? sv : "none", (int)mn, mv);
        at += n;
    }
    return true;
}
