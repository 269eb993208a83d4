/* control.c - see control.h. One lock covers everything; no class is called with it held, but for `feed`, and
 * `event` of what was posted. */
#include "cli/control.h"

#include "cli/quietthread.h"
#include "clockcore/check.h"
#include "clockcore/clock.h"
#include "devthread/socketspec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG      8
#define READ_CHUNK   4096
#define WRITE_CHUNK  4096       /* PIPE_BUF: what a pipe that polls writable takes without blocking */
#define OUTPUT_SOFT  65536      /* a client that leaves so much unread is not read from */
#define FAREWELL_NS  1000000000 /* host time for the last answers */
#define POLLS_MAX    (1 + CONTROL_DOORS_MAX + 2 * CONTROL_CLIENTS_MAX)
#define OUTPUT_START 4096

enum request_state { NO_REQUEST, WAITING, RUNNING, HELD };

struct control_client {
    struct control *c;
    const struct control_class *class;
    void *state;
    struct control_client *next;
    int rd, wr;    /* the same descriptor of a socket; rd -1: nothing comes any more */
    bool borrowed; /* the descriptors are not ours to close */
    bool gone;     /* nothing can be sent */
    unsigned pins; /* the run's thread looks at it */
    enum request_state request_state;
    uint64_t number; /* of the request, by arrival */
    char *request;   /* owned */
    size_t request_bytes;
    size_t in_bytes, fed; /* bytes in in[]; those that `feed` has seen */
    char *out;            /* owned; out_bytes of out_size from out_begin on */
    size_t out_begin, out_bytes, out_size;
    char in[CONTROL_REQUEST_MAX];
};

struct door {
    int fd;
    const struct control_class *class;
    void *ctx;
    char *unlink_path; /* owned; NULL: none */
};

struct control {
    int wake_fd;
    pthread_t thread;
    bool started;
    struct door door[CONTROL_DOORS_MAX]; /* constant after start */
    unsigned ndoors;
    void (*ask)(void *ctx); /* constant after start */
    void *ask_ctx;
    pthread_mutex_t lock;
    /* --- under the lock --- */
    struct control_client *client; /* list */
    unsigned nclients;
    uint64_t requests;
    bool ending;
    bool (*waits)(void *ctx); /* NULL: the machine never waits */
    void *waits_ctx;
    struct posted {
        char *name, *json; /* owned; json may be NULL */
    } posted[CONTROL_POSTED_MAX];
    unsigned nposted;
};

static void lock(struct control *c)
{
    CHECK(pthread_mutex_lock(&c->lock) == 0);
}

static void unlock(struct control *c)
{
    CHECK(pthread_mutex_unlock(&c->lock) == 0);
}

static void wake(struct control *c)
{
    const uint64_t one = 1;
    ssize_t n = write(c->wake_fd, &one, sizeof one);
    (void)n; /* EAGAIN: it is to wake already */
}

/* --- output --- */

/* With the lock. False: no memory. */
static bool output_room(struct control_client *k, size_t n)
{
    if (k->out_begin + k->out_bytes + n <= k->out_size)
        return true;
    if (k->out_bytes)
        memmove(k->out, k->out + k->out_begin, k->out_bytes);
    k->out_begin = 0;
    if (k->out_bytes + n <= k->out_size)
        return true;
    size_t size = k->out_size ? k->out_size : OUTPUT_START;
    while (size < k->out_bytes + n)
        size *= 2;
    char *out = realloc(k->out, size);
    if (!out)
        return false;
    k->out = out;
    k->out_size = size;
    return true;
}

/* With the lock. */
static void output(struct control_client *k, const char *bytes, size_t n)
{
    if (k->gone || n == 0)
        return;
    if (n > CONTROL_OUTPUT_MAX - k->out_bytes || !output_room(k, n)) {
        k->gone = !k->borrowed;
        return;
    }
    memcpy(k->out + k->out_begin + k->out_bytes, bytes, n);
    k->out_bytes += n;
}

void control_write(struct control_client *k, const char *bytes, size_t n)
{
    struct control *c = k->c;
    lock(c);
    output(k, bytes, n);
    unlock(c);
    wake(c);
}

void control_printf(struct control_client *k, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    const int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n > 0)
        control_write(k, text, (size_t)n);
    if (n >= 0)
        free(text);
}

/* With the lock: one write of what the host takes. */
static void send_some(struct control_client *k)
{
    const size_t n = k->out_bytes < WRITE_CHUNK ? k->out_bytes : WRITE_CHUNK;
    const ssize_t done = write(k->wr, k->out + k->out_begin, n);
    if (done < 0) {
        k->gone = errno != EAGAIN && errno != EINTR;
        return;
    }
    k->out_begin += (size_t)done;
    k->out_bytes -= (size_t)done;
    if (k->out_bytes == 0)
        k->out_begin = 0;
}

/* --- requests; with the lock --- */

/* True: k->fed is where a request ends. */
static bool feed(struct control_client *k)
{
    while (k->fed < k->in_bytes)
        if (k->class->feed(k->state, k->in[k->fed++]))
            return true;
    return false;
}

/* The first k->fed bytes become the request. */
static bool take_request(struct control_client *k)
{
    k->request = malloc(k->fed + 1);
    if (!k->request)
        return false;
    memcpy(k->request, k->in, k->fed);
    k->request[k->fed] = '\0';
    k->request_bytes = k->fed;
    k->in_bytes -= k->fed;
    memmove(k->in, k->in + k->fed, k->in_bytes);
    k->fed = 0;
    k->request_state = WAITING;
    k->number = k->c->requests++;
    return true;
}

static void look_for_request(struct control_client *k)
{
    if (k->gone || k->request_state != NO_REQUEST)
        return;
    if (!feed(k))
        k->gone = k->fed == sizeof k->in; /* too long */
    else if (take_request(k))
        k->c->ask(k->c->ask_ctx);
    else
        k->gone = true;
}

static bool wants_input(const struct control_client *k)
{
    return k->rd >= 0 && !k->gone && !k->c->ending && k->request_state == NO_REQUEST &&
           k->in_bytes < sizeof k->in && k->out_bytes < OUTPUT_SOFT;
}

static void receive(struct control_client *k)
{
    const size_t room = sizeof k->in - k->in_bytes;
    const ssize_t n = read(k->rd, k->in + k->in_bytes, room < READ_CHUNK ? room : READ_CHUNK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        k->in_bytes += (size_t)n;
    else if (k->borrowed || k->rd == k->wr)
        k->rd = -1; /* what came before is still answered */
    k->gone |= n < 0;
}

/* --- clients --- */

static void client_free(struct control_client *k)
{
    if (k->state)
        k->class->close(k->state);
    if (!k->borrowed && k->wr >= 0)
        close(k->wr);
    free(k->request);
    free(k->out);
    free(k);
}

/* Without the lock: `open` greets. */
static bool client_add(struct control *c, int rd, int wr, bool borrowed, const struct control_class *class,
                       void *ctx)
{
    struct control_client *k = calloc(1, sizeof *k);
    if (!k)
        return false;
    *k = (struct control_client){.c = c, .class = class, .rd = rd, .wr = wr, .borrowed = borrowed};
    k->state = class->open(ctx, k);
    if (!k->state) {
        k->wr = -1; /* the caller's still */
        client_free(k);
        return false;
    }
    lock(c);
    k->next = c->client;
    c->client = k;
    c->nclients++;
    unlock(c);
    return true;
}

static bool is_over(const struct control_client *k)
{
    const bool heard = k->rd < 0 && k->request_state == NO_REQUEST && k->out_bytes == 0;
    return (k->gone || heard) && k->pins == 0 && k->request_state != RUNNING && k->request_state != HELD;
}

/* With the lock: takes those out that are over, and looks at what the others have sent. */
static struct control_client *sweep(struct control *c)
{
    struct control_client *over = NULL, **at = &c->client;
    while (*at) {
        struct control_client *k = *at;
        look_for_request(k);
        if (!is_over(k)) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        k->next = over;
        over = k;
        c->nclients--;
    }
    return over;
}

static void free_list(struct control_client *k)
{
    while (k) {
        struct control_client *next = k->next;
        client_free(k);
        k = next;
    }
}

static void accept_client(struct control *c, const struct door *d)
{
    const int fd = accept4(d->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && !client_add(c, fd, fd, false, d->class, d->ctx))
        close(fd);
}

/* --- events that were posted --- */

void control_waits(struct control *c, bool (*waits)(void *ctx), void *ctx)
{
    c->waits = waits;
    c->waits_ctx = ctx;
}

void control_post(struct control *c, const char *name, const char *json)
{
    lock(c);
    if (c->nposted < CONTROL_POSTED_MAX)
        c->posted[c->nposted++] = (struct posted){strdup(name), json ? strdup(json) : NULL};
    unlock(c);
    wake(c);
}

static bool is_executing(const struct control *c)
{
    for (const struct control_client *k = c->client; k; k = k->next)
        if (k->request_state == RUNNING)
            return true;
    return false;
}

static void free_posted(struct control *c)
{
    for (unsigned i = 0; i < c->nposted; i++) {
        free(c->posted[i].name);
        free(c->posted[i].json);
    }
    c->nposted = 0;
}

/* With the lock, so that no request begins. While one is executed they wait for its end, which wakes us. */
static void deliver_posted(struct control *c)
{
    if (c->nposted == 0 || is_executing(c))
        return;
    for (unsigned i = 0; i < c->nposted; i++)
        for (struct control_client *k = c->client; k; k = k->next)
            if (k->class->event && !k->gone && c->posted[i].name)
                k->class->event(k->state, k, c->posted[i].name, c->posted[i].json);
    free_posted(c);
}

/* With the lock, which it gives back for a while: requests that can be answered while the machine waits. */
static void answer_meanwhile(struct control *c)
{
    for (struct control_client *k = c->client; k; k = k->next) {
        if (k->request_state != WAITING || !k->class->meanwhile || !c->waits || !c->waits(c->waits_ctx))
            continue;
        k->request_state = RUNNING;
        unlock(c);
        const bool done = k->class->meanwhile(k->state, k, k->request, k->request_bytes);
        lock(c);
        k->request_state = done ? NO_REQUEST : WAITING;
        if (done) {
            free(k->request);
            k->request = NULL;
            wake(c);
        }
    }
}

/* --- the thread --- */

struct polls {
    struct pollfd fd[POLLS_MAX];
    struct control_client *client[POLLS_MAX]; /* NULL: a door or the wake-up */
    const struct door *door[POLLS_MAX];
    unsigned n;
};

static void add_poll(struct polls *p, int fd, short events, const struct door *d, struct control_client *k)
{
    p->fd[p->n] = (struct pollfd){.fd = fd, .events = events};
    p->door[p->n] = d;
    p->client[p->n++] = k;
}

/* With the lock. */
static void collect_polls(struct control *c, struct polls *p)
{
    p->n = 0;
    add_poll(p, c->wake_fd, POLLIN, NULL, NULL);
    for (unsigned i = 0; i < c->ndoors && c->nclients < CONTROL_CLIENTS_MAX && !c->ending; i++)
        add_poll(p, c->door[i].fd, POLLIN, &c->door[i], NULL);
    for (struct control_client *k = c->client; k; k = k->next) {
        if (wants_input(k))
            add_poll(p, k->rd, POLLIN, NULL, k);
        if (k->out_bytes && !k->gone)
            add_poll(p, k->wr, POLLOUT, NULL, k);
    }
}

/* Clients stay: they are freed by this thread alone. */
static void serve_polls(struct control *c, const struct polls *p)
{
    uint64_t count;
    if (p->fd[0].revents && read(c->wake_fd, &count, sizeof count) < 0)
        CHECK(errno == EAGAIN);
    lock(c);
    for (unsigned i = 1; i < p->n; i++) {
        if (!p->client[i] || !p->fd[i].revents)
            continue;
        if (p->fd[i].events == POLLIN)
            receive(p->client[i]);
        else
            send_some(p->client[i]);
    }
    unlock(c);
    for (unsigned i = 1; i < p->n; i++)
        if (p->door[i] && p->fd[i].revents)
            accept_client(c, p->door[i]);
}

static bool all_is_sent(const struct control *c)
{
    for (const struct control_client *k = c->client; k; k = k->next)
        if (k->out_bytes && !k->gone)
            return false;
    return true;
}

/* One round. False: the end. */
static bool serve(struct control *c, uint64_t *farewell_ns)
{
    struct polls p;
    lock(c);
    struct control_client *over = sweep(c);
    deliver_posted(c);
    answer_meanwhile(c);
    collect_polls(c, &p);
    const bool ending = c->ending, sent = all_is_sent(c);
    unlock(c);
    free_list(over);
    if (ending && !*farewell_ns)
        *farewell_ns = clock_realtime_ns() + FAREWELL_NS;
    if (ending && (sent || clock_realtime_ns() >= *farewell_ns))
        return false;
    poll(p.fd, p.n, ending ? 50 : -1);
    serve_polls(c, &p);
    return true;
}

static void *control_main(void *arg)
{
    uint64_t farewell_ns = 0;
    pthread_setname_np(pthread_self(), "tandem-control");
    while (serve(arg, &farewell_ns)) {
    }
    return NULL;
}

/* --- the run's thread --- */

/* With the lock: the one that came first. */
static struct control_client *first_waiting(struct control *c)
{
    struct control_client *first = NULL;
    for (struct control_client *k = c->client; k; k = k->next)
        if (k->request_state == WAITING && (!first || k->number < first->number))
            first = k;
    return first;
}

void control_execute(struct control *c)
{
    struct control_client *k;
    lock(c);
    while ((k = first_waiting(c))) {
        char *request = k->request;
        k->request = NULL;
        k->request_state = RUNNING;
        unlock(c);
        k->class->execute(k->state, k, request, k->request_bytes);
        free(request);
        lock(c);
        if (k->request_state == RUNNING)
            k->request_state = NO_REQUEST;
        wake(c);
    }
    unlock(c);
}

static bool is_heard(const struct control_client *k)
{
    struct pollfd p = {.fd = k->rd, .events = POLLIN};
    return k->gone || k->request_state == HELD ||
           (k->request_state == NO_REQUEST && k->fed == k->in_bytes && poll(&p, 1, 0) <= 0);
}

bool control_is_idle(struct control *c)
{
    bool idle = true;
    lock(c);
    for (const struct control_client *k = c->client; k && idle; k = k->next)
        idle = is_heard(k);
    unlock(c);
    return idle;
}

static void set_request_state(struct control_client *k, enum request_state s)
{
    struct control *c = k->c;
    lock(c);
    k->request_state = s;
    unlock(c);
    wake(c);
}

void control_hold(struct control_client *k)
{
    set_request_state(k, HELD);
}

void control_release(struct control_client *k)
{
    set_request_state(k, NO_REQUEST);
}

void control_event(struct control *c, const char *name, const char *json)
{
    lock(c);
    for (struct control_client *k = c->client; k; k = k->next) {
        if (!k->class->event || k->gone)
            continue;
        k->pins++;
        unlock(c);
        k->class->event(k->state, k, name, json);
        lock(c);
        k->pins--;
    }
    unlock(c);
    wake(c);
}

/* --- start and end --- */

struct control *control_create(struct err *e)
{
    struct control *c = calloc(1, sizeof *c);
    if (c)
        c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!c || c->wake_fd < 0) {
        err_set(e, "-monitor: %s", strerror(errno));
        free(c);
        return NULL;
    }
    pthread_mutexattr_t recursive; /* deliver_posted: `event` writes */
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&c->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    return c;
}

static bool add_door(struct control *c, int fd, const struct socketspec *s, bool tcp,
                     const struct control_class *class, void *ctx)
{
    if (c->ndoors == CONTROL_DOORS_MAX || listen(fd, BACKLOG) != 0)
        return false;
    c->door[c->ndoors++] =
        (struct door){.fd = fd, .class = class, .ctx = ctx, .unlink_path = tcp ? NULL : strdup(s->address)};
    return true;
}

static bool add_socket(struct control *c, const char *option, const char *spec,
                       const struct control_class *class, void *ctx,
                       void (*notice)(void *ctx, const char *text), void *notice_ctx, struct err *e)
{
    const bool tcp = spec[0] == 't';
    struct socketspec s;
    char why[ERR_BYTES / 2];
    int fd = -1;
    if (!socketspec_parse(&s, strchr(spec, ':') + 1, why, sizeof why) ||
        (fd = socketspec_open(&s, tcp, why, sizeof why)) < 0)
        return err_set(e, "%s %.200s: %s", option, spec, why);
    if (s.server && !add_door(c, fd, &s, tcp, class, ctx)) {
        close(fd);
        return err_set(e, "%s %.200s: %s", option, spec, strerror(errno));
    }
    if (s.server && !s.wait)
        return fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0; /* a client may leave before it is accepted */
    if (s.server) {
        char text[ERR_BYTES];
        snprintf(text, sizeof text, "waiting for connection on: %.200s", spec);
        if (notice)
            notice(notice_ctx, text);
        const int listener = fd;
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        fcntl(listener, F_SETFL, O_RDWR | O_NONBLOCK);
    }
    if (fd >= 0 && fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 && client_add(c, fd, fd, false, class, ctx))
        return true;
    err_set(e, "%s %.200s: %s", option, spec, strerror(errno));
    if (fd >= 0)
        close(fd);
    return false;
}

bool control_add(struct control *c, const char *option, const char *spec, const struct control_class *class,
                 void *ctx, void (*notice)(void *ctx, const char *text), void *notice_ctx, struct err *e)
{
    if (strcmp(spec, "none") == 0 || strcmp(spec, "null") == 0)
        return true;
    if (strcmp(spec, "stdio") == 0)
        return control_add_fds(c, STDIN_FILENO, STDOUT_FILENO, class, ctx, e);
    if (strncmp(spec, "unix:", 5) == 0 || strncmp(spec, "tcp:", 4) == 0)
        return add_socket(c, option, spec, class, ctx, notice, notice_ctx, e);
    return err_set(
        e,
        "%s %.200s: unknown back end (accepted: stdio, none, null, unix:PATH[,server][,wait=on|off], "
        "tcp:HOST:PORT[,server][,wait=on|off])",
        option, spec);
}

bool control_add_fds(struct control *c, int rd, int wr, const struct control_class *class, void *ctx,
                     struct err *e)
{
    return client_add(c, rd, wr, true, class, ctx) || err_set(e, "-monitor: no host memory");
}

bool control_start(struct control *c, void (*ask)(void *ctx), void *ctx, struct err *e)
{
    c->ask = ask;
    c->ask_ctx = ctx;
    const int rc = quietthread_start(&c->thread, control_main, c);
    c->started = rc == 0;
    return c->started || err_set(e, "-monitor: thread: %s", strerror(rc));
}

void control_stop(struct control *c)
{
    if (!c->started)
        return;
    lock(c);
    c->ending = true;
    unlock(c);
    wake(c);
    pthread_join(c->thread, NULL);
    c->started = false;
}

void control_destroy(struct control *c)
{
    if (!c)
        return;
    control_stop(c);
    free_list(c->client);
    for (unsigned i = 0; i < c->ndoors; i++) {
        close(c->door[i].fd);
        if (c->door[i].unlink_path)
            unlink(c->door[i].unlink_path);
        free(c->door[i].unlink_path);
    }
    free_posted(c);
    close(c->wake_fd);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
