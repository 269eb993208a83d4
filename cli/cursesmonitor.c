/* cursesmonitor.c - see cursesmonitor.h. */
#include "cli/cursesmonitor.h"

#include "cli/completion.h"
#include "cli/monitor.h"

#include <curses.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK       1024
#define CONTROL_U   0x15
#define DELETE      0x7F
#define FIRST_GLYPH 0x20

void curses_monitor_open(struct curses_monitor *m, int fd)
{
    m->fd = fd;
    m->window = fd >= 0 ? newpad(CURSES_MONITOR_ROWS, COLS) : NULL;
    if (m->window)
        scrollok(m->window, TRUE);
}

void curses_monitor_close(struct curses_monitor *m)
{
    if (m->window)
        delwin(m->window);
    m->window = NULL;
}

/* --- what is seen of the line --- */

static void erase_glyph(WINDOW *w)
{
    const int y = getcury(w), x = getcurx(w);
    if (x > 0)
        wmove(w, y, x - 1);
    else if (y > 0)
        wmove(w, y - 1, getmaxx(w) - 1);
    wdelch(w);
}

/* Not the first byte of a character. */
static bool continues(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

static void hide_line(struct curses_monitor *m)
{
    for (unsigned i = 0; i < m->bytes; i++)
        if (!continues(m->line[i]))
            erase_glyph(m->window);
}

static void show_line(struct curses_monitor *m)
{
    waddnstr(m->window, m->line, (int)m->bytes);
}

/* The line that is typed meanwhile moves on behind what is said. */
bool curses_monitor_serve(struct curses_monitor *m)
{
    char bytes[CHUNK];
    ssize_t n;
    bool any = false;
    while (m->window && (n = recv(m->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        if (!any)
            hide_line(m);
        for (ssize_t i = 0; i < n; i++)
            if (bytes[i] != '\r')
                waddnstr(m->window, bytes + i, 1);
        any = true;
    }
    if (any)
        show_line(m);
    return any;
}

/* --- the line --- */

static void rub_out(struct curses_monitor *m)
{
    if (m->bytes == 0)
        return;
    while (continues(m->line[--m->bytes]) && m->bytes)
        ;
    erase_glyph(m->window);
}

static void add(struct curses_monitor *m, const char *text, size_t bytes)
{
    if (m->bytes + bytes >= sizeof m->line)
        return;
    memcpy(m->line + m->bytes, text, bytes);
    m->bytes += (unsigned)bytes;
    waddnstr(m->window, text, (int)bytes);
}

/* The line has a place on the screen for each character: those of other widths are not taken. */
static void add_character(struct curses_monitor *m, wint_t ch)
{
    char text[MB_LEN_MAX];
    mbstate_t state = {0};
    const size_t n = wcwidth((wchar_t)ch) == 1 ? wcrtomb(text, (wchar_t)ch, &state) : 0;
    if (n <= sizeof text)
        add(m, text, n);
}

/* The line that was typed `back` lines ago takes the place of this one; 0: an empty one. */
static void look_back(struct curses_monitor *m, unsigned back)
{
    const unsigned kept = m->nhistory < CURSES_MONITOR_HISTORY ? m->nhistory : CURSES_MONITOR_HISTORY;
    if (back > kept)
        return;
    while (m->bytes)
        rub_out(m);
    m->looked = back;
    const char *from = back ? m->history[(m->nhistory - back) % CURSES_MONITOR_HISTORY] : "";
    add(m, from, strlen(from));
}

/* What the socket does not take is lost: it takes more lines than anybody types. */
static void enter(struct curses_monitor *m)
{
    m->line[m->bytes] = '\0';
    if (m->bytes)
        memcpy(m->history[m->nhistory++ % CURSES_MONITOR_HISTORY], m->line, m->bytes + 1);
    m->line[m->bytes++] = '\n';
    const ssize_t n = send(m->fd, m->line, m->bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)n;
    waddch(m->window, '\n');
    m->bytes = 0;
    m->looked = 0;
}

static void list_candidates(struct curses_monitor *m)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    if (!f)
        return;
    completion_list(m->line, f);
    if (fclose(f) == 0)
        wprintw(m->window, "\n%s" MONITOR_PROMPT "%s", text, m->line);
    free(text);
}

static void complete(struct curses_monitor *m)
{
    char rest[COMPLETION_BYTES + 1] = "";
    m->line[m->bytes] = '\0';
    if (completion_find(m->line, rest) == COMPLETION_MANY)
        list_candidates(m);
    add(m, rest, strlen(rest));
}

/* Half a screen back or on; how far there is something, curses_monitor_show knows. */
static bool turned_page(struct curses_monitor *m, wint_t ch, bool is_key)
{
    const int rows = LINES > 1 ? LINES / 2 : 1;
    if (!is_key || (ch != KEY_PPAGE && ch != KEY_NPAGE)) {
        m->scrolled = 0;
        return false;
    }
    m->scrolled += ch == KEY_PPAGE ? rows : m->scrolled < rows ? -m->scrolled : -rows;
    return true;
}

void curses_monitor_type(struct curses_monitor *m, wint_t ch, bool is_key)
{
    if (turned_page(m, ch, is_key))
        return;
    if (is_key && ch == KEY_UP)
        look_back(m, m->looked + 1);
    else if (is_key && ch == KEY_DOWN && m->looked > 0)
        look_back(m, m->looked - 1);
    else if ((is_key && ch == KEY_BACKSPACE) || (!is_key && (ch == '\b' || ch == DELETE)))
        rub_out(m);
    else if ((is_key && ch == KEY_ENTER) || (!is_key && (ch == '\r' || ch == '\n')))
        enter(m);
    else if (!is_key && ch == '\t')
        complete(m);
    else if (!is_key && ch == CONTROL_U)
        look_back(m, 0);
    else if (!is_key && ch >= FIRST_GLYPH)
        add_character(m, ch);
}

void curses_monitor_show(struct curses_monitor *m)
{
    WINDOW *w = m->window;
    const int rows = LINES > CURSES_MONITOR_ROWS ? LINES : CURSES_MONITOR_ROWS;
    if (getmaxy(w) != rows || getmaxx(w) != COLS)
        wresize(w, rows, COLS);
    const int below = getcury(w) + 1 - LINES, most = below > 0 ? below : 0;
    m->scrolled = m->scrolled < most ? m->scrolled : most;
    curs_set(m->scrolled == 0);
    touchwin(w);
    prefresh(w, most - m->scrolled, 0, 0, 0, LINES - 1, COLS - 1);
}
