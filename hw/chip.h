/* chip.h - what every device model is: a value, a field table and functions of (state, time).
 *
 * A chip's state is a plain struct without pointers, threads, clocks or files; `now_ns` is
 * virtual ns and never decreases from call to call on one state. Functions depend on nothing but
 * their arguments. The board (pc.c) gives a chip its ports, IRQ lines and back ends.
 *
 * Time: advance(s, now) is called exactly when now >= next_event(s) (at the first tick at or
 * after it), and before any read or write at the same tick; it is never called at any other time,
 * so a state's bytes depend only on the guest's accesses and on events, never on who polls.
 * Afterwards next_event may still be <= now (two edges within one tick): advance is called again.
 * Output pins: outputs(s) is a bit mask of levels (bit numbers in the chip's header); the bus
 * compares it before and after each call and turns changes into IRQ effects. A chip that must
 * show an edge takes two events, one for each level.
 * Guest-controlled values are hostile: any offset, size and value is defined; no assert.
 * Threads: one thread at a time, the one that holds the baton; `pure` reads take a const state
 * and may run on the vCPU's thread while nothing else touches the chip. */
#ifndef TANDEM_HW_CHIP_H
#define TANDEM_HW_CHIP_H

#include "clockcore/fields.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chip_blocks;
struct mem_master;
struct mem_own;

/* The channel of the board's DMA controller (i8237.h) that the chip's DREQ goes to. */
struct chip_dma {
    void *ctx;
    /* Moves up to `bytes` between `data` and memory, as the channel is programmed. Returns how many were
     * moved: fewer if the channel is masked or its count ends; *terminal_count: it ended. */
    uint32_t (*transfer)(void *ctx, bool to_memory, uint8_t *data, uint32_t bytes, bool *terminal_count);
};

/* What a chip has at hand while it uses memory or its drives. */
struct chip_master {
    /* mem/master.h; NULL: the chip may not use memory (bus mastering is off). */
    const struct mem_master *memory;
    /* blocks.h; NULL: the chip has no typed port for blocks. */
    const struct chip_blocks *blocks;
    const void *constant; /* as in read_constant */
    /* NULL: the board has no DMA controller. */
    const struct chip_dma *dma;
};

struct chip_class {
    const char *name; /* part number: "i8254" */
    size_t state_bytes;
    const struct field *fields; /* `nfields` of them: every byte of the state is in exactly one */
    size_t nfields;
    void (*reset)(void *s, uint64_t now_ns);
    /* One register access: offset from the chip's base, size 1, 2 or 4 bytes (the bus splits wider
     * or unaligned accesses for 8-bit chips). Reads return the value in the low bits. */
    uint32_t (*read)(void *s, uint32_t offset, unsigned size, uint64_t now_ns);
    void (*write)(void *s, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns);
    /* Takes the place of `read` where the board has constant data for the chip (board.h): what a ROM would
     * hold. They are no state. NULL: the chip has none. */
    uint32_t (*read_constant)(void *s, const void *constant, uint32_t offset, unsigned size, uint64_t now_ns);
    /* Take the place of `read` and `write` where the board has a memory of the chip's own (mem/own.h): a chip
     * on the CPU's side that the guest sees it through. Its offsets are more than registers then.
     * write_memory: true: what the board asks of the chip's state (remap_value) may have changed.
     * settle_memory: the state was reset, and memory may be in an order that it was not before. NULL: it has
     * none. */
    uint32_t (*read_memory)(void *s, const struct mem_own *memory, uint32_t offset, unsigned size,
                            uint64_t now_ns);
    bool (*write_memory)(void *s, const struct mem_own *memory, uint32_t offset, unsigned size,
                         uint32_t value, uint64_t now_ns);
    void (*settle_memory)(void *s, const struct mem_own *memory);
    /* What the data sheet says against this write as the chip stands, in a few words; NULL: nothing. Asked
     * before `write`, and only for the log of guest errors: it changes nothing. NULL: no write is ever wrong.
     */
    const char *(*write_error)(const void *s, uint32_t offset, unsigned size, uint32_t value);
    /* Side-effect-free read of the registers that the board declares pure; NULL if none. */
    uint32_t (*pure_read)(const void *s, uint32_t offset, unsigned size, uint64_t now_ns);
    /* Would a read of this register, as the chip stands, change it? Then it is served by `read` although the
     * board declares the register pure. NULL: no pure register ever would. */
    bool (*read_changes)(const void *s, uint32_t offset);
    /* Behind the register at offset 0 lies a buffer (a drive's data port). Of the next `n` accesses of `size`
     * bytes to it, how many would do nothing but move through the buffer? It moves past these, and *at is
     * where their bytes are. 0: the next access does more, and goes to `read` or `write`. The vCPU's thread
     * makes it while the chip is settled, so it changes nothing that the bus asks for (outputs, next_event,
     * next_master). NULL: no such register. */
    uint32_t (*run)(void *s, unsigned size, uint32_t n, bool write, uint8_t **at);
    void (*advance)(void *s, uint64_t now_ns); /* NULL: no events */
    uint64_t (*next_event)(const void *s);     /* absolute virtual ns, NS_NEVER: none */
    uint32_t (*outputs)(const void *s);        /* NULL: no pins */
    /* Bus masters and chips with drives only, else NULL. When the chip uses memory or a drive next (absolute
     * virtual ns, NS_NEVER: no need), and what it does there. `master` is called at the first tick at or
     * after that, once, while the vCPU stands, behind the events of the tick; no access to the chip puts it
     * off. No other function sees memory or drives. */
    uint64_t (*next_master)(const void *s);
    void (*master)(void *s, const struct chip_master *m, uint64_t now_ns);
};

#endif
