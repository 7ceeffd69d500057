/* shm_ranks.c - the life of a rank in a process of its own. */
#include "shm_ranks.h"

#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 100 };

const kolo_transport_ops *ops;

static void on_control(void *user, int32_t peer, const void *bytes, size_t size)
{
    rig *r = user;
    r->controls++;
    if (r->on_control)
        r->on_control(r, peer, bytes, size);
}

static void on_complete(void *user, void *cookie, kolo_status status)
{
    rig *r = user;
    r->completed[status]++;
    if (cookie)
        ++*(int *)cookie;
}

static void on_peer_lost(void *user, int32_t peer, const char *why)
{
    rig *r = user;
    CHECK(why[0] != '\0');
    r->lost[peer]++;
}

static void explain(void *user, kolo_status status, int sys_errno, const char *message)
{
    (void)status, (void)sys_errno;
    snprintf(((rig *)user)->explanation, sizeof(((rig *)user)->explanation), "%s", message);
}

static const char *option(void *user, const char *name)
{
    return strcmp(name, "SHM_ATTACH") == 0 ? ((rig *)user)->attach : strcmp(name, "SHM_WINDOW") == 0 ? "16K" : NULL;
}

/* ---- a rank's life ------------------------------------------------------------------------------------------ */

void gate(rig *r, int number)
{
    atomic_fetch_add(&r->board->arrived[number], 1);
    while (atomic_load(&r->board->arrived[number]) < r->size)
        if (number < 1 || ops->progress(r->t) == 0)
            sched_yield();
}

void publish(rig *r)
{
    const kolo_transport_env env = {
        .struct_size = sizeof(env),
        .rank = r->rank,
        .size = r->size,
        .user = r,
        .on_control = on_control,
        .on_complete = on_complete,
        .on_peer_lost = on_peer_lost,
        .explain = explain,
        .option = option,
    };
    kolo_bytes address;
    CHECK(ops->create(&env, &r->t) == KOLO_OK);
    CHECK(ops->address(r->t, &address) == KOLO_OK && address.size <= ADDRESS_ROOM);
    memcpy(r->board->address[r->rank], address.data, address.size);
    r->board->address_bytes[r->rank] = address.size;
    gate(r, 0);
}

kolo_status join(rig *r)
{
    kolo_bytes addresses[MAX_RANKS];
    for (int32_t i = 0; i < r->size; i++)
        addresses[i] = (kolo_bytes){.data = r->board->address[i], .size = r->board->address_bytes[i]};
    return ops->connect(r->t, addresses);
}

void leave(rig *r)
{
    ops->close(r->t, false);
    while (!ops->closed(r->t))
        ops->progress(r->t);
    ops->destroy(r->t);
}

void doze(rig *r)
{
    bool armed = false;
    for (uint64_t spins = kolo_rng_below(&r->rng, 2000); spins > 0; spins--)
        atomic_signal_fence(memory_order_seq_cst);
    CHECK(ops->arm(r->t, &armed) == KOLO_OK);
    struct pollfd one = {.fd = ops->event_fd(r->t), .events = POLLIN};
    if (armed)
        CHECK(poll(&one, 1, POLL_MS) == 1);
}

void step_or_doze(rig *r)
{
    if (ops->progress(r->t) == 0)
        doze(r);
}

/* Side by side where there are cores for it: races between ranks that take turns on one core do not show. */
static void bind_rank(int32_t rank)
{
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return;
    int wanted = rank % CPU_COUNT(&allowed);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && wanted-- == 0)
            CPU_SET(cpu, &one);
    (void)sched_setaffinity(0, sizeof(one), &one);
}

static void child(const scene *s, board *b, int32_t rank, uint64_t seed)
{
    rig r = {.board = b, .rank = rank, .size = s->ranks, .seed = seed, .attach = s->attach};
    r.rng.state = seed * 100 + (uint64_t)rank;
    alarm(SECONDS);
    bind_rank(rank);
    s->body(&r);
    exit(0);
}

void play(scene s, uint64_t seed)
{
    pid_t children[MAX_RANKS];
    board *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(b != MAP_FAILED);
    ops = kolo_shm_transport();
    fflush(NULL);
    for (int32_t rank = 0; rank < s.ranks; rank++) {
        children[rank] = fork();
        assert_true(children[rank] >= 0);
        if (children[rank] == 0)
            child(&s, b, rank, seed);
    }
    if (s.parent)
        s.parent(b, children);
    for (int32_t rank = 0; rank < s.ranks; rank++) {
        int status;
        assert_int_equal(waitpid(children[rank], &status, 0), children[rank]);
        if (rank == s.killed)
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("rank %d of %d ends with status %#x (seed %llu)", (int)rank, (int)s.ranks, status,
                     (unsigned long long)seed);
    }
    munmap(b, sizeof(*b));
}
