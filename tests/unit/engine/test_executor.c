/* test_executor.c - steps in the order of their dependencies, over a transport that the test plays. */
#include "unit/engine/made.h"

#include "engine/executor.h"

#include <string.h>

/* ---- a transport that only remembers ----------------------------------------------------------------------------- */

enum { POSTS = 32 };

typedef struct post {
    bool send;
    int32_t peer;
    uint64_t tag;
    const void *buffer;
    size_t bytes;
    kolo_posting *cookie;
} post;

static struct {
    post posts[POSTS];
    int count;
    int refuse_at; /* the post with this number is refused; -1: none */
} net;

static kolo_status remember(post p)
{
    if (net.count == net.refuse_at)
        return KOLO_ERR_TRANSPORT;
    assert_in_range(net.count, 0, POSTS - 1);
    net.posts[net.count++] = p;
    return KOLO_OK;
}

static kolo_status fake_send(kolo_transport *transport, int32_t peer, uint64_t tag, const void *buffer, size_t bytes,
                             void *cookie)
{
    (void)transport;
    return remember((post){true, peer, tag, buffer, bytes, cookie});
}

static kolo_status fake_recv(kolo_transport *transport, int32_t peer, uint64_t tag, void *buffer, size_t bytes,
                             void *cookie)
{
    (void)transport;
    return remember((post){false, peer, tag, buffer, bytes, cookie});
}

static const kolo_transport_ops fake_ops = {.send = fake_send, .recv = fake_recv};

/* ---- a schedule: receive from two, reduce in order, send on ------------------------------------------------------ */

enum { COUNT = 4, TAG = 5 << KOLO_EXECUTOR_MESSAGE_BITS };

static float input[COUNT], output[COUNT], scratch[2 * COUNT];

typedef struct fixture {
    kolo_executor executor;
    kolo_schedule schedule;
} fixture;

/*     0 recv a ─► 2 reduce ─► 3 reduce, final ─► 4 send
 *     1 recv b ───────────────┘                              */
static void build(kolo_schedule *schedule)
{
    kolo_step steps[5] = {
        {.kind = KOLO_STEP_RECV, .peer = 1, .message = 7, .dst = KOLO_BUFFER_SCRATCH, .count = COUNT},
        {.kind = KOLO_STEP_RECV,
         .peer = 2,
         .message = 8,
         .dst = KOLO_BUFFER_SCRATCH,
         .dst_offset = COUNT,
         .count = COUNT},
        {.kind = KOLO_STEP_REDUCE,
         .dst = KOLO_BUFFER_OUTPUT,
         .a = KOLO_BUFFER_INPUT,
         .b = KOLO_BUFFER_SCRATCH,
         .count = COUNT},
        {.kind = KOLO_STEP_REDUCE,
         .dst = KOLO_BUFFER_OUTPUT,
         .a = KOLO_BUFFER_OUTPUT,
         .b = KOLO_BUFFER_SCRATCH,
         .b_offset = COUNT,
         .count = COUNT,
         .final = true},
        {.kind = KOLO_STEP_SEND, .peer = 3, .message = 9, .a = KOLO_BUFFER_OUTPUT, .a_offset = 1, .count = COUNT - 1},
    };
    kolo_schedule_init(schedule);
    for (int i = 0; i < 5; i++)
        assert_int_equal(kolo_schedule_add(schedule, &steps[i]), i);
    kolo_schedule_after(schedule, 0, 2);
    kolo_schedule_after(schedule, 1, 3);
    kolo_schedule_after(schedule, 2, 3);
    kolo_schedule_after(schedule, 3, 4);
    assert_int_equal(kolo_schedule_seal(schedule), KOLO_OK);
}

static void start(fixture *f, kolo_reduce_op op, double postscale)
{
    for (int i = 0; i < COUNT; i++) {
        input[i] = (float)(i + 1);
        output[i] = -1.0f;
        scratch[i] = 10.0f * (float)(i + 1);
        scratch[COUNT + i] = 100.0f * (float)(i + 1);
    }
    memset(&net, 0, sizeof(net));
    net.refuse_at = -1;
    kolo_execution run = {.schedule = &f->schedule,
                          .base = {(uintptr_t)input, (uintptr_t)output, (uintptr_t)scratch},
                          .type = KOLO_DTYPE_FLOAT32,
                          .op = op,
                          .size = 3,
                          .postscale = postscale,
                          .tag = TAG};
    assert_int_equal(kolo_executor_start(&f->executor, &fake_ops, NULL, &run), KOLO_OK);
}

static void init(fixture *f)
{
    build(&f->schedule);
    kolo_executor_init(&f->executor);
    start(f, KOLO_SUM, 1.0);
}

static void fini(fixture *f)
{
    kolo_executor_fini(&f->executor);
    kolo_schedule_fini(&f->schedule);
}

static void steps__run_as_their_dependencies_allow(void **state)
{
    (void)state;
    fixture f;
    init(&f);
    assert_int_equal(kolo_executor_advance(&f.executor, 100), 2);
    assert_int_equal(net.count, 2);
    assert_true(!net.posts[0].send && net.posts[0].peer == 1 && net.posts[0].tag == (TAG | 7) &&
                net.posts[0].buffer == scratch);
    assert_true(!net.posts[1].send && net.posts[1].peer == 2 && net.posts[1].tag == (TAG | 8) &&
                net.posts[1].buffer == scratch + COUNT);
    assert_int_equal(net.posts[1].bytes, COUNT * sizeof(float));
    assert_int_equal(kolo_executor_advance(&f.executor, 100), 0);
    /* The second message first: it waits for the first sum. */
    kolo_executor_completed(net.posts[1].cookie, KOLO_OK);
    assert_int_equal(kolo_executor_advance(&f.executor, 100), 0);
    kolo_executor_completed(net.posts[0].cookie, KOLO_OK);
    assert_int_equal(kolo_executor_advance(&f.executor, 100), 3);
    assert_true(net.count == 3 && net.posts[2].send && net.posts[2].peer == 3 && net.posts[2].tag == (TAG | 9));
    assert_true(net.posts[2].buffer == output + 1 && net.posts[2].bytes == (COUNT - 1) * sizeof(float));
    for (int i = 0; i < COUNT; i++)
        assert_true(output[i] == 111.0f * (float)(i + 1));
    assert_false(kolo_executor_finished(&f.executor));
    kolo_executor_completed(net.posts[2].cookie, KOLO_OK);
    assert_true(kolo_executor_finished(&f.executor));
    assert_int_equal(f.executor.status, KOLO_OK);
    fini(&f);
}

static void budget__bounds_the_steps_of_a_turn(void **state)
{
    (void)state;
    fixture f;
    init(&f);
    assert_int_equal(kolo_executor_advance(&f.executor, 0), 0);
    assert_int_equal(kolo_executor_advance(&f.executor, 1), 1);
    assert_int_equal(net.count, 1);
    assert_int_equal(kolo_executor_advance(&f.executor, 1), 1);
    kolo_executor_completed(net.posts[0].cookie, KOLO_OK);
    kolo_executor_completed(net.posts[1].cookie, KOLO_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(kolo_executor_advance(&f.executor, 1), 1);
    assert_int_equal(kolo_executor_advance(&f.executor, 1), 0);
    kolo_executor_completed(net.posts[2].cookie, KOLO_OK);
    assert_true(kolo_executor_finished(&f.executor));
    fini(&f);
}

static void finish(fixture *f)
{
    (void)kolo_executor_advance(&f->executor, 100);
    kolo_executor_completed(net.posts[0].cookie, KOLO_OK);
    kolo_executor_completed(net.posts[1].cookie, KOLO_OK);
    (void)kolo_executor_advance(&f->executor, 100);
    kolo_executor_completed(net.posts[2].cookie, KOLO_OK);
    assert_true(kolo_executor_finished(&f->executor));
}

static void final__divides_and_scales_once(void **state)
{
    (void)state;
    fixture f;
    init(&f);
    start(&f, KOLO_AVERAGE, 2.0);
    finish(&f);
    for (int i = 0; i < COUNT; i++)
        assert_true(output[i] == 111.0f * (float)(i + 1) / 3.0f * 2.0f);
    start(&f, KOLO_MAX, 1.0); /* the same executor again */
    finish(&f);
    for (int i = 0; i < COUNT; i++)
        assert_true(output[i] == 100.0f * (float)(i + 1));
    fini(&f);
}

static void posting__that_is_refused_cancels(void **state)
{
    (void)state;
    fixture f;
    init(&f);
    net.refuse_at = 1;
    (void)kolo_executor_advance(&f.executor, 100);
    assert_true(f.executor.canceled);
    assert_int_equal(f.executor.status, KOLO_ERR_TRANSPORT);
    assert_int_equal(f.executor.failed_step, 1);
    assert_false(kolo_executor_finished(&f.executor)); /* the first receive is still out */
    assert_int_equal(kolo_executor_advance(&f.executor, 100), 0);
    kolo_executor_completed(net.posts[0].cookie, KOLO_ERR_CANCELED);
    assert_true(kolo_executor_finished(&f.executor));
    assert_int_equal(f.executor.status, KOLO_ERR_TRANSPORT);
    fini(&f);
}

static void posting__that_fails_cancels(void **state)
{
    (void)state;
    fixture f;
    init(&f);
    (void)kolo_executor_advance(&f.executor, 100);
    kolo_executor_completed(net.posts[1].cookie, KOLO_ERR_PEER);
    assert_int_equal(f.executor.status, KOLO_ERR_PEER);
    assert_int_equal(f.executor.failed_step, 1);
    assert_false(kolo_executor_finished(&f.executor));
    /* Well received after all: but nothing more is begun, and the first failure stays. */
    kolo_executor_completed(net.posts[0].cookie, KOLO_OK);
    assert_true(kolo_executor_finished(&f.executor));
    assert_int_equal(kolo_executor_advance(&f.executor, 100), 0);
    assert_true(output[0] < 0.0f);
    fini(&f);
}

static void cancel__waits_for_what_is_out(void **state)
{
    (void)state;
    fixture f;
    init(&f);
    kolo_executor_cancel(&f.executor, KOLO_ERR_TIMEOUT);
    assert_true(kolo_executor_finished(&f.executor)); /* nothing was */

    start(&f, KOLO_SUM, 1.0);
    (void)kolo_executor_advance(&f.executor, 100);
    kolo_executor_cancel(&f.executor, KOLO_ERR_TIMEOUT);
    kolo_executor_cancel(&f.executor, KOLO_ERR_PEER);
    assert_int_equal(f.executor.status, KOLO_ERR_TIMEOUT);
    kolo_executor_completed(net.posts[0].cookie, KOLO_ERR_CANCELED);
    assert_false(kolo_executor_finished(&f.executor));
    kolo_executor_completed(net.posts[1].cookie, KOLO_ERR_CANCELED);
    assert_true(kolo_executor_finished(&f.executor));
    start(&f, KOLO_SUM, 1.0);
    finish(&f);
    fini(&f);
}

static void copy__onto_itself_is_skipped_but_final_is_applied(void **state)
{
    (void)state;
    kolo_schedule schedule;
    kolo_executor executor;
    kolo_step copy = {
        .kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_INPUT, .count = 2, .final = true};
    kolo_schedule_init(&schedule);
    (void)kolo_schedule_add(&schedule, &copy);
    assert_int_equal(kolo_schedule_seal(&schedule), KOLO_OK);
    kolo_executor_init(&executor);
    double data[2] = {3.0, 5.0};
    kolo_execution run = {.schedule = &schedule,
                          .base = {(uintptr_t)data, (uintptr_t)data, 0},
                          .type = KOLO_DTYPE_FLOAT64,
                          .size = 1,
                          .postscale = 0.5};
    assert_int_equal(kolo_executor_start(&executor, &fake_ops, NULL, &run), KOLO_OK);
    assert_int_equal(kolo_executor_advance(&executor, 10), 1);
    assert_true(kolo_executor_finished(&executor));
    assert_true(data[0] == 1.5 && data[1] == 2.5);
    kolo_executor_fini(&executor);
    kolo_schedule_fini(&schedule);
}

static void empty_schedule__is_finished_at_once(void **state)
{
    (void)state;
    kolo_schedule schedule;
    kolo_executor executor;
    kolo_schedule_init(&schedule);
    assert_int_equal(kolo_schedule_seal(&schedule), KOLO_OK);
    kolo_executor_init(&executor);
    kolo_execution run = {.schedule = &schedule, .type = KOLO_DTYPE_INT8, .size = 1, .postscale = 1.0};
    assert_int_equal(kolo_executor_start(&executor, &fake_ops, NULL, &run), KOLO_OK);
    assert_int_equal(kolo_executor_advance(&executor, 10), 0);
    assert_true(kolo_executor_finished(&executor));
    kolo_executor_fini(&executor);
    kolo_schedule_fini(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps__run_as_their_dependencies_allow),
        cmocka_unit_test(budget__bounds_the_steps_of_a_turn),
        cmocka_unit_test(final__divides_and_scales_once),
        cmocka_unit_test(posting__that_is_refused_cancels),
        cmocka_unit_test(posting__that_fails_cancels),
        cmocka_unit_test(cancel__waits_for_what_is_out),
        cmocka_unit_test(copy__onto_itself_is_skipped_but_final_is_applied),
        cmocka_unit_test(empty_schedule__is_finished_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
