/* timerq.h - bounded queue of timers, ordered by (tick, device, sequence).
 *
 * A timer is a small number 0..capacity-1 that its owner chose; it is armed for one tick at a time.
 * The sequence number is given at each arming, so that timers of one device and tick leave in the
 * order of arming, and nothing depends on addresses or hash order.
 * Threads: one at a time (the holder of the baton). Memory: all of it at init.
 * Cost: peek O(1); arm, cancel and pop O(log n). Errors: an id out of range is our bug (CHECK). */
#ifndef TANDEM_CLOCKCORE_TIMERQ_H
#define TANDEM_CLOCKCORE_TIMERQ_H

#include <stdbool.h>
#include <stdint.h>

struct timerq_timer {
    uint64_t tick;  /* when it is due */
    uint64_t seq;   /* order of arming: the last tie breaker */
    uint32_t index; /* index in heap[], TIMERQ_IDLE: not armed */
    uint16_t dev;   /* device number: the first tie breaker */
};

#define TIMERQ_IDLE UINT32_MAX

struct timerq {
    struct timerq_timer *timer; /* [capacity], by id */
    uint32_t *heap;             /* [capacity], ids; heap[0] is the earliest */
    uint32_t capacity;
    uint32_t armed; /* ids in heap[] */
    uint64_t next_seq;
};

/* False with errno on lack of memory. */
bool timerq_init(struct timerq *q, uint32_t capacity);
void timerq_destroy(struct timerq *q);
/* Arms timer `id`, or moves it if it is armed already (with a new sequence number). */
void timerq_arm(struct timerq *q, uint32_t id, uint16_t dev, uint64_t tick);
/* False: it was not armed. */
bool timerq_cancel(struct timerq *q, uint32_t id);
bool timerq_armed(const struct timerq *q, uint32_t id);
/* Tick of the earliest timer; TICK_NEVER if none is armed. */
uint64_t timerq_peek(const struct timerq *q);
/* Takes the earliest timer whose tick is <= `tick`: its id; false: none. */
bool timerq_pop(struct timerq *q, uint64_t tick, uint32_t *id);

#endif
