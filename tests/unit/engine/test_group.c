/* test_group.c - which tensors of a batch travel together, and in which order. */
#include "unit/engine/made.h"

#include "engine/group.h"
#include "unit/base/fail_alloc.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE = 4 };

static const kolo_group_policy policy = {.size = SIZE, .fusion_bytes = 4096, .model = KOLO_PRICE_MODEL_DEFAULT};

static kolo_group *form(const kolo_group_policy *with, kolo_request *const *requests, size_t count,
                        uint32_t *next_number)
{
    kolo_group *first = NULL;
    assert_int_equal(kolo_groups_form(with, requests, count, next_number, &first), KOLO_OK);
    return first;
}

static size_t free_groups(kolo_group *group)
{
    size_t count = 0;
    while (group != NULL) {
        kolo_group *next = group->next;
        free(group);
        group = next;
        count++;
    }
    return count;
}

static void release_all(kolo_request **requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kolo_request_release(requests[i]);
}

static void same_work__is_one_group_in_order(void **state)
{
    (void)state;
    kolo_request *requests[5];
    for (int i = 0; i < 5; i++)
        requests[i] = made_request(&(made_options){.count = 3 + i});
    uint32_t number = 40;
    kolo_group *group = form(&policy, requests, 5, &number);
    assert_int_equal(number, 41);
    assert_int_equal(group->number, 40);
    assert_int_equal(group->member_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_ptr_equal(group->members[i].request, requests[i]);
        assert_ptr_equal(group->members[i].piece, &requests[i]->pieces[0]);
    }
    assert_int_equal(free_groups(group), 1);
    release_all(requests, 5);
}

static void different_work__never_shares_a_group(void **state)
{
    (void)state;
    const made_options kinds[] = {
        {.count = 4},
        {.count = 4, .type = KOLO_DTYPE_FLOAT64},
        {.count = 4, .operation.op = KOLO_MAX},
        {.count = 4, .operation.prescale = 0.5},
        {.count = 4, .operation.postscale = 0.5},
        {.count = 4, .operation.collective = KOLO_BROADCAST},
        {.count = 4, .operation.collective = KOLO_ALLGATHER},
    };
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    kolo_request *requests[2 * KINDS];
    for (size_t i = 0; i < 2 * KINDS; i++)
        requests[i] = made_request(&kinds[i % KINDS]);
    uint32_t number = 0;
    kolo_group *first = form(&policy, requests, 2 * KINDS, &number);
    uint32_t expected = 0;
    for (kolo_group *group = first; group != NULL; group = group->next, expected++) {
        assert_int_equal(group->number, expected);
        bool fusable = group->operation.collective == KOLO_ALLREDUCE;
        assert_int_equal(group->member_count, fusable ? 2 : 1);
        if (fusable)
            assert_int_equal(group->members[1].request->description_size, group->members[0].request->description_size);
        for (size_t i = 1; i < group->member_count; i++)
            assert_memory_equal(group->members[i].request->description, group->members[0].request->description,
                                group->members[0].request->description_size);
    }
    assert_int_equal(expected, 5 + 2 * 2); /* five kinds of all-reduce fused, two others each alone */
    assert_int_equal(number, expected);
    free_groups(first);
    release_all(requests, 2 * KINDS);
}

static void empty_tensors__join_no_group(void **state)
{
    (void)state;
    kolo_request *requests[4] = {
        made_request(&(made_options){.count = 0}),
        made_request(&(made_options){.operation.collective = KOLO_BARRIER}),
        made_request(&(made_options){.count = 7}),
        made_request(&(made_options){.count = 0}),
    };
    uint32_t number = 0;
    kolo_group *group = form(&policy, requests, 4, &number);
    assert_int_equal(group->member_count, 1);
    assert_ptr_equal(group->members[0].request, requests[2]);
    assert_int_equal(free_groups(group), 1);
    assert_null(form(&policy, requests, 2, &number));
    assert_null(form(&policy, requests, 0, &number));
    assert_int_equal(number, 1);
    release_all(requests, 4);
}

static void limit__opens_the_next_group(void **state)
{
    (void)state;
    kolo_request *requests[6];
    for (int i = 0; i < 6; i++)
        requests[i] = made_request(&(made_options){.count = 400}); /* 1600 bytes: two to a group of 4096 */
    uint32_t number = 0;
    kolo_group *first = form(&policy, requests, 6, &number);
    for (kolo_group *group = first; group != NULL; group = group->next)
        assert_int_equal(group->member_count, 2);
    assert_int_equal(free_groups(first), 3);
    kolo_group_policy none = policy;
    none.fusion_bytes = 0;
    first = form(&none, requests, 6, &number);
    assert_int_equal(free_groups(first), 6);
    release_all(requests, 6);
}

static void tensors_of_one_request__are_members_of_their_own(void **state)
{
    (void)state;
    kolo_request *requests[2] = {made_group("g", 5, 0), made_request(&(made_options){.count = 9})};
    uint32_t number = 0;
    kolo_group *group = form(&policy, requests, 2, &number);
    assert_int_equal(group->member_count, 5); /* the group's tensor of 0 elements is none */
    for (size_t i = 0; i < 4; i++)
        assert_ptr_equal(group->members[i].piece, &requests[0]->pieces[i + 1]);
    assert_ptr_equal(group->members[4].request, requests[1]);
    assert_int_equal(free_groups(group), 1);
    release_all(requests, 2);
}

static void expect_same(const kolo_group *a, const kolo_group *b)
{
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        assert_int_equal(a->number, b->number);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->association, b->association);
        assert_int_equal(a->member_count, b->member_count);
        assert_memory_equal(a->members, b->members, a->member_count * sizeof(a->members[0]));
    }
    assert_true(a == NULL && b == NULL);
}

/* Alone in its batch, a grouped call is not planned tensor by tensor, where memory is shared; with the same result. */
static void one_request__makes_the_groups_that_it_makes_beside_another(void **state)
{
    (void)state;
    kolo_request *requests[2] = {made_group("g", 6, 0),
                                 made_request(&(made_options){.operation.collective = KOLO_BARRIER})};
    for (int shared = 0; shared <= 1; shared++)
        for (int type = 0; type <= 1; type++)
            for (int64_t limit = 0; limit <= 4 * (0 + 1 + 2 + 3 + 4 + 5); limit += 4) {
                kolo_group_policy with = policy;
                uint32_t numbers[2] = {3, 3};
                with.is_shared = shared != 0;
                with.fusion_bytes = limit;
                requests[0]->pieces[3].type = type != 0 ? KOLO_DTYPE_INT32 : KOLO_DTYPE_FLOAT32;
                kolo_group *alone = form(&with, requests, 1, &numbers[0]),
                           *beside = form(&with, requests, 2, &numbers[1]);
                expect_same(alone, beside);
                assert_int_equal(numbers[0], numbers[1]);
                free_groups(alone);
                free_groups(beside);
            }
    release_all(requests, 2);
}

/* A tensor's class must not depend on what it is fused with: bits would. */
static void association__is_that_of_the_tensor_alone(void **state)
{
    (void)state;
    enum { TENSORS = 12 };
    kolo_group_policy wide = policy, none = policy;
    wide.fusion_bytes = 1 << 20;
    none.fusion_bytes = 0;
    wide.size = none.size = 33;
    kolo_request *requests[TENSORS];
    for (int i = 0; i < TENSORS; i++)
        requests[i] = made_request(&(made_options){.count = (int64_t)1 << 2 * i});
    uint32_t number = 0;
    kolo_group *alone = form(&none, requests, TENSORS, &number), *fused = form(&wide, requests, TENSORS, &number);
    size_t compared = 0, fused_with_others = 0;
    for (const kolo_group *group = fused; group != NULL; group = group->next)
        for (size_t i = 0; i < group->member_count; i++, compared++) {
            const kolo_group *own = alone;
            while (own->members[0].request != group->members[i].request)
                own = own->next;
            assert_int_equal(group->association, own->association);
            fused_with_others += group->member_count > 1;
        }
    assert_int_equal(compared, TENSORS);
    assert_in_range(fused_with_others, 2, TENSORS);
    assert_int_equal(free_groups(alone), TENSORS);
    free_groups(fused);
    release_all(requests, TENSORS);
}

static void no_memory__leaves_no_groups(void **state)
{
    (void)state;
    kolo_request *requests[3]; /* of three types, so of three groups */
    for (int i = 0; i < 3; i++)
        requests[i] = made_request(&(made_options){.count = 3, .type = (kolo_dtype_id)i});
    for (int failing = 1; failing <= 3; failing++) {
        kolo_group *first = NULL;
        uint32_t number = 0;
        fail_alloc_at(failing);
        assert_int_equal(kolo_groups_form(&policy, requests, 3, &number, &first), KOLO_ERR_MEMORY);
        fail_alloc_at(0);
        assert_null(first);
    }
    uint32_t number = 0;
    assert_int_equal(free_groups(form(&policy, requests, 3, &number)), 3);
    release_all(requests, 3);
}

static void memory__grows_and_is_kept(void **state)
{
    (void)state;
    kolo_memory memory = {0};
    assert_int_equal(kolo_memory_reserve(&memory, 0), KOLO_OK);
    assert_null(memory.data);
    assert_int_equal(kolo_memory_reserve(&memory, 5000), KOLO_OK);
    void *data = memory.data;
    assert_int_equal((uintptr_t)data % 4096, 0);
    memset(data, 1, 8192);
    assert_int_equal(kolo_memory_reserve(&memory, 8192), KOLO_OK);
    assert_int_equal(kolo_memory_reserve(&memory, 1), KOLO_OK);
    assert_ptr_equal(memory.data, data);
    assert_int_equal(kolo_memory_reserve(&memory, 8193), KOLO_OK);
    assert_int_equal(memory.bytes, 12288);
    kolo_memory_fini(&memory);
    assert_true(memory.data == NULL && memory.bytes == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_work__is_one_group_in_order),
        cmocka_unit_test(different_work__never_shares_a_group),
        cmocka_unit_test(empty_tensors__join_no_group),
        cmocka_unit_test(limit__opens_the_next_group),
        cmocka_unit_test(tensors_of_one_request__are_members_of_their_own),
        cmocka_unit_test(one_request__makes_the_groups_that_it_makes_beside_another),
        cmocka_unit_test(association__is_that_of_the_tensor_alone),
        cmocka_unit_test(no_memory__leaves_no_groups),
        cmocka_unit_test(memory__grows_and_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
