/* draw.c - the topology as indented lines, for people. */
#include "topo/internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "topo/netdev.h"

enum { LINE_BYTES = 512, INDENT_SPACES = 2, DEEPEST = 40 };

typedef struct canvas {
    const kolo_topo *topo;
    void (*emit)(void *user, const char *line);
    void *user;
} canvas;

static void emit_line(const canvas *drawing, int depth, const char *format, ...) KOLO_PRINTF(3, 4);
static void emit_line(const canvas *drawing, int depth, const char *format, ...)
{
    char line[LINE_BYTES];
    int indent = INDENT_SPACES * (depth < DEEPEST ? depth : DEEPEST);
    memset(line, ' ', (size_t)indent);
    va_list args;
    va_start(args, format);
    vsnprintf(line + indent, sizeof(line) - (size_t)indent, format, args);
    va_end(args);
    drawing->emit(drawing->user, line);
}

static const char *format_bytes(uint64_t bytes, char *text, size_t capacity)
{
    static const char *const units[] = {"B", "KB", "MB", "GB"};
    size_t unit = 0;
    while (unit < 3 && bytes >= 10240) {
        bytes = (bytes + 512) / 1024;
        unit++;
    }
    if (unit < 3 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, capacity, "%" PRIu64 " %s", bytes, units[unit]);
    return text;
}

static bool is_core(const kolo_topo *topo, hwloc_obj_t object)
{
    return object->type == kolo_topo_core_type(topo);
}

/* A cache of one core is drawn on the core's line. */
static bool is_private_cache(const kolo_topo *topo, hwloc_obj_t object)
{
    if (!hwloc_obj_type_is_cache(object->type))
        return false;
    while (object && hwloc_obj_type_is_cache(object->type) && object->arity == 1)
        object = object->first_child;
    return object && is_core(topo, object);
}

/* "allowed", "not allowed", or which of the core's CPUs are. */
static void format_allowed(hwloc_const_bitmap_t cpus, hwloc_const_bitmap_t allowed, char *text, size_t capacity)
{
    if (hwloc_bitmap_isincluded(cpus, allowed)) {
        snprintf(text, capacity, "allowed");
    } else if (!hwloc_bitmap_intersects(cpus, allowed)) {
        snprintf(text, capacity, "not allowed");
    } else {
        char list[KOLO_CPUS_TEXT] = "";
        hwloc_bitmap_t both = hwloc_bitmap_dup(cpus);
        if (both && hwloc_bitmap_and(both, both, allowed) == 0)
            hwloc_bitmap_list_snprintf(list, sizeof(list), both);
        hwloc_bitmap_free(both);
        snprintf(text, capacity, "only CPU %s allowed", list);
    }
}

static void draw_core(const canvas *drawing, hwloc_obj_t core, int depth)
{
    char cpus[KOLO_CPUS_TEXT], caches[128] = "", allowed[KOLO_CPUS_TEXT + 32];
    hwloc_bitmap_list_snprintf(cpus, sizeof(cpus), core->cpuset);
    for (hwloc_obj_t cache = core->parent; cache && is_private_cache(drawing->topo, cache); cache = cache->parent) {
        char size[32], type[32];
        size_t used = strlen(caches);
        hwloc_obj_type_snprintf(type, sizeof(type), cache, 0);
        if (cache->attr->cache.size > 0)
            snprintf(caches + used, sizeof(caches) - used, "  %s %s", type,
                     format_bytes(cache->attr->cache.size, size, sizeof(size)));
    }
    format_allowed(core->cpuset, drawing->topo->allowed, allowed, sizeof(allowed));
    emit_line(drawing, depth, "core %u  CPU %s%s  %s", core->logical_index, cpus, caches, allowed);
}

static void draw_object(const canvas *drawing, hwloc_obj_t object, int depth)
{
    char size[32], type[64];
    switch (object->type) {
    case HWLOC_OBJ_MACHINE:
        emit_line(drawing, depth, "machine  %s memory, %" PRId32 " of %d cores allowed",
                  format_bytes(object->total_memory, size, sizeof(size)), drawing->topo->core_count,
                  hwloc_get_nbobjs_by_type(drawing->topo->hwloc, kolo_topo_core_type(drawing->topo)));
        return;
    case HWLOC_OBJ_PACKAGE:
        emit_line(drawing, depth, "package %u", object->logical_index);
        return;
    case HWLOC_OBJ_NUMANODE:
        emit_line(drawing, depth, "NUMA node %u  %s", object->logical_index,
                  format_bytes(object->attr->numanode.local_memory, size, sizeof(size)));
        return;
    case HWLOC_OBJ_GROUP:
        emit_line(drawing, depth, "group %u", object->logical_index);
        return;
    default:
        hwloc_obj_type_snprintf(type, sizeof(type), object, 0);
        if (hwloc_obj_type_is_cache(object->type))
            emit_line(drawing, depth, "%s %u  %s", type, object->logical_index,
                      format_bytes(object->attr->cache.size, size, sizeof(size)));
        else
            emit_line(drawing, depth, "%s %u", type, object->logical_index);
    }
}

/* Of a described machine only the name is known. */
static void draw_devices(const canvas *drawing, hwloc_obj_t home, int depth)
{
    for (hwloc_obj_t device = NULL; (device = hwloc_get_next_osdev(drawing->topo->hwloc, device));) {
        hwloc_obj_osdev_type_t type = device->attr->osdev.type;
        if ((type != HWLOC_OBJ_OSDEV_NETWORK && type != HWLOC_OBJ_OSDEV_OPENFABRICS) || !device->name ||
            hwloc_get_non_io_ancestor_obj(drawing->topo->hwloc, device) != home)
            continue;
        const char *kind = type == HWLOC_OBJ_OSDEV_NETWORK ? "network" : "fabric";
        const char *address = hwloc_obj_get_info_by_name(device, "Address");
        kolo_netdev netdev;
        char state[64] = "";
        if (drawing->topo->real && kolo_netdev_read(device->name, &netdev))
            kolo_netdev_format(&netdev, state, sizeof(state));
        emit_line(drawing, depth, "%s %s%s%s%s%s", kind, device->name, *state ? "  " : "", state, address ? "  " : "",
                  address ? address : "");
    }
}

static void draw_tree(const canvas *drawing, hwloc_obj_t object, int depth)
{
    bool core = is_core(drawing->topo, object), drawn = core || !is_private_cache(drawing->topo, object);
    int below = drawn ? depth + 1 : depth;
    if (core)
        draw_core(drawing, object, depth);
    else if (drawn)
        draw_object(drawing, object, depth);
    for (hwloc_obj_t memory = object->memory_first_child; memory; memory = memory->next_sibling)
        draw_tree(drawing, memory, below);
    draw_devices(drawing, object, below);
    if (core)
        return; /* its CPUs stand on its line */
    for (hwloc_obj_t child = object->first_child; child; child = child->next_sibling)
        draw_tree(drawing, child, below);
}

void kolo_topo_draw(const kolo_topo *topo, void (*emit)(void *user, const char *line), void *user)
{
    canvas drawing = {.topo = topo, .emit = emit, .user = user};
    draw_tree(&drawing, hwloc_get_root_obj(topo->hwloc), 0);
}
