/* node.h - one node of the negotiation tree, its neighbours played by the test. */
#ifndef TESTS_UNIT_ENGINE_NODE_H
#define TESTS_UNIT_ENGINE_NODE_H

#include "unit/engine/made.h"

#include "engine/control.h"
#include "engine/negotiate.h"

enum { NODE_MESSAGES = 16, NODE_REQUESTS = 8192 };

typedef struct node_message {
    uint8_t *bytes;
    size_t size;
} node_message;

typedef struct node {
    kolo_negotiation negotiation;
    node_message up[NODE_MESSAGES], down[NODE_MESSAGES]; /* sent by the node */
    size_t up_count, down_count;
    kolo_request *ran[NODE_REQUESTS]; /* in order; the test's own reference */
    size_t ran_count, batches;
    kolo_request *failed;
    kolo_error error; /* of `failed` */
    char expired_name[KOLO_NAME_MAX + 1], expired_ranks[KOLO_MISSING_BYTES];
    kolo_status send_answer;
    bool finish_at_once; /* a request that runs is over within the hook */
} node;

void node_init(node *n, int32_t rank, int32_t size);
void node_init_in(node *n, kolo_tree tree, int32_t rank);
void node_fini(node *n);

/* What this rank submits: an all-reduce of `count` float32. The test keeps the reference. */
kolo_request *node_submit(node *n, const char *name, int64_t count);
/* The request is over: released by the negotiation and by the test. */
void node_over(node *n, kolo_request *request);
int node_flush(node *n);

/* Messages to the node, from its child number `child`, or its parent; what the node answers. */
kolo_status node_child_ready(node *n, int32_t child, uint32_t slot);
kolo_status node_child_describes(node *n, int32_t child, const char *name, int64_t count, int32_t first, int32_t last);
kolo_status node_child_asks(node *n, int32_t child, const char *name);
kolo_status node_child_says(node *n, int32_t child, const void *bytes, size_t size);
kolo_status node_root_decides(node *n, const kolo_down *downs, size_t count);

#endif
