/* symbols.c - a file for the tests of names: functions that keep their symbols and DWARF, and a struct like
 * Linux's, whose members the tests look for. It is never run. */

struct task_struct {
    int state[10];
    int pid, tgid; /* at 40 and 44 */
    unsigned long canary;
    struct task_struct *real_parent; /* at 52 */
    char gap[44];
    char comm[16]; /* at 100 */
};

struct task_struct symbols_task;

__attribute__((noinline)) int symbols_inner(int v)
{
    return v * 1103515245 + 12345 + symbols_task.pid;
}

__attribute__((noinline)) int symbols_outer(int v)
{
    for (int i = 0; i < 100; i++)
        v ^= symbols_inner(v + i);
    return v;
}

int _start(void)
{
    return symbols_outer(symbols_task.tgid);
}
