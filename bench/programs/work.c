/* work.c - what the jobs gcc, cc1 and as of bench/run programs compile: small functions of several kinds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct node *left, *right;
    uint32_t key;
    char name[20];
};

static uint32_t state = 1;

static uint32_t next_random(void)
{
    state = state * 1103515245u + 12345u;
    return state >> 8;
}

static struct node *node_insert(struct node *n, uint32_t key)
{
    if (!n) {
        n = calloc(1, sizeof *n);
        if (!n)
            abort();
        n->key = key;
        snprintf(n->name, sizeof n->name, "n%u", (unsigned)key);
        return n;
    }
    if (key < n->key)
        n->left = node_insert(n->left, key);
    else if (key > n->key)
        n->right = node_insert(n->right, key);
    return n;
}

static unsigned node_depth(const struct node *n)
{
    if (!n)
        return 0;
    unsigned left = node_depth(n->left), right = node_depth(n->right);
    return 1 + (left > right ? left : right);
}

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

static void quick_sort(uint32_t *a, long n)
{
    long i = 0, j = n - 1;
    if (n < 2)
        return;
    uint32_t pivot = a[n / 2];
    while (i <= j) {
        while (a[i] < pivot)
            i++;
        while (a[j] > pivot)
            j--;
        if (i <= j)
            swap(&a[i++], &a[j--]);
    }
    quick_sort(a, j + 1);
    quick_sort(a + i, n - i);
}

static void multiply(double *c, const double *a, const double *b, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < n; k++)
                sum += a[i * n + k] * b[k * n + j];
            c[i * n + j] = sum;
        }
}

static unsigned count_words(const char *text)
{
    unsigned words = 0;
    int in_word = 0;
    for (; *text; text++)
        switch (*text) {
        case ' ':
        case '\t':
        case '\n':
            in_word = 0;
            break;
        default:
            words += !in_word;
            in_word = 1;
        }
    return words;
}

static uint32_t checksum(const uint8_t *data, size_t bytes)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < bytes; i++) {
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static int evaluate(const char **at)
{
    int value = 0, sign = 1;
    for (;; (*at)++) {
        if (**at >= '0' && **at <= '9') {
            int n = 0;
            for (; **at >= '0' && **at <= '9'; (*at)++)
                n = n * 10 + **at - '0';
            (*at)--;
            value += sign * n;
        } else if (**at == '(') {
            (*at)++;
            value += sign * evaluate(at);
        } else if (**at == '-') {
            sign = -1;
        } else if (**at == '+') {
            sign = 1;
        } else {
            return value;
        }
    }
}

int main(int argc, char **argv)
{
    enum { N = 1000, M = 20 };
    static uint32_t numbers[N];
    static double a[M * M], b[M * M], c[M * M];
    struct node *root = NULL;
    const char *sum = argc > 1 ? argv[1] : "1+(20-3)-(4-(5+6))";
    for (int i = 0; i < N; i++) {
        numbers[i] = next_random();
        root = node_insert(root, numbers[i]);
    }
    quick_sort(numbers, N);
    for (int i = 0; i < M * M; i++) {
        a[i] = i * 0.5;
        b[i] = i % 7;
    }
    multiply(c, a, b, M);
    printf("%u %u %f %u %08x %d\n", node_depth(root), (unsigned)numbers[N / 2], c[M],
           count_words("a few words in a row"), (unsigned)checksum((const uint8_t *)numbers, sizeof numbers),
           evaluate(&sum));
    return strlen(sum) != 0;
}
