/* jsonrows.c - see jsonrows.h. */
#include "observe/jsonrows.h"

#include "observe/profilefile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 1100u /* of one name or file */
#define ROW_MAX  (2 * 2 * TEXT_MAX + 64)

/* The text as the inside of a JSON string; what is too long is cut. */
static const char *escape(char out[2 * TEXT_MAX + 1], const char *text)
{
    char *to = out;
    for (size_t i = 0; text[i] && i < TEXT_MAX; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            *to++ = '\\';
        *to++ = c < 0x20 || c > 0x7e ? '?' : (char)c;
    }
    *to = 0;
    return out;
}

void jsonrows_end(struct json_rows *r)
{
    if (r->used == 0)
        return;
    strcpy(r->text + r->used, "]}");
    profile_put_json(r->writer, r->text);
    r->used = 0;
}

static void begin_record(struct json_rows *r, uint64_t space)
{
    r->space = space;
    r->used = (size_t)sprintf(r->text, "{\"type\":\"symbols\",\"space\":%" PRIu64, space);
    if (r->to)
        r->used += (size_t)sprintf(r->text + r->used, ",\"from\":%" PRIu64, r->from);
    if (r->to && r->to <= INT64_MAX)
        r->used += (size_t)sprintf(r->text + r->used, ",\"to\":%" PRIu64, r->to);
    r->used += (size_t)sprintf(r->text + r->used, ",\"rows\":[");
}

void jsonrows_add(struct json_rows *r, uint64_t space, uint32_t first, uint32_t end, const char *name,
                  const char *file)
{
    char a[2 * TEXT_MAX + 1], b[2 * TEXT_MAX + 1];
    if (r->used && (space != r->space || r->used + ROW_MAX > sizeof r->text))
        jsonrows_end(r);
    if (r->used)
        r->text[r->used++] = ',';
    else
        begin_record(r, space);
    int n = sprintf(r->text + r->used, "[%" PRIu32 ",%" PRIu32 ",\"%s\",\"%s\"]", first, end, escape(a, name),
                    escape(b, file));
    r->used += (size_t)n;
}

void jsonrows_linux_task(struct profile_writer *w, uint32_t id, const char *name, uint32_t pid, uint32_t tid)
{
    char a[2 * TEXT_MAX + 1], text[2 * TEXT_MAX + 128];
    snprintf(text, sizeof text,
             "{\"type\":\"task\",\"id\":%" PRIu32 ",\"os\":\"linux\",\"name\":\"%s\",\"pid\":%" PRIu32
             ",\"tid\":%" PRIu32 "}",
             id, escape(a, name), pid, tid);
    profile_put_json(w, text);
}

void jsonrows_minix_task(struct profile_writer *w, uint32_t id, const char *name, int32_t endpoint)
{
    char a[2 * TEXT_MAX + 1], text[2 * TEXT_MAX + 128];
    snprintf(text, sizeof text,
             "{\"type\":\"task\",\"id\":%" PRIu32 ",\"os\":\"minix\",\"name\":\"%s\",\"endpoint\":%" PRId32
             "}",
             id, escape(a, name), endpoint);
    profile_put_json(w, text);
}
