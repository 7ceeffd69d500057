/* test_bursts.c - tensors in the ranks' heaps that are submitted together (engine/burst.h): as one group where all ranks submit
 * the same together; one by one where orders, moments, or what may go together differ. */
#include "sim/cluster.h"

#include "engine/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* COUNT: too long for values. */
enum { RANKS_MAX = 5, TENSORS = 6, COUNT = 66000, EVENTS_MAX = 1000000 };

/* What is done with a tensor. */
typedef enum kind { SUM, MAXIMUM, INTEGERS, HALVED, GROUP, KINDS } kind;
static kind kinds[TENSORS]; /* in this round */

static cluster net;
static float *shared[RANKS_MAX][TENSORS];
static float private_data[RANKS_MAX][TENSORS][COUNT];
static kolo_request *requests[RANKS_MAX][TENSORS]; /* NULL: not under way */
static int64_t keys[RANKS_MAX][TENSORS];           /* of the round; */
static int64_t counts[RANKS_MAX][TENSORS];
static float *used[RANKS_MAX][TENSORS]; /* and where it is */

static void begin_with(int32_t size, int64_t fusion_bytes, int64_t chunk_bytes)
{
    cluster_options options = {.size = size,
                               .seed = 1,
                               .chunk_bytes = chunk_bytes,
                               .fusion_bytes = fusion_bytes,
                               .window_bytes = 8 << 20,
                               .heap_bytes = 4 << 20};
    cluster_init(&net, &options);
    for (int32_t r = 0; r < size; r++)
        for (int t = 0; t < TENSORS; t++) {
            shared[r][t] = cluster_alloc(&net, r, COUNT * sizeof(float));
            assert_non_null(shared[r][t]);
            requests[r][t] = NULL;
            keys[r][t] = 0;
            kinds[t] = SUM;
        }
}

static float input_of(int64_t key, int32_t rank, int64_t index)
{
    return (float)(key % 100 + rank * 3 + index % 7);
}

static void set(int tensor, float *data, int64_t index, float value)
{
    int32_t integer = (int32_t)value;
    if (kinds[tensor] == INTEGERS)
        memcpy(&data[index], &integer, sizeof(integer));
    else
        data[index] = value;
}

static float get(int tensor, const float *data, int64_t index)
{
    int32_t integer;
    memcpy(&integer, &data[index], sizeof(integer));
    return kinds[tensor] == INTEGERS ? (float)integer : data[index];
}

static void submit_at(int32_t rank, int tensor, float *data, int64_t count)
{
    char name[2] = {(char)('a' + tensor), '\0'};
    for (int64_t i = 0; i < count; i++)
        set(tensor, data, i, input_of(keys[rank][tensor], rank, i));
    cluster_tensor vector = cluster_vector(name, data, count);
    vector.op = kinds[tensor] == MAXIMUM ? KOLO_MAX : KOLO_SUM;
    vector.type = kinds[tensor] == INTEGERS ? KOLO_DTYPE_INT32 : KOLO_DTYPE_FLOAT32;
    vector.postscale = kinds[tensor] == HALVED ? 0.5 : 1;
    vector.pieces = kinds[tensor] == GROUP ? 3 : 0;
    used[rank][tensor] = data;
    counts[rank][tensor] = count;
    requests[rank][tensor] = cluster_submit(&net, rank, &vector);
}

static void submit(int32_t rank, char tensor)
{
    submit_at(rank, tensor - 'a', shared[rank][tensor - 'a'], COUNT);
}

/* Queues tensors of these names, and takes one step. */
static void submit_together(int32_t rank, const char *names)
{
    for (; *names != '\0'; names++)
        submit(rank, *names);
    kolo_engine_step(net.engines[rank], kolo_sim_now(net.sim));
}

static float wanted_of(int tensor, int64_t key, int64_t index)
{
    float sum = 0;
    for (int32_t r = 0; r < net.size; r++)
        sum += input_of(key, r, index);
    return kinds[tensor] == MAXIMUM ? input_of(key, net.size - 1, index) : kinds[tensor] == HALVED ? sum / 2 : sum;
}

static void expect_result(int32_t rank, int tensor)
{
    int64_t key = keys[rank][tensor]++;
    cluster_expect_success(requests[rank][tensor]);
    requests[rank][tensor] = NULL;
    for (int64_t i = 0; i < counts[rank][tensor]; i += 13) {
        float got = get(tensor, used[rank][tensor], i), wanted = wanted_of(tensor, key, i);
        if (got > wanted || got < wanted)
            fail_msg("rank %d, tensor %c, element %lld: %f, not %f", (int)rank, 'a' + tensor, (long long)i, (double)got,
                     (double)wanted);
    }
}

static void end_round(void)
{
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < net.size; r++)
        for (int t = 0; t < TENSORS; t++)
            if (requests[r][t] != NULL)
                expect_result(r, t);
    for (int32_t r = 0; r < net.size; r++)
        assert_true(kolo_engine_idle(net.engines[r]));
}

/* Names get their slots, in this order. */
static void begin(int32_t size)
{
    begin_with(size, 16 << 20, 1 << 20);
    for (int32_t r = 0; r < size; r++)
        submit_together(r, "abcdef");
    end_round();
}

/* How many tensors the rank works on together; 0: on none. */
static size_t together(int32_t rank)
{
    const kolo_runner *runner = kolo_engine_next_busy(net.engines[rank], NULL);
    return runner != NULL ? runner->group->member_count : 0;
}

/* ---- the same everywhere ---------------------------------------------------------------------------------------- */

static void burst__of_all_ranks_is_one_group(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= 4; size++) {
        begin(size);
        uint64_t messages = cluster_control_messages(&net);
        for (int round = 0; round < 5; round++) {
            for (int32_t r = 0; r < size; r++) {
                assert_int_equal(together(r), 0);
                submit_together(r, round % 2 == 0 ? "abcdef" : "dbf");
            }
            assert_int_equal(together(size - 1), round % 2 == 0 ? 6 : 3);
            end_round();
        }
        assert_int_equal(cluster_control_messages(&net), messages);
        cluster_fini(&net);
    }
}

/* Divided as a whole: of two tensors, each rank works on one. */
static void burst__is_divided_as_a_whole(void **state)
{
    (void)state;
    begin(2);
    submit_together(0, "ab");
    submit_together(1, "ab"); /* its part is done, the last of it */
    float sum = input_of(keys[0][1], 0, 1) + input_of(keys[0][1], 1, 1);
    assert_true(shared[0][1][1] >= sum && shared[0][1][1] <= sum);
    assert_true(shared[0][0][1] <= input_of(keys[0][0], 0, 1) &&
                shared[1][0][COUNT - 1] <= input_of(keys[0][0], 1, COUNT - 1));
    end_round();
    cluster_fini(&net);
}

static void burst__is_no_larger_than_a_fused_group(void **state)
{
    (void)state;
    begin_with(2, 2 * COUNT * sizeof(float), 1 << 20);
    for (int round = 0; round < 2; round++) {
        for (int32_t r = 0; r < 2; r++)
            submit_together(r, "abcde");
        assert_int_equal(together(1), round == 0 ? 0 : 2);
        end_round();
    }
    cluster_fini(&net);
    begin_with(2, 0, 1 << 20);
    for (int round = 0; round < 2; round++) {
        for (int32_t r = 0; r < 2; r++)
            submit_together(r, "abcde");
        assert_int_equal(together(1), round == 0 ? 0 : 1);
        end_round();
    }
    cluster_fini(&net);
}

/* ---- not the same ----------------------------------------------------------------------------------------------- */

/* Rank 0 submits `first` together, rank 1 what is between blanks. */
static void differ(const char *first, const char *others)
{
    begin(2);
    for (int turn = 0; turn < 2; turn++) { /* whoever is first */
        if (turn == 0)
            submit_together(0, first);
        for (const char *at = others; *at != '\0';) {
            char names[TENSORS + 1] = "";
            size_t length = strcspn(at, " ");
            memcpy(names, at, length);
            submit_together(1, names);
            at += length + (at[length] == ' ');
        }
        if (turn == 1)
            submit_together(0, first);
        assert_true(together(turn == 1 ? 0 : 1) <= 1);
        end_round();
    }
    cluster_fini(&net);
}

static void bursts__that_differ_go_one_by_one(void **state)
{
    (void)state;
    differ("abc", "acb");
    differ("abc", "cba");
    differ("abc", "ab c");
    differ("abc", "a bc");
    differ("abc", "c b a");
    differ("ab", "a b");
    differ("abcdef", "f abcde");
    differ("abcdef", "bcdef a");
}

/* Who waits for one of a burst before it submits the others must get it. */
static void burst__does_not_wait_for_the_rest_of_it(void **state)
{
    (void)state;
    for (char name = 'a'; name <= 'f'; name++) {
        begin(3);
        submit_together(0, "abcdef");
        for (int32_t r = 1; r < 3; r++)
            submit_together(r, (char[]){name, '\0'});
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < 3; r++)
            expect_result(r, name - 'a');
        for (int32_t r = 1; r < 3; r++)
            for (char other = 'a'; other <= 'f'; other++)
                if (other != name)
                    submit(r, other);
        end_round();
        cluster_fini(&net);
    }
}

/* The root decides about c, which has a private tensor or another shape on one rank; or c is of another operation everywhere. */
static void burst__without_one_that_is_different(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++)
        for (int32_t who = 0; who < 3; who++) {
            begin(3);
            for (int32_t r = 0; r < 3; r++) {
                submit(r, 'a');
                submit(r, 'b');
                if (how == 0)
                    submit_at(r, 2, r == who ? private_data[r][2] : shared[r][2], COUNT);
                else if (how == 1)
                    submit_at(r, 2, shared[r][2], COUNT - 10);
                else
                    submit_at(r, 2, shared[r][2], r == who ? COUNT - 10 : COUNT);
                submit_together(r, "def");
            }
            cluster_settle(&net, EVENTS_MAX);
            for (int32_t r = 0; r < 3 && how == 2; r++) {
                cluster_expect_error(requests[r][2], KOLO_ERR_MISMATCH, "ranks disagree about 'c'");
                requests[r][2] = NULL;
            }
            end_round();
            cluster_fini(&net);
        }
}

/* Rank 1 has reported b before, about which the root decides, and posts the others later. */
static void burst__that_has_lost_a_member(void **state)
{
    (void)state;
    for (int32_t loser = 0; loser < 2; loser++) {
        int32_t other = 1 - loser;
        begin(2);
        submit_together(loser, "abc");
        submit_together(loser, "def");
        submit_at(other, 1, private_data[other][1], COUNT);
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < 2; r++)
            expect_result(r, 1);
        submit_together(other, "ac");
        submit_together(other, "def");
        assert_int_equal(together(other), 1);
        end_round();
        cluster_fini(&net);
    }
}

/* Each by itself, or with its likes; again, which goes without the root. */
static void burst__ends_where_other_work_begins(void **state)
{
    (void)state;
    for (int other = SUM + 1; other < KINDS; other++)
        for (int round = 0; round < 4; round++) {
            if (round == 0)
                begin(2);
            for (int t = 0; t < TENSORS; t++)
                kinds[t] = t == 2 || t == 3 ? (kind)other : SUM;
            for (int32_t r = 0; r < 2; r++)
                submit_together(r, round % 2 == 0 ? "abcdef" : "cadbef");
            assert_true(round == 0 || together(1) <= 3); /* bef */
            end_round();
            if (round == 3)
                cluster_fini(&net);
        }
}

/* The next operation on a name waits for the one before, and is posted when that is over: whoever sleeps then is woken. */
static void burst__of_names_that_come_twice(void **state)
{
    (void)state;
    begin(2);
    for (int32_t sleeper = 0; sleeper < 2; sleeper++) {
        kolo_request *before[2][2];
        for (int32_t r = 0; r < 2; r++)
            for (int t = 0; t < 2; t++) {
                submit(r, (char)('a' + t));
                before[r][t] = requests[r][t];
                keys[r][t]++;
                submit_at(r, t, shared[r][t + 3], COUNT);
            }
        cluster_step(&net, sleeper);
        end_round();
        for (int32_t r = 0; r < 2; r++)
            for (int t = 0; t < 2; t++)
                cluster_expect_success(before[r][t]);
    }
    cluster_fini(&net);
}

/* Both wait for a before they submit what the other has submitted with it. */
static void bursts__that_begin_alike(void **state)
{
    (void)state;
    begin(2);
    submit_together(0, "ab");
    submit_together(1, "ac");
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 2; r++)
        expect_result(r, 0);
    submit_together(0, "c");
    submit_together(1, "b");
    end_round();
    cluster_fini(&net);
}

/* Rank 0's card of c is that of a round before, in which it was posted with a, too. */
static void burst__is_not_taken_for_an_older_one(void **state)
{
    (void)state;
    begin(2);
    submit_together(0, "ac");
    submit_together(1, "a");
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 2; r++)
        expect_result(r, 0);
    submit_together(0, "ab");
    submit_together(1, "ac");
    assert_true(together(0) <= 1 && together(1) <= 1);
    cluster_settle(&net, EVENTS_MAX);
    submit_together(1, "b");
    end_round();
    cluster_fini(&net);
}

/* The first operation on the name fails in the middle of a step, by the root's word; the next one, which lies elsewhere, is
 * posted then. */
static void next_of_a_name__after_a_failure(void **state)
{
    (void)state;
    begin(2);
    kolo_request *first[2];
    for (int32_t r = 1; r >= 0; r--) {
        submit_at(r, 0, shared[r][1], r == 0 ? COUNT - 10 : COUNT);
        first[r] = requests[r][0];
        submit_at(r, 0, shared[r][2], COUNT);
        cluster_step(&net, r);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 2; r++)
        cluster_expect_error(first[r], KOLO_ERR_MISMATCH, "ranks disagree about 'a'");
    end_round();
    cluster_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst__of_all_ranks_is_one_group),
        cmocka_unit_test(burst__is_divided_as_a_whole),
        cmocka_unit_test(burst__is_no_larger_than_a_fused_group),
        cmocka_unit_test(bursts__that_differ_go_one_by_one),
        cmocka_unit_test(burst__does_not_wait_for_the_rest_of_it),
        cmocka_unit_test(burst__without_one_that_is_different),
        cmocka_unit_test(burst__that_has_lost_a_member),
        cmocka_unit_test(burst__ends_where_other_work_begins),
        cmocka_unit_test(burst__of_names_that_come_twice),
        cmocka_unit_test(bursts__that_begin_alike),
        cmocka_unit_test(burst__is_not_taken_for_an_older_one),
        cmocka_unit_test(next_of_a_name__after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
