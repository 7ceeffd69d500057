/* test_mpsc.c - the queue alone, full, empty, going round; and with several producers at once. */
#include "cmocka_all.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mpsc.h"
#include "fail_alloc.h"

static kolo_mpsc *create(size_t capacity)
{
    kolo_mpsc *queue = NULL;
    assert_int_equal(kolo_mpsc_create(capacity, &queue), KOLO_OK);
    return queue;
}

static void *item(uintptr_t number)
{
    return (void *)number;
}

static void create__no_capacity(void **state)
{
    (void)state;
    kolo_mpsc *queue = item(1);
    assert_int_equal(kolo_mpsc_create(0, &queue), KOLO_ERR_INVALID);
    assert_ptr_equal(queue, item(1));
    assert_int_equal(kolo_error_current()->status, KOLO_ERR_INVALID);
}

static void create__capacity_overflows(void **state)
{
    (void)state;
    kolo_mpsc *queue = NULL;
    assert_int_equal(kolo_mpsc_create(SIZE_MAX, &queue), KOLO_ERR_INVALID);
    assert_int_equal(kolo_mpsc_create(SIZE_MAX / 16, &queue), KOLO_ERR_INVALID);
    assert_null(queue);
}

static void create__out_of_memory(void **state)
{
    (void)state;
    for (int number = 1; number <= 2; number++) {
        kolo_mpsc *queue = NULL;
        fail_alloc_at(number);
        assert_int_equal(kolo_mpsc_create(16, &queue), KOLO_ERR_MEMORY);
        assert_null(queue);
    }
}

static void destroy__nothing(void **state)
{
    (void)state;
    kolo_mpsc_destroy(NULL);
}

static void pop__empty(void **state)
{
    (void)state;
    kolo_mpsc *queue = create(4);
    assert_null(kolo_mpsc_pop(queue));
    assert_true(kolo_mpsc_push(queue, item(5)));
    assert_ptr_equal(kolo_mpsc_pop(queue), item(5));
    assert_null(kolo_mpsc_pop(queue));
    kolo_mpsc_destroy(queue);
}

static void push__full(void **state)
{
    (void)state;
    static const size_t capacities[][2] = {{1, 2}, {2, 2}, {3, 4}, {4, 4}, {1000, 1024}}; /* asked, given */
    for (size_t c = 0; c < sizeof(capacities) / sizeof(*capacities); c++) {
        kolo_mpsc *queue = create(capacities[c][0]);
        for (uintptr_t i = 1; i <= capacities[c][1]; i++)
            assert_true(kolo_mpsc_push(queue, item(i)));
        assert_false(kolo_mpsc_push(queue, item(99)));
        assert_false(kolo_mpsc_push(queue, item(99)));
        assert_int_equal(kolo_mpsc_length(queue), capacities[c][1]);
        assert_ptr_equal(kolo_mpsc_pop(queue), item(1));
        assert_true(kolo_mpsc_push(queue, item(100)));
        assert_false(kolo_mpsc_push(queue, item(99)));
        for (uintptr_t i = 2; i <= capacities[c][1]; i++)
            assert_ptr_equal(kolo_mpsc_pop(queue), item(i));
        assert_ptr_equal(kolo_mpsc_pop(queue), item(100));
        assert_null(kolo_mpsc_pop(queue));
        assert_int_equal(kolo_mpsc_pushed(queue), capacities[c][1] + 1);
        kolo_mpsc_destroy(queue);
    }
}

static void order__kept_over_many_rounds(void **state)
{
    (void)state;
    kolo_mpsc *queue = create(8);
    uintptr_t pushed = 0, popped = 0;
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i <= round % 8; i++)
            assert_true(kolo_mpsc_push(queue, item(++pushed)));
        for (void *got; (got = kolo_mpsc_pop(queue)) != NULL;)
            assert_ptr_equal(got, item(++popped));
        assert_int_equal(pushed, popped);
        assert_int_equal(kolo_mpsc_pushed(queue), pushed);
        assert_int_equal(kolo_mpsc_length(queue), 0);
    }
    kolo_mpsc_destroy(queue);
}

enum { PRODUCERS = 4, ITEMS = 5000 };

typedef struct message {
    int producer, number;
} message;

typedef struct producer {
    pthread_t thread;
    kolo_mpsc *queue;
    message messages[ITEMS];
    int id;
} producer;

static void *produce(void *argument)
{
    producer *self = argument;
    for (int i = 0; i < ITEMS; i++) {
        self->messages[i] = (message){self->id, i}; /* must be visible to the consumer */
        while (!kolo_mpsc_push(self->queue, &self->messages[i]))
            sched_yield();
    }
    return NULL;
}

/* A small queue, so that it is full and empty all the time. Nothing lost, nothing twice, each producer's in order. */
static void producers__several_at_once(void **state)
{
    (void)state;
    kolo_mpsc *queue = create(16);
    producer *producers = calloc(PRODUCERS, sizeof(*producers));
    assert_non_null(producers);
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i].queue = queue;
        producers[i].id = i;
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    int next[PRODUCERS] = {0};
    for (int left = PRODUCERS * ITEMS; left > 0;) {
        const message *got = kolo_mpsc_pop(queue);
        if (got == NULL) {
            sched_yield();
            continue;
        }
        assert_int_equal(got->number, next[got->producer]);
        next[got->producer]++;
        left--;
    }
    for (int i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_join(producers[i].thread, NULL), 0);
        assert_int_equal(next[i], ITEMS);
    }
    free(producers);
    kolo_mpsc_destroy(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__no_capacity),
        cmocka_unit_test(create__capacity_overflows),
        cmocka_unit_test(create__out_of_memory),
        cmocka_unit_test(destroy__nothing),
        cmocka_unit_test(pop__empty),
        cmocka_unit_test(push__full),
        cmocka_unit_test(order__kept_over_many_rounds),
        cmocka_unit_test(producers__several_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
