/* shm_room_test.c - how much memory may be taken, from trees like those of /proc and /sys/fs/cgroup. */
#include "shm/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };
#define MEMINFO "MemTotal: 9999999 kB\nMemFree: 1 kB\nMemAvailable: 1024000 kB\n"

static char root[] = "/tmp/kolo-room-XXXXXX";

static void run(const char *command)
{
    char line[256];
    snprintf(line, sizeof(line), "%s '%s'", command, root);
    assert_int_equal(system(line), 0);
}

static int begin(void **state)
{
    (void)state;
    memcpy(root + sizeof(root) - 7, "XXXXXX", 6);
    return mkdtemp(root) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    run("rm -r");
    return 0;
}

/* With the folders above it. */
static void file(const char *path, const char *text)
{
    char full[512];
    size_t start = (size_t)snprintf(full, sizeof(full), "%s/", root);
    snprintf(full + start, sizeof(full) - start, "%s", path);
    for (char *at = full + start; (at = strchr(at, '/')) != NULL; *at++ = '/') {
        *at = '\0';
        (void)mkdir(full, 0700);
    }
    FILE *out = fopen(full, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void expect_mib(uint64_t mib)
{
    assert_int_equal(shm_room_bytes(root), mib * MIB);
}

static void nothing_known__no_limit(void **state)
{
    (void)state;
    assert_true(shm_room_bytes(root) >= UINT64_MAX - 1024);
}

static void no_groups__what_is_available(void **state)
{
    (void)state;
    file("proc/meminfo", MEMINFO);
    expect_mib(1000);
    file("proc/self/cgroup", "0::/\n");
    expect_mib(1000);
    file("sys/fs/cgroup/memory.max", "max\n");
    expect_mib(1000);
}

static void version_2__the_least_of_all_groups_above(void **state)
{
    (void)state;
    file("proc/meminfo", MEMINFO);
    file("proc/self/cgroup", "0::/job/step/task\n");
    file("sys/fs/cgroup/job/memory.max", "524288000\n");                                      /* 500 MiB */
    file("sys/fs/cgroup/job/memory.stat", "anon 104857600\nfile 99999999\nshmem 52428800\n"); /* 100 and 50 MiB */
    file("sys/fs/cgroup/job/step/memory.max", "max\n");
    expect_mib(350);
    file("sys/fs/cgroup/job/step/task/memory.max", "314572800\n"); /* 300 MiB, and nothing used */
    expect_mib(300);
    file("sys/fs/cgroup/job/step/task/memory.stat", "anon 314572801\n"); /* more than all */
    expect_mib(0);
    file("sys/fs/cgroup/jobs/memory.max", "1\n"); /* somebody else's */
    file("proc/self/cgroup", "0::/job\n");
    expect_mib(350);
}

static void version_2__beside_version_1(void **state)
{
    (void)state;
    file("proc/meminfo", MEMINFO);
    file("proc/self/cgroup", "4:cpu:/a\n0::/b\n");
    file("sys/fs/cgroup/unified/b/memory.max", "104857600\n");
    expect_mib(100);
}

static void version_1__the_memory_controller_wherever_it_is(void **state)
{
    (void)state;
    file("proc/meminfo", MEMINFO);
    file("sys/fs/cgroup/memory/a:b/c/memory.limit_in_bytes", "209715200\n"); /* 200 MiB */
    file("sys/fs/cgroup/memory/a:b/c/memory.stat",
         "cache 5\nrss 1\nshmem 1\nhierarchical_memory_limit 5\ntotal_rss 10485760\ntotal_shmem 20971520\n");
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    file("proc/self/cgroup", "7:cpu,memory_too:/a:b/c\n2:pids:/x\n0::/\n");
    expect_mib(1000);
    file("proc/self/cgroup", "7:cpu,memory:/a:b/c\n2:pids:/x\n0::/\n");
    expect_mib(170);
    file("proc/self/cgroup", "7:memory,cpu:/a:b/c/d/e\n");
    expect_mib(170);
}

/* Without a namespace of its own a container reads the path that its group has outside, where nothing is mounted. */
static void container__the_mount_is_its_group(void **state)
{
    (void)state;
    file("proc/meminfo", MEMINFO);
    file("proc/self/cgroup", "4:memory:/docker/0123\n0::/../../docker/0123\n");
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", "209715200\n");
    expect_mib(200);
    file("sys/fs/cgroup/memory.max", "104857600\n");
    expect_mib(100);
}

static void nonsense__no_limit(void **state)
{
    (void)state;
    file("proc/meminfo", MEMINFO);
    file("sys/fs/cgroup/memory.max", "plenty\n");
    file("sys/fs/cgroup/memory.stat", "\nanon\n");
    for (int i = 0; i < 5; i++) {
        static const char *const texts[] = {"", "\n", "0:\n", "::", "memory"};
        file("proc/self/cgroup", texts[i]);
        expect_mib(1000);
    }
    char line[6000] = "0::";
    memset(line + 3, '/', sizeof(line) - 4);
    file("proc/self/cgroup", line);
    expect_mib(1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_known__no_limit, begin, end),
        cmocka_unit_test_setup_teardown(no_groups__what_is_available, begin, end),
        cmocka_unit_test_setup_teardown(version_2__the_least_of_all_groups_above, begin, end),
        cmocka_unit_test_setup_teardown(version_2__beside_version_1, begin, end),
        cmocka_unit_test_setup_teardown(version_1__the_memory_controller_wherever_it_is, begin, end),
        cmocka_unit_test_setup_teardown(container__the_mount_is_its_group, begin, end),
        cmocka_unit_test_setup_teardown(nonsense__no_limit, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
