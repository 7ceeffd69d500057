/* failures.c - ranks that are late, die, fork. Prints what became of each; the script judges what depends on others.
 *
 *     engine_failures missing RANK      RANK submits something else: the others' deadline (300 ms) passes
 *     engine_failures desert RANK       RANK leaves in peace, the others wait for it without a deadline
 *     engine_failures abandon RANK      RANK gives up and leaves; the others wait for it without a deadline
 *     engine_failures loop RANK TURN    all-reduces until something fails; RANK kills itself in TURN (-1: nobody does)
 *     engine_failures shared RANK TURN  the same with tensors of kolo_alloc, up to 4 MB
 *     engine_failures fork              calls in a forked child, while the parent's job goes on
 *     engine_failures join              joins and leaves */
#include "rank.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    IN_FLIGHT = 8,
    COUNT = 30000,
    SHARED_COUNT = 1000000,
    LOST = 3
}; /* LOST: the exit code of a rank whose job failed */

static void say(const char *what, const kolo_error *error)
{
    printf("%s %s ranks '%s' tensor '%s': %s\n", what, kolo_status_name(error->status), error->ranks, error->tensor,
           error->message);
    fflush(stdout);
}

/* After a failure: every later call fails too, and leaving returns. */
static int leave_failed(kolo_context *ctx)
{
    float data = 0;
    kolo_args args = KOLO_ARGS_INIT;
    args.output = KOLO_VECTOR(&data, 1, KOLO_FLOAT32);
    CHECK(kolo_allreduce(ctx, &args, NULL) != KOLO_OK, "an all-reduce in a failed job");
    say("after", kolo_last_error());
    CHECK(kolo_barrier(ctx, NULL, NULL) != KOLO_OK, "a barrier in a failed job");
    CHECK(kolo_finalize(ctx) != KOLO_OK, "leaving a failed job");
    say("left", kolo_last_error());
    return LOST;
}

/* ---- missing ------------------------------------------------------------------------------------------ */

static int test_missing(kolo_context *ctx, int32_t missing)
{
    float data[100] = {0};
    kolo_args args = KOLO_ARGS_INIT;
    kolo_request *request = NULL;
    args.name = "gradient";
    args.timeout_ns = 300 * INT64_C(1000000);
    args.output = KOLO_VECTOR(data, 100, KOLO_FLOAT32);
    if (rank_number == missing) {
        EXPECT(kolo_barrier(ctx, NULL, NULL), KOLO_ERR_TIMEOUT);
        return leave_failed(ctx);
    }
    OK(kolo_allreduce(ctx, &args, &request));
    EXPECT(kolo_wait(request, -1), KOLO_ERR_TIMEOUT);
    CHECK(kolo_request_error(request) != NULL, "the request has its error");
    say("late", kolo_request_error(request));
    kolo_request_free(request);
    return leave_failed(ctx);
}

/* ---- desert ------------------------------------------------------------------------------------------- */

/* `gradient` is agreed on once, so that in shared memory the second round is not even reported to anybody. Slow ranks may
 * learn of it during the first. */
static int test_desert(kolo_context *ctx, int32_t deserter)
{
    float data[100] = {0};
    kolo_args args = KOLO_ARGS_INIT;
    args.name = "gradient";
    args.timeout_ns = -1;
    args.output = KOLO_VECTOR(data, 100, KOLO_FLOAT32);
    kolo_status status = kolo_allreduce(ctx, &args, NULL);
    if (rank_number == deserter) {
        CHECK(status == KOLO_OK, "the first round");
        EXPECT(kolo_finalize(ctx), KOLO_ERR_PEER);
        say("left", kolo_last_error());
        return LOST;
    }
    if (status == KOLO_OK)
        status = kolo_allreduce(ctx, &args, NULL);
    CHECK(status == KOLO_ERR_PEER, "a round without rank %d", (int)deserter);
    say("deserted", kolo_last_error());
    return leave_failed(ctx);
}

/* ---- abandon ------------------------------------------------------------------------------------------ */

/* Nobody has a deadline, but leaving has KOLO_TIMEOUT. */
static int test_abandon(kolo_context *ctx, int32_t deserter)
{
    float data[100] = {0};
    kolo_args args = KOLO_ARGS_INIT;
    kolo_request *request = NULL;
    args.name = rank_number == deserter ? "own" : "common";
    args.timeout_ns = -1;
    args.output = KOLO_VECTOR(data, 100, KOLO_FLOAT32);
    OK(kolo_allreduce(ctx, &args, &request));
    if (rank_number == deserter) {
        CHECK(kolo_finalize(ctx) == KOLO_ERR_TIMEOUT, "leaving with an operation under way");
        say("left", kolo_last_error());
        kolo_request_free(request);
        return LOST;
    }
    EXPECT(kolo_wait(request, -1), KOLO_ERR_TIMEOUT);
    say("abandoned", kolo_request_error(request));
    kolo_request_free(request);
    return leave_failed(ctx);
}

/* ---- loop ----------------------------------------------------------------------------------------------- */

static void fill(float *data, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)(rank_number + 1);
}

/* What is not an error is right, also in a job that has failed meanwhile. */
static void check_sums(const kolo_context *ctx, const float *data, int64_t count)
{
    const float size = (float)kolo_size(ctx);
    for (int64_t i = 0; i < count; i++)
        CHECK(data[i] == size * (size + 1) / 2, "%g at %lld of %lld, in an operation that did not fail",
              (double)data[i], (long long)i, (long long)count);
}

static int test_loop(kolo_context *ctx, float *data, int64_t count, int32_t victim, int64_t turns)
{
    kolo_request *requests[IN_FLIGHT];
    kolo_status status = KOLO_OK;
    kolo_error error = {.status = KOLO_OK};
    for (int64_t turn = 0; status == KOLO_OK; turn++) {
        for (int i = 0; i < IN_FLIGHT; i++) {
            kolo_args args = KOLO_ARGS_INIT;
            float *tensor = data + (ptrdiff_t)i * count;
            args.output = KOLO_VECTOR(tensor, count >> i, KOLO_FLOAT32);
            fill(tensor, count >> i);
            OK(kolo_allreduce(ctx, &args, &requests[i]));
            if (rank_number == victim && turn == turns && i == turns % IN_FLIGHT)
                raise(SIGKILL);
        }
        for (int i = 0; i < IN_FLIGHT; i++) {
            kolo_status one = kolo_wait(requests[i], -1);
            if (one == KOLO_OK)
                check_sums(ctx, data + (ptrdiff_t)i * count, count >> i);
            if (one != KOLO_OK && status == KOLO_OK) {
                status = one;
                error = *kolo_request_error(requests[i]);
            }
            kolo_request_free(requests[i]);
        }
        if (turn == 9) { /* by now all names have come twice */
            printf("running\n");
            fflush(stdout);
        }
    }
    say("lost", &error);
    return leave_failed(ctx);
}

/* ---- fork ------------------------------------------------------------------------------------------------- */

static void use_inherited(kolo_context *ctx, kolo_request *request)
{
    float data = 0;
    int fd, over;
    void *memory;
    kolo_args args = KOLO_ARGS_INIT;
    kolo_request *other = NULL;
    args.output = KOLO_VECTOR(&data, 1, KOLO_FLOAT32);
    EXPECT(kolo_allreduce(ctx, &args, NULL), KOLO_ERR_STATE);
    EXPECT(kolo_allreduce(ctx, &args, &other), KOLO_ERR_STATE);
    EXPECT(kolo_broadcast(ctx, &args, NULL), KOLO_ERR_STATE);
    EXPECT(kolo_reduce_scatter(ctx, &args, NULL), KOLO_ERR_STATE);
    EXPECT(kolo_allgather(ctx, &args, NULL), KOLO_ERR_STATE);
    EXPECT(kolo_prepare(ctx, &args, &other), KOLO_ERR_STATE);
    EXPECT(kolo_barrier(ctx, NULL, NULL), KOLO_ERR_STATE);
    EXPECT(kolo_progress(ctx), KOLO_ERR_STATE);
    EXPECT(kolo_completion_fd(ctx, &fd), KOLO_ERR_STATE);
    EXPECT(kolo_alloc(ctx, 100, &memory), KOLO_ERR_STATE);
    EXPECT(kolo_wait(request, -1), KOLO_ERR_STATE);
    EXPECT(kolo_wait(request, 0), KOLO_ERR_STATE);
    EXPECT(kolo_test(request, &over), KOLO_ERR_STATE);
    CHECK(kolo_rank(ctx) == -1 && kolo_size(ctx) == -1 && kolo_local_rank(ctx) == -1, "the child has no rank");
    EXPECT(kolo_finalize(ctx), KOLO_ERR_STATE);
    CHECK(strstr(kolo_last_error()->message, "fork") != NULL, "the reason is told");
    kolo_request_free(request);
}

/* The child's calls come while an operation is under way that rank 0 holds back until every child has ended. */
static int test_fork(kolo_context *ctx)
{
    float data[2] = {1, 2};
    int status = -1;
    kolo_args args = KOLO_ARGS_INIT;
    kolo_request *request = NULL;
    args.name = "held";
    args.output = KOLO_VECTOR(data, 2, KOLO_FLOAT32);
    if (rank_number != 0 || rank_count == 1)
        OK(kolo_allreduce(ctx, &args, &request));
    if (rank_count > 1 && rank_number != 0) {
        fflush(NULL);
        pid_t child = fork();
        CHECK(child >= 0, "fork");
        if (child == 0) {
            use_inherited(ctx, request);
            _Exit(42);
        }
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42,
              "the child ended with %d", status);
    }
    OK(kolo_barrier(ctx, NULL, NULL));
    if (request == NULL)
        OK(kolo_allreduce(ctx, &args, &request));
    OK(kolo_wait(request, -1));
    kolo_request_free(request);
    CHECK(data[1] >= 2 * (float)rank_count, "the parent's result is %g", (double)data[1]);
    rank_leave(ctx);
    printf("passed\n");
    return 0;
}

int main(int argc, char **argv)
{
    const char *subject = argc > 1 ? argv[1] : "";
    kolo_context *ctx = NULL;
    if (strcmp(subject, "join") == 0 && kolo_init(NULL, &ctx) != KOLO_OK) {
        say("init", kolo_last_error());
        return LOST;
    }
    if (ctx == NULL)
        ctx = rank_join();
    if (strcmp(subject, "missing") == 0 && argc == 3)
        return test_missing(ctx, (int32_t)rank_number_of(argv[2]));
    if (strcmp(subject, "desert") == 0 && argc == 3)
        return test_desert(ctx, (int32_t)rank_number_of(argv[2]));
    if (strcmp(subject, "abandon") == 0 && argc == 3)
        return test_abandon(ctx, (int32_t)rank_number_of(argv[2]));
    if (strcmp(subject, "loop") == 0 && argc == 4) {
        float *data = rank_memory(IN_FLIGHT * COUNT * sizeof(*data));
        int code = test_loop(ctx, data, COUNT, (int32_t)rank_number_of(argv[2]), rank_number_of(argv[3]));
        free(data);
        return code;
    }
    if (strcmp(subject, "shared") == 0 && argc == 4) {
        void *data;
        OK(kolo_alloc(ctx, IN_FLIGHT * SHARED_COUNT * sizeof(float), &data));
        return test_loop(ctx, data, SHARED_COUNT, (int32_t)rank_number_of(argv[2]), rank_number_of(argv[3]));
    }
    if (strcmp(subject, "fork") == 0)
        return test_fork(ctx);
    CHECK(strcmp(subject, "join") == 0, "no subject '%s'", subject);
    rank_leave(ctx);
    printf("passed\n");
    return 0;
}
