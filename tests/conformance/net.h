/* net.h - N transports in one process, watched: the fixture of the conformance tests.
 *
 * Every upcall is checked: it comes from inside progress() of its own transport, a completion once for a posting. */
#ifndef KOLO_TESTS_NET_H
#define KOLO_TESTS_NET_H

#include "conformance.h"

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NET_MAX_RANKS = 8 };

typedef struct net net;
typedef struct net_end net_end;
typedef struct net_op net_op;

struct net_end {
    net *net;
    int32_t rank;
    kolo_transport *transport;
    bool in_progress;
    uint64_t controls, completions, lost;
    kolo_status explained;
    char explanation[512];
};

/* One send or receive; its cookie. */
struct net_op {
    net_end *end;
    int completions;
    kolo_status status;
    unsigned char *buffer;
    size_t bytes;
    void (*then)(net_op *op); /* called at completion; may be NULL */
    void *user;
};

struct net {
    const conformance_harness *harness;
    const kolo_transport_ops *ops;
    void *world;
    int32_t size;
    net_end ends[NET_MAX_RANKS];
    void (*on_control)(net_end *end, int32_t peer, const unsigned char *bytes, size_t size);
    void *user;
};

extern const conformance_harness *conformance_harness_current;

/* env for rank `rank` of n, as net_open uses it. */
kolo_transport_env net_env(net *n, int32_t rank);
/* Creates and connects `size` transports. */
void net_open(net *n, int32_t size, uint64_t seed);
/* Creates them only. */
void net_create(net *n, int32_t size, uint64_t seed);
/* Their addresses. */
void net_addresses(net *n, kolo_bytes addresses[NET_MAX_RANKS]);
/* Closes all in order, waits, destroys. */
void net_close(net *n);
/* Destroys as they are. */
void net_destroy(net *n);

int net_progress(net_end *end);
/* Everybody makes progress, once; the world moves where nobody could. False: nothing will happen any more. */
bool net_step(net *n);
/* Steps until *counter reaches value. */
void net_until(net *n, const uint64_t *counter, uint64_t value);
/* Steps until the op is complete. */
void net_wait(net *n, const net_op *op);

kolo_status net_send(net_end *end, int32_t peer, uint64_t tag, net_op *op);
kolo_status net_recv(net_end *end, int32_t peer, uint64_t tag, net_op *op);

/* An op with a buffer of its own (offset moves it off its alignment); freed by net_op_fini. */
void net_op_init(net_op *op, net_end *end, size_t bytes, size_t offset);
void net_op_fini(net_op *op);
void net_fill(void *bytes, size_t size, uint64_t seed);
void net_check(const void *bytes, size_t size, uint64_t seed);

/* The tests, by file. */
extern const struct CMUnitTest conformance_control_tests[], conformance_data_tests[], conformance_life_tests[],
    conformance_heap_tests[];
extern const size_t conformance_control_count, conformance_data_count, conformance_life_count, conformance_heap_count;

#endif
