/* format_svg.c - a flame graph: a box for each node of the tree of calls, as wide as its share, above its
 * caller.
 *
 * The file stands alone: a few lines of script make boxes clickable (zoom) and searchable; without script it
 * is a picture with tool tips. Boxes narrower than a fifth of a pixel are left out; what they stand for is in
 * the boxes below them. */
#include "observe/formats_internal.h"

#include <inttypes.h>
#include <string.h>

#define WIDTH     1200.0
#define MARGIN    10.0
#define ROW       17 /* pixels of height a level */
#define TOP       76 /* above the graph: title, legend */
#define BOTTOM    28
#define LETTER    6.7 /* pixels of width, of the font below */
#define NARROWEST 0.2
#define DEPTH_MAX 256

/* The script: click zooms to a box, click on a lower one or "reset" zooms out, Ctrl-F or "search" marks
 * names. */
static const char script[] =
    "var S=document.documentElement,B=[].slice.call(document.querySelectorAll('g.b')),W=%g,M=%g,F=%g;\n"
    "B.forEach(function(g){var "
    "r=g.querySelector('rect');g.d={x:+r.getAttribute('x'),w:+r.getAttribute('width'),"
    "y:+r.getAttribute('y'),n:g.querySelector('title').textContent.split(' \\u2014 ')[0]};\n"
    "g.addEventListener('click',function(){zoom(g.d)})});\n"
    "function put(g,x,w){var r=g.querySelector('rect'),t=g.querySelector('text');r.setAttribute('x',x);"
    "r.setAttribute('width',Math.max(w-.4,.2));t.setAttribute('x',x+3);var k=Math.floor((w-6)/F),n=g.d.n;"
    "t.textContent=k<3?'':n.length<=k?n:n.slice(0,k-2)+'..';}\n"
    "function zoom(d){var a=d.x-.01,e=d.x+d.w+.01;B.forEach(function(g){var "
    "q=g.d,below=q.y>d.y&&q.x<=d.x+.01&&"
    "q.x+q.w>=e-.42,in_=q.x>=a&&q.x+q.w<=e;if(below){g.style.display='';g.style.opacity=.5;put(g,M,W-2*M);}\n"
    "else "
    "if(in_&&q.y<=d.y){g.style.display='';g.style.opacity=1;put(g,M+(q.x-d.x)/d.w*(W-2*M),q.w/"
    "d.w*(W-2*M));}\n"
    "else g.style.display='none';});}\n"
    "function reset(){B.forEach(function(g){g.style.display='';g.style.opacity=1;put(g,g.d.x,g.d.w+.4);});}\n"
    "function search(){var s=prompt('Mark functions whose name contains (a regular "
    "expression):');if(s===null)return;"
    "var x=s?new RegExp(s):null;B.forEach(function(g){g.querySelector('rect').style.fill=x&&x.test(g.d.n)?"
    "'#c026d3':'';});}\n"
    "document.getElementById('reset').addEventListener('click',reset);"
    "document.getElementById('search').addEventListener('click',search);\n"
    "addEventListener('keydown',function(e){if(e.ctrlKey&&e.key==='f'){e.preventDefault();search();}});\n";

static void put_text(FILE *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '<' || c == '>' || c == '&')
            fprintf(out, "&#%d;", c);
        else
            fputc(c < 0x20 || c > 0x7e ? '?' : c, out);
    }
}

/* 0 to 15, from the name alone. */
static unsigned shade(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return (h ^ h >> 16) & 15;
}

/* Kernel warm, user green, processes blue, idling grey. */
static void put_colour(FILE *out, const struct call_node *n)
{
    unsigned s = shade(n->name);
    static const struct {
        int hue, hue_step, saturation, light;
    } colour[] = {[CALL_ROOT] = {0, 0, 0, 84},
                  [CALL_PROCESS] = {205, 1, 55, 72},
                  [CALL_USER] = {105, 3, 42, 66},
                  [CALL_KERNEL] = {12, 2, 80, 66},
                  [CALL_IDLE] = {0, 0, 0, 90}};
    fprintf(out, "hsl(%d,%d%%,%d%%)", colour[n->kind].hue + colour[n->kind].hue_step * (int)s,
            colour[n->kind].saturation, colour[n->kind].light + (int)(s & 3) * 2);
}

struct flame {
    const struct calltree *tree;
    FILE *out;
    double samples; /* of the whole width */
    unsigned levels;
};

static double width_of(const struct flame *f, uint64_t samples)
{
    return (double)samples / f->samples * (WIDTH - 2 * MARGIN);
}

static void put_box(const struct flame *f, uint32_t node, uint64_t before, unsigned level)
{
    const struct call_node *n = &f->tree->node[node];
    double x = MARGIN + width_of(f, before), w = width_of(f, n->total);
    int y = TOP + ROW * (int)(f->levels - 1 - level);
    size_t letters = strlen(n->name), fit = w > 6 ? (size_t)((w - 6) / LETTER) : 0;
    fputs("<g class='b'><title>", f->out);
    put_text(f->out, n->name, letters);
    fprintf(f->out,
            " \xe2\x80\x94 %.2f %% (%" PRIu64 " samples; itself %" PRIu64
            ")</title><rect x='%.2f' y='%d' width='%.2f' height='%d' fill='",
            100 * (double)n->total / f->samples, n->total, n->self, x, y, w > 0.6 ? w - 0.4 : 0.2, ROW - 1);
    put_colour(f->out, n);
    fprintf(f->out, "'/><text x='%.2f' y='%d'>", x + 3, y + 12);
    if (fit >= 3)
        put_text(f->out, n->name, letters <= fit ? letters : fit - 2);
    fprintf(f->out, "%s</text></g>\n", fit >= 3 && letters > fit ? ".." : "");
}

/* Calls put (NULL: only counts levels) for every box that is wide enough, callers first. */
static void walk(struct flame *f, void (*put)(const struct flame *, uint32_t, uint64_t, unsigned))
{
    const struct calltree *t = f->tree;
    uint64_t before[DEPTH_MAX]; /* samples left of the node, on each level */
    uint32_t at = CALLTREE_ROOT;
    unsigned level = 0;
    before[0] = 0;
    for (;;) {
        bool wide = width_of(f, t->node[at].total) >= NARROWEST;
        if (wide && put)
            put(f, at, before[level], level);
        if (wide && level + 1 > f->levels)
            f->levels = level + 1;
        if (wide && t->node[at].child != CALLTREE_NONE && level + 1 < DEPTH_MAX) {
            before[level + 1] = before[level];
            level++;
            at = t->node[at].child;
            continue;
        }
        while (at != CALLTREE_ROOT && t->node[at].sibling == CALLTREE_NONE) {
            at = t->node[at].parent;
            level--;
        }
        if (at == CALLTREE_ROOT)
            return;
        before[level] += t->node[at].total;
        at = t->node[at].sibling;
    }
}

static void put_legend(const struct flame *f)
{
    static const struct {
        enum call_kind kind;
        const char *text;
    } key[] = {
        {CALL_PROCESS, "process"}, {CALL_USER, "user code"}, {CALL_KERNEL, "kernel"}, {CALL_IDLE, "idle"}};
    int x = (int)MARGIN;
    for (unsigned i = 0; i < sizeof key / sizeof *key; i++) {
        const struct call_node n = {.name = "", .kind = (uint8_t)key[i].kind};
        fprintf(f->out, "<rect x='%d' y='52' width='12' height='12' stroke='#9ca3af' fill='", x);
        put_colour(f->out, &n);
        fprintf(f->out, "'/><text x='%d' y='62'>%s</text>\n", x + 17, key[i].text);
        x += 38 + (int)(LETTER * (double)strlen(key[i].text));
    }
    fprintf(f->out,
            "<text id='reset' class='do' x='%g' y='62'>reset zoom</text><text id='search' class='do' x='%g' "
            "y='62'>search</text>\n",
            WIDTH - MARGIN - 70, WIDTH - MARGIN - 130);
}

static void put_head(const struct flame *f, int height)
{
    const struct calltree *t = f->tree;
    double seconds = (double)((t->end_tick - t->head.begin) << t->head.shift) / 1e9;
    fprintf(
        f->out,
        "<?xml version='1.0' encoding='UTF-8'?>\n<svg xmlns='http://www.w3.org/2000/svg' width='%g' "
        "height='%d' "
        "viewBox='0 0 %g %d'>\n<style>text{font:11px ui-monospace,'DejaVu Sans Mono',monospace;fill:#111}"
        "g.b{cursor:pointer}g.b:hover rect{stroke:#111;stroke-width:1}g.b text{pointer-events:none}"
        ".t{font:600 17px sans-serif}.s{font:12px sans-serif;fill:#4b5563}.do{fill:#1d4ed8;cursor:pointer}"
        "</style>\n<rect width='100%%' height='100%%' fill='#fff'/>\n",
        WIDTH, height, WIDTH, height);
    fprintf(f->out, "<text class='t' x='%g' y='24'>Where the guest's instructions went</text>\n", MARGIN);
    fprintf(f->out,
            "<text class='s' x='%g' y='42'>%" PRIu64 " samples, one every %" PRIu64
            " ticks, over %.3f s of virtual time; a "
            "box is as wide as its share, what it calls lies above it</text>\n",
            MARGIN, t->samples, t->head.every, seconds);
}

void format_svg(const struct calltree *t, FILE *out)
{
    struct flame f = {t, out, t->samples ? (double)t->samples : 1, 1};
    walk(&f, NULL);
    put_head(&f, TOP + ROW * (int)f.levels + BOTTOM);
    put_legend(&f);
    walk(&f, put_box);
    fputs("<script><![CDATA[\n", out);
    fprintf(out, script, WIDTH, MARGIN, LETTER);
    fputs("]]></script>\n</svg>\n", out);
}
