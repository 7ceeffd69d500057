/* edges.c - collectives whose sizes lie around given ones, and whose tensors lie at odd addresses, against the reference.
 *
 *     engine_edges around BATCH BYTES...   one element less than BYTES, BYTES, one more; BATCH operations in flight
 *     engine_edges unaligned               every type, one byte and one element off the allocator's alignment */
#include "reference.h"

#include <string.h>

enum { BATCH_MAX = 64 };

typedef struct batch {
    kolo_context *ctx;
    int32_t capacity, count;
    int64_t done;
    trial trials[BATCH_MAX];
} batch;

static void finish(batch *run)
{
    char text[256];
    for (int32_t i = 0; i < run->count; i++) {
        trial *one = &run->trials[i];
        kolo_status status = kolo_wait(one->request, -1);
        CHECK(status == KOLO_OK, "%s: %s", kolo_status_name(status), operation_text(&one->what, text, sizeof(text)));
        kolo_request_free(one->request);
        trial_check(one);
    }
    run->count = 0;
}

static void add(batch *run, const operation *what)
{
    trial *one = &run->trials[run->count];
    trial_begin(one, what, NULL);
    run->done++;
    if (run->capacity == 1) {
        OK(trial_submit(run->ctx, one, NULL));
        trial_check(one);
        return;
    }
    OK(trial_submit(run->ctx, one, &one->request));
    if (++run->count == run->capacity)
        finish(run);
}

/* Types and places take turns, so that over a few sizes all of them come by. */
static void add_around(batch *run, int64_t bytes)
{
    for (int kind = 0; kind < COLLECTIVES; kind++)
        for (int64_t more = -1; more <= 1; more++) {
            uint64_t turn = (uint64_t)run->done;
            const element_type *type = &element_types[turn % ELEMENT_TYPES];
            int64_t count = bytes / (int64_t)type->bytes + more;
            operation what = {.kind = (collective)kind,
                              .type = type,
                              .op = turn % 4 == 3 ? KOLO_MAX : KOLO_SUM,
                              .root = (int32_t)(turn % (uint64_t)rank_count),
                              .count = count > 0 ? count : 0,
                              .prescale = 1,
                              .postscale = 1,
                              .in_place = turn / 3 % 2 == 0,
                              .shift = turn % 5 == 0 ? 1 : 0,
                              .seed = turn};
            add(run, &what);
        }
}

static void add_unaligned(batch *run)
{
    static const int64_t counts[] = {3, 1000, 5003};
    uint64_t seed = 0;
    for (int kind = 0; kind < COLLECTIVES; kind++)
        for (int t = 0; t < ELEMENT_TYPES; t++)
            for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++)
                for (int form = 0; form < 4; form++) {
                    const element_type *type = &element_types[t];
                    operation what = {.kind = (collective)kind,
                                      .type = type,
                                      .count = counts[c],
                                      .prescale = 1,
                                      .postscale = 1,
                                      .in_place = form / 2 == 0,
                                      .shift = form % 2 == 0 ? 1 : type->bytes,
                                      .seed = ++seed};
                    add(run, &what);
                }
}

int main(int argc, char **argv)
{
    static batch run = {.capacity = 16};
    CHECK(argc >= 2, "usage: engine_edges around BATCH BYTES... | unaligned");
    run.ctx = rank_join();
    if (strcmp(argv[1], "unaligned") == 0) {
        add_unaligned(&run);
    } else {
        CHECK(strcmp(argv[1], "around") == 0 && argc > 3, "no subject '%s', or no sizes", argv[1]);
        run.capacity = (int32_t)rank_number_of(argv[2]);
        CHECK(run.capacity >= 1 && run.capacity <= BATCH_MAX, "BATCH is 1 to %d", BATCH_MAX);
        for (int i = 3; i < argc; i++)
            add_around(&run, rank_number_of(argv[i]));
    }
    finish(&run);
    rank_leave(run.ctx);
    printf("passed %lld\n", (long long)run.done);
    return 0;
}
