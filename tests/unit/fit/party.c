/* party.c - see party.h. */
#include "unit/fit/party.h"

#include "engine/executor.h"
#include "transports/shm/shm.h"

#include <pthread.h>
#include <string.h>

typedef struct member {
    party *p;
    int32_t rank;
    pthread_barrier_t *together;
    kolo_bytes *addresses;
    pthread_t thread;
} member;

static void on_complete(void *user, void *cookie, kolo_status status)
{
    (void)user;
    kolo_executor_completed(cookie, status);
}

static void on_control(void *user, int32_t peer, const void *bytes, size_t size)
{
    (void)user;
    (void)peer;
    (void)bytes;
    (void)size;
}

static void on_peer_lost(void *user, int32_t peer, const char *why)
{
    (void)user;
    (void)peer;
    (void)why;
}

static const char *on_option(void *user, const char *name)
{
    const member *own = user;
    return strcmp(name, "SHM_WINDOW") == 0 ? own->p->window : NULL;
}

static bool is_overwritten(const kolo_transport_ops *ops, kolo_transport *transport, int32_t rank)
{
    const unsigned char *window = ops->window(transport, rank);
    for (size_t i = KOLO_FIT_WINDOW_BYTES; i < ops->window_bytes(transport); i++)
        if (window[i] != 0)
            return true;
    return false;
}

static void measure(member *own, kolo_transport *transport)
{
    static const int32_t ring[PARTY_MAX] = {0, 1, 2, 3, 4};
    party *p = own->p;
    kolo_fit_options options = {.ops = p->ops != NULL ? p->ops : kolo_shm_transport(),
                                .transport = transport,
                                .rank = own->rank,
                                .size = p->size,
                                .ring = ring,
                                .is_shared = p->is_shared,
                                .crowd = 1,
                                .budget_ns = p->budget_ns,
                                .patience_ns = p->patience_ns};
    if (own->rank != p->absent)
        p->status[own->rank] = kolo_fit(&options, &p->models[own->rank]);
    p->overwritten[own->rank] = is_overwritten(kolo_shm_transport(), transport, own->rank);
}

static void *live(void *argument)
{
    member *own = argument;
    const kolo_transport_ops *ops = kolo_shm_transport();
    kolo_transport *transport = NULL;
    kolo_transport_env env = {.struct_size = sizeof(env),
                              .rank = own->rank,
                              .size = own->p->size,
                              .user = own,
                              .on_control = on_control,
                              .on_complete = on_complete,
                              .on_peer_lost = on_peer_lost,
                              .option = on_option};
    bool good =
        ops->create(&env, &transport) == KOLO_OK && ops->address(transport, &own->addresses[own->rank]) == KOLO_OK;
    pthread_barrier_wait(own->together);
    good = good && ops->connect(transport, own->addresses) == KOLO_OK;
    pthread_barrier_wait(own->together);
    if (good)
        measure(own, transport);
    pthread_barrier_wait(own->together);
    if (transport != NULL)
        ops->destroy(transport);
    return good ? own : NULL;
}

void party_run(party *p)
{
    member members[PARTY_MAX];
    kolo_bytes addresses[PARTY_MAX] = {{.size = 0}};
    pthread_barrier_t together;
    assert_int_equal(pthread_barrier_init(&together, NULL, (unsigned)p->size), 0);
    for (int32_t r = 0; r < p->size; r++) {
        double *numbers = (double *)(void *)&p->models[r];
        for (size_t i = 0; i < sizeof(kolo_price_model) / sizeof(double); i++)
            numbers[i] = PARTY_UNMEASURED;
        members[r] = (member){.p = p, .rank = r, .together = &together, .addresses = addresses};
        assert_int_equal(pthread_create(&members[r].thread, NULL, live, &members[r]), 0);
    }
    bool good = true;
    for (int32_t r = 0; r < p->size; r++) {
        void *answer = NULL;
        assert_int_equal(pthread_join(members[r].thread, &answer), 0);
        good &= answer != NULL;
    }
    pthread_barrier_destroy(&together);
    assert_true(good);
}
