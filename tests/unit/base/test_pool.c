/* test_pool.c - blocks come back, as many as are kept; and with several threads at once. */
#include "cmocka_all.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"

enum { BYTES = 48, THREADS = 4, TURNS = 20000, HELD = 8 };

static void take__when_empty_allocates(void **state)
{
    (void)state;
    kolo_pool pool = {.block_bytes = BYTES, .most = 1};
    void *one = kolo_pool_take(&pool), *two = kolo_pool_take(&pool);
    assert_true(one != NULL && two != NULL && one != two);
    memset(one, 1, BYTES);
    memset(two, 2, BYTES);
    kolo_pool_give(&pool, one);
    kolo_pool_give(&pool, two); /* one more than are kept */
    assert_true(pool.count <= 1);
    kolo_pool_empty(&pool);
    assert_true(pool.first == NULL && pool.count == 0);
}

static void give__nothing(void **state)
{
    (void)state;
    kolo_pool pool = {.block_bytes = BYTES, .most = 1};
    kolo_pool_give(&pool, NULL);
    assert_int_equal(pool.count, 0);
}

/* Each writes to what it holds; nobody else may. */
static void *work(void *argument)
{
    kolo_pool *pool = argument;
    uintptr_t *held[HELD] = {0}, wrong = 0;
    for (uintptr_t turn = 0; turn < TURNS; turn++) {
        uintptr_t **at = &held[turn % HELD];
        if (*at != NULL)
            wrong += (*at)[0] != turn - HELD || (*at)[1] != (uintptr_t)&held;
        kolo_pool_give(pool, *at);
        *at = kolo_pool_take(pool);
        (*at)[0] = turn;
        (*at)[1] = (uintptr_t)&held;
    }
    for (int i = 0; i < HELD; i++)
        kolo_pool_give(pool, held[i]);
    return (void *)wrong;
}

static void take__by_several_threads(void **state)
{
    (void)state;
    kolo_pool pool = {.block_bytes = BYTES, .most = 16};
    pthread_t threads[THREADS];
    void *wrong;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &pool), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_true(pool.count <= 16);
    kolo_pool_empty(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take__when_empty_allocates),
        cmocka_unit_test(give__nothing),
        cmocka_unit_test(take__by_several_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
