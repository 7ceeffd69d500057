/* rendezvous.c - a rank's side of the rendezvous: reach rank 0, prove the secret, exchange, leave. Rank 0 also starts
 * the server here. */
#include "bootstrap/rendezvous.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "bootstrap/rendezvous_server.h"
#include "bootstrap/rendezvous_socket.h"
#include "bootstrap/rendezvous_wire.h"

/* The server keeps the deadline of an exchange, because it knows who is missing; the client waits so much longer for
 * its word. */
#define ANSWER_GRACE_NS (3 * KOLO_NS_PER_S)
/* Pauses between attempts to connect. */
#define PAUSE_FIRST_NS  (10 * KOLO_NS_PER_MS)
#define PAUSE_LAST_NS   (500 * KOLO_NS_PER_MS)
/* For the question whether a taken port is taken by this very job. */
#define PROBE_NS        (1 * KOLO_NS_PER_S)

struct kolo_rendezvous {
    kolo_job job;
    char *secret;
    char where[300]; /* "node7 port 29500" */
    const kolo_log *log;
    int64_t timeout_ns;
    kolo_rv_server *server; /* rank 0 of several */
    int fd;                 /* -1: a job of one, or failed */
    uint32_t round;
    uint8_t *received; /* body of the last ALL; a job of one: its own bytes */
    bool failed;
    kolo_error failure; /* what every call after a failure answers */
};

/* ---- frames --------------------------------------------------------------------------------- */

static kolo_status fail_io(const kolo_rendezvous *rendezvous, kolo_rv_io io, const char *doing)
{
    if (io == KOLO_RV_IO_TIMEOUT)
        return kolo_fail(KOLO_ERR_BOOTSTRAP, "rank 0 at %s did not answer in time while rank %d was %s%s",
                         rendezvous->where, rendezvous->job.rank, doing,
                         rendezvous->fd < 0 ? "; or is that another program's port?" : ""); /* not welcomed yet */
    if (io == KOLO_RV_IO_CLOSED)
        return kolo_fail(KOLO_ERR_BOOTSTRAP,
                         "rank 0 at %s closed the connection while rank %d was %s; its own output says why",
                         rendezvous->where, rendezvous->job.rank, doing);
    return kolo_fail_errno(KOLO_ERR_BOOTSTRAP, errno, "the connection to rank 0 at %s broke while rank %d was %s",
                           rendezvous->where, rendezvous->job.rank, doing);
}

/* What the server said went wrong becomes this thread's error. */
static kolo_status fail_as_told(const uint8_t *body, size_t size, const char *where)
{
    kolo_rv_failure failure;
    if (!kolo_rv_failure_decode(body, size, &failure))
        return kolo_fail(KOLO_ERR_BOOTSTRAP, "rank 0 at %s sent an error that does not decode", where);
    kolo_status status = kolo_fail(KOLO_ERR_BOOTSTRAP, "%s", failure.message);
    snprintf(kolo_error_current()->ranks, sizeof(failure.ranks), "%s", failure.ranks);
    return status;
}

/* Receives one frame of the wanted kind into *body (malloc'd). A FAIL instead of it is the answer to everything.
 * KOLO_ERR_STATE without an error text: the connection was closed before a frame began; the caller knows what that
 * means. */
static kolo_status receive_frame(const kolo_rendezvous *rendezvous, int fd, kolo_rv_kind wanted, int64_t deadline_ns,
                                 const char *doing, uint8_t **body, size_t *size)
{
    uint8_t header[KOLO_RV_HEADER_BYTES];
    kolo_rv_kind kind;
    uint32_t body_size;
    kolo_rv_io io = kolo_rv_recv(fd, header, sizeof(header), deadline_ns);
    if (io != KOLO_RV_IO_OK)
        return io == KOLO_RV_IO_CLOSED ? KOLO_ERR_STATE : fail_io(rendezvous, io, doing);
    if (!kolo_rv_header_decode(header, &kind, &body_size) || (kind != wanted && kind != KOLO_RV_FAIL))
        return kolo_fail(KOLO_ERR_BOOTSTRAP,
                         "what answers at %s is no Kolo rendezvous; is MASTER_PORT another program's port?",
                         rendezvous->where);
    uint8_t *bytes = malloc(body_size > 0 ? body_size : 1);
    if (bytes == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for %u bytes from rank 0", body_size);
    io = kolo_rv_recv(fd, bytes, body_size, deadline_ns);
    kolo_status status = KOLO_OK;
    if (io != KOLO_RV_IO_OK)
        status = fail_io(rendezvous, io, doing);
    else if (kind == KOLO_RV_FAIL)
        status = fail_as_told(bytes, body_size, rendezvous->where);
    if (status != KOLO_OK) {
        free(bytes);
        return status;
    }
    *body = bytes;
    *size = body_size;
    return KOLO_OK;
}

/* ---- joining -------------------------------------------------------------------------------- */

/* This process, as others shall name it. */
static void describe_self(const kolo_job *job, kolo_rv_join *join)
{
    *join = (kolo_rv_join){.rank = job->rank, .size = job->size, .pid = (uint32_t)getpid()};
    if (gethostname(join->host, sizeof(join->host) - 1) != 0)
        snprintf(join->host, sizeof(join->host), "unknown");
    for (char *c = join->host; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
}

/* HELLO and CHALLENGE. KOLO_ERR_STATE: closed, try again. */
static kolo_status greet(const kolo_rendezvous *rendezvous, int fd, int64_t deadline_ns, kolo_rv_nonces *nonces)
{
    uint8_t frame[KOLO_RV_SMALL_MAX], *body;
    size_t size;
    kolo_rv_hello hello = {.version = KOLO_RV_VERSION}, challenge;
    if (!kolo_rv_nonce_fill(hello.nonce))
        return kolo_fail(KOLO_ERR_SYSTEM, "the system has no random numbers for the rendezvous");
    /* If sending fails, receiving tells more. */
    (void)!kolo_rv_send(fd, frame, kolo_rv_hello_encode(KOLO_RV_HELLO, &hello, frame), deadline_ns);
    KOLO_TRY(receive_frame(rendezvous, fd, KOLO_RV_CHALLENGE, deadline_ns, "greeting it", &body, &size));
    bool sound = kolo_rv_hello_decode(body, size, &challenge);
    free(body);
    if (!sound)
        return kolo_fail(KOLO_ERR_BOOTSTRAP,
                         "what answers at %s is no Kolo rendezvous; is MASTER_PORT another program's port?",
                         rendezvous->where);
    if (challenge.version != KOLO_RV_VERSION)
        return kolo_fail(
            KOLO_ERR_BOOTSTRAP,
            "rank 0 at %s speaks version %u of the rendezvous, rank %d version %d; give all ranks the same Kolo",
            rendezvous->where, challenge.version, rendezvous->job.rank, KOLO_RV_VERSION);
    memcpy(nonces->client, hello.nonce, sizeof(hello.nonce));
    memcpy(nonces->server, challenge.nonce, sizeof(challenge.nonce));
    return KOLO_OK;
}

/* The whole handshake on a fresh connection. KOLO_ERR_STATE: closed, try again. */
static kolo_status shake_hands(const kolo_rendezvous *rendezvous, int fd, int64_t deadline_ns)
{
    uint8_t frame[KOLO_RV_SMALL_MAX], proof[KOLO_RV_PROOF_BYTES], expected[KOLO_RV_PROOF_BYTES], *body;
    size_t size;
    kolo_rv_nonces nonces;
    kolo_rv_join join;
    KOLO_TRY(greet(rendezvous, fd, deadline_ns, &nonces));
    describe_self(&rendezvous->job, &join);
    kolo_rv_prove_client(rendezvous->secret, &nonces, &join, join.proof);
    (void)!kolo_rv_send(fd, frame, kolo_rv_join_encode(&join, frame), deadline_ns);
    KOLO_TRY(receive_frame(rendezvous, fd, KOLO_RV_WELCOME, deadline_ns, "joining", &body, &size));
    bool sound = kolo_rv_welcome_decode(body, size, proof);
    free(body);
    kolo_rv_prove_server(rendezvous->secret, &nonces, &join, expected);
    if (!sound || !kolo_rv_proof_equal(proof, expected))
        return kolo_fail(KOLO_ERR_BOOTSTRAP,
                         "what answers at %s does not know this job's secret; is it another job's rank 0?",
                         rendezvous->where);
    return KOLO_OK;
}

static void pause_until(int64_t time_ns)
{
    int64_t now;
    while ((now = kolo_clock_now_ns()) < time_ns)
        (void)poll(NULL, 0, kolo_rv_poll_ms(time_ns, now));
}

/* Connects and joins, again and again: rank 0 may come later, and its host's name may become known later. */
static kolo_status join(kolo_rendezvous *rendezvous, int64_t timeout_ns)
{
    int64_t deadline = kolo_rv_deadline(timeout_ns), pause = PAUSE_FIRST_NS;
    const char *why = "";
    for (int attempt = 0;; attempt++) {
        int fd;
        if (kolo_rv_connect(rendezvous->job.master_addr, rendezvous->job.master_port, deadline, &fd, &why)) {
            kolo_status status = shake_hands(rendezvous, fd, deadline);
            if (status == KOLO_OK) {
                rendezvous->fd = fd;
                return KOLO_OK;
            }
            close(fd);
            if (status != KOLO_ERR_STATE)
                return status;
            why = "the connection was closed before an answer came";
        }
        int64_t now = kolo_clock_now_ns();
        if (attempt == 20)
            kolo_log_write(rendezvous->log, KOLO_LOG_INFO, "rendezvous: still trying to reach rank 0 at %s: %s",
                           rendezvous->where, why);
        if (deadline != KOLO_RV_FOREVER && now >= deadline)
            break;
        pause_until(pause < deadline - now ? now + pause : deadline);
        pause = 2 * pause < PAUSE_LAST_NS ? 2 * pause : PAUSE_LAST_NS;
    }
    char within[32];
    const char *advice = rendezvous->server != NULL
                             ? "this is rank 0, which listens on its own host: is MASTER_ADDR an address of that?"
                             : "is rank 0 running, and are MASTER_ADDR and MASTER_PORT right?";
    return kolo_fail(KOLO_ERR_BOOTSTRAP, "nobody answers at %s within %s (%s); %s", rendezvous->where,
                     kolo_rv_duration(timeout_ns, within, sizeof(within)), why, advice);
}

/* ---- rank 0 --------------------------------------------------------------------------------- */

/* The port is taken. If a Kolo rendezvous answers there, a second process has RANK 0, and its answer says who has it
 * already. */
static kolo_status explain_taken_port(kolo_rendezvous *rendezvous)
{
    kolo_error taken = *kolo_error_current();
    int fd;
    const char *why;
    if (kolo_rv_connect(rendezvous->job.master_addr, rendezvous->job.master_port, kolo_rv_deadline(PROBE_NS), &fd,
                        &why)) {
        kolo_status status = shake_hands(rendezvous, fd, kolo_rv_deadline(PROBE_NS));
        close(fd);
        if (status == KOLO_ERR_BOOTSTRAP && kolo_error_current()->ranks[0] != '\0')
            return status;
    }
    return kolo_error_adopt(&taken);
}

static kolo_status start_server(kolo_rendezvous *rendezvous, const kolo_rendezvous_options *options)
{
    int fd;
    kolo_status status = kolo_rv_listen(&rendezvous->job, options->listen_fd, &fd);
    if (status != KOLO_OK)
        return kolo_error_current()->sys_errno == EADDRINUSE ? explain_taken_port(rendezvous) : status;
    kolo_rv_join self;
    describe_self(&rendezvous->job, &self);
    kolo_rv_server_options server_options = {.listen_fd = fd,
                                             .size = rendezvous->job.size,
                                             .secret = rendezvous->secret,
                                             .timeout_ns = options->timeout_ns,
                                             .host = self.host,
                                             .pid = self.pid,
                                             .log = options->log};
    status = kolo_rv_server_create(&server_options, &rendezvous->server);
    if (status != KOLO_OK)
        close(fd);
    return status;
}

/* ---- the calls ------------------------------------------------------------------------------ */

static void rendezvous_free(kolo_rendezvous *rendezvous)
{
    if (rendezvous->fd >= 0)
        close(rendezvous->fd);
    free(rendezvous->secret);
    free(rendezvous->received);
    free(rendezvous);
}

static kolo_status open_checked(kolo_rendezvous *rendezvous, const kolo_rendezvous_options *options)
{
    const kolo_job *job = &rendezvous->job;
    if (job->size == 1) {
        /* Nobody to meet; but the socket that kolorun left is taken all the same, so that no child inherits it. */
        if (kolo_rv_listener_is_ours(options->listen_fd, job->master_port))
            close(options->listen_fd);
        return KOLO_OK;
    }
    if (job->rank == 0)
        KOLO_TRY(start_server(rendezvous, options));
    return join(rendezvous, options->timeout_ns);
}

kolo_status kolo_rendezvous_open(const kolo_job *job, const kolo_rendezvous_options *options,
                                 kolo_rendezvous **rendezvous)
{
    kolo_rendezvous *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the rendezvous");
    made->job = *job;
    made->fd = -1;
    made->log = options->log;
    made->timeout_ns = options->timeout_ns;
    snprintf(made->where, sizeof(made->where), "%s port %d", job->master_addr, job->master_port);
    made->secret = strdup(options->secret);
    kolo_status status =
        made->secret == NULL ? kolo_fail(KOLO_ERR_MEMORY, "no memory for the rendezvous") : open_checked(made, options);
    if (status != KOLO_OK) {
        kolo_error error = *kolo_error_current();
        kolo_rv_server_destroy(made->server, options->timeout_ns);
        rendezvous_free(made);
        return kolo_error_adopt(&error);
    }
    *rendezvous = made;
    return KOLO_OK;
}

static kolo_status exchange_alone(kolo_rendezvous *rendezvous, const void *bytes, size_t size, kolo_bytes *all)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for %zu bytes", size);
    if (size > 0)
        memcpy(copy, bytes, size);
    free(rendezvous->received);
    rendezvous->received = copy;
    all[0] = (kolo_bytes){copy, size};
    return KOLO_OK;
}

static kolo_status exchange(kolo_rendezvous *rendezvous, const void *bytes, size_t size, kolo_bytes *all)
{
    uint8_t frame[KOLO_RV_SMALL_MAX], *body;
    size_t body_size;
    uint32_t round;
    int64_t timeout = rendezvous->timeout_ns;
    int64_t deadline =
        kolo_rv_deadline(timeout > 0 && timeout < INT64_MAX - ANSWER_GRACE_NS ? timeout + ANSWER_GRACE_NS : 0);
    /* A failure to send is not the end of it: the server may have said why it hung up, and that is waiting to be read.
     */
    kolo_rv_io io = kolo_rv_send(rendezvous->fd, frame, kolo_rv_give_encode(rendezvous->round, size, frame), deadline);
    if (io == KOLO_RV_IO_OK)
        (void)!kolo_rv_send(rendezvous->fd, bytes, size, deadline);
    kolo_status status =
        receive_frame(rendezvous, rendezvous->fd, KOLO_RV_ALL, deadline, "exchanging addresses", &body, &body_size);
    if (status == KOLO_ERR_STATE)
        status = fail_io(rendezvous, KOLO_RV_IO_CLOSED, "exchanging addresses");
    if (status == KOLO_ERR_BOOTSTRAP && kolo_error_current()->ranks[0] == '\0')
        memcpy(kolo_error_current()->ranks, "0", sizeof("0"));
    KOLO_TRY(status);
    if (!kolo_rv_all_decode(body, body_size, &round, all, rendezvous->job.size) || round != rendezvous->round) {
        free(body);
        return kolo_fail(KOLO_ERR_BOOTSTRAP, "rank 0 at %s sent an exchange that does not decode", rendezvous->where);
    }
    free(rendezvous->received);
    rendezvous->received = body;
    rendezvous->round++;
    return KOLO_OK;
}

kolo_status kolo_rendezvous_exchange(kolo_rendezvous *rendezvous, const void *bytes, size_t size, kolo_bytes *all)
{
    if (rendezvous->failed)
        return kolo_error_adopt(&rendezvous->failure);
    if (size > KOLO_RV_BLOB_MAX)
        return kolo_fail(KOLO_ERR_INVALID,
                         "%zu bytes are too many for one exchange of the rendezvous; a rank may give %d", size,
                         KOLO_RV_BLOB_MAX);
    if (rendezvous->job.size == 1)
        return exchange_alone(rendezvous, bytes, size, all);
    kolo_status status = exchange(rendezvous, bytes, size, all);
    if (status != KOLO_OK) {
        rendezvous->failed = true;
        rendezvous->failure = *kolo_error_current();
        close(rendezvous->fd);
        rendezvous->fd = -1;
    }
    return status;
}

/* Nothing is sent unasked but the end. */
bool kolo_rendezvous_is_over(const kolo_rendezvous *rendezvous, int64_t wait_ns)
{
    struct pollfd word = {.fd = rendezvous->fd, .events = POLLIN};
    return rendezvous->failed || (rendezvous->fd >= 0 && poll(&word, 1, (int)(wait_ns / KOLO_NS_PER_MS)) > 0);
}

void kolo_rendezvous_close(kolo_rendezvous *rendezvous)
{
    if (rendezvous == NULL)
        return;
    if (rendezvous->fd >= 0) {
        /* Small, and nothing else is under way: it fits the socket's buffer, or the connection is broken anyway. */
        uint8_t frame[KOLO_RV_SMALL_MAX];
        (void)!kolo_rv_send(rendezvous->fd, frame, kolo_rv_leave_encode(frame), kolo_rv_deadline(KOLO_NS_PER_S));
        close(rendezvous->fd);
        rendezvous->fd = -1;
    }
    kolo_rv_server_destroy(rendezvous->server, rendezvous->timeout_ns);
    rendezvous_free(rendezvous);
}
