/* rt.h - runtime of the test guests: freestanding i686 C, COM1 output, isa-debug-exit at 0xf4.
 *
 * A guest defines guest_main(); it checks with EXPECT and ends with the number of failures
 * (0: exit status 1 of the emulator, as isa-debug-exit says). Options come on the command line. */
#ifndef TANDEM_TESTS_GUESTS_RT_H
#define TANDEM_TESTS_GUESTS_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEBUG_EXIT_PORT 0xf4
#define IRQ_BASE 0x20 /* vectors of IRQ 0..15 */

struct frame {
    uint32_t es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, user_esp, user_ss;
};
typedef void (*isr_fn)(struct frame *f);

int guest_main(void); /* returns the number of failures */

static inline void outb(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory"); }
static inline uint8_t inb(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline void outl(uint16_t port, uint32_t v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory"); }
static inline uint32_t inl(uint16_t port)
{
    uint32_t v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline uint64_t rdtsc(void)
{
    uint64_t v;
    __asm__ volatile("rdtsc" : "=A"(v) : : "memory");
    return v;
}
static inline void sti(void) { __asm__ volatile("sti" : : : "memory"); }
static inline void cli(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void hlt(void) { __asm__ volatile("hlt" : : : "memory"); }

uint32_t div64(uint64_t n, uint32_t d, uint32_t *rem);      /* low 32 bits of the quotient */
uint64_t div64_full(uint64_t n, uint32_t d);
uint64_t muldiv64(uint64_t a, uint32_t b, uint32_t c, bool round_up); /* a * b / c, 96-bit inside */

void puts_raw(const char *s);
void print(const char *fmt, ...); /* %d %u %x %s %c %X (64-bit hex) %% */
void set_isr(unsigned vector, isr_fn fn);
void set_gate(unsigned vector, void *entry, uint8_t type_dpl);
void irq_unmask(unsigned irq);
void irq_mask_all(void);
void irq_eoi(unsigned irq);
unsigned option(const char *name, unsigned fallback); /* name=N on the command line */
void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void load_flat_gdt(void);
extern uint64_t gdt[16]; /* 1: code 0x08, 2: data 0x10, 3: user code 0x1b, 4: user data 0x23, 5: TSS 0x28, 6..: free */
struct tss32 { uint32_t link, esp0, ss0, rest[23]; };
extern struct tss32 tss;

extern unsigned failures, checks;
void expect_failed(const char *what, const char *file, int line, uint64_t got, uint64_t want);
#define EXPECT(cond) (checks++, (cond) ? (void)0 : expect_failed(#cond, __FILE__, __LINE__, 0, 1))
#define EXPECT_EQ(got, want)                                                                       \
    do {                                                                                           \
        uint64_t got_ = (got), want_ = (want);                                                     \
        checks++;                                                                                  \
        if (got_ != want_)                                                                         \
            expect_failed(#got " == " #want, __FILE__, __LINE__, got_, want_);                      \
    } while (0)

#endif
