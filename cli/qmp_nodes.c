/* qmp_nodes.c - QMP's block nodes: images that have a name before they are in a drive, as QEMU's schema
 * (block-core.json) has them: blockdev-add, blockdev-del, blockdev-insert-medium.
 *
 * query-named-block-nodes lists these and the drives' images. A node here is what is said of an image, not
 * the open image: the drive opens it when it is inserted (cli/media.h). A node of a format stands on one of
 * driver file, which is named or described in place. */
#include "cli/media.h"
#include "cli/qmp_internal.h"
#include "devthread/medium.h"
#include "machine/optvalue.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QCOW2_HEAD 32
#define QCOW2_SIZE 24

static struct steer_node *find(struct steer *s, const char *name)
{
    for (unsigned i = 0; i < s->nnodes; i++)
        if (strcmp(s->node[i].name, name) == 0)
            return &s->node[i];
    return NULL;
}

static bool is_same_file(const char *a, const char *b)
{
    char of_a[PATH_MAX], of_b[PATH_MAX];
    return strcmp(realpath(a, of_a) ? of_a : a, realpath(b, of_b) ? of_b : b) == 0;
}

/* In a drive of the machine's, whoever put it there. */
static bool is_inserted(const struct steer *s, const struct steer_node *node)
{
    for (unsigned n = 0; n < s->o->ndrives; n++) {
        struct media_view v;
        media_look(machine_drives(s->machine), n, &v);
        if (v.drive.medium && is_same_file(v.image.file, node->image.file))
            return true;
    }
    return false;
}

static bool is_stood_on(const struct steer *s, const struct steer_node *node)
{
    for (unsigned i = 0; i < s->nnodes; i++)
        if (strcmp(s->node[i].child, node->name) == 0)
            return true;
    return false;
}

/* --- blockdev-add --- */

/* 0: it cannot be told. */
static uint64_t file_bytes(const char *file)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    const off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (fd >= 0)
        close(fd);
    return end > 0 ? (uint64_t)end : 0;
}

/* QEMU's docs/interop/qcow2.txt: "QFI\xfb", the version, and at byte 24 the size as guests see it;
 * big-endian. False: that is no such file. */
static bool qcow2_bytes(const char *file, uint64_t *bytes)
{
    uint8_t head[QCOW2_HEAD];
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    const bool whole = fd >= 0 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head;
    if (fd >= 0)
        close(fd);
    if (!whole || strcmp(medium_probe(head, sizeof head), "qcow2") != 0)
        return false;
    *bytes = 0;
    for (unsigned i = 0; i < 8; i++)
        *bytes = *bytes << 8 | head[QCOW2_SIZE + i];
    return true;
}

/* What driver=file has: the file, which has to be there. */
static bool take_file(struct qmp_call *call, json_t *options, struct steer_node *node)
{
    const char *file = json_string_value(json_object_get(options, "filename"));
    const bool automatic = json_is_true(json_object_get(options, "auto-read-only"));
    if (!file) {
        qmp_fail(call, "GenericError", "Parameter 'filename' is missing");
        return false;
    }
    if (strlen(file) == 0 || strlen(file) >= sizeof node->image.file || access(file, R_OK) != 0) {
        qmp_fail(call, "GenericError", "Could not open '%.200s': %s", file,
                 strlen(file) == 0 || strlen(file) >= sizeof node->image.file ? "no file has that name"
                                                                              : strerror(errno));
        return false;
    }
    snprintf(node->image.file, sizeof node->image.file, "%s", file);
    snprintf(node->image.format, sizeof node->image.format, "raw");
    node->image.bytes = file_bytes(file);
    node->image.read_only =
        json_is_true(json_object_get(options, "read-only")) || (automatic && access(file, W_OK) != 0);
    return true;
}

/* The member `file` of a format's node: a node's name, or driver=file described in place. */
static bool take_child(struct qmp_call *call, json_t *file, struct steer_node *node)
{
    static const struct qmp_argument members[] = {{"driver", QMP_STRING, false},
                                                  {"filename", QMP_STRING, false},
                                                  {"read-only", QMP_BOOL, true},
                                                  {"auto-read-only", QMP_BOOL, true},
                                                  {NULL, QMP_STRING, false}};
    if (json_is_object(file)) {
        if (!qmp_check(call, file, members))
            return false;
        if (strcmp(json_string_value(json_object_get(file, "driver")), "file") == 0)
            return take_file(call, file, node);
        qmp_fail(call, "GenericError", "file: driver file is accepted");
        return false;
    }
    const char *name = json_is_string(file) ? json_string_value(file) : "";
    const struct steer_node *child = find(call->steer, name);
    if (!child || child->child[0] || strlen(name) >= sizeof node->child) {
        qmp_fail(call, "GenericError", "Cannot find device='' nor node-name='%.100s'", name);
        return false;
    }
    node->image = child->image;
    snprintf(node->child, sizeof node->child, "%s", name);
    return true;
}

static bool take_format(struct qmp_call *call, const char *driver, struct steer_node *node)
{
    if (json_object_get(call->arguments, "filename")) {
        qmp_fail(call, "GenericError", "Parameter 'filename' is unexpected");
        return false;
    }
    if (!take_child(call, json_object_get(call->arguments, "file"), node))
        return false;
    snprintf(node->image.format, sizeof node->image.format, "%s", driver);
    node->image.read_only |= json_is_true(json_object_get(call->arguments, "read-only"));
    if (strcmp(driver, "qcow2") == 0 && !qcow2_bytes(node->image.file, &node->image.bytes)) {
        qmp_fail(call, "GenericError", "Image is not in qcow2 format");
        return false;
    }
    return true;
}

static bool take_name(struct qmp_call *call, struct steer_node *node)
{
    const char *name = qmp_string(call, "node-name");
    if (!name || strlen(name) == 0 || strlen(name) >= sizeof node->name)
        qmp_fail(call, "GenericError",
                 name ? "Invalid node-name: '%.100s'" : "'node-name' must be specified for the root node",
                 name);
    else if (find(call->steer, name))
        qmp_fail(call, "GenericError", "Duplicate nodes with node-name='%.100s'", name);
    else if (call->steer->nnodes == STEER_NODES_MAX)
        qmp_fail(call, "GenericError", "there are %d nodes already", STEER_NODES_MAX);
    else
        return snprintf(node->name, sizeof node->name, "%s", name) > 0;
    return false;
}

void qmp_add_node(struct qmp_call *call)
{
    static const char *const drivers[] = {"file", "raw", "qcow2"};
    const char *driver = qmp_string(call, "driver");
    const int choice = value_choice(driver, "file|raw|qcow2");
    struct steer_node node = {.driver = choice < 0 ? NULL : drivers[choice]};
    bool done = false;
    if (choice < 0)
        qmp_fail(call, "GenericError", "Parameter 'driver' does not accept value '%.100s'", driver);
    else if (!take_name(call, &node))
        return;
    else if (strcmp(driver, "file") != 0)
        done = take_format(call, driver, &node);
    else if (json_object_get(call->arguments, "file"))
        qmp_fail(call, "GenericError", "Parameter 'file' is unexpected");
    else
        done = take_file(call, call->arguments, &node);
    if (done)
        call->steer->node[call->steer->nnodes++] = node;
}

/* --- blockdev-del, blockdev-insert-medium --- */

void qmp_delete_node(struct qmp_call *call)
{
    struct steer *s = call->steer;
    const char *name = qmp_string(call, "node-name");
    struct steer_node *node = find(s, name);
    if (!node)
        qmp_fail(call, "GenericError", "Failed to find node with node-name='%.100s'", name);
    else if (is_stood_on(s, node) || is_inserted(s, node))
        qmp_fail(call, "GenericError", "Node %s is in use", name);
    else
        *node = s->node[--s->nnodes];
}

void qmp_insert_medium(struct qmp_call *call)
{
    const char *id = qmp_string(call, "id"), *name = qmp_string(call, "node-name");
    const struct steer_node *node = find(call->steer, name);
    unsigned n;
    struct err e;
    if (!media_find(call->steer, id, &n))
        qmp_fail(call, "DeviceNotFound", "Device '%.100s' not found", id);
    else if (!node)
        qmp_fail(call, "GenericError", "Node '%.100s' not found", name);
    else if (is_inserted(call->steer, node))
        qmp_fail(call, "GenericError", "Node '%s' is already in use", name);
    else if (!media_put(call->steer, n, &node->image, &e))
        qmp_fail(call, "GenericError", "%s", e.text);
}

/* --- query-named-block-nodes --- */

/* The node that was put into a drive with this image; NULL: the drive's own. */
static const struct steer_node *node_of_image(const struct steer *s, const struct media_image *image)
{
    for (unsigned i = 0; i < s->nnodes; i++)
        if (strcmp(s->node[i].driver, "file") != 0 && is_same_file(s->node[i].image.file, image->file))
            return &s->node[i];
    return NULL;
}

const char *qmp_node_name(const struct steer *s, unsigned n, char name[STEER_NODE_BYTES])
{
    struct media_view v;
    media_look(machine_drives(s->machine), n, &v);
    const struct steer_node *node = node_of_image(s, &v.image);
    snprintf(name, STEER_NODE_BYTES, "#block%u", n);
    return node ? node->name : name;
}

/* `flat` changes nothing: no node tells of what it stands on. */
void qmp_query_nodes(struct qmp_call *call)
{
    struct steer *s = call->steer;
    call->answer = json_array();
    for (unsigned i = 0; i < s->nnodes; i++)
        json_array_append_new(call->answer,
                              qmp_medium(&s->node[i].image, s->node[i].name, s->node[i].driver));
    for (unsigned n = 0; n < s->o->ndrives; n++) {
        struct media_view v;
        char name[STEER_NODE_BYTES];
        media_look(machine_drives(s->machine), n, &v);
        if (v.drive.medium && !node_of_image(s, &v.image))
            json_array_append_new(call->answer, qmp_medium(&v.image, qmp_node_name(s, n, name), NULL));
    }
}
