/* test_output.c - lines with a rank in front, cut from bytes that come in any pieces. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "launch/output.h"

static void expect_sink(const kolorun_sink *sink, const char *text)
{
    assert_int_equal(sink->size - sink->sent, strlen(text));
    assert_memory_equal(sink->data + sink->sent, text, strlen(text));
}

static void feed__every_cut_gives_the_same_lines(void **state)
{
    (void)state;
    static const char text[] = "one\n\ntwo two\nthree";
    for (size_t first = 0; first <= strlen(text); first++) {
        for (size_t second = first; second <= strlen(text); second++) {
            kolorun_sink sink;
            kolorun_stream stream;
            kolorun_sink_init(&sink, -1);
            kolorun_stream_init(&stream, -1, 12, &sink);
            kolorun_stream_feed(&stream, text, first);
            kolorun_stream_feed(&stream, text + first, second - first);
            kolorun_stream_feed(&stream, text + second, strlen(text) - second);
            expect_sink(&sink, "[12] one\n[12] \n[12] two two\n"); /* the rest waits for its end */
            kolorun_stream_fini(&stream);
            kolorun_sink_fini(&sink);
        }
    }
}

static void feed__two_ranks_in_turns(void **state)
{
    (void)state;
    kolorun_sink sink;
    kolorun_stream a, b;
    kolorun_sink_init(&sink, -1);
    kolorun_stream_init(&a, -1, 0, &sink);
    kolorun_stream_init(&b, -1, 1, &sink);
    kolorun_stream_feed(&a, "from ", 5);
    kolorun_stream_feed(&b, "of b", 4);
    kolorun_stream_feed(&a, "a\nmore", 6);
    kolorun_stream_feed(&b, "\n", 1);
    expect_sink(&sink, "[0] from a\n[1] of b\n");
    kolorun_stream_fini(&a);
    kolorun_stream_fini(&b);
    kolorun_sink_fini(&sink);
}

static void read__end_without_newline(void **state)
{
    (void)state;
    int ends[2];
    kolorun_sink sink;
    kolorun_stream stream;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    kolorun_sink_init(&sink, -1);
    kolorun_stream_init(&stream, ends[0], 3, &sink);
    assert_false(kolorun_stream_read(&stream)); /* nothing yet, and not the end */
    assert_int_equal(stream.fd, ends[0]);
    assert_int_equal(write(ends[1], "x\ny", 3), 3);
    assert_true(kolorun_stream_read(&stream));
    expect_sink(&sink, "[3] x\n");
    close(ends[1]);
    assert_false(kolorun_stream_read(&stream));
    assert_int_equal(stream.fd, -1);
    expect_sink(&sink, "[3] x\n[3] y\n");
    kolorun_stream_fini(&stream);
    expect_sink(&sink, "[3] x\n[3] y\n");
    kolorun_sink_fini(&sink);
}

static void sink__writes_in_small_pieces(void **state)
{
    (void)state;
    int ends[2];
    static char bytes[10000], back[10000];
    memset(bytes, 'z', sizeof(bytes));
    kolorun_sink sink;
    assert_int_equal(pipe(ends), 0);
    kolorun_sink_init(&sink, ends[1]);
    assert_false(kolorun_sink_pending(&sink));
    kolorun_sink_append(&sink, bytes, sizeof(bytes));
    kolorun_sink_write_some(&sink);
    assert_true(kolorun_sink_pending(&sink));
    kolorun_sink_append(&sink, "end", 3);
    assert_int_equal(read(ends[0], back, sizeof(back)), 4096);
    kolorun_sink_flush(&sink);
    assert_false(kolorun_sink_pending(&sink));
    assert_int_equal(read(ends[0], back, sizeof(back)), 10003 - 4096);
    assert_memory_equal(back + 10000 - 4096, "end", 3);
    kolorun_sink_fini(&sink);
    close(ends[0]);
    close(ends[1]);
}

static void sink__reader_has_gone(void **state)
{
    (void)state;
    int ends[2], rank_ends[2];
    kolorun_sink sink;
    kolorun_stream stream;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe2(rank_ends, O_NONBLOCK), 0);
    kolorun_sink_init(&sink, ends[1]);
    kolorun_stream_init(&stream, rank_ends[0], 0, &sink);
    close(ends[0]);
    kolorun_stream_feed(&stream, "line\n", 5);
    kolorun_sink_flush(&sink);
    assert_true(sink.broken);
    assert_false(kolorun_sink_pending(&sink));
    assert_false(kolorun_stream_read(&stream)); /* and the rank is told: its pipe has no reader either */
    assert_int_equal(write(rank_ends[1], "x", 1), -1);
    kolorun_stream_fini(&stream);
    kolorun_sink_fini(&sink);
    close(ends[1]);
    close(rank_ends[1]);
    signal(SIGPIPE, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feed__every_cut_gives_the_same_lines),
        cmocka_unit_test(feed__two_ranks_in_turns),
        cmocka_unit_test(read__end_without_newline),
        cmocka_unit_test(sink__writes_in_small_pieces),
        cmocka_unit_test(sink__reader_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
