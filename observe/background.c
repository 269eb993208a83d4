/* background.c - see background.h. */
#include "observe/background.h"

#include "syncq/activity.h"
#include "syncq/pinning.h"
#include "syncq/pool.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>

#define BLOCKS 4u

struct block {
    struct pool_job job; /* first */
    size_t used;
    alignas(max_align_t) uint8_t data[];
};

struct background {
    struct pool *pool;
    void (*work)(void *ctx, const void *block, size_t used);
    void *ctx;
    struct block *all[BLOCKS], *idle[BLOCKS]; /* idle: the owner's; the last one is being filled */
    unsigned idles;
};

static void run(void *ctx, unsigned worker, struct pool_job *job)
{
    struct background *b = ctx;
    struct block *block = (struct block *)job;
    b->work(b->ctx, block->data, block->used);
}

static void take_back(struct background *b)
{
    struct pool_job *job;
    while ((job = pool_take(b->pool)))
        b->idle[b->idles++] = (struct block *)job;
}

static bool init(struct background *b, size_t bytes)
{
    const struct pool_config c = {
        .workers = 1, .not_on_cpu = PIN_ANY, .activity = ACTIVITY_DEVICE, .run = run, .ctx = b};
    for (; b->idles < BLOCKS; b->idles++) {
        b->all[b->idles] = b->idle[b->idles] = malloc(sizeof(struct block) + bytes);
        if (!b->all[b->idles])
            return false;
    }
    b->pool = pool_create(&c);
    return b->pool != NULL;
}

struct background *background_create(void (*work)(void *ctx, const void *block, size_t used), void *ctx,
                                     size_t bytes)
{
    struct background *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->work = work;
    b->ctx = ctx;
    if (init(b, bytes))
        return b;
    const int why = errno;
    background_destroy(b);
    errno = why;
    return NULL;
}

void *background_block(struct background *b)
{
    return b->idle[b->idles - 1]->data;
}

void background_hand_over(struct background *b, size_t used)
{
    struct block *block = b->idle[--b->idles];
    block->used = used;
    pool_submit(b->pool, &block->job);
    take_back(b);
    while (b->idles == 0) {
        pool_wait(b->pool);
        take_back(b);
    }
}

void background_wait(struct background *b)
{
    while (b->idles < BLOCKS) {
        pool_wait(b->pool);
        take_back(b);
    }
}

void background_destroy(struct background *b)
{
    if (!b)
        return;
    pool_destroy(b->pool);
    for (unsigned i = 0; i < BLOCKS; i++)
        free(b->all[i]);
    free(b);
}
