/* background.h - work on blocks of bytes that a thread of its own does, in order, while the owner goes on.
 *
 *     to = background_block(b);             // room for the bytes that were asked for
 *     ... fill `used` bytes ...
 *     background_hand_over(b, used);        // work(ctx, block, used) begins soon
 *     background_wait(b);                   // all of it is done
 *
 * The owner waits where the thread is several blocks behind: memory is bounded, and nothing is lost.
 * Threads: all functions by the owner; `work` on the other thread. What `work` touches is that thread's until
 * background_wait returns. */
#ifndef TANDEM_OBSERVE_BACKGROUND_H
#define TANDEM_OBSERVE_BACKGROUND_H

#include <stddef.h>
#include <stdint.h>

struct background;

/* NULL with errno. `bytes` of each block, which are aligned for any type. */
struct background *background_create(void (*work)(void *ctx, const void *block, size_t used), void *ctx,
                                     size_t bytes);
void *background_block(struct background *b);
void background_hand_over(struct background *b, size_t used);
void background_wait(struct background *b);
void background_destroy(struct background *b); /* NULL is fine */

#endif
