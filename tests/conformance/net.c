/* net.c - the conformance tests' fixture. */
#include "net.h"

#include "support/unwatched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const conformance_harness *conformance_harness_current;

static void on_control(void *user, int32_t peer, const void *bytes, size_t size)
{
    net_end *end = user;
    assert_true(end->in_progress);
    assert_in_range(peer, 0, end->net->size - 1);
    assert_int_not_equal(peer, end->rank);
    end->controls++;
    if (end->net->on_control)
        end->net->on_control(end, peer, bytes, size);
}

static void on_complete(void *user, void *cookie, kolo_status status)
{
    net_end *end = user;
    net_op *op = cookie;
    assert_true(end->in_progress);
    assert_ptr_equal(op->end, end);
    assert_int_equal(op->completions, 0);
    op->completions++;
    op->status = status;
    end->completions++;
    if (op->then)
        op->then(op);
}

static void on_peer_lost(void *user, int32_t peer, const char *why)
{
    net_end *end = user;
    assert_true(end->in_progress);
    assert_non_null(why);
    end->lost++;
    fail_msg("rank %d hears that rank %d is lost: %s", (int)end->rank, (int)peer, why);
}

static void explain(void *user, kolo_status status, int sys_errno, const char *message)
{
    (void)sys_errno;
    net_end *end = user;
    end->explained = status;
    snprintf(end->explanation, sizeof(end->explanation), "%s", message);
}

static void log_line(void *user, kolo_log_level level, const char *line)
{
    const net_end *end = user;
    if (level <= KOLO_LOG_WARN)
        fprintf(stderr, "[%d] %s\n", (int)end->rank, line);
}

kolo_transport_env net_env(net *n, int32_t rank)
{
    n->ends[rank].net = n;
    n->ends[rank].rank = rank;
    return (kolo_transport_env){
        .struct_size = sizeof(kolo_transport_env),
        .rank = rank,
        .size = n->size,
        .user = &n->ends[rank],
        .on_control = on_control,
        .on_complete = on_complete,
        .on_peer_lost = on_peer_lost,
        .log = log_line,
        .explain = explain,
        .option = n->harness->option,
        .extra = n->world,
    };
}

void net_create(net *n, int32_t size, uint64_t seed)
{
    memset(n, 0, sizeof(*n));
    n->harness = conformance_harness_current;
    n->ops = n->harness->ops();
    n->size = size;
    if (n->harness->world_create)
        n->world = n->harness->world_create(size, seed);
    for (int32_t r = 0; r < size; r++) {
        kolo_transport_env env = net_env(n, r);
        if (n->ops->create(&env, &n->ends[r].transport) != KOLO_OK)
            fail_msg("create: %s", n->ends[r].explanation);
    }
}

void net_addresses(net *n, kolo_bytes addresses[NET_MAX_RANKS])
{
    for (int32_t r = 0; r < n->size; r++) {
        assert_int_equal(n->ops->address(n->ends[r].transport, &addresses[r]), KOLO_OK);
        assert_true(addresses[r].size > 0);
    }
}

void net_open(net *n, int32_t size, uint64_t seed)
{
    net_create(n, size, seed);
    kolo_bytes addresses[NET_MAX_RANKS];
    net_addresses(n, addresses);
    for (int32_t r = 0; r < size; r++)
        assert_int_equal(n->ops->connect(n->ends[r].transport, addresses), KOLO_OK);
}

void net_destroy(net *n)
{
    for (int32_t r = 0; r < n->size; r++)
        if (n->ends[r].transport)
            n->ops->destroy(n->ends[r].transport);
    if (n->harness->world_destroy)
        n->harness->world_destroy(n->world);
}

void net_close(net *n)
{
    for (int32_t r = 0; r < n->size; r++) {
        assert_false(n->ops->closed(n->ends[r].transport));
        n->ops->close(n->ends[r].transport, false);
    }
    for (int32_t r = 0; r < n->size;) {
        if (n->ops->closed(n->ends[r].transport))
            r++;
        else if (!net_step(n))
            fail_msg("rank %d never closes", (int)r);
    }
    net_destroy(n);
}

int net_progress(net_end *end)
{
    end->in_progress = true;
    uint64_t before = end->controls + end->completions;
    int count = end->net->ops->progress(end->transport);
    end->in_progress = false;
    assert_true(count >= 0 && (uint64_t)count >= end->controls + end->completions - before);
    return count;
}

bool net_step(net *n)
{
    int count = 0;
    for (int32_t r = 0; r < n->size; r++)
        count += net_progress(&n->ends[r]);
    return count > 0 || !n->harness->advance || n->harness->advance(n->world);
}

void net_until(net *n, const uint64_t *counter, uint64_t value)
{
    while (*counter < value)
        if (!net_step(n))
            fail_msg("nothing moves any more; %llu of %llu", (unsigned long long)*counter, (unsigned long long)value);
    assert_int_equal(*counter, value);
}

void net_wait(net *n, const net_op *op)
{
    while (!op->completions)
        if (!net_step(n))
            fail_msg("nothing moves any more; a posting of %zu bytes is not over", op->bytes);
}

kolo_status net_send(net_end *end, int32_t peer, uint64_t tag, net_op *op)
{
    return end->net->ops->send(end->transport, peer, tag, op->buffer, op->bytes, op);
}

kolo_status net_recv(net_end *end, int32_t peer, uint64_t tag, net_op *op)
{
    return end->net->ops->recv(end->transport, peer, tag, op->buffer, op->bytes, op);
}

void net_op_init(net_op *op, net_end *end, size_t bytes, size_t offset)
{
    unsigned char *memory = malloc(bytes + offset + 1);
    assert_non_null(memory);
    *op = (net_op){.end = end, .buffer = memory + offset, .bytes = bytes, .status = KOLO_ERR_INTERNAL, .user = memory};
}

void net_op_fini(net_op *op)
{
    free(op->user);
}

enum { PIECE = 4096 };

/* Bytes at, at + 1, ... of the pattern. */
UNWATCHED static void draw(unsigned char *piece, size_t at, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        uint64_t x = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + ((at + i) >> 3) * UINT64_C(0xbf58476d1ce4e5b9);
        piece[i] = (unsigned char)(x >> (8 * ((at + i) & 7)));
    }
}

void net_fill(void *bytes, size_t size, uint64_t seed)
{
    unsigned char piece[PIECE];
    for (size_t at = 0, part; at < size; at += part) {
        part = size - at < PIECE ? size - at : PIECE;
        draw(piece, at, part, seed);
        memcpy((unsigned char *)bytes + at, piece, part);
    }
}

void net_check(const void *bytes, size_t size, uint64_t seed)
{
    unsigned char piece[PIECE];
    const unsigned char *p = bytes;
    for (size_t at = 0, part; at < size; at += part) {
        part = size - at < PIECE ? size - at : PIECE;
        draw(piece, at, part, seed);
        if (memcmp(p + at, piece, part) == 0)
            continue;
        for (size_t i = 0; i < part; i++)
            if (p[at + i] != piece[i])
                fail_msg("byte %zu of %zu is %u, not %u", at + i, size, p[at + i], piece[i]);
    }
}
