/* test_runner.c - a group's way through memory: packed, run, unpacked; and the same bits as unfused.
 * All ranks run in this thread, over a network that matches messages at once. */
#include "unit/engine/made.h"

#include "engine/group.h"

#include <stdlib.h>
#include <string.h>

enum { RANKS_MAX = 7, TENSORS = 6, COUNT_MAX = 67, POSTS = 4096 };

/* Odd, smaller than the number of ranks, one, and one that divides. */
static const int64_t counts[TENSORS] = {13, 1, 67, 2, 35, 5};

/* ---- the network ------------------------------------------------------------------------------------------------- */

typedef struct post {
    int32_t source, destination;
    uint64_t tag;
    void *buffer;
    size_t bytes;
    kolo_posting *cookie; /* NULL: matched */
} post;

static post sends[POSTS], recvs[POSTS];
static size_t send_count, recv_count;
static int ranks[RANKS_MAX]; /* their addresses are the transports */
static kolo_status answer;

static int32_t rank_of(kolo_transport *transport)
{
    return (int32_t)((int *)(void *)transport - ranks);
}

static kolo_status net_send(kolo_transport *transport, int32_t peer, uint64_t tag, const void *buffer, size_t bytes,
                            void *cookie)
{
    assert_in_range(send_count, 0, POSTS - 1);
    if (answer == KOLO_OK)
        sends[send_count++] = (post){rank_of(transport), peer, tag, (void *)(uintptr_t)buffer, bytes, cookie};
    return answer;
}

static kolo_status net_recv(kolo_transport *transport, int32_t peer, uint64_t tag, void *buffer, size_t bytes,
                            void *cookie)
{
    assert_in_range(recv_count, 0, POSTS - 1);
    if (answer == KOLO_OK)
        recvs[recv_count++] = (post){peer, rank_of(transport), tag, buffer, bytes, cookie};
    return answer;
}

static const kolo_transport_ops net_ops = {.send = net_send, .recv = net_recv};

/* Delivers whatever has both sides; how many messages that was. */
static int deliver(void)
{
    int delivered = 0;
    for (size_t s = 0; s < send_count; s++)
        for (size_t r = 0; r < recv_count && sends[s].cookie != NULL; r++) {
            if (recvs[r].cookie == NULL || sends[s].source != recvs[r].source ||
                sends[s].destination != recvs[r].destination || sends[s].tag != recvs[r].tag)
                continue;
            assert_int_equal(sends[s].bytes, recvs[r].bytes);
            memcpy(recvs[r].buffer, sends[s].buffer, sends[s].bytes);
            kolo_posting *sent = sends[s].cookie, *received = recvs[r].cookie;
            sends[s].cookie = recvs[r].cookie = NULL;
            kolo_executor_completed(sent, KOLO_OK);
            kolo_executor_completed(received, KOLO_OK);
            delivered++;
        }
    return delivered;
}

/* ---- a job of several ranks -------------------------------------------------------------------------------------- */

typedef struct job {
    int32_t size;
    kolo_dtype_id type;
    kolo_operation operation;
    bool in_place;
    const char *algorithm;
    int64_t fusion_bytes;
    /* Heap memory of exactly the tensor's size, by rank and tensor. */
    uint8_t *input[RANKS_MAX][TENSORS], *output[RANKS_MAX][TENSORS];
} job;

static size_t bytes_of(const job *j, int tensor)
{
    return (size_t)counts[tensor] * kolo_dtype_size(j->type);
}

static void set(const job *j, uint8_t *memory, int64_t index, double value)
{
    switch (j->type) {
    case KOLO_DTYPE_FLOAT32:
        ((float *)(void *)memory)[index] = (float)value;
        break;
    case KOLO_DTYPE_FLOAT64:
        ((double *)(void *)memory)[index] = value;
        break;
    case KOLO_DTYPE_BFLOAT16: /* 1 + some fraction */
        ((uint16_t *)(void *)memory)[index] = (uint16_t)(0x3f80 + (int)value % 0x7f);
        break;
    default:
        ((int32_t *)(void *)memory)[index] = (int32_t)value;
    }
}

static void fill(job *j)
{
    kolo_rng rng = {.state = 11};
    for (int32_t r = 0; r < j->size; r++)
        for (int t = 0; t < TENSORS; t++) {
            j->output[r][t] = calloc(1, bytes_of(j, t));
            j->input[r][t] = j->in_place ? j->output[r][t] : calloc(1, bytes_of(j, t));
            assert_true(j->output[r][t] != NULL && j->input[r][t] != NULL);
            for (int64_t i = 0; i < counts[t]; i++)
                set(j, j->input[r][t], i, 1.0 + 1000.0 * kolo_rng_unit(&rng));
        }
}

static void empty(job *j)
{
    for (int32_t r = 0; r < j->size; r++)
        for (int t = 0; t < TENSORS; t++) {
            if (!j->in_place)
                free(j->input[r][t]);
            free(j->output[r][t]);
        }
}

static void run_groups(const job *j, kolo_runner *runners, const kolo_runner_env *envs, kolo_group **groups)
{
    bool left = true;
    for (int32_t r = 0; r < j->size; r++)
        assert_int_equal(kolo_runner_start(&runners[r], &envs[r], groups[r]), KOLO_OK);
    while (left) {
        int events = 0;
        left = false;
        for (int32_t r = 0; r < j->size; r++) {
            events += kolo_executor_advance(&runners[r].executor, 3);
            left = left || !kolo_executor_finished(&runners[r].executor);
        }
        events += deliver();
        if (left && events == 0)
            fail_msg("the group does not move");
    }
    send_count = recv_count = 0;
    for (int32_t r = 0; r < j->size; r++) {
        kolo_runner_finish(&runners[r]);
        runners[r].group = NULL;
    }
}

/* All tensors of all ranks, through groups; how many groups it took. */
static int run_job(const job *j)
{
    const int32_t ring_of_seven[RANKS_MAX] = {0, 2, 4, 6, 1, 3, 5};
    int32_t ring[RANKS_MAX];
    kolo_runner runners[RANKS_MAX];
    kolo_runner_env envs[RANKS_MAX];
    kolo_request *requests[RANKS_MAX][TENSORS];
    kolo_group *groups[RANKS_MAX] = {NULL};
    for (int32_t r = 0; r < j->size; r++)
        ring[r] = j->size == RANKS_MAX ? ring_of_seven[r] : r;
    kolo_group_policy policy = {.size = j->size, .fusion_bytes = j->fusion_bytes, .model = KOLO_PRICE_MODEL_DEFAULT};
    for (int32_t r = 0; r < j->size; r++) {
        uint32_t number = 0xfffffe; /* wraps in the tags */
        kolo_runner_init(&runners[r]);
        envs[r] = (kolo_runner_env){.ops = &net_ops,
                                    .transport = (kolo_transport *)(void *)&ranks[r],
                                    .rank = r,
                                    .size = j->size,
                                    .ring = ring,
                                    .chunk_bytes = 32,
                                    .model = KOLO_PRICE_MODEL_DEFAULT,
                                    .forced = j->algorithm != NULL ? kolo_algorithm_find(j->algorithm) : NULL};
        for (int t = 0; t < TENSORS; t++)
            requests[r][t] = made_request(&(made_options){.operation = j->operation,
                                                          .type = j->type,
                                                          .count = counts[t],
                                                          .input = j->input[r][t],
                                                          .output = j->output[r][t]});
        assert_int_equal(kolo_groups_form(&policy, requests[r], TENSORS, &number, &groups[r]), KOLO_OK);
    }
    int count = 0;
    for (; groups[0] != NULL; count++) {
        kolo_group *next[RANKS_MAX];
        for (int32_t r = 0; r < j->size; r++)
            next[r] = groups[r]->next;
        run_groups(j, runners, envs, groups);
        for (int32_t r = 0; r < j->size; r++) {
            free(groups[r]);
            groups[r] = next[r];
        }
    }
    for (int32_t r = 0; r < j->size; r++) {
        kolo_runner_fini(&runners[r]);
        for (int t = 0; t < TENSORS; t++)
            kolo_request_release(requests[r][t]);
    }
    return count;
}

static void expect_equal_bits(const job *alone, const job *fused)
{
    for (int32_t r = 0; r < alone->size; r++)
        for (int t = 0; t < TENSORS; t++) {
            assert_memory_equal(alone->output[0][t], fused->output[r][t], bytes_of(alone, t));
            assert_memory_equal(alone->output[0][t], alone->output[r][t], bytes_of(alone, t));
        }
}

static void check(int32_t size, kolo_dtype_id type, kolo_operation operation, bool in_place, const char *algorithm)
{
    job alone = {.size = size, .type = type, .operation = operation, .in_place = in_place, .algorithm = algorithm};
    job fused = alone;
    fused.fusion_bytes = 1 << 20;
    fill(&alone);
    fill(&fused);
    assert_int_equal(run_job(&alone), TENSORS);
    assert_in_range(run_job(&fused), 1, size == 1 ? TENSORS : 2);
    expect_equal_bits(&alone, &fused);
    empty(&alone);
    empty(&fused);
}

static void fused__has_the_bits_of_unfused(void **state)
{
    (void)state;
    static const kolo_dtype_id types[] = {KOLO_DTYPE_FLOAT32, KOLO_DTYPE_FLOAT64, KOLO_DTYPE_BFLOAT16,
                                          KOLO_DTYPE_INT32};
    static const char *const algorithms[] = {NULL, "ring", "oneshot", "circulant"};
    for (int32_t size = 1; size <= RANKS_MAX; size++)
        for (size_t t = 0; t < 4; t++)
            for (size_t a = 0; a < 4; a++)
                check(size, types[t], (kolo_operation){.op = KOLO_SUM}, (a + t) % 2 == 0, algorithms[a]);
}

static void factors_and_average__are_applied_once(void **state)
{
    (void)state;
    for (int32_t size = 1; size <= RANKS_MAX; size++)
        for (int in_place = 0; in_place < 2; in_place++) {
            check(size, KOLO_DTYPE_FLOAT32, (kolo_operation){.op = KOLO_AVERAGE, .prescale = 0.3, .postscale = 7.0},
                  in_place, NULL);
            check(size, KOLO_DTYPE_BFLOAT16, (kolo_operation){.op = KOLO_SUM, .prescale = 0.3}, in_place, NULL);
            check(size, KOLO_DTYPE_FLOAT64, (kolo_operation){.op = KOLO_PRODUCT, .postscale = 0.1}, in_place, NULL);
        }
}

static void sums__are_right(void **state)
{
    (void)state;
    for (int32_t size = 1; size <= RANKS_MAX; size++) {
        job j = {.size = size, .type = KOLO_DTYPE_INT32, .operation = {.op = KOLO_SUM}, .fusion_bytes = 1 << 20};
        fill(&j);
        (void)run_job(&j);
        for (int t = 0; t < TENSORS; t++)
            for (int64_t i = 0; i < counts[t]; i++) {
                int32_t sum = 0;
                for (int32_t r = 0; r < size; r++)
                    sum += ((int32_t *)(void *)j.input[r][t])[i];
                assert_int_equal(((int32_t *)(void *)j.output[size - 1][t])[i], sum);
            }
        empty(&j);
    }
}

/* The arena itself: slice 0 of every tensor, then slice 1 of every tensor, ... */
static void packed__is_slice_major(void **state)
{
    (void)state;
    job j = {.size = 3, .type = KOLO_DTYPE_INT32, .operation = {.op = KOLO_SUM}, .fusion_bytes = 1 << 20};
    fill(&j);
    kolo_request *requests[3];
    int32_t ring[3] = {0, 1, 2};
    kolo_runner runner;
    kolo_group *group = NULL;
    uint32_t number = 0;
    kolo_group_policy policy = {.size = 3, .fusion_bytes = 1 << 20, .model = KOLO_PRICE_MODEL_DEFAULT};
    kolo_runner_env env = {.ops = &net_ops,
                           .transport = (kolo_transport *)(void *)&ranks[0],
                           .size = 3,
                           .ring = ring,
                           .chunk_bytes = 32,
                           .model = KOLO_PRICE_MODEL_DEFAULT};
    static const int64_t sizes[3] = {5, 1, 7};
    static const struct {
        int tensor;
        int64_t offset, count;
    } layout[] = {{0, 0, 2}, {1, 0, 1}, {2, 0, 3}, {0, 2, 2}, {2, 3, 2}, {0, 4, 1}, {2, 5, 2}};
    for (int t = 0; t < 3; t++)
        requests[t] = made_request(&(made_options){
            .type = j.type, .count = sizes[t], .input = j.input[0][2 * t], .output = j.output[0][2 * t]});
    assert_int_equal(kolo_groups_form(&policy, requests, 3, &number, &group), KOLO_OK);
    kolo_runner_init(&runner);
    assert_int_equal(kolo_runner_start(&runner, &env, group), KOLO_OK);
    assert_true(runner.packed);
    const int32_t *at = runner.arena.data;
    for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++) {
        assert_memory_equal(at, (const int32_t *)(void *)j.input[0][2 * layout[i].tensor] + layout[i].offset,
                            (size_t)layout[i].count * 4);
        at += layout[i].count;
    }
    kolo_runner_finish(&runner); /* nothing ran: what went in comes out */
    for (int t = 0; t < 3; t++)
        assert_memory_equal(j.output[0][2 * t], j.input[0][2 * t], (size_t)sizes[t] * 4);
    for (int t = 0; t < 3; t++)
        kolo_request_release(requests[t]);
    free(group);
    kolo_runner_fini(&runner);
    empty(&j);
}

static void transport__that_refuses_leaves_the_runner_to_drain(void **state)
{
    (void)state;
    static float data[64];
    int32_t ring[2] = {0, 1};
    kolo_runner runner;
    kolo_group *group = NULL;
    uint32_t number = 0;
    kolo_request *request = made_request(&(made_options){.count = 64, .output = data});
    kolo_group_policy policy = {.size = 2, .model = KOLO_PRICE_MODEL_DEFAULT};
    kolo_runner_env env = {.ops = &net_ops,
                           .transport = (kolo_transport *)(void *)&ranks[0],
                           .size = 2,
                           .ring = ring,
                           .chunk_bytes = 32,
                           .model = KOLO_PRICE_MODEL_DEFAULT};
    assert_int_equal(kolo_groups_form(&policy, &request, 1, &number, &group), KOLO_OK);
    kolo_runner_init(&runner);
    assert_int_equal(kolo_runner_start(&runner, &env, group), KOLO_OK);
    answer = KOLO_ERR_PEER;
    assert_true(kolo_executor_advance(&runner.executor, 100) > 0);
    answer = KOLO_OK;
    assert_true(runner.executor.canceled && runner.executor.status == KOLO_ERR_PEER);
    assert_true(kolo_executor_finished(&runner.executor));
    free(group);
    kolo_runner_fini(&runner);
    kolo_request_release(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fused__has_the_bits_of_unfused),
        cmocka_unit_test(factors_and_average__are_applied_once),
        cmocka_unit_test(sums__are_right),
        cmocka_unit_test(packed__is_slice_major),
        cmocka_unit_test(transport__that_refuses_leaves_the_runner_to_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
