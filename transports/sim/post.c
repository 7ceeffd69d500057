/* post.c - data messages of the simulated network: posting, matching, delivery, giving up. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

/* Good enough to notice a change; a word at a time, because messages may be large. */
static uint64_t checksum(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; size >= sizeof(uint64_t); p += sizeof(uint64_t), size -= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    for (; size > 0; p++, size--)
        hash = (hash ^ *p) * UINT64_C(0x100000001b3);
    return hash;
}

static void message_unlink(kolo_sim *sim, sim_message *message)
{
    sim_message **at = &sim->ranks[message->destination].messages;
    while (*at != message)
        at = &(*at)->next;
    *at = message->next;
}

/* Out of the list; freed now, or when its event comes out of the heap. The receive it was matched with waits on. */
static void message_give_up(kolo_sim *sim, sim_message *message)
{
    message_unlink(sim, message);
    if (message->recv)
        message->recv->message = NULL;
    sim_event_destroy(sim, message->done);
    free(message->copy);
    message->done = NULL;
    message->copy = NULL;
    message->state = SIM_DEAD;
    if (!message->in_heap) {
        sim_event_destroy(sim, message->event);
        free(message);
    }
}

static void recv_free(kolo_sim *sim, int32_t rank, sim_recv *recv)
{
    sim_recv **at = &sim->ranks[rank].recvs;
    while (*at != recv)
        at = &(*at)->next;
    *at = recv->next;
    if (recv->message) {
        recv->message->recv = NULL;
        recv->message->state = SIM_ARRIVED;
    }
    sim_event_destroy(sim, recv->done);
    free(recv);
}

/* Sends `*done` off, to be handed over at at_ns. */
static void complete(kolo_sim *sim, sim_event **done, kolo_status status, int64_t at_ns)
{
    (*done)->status = status;
    sim_event_push(sim, *done, at_ns);
    *done = NULL;
}

static kolo_status judge(const kolo_sim *sim, const sim_message *message, const sim_recv *recv)
{
    const kolo_transport *receiver = sim->ranks[message->destination].transport;
    if (message->bytes != recv->bytes)
        return kolo_guard_refuse(&receiver->guard.env, KOLO_ERR_TRANSPORT,
                                 "rank %d sent %zu bytes with tag %#llx, rank %d expected %zu", (int)message->source,
                                 message->bytes, (unsigned long long)message->tag, (int)message->destination,
                                     recv->bytes);
    if (checksum(message->buffer, message->bytes) != message->checksum)
        return kolo_guard_refuse(&receiver->guard.env, KOLO_ERR_INTERNAL,
                                 "rank %d wrote into the buffer of its unfinished send with tag %#llx",
                                     (int)message->source,
                                 (unsigned long long)message->tag);
    return KOLO_OK;
}

static void deliver(kolo_sim *sim, sim_message *message, sim_recv *recv)
{
    kolo_status status = judge(sim, message, recv);
    if (status == KOLO_OK && message->bytes > 0)
        memcpy(recv->buffer, message->buffer, message->bytes);
    recv->done->status = status;
    sim_inbox_add(sim, recv->done);
    recv->done = NULL;
    if (message->done)
        complete(sim, &message->done, status, sim->now_ns + sim_latency_ns(sim));
    recv_free(sim, message->destination, recv);
    message_give_up(sim, message);
}

static sim_recv *find_recv(kolo_sim *sim, int32_t rank, int32_t source, uint64_t tag)
{
    sim_recv *recv = sim->ranks[rank].recvs;
    while (recv && (recv->source != source || recv->tag != tag))
        recv = recv->next;
    return recv;
}

static sim_message *find_message(kolo_sim *sim, int32_t rank, int32_t source, uint64_t tag)
{
    sim_message *message = sim->ranks[rank].messages;
    while (message && (message->source != source || message->tag != tag))
        message = message->next;
    return message;
}

void sim_message_step(kolo_sim *sim, sim_message *message)
{
    message->in_heap = false;
    if (message->state == SIM_DEAD) {
        sim_event_destroy(sim, message->event);
        free(message);
        return;
    }
    if (message->state == SIM_FLYING) {
        message->state = SIM_ARRIVED;
        sim_recv *recv = find_recv(sim, message->destination, message->source, message->tag);
        if (recv)
            deliver(sim, message, recv);
    } else if (message->recv) {
        deliver(sim, message, message->recv);
    }
}

/* Matches recv with a message that came first. Where the sender still holds the bytes, they take another trip. */
static void match_arrived(kolo_sim *sim, int32_t rank, sim_recv *recv)
{
    sim_message *message = find_message(sim, rank, recv->source, recv->tag);
    if (!message || message->state != SIM_ARRIVED)
        return;
    message->state = SIM_MATCHED;
    message->recv = recv;
    recv->message = message;
    if (!message->in_heap) { /* else an earlier receive was canceled, and the delivery it began serves this one */
        message->in_heap = true;
        sim_event_push(sim, message->event, sim->now_ns + (message->copy ? 0 : sim_latency_ns(sim)));
    }
}

kolo_status sim_post_recv(kolo_transport *transport, int32_t peer, uint64_t tag, void *buffer, size_t bytes,
                          void *cookie)
{
    kolo_sim *sim = transport->sim;
    int32_t rank = transport->guard.env.rank;
    if (find_recv(sim, rank, peer, tag))
        return kolo_guard_refuse(&transport->guard.env, KOLO_ERR_STATE,
                                 "a receive from rank %d with tag %#llx is posted already",
                                 (int)peer, (unsigned long long)tag);
    sim_recv *recv = calloc(1, sizeof(*recv));
    sim_event *done = sim_event_create(sim, SIM_COMPLETE, rank, peer, 0);
    if (!recv || !done) {
        free(recv);
        sim_event_destroy(sim, done);
        return kolo_guard_refuse(&transport->guard.env, KOLO_ERR_MEMORY, "no memory for a receive");
    }
    done->cookie = cookie;
    if (bytes > 0)
        memset(buffer, 0xa5, bytes); /* it is the transport's now: whoever still reads it gets caught */
    if (transport->lost[peer]) {
        free(recv);
        complete(sim, &done, KOLO_ERR_PEER, sim->now_ns);
        return KOLO_OK;
    }
    *recv = (sim_recv){.source = peer, .tag = tag, .bytes = bytes, .buffer = buffer, .done = done};
    sim_recv **tail = &sim->ranks[rank].recvs;
    while (*tail)
        tail = &(*tail)->next;
    *tail = recv;
    match_arrived(sim, rank, recv);
    return KOLO_OK;
}

/* Allocates everything the message will ever need. */
static sim_message *message_create(kolo_sim *sim, int32_t source, int32_t destination, size_t bytes, bool early)
{
    sim_message *message = calloc(1, sizeof(*message));
    if (!message)
        return NULL;
    message->event = sim_event_create(sim, SIM_MESSAGE, destination, source, 0);
    message->done = sim_event_create(sim, SIM_COMPLETE, source, destination, 0);
    message->copy = early ? malloc(bytes + 1) : NULL;
    if (!message->event || !message->done || (early && !message->copy)) {
        sim_event_destroy(sim, message->event);
        sim_event_destroy(sim, message->done);
        free(message->copy);
        free(message);
        return NULL;
    }
    message->event->message = message;
    return message;
}

/* When the last byte has left the sender, whose messages share one link. */
static int64_t link_done_ns(kolo_sim *sim, sim_rank *sender, size_t bytes)
{
    if (sim->options.bytes_per_ns <= 0)
        return sim->now_ns;
    double start = sender->link_free_ns > (double)sim->now_ns ? sender->link_free_ns : (double)sim->now_ns;
    sender->link_free_ns = start + (double)bytes / sim->options.bytes_per_ns;
    return (int64_t)sender->link_free_ns;
}

kolo_status sim_post_send(kolo_transport *transport, int32_t peer, uint64_t tag, const void *buffer, size_t bytes,
                          void *cookie)
{
    kolo_sim *sim = transport->sim;
    int32_t rank = transport->guard.env.rank;
    if (find_message(sim, peer, rank, tag))
        return kolo_guard_refuse(&transport->guard.env, KOLO_ERR_STATE,
                                 "a message to rank %d with tag %#llx is under way already",
                                 (int)peer, (unsigned long long)tag);
    bool early = kolo_rng_unit(&sim->rng) < sim->options.early_rate;
    sim_message *message = message_create(sim, rank, peer, bytes, early);
    if (!message)
        return kolo_guard_refuse(&transport->guard.env, KOLO_ERR_MEMORY, "no memory for a message of %zu bytes", bytes);
    message->done->cookie = cookie;
    if (early && bytes > 0)
        memcpy(message->copy, buffer, bytes);
    message->source = rank;
    message->destination = peer;
    message->tag = tag;
    message->bytes = bytes;
    message->buffer = early ? message->copy : buffer;
    message->checksum = checksum(buffer, bytes);
    sim_message **tail = &sim->ranks[peer].messages;
    while (*tail)
        tail = &(*tail)->next;
    *tail = message;
    if (transport->lost[peer]) {
        complete(sim, &message->done, KOLO_ERR_PEER, sim->now_ns);
        message_give_up(sim, message);
        return KOLO_OK;
    }
    sim->ranks[rank].sent.data_messages++;
    sim->ranks[rank].sent.data_bytes += bytes;
    message->in_heap = true;
    sim_event_push(sim, message->event, link_done_ns(sim, &sim->ranks[rank], bytes) + sim_latency_ns(sim));
    if (early)
        complete(sim, &message->done, KOLO_OK, sim->now_ns + sim_latency_ns(sim));
    return KOLO_OK;
}

void sim_end_sends(kolo_sim *sim, int32_t rank, int32_t peer, kolo_status status)
{
    for (int32_t r = 0; r < sim->options.size; r++) {
        if (peer >= 0 && r != peer)
            continue;
        for (sim_message *message = sim->ranks[r].messages, *next; message; message = next) {
            next = message->next;
            if (message->source != rank || !message->done)
                continue;
            if (status != KOLO_OK)
                complete(sim, &message->done, status, sim->now_ns);
            message_give_up(sim, message);
        }
    }
}

void sim_end_recvs(kolo_sim *sim, int32_t rank, int32_t peer, kolo_status status)
{
    for (sim_recv *recv = sim->ranks[rank].recvs, *next; recv; recv = next) {
        next = recv->next;
        if (peer >= 0 && recv->source != peer)
            continue;
        if (status != KOLO_OK)
            complete(sim, &recv->done, status, sim->now_ns);
        recv_free(sim, rank, recv);
    }
}

bool sim_has_sends(const kolo_sim *sim, int32_t rank)
{
    for (int32_t r = 0; r < sim->options.size; r++)
        for (const sim_message *message = sim->ranks[r].messages; message; message = message->next)
            if (message->source == rank && message->done)
                return true;
    return false;
}

void sim_drop_messages(kolo_sim *sim, int32_t rank, int32_t peer)
{
    for (sim_message *message = sim->ranks[rank].messages, *next; message; message = next) {
        next = message->next;
        if (peer < 0 || message->source == peer)
            message_give_up(sim, message);
    }
}
