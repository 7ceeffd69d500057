/* shm_ends_test.c - the shm transport between processes: deaths, leaving, and peers that are not there. */
#include "shm_ranks.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Rank 2 is killed while it owes and is owed; rank 0 sleeps, rank 1 spins. */
static void outlive(rig *r)
{
    static unsigned char bytes[3][1 << 20];
    publish(r);
    CHECK(join(r) == KOLO_OK);
    CHECK(ops->reads_peers(r->t) == (strcmp(r->attach, "yes") == 0));
    if (r->rank == 2) {
        atomic_fetch_add(&r->board->arrived[1], 1);
        for (;;) /* and takes nothing in, else the sends could be over */
            sched_yield();
    }
    CHECK(ops->recv(r->t, 2, 1, bytes[0], 100, NULL) == KOLO_OK);
    CHECK(ops->send(r->t, 2, 2, bytes[1], sizeof(bytes[1]), NULL) == KOLO_OK);
    CHECK(ops->recv(r->t, 1 - r->rank, 3, bytes[2], 1000, NULL) == KOLO_OK);
    char byte;
    bool reads = ops->reads_peers(r->t);
    CHECK(!reads || ops->read_peer(r->t, 2, (uintptr_t)bytes[2], &byte, 1) == KOLO_OK);
    gate(r, 1);
    while (r->completed[KOLO_ERR_PEER] < 2) {
        if (r->rank == 0)
            step_or_doze(r);
        else
            ops->progress(r->t);
    }
    CHECK(r->lost[2] == 1);
    CHECK(ops->send_control(r->t, 2, "x", 1) == KOLO_ERR_PEER);
    CHECK(!reads || ops->read_peer(r->t, 2, (uintptr_t)bytes[2], &byte, 1) == KOLO_ERR_PEER);
    CHECK(ops->recv(r->t, 2, 4, bytes[0], 100, NULL) == KOLO_OK);
    CHECK(ops->send(r->t, 1 - r->rank, 3, bytes[1], 1000, NULL) == KOLO_OK);
    while (r->completed[KOLO_OK] < 2 || r->completed[KOLO_ERR_PEER] < 3)
        ops->progress(r->t);
    CHECK(r->lost[0] + r->lost[1] == 0 && r->lost[2] == 1);
    leave(r);
}

static void kill_third(board *b, const pid_t *children)
{
    while (atomic_load(&b->arrived[1]) < 3)
        sched_yield();
    assert_int_equal(kill(children[2], SIGKILL), 0);
}

static void death__noticed_asleep_and_awake(void **state)
{
    (void)state;
    play((scene){.ranks = 3, .body = outlive, .parent = kill_third, .killed = 2, .attach = "yes"}, 1);
    play((scene){.ranks = 3, .body = outlive, .parent = kill_third, .killed = 2, .attach = "no"}, 2);
}

/* What a rank had said before it died still counts: more than one progress() takes in. */
enum { LAST_WORDS = 100 };

static void last_words(rig *r)
{
    unsigned char bytes[100];
    publish(r);
    CHECK(join(r) == KOLO_OK);
    if (r->rank == 1) {
        gate(r, 1);
        for (int i = 0; i < LAST_WORDS; i++)
            CHECK(ops->send_control(r->t, 0, "last words", 10) == KOLO_OK);
        CHECK(ops->send(r->t, 0, 1, "farewell", 8, NULL) == KOLO_OK);
        kill(getpid(), SIGKILL);
    }
    bool armed;
    CHECK(ops->arm(r->t, &armed) == KOLO_OK && armed); /* so it learns of the death first */
    atomic_fetch_add(&r->board->arrived[1], 1);
    while (!atomic_load(&r->board->stage))
        sched_yield();
    CHECK(ops->recv(r->t, 1, 1, bytes, 8, NULL) == KOLO_OK);
    while (!r->lost[1])
        step_or_doze(r);
    CHECK(r->controls == LAST_WORDS && r->completed[KOLO_OK] == 1 && memcmp(bytes, "farewell", 8) == 0);
    leave(r);
}

static void await_death(board *b, const pid_t *children)
{
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)children[1], &info, WEXITED | WNOWAIT), 0);
    atomic_store(&b->stage, 1);
}

static void death__what_was_sent_is_heard(void **state)
{
    (void)state;
    play((scene){.ranks = 2, .body = last_words, .parent = await_death, .killed = 1}, 1);
}

static void see_off(rig *r)
{
    unsigned char bytes[8];
    bool in_order = r->seed == 1;
    publish(r);
    CHECK(join(r) == KOLO_OK);
    if (r->rank == 0)
        CHECK(ops->recv(r->t, 1, 1, bytes, 8, NULL) == KOLO_OK);
    gate(r, 1);
    if (r->rank == 1) {
        ops->close(r->t, !in_order);
        ops->destroy(r->t);
        atomic_fetch_add(&r->board->arrived[2], 1); /* the process lives on */
        while (atomic_load(&r->board->arrived[2]) < 2)
            sched_yield();
        return;
    }
    while (r->completed[KOLO_ERR_PEER] == 0)
        step_or_doze(r);
    CHECK(r->lost[1] == !in_order);
    atomic_fetch_add(&r->board->arrived[2], 1);
    leave(r);
}

static void leaving__in_order_is_no_loss__by_force_is(void **state)
{
    (void)state;
    play((scene){.ranks = 2, .body = see_off, .killed = -1}, 1);
    play((scene){.ranks = 2, .body = see_off, .killed = -1}, 2);
}

/* The process of rank 1 ends before rank 0 connects. */
static void connect_to_nobody(rig *r)
{
    publish(r);
    if (r->rank == 1)
        return;
    while (!atomic_load(&r->board->stage))
        sched_yield();
    CHECK(join(r) == KOLO_ERR_UNSUPPORTED);
    CHECK(strstr(r->explanation, "rank 1") && ops->send_control(r->t, 1, "x", 1) == KOLO_ERR_STATE);
    ops->destroy(r->t);
}

static void connect__peer_is_not_here(void **state)
{
    (void)state;
    play((scene){.ranks = 2, .body = connect_to_nobody, .parent = await_death, .killed = -1}, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(death__noticed_asleep_and_awake),
        cmocka_unit_test(death__what_was_sent_is_heard),
        cmocka_unit_test(leaving__in_order_is_no_loss__by_force_is),
        cmocka_unit_test(connect__peer_is_not_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
