/* asynchronous.c - many operations in flight, and every way to learn that they are complete.
 *
 *     engine_asynchronous SUBJECT SEED      SUBJECT: order, callbacks, fd, threads, progress, timeouts */
#include "rank.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TENSORS = 500, COUNT_MAX = 300, ROUNDS = 3, CHAINS = 20, LINKS = 40, THREADS = 4, THREAD_OPS = 60 };

typedef struct item {
    char name[32];
    int32_t key; /* the values come from it, and from the rank */
    int64_t count;
    float data[COUNT_MAX];
    kolo_request *request;
    bool over;
} item;

static float value_of(int32_t key, int32_t rank, int64_t index)
{
    return (float)((key + rank * 7 + index) % 1000);
}

static void make(item *one, const char *prefix, int32_t key)
{
    snprintf(one->name, sizeof(one->name), "%s %d", prefix, (int)key);
    one->key = key;
    one->count = (int64_t)(random_of(99, (uint64_t)key) % COUNT_MAX) + 1;
    for (int64_t i = 0; i < one->count; i++)
        one->data[i] = value_of(key, rank_number, i);
    one->over = false;
}

static void submit(kolo_context *ctx, item *one, uint64_t flags)
{
    kolo_args args = KOLO_ARGS_INIT;
    args.name = one->name;
    args.flags = flags;
    args.output = KOLO_VECTOR(one->data, one->count, KOLO_FLOAT32);
    OK(kolo_allreduce(ctx, &args, &one->request));
}

static void check(const item *one)
{
    for (int64_t i = 0; i < one->count; i++) {
        float sum = 0;
        for (int32_t rank = 0; rank < rank_count; rank++)
            sum += value_of(one->key, rank, i);
        CHECK(one->data[i] <= sum && one->data[i] >= sum, "%s: element %lld is %g, not %g", one->name, (long long)i,
              (double)one->data[i], (double)sum);
    }
}

static item *submit_shuffled(kolo_context *ctx, random_source *random, uint64_t flags)
{
    int32_t order[TENSORS];
    item *items = rank_memory(TENSORS * sizeof(*items));
    random_shuffle(random, order, TENSORS);
    for (int32_t i = 0; i < TENSORS; i++) {
        make(&items[order[i]], "tensor", order[i]);
        random_pause(random);
        submit(ctx, &items[order[i]], flags);
    }
    return items;
}

static void check_all(item *items)
{
    for (int32_t i = 0; i < TENSORS; i++) {
        CHECK(kolo_request_error(items[i].request) == NULL, "'%s' is complete and has an error", items[i].name);
        kolo_request_free(items[i].request);
        check(&items[i]);
    }
    free(items);
}

/* Until all are complete: asks one after the other; between rounds, `between` is called. */
static void poll_all(kolo_context *ctx, item *items, void (*between)(kolo_context *ctx))
{
    for (int32_t left = TENSORS; left > 0;) {
        for (int32_t i = 0; i < TENSORS; i++) {
            int over = 0;
            if (items[i].over)
                continue;
            OK(kolo_test(items[i].request, &over));
            items[i].over = over != 0;
            left -= over;
        }
        between(ctx);
    }
}

/* ---- order, progress ----------------------------------------------------------------------------------- */

static void pass_time(kolo_context *ctx)
{
    (void)ctx;
    (void)poll(NULL, 0, 0);
}

static void make_progress(kolo_context *ctx)
{
    OK(kolo_progress(ctx));
}

/* Waits with ever longer timeouts, in an order of its own. */
static void wait_shuffled(item *items, random_source *random)
{
    int32_t order[TENSORS];
    random_shuffle(random, order, TENSORS);
    for (int32_t i = 0; i < TENSORS; i++) {
        kolo_status status = KOLO_ERR_TIMEOUT;
        for (int64_t timeout_ns = 0; status == KOLO_ERR_TIMEOUT; timeout_ns = timeout_ns * 2 + 100)
            status = kolo_wait(items[order[i]].request, timeout_ns);
        CHECK(status == KOLO_OK, "waiting for '%s'", items[order[i]].name);
    }
}

static void test_order(kolo_context *ctx, random_source *random)
{
    for (int round = 0; round < ROUNDS; round++) {
        item *items = submit_shuffled(ctx, random, 0);
        if (round % 2 == 0)
            wait_shuffled(items, random);
        else
            poll_all(ctx, items, pass_time);
        check_all(items);
    }
}

static void test_progress(kolo_context *ctx, random_source *random)
{
    item *items = submit_shuffled(ctx, random, 0);
    poll_all(ctx, items, make_progress);
    check_all(items);
}

/* ---- callbacks ------------------------------------------------------------------------------------------- */

typedef struct chain {
    kolo_context *ctx;
    item one;
    int32_t number, links;
} chain;

static pthread_mutex_t chains_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t chains_over = PTHREAD_COND_INITIALIZER;
static int32_t chains_left = CHAINS;

static void submit_link(chain *self);

static void link_done(void *user, kolo_request *request, kolo_status status)
{
    chain *self = user;
    CHECK(status == KOLO_OK, "link %d of chain %d", (int)self->links, (int)self->number);
    check(&self->one);
    if (self->links % 2 == 0) /* the other requests are given back as soon as they are submitted */
        kolo_request_free(request);
    if (++self->links < LINKS) {
        submit_link(self);
        return;
    }
    pthread_mutex_lock(&chains_mutex);
    chains_left--;
    pthread_cond_signal(&chains_over);
    pthread_mutex_unlock(&chains_mutex);
}

static void submit_link(chain *self)
{
    kolo_args args = KOLO_ARGS_INIT;
    kolo_request *request = NULL;
    bool give_back = self->links % 2 != 0;
    make(&self->one, "chain", self->number);
    args.name = self->one.name;
    args.output = KOLO_VECTOR(self->one.data, self->one.count, KOLO_FLOAT32);
    args.done = link_done;
    args.user = self;
    OK(kolo_allreduce(self->ctx, &args, &request)); /* from here on the chain may be another thread's */
    if (give_back)
        kolo_request_free(request);
}

static void test_callbacks(kolo_context *ctx, random_source *random)
{
    static chain chains[CHAINS];
    int32_t order[CHAINS];
    random_shuffle(random, order, CHAINS);
    for (int32_t i = 0; i < CHAINS; i++) {
        chains[order[i]] = (chain){.ctx = ctx, .number = order[i]};
        submit_link(&chains[order[i]]);
    }
    pthread_mutex_lock(&chains_mutex);
    while (chains_left > 0)
        pthread_cond_wait(&chains_over, &chains_mutex);
    pthread_mutex_unlock(&chains_mutex);
}

/* ---- the fd ------------------------------------------------------------------------------------------------ */

static void test_fd(kolo_context *ctx, random_source *random)
{
    int fd = -1;
    OK(kolo_completion_fd(ctx, &fd));
    item *items = submit_shuffled(ctx, random, KOLO_NOTIFY_FD);
    for (uint64_t seen = 0; seen < TENSORS;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        uint64_t completed = 0;
        CHECK(poll(&ready, 1, -1) == 1, "poll");
        if (read(fd, &completed, sizeof(completed)) == (ssize_t)sizeof(completed))
            seen += completed;
        CHECK(seen <= TENSORS, "%llu completions of %d operations", (unsigned long long)seen, TENSORS);
    }
    for (int32_t i = 0; i < TENSORS; i++) {
        int over = 0;
        OK(kolo_test(items[i].request, &over));
        CHECK(over == 1, "'%s' was counted and is not complete", items[i].name);
    }
    check_all(items);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    CHECK(poll(&ready, 1, 0) == 0, "the fd is readable, and nothing is complete that was not counted");
}

/* ---- threads ------------------------------------------------------------------------------------------------- */

typedef struct worker {
    kolo_context *ctx;
    pthread_t thread;
    int32_t number;
    random_source random;
} worker;

/* Half of the operations wait inside the call, the other half in flight, in pairs. */
static void *run_worker(void *user)
{
    worker *self = user;
    char prefix[16];
    item *items = rank_memory(2 * sizeof(*items));
    snprintf(prefix, sizeof(prefix), "thread %d,", (int)self->number);
    for (int32_t i = 0; i < THREAD_OPS; i++) {
        bool first = random_below(&self->random, 2) == 0;
        make(&items[0], prefix, 2 * i);
        make(&items[1], prefix, 2 * i + 1);
        submit(self->ctx, &items[first], 0);
        random_pause(&self->random);
        submit(self->ctx, &items[!first], 0);
        for (int k = 0; k < 2; k++) {
            OK(kolo_wait(items[k].request, -1));
            kolo_request_free(items[k].request);
            check(&items[k]);
        }
        kolo_args args = KOLO_ARGS_INIT;
        make(&items[0], prefix, 5000 + i);
        args.name = items[0].name;
        args.output = KOLO_VECTOR(items[0].data, items[0].count, KOLO_FLOAT32);
        OK(kolo_allreduce(self->ctx, &args, NULL));
        check(&items[0]);
    }
    free(items);
    return NULL;
}

static void test_threads(kolo_context *ctx, random_source *random)
{
    worker workers[THREADS];
    for (int32_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.ctx = ctx, .number = i, .random = {.seed = random_next(random)}};
        CHECK(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0, "a thread");
    }
    for (int32_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(workers[i].thread, NULL) == 0, "joining a thread");
}

/* ---- timeouts ------------------------------------------------------------------------------------------------ */

static void *wait_for(void *user)
{
    OK(kolo_wait(user, -1));
    return NULL;
}

/* Rank 0 holds "late" back until everybody's wait has timed out, which the barrier tells. Then three threads wait. */
static void test_timeouts(kolo_context *ctx, random_source *random)
{
    static item late;
    pthread_t threads[2];
    int over = 1;
    (void)random;
    make(&late, "late", 1);
    if (rank_number != 0) {
        submit(ctx, &late, 0);
        EXPECT(kolo_wait(late.request, 0), KOLO_ERR_TIMEOUT);
        EXPECT(kolo_wait(late.request, 2000000), KOLO_ERR_TIMEOUT);
        CHECK(strstr(kolo_last_error()->message, "late 1") != NULL, "the error names the tensor");
        OK(kolo_test(late.request, &over));
        CHECK(rank_count == 1 || over == 0, "rank 0 has not submitted it");
        CHECK(kolo_request_error(late.request) == NULL, "not complete: no error");
    }
    OK(kolo_barrier(ctx, NULL, NULL));
    if (rank_number == 0)
        submit(ctx, &late, 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, wait_for, late.request) == 0, "a thread");
    OK(kolo_wait(late.request, -1));
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0, "joining a thread");
    kolo_request_free(late.request);
    check(&late);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(kolo_context *ctx, random_source *random);
    } subjects[] = {{"order", test_order}, {"callbacks", test_callbacks}, {"fd", test_fd}, {"threads", test_threads},
                    {"progress", test_progress}, {"timeouts", test_timeouts}};
    CHECK(argc == 3, "usage: engine_asynchronous SUBJECT SEED");
    kolo_context *ctx = rank_join();
    random_source random = {.seed = random_of((uint64_t)rank_number_of(argv[2]), (uint64_t)rank_number)};
    int ran = 0;
    for (size_t i = 0; i < sizeof(subjects) / sizeof(*subjects); i++)
        if (strcmp(argv[1], subjects[i].name) == 0 || strcmp(argv[1], "all") == 0) {
            subjects[i].run(ctx, &random);
            ran++;
        }
    CHECK(ran > 0, "no subject '%s'", argv[1]);
    rank_leave(ctx);
    printf("passed %d\n", ran);
    return 0;
}
