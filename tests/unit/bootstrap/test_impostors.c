/* test_impostors.c - something else than this job's rank 0 where the ranks meet. */
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

/* A server by hand: what it does with each connection, `connections` times. */
typedef struct impostor {
    int listener;
    int connections;
    void (*act)(int fd);
    pthread_t thread;
} impostor;

static void *impostor_main(void *user)
{
    impostor *server = user;
    for (int i = 0; i < server->connections; i++) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            break;
        server->act(fd);
        close(fd);
    }
    return NULL;
}

static int32_t impostor_start(impostor *server, int connections, void (*act)(int fd))
{
    int32_t port;
    *server = (impostor){.listener = meeting_listen(&port), .connections = connections, .act = act};
    assert_int_equal(pthread_create(&server->thread, NULL, impostor_main, server), 0);
    return port;
}

static void impostor_end(impostor *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    close(server->listener);
}

/* Reads the hello, so that closing does not reset the connection before the answer is read. */
static void take_hello(int fd)
{
    uint8_t hello[KOLO_RV_HEADER_BYTES + 38];
    (void)!recv(fd, hello, sizeof(hello), MSG_WAITALL);
}

static void act_http(int fd)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    take_hello(fd);
    (void)!send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
}

static void act_hang_up(int fd)
{
    take_hello(fd);
}

static void act_say_nothing(int fd)
{
    for (char byte; recv(fd, &byte, 1, 0) > 0;)
        continue;
}

static void act_other_version(int fd)
{
    uint8_t frame[KOLO_RV_SMALL_MAX];
    kolo_rv_hello challenge = {.version = 2};
    take_hello(fd);
    (void)!send(fd, frame, kolo_rv_hello_encode(KOLO_RV_CHALLENGE, &challenge, frame), MSG_NOSIGNAL);
}

static void act_without_the_secret(int fd)
{
    uint8_t frame[KOLO_RV_SMALL_MAX], proof[KOLO_RV_PROOF_BYTES] = {0}, header[KOLO_RV_HEADER_BYTES],
                                      body[KOLO_RV_SMALL_MAX];
    kolo_rv_kind kind;
    uint32_t size;
    kolo_rv_hello challenge = {.version = KOLO_RV_VERSION};
    take_hello(fd);
    (void)!send(fd, frame, kolo_rv_hello_encode(KOLO_RV_CHALLENGE, &challenge, frame), MSG_NOSIGNAL);
    if (recv(fd, header, sizeof(header), MSG_WAITALL) == sizeof(header) && kolo_rv_header_decode(header, &kind, &size))
        (void)!recv(fd, body, size, MSG_WAITALL);
    (void)!send(fd, frame, kolo_rv_welcome_encode(proof, frame), MSG_NOSIGNAL);
}

static void expect_open_fails(void (*act)(int fd), const char *part)
{
    impostor server;
    member m;
    member_init(&m, 1, 2, impostor_start(&server, 1, act));
    assert_int_equal(member_open(&m), KOLO_ERR_BOOTSTRAP);
    expect_text(m.error.message, part);
    impostor_end(&server);
}

static void open__another_program_answers(void **state)
{
    (void)state;
    expect_open_fails(act_http, "is no Kolo rendezvous; is MASTER_PORT another program's port?");
}

static void open__another_version_answers(void **state)
{
    (void)state;
    expect_open_fails(act_other_version, "speaks version 2 of the rendezvous, rank 1 version 1");
}

static void open__another_jobs_rank_0_answers(void **state)
{
    (void)state;
    expect_open_fails(act_without_the_secret, "does not know this job's secret");
}

/* Who hangs up during the handshake may be on its way out, or full: try again. */
static void open__is_tried_again_after_a_hang_up(void **state)
{
    (void)state;
    impostor server;
    member zero, one;
    int32_t port = impostor_start(&server, 3, act_hang_up);
    member_init(&zero, 0, 2, port);
    zero.options.listen_fd = server.listener;
    member_init(&one, 1, 2, port);
    member_start(&one);
    assert_int_equal(pthread_join(server.thread, NULL), 0); /* three times in vain; from now on rank 0 has the socket */
    member_start(&zero);
    member_join(&zero);
    member_join(&one);
    assert_int_equal(zero.status, KOLO_OK);
    assert_int_equal(one.status, KOLO_OK);
}

static void expect_taken_port(void (*act)(int fd))
{
    impostor server;
    member m;
    int32_t port = impostor_start(&server, 1, act);
    char text[128];
    member_init(&m, 0, 2, port);
    assert_int_equal(member_open(&m), KOLO_ERR_BOOTSTRAP);
    snprintf(text, sizeof(text), "port %d on 127.0.0.1 is taken by another program; set MASTER_PORT to a free one",
             port);
    expect_text(m.error.message, text);
    impostor_end(&server);
}

static void open__port_is_taken_by_another_program(void **state)
{
    (void)state;
    expect_taken_port(act_hang_up);
    expect_taken_port(act_say_nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open__another_program_answers),
        cmocka_unit_test(open__another_version_answers),
        cmocka_unit_test(open__another_jobs_rank_0_answers),
        cmocka_unit_test(open__is_tried_again_after_a_hang_up),
        cmocka_unit_test(open__port_is_taken_by_another_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
