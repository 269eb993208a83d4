"""counters.py - the host's performance counters (perf_event_open), where the kernel and the processor offer them."""
import ctypes
import os
import platform
import struct

SYSCALL = {"x86_64": 298, "aarch64": 241}  # perf_event_open
TYPE_HARDWARE, COUNT_INSTRUCTIONS, ATTR_BYTES = 0, 1, 64
INHERIT, EXCLUDE_KERNEL, EXCLUDE_HV = 1 << 1, 1 << 5, 1 << 6  # bits of struct perf_event_attr


class Instructions:
    """User-mode instructions of a process and of the threads and processes that it starts from now on."""

    def __init__(self, pid):
        attributes = bytearray(ATTR_BYTES)
        struct.pack_into("=IIQ", attributes, 0, TYPE_HARDWARE, ATTR_BYTES, COUNT_INSTRUCTIONS)
        struct.pack_into("=Q", attributes, 40, INHERIT | EXCLUDE_KERNEL | EXCLUDE_HV)
        call = SYSCALL.get(platform.machine())
        buffer = (ctypes.c_char * ATTR_BYTES).from_buffer(attributes)
        self.handle = ctypes.CDLL(None).syscall(call, buffer, pid, -1, -1, 0) if call else -1

    def read(self):
        """How many so far; None: nothing can be counted here."""
        return struct.unpack("=Q", os.read(self.handle, 8))[0] if self.handle >= 0 else None

    def close(self):
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1
