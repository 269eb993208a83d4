/* monitor.c - see monitor.h: lines, words, the table of commands, and the commands about the run itself. */
#include "cli/monitor_internal.h"

#include "cli/keys.h"
#include "cli/media.h"
#include "machine/optvalue.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GREETING "Tandem " TANDEM_VERSION " monitor - type 'help' for more information\n" MONITOR_PROMPT
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* What is kept for a client. */
struct monitor {
    struct steer *steer;
    struct control_client *client;
    enum monitor_kind { KIND_PLAIN, KIND_MUX, KIND_EDIT } kind;
};

/* --- commands about the run --- */

static void do_stop(struct monitor_call *call)
{
    steer_stop(call->steer);
}

static void do_cont(struct monitor_call *call)
{
    if (!steer_cont(call->steer))
        fprintf(call->out, "Error: the guest has powered off; quit is accepted\n");
}

static void press(struct monitor_call *call, enum port_button button)
{
    if (!steer_button(call->steer, button))
        fprintf(call->out, "Error: the guest has powered off, or has had too much input already\n");
}

static void do_system_reset(struct monitor_call *call)
{
    press(call, PORT_BUTTON_RESET);
}

static void do_system_powerdown(struct monitor_call *call)
{
    press(call, PORT_BUTTON_POWER);
}

static void do_nmi(struct monitor_call *call)
{
    press(call, PORT_BUTTON_NMI);
}

static void do_quit(struct monitor_call *call)
{
    steer_quit(call->steer, "ended from the monitor (quit)");
}

static void tell_where(FILE *out, const struct steer *s)
{
    fprintf(out, "VM status: %s, tick %" PRIu64 "\n",
            s->shutdown         ? "paused (shutdown)"
            : steer_io_waits(s) ? "paused (io-error)"
            : s->paused         ? "paused"
                                : "running",
            machine_tick(s->machine));
}

static void info_status(struct monitor_call *call)
{
    tell_where(call->out, call->steer);
}

/* Behind an answer. */
static void end_answer(const struct monitor *m)
{
    if (m->kind == KIND_EDIT)
        control_write(m->client, "", 1); /* the NUL */
    else
        control_write(m->client, MONITOR_PROMPT, strlen(MONITOR_PROMPT));
}

/* The client of run-to gets its answer and a prompt. */
static void ran(void *ctx)
{
    struct monitor *m = ctx;
    end_answer(m);
    control_release(m->client);
}

static void do_run_to(struct monitor_call *call)
{
    const uint64_t now = machine_tick(call->steer->machine);
    uint64_t tick;
    if (!value_number(call->word[1], 1, INT64_MAX, &tick) ||
        !steer_run_to(call->steer, tick, call->monitor ? ran : NULL, call->monitor)) {
        fprintf(call->out, "Error: run-to %s: a tick from %" PRIu64 " on is accepted\n", call->word[1], now);
        return;
    }
    call->held = call->monitor != NULL;
}

static void show_help(FILE *out, const char *prefix, const struct monitor_command *c)
{
    char head[96];
    snprintf(head, sizeof head, "%s%s%s%s%s%s", prefix, c->name, c->alias ? "|" : "",
             c->alias ? c->alias : "", c->arguments ? " " : "", c->arguments ? c->arguments : "");
    fprintf(out, "%s -- %s\n", head, c->help);
}

static bool has_name(const struct monitor_command *c, const char *name)
{
    return strcmp(c->name, name) == 0 || (c->alias && strcmp(c->alias, name) == 0);
}

static const struct monitor_command *find(const struct monitor_command *table, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (has_name(&table[i], name))
            return &table[i];
    return NULL;
}

static void help_infos(FILE *out)
{
    for (unsigned i = 0; i < monitor_ninfos; i++)
        show_help(out, "info ", &monitor_infos[i]);
}

static void do_help(struct monitor_call *call)
{
    const char *name = call->nwords > 1 ? call->word[1] : NULL;
    const struct monitor_command *c = name ? find(monitor_commands, monitor_ncommands, name) : NULL;
    if (c) {
        show_help(call->out, "", c);
        if (strcmp(c->name, "info") == 0)
            help_infos(call->out);
        return;
    }
    if (name)
        fprintf(call->out, "unknown command: '%s'; help lists what is accepted\n", name);
    for (unsigned i = 0; i < monitor_ncommands && !name; i++)
        show_help(call->out, "", &monitor_commands[i]);
}

static void run_command(struct monitor_call *call, const struct monitor_command *c, const char *prefix)
{
    if (call->nwords < c->words_min || call->nwords > c->words_max)
        fprintf(call->out, "Error: accepted: %s%s%s%s\n", prefix, c->name, c->arguments ? " " : "",
                c->arguments ? c->arguments : "");
    else
        c->run(call);
}

static void do_info(struct monitor_call *call)
{
    const char *name = call->nwords > 1 ? call->word[1] : NULL;
    const struct monitor_command *c = name ? find(monitor_infos, monitor_ninfos, name) : NULL;
    if (!name) {
        help_infos(call->out);
        return;
    }
    memmove(call->word, call->word + 1, (--call->nwords) * sizeof *call->word);
    if (c)
        run_command(call, c, "info ");
    else if (!info_named(call, name))
        fprintf(
            call->out,
            "unknown: 'info %s'; a subject of help info, or a part that info devices names, is accepted\n",
            name);
}

const struct monitor_command monitor_commands[] = {
    {"help", "?", "[COMMAND]", "what is accepted", 1, 2, do_help},
    {"info", NULL, "[SUBJECT]", "shows something of the machine; help info lists the subjects", 1,
     MONITOR_WORDS_MAX, do_info},
    {"stop", NULL, NULL, "the machine stands, at the tick at which it is now", 1, 1, do_stop},
    {"cont", "c", NULL, "the machine goes on", 1, 1, do_cont},
    {"run-to", NULL, "TICK", "the machine goes on up to TICK, and stands there; the prompt comes then", 2, 2,
     do_run_to},
    {"x", NULL, "/FMT ADDR", "memory at a linear address; FMT: [COUNT][x|d|u|o|c|i|s][b|h|w|g]", 2,
     MONITOR_WORDS_MAX, monitor_x},
    {"xp", NULL, "/FMT ADDR", "memory at a physical address", 2, MONITOR_WORDS_MAX, monitor_xp},
    {"print", "p", "/FMT EXPR",
     "what an expression comes to: numbers, $eax and its kin, + - * / % & | ^ ~ ( )", 2, MONITOR_WORDS_MAX,
     monitor_print},
    {"memsave", NULL, "ADDR SIZE FILE", "writes memory from a linear address on to a file", 4, 4,
     monitor_memsave},
    {"pmemsave", NULL, "ADDR SIZE FILE", "writes memory from a physical address on to a file", 4, 4,
     monitor_pmemsave},
    {"sendkey", NULL, "KEY[-KEY ...] [MS]", "holds keys down together for MS of virtual time (default 100)",
     2, 3, monitor_sendkey},
    {"paste", NULL, "TEXT", "types TEXT by the layout of -k; \\n, \\t and \\\\ are accepted in it", 2,
     MONITOR_WORDS_MAX, monitor_paste},
    {"screendump", NULL, "FILE", "writes the screen to a file", 2, 2, monitor_screendump},
    {"mouse_move", NULL, "DX DY [DZ]", "moves the mouse, to the right and down; DZ: the wheel", 3, 4,
     monitor_mouse_move},
    {"mouse_button", NULL, "BUTTONS", "holds down 1 (left) + 2 (right) + 4 (middle), and no others", 2, 2,
     monitor_mouse_button},
    {"savevm", NULL, "[TAG|FILE]",
     "saves the machine's whole state: TAG in the folder of -snapshots, or FILE, which has a / in it", 1, 2,
     monitor_savevm},
    {"loadvm", NULL, "TAG|FILE", "the machine's state becomes the saved one, and the run goes on from there",
     2, 2, monitor_loadvm},
    {"delvm", NULL, "TAG", "deletes a snapshot", 2, 2, monitor_delvm},
    {"eject", NULL, "[-f] DEVICE", "takes the medium out of a drive; -f: although the guest has locked it", 2,
     3, monitor_eject},
    {"change", NULL, "[-f] DEVICE FILE [FORMAT [retain|read-only|read-write]]",
     "puts the image FILE into a drive, in the place of what is there", 3, 6, monitor_change},
    {"digest", NULL, NULL, "the digest of the guest's state at this tick", 1, 1, monitor_digest},
    {"log", NULL, "ITEM[,ITEM ...]|none", "what is logged from now on: items as of -d", 2, 2, monitor_log},
    {"hostfwd_add", NULL, "[ID] " NETADDR_FORWARD,
     "a port of the host's leads into the guest, by the user network ID or the first one", 2, 3,
     monitor_hostfwd_add},
    {"hostfwd_remove", NULL, "[ID] [tcp|udp]:[HOSTADDR]:HOSTPORT", "it does so no more", 2, 3,
     monitor_hostfwd_remove},
    {"system_reset", NULL, NULL, "presses the reset button", 1, 1, do_system_reset},
    {"system_powerdown", NULL, NULL, "presses the power button: the guest may power off", 1, 1,
     do_system_powerdown},
    {"nmi", NULL, NULL, "presses the NMI button; port 70h may mask it", 1, 1, do_nmi},
    {"quit", "q", NULL, "ends the run", 1, 1, do_quit},
};
const unsigned monitor_ncommands = COUNT(monitor_commands);

const struct monitor_command monitor_infos[] = {
    {"registers", NULL, NULL, "the CPU's registers", 1, 1, info_registers},
    {"hot", NULL, NULL, "the hottest blocks so far, with -d hot=N", 1, 1, info_hot},
    {"clock", NULL, NULL, "ticks, instructions and virtual time", 1, 1, info_clock},
    {"horizon", NULL, NULL, "up to where the vCPU may go, and what the devices have planned", 1, 1,
     info_horizon},
    {"devices", NULL, NULL, "which devices there are", 1, 1, info_devices},
    {"irq", NULL, NULL, "the interrupt controllers", 1, 1, info_irq},
    {"tlb", NULL, NULL,
     "the pages of the page tables: X no execution, G global, P large, D dirty, A accessed, C no cache, T "
     "write-through, "
     "U user, W writable",
     1, 1, info_tlb},
    {"mem", NULL, NULL,
     "the ranges that the page tables map, and whether user code may use and all may write them", 1, 1,
     info_mem},
    {"mtree", NULL, NULL, "what lies at which physical address and I/O port", 1, 1, info_mtree},
    {"pci", NULL, NULL, "the functions on the PCI bus", 1, 1, info_pci},
    {"block", NULL, NULL, "the drives and their images", 1, 1, monitor_info_block},
    {"chardev", NULL, NULL, "what is connected to serial ports, debug console and monitors", 1, 1,
     info_chardev},
    {"stats", NULL, NULL, "the figures of -stats up to now", 1, 1, info_stats},
    {"replay", NULL, NULL, "whether input is recorded or replayed, and how far", 1, 1, info_replay},
    {"snapshots", NULL, NULL, "the snapshots in the folder of -snapshots", 1, 1, info_snapshots},
    {"network", NULL, NULL, "the network cards, their frames and what they are connected to", 1, 1,
     monitor_info_network},
    {"status", NULL, NULL, "whether it runs, and at which tick it is", 1, 1, info_status},
    {"version", NULL, NULL, "the version, and what the guest's state is a function of", 1, 1, info_version},
    {"name", NULL, NULL, "the machine's name", 1, 1, info_name},
};
const unsigned monitor_ninfos = COUNT(monitor_infos);

/* --- lines --- */

#define BLANKS    " \t\r\n"
#define NAME_ENDS BLANKS "/" /* x/4i */

/* Splits `text` in place, at blanks that are not in a pair of ". Words beyond the last that may be are not
 * looked at: they belong to expressions (call->rest). */
static void split(struct monitor_call *call, char *text)
{
    while (call->nwords < MONITOR_WORDS_MAX && *(text += strspn(text, BLANKS))) {
        const bool quoted = *text == '"';
        text += quoted;
        call->word[call->nwords++] = text;
        text += strcspn(text, quoted ? "\"\n" : call->nwords == 1 ? NAME_ENDS : BLANKS);
        if (*text)
            *text++ = '\0';
    }
}

static void execute_words(struct monitor_call *call)
{
    const struct monitor_command *c = find(monitor_commands, monitor_ncommands, call->word[0]);
    if (c)
        run_command(call, c, "");
    else
        fprintf(call->out, "unknown command: '%s'; help lists what is accepted\n", call->word[0]);
}

/* The answer; owned by the caller, NULL: no memory. */
static char *execute(struct monitor_call *call, const char *line)
{
    char *answer = NULL, *text = strdup(line), *original = strdup(line);
    size_t bytes;
    call->out = open_memstream(&answer, &bytes);
    if (text && original && call->out) {
        const char *begin = original + strspn(original, " \t");
        begin += strcspn(begin, NAME_ENDS);
        original[strcspn(original, "\r\n")] = '\0';
        call->rest = begin + strspn(begin, " \t");
        split(call, text);
        if (call->nwords > 0)
            execute_words(call);
    }
    if (call->out)
        fclose(call->out);
    free(text);
    free(original);
    return answer;
}

char *monitor_execute(struct steer *s, const char *line)
{
    struct monitor_call call = {.steer = s};
    return execute(&call, line);
}

/* --- as a class of control.h --- */

static void *open_kind(void *ctx, struct control_client *k, enum monitor_kind kind)
{
    struct monitor *m = malloc(sizeof *m);
    if (m)
        *m = (struct monitor){ctx, k, kind};
    if (m && kind == KIND_PLAIN)
        control_write(k, GREETING, strlen(GREETING));
    return m;
}

static void *open_plain(void *ctx, struct control_client *k)
{
    return open_kind(ctx, k, KIND_PLAIN);
}

static void *open_mux(void *ctx, struct control_client *k)
{
    return open_kind(ctx, k, KIND_MUX);
}

static void *open_edit(void *ctx, struct control_client *k)
{
    return open_kind(ctx, k, KIND_EDIT);
}

static bool monitor_feed(void *state, char byte)
{
    return byte == '\n';
}

static void monitor_request(void *state, struct control_client *k, char *request, size_t bytes)
{
    struct monitor *m = state;
    struct monitor_call call = {.steer = m->steer, .monitor = m};
    char *answer = execute(&call, request);
    if (answer)
        control_write(k, answer, strlen(answer));
    free(answer);
    if (call.held)
        control_hold(k);
    else
        end_answer(m);
}

/* The guest waits for a drive whose host fails: it does not stand, so nothing of it can be looked at. */
static bool monitor_meanwhile(void *state, struct control_client *k, const char *request, size_t bytes)
{
    struct monitor *m = state;
    struct monitor_call call = {.steer = m->steer};
    char *text = strdup(request);
    bool done = text != NULL;
    if (text)
        split(&call, text);
    const char *name = done && call.nwords > 0 ? call.word[0] : "";
    if (call.nwords == 1 && (strcmp(name, "cont") == 0 || strcmp(name, "c") == 0))
        media_retry(m->steer);
    else if (call.nwords == 1 && (strcmp(name, "quit") == 0 || strcmp(name, "q") == 0))
        machine_quit_request(m->steer->machine);
    else if (call.nwords == 2 && strcmp(name, "info") == 0 && strcmp(call.word[1], "status") == 0)
        control_printf(k, "VM status: paused (io-error)\n");
    else
        done = false;
    free(text);
    if (done)
        end_answer(m);
    return done;
}

#define MONITOR_CLASS(how)                                                                                   \
    {                                                                                                        \
        .open = how, .close = free, .feed = monitor_feed, .execute = monitor_request,                        \
        .meanwhile = monitor_meanwhile                                                                       \
    }
const struct control_class monitor_class = MONITOR_CLASS(open_plain);
const struct control_class monitor_mux_class = MONITOR_CLASS(open_mux);
const struct control_class monitor_edit_class = MONITOR_CLASS(open_edit);

/* --- completion --- */

void monitor_candidates(const char *line, void (*each)(void *ctx, const char *name), void *ctx)
{
    const char *first = line + strspn(line, " "), *blank = strchr(first, ' ');
    const char *second = blank ? blank + strspn(blank, " ") : NULL;
    const size_t n = blank ? (size_t)(blank - first) : 0;
    const bool is_second = second && !strchr(second, ' ');
    if (!blank || (is_second && n == 4 && strncmp(first, "help", n) == 0))
        for (unsigned i = 0; i < monitor_ncommands; i++)
            each(ctx, monitor_commands[i].name);
    else if (is_second && n == 7 && strncmp(first, "sendkey", n) == 0)
        for (uint32_t i = 0; keys_name(i); i++)
            each(ctx, keys_name(i));
    else if (is_second && n == 4 && strncmp(first, "info", n) == 0)
        for (unsigned i = 0; i < monitor_ninfos; i++)
            each(ctx, monitor_infos[i].name);
}
