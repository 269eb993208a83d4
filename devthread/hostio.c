/* hostio.c - see hostio.h.
 *
 * epoll is level-triggered in both sets: when one role's thread handles a source, the other role's finds
 * nothing left, which is harmless because handlers never block. */
#include "devthread/hostio.h"

#include "clockcore/check.h"
#include "clockcore/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct hostio_set {
    int epoll_fd; /* -1: none */
    int event_fd; /* -1: none */
};

struct hostio {
    struct hostio_set set[HOSTIO_ROLES]; /* descriptors: constant after create */
    pthread_mutex_t lock;
    /* --- under the lock --- */
    struct hostio_source *source[HOSTIO_SOURCES_MAX];
    unsigned nsources;
    uint64_t last_poll_ns; /* host time of hostio_poll's last look */
};

static void event_signal(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));

    (void)n; /* EAGAIN: the counter is full, hence a wake-up is pending already */
}

static bool event_clear(int fd)
{
    uint64_t count;

    return read(fd, &count, sizeof(count)) == sizeof(count);
}

static bool set_open(struct hostio_set *set)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

    set->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    set->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return set->epoll_fd >= 0 && set->event_fd >= 0 &&
           epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, set->event_fd, &ev) == 0;
}

static void set_close(struct hostio_set *set)
{
    if (set->epoll_fd >= 0)
        close(set->epoll_fd);
    if (set->event_fd >= 0)
        close(set->event_fd);
}

struct hostio *hostio_create(void)
{
    struct hostio *h = calloc(1, sizeof(*h));
    bool ok = true;

    if (!h)
        return NULL;
    pthread_mutex_init(&h->lock, NULL);
    for (unsigned r = 0; r < HOSTIO_ROLES; r++)
        h->set[r] = (struct hostio_set){-1, -1};
    for (unsigned r = 0; ok && r < HOSTIO_ROLES; r++)
        ok = set_open(&h->set[r]);
    if (ok)
        return h;
    int saved = errno;
    hostio_destroy(h);
    errno = saved;
    return NULL;
}

void hostio_destroy(struct hostio *h)
{
    if (!h)
        return;
    for (unsigned r = 0; r < HOSTIO_ROLES; r++)
        set_close(&h->set[r]);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void hostio_lock(struct hostio *h)
{
    CHECK(pthread_mutex_lock(&h->lock) == 0);
}

void hostio_unlock(struct hostio *h)
{
    CHECK(pthread_mutex_unlock(&h->lock) == 0);
}

/* One epoll operation in both sets. A source without events is in neither: epoll would report its
 * hang-up again and again to a back end that has no room to look. */
static bool sets_ctl(struct hostio *h, int op, struct hostio_source *s)
{
    struct epoll_event ev = {.events = s->events, .data.ptr = s};
    bool ok = true;

    for (unsigned r = 0; ok && r < HOSTIO_ROLES; r++)
        ok = epoll_ctl(h->set[r].epoll_fd, op, s->fd, &ev) == 0;
    return ok;
}

bool hostio_add(struct hostio *h, struct hostio_source *s)
{
    CHECK(!s->registered);
    if (h->nsources == HOSTIO_SOURCES_MAX) {
        errno = ENOSPC;
        return false;
    }
    s->always = false;
    if (!sets_ctl(h, EPOLL_CTL_ADD, s)) {
        if (errno != EPERM) /* EPERM: a plain file; epoll does not take those, they are always ready */
            return false;
        s->always = true;
    }
    if (!s->always && !s->events)
        sets_ctl(h, EPOLL_CTL_DEL, s);
    s->registered = true;
    h->source[h->nsources++] = s;
    return true;
}

void hostio_set_events(struct hostio *h, struct hostio_source *s, uint32_t events)
{
    uint32_t old = s->events;

    if (!s->registered || old == events)
        return;
    s->events = events;
    if (s->always)
        hostio_wake(h); /* a wait that had nothing to look at may have something now */
    else if (!events)
        sets_ctl(h, EPOLL_CTL_DEL, s);
    else
        CHECK(sets_ctl(h, old ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s));
}

void hostio_remove(struct hostio *h, struct hostio_source *s)
{
    if (!s->registered)
        return;
    s->registered = false;
    if (!s->always && s->events)
        sets_ctl(h, EPOLL_CTL_DEL, s);
    for (unsigned i = 0; i < h->nsources; i++)
        if (h->source[i] == s)
            h->source[i] = h->source[--h->nsources];
}

void hostio_input_arrived(struct hostio *h)
{
    event_signal(h->set[HOSTIO_IDLE].event_fd);
}

void hostio_poll_soon(struct hostio *h)
{
    h->last_poll_ns = 0;
}

void hostio_wake(struct hostio *h)
{
    for (unsigned r = 0; r < HOSTIO_ROLES; r++)
        event_signal(h->set[r].event_fd);
}

static bool always_pending(struct hostio *h)
{
    bool found = false;

    hostio_lock(h);
    for (unsigned i = 0; i < h->nsources; i++)
        found |= h->source[i]->always && h->source[i]->events;
    hostio_unlock(h);
    return found;
}

/* With the lock held. A handler may remove sources, its own and others. */
static void run_always(struct hostio *h)
{
    for (unsigned i = h->nsources; i-- > 0;)
        if (i < h->nsources && h->source[i]->always && h->source[i]->events)
            h->source[i]->ready(h->source[i]->ctx, h->source[i]->events);
}

/* ppoll on the epoll descriptor: waits in ns on every kernel, where epoll_wait has ms. */
static void wait_ready(int epoll_fd, uint64_t timeout_ns)
{
    struct pollfd p = {.fd = epoll_fd, .events = POLLIN};
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                          .tv_nsec = (long)(timeout_ns % 1000000000u)};

    ppoll(&p, 1, timeout_ns == HOSTIO_FOREVER ? NULL : &ts, NULL);
}

bool hostio_wait(struct hostio *h, enum hostio_role role, uint64_t timeout_ns)
{
    struct epoll_event ev[HOSTIO_SOURCES_MAX + 1];
    const struct hostio_set *set = &h->set[role];
    bool woken = false;

    if (timeout_ns && !always_pending(h))
        wait_ready(set->epoll_fd, timeout_ns);
    int n = epoll_wait(set->epoll_fd, ev, HOSTIO_SOURCES_MAX + 1, 0);
    hostio_lock(h);
    for (int i = 0; i < n; i++) {
        struct hostio_source *s = ev[i].data.ptr;
        if (!s)
            woken = event_clear(set->event_fd);
        else if (s->registered)
            s->ready(s->ctx, ev[i].events);
    }
    run_always(h);
    hostio_unlock(h);
    return woken;
}

void hostio_poll(struct hostio *h)
{
    uint64_t now_ns = clock_realtime_ns();
    bool due;

    hostio_lock(h);
    due = now_ns - h->last_poll_ns >= HOSTIO_POLL_NS;
    if (due)
        h->last_poll_ns = now_ns;
    hostio_unlock(h);
    if (due)
        hostio_wait(h, HOSTIO_SERVICE, 0);
}
