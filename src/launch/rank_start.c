/* rank_start.c - from fork to exec. Only the child runs most of this; what goes wrong there is reported through a pipe.
 */
#include "launch/rank_start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/error.h"

static int set_number(const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return setenv(name, text, 1);
}

/* Overrides whatever a launcher around us has set. */
static int set_environment(const kolorun_start *start, int32_t rank)
{
    int failed = set_number("RANK", rank) | set_number("LOCAL_RANK", rank) |
                 set_number("WORLD_SIZE", start->options->ranks) |
                 set_number("LOCAL_WORLD_SIZE", start->options->ranks) | setenv("MASTER_ADDR", "127.0.0.1", 1) |
                 set_number("MASTER_PORT", start->port) | setenv("KOLO_JOB_SECRET", start->secret, 1) |
                 unsetenv("KOLO_STORE_FD");
    if (rank == 0)
        failed |= set_number("KOLO_STORE_FD", start->listen_fd) | fcntl(start->listen_fd, F_SETFD, 0);
    if (start->options->bind_given)
        failed |= setenv("KOLO_BIND", start->options->bind ? "auto" : "none", 1);
    return failed;
}

static int set_streams(int32_t rank, int out_fd, int err_fd)
{
    if (rank != 0) {
        int nothing = open("/dev/null", O_RDONLY);
        if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0)
            return -1;
        close(nothing);
    }
    if (out_fd >= 0 && dup2(out_fd, STDOUT_FILENO) < 0)
        return -1;
    return err_fd >= 0 && dup2(err_fd, STDERR_FILENO) < 0 ? -1 : 0;
}

/* Binding is a help, not a condition: a rank that can't be bound runs unbound. */
static void bind_to_share(const kolorun_start *start, int32_t rank)
{
    kolo_binding binding;
    if (start->topo == NULL)
        return;
    kolo_topo_binding(start->topo, rank, start->options->ranks, &binding);
    if (!binding.bound)
        return;
    /* The whole share, the communication thread's core included: the rank divides it up by itself. */
    if (kolo_topo_bind_thread(start->topo, binding.rank_cpus) == KOLO_OK)
        return;
    kolo_log log = *start->log;
    log.rank = rank;
    kolo_log_write(&log, KOLO_LOG_WARN, "this rank is not bound to its share of the cores: %s",
                   kolo_error_current()->message);
}

static _Noreturn void run_child(const kolorun_start *start, int32_t rank, int out_fd, int err_fd, pid_t parent)
{
    kolorun_report report = {.rank = rank};
    /* Dies with kolorun, even with a kolorun that was killed outright; and if that happened before this line. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    if (!(start->share_group && rank == 0))
        (void)setpgid(0, 0);
    bind_to_share(start, rank);
    if (set_environment(start, rank) == 0 && set_streams(rank, out_fd, err_fd) == 0) {
        sigprocmask(SIG_SETMASK, start->mask, NULL);
        execvp(start->options->program[0], start->options->program);
    }
    report.sys_errno = errno;
    (void)!write(start->report_fd, &report, sizeof(report));
    _exit(report.sys_errno == ENOENT ? 127 : 126);
}

pid_t kolorun_rank_start(const kolorun_start *start, int32_t rank, int out_fd, int err_fd)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        run_child(start, rank, out_fd, err_fd, parent);
    /* Also here, so that a signal which is passed on right now finds the group. */
    if (pid > 0 && !(start->share_group && rank == 0))
        (void)setpgid(pid, pid);
    return pid;
}
