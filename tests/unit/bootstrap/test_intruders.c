/* test_intruders.c - the rendezvous among strangers: foreign clients, ranks that die or talk nonsense halfway. */
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
#include "base/rng.h"
#include "bootstrap/rendezvous_server.h"
#include "unit/bootstrap/meeting.h"

/* Ranks 0 and 1 of `size`, opened. */
static int32_t open_two(member members[2], int32_t size)
{
    int32_t port;
    int listener = meeting_listen(&port);
    for (int32_t rank = 0; rank < 2; rank++) {
        member_init(&members[rank], rank, size, port);
        members[rank].options.listen_fd = rank == 0 ? listener : -1;
        if (member_open(&members[rank]) != KOLO_OK)
            fail_msg("%s", members[rank].error.message);
    }
    return port;
}

static void finish_two(member members[2])
{
    for (int32_t rank = 0; rank < 2; rank++)
        member_start(&members[rank]);
    for (int32_t rank = 0; rank < 2; rank++)
        member_join(&members[rank]);
}

static void expect_both_succeed(member members[2])
{
    finish_two(members);
    for (int32_t rank = 0; rank < 2; rank++) {
        if (members[rank].status != KOLO_OK)
            fail_msg("%s", members[rank].error.message);
        assert_true(members[rank].correct);
    }
}

static void expect_both_fail(member members[2], const char *part, const char *ranks)
{
    finish_two(members);
    for (int32_t rank = 0; rank < 2; rank++) {
        assert_int_equal(members[rank].status, KOLO_ERR_BOOTSTRAP);
        expect_text(members[rank].error.message, part);
        assert_string_equal(members[rank].error.ranks, ranks);
    }
}

/* ---- strangers at the door: the job goes on -------------------------------------------------- */

static void server__garbage_is_dropped_at_once(void **state)
{
    (void)state;
    static const char *const garbage[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
                                          "\6\0\0\0\xff\xff\x0f\0 a blob from nobody"};
    member members[2];
    int32_t port = open_two(members, 2);
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        int fd = raw_connect(port);
        raw_send(fd, garbage[i], strlen(garbage[i]) < 8 ? 24 : strlen(garbage[i]));
        assert_true(raw_is_closed_by_peer(fd));
        close(fd);
    }
    expect_both_succeed(members);
}

static void server__random_bytes_are_dropped(void **state)
{
    (void)state;
    const uint64_t seed = 20250608;
    kolo_rng rng = {seed};
    member members[2];
    int32_t port = open_two(members, 2);
    for (int i = 0; i < 200; i++) {
        uint8_t bytes[KOLO_RV_SMALL_MAX];
        kolo_rv_hello hello = {.version = KOLO_RV_VERSION};
        size_t size = kolo_rng_below(&rng, sizeof(bytes));
        for (size_t b = 0; b < size; b++)
            bytes[b] = (uint8_t)kolo_rng_next(&rng);
        if (i % 2 == 0) { /* half of them begin well */
            uint8_t frame[KOLO_RV_SMALL_MAX];
            size_t begin = kolo_rv_hello_encode(KOLO_RV_HELLO, &hello, frame);
            memcpy(bytes, frame, begin < size ? begin : size);
        }
        int fd = raw_connect(port);
        (void)!send(fd, bytes, size, MSG_NOSIGNAL);
        close(fd);
    }
    expect_both_succeed(members);
}

static void server__another_version_is_told_ours(void **state)
{
    (void)state;
    member members[2];
    int32_t port = open_two(members, 2);
    uint8_t frame[KOLO_RV_SMALL_MAX], body[KOLO_RV_SMALL_MAX];
    size_t size;
    kolo_rv_hello hello = {.version = 99}, challenge;
    int fd = raw_connect(port);
    raw_send(fd, frame, kolo_rv_hello_encode(KOLO_RV_HELLO, &hello, frame));
    assert_int_equal(raw_receive(fd, body, sizeof(body), &size), KOLO_RV_CHALLENGE);
    assert_true(kolo_rv_hello_decode(body, size, &challenge));
    assert_int_equal(challenge.version, KOLO_RV_VERSION);
    assert_true(raw_is_closed_by_peer(fd));
    close(fd);
    expect_both_succeed(members);
}

/* A server by itself, with a short time for handshakes: silence, and half a hello, are dropped; a joined rank is not.
 */
static void server__silence_is_dropped_after_a_while(void **state)
{
    (void)state;
    int32_t port;
    kolo_rv_server *server;
    kolo_rv_server_options options = {.listen_fd = meeting_listen(&port),
                                      .size = 2,
                                      .secret = "s",
                                      .host = "h",
                                      .pid = 1,
                                      .handshake_ns = KOLO_NS_PER_S};
    assert_int_equal(fcntl(options.listen_fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(kolo_rv_server_create(&options, &server), KOLO_OK);
    int joined = raw_join(port, "s", 1, 2);
    int silent = raw_connect(port), half = raw_connect(port);
    raw_send(half, "\1\0\0\0\x26", 5);
    assert_true(raw_is_closed_by_peer(silent));
    assert_true(raw_is_closed_by_peer(half));
    char byte;
    assert_int_equal(recv(joined, &byte, 1, MSG_DONTWAIT), -1); /* still open */
    close(silent);
    close(half);
    close(joined);
    kolo_rv_server_destroy(server, 0);
}

static void server__many_strangers_make_room_for_newer_ones(void **state)
{
    (void)state;
    enum { STRANGERS = 100 };
    int fds[STRANGERS];
    member members[2];
    int32_t port = open_two(members, 2);
    for (int i = 0; i < STRANGERS; i++)
        fds[i] = raw_connect(port);
    assert_true(raw_is_closed_by_peer(fds[0])); /* not after its 5 s, but for the newest one */
    expect_both_succeed(members);
    for (int i = 0; i < STRANGERS; i++)
        close(fds[i]);
}

static void server__does_not_wait_for_strangers_at_the_end(void **state)
{
    (void)state;
    member members[2];
    int32_t port = open_two(members, 2);
    int fd = raw_connect(port);
    expect_both_succeed(members);
    assert_true(raw_is_closed_by_peer(fd));
    close(fd);
}

/* ---- ranks that go wrong: the job ends, by name. Rank 3 never comes, so that no exchange completes before that ----
 */

static void exchange__rank_dies_before_it_gives(void **state)
{
    (void)state;
    member members[2];
    int32_t port = open_two(members, 4);
    close(raw_join(port, "the secret", 2, 4));
    expect_both_fail(members, "rank 2 (pid 4711 on by-hand) closed its connection during the rendezvous", "2");
}

static void exchange__rank_dies_in_the_middle_of_its_blob(void **state)
{
    (void)state;
    member members[2];
    uint8_t frame[KOLO_RV_SMALL_MAX];
    int32_t port = open_two(members, 4);
    int fd = raw_join(port, "the secret", 2, 4);
    raw_send(fd, frame, kolo_rv_give_encode(0, 1000, frame));
    raw_send(fd, "only this", 9);
    close(fd);
    expect_both_fail(members, "rank 2 (pid 4711 on by-hand) closed its connection", "2");
}

static void exchange__rank_dies_after_it_gave(void **state)
{
    (void)state;
    member members[2];
    uint8_t frame[KOLO_RV_SMALL_MAX];
    int32_t port = open_two(members, 4);
    int fd = raw_join(port, "the secret", 2, 4);
    raw_send(fd, frame, kolo_rv_give_encode(0, 0, frame));
    close(fd);
    expect_both_fail(members, "rank 2 (pid 4711 on by-hand) closed its connection", "2");
}

/* Between exchanges nobody waits for the server's word; it is there for who looks. */
static void exchange__rank_dies_between(void **state)
{
    (void)state;
    member zero;
    int32_t port;
    int listener = meeting_listen(&port);
    member_init(&zero, 0, 2, port);
    zero.options.listen_fd = listener;
    assert_int_equal(member_open(&zero), KOLO_OK);
    int fd = raw_join(port, "the secret", 1, 2);
    assert_false(kolo_rendezvous_is_over(zero.given, 0));
    close(fd);
    assert_true(kolo_rendezvous_is_over(zero.given, PATIENT_NS));
    zero.rounds = 1;
    member_start(&zero);
    member_join(&zero);
    assert_int_equal(zero.status, KOLO_ERR_BOOTSTRAP);
    assert_string_equal(zero.error.ranks, "1");
}

static void expect_nonsense_ends_the_job(const uint8_t *bytes, size_t size)
{
    member members[2];
    int32_t port = open_two(members, 4);
    int fd = raw_join(port, "the secret", 2, 4);
    raw_send(fd, bytes, size);
    expect_both_fail(members, "rank 2 (pid 4711 on by-hand) sent bytes that are not the rendezvous's protocol", "2");
    assert_true(raw_is_closed_by_peer(fd));
    close(fd);
}

static void exchange__rank_talks_nonsense(void **state)
{
    (void)state;
    uint8_t frame[2 * KOLO_RV_SMALL_MAX];
    expect_nonsense_ends_the_job((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    expect_nonsense_ends_the_job(frame, kolo_rv_give_encode(5, 0, frame)); /* a round that is not on */
    size_t size = kolo_rv_give_encode(0, 0, frame);
    size += kolo_rv_give_encode(0, 0, frame + size); /* twice in one round */
    expect_nonsense_ends_the_job(frame, size);
    uint8_t proof[KOLO_RV_PROOF_BYTES] = {0};
    expect_nonsense_ends_the_job(frame, kolo_rv_welcome_encode(proof, frame)); /* the server's own words */
    size = kolo_rv_give_encode(0, 8, frame);
    frame[4] = 8; /* the frame ends before the blob does */
    expect_nonsense_ends_the_job(frame, size);
}

static void exchange__rank_leaves_in_the_middle(void **state)
{
    (void)state;
    member members[2];
    uint8_t frame[KOLO_RV_SMALL_MAX];
    int32_t port = open_two(members, 4);
    int fd = raw_join(port, "the secret", 2, 4);
    raw_send(fd, frame, kolo_rv_give_encode(0, 0, frame));
    raw_send(fd, frame, kolo_rv_leave_encode(frame));
    expect_both_fail(members, "rank 2 (pid 4711 on by-hand) has left the rendezvous while others wait", "2");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server__garbage_is_dropped_at_once),
        cmocka_unit_test(server__random_bytes_are_dropped),
        cmocka_unit_test(server__another_version_is_told_ours),
        cmocka_unit_test(server__silence_is_dropped_after_a_while),
        cmocka_unit_test(server__many_strangers_make_room_for_newer_ones),
        cmocka_unit_test(server__does_not_wait_for_strangers_at_the_end),
        cmocka_unit_test(exchange__rank_dies_before_it_gives),
        cmocka_unit_test(exchange__rank_dies_in_the_middle_of_its_blob),
        cmocka_unit_test(exchange__rank_dies_after_it_gave),
        cmocka_unit_test(exchange__rank_dies_between),
        cmocka_unit_test(exchange__rank_talks_nonsense),
        cmocka_unit_test(exchange__rank_leaves_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
