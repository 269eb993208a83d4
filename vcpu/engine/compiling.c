/* compiling.c - when blocks are compiled and by whom, and what is done with the result.
 *
 * Compiling a block reads nothing of it that changes (x64_compile), so a worker may do it while the vCPU
 * interprets the block. The result is relocatable code; only the vCPU's thread puts it into the code cache,
 * between blocks. So the cache, links and block table need no lock, and a result is stale exactly when its
 * block was invalidated meanwhile. Before blocks' memory is reused, all jobs are called in. */
#include <stdlib.h>
#include <string.h>

#include "clockcore/check.h"
#include "syncq/activity.h"
#include "syncq/pinning.h"
#include "syncq/pool.h"
#include "vcpu/engine/engine.h"

/* Jobs at a time: more would only wait longer. */
enum { JOBS_MAX = 256 };
#define HOT_DEFAULT 16
/* Blocks become hot in bursts. A worker that parked between two of them would cost a system call for each. */
#define WORKER_NAPS 20
/* Entries until a block whose code is being made, or could not be asked for, asks again. */
#define HOT_AGAIN 16

_Static_assert(VCPU_TRANSLATORS_MAX <= POOL_WORKERS_MAX, "as many as the pool takes");
_Static_assert(VCPU_CODE_CACHE_MIN >= X64_CACHE_BYTES_MIN && VCPU_CODE_CACHE_MAX <= X64_CACHE_BYTES_MAX,
               "as x64_create takes");

struct compile_job {
    struct pool_job job; /* first */
    struct compile_job *next_free;
    struct tb *tb;
    struct x64_code code;
    bool done; /* compiled, and the code has its own memory */
};

struct compiling {
    struct x64_compiler *own;
    struct x64_compiler *check; /* NULL: copies are not checked */
    struct pool *pool;          /* NULL: the vCPU's thread compiles */
    struct x64_compiler *worker[POOL_WORKERS_MAX];
    struct compile_job *free;
    struct compile_job jobs[JOBS_MAX];
};

/* --- life --- */

/* On a worker. */
static void run_job(void *ctx, unsigned worker, struct pool_job *p)
{
    struct compiling *z = ctx;
    struct compile_job *job = (struct compile_job *)p;
    x64_compile(z->worker[worker], job->tb, &job->code);
    job->done = x64_code_keep(&job->code);
}

static bool workers_init(struct vcpu *v, struct compiling *z)
{
    const struct pool_config cfg = {.workers = v->cfg.translator_threads,
                                    .not_on_cpu = v->cfg.translator_not_on_cpu,
                                    .jitter_seed = v->cfg.translator_jitter,
                                    .activity = ACTIVITY_TRANSLATE,
                                    .naps = WORKER_NAPS,
                                    .run = run_job,
                                    .ctx = z};
    for (unsigned i = 0; i < cfg.workers; i++)
        if (!(z->worker[i] = x64_compiler_create(v->native)))
            return false;
    for (unsigned i = 0; i < JOBS_MAX; i++) {
        z->jobs[i].next_free = z->free;
        z->free = &z->jobs[i];
    }
    z->pool = pool_create(&cfg);
    return z->pool != NULL;
}

bool compiling_init(struct vcpu *v)
{
    struct compiling *z = calloc(1, sizeof *z);
    v->compiling = z;
    if (!z || !(z->own = x64_compiler_create(v->native)))
        return false;
    if (v->cfg.moved_blocks == MOVED_BLOCKS_CHECKED && !(z->check = x64_compiler_create(v->native)))
        return false;
    return v->cfg.translator != TRANSLATOR_BACKGROUND || v->cfg.translator_threads == 0 || workers_init(v, z);
}

void compiling_free(struct vcpu *v)
{
    struct compiling *z = v->compiling;
    if (!z)
        return;
    compiling_recall(v);
    pool_destroy(z->pool);
    for (unsigned i = 0; i < POOL_WORKERS_MAX; i++)
        x64_compiler_destroy(z->worker[i]);
    x64_compiler_destroy(z->own);
    x64_compiler_destroy(z->check);
    free(z);
    v->compiling = NULL;
}

/* --- results --- */

static void install(struct vcpu *v, struct tb *tb, const struct x64_code *code)
{
    if (!x64_could_hold(v->native, code)) {
        tb->cold = INT32_MAX;
        return;
    }
    while (!x64_has_room(v->native, code)) {
        const struct tb *old = x64_oldest(v->native);
        if (old)
            compiled_block_forget_jump(v, old);
        x64_evict_oldest(v->native);
    }
    uint8_t before = activity_begin(v->activity, ACTIVITY_TRANSLATE);
    x64_install(v->native, tb, code);
    activity_begin(v->activity, before);
    tb->cold = 0;
    if (v->cfg.log_items)
        blocklog_installed(v, tb);
}

static void job_finish(struct vcpu *v, struct compile_job *job, bool wanted)
{
    struct compiling *z = v->compiling;
    struct tb *tb = job->tb;
    tb->requested = 0;
    if (wanted && job->done && tb->valid && !tb->native.code)
        install(v, tb, &job->code);
    else
        v->stats.native_discarded++;
    x64_code_free(&job->code);
    job->next_free = z->free;
    z->free = job;
}

/* Installs what workers have finished. May evict. */
static void collect(struct vcpu *v)
{
    struct pool_job *p;
    while (v->compiling->pool && (p = pool_take(v->compiling->pool)))
        job_finish(v, (struct compile_job *)p, true);
}

void compiling_recall(struct vcpu *v)
{
    struct pool_job *p;
    while (v->compiling->pool && (p = pool_recall(v->compiling->pool)))
        job_finish(v, (struct compile_job *)p, false);
}

/* --- requests --- */

void compiling_now(struct vcpu *v, struct tb *tb)
{
    struct x64_code code;
    if (tb->native.code || !tb->valid || (tb->mode & TB_MODE_SHORT))
        return;
    uint8_t before = activity_begin(v->activity, ACTIVITY_TRANSLATE);
    x64_compile(v->compiling->own, tb, &code);
    activity_begin(v->activity, before);
    install(v, tb, &code);
}

/* What is copied must be what would be compiled. */
static void check_copy(struct compiling *z, const struct tb *tb, const struct x64_code *copy)
{
    struct x64_code compiled;
    x64_compile(z->check, tb, &compiled);
    CHECK(x64_code_equals(copy, &compiled));
}

void compiling_check(struct vcpu *v, const struct tb *tb)
{
    struct x64_code code;
    if (v->compiling && v->compiling->check && x64_copy(v->compiling->own, tb, tb, &code))
        check_copy(v->compiling, tb, &code);
}

void compiling_copy(struct vcpu *v, const struct tb *from, struct tb *to)
{
    struct compiling *z = v->compiling;
    struct x64_code code;
    to->cold = from->cold;
    if (!v->native || !from->native.code || !x64_copy(z->own, from, to, &code))
        return;
    if (z->check)
        check_copy(z, to, &code);
    install(v, to, &code);
    v->stats.native_copied++;
}

void compiling_parts(struct vcpu *v, const struct tb *tb, struct x64_block_parts *out)
{
    x64_compile_parts(v->compiling->own, tb, out);
}

static void compile_later(struct vcpu *v, struct tb *tb)
{
    struct compiling *z = v->compiling;
    struct compile_job *job = z->free;
    tb->cold = HOT_AGAIN;
    if (!job || tb->requested || !tb->valid || v->inner_sample.op)
        return; /* no worker reads a block whose handler is changed for a sample (interp.c) */
    z->free = job->next_free;
    job->tb = tb;
    job->done = false;
    tb->requested = 1;
    pool_submit(z->pool, &job->job);
}

void compiled_block_built(struct vcpu *v, struct tb *tb)
{
    unsigned hot = v->cfg.hot ? v->cfg.hot : HOT_DEFAULT;
    const bool may_be_hot = v->cfg.translator == TRANSLATOR_BACKGROUND && !(tb->mode & TB_MODE_SHORT);
    tb->cold = may_be_hot ? (int32_t)hot - 1 : INT32_MAX;
}

bool compiled_block_hot(struct vcpu *v, struct tb *tb)
{
    if (!v->native) {
        tb->cold = INT32_MAX;
        return false;
    }
    collect(v);
    if (tb->native.code && v->survey.on) {
        survey_block(v, tb);
        return false;
    }
    if (tb->native.code)
        tb->cold = 0;
    else if (v->compiling->pool)
        compile_later(v, tb);
    else
        compiling_now(v, tb);
    return tb->native.code != NULL;
}

/* --- figures --- */

unsigned vcpu_workers(const struct vcpu *v)
{
    return v->compiling && v->compiling->pool ? v->cfg.translator_threads : 0;
}

struct activity *vcpu_worker_activity(const struct vcpu *v, unsigned worker)
{
    return pool_activity(v->compiling->pool, worker);
}
