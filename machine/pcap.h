/* pcap.h - frames in a file, for tcpdump and Wireshark: the format of libpcap, with nanoseconds of virtual
 * time.
 *
 * Time stamps begin at 0 with the machine and never go back. What was written is whole when pcap_close
 * returns. Threads: one at a time. Errors: pcap_close says whether all could be written. */
#ifndef TANDEM_MACHINE_PCAP_H
#define TANDEM_MACHINE_PCAP_H

#include <stdbool.h>
#include <stdint.h>

#define PCAP_BYTES_DEFAULT 65536 /* of a frame; the rest is cut off */

struct pcap;

struct pcap *pcap_create(const char *path, uint32_t max_bytes); /* NULL with errno */
void pcap_frame(struct pcap *p, const uint8_t *frame, uint32_t bytes, uint64_t now_ns);
bool pcap_close(struct pcap *p); /* false with errno; NULL is fine */

#endif
