/* node.c - a node of the tree with nobody around it. */
#include "unit/engine/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static kolo_status keep(node *n, node_message *list, size_t *count, const void *body, size_t size)
{
    assert_in_range(size, 1, KOLO_CONTROL_BODY_BYTES);
    if (n->send_answer != KOLO_OK)
        return n->send_answer;
    assert_in_range(*count, 0, NODE_MESSAGES - 1);
    list[(*count)++] = (node_message){.bytes = made_copy(body, size), .size = size};
    return KOLO_OK;
}

static kolo_status send_up(void *user, const void *body, size_t size)
{
    node *n = user;
    return keep(n, n->up, &n->up_count, body, size);
}

static kolo_status send_down(void *user, const void *body, size_t size)
{
    node *n = user;
    return keep(n, n->down, &n->down_count, body, size);
}

static kolo_status run(void *user, kolo_request *const *requests, size_t count)
{
    node *n = user;
    n->batches++;
    for (size_t i = 0; i < count; i++) {
        assert_in_range(n->ran_count, 0, NODE_REQUESTS - 1);
        n->ran[n->ran_count++] = requests[i];
    }
    for (size_t i = 0; n->finish_at_once && i < count; i++)
        assert_int_equal(kolo_negotiation_release(&n->negotiation, requests[i]), KOLO_OK);
    return KOLO_OK;
}

static void fail_request(void *user, kolo_request *request, const kolo_error *error)
{
    node *n = user;
    n->failed = request;
    n->error = *error;
    assert_int_equal(kolo_negotiation_release(&n->negotiation, request), KOLO_OK);
}

static void expired(void *user, const char *name, const char *missing)
{
    node *n = user;
    snprintf(n->expired_name, sizeof(n->expired_name), "%s", name);
    snprintf(n->expired_ranks, sizeof(n->expired_ranks), "%s", missing);
}

void node_init_in(node *n, kolo_tree tree, int32_t rank)
{
    memset(n, 0, sizeof(*n));
    kolo_negotiation_hooks hooks = {
        .user = n, .send_up = send_up, .send_down = send_down, .run = run, .fail = fail_request, .expired = expired};
    assert_int_equal(kolo_negotiation_init(&n->negotiation, tree, rank, &hooks), KOLO_OK);
}

void node_init(node *n, int32_t rank, int32_t size)
{
    node_init_in(n, kolo_tree_of(size, false), rank);
}

void node_fini(node *n)
{
    kolo_negotiation_fini(&n->negotiation);
    for (size_t i = 0; i < n->up_count; i++)
        free(n->up[i].bytes);
    for (size_t i = 0; i < n->down_count; i++)
        free(n->down[i].bytes);
}

kolo_request *node_submit(node *n, const char *name, int64_t count)
{
    kolo_request *request = made_request(&(made_options){.name = name, .count = count});
    assert_int_equal(kolo_negotiation_submit(&n->negotiation, request), KOLO_OK);
    return request;
}

void node_over(node *n, kolo_request *request)
{
    assert_int_equal(kolo_negotiation_release(&n->negotiation, request), KOLO_OK);
    kolo_request_release(request);
}

int node_flush(node *n)
{
    int sent = -1;
    assert_int_equal(kolo_negotiation_flush(&n->negotiation, true, &sent), KOLO_OK);
    return sent;
}

kolo_status node_child_says(node *n, int32_t child, const void *bytes, size_t size)
{
    uint8_t *copy = made_copy(bytes, size);
    kolo_reader reader;
    kolo_reader_init(&reader, copy, size);
    kolo_status status = kolo_negotiation_up(&n->negotiation, child, &reader);
    free(copy);
    return status;
}

kolo_status node_child_ready(node *n, int32_t child, uint32_t slot)
{
    uint8_t bytes[16];
    kolo_writer writer;
    kolo_writer_init(&writer, bytes, sizeof(bytes));
    kolo_up_write_ready(&writer, slot);
    return node_child_says(n, child, bytes, writer.size);
}

kolo_status node_child_describes(node *n, int32_t child, const char *name, int64_t count, int32_t first, int32_t last)
{
    uint8_t bytes[1024];
    kolo_writer writer;
    kolo_request *request = made_request(&(made_options){.name = name, .count = count});
    kolo_variant variant = {.description = request->description, .description_size = request->description_size};
    kolo_ranks_init(&variant.ranks);
    assert_true(kolo_ranks_add(&variant.ranks, first, last));
    kolo_writer_init(&writer, bytes, sizeof(bytes));
    kolo_up_write_describe(&writer, name, false, &variant, 1);
    kolo_ranks_fini(&variant.ranks);
    kolo_request_release(request);
    assert_true(writer.ok);
    return node_child_says(n, child, bytes, writer.size);
}

kolo_status node_child_asks(node *n, int32_t child, const char *name)
{
    uint8_t bytes[512];
    kolo_writer writer;
    kolo_writer_init(&writer, bytes, sizeof(bytes));
    kolo_up_write_expired(&writer, name);
    return node_child_says(n, child, bytes, writer.size);
}

kolo_status node_root_decides(node *n, const kolo_down *downs, size_t count)
{
    enum { CAPACITY = 8192 };
    uint8_t *bytes = malloc(CAPACITY);
    assert_non_null(bytes);
    kolo_writer writer;
    kolo_reader reader;
    kolo_writer_init(&writer, bytes, CAPACITY);
    for (size_t i = 0; i < count; i++)
        kolo_down_write(&writer, &downs[i]);
    assert_true(writer.ok);
    kolo_reader_init(&reader, bytes, writer.size);
    kolo_status status = kolo_negotiation_down(&n->negotiation, &reader);
    free(bytes);
    return status;
}
