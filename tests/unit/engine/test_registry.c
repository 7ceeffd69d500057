/* test_registry.c - names, slots, and the variants of a round. */
#include "unit/engine/made.h"

#include "engine/registry.h"

#include <stdio.h>
#include <string.h>

static const uint8_t text_a[] = "description a", text_b[] = "description b";

static void get__makes_an_entry_once(void **state)
{
    (void)state;
    kolo_registry registry;
    kolo_registry_init(&registry);
    assert_null(kolo_registry_find(&registry, "w"));
    kolo_entry *entry = kolo_registry_get(&registry, "w");
    assert_non_null(entry);
    assert_ptr_equal(kolo_registry_get(&registry, "w"), entry);
    assert_ptr_equal(kolo_registry_find(&registry, "w"), entry);
    assert_string_equal(entry->name, "w");
    assert_true(entry->slot == KOLO_NO_SLOT && entry->head == NULL && entry->have == 0);
    assert_ptr_not_equal(kolo_registry_get(&registry, "w2"), entry);
    kolo_registry_fini(&registry);
}

static void count_entry(void *user, kolo_entry *entry)
{
    size_t *sum = user;
    *sum += entry->slot;
}

static void many_names__keep_their_slots(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    kolo_registry registry;
    char name[16];
    kolo_registry_init(&registry);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "tensor%u", i);
        assert_int_equal(kolo_registry_free_slot(&registry), i);
        assert_int_equal(kolo_registry_assign(&registry, kolo_registry_get(&registry, name), i, text_a, sizeof(text_a)),
                         KOLO_OK);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "tensor%u", i);
        assert_ptr_equal(kolo_registry_slot(&registry, i), kolo_registry_find(&registry, name));
    }
    size_t sum = 0;
    kolo_registry_each(&registry, count_entry, &sum);
    assert_int_equal(sum, COUNT * (COUNT - 1) / 2);
    kolo_registry_fini(&registry);
}

static void assign__again_replaces_the_description(void **state)
{
    (void)state;
    kolo_registry registry;
    kolo_registry_init(&registry);
    kolo_entry *entry = kolo_registry_get(&registry, "w");
    assert_int_equal(kolo_registry_assign(&registry, entry, 3, text_a, sizeof(text_a)), KOLO_OK);
    assert_int_equal(kolo_registry_assign(&registry, entry, 3, text_b, 11), KOLO_OK);
    assert_int_equal(entry->agreed_size, 11);
    assert_memory_equal(entry->agreed, text_b, 11);
    /* The slots below are free, and nobody's. */
    for (uint32_t slot = 0; slot < 3; slot++)
        assert_null(kolo_registry_slot(&registry, slot));
    assert_ptr_equal(kolo_registry_slot(&registry, 3), entry);
    assert_null(kolo_registry_slot(&registry, 4));
    assert_null(kolo_registry_slot(&registry, KOLO_NO_SLOT));
    assert_int_equal(kolo_registry_free_slot(&registry), 4);
    kolo_registry_fini(&registry);
}

static void is_agreed(kolo_entry *entry, kolo_request *request, bool expected)
{
    for (int i = 0; i < 2; i++) /* remembered the second time */
        assert_int_equal(kolo_entry_is_agreed(entry, request), expected);
}

/* One that is prepared comes again after others of its name. */
static void request__is_compared_with_what_is_agreed_now(void **state)
{
    (void)state;
    kolo_registry registry;
    kolo_registry_init(&registry);
    kolo_entry *entry = kolo_registry_get(&registry, "t");
    kolo_request *one = made_request(&(made_options){.count = 1}), *two = made_request(&(made_options){.count = 2});
    is_agreed(entry, one, false);
    for (int round = 0; round < 3; round++) {
        kolo_request *now = round % 2 == 0 ? one : two;
        assert_int_equal(kolo_registry_assign(&registry, entry, 0, now->description, now->description_size), KOLO_OK);
        is_agreed(entry, one, now == one);
        is_agreed(entry, two, now == two);
    }
    kolo_request_release(one);
    kolo_request_release(two);
    kolo_registry_fini(&registry);
}

static void assign__taken_or_unbounded_slot_is_refused(void **state)
{
    (void)state;
    kolo_registry registry;
    kolo_registry_init(&registry);
    kolo_entry *first = kolo_registry_get(&registry, "first"), *second = kolo_registry_get(&registry, "second");
    assert_int_equal(kolo_registry_assign(&registry, first, 0, text_a, sizeof(text_a)), KOLO_OK);
    made_expect_error(kolo_registry_assign(&registry, second, 0, text_b, sizeof(text_b)), KOLO_ERR_PROTOCOL,
                      "slot 0 for tensor 'second' is not free");
    made_expect_error(kolo_registry_assign(&registry, second, KOLO_SLOTS_MAX, text_b, sizeof(text_b)),
                      KOLO_ERR_PROTOCOL, "slot 16777216 for tensor 'second'");
    made_expect_error(kolo_registry_assign(&registry, second, KOLO_NO_SLOT, text_b, sizeof(text_b)), KOLO_ERR_PROTOCOL,
                      "slot 4294967295");
    assert_true(second->slot == KOLO_NO_SLOT && second->agreed == NULL);
    assert_ptr_equal(kolo_registry_slot(&registry, 0), first);
    kolo_registry_fini(&registry);
}

static void add(kolo_entry *entry, const uint8_t *text, int32_t rank)
{
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    assert_true(kolo_ranks_add(&ranks, rank, rank));
    assert_true(kolo_entry_add_variant(entry, text, sizeof(text_a), &ranks));
    kolo_ranks_fini(&ranks);
}

static void variants__gather_the_ranks_that_agree(void **state)
{
    (void)state;
    kolo_registry registry;
    kolo_registry_init(&registry);
    kolo_entry *entry = kolo_registry_get(&registry, "w");
    add(entry, text_a, 0);
    add(entry, text_b, 1);
    add(entry, text_a, 2);
    assert_int_equal(entry->variant_count, 2);
    char ranks[32];
    assert_string_equal(kolo_ranks_format(&entry->variants[0].ranks, ranks, sizeof(ranks)), "0,2");
    assert_string_equal(kolo_ranks_format(&entry->variants[1].ranks, ranks, sizeof(ranks)), "1");
    entry->have = entry->unchanged = 7;
    kolo_entry_reset_round(entry);
    assert_true(entry->variant_count == 0 && entry->have == 0 && entry->unchanged == 0);
    kolo_registry_fini(&registry);
}

static void variants__beyond_the_bound_are_not_kept(void **state)
{
    (void)state;
    kolo_registry registry;
    kolo_registry_init(&registry);
    kolo_entry *entry = kolo_registry_get(&registry, "w");
    for (int32_t i = 0; i < KOLO_VARIANTS_MAX + 3; i++) {
        uint8_t text[sizeof(text_a)] = {(uint8_t)i};
        add(entry, text, i);
    }
    assert_int_equal(entry->variant_count, KOLO_VARIANTS_MAX);
    kolo_registry_fini(&registry); /* and the round's variants are freed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get__makes_an_entry_once),
        cmocka_unit_test(many_names__keep_their_slots),
        cmocka_unit_test(assign__again_replaces_the_description),
        cmocka_unit_test(request__is_compared_with_what_is_agreed_now),
        cmocka_unit_test(assign__taken_or_unbounded_slot_is_refused),
        cmocka_unit_test(variants__gather_the_ranks_that_agree),
        cmocka_unit_test(variants__beyond_the_bound_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
