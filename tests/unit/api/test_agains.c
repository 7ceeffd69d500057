/* test_agains.c - which calls with a list of tensors are remembered, and which are forgotten. */
#include "api/again.h"
#include "unit/base/cmocka_all.h"

#include <stdio.h>

static float data[2];
static const int64_t one = 1;

/* A list of one tensor, of which there is one at a time. */
static kolo_args args_of(const char *name, float *at)
{
    static kolo_tensor list[1];
    kolo_args args = KOLO_ARGS_INIT;
    list[0] = kolo_vector(at, &one, KOLO_FLOAT32);
    args.name = name;
    args.outputs = list;
    args.tensors = 1;
    return args;
}

static kolo_again *made_of(const kolo_args *args)
{
    const kolo_piece piece = {.type = KOLO_DTYPE_FLOAT32, .count = 1, .input = data, .output = data};
    const int64_t *shape = &one;
    const int32_t ndim = 1;
    const kolo_request_spec spec = {
        .name = args->name, .operation = {.piece_count = 1}, .pieces = &piece, .ndims = &ndim, .shapes = &shape};
    kolo_request *request;
    assert_int_equal(kolo_request_create(&spec, 0, &request), KOLO_OK);
    kolo_again *again = kolo_again_make(args, request);
    assert_non_null(again);
    assert_ptr_equal(kolo_again_request(again), request);
    return again;
}

/* Whether it was remembered; then it is the first one again. */
static bool is_there(kolo_agains *agains, const char *name, float *at)
{
    const kolo_args args = args_of(name, at);
    kolo_again *again = kolo_agains_take(agains, &args);
    if (again != NULL)
        kolo_agains_give(agains, again);
    return again != NULL;
}

static void add(kolo_agains *agains, const char *name, float *at)
{
    const kolo_args args = args_of(name, at);
    assert_true(kolo_again_is_possible(&args));
    kolo_agains_add(agains, made_of(&args));
}

static void call__is_found_by_one_at_a_time(void **state)
{
    (void)state;
    kolo_agains agains;
    kolo_agains_init(&agains);
    const kolo_args args = args_of("a", data);
    assert_null(kolo_agains_take(&agains, &args));
    add(&agains, "a", data);
    const kolo_tensor list[2] = {args.outputs[0], args.outputs[0]};
    kolo_args more = args;
    more.outputs = list;
    more.tensors = 2;
    assert_null(kolo_agains_take(&agains, &more));
    assert_false(is_there(&agains, "b", data));
    assert_false(is_there(&agains, "a", data + 1));
    (void)args_of("a", data);
    kolo_again *taken = kolo_agains_take(&agains, &args);
    assert_non_null(taken);
    assert_null(kolo_agains_take(&agains, &args));
    kolo_agains_give(&agains, taken);
    assert_true(is_there(&agains, "a", data));
    taken = kolo_agains_take(&agains, &args);
    kolo_again_drop(taken);
    assert_false(is_there(&agains, "a", data));
    kolo_agains_fini(&agains);
}

static void name__has_its_last_two(void **state)
{
    (void)state;
    float many[10];
    kolo_agains agains;
    kolo_agains_init(&agains);
    add(&agains, "other", many);
    for (int i = 0; i < 10; i++)
        add(&agains, "a", &many[i]);
    for (int i = 0; i < 10; i++)
        assert_int_equal(is_there(&agains, "a", &many[i]), i >= 8);
    assert_true(is_there(&agains, "a", &many[8])); /* before the other, now */
    add(&agains, "a", &many[0]);
    assert_true(is_there(&agains, "a", &many[8]));
    assert_false(is_there(&agains, "a", &many[9]));
    assert_true(is_there(&agains, "other", many));
    kolo_agains_fini(&agains);
}

static void names__are_forgotten_when_they_are_many(void **state)
{
    (void)state;
    enum { NAMES = 64 }; /* as many as are kept */
    char name[16];
    kolo_agains agains;
    kolo_agains_init(&agains);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        add(&agains, name, data);
    }
    assert_true(is_there(&agains, "n0", data));
    add(&agains, "one more", data);
    assert_true(is_there(&agains, "n0", data));
    assert_false(is_there(&agains, "n1", data));
    for (int i = 2; i < NAMES; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_true(is_there(&agains, name, data));
    }
    kolo_agains_fini(&agains);
}

static void note(void *user, kolo_request *request, kolo_status status)
{
    (void)user;
    (void)request;
    (void)status;
}

static void call__that_can_not_be_told_again(void **state)
{
    (void)state;
    kolo_args args = args_of(NULL, data);
    assert_false(kolo_again_is_possible(&args));
    args = args_of("a", data);
    assert_true(kolo_again_is_possible(&args));
    args.done = note;
    assert_false(kolo_again_is_possible(&args));
    args = args_of("a", data);
    args.flags = KOLO_NOTIFY_FD;
    assert_false(kolo_again_is_possible(&args));
    args = args_of("a", data);
    kolo_tensor strided = args.outputs[0];
    strided.strides = &one;
    args.inputs = &strided;
    assert_false(kolo_again_is_possible(&args));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call__is_found_by_one_at_a_time),
        cmocka_unit_test(name__has_its_last_two),
        cmocka_unit_test(names__are_forgotten_when_they_are_many),
        cmocka_unit_test(call__that_can_not_be_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
