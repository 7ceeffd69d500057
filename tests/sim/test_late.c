/* test_late.c - ranks that stay away, or stop: warned about while it lasts, named when the deadline comes. */
#include "sim/cluster.h"

#include "base/clock.h"
#include "engine/negotiate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EVENTS_MAX = 2 * 1000 * 1000 };

typedef struct lines {
    int count;
    char last[1024];
    const char *wanted;
    int found;
} lines;

static void count_line(void *user, kolo_log_level level, const char *line)
{
    lines *seen = user;
    if (level > KOLO_LOG_WARN)
        return;
    seen->count++;
    snprintf(seen->last, sizeof(seen->last), "%s", line);
    seen->found += seen->wanted != NULL && strstr(line, seen->wanted) != NULL;
}

static void missing_rank__is_named_at_the_deadline_on_all_others(void **state)
{
    (void)state;
    static float data[CLUSTER_MAX][4];
    const struct {
        int32_t size, missing;
    } cases[] = {{2, 1}, {2, 0}, {5, 3}, {9, 8}, {20, 0}, {20, 1}, {20, 11}, {64, 0}, {64, 63}, {65, 64}};
    /* Twice: without shared memory, and with it, on the express way after a first round. */
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        cluster net;
        kolo_request *requests[CLUSTER_MAX];
        size_t window_bytes = i % 2 == 0 ? 0 : 8 << 20;
        cluster_init(&net, &(cluster_options){.size = cases[i / 2].size, .seed = i, .window_bytes = window_bytes});
        for (int32_t r = 0; r < cases[i / 2].size; r++) {
            cluster_tensor tensor = cluster_vector("late", data[r], 4);
            requests[r] = cluster_submit(&net, r, &tensor);
        }
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < cases[i / 2].size; r++)
            cluster_expect_success(requests[r]);
        for (int32_t r = 0; r < cases[i / 2].size; r++) {
            cluster_tensor tensor = cluster_vector("late", data[r], 4);
            tensor.timeout_ns = KOLO_NS_PER_S;
            if (r != cases[i / 2].missing)
                requests[r] = cluster_submit(&net, r, &tensor);
        }
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < cases[i / 2].size; r++) {
            if (r == cases[i / 2].missing)
                continue;
            char expected[64];
            snprintf(expected, sizeof(expected), "not submitted by rank %d;", cases[i / 2].missing);
            cluster_expect_error(requests[r], KOLO_ERR_TIMEOUT, expected);
        }
        cluster_fini(&net);
    }
}

static void missing_rank__is_warned_about_while_it_lasts(void **state)
{
    (void)state;
    static float data[3][4];
    lines seen = {.wanted = "'slow' has waited 2.0 s for rank 2"};
    cluster net;
    kolo_request *requests[3];
    cluster_init(&net,
                 &(cluster_options){.size = 3, .stall_ns = 2 * KOLO_NS_PER_S, .log = count_line, .log_user = &seen});
    cluster_tensor tensor[3];
    for (int32_t r = 0; r < 3; r++)
        tensor[r] = cluster_vector("slow", data[r], 4);
    requests[0] = cluster_submit(&net, 0, &tensor[0]);
    requests[1] = cluster_submit(&net, 1, &tensor[1]);
    while (kolo_sim_now(net.sim) < 10 * KOLO_NS_PER_S)
        assert_true(cluster_event(&net));
    assert_int_equal(seen.found, 1); /* once, not every time it looks */
    requests[2] = cluster_submit(&net, 2, &tensor[2]);
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 3; r++)
        cluster_expect_success(requests[r]);
    cluster_fini(&net);
}

/* Small tensors in shared memory: rounds are posted, not reported. */
static void missing_rank__is_warned_about_in_every_posted_round(void **state)
{
    (void)state;
    static float data[3][4];
    lines seen = {.wanted = "'slow' has waited 2.0 s for rank 2"};
    cluster net;
    kolo_request *requests[3];
    cluster_options options = {.size = 3, .stall_ns = 2 * KOLO_NS_PER_S, .window_bytes = 8 << 20, .log = count_line};
    options.log_user = &seen;
    cluster_init(&net, &options);
    for (int round = 0; round < 3; round++) {
        for (int32_t r = 0; r < 3; r++) {
            int64_t until_ns = kolo_sim_now(net.sim) + 10 * KOLO_NS_PER_S;
            while (round > 0 && r == 2 && kolo_sim_now(net.sim) < until_ns)
                assert_true(cluster_event(&net));
            cluster_tensor tensor = cluster_vector("slow", data[r], 4);
            requests[r] = cluster_submit(&net, r, &tensor);
        }
        cluster_settle(&net, EVENTS_MAX);
        assert_int_equal(seen.found, round);
        for (int32_t r = 0; r < 3; r++)
            cluster_expect_success(requests[r]);
    }
    cluster_fini(&net);
}

/* The rank that described another shape is not the late one. Rank 1 does; the last one is missing. */
static void disagree_without_the_last(int32_t size)
{
    static float data[CLUSTER_MAX][8];
    char missing[16];
    cluster net;
    kolo_request *requests[CLUSTER_MAX];
    cluster_init(&net, &(cluster_options){.size = size, .seed = 1, .window_bytes = 8 << 20});
    for (int32_t r = 0; r < size; r++) {
        cluster_tensor tensor = cluster_vector("w", data[r], 4);
        requests[r] = cluster_submit(&net, r, &tensor);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < size; r++)
        cluster_expect_success(requests[r]);
    for (int32_t r = 0; r < size - 1; r++) {
        cluster_tensor tensor = cluster_vector("w", data[r], r == 1 ? 5 : 4);
        tensor.timeout_ns = r != 1 ? KOLO_NS_PER_S : 0;
        requests[r] = cluster_submit(&net, r, &tensor);
    }
    cluster_settle(&net, EVENTS_MAX);
    snprintf(missing, sizeof(missing), "%d", size - 1);
    for (int32_t r = 0; r < size - 1; r++) {
        assert_string_equal(requests[r]->error->ranks, missing);
        cluster_expect_error(requests[r], KOLO_ERR_TIMEOUT, "'w' passed its deadline");
    }
    cluster_fini(&net);
}

static void missing_rank__is_told_from_one_that_disagrees(void **state)
{
    (void)state;
    disagree_without_the_last(3);
    disagree_without_the_last(33);
    disagree_without_the_last(64);
}

/* Nor where a rank asks that does not see descriptions: it does not speak before the root has. */
static void missing_rank__is_told_from_one_that_disagrees_by_a_rank_that_cannot_know(void **state)
{
    (void)state;
    static float data[4][8];
    cluster net;
    kolo_request *requests[4];
    cluster_init(&net, &(cluster_options){.size = 4, .seed = 1, .window_bytes = 8 << 20});
    for (int32_t r = 0; r < 4; r++) {
        cluster_tensor tensor = cluster_vector("w", data[r], 4);
        requests[r] = cluster_submit(&net, r, &tensor);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 4; r++)
        cluster_expect_success(requests[r]);
    for (int32_t r = 0; r < 3; r++) {
        cluster_tensor tensor = cluster_vector("w", data[r], r == 2 ? 5 : 4);
        tensor.timeout_ns = r == 1 ? KOLO_NS_PER_S : 0;
        requests[r] = cluster_submit(&net, r, &tensor);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 3; r++) {
        assert_string_equal(requests[r]->error->ranks, "3");
        cluster_expect_error(requests[r], KOLO_ERR_TIMEOUT, "not submitted by rank 3;");
    }
    cluster_fini(&net);
}

/* One rank waits in kolo_finalize's barrier, and the others submit what it never will: before, or after. */
static void rank_that_leaves__ends_what_others_wait_for(void **state)
{
    (void)state;
    static float data[CLUSTER_MAX][4];
    const struct {
        int32_t size, leaver, others; /* others: the first so many others submit, the rest is busy elsewhere */
    } cases[] = {{2, 1, 1},   {2, 0, 1},   {5, 3, 1},    {9, 8, 8},    {9, 0, 3},
                 {20, 0, 19}, {20, 1, 19}, {20, 11, 19}, {64, 63, 63}, {64, 0, 9}};
    const cluster_tensor farewell = {.name = KOLO_FAREWELL, .collective = KOLO_BARRIER};
    for (size_t i = 0; i < 4 * sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t size = cases[i / 4].size, leaver = cases[i / 4].leaver;
        cluster net;
        kolo_request *requests[CLUSTER_MAX] = {NULL};
        cluster_init(&net, &(cluster_options){.size = size, .seed = i, .window_bytes = i % 2 == 0 ? 0 : 8 << 20});
        for (int round = 0; round < 2; round++) {
            bool leaves = round == 1, leaves_first = leaves && i % 4 < 2;
            if (leaves_first)
                requests[leaver] = cluster_submit(&net, leaver, &farewell);
            if (leaves_first)
                cluster_settle(&net, EVENTS_MAX);
            for (int32_t r = 0, others = 0; r < size; r++) {
                cluster_tensor tensor = cluster_vector("gradient", data[r], 4);
                if (!leaves || (r != leaver && others++ < cases[i / 4].others))
                    requests[r] = cluster_submit(&net, r, &tensor);
            }
            cluster_settle(&net, EVENTS_MAX);
            if (leaves && !leaves_first)
                requests[leaver] = cluster_submit(&net, leaver, &farewell);
            cluster_settle(&net, EVENTS_MAX);
            for (int32_t r = 0; r < size && !leaves; r++) {
                cluster_expect_success(requests[r]);
                requests[r] = NULL;
            }
        }
        char expected[80];
        snprintf(expected, sizeof(expected), "rank %d called kolo_finalize without submitting 'gradient'", leaver);
        for (int32_t r = 0; r < size; r++)
            if (requests[r] != NULL)
                cluster_expect_error(requests[r], KOLO_ERR_PEER, expected);
        cluster_fini(&net);
    }
}

/* Everybody leaves, each at its own time, some while others still move data. */
static void ranks_that_leave_one_by_one__end_in_peace(void **state)
{
    (void)state;
    static float data[CLUSTER_MAX][3000];
    const cluster_tensor farewell = {.name = KOLO_FAREWELL, .collective = KOLO_BARRIER};
    for (uint64_t seed = 0; seed < 40; seed++) {
        cluster net;
        kolo_request *requests[20], *farewells[20] = {NULL};
        int32_t size = seed % 2 == 0 ? 5 : 20, left = 0;
        cluster_init(&net, &(cluster_options){.size = size, .seed = seed, .window_bytes = seed % 4 < 2 ? 0 : 8 << 20});
        for (int32_t r = 0; r < size; r++) {
            cluster_tensor tensor = cluster_vector("gradient", data[r], 3000);
            requests[r] = cluster_submit(&net, r, &tensor);
        }
        while (left < size) {
            assert_true(cluster_event(&net));
            for (int32_t r = 0; r < size; r++)
                if (farewells[r] == NULL && kolo_request_is_done(requests[r])) {
                    farewells[r] = cluster_submit(&net, r, &farewell);
                    left++;
                }
        }
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < size; r++) {
            cluster_expect_success(requests[r]);
            cluster_expect_success(farewells[r]);
        }
        cluster_fini(&net);
    }
}

/* ---- tensors in the heaps ------------------------------------------------------------------------------------- */

enum { LARGE = 3000, LARGE_RANKS = 5 };

/* Rank `late` does not submit. The others' tensors are in their heaps, but those of `apart` (bits) are not, or have
 * another shape: these report to the root, and who posted must not take them for the late ones. */
typedef struct absence {
    int32_t late;
    uint32_t apart;
    bool differ; /* those apart describe another shape */
    int64_t count;
} absence;

static const absence absences[] = {
    {4, 0, false, LARGE},    {0, 0, false, LARGE},      {4, 1 << 2, false, LARGE}, {4, 1, false, LARGE},
    {2, 1 | 8, true, LARGE}, {0, 1 << 3, false, LARGE}, {0, 1 << 1, true, LARGE},  {3, 0x17, false, LARGE},
    {1, 1 << 4, true, 8},    {0, 1 << 4, true, 8},      {3, 1, true, 8},
};
enum { ABSENCES = sizeof(absences) / sizeof(absences[0]) };

static cluster_tensor tensor_of(cluster *net, int32_t rank, const absence *what, bool first)
{
    static float apart[LARGE_RANKS][LARGE + 1];
    bool is_apart = !first && (what->apart >> rank & 1) != 0;
    int64_t count = what->count + (is_apart && what->differ);
    float *data = is_apart ? apart[rank] : cluster_alloc(net, rank, (size_t)count * sizeof(float));
    assert_non_null(data);
    return cluster_vector("w", data, count);
}

/* A first round, of all, in which the slot is agreed; then the absence. The requests of those who are there. */
static void be_absent(cluster *net, const absence *what, int64_t timeout_ns, kolo_request **requests)
{
    for (int32_t r = 0; r < LARGE_RANKS; r++) {
        cluster_tensor tensor = tensor_of(net, r, what, true);
        requests[r] = cluster_submit(net, r, &tensor);
    }
    cluster_settle(net, EVENTS_MAX);
    for (int32_t r = 0; r < LARGE_RANKS; r++) {
        cluster_expect_success(requests[r]);
        cluster_tensor tensor = tensor_of(net, r, what, false);
        tensor.timeout_ns = timeout_ns;
        requests[r] = r != what->late ? cluster_submit(net, r, &tensor) : NULL;
    }
}

static void missing_rank__is_told_from_those_who_reported_instead_of_posting(void **state)
{
    (void)state;
    for (size_t i = 0; i < ABSENCES; i++)
        for (int32_t hurried = 0; hurried < LARGE_RANKS; hurried++) { /* whose deadline is the first */
            cluster net;
            kolo_request *requests[LARGE_RANKS];
            char expected[64];
            cluster_options options = {.size = LARGE_RANKS, .seed = i, .window_bytes = 8 << 20, .heap_bytes = 1 << 20};
            if (hurried == absences[i].late)
                continue;
            cluster_init(&net, &options);
            be_absent(&net, &absences[i], 60 * KOLO_NS_PER_S, requests);
            requests[hurried]->deadline_ns = kolo_sim_now(net.sim) + KOLO_NS_PER_S;
            cluster_settle(&net, EVENTS_MAX);
            snprintf(expected, sizeof(expected), "not submitted by rank %d;", absences[i].late);
            for (int32_t r = 0; r < LARGE_RANKS; r++)
                if (r != absences[i].late)
                    cluster_expect_error(requests[r], KOLO_ERR_TIMEOUT, expected);
            cluster_fini(&net);
        }
}

/* Once, by one of those who are there. */
static void missing_rank__alone_is_warned_about(void **state)
{
    (void)state;
    for (size_t i = 0; i < ABSENCES; i++) {
        char wanted[64];
        lines seen = {.wanted = wanted};
        cluster net;
        kolo_request *requests[LARGE_RANKS];
        snprintf(wanted, sizeof(wanted), "s for rank %d;", absences[i].late);
        cluster_options options = {.size = LARGE_RANKS,
                                   .seed = i,
                                   .window_bytes = 8 << 20,
                                   .heap_bytes = 1 << 20,
                                   .stall_ns = 2 * KOLO_NS_PER_S,
                                   .log = count_line,
                                   .log_user = &seen};
        cluster_init(&net, &options);
        be_absent(&net, &absences[i], 0, requests);
        int64_t until_ns = kolo_sim_now(net.sim) + 10 * KOLO_NS_PER_S;
        while (kolo_sim_now(net.sim) < until_ns)
            assert_true(cluster_event(&net));
        if (seen.found != 1 || seen.count != 1)
            fail_msg("case %zu: %d of %d warnings, the last: %s", i, seen.found, seen.count, seen.last);
        cluster_tensor tensor = tensor_of(&net, absences[i].late, &absences[i], true);
        requests[absences[i].late] = cluster_submit(&net, absences[i].late, &tensor);
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < LARGE_RANKS; r++)
            if (absences[i].differ)
                cluster_expect_error(requests[r], KOLO_ERR_MISMATCH, "ranks disagree about 'w'");
            else
                cluster_expect_success(requests[r]);
        cluster_fini(&net);
    }
}

static void rank_that_stops_while_data_moves__is_warned_about(void **state)
{
    (void)state;
    static float data[3][3000];
    lines seen = {.wanted = "'big': its data has not moved for"};
    cluster net;
    kolo_request *requests[3];
    cluster_init(&net,
                 &(cluster_options){
                     .size = 3, .algorithm = "ring", .stall_ns = KOLO_NS_PER_S, .log = count_line, .log_user = &seen});
    for (int32_t r = 0; r < 3; r++) {
        cluster_tensor tensor = cluster_vector("big", data[r], 3000);
        requests[r] = cluster_submit(&net, r, &tensor);
    }
    kolo_sim_counters sent = {0};
    for (; sent.data_messages < 3; kolo_sim_count(net.sim, 1, &sent))
        assert_true(cluster_event(&net));
    net.crashed[2] = true; /* stopped, not dead: it is not stepped any more, and nobody is told */
    while (kolo_sim_now(net.sim) < 5 * KOLO_NS_PER_S)
        assert_true(cluster_event(&net));
    assert_int_equal(seen.found, 2); /* once on each of the others */
    assert_non_null(strstr(seen.last, "waiting for rank"));
    net.crashed[2] = false;
    kolo_sim_wake_at(net.sim, 2, kolo_sim_now(net.sim));
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 3; r++)
        cluster_expect_success(requests[r]);
    cluster_fini(&net);
}

/* The root has decided nothing yet, because its only runner waits for rank 2. */
static void decision_that_waits_for_a_runner__expires_for_the_rank_that_stopped(void **state)
{
    (void)state;
    static float data[3][3000], small[3][4];
    cluster net;
    kolo_request *big[3], *next[3];
    cluster_init(&net, &(cluster_options){.size = 3, .algorithm = "ring", .groups_in_flight = 1});
    for (int32_t r = 0; r < 3; r++) {
        cluster_tensor tensor = cluster_vector("big", data[r], 3000);
        big[r] = cluster_submit(&net, r, &tensor);
    }
    kolo_sim_counters sent = {0};
    for (; sent.data_messages < 3; kolo_sim_count(net.sim, 1, &sent))
        assert_true(cluster_event(&net));
    for (int32_t r = 0; r < 3; r++) {
        cluster_tensor tensor = cluster_vector("next", small[r], 4);
        tensor.timeout_ns = r == 0 ? KOLO_NS_PER_S : 0;
        next[r] = cluster_submit(&net, r, &tensor);
        cluster_step(&net, r);
    }
    net.crashed[2] = true; /* stopped, not dead */
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 2; r++) {
        cluster_expect_error(big[r], KOLO_ERR_TIMEOUT, "its data does not move; waiting for rank");
        assert_string_equal(next[r]->error->tensor, "next");
        assert_null(strstr(next[r]->error->ranks, "-1"));
        cluster_expect_error(next[r], KOLO_ERR_TIMEOUT, "its data does not move; waiting for rank");
    }
    cluster_fini(&net);
    kolo_request_release(big[2]);
    kolo_request_release(next[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_rank__is_named_at_the_deadline_on_all_others),
        cmocka_unit_test(missing_rank__is_warned_about_while_it_lasts),
        cmocka_unit_test(missing_rank__is_warned_about_in_every_posted_round),
        cmocka_unit_test(missing_rank__is_told_from_one_that_disagrees),
        cmocka_unit_test(missing_rank__is_told_from_one_that_disagrees_by_a_rank_that_cannot_know),
        cmocka_unit_test(rank_that_leaves__ends_what_others_wait_for),
        cmocka_unit_test(ranks_that_leave_one_by_one__end_in_peace),
        cmocka_unit_test(missing_rank__is_told_from_those_who_reported_instead_of_posting),
        cmocka_unit_test(missing_rank__alone_is_warned_about),
        cmocka_unit_test(decision_that_waits_for_a_runner__expires_for_the_rank_that_stopped),
        cmocka_unit_test(rank_that_stops_while_data_moves__is_warned_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
