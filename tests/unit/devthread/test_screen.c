/* Pictures for a display: what is copied, when, and that nothing is where nobody asks. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "devthread/screen.h"
#include "hw/pc.h"
#include "mem/watch.h"

#define VIDEO_BYTES (16 * PAGE_BYTES)

/* A chip that shows `first` and `bytes`. */
struct toy {
    uint32_t first, bytes;
};

static unsigned toy_ranges(const void *s, struct port_range range[PORT_RANGES_MAX])
{
    const struct toy *t = s;
    range[0] = (struct port_range){t->first, t->bytes};
    return 1;
}

static const struct port_pixels toy_pixels = {.state_bytes = sizeof(struct toy), .ranges = toy_ranges};

struct rig {
    struct physmem pm;
    struct board board;
    struct hostio *hostio;
    struct screen *screen;
    struct toy toy;
    mem_addr_t video;
    _Atomic bool ended;
};

static void rig_start(struct rig *r)
{
    *r = (struct rig){.toy = {0, VIDEO_BYTES}};
    cr_assert_eq(physmem_init(&r->pm, RAM_BYTES_MIN), 0);
    r->video = physmem_add(&r->pm, MEM_VRAM, VIDEO_BYTES);
    r->hostio = hostio_create();
    r->board.port[0] = (struct board_port){.present = true, .kind = PORT_PIXELS, .pixels = &toy_pixels};
    r->screen = screen_create(&r->board, 0, &r->pm, r->hostio);
    cr_assert(r->hostio && r->screen);
}

static void rig_end(struct rig *r)
{
    screen_destroy(r->screen);
    hostio_destroy(r->hostio);
    physmem_free(&r->pm);
}

static void store(struct rig *r, uint32_t at, uint8_t value)
{
    physmem_put(&r->pm, r->video + at, &value, 1);
}

static struct screen_picture picture(struct rig *r, uint64_t now_ns)
{
    struct screen_picture p;
    screen_ask(r->screen);
    cr_assert_not(screen_take(r->screen, &p));
    screen_serve(r->screen, &r->toy, now_ns);
    cr_assert(screen_take(r->screen, &p));
    cr_assert_eq(p.now_ns, now_ns);
    return p;
}

Test(screen, has_what_was_written_since)
{
    struct rig r;
    rig_start(&r);
    store(&r, 5, 7);
    cr_assert_eq(picture(&r, 10).memory[5], 7);
    cr_assert_not(picture(&r, 20).changed);
    store(&r, 3 * PAGE_BYTES, 9);
    struct screen_picture p = picture(&r, 30);
    cr_assert(p.changed);
    cr_assert_eq(p.memory[3 * PAGE_BYTES], 9);
    cr_assert_eq(memcmp(p.memory, r.pm.host + r.video, VIDEO_BYTES), 0);
    rig_end(&r);
}

Test(screen, nothing_where_nobody_asks)
{
    struct rig r;
    struct screen_picture p;
    rig_start(&r);
    picture(&r, 10);
    store(&r, 5, 7);
    screen_serve(r.screen, &r.toy, 20);
    cr_assert(screen_take(r.screen, &p));
    cr_assert_eq(p.memory[5], 0);
    cr_assert_eq(p.now_ns, 10u);
    screen_serve(NULL, &r.toy, 20);
    cr_assert_not(screen_asked(NULL));
    rig_end(&r);
}

/* Stores there are as cheap as before: the page is not watched. */
Test(screen, memory_that_is_not_shown_stays_dirty)
{
    struct rig r;
    rig_start(&r);
    r.toy = (struct toy){PAGE_BYTES + 1, PAGE_BYTES}; /* into the page behind */
    store(&r, 0, 7);
    store(&r, PAGE_BYTES, 7);
    struct screen_picture p = picture(&r, 10);
    cr_assert_eq(p.memory[0], 0);
    cr_assert_eq(p.memory[PAGE_BYTES], 7);
    const uint32_t page = r.video / PAGE_BYTES;
    cr_assert(physmem_log_is_dirty(&r.pm, MEM_LOG_SCREEN, page));
    cr_assert_not(physmem_log_is_dirty(&r.pm, MEM_LOG_SCREEN, page + 1));
    cr_assert_not(physmem_log_is_dirty(&r.pm, MEM_LOG_SCREEN, page + 2));
    cr_assert(physmem_log_is_dirty(&r.pm, MEM_LOG_SCREEN, page + 3));
    r.toy.first = 0;
    p = picture(&r, 20);
    cr_assert(p.changed); /* the chip's state has, and the page comes with it */
    cr_assert_eq(p.memory[0], 7);
    rig_end(&r);
}

Test(screen, is_not_there_without_a_card)
{
    struct rig r;
    rig_start(&r);
    cr_assert_null(screen_create(&r.board, 1, &r.pm, r.hostio));
    r.board.port[0].present = false;
    cr_assert_null(screen_create(&r.board, 0, &r.pm, r.hostio));
    rig_end(&r);
}

static void *steps(void *arg)
{
    struct rig *r = arg;
    for (uint64_t n = 1; !atomic_load(&r->ended); n++) {
        store(r, n * 37 % VIDEO_BYTES, (uint8_t)n);
        screen_serve(r->screen, &r->toy, n);
        sched_yield();
    }
    return NULL;
}

/* A display on its own thread, drawing while the machine writes: for the thread sanitizer. */
Test(screen, shares_nothing_with_a_machine_that_runs, .timeout = 60)
{
    static struct rig r;
    pthread_t t;
    uint64_t last = 0;
    rig_start(&r);
    cr_assert_eq(pthread_create(&t, NULL, steps, &r), 0);
    for (unsigned n = 0; n < 500; n++) {
        struct screen_picture p;
        unsigned sum = 0;
        screen_ask(r.screen);
        while (!screen_take(r.screen, &p))
            sched_yield();
        for (unsigned i = 0; i < VIDEO_BYTES; i++)
            sum += p.memory[i];
        cr_assert(p.now_ns > last && sum > 0);
        last = p.now_ns;
    }
    atomic_store(&r.ended, true);
    pthread_join(t, NULL);
    rig_end(&r);
}
