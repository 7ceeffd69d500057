/* test_wire.c - the rendezvous's frames: there and back, cut short, too long, and mutated at random. Bodies are handed
 * over in memory of exactly their size, so that a sanitizer sees the first byte read too far. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "bootstrap/rendezvous_wire.h"

typedef struct sample {
    kolo_rv_kind kind;
    uint8_t bytes[KOLO_RV_SMALL_MAX];
    size_t size;
} sample;

enum { SAMPLES = 8, BLOBS = 3 };

static void make_samples(sample samples[SAMPLES])
{
    kolo_rv_hello hello = {.version = KOLO_RV_VERSION, .nonce = {1, 2, 3}};
    kolo_rv_join join = {.rank = 2, .size = 5, .pid = 4711, .host = "node-a", .proof = {9, 8, 7}};
    kolo_rv_failure failure = {.ranks = "1,3-4", .message = "ranks 1,3-4 have not come within 60 s"};
    uint8_t proof[KOLO_RV_PROOF_BYTES] = {5, 5};
    kolo_bytes blobs[BLOBS] = {{"abc", 3}, {NULL, 0}, {"0123456789", 10}};
    size_t all_size;
    uint8_t *all = kolo_rv_all_encode(7, blobs, BLOBS, &all_size);
    assert_non_null(all);

    sample *s = samples;
    *s = (sample){.kind = KOLO_RV_HELLO};
    s->size = kolo_rv_hello_encode(KOLO_RV_HELLO, &hello, s->bytes), s++;
    *s = (sample){.kind = KOLO_RV_CHALLENGE};
    s->size = kolo_rv_hello_encode(KOLO_RV_CHALLENGE, &hello, s->bytes), s++;
    *s = (sample){.kind = KOLO_RV_JOIN};
    s->size = kolo_rv_join_encode(&join, s->bytes), s++;
    *s = (sample){.kind = KOLO_RV_WELCOME};
    s->size = kolo_rv_welcome_encode(proof, s->bytes), s++;
    *s = (sample){.kind = KOLO_RV_FAIL};
    s->size = kolo_rv_failure_encode(&failure, s->bytes), s++;
    *s = (sample){.kind = KOLO_RV_GIVE};
    s->size = kolo_rv_give_encode(7, 4, s->bytes);
    memcpy(s->bytes + s->size, "blob", 4);
    s->size += 4, s++;
    *s = (sample){.kind = KOLO_RV_ALL, .size = all_size};
    memcpy(s->bytes, all, all_size), s++;
    *s = (sample){.kind = KOLO_RV_LEAVE};
    s->size = kolo_rv_leave_encode(s->bytes), s++;
    free(all);
}

/* Decodes a body of the given kind from memory of exactly that size; the results are looked at, so that they must be
 * readable. */
static bool decode(kolo_rv_kind kind, const uint8_t *bytes, size_t size)
{
    uint8_t *body = malloc(size > 0 ? size : 1), proof[KOLO_RV_PROOF_BYTES];
    assert_non_null(body);
    memcpy(body, bytes, size);
    kolo_rv_hello hello;
    kolo_rv_join join;
    kolo_rv_failure failure;
    kolo_bytes blobs[BLOBS];
    uint32_t round;
    bool ok = false;
    volatile uint8_t seen = 0; /* reads that the compiler may not leave out */
    switch (kind) {
    case KOLO_RV_HELLO:
    case KOLO_RV_CHALLENGE:
        ok = kolo_rv_hello_decode(body, size, &hello);
        break;
    case KOLO_RV_JOIN:
        ok = kolo_rv_join_decode(body, size, &join);
        if (ok) {
            assert_true(join.rank >= 0 && join.rank < join.size);
            assert_true(strlen(join.host) < sizeof(join.host));
        }
        break;
    case KOLO_RV_WELCOME:
        ok = kolo_rv_welcome_decode(body, size, proof);
        break;
    case KOLO_RV_FAIL:
        ok = kolo_rv_failure_decode(body, size, &failure);
        if (ok)
            assert_true(strlen(failure.message) < sizeof(failure.message) &&
                        strlen(failure.ranks) < sizeof(failure.ranks));
        break;
    case KOLO_RV_GIVE:
        ok = kolo_rv_give_decode(body, size, &round, &blobs[0]);
        for (size_t i = 0; ok && i < blobs[0].size; i++)
            seen ^= ((const uint8_t *)blobs[0].data)[i];
        break;
    case KOLO_RV_ALL:
        ok = kolo_rv_all_decode(body, size, &round, blobs, BLOBS);
        for (size_t b = 0; ok && b < BLOBS; b++) {
            for (size_t i = 0; i < blobs[b].size; i++)
                seen ^= ((const uint8_t *)blobs[b].data)[i];
        }
        break;
    case KOLO_RV_LEAVE:
        ok = size == 0;
        break;
    }
    (void)seen;
    free(body);
    return ok;
}

static void header__of_every_kind_decodes(void **state)
{
    (void)state;
    sample samples[SAMPLES];
    make_samples(samples);
    for (size_t i = 0; i < SAMPLES; i++) {
        kolo_rv_kind kind;
        uint32_t size;
        assert_true(kolo_rv_header_decode(samples[i].bytes, &kind, &size));
        assert_int_equal(kind, samples[i].kind);
        assert_int_equal(size, samples[i].size - KOLO_RV_HEADER_BYTES);
        assert_true(decode(kind, samples[i].bytes + KOLO_RV_HEADER_BYTES, size));
    }
}

static void header__is_not_ours(void **state)
{
    (void)state;
    kolo_rv_kind kind;
    uint32_t size;
    static const char *const foreign[] = {"GET / HT",          "SSH-2.0-",         "\x16\x03\x01\x02\x00\x01\x00\x01",
                                          "\0\0\0\0\0\0\0\0",  "\1\1\0\0\0\0\0\0", "\1\0\0\1\0\0\0\0",
                                          "\x09\0\0\0\0\0\0\0"};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        assert_false(kolo_rv_header_decode((const uint8_t *)foreign[i], &kind, &size));
}

static void header__body_is_larger_than_its_kind_may_be(void **state)
{
    (void)state;
    static const uint32_t bounds[] = {
        [KOLO_RV_HELLO] = 256, [KOLO_RV_CHALLENGE] = 256,       [KOLO_RV_JOIN] = 303,     [KOLO_RV_WELCOME] = 32,
        [KOLO_RV_FAIL] = 902,  [KOLO_RV_GIVE] = 8 + (1u << 20), [KOLO_RV_ALL] = 1u << 30, [KOLO_RV_LEAVE] = 0};
    for (int number = KOLO_RV_HELLO; number <= KOLO_RV_LEAVE; number++) {
        kolo_rv_kind kind;
        uint32_t size;
        for (uint32_t over = 0; over < 2; over++) {
            uint32_t claimed = bounds[number] + over;
            uint8_t header[KOLO_RV_HEADER_BYTES] = {
                (uint8_t)number,         0, 0, 0, (uint8_t)claimed, (uint8_t)(claimed >> 8), (uint8_t)(claimed >> 16),
                (uint8_t)(claimed >> 24)};
            assert_int_equal(kolo_rv_header_decode(header, &kind, &size), over == 0);
        }
    }
}

static void frames__fields_survive(void **state)
{
    (void)state;
    sample samples[SAMPLES];
    make_samples(samples);
    kolo_rv_join join;
    const sample *s = &samples[2];
    assert_true(kolo_rv_join_decode(s->bytes + KOLO_RV_HEADER_BYTES, s->size - KOLO_RV_HEADER_BYTES, &join));
    assert_int_equal(join.rank, 2);
    assert_int_equal(join.size, 5);
    assert_int_equal(join.pid, 4711);
    assert_string_equal(join.host, "node-a");
    assert_int_equal(join.proof[2], 7);
    kolo_rv_failure failure;
    s = &samples[4];
    assert_true(kolo_rv_failure_decode(s->bytes + KOLO_RV_HEADER_BYTES, s->size - KOLO_RV_HEADER_BYTES, &failure));
    assert_string_equal(failure.ranks, "1,3-4");
    assert_string_equal(failure.message, "ranks 1,3-4 have not come within 60 s");
    uint32_t round;
    kolo_bytes blobs[BLOBS];
    s = &samples[6];
    assert_true(
        kolo_rv_all_decode(s->bytes + KOLO_RV_HEADER_BYTES, s->size - KOLO_RV_HEADER_BYTES, &round, blobs, BLOBS));
    assert_int_equal(round, 7);
    assert_int_equal(blobs[1].size, 0);
    assert_int_equal(blobs[2].size, 10);
    assert_memory_equal(blobs[2].data, "0123456789", 10);
    assert_false(
        kolo_rv_all_decode(s->bytes + KOLO_RV_HEADER_BYTES, s->size - KOLO_RV_HEADER_BYTES, &round, blobs, BLOBS - 1));
}

static void frames__cut_at_every_byte_or_one_too_long(void **state)
{
    (void)state;
    sample samples[SAMPLES];
    make_samples(samples);
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t size = samples[i].size - KOLO_RV_HEADER_BYTES;
        for (size_t cut = 0; cut < size; cut++)
            assert_false(decode(samples[i].kind, samples[i].bytes + KOLO_RV_HEADER_BYTES, cut));
        assert_false(decode(samples[i].kind, samples[i].bytes + KOLO_RV_HEADER_BYTES, size + 1));
    }
}

static void frames__longest_texts_fit(void **state)
{
    (void)state;
    uint8_t frame[KOLO_RV_SMALL_MAX];
    kolo_rv_join join = {.rank = 0, .size = 1}, join_back;
    memset(join.host, 'h', sizeof(join.host) - 1);
    size_t size = kolo_rv_join_encode(&join, frame);
    assert_true(kolo_rv_join_decode(frame + KOLO_RV_HEADER_BYTES, size - KOLO_RV_HEADER_BYTES, &join_back));
    assert_string_equal(join.host, join_back.host);
    kolo_rv_failure failure = {0}, failure_back;
    memset(failure.ranks, '1', sizeof(failure.ranks) - 1);
    memset(failure.message, 'm', sizeof(failure.message) - 1);
    size = kolo_rv_failure_encode(&failure, frame);
    assert_true(kolo_rv_failure_decode(frame + KOLO_RV_HEADER_BYTES, size - KOLO_RV_HEADER_BYTES, &failure_back));
    assert_string_equal(failure.message, failure_back.message);
    assert_string_equal(failure.ranks, failure_back.ranks);
}

static void frames__text_from_a_peer_is_made_printable(void **state)
{
    (void)state;
    uint8_t frame[KOLO_RV_SMALL_MAX];
    kolo_rv_failure failure = {.message = "\033[2Jclear\nme\x80"}, back;
    size_t size = kolo_rv_failure_encode(&failure, frame);
    assert_true(kolo_rv_failure_decode(frame + KOLO_RV_HEADER_BYTES, size - KOLO_RV_HEADER_BYTES, &back));
    assert_string_equal(back.message, "?[2Jclear?me?");
}

static void hello__of_another_version_is_told_apart(void **state)
{
    (void)state;
    uint8_t frame[KOLO_RV_SMALL_MAX];
    kolo_rv_hello hello = {.version = 99}, back;
    (void)kolo_rv_hello_encode(KOLO_RV_HELLO, &hello, frame);
    assert_true(kolo_rv_hello_decode(frame + KOLO_RV_HEADER_BYTES, 6, &back)); /* however long that version's is */
    assert_int_equal(back.version, 99);
    frame[KOLO_RV_HEADER_BYTES] ^= 1;
    assert_false(kolo_rv_hello_decode(frame + KOLO_RV_HEADER_BYTES, 38, &back));
}

static void all__more_than_the_bound(void **state)
{
    (void)state;
    static uint8_t blob[KOLO_RV_BLOB_MAX];
    enum { MANY = 1025 };
    kolo_bytes *blobs = calloc(MANY, sizeof(*blobs));
    assert_non_null(blobs);
    for (size_t i = 0; i < MANY; i++)
        blobs[i] = (kolo_bytes){blob, sizeof(blob)};
    size_t size;
    assert_null(kolo_rv_all_encode(0, blobs, MANY, &size));
    free(blobs);
}

static void proofs__depend_on_everything(void **state)
{
    (void)state;
    kolo_rv_nonces nonces;
    kolo_rv_join join = {.rank = 1, .size = 2, .pid = 3, .host = "h"}, other = join;
    assert_true(kolo_rv_nonce_fill(nonces.client));
    assert_true(kolo_rv_nonce_fill(nonces.server));
    uint8_t proof[KOLO_RV_PROOF_BYTES], again[KOLO_RV_PROOF_BYTES];
    kolo_rv_prove_client("secret", &nonces, &join, proof);
    kolo_rv_prove_client("secret", &nonces, &join, again);
    assert_true(kolo_rv_proof_equal(proof, again));
    kolo_rv_prove_server("secret", &nonces, &join, again); /* nobody's proof serves as the other's */
    assert_false(kolo_rv_proof_equal(proof, again));
    kolo_rv_prove_client("Secret", &nonces, &join, again);
    assert_false(kolo_rv_proof_equal(proof, again));
    other.rank = 0;
    kolo_rv_prove_client("secret", &nonces, &other, again);
    assert_false(kolo_rv_proof_equal(proof, again));
    nonces.server[31] ^= 1;
    kolo_rv_prove_client("secret", &nonces, &join, again);
    assert_false(kolo_rv_proof_equal(proof, again));
}

/* 20,000 frames with bytes changed, cut off or added: whatever comes, nothing is read out of bounds, and what decodes
 * keeps its promises. */
static void frames__mutated_at_random(void **state)
{
    (void)state;
    const uint64_t seed = 20250607;
    kolo_rng rng = {seed};
    sample samples[SAMPLES];
    make_samples(samples);
    size_t accepted = 0;
    for (int i = 0; i < 20000; i++) {
        sample frame = samples[kolo_rng_below(&rng, SAMPLES)];
        for (uint64_t flips = kolo_rng_below(&rng, 6); flips > 0; flips--)
            frame.bytes[kolo_rng_below(&rng, frame.size)] = (uint8_t)kolo_rng_next(&rng);
        if (kolo_rng_below(&rng, 4) == 0)
            frame.size = KOLO_RV_HEADER_BYTES + kolo_rng_below(&rng, KOLO_RV_SMALL_MAX - KOLO_RV_HEADER_BYTES);
        kolo_rv_kind kind;
        uint32_t size;
        if (!kolo_rv_header_decode(frame.bytes, &kind, &size))
            continue;
        accepted += decode(kind, frame.bytes + KOLO_RV_HEADER_BYTES, frame.size - KOLO_RV_HEADER_BYTES);
    }
    assert_true(accepted > 1000); /* the unchanged ones at least: the loop does reach the decoders */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header__of_every_kind_decodes),
        cmocka_unit_test(header__is_not_ours),
        cmocka_unit_test(header__body_is_larger_than_its_kind_may_be),
        cmocka_unit_test(frames__fields_survive),
        cmocka_unit_test(frames__cut_at_every_byte_or_one_too_long),
        cmocka_unit_test(frames__longest_texts_fit),
        cmocka_unit_test(frames__text_from_a_peer_is_made_printable),
        cmocka_unit_test(hello__of_another_version_is_told_apart),
        cmocka_unit_test(all__more_than_the_bound),
        cmocka_unit_test(proofs__depend_on_everything),
        cmocka_unit_test(frames__mutated_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
