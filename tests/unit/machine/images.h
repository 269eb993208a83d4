/* images.h - small valid kernels, built in memory, for the loader tests and the loader fuzzer. */
#ifndef TANDEM_TESTS_UNIT_CLI_IMAGES_H
#define TANDEM_TESTS_UNIT_CLI_IMAGES_H

#include "machine/boot.h"

#define IMAGE_CODE_BYTES 0x2000u

/* Each returns an image of its own (image_free it), named after its kind. */
struct image images_bzimage(void); /* protocol 2.15, code 0x90.. at the entry */
struct image
images_multiboot_elf(void); /* two segments, the second linked at 0xf0200000, loaded at 0x200000 */
struct image images_multiboot_aout(void); /* address fields: 0x100000.., 0x1000 of bss */
struct image images_blob(const char *name, size_t bytes, uint8_t fill);

#define IMAGE_ELF_ENTRY  0x100010u
#define IMAGE_AOUT_ENTRY 0x100040u
#define IMAGE_MB_OFFSET  0x1000u /* of the Multiboot header in the ELF and a.out images */
#define IMAGE_ELF_PHDRS  52u

#endif
