/* meeting.c - ranks as threads, and clients by hand. Assertions only in what the test's own thread calls. */
#include <arpa/inet.h>
#include <errno.h>
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

void expect_text(const char *message, const char *part)
{
    if (strstr(message, part) == NULL)
        fail_msg("expected '%s' in: %s", part, message);
}

int meeting_listen(int32_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 1024), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

int32_t meeting_free_port(void)
{
    int32_t port;
    close(meeting_listen(&port));
    return port;
}

void member_init(member *m, int32_t rank, int32_t size, int32_t port)
{
    *m = (member){.job = {.rank = rank, .size = size, .local_rank = -1, .local_size = -1, .master_port = port},
                  .options = {.secret = "the secret", .listen_fd = -1, .timeout_ns = PATIENT_NS},
                  .rounds = 1,
                  .largest = 200,
                  .correct = true};
    snprintf(m->job.master_addr, sizeof(m->job.master_addr), "127.0.0.1");
}

/* Rank r's blob in a round: its size and bytes follow from both, so that everyone can check everyone's. Every rank
 * gives nothing once in a while. */
static size_t blob_size(int32_t rank, int round, size_t largest)
{
    return (size_t)(rank * 31 + round * 17) % 5 == 0 ? 0 : largest - (size_t)(rank + round) % (largest / 2 + 1);
}

static uint8_t blob_byte(int32_t rank, int round, size_t i)
{
    return (uint8_t)((size_t)rank * 7 + (size_t)round * 13 + i);
}

kolo_status member_open(member *m)
{
    m->status = kolo_rendezvous_open(&m->job, &m->options, &m->given);
    m->error = *kolo_error_current();
    return m->status;
}

kolo_status member_exchange(member *m, int round)
{
    size_t size = blob_size(m->job.rank, round, m->largest);
    uint8_t *blob = malloc(size + 1);
    kolo_bytes *all = calloc((size_t)m->job.size, sizeof(*all));
    for (size_t i = 0; i < size; i++)
        blob[i] = blob_byte(m->job.rank, round, i);
    m->status = kolo_rendezvous_exchange(m->given, blob, size, all);
    m->error = *kolo_error_current();
    for (int32_t rank = 0; m->status == KOLO_OK && rank < m->job.size; rank++) {
        m->correct = m->correct && all[rank].size == blob_size(rank, round, m->largest);
        for (size_t i = 0; m->correct && i < all[rank].size; i++)
            m->correct = ((const uint8_t *)all[rank].data)[i] == blob_byte(rank, round, i);
    }
    free(all);
    free(blob);
    return m->status;
}

static void *member_main(void *user)
{
    member *m = user;
    if (m->given == NULL && member_open(m) != KOLO_OK)
        return NULL;
    for (int round = 0; round < m->rounds; round++) {
        if (member_exchange(m, round) != KOLO_OK)
            break;
    }
    kolo_rendezvous_close(m->given);
    m->given = NULL;
    return NULL;
}

void member_start(member *m)
{
    assert_int_equal(pthread_create(&m->thread, NULL, member_main, m), 0);
}

void member_join(member *m)
{
    assert_int_equal(pthread_join(m->thread, NULL), 0);
}

int raw_connect(int32_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    struct timeval patience = {.tv_sec = 30};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

void raw_send(int fd, const void *bytes, size_t size)
{
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

static bool read_all(int fd, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(fd, bytes, size, 0);
        if (got <= 0)
            return false;
        bytes += got;
        size -= (size_t)got;
    }
    return true;
}

int raw_receive(int fd, uint8_t *body, size_t capacity, size_t *size)
{
    uint8_t header[KOLO_RV_HEADER_BYTES];
    kolo_rv_kind kind;
    uint32_t body_size;
    if (!read_all(fd, header, sizeof(header)))
        return -1;
    assert_true(kolo_rv_header_decode(header, &kind, &body_size));
    assert_true(body_size <= capacity);
    assert_true(read_all(fd, body, body_size));
    *size = body_size;
    return (int)kind;
}

int raw_join(int32_t port, const char *secret, int32_t rank, int32_t size)
{
    uint8_t frame[KOLO_RV_SMALL_MAX], body[KOLO_RV_SMALL_MAX];
    size_t body_size;
    kolo_rv_hello hello = {.version = KOLO_RV_VERSION, .nonce = {42}}, challenge;
    kolo_rv_join join = {.rank = rank, .size = size, .pid = 4711, .host = "by-hand"};
    kolo_rv_nonces nonces;
    int fd = raw_connect(port);
    raw_send(fd, frame, kolo_rv_hello_encode(KOLO_RV_HELLO, &hello, frame));
    assert_int_equal(raw_receive(fd, body, sizeof(body), &body_size), KOLO_RV_CHALLENGE);
    assert_true(kolo_rv_hello_decode(body, body_size, &challenge));
    memcpy(nonces.client, hello.nonce, sizeof(nonces.client));
    memcpy(nonces.server, challenge.nonce, sizeof(nonces.server));
    kolo_rv_prove_client(secret, &nonces, &join, join.proof);
    raw_send(fd, frame, kolo_rv_join_encode(&join, frame));
    assert_int_equal(raw_receive(fd, body, sizeof(body), &body_size), KOLO_RV_WELCOME);
    return fd;
}

bool raw_is_closed_by_peer(int fd)
{
    char byte[256];
    ssize_t got;
    while ((got = recv(fd, byte, sizeof(byte), 0)) > 0)
        ;
    return got == 0 || errno == ECONNRESET;
}
