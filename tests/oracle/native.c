/* native.c - runs a case on the host CPU in compatibility mode (CS 0x23), without a 32-bit process; on a host
 * whose kernel does not run 32-bit code, in 64-bit mode, in the case's 64-bit form (form64.h).
 *
 * A signal handler may change the whole context that it returns to, selector of the code segment and
 * FPU image included: SIGUSR1 enters the case, the fault or the INT3 at its end leaves it. The low 4 GiB
 * of a 64-bit position-independent process are empty but for what is mapped here, so wild accesses
 * fault. Data pages are not executable: a case cannot jump into random bytes, hence make no system call
 * but through its own instructions (which the generator excludes). */
#include "tests/oracle/form64.h"
#include "tests/oracle/oracle.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

#define USER32_CS 0x23
#define USER_DS   0x2b

static uint8_t *code_page, *data_pages;
/* The handler's only way to its case: one thread, one case at a time. */
static const struct test_case *current;
static struct test_result *result;
static bool in_case, kept_cs, is_form64; /* kept_cs: the kernel let the last case run with USER32_CS */
static struct form64 form;               /* of the current case, with is_form64 */
static gregset_t saved_gregs;
static struct _libc_fpstate saved_fpu;

static const int gpr_index[8] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI};

/* FXSAVE keeps registers in stack order and one tag bit a physical register (1: valid). */
static void fpu_to_fxsave(const struct fpu_image *f, struct _libc_fpstate *fx)
{
    unsigned top = f->sw >> 11 & 7;
    fx->cwd = f->cw, fx->swd = f->sw, fx->ftw = (uint8_t)~f->empty;
    fx->fop = 0, fx->rip = 0, fx->rdp = 0;
    for (unsigned i = 0; i < 8; i++) {
        memset(&fx->_st[i], 0, sizeof fx->_st[i]);
        memcpy(&fx->_st[i], f->r[(top + i) & 7], 10);
    }
}

static void fpu_from_fxsave(struct fpu_image *f, const struct _libc_fpstate *fx)
{
    unsigned top = fx->swd >> 11 & 7;
    f->cw = fx->cwd, f->sw = fx->swd, f->empty = (uint8_t)~fx->ftw;
    for (unsigned i = 0; i < 8; i++)
        memcpy(f->r[(top + i) & 7], &fx->_st[i], 10);
}

static void sse_to_fxsave(const struct sse_image *s, struct _libc_fpstate *fx)
{
    fx->mxcsr = s->mxcsr;
    memcpy(fx->_xmm, s->xmm, sizeof s->xmm);
}

static void sse_from_fxsave(struct sse_image *s, const struct _libc_fpstate *fx)
{
    s->mxcsr = fx->mxcsr;
    memcpy(s->xmm, fx->_xmm, sizeof s->xmm);
}

/* The XSAVE header behind the legacy area says which parts the kernel restores: force x87 and SSE. */
static void mark_legacy_state(struct _libc_fpstate *fx)
{
    struct _fpx_sw_bytes sw; /* its 48 bytes end the legacy area */
    memcpy(&sw, (const uint8_t *)fx + 464, sizeof sw);
    if (sw.magic1 != FP_XSTATE_MAGIC1)
        return;
    uint64_t bv;
    memcpy(&bv, (const uint8_t *)fx + 512, 8);
    bv |= 3;
    memcpy((uint8_t *)fx + 512, &bv, 8);
}

static void enter_case(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)info;
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;
    memcpy(saved_gregs, g, sizeof saved_gregs);
    saved_fpu = *uc->uc_mcontext.fpregs;
    for (unsigned i = 0; i < 8; i++)
        g[gpr_index[i]] = current->in.gpr[i];
    g[REG_RIP] = is_form64 ? form.start : current->in.eip;
    g[REG_EFL] = current->in.eflags | 0x202;
    if (!is_form64)
        g[REG_CSGSFS] = (g[REG_CSGSFS] & ~INT64_C(0xffff)) | USER32_CS;
    fpu_to_fxsave(&current->in.fpu, uc->uc_mcontext.fpregs);
    sse_to_fxsave(&current->in.sse, uc->uc_mcontext.fpregs);
    mark_legacy_state(uc->uc_mcontext.fpregs);
    in_case = true;
}

/* In 64-bit mode nothing wraps around at 4 GiB. An operand of FXSAVE, the longest, has 512 bytes. */
static bool went_beyond(const greg_t *g)
{
    uint64_t all = (uint64_t)g[REG_RIP];
    for (unsigned i = 0; i < 8; i++)
        all |= (uint64_t)g[gpr_index[i]];
    return all >> 32 || (g[REG_TRAPNO] == 14 && (uint64_t)g[REG_CR2] >= 0xfffffe00);
}

static void leave_case(int sig, siginfo_t *info, void *context)
{
    (void)info;
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;
    if (!in_case) { /* our own bug, or a timer that found no case running */
        if (sig != SIGALRM)
            signal(sig, SIG_DFL);
        return;
    }
    in_case = false;
    kept_cs = (g[REG_CSGSFS] & 0xffff) == USER32_CS;
    for (unsigned i = 0; i < 8; i++)
        result->out.gpr[i] = (uint32_t)g[gpr_index[i]];
    result->out.eip = (uint32_t)g[REG_RIP];
    result->out.eflags = (uint32_t)g[REG_EFL];
    result->vector = sig == SIGALRM || sig == SIGSYS ? NATIVE_STOPPED : (unsigned)g[REG_TRAPNO];
    result->error = (uint32_t)g[REG_ERR];
    result->cr2 = result->vector == 14 ? (uint32_t)g[REG_CR2] : 0;
    result->fetch_fault = result->vector == 14 && (result->error & 0x10);
    if (is_form64 && result->vector != 3) /* behind INT3, not at an instruction of the case */
        result->out.eip = form64_eip(&form, result->out.eip);
    if (is_form64 && result->vector != NATIVE_STOPPED && went_beyond(g))
        result->vector = NATIVE_NO_FORM;
    fpu_from_fxsave(&result->out.fpu, uc->uc_mcontext.fpregs);
    sse_from_fxsave(&result->out.sse, uc->uc_mcontext.fpregs);
    memcpy(g, saved_gregs, sizeof saved_gregs);
    uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;
    memcpy(fx, &saved_fpu, 464); /* not the software bytes behind it */
    mark_legacy_state(uc->uc_mcontext.fpregs);
}

static bool install(int sig, void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction a = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&a.sa_mask);
    return sigaction(sig, &a, NULL) == 0;
}

/* 64-bit code does not care about DS, ES and NT, 32-bit code does, and signals keep them: NT as the last case
 * left it. */
static void set_what_signals_keep(void)
{
    __asm__ volatile("movw %0, %%ds\n\tmovw %0, %%es" : : "r"((uint16_t)USER_DS));
    __writeeflags(__readeflags() & ~UINT64_C(0x4000));
}

/* A case that went astray must not call the host's kernel: every system call of 32-bit code ends it by
 * SIGSYS. */
static bool forbid_32bit_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        return true;
    perror("oracle: seccomp");
    return false;
}

/* A case has a second at most. */
static bool watch(void)
{
    struct itimerval period = {{1, 0}, {1, 0}};
    return setitimer(ITIMER_REAL, &period, NULL) == 0;
}

static bool install_all(void)
{
    return install(SIGUSR1, enter_case) && install(SIGSEGV, leave_case) && install(SIGTRAP, leave_case) &&
           install(SIGFPE, leave_case) && install(SIGILL, leave_case) && install(SIGBUS, leave_case) &&
           install(SIGALRM, leave_case) && install(SIGSYS, leave_case);
}

/* 40h is INC EAX in 32-bit code, and a prefix in 64-bit code. Some kernels of virtual machines return from a
 * signal to 64-bit mode whatever the selector was. */
static bool runs_32bit(void)
{
    static struct test_case probe = {.code = {0x40}, .code_bytes = 1};
    static struct test_result r;
    probe.in = (struct cpu_image){.gpr = {5}, .eip = CODE_START};
    probe.in.fpu.cw = 0x37f, probe.in.fpu.empty = 0xff, probe.in.sse.mxcsr = 0x1f80;
    native_run(&probe, &r);
    return kept_cs && r.vector == 3 && r.out.gpr[0] == 6 && r.out.eip == CODE_START + 2;
}

bool native_init(bool form64)
{
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    code_page = mmap((void *)(uintptr_t)CODE_BASE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    data_pages = mmap((void *)(uintptr_t)DATA_BASE, DATA_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (code_page != (void *)(uintptr_t)CODE_BASE || data_pages != (void *)(uintptr_t)DATA_BASE ||
        !stack.ss_sp || sigaltstack(&stack, NULL) != 0) {
        fprintf(stderr, "oracle: cannot map the low pages\n");
        return false;
    }
    if (!install_all() || !forbid_32bit_calls() || !watch())
        return false;
    is_form64 = form64 || !runs_32bit();
    return true;
}

bool native_is_form64(void)
{
    return is_form64;
}

void native_enter(const struct test_case *c, struct test_result *r)
{
    current = c, result = r;
    set_what_signals_keep();
    raise(SIGUSR1);
}

static void put_code(const struct test_case *c)
{
    memset(code_page, 0xcc, CODE_BYTES);
    if (is_form64)
        memcpy(code_page + (form.start - CODE_BASE), form.code, form.code_bytes);
    else
        memcpy(code_page + (c->in.eip - CODE_BASE), c->code, c->code_bytes);
}

void native_run(const struct test_case *c, struct test_result *r)
{
    if (is_form64 && !form64_make(c, &form)) {
        r->vector = NATIVE_NO_FORM;
        return;
    }
    put_code(c);
    mprotect(data_pages + DATA_PAGES * 4096, RO_PAGES * 4096, PROT_READ | PROT_WRITE);
    memcpy(data_pages, c->data, DATA_BYTES);
    mprotect(data_pages + DATA_PAGES * 4096, RO_PAGES * 4096, PROT_READ);
    native_enter(c, r);
    memcpy(r->data, data_pages, DATA_BYTES);
}
