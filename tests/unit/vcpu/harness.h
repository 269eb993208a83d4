/* harness.h - a machine for vCPU tests: RAM, one vCPU, an inline link and a toy board.
 *
 * Board: port 0xe9 (posted write) collects bytes; 0xf4 (posted write) leaves with the value;
 * 0x10 (synchronous read, 32 bits) counts its reads; 0x20 (pure read) answers virtual ns; MMIO at
 * HARNESS_MMIO (4 KiB): synchronous words that remember their value. A timer raises line 0 every
 * `timer_ticks`. On the vCPU's side there is a timer, too: a write to 0x30 (32 bits) starts it with that
 * period in ns (0: off), its end raises line 1, a read says how many have passed. A write to 0x34 (32 bits)
 * is an event at the CPU's pins (low half, VCPU_PIN_*); those in the high half come at each end of the local
 * timer's period in place of line 1. The interrupt controller
 * delivers line n as vector 0x20 + n, rising edges only, not maskable. Guest code is written with
 * GUEST_CODE() below. */
#ifndef TANDEM_TESTS_VCPU_HARNESS_H
#define TANDEM_TESTS_VCPU_HARNESS_H

#include <pthread.h>
#include <stdatomic.h>

#include "clockcore/check.h"
#include "clockcore/ticks.h"
#include "mem/master.h"
#include "syncq/busmap.h"
#include "tests/unit/every.h"
#include "vcpu/arch/arch.h"
#include "vcpu/engine/engine.h"

#define HARNESS_RAM_BYTES (UINT64_C(16) << 20)
#define HARNESS_MMIO      0xf0000000u
#define HARNESS_CODE      0x10000u /* where harness_load puts code */

/* Guest code as assembly text; name and name_end bound it. Addresses in it must be relative or literal. */
#define GUEST_CODE_BITS(name, bits, text)                                                                    \
    __asm__(".pushsection .rodata\n.code" #bits "\n" #name ":\n" text "\n" #name                             \
            "_end:\n.code64\n.popsection\n");                                                                \
    extern const uint8_t name[], name##_end[]
#define GUEST_CODE(name, text)   GUEST_CODE_BITS(name, 32, text)
#define GUEST_CODE16(name, text) GUEST_CODE_BITS(name, 16, text)

struct harness {
    struct physmem mem;
    struct busmap bus;
    struct link *link;
    struct vcpu *cpu;
    uint64_t timer_ticks; /* 0: no timer */
    uint64_t timer_next;
    uint64_t (*event)(struct harness *h, uint64_t tick); /* the tests' own device; returns when next */
    uint64_t event_next;
    struct mem_master master; /* for it */
    pthread_t device_thread;
    bool has_device_thread;
    uint32_t irq_pending; /* the interrupt controller */
    uint64_t local_ns;    /* end of the local timer's period; NS_NEVER: off */
    uint32_t local_period_ns, local_count;
    bool masked;               /* can_interrupt() says no */
    uint32_t pins, local_pins; /* VCPU_PIN_*: on their way to the CPU; those that the local timer raises */
    uint32_t pins_may_come;    /* those that a halt waits for */
    bool stuck;                /* the INTR pin stays high, whatever is acknowledged: vector 0x20 */
    _Atomic unsigned stop_in;  /* harness_stop_in(): calls of host_io() left; 0: none asked for */
    unsigned stop_at_read;     /* of the options */
    uint32_t sync_reads;
    uint32_t mmio[1024];
    char text[256]; /* bytes written to port 0xe9 */
    unsigned text_bytes;
    uint64_t write_tick;  /* of the last such write */
    uint64_t input_tick;  /* input comes at this tick, once, and raises the timer's line; 0: none */
    uint64_t input_taken; /* tick at which the input was taken in; 0: not yet */
    bool input_replayed;  /* known before, as an event; else it waits from input_tick on, and ends an idle */
    unsigned digests, digest_inputs; /* calls; of them, those behind the input */
    uint64_t digest_ticks[64];
};

struct harness_options {
    uint64_t timer_ticks, quantum_ticks, digest_every, tick_limit; /* 0: none (quantum: 1 million) */
    enum { HARNESS_INLINE, HARNESS_THREAD, HARNESS_ADAPTIVE } devthread;
    void (*setup)(struct physmem *mem); /* before there is a vCPU; NULL: RAM alone */
    uint64_t (*event)(struct harness *h,
                      uint64_t tick); /* called in step(), first at event_tick; NULL: none */
    uint64_t event_tick;
    bool single_tb, survey;
    struct vcpu_observer observer;
    enum translator_mode translator; /* default: interpreted */
    unsigned hot, translator_threads;
    enum long_blocks long_blocks;
    uint32_t long_blocks_seed;
    uint64_t ram_bytes;    /* 0: HARNESS_RAM_BYTES */
    unsigned stop_at_read; /* number of the read of port 0x10 that asks the vCPU to stand; 0: none */
};

void harness_init(struct harness *h, const struct harness_options *o);
void harness_free(struct harness *h);
/* The vCPU is asked to stand in that many calls of host_io(), 1 or more: link_stop() with reason 1. */
void harness_stop_in(struct harness *h, unsigned calls);
/* Copies code to phys_addr. */
void harness_put(struct harness *h, uint32_t phys_addr, const void *bytes, size_t n);
/* Flat 32-bit protected mode, esp = 0x8000, at HARNESS_CODE. */
void harness_load32(struct harness *h, const uint8_t *code, const uint8_t *end);
/* Real mode at 0x1000:0, ss:sp = 0:0x8000. */
void harness_load16(struct harness *h, const uint8_t *code, const uint8_t *end);
#define HARNESS_LOAD(h, name)   harness_load32(h, name, name##_end)
#define HARNESS_LOAD16(h, name) harness_load16(h, name, name##_end)
/* A GDT at 0x1000 (0x10 code, 0x18 data: flat, ring 0; 0x23, 0x2b: the same for ring 3; 0x30: TSS at 0x1100
 * with ss0:esp0 = 0x18:0x7000) and an empty IDT at 0x2000. */
void harness_tables(struct harness *h);
/* 32-bit interrupt gate of ring 0 code. */
void harness_gate(struct harness *h, unsigned vector, uint32_t eip, unsigned dpl);
/* Identity page tables for the first 16 MiB and the MMIO page: directory at 0x80000, rights `flags` (P RW US
 * ...), CR3 set, CR0.PG and WP on. */
void harness_paging(struct harness *h, uint32_t flags);
/* Physical address of the page table entry of an address below 16 MiB. */
uint32_t harness_pte(uint32_t lin_addr);
/* A number that depends on all of RAM and the vCPU's state. */
uint64_t harness_fingerprint(const struct harness *h);
uint32_t harness_peek32(const struct harness *h, uint32_t phys_addr);
void harness_poke32(struct harness *h, uint32_t phys_addr, uint32_t value);

#endif
