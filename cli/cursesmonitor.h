/* cursesmonitor.h - the monitor of -display curses: a screen of its own beside the guest's, with a line to
 * type on, earlier lines by the cursor keys, completion by Tab, and what the monitor answers, of which the
 * page keys show what has scrolled away.
 *
 * Threads: the display's. Memory: CURSES_MONITOR_ROWS rows of text and a few lines; older ones are gone. */
#ifndef TANDEM_CLI_CURSESMONITOR_H
#define TANDEM_CLI_CURSESMONITOR_H

#include <stdbool.h>
#include <wchar.h>

#define CURSES_MONITOR_LINE    512
#define CURSES_MONITOR_HISTORY 32
#define CURSES_MONITOR_ROWS    1000

struct curses_monitor {
    int fd;       /* to the monitor, never blocks; the caller's; -1: there is none */
    void *window; /* ncurses', a pad; NULL: there is no monitor */
    int scrolled; /* rows back; 0: the line that is typed is seen */
    char line[CURSES_MONITOR_LINE];
    unsigned bytes;
    char history[CURSES_MONITOR_HISTORY][CURSES_MONITOR_LINE];
    unsigned nhistory; /* lines that were ever kept */
    unsigned looked;   /* how far back the typed line was taken from; 0: it is new */
};

/* ncurses has begun. */
void curses_monitor_open(struct curses_monitor *m, int fd);
void curses_monitor_close(struct curses_monitor *m);
/* Takes in what the monitor has said. True: there was something. */
bool curses_monitor_serve(struct curses_monitor *m);
/* A character, or a key of ncurses' (KEY_UP), was typed. */
void curses_monitor_type(struct curses_monitor *m, wint_t ch, bool is_key);
/* Makes the terminal show it; the terminal may have another size than before. */
void curses_monitor_show(struct curses_monitor *m);

#endif
