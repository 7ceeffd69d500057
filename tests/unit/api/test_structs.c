/* test_structs.c - args of other versions: longer with zeros is fine, longer with something in it is not, shorter never was. */
#include "unit/api/host.h"

#include <stdlib.h>
#include <string.h>

enum { MORE = 64 };

static void args__of_a_later_version(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    float data[4] = {1, 2, 3, 4};
    const int64_t count = 4;
    struct {
        kolo_args known;
        uint8_t more[MORE];
    } args = {.known = host_args("w", data, &count)}, group = {.known = host_group("g", &args.known.output, 1)};
    for (size_t more = 0; more <= MORE; more += 8) {
        args.known.struct_size = sizeof(args.known) + more;
        assert_int_equal(kolo_allreduce(ctx, &args.known, NULL), KOLO_OK);
        group.known.struct_size = args.known.struct_size;
        assert_int_equal(kolo_allreduce(ctx, &group.known, NULL), KOLO_OK);
    }
    for (size_t i = 0; i < MORE; i++) {
        args.more[i] = group.more[i] = 1;
        args.known.struct_size = sizeof(args);
        host_expect(kolo_allreduce(ctx, &args.known, NULL), KOLO_ERR_VERSION,
                    "beyond them is set: the program uses a feature of a newer Kolo");
        host_expect(kolo_barrier(ctx, &args.known, NULL), KOLO_ERR_VERSION, "a newer Kolo");
        host_expect(kolo_allreduce(ctx, &group.known, NULL), KOLO_ERR_VERSION, "a newer Kolo");
        args.known.struct_size = sizeof(args.known) + i / 8 * 8; /* just short of it */
        assert_int_equal(kolo_allreduce(ctx, &args.known, NULL), KOLO_OK);
        args.more[i] = group.more[i] = 0;
    }
    host_finalize(ctx);
}

/* Filled in up to its size, in memory that ends there. */
static void args__of_a_wrong_size(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    kolo_request *request = NULL;
    static const size_t wrong[] = {0, 1, 8, sizeof(kolo_args) - 8, sizeof(kolo_args) - 1};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        kolo_args *args = calloc(1, sizeof(*args));
        assert_non_null(args);
        args->struct_size = wrong[i];
        host_expect(kolo_allreduce(ctx, args, NULL), KOLO_ERR_INVALID, "less than any version's");
        host_expect(kolo_prepare(ctx, args, &request), KOLO_ERR_INVALID, "less than any version's");
        host_expect(kolo_barrier(ctx, args, NULL), KOLO_ERR_INVALID, "start from the initialiser macro");
        free(args);
    }
    static const size_t absurd[] = {sizeof(kolo_args) + 1, sizeof(kolo_args) + 4, 5000, SIZE_MAX, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        kolo_args *args = calloc(1, sizeof(*args));
        assert_non_null(args);
        args->struct_size = absurd[i];
        host_expect(kolo_allreduce(ctx, args, NULL), KOLO_ERR_INVALID, "which is no version's");
        host_expect(kolo_prepare(ctx, args, &request), KOLO_ERR_INVALID, "which is no version's");
        free(args);
    }
    host_finalize(ctx);
}

static void init_args__of_other_versions(void **state)
{
    (void)state;
    kolo_context *ctx = NULL;
    struct {
        kolo_init_args known;
        uint8_t more[MORE];
    } args = {.known = KOLO_INIT_ARGS_INIT};
    args.known.struct_size = sizeof(args);
    assert_int_equal(kolo_init(&args.known, &ctx), KOLO_OK);
    host_finalize(ctx);
    ctx = NULL;
    args.more[MORE - 1] = 1;
    host_expect(kolo_init(&args.known, &ctx), KOLO_ERR_VERSION, "kolo_init_args has");
    args.known.struct_size = sizeof(args.known) - 8;
    host_expect(kolo_init(&args.known, &ctx), KOLO_ERR_INVALID, "kolo_init_args.struct_size is");
    args.known.struct_size = 0;
    host_expect(kolo_init(&args.known, &ctx), KOLO_ERR_INVALID, "start from the initialiser macro");
    args.known.struct_size = SIZE_MAX;
    host_expect(kolo_init(&args.known, &ctx), KOLO_ERR_INVALID, "which is no version's");
    assert_null(ctx);
}

static void errors__tell_their_size(void **state)
{
    (void)state;
    assert_int_equal(kolo_last_error()->struct_size, sizeof(kolo_error));
    host_expect(kolo_finalize(NULL), KOLO_ERR_INVALID, "");
    assert_int_equal(kolo_last_error()->struct_size, sizeof(kolo_error));
}

int main(void)
{
    host_clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(args__of_a_later_version),
        cmocka_unit_test(args__of_a_wrong_size),
        cmocka_unit_test(init_args__of_other_versions),
        cmocka_unit_test(errors__tell_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
