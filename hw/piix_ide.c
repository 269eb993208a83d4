/* piix_ide.c - see piix_ide.h.
 *
 * Model: a register is written to both drives, a command goes to the one that DEV selects (EXECUTE DEVICE
 * DIAGNOSTIC to both), and that one is read. Where device 1 is missing device 0 answers for it: Status is 0,
 * a command is ignored (ATA/ATAPI-6, 9.16.1). Where nobody answers the board's pull-downs read as 0: no
 * driver takes that for a drive that is busy. INTRQ is the selected drive's, unless nIEN is set; the bus
 * master's interrupt bit is set when it rises, with PIO, too. All that uses the medium or memory happens in
 * `master` at the drive's tick, whatever the guest does meanwhile.
 * IDETIM's decode enable (bit 15) and the I/O enable of the command register open a channel's ports; what
 * else is in IDETIM and SIDETIM is remembered, for ports here take no time but the bus cycle of pc.c.
 *
 * NOT MODELLED: native mode (the PIIX3 has none), the secondary's drive timing, Ultra DMA of the function. */
#include "hw/piix_ide.h"

#include "clockcore/ticks.h"

#include <string.h>

#define IDETIM     0x40 /* two of them, 16 bits each */
#define IDETIM_IDE 0x80 /* in the upper byte: IDE decode enable */
#define DIAGNOSTIC 0x90

/* --- configuration space --- */

/* clang-format off */
static const struct pci_reg regs[] = {
    {PCI_VENDOR, 0x86, 0}, {PCI_VENDOR + 1, 0x80, 0},
    {PCI_DEVICE, 0x10, 0}, {PCI_DEVICE + 1, 0x70, 0},
    {PCI_COMMAND, 0, PCI_COMMAND_IO | PCI_COMMAND_MASTER},
    {PCI_STATUS, 0x80, 0}, {PCI_STATUS + 1, 0x02, 0},
    {PCI_CLASS - 1, 0x80, 0}, {PCI_CLASS, 0x01, 0}, {PCI_CLASS + 1, 0x01, 0}, /* IDE, bus master */
    {0x0D, 0x00, 0xF0},                                                       /* MLT */
    {IDETIM, 0, 0xFF}, {IDETIM + 1, 0, 0xFF}, {IDETIM + 2, 0, 0xFF}, {IDETIM + 3, 0, 0xFF},
    {0x44, 0, 0xFF},                                                          /* SIDETIM */
};
/* clang-format on */

const struct pci_function piix_ide_function = {
    .devfn = PCI_DEVFN(1, 1),
    .regs = regs,
    .nregs = sizeof(regs) / sizeof(regs[0]),
    .bar[PIIX_IDE_BAR] = {.bytes = PIIX_IDE_BAR_PORTS, .io = true},
};

bool piix_ide_decoded(const uint8_t *cfg, unsigned channel)
{
    return cfg[PCI_COMMAND] & PCI_COMMAND_IO && channel < PIIX_IDE_CHANNELS &&
           cfg[IDETIM + 2 * channel + 1] & IDETIM_IDE;
}

/* --- the cable --- */

static const struct ata *selected(const struct piix_ide *s)
{
    return &s->drive[s->selected & 1];
}

static struct ata *selected_drive(struct piix_ide *s)
{
    return &s->drive[s->selected & 1];
}

static bool asks(const struct piix_ide *s)
{
    const struct ata *d = selected(s);

    return d->present && d->intrq && !(d->control & ATA_NIEN);
}

/* After every change: the bus master sees INTRQ rise. */
static void settle(struct piix_ide *s)
{
    bool now = asks(s);

    if (now && !s->line)
        s->dma.status |= PIIX_BMIS_INTERRUPT;
    s->line = now;
}

/* --- reads --- */

static uint8_t command_byte(const struct piix_ide *s, unsigned reg)
{
    const struct ata *d = selected(s), *master = &s->drive[0];

    if (d->present)
        return ata_reg(d, reg);
    if (!master->present || reg >= ATA_STATUS)
        return 0;
    return ata_reg(master, reg) | (reg == ATA_DEVICE ? s->selected << 4 : 0);
}

static uint8_t byte_at(const struct piix_ide *s, uint32_t offset)
{
    if (offset >= PIIX_IDE_OFF_BMDMA)
        return piix_bmdma_read(&s->dma, offset - PIIX_IDE_OFF_BMDMA);
    if (offset == PIIX_IDE_OFF_CONTROL)
        return command_byte(s, ATA_CONTROL);
    return offset > ATA_DATA && offset <= ATA_STATUS ? command_byte(s, offset) : 0;
}

static uint32_t pure_read(const void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    uint32_t v = 0;

    (void)now_ns;
    for (unsigned i = 0; i < size && i < 4; i++)
        v |= (uint32_t)byte_at(state, offset + i) << 8 * i;
    return v;
}

/* Status gives the interrupt back; it may be one byte of a wider read. */
static bool read_changes(const void *state, uint32_t offset)
{
    const struct ata *d = selected(state);

    return offset == ATA_DATA || (offset + 3 >= ATA_STATUS && offset <= ATA_STATUS && d->present && d->intrq);
}

static uint32_t read_reg(void *state, uint32_t offset, unsigned size, uint64_t now_ns)
{
    struct piix_ide *s = state;
    struct ata *d = selected_drive(s);
    uint32_t v;

    if (offset == ATA_DATA) {
        v = d->present ? ata_data_read(d, size, now_ns) : 0;
    } else {
        v = pure_read(s, offset, size, now_ns);
        if (offset <= ATA_STATUS && offset + size > ATA_STATUS)
            d->intrq = 0;
    }
    settle(s);
    return v;
}

static uint32_t run(void *state, unsigned size, uint32_t n, bool write, uint8_t **at)
{
    struct ata *d = selected_drive(state);

    return d->present ? ata_data_run(d, size, n, write, at) : 0;
}

/* --- writes --- */

static void write_command(struct piix_ide *s, uint8_t command, uint64_t now_ns)
{
    if (command != DIAGNOSTIC) {
        if (selected(s)->present)
            ata_command_write(selected_drive(s), command, now_ns);
        return;
    }
    s->selected = 0;
    for (unsigned n = 0; n < PIIX_IDE_DRIVES; n++)
        ata_command_write(&s->drive[n], command, now_ns);
}

static void write_control(struct piix_ide *s, uint8_t value, uint64_t now_ns)
{
    if (value & ATA_SRST)
        s->selected = 0;
    for (unsigned n = 0; n < PIIX_IDE_DRIVES; n++)
        ata_control_write(&s->drive[n], value, now_ns);
}

static void write_task_file(struct piix_ide *s, unsigned reg, uint8_t value)
{
    if (reg == ATA_DEVICE)
        s->selected = value & ATA_DEV ? 1 : 0;
    for (unsigned n = 0; n < PIIX_IDE_DRIVES; n++)
        ata_reg_write(&s->drive[n], reg, value);
}

/* A drive that waits for DMA looks again. */
static void write_bmdma(struct piix_ide *s, uint32_t offset, uint8_t value, uint64_t now_ns)
{
    if (!piix_bmdma_write(&s->dma, offset, value))
        return;
    for (unsigned n = 0; n < PIIX_IDE_DRIVES; n++)
        if (s->drive[n].phase == ATA_WAITING)
            s->drive[n].event_ns = now_ns;
}

static void write_byte(struct piix_ide *s, uint32_t offset, uint8_t value, uint64_t now_ns)
{
    if (offset >= PIIX_IDE_OFF_BMDMA)
        write_bmdma(s, offset - PIIX_IDE_OFF_BMDMA, value, now_ns);
    else if (offset == PIIX_IDE_OFF_CONTROL)
        write_control(s, value, now_ns);
    else if (offset == ATA_COMMAND)
        write_command(s, value, now_ns);
    else if (offset < ATA_COMMAND)
        write_task_file(s, offset, value);
}

static void write_reg(void *state, uint32_t offset, unsigned size, uint32_t value, uint64_t now_ns)
{
    struct piix_ide *s = state;

    if (offset == ATA_DATA) {
        if (selected(s)->present)
            ata_data_write(selected_drive(s), size, value, now_ns);
    } else {
        for (unsigned i = 0; i < size && i < 4; i++)
            write_byte(s, offset + i, (uint8_t)(value >> 8 * i), now_ns);
    }
    settle(s);
}

/* ATA/ATAPI-6, 7: what a host must not do while a drive has BSY or DRQ set. */
static const char *write_error(const void *state, uint32_t offset, unsigned size, uint32_t value)
{
    const struct ata *d = selected(state);

    (void)size;
    if (!d->present || offset > ATA_COMMAND)
        return NULL;
    if (offset == ATA_DATA)
        return d->phase == ATA_PIO ? NULL : "data written to a drive that takes none";
    if (d->status & ATA_BSY && !(d->cdrom && offset == ATA_COMMAND && value == 0x08))
        return "task file written while the drive is busy";
    return offset == ATA_COMMAND && d->status & ATA_DRQ && value != 0x08 ? "command written while DRQ is set"
                                                                         : NULL;
}

/* --- time --- */

static uint64_t next_master(const void *state)
{
    const struct piix_ide *s = state;
    uint64_t a = s->drive[0].event_ns, b = s->drive[1].event_ns;

    return a < b ? a : b;
}

struct dma {
    struct piix_bmdma *bus_master;
    const struct mem_master *memory;
};

static bool dma_ready(void *ctx, bool to_memory)
{
    return piix_bmdma_ready(((struct dma *)ctx)->bus_master, to_memory);
}

static uint32_t dma_move(void *ctx, uint8_t *data, uint32_t bytes, bool to_memory)
{
    struct dma *dma = ctx;

    return piix_bmdma_move(dma->bus_master, dma->memory, data, bytes, to_memory);
}

static void master(void *state, const struct chip_master *m, uint64_t now_ns)
{
    struct piix_ide *s = state;
    struct dma dma = {.bus_master = &s->dma, .memory = m->memory};
    struct ata_host h = {
        .blocks = m->blocks, .now_ns = now_ns, .dma = &dma, .dma_ready = dma_ready, .dma_move = dma_move};

    for (unsigned n = 0; n < PIIX_IDE_DRIVES; n++) {
        h.drive = n;
        if (s->drive[n].event_ns <= now_ns)
            ata_master(&s->drive[n], &h);
    }
    settle(s);
}

static uint32_t outputs(const void *state)
{
    return ((const struct piix_ide *)state)->line;
}

/* --- trays (port.h) --- */

static uint64_t tray_ready_ns(const void *state)
{
    const struct piix_ide *s = state;

    return ata_tray_busy(&s->drive[0]) || ata_tray_busy(&s->drive[1]) ? NS_NEVER : 0;
}

static bool tray_takes(const void *state, const struct port_tray *t)
{
    return t->drive < PIIX_IDE_DRIVES &&
           ata_tray_takes(&((const struct piix_ide *)state)->drive[t->drive], t);
}

static void tray_put(void *state, const uint8_t *entry, uint32_t bytes, uint64_t now_ns)
{
    const struct port_tray t = port_tray_unpack(entry, bytes);

    (void)now_ns;
    if (t.drive < PIIX_IDE_DRIVES)
        ata_tray(&((struct piix_ide *)state)->drive[t.drive], &t);
}

static void tray_look(const void *state, unsigned drive, struct port_tray_view *v)
{
    const struct ata *d = &((const struct piix_ide *)state)->drive[drive % PIIX_IDE_DRIVES];
    const bool cd = d->present && d->cdrom;

    *v = (struct port_tray_view){
        .removable = cd, .tray = cd, .open = d->ejected, .locked = d->locked, .medium = d->medium};
}

static uint32_t tray_take(void *state, uint8_t *entry, uint32_t max)
{
    struct piix_ide *s = state;

    for (unsigned n = 0; n < PIIX_IDE_DRIVES && max >= PORT_TRAY_MOVED_BYTES; n++)
        if (ata_tray_moved(&s->drive[n])) {
            entry[0] = (uint8_t)n;
            entry[1] = s->drive[n].ejected;
            return PORT_TRAY_MOVED_BYTES;
        }
    return 0;
}

static const struct port_trays trays = {.takes = tray_takes, .look = tray_look};
const struct port_input piix_ide_tray_in = {.ready_ns = tray_ready_ns, .put = tray_put, .trays = &trays};
const struct port_output piix_ide_tray_out = {.take = tray_take};

/* --- drives come and go --- */

static void reset(void *state, uint64_t now_ns)
{
    struct piix_ide *s = state;

    (void)now_ns;
    memset(s, 0, sizeof(*s));
    for (unsigned n = 0; n < PIIX_IDE_DRIVES; n++)
        ata_absent(&s->drive[n], n);
}

void piix_ide_fit(struct piix_ide *s, unsigned n, const struct drive_config *cfg, unsigned number)
{
    if (cfg->present)
        ata_fit(&s->drive[n], cfg, n, number);
    settle(s);
}

void piix_ide_reset_pin(struct piix_ide *s)
{
    for (unsigned n = 0; n < PIIX_IDE_DRIVES; n++)
        ata_reset_pin(&s->drive[n]);
    s->dma = (struct piix_bmdma){0};
    s->selected = s->line = 0;
}

/* clang-format off */
#define DRIVE_FIELDS(n)                                                                                      \
    FIELD(struct piix_ide, drive[n].event_ns), FIELD(struct piix_ide, drive[n].clock.free_ns),                \
    FIELD(struct piix_ide, drive[n].clock.next), FIELD(struct piix_ide, drive[n].ready_ns),                  \
    FIELD(struct piix_ide, drive[n].sectors), FIELD(struct piix_ide, drive[n].lba),                          \
    FIELD(struct piix_ide, drive[n].left),                                                                   \
    FIELD_MAX(struct piix_ide, drive[n].chunk, ATA_DMA_BYTES / DRIVE_SECTOR),                                \
    FIELD(struct piix_ide, drive[n].moved),                                                                  \
    FIELD_MAX(struct piix_ide, drive[n].at, ATA_BUFFER_BYTES),                                               \
    FIELD_MAX(struct piix_ide, drive[n].end, ATA_BUFFER_BYTES),                                              \
    FIELD_MAX(struct piix_ide, drive[n].total, ATA_BUFFER_BYTES),                                            \
    FIELD_ARRAY(struct piix_ide, drive[n].features), FIELD_ARRAY(struct piix_ide, drive[n].count),           \
    FIELD_ARRAY(struct piix_ide, drive[n].lba_low), FIELD_ARRAY(struct piix_ide, drive[n].lba_mid),          \
    FIELD_ARRAY(struct piix_ide, drive[n].lba_high), FIELD(struct piix_ide, drive[n].device),                \
    FIELD(struct piix_ide, drive[n].status), FIELD(struct piix_ide, drive[n].error),                         \
    FIELD(struct piix_ide, drive[n].control), FIELD(struct piix_ide, drive[n].command),                      \
    FIELD_MAX(struct piix_ide, drive[n].intrq, 1),                                                           \
    FIELD_MAX(struct piix_ide, drive[n].phase, ATA_PHASES - 1), FIELD(struct piix_ide, drive[n].transfer),   \
    FIELD_MAX(struct piix_ide, drive[n].heads, 16), FIELD(struct piix_ide, drive[n].track),                  \
    FIELD_MAX(struct piix_ide, drive[n].multiple, ATA_MULTIPLE_MAX), FIELD(struct piix_ide, drive[n].mode),  \
    FIELD_MAX(struct piix_ide, drive[n].write_cache, 1),                                                     \
    FIELD_MAX(struct piix_ide, drive[n].look_ahead, 1),                                                      \
    FIELD_MAX(struct piix_ide, drive[n].power, ATA_SLEEP), FIELD(struct piix_ide, drive[n].sense_key),       \
    FIELD(struct piix_ide, drive[n].asc), FIELD(struct piix_ide, drive[n].ascq),                             \
    FIELD(struct piix_ide, drive[n].attention), FIELD_MAX(struct piix_ide, drive[n].locked, 1),              \
    FIELD_MAX(struct piix_ide, drive[n].ejected, 1), FIELD(struct piix_ide, drive[n].event),                 \
    FIELD_MAX(struct piix_ide, drive[n].present, 1), FIELD_MAX(struct piix_ide, drive[n].cdrom, 1),          \
    FIELD_MAX(struct piix_ide, drive[n].medium, 1), FIELD_MAX(struct piix_ide, drive[n].read_only, 1),       \
    FIELD_MAX(struct piix_ide, drive[n].number, 1), FIELD_MAX(struct piix_ide, drive[n].smart, 1),           \
    FIELD_MAX(struct piix_ide, drive[n].gone, 1), FIELD_MAX(struct piix_ide, drive[n].told, 1),              \
    FIELD_ARRAY(struct piix_ide, drive[n].reserved),                                                         \
    FIELD(struct piix_ide, drive[n].byte_limit), FIELD_ARRAY(struct piix_ide, drive[n].serial),              \
    FIELD_ARRAY(struct piix_ide, drive[n].model), FIELD_ARRAY(struct piix_ide, drive[n].buffer)
/* clang-format on */

static const struct field fields[] = {
    DRIVE_FIELDS(0),
    DRIVE_FIELDS(1),
    FIELD(struct piix_ide, dma.table),
    FIELD(struct piix_ide, dma.next),
    FIELD(struct piix_ide, dma.address),
    FIELD_MAX(struct piix_ide, dma.left, 0x10000),
    FIELD(struct piix_ide, dma.command),
    FIELD(struct piix_ide, dma.status),
    FIELD_MAX(struct piix_ide, dma.last, 1),
    FIELD(struct piix_ide, dma.reserved),
    FIELD_MAX(struct piix_ide, selected, 1),
    FIELD_MAX(struct piix_ide, line, 1),
    FIELD_ARRAY(struct piix_ide, reserved),
};

const struct chip_class piix_ide_class = {
    .name = "piix_ide",
    .state_bytes = sizeof(struct piix_ide),
    .fields = fields,
    .nfields = sizeof fields / sizeof fields[0],
    .reset = reset,
    .read = read_reg,
    .write = write_reg,
    .write_error = write_error,
    .pure_read = pure_read,
    .read_changes = read_changes,
    .run = run,
    .outputs = outputs,
    .next_master = next_master,
    .master = master,
};
