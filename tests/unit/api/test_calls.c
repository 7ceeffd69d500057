/* test_calls.c - contexts that are none, calls beside operations, the table, names and texts. */
#include "unit/api/host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static void every_call__works_on_a_live_context(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    for (int call = 0; call < HOST_CALLS; call++)
        if (host_call(call, ctx) != KOLO_OK)
            fail_msg("%s: %s", host_call_name(call), kolo_last_error()->message);
    assert_true(kolo_rank(ctx) == 0 && kolo_size(ctx) == 1 && kolo_local_rank(ctx) == 0 && kolo_local_size(ctx) == 1);
    host_finalize(ctx);
}

static void every_call__without_a_context(void **state)
{
    (void)state;
    for (int call = 0; call < HOST_CALLS; call++) {
        host_expect(host_call(call, NULL), KOLO_ERR_INVALID, "the context is NULL; it comes from kolo_init");
        assert_string_equal(kolo_last_error()->operation, host_call_name(call));
    }
    host_expect(kolo_finalize(NULL), KOLO_ERR_INVALID, "the context is NULL");
    assert_string_equal(kolo_last_error()->operation, "finalize");
}

static void every_call__on_something_else(void **state)
{
    (void)state;
    kolo_context *live = host_init(NULL);
    int64_t local[64] = {0};
    char *inside = (char *)live;
    /* Integers that were never pointers, the stack, and the middle of a context. */
    void *const wrong[] = {(void *)8, (void *)UINTPTR_MAX, local, inside + 1, inside + 8, inside - 8};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        for (int call = 0; call < HOST_CALLS; call++)
            host_expect(host_call(call, (kolo_context *)wrong[i]), KOLO_ERR_INVALID,
                        "is no context; contexts come from kolo_init");
        host_expect(kolo_finalize((kolo_context *)wrong[i]), KOLO_ERR_INVALID, "is no context");
    }
    host_finalize(live);
}

static void every_call__after_finalize(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    host_finalize(ctx);
    for (int call = 0; call < HOST_CALLS; call++)
        host_expect(host_call(call, ctx), KOLO_ERR_STATE, "the context was finalized; call kolo_init for a new one");
    host_expect(kolo_finalize(ctx), KOLO_ERR_STATE, "the context was finalized");
    assert_int_equal(kolo_rank(ctx), -1);
}

static void calls__without_a_place_for_the_answer(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    kolo_request *request = NULL;
    int done = 0;
    host_expect(kolo_init(NULL, NULL), KOLO_ERR_INVALID, "ctx is NULL");
    assert_string_equal(kolo_last_error()->operation, "init");
    host_expect(kolo_completion_fd(ctx, NULL), KOLO_ERR_INVALID, "kolo_completion_fd needs");
    assert_string_equal(kolo_last_error()->operation, "completion_fd");
    host_expect(kolo_alloc(ctx, 1, NULL), KOLO_ERR_INVALID, "kolo_alloc needs");
    assert_string_equal(kolo_last_error()->operation, "alloc");
    host_expect(kolo_test(NULL, &done), KOLO_ERR_INVALID, "kolo_test needs");
    assert_string_equal(kolo_last_error()->operation, "test");
    assert_int_equal(kolo_barrier(ctx, NULL, &request), KOLO_OK);
    host_expect(kolo_test(request, NULL), KOLO_ERR_INVALID, "kolo_test needs");
    host_expect(kolo_wait(NULL, -1), KOLO_ERR_INVALID, "kolo_wait needs a request");
    assert_string_equal(kolo_last_error()->operation, "wait");
    host_expect(kolo_start(NULL), KOLO_ERR_INVALID, "kolo_start needs a request");
    assert_string_equal(kolo_last_error()->operation, "start");
    assert_int_equal(kolo_wait(request, -1), KOLO_OK);
    kolo_request_free(request);
    kolo_request_free(NULL);
    assert_null(kolo_request_error(NULL));
    host_finalize(ctx);
}

static void slice__is_total(void **state)
{
    (void)state;
    int64_t offset = -1, count = -1;
    kolo_slice(10, 4, 1, &offset, &count);
    assert_true(offset == 3 && count == 3);
    kolo_slice(10, 4, 3, &offset, &count);
    assert_true(offset == 8 && count == 2);
    static const struct {
        int64_t count;
        int32_t size, rank;
    } wrong[] = {{-1, 4, 0}, {10, 0, 0}, {10, -1, 0}, {10, 4, -1}, {10, 4, 4}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        offset = count = -1;
        kolo_slice(wrong[i].count, wrong[i].size, wrong[i].rank, &offset, &count);
        assert_true(offset == 0 && count == 0);
    }
    kolo_slice(10, 4, 1, NULL, &count);
    kolo_slice(10, 4, 1, &offset, NULL);
    assert_true(offset == 3 && count == 3);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void alloc__is_zeroed_aligned_and_freed(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4096, 5000, 65536, (3u << 20) + 1};
    kolo_context *ctx = host_init(NULL);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *memory = NULL;
        assert_int_equal(kolo_alloc(ctx, sizes[i], &memory), KOLO_OK);
        assert_int_equal((uintptr_t)memory % (sizes[i] >= 65536 ? 4096 : 128), 0);
        const uint8_t *bytes = memory;
        for (size_t b = 0; b < sizes[i]; b++)
            if (bytes[b] != 0)
                fail_msg("byte %zu of %zu is %d", b, sizes[i], bytes[b]);
        memset(memory, 1, sizes[i]);
        if (i % 2 == 0)
            assert_int_equal(kolo_free(ctx, memory), KOLO_OK); /* the others go with the context */
    }
    host_finalize(ctx);
}

static void alloc__nothing_and_too_much(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    int local;
    void *memory = &local;
    assert_int_equal(kolo_alloc(ctx, 0, &memory), KOLO_OK);
    assert_null(memory);
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2};
    for (size_t i = 0; i < 3; i++) {
        memory = &local;
        host_expect(kolo_alloc(ctx, sizes[i], &memory), KOLO_ERR_MEMORY, "cannot allocate");
        assert_null(memory);
    }
    host_finalize(ctx);
}

static void free__what_is_not_from_here(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL), *other = host_init(NULL);
    void *memory = NULL;
    int local;
    assert_int_equal(kolo_alloc(ctx, 100, &memory), KOLO_OK);
    host_expect(kolo_free(ctx, &local), KOLO_ERR_INVALID, "is not memory of this context's kolo_alloc");
    host_expect(kolo_free(ctx, (char *)memory + 1), KOLO_ERR_INVALID, "is not memory of this context's kolo_alloc");
    host_expect(kolo_free(other, memory), KOLO_ERR_INVALID, "is not memory of this context's kolo_alloc");
    assert_int_equal(kolo_free(ctx, memory), KOLO_OK);
    host_expect(kolo_free(ctx, memory), KOLO_ERR_INVALID, "or was freed before");
    host_finalize(ctx);
    host_finalize(other);
}

/* ---- table and texts --------------------------------------------------------------------------------------------- */

static void table__is_the_plain_functions(void **state)
{
    (void)state;
    const kolo_api *api = kolo_get_api(KOLO_ABI_MAJOR, 0);
    assert_non_null(api);
    assert_true(api->size == sizeof(kolo_api) && api->abi_major == KOLO_ABI_MAJOR && api->abi_minor == KOLO_ABI_MINOR);
    assert_true(api->init == kolo_init && api->finalize == kolo_finalize && api->rank == kolo_rank &&
                api->world_size == kolo_size);
    assert_true(api->local_rank == kolo_local_rank && api->local_size == kolo_local_size &&
                api->allreduce == kolo_allreduce);
    assert_true(api->broadcast == kolo_broadcast && api->reduce_scatter == kolo_reduce_scatter &&
                api->allgather == kolo_allgather);
    assert_true(api->barrier == kolo_barrier && api->slice == kolo_slice);
    assert_true(api->test == kolo_test && api->wait == kolo_wait && api->request_free == kolo_request_free);
    assert_true(api->progress == kolo_progress && api->completion_fd == kolo_completion_fd && api->alloc == kolo_alloc);
    assert_true(api->free == kolo_free && api->last_error == kolo_last_error &&
                api->request_error == kolo_request_error);
    assert_true(api->status_name == kolo_status_name && api->status_text == kolo_status_text &&
                api->version == kolo_version);
    assert_ptr_equal(kolo_get_api(KOLO_ABI_MAJOR, KOLO_ABI_MINOR), api);
}

static void table__of_another_version(void **state)
{
    (void)state;
    static const uint32_t wrong[][2] = {
        {KOLO_ABI_MAJOR, KOLO_ABI_MINOR + 1}, {KOLO_ABI_MAJOR, UINT32_MAX}, {KOLO_ABI_MAJOR + 1, 0}, {0, 0}};
    for (size_t i = 0; i < 4; i++) {
        assert_null(kolo_get_api(wrong[i][0], wrong[i][1]));
        host_expect(KOLO_ERR_VERSION, KOLO_ERR_VERSION, "or newer was asked for; this is Kolo");
    }
}

static void texts__are_never_null(void **state)
{
    (void)state;
    for (int status = -3; status < 40; status++) {
        int known = status >= 0 && status <= KOLO_ERR_INTERNAL;
        assert_int_equal(strncmp(kolo_status_name((kolo_status)status), "KOLO_", 5) == 0, known);
        assert_int_equal(strcmp(kolo_status_text((kolo_status)status), "unknown status") == 0, !known);
    }
    assert_string_equal(kolo_status_name(KOLO_ERR_PEER), "KOLO_ERR_PEER");
    assert_true(strlen(kolo_version()) >= 5);
}

static void *look_at_the_error(void *unused)
{
    (void)unused;
    return (void *)(uintptr_t)(kolo_last_error()->status == KOLO_OK && kolo_last_error()->message[0] == '\0');
}

static void last_error__is_the_threads_own(void **state)
{
    (void)state;
    pthread_t thread;
    void *clean = NULL;
    host_expect(kolo_finalize(NULL), KOLO_ERR_INVALID, "NULL");
    assert_int_equal(pthread_create(&thread, NULL, look_at_the_error, NULL), 0);
    pthread_join(thread, &clean);
    assert_non_null(clean);
    host_expect(KOLO_ERR_INVALID, KOLO_ERR_INVALID, "NULL");
    kolo_context *ctx = host_init(NULL); /* a call that succeeds clears it */
    assert_int_equal(kolo_last_error()->status, KOLO_OK);
    host_finalize(ctx);
}

int main(void)
{
    host_clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call__works_on_a_live_context),
        cmocka_unit_test(every_call__without_a_context),
        cmocka_unit_test(every_call__on_something_else),
        cmocka_unit_test(every_call__after_finalize),
        cmocka_unit_test(calls__without_a_place_for_the_answer),
        cmocka_unit_test(slice__is_total),
        cmocka_unit_test(alloc__is_zeroed_aligned_and_freed),
        cmocka_unit_test(alloc__nothing_and_too_much),
        cmocka_unit_test(free__what_is_not_from_here),
        cmocka_unit_test(table__is_the_plain_functions),
        cmocka_unit_test(table__of_another_version),
        cmocka_unit_test(texts__are_never_null),
        cmocka_unit_test(last_error__is_the_threads_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
