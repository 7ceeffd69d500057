/* ucx_test.c - what the UCX transport does to its process, how it takes its options, and how it notices a dead peer. */
#include "transports/ucx/ucx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dlfcn.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct side {
    kolo_transport *transport;
    const char *tls, *iface;
    kolo_status explained;
    char explanation[512], log[4096];
    int controls, lost, completed;
    kolo_status completion;
} side;

static void on_control(void *user, int32_t peer, const void *bytes, size_t size)
{
    (void)peer, (void)bytes, (void)size;
    ((side *)user)->controls++;
}

static void on_complete(void *user, void *cookie, kolo_status status)
{
    (void)cookie;
    ((side *)user)->completed++;
    ((side *)user)->completion = status;
}

static void on_peer_lost(void *user, int32_t peer, const char *why)
{
    assert_int_equal(peer, 1);
    assert_true(why[0] != '\0');
    ((side *)user)->lost++;
}

static void explain(void *user, kolo_status status, int sys_errno, const char *message)
{
    (void)sys_errno;
    side *s = user;
    s->explained = status;
    snprintf(s->explanation, sizeof(s->explanation), "%s", message);
}

static void add_line(void *user, kolo_log_level level, const char *line)
{
    (void)level;
    side *s = user;
    size_t used = strlen(s->log);
    snprintf(s->log + used, sizeof(s->log) - used, "%s\n", line);
}

static const char *option(void *user, const char *name)
{
    const side *s = user;
    return strcmp(name, "UCX_TLS") == 0 ? s->tls : strcmp(name, "IFACE") == 0 ? s->iface : NULL;
}

static kolo_status create(side *s, int32_t rank, int32_t size)
{
    const kolo_transport_env env = {.struct_size = sizeof(env), .rank = rank, .size = size, .user = s,
        .on_control = on_control,
                                    .on_complete = on_complete, .on_peer_lost = on_peer_lost, .log = add_line,
                                    .explain = explain, .option = option};
    return kolo_ucx_transport()->create(&env, &s->transport);
}

/* The first signal that UCX handles after create(), else 0. In a child of its own, because cmocka installs handlers
 * too; a sanitizer's do not count. */
static int first_handled_signal(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        side s = {0};
        if (create(&s, 0, 1) != KOLO_OK)
            _exit(255);
        for (int number = 1; number < NSIG; number++) {
            struct sigaction action;
            Dl_info owner;
            if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN &&
                dladdr((const void *)(uintptr_t)action.sa_sigaction, &owner) && strstr(owner.dli_fname, "libuc"))
                _exit(number);
        }
        _exit(0);
    }
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int handled_signal;

static void create__leaves_no_signal_handler(void **state)
{
    (void)state;
    assert_int_equal(handled_signal, 0);
}

static void mine(int number)
{
    (void)number;
}

static void create__keeps_the_hosts_handlers(void **state)
{
    (void)state;
    side s = {0};
    struct sigaction action = {.sa_handler = mine}, before, after;
    assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
    assert_int_equal(create(&s, 0, 1), KOLO_OK);
    assert_int_equal(sigaction(SIGSEGV, &before, &after), 0);
    assert_ptr_equal(after.sa_handler, mine);
    kolo_ucx_transport()->destroy(s.transport);
}

static size_t environment_hash(void)
{
    extern char **environ;
    size_t hash = 5381;
    for (char **e = environ; *e; e++)
        for (const char *c = *e; *c; c++)
            hash = hash * 33 + (unsigned char)*c;
    return hash;
}

static void create__changes_no_environment(void **state)
{
    (void)state;
    side s = {.tls = "tcp,self", .iface = "lo"};
    size_t before = environment_hash();
    assert_int_equal(create(&s, 0, 1), KOLO_OK);
    assert_int_equal(environment_hash(), before);
    assert_non_null(strstr(s.log, "transports tcp,self, devices lo"));
    kolo_ucx_transport()->destroy(s.transport);
}

static void create__the_users_ucx_variables_win(void **state)
{
    (void)state;
    side s = {.tls = "posix,self", .iface = "nosuch0"};
    setenv("UCX_TLS", "tcp,self", 1);
    setenv("UCX_NET_DEVICES", "lo", 1);
    kolo_status status = create(&s, 0, 1);
    unsetenv("UCX_TLS");
    unsetenv("UCX_NET_DEVICES");
    assert_int_equal(status, KOLO_OK);
    assert_non_null(strstr(s.log, "transports tcp,self, devices lo"));
    kolo_ucx_transport()->destroy(s.transport);
}

static void create__unknown_interface(void **state)
{
    (void)state;
    side s = {.iface = "lo,nosuch0"};
    assert_int_equal(create(&s, 0, 1), KOLO_ERR_CONFIG);
    assert_non_null(strstr(s.explanation, "\"nosuch0\""));
    assert_non_null(strstr(s.explanation, "lo")); /* what there is */
    assert_null(s.transport);
}

static void create__all_interfaces_excluded(void **state)
{
    (void)state;
    side s = {.iface = "lo,^lo"};
    assert_int_equal(create(&s, 0, 1), KOLO_ERR_CONFIG);
    assert_non_null(strstr(s.explanation, "leaves no network device"));
}

static void create__interface_excluded(void **state)
{
    (void)state;
    side s = {.iface = "^nosuch0"};
    assert_int_equal(create(&s, 0, 1), KOLO_OK);
    const char *devices = strstr(s.log, "devices ");
    assert_non_null(devices);
    assert_non_null(strstr(devices, "lo"));
    kolo_ucx_transport()->destroy(s.transport);
}

/* UCX itself aborts the process. */
static void create__too_few_open_files(void **state)
{
    (void)state;
    side s = {0};
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){.rlim_cur = 16, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    kolo_status status = create(&s, 0, 2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, KOLO_ERR_SYSTEM);
    assert_non_null(strstr(s.explanation, "open files"));
    assert_non_null(strstr(s.explanation, "limit is 16"));
    assert_non_null(strstr(s.explanation, "ulimit -n"));
    assert_null(s.transport);
}

static void create__unknown_ucx_transport(void **state)
{
    (void)state;
    side s = {.tls = "nosuch"};
    assert_int_equal(create(&s, 0, 1), KOLO_ERR_CONFIG);
    assert_non_null(strstr(s.explanation, "KOLO_UCX_TLS"));
    assert_null(s.transport);
}

static void create__bad_ucx_variable(void **state)
{
    (void)state;
    side s = {0};
    setenv("UCX_RNDV_THRESH", "many", 1);
    kolo_status status = create(&s, 0, 1);
    unsetenv("UCX_RNDV_THRESH");
    assert_int_equal(status, KOLO_ERR_CONFIG);
    assert_true(s.explanation[0] != '\0');
    assert_null(s.transport);
}

static void create__too_many_ranks(void **state)
{
    (void)state;
    side s = {0};
    assert_int_equal(create(&s, 0, (1 << 20) + 1), KOLO_ERR_UNSUPPORTED);
    assert_null(s.transport);
}

/* ---- two processes ---- */

static void write_all(int fd, const void *bytes, size_t size)
{
    for (const char *p = bytes; size > 0;) {
        ssize_t n = write(fd, p, size);
        assert_true(n > 0);
        p += n;
        size -= (size_t)n;
    }
}

static void read_all(int fd, void *bytes, size_t size)
{
    for (char *p = bytes; size > 0;) {
        ssize_t n = read(fd, p, size);
        assert_true(n > 0);
        p += n;
        size -= (size_t)n;
    }
}

static void swap_addresses(side *s, int32_t rank, int out, int in)
{
    const kolo_transport_ops *ops = kolo_ucx_transport();
    kolo_bytes all[2];
    size_t size;
    assert_int_equal(ops->address(s->transport, &all[rank]), KOLO_OK);
    write_all(out, &all[rank].size, sizeof(size));
    write_all(out, all[rank].data, all[rank].size);
    read_all(in, &size, sizeof(size));
    void *theirs = malloc(size);
    read_all(in, theirs, size);
    all[1 - rank] = (kolo_bytes){.data = theirs, .size = size};
    assert_int_equal(ops->connect(s->transport, all), KOLO_OK);
    free(theirs);
}

/* Answers a control message, then waits to be killed, or leaves in order. */
static void child(const char *tls, bool orderly, int out, int in)
{
    const kolo_transport_ops *ops = kolo_ucx_transport();
    side s = {.tls = tls};
    assert_int_equal(create(&s, 1, 2), KOLO_OK);
    swap_addresses(&s, 1, out, in);
    while (s.controls == 0)
        ops->progress(s.transport);
    assert_int_equal(ops->send_control(s.transport, 0, "here", 4), KOLO_OK);
    if (orderly) {
        ops->close(s.transport, false);
        while (!ops->closed(s.transport))
            ops->progress(s.transport);
        ops->destroy(s.transport);
        _exit(0);
    }
    for (;;)
        ops->progress(s.transport);
}

/* The other side. Forked before this process uses UCX, which does not survive it. */
typedef struct other {
    pid_t pid;
    int out, in;
} other;

static other killed, closing;

static other spawn(bool orderly)
{
    int to_child[2], to_parent[2];
    if (pipe(to_child) != 0 || pipe(to_parent) != 0)
        exit(2);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        child("tcp,self", orderly, to_parent[1], to_child[0]);
    }
    close(to_child[0]);
    close(to_parent[1]);
    return (other){.pid = pid, .out = to_child[1], .in = to_parent[0]};
}

static void meet(side *s, const other *o)
{
    const kolo_transport_ops *ops = kolo_ucx_transport();
    assert_true(o->pid > 0);
    assert_int_equal(create(s, 0, 2), KOLO_OK);
    swap_addresses(s, 0, o->out, o->in);
    assert_int_equal(ops->send_control(s->transport, 1, "hello", 5), KOLO_OK);
    while (s->controls == 0)
        ops->progress(s->transport);
}

static void peer__killed(void **state)
{
    (void)state;
    const kolo_transport_ops *ops = kolo_ucx_transport();
    side s = {.tls = "tcp,self"};
    char buffer[100];
    meet(&s, &killed);
    assert_int_equal(ops->recv(s.transport, 1, 1, buffer, sizeof(buffer), NULL), KOLO_OK);
    assert_int_equal(kill(killed.pid, SIGKILL), 0);
    while (s.lost == 0 || s.completed == 0)
        ops->progress(s.transport);
    assert_int_equal(s.lost, 1);
    assert_int_equal(s.completion, KOLO_ERR_PEER);
    assert_int_equal(ops->send_control(s.transport, 1, "x", 1), KOLO_ERR_PEER);
    assert_int_equal(ops->send(s.transport, 1, 2, buffer, sizeof(buffer), NULL), KOLO_OK);
    while (s.completed < 2)
        ops->progress(s.transport);
    assert_int_equal(s.completion, KOLO_ERR_PEER);
    ops->close(s.transport, true);
    while (!ops->closed(s.transport))
        ops->progress(s.transport);
    ops->destroy(s.transport);
    assert_int_equal(waitpid(killed.pid, NULL, 0), killed.pid);
}

/* A peer that leaves in order is not lost. */
static void peer__closes(void **state)
{
    (void)state;
    const kolo_transport_ops *ops = kolo_ucx_transport();
    side s = {.tls = "tcp,self"};
    int status = -1;
    meet(&s, &closing);
    while (waitpid(closing.pid, &status, WNOHANG) == 0)
        ops->progress(s.transport);
    assert_int_equal(status, 0);
    for (int i = 0; i < 1000; i++)
        ops->progress(s.transport);
    assert_int_equal(s.lost, 0);
    ops->close(s.transport, false);
    while (!ops->closed(s.transport))
        ops->progress(s.transport);
    ops->destroy(s.transport);
}

int main(void)
{
    handled_signal = first_handled_signal();
    killed = spawn(false);
    closing = spawn(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer__killed),
        cmocka_unit_test(peer__closes),
        cmocka_unit_test(create__leaves_no_signal_handler),
        cmocka_unit_test(create__keeps_the_hosts_handlers),
        cmocka_unit_test(create__changes_no_environment),
        cmocka_unit_test(create__the_users_ucx_variables_win),
        cmocka_unit_test(create__unknown_interface),
        cmocka_unit_test(create__all_interfaces_excluded),
        cmocka_unit_test(create__interface_excluded),
        cmocka_unit_test(create__too_few_open_files),
        cmocka_unit_test(create__unknown_ucx_transport),
        cmocka_unit_test(create__bad_ucx_variable),
        cmocka_unit_test(create__too_many_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
