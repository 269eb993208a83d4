/* record.c - see record.h.
 *
 * The file: a line of text ("tandem-oracle 1 VENDOR NAME", with ", in 64-bit form" behind it where that is
 * so), the data image, the pool's states, then cases. A block of bytes that is like another one is written as
 * runs that differ: offset and length (16 bits each), the bytes; a length of 0 ends it. Numbers are
 * little-endian. A case begins with its code's length; 0 ends the file. */
#include "tests/oracle/record.h"

#include <stdlib.h>
#include <string.h>

enum { IS_SEQUENCE = 1, FETCH_FAULT = 2, GAP = 4 };

/* --- writing --- */

static void put(struct record *r, const void *p, size_t n)
{
    fwrite(p, 1, n, r->file);
}

static void put16(struct record *r, unsigned v)
{
    put(r, (const uint8_t[]){(uint8_t)v, (uint8_t)(v >> 8)}, 2);
}

static void put32(struct record *r, uint32_t v)
{
    put16(r, v & 0xffff), put16(r, v >> 16);
}

/* Where the run that begins at `at` ends: so many equal bytes behind it. */
static uint32_t run_end(const uint8_t *from, const uint8_t *to, uint32_t at, uint32_t n)
{
    uint32_t end = at + 1;
    for (uint32_t i = at + 1; i < n && i < end + GAP; i++)
        if (from[i] != to[i])
            end = i + 1;
    return end;
}

static void put_difference(struct record *r, const void *from, const void *to, uint32_t n)
{
    const uint8_t *a = from, *b = to;
    for (uint32_t at = 0; at < n; at++) {
        if (a[at] == b[at])
            continue;
        const uint32_t end = run_end(a, b, at, n);
        put16(r, at), put16(r, end - at);
        put(r, b + at, end - at);
        at = end;
    }
    put16(r, 0), put16(r, 0);
}

void record_begin(struct record *r, FILE *to)
{
    char cpu[49];
    r->file = to;
    r->vendor = vendor_of_host(cpu);
    for (size_t n = strlen(cpu); n && cpu[n - 1] == ' '; n--)
        cpu[n - 1] = 0;
    snprintf(r->cpu, sizeof r->cpu, "%s%s", cpu, native_is_form64() ? ", in 64-bit form" : "");
    fprintf(to, "tandem-oracle 1 %d %s\n", (int)r->vendor, r->cpu);
    put(r, r->pool[0].data, DATA_BYTES);
    for (unsigned i = 0; i < RECORD_POOL; i++)
        put(r, &r->pool[i].in, sizeof r->pool[i].in);
}

void record_write(struct record *r, unsigned pool, const struct recorded_case *rc)
{
    const struct test_case *c = &rc->c, *base = &r->pool[pool];
    const struct test_result *n = &rc->cpu;
    put16(r, c->code_bytes);
    put(r, c->code, c->code_bytes);
    put16(r, pool);
    put_difference(r, &base->in, &c->in, sizeof c->in);
    put_difference(r, base->data, c->data, DATA_BYTES);
    put16(r, (rc->is_sequence ? IS_SEQUENCE : 0) | (n->fetch_fault ? FETCH_FAULT : 0));
    put16(r, n->vector);
    put32(r, n->error), put32(r, n->cr2);
    put_difference(r, &c->in, &n->out, sizeof n->out);
    put_difference(r, c->data, n->data, DATA_BYTES);
}

bool record_end(struct record *r)
{
    put16(r, 0);
    return fflush(r->file) == 0 && !ferror(r->file);
}

/* --- reading --- */

static void get(struct record *r, void *p, size_t n)
{
    if (!r->bad && fread(p, 1, n, r->file) == n)
        return;
    memset(p, 0, n);
    r->bad = true;
}

static unsigned get16(struct record *r)
{
    uint8_t b[2];
    get(r, b, 2);
    return b[0] | (unsigned)b[1] << 8;
}

static uint32_t get32(struct record *r)
{
    const uint32_t low = get16(r);
    return low | (uint32_t)get16(r) << 16;
}

static void get_difference(struct record *r, void *to, uint32_t n)
{
    for (;;) {
        const uint32_t at = get16(r), bytes = get16(r);
        if (bytes == 0)
            return;
        if (at + bytes > n) {
            r->bad = true;
            return;
        }
        get(r, (uint8_t *)to + at, bytes);
    }
}

bool record_open(struct record *r, FILE *from)
{
    char line[128];
    *r = (struct record){.file = from};
    static const char head[] = "tandem-oracle 1 ";
    char *cpu = NULL;
    if (!fgets(line, sizeof line, from) || strncmp(line, head, sizeof head - 1) != 0)
        return false;
    long vendor = strtol(line + sizeof head - 1, &cpu, 10);
    if (*cpu != ' ' || (vendor != VENDOR_INTEL && vendor != VENDOR_AMD))
        return false;
    line[strcspn(line, "\n")] = 0;
    snprintf(r->cpu, sizeof r->cpu, "%s", cpu + 1);
    r->vendor = (enum vendor)vendor;
    get(r, r->pool[0].data, DATA_BYTES);
    for (unsigned i = 0; i < RECORD_POOL; i++) {
        get(r, &r->pool[i].in, sizeof r->pool[i].in);
        memcpy(r->pool[i].data, r->pool[0].data, DATA_BYTES);
    }
    return !r->bad;
}

bool record_read(struct record *r, struct recorded_case *rc)
{
    struct test_case *c = &rc->c;
    struct test_result *n = &rc->cpu;
    c->code_bytes = get16(r);
    r->bad |= c->code_bytes > CASE_CODE_MAX;
    if (r->bad || c->code_bytes == 0)
        return false;
    memset(c->code, 0xcc, sizeof c->code);
    get(r, c->code, c->code_bytes);
    const unsigned pool = get16(r);
    if (pool >= RECORD_POOL) {
        r->bad = true;
        return false;
    }
    c->in = r->pool[pool].in;
    memcpy(c->data, r->pool[pool].data, DATA_BYTES);
    get_difference(r, &c->in, sizeof c->in);
    get_difference(r, c->data, DATA_BYTES);
    r->bad |= c->in.eip < CODE_BASE || c->in.eip > CODE_BASE + CODE_BYTES - CASE_CODE_MAX;
    const unsigned flags = get16(r);
    rc->is_sequence = flags & IS_SEQUENCE, n->fetch_fault = flags & FETCH_FAULT;
    n->vector = get16(r);
    n->error = get32(r), n->cr2 = get32(r);
    n->out = c->in;
    memcpy(n->data, c->data, DATA_BYTES);
    get_difference(r, &n->out, sizeof n->out);
    get_difference(r, n->data, DATA_BYTES);
    return !r->bad;
}
