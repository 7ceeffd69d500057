/* test_request.c - a request's copies, its references, and the order of its end. */
#include "unit/engine/made.h"

#include <stdlib.h>
#include <string.h>

static void create__copies_everything(void **state)
{
    (void)state;
    char name[] = "weights";
    int64_t shape[2] = {3, 4};
    const int64_t *shapes[1] = {shape};
    int32_t ndim = 2;
    float data[12];
    kolo_piece piece = {.input = data, .output = data, .count = 12, .type = KOLO_DTYPE_FLOAT32};
    kolo_request_spec spec = {.name = name,
                              .operation = {.op = KOLO_MAX, .prescale = 1.0, .postscale = 1.0, .piece_count = 1},
                              .pieces = &piece,
                              .ndims = &ndim,
                              .shapes = shapes,
                              .timeout_ns = 77,
                              .flags = KOLO_NOTIFY_FD};
    kolo_request *request = NULL;
    assert_int_equal(kolo_request_create(&spec, 0, &request), KOLO_OK);
    memset(name, 'x', sizeof(name) - 1);
    memset(shape, 0, sizeof(shape));
    memset(&piece, 0, sizeof(piece));
    char text[64];
    assert_string_equal(request->name, "weights");
    assert_true(request->pieces[0].output == data && request->pieces[0].count == 12);
    assert_string_equal(kolo_description_format(request->description, request->description_size, 0, text, sizeof(text)),
                        "allreduce max float32 [3, 4]");
    assert_true(request->deadline_ns == 77 && request->flags == KOLO_NOTIFY_FD && request->pieces_left == 1);
    assert_false(kolo_request_is_done(request));
    kolo_request_release(request);
}

static void create__without_tensors(void **state)
{
    (void)state;
    kolo_request *request = made_request(&(made_options){.operation.collective = KOLO_BARRIER});
    assert_int_equal(request->operation.piece_count, 0);
    assert_true(kolo_description_valid(request->description, request->description_size));
    kolo_request_release(request);
}

static void create__largest_group(void **state)
{
    (void)state;
    kolo_request *request = made_group("all", KOLO_PIECES_MAX, 1000000);
    assert_int_equal(request->pieces_left, KOLO_PIECES_MAX);
    assert_in_range(request->description_size, 4 * KOLO_PIECES_MAX, KOLO_DESCRIPTION_MAX);
    assert_int_equal(request->pieces[KOLO_PIECES_MAX - 1].count, 1000000 + KOLO_PIECES_MAX - 1);
    kolo_request_release(request);
}

static void create__description_too_long(void **state)
{
    (void)state;
    enum { PIECES = 1000, DIMS = KOLO_MAX_DIMS };
    static kolo_piece pieces[PIECES];
    static int32_t ndims[PIECES];
    static const int64_t *shapes[PIECES];
    static int64_t shape[DIMS];
    for (int d = 0; d < DIMS; d++)
        shape[d] = 300; /* two bytes each */
    shape[0] = 0;
    for (int i = 0; i < PIECES; i++) {
        ndims[i] = DIMS;
        shapes[i] = shape;
    }
    kolo_request_spec spec = {.name = "t",
                              .operation = {.prescale = 1.0, .postscale = 1.0, .piece_count = PIECES},
                              .pieces = pieces,
                              .ndims = ndims,
                              .shapes = shapes};
    kolo_request *request = NULL;
    made_expect_error(kolo_request_create(&spec, 0, &request), KOLO_ERR_INVALID,
                      "1000 tensors with their shapes take 33026 bytes to describe; at most 24576");
    assert_null(request);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

typedef struct call {
    int count;
    kolo_status status;
    bool free_handle;
    kolo_request *request;
} call;

static void on_done(void *user, kolo_request *request, kolo_status status)
{
    call *seen = user;
    seen->count++;
    seen->status = status;
    seen->request = request;
    /* The result can be read here, but nobody who waits has returned yet. */
    assert_int_equal(request->status, status);
    assert_int_equal(atomic_load(&request->state), KOLO_REQUEST_FINISHING);
    assert_false(kolo_request_is_done(request));
    assert_int_equal(request->error != NULL, status != KOLO_OK);
    if (seen->free_handle)
        kolo_request_release(request);
}

static void finish__success(void **state)
{
    (void)state;
    call seen = {0};
    kolo_request *request = made_request(&(made_options){.count = 1, .done = on_done, .user = &seen});
    kolo_request_finish(request, NULL);
    assert_true(kolo_request_is_done(request));
    assert_true(seen.count == 1 && seen.status == KOLO_OK && seen.request == request);
    assert_null(request->error);
    kolo_request_release(request);
}

static void finish__error_is_copied(void **state)
{
    (void)state;
    call seen = {0};
    kolo_error error = {.struct_size = sizeof(error), .status = KOLO_ERR_PEER, .message = "rank 3 is gone"};
    kolo_request *request = made_request(&(made_options){.count = 1, .done = on_done, .user = &seen});
    kolo_request_finish(request, &error);
    memset(&error, 0, sizeof(error));
    assert_true(seen.count == 1 && seen.status == KOLO_ERR_PEER);
    assert_string_equal(request->error->message, "rank 3 is gone");
    kolo_request_release(request);
}

static void finish__without_a_callback(void **state)
{
    (void)state;
    kolo_request *request = made_request(&(made_options){.count = 1});
    kolo_request_finish(request, NULL);
    assert_true(kolo_request_is_done(request));
    kolo_request_release(request);
}

static void callback__may_free_the_handle(void **state)
{
    (void)state;
    call seen = {.free_handle = true};
    kolo_request *request = made_request(&(made_options){.count = 1, .done = on_done, .user = &seen});
    kolo_request_retain(request); /* the engine's, as kolo_engine_submit takes it */
    kolo_request_finish(request, NULL);
    assert_int_equal(atomic_load(&request->refs), 1);
    assert_true(kolo_request_is_done(request));
    kolo_request_release(request);
    assert_int_equal(seen.count, 1);
}

static void handle__may_go_before_the_end(void **state)
{
    (void)state;
    call seen = {0};
    kolo_request *request = made_request(&(made_options){.count = 1, .done = on_done, .user = &seen});
    kolo_request_retain(request);
    kolo_request_release(request); /* the user's */
    assert_int_equal(atomic_load(&request->refs), 1);
    kolo_request_finish(request, NULL);
    assert_int_equal(seen.count, 1);
    kolo_request_release(request); /* the engine's: freed here, as the leak checker sees */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__copies_everything),
        cmocka_unit_test(create__without_tensors),
        cmocka_unit_test(create__largest_group),
        cmocka_unit_test(create__description_too_long),
        cmocka_unit_test(finish__success),
        cmocka_unit_test(finish__error_is_copied),
        cmocka_unit_test(finish__without_a_callback),
        cmocka_unit_test(callback__may_free_the_handle),
        cmocka_unit_test(handle__may_go_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
