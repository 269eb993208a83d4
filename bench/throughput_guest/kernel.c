/* kernel.c - phases that are mostly the kernel's work: system calls, pipes, processes, page faults, the
 * console. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

/* --- null system calls --- */

static long int80(long number)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory");
    return result;
}

uint32_t pass_syscall(void)
{
    long parent = getppid();
    uint32_t right = 0;
    for (unsigned i = 0; i < 100000; i++)
        right += int80(SYS_getppid) == parent;
    return right;
}

/* --- two processes and two pipes --- */

#define ROUND_TRIPS 5000

static void echo_until_end(int in, int out)
{
    uint8_t byte;
    while (read(in, &byte, 1) == 1) {
        byte++;
        if (write(out, &byte, 1) != 1)
            break;
    }
    _exit(0);
}

static uint8_t round_trip(int out, int in, uint8_t byte)
{
    if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
        die("pipe");
    return byte;
}

static pid_t fork_or_die(void)
{
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        die("waitpid");
    return WEXITSTATUS(status);
}

static pid_t echo_start(int to_child[2], int from_child[2])
{
    if (pipe(to_child) || pipe(from_child))
        die("pipe");
    pid_t pid = fork_or_die();
    if (pid == 0) {
        close(to_child[1]);
        echo_until_end(to_child[0], from_child[1]);
    }
    close(to_child[0]);
    close(from_child[1]);
    return pid;
}

uint32_t pass_pipe(void)
{
    int to_child[2], from_child[2];
    uint32_t hash = HASH_START;
    pid_t pid = echo_start(to_child, from_child);
    for (unsigned i = 0; i < ROUND_TRIPS; i++)
        hash = hash_word(hash, round_trip(to_child[1], from_child[0], (uint8_t)i));
    close(to_child[1]);
    close(from_child[0]);
    return hash_word(hash, (uint32_t)wait_for(pid));
}

/* --- fork and exit --- */

uint32_t pass_fork(void)
{
    uint32_t hash = HASH_START;
    for (int i = 0; i < 100; i++) {
        pid_t pid = fork_or_die();
        if (pid == 0)
            _exit(i);
        hash = hash_word(hash, (uint32_t)wait_for(pid));
    }
    return hash;
}

/* --- page faults --- */

#define FAULT_BYTES (4u << 20)
#define PAGE_BYTES  4096u

static uint32_t touch_pages(uint8_t *map)
{
    uint32_t hash = HASH_START;
    for (uint32_t at = 0; at < FAULT_BYTES; at += PAGE_BYTES) {
        hash = hash_word(hash, map[at + 1]);
        map[at] = (uint8_t)(at / PAGE_BYTES);
    }
    for (uint32_t at = 0; at < FAULT_BYTES; at += PAGE_BYTES)
        hash = hash_word(hash, map[at]);
    return hash;
}

uint32_t pass_fault(void)
{
    uint8_t *map = mmap(NULL, FAULT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        die("mmap");
    uint32_t hash = touch_pages(map);
    munmap(map, FAULT_BYTES);
    return hash;
}

/* --- the console: the host compares what arrives --- */

#define CONSOLE_LINES 64u /* MATCH CONSOLE_LINES */

uint32_t pass_console(void)
{
    uint32_t words = 0;
    for (unsigned i = 0; i < CONSOLE_LINES; i++) {
        char line[65];
        int length = snprintf(line, sizeof line, "~%061u\n", i * 2654435761u);
        if (write(STDOUT_FILENO, line, (size_t)length) != length)
            die("console");
        words += (uint32_t)length;
    }
    tcdrain(STDOUT_FILENO);
    return words;
}
