/* vnc.c - -display vnc: the screen by RFB (RFC 6143), served by LibVNCServer.
 *
 * One thread does everything: it listens, asks the machine for pictures while a client wants one, draws them,
 * compares them tile by tile with what the clients have, and lets the library encode what differs. A picture
 * is asked for at most every PERIOD_MS, and by nobody while no client waits for an update. The thread waits
 * in one place, wait_for_work: a client that does not read or say the rest of its message holds nobody
 * (vncclient.h), and neither does it hold the machine.
 *
 * What is sent is the library's view of `frame`; the clipboard and file transfers are not served. */
#include "cli/display.h"

#include "cli/displaykeys.h"
#include "cli/tiles.h"
#include "cli/vncclient.h"
#include "clockcore/clock.h"
#include "clockcore/ticks.h"
#include "hw/vga_draw.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <rfb/rfb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_PORT   5900
#define PERIOD_MS    16
#define WAIT_MS      8
#define CLIENTS_MAX  DISPLAY_VIEWERS_MAX
#define FIRST_WIDTH  720
#define FIRST_HEIGHT 400

struct vnc {
    struct display d;
    int listen_fd;
    char *unlink_path; /* owned; NULL: none */
    char *password[2]; /* owned; the library's list */
    rfbScreenInfoPtr rfb;
    struct display_keys keys;
    rfbClientPtr key_client, pointer_client; /* whose keys and places they are; never followed */
    unsigned nclients;
    struct vnc_client *client[CLIENTS_MAX];
    bool told[CLIENTS_MAX]; /* as client: it has been told that this one is initialized */
    uint32_t *frame;        /* as clients have it: width * height */
    uint32_t *band;         /* TILE_ROWS rows, as drawn now */
    unsigned width, height;
    unsigned row; /* of the band that is compared */
    bool asked, drawn;
    pthread_mutex_t lock;                      /* of viewer: others ask, too */
    unsigned nviewers;                         /* as nclients */
    struct display_viewer viewer[CLIENTS_MAX]; /* as client */
    uint64_t asked_ns;                         /* host time */
    uint64_t changes_ns;                       /* virtual time: it blinks */
};

static struct vnc *vnc_of(rfbClientPtr c)
{
    return c->screen->screenData;
}

/* --- what clients do --- */

static void on_key(rfbBool down, rfbKeySym keysym, rfbClientPtr c)
{
    struct vnc *v = vnc_of(c);
    if (v->key_client != c)
        display_keys_release(&v->keys); /* else they would stay down when the other client goes */
    v->key_client = c;
    display_key(&v->keys, keysym, down);
}

static void on_pointer(int buttons, int x, int y, rfbClientPtr c)
{
    struct vnc *v = vnc_of(c);
    const int right = (int)v->width - 1, bottom = (int)v->height - 1;
    if (v->pointer_client != c)
        display_pointer_lost(&v->keys);
    v->pointer_client = c;
    display_pointer(&v->keys, x > right ? right : x, y > bottom ? bottom : y, (unsigned)buttons & 0x1F);
}

static void on_gone(rfbClientPtr c)
{
    struct vnc *v = vnc_of(c);
    if (v->key_client == c)
        display_keys_release(&v->keys);
    if (v->pointer_client == c)
        display_pointer_lost(&v->keys);
    if (v->pointer_client == c)
        v->pointer_client = NULL;
}

static enum rfbNewClientAction on_client(rfbClientPtr c)
{
    c->clientGoneHook = on_gone;
    return RFB_CLIENT_ACCEPT;
}

static struct display_viewer viewer_of(const struct sockaddr_storage *a, socklen_t bytes)
{
    struct display_viewer w = {.family = a->ss_family == AF_INET    ? "ipv4"
                                         : a->ss_family == AF_INET6 ? "ipv6"
                                                                    : "unix"};
    if (a->ss_family != AF_UNIX)
        getnameinfo((const struct sockaddr *)a, bytes, w.host, sizeof w.host, w.service, sizeof w.service,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    return w;
}

/* Client number `i`, which is the last one or takes the place of the one that has gone. */
static void note_viewers(struct vnc *v, unsigned i, const struct display_viewer *w)
{
    pthread_mutex_lock(&v->lock);
    v->viewer[i] = *w;
    v->nviewers = v->nclients;
    pthread_mutex_unlock(&v->lock);
}

static unsigned vnc_viewers(struct display *d, struct display_viewer to[DISPLAY_VIEWERS_MAX])
{
    struct vnc *v = (struct vnc *)d;
    pthread_mutex_lock(&v->lock);
    const unsigned n = v->nviewers;
    memcpy(to, v->viewer, n * sizeof *to);
    pthread_mutex_unlock(&v->lock);
    return n;
}

/* Of client number `i`. */
static void tell(const struct vnc *v, enum display_moment moment, unsigned i)
{
    struct sockaddr_storage own = {.ss_family = AF_UNIX};
    socklen_t bytes = sizeof own;
    if (!v->d.tell)
        return;
    getsockname(vnc_client_fd(v->client[i]), (struct sockaddr *)&own, &bytes);
    const struct display_viewer server = viewer_of(&own, bytes);
    v->d.tell(v->d.tell_ctx, moment, &server, &v->viewer[i]);
}

static void accept_client(struct vnc *v)
{
    struct sockaddr_storage from = {.ss_family = AF_UNIX};
    socklen_t bytes = sizeof from;
    const int one = 1,
              fd = accept4(v->listen_fd, (struct sockaddr *)&from, &bytes, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (v->nclients == CLIENTS_MAX) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a socket with a path has none */
    v->client[v->nclients] = vnc_client_new(fd);
    if (!v->client[v->nclients])
        return;
    const struct display_viewer w = viewer_of(&from, bytes);
    v->told[v->nclients++] = false;
    note_viewers(v, v->nclients - 1, &w);
    tell(v, VIEWER_CONNECTED, v->nclients - 1);
}

static void drop_client(struct vnc *v, unsigned i)
{
    tell(v, VIEWER_DISCONNECTED, i);
    vnc_client_free(v->client[i]);
    v->client[i] = v->client[--v->nclients];
    v->told[i] = v->told[v->nclients];
    const struct display_viewer last = v->viewer[v->nclients];
    note_viewers(v, i, &last);
}

static void look_at_greeting(struct vnc *v, unsigned i)
{
    if (v->told[i] || !vnc_client_is_greeted(v->client[i]))
        return;
    v->told[i] = true;
    tell(v, VIEWER_INITIALIZED, i);
}

/* Does one wait for an update? */
static bool serve_clients(struct vnc *v)
{
    bool wanted = false;
    for (unsigned i = v->nclients; i-- > 0;) {
        const bool stays = vnc_client_serve(v->client[i], v->rfb);
        look_at_greeting(v, i);
        if (stays)
            wanted |= vnc_client_wants_update(v->client[i]);
        else
            drop_client(v, i);
    }
    return wanted;
}

static void update_clients(struct vnc *v)
{
    for (unsigned i = v->nclients; i-- > 0;)
        if (!vnc_client_update(v->client[i]))
            drop_client(v, i);
}

/* --- pictures --- */

static void set_format(rfbScreenInfoPtr rfb)
{
    rfb->serverFormat.redShift = 16;
    rfb->serverFormat.greenShift = 8;
    rfb->serverFormat.blueShift = 0;
}

static bool resize(struct vnc *v, unsigned width, unsigned height)
{
    uint32_t *frame = calloc((size_t)width * height, sizeof *frame);
    uint32_t *band = calloc((size_t)width * TILE_ROWS, sizeof *band), *old = v->frame;
    if (!frame || !band) {
        free(frame);
        free(band);
        return false;
    }
    free(v->band);
    v->frame = frame;
    v->band = band;
    v->width = width;
    v->height = height;
    if (v->rfb) {
        rfbNewFramebuffer(v->rfb, (char *)frame, (int)width, (int)height, 8, 3, 4);
        set_format(v->rfb);
        for (rfbClientPtr c = v->rfb->clientHead; c; c = c->next)
            v->rfb->setTranslateFunction(c);
    }
    free(old);
    return true;
}

static void on_changed(void *ctx, unsigned x, unsigned width)
{
    struct vnc *v = ctx;
    const unsigned end = v->row + TILE_ROWS < v->height ? v->row + TILE_ROWS : v->height;
    rfbMarkRectAsModified(v->rfb, (int)x, (int)v->row, (int)(x + width), (int)end);
}

static void draw(struct vnc *v, const struct machine_picture *p)
{
    unsigned width = v->width, height = v->height;
    const bool lit = vga_picture_size(p->vga, &width, &height);
    if (lit && (width != v->width || height != v->height) && !resize(v, width, height))
        return;
    memset(v->band, 0, (size_t)v->width * TILE_ROWS * sizeof *v->band);
    for (v->row = 0; v->row < v->height; v->row += TILE_ROWS) {
        const unsigned left = v->height - v->row, rows = left < TILE_ROWS ? left : TILE_ROWS;
        if (lit)
            vga_draw(p->vga, p->memory, p->now_ns, v->band, v->width, v->row, rows);
        tiles_compare(v->frame + (size_t)v->row * v->width, v->band, v->width, rows, on_changed, v);
    }
    v->drawn = true;
    v->changes_ns = vga_picture_changes_ns(p->vga, p->now_ns);
}

static void ask(struct vnc *v, bool wanted)
{
    const uint64_t now_ns = clock_realtime_ns();
    if (!wanted || now_ns - v->asked_ns < PERIOD_MS * UINT64_C(1000000))
        return;
    v->asked = true;
    v->asked_ns = now_ns;
    machine_screen_ask(v->d.machine);
}

static void show(struct vnc *v, bool wanted)
{
    struct machine_picture p;
    if (!v->asked) {
        ask(v, wanted);
        return;
    }
    if (!machine_screen_take(v->d.machine, &p))
        return;
    v->asked = false;
    if (p.changed || !v->drawn || p.now_ns >= v->changes_ns)
        draw(v, &p);
}

/* For the end, somebody new, something said or read; a picture is due soon while there are clients. False:
 * the end. */
static bool wait_for_work(struct vnc *v)
{
    struct pollfd p[2 + CLIENTS_MAX] = {{.fd = v->d.stop_fd, .events = POLLIN},
                                        {.fd = v->listen_fd, .events = POLLIN}};
    for (unsigned i = 0; i < v->nclients; i++)
        p[2 + i] =
            (struct pollfd){.fd = vnc_client_fd(v->client[i]), .events = vnc_client_events(v->client[i])};
    poll(p, 2 + v->nclients, v->nclients ? WAIT_MS : -1);
    if (p[1].revents)
        accept_client(v);
    return !p[0].revents;
}

static void vnc_run(struct display *d)
{
    struct vnc *v = (struct vnc *)d;
    v->keys.machine = d->machine;
    v->keys.map = d->map;
    while (wait_for_work(v)) {
        show(v, serve_clients(v));
        update_clients(v);
    }
}

/* --- start and end --- */

static void vnc_close(struct display *d)
{
    struct vnc *v = (struct vnc *)d;
    while (v->nclients)
        drop_client(v, v->nclients - 1);
    if (v->rfb)
        rfbScreenCleanup(v->rfb);
    if (v->listen_fd >= 0)
        close(v->listen_fd);
    if (v->unlink_path)
        unlink(v->unlink_path);
    free(v->unlink_path);
    free(v->password[0]);
    free(v->frame);
    free(v->band);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

static const struct display_class vnc_class = {vnc_run, vnc_close, vnc_viewers};

static int listen_at(const struct addrinfo *a)
{
    const int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (a->ai_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, CLIENTS_MAX) == 0)
        return fd;
    const int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool listen_unix(struct vnc *v, const char *path, struct err *e)
{
    struct sockaddr_un u = {.sun_family = AF_UNIX};
    struct addrinfo a = {.ai_family = AF_UNIX, .ai_addr = (struct sockaddr *)&u, .ai_addrlen = sizeof u};
    struct stat st;
    if (strlen(path) >= sizeof u.sun_path)
        return err_set(e, "-display vnc=unix:%s: at most %zu bytes are accepted", path,
                       sizeof u.sun_path - 1);
    memcpy(u.sun_path, path, strlen(path) + 1);
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
    v->listen_fd = listen_at(&a);
    if (v->listen_fd < 0)
        return err_set(e, "-display vnc=unix:%s: %s", path, strerror(errno));
    v->unlink_path = strdup(path);
    return true;
}

static int listen_port(const char *host, unsigned port, const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *all;
    char text[16];
    snprintf(text, sizeof text, "%u", port);
    const int rc = getaddrinfo(host, text, &hints, &all);
    *why = gai_strerror(rc);
    if (rc != 0)
        return -1;
    int fd = -1;
    for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next)
        fd = listen_at(a);
    *why = strerror(errno);
    freeaddrinfo(all);
    return fd;
}

static bool listen_tcp(struct vnc *v, const struct display_option *o, struct err *e)
{
    const char *why = "";
    for (unsigned n = o->first; n <= o->to && v->listen_fd < 0; n++)
        v->listen_fd = listen_port(o->host, FIRST_PORT + n, &why);
    return v->listen_fd >= 0 ||
           err_set(e, "-display vnc=%s:%u: port %u: %s", o->host, o->first, FIRST_PORT + o->first, why);
}

/* The first line of the file. VNC's own way looks at the first 8 characters (RFC 6143, 7.2.2). */
static bool read_password(struct vnc *v, const char *file, struct err *e)
{
    size_t size = 0;
    FILE *f = fopen(file, "re");
    const ssize_t n = f ? getline(&v->password[0], &size, f) : -1;
    if (f)
        fclose(f);
    if (n > 0 && v->password[0][n - 1] == '\n')
        v->password[0][n - 1] = 0;
    return (n > 0 && v->password[0][0]) ||
           err_set(e, "-display vnc: password=%s: %s; a file whose first line is the password is needed",
                   file, f ? "it is empty" : strerror(errno));
}

static bool start_server(struct vnc *v, struct err *e)
{
    rfbLogEnable(0);
    v->rfb = resize(v, FIRST_WIDTH, FIRST_HEIGHT)
                 ? rfbGetScreen(NULL, NULL, FIRST_WIDTH, FIRST_HEIGHT, 8, 3, sizeof *v->frame)
                 : NULL;
    if (!v->rfb)
        return err_set(e, "-display vnc: no host memory");
    rfbScreenInfoPtr rfb = v->rfb;
    set_format(rfb);
    rfb->screenData = v;
    rfb->frameBuffer = (char *)v->frame;
    rfb->desktopName = "Tandem";
    rfb->port = rfb->ipv6port = 0; /* it listens nowhere: clients come by rfbNewClient */
    rfb->httpDir = NULL;
    rfb->cursor = NULL;
    rfb->alwaysShared = TRUE;
    rfb->permitFileTransfer = FALSE;
    rfb->deferUpdateTime = 0;
    rfb->kbdAddEvent = on_key;
    rfb->ptrAddEvent = on_pointer;
    rfb->newClientHook = on_client;
    if (v->password[0]) {
        rfb->authPasswdData = v->password;
        rfb->passwordCheck = rfbCheckPasswordByList;
    }
    rfbInitServer(rfb);
    return true;
}

struct display *vnc_open(const struct display_option *o, struct err *e)
{
    struct vnc *v = calloc(1, sizeof *v);
    if (!v) {
        err_set(e, "-display vnc: no host memory");
        return NULL;
    }
    *v = (struct vnc){.d = {.class = &vnc_class, .stop_fd = -1}, .listen_fd = -1};
    pthread_mutex_init(&v->lock, NULL);
    if ((!o->password_file || read_password(v, o->password_file, e)) &&
        (o->path ? listen_unix(v, o->path, e) : listen_tcp(v, o, e)) && start_server(v, e))
        return &v->d;
    vnc_close(&v->d);
    return NULL;
}
