/* rendezvous_wire.h - the bytes of the rendezvous (rv): frames, their bounds, and the proof of the job's secret. Pure,
 * but for the random nonce. docs/PROTOCOL.md shows the same as a table.
 *
 *     client                                  server (rank 0)
 *       | HELLO  magic, version, nonce  ------->  |
 *       | <-------  CHALLENGE  magic, version, nonce
 *       | JOIN  rank, size, pid, host, proof -->  |
 *       | <-------  WELCOME  proof       or FAIL  |
 *       | GIVE  round, blob  ------------------>  |   once per exchange
 *       | <-------  ALL  round, all blobs, or FAIL|
 *       | LEAVE  ------------------------------>  |
 *
 * The client proves first, so that a stranger who only connects gets nothing to guess secrets from. */
#ifndef KOLO_BOOTSTRAP_RENDEZVOUS_WIRE_H
#define KOLO_BOOTSTRAP_RENDEZVOUS_WIRE_H

#include <kolo/transport.h>
#include <stdbool.h>

#define KOLO_RV_MAGIC UINT32_C(0x56526f4b) /* "KoRV" */

enum {
    KOLO_RV_VERSION = 1,
    KOLO_RV_HEADER_BYTES = 8,
    KOLO_RV_NONCE_BYTES = 32,
    KOLO_RV_PROOF_BYTES = 32,
    KOLO_RV_HELLO_MAX = 256,        /* body; a later version's hello may be longer than ours, and is still answered */
    KOLO_RV_SMALL_MAX = 1024,       /* whole frame of every kind but GIVE and ALL */
    KOLO_RV_BLOB_MAX = 1024 * 1024, /* what one rank gives to one exchange */
    KOLO_RV_ALL_MAX = 1024 * 1024 * 1024
};

typedef enum kolo_rv_kind {
    KOLO_RV_HELLO = 1,
    KOLO_RV_CHALLENGE,
    KOLO_RV_JOIN,
    KOLO_RV_WELCOME,
    KOLO_RV_FAIL,
    KOLO_RV_GIVE,
    KOLO_RV_ALL,
    KOLO_RV_LEAVE
} kolo_rv_kind;

/* HELLO and CHALLENGE. Of another version only the number is read. */
typedef struct kolo_rv_hello {
    uint16_t version;
    uint8_t nonce[KOLO_RV_NONCE_BYTES];
} kolo_rv_hello;

typedef struct kolo_rv_join {
    int32_t rank, size;
    uint32_t pid;
    char host[256]; /* printable ASCII */
    uint8_t proof[KOLO_RV_PROOF_BYTES];
} kolo_rv_join;

/* Why a rank was refused, or the exchange is over for everyone. */
typedef struct kolo_rv_failure {
    char ranks[128]; /* concerned: "2,5-7"; may be "" */
    char message[768];
} kolo_rv_failure;

/* Both nonces of one connection: what the proofs are about. */
typedef struct kolo_rv_nonces {
    uint8_t client[KOLO_RV_NONCE_BYTES], server[KOLO_RV_NONCE_BYTES];
} kolo_rv_nonces;

/* The header: kind known, reserved bytes 0, body within the kind's bound; else false. */
bool kolo_rv_header_decode(const uint8_t bytes[KOLO_RV_HEADER_BYTES], kolo_rv_kind *kind, uint32_t *body_size);

/* Encoders write a whole frame, and return its size. */
size_t kolo_rv_hello_encode(kolo_rv_kind kind, const kolo_rv_hello *hello, uint8_t frame[KOLO_RV_SMALL_MAX]);
size_t kolo_rv_join_encode(const kolo_rv_join *join, uint8_t frame[KOLO_RV_SMALL_MAX]);
size_t kolo_rv_welcome_encode(const uint8_t proof[KOLO_RV_PROOF_BYTES], uint8_t frame[KOLO_RV_SMALL_MAX]);
size_t kolo_rv_failure_encode(const kolo_rv_failure *failure, uint8_t frame[KOLO_RV_SMALL_MAX]);
size_t kolo_rv_leave_encode(uint8_t frame[KOLO_RV_SMALL_MAX]);
/* Header and body of a GIVE up to the blob itself, which follows on the wire as it is. blob_size <= KOLO_RV_BLOB_MAX.
 */
size_t kolo_rv_give_encode(uint32_t round, size_t blob_size, uint8_t frame[KOLO_RV_SMALL_MAX]);
/* An ALL frame in memory of its own (free() it). NULL when out of memory, or larger than KOLO_RV_ALL_MAX. */
uint8_t *kolo_rv_all_encode(uint32_t round, const kolo_bytes *blobs, int32_t count, size_t *frame_size);

/* Decoders take a body. False: malformed; then the output is not to be used. Views point into body. */
bool kolo_rv_hello_decode(const uint8_t *body, size_t size, kolo_rv_hello *hello);
bool kolo_rv_join_decode(const uint8_t *body, size_t size, kolo_rv_join *join);
bool kolo_rv_welcome_decode(const uint8_t *body, size_t size, uint8_t proof[KOLO_RV_PROOF_BYTES]);
bool kolo_rv_failure_decode(const uint8_t *body, size_t size, kolo_rv_failure *failure);
bool kolo_rv_give_decode(const uint8_t *body, size_t size, uint32_t *round, kolo_bytes *blob);
bool kolo_rv_all_decode(const uint8_t *body, size_t size, uint32_t *round, kolo_bytes *blobs, int32_t count);

/* Fresh random bytes. False where the system has no randomness to give. */
bool kolo_rv_nonce_fill(uint8_t nonce[KOLO_RV_NONCE_BYTES]);
/* HMAC-SHA256 under the secret over the role's label, both nonces and the join's fields (not its proof). */
void kolo_rv_prove_client(const char *secret, const kolo_rv_nonces *nonces, const kolo_rv_join *join,
                          uint8_t proof[KOLO_RV_PROOF_BYTES]);
void kolo_rv_prove_server(const char *secret, const kolo_rv_nonces *nonces, const kolo_rv_join *join,
                          uint8_t proof[KOLO_RV_PROOF_BYTES]);
/* Takes the same time wherever the two differ. */
bool kolo_rv_proof_equal(const uint8_t a[KOLO_RV_PROOF_BYTES], const uint8_t b[KOLO_RV_PROOF_BYTES]);

#endif
