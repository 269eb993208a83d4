/* vncclient.c - see vncclient.h. RFC 6143 has the messages; 7.5 those of clients. */
#include "cli/vncclient.h"

#include "clockcore/clock.h"

#include <errno.h>
#include <poll.h>
#include <rfb/rfbregion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define VERSION_BYTES 12
#define ENCODINGS_MAX 1024 /* of one SetEncodings */
#define IN_MAX        (4 + 4 * ENCODINGS_MAX)
#define MESSAGES_MAX  16 /* taken from a client before the others have their turn */
#define QUEUE_MAX     (64 << 20)
#define GREETING_NS   UINT64_C(10000000000) /* a client says so soon what it wants */
#define STALLED_NS    UINT64_C(30000000000) /* a client reads something so soon */
#define NOT_SERVED    SIZE_MAX
#define PIECE         16384
static const char version[] = "RFB 003.008\n";

enum message { /* RFC 6143, 7.5; the last is UltraVNC's */
               SET_PIXEL_FORMAT = 0,
               SET_ENCODINGS = 2,
               UPDATE_REQUEST = 3,
               KEY_EVENT = 4,
               POINTER_EVENT = 5,
               CUT_TEXT = 6,
               SET_SCALE = 8,
};

struct vnc_client {
    int fd;    /* the connection */
    int inner; /* the other end of the socket that the library reads; -1: it does not know of the client */
    int queue; /* a file in memory; the bytes from `sent` to `queued` wait to be sent */
    off_t sent, queued;
    rfbClientPtr rfb;  /* NULL: the version of the client is not known yet */
    uint64_t moved_ns; /* host time at which the client last did what it was waited for */
    uint32_t skip;     /* bytes that follow and interest nobody */
    size_t nin;
    uint8_t in[IN_MAX];
};

static unsigned be16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* --- to the client --- */

static bool append(struct vnc_client *c, const void *bytes, size_t n)
{
    const bool whole = pwrite(c->queue, bytes, n, c->queued) == (ssize_t)n;
    c->queued += (off_t)n;
    return whole && c->queued - c->sent <= QUEUE_MAX;
}

/* Not by sendfile(2): what it has sent and the client has not read is still the file's, which is written
 * anew. */
static ssize_t send_piece(struct vnc_client *c)
{
    uint8_t bytes[PIECE];
    const size_t left = (size_t)(c->queued - c->sent);
    const ssize_t n = pread(c->queue, bytes, left < PIECE ? left : PIECE, c->sent);
    return n <= 0 ? n : send(c->fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A queue that is empty begins anew. */
static bool flush(struct vnc_client *c)
{
    ssize_t n = 0;
    while (c->sent < c->queued && (n = send_piece(c)) > 0) {
        c->sent += n;
        c->moved_ns = clock_realtime_ns();
    }
    if (c->sent == c->queued)
        c->sent = c->queued = 0;
    return n > 0 || c->queued == 0 || errno == EAGAIN || errno == EINTR;
}

/* What the library said outside updates: a few hundred bytes, which its socket holds. */
static bool take_replies(struct vnc_client *c)
{
    uint8_t bytes[PIECE];
    for (ssize_t n; (n = read(c->inner, bytes, sizeof bytes)) > 0;)
        if (!append(c, bytes, (size_t)n))
            return false;
    return true;
}

/* --- from the client --- */

/* What the library looks at of TLS and WebSockets is the first bytes, so it is told of a client when these
 * are there and begin a version. It says its own version, which the client has heard. */
static bool introduce(struct vnc_client *c, rfbScreenInfoPtr screen)
{
    int pair[2];
    uint8_t heard[VERSION_BYTES];
    if (memcmp(c->in, version, 4) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    c->inner = pair[0];
    if (write(c->inner, c->in, VERSION_BYTES) != VERSION_BYTES) {
        close(pair[1]);
        return false;
    }
    c->rfb = rfbNewClient(screen, pair[1]);
    if (!c->rfb || read(c->inner, heard, sizeof heard) != VERSION_BYTES)
        return false;
    rfbProcessClientMessage(c->rfb);
    return take_replies(c) && c->rfb->sock >= 0;
}

/* Of the message at the head of `in`, as far as it is known. */
static size_t normal_bytes(const struct vnc_client *c)
{
    static const uint8_t bytes[] = {
        [SET_PIXEL_FORMAT] = 20, [SET_ENCODINGS] = 4, [UPDATE_REQUEST] = 10, [KEY_EVENT] = 8,
        [POINTER_EVENT] = 6,     [CUT_TEXT] = 8,      [SET_SCALE] = 4};
    const unsigned type = c->in[0];
    if (type >= sizeof bytes || !bytes[type])
        return NOT_SERVED;
    if (type != SET_ENCODINGS || c->nin < 4)
        return bytes[type];
    const unsigned n = be16(c->in + 2);
    return n <= ENCODINGS_MAX ? 4 + 4 * (size_t)n : NOT_SERVED;
}

static size_t message_bytes(const struct vnc_client *c)
{
    if (!c->rfb)
        return VERSION_BYTES;
    switch (c->rfb->state) {
    case RFB_SECURITY_TYPE:
    case RFB_INITIALISATION:
        return 1;
    case RFB_AUTHENTICATION:
        return CHALLENGESIZE;
    case RFB_NORMAL:
        return normal_bytes(c);
    default:
        return NOT_SERVED;
    }
}

static bool colour_is_served(unsigned max, unsigned shift, unsigned pixel_bits)
{
    unsigned bits = 0;
    while (max >> bits)
        bits++;
    return max != 0 && (max & (max + 1)) == 0 && shift + bits <= pixel_bits;
}

/* m: the message of SetPixelFormat. The library computes with what it says. */
static bool format_is_served(const uint8_t *m)
{
    const unsigned bits = m[4];
    if (bits != 8 && bits != 16 && bits != 32)
        return false;
    if (!m[7]) /* a colour map */
        return bits == 8;
    return colour_is_served(be16(m + 8), m[14], bits) && colour_is_served(be16(m + 10), m[15], bits) &&
           colour_is_served(be16(m + 12), m[16], bits);
}

static bool encoding_is_served(int32_t e)
{
    static const int32_t served[] = {rfbEncodingRaw,
                                     rfbEncodingCopyRect,
                                     rfbEncodingRRE,
                                     rfbEncodingHextile,
                                     rfbEncodingZlib,
                                     rfbEncodingTight,
                                     rfbEncodingZRLE,
                                     (int32_t)rfbEncodingNewFBSize,
                                     (int32_t)rfbEncodingLastRect};
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        if (e == served[i])
            return true;
    return (e >= (int32_t)rfbEncodingQualityLevel0 && e <= (int32_t)rfbEncodingQualityLevel9) ||
           (e >= (int32_t)rfbEncodingCompressLevel0 && e <= (int32_t)rfbEncodingCompressLevel9);
}

/* Leaves the encodings that are served; what is in `in` behind the message stays. The new size. */
static size_t choose_encodings(uint8_t *m, size_t bytes)
{
    size_t kept = 4;
    for (size_t at = 4; at < bytes; at += 4)
        if (encoding_is_served((int32_t)be32(m + at))) {
            memmove(m + kept, m + at, 4);
            kept += 4;
        }
    m[2] = (uint8_t)((kept - 4) / 4 >> 8);
    m[3] = (uint8_t)((kept - 4) / 4);
    return kept;
}

/* One whole message, to the library or to nobody. */
static bool pass(struct vnc_client *c, size_t bytes)
{
    const bool normal = c->rfb->state == RFB_NORMAL;
    const unsigned type = c->in[0];
    if (normal && type == CUT_TEXT)
        c->skip = be32(c->in + 4);
    if (normal && (type == CUT_TEXT || type == SET_SCALE))
        return true;
    if (normal && type == SET_PIXEL_FORMAT && !format_is_served(c->in))
        return false;
    if (normal && type == SET_ENCODINGS)
        bytes = choose_encodings(c->in, bytes);
    if (write(c->inner, c->in, bytes) != (ssize_t)bytes)
        return false;
    rfbProcessClientMessage(c->rfb);
    if (!normal)
        c->moved_ns = clock_realtime_ns();
    return take_replies(c) && c->rfb->sock >= 0;
}

static void drop(struct vnc_client *c, size_t bytes)
{
    c->nin -= bytes;
    memmove(c->in, c->in + bytes, c->nin);
}

static void skip(struct vnc_client *c)
{
    const size_t n = c->skip < c->nin ? c->skip : c->nin;
    c->skip -= (uint32_t)n;
    drop(c, n);
}

/* A new pixel format is work (tables of colours), so it ends the client's turn. */
static bool take_messages(struct vnc_client *c, rfbScreenInfoPtr screen)
{
    bool formatted = false;
    skip(c);
    for (unsigned n = 0; n < MESSAGES_MAX && c->nin && !formatted; n++) {
        const size_t bytes = message_bytes(c);
        if (bytes == NOT_SERVED)
            return false;
        if (c->nin < bytes)
            return true;
        formatted = c->rfb && c->rfb->state == RFB_NORMAL && c->in[0] == SET_PIXEL_FORMAT;
        if (!(c->rfb ? pass(c, bytes) : introduce(c, screen)))
            return false;
        drop(c, bytes);
        skip(c);
    }
    return true;
}

static bool receive(struct vnc_client *c)
{
    if (c->nin == sizeof c->in)
        return true;
    const ssize_t n = recv(c->fd, c->in + c->nin, sizeof c->in - c->nin, MSG_DONTWAIT);
    c->nin += n > 0 ? (size_t)n : 0;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* A client that is through with its greeting may say nothing for as long as it likes. */
static bool is_late(const struct vnc_client *c)
{
    const uint64_t waited_ns = clock_realtime_ns() - c->moved_ns;
    return vnc_client_is_greeted(c) ? c->sent < c->queued && waited_ns > STALLED_NS : waited_ns > GREETING_NS;
}

bool vnc_client_serve(struct vnc_client *c, rfbScreenInfoPtr screen)
{
    const bool served = receive(c) && take_messages(c, screen);
    return flush(c) && served && !is_late(c);
}

bool vnc_client_is_greeted(const struct vnc_client *c)
{
    return c->rfb && c->rfb->state == RFB_NORMAL;
}

bool vnc_client_wants_update(const struct vnc_client *c)
{
    return vnc_client_is_greeted(c) && c->sent == c->queued && !sraRgnEmpty(c->rfb->requestedRegion);
}

/* The library writes at the file's own place, and closes what it cannot write to. It is called where no
 * update can be made, too, for the places of the pointer that it keeps back. */
bool vnc_client_update(struct vnc_client *c)
{
    if (!vnc_client_is_greeted(c))
        return true;
    const int own = c->rfb->sock;
    if (c->sent == c->queued)
        c->moved_ns = clock_realtime_ns();
    c->rfb->onHold = c->sent != c->queued;
    lseek(c->queue, c->queued, SEEK_SET);
    c->rfb->sock = c->queue;
    rfbUpdateClient(c->rfb);
    const bool failed = c->rfb->sock != c->queue;
    c->rfb->sock = own;
    if (failed) {
        c->queue = -1;
        return false;
    }
    c->queued = lseek(c->queue, 0, SEEK_CUR);
    return flush(c);
}

int vnc_client_fd(const struct vnc_client *c)
{
    return c->fd;
}

short vnc_client_events(const struct vnc_client *c)
{
    return (short)(POLLIN | (c->sent < c->queued ? POLLOUT : 0));
}

/* --- start and end --- */

struct vnc_client *vnc_client_new(int fd)
{
    struct vnc_client *c = calloc(1, sizeof *c);
    const int queue = c ? memfd_create("vnc", MFD_CLOEXEC) : -1;
    if (queue < 0) {
        free(c);
        close(fd);
        return NULL;
    }
    c->fd = fd;
    c->inner = -1;
    c->queue = queue;
    c->moved_ns = clock_realtime_ns();
    append(c, version, VERSION_BYTES);
    return c;
}

void vnc_client_free(struct vnc_client *c)
{
    if (c->rfb) {
        if (c->rfb->sock >= 0)
            rfbCloseClient(c->rfb);
        rfbClientConnectionGone(c->rfb);
    }
    if (c->inner >= 0)
        close(c->inner);
    if (c->queue >= 0)
        close(c->queue);
    close(c->fd);
    free(c);
}
