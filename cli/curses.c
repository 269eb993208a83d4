/* curses.c - -display curses: text screens on the terminal, by ncurses.
 *
 * A key that is typed goes down and up at once: a terminal does not say more. Esc and a key within ESCAPE_MS
 * are Alt and that key. Alt-1 is the guest's screen, Alt-2 the monitor (cursesmonitor.h), where there is one;
 * Ctrl-A c goes to and fro between the two, Ctrl-A x ends the run, Ctrl-A a is Ctrl-A. The screen is a window
 * on the guest's, which follows the cursor where the terminal is smaller.
 *
 * The terminal is one per process, and so is what a signal's handler needs to restore it: the only global
 * state of this file. */
#include "cli/display.h"

#include "cli/cp437.h"
#include "cli/cursesmonitor.h"
#include "cli/displaykeys.h"
#include "clockcore/ticks.h"
#include "hw/vga_draw.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PERIOD_MS      33
#define ESCAPE_MS      25
#define CONTROL_KEY(c) ((c)&0x1F)
#define ESCAPE         0x1B
#define X_F1           0xFFBE /* keysyms, as in displaykeys.c */

struct curses {
    struct display d;
    SCREEN *screen;
    struct display_keys keys;
    bool prefix; /* Ctrl-A was typed */
    bool asked, stale;
    uint64_t changes_ns; /* virtual time: it blinks */
    bool bright;         /* the terminal has 16 colours */
    bool in_monitor;     /* it is the monitor that is seen and typed into */
    struct curses_monitor monitor;
};

/* Written before the handlers need it. */
static struct termios terminal;
static char leave[128];
static volatile bool on_terminal;

void curses_restore_terminal(void)
{
    if (!on_terminal)
        return;
    ssize_t n = write(STDOUT_FILENO, leave, strlen(leave));
    (void)n;
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
}

/* --- keys --- */

static uint32_t keysym_of(int key)
{
    static const struct {
        int key;
        uint32_t keysym;
    } keys[] = {
        {KEY_BACKSPACE, 0xFF08}, {KEY_UP, 0xFF52},    {KEY_DOWN, 0xFF54}, {KEY_LEFT, 0xFF51},
        {KEY_RIGHT, 0xFF53},     {KEY_HOME, 0xFF50},  {KEY_END, 0xFF57},  {KEY_PPAGE, 0xFF55},
        {KEY_NPAGE, 0xFF56},     {KEY_IC, 0xFF63},    {KEY_DC, 0xFFFF},   {KEY_ENTER, 0xFF0D},
        {KEY_BTAB, 0xFE20},      {KEY_PRINT, 0xFF61}, {KEY_B2, 0xFF9D},
    };
    if (key >= KEY_F(1) && key <= KEY_F(12))
        return X_F1 + (uint32_t)(key - KEY_F(1));
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].key == key)
            return keys[i].keysym;
    return 0;
}

static void type_character(struct curses *c, wint_t ch, bool alt)
{
    if (ch == '\r' || ch == '\n')
        display_key_tap(&c->keys, 0xFF0D, false, alt);
    else if (ch == '\t')
        display_key_tap(&c->keys, 0xFF09, false, alt);
    else if (ch == 0x7F || ch == '\b')
        display_key_tap(&c->keys, 0xFF08, false, alt);
    else if (ch == ESCAPE)
        display_key_tap(&c->keys, 0xFF1B, false, alt);
    else if (ch > 0 && ch <= CONTROL_KEY('z'))
        display_key_tap(&c->keys, 'a' + ch - 1, true, alt);
    else if (ch > 0)
        display_key_tap(&c->keys, ch, false, alt);
}

/* What is seen is drawn anew. */
static void choose_view(struct curses *c, bool monitor)
{
    c->in_monitor = monitor && c->monitor.window;
    c->stale = true;
}

/* Alt-1 and Alt-2, where there is a monitor. */
static bool is_view_key(struct curses *c, wint_t ch)
{
    if ((ch != '1' && ch != '2') || !c->monitor.window)
        return false;
    choose_view(c, ch == '2');
    return true;
}

static void after_prefix(struct curses *c, wint_t ch)
{
    if (ch == 'x' || ch == 'X')
        machine_console_request(c->d.machine);
    else if (ch == 'c')
        choose_view(c, !c->in_monitor);
    else if (ch == 'a' || ch == CONTROL_KEY('a'))
        type_character(c, CONTROL_KEY('a'), false);
}

/* A second one that comes at once belongs to it: the terminal's way to say Alt. */
static void escaped(struct curses *c)
{
    wint_t ch;
    timeout(ESCAPE_MS);
    const int rc = get_wch(&ch);
    timeout(0);
    if ((rc == OK && is_view_key(c, ch)) || c->in_monitor)
        return;
    if (rc == OK)
        type_character(c, ch, true);
    else
        type_character(c, ESCAPE, false);
    if (rc == KEY_CODE_YES)
        display_key_tap(&c->keys, keysym_of((int)ch), false, true);
}

static void typed(struct curses *c, wint_t ch)
{
    if (c->prefix) {
        c->prefix = false;
        after_prefix(c, ch);
    } else if (ch == CONTROL_KEY('a')) {
        c->prefix = true;
    } else if (ch == ESCAPE) {
        escaped(c);
    } else if (c->in_monitor) {
        curses_monitor_type(&c->monitor, ch, false);
    } else {
        type_character(c, ch, false);
    }
}

/* False: there is nothing more to read. */
static bool read_key(struct curses *c)
{
    wint_t ch;
    const int rc = get_wch(&ch);
    if (rc == OK)
        typed(c, ch);
    else if (rc == KEY_CODE_YES && ch == KEY_RESIZE)
        c->stale = true;
    else if (rc == KEY_CODE_YES && c->in_monitor)
        curses_monitor_type(&c->monitor, ch, true);
    else if (rc == KEY_CODE_YES)
        display_key_tap(&c->keys, keysym_of((int)ch), false, false);
    return rc != ERR;
}

/* --- the screen --- */

/* A VGA's bits are blue, green, red; a terminal's the other way round. */
static short colour_of(unsigned vga)
{
    return (short)((vga & 1) << 2 | (vga & 2) | (vga & 4) >> 2 | (vga & 8));
}

static short pair_of(const struct curses *c, unsigned fg, unsigned bg)
{
    return c->bright ? (short)(1 + bg * 16 + fg) : (short)(1 + (bg & 7) * 8 + (fg & 7));
}

static void make_pairs(struct curses *c)
{
    start_color();
    c->bright = COLORS >= 16 && COLOR_PAIRS > 256;
    const unsigned n = c->bright ? 16 : 8;
    for (unsigned bg = 0; bg < n; bg++)
        for (unsigned fg = 0; fg < n; fg++)
            init_pair(pair_of(c, fg, bg), colour_of(fg), colour_of(bg));
}

/* Attribute controller, mode control, bit 3: bit 7 of an attribute blinks instead of a bright background. */
static void put_cell(const struct curses *c, const struct vga *vga, int y, int x, const uint8_t cell[2])
{
    const bool blinks = vga->attr[0x10] & 8 && cell[1] & 0x80;
    const unsigned fg = cell[1] & 15, bg = cell[1] >> 4 & (vga->attr[0x10] & 8 ? 7u : 15u);
    const attr_t bold = !c->bright && fg & 8 ? A_BOLD : A_NORMAL;
    const wchar_t text[2] = {cp437_unicode(cell[0]), 0};
    cchar_t out;
    setcchar(&out, text, bold | (blinks ? A_BLINK : A_NORMAL), pair_of(c, fg, bg), NULL);
    mvadd_wch(y, x, &out);
}

/* Where the cursor is; false: not on the screen. */
static bool cursor_at(const struct vga_text *t, unsigned *row, unsigned *column)
{
    for (*row = 0; t->cursor_on && *row < t->rows; ++*row)
        for (*column = 0; *column < t->columns; ++*column)
            if (vga_text_at(t, *row, *column) == t->cursor)
                return true;
    return false;
}

/* First row or column of the guest's that is shown, so that place `at` of `all` is among `shown`. */
static unsigned scrolled(unsigned at, unsigned all, int shown)
{
    if (shown <= 0 || all <= (unsigned)shown || at < (unsigned)shown)
        return 0;
    return at - (unsigned)shown + 1;
}

static void draw_text(struct curses *c, const struct machine_picture *p, const struct vga_text *t)
{
    unsigned row = 0, column = 0;
    const bool cursor = cursor_at(t, &row, &column);
    const unsigned top = scrolled(cursor ? row : 0, t->rows, LINES);
    const unsigned left = scrolled(cursor ? column : 0, t->columns, COLS);
    for (int y = 0; y < LINES && top + (unsigned)y < t->rows; y++)
        for (int x = 0; x < COLS && left + (unsigned)x < t->columns; x++) {
            uint8_t cell[2];
            vga_text_cell(p->vga, p->memory, vga_text_at(t, top + (unsigned)y, left + (unsigned)x), cell);
            put_cell(c, p->vga, y, x, cell);
        }
    curs_set(cursor);
    if (cursor)
        move((int)(row - top), (int)(column - left));
}

static void say(const char *text)
{
    mvaddstr(LINES / 2, (COLS - (int)strlen(text)) / 2 > 0 ? (COLS - (int)strlen(text)) / 2 : 0, text);
    curs_set(0);
}

static void draw(struct curses *c, const struct machine_picture *p)
{
    struct vga_text t;
    unsigned width, height;
    char text[64];
    erase();
    const bool lit = vga_picture_size(p->vga, &width, &height);
    if (lit && vga_text_screen(p->vga, &t)) {
        draw_text(c, p, &t);
    } else if (lit) {
        snprintf(text, sizeof text, "%u x %u graphics", width, height);
        say(text);
    } else {
        say("");
    }
    touchwin(stdscr); /* the monitor's window may have been there */
    refresh();
}

/* What the guest's screen shows meanwhile is drawn when it is seen again. */
static void show_monitor(struct curses *c, bool changed)
{
    if (changed || c->stale)
        curses_monitor_show(&c->monitor);
    c->stale = false;
}

static void show(struct curses *c)
{
    struct machine_picture p;
    if (c->asked && machine_screen_take(c->d.machine, &p)) {
        c->asked = false;
        if (p.changed || c->stale)
            draw(c, &p);
        c->stale = false;
    }
    if (!c->asked)
        machine_screen_ask(c->d.machine);
    c->asked = true;
}

static void curses_run(struct display *d)
{
    struct curses *c = (struct curses *)d;
    int fd = STDIN_FILENO;
    bool ready;
    c->keys.machine = d->machine;
    c->keys.map = d->map;
    c->stale = true;
    while (!display_stopping(d, fd, PERIOD_MS, &ready)) {
        const bool any = read_key(c);
        if (ready && !any && fd >= 0) { /* the terminal has gone */
            fd = -1;
            machine_quit_request(d->machine);
        }
        while (any && read_key(c))
            ;
        const bool said = curses_monitor_serve(&c->monitor);
        if (c->in_monitor)
            show_monitor(c, said || any);
        else
            show(c);
    }
}

/* --- start and end --- */

static void curses_close(struct display *d)
{
    struct curses *c = (struct curses *)d;
    curses_monitor_close(&c->monitor);
    endwin();
    on_terminal = false;
    delscreen(c->screen);
    free(c);
}

static const struct display_class curses_class = {curses_run, curses_close, NULL};

static void add_leave(const char *capability)
{
    const char *text = tigetstr((char *)(uintptr_t)capability);
    if (text && text != (char *)-1 && strlen(leave) + strlen(text) < sizeof leave)
        strcat(leave, text);
}

/* A terminal that cannot move its cursor to a place can show no screen. */
static bool terminal_is_enough(void)
{
    char capability[] = "cup";
    const char *text = tigetstr(capability);
    return text && text != (char *)-1;
}

static void prepare_terminal(struct curses *c)
{
    leave[0] = 0;
    add_leave("sgr0");
    add_leave("rmkx");
    add_leave("cnorm");
    add_leave("rmcup");
    on_terminal = true;
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    set_escdelay(ESCAPE_MS);
    timeout(0);
    make_pairs(c);
}

/* Characters beyond ASCII need a locale; a user without one has a terminal of today all the same. */
static void choose_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

struct display *curses_open(int monitor_fd, struct err *e)
{
    struct curses *c = calloc(1, sizeof *c);
    if (!c || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal) != 0) {
        err_set(e, "-display curses: standard input and output must be a terminal");
        free(c);
        return NULL;
    }
    choose_locale();
    c->screen = newterm(NULL, stdout, stdin);
    if (!c->screen) {
        err_set(e, "-display curses: the terminal TERM=%s is unknown", getenv("TERM") ? getenv("TERM") : "");
        free(c);
        return NULL;
    }
    if (!terminal_is_enough()) {
        endwin();
        delscreen(c->screen);
        err_set(e,
                "-display curses: the terminal TERM=%s cannot place its cursor; one that can, such as xterm, "
                "is needed",
                getenv("TERM") ? getenv("TERM") : "");
        free(c);
        return NULL;
    }
    c->d = (struct display){.class = &curses_class, .stop_fd = -1};
    prepare_terminal(c);
    curses_monitor_open(&c->monitor, monitor_fd);
    return &c->d;
}
