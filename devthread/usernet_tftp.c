/* usernet_tftp.c - TFTP (RFC 1350) of the computed network: files are read, never written.
 *
 * Options (RFC 2347): blksize (RFC 2348) up to what one frame carries, tsize (RFC 2349). A block is sent when
 * the one before is acknowledged, and again when that one is acknowledged again. */
#include "devthread/usernet_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { RRQ = 1, WRQ, DATA, ACK, ERROR, OACK };
enum { ERROR_NOT_FOUND = 1, ERROR_ACCESS = 2, ERROR_OPERATION = 4 };

#define BLOCK_BYTES     512 /* without an option */
#define BLOCK_BYTES_MAX (USERNET_DATA_BYTES - 4)

static void reply(struct usernet *n, const struct usernet_datagram *d, const uint8_t *data, uint32_t bytes)
{
    usernet_send_udp(n, d, d->mac, d->source, d->source_port, data, bytes);
}

static void fail(struct usernet *n, const struct usernet_datagram *d, unsigned code, const char *text)
{
    uint8_t m[64] = {0, ERROR, 0, (uint8_t)code};
    const uint32_t bytes = (uint32_t)strlen(text) + 1;

    memcpy(m + 4, text, bytes);
    reply(n, d, m, 4 + bytes);
}

/* --- sessions --- */

static struct usernet_session *session_of(struct usernet *n, const struct usernet_datagram *d)
{
    for (unsigned i = 0; i < USERNET_SESSIONS; i++)
        if (n->st.session[i].peer == d->source && n->st.session[i].port == d->source_port)
            return &n->st.session[i];
    return NULL;
}

/* The peer's own, a free one, or the oldest. */
static struct usernet_session *session_new(struct usernet *n, const struct usernet_datagram *d, uint32_t file)
{
    struct usernet_session *s = session_of(n, d), *oldest = &n->st.session[0];

    for (unsigned i = 0; !s && i < USERNET_SESSIONS; i++)
        if (n->st.session[i].used_ns < oldest->used_ns)
            oldest = &n->st.session[i];
    s = s ? s : oldest;
    *s = (struct usernet_session){.used_ns = d->now_ns,
                                  .peer = d->source,
                                  .file = file,
                                  .block_bytes = BLOCK_BYTES,
                                  .port = d->source_port};
    memcpy(s->mac, d->mac, 6);
    return s;
}

/* Bytes of block `block`; the first that is not whole is the last. */
static uint32_t block_length(const struct usernet *n, const struct usernet_session *s, uint32_t block)
{
    const uint64_t at = (uint64_t)(block - 1) * s->block_bytes, bytes = n->file[s->file].bytes;

    if (at >= bytes)
        return 0;
    return bytes - at < s->block_bytes ? (uint32_t)(bytes - at) : s->block_bytes;
}

static void send_block(struct usernet *n, const struct usernet_datagram *d, const struct usernet_session *s)
{
    uint8_t m[USERNET_DATA_BYTES] = {0, DATA};
    const uint32_t bytes = block_length(n, s, s->block);

    be16_put(m + 2, s->block);
    if (bytes)
        memcpy(m + 4, n->file[s->file].data + (uint64_t)(s->block - 1) * s->block_bytes, bytes);
    reply(n, d, m, 4 + bytes);
}

static void acknowledged(struct usernet *n, const struct usernet_datagram *d)
{
    struct usernet_session *s = session_of(n, d);
    const uint16_t block = d->bytes >= 4 ? be16_get(d->data + 2) : 0;

    if (!s || d->bytes < 4)
        return;
    s->used_ns = d->now_ns;
    if (block == (uint16_t)s->block) {
        if (s->block > 0 && block_length(n, s, s->block) < s->block_bytes) {
            *s = (struct usernet_session){0};
            return;
        }
        s->block++;
    } else if (block != (uint16_t)(s->block - 1)) {
        return;
    }
    if (s->block > 0)
        send_block(n, d, s);
}

/* --- requests --- */

/* The text at *p, which moves behind its NUL; NULL: it has none. */
static const char *next_text(const uint8_t **p, uint32_t *bytes)
{
    const char *text = (const char *)*p;
    const uint8_t *nul = *bytes ? memchr(*p, 0, *bytes) : NULL;

    if (!nul)
        return NULL;
    *bytes -= (uint32_t)(nul + 1 - *p);
    *p = nul + 1;
    return text;
}

static int find_file(const struct usernet *n, const char *name)
{
    while (*name == '/')
        name++;
    for (unsigned i = 0; i < n->nfiles; i++)
        if (strcmp(n->file[i].name, name) == 0)
            return (int)i;
    return -1;
}

static uint8_t *put_text(uint8_t *p, const char *name, uint32_t value)
{
    p += sprintf((char *)p, "%s", name) + 1;
    return p + sprintf((char *)p, "%u", value) + 1;
}

/* True: there were options, and they are answered. */
static bool answer_options(struct usernet *n, const struct usernet_datagram *d, struct usernet_session *s,
                           const uint8_t *p, uint32_t bytes)
{
    uint8_t m[64] = {0, OACK}, *end = m + 2;
    bool blksize = false, tsize = false;
    const char *name, *value;

    while ((name = next_text(&p, &bytes)) && (value = next_text(&p, &bytes))) {
        const unsigned long v = strtoul(value, NULL, 10);
        if (strcasecmp(name, "blksize") == 0 && !blksize && v >= 8) {
            blksize = true;
            s->block_bytes = v < BLOCK_BYTES_MAX ? (uint32_t)v : BLOCK_BYTES_MAX;
            end = put_text(end, "blksize", s->block_bytes);
        } else if (strcasecmp(name, "tsize") == 0 && !tsize) {
            tsize = true;
            end = put_text(end, "tsize", n->file[s->file].bytes);
        }
    }
    if (end > m + 2)
        reply(n, d, m, (uint32_t)(end - m));
    return end > m + 2;
}

static void read_request(struct usernet *n, const struct usernet_datagram *d)
{
    const uint8_t *p = d->data + 2;
    uint32_t bytes = d->bytes - 2;
    const char *name = next_text(&p, &bytes), *mode = name ? next_text(&p, &bytes) : NULL;
    const int file = mode ? find_file(n, name) : -1;

    if (!mode || strcasecmp(mode, "octet") != 0) {
        fail(n, d, ERROR_OPERATION, "only mode octet is served");
        return;
    }
    if (file < 0) {
        fail(n, d, ERROR_NOT_FOUND, "no such file");
        return;
    }
    struct usernet_session *s = session_new(n, d, (uint32_t)file);
    if (answer_options(n, d, s, p, bytes))
        return;
    s->block = 1;
    send_block(n, d, s);
}

void usernet_tftp(struct usernet *n, const struct usernet_datagram *d)
{
    const unsigned op = d->bytes >= 2 ? be16_get(d->data) : 0;
    struct usernet_session *s = session_of(n, d);

    if (!d->source)
        return; /* no address to answer to */
    if (op == RRQ)
        read_request(n, d);
    else if (op == WRQ)
        fail(n, d, ERROR_ACCESS, "files here are only read");
    else if (op == ACK)
        acknowledged(n, d);
    else if (op == ERROR && s)
        *s = (struct usernet_session){0};
}
