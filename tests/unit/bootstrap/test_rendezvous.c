/* test_rendezvous.c - ranks as threads of one process meet: as they should, and with everything that can be wrong among
 * honest ranks. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/error.h"
#include "unit/bootstrap/meeting.h"

enum { MOST = 8 };

static void expect_success(const member *m)
{
    if (m->status != KOLO_OK)
        fail_msg("rank %d: %s", m->job.rank, m->error.message);
    assert_true(m->correct);
}

static void expect_failure(const member *m, const char *part)
{
    assert_int_equal(m->status, KOLO_ERR_BOOTSTRAP);
    expect_text(m->error.message, part);
}

/* All ranks of a job, rank 0 with an inherited listener. */
static void run_all(member *members, int32_t size, int rounds, size_t largest)
{
    int32_t port;
    int listener = meeting_listen(&port);
    for (int32_t rank = size - 1; rank >= 0; rank--) {
        member_init(&members[rank], rank, size, port);
        members[rank].rounds = rounds;
        members[rank].largest = largest;
        if (rank == 0)
            members[rank].options.listen_fd = listener;
        member_start(&members[rank]);
    }
    for (int32_t rank = 0; rank < size; rank++)
        member_join(&members[rank]);
}

static void exchange__one_to_eight_ranks(void **state)
{
    (void)state;
    for (int32_t size = 1; size <= MOST; size++) {
        member members[MOST];
        run_all(members, size, 4, 300);
        for (int32_t rank = 0; rank < size; rank++)
            expect_success(&members[rank]);
    }
}

static void exchange__blobs_larger_than_a_socket_holds(void **state)
{
    (void)state;
    member members[4];
    run_all(members, 4, 2, KOLO_RV_BLOB_MAX);
    for (int32_t rank = 0; rank < 4; rank++)
        expect_success(&members[rank]);
}

static void exchange__blob_too_large_is_refused_and_harmless(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member zero, one;
    member_init(&zero, 0, 2, port);
    zero.options.listen_fd = listener;
    member_init(&one, 1, 2, port);
    assert_int_equal(member_open(&zero), KOLO_OK);
    kolo_bytes all[2];
    uint8_t *large = calloc(1, KOLO_RV_BLOB_MAX + 1);
    assert_int_equal(kolo_rendezvous_exchange(zero.given, large, KOLO_RV_BLOB_MAX + 1, all), KOLO_ERR_INVALID);
    expect_text(kolo_error_current()->message, "1048577 bytes");
    free(large);
    member_start(&one);
    member_start(&zero);
    member_join(&zero);
    member_join(&one);
    expect_success(&zero);
    expect_success(&one);
}

static void exchange__calls_after_a_failure_answer_the_same(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member zero;
    member_init(&zero, 0, 2, port);
    zero.options.listen_fd = listener;
    zero.options.timeout_ns = 50 * KOLO_NS_PER_MS;
    assert_int_equal(member_open(&zero), KOLO_OK);
    assert_int_equal(member_exchange(&zero, 0), KOLO_ERR_BOOTSTRAP);
    assert_int_equal(member_exchange(&zero, 0), KOLO_ERR_BOOTSTRAP);
    expect_text(zero.error.message,
                "rank 1 has not come within 50 ms; see its output, or whether it was started at all");
    kolo_rendezvous_close(zero.given);
}

static void open__alone_takes_the_inherited_socket_out_of_the_way(void **state)
{
    (void)state;
    member m;
    int32_t port;
    int listener = meeting_listen(&port);
    member_init(&m, 0, 1, port);
    m.options.listen_fd = listener;
    assert_int_equal(member_open(&m), KOLO_OK);
    assert_int_equal(fcntl(listener, F_GETFD), -1);
    assert_int_equal(member_exchange(&m, 1), KOLO_OK);
    assert_true(m.correct);
    kolo_rendezvous_close(m.given);
}

static void open__inherited_socket_is_not_inherited_further(void **state)
{
    (void)state;
    member m;
    int32_t port;
    int listener = meeting_listen(&port);
    member_init(&m, 0, 2, port);
    m.options.listen_fd = listener;
    m.options.timeout_ns = KOLO_NS_PER_S;
    assert_int_equal(fcntl(listener, F_GETFD), 0);
    assert_int_equal(member_open(&m), KOLO_OK);
    assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
    kolo_rendezvous_close(m.given);
    assert_int_equal(fcntl(listener, F_GETFD), -1);
}

/* Two ranks that meet at addr, where rank 0 binds the port; listen_fd is what it is told to inherit. */
static void meet_at(const char *addr, int32_t port, int listen_fd)
{
    member members[2];
    for (int32_t rank = 1; rank >= 0; rank--) {
        member_init(&members[rank], rank, 2, port);
        snprintf(members[rank].job.master_addr, sizeof(members[rank].job.master_addr), "%s", addr);
        members[rank].options.listen_fd = rank == 0 ? listen_fd : -1;
        member_start(&members[rank]);
    }
    for (int32_t rank = 0; rank < 2; rank++)
        member_join(&members[rank]);
    for (int32_t rank = 0; rank < 2; rank++)
        expect_success(&members[rank]);
}

static void open__a_port_serves_one_job_after_the_other(void **state)
{
    (void)state;
    int32_t port = meeting_free_port();
    for (int i = 0; i < 3; i++)
        meet_at("127.0.0.1", port, -1);
}

static void open__by_name(void **state)
{
    (void)state;
    meet_at("localhost", meeting_free_port(), -1);
}

static void open__by_ipv6(void **state)
{
    (void)state;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool possible = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        close(fd);
    if (!possible)
        skip();
    meet_at("::1", meeting_free_port(), -1);
}

static void open__inherited_fd_is_something_else(void **state)
{
    (void)state;
    int other_port_listener, nothing = open("/dev/null", O_RDWR);
    int32_t other_port;
    meet_at("127.0.0.1", meeting_free_port(), nothing);
    assert_int_equal(fcntl(nothing, F_GETFD), 0); /* and it is left alone */
    close(nothing);
    meet_at("127.0.0.1", meeting_free_port(), nothing);
    other_port_listener = meeting_listen(&other_port);
    meet_at("127.0.0.1", meeting_free_port(), other_port_listener);
    assert_int_equal(fcntl(other_port_listener, F_GETFD), 0);
    close(other_port_listener);
}

static void open__nobody_answers(void **state)
{
    (void)state;
    member m;
    char where[128];
    member_init(&m, 1, 2, meeting_free_port());
    m.options.timeout_ns = 100 * KOLO_NS_PER_MS;
    assert_int_equal(member_open(&m), KOLO_ERR_BOOTSTRAP);
    snprintf(where, sizeof(where), "nobody answers at 127.0.0.1 port %d within 100 ms (Connection refused)",
             m.job.master_port);
    expect_text(m.error.message, where);
}

static void exchange__ranks_that_never_come_are_named_to_all(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member members[3];
    static const int32_t came[] = {0, 3, 5};
    for (int i = 0; i < 3; i++) {
        member_init(&members[i], came[i], 8, port);
        members[i].options.timeout_ns = KOLO_NS_PER_S;
        members[i].options.listen_fd = i == 0 ? listener : -1;
        assert_int_equal(member_open(&members[i]), KOLO_OK); /* all are there before the deadline starts to run */
    }
    for (int i = 0; i < 3; i++)
        member_start(&members[i]);
    for (int i = 0; i < 3; i++) {
        member_join(&members[i]);
        expect_failure(&members[i], "ranks 1-2,4,6-7 have not come within 1 s; see their output");
        assert_string_equal(members[i].error.ranks, "1-2,4,6-7");
    }
}

static void exchange__rank_that_came_but_is_silent_is_named(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member members[3];
    for (int32_t rank = 0; rank < 3; rank++) {
        member_init(&members[rank], rank, 4, port);
        members[rank].options.timeout_ns = KOLO_NS_PER_S;
        members[rank].options.listen_fd = rank == 0 ? listener : -1;
        assert_int_equal(member_open(&members[rank]), KOLO_OK);
    }
    member_start(&members[0]);
    member_start(&members[2]);
    member_join(&members[2]);
    kolo_rendezvous_close(members[1].given);
    member_join(&members[0]);
    for (int32_t rank = 0; rank < 3; rank += 2) {
        expect_failure(&members[rank],
                       "rank 3 has not come within 1 s; rank 1 has come, but not taken part in exchange 1");
        assert_string_equal(members[rank].error.ranks, "1,3");
    }
}

/* Ranks 0 and 1 are there; `third` comes and is sent away; then 0 and 1 go on as if nothing had been. */
static void expect_third_is_refused(member *third, int32_t port, int listener, const char *const parts[], size_t count)
{
    member members[2];
    for (int32_t rank = 0; rank < 2; rank++) {
        member_init(&members[rank], rank, 2, port);
        members[rank].options.listen_fd = rank == 0 ? listener : -1;
        assert_int_equal(member_open(&members[rank]), KOLO_OK);
    }
    assert_int_equal(member_open(third), KOLO_ERR_BOOTSTRAP);
    for (size_t i = 0; i < count; i++)
        expect_text(third->error.message, parts[i]);
    for (int32_t rank = 0; rank < 2; rank++)
        member_start(&members[rank]);
    for (int32_t rank = 0; rank < 2; rank++)
        member_join(&members[rank]);
    for (int32_t rank = 0; rank < 2; rank++)
        expect_success(&members[rank]);
}

static void open__second_process_with_a_rank(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member third;
    char pids[128], host[65] = "", first[128];
    gethostname(host, sizeof(host) - 1);
    snprintf(first, sizeof(first), "pid %d on %s, which goes on", getpid(), host);
    snprintf(pids, sizeof(pids), "and pid %d on %s", getpid(), host);
    member_init(&third, 1, 2, port);
    expect_third_is_refused(&third, port, listener, (const char *const[]){"two processes have RANK 1", first, pids}, 3);
    assert_string_equal(third.error.ranks, "1");
}

static void open__second_process_with_rank_0(void **state)
{
    (void)state;
    member third;
    int32_t port = meeting_free_port();
    member_init(&third, 0, 2, port);
    /* It finds the port taken, asks who has it, and hears that it is its own job. */
    expect_third_is_refused(&third, port, -1,
                            (const char *const[]){"two processes have RANK 0", "every process needs its own RANK"}, 2);
}

static void open__different_world_size(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member third;
    member_init(&third, 1, 3, port);
    expect_third_is_refused(
        &third, port, listener,
        (const char *const[]){"rank 1 (pid ", "has WORLD_SIZE 3", "but rank 0 (pid ", "has WORLD_SIZE 2"}, 4);
}

static void open__wrong_secret(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member third;
    member_init(&third, 1, 2, port);
    third.options.secret = "not the secret";
    expect_third_is_refused(&third, port, listener,
                            (const char *const[]){"does not know this job's secret", "KOLO_JOB_SECRET"}, 2);
}

static void open__no_secret_on_either_side(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member members[2];
    for (int32_t rank = 0; rank < 2; rank++) {
        member_init(&members[rank], rank, 2, port);
        members[rank].options.secret = "";
        members[rank].options.timeout_ns = 0; /* and no deadline */
        members[rank].options.listen_fd = rank == 0 ? listener : -1;
        member_start(&members[rank]);
    }
    for (int32_t rank = 0; rank < 2; rank++)
        member_join(&members[rank]);
    for (int32_t rank = 0; rank < 2; rank++)
        expect_success(&members[rank]);
}

static void exchange__who_was_refused_is_told_on_the_deadline(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member zero, one;
    member_init(&zero, 0, 2, port);
    zero.options.listen_fd = listener;
    zero.options.timeout_ns = 50 * KOLO_NS_PER_MS;
    member_init(&one, 1, 3, port);
    assert_int_equal(member_open(&zero), KOLO_OK);
    assert_int_equal(member_open(&one), KOLO_ERR_BOOTSTRAP);
    assert_int_equal(member_exchange(&zero, 0), KOLO_ERR_BOOTSTRAP);
    expect_text(zero.error.message, "rank 1 has not come within 50 ms; note: rank 1 (pid ");
    expect_text(zero.error.message, "has WORLD_SIZE 3");
    kolo_rendezvous_close(zero.given);
}

static void exchange__rank_has_left(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member members[3];
    for (int32_t rank = 0; rank < 3; rank++) {
        member_init(&members[rank], rank, 3, port);
        members[rank].options.listen_fd = rank == 0 ? listener : -1;
        assert_int_equal(member_open(&members[rank]), KOLO_OK);
    }
    kolo_rendezvous_close(members[2].given);
    for (int32_t rank = 0; rank < 2; rank++)
        member_start(&members[rank]);
    for (int32_t rank = 0; rank < 2; rank++) {
        member_join(&members[rank]);
        expect_failure(&members[rank], "left the rendezvous");
    }
}

static void open__after_the_job_has_failed(void **state)
{
    (void)state;
    int32_t port;
    int listener = meeting_listen(&port);
    member zero, late;
    member_init(&zero, 0, 3, port);
    zero.options.listen_fd = listener;
    zero.options.timeout_ns = 50 * KOLO_NS_PER_MS;
    member_init(&late, 1, 3, port);
    assert_int_equal(member_open(&zero), KOLO_OK);
    assert_int_equal(member_exchange(&zero, 0), KOLO_ERR_BOOTSTRAP);
    assert_int_equal(member_open(&late), KOLO_ERR_BOOTSTRAP);
    expect_text(late.error.message, "ranks 1-2 have not come within 50 ms");
    kolo_rendezvous_close(zero.given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchange__one_to_eight_ranks),
        cmocka_unit_test(exchange__blobs_larger_than_a_socket_holds),
        cmocka_unit_test(exchange__blob_too_large_is_refused_and_harmless),
        cmocka_unit_test(exchange__calls_after_a_failure_answer_the_same),
        cmocka_unit_test(open__alone_takes_the_inherited_socket_out_of_the_way),
        cmocka_unit_test(open__inherited_socket_is_not_inherited_further),
        cmocka_unit_test(open__a_port_serves_one_job_after_the_other),
        cmocka_unit_test(open__by_name),
        cmocka_unit_test(open__by_ipv6),
        cmocka_unit_test(open__inherited_fd_is_something_else),
        cmocka_unit_test(open__nobody_answers),
        cmocka_unit_test(exchange__ranks_that_never_come_are_named_to_all),
        cmocka_unit_test(exchange__rank_that_came_but_is_silent_is_named),
        cmocka_unit_test(open__second_process_with_a_rank),
        cmocka_unit_test(open__second_process_with_rank_0),
        cmocka_unit_test(open__different_world_size),
        cmocka_unit_test(open__wrong_secret),
        cmocka_unit_test(open__no_secret_on_either_side),
        cmocka_unit_test(exchange__who_was_refused_is_told_on_the_deadline),
        cmocka_unit_test(exchange__rank_has_left),
        cmocka_unit_test(open__after_the_job_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
