/* rendezvous_wire.c - writes and reads the rendezvous's frames. Every length is checked against a bound before it is
 * believed. */
#include "bootstrap/rendezvous_wire.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

enum {
    ROUND_BYTES = 4,
    LENGTH_BYTES = 4,
    HOST_MAX = 255,
    JOIN_MAX = 4 + 4 + 4 + LENGTH_BYTES + HOST_MAX + KOLO_RV_PROOF_BYTES,
    FAILURE_MAX = LENGTH_BYTES + 127 + LENGTH_BYTES + 767,
    GIVE_MAX = ROUND_BYTES + LENGTH_BYTES + KOLO_RV_BLOB_MAX
};

_Static_assert(KOLO_RV_HEADER_BYTES + FAILURE_MAX <= KOLO_RV_SMALL_MAX, "the largest small frame fits");
_Static_assert(KOLO_RV_HEADER_BYTES + JOIN_MAX <= KOLO_RV_SMALL_MAX, "a join fits");

static size_t body_max(kolo_rv_kind kind)
{
    switch (kind) {
    case KOLO_RV_HELLO:
    case KOLO_RV_CHALLENGE:
        return KOLO_RV_HELLO_MAX;
    case KOLO_RV_JOIN:
        return JOIN_MAX;
    case KOLO_RV_WELCOME:
        return KOLO_RV_PROOF_BYTES;
    case KOLO_RV_FAIL:
        return FAILURE_MAX;
    case KOLO_RV_GIVE:
        return GIVE_MAX;
    case KOLO_RV_ALL:
        return KOLO_RV_ALL_MAX;
    case KOLO_RV_LEAVE:
        break;
    }
    return 0;
}

bool kolo_rv_header_decode(const uint8_t bytes[KOLO_RV_HEADER_BYTES], kolo_rv_kind *kind, uint32_t *body_size)
{
    kolo_reader reader;
    kolo_reader_init(&reader, bytes, KOLO_RV_HEADER_BYTES);
    uint8_t number = kolo_read_u8(&reader);
    uint8_t reserved = kolo_read_u8(&reader);
    uint16_t reserved_too = kolo_read_u16(&reader);
    uint32_t size = kolo_read_u32(&reader);
    if (number < KOLO_RV_HELLO || number > KOLO_RV_LEAVE || reserved != 0 || reserved_too != 0)
        return false;
    if (size > body_max((kolo_rv_kind)number))
        return false;
    *kind = (kolo_rv_kind)number;
    *body_size = size;
    return true;
}

static void header_write(kolo_writer *writer, kolo_rv_kind kind, size_t body_size)
{
    kolo_write_u8(writer, (uint8_t)kind);
    kolo_write_u8(writer, 0);
    kolo_write_u16(writer, 0);
    kolo_write_u32(writer, (uint32_t)body_size);
}

/* A frame is written body first, behind the room of its header, because only then the size is known. */
static kolo_writer body_begin(uint8_t *frame)
{
    kolo_writer writer;
    kolo_writer_init(&writer, frame + KOLO_RV_HEADER_BYTES, KOLO_RV_SMALL_MAX - KOLO_RV_HEADER_BYTES);
    return writer;
}

static size_t body_end(const kolo_writer *body, kolo_rv_kind kind, uint8_t *frame)
{
    kolo_writer writer;
    kolo_writer_init(&writer, frame, KOLO_RV_HEADER_BYTES);
    header_write(&writer, kind, body->size);
    return KOLO_RV_HEADER_BYTES + body->size;
}

size_t kolo_rv_hello_encode(kolo_rv_kind kind, const kolo_rv_hello *hello, uint8_t frame[KOLO_RV_SMALL_MAX])
{
    kolo_writer body = body_begin(frame);
    kolo_write_u32(&body, KOLO_RV_MAGIC);
    kolo_write_u16(&body, hello->version);
    kolo_write_raw(&body, hello->nonce, sizeof(hello->nonce));
    return body_end(&body, kind, frame);
}

size_t kolo_rv_join_encode(const kolo_rv_join *join, uint8_t frame[KOLO_RV_SMALL_MAX])
{
    kolo_writer body = body_begin(frame);
    kolo_write_u32(&body, (uint32_t)join->rank);
    kolo_write_u32(&body, (uint32_t)join->size);
    kolo_write_u32(&body, join->pid);
    kolo_write_bytes(&body, join->host, strnlen(join->host, HOST_MAX));
    kolo_write_raw(&body, join->proof, sizeof(join->proof));
    return body_end(&body, KOLO_RV_JOIN, frame);
}

size_t kolo_rv_welcome_encode(const uint8_t proof[KOLO_RV_PROOF_BYTES], uint8_t frame[KOLO_RV_SMALL_MAX])
{
    kolo_writer body = body_begin(frame);
    kolo_write_raw(&body, proof, KOLO_RV_PROOF_BYTES);
    return body_end(&body, KOLO_RV_WELCOME, frame);
}

size_t kolo_rv_failure_encode(const kolo_rv_failure *failure, uint8_t frame[KOLO_RV_SMALL_MAX])
{
    kolo_writer body = body_begin(frame);
    kolo_write_bytes(&body, failure->ranks, strnlen(failure->ranks, sizeof(failure->ranks) - 1));
    kolo_write_bytes(&body, failure->message, strnlen(failure->message, sizeof(failure->message) - 1));
    return body_end(&body, KOLO_RV_FAIL, frame);
}

size_t kolo_rv_leave_encode(uint8_t frame[KOLO_RV_SMALL_MAX])
{
    kolo_writer body = body_begin(frame);
    return body_end(&body, KOLO_RV_LEAVE, frame);
}

size_t kolo_rv_give_encode(uint32_t round, size_t blob_size, uint8_t frame[KOLO_RV_SMALL_MAX])
{
    kolo_writer writer;
    kolo_writer_init(&writer, frame, KOLO_RV_SMALL_MAX);
    header_write(&writer, KOLO_RV_GIVE, ROUND_BYTES + LENGTH_BYTES + blob_size);
    kolo_write_u32(&writer, round);
    kolo_write_u32(&writer, (uint32_t)blob_size);
    return writer.size;
}

uint8_t *kolo_rv_all_encode(uint32_t round, const kolo_bytes *blobs, int32_t count, size_t *frame_size)
{
    size_t body_size = ROUND_BYTES + 4;
    for (int32_t i = 0; i < count; i++)
        body_size += LENGTH_BYTES + blobs[i].size;
    if (body_size > KOLO_RV_ALL_MAX)
        return NULL;
    uint8_t *frame = malloc(KOLO_RV_HEADER_BYTES + body_size);
    if (frame == NULL)
        return NULL;
    kolo_writer writer;
    kolo_writer_init(&writer, frame, KOLO_RV_HEADER_BYTES + body_size);
    header_write(&writer, KOLO_RV_ALL, body_size);
    kolo_write_u32(&writer, round);
    kolo_write_u32(&writer, (uint32_t)count);
    for (int32_t i = 0; i < count; i++)
        kolo_write_bytes(&writer, blobs[i].data, blobs[i].size);
    *frame_size = writer.size;
    return frame;
}

bool kolo_rv_hello_decode(const uint8_t *body, size_t size, kolo_rv_hello *hello)
{
    kolo_reader reader;
    kolo_reader_init(&reader, body, size);
    uint32_t magic = kolo_read_u32(&reader);
    hello->version = kolo_read_u16(&reader);
    memset(hello->nonce, 0, sizeof(hello->nonce));
    if (!reader.ok || magic != KOLO_RV_MAGIC)
        return false;
    if (hello->version != KOLO_RV_VERSION)
        return true; /* its layout is not ours to judge */
    const void *nonce = kolo_read_raw(&reader, sizeof(hello->nonce));
    if (nonce == NULL || !kolo_reader_done(&reader))
        return false;
    memcpy(hello->nonce, nonce, sizeof(hello->nonce));
    return true;
}

/* A text field of at most capacity - 1 bytes. Anything unprintable becomes '?': it ends up on somebody's terminal. */
static void text_read(kolo_reader *reader, char *text, size_t capacity)
{
    size_t size = 0;
    const char *bytes = kolo_read_bytes(reader, capacity - 1, &size);
    text[0] = '\0';
    if (bytes == NULL)
        return;
    for (size_t i = 0; i < size; i++)
        text[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
    text[size] = '\0';
}

bool kolo_rv_join_decode(const uint8_t *body, size_t size, kolo_rv_join *join)
{
    kolo_reader reader;
    kolo_reader_init(&reader, body, size);
    uint32_t rank = kolo_read_u32(&reader);
    uint32_t ranks = kolo_read_u32(&reader);
    join->pid = kolo_read_u32(&reader);
    text_read(&reader, join->host, sizeof(join->host));
    const void *proof = kolo_read_raw(&reader, sizeof(join->proof));
    if (proof == NULL || !kolo_reader_done(&reader) || ranks > INT32_MAX || rank >= ranks)
        return false;
    memcpy(join->proof, proof, sizeof(join->proof));
    join->rank = (int32_t)rank;
    join->size = (int32_t)ranks;
    return true;
}

bool kolo_rv_welcome_decode(const uint8_t *body, size_t size, uint8_t proof[KOLO_RV_PROOF_BYTES])
{
    if (size != KOLO_RV_PROOF_BYTES)
        return false;
    memcpy(proof, body, KOLO_RV_PROOF_BYTES);
    return true;
}

bool kolo_rv_failure_decode(const uint8_t *body, size_t size, kolo_rv_failure *failure)
{
    kolo_reader reader;
    kolo_reader_init(&reader, body, size);
    text_read(&reader, failure->ranks, sizeof(failure->ranks));
    text_read(&reader, failure->message, sizeof(failure->message));
    return kolo_reader_done(&reader);
}

bool kolo_rv_give_decode(const uint8_t *body, size_t size, uint32_t *round, kolo_bytes *blob)
{
    kolo_reader reader;
    kolo_reader_init(&reader, body, size);
    *round = kolo_read_u32(&reader);
    blob->size = 0;
    blob->data = kolo_read_bytes(&reader, KOLO_RV_BLOB_MAX, &blob->size);
    return kolo_reader_done(&reader);
}

bool kolo_rv_all_decode(const uint8_t *body, size_t size, uint32_t *round, kolo_bytes *blobs, int32_t count)
{
    kolo_reader reader;
    kolo_reader_init(&reader, body, size);
    *round = kolo_read_u32(&reader);
    if (kolo_read_u32(&reader) != (uint32_t)count)
        return false;
    for (int32_t i = 0; i < count && reader.ok; i++) {
        blobs[i].size = 0;
        blobs[i].data = kolo_read_bytes(&reader, KOLO_RV_BLOB_MAX, &blobs[i].size);
    }
    return kolo_reader_done(&reader);
}

bool kolo_rv_nonce_fill(uint8_t nonce[KOLO_RV_NONCE_BYTES])
{
    if (sodium_init() < 0)
        return false;
    randombytes_buf(nonce, KOLO_RV_NONCE_BYTES);
    return true;
}

/* The label differs by role, so that nobody's proof can be sent back as the other side's. */
static void prove(const char *label, const char *secret, const kolo_rv_nonces *nonces, const kolo_rv_join *join,
                  uint8_t proof[KOLO_RV_PROOF_BYTES])
{
    uint8_t fields[12];
    kolo_writer writer;
    kolo_writer_init(&writer, fields, sizeof(fields));
    kolo_write_u32(&writer, (uint32_t)join->rank);
    kolo_write_u32(&writer, (uint32_t)join->size);
    kolo_write_u32(&writer, join->pid);

    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)label, strlen(label) + 1);
    crypto_auth_hmacsha256_update(&state, nonces->client, sizeof(nonces->client));
    crypto_auth_hmacsha256_update(&state, nonces->server, sizeof(nonces->server));
    crypto_auth_hmacsha256_update(&state, fields, sizeof(fields));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)join->host, strlen(join->host));
    crypto_auth_hmacsha256_final(&state, proof);
    sodium_memzero(&state, sizeof(state));
}

void kolo_rv_prove_client(const char *secret, const kolo_rv_nonces *nonces, const kolo_rv_join *join,
                          uint8_t proof[KOLO_RV_PROOF_BYTES])
{
    prove("kolo rendezvous 1 client", secret, nonces, join, proof);
}

void kolo_rv_prove_server(const char *secret, const kolo_rv_nonces *nonces, const kolo_rv_join *join,
                          uint8_t proof[KOLO_RV_PROOF_BYTES])
{
    prove("kolo rendezvous 1 server", secret, nonces, join, proof);
}

bool kolo_rv_proof_equal(const uint8_t a[KOLO_RV_PROOF_BYTES], const uint8_t b[KOLO_RV_PROOF_BYTES])
{
    return sodium_memcmp(a, b, KOLO_RV_PROOF_BYTES) == 0;
}
