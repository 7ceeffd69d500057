/* without.c - runs a program to which the kernel refuses some system calls, as a container's filter does.
 *
 *     engine_without CALL:ERROR[:ARGUMENT:VALUE]... -- PROGRAM ARGUMENTS...
 *
 * CALL fails with ERROR; given an ARGUMENT (0 to 5), only where its low half is VALUE. Exit code 77: no filters here. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "which architecture do system calls have here?"
#endif

enum { RULES_MAX = 16, RULE_STEPS = 5, HEAD_STEPS = 3, UNUSABLE = 2, SKIPPED = 77 };

typedef struct named {
    const char *name;
    unsigned number;
} named;

static const named calls[] = {
    {"process_vm_readv", SYS_process_vm_readv},
    {"pidfd_open", SYS_pidfd_open},
    {"memfd_create", SYS_memfd_create},
    {"fallocate", SYS_fallocate},
    {"madvise", SYS_madvise},
    {"sched_setaffinity", SYS_sched_setaffinity},
    {"mbind", SYS_mbind},
    {"clone3", SYS_clone3},
    {NULL, 0},
};
static const named errors[] = {{"EPERM", EPERM},   {"ENOSYS", ENOSYS}, {"EINVAL", EINVAL},
                               {"ENOSPC", ENOSPC}, {"EAGAIN", EAGAIN}, {NULL, 0}};

static unsigned find(const named *list, const char *name)
{
    for (; list->name != NULL; list++)
        if (name != NULL && strcmp(list->name, name) == 0)
            return list->number;
    fprintf(stderr, "engine_without: what is '%s'?\n", name != NULL ? name : "");
    exit(UNUSABLE);
}

static struct sock_filter load(size_t offset)
{
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset);
}

/* How many steps to skip where the loaded word is `value`, and where it is not. */
static struct sock_filter compare(unsigned value, unsigned char equal, unsigned char other)
{
    return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, equal, other);
}

static struct sock_filter answer(unsigned what)
{
    return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what);
}

static void write_rule(char *text, struct sock_filter steps[RULE_STEPS])
{
    char *rest = NULL;
    unsigned call = find(calls, strtok_r(text, ":", &rest)), error = find(errors, strtok_r(NULL, ":", &rest));
    const char *argument = strtok_r(NULL, ":", &rest), *value = strtok_r(NULL, ":", &rest);
    size_t number_at = offsetof(struct seccomp_data, nr), argument_at = offsetof(struct seccomp_data, args);
    if (value != NULL)
        argument_at += strtoul(argument, NULL, 10) * sizeof(__u64);
    steps[0] = load(number_at);
    steps[1] = compare(call, 0, 3);
    steps[2] = load(value != NULL ? argument_at : number_at);
    steps[3] = compare(value != NULL ? (unsigned)strtoul(value, NULL, 10) : call, 0, 1);
    steps[4] = answer(SECCOMP_RET_ERRNO | error);
}

int main(int argc, char **argv)
{
    struct sock_filter steps[HEAD_STEPS + RULES_MAX * RULE_STEPS + 1] = {
        load(offsetof(struct seccomp_data, arch)), compare(ARCHITECTURE, 1, 0), answer(SECCOMP_RET_ALLOW)};
    unsigned short count = HEAD_STEPS;
    int at = 1;
    for (; at < argc && at <= RULES_MAX && strcmp(argv[at], "--") != 0; at++) {
        write_rule(argv[at], &steps[count]);
        count = (unsigned short)(count + RULE_STEPS);
    }
    steps[count++] = answer(SECCOMP_RET_ALLOW);
    if (at + 1 >= argc || strcmp(argv[at], "--") != 0) {
        fprintf(stderr, "usage: engine_without CALL:ERROR[:ARGUMENT:VALUE]... -- PROGRAM ARGUMENTS...\n");
        return UNUSABLE;
    }
    struct sock_fprog program = {.len = count, .filter = steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("engine_without: seccomp");
        return SKIPPED;
    }
    execv(argv[at + 1], &argv[at + 1]);
    perror(argv[at + 1]);
    return UNUSABLE;
}
