/* io.h - accesses to ports and to memory-mapped registers. Threads: the vCPU's. */
#ifndef TANDEM_VCPU_MMU_IO_H
#define TANDEM_VCPU_MMU_IO_H

#include "vcpu/vcpu_internal.h"

/* Only from a TB's last instruction: the stamp is vcpu_insn_tick. */
uint32_t io_port_read(struct vcpu *v, uint16_t port, unsigned bytes);
void io_port_write(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t value);
/* The next accesses of a string instruction that only move through a buffer behind the port, n at most: how
 * many they are, and where their bytes lie in *at, to be taken or filled before anything else happens. 0:
 * none. */
uint32_t io_port_run(struct vcpu *v, uint16_t port, unsigned bytes, uint32_t n, bool write, uint8_t **at);
/* bus_addr: of the bus map. */
uint32_t io_mmio_read(struct vcpu *v, uint64_t bus_addr, unsigned bytes);
void io_mmio_write(struct vcpu *v, uint64_t bus_addr, unsigned bytes, uint32_t value);
/* CPL/IOPL and TSS I/O bitmap check; false: #GP(0) or #PF recorded. */
bool io_allowed(struct vcpu *v, uint16_t port, unsigned bytes);

#endif
