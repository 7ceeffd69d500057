/* shm_test.c - what the conformance suite does not ask of the shm transport: options, refusals, canceling
 * half-way, nonsense. */
#include "shm/shm.h"

#include "shm/instance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LARGE = 300000 };

typedef struct end {
    kolo_transport *t;
    const char *window, *attach;
    int completed[16], controls, lost;
    kolo_status explained;
    char explanation[512];
} end;

static const kolo_transport_ops *ops;

static void on_control(void *user, int32_t peer, const void *bytes, size_t size)
{
    (void)peer, (void)bytes, (void)size;
    ((end *)user)->controls++;
}

static void on_complete(void *user, void *cookie, kolo_status status)
{
    (void)cookie;
    ((end *)user)->completed[status]++;
}

static void on_peer_lost(void *user, int32_t peer, const char *why)
{
    (void)peer, (void)why;
    ((end *)user)->lost++;
}

static void explain(void *user, kolo_status status, int sys_errno, const char *message)
{
    (void)sys_errno;
    ((end *)user)->explained = status;
    snprintf(((end *)user)->explanation, sizeof(((end *)user)->explanation), "%s", message);
}

static const char *option(void *user, const char *name)
{
    const end *e = user;
    return strcmp(name, "SHM_WINDOW") == 0 ? e->window : strcmp(name, "SHM_ATTACH") == 0 ? e->attach : NULL;
}

static kolo_status create(end *e, int32_t rank, int32_t ranks)
{
    const kolo_transport_env env = {
        .struct_size = sizeof(env),
        .rank = rank,
        .size = ranks,
        .user = e,
        .on_control = on_control,
        .on_complete = on_complete,
        .on_peer_lost = on_peer_lost,
        .explain = explain,
        .option = option,
    };
    ops = kolo_shm_transport();
    return ops->create(&env, &e->t);
}

static kolo_status join(end *e, end ends[2])
{
    kolo_bytes addresses[2];
    for (int r = 0; r < 2; r++)
        assert_int_equal(ops->address(ends[r].t, &addresses[r]), KOLO_OK);
    return ops->connect(e->t, addresses);
}

static void open_two(end ends[2], const char *attach)
{
    memset(ends, 0, 2 * sizeof(ends[0]));
    for (int32_t r = 0; r < 2; r++) {
        ends[r].window = "4K";
        ends[r].attach = attach;
        assert_int_equal(create(&ends[r], r, 2), KOLO_OK);
    }
    for (int r = 0; r < 2; r++)
        assert_int_equal(join(&ends[r], ends), KOLO_OK);
}

static void step(end ends[2])
{
    for (int r = 0; r < 2; r++)
        ops->progress(ends[r].t);
}

static void destroy_two(end ends[2])
{
    for (int r = 0; r < 2; r++)
        ops->destroy(ends[r].t);
}

/* ---- options and refusals ---- */

static void create__bad_options(void **state)
{
    (void)state;
    static const struct {
        const char *window, *attach, *named;
    } bad[] = {{"many", "yes", "SHM_WINDOW=many"},
               {"-1", "yes", "SHM_WINDOW"},
               {"9999T", "yes", "SHM_WINDOW"},
               {"4K", "maybe", "SHM_ATTACH=maybe"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        end e = {.window = bad[i].window, .attach = bad[i].attach};
        assert_int_equal(create(&e, 0, 2), KOLO_ERR_CONFIG);
        assert_non_null(strstr(e.explanation, bad[i].named));
        assert_null(e.t);
    }
}

/* Under a limit of file sizes, so that a transport that does not look first harms nobody. */
static void create__no_memory__unsupported(void **state)
{
    (void)state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
    end e = {.window = "1T"};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    kolo_status status = create(&e, 0, 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, KOLO_ERR_UNSUPPORTED);
    assert_non_null(strstr(e.explanation, "KOLO_SHM_WINDOW"));
    assert_null(e.t);
}

static void create__file_size_limit__unsupported(void **state)
{
    (void)state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
    end e = {.window = "4K"};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    kolo_status status = create(&e, 0, 2); /* and no SIGXFSZ */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, KOLO_ERR_UNSUPPORTED);
    assert_non_null(strstr(e.explanation, "ulimit -f"));
}

static void create__file_descriptors_run_out(void **state)
{
    (void)state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    kolo_status status = KOLO_ERR_INTERNAL;
    for (rlim_t most = 0; status != KOLO_OK; most++) { /* each call that makes one fails once */
        end e = {.window = "4K"};
        small = (struct rlimit){.rlim_cur = most, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
        status = create(&e, 0, 2);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_true(status == KOLO_OK || status == KOLO_ERR_SYSTEM || status == KOLO_ERR_UNSUPPORTED);
        assert_int_equal(e.explained, status);
        if (status == KOLO_OK)
            ops->destroy(e.t);
    }
}

static void create__too_many_ranks__unsupported(void **state)
{
    (void)state;
    end e = {.window = "4K"};
    assert_int_equal(create(&e, 0, SHM_MAX_RANKS + 1), KOLO_ERR_UNSUPPORTED);
    assert_int_equal(create(&e, 63, 64), KOLO_OK);
    ops->destroy(e.t);
}

static void read_peer__no_such_memory(void **state)
{
    (void)state;
    end ends[2] = {{.window = "4K"}, {.window = "4K"}};
    for (int32_t r = 0; r < 2; r++)
        assert_int_equal(create(&ends[r], r, 2), KOLO_OK);
    for (int32_t r = 0; r < 2; r++)
        assert_int_equal(join(&ends[r], ends), KOLO_OK);
    char here[16];
    assert_true(ops->reads_peers(ends[0].t));
    assert_int_equal(ops->read_peer(ends[0].t, 1, 0x1000, here, sizeof(here)), KOLO_ERR_INVALID);
    assert_non_null(strstr(ends[0].explanation, "16 bytes at 0x1000 of rank 1, process "));
    assert_int_equal(ops->read_peer(ends[0].t, 0, 0x1000, here, 1), KOLO_ERR_INVALID);
    assert_int_equal(ops->read_peer(ends[0].t, 0, (uintptr_t)ends, here, sizeof(here)), KOLO_OK);
    assert_int_equal(ops->read_peer(ends[0].t, 1, (uintptr_t)ends, here, sizeof(here)), KOLO_OK);
    ops->cancel_all(ends[1].t); /* its memory is its user's again */
    assert_int_equal(ops->read_peer(ends[0].t, 1, (uintptr_t)ends, here, sizeof(here)), KOLO_ERR_PEER);
    destroy_two(ends);
}

static void read_peer__unwanted(void **state)
{
    (void)state;
    end ends[2] = {{.window = "4K", .attach = "no"}, {.window = "4K", .attach = "yes"}};
    for (int32_t r = 0; r < 2; r++)
        assert_int_equal(create(&ends[r], r, 2), KOLO_OK);
    for (int32_t r = 0; r < 2; r++)
        assert_int_equal(join(&ends[r], ends), KOLO_OK);
    assert_false(ops->reads_peers(ends[0].t));
    assert_true(ops->reads_peers(ends[1].t));
    destroy_two(ends);
}

static void connect__windows_differ(void **state)
{
    (void)state;
    end ends[2] = {{.window = "4K"}, {.window = "8K"}};
    for (int32_t r = 0; r < 2; r++)
        assert_int_equal(create(&ends[r], r, 2), KOLO_OK);
    assert_int_equal(join(&ends[0], ends), KOLO_ERR_CONFIG);
    assert_non_null(strstr(ends[0].explanation, "KOLO_SHM_WINDOW"));
    destroy_two(ends);
}

static void connect__another_proof__unsupported(void **state)
{
    (void)state;
    end ends[2] = {{.window = "4K"}, {.window = "4K"}};
    for (int32_t r = 0; r < 2; r++)
        assert_int_equal(create(&ends[r], r, 2), KOLO_OK);
    ends[1].t->head->proof[3] ^= 1; /* as if its number were another segment's here */
    assert_int_equal(join(&ends[0], ends), KOLO_ERR_UNSUPPORTED);
    assert_non_null(strstr(ends[0].explanation, "rank 1"));
    ends[1].t->head->proof[3] ^= 1;
    for (int r = 0; r < 2; r++)
        assert_int_equal(join(&ends[r], ends), KOLO_OK);
    destroy_two(ends);
}

static void window__shared_and_sized(void **state)
{
    (void)state;
    end ends[2];
    open_two(ends, "yes");
    assert_int_equal(ops->window_bytes(ends[0].t), 4096);
    unsigned char *here = ops->window(ends[0].t, 1), *there = ops->window(ends[1].t, 1);
    assert_ptr_not_equal(here, there);
    assert_int_equal((uintptr_t)here % 4096, 0);
    memset(there, 7, 4096);
    assert_int_equal(here[0], 7);
    assert_int_equal(here[4095], 7);
    ops->flags(ends[0].t, 0)[8 * (KOLO_TRANSPORT_FLAG_LINES - 1)] = 9;
    assert_int_equal(ops->flags(ends[1].t, 0)[8 * (KOLO_TRANSPORT_FLAG_LINES - 1)], 9);
    assert_null(ops->window(ends[0].t, 2));
    assert_null(ops->flags(ends[0].t, -1));
    destroy_two(ends);
}

/* ---- canceling half-way ---- */

/* The sender cancels; the receive stays, and takes the next message of that tag. */
static void sender_cancels(const char *attach, bool recv_first)
{
    end ends[2];
    unsigned char *from = malloc(LARGE), *to = malloc(LARGE);
    open_two(ends, attach);
    memset(from, 1, LARGE);
    if (recv_first)
        assert_int_equal(ops->recv(ends[1].t, 0, 5, to, LARGE, NULL), KOLO_OK);
    assert_int_equal(ops->send(ends[0].t, 1, 5, from, LARGE, NULL), KOLO_OK);
    ops->progress(ends[1].t); /* it has begun, and cannot be over yet */
    ops->cancel_all(ends[0].t);
    memset(from, 2, LARGE);
    for (int i = 0; i < 50; i++)
        step(ends);
    if (!recv_first)
        assert_int_equal(ops->recv(ends[1].t, 0, 5, to, LARGE, NULL), KOLO_OK);
    for (int i = 0; i < 50; i++)
        step(ends);
    assert_int_equal(ends[0].completed[KOLO_ERR_CANCELED], 1);
    assert_int_equal(ends[1].completed[KOLO_OK], 0);
    assert_int_equal(ops->send(ends[0].t, 1, 5, from, LARGE, NULL), KOLO_OK);
    while (ends[1].completed[KOLO_OK] + ends[0].completed[KOLO_OK] < 2)
        step(ends);
    for (size_t i = 0; i < LARGE; i++)
        assert_int_equal(to[i], 2);
    destroy_two(ends);
    free(from);
    free(to);
}

static void cancel__by_the_sender(void **state)
{
    (void)state;
    sender_cancels("yes", true);
    sender_cancels("yes", false);
    sender_cancels("no", true);
    sender_cancels("no", false);
}

/* The receiver cancels: the sender is not held up. */
static void receiver_cancels(const char *attach)
{
    end ends[2];
    unsigned char *from = malloc(LARGE), *to = malloc(LARGE);
    open_two(ends, attach);
    memset(from, 1, LARGE);
    assert_int_equal(ops->recv(ends[1].t, 0, 5, to, LARGE, NULL), KOLO_OK);
    assert_int_equal(ops->recv(ends[1].t, 1, 6, to, 1, NULL), KOLO_OK);
    assert_int_equal(ops->send(ends[0].t, 1, 5, from, LARGE, NULL), KOLO_OK);
    ops->progress(ends[1].t);
    ops->cancel_all(ends[1].t);
    memset(to, 3, LARGE);
    while (ends[0].completed[KOLO_OK] < 1 || ends[1].completed[KOLO_ERR_CANCELED] < 2)
        step(ends);
    for (size_t i = 0; i < LARGE; i++)
        assert_int_equal(to[i], 3);
    destroy_two(ends);
    free(from);
    free(to);
}

static void cancel__by_the_receiver(void **state)
{
    (void)state;
    receiver_cancels("yes");
    receiver_cancels("no");
}

/* Memory that the peer cannot be let read (here: none at all) comes in pieces after the refusal. */
static void pull__refused__goes_in_pieces(void **state)
{
    (void)state;
    end ends[2];
    unsigned char *from = malloc(LARGE), *to = malloc(LARGE);
    open_two(ends, "yes");
    memset(from, 1, LARGE);
    memset(to, 0, LARGE);
    assert_int_equal(ops->send(ends[0].t, 1, 5, from, LARGE, NULL), KOLO_OK);
    while (ops->progress(ends[1].t) == 0)
        continue;
    for (size_t b = 0; b < SHM_BUCKETS; b++) /* the receiver believes that it lies on page 0 */
        if (ends[1].t->arrivals[b])
            ends[1].t->arrivals[b]->announced.address = 0;
    assert_int_equal(ops->recv(ends[1].t, 0, 5, to, LARGE, NULL), KOLO_OK);
    while (ends[0].completed[KOLO_OK] < 1 || ends[1].completed[KOLO_OK] < 1)
        step(ends);
    assert_memory_equal(from, to, LARGE);
    destroy_two(ends);
    free(from);
    free(to);
}

/* ---- nonsense ---- */

static void nonsense__ends_the_peer_not_the_process(void **state)
{
    (void)state;
    unsigned char huge[32];
    memset(huge, 0xff, sizeof(huge));
    const struct {
        uint32_t kind;
        uint64_t word;
        size_t bytes;
    } bad[] = {{0, 0, 0},
               {99, 0, 0},
               {SHM_CONTROL_PART, KOLO_CONTROL_BYTES + 1, 8},
               {SHM_CONTROL_PART, 4, 8},
               {SHM_CONTROL_PART, 4, 0},
               {SHM_DATA_BEGIN, 1, 16},
               {SHM_DATA_BEGIN, 1, 3},
               {SHM_DATA_PART, 0, 8},
               {SHM_DATA_PART, SHM_LANES, 8},
               {SHM_DATA_ABORT, 1, 0},
               {SHM_ANNOUNCE, 1, 8},
               {SHM_PULLED, 0, 0},
               {SHM_REFUSED, UINT64_MAX, 0}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        end ends[2];
        unsigned char byte;
        open_two(ends, "yes");
        assert_int_equal(ops->recv(ends[1].t, 0, 5, &byte, 1, NULL), KOLO_OK);
        assert_int_equal(ops->send_control(ends[0].t, 1, "x", 1), KOLO_OK);
        assert_true(shm_put(ends[0].t, &ends[0].t->peers[1], (shm_kind)bad[i].kind, bad[i].word, huge, bad[i].bytes));
        while (ends[1].completed[KOLO_ERR_PEER] == 0)
            ops->progress(ends[1].t);
        assert_int_equal(ends[1].lost, 1);
        assert_int_equal(ends[1].controls, 1); /* what came before */
        assert_int_equal(ops->send_control(ends[1].t, 0, "x", 1), KOLO_ERR_PEER);
        destroy_two(ends);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__bad_options),
        cmocka_unit_test(create__no_memory__unsupported),
        cmocka_unit_test(create__file_size_limit__unsupported),
        cmocka_unit_test(create__file_descriptors_run_out),
        cmocka_unit_test(create__too_many_ranks__unsupported),
        cmocka_unit_test(read_peer__no_such_memory),
        cmocka_unit_test(read_peer__unwanted),
        cmocka_unit_test(connect__windows_differ),
        cmocka_unit_test(connect__another_proof__unsupported),
        cmocka_unit_test(window__shared_and_sized),
        cmocka_unit_test(cancel__by_the_sender),
        cmocka_unit_test(cancel__by_the_receiver),
        cmocka_unit_test(pull__refused__goes_in_pieces),
        cmocka_unit_test(nonsense__ends_the_peer_not_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
