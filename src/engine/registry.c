/* registry.c - names, slots and rounds. The hash table is uthash. */
#include "engine/registry.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

void kolo_registry_init(kolo_registry *registry)
{
    memset(registry, 0, sizeof(*registry));
}

static void entry_destroy(kolo_entry *entry)
{
    kolo_entry_reset_round(entry);
    kolo_places_destroy(entry->places);
    free(entry->agreed);
    free(entry);
}

void kolo_registry_fini(kolo_registry *registry)
{
    kolo_entry *entry, *next;
    HASH_ITER(hh, registry->by_name, entry, next)
    {
        HASH_DEL(registry->by_name, entry);
        entry_destroy(entry);
    }
    free(registry->slots);
    memset(registry, 0, sizeof(*registry));
}

kolo_entry *kolo_registry_find(kolo_registry *registry, const char *name)
{
    kolo_entry *last = registry->last_found, *entry = last != NULL ? last->next_found : NULL;
    if (entry == NULL || strcmp(entry->name, name) != 0)
        HASH_FIND_STR(registry->by_name, name, entry);
    if (entry == NULL)
        return NULL;
    if (last != NULL)
        last->next_found = entry;
    registry->last_found = entry;
    if (entry->next_found != NULL)
        kolo_entry_prefetch(entry->next_found);
    return entry;
}

kolo_entry *kolo_registry_get(kolo_registry *registry, const char *name)
{
    kolo_entry *entry = kolo_registry_find(registry, name);
    if (entry != NULL)
        return entry;
    size_t name_bytes = strlen(name) + 1;
    if ((entry = calloc(1, sizeof(*entry) + name_bytes)) == NULL)
        return NULL;
    memcpy(entry->name, name, name_bytes);
    entry->slot = KOLO_NO_SLOT;
    entry->round = 1;
    HASH_ADD_KEYPTR(hh, registry->by_name, entry->name, name_bytes - 1, entry);
    if (entry->hh.tbl == NULL) {
        entry_destroy(entry);
        return NULL;
    }
    return entry;
}

kolo_entry *kolo_registry_slot(const kolo_registry *registry, uint32_t slot)
{
    return slot < registry->slot_count ? registry->slots[slot] : NULL;
}

uint32_t kolo_registry_free_slot(const kolo_registry *registry)
{
    return registry->slot_count;
}

static bool reserve(kolo_registry *registry, uint32_t slot)
{
    if (slot >= registry->slot_capacity) {
        uint32_t capacity = registry->slot_capacity > 0 ? registry->slot_capacity : 64;
        while (capacity <= slot)
            capacity *= 2;
        kolo_entry **slots = realloc(registry->slots, capacity * sizeof(*slots));
        if (slots == NULL)
            return false;
        registry->slots = slots;
        registry->slot_capacity = capacity;
    }
    while (registry->slot_count <= slot)
        registry->slots[registry->slot_count++] = NULL;
    return true;
}

kolo_status kolo_registry_assign(kolo_registry *registry, kolo_entry *entry, uint32_t slot, const uint8_t *description,
                                 size_t size)
{
    kolo_entry *holder = kolo_registry_slot(registry, slot);
    if (slot >= KOLO_SLOTS_MAX || (holder != NULL && holder != entry))
        return kolo_fail(KOLO_ERR_PROTOCOL, "slot %u for tensor '%s' is not free", slot, entry->name);
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL || !reserve(registry, slot)) {
        free(copy);
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the description of tensor '%s'", entry->name);
    }
    memcpy(copy, description, size);
    free(entry->agreed);
    entry->agreed = copy;
    kolo_places_forget(entry->places);
    entry->agreed_size = size;
    entry->agreement++;
    entry->slot = slot;
    registry->slots[slot] = entry;
    return KOLO_OK;
}

void kolo_registry_each(const kolo_registry *registry, void (*fn)(void *user, kolo_entry *entry), void *user)
{
    for (kolo_entry *entry = registry->by_name; entry != NULL; entry = entry->hh.next)
        fn(user, entry);
}

static bool add_ranks(kolo_ranks *to, const kolo_ranks *from)
{
    for (size_t i = 0; i < from->count; i++)
        if (!kolo_ranks_add(to, from->ranges[i].first, from->ranges[i].last))
            return false;
    return true;
}

bool kolo_entry_add_variant(kolo_entry *entry, const uint8_t *description, size_t size, const kolo_ranks *ranks)
{
    for (size_t i = 0; i < entry->variant_count; i++) {
        kolo_variant *variant = &entry->variants[i];
        if (variant->description_size == size && memcmp(variant->description, description, size) == 0)
            return add_ranks(&variant->ranks, ranks);
    }
    if (entry->variant_count == KOLO_VARIANTS_MAX)
        return true;
    kolo_variant *variant = &entry->variants[entry->variant_count];
    if ((variant->description = malloc(size > 0 ? size : 1)) == NULL)
        return false;
    memcpy(variant->description, description, size);
    variant->description_size = size;
    kolo_ranks_init(&variant->ranks);
    entry->variant_count++;
    return add_ranks(&variant->ranks, ranks);
}

void kolo_entry_reset_round(kolo_entry *entry)
{
    for (size_t i = 0; i < entry->variant_count; i++) {
        free(entry->variants[i].description);
        kolo_ranks_fini(&entry->variants[i].ranks);
    }
    entry->variant_count = 0;
    entry->have = entry->unchanged = 0;
    entry->warned = entry->has_private = false;
}
