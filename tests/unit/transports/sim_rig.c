/* sim_rig.c - the fixture of the simulated network's tests. */
#include "sim_rig.h"

#include <stdio.h>
#include <string.h>

static void add_note(rank_log *log, note one)
{
    assert_true(log->count < sizeof(log->notes) / sizeof(log->notes[0]));
    log->notes[log->count++] = one;
}

static void on_control(void *user, int32_t peer, const void *bytes, size_t size)
{
    assert_true(size == 0 || bytes);
    add_note(user, (note){.peer = peer, .status = KOLO_OK});
}

static void on_complete(void *user, void *cookie, kolo_status status)
{
    add_note(user, (note){.peer = -1, .cookie = cookie, .status = status});
}

static void on_peer_lost(void *user, int32_t peer, const char *why)
{
    assert_non_null(why);
    add_note(user, (note){.peer = peer, .status = KOLO_ERR_PEER});
}

static void explain(void *user, kolo_status status, int sys_errno, const char *message)
{
    (void)status, (void)sys_errno;
    rank_log *log = user;
    snprintf(log->explanation, sizeof(log->explanation), "%s", message);
}

kolo_transport_env rig_env(rank_log *log, kolo_sim *sim, int32_t rank, int32_t size)
{
    return (kolo_transport_env){.struct_size = sizeof(kolo_transport_env), .rank = rank, .size = size, .user = log,
                                .on_control = on_control, .on_complete = on_complete, .on_peer_lost = on_peer_lost,
                                .explain = explain, .extra = sim};
}

kolo_sim_options usual_options(uint64_t seed)
{
    return (kolo_sim_options){.size = RANKS, .seed = seed, .latency_min_ns = 1000, .latency_max_ns = 9000};
}

void rig_init(sim_rig *rig, kolo_sim_options options)
{
    memset(rig, 0, sizeof(*rig));
    rig->ops = kolo_sim_transport();
    assert_int_equal(kolo_sim_create(&options, &rig->sim), KOLO_OK);
    kolo_bytes addresses[RANKS];
    for (int32_t r = 0; r < RANKS; r++) {
        const kolo_transport_env env = rig_env(&rig->log[r], rig->sim, r, RANKS);
        assert_int_equal(rig->ops->create(&env, &rig->transport[r]), KOLO_OK);
        assert_int_equal(rig->ops->address(rig->transport[r], &addresses[r]), KOLO_OK);
    }
    for (int32_t r = 0; r < RANKS; r++)
        assert_int_equal(rig->ops->connect(rig->transport[r], addresses), KOLO_OK);
}

void rig_fini(sim_rig *rig)
{
    for (int32_t r = 0; r < RANKS; r++)
        rig->ops->destroy(rig->transport[r]);
    kolo_sim_destroy(rig->sim);
}

bool rig_step(sim_rig *rig)
{
    int32_t rank = kolo_sim_advance(rig->sim);
    if (rank >= 0)
        rig->ops->progress(rig->transport[rank]);
    return rank >= 0;
}

void rig_run(sim_rig *rig)
{
    while (rig_step(rig))
        ;
}

kolo_status rig_send(sim_rig *rig, int32_t from, int32_t to, uint64_t tag, const void *bytes, size_t size)
{
    return rig->ops->send(rig->transport[from], to, tag, bytes, size, (void *)(uintptr_t)(1000 + tag));
}

kolo_status rig_recv(sim_rig *rig, int32_t to, int32_t from, uint64_t tag, void *bytes, size_t size)
{
    return rig->ops->recv(rig->transport[to], from, tag, bytes, size, (void *)(uintptr_t)(2000 + tag));
}

int rig_told(const sim_rig *rig, int32_t rank, uintptr_t cookie)
{
    int status = -1;
    for (size_t i = 0; i < rig->log[rank].count; i++) {
        if (rig->log[rank].notes[i].peer == -1 && (uintptr_t)rig->log[rank].notes[i].cookie == cookie) {
            assert_int_equal(status, -1); /* once only */
            status = (int)rig->log[rank].notes[i].status;
        }
    }
    return status;
}
