/* sim_faults_test.c - the simulated network's crashes, and the eye it keeps on its user. */
#include "sim_rig.h"

#include <stdlib.h>
#include <string.h>

/* ---- crashes ---- */

static void crash__others_hear_and_postings_end(void **state)
{
    (void)state;
    sim_rig r;
    unsigned char a[100] = {0}, b[100];
    rig_init(&r, usual_options(2));
    assert_int_equal(rig_recv(&r, 0, 3, 1, b, 100), KOLO_OK); /* never sent */
    assert_int_equal(rig_send(&r, 1, 3, 2, a, 100), KOLO_OK); /* never received */
    assert_int_equal(rig_recv(&r, 2, 1, 3, b, 100), KOLO_OK); /* not its business */
    assert_int_equal(rig_recv(&r, 3, 0, 4, b, 100), KOLO_OK); /* its own */
    kolo_sim_crash(r.sim, 3);
    kolo_sim_crash(r.sim, 3);
    rig_run(&r);
    for (int32_t i = 0; i < 3; i++) {
        int losses = 0;
        for (size_t n = 0; n < r.log[i].count; n++)
            losses += r.log[i].notes[n].peer == 3 && r.log[i].notes[n].status == KOLO_ERR_PEER;
        assert_int_equal(losses, 1);
    }
    assert_int_equal(rig_told(&r, 0, 2001), KOLO_ERR_PEER);
    assert_int_equal(rig_told(&r, 1, 1002), KOLO_ERR_PEER);
    assert_int_equal(rig_told(&r, 2, 2003), -1);
    assert_int_equal(r.log[3].count, 0);
    /* From now on */
    assert_int_equal(r.ops->send_control(r.transport[0], 3, "x", 1), KOLO_ERR_PEER);
    assert_int_equal(rig_send(&r, 0, 3, 5, a, 100), KOLO_OK);
    assert_int_equal(rig_recv(&r, 0, 3, 6, b, 100), KOLO_OK);
    assert_int_equal(rig_send(&r, 1, 2, 3, a, 100), KOLO_OK);
    rig_run(&r);
    assert_int_equal(rig_told(&r, 0, 1005), KOLO_ERR_PEER);
    assert_int_equal(rig_told(&r, 0, 2006), KOLO_ERR_PEER);
    assert_int_equal(rig_told(&r, 2, 2003), KOLO_OK);
    rig_fini(&r);
}

/* The memory of a crashed rank is not read: ASan would see it. */
static void crash__its_buffers_are_gone(void **state)
{
    (void)state;
    sim_rig r;
    unsigned char b[5000], *a = calloc(1, 5000);
    rig_init(&r, usual_options(2));
    assert_int_equal(rig_send(&r, 3, 0, 1, a, 5000), KOLO_OK);
    assert_int_equal(rig_recv(&r, 0, 3, 1, b, 5000), KOLO_OK);
    kolo_sim_crash(r.sim, 3);
    free(a);
    rig_run(&r);
    assert_int_equal(rig_told(&r, 0, 2001), KOLO_ERR_PEER);
    rig_fini(&r);
}

/* ---- the watchful eye ---- */

static void send__same_tag_twice(void **state)
{
    (void)state;
    sim_rig r;
    unsigned char a[8] = {0}, b[8];
    rig_init(&r, usual_options(1));
    assert_int_equal(rig_send(&r, 0, 1, 7, a, 8), KOLO_OK);
    assert_int_equal(rig_send(&r, 0, 1, 7, a, 8), KOLO_ERR_STATE);
    assert_non_null(strstr(r.log[0].explanation, "under way already"));
    assert_int_equal(rig_send(&r, 0, 2, 7, a, 8), KOLO_OK);
    assert_int_equal(rig_recv(&r, 3, 0, 7, b, 8), KOLO_OK);
    assert_int_equal(rig_recv(&r, 3, 0, 7, b, 8), KOLO_ERR_STATE);
    rig_fini(&r);
}

static void send__buffer_written_before_completion(void **state)
{
    (void)state;
    sim_rig r;
    unsigned char a[64] = {0}, b[64];
    rig_init(&r, usual_options(1));
    assert_int_equal(rig_send(&r, 0, 1, 7, a, sizeof(a)), KOLO_OK);
    a[63] = 1;
    assert_int_equal(rig_recv(&r, 1, 0, 7, b, sizeof(b)), KOLO_OK);
    rig_run(&r);
    assert_int_equal(rig_told(&r, 1, 2007), KOLO_ERR_INTERNAL);
    assert_int_equal(rig_told(&r, 0, 1007), KOLO_ERR_INTERNAL);
    assert_non_null(strstr(r.log[1].explanation, "rank 0 wrote into the buffer"));
    rig_fini(&r);
}

static void recv__buffer_is_overwritten_at_once(void **state)
{
    (void)state;
    sim_rig r;
    unsigned char b[16] = {0};
    rig_init(&r, usual_options(1));
    assert_int_equal(rig_recv(&r, 1, 0, 7, b, 15), KOLO_OK);
    assert_int_not_equal(b[0], 0);
    assert_int_not_equal(b[14], 0);
    assert_int_equal(b[15], 0);
    rig_fini(&r);
}

/* A receive that was canceled after it matched gives the message back, to be received again. */
static void cancel__matched_message_stays(void **state)
{
    (void)state;
    sim_rig r;
    unsigned char a[100], b[100], c[100];
    memset(a, 3, sizeof(a));
    rig_init(&r, usual_options(1));
    assert_int_equal(rig_send(&r, 0, 1, 1, a, 100), KOLO_OK);
    rig_run(&r);                                              /* it has arrived */
    assert_int_equal(rig_recv(&r, 1, 0, 1, b, 100), KOLO_OK); /* matched, the bytes are on their way */
    r.ops->cancel_all(r.transport[1]);
    assert_int_equal(rig_recv(&r, 1, 0, 1, c, 100), KOLO_OK);
    rig_run(&r);
    int canceled = 0, ok = 0;
    for (size_t i = 0; i < r.log[1].count; i++) {
        canceled += r.log[1].notes[i].status == KOLO_ERR_CANCELED;
        ok += r.log[1].notes[i].status == KOLO_OK;
    }
    assert_int_equal(canceled, 1);
    assert_int_equal(ok, 1);
    assert_int_equal(c[99], 3);
    assert_int_equal(rig_told(&r, 0, 1001), KOLO_OK);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash__others_hear_and_postings_end),
        cmocka_unit_test(crash__its_buffers_are_gone),
        cmocka_unit_test(send__same_tag_twice),
        cmocka_unit_test(send__buffer_written_before_completion),
        cmocka_unit_test(recv__buffer_is_overwritten_at_once),
        cmocka_unit_test(cancel__matched_message_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
