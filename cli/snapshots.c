/* snapshots.c - see snapshots.h. */
#include "cli/snapshots.h"

#include "machine/snapshot.h"
#include "machine/state.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAG_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-"

/* --- names --- */

const char *snapshots_dir(const struct options *o)
{
    return o->snapshots ? o->snapshots : SNAPSHOTS_DIR_DEFAULT;
}

static bool is_tag(const char *name)
{
    const size_t n = strlen(name);
    return n > 0 && n < SNAPSHOTS_TAG_BYTES && strspn(name, TAG_CHARS) == n && !strchr("._+-", name[0]);
}

static bool is_file(const char *name)
{
    return strchr(name, '/') != NULL;
}

/* False: too long. */
static bool in_store(const struct options *o, const char *tag, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/%s", snapshots_dir(o), tag) < PATH_MAX;
}

void snapshots_path(const struct options *o, const char *name, char path[PATH_MAX])
{
    struct stat st;
    if (is_tag(name) && in_store(o, name, path) && stat(path, &st) == 0)
        return;
    snprintf(path, PATH_MAX, "%s", name);
}

/* --- the list --- */

static void fill(struct snapshots_entry *x, const char *tag, const struct stat *st, uint64_t tick,
                 const char *identity)
{
    int64_t shift = 0;
    *x = (struct snapshots_entry){.tick = tick, .bytes = (uint64_t)st->st_size, .date = st->st_mtime};
    snprintf(x->tag, sizeof x->tag, "%s", tag);
    state_identity_value(identity, "shift", &shift);
    x->virtual_ns = shift >= 0 && shift < 64 ? tick << shift : 0;
    if (!state_identity_text(identity, "state", x->id, sizeof x->id))
        x->id[0] = 0;
}

/* Is this a snapshot, as far as its first line says? */
static bool look(const char *path, const char *tag, struct snapshots_entry *x)
{
    struct stat st;
    char identity[SNAPSHOT_IDENTITY_BYTES];
    uint64_t tick;
    if (!is_tag(tag) || stat(path, &st) != 0 || !S_ISREG(st.st_mode) || !snapshot_peek(path, &tick, identity))
        return false;
    fill(x, tag, &st, tick, identity);
    return true;
}

static int by_tick(const void *a, const void *b)
{
    const struct snapshots_entry *x = a, *y = b;
    if (x->tick != y->tick)
        return x->tick < y->tick ? -1 : 1;
    return strcmp(x->tag, y->tag);
}

size_t snapshots_list(const struct options *o, struct snapshots_entry **list)
{
    DIR *d = opendir(snapshots_dir(o));
    char path[PATH_MAX];
    size_t n = 0;
    *list = calloc(SNAPSHOTS_LISTED_MAX, sizeof **list);
    for (const struct dirent *f; *list && d && n < SNAPSHOTS_LISTED_MAX && (f = readdir(d));)
        if (in_store(o, f->d_name, path) && look(path, f->d_name, &(*list)[n]))
            n++;
    if (d)
        closedir(d);
    if (n > 0)
        qsort(*list, n, sizeof **list, by_tick);
    return n;
}

/* --- save, load, delete --- */

static bool bad_name(const char *name, struct err *e)
{
    return err_set(e,
                   "%.100s: a tag of letters, digits and . _ + -, or a file's name with a / in it, is "
                   "accepted",
                   name);
}

/* What is no snapshot is not overwritten. */
static bool open_store(const struct options *o, const char *tag, char path[PATH_MAX], struct err *e)
{
    struct snapshots_entry x;
    if (!is_tag(tag) || !in_store(o, tag, path))
        return bad_name(tag, e);
    if (mkdir(snapshots_dir(o), 0777) != 0 && errno != EEXIST)
        return err_set(e, "%s: %s; -snapshots names the folder of snapshots", snapshots_dir(o),
                       strerror(errno));
    return access(path, F_OK) != 0 || look(path, tag, &x) ||
           err_set(e, "%.200s: is there and is no snapshot", path);
}

bool snapshots_save(struct steer *s, const char *name, struct err *e)
{
    char path[PATH_MAX], tag[32];
    if (name && is_file(name))
        return machine_save(s->machine, name, e);
    snprintf(tag, sizeof tag, "tick-%" PRIu64, machine_tick(s->machine));
    return open_store(s->o, name ? name : tag, path, e) && machine_save(s->machine, path, e);
}

/* They follow the ticks of one run. */
static bool watchers_allow(const struct options *o, struct err *e)
{
    const char *option = o->profile_file   ? "-profile"
                         : o->account_file ? "-account"
                         : o->trace_file   ? "-trace"
                                           : NULL;
    return !option || err_set(e, "not with %s, which watches one run from its beginning to its end", option);
}

bool snapshots_load(struct steer *s, const char *name, struct err *e)
{
    char path[PATH_MAX];
    snapshots_path(s->o, name, path);
    if (!watchers_allow(s->o, e) || !machine_load(s->machine, path, e))
        return false;
    steer_was_loaded(s);
    return true;
}

bool snapshots_delete(const struct options *o, const char *tag, struct err *e)
{
    char path[PATH_MAX];
    struct snapshots_entry x;
    if (!is_tag(tag) || !in_store(o, tag, path))
        return err_set(e, "%.100s: a tag of info snapshots is accepted", tag);
    if (!look(path, tag, &x))
        return err_set(e, "%.200s: no snapshot of this tag is in %.200s", tag, snapshots_dir(o));
    return unlink(path) == 0 || err_set(e, "%.200s: %s", path, strerror(errno));
}
