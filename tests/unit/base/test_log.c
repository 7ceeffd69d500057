/* test_log.c - what reaches the callback, and what reaches stderr. */
#include "cmocka_all.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

typedef struct sink {
    int lines;
    kolo_log_level level;
    char line[2048];
} sink;

static void keep(void *user, kolo_log_level level, const char *line)
{
    sink *kept = user;
    kept->lines++;
    kept->level = level;
    strcpy(kept->line, line);
    errno = EBADF;
}

static void write__reaches_the_callback(void **state)
{
    (void)state;
    sink kept = {0};
    kolo_log log = {.write = keep, .user = &kept, .level = KOLO_LOG_INFO, .rank = 2};
    kolo_log_write(&log, KOLO_LOG_WARN, "rank %d of %s", 3, "four");
    assert_int_equal(kept.lines, 1);
    assert_int_equal(kept.level, KOLO_LOG_WARN);
    assert_string_equal(kept.line, "rank 3 of four");
}

static void write__above_the_level_is_dropped(void **state)
{
    (void)state;
    sink kept = {0};
    kolo_log log = {.write = keep, .user = &kept, .level = KOLO_LOG_WARN};
    kolo_log_write(&log, KOLO_LOG_INFO, "quiet");
    kolo_log_write(&log, KOLO_LOG_DEBUG, "quiet");
    assert_int_equal(kept.lines, 0);
    kolo_log_write(&log, KOLO_LOG_ERROR, "loud");
    assert_int_equal(kept.lines, 1);
}

static void write__no_log_is_no_crash(void **state)
{
    (void)state;
    kolo_log_write(NULL, KOLO_LOG_ERROR, "to nobody");
}

static void write__control_characters_become_marks(void **state)
{
    (void)state;
    sink kept = {0};
    kolo_log log = {.write = keep, .user = &kept, .level = KOLO_LOG_INFO};
    kolo_log_write(&log, KOLO_LOG_INFO, "a\nb\x1b[2Jc\x7f\td \xc3\xa9");
    assert_string_equal(kept.line, "a?b?[2Jc??d \xc3\xa9");
}

static void write__too_long_is_cut(void **state)
{
    (void)state;
    sink kept = {0};
    kolo_log log = {.write = keep, .user = &kept, .level = KOLO_LOG_INFO};
    char text[1500];
    memset(text, 'y', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    kolo_log_write(&log, KOLO_LOG_INFO, "%s", text);
    assert_int_equal(strlen(kept.line), 1023);
}

static void write__keeps_errno(void **state)
{
    (void)state;
    sink kept = {0};
    kolo_log log = {.write = keep, .user = &kept, .level = KOLO_LOG_INFO};
    errno = ENOSPC;
    kolo_log_write(&log, KOLO_LOG_INFO, "x");
    assert_int_equal(errno, ENOSPC);
}

/* Stderr becomes a socket that keeps the borders of writes: so one write shows as one packet. */
static void capture_stderr(const kolo_log *log, const char *line, char *packet, size_t capacity)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(pair[1], STDERR_FILENO) >= 0);
    kolo_log_write(log, KOLO_LOG_WARN, "%s", line);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(pair[1]);
    ssize_t size = read(pair[0], packet, capacity - 1);
    assert_true(size > 0);
    packet[size] = '\0';
    char rest;
    assert_int_equal(read(pair[0], &rest, 1), 0);
    close(pair[0]);
}

static void write__default_is_one_write_to_stderr(void **state)
{
    (void)state;
    char packet[2048];
    kolo_log log = {.level = KOLO_LOG_WARN, .rank = 7};
    capture_stderr(&log, "careful", packet, sizeof(packet));
    assert_string_equal(packet, "kolo[7] WARN: careful\n");
    log.rank = -1;
    capture_stderr(&log, "careful", packet, sizeof(packet));
    assert_string_equal(packet, "kolo WARN: careful\n");
}

static void write__default_long_line_ends_with_newline(void **state)
{
    (void)state;
    char text[1500], packet[2048];
    memset(text, 'z', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    kolo_log log = {.level = KOLO_LOG_WARN, .rank = INT32_MAX};
    capture_stderr(&log, text, packet, sizeof(packet));
    assert_int_equal(strlen(packet), strlen("kolo[2147483647] WARN: ") + 1023 + 1);
    assert_int_equal(packet[strlen(packet) - 1], '\n');
}

static void level__names_and_back(void **state)
{
    (void)state;
    for (int i = KOLO_LOG_ERROR; i <= KOLO_LOG_DEBUG; i++) {
        kolo_log_level level = KOLO_LOG_ERROR;
        assert_true(kolo_log_level_parse(kolo_log_level_name((kolo_log_level)i), &level));
        assert_int_equal(level, i);
    }
    assert_string_equal(kolo_log_level_name((kolo_log_level)77), "?");
}

static void level_parse__unknown(void **state)
{
    (void)state;
    kolo_log_level level = KOLO_LOG_INFO;
    assert_false(kolo_log_level_parse("", &level));
    assert_false(kolo_log_level_parse("WARN", &level));
    assert_false(kolo_log_level_parse("warning", &level));
    assert_int_equal(level, KOLO_LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write__reaches_the_callback),
        cmocka_unit_test(write__above_the_level_is_dropped),
        cmocka_unit_test(write__no_log_is_no_crash),
        cmocka_unit_test(write__control_characters_become_marks),
        cmocka_unit_test(write__too_long_is_cut),
        cmocka_unit_test(write__keeps_errno),
        cmocka_unit_test(write__default_is_one_write_to_stderr),
        cmocka_unit_test(write__default_long_line_ends_with_newline),
        cmocka_unit_test(level__names_and_back),
        cmocka_unit_test(level_parse__unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
