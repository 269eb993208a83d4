/* vnc_client.c - a VNC client for tests, by LibVNCClient: vnc_client HOST:PORT [-p PASSWORD] ACTION...
 *
 *   wait:MS         serves the connection for so long, or until SIGTERM
 *   until:WxH       until the picture has this size (200 s at most, else status 1)
 *   type:TEXT       keys of the characters, as keysyms alone
 *   key:HEX         the key of a keysym, down and up; down:HEX and up:HEX: one of the two
 *   pointer:X,Y,B   a place and buttons
 *   save:FILE       the picture as PPM
 *   stall:MS        asks for updates and reads none of them
 *   frames:MS       asks for whole pictures for so long; status 1 if one takes more than FRAME_MS_MAX */
#include <rfb/rfbclient.h>

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MS_MAX 5000 /* less than any client that holds would take, more than a busy host */
#define SIZE_MS_MAX  200000

static char *password;
static unsigned frames;
static volatile sig_atomic_t told; /* by SIGTERM, to leave */

static void leave(int signal)
{
    (void)signal;
    told = 1;
}

static char *give_password(rfbClient *c)
{
    return strdup(password ? password : "");
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* WaitForMessage looks at the connection alone: a message that came in one piece with the one before is in
 * the client's buffer already. */
static bool serve(rfbClient *c)
{
    const int n = c->buffered ? 1 : WaitForMessage(c, 10000);
    return n == 0 || told || (n > 0 && HandleRFBServerMessage(c));
}

static bool wait_for(rfbClient *c, int64_t ms, int width, int height)
{
    for (const int64_t end = now_ms() + ms; now_ms() < end && !told;) {
        if (!serve(c))
            return false;
        if (width && c->width == width && c->height == height)
            return true;
    }
    return width == 0;
}

static bool save(const rfbClient *c, const char *file)
{
    FILE *f = fopen(file, "wb");
    if (!f)
        return false;
    fprintf(f, "P6\n%d %d\n255\n", c->width, c->height);
    for (int i = 0; i < c->width * c->height; i++) {
        uint32_t p;
        memcpy(&p, c->frameBuffer + 4 * (size_t)i, sizeof p);
        fputc((int)(p >> c->format.redShift & 255), f);
        fputc((int)(p >> c->format.greenShift & 255), f);
        fputc((int)(p >> c->format.blueShift & 255), f);
    }
    return fclose(f) == 0;
}

static bool tap(rfbClient *c, uint32_t keysym)
{
    return SendKeyEvent(c, keysym, TRUE) && SendKeyEvent(c, keysym, FALSE);
}

static bool type(rfbClient *c, const char *text)
{
    for (; *text; text++)
        if (!tap(c, *text == '\n' ? 0xFF0D : (uint8_t)*text) || !wait_for(c, 50, 0, 0))
            return false;
    return true;
}

static bool stall(rfbClient *c, int64_t ms)
{
    for (const int64_t end = now_ms() + ms; now_ms() < end; usleep(2000))
        if (!SendFramebufferUpdateRequest(c, 0, 0, c->width, c->height, FALSE))
            return true; /* it was cut off */
    return true;
}

static void on_frame(rfbClient *c)
{
    (void)c;
    frames++;
}

/* The time at which the next whole picture is there, or 0. */
static int64_t next_frame(rfbClient *c, int64_t end)
{
    const unsigned before = frames;
    if (!SendFramebufferUpdateRequest(c, 0, 0, c->width, c->height, FALSE))
        return 0;
    while (frames == before && now_ms() < end)
        if (!serve(c))
            return 0;
    return frames == before ? 0 : now_ms();
}

static bool frames_come(rfbClient *c, int64_t ms)
{
    int64_t longest = 0, last = now_ms();
    const int64_t end = last + ms;
    const unsigned first = frames;
    while (last < end) {
        const int64_t at = next_frame(c, last + 6 * FRAME_MS_MAX);
        if (!at)
            return false;
        longest = at - last > longest ? at - last : longest;
        last = at;
    }
    printf("%u pictures, %lld ms for one at most\n", frames - first, (long long)longest);
    return longest <= FRAME_MS_MAX;
}

/* Up to three numbers with any other characters between them; how many. */
static int numbers(const char *text, int out[3])
{
    int n = 0;
    for (char *end; n < 3; text = *end ? end + 1 : end) {
        out[n] = (int)strtol(text, &end, 10);
        if (end == text)
            return n;
        n++;
    }
    return n;
}

static bool act(rfbClient *c, const char *action)
{
    char *end = strchr(action, ':');
    const char *value = end ? end + 1 : "";
    const size_t n = end ? (size_t)(end - action) : 0;
    int at[3];
    if (strncmp(action, "wait", n) == 0)
        return wait_for(c, (int)strtol(value, NULL, 10), 0, 0);
    if (strncmp(action, "until", n) == 0)
        return numbers(value, at) == 2 && wait_for(c, SIZE_MS_MAX, at[0], at[1]);
    if (strncmp(action, "type", n) == 0)
        return type(c, value);
    if (strncmp(action, "key", n) == 0)
        return tap(c, (uint32_t)strtoul(value, NULL, 16));
    if (strncmp(action, "down", n) == 0 || strncmp(action, "up", n) == 0)
        return SendKeyEvent(c, (uint32_t)strtoul(value, NULL, 16), action[0] == 'd');
    if (strncmp(action, "pointer", n) == 0)
        return numbers(value, at) == 3 && SendPointerEvent(c, at[0], at[1], at[2]);
    if (strncmp(action, "save", n) == 0)
        return save(c, value);
    if (strncmp(action, "frames", n) == 0)
        return frames_come(c, (int)strtol(value, NULL, 10));
    return strncmp(action, "stall", n) == 0 && stall(c, (int)strtol(value, NULL, 10));
}

static rfbClient *connect_to(char *server, char *program)
{
    rfbClient *c = rfbGetClient(8, 3, 4);
    int n = 2;
    char *args[] = {program, server, NULL};
    c->canHandleNewFBSize = TRUE;
    c->GetPassword = give_password;
    c->appData.enableJPEG = FALSE; /* pictures are compared */
    c->FinishedFrameBufferUpdate = on_frame;
    return rfbInitClient(c, &n, args) ? c : NULL;
}

int main(int argc, char **argv)
{
    int i = 2;
    if (argc > 3 && strcmp(argv[2], "-p") == 0) {
        password = argv[3];
        i = 4;
    }
    signal(SIGTERM, leave);
    rfbEnableClientLogging = FALSE;
    rfbClient *c = argc > 2 ? connect_to(argv[1], argv[0]) : NULL;
    if (!c) {
        fprintf(stderr, "vnc_client: no connection\n");
        return 1;
    }
    for (; i < argc; i++)
        if (!act(c, argv[i])) {
            fprintf(stderr, "vnc_client: %s failed\n", argv[i]);
            return 1;
        }
    free(c->frameBuffer); /* which the library leaves to its callers */
    rfbClientCleanup(c);
    return 0;
}
