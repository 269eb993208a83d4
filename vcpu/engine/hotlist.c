/* hotlist.c - -d hot=N: the N blocks in which the guest was most, with what was made of them and what each
 * host instruction is for.
 *
 * With that option compiled code counts the executions of each block; interpreted ones, the first few of a
 * block, are not counted. Blocks whose memory is about to be reused leave their counts and their text here,
 * if they are among the first so far. A block's host code is compiled once more to learn which byte is for
 * what: the same code, since it is a function of the block. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clockcore/check.h"
#include "translator/x64/disas.h"
#include "vcpu/engine/engine.h"

struct hot_block {
    uint32_t lin_addr, phys_addr, mode;
    unsigned ninsns;
    uint64_t executions, insns;    /* of the guest */
    uint64_t host[X64_PART_COUNT]; /* host instructions, on the main path */
    char *text, *json;             /* what follows the head; owned */
};

struct hotlist {
    unsigned n, max;
    struct hot_block block[]; /* max + 1 of them; the most guest instructions first */
};

/* --- a list --- */

static struct hotlist *list_create(unsigned max)
{
    struct hotlist *l = calloc(1, sizeof *l + (max + 1) * sizeof l->block[0]);
    if (l)
        l->max = max;
    return l;
}

static void list_free(struct hotlist *l)
{
    for (unsigned i = 0; l && i < l->n; i++) {
        free(l->block[i].text);
        free(l->block[i].json);
    }
    free(l);
}

bool hotlist_init(struct vcpu *v)
{
    if (!v->cfg.hot_list)
        return true;
    v->hot = list_create(v->cfg.hot_list);
    if (v->hot && v->native)
        x64_count_executions(v->native);
    return v->hot;
}

void hotlist_free(struct vcpu *v)
{
    list_free(v->hot);
    v->hot = NULL;
}

/* Takes the block over. */
static void list_insert(struct hotlist *l, const struct hot_block *b)
{
    unsigned at = l->n++;
    for (; at > 0 && l->block[at - 1].insns < b->insns; at--)
        l->block[at] = l->block[at - 1];
    l->block[at] = *b;
    if (l->n <= l->max)
        return;
    free(l->block[--l->n].text);
    free(l->block[l->n].json);
}

static bool list_wants(const struct hotlist *l, uint64_t insns)
{
    return insns > 0 && (l->n < l->max || insns > l->block[l->n - 1].insns);
}

static struct hotlist *list_copy(const struct hotlist *from)
{
    struct hotlist *l = list_create(from->max);
    for (unsigned i = 0; l && i < from->n; i++) {
        l->block[i] = from->block[i];
        l->block[i].text = strdup(from->block[i].text);
        l->block[i].json = strdup(from->block[i].json);
        l->n++;
    }
    return l;
}

/* --- what a block consists of, as text and as JSON --- */

struct writer {
    FILE *text, *json;
    const struct x64_block_parts *parts;
    bool first; /* of an array */
};

/* A JSON string's inside: what is written here is ASCII. */
static void json_text(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            fputc(*text, out);
}

static void item_begin(struct writer *w)
{
    fputs(w->first ? "\n  " : ",\n  ", w->json);
    w->first = false;
}

static void array_begin(struct writer *w, const char *name)
{
    fprintf(w->json, ",\n \"%s\": [", name);
    w->first = true;
}

/* Lines of text: each an item. */
static void write_lines(struct writer *w, char *lines)
{
    for (char *save = NULL, *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        fprintf(w->text, "    %s\n", line);
        item_begin(w);
        fputc('"', w->json);
        json_text(w->json, line);
        fputc('"', w->json);
    }
    fputc(']', w->json);
}

static void write_captured(struct writer *w, const char *name, const struct vcpu *v, const struct tb *tb,
                           void (*print)(FILE *out, const struct vcpu *v, const struct tb *tb))
{
    char *lines = NULL;
    size_t bytes;
    FILE *out = open_memstream(&lines, &bytes);
    if (!out)
        return;
    print(out, v, tb);
    fclose(out);
    fprintf(w->text, "  %s:\n", name);
    array_begin(w, name);
    write_lines(w, lines);
    free(lines);
}

static const char *part_name(const struct x64_block_parts *p, uint32_t offset)
{
    return offset >= p->far ? "far" : x64_part_names[p->of[offset]];
}

static void write_host_line(void *ctx, uint32_t offset, unsigned bytes, const char *text)
{
    struct writer *w = ctx;
    const char *part = part_name(w->parts, offset);
    if (offset && offset == w->parts->copy)
        fputs("    second copy:\n", w->text);
    if (offset && offset == w->parts->copy_head && offset != w->parts->copy)
        fputs("    an iteration:\n", w->text);
    if (offset == w->parts->far)
        fputs("    off the main path:\n", w->text);
    fprintf(w->text, "    %-8s%2u  %s\n", part, bytes, text);
    item_begin(w);
    fprintf(w->json, "{\"part\": \"%s\", \"offset\": %" PRIu32 ", \"bytes\": %u, \"text\": \"", part, offset,
            bytes);
    json_text(w->json, text);
    fputs("\"}", w->json);
}

static void write_host(struct writer *w, const struct vcpu *v, const struct tb *tb)
{
    const struct x64_block_parts *p = w->parts;
    array_begin(w, "host");
    if (tb->native.code && tb->native.bytes == p->nbytes) {
        fprintf(w->text, "  host: %" PRIu32 " bytes, %" PRIu32 " of them off the main path\n", p->nbytes,
                p->nbytes - p->far);
        x64_disas_each(v->native, tb, X64_DISAS_ADDRESSES, write_host_line, w);
    } else {
        fputs("  host: the code is gone\n", w->text);
    }
    fputc(']', w->json);
}

static void write_guest(FILE *out, const struct vcpu *v, const struct tb *tb)
{
    blocklog_guest(out, v, tb);
}

static void write_ir(FILE *out, const struct vcpu *v, const struct tb *tb)
{
    (void)v;
    for (unsigned i = 0; i < tb->nops; i++)
        ir_print(out, &tb->ops[i]);
}

static bool write_block(struct vcpu *v, const struct tb *tb, const struct x64_block_parts *parts,
                        struct hot_block *b)
{
    size_t bytes;
    struct writer w = {open_memstream(&b->text, &bytes), open_memstream(&b->json, &bytes), parts, true};
    if (w.text && w.json) {
        write_captured(&w, "guest", v, tb, write_guest);
        write_captured(&w, "ir", v, tb, write_ir);
        write_host(&w, v, tb);
    }
    const bool ok = w.text && w.json;
    if (w.text)
        fclose(w.text);
    if (w.json)
        fclose(w.json);
    return ok;
}

/* --- taking blocks --- */

static void count_host(struct hot_block *b, const struct tb *tb, const struct x64_block_parts *p)
{
    unsigned insns[2][X64_PART_COUNT] = {0};
    x64_count_parts(p, tb->native.chained, p->copy ? p->copy : p->far, insns[0]);
    if (p->copy)
        x64_count_parts(p, p->copy_head, p->far, insns[1]);
    for (unsigned copy = 0; copy < 2; copy++)
        for (unsigned part = 0; part < X64_PART_COUNTER; part++)
            b->host[part] += tb_executions(tb)[copy] * insns[copy][part];
}

static void take_block(struct vcpu *v, struct tb *tb, void *ctx)
{
    struct hotlist *l = ctx;
    struct x64_block_parts parts;
    struct hot_block b = {
        tb->lin_addr, tb->phys_addr, tb->mode, tb->ninsns, tb_executions(tb)[0] + tb_executions(tb)[1],
        .text = NULL};
    b.insns = b.executions * b.ninsns;
    if (!list_wants(l, b.insns))
        return;
    compiling_parts(v, tb, &parts);
    count_host(&b, tb, &parts);
    if (write_block(v, tb, &parts, &b)) {
        list_insert(l, &b);
        return;
    }
    free(b.text);
    free(b.json);
}

void hotlist_keep(struct vcpu *v)
{
    if (v->native)
        tbcache_each(v, take_block, v->hot);
}

/* --- the list for people and programs --- */

static double share(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static uint64_t host_insns(const struct hot_block *b)
{
    uint64_t sum = 0;
    for (unsigned part = 0; part < X64_PART_COUNTER; part++)
        sum += b->host[part];
    return sum;
}

static void print_parts(FILE *out, FILE *json, const struct hot_block *b)
{
    const uint64_t all = host_insns(b);
    fprintf(out, "  %.2f host instructions per instruction:", b->insns ? (double)all / (double)b->insns : 0);
    if (json)
        fprintf(json, ",\n \"host_instructions\": %" PRIu64 ", \"parts\": {", all);
    for (unsigned part = 0; part < X64_PART_COUNTER; part++) {
        fprintf(out, " %s %.1f %%", x64_part_names[part], share(b->host[part], all));
        if (json)
            fprintf(json, "%s\"%s\": %" PRIu64, part ? ", " : "", x64_part_names[part], b->host[part]);
    }
    fputc('\n', out);
    if (json)
        fputc('}', json);
}

static void print_block(FILE *out, FILE *json, unsigned number, const struct hot_block *b, uint64_t icount)
{
    fprintf(out,
            "HOT %u: 0x%08" PRIx32 ", memory 0x%08" PRIx32 ", %s%s: %" PRIu64
            " executions of %u instructions, %.2f %% of all\n",
            number, b->lin_addr, b->phys_addr, b->mode & TB_MODE_USER ? "user" : "kernel",
            b->mode & TB_MODE_FLAT ? "" : ", not flat", b->executions, b->ninsns, share(b->insns, icount));
    if (json)
        fprintf(json,
                "%s{\"address\": %" PRIu32 ", \"memory\": %" PRIu32 ", \"mode\": %" PRIu32
                ", \"user\": %s, \"flat\": %s,\n"
                " \"executions\": %" PRIu64 ", \"block_instructions\": %u, \"instructions\": %" PRIu64,
                number > 1 ? ",\n" : "", b->lin_addr, b->phys_addr, b->mode,
                b->mode & TB_MODE_USER ? "true" : "false", b->mode & TB_MODE_FLAT ? "true" : "false",
                b->executions, b->ninsns, b->insns);
    print_parts(out, json, b);
    fputs(b->text, out);
    if (json)
        fprintf(json, "%s}", b->json);
    fputc('\n', out);
}

static void print_list(FILE *out, FILE *json, const struct hotlist *l, uint64_t icount)
{
    struct hot_block all = {0};
    if (json)
        fprintf(json, "{\"all_instructions\": %" PRIu64 ", \"blocks\": [\n", icount);
    for (unsigned i = 0; i < l->n; i++) {
        print_block(out, json, i + 1, &l->block[i], icount);
        all.insns += l->block[i].insns;
        for (unsigned part = 0; part < X64_PART_COUNTER; part++)
            all.host[part] += l->block[i].host[part];
    }
    fprintf(out, "HOT all %u: %.2f %% of all %" PRIu64 " instructions\n", l->n, share(all.insns, icount),
            icount);
    if (json)
        fprintf(json, "\n],\n\"instructions\": %" PRIu64, all.insns);
    print_parts(out, json, &all);
    if (json)
        fputs("}\n", json);
}

void vcpu_list_hot(struct vcpu *v, FILE *out, FILE *json)
{
    struct hotlist *l = v->hot ? list_copy(v->hot) : NULL;
    if (!l)
        return;
    if (v->native)
        tbcache_each(v, take_block, l);
    struct vcpu_stats s;
    vcpu_get_stats(v, &s);
    print_list(out, json, l, s.icount);
    list_free(l);
}
