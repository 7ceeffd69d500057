/* session.c - sets a training up, drives its epochs, evaluates, and prints the result. */
#include "trainer/session.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cblas.h>

#include "trainer/checkpoint.h"
#include "trainer/same.h"
#include "trainer/threads.h"

enum { EVALUATION_BATCH = 256 };

/* ---- set-up --------------------------------------------------------------------------------- */

static bool open_log(FILE **log, const char *path, train_failure *failure)
{
    *log = fopen(path, "we");
    return *log != NULL || train_fail(failure, "cannot write %s: %s", path, strerror(errno));
}

static bool open_time_log(train_session *session, train_failure *failure)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s.%" PRId32, session->options->log_times, session->exchange->rank);

    if (length < 0 || (size_t)length >= sizeof path)
        return train_fail(failure, "cannot write %s: %s", session->options->log_times, strerror(ENAMETOOLONG));
    return open_log(&session->time_log, path, failure);
}

/* What is written later, too: that it cannot be written is told before the training, not after it. */
static bool open_outputs(train_session *session, train_failure *failure)
{
    const train_options *options = session->options;

    if (options->log_times != NULL && !open_time_log(session, failure))
        return false;
    if (session->exchange->rank != 0)
        return true;
    if ((options->checkpoint != NULL && !train_file_check(options->checkpoint, failure)) ||
        (options->dump != NULL && !train_file_check(options->dump, failure)))
        return false;
    return options->log_loss == NULL || open_log(&session->loss_log, options->log_loss, failure);
}

/* The last layer's gradient travels with a spare float behind it, for the loss. */
static bool prepare_gradients(const train_session *session, train_failure *failure)
{
    const train_model *model = &session->model;

    for (int32_t k = 0; k < model->layer_count; k++) {
        int64_t count = train_model_parameters(model, k) + (k == model->layer_count - 1 ? 1 : 0);

        if (!train_exchange_prepare_layer(session->exchange, k, session->gradient + model->offset[k], count, failure))
            return false;
    }
    return true;
}

static bool allocate(train_session *session, train_failure *failure)
{
    const train_options *options = session->options;
    train_exchange *exchange = session->exchange;
    train_model *model = &session->model;
    int64_t capacity = options->batch > EVALUATION_BATCH ? options->batch : EVALUATION_BATCH;

    return train_model_init(model, session->data.training.pixels, options->hidden, options->hidden_count, TRAIN_CLASSES,
                            failure) &&
           train_mlp_init(&session->mlp, model, capacity, failure) &&
           train_optimizer_init(&session->optimizer, model, options, failure) &&
           train_sampler_init(&session->sampler, session->data.training.count, options->batch, exchange->rank,
                              exchange->ranks, failure) &&
           train_exchange_alloc(exchange, model->vector_count, &session->parameters, failure) &&
           train_exchange_alloc(exchange, model->vector_count, &session->gradient, failure) &&
           prepare_gradients(session, failure) && open_outputs(session, failure);
}

/* BLAS gives the same bits only while its threads are the same number, so it is set, never left to chance. */
static bool set_threads(train_session *session, train_failure *failure)
{
    train_exchange *exchange = session->exchange;
    int32_t threads = (int32_t)session->options->threads;
    train_cores *cores = calloc((size_t)exchange->ranks, sizeof *cores);
    bool ok = cores != NULL || train_fail(failure, "out of memory for %" PRId32 " ranks' cores", exchange->ranks);

    if (!train_exchange_agree(exchange, ok, failure)) {
        free(cores);
        return false;
    }
    train_cores_read(&cores[exchange->rank]);
    ok = train_exchange_gather(exchange, cores, sizeof *cores, failure);
    if (ok && threads == 0)
        threads = train_cores_threads(cores, exchange->ranks, exchange->rank);
    if (ok)
        openblas_set_num_threads(threads);
    free(cores);
    return ok;
}

static train_checkpoint checkpoint_of(train_session *session)
{
    return (train_checkpoint){.model = &session->model,
                              .optimizer = &session->optimizer,
                              .parameters = session->parameters,
                              .seed = (uint64_t)session->options->seed,
                              .epochs_done = session->epochs_done};
}

static bool read_checkpoint(train_session *session, train_failure *failure)
{
    train_checkpoint checkpoint = checkpoint_of(session);

    if (!train_checkpoint_read(&checkpoint, session->options->checkpoint, failure))
        return false;
    if (checkpoint.epochs_done > session->options->epochs)
        return train_fail(failure, "the checkpoint %s has %" PRId64 " epochs already, more than --epochs %" PRId64,
                          session->options->checkpoint, checkpoint.epochs_done, session->options->epochs);
    session->epochs_done = checkpoint.epochs_done;
    return true;
}

/* Rank 0 makes or reads the first parameters; everybody gets them from it. */
static bool start_parameters(train_session *session, train_failure *failure)
{
    train_exchange *exchange = session->exchange;
    bool resume = session->options->resume;
    bool ok = true;

    if (exchange->rank == 0 && resume)
        ok = read_checkpoint(session, failure);
    else if (exchange->rank == 0)
        train_model_randomize(&session->model, (uint64_t)session->options->seed, session->parameters);
    if (!train_exchange_agree(exchange, ok, failure))
        return false;

    int64_t numbers[2] = {session->epochs_done, session->optimizer.steps};
    if (!train_exchange_broadcast_floats(exchange, session->parameters, session->model.vector_count, failure) ||
        !train_exchange_broadcast_integers(exchange, numbers, 2, failure))
        return false;
    session->epochs_done = numbers[0];
    session->optimizer.steps = numbers[1];
    for (int32_t i = 0; resume && i < session->optimizer.state_count; i++)
        if (!train_exchange_broadcast_floats(exchange, session->optimizer.state[i], session->model.vector_count,
                                             failure))
            return false;
    return true;
}

static void print_start(const train_session *session)
{
    const train_options *options = session->options;
    char network[256];

    if (session->exchange->rank != 0)
        return;
    printf("%" PRId64 " training samples, %" PRId64 " test samples; network %s, %" PRId64 " parameters\n",
           session->data.training.count, session->data.test.count,
           train_model_describe(&session->model, network, sizeof network), session->model.parameter_count);
    printf("%" PRId32 " rank%s, batch %" PRId64 " each, %d thread%s each; %s, learning rate %g, seed %" PRId64 "\n",
           session->exchange->ranks, session->exchange->ranks == 1 ? "" : "s", options->batch,
           openblas_get_num_threads(), openblas_get_num_threads() == 1 ? "" : "s",
           train_optimizer_name(options->optimizer), options->lr, options->seed);
    if (session->epochs_done > 0)
        printf("resumed from %s after epoch %" PRId64 "\n", options->checkpoint, session->epochs_done);
    (void)fflush(stdout);
}

static bool set_up(train_session *session, train_failure *failure)
{
    const train_options *options = session->options;
    train_exchange *exchange = session->exchange;

    if (!train_same_options(exchange, options, failure))
        return false;
    bool ok = train_data_read(&session->data, options->data, options->limit, failure);
    uint32_t checksum = ok ? train_dataset_checksum(&session->data.training) : 0;
    if (!train_exchange_agree(exchange, ok, failure) ||
        !train_exchange_same(exchange, checksum, "other training data", failure))
        return false;
    ok = allocate(session, failure);
    if (!train_exchange_agree(exchange, ok, failure) || !set_threads(session, failure) ||
        !start_parameters(session, failure))
        return false;

    session->progress.epochs = options->epochs;
    if (exchange->rank == 0) {
        session->progress.lines = stdout;
        session->progress.bar = isatty(STDERR_FILENO) ? stderr : NULL;
    }
    print_start(session);
    return true;
}

/* ---- the training and its result ------------------------------------------------------------ */

static bool train(train_session *session, train_failure *failure)
{
    const train_options *options = session->options;
    int64_t epochs = options->stop_after > 0 ? options->stop_after : options->epochs;

    while (session->epochs_done < epochs) {
        if (!train_session_epoch(session, failure))
            return false;
        if (options->checkpoint == NULL)
            continue;
        train_checkpoint checkpoint = checkpoint_of(session);
        bool ok = session->exchange->rank != 0 || train_checkpoint_write(&checkpoint, options->checkpoint, failure);
        if (!train_exchange_agree(session->exchange, ok, failure))
            return false;
    }
    return true;
}

/* Each rank recognises its part of the test samples. *correct is of all. */
static bool evaluate(train_session *session, int64_t *correct, train_failure *failure)
{
    train_mlp *mlp = &session->mlp;
    int64_t first;
    int64_t left;

    *correct = 0;
    train_split(session->data.test.count, session->exchange->ranks, session->exchange->rank, &first, &left);
    while (left > 0) {
        int64_t count = left < mlp->capacity ? left : mlp->capacity;

        train_dataset_gather(&session->data.test, NULL, first, count, mlp->activation[0], mlp->labels);
        train_mlp_forward(mlp, session->parameters, count);
        *correct += train_mlp_count_correct(mlp, count);
        first += count;
        left -= count;
    }
    return train_exchange_sum_integers(session->exchange, correct, 1, failure);
}

static bool close_log(FILE **log, const char *path, train_failure *failure)
{
    if (*log == NULL)
        return true;
    bool written = ferror(*log) == 0;

    written = fclose(*log) == 0 && written;
    *log = NULL;
    return written || train_fail(failure, "cannot write %s: %s", path, strerror(errno));
}

static bool write_files(train_session *session, train_failure *failure)
{
    const train_options *options = session->options;

    if (!close_log(&session->loss_log, options->log_loss, failure) ||
        !close_log(&session->time_log, options->log_times, failure))
        return false;
    if (options->dump == NULL || session->exchange->rank != 0)
        return true;
    return train_file_replace(options->dump, session->parameters, (size_t)session->model.vector_count * sizeof(float),
                              failure);
}

static bool finish(train_session *session, train_failure *failure)
{
    train_exchange *exchange = session->exchange;
    uint32_t checksum = train_model_checksum(&session->model, session->parameters);
    int64_t total = session->data.test.count;
    int64_t correct;

    if (!train_exchange_same(exchange, checksum, "other parameters at the end (please report it)", failure) ||
        !evaluate(session, &correct, failure) ||
        !train_exchange_agree(exchange, write_files(session, failure), failure))
        return false;
    if (exchange->rank != 0)
        return true;

    double accuracy = (double)correct / (double)total;
    double rate = session->elapsed_ns > 0 ? (double)session->samples * 1e9 / (double)session->elapsed_ns : 0.0;
    printf("parameters crc32 %08" PRIx32 "\n", checksum);
    printf("test accuracy %.2f %% (%" PRId64 " of %" PRId64 ")\n", 100.0 * accuracy, correct, total);
    printf("test_accuracy=%.4f epochs=%" PRId64 " ranks=%" PRId32 " samples_per_s=%.0f\n", accuracy,
           session->epochs_done, exchange->ranks, rate);
    if (fflush(stdout) != 0)
        return train_fail(failure, "cannot write the result: %s", strerror(errno));
    return true;
}

static void fini(train_session *session)
{
    train_exchange_drop_layers(session->exchange);
    if (session->loss_log != NULL)
        (void)fclose(session->loss_log);
    if (session->time_log != NULL)
        (void)fclose(session->time_log);
    train_sampler_fini(&session->sampler);
    train_optimizer_fini(&session->optimizer);
    train_mlp_fini(&session->mlp);
    train_data_fini(&session->data);
}

bool train_session_run(const train_options *options, train_exchange *exchange, train_failure *failure)
{
    train_session session = {.options = options, .exchange = exchange};
    bool ok = set_up(&session, failure) && train(&session, failure) && finish(&session, failure);

    /* A reduction may still be under way when Kolo failed; its buffers are Kolo's, not the session's. */
    fini(&session);
    return ok;
}
