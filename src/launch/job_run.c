/* job_run.c - watches over the ranks: one poll loop over a signalfd and the ranks' output.
 *
 *     RUNNING -- a rank fails, the timeout, a second SIGINT --> ENDING (SIGTERM sent) -- 5 s --> ENDING (SIGKILL sent)
 *        |                                                        |                                 |
 *        +-- the last rank has ended -----------------------------+---------------------------------+--> drained
 *
 * Every rank leads a process group of its own, so that a signal reaches what it has started too. One exception: where
 * kolorun has the terminal, rank 0 stays in kolorun's group, or it could not read from it. kolorun is its descendants'
 * subreaper: it hears when the last of them ends. */
#include "launch/job_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ranks.h"
#include "launch/output.h"

#define GRACE_NS      (5 * KOLO_NS_PER_S)
/* A rank's output may outlive it in a process that it left behind; then it is not waited for longer than this. */
#define DRAIN_NS      (2 * KOLO_NS_PER_S)
#define NEVER         INT64_MAX
/* Where the reader of our output is slow, the ranks wait, rather than that our memory grows. */
#define BACKLOG_BYTES ((size_t)1 << 20)

enum { EXIT_TROUBLE = 1, EXIT_TIMEOUT = 124, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127, EXIT_SIGNAL = 128 };

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT};

typedef struct job {
    kolorun_start *start;
    pid_t *pids;     /* by rank; 0: not started */
    bool *running;   /* by rank */
    kolo_ranks done; /* that have exited with code 0, while nothing had failed */
    int32_t ranks, alive;
    int signal_fd;
    kolorun_sink sinks[2];   /* stdout, stderr; with --prefix */
    kolorun_stream *streams; /* 2 * rank + (0: stdout, 1: stderr); NULL without --prefix */
    struct pollfd *polls;    /* signals, 2 sinks, streams */
    bool ending, decided;    /* decided: code is what kolorun exits with, whatever follows */
    bool given_up;           /* a signal said not to wait for output any more */
    int code, interrupts;
    int passed_on; /* the last deadly signal that the ranks got from us; 0: none */
    int64_t kill_at_ns, timeout_at_ns, drained_at_ns;
} job;

/* One line to stderr, after whole lines only. */
static void say(job *run, const char *format, ...) KOLO_PRINTF(2, 3);
static void say(job *run, const char *format, ...)
{
    char text[512] = "kolorun: ";
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, sizeof(text) - used - 1, format, args);
    va_end(args);
    strcat(text, "\n");
    if (run->streams != NULL)
        kolorun_sink_append(&run->sinks[1], text, strlen(text));
    else
        (void)!write(STDERR_FILENO, text, strlen(text));
}

/* ---- signals to the ranks ------------------------------------------------------------------- */

static bool shares_group(const job *run, int32_t rank)
{
    return run->start->share_group && rank == 0;
}

static void signal_rank(const job *run, int32_t rank, int signo)
{
    if (run->pids[rank] <= 0 || (shares_group(run, rank) && !run->running[rank]))
        return;
    (void)kill(shares_group(run, rank) ? run->pids[rank] : -run->pids[rank], signo);
}

/* A signal that the terminal sent has reached rank 0 already, where that shares kolorun's group. */
static void signal_running(const job *run, int signo, bool from_terminal)
{
    for (int32_t rank = 0; rank < run->ranks; rank++) {
        if (run->running[rank] && !(from_terminal && shares_group(run, rank)))
            signal_rank(run, rank, signo);
    }
}

/* Also to groups whose leader has ended: what it left behind in a job that failed is not wanted any more. */
static void signal_everyone(const job *run, int signo)
{
    for (int32_t rank = 0; rank < run->ranks; rank++)
        signal_rank(run, rank, signo);
}

static bool any_group_left(const job *run)
{
    for (int32_t rank = 0; rank < run->ranks; rank++) {
        if (run->pids[rank] > 0 && !shares_group(run, rank) && kill(-run->pids[rank], 0) == 0)
            return true;
    }
    return false;
}

static void begin_ending(job *run, int code)
{
    if (!run->decided)
        run->code = code;
    run->decided = true;
    if (run->ending)
        return;
    run->ending = true;
    run->kill_at_ns = kolo_clock_now_ns() + GRACE_NS;
    signal_everyone(run, SIGTERM);
    signal_everyone(run, SIGCONT); /* a stopped process would not hear the first */
}

static void pass_on(job *run, const struct signalfd_siginfo *info)
{
    int signo = (int)info->ssi_signo;
    bool deadly = signo == SIGINT || signo == SIGTERM || signo == SIGHUP || signo == SIGQUIT;
    if (run->alive == 0 && deadly)
        run->given_up = true;
    if (deadly)
        run->passed_on = signo;
    signal_running(run, signo, info->ssi_code == SI_KERNEL);
    if (signo == SIGINT && ++run->interrupts == 2 && !run->ending) {
        say(run, "interrupted twice; ending the ranks");
        begin_ending(run, EXIT_SIGNAL + SIGINT);
    }
    if (signo == SIGTSTP)
        (void)kill(getpid(), SIGSTOP); /* goes on with SIGCONT, which is then passed on */
}

/* ---- ranks that end ------------------------------------------------------------------------- */

/* Who ended in peace, and may be what the others waited for: an end that nobody else would mention. */
static void say_who_was_done(job *run)
{
    char ranks[128];
    if (run->done.count == 0)
        return;
    bool one = kolo_ranks_phrase(&run->done, ranks, sizeof(ranks));
    say(run,
        "before that, %s exited with code 0; if %s had not called kolo_finalize, the others may have waited for it",
        ranks, one ? "it" : "one of them");
}

static void say_who_is_late(job *run)
{
    char ranks[128];
    kolo_ranks left;
    kolo_ranks_init(&left);
    for (int32_t rank = 0; rank < run->ranks; rank++)
        if (run->running[rank])
            (void)kolo_ranks_add(&left, rank, rank);
    (void)kolo_ranks_phrase(&left, ranks, sizeof(ranks));
    say(run, "the job has not ended within %.10g s (--timeout); ending %s",
        (double)run->start->options->timeout_ns / 1e9, left.count > 0 ? ranks : "it");
    kolo_ranks_fini(&left);
}

static void judge(job *run, int32_t rank, int status)
{
    bool killed = WIFSIGNALED(status);
    int number = killed ? WTERMSIG(status) : WEXITSTATUS(status);
    if (!run->decided && !killed && number == 0)
        (void)kolo_ranks_add(&run->done, rank, rank);
    if (run->decided || (!killed && number == 0))
        return;
    const char *others = run->alive > 0 ? "; ending the other ranks" : "";
    if (killed && number == run->passed_on)
        say(run, "interrupted (SIG%s); the job is ended", sigabbrev_np(number));
    else if (killed)
        say(run, "rank %d (pid %d) was killed by signal %d (%s)%s", rank, run->pids[rank], number, strsignal(number),
            others);
    else
        say(run, "rank %d (pid %d) exited with code %d%s", rank, run->pids[rank], number, others);
    say_who_was_done(run);
    begin_ending(run, killed ? EXIT_SIGNAL + number : number);
}

static void on_exit_of(job *run, pid_t pid, int status)
{
    for (int32_t rank = 0; rank < run->ranks; rank++) {
        if (run->pids[rank] != pid || !run->running[rank])
            continue;
        run->running[rank] = false;
        /* Its last words come before ours. */
        for (size_t i = 0; run->streams != NULL && i < 2; i++)
            kolorun_stream_drain(&run->streams[2 * (size_t)rank + i]);
        if (--run->alive == 0)
            run->drained_at_ns = kolo_clock_now_ns() + DRAIN_NS;
        judge(run, rank, status);
        return;
    }
}

/* Several may have ended by now, but the signal tells which one was first: that one is the reason. */
static void reap(job *run, pid_t first)
{
    int status;
    if (first > 0 && waitpid(first, &status, WNOHANG) == first)
        on_exit_of(run, first, status);
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        on_exit_of(run, pid, status);
}

static void read_signals(job *run)
{
    struct signalfd_siginfo info;
    while (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap(run, (pid_t)info.ssi_pid);
        else if (info.ssi_signo != SIGPIPE)
            pass_on(run, &info);
    }
}

/* ---- the loop ------------------------------------------------------------------------------- */

static size_t stream_count(const job *run)
{
    return run->streams != NULL ? 2 * (size_t)run->ranks : 0;
}

static bool output_done(const job *run)
{
    for (size_t i = 0; i < stream_count(run); i++) {
        if (run->streams[i].fd >= 0)
            return false;
    }
    return !kolorun_sink_pending(&run->sinks[0]) && !kolorun_sink_pending(&run->sinks[1]);
}

static bool job_done(const job *run, int64_t now_ns)
{
    if (run->alive > 0)
        return false;
    if (run->given_up)
        return true;
    /* After SIGKILL nothing runs any more; a zombie whose parent does not care is not waited for. */
    if (run->ending && run->kill_at_ns != NEVER && any_group_left(run))
        return false;
    if (output_done(run))
        return true;
    return now_ns >= run->drained_at_ns && !kolorun_sink_pending(&run->sinks[0]) &&
           !kolorun_sink_pending(&run->sinks[1]);
}

static void tick(job *run, int64_t now_ns)
{
    if (now_ns >= run->timeout_at_ns) {
        run->timeout_at_ns = NEVER;
        if (!run->ending) {
            say_who_is_late(run);
            say_who_was_done(run);
            begin_ending(run, EXIT_TIMEOUT);
        }
    }
    if (now_ns >= run->kill_at_ns) {
        run->kill_at_ns = NEVER;
        signal_everyone(run, SIGKILL);
    }
}

static void wait_and_move(job *run, int64_t now_ns)
{
    int64_t next = run->kill_at_ns < run->timeout_at_ns ? run->kill_at_ns : run->timeout_at_ns;
    if (run->alive == 0 && now_ns < run->drained_at_ns && run->drained_at_ns < next)
        next = run->drained_at_ns;
    int64_t ms = next == NEVER ? -1 : next <= now_ns ? 0 : (next - now_ns) / KOLO_NS_PER_MS + 1;
    struct pollfd *polls = run->polls;
    polls[0] = (struct pollfd){.fd = run->signal_fd, .events = POLLIN};
    for (int i = 0; i < 2; i++)
        polls[1 + i] =
            (struct pollfd){.fd = kolorun_sink_pending(&run->sinks[i]) ? run->sinks[i].fd : -1, .events = POLLOUT};
    for (size_t i = 0; i < stream_count(run); i++) {
        const kolorun_sink *sink = run->streams[i].sink;
        polls[3 + i] =
            (struct pollfd){.fd = sink->size - sink->sent > BACKLOG_BYTES ? -1 : run->streams[i].fd, .events = POLLIN};
        if (sink->broken && run->streams[i].fd >= 0)
            ms = 0; /* to be closed now, not when there is something to read */
    }
    if (poll(polls, 3 + stream_count(run), ms > 3600000 ? 3600000 : (int)ms) < 0)
        return;
    for (size_t i = 0; i < stream_count(run); i++) {
        if (polls[3 + i].revents != 0 || run->streams[i].sink->broken)
            (void)kolorun_stream_read(&run->streams[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (polls[1 + i].revents != 0)
            kolorun_sink_write_some(&run->sinks[i]);
    }
    if (polls[0].revents != 0)
        read_signals(run);
}

/* ---- start ---------------------------------------------------------------------------------- */

/* Blocks what is to be read from a signalfd; SIGPIPE too: a reader that has gone shows as EPIPE. */
static bool take_signals(job *run, sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
        sigaddset(&set, passed_on[i]);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGPIPE);
    /* A parent that ignores SIGCHLD would have our children vanish without their exit codes. */
    struct sigaction child = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
    if (sigaction(SIGCHLD, &child, NULL) != 0 || sigprocmask(SIG_BLOCK, &set, before) != 0)
        return false;
    run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd >= 0;
}

/* The pipes of one rank. fds: the writing ends for the child. */
static bool make_streams(job *run, int32_t rank, int fds[2])
{
    fds[0] = fds[1] = -1;
    for (int i = 0; run->streams != NULL && i < 2; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            return false;
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        kolorun_stream_init(&run->streams[2 * (size_t)rank + (size_t)i], ends[0], rank, &run->sinks[i]);
        fds[i] = ends[1];
    }
    return true;
}

static void start_ranks(job *run)
{
    for (int32_t rank = 0; rank < run->ranks && !run->ending; rank++) {
        int fds[2];
        pid_t pid = make_streams(run, rank, fds) ? kolorun_rank_start(run->start, rank, fds[0], fds[1]) : -1;
        int error = errno;
        for (int i = 0; i < 2; i++) {
            if (fds[i] >= 0)
                close(fds[i]);
        }
        if (pid < 0) {
            say(run, "cannot start rank %d: %s; see the limits (ulimit -u, ulimit -n)", rank, strerror(error));
            begin_ending(run, EXIT_TROUBLE);
            return;
        }
        run->pids[rank] = pid;
        run->running[rank] = true;
        run->alive++;
    }
}

/* Waits until every child runs its program, or has said why it can't. */
static void await_programs(job *run, int report_fd)
{
    kolorun_report report;
    ssize_t got;
    while ((got = read(report_fd, &report, sizeof(report))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof(report))
            return;
        if (run->decided)
            continue;
        say(run, "cannot run '%.256s': %s", run->start->options->program[0], strerror(report.sys_errno));
        begin_ending(run, report.sys_errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
    }
}

static bool prepare(job *run, sigset_t *before)
{
    size_t ranks = (size_t)run->ranks, streams = run->start->options->prefix ? 2 * ranks : 0;
    run->pids = calloc(ranks, sizeof(pid_t));
    run->running = calloc(ranks, sizeof(bool));
    run->polls = calloc(3 + streams, sizeof(struct pollfd));
    if (streams > 0)
        run->streams = calloc(streams, sizeof(kolorun_stream));
    if (run->pids == NULL || run->running == NULL || run->polls == NULL || (streams > 0 && run->streams == NULL))
        return false;
    for (size_t i = 0; i < streams; i++)
        kolorun_stream_init(&run->streams[i], -1, 0, &run->sinks[i % 2]);
    kolorun_sink_init(&run->sinks[0], STDOUT_FILENO);
    kolorun_sink_init(&run->sinks[1], STDERR_FILENO);
    return take_signals(run, before);
}

static void job_fini(job *run)
{
    for (size_t i = 0; i < stream_count(run); i++)
        kolorun_stream_fini(&run->streams[i]);
    for (int i = 0; i < 2; i++) {
        if (!run->given_up)
            kolorun_sink_flush(&run->sinks[i]);
        kolorun_sink_fini(&run->sinks[i]);
    }
    kolo_ranks_fini(&run->done);
    free(run->pids);
    free(run->running);
    free(run->polls);
    free(run->streams);
}

int kolorun_job_run(kolorun_start *start)
{
    job run = {.start = start,
               .ranks = start->options->ranks,
               .kill_at_ns = NEVER,
               .timeout_at_ns = NEVER,
               .drained_at_ns = NEVER};
    sigset_t before;
    int report[2];
    kolo_ranks_init(&run.done);
    if (!prepare(&run, &before) || pipe2(report, O_CLOEXEC) != 0) {
        say(&run, "cannot prepare for the job: %s", strerror(errno));
        job_fini(&run);
        return EXIT_TROUBLE;
    }
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    start->mask = &before;
    start->report_fd = report[1];
    start->share_group = tcgetpgrp(STDIN_FILENO) == getpgrp();
    if (start->options->timeout_ns > 0)
        run.timeout_at_ns = kolo_clock_now_ns() + start->options->timeout_ns;
    start_ranks(&run);
    close(report[1]);
    close(start->listen_fd); /* rank 0 has it; were it open here too, nobody would notice rank 0's end */
    await_programs(&run, report[0]);
    close(report[0]);
    for (int64_t now = kolo_clock_now_ns(); !job_done(&run, now); now = kolo_clock_now_ns()) {
        tick(&run, now);
        wait_and_move(&run, now);
    }
    job_fini(&run);
    return run.code;
}
