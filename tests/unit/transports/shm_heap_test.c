/* shm_heap_test.c - what the conformance suite does not ask of the shm transport's heap: its size, and how it behaves
 * towards limits, the kernel, threads and forked children. */
#include "shm/shm.h"

#include "shm/instance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* these reserve terabytes for themselves */
#else
enum { SANITIZED = 0 };
#endif

enum { MIB = 1 << 20 };

typedef struct end {
    kolo_transport *t;
    const char *heap;
    kolo_status explained;
    char explanation[512], logged[512];
    unsigned char *placed;
    size_t placed_bytes;
    bool had_pages;
} end;

static const kolo_transport_ops *ops;

static void on_control(void *user, int32_t peer, const void *bytes, size_t size)
{
    (void)user, (void)peer, (void)bytes, (void)size;
}

static void on_complete(void *user, void *cookie, kolo_status status)
{
    (void)user, (void)cookie, (void)status;
}

static void on_peer_lost(void *user, int32_t peer, const char *why)
{
    (void)user, (void)peer, (void)why;
}

static void explain(void *user, kolo_status status, int sys_errno, const char *message)
{
    (void)sys_errno;
    end *e = user;
    e->explained = status;
    snprintf(e->explanation, sizeof(e->explanation), "%s", message);
}

static void log_line(void *user, kolo_log_level level, const char *line)
{
    end *e = user;
    if (level <= KOLO_LOG_INFO && e->logged[0] == '\0')
        snprintf(e->logged, sizeof(e->logged), "%s", line);
}

static const char *option(void *user, const char *name)
{
    const end *e = user;
    return strcmp(name, "SHM_WINDOW") == 0 ? "4K" : strcmp(name, "SHM_HEAP") == 0 ? e->heap : NULL;
}

/* Whether the kernel has pages there, whoever made them. */
static bool has_pages(void *memory, size_t bytes)
{
    enum { MOST = 8192, PAGE = 4096 };
    static unsigned char pages[MOST];
    bool found = false;
    bytes = bytes < (size_t)MOST * PAGE ? bytes : (size_t)MOST * PAGE;
    assert_int_equal(mincore(memory, bytes, pages), 0);
    for (size_t i = 0; i < bytes / PAGE; i++)
        found |= (pages[i] & 1) != 0;
    return found;
}

static void place(void *user, void *memory, size_t bytes)
{
    end *e = user;
    e->had_pages |= e->placed || has_pages(memory, bytes);
    e->placed = memory;
    e->placed_bytes = bytes;
}

static kolo_status create(end *e, int32_t rank)
{
    const kolo_transport_env env = {
        .struct_size = sizeof(env),
        .rank = rank,
        .size = 2,
        .user = e,
        .on_control = on_control,
        .on_complete = on_complete,
        .on_peer_lost = on_peer_lost,
        .log = log_line,
        .explain = explain,
        .option = option,
        .place = place,
    };
    ops = kolo_shm_transport();
    return ops->create(&env, &e->t);
}

static void join_two(end ends[2])
{
    kolo_bytes addresses[2];
    for (int r = 0; r < 2; r++)
        assert_int_equal(ops->address(ends[r].t, &addresses[r]), KOLO_OK);
    for (int r = 0; r < 2; r++)
        assert_int_equal(ops->connect(ends[r].t, addresses), KOLO_OK);
}

static void open_two(end ends[2], const char *first, const char *second)
{
    memset(ends, 0, 2 * sizeof(ends[0]));
    ends[0].heap = first;
    ends[1].heap = second;
    for (int r = 0; r < 2; r++)
        assert_int_equal(create(&ends[r], r), KOLO_OK);
    join_two(ends);
}

static void destroy_two(end ends[2])
{
    for (int r = 0; r < 2; r++)
        ops->destroy(ends[r].t);
}

static unsigned char *take(const end *e, size_t bytes)
{
    void *memory = NULL;
    assert_int_equal(ops->heap_alloc(e->t, bytes, &memory), KOLO_OK);
    return memory;
}

/* Memory that the segment has. */
static size_t resident(const end *e)
{
    struct stat info;
    assert_int_equal(fstat(e->t->memory_fd, &info), 0);
    return (size_t)info.st_blocks * 512;
}

/* ---- size ---- */

static void heap_option__bad(void **state)
{
    (void)state;
    const char *bad[] = {"some", "-1", "9999T", "4 G"};
    for (int i = 0; i < 4; i++) {
        end e = {.heap = bad[i]};
        assert_int_equal(create(&e, 0), KOLO_ERR_CONFIG);
        assert_non_null(strstr(e.explanation, "KOLO_SHM_HEAP"));
        assert_null(e.t);
    }
}

static void heap_option__the_least_holds(void **state)
{
    (void)state;
    const struct {
        const char *first, *second;
        size_t bytes;
    } cases[] = {{"8M", "6M", 6 * MIB}, {"6M", "8M", 6 * MIB}, {"1", "8M", 2 * MIB}, {"0", "8M", 0}, {"8M", "0", 0}};
    for (int i = 0; i < 5; i++) {
        end ends[2];
        void *memory = NULL;
        open_two(ends, cases[i].first, cases[i].second);
        for (int r = 0; r < 2; r++) {
            assert_int_equal(ops->heap_bytes(ends[r].t), cases[i].bytes);
            assert_int_equal(ops->heap_alloc(ends[r].t, 7 * MIB, &memory), KOLO_ERR_MEMORY);
            if (cases[i].bytes > 0)
                memset(take(&ends[r], cases[i].bytes), 1, cases[i].bytes);
            else
                assert_null(ops->heap(ends[r].t, r));
        }
        destroy_two(ends);
    }
}

static void heap_option__auto__costs_nothing_until_used(void **state)
{
    (void)state;
    end ends[2];
    open_two(ends, "auto", NULL);
    assert_true(ops->heap_bytes(ends[0].t) >= 64 * MIB);
    size_t before = resident(&ends[0]);
    assert_true(before < 4 * MIB);
    unsigned char *memory = take(&ends[0], 10 * MIB);
    assert_int_equal(resident(&ends[0]), before + 10 * MIB);
    assert_int_equal(ops->heap_free(ends[0].t, memory), KOLO_OK);
    assert_int_equal(resident(&ends[0]), before);
    destroy_two(ends);
}

/* ---- limits ---- */

static void limit__address_space__smaller_heap_or_none(void **state)
{
    (void)state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    const rlim_t limits[] = {(rlim_t)4096 * MIB, (rlim_t)256 * MIB};
    for (int i = 0; !SANITIZED && i < 2; i++) {
        end e = {.heap = "64G"};
        small = (struct rlimit){.rlim_cur = limits[i], .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
        kolo_status status = create(&e, 0);
        void *rest = mmap(NULL, limits[i] / 3, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
        assert_int_equal(status, KOLO_OK);
        assert_true(rest != MAP_FAILED); /* there is some left for the program */
        munmap(rest, limits[i] / 3);
        assert_non_null(strstr(e.logged, "ulimit -v"));
        size_t heap = e.t->layout.heap_bytes;
        assert_true(i == 0 ? heap >= 256 * MIB && heap <= limits[i] / 4 : heap == 0);
        ops->destroy(e.t);
    }
}

static void limit__file_size__refused_without_a_signal(void **state)
{
    (void)state;
    struct rlimit before, small;
    end ends[2];
    void *memory = NULL;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    open_two(ends, "64M", "64M");
    small = (struct rlimit){.rlim_cur = 16 * MIB, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    kolo_status large = ops->heap_alloc(ends[0].t, 32 * MIB, &memory);
    kolo_status fits = ops->heap_alloc(ends[1].t, 4 * MIB, &memory);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(large, KOLO_ERR_MEMORY);
    assert_int_equal(fits, KOLO_OK);
    assert_non_null(strstr(ends[0].explanation, "ulimit -f"));
    take(&ends[0], 64 * MIB); /* and nothing of the heap was lost */
    destroy_two(ends);
}

static void limit__memory__refused_before_anything_is_killed(void **state)
{
    (void)state;
    end ends[2];
    void *memory = NULL;
    open_two(ends, "1T", "1T");
    assert_int_equal(ops->heap_alloc(ends[0].t, (size_t)1 << 40, &memory), KOLO_ERR_MEMORY);
    destroy_two(ends);
}

/* ---- pages ---- */

/* One page holds many small tensors; it goes back with the last of them. */
static void small__share_pages_and_give_them_back(void **state)
{
    (void)state;
    enum { COUNT = 1000, BYTES = 1000, PAGE = 4096 };
    end ends[2];
    unsigned char *memory[COUNT];
    open_two(ends, "64M", "64M");
    size_t before = resident(&ends[0]);
    for (int i = 0; i < COUNT; i++) {
        memory[i] = take(&ends[0], BYTES);
        memset(memory[i], 1, BYTES);
        assert_true(i == 0 || memory[i] == memory[i - 1] + 1024);
    }
    assert_in_range(resident(&ends[0]) - before, COUNT * 1024, COUNT * 1024 + 2 * PAGE);
    for (int i = 1; i < COUNT; i += 2) /* every page is still in use */
        assert_int_equal(ops->heap_free(ends[0].t, memory[i]), KOLO_OK);
    assert_true(resident(&ends[0]) - before >= COUNT * 1024);
    for (int i = 0; i < COUNT; i += 2)
        assert_int_equal(ops->heap_free(ends[0].t, memory[i]), KOLO_OK);
    assert_int_equal(resident(&ends[0]), before);
    destroy_two(ends);
}

/* ---- the kernel ---- */

/* What touches all of every mapping finds no more than what is in use; before the transport is made, or after. */
static void locked_memory__is_only_what_is_used(void **state)
{
    (void)state;
    for (int future = 0; future < 2; future++) {
        end ends[2];
        if (future && mlockall(MCL_FUTURE) != 0)
            return;
        open_two(ends, "256M", "256M");
        unsigned char *memory = take(&ends[0], 4 * MIB);
        bool locked = future || mlockall(MCL_CURRENT) == 0;
        assert_true(resident(&ends[0]) <= ends[0].t->layout.heap_at + 4 * MIB);
        memset(memory, 1, 4 * MIB);
        destroy_two(ends);
        if (locked)
            munlockall();
    }
}

/* A child sees and keeps the segment; memory goes back all the same. */
static void forked_child__keeps_no_tensors(void **state)
{
    (void)state;
    end ends[2];
    int ready[2], over[2];
    open_two(ends, "64M", "64M");
    volatile unsigned char *memory = take(&ends[0], 8 * MIB);
    memory[5] = 42;
    assert_true(pipe(ready) == 0 && pipe(over) == 0);
    int copy = dup(ends[0].t->memory_fd);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        bool fine = memory[5] == 42;
        memory[5] = 43;
        close(over[1]);
        fine = write(ready[1], "", 1) == 1 && read(over[0], &byte, 1) == 0 && fine;
        _exit(fine ? 0 : 1);
    }
    char byte;
    int status;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(memory[5], 43);
    destroy_two(ends);
    struct stat info;
    assert_int_equal(fstat(copy, &info), 0);
    assert_true(info.st_blocks * 512 < 4 * MIB);
    close(over[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(copy), close(over[0]), close(ready[0]), close(ready[1]);
}

/* ---- threads ---- */

enum { THREADS = 4, TURNS = 60, HELD = 8 };

typedef struct worker {
    const end *e;
    uint64_t seed;
    int wrong;
} worker;

static void *allocate_and_free(void *argument)
{
    worker *w = argument;
    kolo_rng rng = {.state = w->seed};
    unsigned char *held[HELD] = {NULL};
    size_t bytes[HELD] = {0};
    for (int i = 0; i < TURNS; i++) {
        size_t slot = (size_t)kolo_rng_below(&rng, HELD);
        if (held[slot]) { /* still ours alone? */
            for (size_t b = 0; b < bytes[slot]; b += 512)
                w->wrong += held[slot][b] != (unsigned char)w->seed;
            w->wrong += ops->heap_free(w->e->t, held[slot]) != KOLO_OK;
            held[slot] = NULL;
            continue;
        }
        void *memory = NULL;
        bytes[slot] = 1 + (size_t)kolo_rng_below(&rng, i % 8 == 0 ? 3 * MIB : 40000);
        if (ops->heap_alloc(w->e->t, bytes[slot], &memory) != KOLO_OK)
            continue; /* full */
        held[slot] = memory;
        for (size_t b = 0; b < bytes[slot]; b += 512)
            w->wrong += held[slot][b] != 0;
        memset(held[slot], (int)w->seed, bytes[slot]);
    }
    for (int i = 0; i < HELD; i++)
        if (held[i])
            w->wrong += ops->heap_free(w->e->t, held[i]) != KOLO_OK;
    return NULL;
}

static void threads__allocate_side_by_side(void **state)
{
    (void)state;
    end ends[2];
    pthread_t threads[THREADS];
    worker workers[THREADS];
    open_two(ends, "64M", "64M");
    ends[0].t->guard.env.explain = NULL; /* the one above is for one thread */
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.e = &ends[0], .seed = (uint64_t)i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_and_free, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    assert_int_equal(ends[0].t->heap.ranges.count, 0);
    destroy_two(ends);
}

/* Whoever opens a transport says where its memory belongs: once, and before a page of it is anywhere. */
static void place__all_that_is_its_own(void **state)
{
    (void)state;
    end ends[2];
    open_two(ends, "64M", "64M");
    for (int32_t r = 0; r < 2; r++) {
        const end *e = &ends[r];
        const void *own[] = {ops->flags(e->t, r), ops->window(e->t, r), take(e, 100)};
        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
            assert_in_range((uintptr_t)own[i] - (uintptr_t)e->placed, 0, e->placed_bytes - 1);
        assert_true((uintptr_t)ops->window(e->t, 1 - r) - (uintptr_t)e->placed >= e->placed_bytes);
        assert_false(e->had_pages);
        assert_true(has_pages(e->placed, e->placed_bytes));
    }
    destroy_two(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_option__bad),
        cmocka_unit_test(heap_option__the_least_holds),
        cmocka_unit_test(heap_option__auto__costs_nothing_until_used),
        cmocka_unit_test(limit__address_space__smaller_heap_or_none),
        cmocka_unit_test(limit__file_size__refused_without_a_signal),
        cmocka_unit_test(limit__memory__refused_before_anything_is_killed),
        cmocka_unit_test(small__share_pages_and_give_them_back),
        cmocka_unit_test(locked_memory__is_only_what_is_used),
        cmocka_unit_test(forked_child__keeps_no_tensors),
        cmocka_unit_test(threads__allocate_side_by_side),
        cmocka_unit_test(place__all_that_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
