/* test_price_built.c - prices against the schedules that are built: with one number of the model at 1 and all others at
 * 0, a price counts what that number stands for. */
#include "unit/plan/layout.h"

#include "plan/build.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { WINDOW = 3 << 20 };
static const int32_t sizes[] = {2, 3, 4, 7, 8, 16};
enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

/* One case: elements are bytes. */
typedef struct scene {
    const kolo_algorithm *algorithm;
    layout l;
    kolo_schedule *schedules;
    kolo_plan_work work;
} scene;

static void scene_init(scene *s, const char *name, kolo_collective collective, int32_t size, int64_t bytes,
                       int64_t chunk)
{
    s->algorithm = kolo_algorithm_find(name);
    layout_init(&s->l, collective, size, bytes, chunk);
    s->l.spec.window_count = WINDOW;
    s->schedules = layout_build(&s->l, s->algorithm);
    s->work = (kolo_plan_work){
        .collective = collective, .size = size, .bytes = bytes, .chunk_bytes = chunk, .window_bytes = WINDOW};
}

static double priced(const scene *s, const kolo_price_model *model)
{
    return s->algorithm->price(&s->work, model);
}

static bool is_chain(const scene *s)
{
    return s->algorithm == &kolo_algorithm_chain;
}

static bool does(const kolo_algorithm *algorithm, kolo_collective collective)
{
    return (algorithm->collectives & KOLO_COLLECTIVE_BIT(collective)) != 0;
}

/* Runs fn for all algorithms, collectives and sizes. */
static void each_scene(int64_t bytes, int64_t chunk, void (*fn)(const scene *s))
{
    for (size_t i = 0; i < kolo_algorithm_count(); i++)
        for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++)
            for (size_t j = 0; j < SIZES && does(kolo_algorithm_at(i), collective); j++) {
                scene s;
                scene_init(&s, kolo_algorithm_at(i)->name, collective, sizes[j], bytes, chunk);
                fn(&s);
                layout_free(&s.l, s.schedules);
            }
}

static void expect(const scene *s, const char *what, double price, double counted, double low, double high)
{
    if (!(price >= low * counted && price <= high * counted))
        fail_msg("%s %s, %d ranks, %lld bytes: %s are priced %g, and are %g", s->algorithm->name,
                 kolo_collective_name(s->work.collective), s->work.size, (long long)s->work.bytes, what, price,
                 counted);
}

/* ---- steps ---------------------------------------------------------------------------------------------- */

static void check_steps(const scene *s)
{
    size_t most = 0;
    for (int32_t r = 0; r < s->work.size; r++)
        most = s->schedules[r].step_count > most ? s->schedules[r].step_count : most;
    /* Not what is there once: the wait at the start, the copy of an own slice. A chain's first chunk takes all ranks'
     * steps one after another. */
    double price = priced(s, &(kolo_price_model){.step_ns = 1, .cache_bytes = 1});
    expect(s, "steps", price, (double)most, 0.5, is_chain(s) ? s->work.size : 1.6);
}

static void price__counts_steps(void **state)
{
    (void)state;
    each_scene(100000, 1 << 20, check_steps);
    each_scene(1000000, 5000, check_steps);
}

/* ---- bytes ---------------------------------------------------------------------------------------------- */

/* What one rank does with memory that it shares. */
typedef struct traffic {
    double written, read, folded, attached; /* the last: read by the transport */
} traffic;

static bool is_far(uint8_t buffer)
{
    return buffer >= KOLO_BUFFER_WINDOW;
}

static traffic count_traffic(const scene *s, int32_t rank)
{
    const kolo_schedule *schedule = &s->schedules[rank];
    int32_t size = s->work.size;
    traffic sum = {.written = 0};
    for (size_t i = 0; i < schedule->step_count; i++) {
        const kolo_step *step = &schedule->steps[i];
        double bytes = (double)step->count, others = size - 1;
        if (step->kind != KOLO_STEP_COPY && step->kind != KOLO_STEP_FOLD)
            continue;
        if (step->dst == KOLO_BUFFER_WINDOW)
            sum.written += bytes;
        else if (step->dst == KOLO_BUFFER_PEER_OUTPUT)
            sum.written += bytes * others;
        if (s->algorithm->reads_tensors && is_far(step->a))
            sum.attached += step->kind == KOLO_STEP_FOLD ? bytes * others : bytes;
        else if (step->kind == KOLO_STEP_FOLD)
            sum.folded += bytes * others;
        else if (is_far(step->a) && step->peer != rank)
            sum.read += bytes;
    }
    return sum;
}

static void check_traffic(const scene *s)
{
    if (s->algorithm->association != KOLO_ASSOCIATION_DIRECT)
        return;
    traffic most = {.written = 0};
    for (int32_t r = 0; r < s->work.size; r++) {
        traffic own = count_traffic(s, r);
        most.written = fmax(most.written, own.written);
        most.read = fmax(most.read, own.read);
        most.folded = fmax(most.folded, own.folded);
        most.attached = fmax(most.attached, own.attached);
    }
    bool is_broadcast = s->work.collective == KOLO_BROADCAST; /* where one writes while others read */
    expect(s, "written bytes", priced(s, &(kolo_price_model){.write_ns = 1, .cache_bytes = 1}), most.written, 0.99,
           1.01);
    expect(s, "read bytes", priced(s, &(kolo_price_model){.read_ns = 1, .cache_bytes = 1}), most.read, 0.99,
           is_broadcast ? 2.01 : 1.01);
    expect(s, "folded bytes", priced(s, &(kolo_price_model){.fold_ns = 1, .cache_bytes = 1}), most.folded, 0.99, 1.01);
    expect(s, "attached bytes", priced(s, &(kolo_price_model){.attach_ns = 1, .cache_bytes = 1}), most.attached, 0.99,
           1.01);
}

static void price__counts_shared_bytes(void **state)
{
    (void)state;
    each_scene(1000000, 1 << 20, check_traffic);
    each_scene(1000000, 5000, check_traffic);
    each_scene(10000000, 1 << 18, check_traffic); /* more than a window holds */
}

/* ---- flights -------------------------------------------------------------------------------------------- */

enum { TOLD_MAX = 1024 };

/* When each value of each flag was told, in flights. */
typedef struct teller {
    size_t next; /* step */
    int now;
    int told[KOLO_FLAG_COUNT][TOLD_MAX];
    int64_t value[KOLO_FLAG_COUNT];
} teller;

/* When all whom the step waits for have told; -1: not yet. */
static int seen_at(const teller *tellers, int32_t rank, int32_t size, const kolo_step *step)
{
    int at = tellers[rank].now;
    for (int32_t r = 0; r < size; r++) {
        if (r == rank || (step->peer >= 0 && step->peer != r) || step->count == 0)
            continue;
        if (tellers[r].value[step->message] < step->count)
            return -1;
        int arrival = tellers[r].told[step->message][step->count] + 1;
        at = arrival > at ? arrival : at;
    }
    return at;
}

/* Steps until one has to wait; false if there was none to do. */
static bool run_rank(teller *tellers, const kolo_schedule *schedules, int32_t rank, int32_t size)
{
    teller *own = &tellers[rank];
    size_t before = own->next;
    for (; own->next < schedules[rank].step_count; own->next++) {
        const kolo_step *step = &schedules[rank].steps[own->next];
        if (step->kind == KOLO_STEP_NOTIFY) {
            assert_true(step->count < TOLD_MAX);
            for (int64_t v = own->value[step->message] + 1; v <= step->count; v++)
                own->told[step->message][v] = own->now;
            own->value[step->message] = step->count;
        } else if (step->kind == KOLO_STEP_WAIT) {
            int at = seen_at(tellers, rank, size, step);
            if (at < 0)
                break;
            own->now = at;
        }
    }
    return own->next != before;
}

static int count_flights(const kolo_schedule *schedules, int32_t size)
{
    teller *tellers = calloc((size_t)size, sizeof(*tellers));
    assert_non_null(tellers);
    bool moved = true;
    while (moved) {
        moved = false;
        for (int32_t r = 0; r < size; r++)
            moved |= run_rank(tellers, schedules, r, size);
    }
    int last = 0;
    for (int32_t r = 0; r < size; r++) {
        assert_int_equal(tellers[r].next, schedules[r].step_count);
        last = tellers[r].now > last ? tellers[r].now : last;
    }
    free(tellers);
    return last;
}

static void check_flights(const scene *s)
{
    if (s->algorithm->association == KOLO_ASSOCIATION_DIRECT)
        expect(s, "flights", priced(s, &(kolo_price_model){.flight_ns = 1, .cache_bytes = 1}),
               count_flights(s->schedules, s->work.size), 1, 1);
}

static void check_flights_of_chunks(const scene *s)
{
    if (s->algorithm->association == KOLO_ASSOCIATION_DIRECT)
        expect(s, "flights", priced(s, &(kolo_price_model){.flight_ns = 1, .cache_bytes = 1}),
               count_flights(s->schedules, s->work.size), 0.8, 2.1);
}

static void price__counts_flights(void **state)
{
    (void)state;
    each_scene(100000, 1 << 20, check_flights);
    each_scene(1000000, 5000, check_flights_of_chunks);
}

/* ---- messages ------------------------------------------------------------------------------------------- */

/* 1 ns a byte, and nothing else. */
static kolo_price_model wire(void)
{
    kolo_price_model model = {.cache_bytes = 1};
    for (size_t i = 0; i < KOLO_PRICE_MESSAGES; i++)
        model.message_ns[i] = (double)(kolo_price_message_bytes[i] - kolo_price_message_bytes[0]);
    return model;
}

static void check_messages(const scene *s)
{
    double most = 0;
    kolo_price_model model = wire();
    if (s->algorithm->association == KOLO_ASSOCIATION_DIRECT)
        return;
    for (int32_t r = 0; r < s->work.size; r++) {
        double sent = 0;
        for (size_t i = 0; i < s->schedules[r].step_count; i++)
            if (s->schedules[r].steps[i].kind == KOLO_STEP_SEND)
                sent += (double)s->schedules[r].steps[i].count;
        most = fmax(most, sent);
    }
    expect(s, "sent bytes", priced(s, &model), most, 0.99, is_chain(s) ? s->work.size : 1.01);
}

static void price__counts_sent_bytes(void **state)
{
    (void)state;
    each_scene(10000000, 1 << 18, check_messages);
    each_scene(1000000, 20000, check_messages);
}

/* ---- over all sizes ------------------------------------------------------------------------------------- */

static void check_prices(const kolo_algorithm *algorithm, kolo_plan_work work)
{
    static const kolo_price_model model = KOLO_PRICE_MODEL_DEFAULT;
    double before_ns = 0;
    for (work.bytes = 0; work.bytes < INT64_C(1) << 42; work.bytes += 1 + work.bytes / 7) {
        double price_ns = algorithm->price(&work, &model);
        /* Where chunks grow to bound their number, there may be fewer of them: steps saved, but no bytes. And what is
         * too much for a window goes another way. */
        bool may_fall = work.chunk_bytes < 4096 || algorithm == &kolo_algorithm_direct_oneshot;
        if (!isfinite(price_ns) || price_ns <= 0 || (!may_fall && price_ns < 0.9 * before_ns))
            fail_msg("%s %s, %d ranks, %lld bytes: %g ns after %g ns", algorithm->name,
                     kolo_collective_name(work.collective), work.size, (long long)work.bytes, price_ns, before_ns);
        before_ns = price_ns;
    }
}

static void price__finite_positive_and_growing(void **state)
{
    (void)state;
    const int32_t many[] = {1, 2, 3, 4, 7, 8, 64, 1000, 100000};
    const int64_t chunks[] = {1, 4096, 1 << 18, INT64_C(1) << 40}, windows[] = {0, 1 << 20, INT64_C(1) << 42};
    for (size_t i = 0; i < kolo_algorithm_count(); i++)
        for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++)
            for (size_t j = 0; j < 9 * 4 * 3 && does(kolo_algorithm_at(i), collective); j++)
                check_prices(kolo_algorithm_at(i), (kolo_plan_work){.collective = collective,
                                                                    .size = many[j / 12],
                                                                    .chunk_bytes = chunks[j / 3 % 4],
                                                                    .window_bytes = windows[j % 3]});
}

/* What is too much for a window goes the other way. */
static void price__oneshot_ends_with_the_window(void **state)
{
    (void)state;
    const kolo_price_model model = KOLO_PRICE_MODEL_DEFAULT;
    const kolo_algorithm *direct = kolo_algorithm_find("direct"), *oneshot = kolo_algorithm_find("direct_oneshot");
    kolo_plan_work work = {.size = 2, .chunk_bytes = 1 << 18, .window_bytes = WINDOW};
    work.bytes = WINDOW;
    assert_true(oneshot->price(&work, &model) < direct->price(&work, &model) ||
                oneshot->price(&work, &model) > direct->price(&work, &model));
    work.bytes = WINDOW + 1;
    assert_true(oneshot->price(&work, &model) <= direct->price(&work, &model) &&
                oneshot->price(&work, &model) >= direct->price(&work, &model));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(price__counts_steps),
        cmocka_unit_test(price__counts_shared_bytes),
        cmocka_unit_test(price__counts_flights),
        cmocka_unit_test(price__counts_sent_bytes),
        cmocka_unit_test(price__finite_positive_and_growing),
        cmocka_unit_test(price__oneshot_ends_with_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
