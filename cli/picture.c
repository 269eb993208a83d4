/* picture.c - see picture.h. */
#include "cli/picture.h"

#include <png.h>
#include <stdlib.h>

/* A row as bytes: red, green, blue. */
static void row_bytes(const uint32_t *pixels, unsigned width, uint8_t *to)
{
    for (unsigned x = 0; x < width; x++) {
        *to++ = (uint8_t)(pixels[x] >> 16);
        *to++ = (uint8_t)(pixels[x] >> 8);
        *to++ = (uint8_t)pixels[x];
    }
}

/* libpng's simplified interface: no jumps out of it. */
bool picture_png(FILE *f, const uint32_t *pixels, unsigned width, unsigned height)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
    uint8_t *bytes = malloc((size_t)3 * width * height);
    bool ok = bytes;

    for (unsigned y = 0; ok && y < height; y++)
        row_bytes(pixels + (size_t)y * width, width, bytes + (size_t)3 * width * y);
    ok = ok && png_image_write_to_stdio(&image, f, 0, bytes, 0, NULL);
    png_image_free(&image);
    free(bytes);
    return ok;
}

bool picture_ppm(FILE *f, const uint32_t *pixels, unsigned width, unsigned height)
{
    uint8_t *row = malloc((size_t)3 * width);
    bool ok = row && fprintf(f, "P6\n%u %u\n255\n", width, height) > 0;

    for (unsigned y = 0; ok && y < height; y++) {
        row_bytes(pixels + (size_t)y * width, width, row);
        ok = fwrite(row, 3, width, f) == width;
    }
    free(row);
    return ok;
}
