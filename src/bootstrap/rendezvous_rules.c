/* rendezvous_rules.c - the rendezvous as a game with rules; no sockets but through a peer's queue. */
#include "bootstrap/rendezvous_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ranks.h"
#include "bootstrap/rendezvous_socket.h"

kolo_status kolo_rv_rules_init(kolo_rv_rules *rules, const kolo_rv_server_options *options)
{
    *rules = (kolo_rv_rules){.size = options->size,
                             .pid = options->pid,
                             .timeout_ns = options->timeout_ns,
                             .handshake_ns = options->handshake_ns > 0 ? options->handshake_ns : 5 * KOLO_NS_PER_S,
                             .log = options->log,
                             .round_end_ns = KOLO_RV_FOREVER};
    rules->secret = strdup(options->secret);
    rules->host = strdup(options->host);
    rules->ranks = calloc((size_t)options->size, sizeof(kolo_rv_peer *));
    rules->blobs = calloc((size_t)options->size, sizeof(kolo_bytes));
    if (rules->secret != NULL && rules->host != NULL && rules->ranks != NULL && rules->blobs != NULL)
        return KOLO_OK;
    kolo_rv_rules_fini(rules);
    return kolo_fail(KOLO_ERR_MEMORY, "no memory for a rendezvous of %d ranks", options->size);
}

void kolo_rv_rules_fini(kolo_rv_rules *rules)
{
    free(rules->secret);
    free(rules->host);
    free(rules->ranks);
    free(rules->blobs);
    free(rules->all);
    *rules = (kolo_rv_rules){0};
}

/* ---- saying no ------------------------------------------------------------------------------ */

static void send_small(kolo_rv_peer *peer, const uint8_t *frame, size_t size)
{
    if (!kolo_rv_peer_queue(peer, frame, size))
        kolo_rv_peer_close(peer);
}

static void send_failure(const kolo_rv_rules *rules, kolo_rv_peer *peer, const kolo_rv_failure *failure)
{
    uint8_t frame[KOLO_RV_SMALL_MAX];
    send_small(peer, frame, kolo_rv_failure_encode(failure, frame));
    peer->state = KOLO_RV_PEER_CLOSING;
    peer->drop_at_ns = kolo_rv_deadline(rules->handshake_ns);
}

/* Ends the rendezvous for everyone. The first reason counts: what follows from it is noise. */
static void fail_all(kolo_rv_rules *rules, const char *ranks, const char *format, ...) KOLO_PRINTF(3, 4);
static void fail_all(kolo_rv_rules *rules, const char *ranks, const char *format, ...)
{
    if (rules->failed)
        return;
    rules->failed = true;
    rules->round_end_ns = KOLO_RV_FOREVER;
    snprintf(rules->failure.ranks, sizeof(rules->failure.ranks), "%s", ranks);
    va_list args;
    va_start(args, format);
    vsnprintf(rules->failure.message, sizeof(rules->failure.message), format, args);
    va_end(args);
    for (int32_t rank = 0; rank < rules->size; rank++) {
        kolo_rv_peer *peer = rules->ranks[rank];
        if (peer != NULL && peer->fd >= 0)
            send_failure(rules, peer, &rules->failure);
    }
}

static void fail_by_rank(kolo_rv_rules *rules, const kolo_rv_peer *peer, const char *what)
{
    char rank[16];
    snprintf(rank, sizeof(rank), "%d", peer->join.rank);
    fail_all(rules, rank, "rank %d (pid %u on %s) %s", peer->join.rank, peer->join.pid, peer->join.host, what);
}

/* Sends one process away; the job goes on. */
static void refuse(kolo_rv_rules *rules, kolo_rv_peer *peer, const char *format, ...) KOLO_PRINTF(3, 4);
static void refuse(kolo_rv_rules *rules, kolo_rv_peer *peer, const char *format, ...)
{
    kolo_rv_failure failure = {0};
    if (peer->proved) /* else it is no rank of ours, whatever it says */
        snprintf(failure.ranks, sizeof(failure.ranks), "%d", peer->join.rank);
    va_list args;
    va_start(args, format);
    vsnprintf(failure.message, sizeof(failure.message), format, args);
    va_end(args);
    snprintf(rules->hint, sizeof(rules->hint), "%.319s", failure.message);
    kolo_log_write(rules->log, KOLO_LOG_WARN, "rendezvous: sent %s away: %s", peer->address, failure.message);
    send_failure(rules, peer, &failure);
}

/* ---- joining -------------------------------------------------------------------------------- */

static void drop(kolo_rv_rules *rules, kolo_rv_peer *peer, const char *why)
{
    kolo_log_write(rules->log, KOLO_LOG_INFO, "rendezvous: dropped the connection from %s, which %s", peer->address,
                   why);
    kolo_rv_peer_close(peer);
}

static void on_hello(kolo_rv_rules *rules, kolo_rv_peer *peer)
{
    kolo_rv_hello hello, challenge = {.version = KOLO_RV_VERSION};
    if (!kolo_rv_hello_decode(peer->body, peer->body_size, &hello)) {
        drop(rules, peer, "sent no hello");
        return;
    }
    /* Even to another version: the version is what it has to read there. */
    uint8_t frame[KOLO_RV_SMALL_MAX];
    if (!kolo_rv_nonce_fill(challenge.nonce)) {
        drop(rules, peer, "could not be challenged: the system has no random numbers");
        return;
    }
    send_small(peer, frame, kolo_rv_hello_encode(KOLO_RV_CHALLENGE, &challenge, frame));
    memcpy(peer->nonces.client, hello.nonce, sizeof(hello.nonce));
    memcpy(peer->nonces.server, challenge.nonce, sizeof(challenge.nonce));
    peer->state = KOLO_RV_PEER_JOIN;
    if (hello.version == KOLO_RV_VERSION)
        return;
    snprintf(rules->hint, sizeof(rules->hint), "a process at %s speaks version %u of the rendezvous, rank 0 version %d",
             peer->address, hello.version, KOLO_RV_VERSION);
    kolo_log_write(rules->log, KOLO_LOG_WARN, "rendezvous: %s", rules->hint);
    peer->state = KOLO_RV_PEER_CLOSING;
}

/* Whether the process that joins may be the rank that it says; sends it away if not. */
static bool admit(kolo_rv_rules *rules, kolo_rv_peer *peer)
{
    const kolo_rv_join *join = &peer->join;
    uint8_t expected[KOLO_RV_PROOF_BYTES];
    kolo_rv_prove_client(rules->secret, &peer->nonces, join, expected);
    peer->proved = kolo_rv_proof_equal(expected, join->proof);
    if (!peer->proved) {
        refuse(rules, peer,
               "rank %d (pid %u on %s) does not know this job's secret; give all ranks the same KOLO_JOB_SECRET",
               join->rank, join->pid, join->host);
        return false;
    }
    if (rules->failed) {
        send_failure(rules, peer, &rules->failure);
        return false;
    }
    if (join->size != rules->size) {
        refuse(
            rules, peer,
            "rank %d (pid %u on %s) has WORLD_SIZE %d, but rank 0 (pid %u on %s) has WORLD_SIZE %d; they must be equal",
            join->rank, join->pid, join->host, join->size, rules->pid, rules->host, rules->size);
        return false;
    }
    const kolo_rv_peer *holder = rules->ranks[join->rank];
    /* Rank 0 is whoever serves, also before it has joined. */
    bool foreign_zero = join->rank == 0 && (join->pid != rules->pid || strcmp(join->host, rules->host) != 0);
    if (holder != NULL || foreign_zero) {
        refuse(rules, peer,
               "two processes have RANK %d: pid %u on %s, which goes on, and pid %u on %s; every process needs its own "
               "RANK",
               join->rank, foreign_zero ? rules->pid : holder->join.pid, foreign_zero ? rules->host : holder->join.host,
               join->pid, join->host);
        return false;
    }
    return true;
}

static void on_join(kolo_rv_rules *rules, kolo_rv_peer *peer)
{
    if (!kolo_rv_join_decode(peer->body, peer->body_size, &peer->join)) {
        drop(rules, peer, "sent a join that does not decode");
        return;
    }
    if (!admit(rules, peer))
        return;
    uint8_t proof[KOLO_RV_PROOF_BYTES], frame[KOLO_RV_SMALL_MAX];
    kolo_rv_prove_server(rules->secret, &peer->nonces, &peer->join, proof);
    send_small(peer, frame, kolo_rv_welcome_encode(proof, frame));
    peer->state = KOLO_RV_PEER_JOINED;
    peer->joined = true;
    peer->drop_at_ns = KOLO_RV_FOREVER;
    rules->ranks[peer->join.rank] = peer;
}

/* ---- exchanging ----------------------------------------------------------------------------- */

/* Everybody's blob is here: one frame, that all peers send from. The one before it may go: who has given to this round
 * has received the last one whole. */
static void complete_round(kolo_rv_rules *rules)
{
    for (int32_t rank = 0; rank < rules->size; rank++)
        rules->blobs[rank] = rules->ranks[rank]->blob;
    size_t size;
    free(rules->all);
    rules->all = kolo_rv_all_encode(rules->round, rules->blobs, rules->size, &size);
    if (rules->all == NULL) {
        fail_all(rules, "", "rank 0 has no memory for what %d ranks exchange, or it is more than %d MiB", rules->size,
                 KOLO_RV_ALL_MAX / (1024 * 1024));
        return;
    }
    for (int32_t rank = 0; rank < rules->size; rank++) {
        kolo_rv_peer *peer = rules->ranks[rank];
        peer->bulk = rules->all;
        peer->bulk_left = size;
        peer->given = false;
        free(peer->blob_body);
        peer->blob_body = NULL;
    }
    rules->round++;
    rules->given = 0;
    rules->round_end_ns = KOLO_RV_FOREVER;
}

static void on_give(kolo_rv_rules *rules, kolo_rv_peer *peer, int64_t now_ns)
{
    uint32_t round;
    kolo_bytes blob;
    bool sound = kolo_rv_give_decode(peer->body, peer->body_size, &round, &blob);
    /* Nobody gives before it has read what it was sent; complete_round builds on that. */
    if (!sound || peer->given || round != rules->round || kolo_rv_peer_has_output(peer)) {
        kolo_rv_rules_lost(rules, peer, "sent bytes that are not the rendezvous's protocol");
        return;
    }
    peer->blob = blob;
    peer->blob_body = peer->body; /* blob points into it */
    peer->body = NULL;
    peer->given = true;
    if (rules->left > 0) {
        fail_by_rank(rules, peer, "waits for an exchange with ranks that have left the rendezvous");
        return;
    }
    if (rules->given++ == 0 && rules->timeout_ns > 0)
        rules->round_end_ns = rules->timeout_ns > INT64_MAX - now_ns ? KOLO_RV_FOREVER : now_ns + rules->timeout_ns;
    if (rules->given == rules->size)
        complete_round(rules);
}

static void on_leave(kolo_rv_rules *rules, kolo_rv_peer *peer)
{
    kolo_rv_peer_close(peer);
    rules->left++;
    if (rules->given > 0)
        fail_by_rank(rules, peer, "has left the rendezvous while others wait for it; its own output says why");
}

void kolo_rv_rules_frame(kolo_rv_rules *rules, kolo_rv_peer *peer, int64_t now_ns)
{
    switch (peer->state) {
    case KOLO_RV_PEER_HELLO:
        on_hello(rules, peer);
        break;
    case KOLO_RV_PEER_JOIN:
        on_join(rules, peer);
        break;
    case KOLO_RV_PEER_JOINED:
        if (peer->kind == KOLO_RV_GIVE)
            on_give(rules, peer, now_ns);
        else
            on_leave(rules, peer);
        break;
    case KOLO_RV_PEER_CLOSING:
        break;
    }
}

void kolo_rv_rules_lost(kolo_rv_rules *rules, kolo_rv_peer *peer, const char *why)
{
    bool of_the_job = peer->state == KOLO_RV_PEER_JOINED;
    if (!of_the_job && peer->state != KOLO_RV_PEER_CLOSING)
        drop(rules, peer, why);
    kolo_rv_peer_close(peer);
    if (of_the_job) {
        char what[160];
        snprintf(what, sizeof(what), "%s during the rendezvous; its own output says why", why);
        fail_by_rank(rules, peer, what);
    }
}

/* ---- the deadline --------------------------------------------------------------------------- */

/* Tells those who came who did not come at all, and who came but did not give. */
static void fail_by_deadline(kolo_rv_rules *rules)
{
    kolo_ranks absent, silent, both;
    kolo_ranks_init(&absent);
    kolo_ranks_init(&silent);
    kolo_ranks_init(&both);
    for (int32_t rank = 0; rank < rules->size; rank++) {
        const kolo_rv_peer *peer = rules->ranks[rank];
        if (peer != NULL && peer->given)
            continue;
        /* Without memory the list stays short: better than no message. */
        (void)kolo_ranks_add(peer == NULL ? &absent : &silent, rank, rank);
        (void)kolo_ranks_add(&both, rank, rank);
    }
    char within[32], who[128], concerned[128], text[600];
    kolo_rv_duration(rules->timeout_ns, within, sizeof(within));
    size_t used = 0;
    text[0] = '\0';
    if (absent.count > 0) {
        bool one = kolo_ranks_phrase(&absent, who, sizeof(who));
        used = (size_t)snprintf(text, sizeof(text), "%s ha%s not come within %s", who, one ? "s" : "ve", within);
    }
    if (silent.count > 0) {
        bool one = kolo_ranks_phrase(&silent, who, sizeof(who));
        snprintf(text + used, sizeof(text) - used, "%s%s ha%s come, but not taken part in exchange %u within %s",
                 used > 0 ? "; " : "", who, one ? "s" : "ve", rules->round + 1, within);
    }
    const char *look = kolo_ranks_phrase(&both, who, sizeof(who))
                           ? "see its output, or whether it was started at all"
                           : "see their output, or whether they were started at all";
    fail_all(rules, kolo_ranks_format(&both, concerned, sizeof(concerned)), "%s; %s%s", text,
             rules->hint[0] != '\0' ? "note: " : look, rules->hint);
    kolo_ranks_fini(&absent);
    kolo_ranks_fini(&silent);
    kolo_ranks_fini(&both);
}

void kolo_rv_rules_tick(kolo_rv_rules *rules, int64_t now_ns)
{
    if (now_ns >= rules->round_end_ns)
        fail_by_deadline(rules);
}
